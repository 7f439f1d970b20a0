//! From one rate to another, in pieces of any length.
//!
//! The delay of the filter is cut off at the beginning, so that sample `n` of the output belongs to the same instant
//! as sample `n * to / from` of the input; what the filter still holds comes out with [`Resampler::flush`]. Between
//! the usual rates it works sample by sample and holds back 2 ms; where the rates have no small common step (22 050 Hz)
//! it works in steps of up to 20 ms, and beyond that it interpolates.

use rubato::{
    Async, Fft, FixedAsync, FixedSync, Indexing, Resampler as _, SincInterpolationParameters, SincInterpolationType,
    WindowFunction, audioadapter_buffers::direct::SequentialSlice,
};
use std::fmt;

use super::{Rate, fir::Fir};

/// Changes the rate of a continuous sound.
///
/// ```
/// use pronto::audio::{Rate, Resampler};
/// let mut up = Resampler::new(Rate::PHONE, Rate::WIDE);
/// let mut out = Vec::new();
/// up.process(&[100; 160], &mut out);
/// up.flush(&mut out);
/// assert_eq!(out.len(), 320);
/// ```
pub struct Resampler {
    from: Rate,
    to: Rate,
    filter: Filter,
    /// How many samples the filter takes at a time.
    step: usize,
    /// Samples that wait for a whole step.
    staged: Vec<f32>,
    /// Where a step is written.
    output: Vec<f32>,
    /// Output still to be dropped at the beginning: the filter's delay.
    skip: usize,
    /// Samples taken since the beginning.
    taken: u64,
    /// Samples given since the beginning.
    given: u64,
    /// Steps of pure zeros in a row: after two the filter holds nothing but zeros.
    zeros: u32,
}

enum Filter {
    Same,
    Fir(Fir),
    Fft(Box<Fft<f32>>),
    Sinc(Box<Async<f32>>),
}

impl Resampler {
    /// A resampler between two rates.
    pub fn new(from: Rate, to: Rate) -> Self {
        let (filter, step) = filter(from, to);
        let output = match &filter {
            Filter::Same | Filter::Fir(_) => 0,
            Filter::Fft(fft) => fft.output_frames_max(),
            Filter::Sinc(sinc) => sinc.output_frames_max(),
        };
        let mut this = Self {
            from,
            to,
            filter,
            step,
            staged: Vec::with_capacity(if output == 0 { 0 } else { step }),
            output: vec![0.0; output],
            skip: 0,
            taken: 0,
            given: 0,
            zeros: 0,
        };
        this.reset();
        this
    }

    /// Takes a piece of any length and appends what is ready.
    pub fn process(&mut self, input: &[i16], out: &mut Vec<i16>) {
        self.taken += input.len() as u64;
        self.feed(input, out);
    }

    /// Appends what the filter still holds and begins anew: for the end of a clause.
    pub fn flush(&mut self, out: &mut Vec<i16>) {
        let (from, to) = (u64::from(self.from.hz()), u64::from(self.to.hz()));
        let owed = (self.taken * to + from / 2) / from;
        let start = out.len();
        let given = self.given;
        if !matches!(self.filter, Filter::Same) {
            // A step gives something, so the loop ends; the delay is less than three steps.
            while self.given < owed {
                let missing = self.step - self.staged.len();
                self.feed(&[0; STEP_MAX][..missing.min(STEP_MAX)], out);
            }
            out.truncate(start + (owed - given) as usize);
        }
        self.reset();
    }

    /// Forgets everything and begins anew.
    pub fn reset(&mut self) {
        self.staged.clear();
        (self.taken, self.given, self.zeros) = (0, 0, 0);
        self.skip = match &mut self.filter {
            Filter::Same => 0,
            Filter::Fir(fir) => {
                fir.reset();
                0
            }
            Filter::Fft(fft) => {
                fft.reset();
                fft.output_delay()
            }
            Filter::Sinc(sinc) => {
                sinc.reset();
                sinc.output_delay()
            }
        };
    }

    /// The rate of what comes in.
    pub fn from(&self) -> Rate {
        self.from
    }

    /// The rate of what goes out.
    pub fn to(&self) -> Rate {
        self.to
    }

    fn feed(&mut self, mut input: &[i16], out: &mut Vec<i16>) {
        match &mut self.filter {
            Filter::Same => return out.extend_from_slice(input),
            Filter::Fir(fir) => {
                let start = out.len();
                fir.process(input, out);
                self.given += (out.len() - start) as u64;
                return;
            }
            Filter::Fft(_) | Filter::Sinc(_) => {}
        }
        while !input.is_empty() {
            let (now, later) = input.split_at(input.len().min(self.step - self.staged.len()));
            self.staged.extend(now.iter().map(|sample| f32::from(*sample)));
            input = later;
            if self.staged.len() == self.step {
                self.filter_step(out);
                self.staged.clear();
            }
        }
    }

    /// Filters one whole step.
    fn filter_step(&mut self, out: &mut Vec<i16>) {
        let quiet = self.staged.iter().all(|sample| *sample == 0.0);
        self.zeros = if quiet { self.zeros.saturating_add(1) } else { 0 };
        let written = match &mut self.filter {
            Filter::Same | Filter::Fir(_) => 0,
            // Only this filter has a memory of exactly one step.
            Filter::Fft(fft) if self.zeros > 2 => {
                self.output.fill(0.0);
                fft.output_frames_next()
            }
            Filter::Fft(fft) => run(fft.as_mut(), &self.staged, &mut self.output),
            Filter::Sinc(sinc) => run(sinc.as_mut(), &self.staged, &mut self.output),
        };
        let skipped = self.skip.min(written);
        self.skip -= skipped;
        out.extend(self.output[skipped..written].iter().map(|sample| to_i16(*sample)));
        self.given += (written - skipped) as u64;
    }
}

/// What a filter without steps is flushed with at a time, in samples.
const FIR_STEP: usize = 64;

/// The longest step, in samples: 20 ms at the highest rate.
const STEP_MAX: usize = 960;

fn run(filter: &mut impl rubato::Resampler<f32>, input: &[f32], output: &mut [f32]) -> usize {
    let (frames_in, frames_out) = (input.len(), output.len());
    let done = SequentialSlice::new(input, 1, frames_in).ok().zip(SequentialSlice::new_mut(output, 1, frames_out).ok());
    let done =
        done.and_then(|(input, mut output)| filter.process_into_buffer(&input, &mut output, None::<&Indexing>).ok());
    done.expect("a filter takes the step it was built for").1
}

/// Rounds to the nearest, and saturates.
fn to_i16(sample: f32) -> i16 {
    (sample + 0.5f32.copysign(sample)) as i16
}

/// The filter between two rates, and its step in input samples.
fn filter(from: Rate, to: Rate) -> (Filter, usize) {
    if from == to {
        return (Filter::Same, 0);
    }
    if let Some(fir) = Fir::new(from, to) {
        return (Filter::Fir(fir), FIR_STEP);
    }
    let (hz, to_hz) = (from.hz() as usize, to.hz() as usize);
    // The smallest step that is whole in both rates, up to at least 5 ms.
    let whole = hz / gcd(hz, to_hz);
    let step = whole * (hz / 200).div_ceil(whole);
    if step <= hz / 50 {
        let fft = Fft::new_custom(hz, to_hz, step, 1, 1, WindowFunction::Hann2, FixedSync::Both);
        return (Filter::Fft(Box::new(fft.expect("whole steps of positive rates"))), step);
    }
    let ratio = to_hz as f64 / hz as f64;
    let parameters = SincInterpolationParameters {
        sinc_len: (32.0 * (1.0 / ratio).max(1.0)).ceil() as usize,
        f_cutoff: Some(0.92),
        oversampling_factor: 128,
        interpolation: SincInterpolationType::Linear,
        window: WindowFunction::Hann2,
    };
    let step = hz / 200;
    let sinc = Async::new_sinc(ratio, 1.0, &parameters, step, 1, FixedAsync::Input);
    (Filter::Sinc(Box::new(sinc.expect("positive rates"))), step)
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl fmt::Debug for Resampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resampler").field("from", &self.from).field("to", &self.to).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::signal::{purity_db, sine};

    const RATES: [u32; 8] = [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 44_100, 48_000];

    fn rate(hz: u32) -> Rate {
        Rate::new(hz).expect("a rate")
    }

    fn resampled(from: Rate, to: Rate, input: &[i16], sizes: &[usize]) -> Vec<i16> {
        let mut resampler = Resampler::new(from, to);
        let (mut rest, mut out) = (input, Vec::new());
        for size in sizes.iter().cycle() {
            let (now, later) = rest.split_at(rest.len().min(*size));
            resampler.process(now, &mut out);
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        resampler.flush(&mut out);
        out
    }

    #[test]
    fn a_sine_stays_a_sine_between_all_rates_in_pieces_of_any_size() {
        for from in RATES.map(rate) {
            for to in RATES.map(rate) {
                let input = sine(1_000.0, from, 12_000.0, 0, from.hz() as usize);
                let whole = resampled(from, to, &input, &[10_000]);
                assert_eq!(whole.len(), to.hz() as usize, "{from} to {to}: a second is a second");
                let purity = purity_db(&whole[to.hz() as usize / 20..to.hz() as usize * 19 / 20], 1_000.0, to);
                assert!(purity > 50.0, "{from} to {to}: {purity:.1} dB");
                for sizes in [&[1, 2, 3][..], &[7, 160, 441], &[320], &[999, 1]] {
                    assert_eq!(resampled(from, to, &input, sizes), whole, "{from} to {to} in pieces of {sizes:?}");
                }
            }
        }
    }

    #[test]
    fn odd_rates_work_too() {
        for (from, to) in [(8_000, 8_001), (44_101, 8_000), (47_999, 48_000), (8_000, 47_999)] {
            let (from, to) = (rate(from), rate(to));
            let input = sine(1_000.0, from, 12_000.0, 0, from.hz() as usize);
            let out = resampled(from, to, &input, &[333]);
            assert!(out.len().abs_diff(to.hz() as usize) <= 1, "{from} to {to}: {}", out.len());
            let purity = purity_db(&out[to.hz() as usize / 20..to.hz() as usize * 19 / 20], 1_000.0, to);
            assert!(purity > 50.0, "{from} to {to}: {purity:.1} dB");
        }
    }

    #[test]
    fn sound_stays_in_its_place() {
        // A click in the middle comes out in the middle: the filter's delay is taken out.
        for (from, to) in [(8_000, 16_000), (24_000, 8_000), (22_050, 8_000), (16_000, 48_000), (44_101, 8_000)] {
            let mut input = vec![0i16; from as usize];
            input[from as usize / 2] = 30_000;
            let out = resampled(rate(from), rate(to), &input, &[480]);
            let at = (0..out.len()).max_by_key(|at| out[*at].unsigned_abs()).expect("samples");
            assert!(at.abs_diff(to as usize / 2) <= (to / 8_000) as usize, "{from} to {to}: at {at}");
        }
    }

    #[test]
    fn an_hour_is_an_hour() {
        let mut resampler = Resampler::new(rate(22_050), Rate::PHONE);
        let (mut out, mut given) = (Vec::new(), 0usize);
        for _ in 0..3_600 {
            resampler.process(&[0; 22_050], &mut out);
            given += out.len();
            out.clear();
        }
        let missing = 3_600 * 8_000 - given;
        assert!(missing <= 8_000 * 30 / 1_000, "{missing} samples behind");
    }

    #[test]
    fn a_flush_begins_anew() {
        let tone = sine(440.0, Rate::VOICE, 9_000.0, 0, 5_001);
        let mut resampler = Resampler::new(Rate::VOICE, Rate::PHONE);
        let mut clauses = [Vec::new(), Vec::new()];
        for clause in &mut clauses {
            resampler.process(&tone, clause);
            resampler.flush(clause);
        }
        assert_eq!(clauses[0], clauses[1]);
        assert_eq!(clauses[0].len(), 1_667);
    }

    #[test]
    fn sound_after_long_silence_is_the_same_as_without_the_shortcut() {
        let mut input = vec![0i16; 4_000];
        input.extend(sine(700.0, Rate::PHONE, 10_000.0, 0, 4_000));
        let out = resampled(Rate::PHONE, Rate::WIDE, &input, &[160]);
        assert!(out[..7_900].iter().all(|sample| *sample == 0));
        assert!(purity_db(&out[8_200..15_800], 700.0, Rate::WIDE) > 50.0);
    }

    #[test]
    fn the_loudest_sound_saturates_and_does_not_wrap() {
        let square: Vec<i16> = (0..8_000).map(|at| if at / 20 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
        let out = resampled(Rate::PHONE, Rate::WIDE, &square, &[160]);
        for (at, sample) in out.iter().enumerate().filter(|(at, _)| (10..30).contains(&(at % 40))) {
            let high = at / 40 % 2 == 0;
            assert!(if high { *sample > 20_000 } else { *sample < -20_000 }, "{sample} at {at}");
        }
    }
}
