//! What a moment of sound sounds like: mel bands between 200 and 3400 Hz, and the cepstrum of their logarithms.
//!
//! The bands end where the telephone does, so that one template fits a wide and a narrow line. Everything here is per
//! frame of 32 ms, one every 16 ms.

use std::sync::Arc;

use realfft::{RealFftPlanner, RealToComplex, num_complex::Complex32};

use crate::audio::Rate;

/// Samples in a frame at 16 kHz.
pub const WINDOW: usize = 512;
/// Samples from one frame to the next at 16 kHz.
pub const HOP: usize = 256;
/// Mel bands.
pub const BANDS: usize = 20;
/// Cepstral coefficients, the first being loudness.
const CEPSTRA: usize = 12;
/// Numbers that describe a moment: the cepstrum and how it changes.
pub const DIMS: usize = 2 * CEPSTRA;
/// Where the bands begin and end, in hertz.
const EDGES: (f32, f32) = (200.0, 3_400.0);
/// What is this far below the loud parts counts as silence (-23 dB): noise below it changes nothing.
const FLOOR: f32 = 0.005;
/// How much of the noise is subtracted: a little more than there is, or what is left of it sounds like speech.
const SUBTRACT: f32 = 1.3;

/// The energy in each mel band.
pub type Bands = [f32; BANDS];
/// The cepstrum of one frame.
pub type Cepstrum = [f32; CEPSTRA];
/// A frame as it is compared: the cepstrum and its slope.
pub type Moment = [f32; DIMS];

/// The mean energy of a frame's bands.
pub fn loudness(bands: &Bands) -> f32 {
    bands.iter().sum::<f32>() / BANDS as f32
}

/// Turns samples into bands, and bands into cepstra.
pub struct Spectrum {
    /// The transform.
    fft: Arc<dyn RealToComplex<f32>>,
    /// Its input.
    time: Vec<f32>,
    /// Its output.
    frequency: Vec<Complex32>,
    /// Its working memory.
    scratch: Vec<Complex32>,
    /// The Hamming window.
    window: Vec<f32>,
    /// Samples from one window to the next.
    hop: usize,
    /// Each band's first bin and the weights from there on.
    filters: Vec<(usize, Vec<f32>)>,
    /// The cosines of the cepstrum.
    cosines: Vec<[f32; BANDS]>,
}

impl Spectrum {
    /// The transform with its tables, for a rate. Clips may be studied at another rate than the line is heard at.
    pub fn new(rate: Rate) -> Self {
        let scaled = |samples: usize| (samples * rate.hz() as usize).div_ceil(Rate::WIDE.hz() as usize);
        let window = scaled(WINDOW);
        // Of small factors, or the transform is slow.
        let size = if window.is_power_of_two() { window } else { window.next_multiple_of(120) };
        let fft = RealFftPlanner::new().plan_fft_forward(size);
        let turn = std::f32::consts::TAU;
        Self {
            time: fft.make_input_vec(),
            frequency: fft.make_output_vec(),
            scratch: fft.make_scratch_vec(),
            fft,
            window: (0..window).map(|n| 0.54 - 0.46 * (turn * n as f32 / (window - 1) as f32).cos()).collect(),
            hop: scaled(HOP),
            filters: filters(rate.hz() as f32 / size as f32),
            cosines: (0..CEPSTRA)
                .map(|k| {
                    std::array::from_fn(|band| {
                        (turn / 2.0 * k as f32 * (band as f32 + 0.5) / BANDS as f32).cos() / (BANDS as f32).sqrt()
                    })
                })
                .collect(),
        }
    }

    /// Samples in a window.
    pub const fn window(&self) -> usize {
        self.window.len()
    }

    /// Samples from one window to the next.
    pub const fn hop(&self) -> usize {
        self.hop
    }

    /// The bands of one window.
    pub fn bands(&mut self, samples: &[i16]) -> Bands {
        let mut before = samples.first().map_or(0.0, |sample| f32::from(*sample));
        for ((out, sample), weight) in self.time.iter_mut().zip(samples).zip(&self.window) {
            let sample = f32::from(*sample);
            *out = (sample - 0.97 * before) * weight / 32_768.0;
            before = sample;
        }
        self.time[self.window.len()..].fill(0.0);
        self.fft
            .process_with_scratch(&mut self.time, &mut self.frequency, &mut self.scratch)
            .expect("the buffers are the transform's own");
        let mut bands = [0.0; BANDS];
        for (band, (first, weights)) in bands.iter_mut().zip(&self.filters) {
            let bins = &self.frequency[*first..*first + weights.len()];
            *band = bins.iter().zip(weights).map(|(bin, weight)| bin.norm_sqr() * weight).sum();
        }
        bands
    }

    /// The cepstrum of a frame, given the noise under it and how loud the loud parts are.
    pub fn cepstrum(&self, bands: &Bands, noise: &Bands, loud: f32) -> Cepstrum {
        let mut log = [0.0; BANDS];
        for ((log, band), noise) in log.iter_mut().zip(bands).zip(noise) {
            *log = ((band - SUBTRACT * noise).max(0.0) / loud + FLOOR).ln();
        }
        let mut cepstrum = [0.0; CEPSTRA];
        for (out, cosines) in cepstrum.iter_mut().zip(&self.cosines) {
            *out = log.iter().zip(cosines).map(|(log, cosine)| log * cosine).sum();
        }
        cepstrum
    }
}

/// A frame with its slope, from the five frames around it.
pub fn moment(around: [&Cepstrum; 5]) -> Moment {
    let mut moment = [0.0; DIMS];
    for k in 0..CEPSTRA {
        moment[k] = around[2][k];
        moment[CEPSTRA + k] = 0.2 * (2.0 * (around[4][k] - around[0][k]) + around[3][k] - around[1][k]);
    }
    moment
}

/// How much each number counts in a comparison: loudness less, for lines differ in it.
pub fn weights() -> Moment {
    let mut weights = [1.0; DIMS];
    weights[0] = 0.5;
    weights[CEPSTRA..].fill(0.7);
    weights[CEPSTRA] = 0.5;
    weights
}

/// Triangles, equally wide to the ear; a bin of the transform has this many hertz.
fn filters(bin: f32) -> Vec<(usize, Vec<f32>)> {
    let mel = |hz: f32| 1_127.0 * (hz / 700.0).ln_1p();
    let hz = |mel: f32| 700.0 * (mel / 1_127.0).exp_m1();
    let step = (mel(EDGES.1) - mel(EDGES.0)) / (BANDS + 1) as f32;
    let edge = |n: usize| hz(mel(EDGES.0) + step * n as f32);
    (0..BANDS)
        .map(|band| {
            let (low, middle, high) = (edge(band), edge(band + 1), edge(band + 2));
            let first = (low / bin).ceil() as usize;
            let last = (high / bin).floor() as usize;
            let weights = (first..=last).map(|n| {
                let hz = n as f32 * bin;
                if hz < middle { (hz - low) / (middle - low) } else { (high - hz) / (high - middle) }
            });
            (first, weights.map(|weight| weight.max(0.0)).collect())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hz: f32) -> [i16; WINDOW] {
        std::array::from_fn(|n| (8_000.0 * (std::f32::consts::TAU * hz * n as f32 / 16_000.0).sin()) as i16)
    }

    #[test]
    fn a_tone_is_loudest_in_its_own_band() {
        let mut spectrum = Spectrum::new(Rate::WIDE);
        let mut before = 0;
        for hz in [400.0, 800.0, 1_500.0, 3_000.0] {
            let bands = spectrum.bands(&tone(hz));
            let loudest = (0..BANDS).max_by(|a, b| bands[*a].total_cmp(&bands[*b])).unwrap();
            assert!(loudest > before, "{hz} Hz is in band {loudest}");
            before = loudest;
        }
        let out = spectrum.bands(&tone(6_000.0));
        assert!(loudness(&out) < 0.001 * loudness(&spectrum.bands(&tone(1_500.0))), "the telephone ends at 3400 Hz");
    }

    #[test]
    fn silence_gives_numbers() {
        let mut spectrum = Spectrum::new(Rate::WIDE);
        let bands = spectrum.bands(&[0; WINDOW]);
        assert!(spectrum.cepstrum(&bands, &[0.0; BANDS], 1.0).iter().all(|c| c.is_finite()));
    }
}
