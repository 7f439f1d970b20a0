//! What the caller said and the recogniser has not settled yet: kept so that a new connection can hear it again.
//!
//! Piece by piece as it came: nothing is copied or moved about while the call goes on. What has been sent once is packed;
//! only a new connection will hear that again.

use std::{collections::VecDeque, ops::Range, time::Duration};

use crate::{
    audio::{Packed, Rate},
    providers::Heard,
};

/// The longest piece of speech that survives a broken connection.
const KEPT_MAX: u64 = Rate::WIDE.samples(Duration::from_secs(15)) as u64;
/// What is kept while nobody seems to speak: the first text of what is said comes a second and a bit after its beginning.
const KEPT_IDLE: u64 = Rate::WIDE.samples(Duration::from_secs(2)) as u64;

/// The caller's audio, by the number of its samples since the call began.
#[derive(Debug, Default)]
pub(super) struct Tape {
    /// What is kept, the oldest first; of the first of them, a part may be forgotten already.
    pieces: VecDeque<Piece>,
    /// How many of them, at the end, are not packed yet.
    exact: usize,
    /// One past the last sample that was ever sent.
    sent: u64,
    /// The number of the first sample that is kept.
    start: u64,
    /// The number of the first sample of the first piece.
    begins: u64,
    /// One past the last sample.
    end: u64,
    /// Commits that have not been answered, and the sample they stand in front of.
    commits: VecDeque<(u32, u64)>,
}

/// A piece as it came, or packed.
#[derive(Debug)]
enum Piece {
    Exact(Vec<i16>),
    Packed(Packed),
}

impl Piece {
    fn len(&self) -> u64 {
        let samples = match self {
            Self::Exact(samples) => samples.len(),
            Self::Packed(packed) => packed.len(),
        };
        samples as u64
    }
}

impl Tape {
    /// The next piece of audio, or a commit.
    pub(super) fn hear(&mut self, heard: Heard, idle: bool) {
        match heard {
            Heard::Audio(samples) => {
                if samples.is_empty() {
                    return;
                }
                self.end += samples.len() as u64;
                self.pieces.push_back(Piece::Exact(samples));
                self.exact += 1;
                self.pack();
                let kept = if idle && self.commits.is_empty() { KEPT_IDLE } else { KEPT_MAX };
                self.forget(self.end.saturating_sub(kept));
            }
            Heard::Commit(commit) => self.commits.push_back((commit, self.end)),
        }
    }

    /// Packs what has been sent.
    fn pack(&mut self) {
        let mut end = self.end - self.pieces.iter().rev().take(self.exact).map(Piece::len).sum::<u64>();
        while let Some(at) = self.pieces.len().checked_sub(self.exact)
            && let Some(piece) = self.pieces.get_mut(at)
            && end + piece.len() <= self.sent
        {
            end += piece.len();
            self.exact -= 1;
            if let Piece::Exact(samples) = piece {
                *piece = Piece::Packed(Packed::new(samples));
            }
        }
    }

    /// Forgets what comes before this sample.
    pub(super) fn forget(&mut self, until: u64) {
        self.start = self.start.max(until.min(self.end));
        while let Some(first) = self.pieces.front()
            && self.begins + first.len() <= self.start
        {
            self.begins += first.len();
            self.pieces.pop_front();
        }
        self.exact = self.exact.min(self.pieces.len());
        // A long utterance must not hold its memory for the rest of the call.
        if self.pieces.capacity() > 4 * self.pieces.len().max(64) {
            self.pieces.shrink_to(2 * self.pieces.len());
        }
    }

    /// The first sample that is kept.
    pub(super) const fn start(&self) -> u64 {
        self.start
    }

    /// One past the last sample.
    pub(super) const fn end(&self) -> u64 {
        self.end
    }

    /// These samples as bytes, to be sent.
    pub(super) fn bytes(&mut self, range: Range<u64>) -> Vec<u8> {
        self.sent = self.sent.max(range.end);
        let (mut at, mut first) = (self.end, self.pieces.len());
        // From the back: what is sent is nearly always the last piece.
        while at > range.start
            && let Some(piece) = first.checked_sub(1).and_then(|before| self.pieces.get(before))
        {
            at -= piece.len();
            first -= 1;
        }
        let mut bytes = Vec::with_capacity(2 * range.end.saturating_sub(range.start) as usize);
        let mut unpacked = Vec::new();
        for piece in self.pieces.range(first..) {
            let part = range.start.max(at).saturating_sub(at) as usize
                ..(range.end.saturating_sub(at)).min(piece.len()) as usize;
            at += piece.len();
            let samples = match piece {
                Piece::Exact(samples) => samples.get(part).unwrap_or_default(),
                Piece::Packed(packed) => {
                    unpacked.clear();
                    packed.unpack(part, &mut unpacked);
                    &unpacked
                }
            };
            bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
            if at >= range.end {
                break;
            }
        }
        bytes
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

    /// What the tape takes in memory, in bytes.
    fn size(tape: &Tape) -> usize {
        let slots = tape.pieces.capacity() * size_of::<Piece>();
        let pieces = tape.pieces.iter().map(|piece| match piece {
            Piece::Exact(samples) => samples.capacity() * 2,
            Piece::Packed(packed) => packed.size(),
        });
        slots + pieces.sum::<usize>()
    }

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
        assert_eq!(tape.bytes(tape.start()..tape.end()), [1, 0].repeat(KEPT_MAX as usize), "not sent: not packed");
        tape.forget(tape.end() - 10);
        assert!(size(&tape) < 16 << 10, "{}", size(&tape));
        assert_eq!(tape.bytes(tape.start()..tape.end()), [1, 0].repeat(10));
        assert_eq!(tape.answer(), Some(1));
        assert_eq!(tape.answer(), None);
    }

    #[test]
    fn a_caller_who_says_nothing_costs_less_than_48_kib() {
        let mut tape = Tape::default();
        for _ in 0..300 {
            tape.hear(Heard::Audio(vec![-200; 960]), true);
            tape.bytes(tape.end() - 960..tape.end());
        }
        assert!(size(&tape) < 48 << 10, "{}", size(&tape));
    }

    #[test]
    fn what_is_sent_is_as_it_came_and_what_is_heard_again_nearly_so() {
        let mut tape = Tape::default();
        let mut all = Vec::new();
        for piece in 0..100_i32 {
            let samples: Vec<i16> = (0..100 + piece * 7).map(|n| (n * 977 + piece) as i16).collect();
            all.extend_from_slice(&samples);
            let from = tape.end();
            tape.hear(Heard::Audio(samples), false);
            if piece % 3 == 0 {
                // The connection is slow, or not there yet.
                continue;
            }
            let sent: Vec<u8> = all[from as usize..].iter().flat_map(|sample| sample.to_le_bytes()).collect();
            assert_eq!(tape.bytes(from..tape.end()), sent);
        }
        for range in [0..tape.end(), 0..1, 99..101, 12_345..14_000, tape.end() - 5_000..tape.end()] {
            let (from, until) = (range.start as usize, range.end as usize);
            let again = tape.bytes(range);
            assert_eq!(again.len(), 2 * (until - from));
            for (sample, was) in again.as_chunks::<2>().0.iter().zip(&all[from..until]) {
                assert!(i16::from_le_bytes(*sample).abs_diff(*was) <= 130);
            }
        }
    }
}
