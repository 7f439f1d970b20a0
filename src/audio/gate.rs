//! What begins speech, what keeps it going and when it is over: hysteresis over evidence, 10 ms at a time.
//!
//! It knows levels, pitches and probabilities, and never looks at a sample. Positions count 16 kHz samples.

use super::{VadSettings, level, step::STEP};

/// What the gate decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Voice {
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

/// What speaks for speech in one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Evidence {
    /// What the detector thinks.
    pub(super) probability: f32,
    /// The level stands out of the noise.
    pub(super) loud: bool,
    /// There is a pitch.
    pub(super) pitch: bool,
    /// In dBFS.
    pub(super) level: f32,
}

/// Steps with a pitch among the last twelve that make the first sign, and that make sure.
const PITCH_SIGN: u32 = 2;
const PITCH_SURE: u32 = 4;
/// The probability that must come with a pitch, for either.
const WITH_PITCH_SIGN: f32 = 0.40;
const WITH_PITCH_SURE: f32 = 0.45;
/// Steps at the onset probability that make sure without a pitch (somebody whispers).
const LIKELY_SURE: u32 = 6;
/// Silent steps inside a sound that do not begin a new one.
const GAP: u32 = 4;
/// Silent samples inside a run of speech that do not begin a new one: 240 ms, a stop and the pause before a word.
const RUN_GAP: u64 = 3_840;
/// How far back a beginning is looked for: 400 ms.
const BACK_MAX: u64 = 6_400;
/// How much softer than the loudest of it speech may be: dB.
const RANGE: f32 = 35.0;
/// How much softer than the caller has spoken so far somebody may be and still be the caller: to go on, to begin, and
/// to be sure. The neighbours are softer. dB.
const SOFTER: f32 = 26.0;
const SOFTER_SIGN: f32 = 20.0;
const SOFTER_SURE: f32 = 13.0;
/// A sound that was loudest in its first steps and has lost so much (dB) since is a blow that dies away.
const BLOW_STEPS: u32 = 4;
const BLOW: f32 = 7.0;
/// What dies away goes on doing so: a sound whose level stayed within so much (dB) for five steps, with a pitch, is no
/// blow, however loud it began. A vowel and the "n" after it are such a sound.
const LASTS: f32 = 2.5;
/// Steps for which a key denies speech.
const DENIED: u32 = 4;

/// Hysteresis: what begins speech, what keeps it going, and when it is over.
#[derive(Debug)]
pub(super) struct Gate {
    onset: f32,
    offset: f32,
    /// Samples without voice before speech is over.
    hangover: u64,
    speaking: bool,
    /// The last voiced sample.
    voiced: u64,
    /// The first voiced sample of the run of speech, short gaps included.
    run: u64,
    /// The run can be nothing but speech.
    sure: bool,
    /// The sound that stands out of the noise now, be it speech or not.
    sound: Option<Sound>,
    /// One bit a step, the latest lowest: whether there was a pitch.
    pitches: u16,
    /// Steps in a row at the onset probability.
    likely: u32,
    /// The levels of the last five steps.
    levels: [f32; 5],
    /// The loudest of the present speech, in dBFS; fades slowly.
    peak: f32,
    /// How loud the caller speaks, in dBFS; fades slowly.
    usual: f32,
    /// Steps for which speech is still denied.
    denied: u32,
}

#[derive(Debug, Clone, Copy)]
struct Sound {
    began: u64,
    /// How many steps it has lasted.
    steps: u32,
    /// The loudest step, and when it was.
    loudest: f32,
    loudest_at: u32,
    /// Steps since it last stood out.
    gap: u32,
    /// It has kept its level for a while, with a pitch: no blow does.
    lasts: bool,
}

impl Gate {
    /// With these settings.
    pub(super) fn new(settings: &VadSettings) -> Self {
        Self {
            onset: settings.onset,
            offset: settings.offset,
            hangover: settings.hangover_ms * 16,
            speaking: false,
            voiced: 0,
            run: 0,
            sure: false,
            sound: None,
            pitches: 0,
            likely: 0,
            levels: [level::SILENCE_DB; 5],
            peak: level::SILENCE_DB,
            usual: level::SILENCE_DB,
            denied: 0,
        }
    }

    /// Weighs one step that ends at `position`; the detector hears the sound `delay` samples late.
    pub(super) fn step(&mut self, evidence: Evidence, position: u64, delay: u64, on: &mut impl FnMut(Voice)) {
        let end = position.saturating_sub(delay);
        self.levels.rotate_left(1);
        self.levels[4] = evidence.level;
        self.usual = (self.usual - 0.005).max(level::SILENCE_DB);
        if self.denied > 0 {
            self.denied -= 1;
            (self.pitches, self.likely, self.sound) = (0, 0, None);
            return self.pause(position, on);
        }
        self.pitches = (self.pitches << 1 | u16::from(evidence.pitch)) & 0xFFF;
        self.likely = if evidence.probability >= self.onset { self.likely + 1 } else { 0 };
        self.follow(evidence, end);
        let (Some(sound), true) = (self.sound, evidence.loud) else {
            return self.pause(position, on);
        };
        let pitches = self.pitches.count_ones();
        let level = self.levels[2..].iter().copied().fold(level::SILENCE_DB, f32::max);
        let sign = pitches >= PITCH_SIGN && evidence.probability >= WITH_PITCH_SIGN || self.likely > 0;
        if !self.speaking && sign && level >= self.usual - SOFTER_SIGN {
            self.speaking = true;
            let began = sound.began.max(end.saturating_sub(BACK_MAX)).max(self.voiced);
            if began.saturating_sub(self.voiced) > RUN_GAP || self.voiced == 0 {
                (self.run, self.sure) = (began, false);
            }
            self.peak = evidence.level;
            on(Voice::Started { at: began, detected: position });
        }
        if !self.speaking {
            return;
        }
        let blow = sound.loudest_at < BLOW_STEPS && level < sound.loudest - BLOW && !sound.lasts;
        let speech = pitches >= PITCH_SURE && evidence.probability >= WITH_PITCH_SURE || self.likely >= LIKELY_SURE;
        if blow && self.run >= sound.began {
            // All there was of this run has died away.
            self.sure = false;
        } else if speech && level >= self.usual - SOFTER_SURE {
            self.sure = true;
        }
        self.peak = (self.peak - 0.1).max(evidence.level);
        let voice = evidence.pitch || evidence.probability >= self.offset;
        if voice && evidence.level > (self.peak - RANGE).max(self.usual - SOFTER) {
            self.voiced = end;
            if self.sure && evidence.level > self.usual {
                self.usual += 0.1 * (evidence.level - self.usual);
            }
        } else {
            self.pause(position, on);
        }
    }

    /// What is sounding now is a key and no speech.
    pub(super) fn deny(&mut self) {
        self.denied = DENIED;
    }

    /// Somebody is speaking, by the first sign of it.
    pub(super) fn speaking(&self) -> bool {
        self.speaking
    }

    /// The present run of speech can be nothing else.
    pub(super) fn sure(&self) -> bool {
        self.sure
    }

    /// How long the present speech has been going on at `position`, gaps of up to 240 ms included; 0 in silence.
    pub(super) fn voiced_run(&self, position: u64) -> u64 {
        let present = self.speaking || position.saturating_sub(self.voiced) <= RUN_GAP;
        if present { self.voiced.saturating_sub(self.run) } else { 0 }
    }

    /// The last voiced sample so far, estimated.
    pub(super) fn last_voiced(&self) -> u64 {
        self.voiced
    }

    /// Follows the sound that stands out.
    fn follow(&mut self, evidence: Evidence, end: u64) {
        let fresh = Sound {
            began: end.saturating_sub(STEP as u64),
            steps: 0,
            loudest: evidence.level,
            loudest_at: 0,
            gap: 0,
            lasts: false,
        };
        let highest = self.levels.iter().copied().fold(level::SILENCE_DB, f32::max);
        let lasts = self.levels.iter().all(|level| *level > highest - LASTS) && self.pitches.count_ones() >= PITCH_SURE;
        self.sound = match self.sound {
            Some(sound) if evidence.loud => {
                let louder = evidence.level > sound.loudest;
                Some(Sound {
                    began: sound.began,
                    steps: sound.steps + 1,
                    loudest: if louder { evidence.level } else { sound.loudest },
                    loudest_at: if louder { sound.steps + 1 } else { sound.loudest_at },
                    gap: 0,
                    lasts: sound.lasts || lasts,
                })
            }
            Some(sound) if sound.gap < GAP => Some(Sound { steps: sound.steps + 1, gap: sound.gap + 1, ..sound }),
            None if evidence.loud => Some(fresh),
            Some(_) | None => None,
        };
    }

    fn pause(&mut self, position: u64, on: &mut impl FnMut(Voice)) {
        if self.speaking && position - self.voiced >= self.hangover {
            self.speaking = false;
            on(Voice::Stopped { at: self.voiced, detected: position });
        }
    }
}
