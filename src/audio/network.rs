//! The small recurrent network that knows speech, and what it is shown.
//!
//! The network itself and its weights are earshot's. What it is shown is made here: 16 ms at a time, the last 48 ms are
//! seen through 40 windows of pitch (mel bands) from 72 to 7 600 Hz, and the network looks at the last three of these
//! pictures. Made here because it was half of earshot's own detector: its Fourier transform is plain, the one that the
//! resampler has brought along uses the machine's vectors and takes less than half. A test holds the two to the same
//! answers.

use std::{
    f64::consts::PI,
    sync::{Arc, LazyLock},
};

use earshot::{DefaultPredictor, Predictor};
use realfft::{RealFftPlanner, RealToComplex, num_complex::Complex32};

/// One call's network.
pub(super) struct Network {
    /// Its memory.
    predictor: DefaultPredictor,
    /// The last sample heard.
    last: f32,
    /// The last 48 ms, high tones raised.
    sound: [f32; SOUND],
    /// The last three pictures, the latest at the end.
    pictures: [f32; 3 * BANDS],
}

/// What the network takes at a time: 16 ms.
pub(super) const BLOCK: usize = 256;
const SOUND: usize = 3 * BLOCK;
/// The transform is a little longer than the sound.
const LONG: usize = 1_024;
const BANDS: usize = 40;
/// How much of the last sample is taken off the next: raises the high tones of speech to the level of the low ones.
const RAISED: f32 = 0.97;
/// Full scale, squared.
const FULL: f32 = 32_768.0 * 32_768.0;
/// More than the transform and the network need for their sums, in complex numbers and in real ones.
const SCRATCH: usize = 1_024;
const SUMS: usize = 1_026;

/// What all networks share.
struct Tables {
    /// How much each sample counts: those at the ends least.
    window: [f32; SOUND],
    /// Where the bands begin, culminate (where the next begins), and end, in steps of the transform.
    edges: [usize; BANDS + 2],
    transform: Arc<dyn RealToComplex<f32>>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let mel = |hz: f64| 2_595.0 * (1.0 + hz / 700.0).log10();
    let hz = |mel: f64| 700.0 * (10f64.powf(mel / 2_595.0) - 1.0);
    let (low, high) = (mel(72.0), mel(7_600.0));
    let edge = |at: usize| hz(low + (high - low) * at as f64 / (BANDS + 1) as f64);
    Tables {
        window: std::array::from_fn(|at| (PI * at as f64 / SOUND as f64).sin().powi(2) as f32),
        edges: std::array::from_fn(|at| ((LONG + 1) as f64 * edge(at) / 16_000.0) as usize),
        transform: RealFftPlanner::new().plan_fft_forward(LONG),
    }
});

impl Network {
    pub(super) const fn new() -> Self {
        Self { predictor: DefaultPredictor::new(), last: 0.0, sound: [0.0; SOUND], pictures: [0.0; 3 * BANDS] }
    }

    /// Hears 16 ms; answers how probable it is that somebody speaks.
    pub(super) fn hear(&mut self, block: &[i16; BLOCK]) -> f32 {
        self.sound.copy_within(BLOCK.., 0);
        for (raised, sample) in self.sound[SOUND - BLOCK..].iter_mut().zip(block) {
            let sample = f32::from(*sample);
            *raised = sample - RAISED * self.last;
            self.last = sample;
        }
        self.pictures.copy_within(BANDS.., 0);
        self.picture();
        self.predictor.normalize(&mut self.pictures[2 * BANDS..]);
        self.predictor.predict(&self.pictures, &mut [0.0; SUMS])
    }

    /// How much sound there is in each band, on the scale of the ear.
    fn picture(&mut self) {
        let Tables { window, edges, transform } = &*TABLES;
        let (mut input, mut tones) = ([0.0; LONG], [Complex32::ZERO; LONG / 2 + 1]);
        for ((input, sample), weight) in input.iter_mut().zip(&self.sound).zip(window) {
            *input = sample * weight;
        }
        let mut scratch = [Complex32::ZERO; SCRATCH];
        let scratch = &mut scratch[..transform.get_scratch_len().min(SCRATCH)];
        transform.process_with_scratch(&mut input, &mut tones, scratch).expect("the lengths of the plan");
        let picture = &mut self.pictures[2 * BANDS..];
        picture.fill(0.0);
        for (at, edge) in edges.windows(2).enumerate() {
            // From one culmination to the next one band fades out and another fades in.
            let (mut sum, mut fades_in) = (0.0, 0.0);
            let step = 1.0 / (edge[1] - edge[0]) as f32;
            for (on, tone) in tones[edge[0]..edge[1]].iter().enumerate() {
                let power = tone.norm_sqr();
                sum += power;
                fades_in += power * (on as f32 * step);
            }
            if at > 0 {
                picture[at - 1] += sum - fades_in;
            }
            if at < BANDS {
                picture[at] += fades_in;
            }
        }
        for band in picture {
            *band = (*band / FULL + 1e-20).ln();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{
        Rate,
        signal::{Noise, add, sine},
    };

    #[test]
    fn it_answers_as_the_detector_it_came_with() {
        let mut sound = Noise::new(3).white(160_000, -55.0);
        for syllable in 0..30 {
            for harmonic in 1..=14 {
                let hz = (110.0 + f64::from(syllable % 7) * 9.0) * f64::from(harmonic);
                let part = sine(hz, Rate::WIDE, 5_000.0 / f64::from(harmonic), 0, 3_000);
                add(&mut sound, &part, 8_000 + syllable as usize * 4_500);
            }
        }
        let (mut ours, mut theirs) = (Network::new(), earshot::Detector::default_boxed());
        let mut highest = 0.0f32;
        for (at, block) in sound.as_chunks::<BLOCK>().0.iter().enumerate() {
            let (our, their) = (ours.hear(block), theirs.predict_i16(block));
            assert!((our - their).abs() < 0.01, "block {at}: {our} and {their}");
            highest = highest.max(our);
        }
        assert!(highest > 0.5, "there was speech: {highest}");
    }
}
