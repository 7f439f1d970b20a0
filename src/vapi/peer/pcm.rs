//! Our voice as Vapi's custom voice wants it: raw mono 16-bit samples at the rate that was asked for.
//!
//! The platform plays what we send with the clauses before and behind it, without looking at the seams. So each answer
//! begins and ends softly: 5 ms of fading at both ends, because a sample that begins or stops in the middle of a wave is a
//! click, and 20 ms of silence behind it, because whoever cuts sound into frames of 20 ms fills the last one with whatever
//! lies there: silence, then.

use std::time::Duration;

use bytes::Bytes;

use crate::audio::{Rate, Resampler};

/// The fading at each end.
const FADE: Duration = Duration::from_millis(5);

/// The silence behind.
const PADDING: Duration = Duration::from_millis(20);

/// One answer, piece by piece. What it holds back is the fading at the end.
#[derive(Debug)]
pub struct Pcm {
    resampler: Resampler,
    /// What has not been given: at most the fading, between pieces.
    waiting: Vec<i16>,
    /// The fading, in samples.
    fade: usize,
    /// Samples given so far.
    given: usize,
}

impl Pcm {
    /// From a voice's rate to the one asked for.
    pub fn new(from: Rate, to: Rate) -> Self {
        Self { resampler: Resampler::new(from, to), waiting: Vec::new(), fade: to.samples(FADE), given: 0 }
    }

    /// Takes a piece of the voice and answers what can be sent of it: whole samples, maybe none.
    pub fn push(&mut self, samples: &[i16]) -> Bytes {
        let start = self.waiting.len();
        self.resampler.process(samples, &mut self.waiting);
        self.fade_in(start);
        self.give(self.waiting.len().saturating_sub(self.fade))
    }

    /// Nothing more will come: the rest, the fading and the silence. Nothing where there was no voice.
    pub fn end(&mut self) -> Bytes {
        let start = self.waiting.len();
        self.resampler.flush(&mut self.waiting);
        self.fade_in(start);
        if self.given + self.waiting.len() == 0 {
            return Bytes::new();
        }
        for (left, sample) in self.waiting.iter_mut().rev().take(self.fade).enumerate() {
            *sample = softer(*sample, left, self.fade);
        }
        self.waiting.resize(self.waiting.len() + self.resampler.to().samples(PADDING), 0);
        self.give(self.waiting.len())
    }

    /// Nothing has been given yet.
    pub fn is_new(&self) -> bool {
        self.given == 0
    }

    /// The samples from this place on are new; those at the very beginning are faded.
    fn fade_in(&mut self, start: usize) {
        let (given, fade) = (self.given, self.fade);
        for (at, sample) in self.waiting.iter_mut().enumerate().skip(start).take(fade.saturating_sub(given)) {
            *sample = softer(*sample, given + at, fade);
        }
    }

    fn give(&mut self, samples: usize) -> Bytes {
        self.given += samples;
        self.waiting.drain(..samples).flat_map(i16::to_le_bytes).collect()
    }
}

/// A sample so many steps from silence.
fn softer(sample: i16, steps: usize, of: usize) -> i16 {
    if steps >= of { sample } else { (i32::from(sample) * (steps as i32 + 1) / (of as i32 + 1)) as i16 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::signal;

    fn samples(pieces: &[Bytes]) -> Vec<i16> {
        let bytes = pieces.concat();
        let (pairs, rest) = bytes.as_chunks::<2>();
        assert!(rest.is_empty());
        pairs.iter().map(|pair| i16::from_le_bytes(*pair)).collect()
    }

    fn spoken(from: Rate, to: Rate, voice: &[i16], size: usize) -> Vec<i16> {
        let mut pcm = Pcm::new(from, to);
        let mut pieces: Vec<Bytes> = voice.chunks(size).map(|piece| pcm.push(piece)).collect();
        assert!(pieces.iter().all(|piece| piece.len() % 2 == 0), "whole samples");
        pieces.push(pcm.end());
        samples(&pieces)
    }

    #[test]
    fn every_rate_has_its_length_whatever_the_pieces() {
        for from in [Rate::WIDE, Rate::VOICE] {
            let voice = signal::sine(300.0, from, 9_000.0, 0, from.hz() as usize);
            for hz in super::super::voice_request::RATES {
                let to = Rate::new(hz).unwrap();
                let expected = (hz + hz / 50) as usize;
                for size in [1, 77, 2_400, voice.len()] {
                    let sound = spoken(from, to, &voice, size);
                    assert!(
                        sound.len().abs_diff(expected) <= 1,
                        "{from:?} to {to:?} in pieces of {size}: {}",
                        sound.len()
                    );
                }
                let whole = spoken(from, to, &voice, voice.len());
                assert_eq!(spoken(from, to, &voice, 333), whole, "{from:?} to {to:?}");
            }
        }
    }

    #[test]
    fn both_ends_are_soft_and_silence_follows() {
        let sound = spoken(Rate::WIDE, Rate::WIDE, &[10_000; 1_600], 160);
        assert_eq!(sound.len(), 1_600 + 320);
        let (voice, silence) = sound.split_at(1_600);
        assert!(silence.iter().all(|sample| *sample == 0));
        assert!(voice[..80].is_sorted() && voice[0] < 200 && voice[79] < 10_000);
        assert!(voice[80..1_520].iter().all(|sample| *sample == 10_000));
        assert!(voice[1_520..].iter().rev().is_sorted() && voice[1_599] < 200);
    }

    #[test]
    fn what_is_shorter_than_the_fading_is_faded_and_nothing_stays_nothing() {
        let sound = spoken(Rate::WIDE, Rate::WIDE, &[10_000; 40], 7);
        assert_eq!(sound.len(), 40 + 320);
        assert!(sound[0] < 200 && sound[39] < 200 && sound.iter().all(|sample| *sample < 5_100), "{sound:?}");
        assert!(spoken(Rate::WIDE, Rate::PHONE, &[], 1).is_empty());
    }

    #[test]
    fn nothing_is_held_back_but_the_fading() {
        let mut pcm = Pcm::new(Rate::WIDE, Rate::WIDE);
        assert!(pcm.push(&[1; 80]).is_empty() && pcm.is_new());
        assert_eq!(pcm.push(&[1; 1_000]).len(), 2_000);
        assert!(!pcm.is_new());
    }
}
