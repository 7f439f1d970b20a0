//! How much there is of each tone in a stretch of sound.
//!
//! Two neighbours of the sound are transformed as one complex number, and what is of one and what of the other is taken
//! apart afterwards (Sorensen et al., "Real-valued fast Fourier transform algorithms", 1987). A library does both; but it
//! takes apart one tone after the other, which cost twice as much as the transform itself, and only the powers are wanted.

use std::{f64::consts::TAU, sync::Arc};

use rustfft::{Fft, FftPlanner, num_complex::Complex32};

use super::BLOCK;

/// As long as a stretch may be; what is not there is silence.
pub(super) const LONG: usize = 1_024;
/// Tones from nothing up to half the rate.
pub(super) const TONES: usize = HALF + 1;
const HALF: usize = LONG / 2;
const QUARTER: usize = LONG / 4;

/// The transform, and what is the same each time.
pub(super) struct Spectrum {
    transform: Arc<dyn Fft<f32>>,
    scratch: Box<[Complex32]>,
    pairs: [Complex32; HALF],
    /// How far each tone has turned from one number to its neighbour.
    cosines: [f32; QUARTER],
    sines: [f32; QUARTER],
}

impl Spectrum {
    pub(super) fn new() -> Self {
        let transform = FftPlanner::new().plan_fft_forward(HALF);
        let turn = |tone: usize| (TAU * tone as f64 / LONG as f64).sin_cos();
        Self {
            scratch: vec![Complex32::ZERO; transform.get_inplace_scratch_len()].into(),
            pairs: [Complex32::ZERO; HALF],
            cosines: std::array::from_fn(|tone| turn(tone).1 as f32),
            sines: std::array::from_fn(|tone| -turn(tone).0 as f32),
            transform,
        }
    }

    /// The power of every tone of these blocks, one after the other, each with how much its samples count.
    #[inline(always)]
    pub(super) fn powers<'a>(
        &mut self,
        blocks: impl Iterator<Item = (&'a [f32; BLOCK], &'a [f32; BLOCK])>,
    ) -> [f32; TONES] {
        let mut room = self.pairs.as_chunks_mut::<{ BLOCK / 2 }>().0.iter_mut();
        for ((block, window), pairs) in blocks.zip(&mut room) {
            let samples = block.as_chunks::<2>().0.iter().zip(window.as_chunks::<2>().0);
            for (pair, (sample, window)) in pairs.iter_mut().zip(samples) {
                *pair = Complex32::new(sample[0] * window[0], sample[1] * window[1]);
            }
        }
        for pairs in room {
            *pairs = [Complex32::ZERO; BLOCK / 2];
        }
        self.transform.process_with_scratch(&mut self.pairs, &mut self.scratch);
        self.take_apart()
    }

    /// Each tone, and the one as far below half the rate as it is above nothing.
    ///
    /// All sums are of numbers that nothing else points to, side by side: only so the compiler does eight at once.
    #[inline(always)]
    fn take_apart(&self) -> [f32; TONES] {
        let (mut real, mut imaginary) = ([0.0; HALF], [0.0; HALF]);
        for (at, pair) in self.pairs.iter().enumerate() {
            (real[at], imaginary[at]) = (pair.re, pair.im);
        }
        // What is above nothing by nothing is its own mirror.
        let (mut mirror_real, mut mirror_imaginary) = ([real[0]; QUARTER], [imaginary[0]; QUARTER]);
        for at in 1..QUARTER {
            (mirror_real[at], mirror_imaginary[at]) = (real[HALF - at], imaginary[HALF - at]);
        }
        let (mut low, mut high) = ([0.0; QUARTER], [0.0; QUARTER]);
        for at in 0..QUARTER {
            // Twice what is of the even samples, and of the odd ones.
            let even = [real[at] + mirror_real[at], imaginary[at] - mirror_imaginary[at]];
            let odd = [imaginary[at] + mirror_imaginary[at], mirror_real[at] - real[at]];
            let (cosine, sine) = (self.cosines[at], self.sines[at]);
            let turned = [cosine * odd[0] - sine * odd[1], cosine * odd[1] + sine * odd[0]];
            let (sum, rest) = ([even[0] + turned[0], even[1] + turned[1]], [even[0] - turned[0], even[1] - turned[1]]);
            low[at] = 0.25 * (sum[0] * sum[0] + sum[1] * sum[1]);
            high[at] = 0.25 * (rest[0] * rest[0] + rest[1] * rest[1]);
        }
        let mut powers = [0.0; TONES];
        for at in 0..QUARTER {
            (powers[at], powers[HALF - at]) = (low[at], high[at]);
        }
        powers[QUARTER] = self.pairs[QUARTER].norm_sqr();
        powers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::signal::Noise;

    #[test]
    fn every_tone_has_the_power_that_its_sum_says() {
        let noise = Noise::new(5).white(3 * BLOCK, -20.0);
        let sound: Vec<f32> = noise.iter().map(|sample| f32::from(*sample)).collect();
        let whole = [1.0; BLOCK];
        let mut spectrum = Spectrum::new();
        let loud = [30_000.0; BLOCK];
        spectrum.powers([(&loud, &whole); 4].into_iter());
        let powers = spectrum.powers(sound.as_chunks::<BLOCK>().0.iter().zip([&whole; 3]));
        for (tone, power) in powers.iter().enumerate() {
            let (mut real, mut imaginary) = (0.0, 0.0);
            for (at, sample) in sound.iter().enumerate() {
                let (sine, cosine) = (TAU * (tone * at % LONG) as f64 / LONG as f64).sin_cos();
                real += f64::from(*sample) * cosine;
                imaginary -= f64::from(*sample) * sine;
            }
            let expected = real * real + imaginary * imaginary;
            // Of the loudest tones a millionth part is lost, and so much of the faint ones too.
            assert!((f64::from(*power) - expected).abs() < 1e-4 * expected + 1e4, "{tone}: {power} for {expected}");
        }
    }
}
