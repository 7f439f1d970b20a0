//! A voice at another rate than the one it stands in for.

use rubato::{Fft, FixedSync, Resampler as _, WindowFunction, audioadapter_buffers::direct::SequentialSlice};

use crate::audio::Rate;

/// Changes the rate of one clause, in pieces of any length.
pub(super) struct Resampler {
    /// The filter, which takes pieces of one length.
    filter: Fft<f32>,
    /// Samples that wait for a whole piece.
    waiting: Vec<f32>,
    /// Output still to be dropped: the filter's delay.
    skip: usize,
    /// What has gone in, and what must come out for it.
    taken: u64,
    given: u64,
    from: Rate,
    to: Rate,
}

impl Resampler {
    pub(super) fn new(from: Rate, to: Rate) -> Self {
        let (hz, to_hz) = (from.hz() as usize, to.hz() as usize);
        let filter = Fft::new_custom(hz, to_hz, hz / 200, 1, 1, WindowFunction::Hann2, FixedSync::Both)
            .expect("both rates lie between 8 and 48 kHz");
        let skip = filter.output_delay();
        Self { filter, waiting: Vec::new(), skip, taken: 0, given: 0, from, to }
    }

    /// Takes a piece and appends what is ready.
    pub(super) fn process(&mut self, input: &[i16], out: &mut Vec<i16>) {
        self.taken += input.len() as u64;
        self.waiting.extend(input.iter().map(|sample| f32::from(*sample) / 32_768.0));
        self.drain(out);
    }

    /// Appends what the filter still holds.
    pub(super) fn flush(&mut self, out: &mut Vec<i16>) {
        let due = self.taken * u64::from(self.to.hz()) / u64::from(self.from.hz());
        while self.given < due {
            let missing = self.filter.input_frames_next() - self.waiting.len();
            self.waiting.extend(std::iter::repeat_n(0.0, missing));
            self.drain(out);
        }
        out.truncate(out.len() - (self.given - due) as usize);
    }

    fn drain(&mut self, out: &mut Vec<i16>) {
        let step = self.filter.input_frames_next();
        let mut output = vec![0.0; self.filter.output_frames_max()];
        let whole = self.waiting.len() / step * step;
        for piece in self.waiting[..whole].chunks_exact(step) {
            let length = output.len();
            let (Ok(input), Ok(mut target)) =
                (SequentialSlice::new(piece, 1, step), SequentialSlice::new_mut(&mut output[..], 1, length))
            else {
                continue;
            };
            let Ok((_, written)) = self.filter.process_into_buffer(&input, &mut target, None) else { continue };
            let skip = self.skip.min(written);
            self.skip -= skip;
            out.extend(output[skip..written].iter().map(|sample| (sample * 32_768.0) as i16));
            self.given += (written - skip) as u64;
        }
        self.waiting.drain(..whole);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_keeps_its_length_pitch_and_level() {
        for (from, to) in [(22_050, 24_000), (24_000, 22_050), (16_000, 24_000), (44_100, 8_000)] {
            let (from, to) = (Rate::new(from).unwrap(), Rate::new(to).unwrap());
            let tone = |rate: Rate, n: u32| {
                ((n as f32 * 440.0 * std::f32::consts::TAU / rate.hz() as f32).sin() * 8_000.0) as i16
            };
            let input: Vec<i16> = (0..from.hz() / 2).map(|n| tone(from, n)).collect();
            let mut resampler = Resampler::new(from, to);
            let mut out = Vec::new();
            for piece in input.chunks(777) {
                resampler.process(piece, &mut out);
            }
            resampler.flush(&mut out);
            assert_eq!(out.len() as u32, to.hz() / 2);
            let worst = (100..to.hz() / 2 - 100).map(|n| (out[n as usize] - tone(to, n)).abs()).max().unwrap();
            // The filter's delay may end between two samples: half a sample at the steepest place is allowed.
            let slope = 8_000.0 * 440.0 * std::f32::consts::TAU / to.hz() as f32;
            assert!(f32::from(worst) < 0.6 * slope, "{from} to {to}: off by {worst}");
        }
    }
}
