//! What the caller said and the recogniser has not settled yet: kept so that a new connection can hear it again.

use std::{collections::VecDeque, ops::Range, time::Duration};

use crate::{audio::Rate, providers::Heard};

/// The longest piece of speech that survives a broken connection.
const KEPT_MAX: u64 = Rate::WIDE.samples(Duration::from_secs(15)) as u64;
/// What is kept while nobody seems to speak: texts come late.
const KEPT_IDLE: u64 = Rate::WIDE.samples(Duration::from_secs(3)) as u64;

/// The caller's audio, by the number of its samples since the call began.
#[derive(Debug, Default)]
pub(super) struct Tape {
    /// The samples that are kept.
    samples: VecDeque<i16>,
    /// The number of the first of them.
    start: u64,
    /// Commits that have not been answered, and the sample they stand in front of.
    commits: VecDeque<(u32, u64)>,
}

impl Tape {
    /// The next piece of audio, or a commit.
    pub(super) fn hear(&mut self, heard: Heard, idle: bool) {
        match heard {
            Heard::Audio(samples) => {
                self.samples.extend(samples);
                let kept = if idle && self.commits.is_empty() { KEPT_IDLE } else { KEPT_MAX };
                self.forget(self.end().saturating_sub(kept));
            }
            Heard::Commit(commit) => self.commits.push_back((commit, self.end())),
        }
    }

    /// Forgets what comes before this sample.
    pub(super) fn forget(&mut self, until: u64) {
        let count = until.min(self.end()).saturating_sub(self.start);
        self.samples.drain(..count as usize);
        self.start += count;
        // A long utterance must not hold its memory for the rest of the call.
        if self.samples.capacity() > 4 * self.samples.len().max(KEPT_IDLE as usize) {
            self.samples.shrink_to(2 * self.samples.len());
        }
    }

    /// The first sample that is kept.
    pub(super) const fn start(&self) -> u64 {
        self.start
    }

    /// One past the last sample.
    pub(super) fn end(&self) -> u64 {
        self.start + self.samples.len() as u64
    }

    /// These samples as bytes.
    pub(super) fn bytes(&self, range: Range<u64>) -> Vec<u8> {
        let (from, to) = (range.start.saturating_sub(self.start), range.end.saturating_sub(self.start));
        self.samples.range(from as usize..to as usize).flat_map(|sample| sample.to_le_bytes()).collect()
    }

    /// The sample in front of which the `at`th unanswered commit stands.
    pub(super) fn commit(&self, at: usize) -> Option<u64> {
        self.commits.get(at).map(|(_, sample)| *sample)
    }

    /// The oldest unanswered commit is answered.
    pub(super) fn answer(&mut self) -> Option<u32> {
        self.commits.pop_front().map(|(commit, _)| commit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded() {
        let mut tape = Tape::default();
        for _ in 0..3_000 {
            tape.hear(Heard::Audio(vec![1; 320]), true);
        }
        assert_eq!((tape.end(), tape.end() - tape.start()), (960_000, KEPT_IDLE));
        tape.hear(Heard::Commit(1), true);
        for _ in 0..3_000 {
            tape.hear(Heard::Audio(vec![1; 320]), true);
        }
        assert_eq!(tape.end() - tape.start(), KEPT_MAX);
        tape.forget(tape.end() - 10);
        assert!(tape.samples.capacity() < 200_000);
        assert_eq!(tape.bytes(tape.start()..tape.end()), [1, 0].repeat(10));
        assert_eq!(tape.answer(), Some(1));
        assert_eq!(tape.answer(), None);
    }
}
