//! How loud somebody speaks: the level that the loudest few frames of an utterance reach. A click is louder for
//! a moment and does not count.

use crate::audio::SILENCE_DB;

/// Frames of 20 ms that are as loud.
const FRAMES: u32 = 3;

/// One bin for each dB below full scale.
const BINS: usize = 96;

/// The levels of an utterance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loudness {
    /// How many frames had each level, the loudest first; a bin that is full stays full.
    frames: [u8; BINS],
}

impl Default for Loudness {
    fn default() -> Self {
        Self { frames: [0; BINS] }
    }
}

impl Loudness {
    /// One more frame, so loud in dBFS.
    pub(crate) fn add(&mut self, db: f32) {
        if let Some(bin) = self.frames.get_mut((-db).max(0.0) as usize) {
            *bin = bin.saturating_add(1);
        }
    }

    /// In dBFS; of less than three frames, the softest of them.
    pub(crate) fn level(&self) -> f32 {
        let (mut seen, mut level) = (0, SILENCE_DB);
        for (below, frames) in self.frames.iter().enumerate().filter(|(_, frames)| **frames > 0) {
            seen += u32::from(*frames);
            level = -(below as f32) - 0.5;
            if seen >= FRAMES {
                break;
            }
        }
        level
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(levels: &[(f32, usize)]) -> f32 {
        let mut loudness = Loudness::default();
        for (db, frames) in levels {
            (0..*frames).for_each(|_| loudness.add(*db));
        }
        loudness.level()
    }

    #[test]
    fn a_click_does_not_count() {
        assert_eq!(of(&[(-60.0, 100), (-25.0, 20), (-3.0, 2)]), -25.5);
        assert_eq!(of(&[(-60.0, 100), (-25.0, 20), (-3.0, 3)]), -3.5);
    }

    #[test]
    fn nothing_is_silence_and_a_little_is_what_there_is() {
        assert_eq!(of(&[]), SILENCE_DB);
        assert_eq!(of(&[(-30.2, 2)]), -30.5);
        assert_eq!(of(&[(-30.0, 1_000), (0.0, 1), (3.0, 1)]), -30.5);
    }
}
