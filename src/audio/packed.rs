//! Sound that is kept for later at half its size: eight bits a sample, and a step for each 64 of them.
//!
//! The step fits the loudest of the 64, so the error is 42 to 50 dB below them, less than that of a telephone line, and
//! what is no louder than 127 comes back as it was. For what is heard again now and then; on its way, sound is `i16`.
//!
//! ```
//! use pronto::audio::{Packed, Rate, signal::sine};
//! let sound = sine(440.0, Rate::WIDE, 9_000.0, 0, 960);
//! let mut back = Vec::new();
//! Packed::new(&sound).unpack(0..960, &mut back);
//! assert!(sound.iter().zip(&back).all(|(was, is)| was.abs_diff(*is) <= 9_000 / 254 + 1));
//! ```

use std::ops::Range;

/// Samples that share a step.
const BLOCK: usize = 64;
/// What is added to a number so that its whole part, rounded, lies in its lowest bits: 1.5 times two to the power of 23.
const ROUND: f32 = 12_582_912.0;

/// A piece of sound, packed.
#[derive(Debug, Clone)]
pub struct Packed {
    /// How many samples.
    len: usize,
    /// First the samples in their steps, then the steps themselves, two bytes each: one allocation.
    bytes: Box<[u8]>,
}

impl Packed {
    /// Packs a piece.
    pub fn new(samples: &[i16]) -> Self {
        let mut bytes = vec![0; samples.len() + 2 * samples.len().div_ceil(BLOCK)].into_boxed_slice();
        let (coarse, steps) = bytes.split_at_mut(samples.len());
        for ((block, coarse), kept) in
            samples.chunks(BLOCK).zip(coarse.chunks_mut(BLOCK)).zip(steps.as_chunks_mut::<2>().0)
        {
            let loudest = block.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
            let step = loudest.div_ceil(127).max(1);
            *kept = step.to_le_bytes();
            let each = 1.0 / f32::from(step);
            for (coarse, sample) in coarse.iter_mut().zip(block) {
                // The lowest byte of the rounded number is the number, two's complement. At most 127 steps.
                *coarse = (f32::from(*sample) * each + ROUND).to_bits() as u8;
            }
        }
        Self { len: samples.len(), bytes }
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What it takes in memory, in bytes.
    pub fn size(&self) -> usize {
        size_of::<Self>() + self.bytes.len()
    }

    /// Appends these samples, as far as there are so many.
    pub fn unpack(&self, range: Range<usize>, out: &mut Vec<i16>) {
        let (coarse, steps) = self.bytes.split_at(self.len);
        let until = range.end.min(self.len);
        let mut at = range.start;
        out.reserve(until.saturating_sub(at));
        while at < until {
            let block = at / BLOCK;
            let end = until.min((block + 1) * BLOCK);
            let step = i32::from(u16::from_le_bytes(steps.as_chunks::<2>().0[block]));
            out.extend(coarse[at..end].iter().map(|coarse| {
                let sample = i32::from(*coarse as i8) * step;
                sample.clamp(i16::MIN.into(), i16::MAX.into()) as i16
            }));
            at = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{
        Rate,
        signal::{Noise, sine},
    };

    fn back(samples: &[i16]) -> Vec<i16> {
        let mut out = Vec::new();
        Packed::new(samples).unpack(0..samples.len(), &mut out);
        out
    }

    #[test]
    fn what_comes_back_is_42_db_above_its_error() {
        for sound in
            [sine(440.0, Rate::VOICE, 30_000.0, 0, 24_001), Noise::new(1).white(24_000, -12.0), vec![i16::MIN; 65]]
        {
            let mut power = (0.0, 0.0);
            let is = back(&sound);
            assert_eq!(is.len(), sound.len());
            for (was, is) in sound.iter().zip(is) {
                power.0 += f64::from(*was).powi(2);
                power.1 += (f64::from(*was) - f64::from(is)).powi(2);
            }
            let ratio = 10.0 * (power.0 / power.1.max(1e-9)).log10();
            assert!(ratio > 40.0, "{ratio:.1} dB");
        }
    }

    #[test]
    fn the_loudest_and_the_quietest_stay_what_they_are() {
        let quiet: Vec<i16> = (-127..=127).collect();
        assert_eq!(back(&quiet), quiet);
        assert_eq!(back(&[0; 130]), [0; 130]);
        for (was, is) in [(i16::MAX, i16::MAX), (i16::MIN, i16::MIN)].map(|(was, _)| (was, back(&[was])[0])) {
            assert!(was.abs_diff(is) <= 130 && (was < 0) == (is < 0), "{was} came back as {is}");
        }
    }

    #[test]
    fn any_part_can_be_had() {
        let sound: Vec<i16> = (0..1_000).map(|n| (n * 37 % 2_001 - 1_000) as i16).collect();
        let (packed, all) = (Packed::new(&sound), back(&sound));
        assert_eq!((packed.len(), packed.is_empty(), Packed::new(&[]).is_empty()), (1_000, false, true));
        assert!(packed.size() < 1_100);
        for range in [0..1_000, 0..0, 63..65, 64..128, 999..1_000, 500..2_000, 1_500..2_000] {
            let mut part = Vec::new();
            packed.unpack(range.clone(), &mut part);
            assert_eq!(part, all[range.start.min(1_000)..range.end.min(1_000)], "{range:?}");
        }
    }
}
