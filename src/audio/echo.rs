//! Is what we hear our own voice coming back?
//!
//! Networks and loudspeakers echo, 10 to 30 dB softer and up to half a second later. Such an echo is real speech to
//! every detector, so before a call stops for it, it asks how much the sound is like what has just left. Nothing is
//! subtracted: a caller who speaks over the echo makes it unlike.
//!
//! The comparison needs no clock. It looks for the last 120 ms heard anywhere in the last 950 ms that left, whatever
//! lies between them.

use std::time::Duration;

use super::Rate;

/// From this likeness on a sound is our echo and no caller. Echoes of speech are above 0.85, other speech is below 0.5
/// 95 times in 100; a caller as loud as the echo lands at 0.7.
pub const ECHO_LIKENESS: f32 = 0.75;

/// Both sides are compared at 4 kHz.
const HZ: u32 = 4_000;
/// What is looked for: 120 ms.
const WINDOW: usize = 480;
/// The least that says anything: 60 ms.
const WINDOW_MIN: usize = 240;
/// Where it is looked for: 950 ms.
const KEPT: usize = 3_800;
/// What is kept besides.
const SPARE: usize = 950;
/// At every second sample, and then beside the best of them.
const STEP: usize = 2;
/// The most places this makes.
const PLACES: usize = (KEPT - WINDOW_MIN) / STEP + 1;
/// Places that are roughly so much of the roughly best one are compared exactly.
const PROMISING: f32 = 0.6;
/// The largest whole number of a sketch: 240 products of 2 900 by 2 900 are just below 2^31.
const SKETCH_MAX: f32 = 2_900.0;

/// Remembers what has just left, 9 KiB of it.
///
/// ```
/// use pronto::audio::{EchoGuard, Rate, signal::Noise};
/// let voice = Noise::new(1).white(8_000, -20.0);
/// let mut guard = EchoGuard::new();
/// guard.played(&voice, Rate::WIDE);
/// assert!(guard.likeness(&voice[4_000..6_000]) > 0.9);
/// assert!(guard.likeness(&Noise::new(2).white(2_000, -20.0)) < 0.5);
/// ```
#[derive(Debug, Clone)]
pub struct EchoGuard {
    /// The latest at the end. Zeros where nothing has left yet. A little more than is compared is kept, so that it need
    /// not be moved with each frame.
    past: Vec<i16>,
    /// Samples of silence that left last.
    silent: usize,
    down: Down,
}

impl Default for EchoGuard {
    fn default() -> Self {
        Self::new()
    }
}

impl EchoGuard {
    /// One that has heard nothing of us.
    pub fn new() -> Self {
        let mut past = Vec::with_capacity(KEPT + SPARE);
        past.resize(KEPT, 0);
        Self { past, silent: usize::MAX / 2, down: Down::default() }
    }

    /// These samples of ours leave.
    pub fn played(&mut self, samples: &[i16], rate: Rate) {
        self.silent =
            if samples.iter().all(|sample| *sample == 0) { self.silent.saturating_add(samples.len()) } else { 0 };
        // Long silence leaves nothing to compare with: more of it changes nothing.
        if self.silent > rate.samples(Duration::from_secs(1)) + samples.len() {
            return;
        }
        for piece in samples.chunks(rate.hz() as usize / 50) {
            if self.past.len() + self.down.length(piece.len(), rate) > KEPT + SPARE {
                self.past.drain(..self.past.len() - KEPT);
            }
            // A difference of means: nearly always within half of the range, never far beyond it.
            self.down.push(piece, rate, |sample| self.past.push(sample.round() as i16));
        }
    }

    /// How much the end of this sound (16 kHz; 120 ms of it are enough, less than 60 say nothing) is like something
    /// that has just left: from 0 to 1. See [`ECHO_LIKENESS`]. Takes a fraction of a millisecond: ask when it matters.
    pub fn likeness(&self, heard: &[i16]) -> f32 {
        let heard = &heard[heard.len().saturating_sub(WINDOW * 4 + 4)..];
        let mut window = [0.0f32; WINDOW + 1];
        let mut filled = 0;
        Down::default().push(heard, Rate::WIDE, |sample| {
            window[filled] = sample;
            filled += 1;
        });
        // The first has no sample before it to differ from.
        let window = &window[filled.min(1)..filled];
        let energy = dot(window, window);
        if window.len() < WINDOW_MIN || energy < window.len() as f32 {
            return 0.0;
        }
        let mut past = [0.0f32; KEPT];
        for (past, kept) in past.iter_mut().zip(&self.past[self.past.len() - KEPT..]) {
            *past = f32::from(*kept);
        }
        let past = &past[..];
        // The energy of the past window, moved along with it; sums of squares of small numbers, exact enough in f64.
        let square = |at: usize| f64::from(past[at]) * f64::from(past[at]);
        let mut past_energy: f64 = (0..window.len()).map(square).sum();
        // Where, roughly: the louder half of it, at half the rate, in whole numbers, of which a machine multiplies eight
        // at a time. Comparing exactly everywhere took three quarters of a call in which both speak.
        let (sketch, past_sketch) = (Sketch::<{ WINDOW / 2 }>::new(window), Sketch::<{ KEPT / 2 }>::new(past));
        let (first, second) = sketch.of[..window.len() / 2].split_at(window.len() / 4);
        let late = whole_dot(second, second) > whole_dot(first, first);
        let (half, from) = if late { (second, first.len()) } else { (first, 0) };
        let mut rough = [0.0f32; PLACES];
        let mut energies = [0.0f32; PLACES];
        let places = (KEPT - window.len()) / STEP + 1;
        for at in 0..places {
            energies[at] = past_energy as f32;
            // Where nothing was said nothing comes back.
            if past_energy >= 1.0 {
                let sum = whole_dot(half, &past_sketch.of[at + from..at + from + half.len()]);
                rough[at] = sum.unsigned_abs() as f32 / energies[at].sqrt();
            }
            for gone in (at * STEP..(at + 1) * STEP).take_while(|_| at + 1 < places) {
                past_energy += square(gone + window.len()) - square(gone);
            }
        }
        let rough = &rough[..places];
        let promising = rough.iter().copied().fold(0.0, f32::max) * PROMISING;
        let mut best = (0.0f32, 0);
        for at in 0..places {
            let summit = rough[at] >= rough[at.saturating_sub(1)] && rough[at] >= rough[(at + 1).min(places - 1)];
            if summit && rough[at] >= promising && rough[at] > 0.0 {
                let like = like(window, energy, &past[at * STEP..at * STEP + window.len()], energies[at]);
                if like > best.0 {
                    best = (like, at * STEP);
                }
            }
        }
        let beside = [best.1.saturating_sub(1), (best.1 + 1).min(KEPT - window.len())];
        let beside = beside.into_iter().map(|place| {
            let past = &past[place..place + window.len()];
            like(window, energy, past, dot(past, past))
        });
        beside.fold(best.0, f32::max).min(1.0)
    }
}

/// A sound at half its rate and in whole numbers of twelve bits: sums of 240 products of them fit into 32 bits.
struct Sketch<const N: usize> {
    of: [i16; N],
}

impl<const N: usize> Sketch<N> {
    fn new(sound: &[f32]) -> Self {
        let pairs = || sound.as_chunks::<2>().0.iter().map(|pair| pair[0] + pair[1]);
        let loudest = pairs().fold(1.0f32, |loudest, pair| loudest.max(pair.abs()));
        let mut of = [0; N];
        for (of, pair) in of.iter_mut().zip(pairs()) {
            *of = (pair * (SKETCH_MAX / loudest)) as i16;
        }
        Self { of }
    }
}

fn whole_dot(a: &[i16], b: &[i16]) -> i32 {
    let product = |(a, b): (&i16, &i16)| i32::from(*a) * i32::from(*b);
    // Of a fixed length: only so the compiler multiplies eight at once.
    let (a, a_rest) = a.as_chunks::<40>();
    let (b, b_rest) = b.as_chunks::<40>();
    let sum: i32 = a.iter().zip(b).map(|(a, b)| a.iter().zip(b).map(product).sum::<i32>()).sum();
    sum + a_rest.iter().zip(b_rest).map(product).sum::<i32>()
}

/// The normalised correlation with one stretch of the past.
fn like(window: &[f32], energy: f32, past: &[f32], past_energy: f32) -> f32 {
    // Where nothing was said nothing comes back.
    if past_energy < 1.0 {
        return 0.0;
    }
    // An echo has either sign.
    dot(window, past).abs() / (energy * past_energy).sqrt().max(energy * 1e-3).max(1.0)
}

/// Down to 4 kHz by averaging, and the differences of that: flat enough that two voices of one pitch stay apart.
#[derive(Debug, Clone, Copy, Default)]
struct Down {
    sum: f32,
    count: u32,
    /// How far into the next sample, in units of 1 / (rate * 4 kHz) seconds.
    phase: u32,
    last: f32,
}

impl Down {
    /// How many samples these make.
    fn length(&self, samples: usize, rate: Rate) -> usize {
        ((u64::from(self.phase) + samples as u64 * u64::from(HZ)) / u64::from(rate.hz())) as usize
    }

    fn push(&mut self, samples: &[i16], rate: Rate, mut give: impl FnMut(f32)) {
        // The rate may have changed since; a phase beyond it would give two samples at once.
        self.phase = self.phase.min(rate.hz() - 1);
        for sample in samples {
            self.sum += f32::from(*sample);
            self.count += 1;
            self.phase += HZ;
            if self.phase >= rate.hz() {
                self.phase -= rate.hz();
                let mean = self.sum / self.count as f32;
                give(mean - self.last);
                (self.last, self.sum, self.count) = (mean, 0.0, 0);
            }
        }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 16];
    let (a, a_rest) = a.as_chunks::<16>();
    let (b, b_rest) = b.as_chunks::<16>();
    for (a, b) in a.iter().zip(b) {
        for at in 0..16 {
            sums[at] += a[at] * b[at];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::signal::{Noise, gain};

    #[test]
    fn an_echo_is_found_at_every_delay_and_rate() {
        for hz in [8_000u32, 16_000, 22_050, 24_000, 48_000] {
            let rate = Rate::new(hz).expect("a rate");
            // Low noise, so that every rate carries it.
            let mut body = 0.0;
            let mut noise = Noise::new(7);
            let wide: Vec<i16> = (0..20_000)
                .map(|_| {
                    body += (noise.value() - body) * 0.2;
                    (body * 20_000.0) as i16
                })
                .collect();
            let mut ours = Vec::new();
            let mut resampler = crate::audio::Resampler::new(Rate::WIDE, rate);
            resampler.process(&wide, &mut ours);
            resampler.flush(&mut ours);
            let mut guard = EchoGuard::new();
            ours.chunks(hz as usize / 50 + 1).for_each(|piece| guard.played(piece, rate));
            for delay_ms in [0, 3, 77, 250, 500, 800] {
                let end = wide.len() - delay_ms * 16;
                let heard = gain(&wide[end - 2_000..end], -30.0);
                let like = guard.likeness(&heard);
                assert!(like > 0.8, "{hz} Hz, {delay_ms} ms: {like}");
            }
        }
    }

    #[test]
    fn silence_and_too_little_are_like_nothing() {
        let mut guard = EchoGuard::new();
        assert_eq!(guard.likeness(&[1_000; 2_000]), 0.0);
        guard.played(&Noise::new(1).white(16_000, -20.0), Rate::WIDE);
        assert_eq!(guard.likeness(&[]), 0.0);
        assert_eq!(guard.likeness(&[0; 2_000]), 0.0);
        assert_eq!(guard.likeness(&Noise::new(1).white(16_000, -20.0)[15_200..]), 0.0, "50 ms are too little");
    }
}
