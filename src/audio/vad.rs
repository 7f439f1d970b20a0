//! Voice activity: is this speech?
//!
//! A detector gives a probability every few milliseconds; a gate with hysteresis turns it into speech that began and
//! speech that stopped. Both moments are dated back to where the sound itself changed, because a detector is always
//! late: by its window when speech begins, by its hangover when it ends.
//!
//! Positions count 16 kHz samples since the beginning.

use std::fmt;

use serde::{Deserialize, Serialize};
use sonora_ns::{config::SuppressionLevel, noise_suppressor::NoiseSuppressor};

use super::level;

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

/// What the gate decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    /// Speech began.
    Started {
        /// The first voiced sample, estimated.
        at: u64,
        /// When it was decided.
        detected: u64,
    },
    /// Speech stopped.
    Stopped {
        /// The last voiced sample, estimated.
        at: u64,
        /// When it was decided.
        detected: u64,
    },
}

/// Listens for speech in 16 kHz samples.
#[derive(Debug)]
pub struct Vad {
    hears: Hears,
    gate: Gate,
    /// Samples heard so far.
    position: u64,
    /// Samples at the end that do not make up a whole step yet.
    staged: Vec<i16>,
}

#[derive(Debug)]
enum Hears {
    Neural(Box<Neural>),
    Energy(Energy),
}

impl Vad {
    /// With these settings.
    pub fn new(settings: &VadSettings) -> Self {
        let (hears, step) = match settings.detector {
            Detector::Neural => (Hears::Neural(Box::new(Neural::new(settings.noise_suppression))), Neural::STEP),
            Detector::Energy => (Hears::Energy(Energy::default()), Energy::STEP),
        };
        Self { hears, gate: Gate::new(settings), position: 0, staged: Vec::with_capacity(step) }
    }

    /// Hears a piece of any length.
    pub fn hear(&mut self, mut samples: &[i16], on: &mut impl FnMut(Voice)) {
        let step = match &self.hears {
            Hears::Neural(_) => Neural::STEP,
            Hears::Energy(_) => Energy::STEP,
        };
        while !samples.is_empty() {
            let (now, later) = samples.split_at(samples.len().min(step - self.staged.len()));
            self.staged.extend_from_slice(now);
            self.position += now.len() as u64;
            samples = later;
            if self.staged.len() < step {
                return;
            }
            let level = level::db(level::mean_square(&self.staged));
            let probability = match &mut self.hears {
                Hears::Neural(neural) => neural.probability(&self.staged),
                Hears::Energy(energy) => Some(energy.probability(level)),
            };
            self.staged.clear();
            if let Some(probability) = probability {
                self.gate.step(probability, self.position, step as u64, on);
            }
        }
    }

    /// The caller is speaking.
    pub fn speaking(&self) -> bool {
        self.gate.speaking
    }

    /// How long the present speech has been going on, short gaps included; 0 in silence.
    pub fn voiced_run(&self) -> u64 {
        if self.gate.speaking { self.gate.voiced.saturating_sub(self.gate.began) } else { 0 }
    }

    /// How long the probability has been high without a break.
    pub fn speech_run(&self) -> u64 {
        self.gate.run
    }

    /// The last voiced sample so far.
    pub fn last_voiced(&self) -> u64 {
        self.gate.voiced
    }
}

/// Hysteresis: what begins speech, what keeps it going, and when it is over.
#[derive(Debug)]
struct Gate {
    onset: f32,
    offset: f32,
    /// Samples below `offset` before speech is over.
    hangover: u64,
    speaking: bool,
    /// The first voiced sample of the present speech.
    began: u64,
    /// The last voiced sample.
    voiced: u64,
    /// Samples of high probability in a row.
    run: u64,
}

impl Gate {
    fn new(settings: &VadSettings) -> Self {
        Self {
            onset: settings.onset,
            offset: settings.offset,
            hangover: settings.hangover_ms * 16,
            speaking: false,
            began: 0,
            voiced: 0,
            run: 0,
        }
    }

    fn step(&mut self, probability: f32, position: u64, step: u64, on: &mut impl FnMut(Voice)) {
        let threshold = if self.speaking { self.offset } else { self.onset };
        if probability >= threshold {
            self.run += step;
            if !self.speaking {
                self.speaking = true;
                self.began = position.saturating_sub(step);
                on(Voice::Started { at: self.began, detected: position });
            }
            self.voiced = position;
            return;
        }
        self.run = 0;
        if self.speaking && position - self.voiced >= self.hangover {
            self.speaking = false;
            on(Voice::Stopped { at: self.voiced, detected: position });
        }
    }
}

/// A small recurrent network behind noise suppression. Its weights are part of the program and shared by all calls.
struct Neural {
    suppressor: Option<NoiseSuppressor>,
    network: Box<earshot::Detector>,
    /// Samples behind noise suppression that wait for a whole block of the network.
    block: [i16; Self::BLOCK],
    blocked: usize,
    /// The last probability.
    probability: f32,
}

impl Neural {
    /// 10 ms: what noise suppression takes.
    const STEP: usize = 160;
    /// 16 ms: what the network takes.
    const BLOCK: usize = 256;

    fn new(suppress: bool) -> Self {
        Self {
            suppressor: suppress.then(|| NoiseSuppressor::with_level(SuppressionLevel::K12dB)),
            network: earshot::Detector::default_boxed(),
            block: [0; Self::BLOCK],
            blocked: 0,
            probability: 0.0,
        }
    }

    /// Takes 10 ms; a probability where a block of the network is complete.
    fn probability(&mut self, samples: &[i16]) -> Option<f32> {
        let mut frame = [0.0f32; Self::STEP];
        frame.iter_mut().zip(samples).for_each(|(frame, sample)| *frame = f32::from(*sample));
        if let Some(suppressor) = &mut self.suppressor {
            suppressor.analyze(&frame);
            suppressor.process(&mut frame);
        }
        let mut complete = None;
        for sample in frame {
            self.block[self.blocked] = sample as i16;
            self.blocked += 1;
            if self.blocked == Self::BLOCK {
                self.blocked = 0;
                self.probability = self.network.predict_i16(&self.block);
                complete = Some(self.probability);
            }
        }
        complete
    }
}

impl fmt::Debug for Neural {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Neural").field("probability", &self.probability).finish_non_exhaustive()
    }
}

/// Energy above the noise floor: for simulations, clean lines and tiny machines.
#[derive(Debug, Default)]
struct Energy {
    /// The level of the noise in dBFS: falls at once, rises slowly.
    floor: Option<f32>,
}

impl Energy {
    /// 10 ms.
    const STEP: usize = 160;
    /// Nothing below this is speech.
    const FLOOR_MIN: f32 = -60.0;
    /// How much the floor rises in one step: 3 dB a second.
    const RISE: f32 = 0.03;

    fn probability(&mut self, level: f32) -> f32 {
        let floor = self.floor.map_or(level.min(-40.0), |floor| (floor + Self::RISE).min(level)).max(Self::FLOOR_MIN);
        self.floor = Some(floor);
        // 6 dB above the floor is nothing, 18 dB is certain.
        ((level - floor - 6.0) / 12.0).clamp(0.0, 1.0)
    }
}
