//! Voice activity: is this speech?

use serde::{Deserialize, Serialize};

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
