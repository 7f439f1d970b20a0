//! Voice activity: is this speech?
//!
//! Every 10 ms there is evidence: how loud it is, what a small network thinks, and whether there is a pitch. A gate
//! with hysteresis turns evidence into speech that began and speech that stopped. Both moments are dated back to where
//! the sound itself changed, because a detector is always late: by its window when speech begins, by its hangover when
//! it ends.
//!
//! Two strengths of belief: `speaking` is the first sign (good for speaking softer), `speech_run` grows
//! only with speech that can be nothing else (good for stopping). A slam, a cough and a keyboard click leave the second
//! at nothing.
//!
//! Positions count 16 kHz samples since the beginning.

use std::fmt;

use serde::{Deserialize, Serialize};
use sonora_ns::{config::SuppressionLevel, noise_suppressor::NoiseSuppressor};

use super::{
    gate::{Evidence, Gate, Voice},
    level,
    network::{BLOCK, Network},
    ring::Ring,
    step::STEP,
    voicing::Voicing,
};

/// What is speech and what is noise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VadSettings {
    /// `neural` for real lines; `energy` where the line is clean or the machine tiny.
    pub detector: Detector,
    /// Probability that begins speech.
    pub onset: f32,
    /// Probability that keeps it going.
    pub offset: f32,
    /// Milliseconds below `offset` before speech is over.
    pub hangover_ms: u64,
    /// Suppress noise in front of the detector.
    pub noise_suppression: bool,
}

impl Default for VadSettings {
    fn default() -> Self {
        Self { detector: Detector::Neural, onset: 0.7, offset: 0.5, hangover_ms: 64, noise_suppression: true }
    }
}

/// Which detector hears speech.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Detector {
    /// A small recurrent network behind noise suppression.
    Neural,
    /// Energy above the noise floor.
    Energy,
}

/// Listens for speech in 16 kHz samples.
#[derive(Debug)]
pub(super) struct Vad {
    hears: Hears,
    gate: Gate,
    /// Samples heard so far.
    position: u64,
}

#[derive(Debug)]
enum Hears {
    Neural(Box<Neural>),
    Energy(Floor),
}

impl Vad {
    /// With these settings.
    pub(super) fn new(settings: &VadSettings) -> Self {
        let hears = match settings.detector {
            Detector::Neural => Hears::Neural(Box::new(Neural::new(settings))),
            Detector::Energy => Hears::Energy(Floor::new()),
        };
        Self { hears, gate: Gate::new(settings), position: 0 }
    }

    /// Hears 10 ms of this mean square.
    pub(super) fn step(&mut self, step: &[i16; STEP], power: f32, on: &mut impl FnMut(Voice)) {
        self.position += STEP as u64;
        let (evidence, delay) = match &mut self.hears {
            // Who is surely speaking needs no pitch to be believed.
            Hears::Neural(neural) => neural.evidence(step, power, self.gate.speaking() && self.gate.sure()),
            Hears::Energy(floor) => (floor.evidence(power), 0),
        };
        self.gate.step(evidence, self.position, delay, on);
    }

    /// What is sounding now is a key and no speech.
    pub(super) fn deny(&mut self) {
        self.gate.deny();
    }

    /// The caller is speaking, by the first sign of it.
    pub(super) fn speaking(&self) -> bool {
        self.gate.speaking()
    }

    /// How long the present speech has been going on, gaps of up to 240 ms included; 0 in silence.
    pub(super) fn voiced_run(&self) -> u64 {
        self.gate.voiced_run(self.position)
    }

    /// The same, but 0 until it can be nothing but speech.
    pub(super) fn speech_run(&self) -> u64 {
        if self.gate.sure() { self.voiced_run() } else { 0 }
    }

    /// The last voiced sample so far, estimated.
    pub(super) fn last_voiced(&self) -> u64 {
        self.gate.last_voiced()
    }
}

/// A small recurrent network behind noise suppression, and a pitch detector beside it. The network's weights are part
/// of the program and shared by all calls.
///
/// Most of a call is silence on a quiet line, so both are asked only when there is something to ask: noise is suppressed
/// where there is noise, and the network sleeps while nothing stands out. When it wakes it hears the last 80 ms first.
struct Neural {
    /// The settings want noise suppressed.
    suppresses: bool,
    /// Since there was noise: on a quiet line it would be the largest part of what a listener holds.
    suppressor: Option<Box<NoiseSuppressor>>,
    /// The noise of the line as it comes.
    noise: Floor,
    /// There is enough of it to be suppressed.
    noisy: bool,
    /// Steps heard.
    heard: u32,
    network: Network,
    /// The last sound behind noise suppression, for the network.
    cleaned: Ring<{ Self::CLEANED }>,
    /// How many samples of it the network has not heard.
    unheard: usize,
    /// Steps since something stood out.
    quiet: u32,
    /// The last probability.
    probability: f32,
    /// What is left of the noise.
    floor: Floor,
    voicing: Voicing,
}

impl Neural {
    /// 80 ms: what it hears when it wakes, as much as it looks back.
    const CLEANED: usize = 5 * BLOCK;
    /// After 200 ms in which nothing stood out it sleeps.
    const QUIET: u32 = 20;
    /// What wakes it: dB above the noise.
    const STIR: f32 = 4.0;
    /// From this level on noise is suppressed, and below this no longer: dBFS.
    const NOISY: f32 = -54.0;
    const CALM: f32 = -58.0;
    /// What noise a line has is known after 200 ms.
    const KNOWN: u32 = 20;
    /// How well a sound must repeat itself to have a pitch.
    const PITCH: f32 = 0.65;
    /// Below this probability nobody looks for a pitch.
    const PITCH_FROM: f32 = 0.3;
    /// Above this one need not be looked for, where the caller is surely speaking.
    const PITCH_TO: f32 = 0.5;
    /// How late the sound is behind noise suppression.
    const DELAY: u64 = 96;

    fn new(settings: &VadSettings) -> Self {
        Self {
            suppresses: settings.noise_suppression,
            suppressor: None,
            noise: Floor::new(),
            noisy: false,
            heard: 0,
            network: Network::new(),
            cleaned: Ring::new(),
            unheard: 0,
            quiet: 0,
            probability: 0.0,
            floor: Floor::new(),
            voicing: Voicing::new(),
        }
    }

    /// The evidence of 10 ms, and how late it is.
    fn evidence(&mut self, step: &[i16; STEP], power: f32, sure: bool) -> (Evidence, u64) {
        let (mut frame, mut cleaned, mut power, mut delay) = (step.map(f32::from), *step, power, 0);
        self.noise.above(level::db(power), self.probability < 0.3);
        self.heard = self.heard.saturating_add(1);
        let noisy = self.noise.level > if self.noisy { Self::CALM } else { Self::NOISY };
        self.noisy = noisy && self.heard > Self::KNOWN;
        if self.suppresses && self.noisy {
            let new = || Box::new(NoiseSuppressor::with_level(SuppressionLevel::K12dB));
            let suppressor = self.suppressor.get_or_insert_with(new);
            suppressor.analyze(&frame);
            suppressor.process(&mut frame);
            cleaned = frame.map(|sample| sample as i16);
            power = frame.iter().map(|sample| sample * sample).sum::<f32>() / STEP as f32;
            delay = Self::DELAY;
        }
        let level = level::db(power);
        let above = self.floor.above(level, self.probability < 0.3);
        self.quiet = if above > Self::STIR { 0 } else { self.quiet.saturating_add(1) };
        self.voicing.push(&frame);
        self.think(&cleaned);
        let loud = above > LOUD;
        let ask = loud && self.probability >= Self::PITCH_FROM && !(sure && self.probability >= Self::PITCH_TO);
        let pitch = ask && self.voicing.strength() >= Self::PITCH;
        (Evidence { probability: self.probability, loud, pitch, level }, delay)
    }

    fn think(&mut self, cleaned: &[i16; STEP]) {
        self.cleaned.push(cleaned);
        self.unheard = (self.unheard + STEP).min(Self::CLEANED);
        if self.quiet > Self::QUIET && self.probability < 0.3 {
            self.probability = 0.0;
            return;
        }
        while self.unheard >= BLOCK {
            let block = self.cleaned.back(self.unheard);
            self.probability = self.network.hear(&block);
            self.unheard -= BLOCK;
        }
    }
}

impl fmt::Debug for Neural {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Neural").field("probability", &self.probability).finish_non_exhaustive()
    }
}

/// How far above the noise a sound stands out: dB.
const LOUD: f32 = 6.0;

/// The level of the noise: falls quickly, rises slowly. Alone it is the cheap detector: for simulations, clean lines
/// and tiny machines.
#[derive(Debug)]
struct Floor {
    /// In dBFS.
    level: f32,
}

impl Floor {
    /// Nothing below this is speech.
    const MIN: f32 = -60.0;
    /// Where it begins: a call that begins with a word must not take the word for the noise.
    const BEGIN: f32 = -50.0;
    /// How much it rises in a step where there may be speech, 1 dB a second, and where there is none, 12 dB.
    const RISE: f32 = 0.01;
    const RISE_QUIET: f32 = 0.12;

    fn new() -> Self {
        Self { level: Self::BEGIN }
    }

    /// How far above the noise this level is, in dB.
    fn above(&mut self, level: f32, quiet: bool) -> f32 {
        let rise = if quiet { Self::RISE_QUIET } else { Self::RISE };
        self.level = if level < self.level { self.level + 0.3 * (level - self.level) } else { self.level + rise };
        self.level = self.level.max(Self::MIN);
        level - self.level
    }

    fn evidence(&mut self, power: f32) -> Evidence {
        let level = level::db(power);
        let above = self.above(level, false);
        // 6 dB above the noise is nothing, 18 dB is certain.
        let probability = ((above - LOUD) / 12.0).clamp(0.0, 1.0);
        Evidence { probability, loud: above > LOUD, pitch: false, level }
    }
}
