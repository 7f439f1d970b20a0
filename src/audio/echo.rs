//! Is what we hear our own voice coming back?
//!
//! Networks and loudspeakers echo, 10 to 30 dB softer and up to half a second later. Such an echo is real speech to
//! every detector, so before a call stops for it, it asks how much the sound is like what has just left. Nothing is
//! subtracted: a caller who speaks over the echo makes it unlike.
//!
//! The comparison needs no clock. It looks for the last 120 ms heard anywhere in the last 950 ms that left, whatever
//! lies between them: roughly everywhere at once (a correlation by Fourier transform), then exactly where it is likely.

use std::{cell::RefCell, sync::Arc, time::Duration};

use realfft::{ComplexToReal, RealFftPlanner, RealToComplex, num_complex::Complex32};

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
/// Roughly it is looked for at half the rate, everywhere at once, by a Fourier transform of this length: what is looked
/// for slides over the past without meeting its own end.
const LONG: usize = 2_048;
const _: () = assert!(KEPT / 2 <= LONG);
/// Places that are roughly so much (0.7 of it, squared) of the roughly best one are compared exactly.
const PROMISING: f32 = 0.5;

/// Room for the sums of one comparison: one for each thread, because no call needs it for longer, and because clearing it
/// anew would be a part of what comparing costs.
struct Room {
    there: Arc<dyn RealToComplex<f32>>,
    back: Arc<dyn ComplexToReal<f32>>,
    scratch: Vec<Complex32>,
    /// What the transforms begin and end with, and their tones.
    sound: [f32; LONG],
    past_tones: [Complex32; LONG / 2 + 1],
    window_tones: [Complex32; LONG / 2 + 1],
    /// What has left, and the energy of it from each second sample on.
    past: [f32; KEPT],
    energies: [f32; KEPT / 2],
    /// How much it is roughly like the window from each second sample on, squared.
    rough: [f32; KEPT / 2],
}

thread_local! {
    static ROOM: RefCell<Box<Room>> = RefCell::new(Box::new(Room::new()));
}

/// Remembers what has just left, 9 KiB of it.
///
/// ```
/// use pronto::audio::{EchoGuard, Rate, signal::Noise};
/// let voice = Noise::new(1).white(8_000, -20.0);
/// let mut guard = EchoGuard::new();
/// guard.played(&voice, Rate::WIDE);
/// assert!(guard.likeness([&voice[4_000..5_000], &voice[5_000..6_000]]) > 0.9);
/// assert!(guard.likeness([&Noise::new(2).white(2_000, -20.0), &[]]) < 0.5);
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
            self.down.push(piece, rate, |sample| self.past.push((sample + 0.5f32.copysign(sample)) as i16));
        }
    }

    /// How much the end of this sound (16 kHz, in two parts; 120 ms of it are enough, less than 60 say nothing) is like
    /// something that has just left: from 0 to 1. See [`ECHO_LIKENESS`]. Takes a fraction of a millisecond: ask when it
    /// matters.
    pub fn likeness(&self, heard: [&[i16]; 2]) -> f32 {
        let [older, newer] = heard;
        let newer = &newer[newer.len().saturating_sub(WINDOW * 4 + 4)..];
        let older = &older[older.len().saturating_sub(WINDOW * 4 + 4 - newer.len())..];
        let (mut window, mut filled, mut down) = ([0.0f32; WINDOW + 1], 0, Down::default());
        for part in [older, newer] {
            down.push(part, Rate::WIDE, |sample| {
                window[filled] = sample;
                filled += 1;
            });
        }
        // The first has no sample before it to differ from.
        let window = &window[filled.min(1)..filled];
        let energy = dot(window, window);
        if window.len() < WINDOW_MIN || energy < window.len() as f32 {
            return 0.0;
        }
        ROOM.with_borrow_mut(|room| room.search(window, energy, &self.past[self.past.len() - KEPT..]))
    }
}

impl Room {
    fn new() -> Self {
        let mut planner = RealFftPlanner::new();
        let (there, back) = (planner.plan_fft_forward(LONG), planner.plan_fft_inverse(LONG));
        let scratch = vec![Complex32::ZERO; there.get_scratch_len().max(back.get_scratch_len())];
        Self {
            there,
            back,
            scratch,
            sound: [0.0; LONG],
            past_tones: [Complex32::ZERO; LONG / 2 + 1],
            window_tones: [Complex32::ZERO; LONG / 2 + 1],
            past: [0.0; KEPT],
            energies: [0.0; KEPT / 2],
            rough: [0.0; KEPT / 2],
        }
    }

    /// How much the window, of this energy, is like some place of the past.
    fn search(&mut self, window: &[f32], energy: f32, kept: &[i16]) -> f32 {
        for (past, kept) in self.past.iter_mut().zip(kept) {
            *past = f32::from(*kept);
        }
        self.weigh(window.len() / 2);
        self.correlate(window);
        let Self { past, energies, rough, .. } = self;
        let places = (KEPT - window.len()) / 2 + 1;
        let rough = &mut rough[..places];
        for ((rough, sum), energy) in rough.iter_mut().zip(&self.sound).zip(&*energies) {
            // Where nothing was said nothing comes back.
            *rough = if *energy < 1.0 { 0.0 } else { sum * sum / energy };
        }
        let promising = (highest(rough) * PROMISING).max(f32::MIN_POSITIVE);
        let mut best = (0.0f32, 0);
        for at in 0..places {
            if rough[at] < promising {
                continue;
            }
            if rough[at] >= rough[at.saturating_sub(1)] && rough[at] >= rough[(at + 1).min(places - 1)] {
                let like = like(window, energy, &past[2 * at..2 * at + window.len()], energies[at]);
                if like > best.0 {
                    best = (like, 2 * at);
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

    /// How much the window is like the past from each second sample of it on, not normalised; both at half their rate.
    fn correlate(&mut self, window: &[f32]) {
        for (sound, tones) in [(&self.past[..], &mut self.past_tones), (window, &mut self.window_tones)] {
            let (pairs, _) = sound.as_chunks::<2>();
            let (halved, rest) = self.sound.split_at_mut(pairs.len());
            for (halved, pair) in halved.iter_mut().zip(pairs) {
                *halved = pair[0] + pair[1];
            }
            rest.fill(0.0);
            let scratch = &mut self.scratch[..self.there.get_scratch_len()];
            self.there.process_with_scratch(&mut self.sound, tones, scratch).expect("the lengths of the plan");
        }
        let tones = &mut self.past_tones;
        for (tone, window) in tones.iter_mut().zip(&self.window_tones) {
            *tone *= window.conj();
        }
        // What only rounding has left there would be refused.
        (tones[0].im, tones[LONG / 2].im) = (0.0, 0.0);
        let scratch = &mut self.scratch[..self.back.get_scratch_len()];
        self.back.process_with_scratch(tones, &mut self.sound, scratch).expect("the lengths of the plan");
    }

    /// The energy of so many pairs of samples of the past, from each pair on.
    fn weigh(&mut self, pairs: usize) {
        let squares = &mut self.sound;
        for (square, pair) in squares.iter_mut().zip(self.past.as_chunks::<2>().0) {
            *square = pair[0] * pair[0] + pair[1] * pair[1];
        }
        // Moved along, in numbers wide enough that nothing is left behind.
        let mut energy: f64 = squares[..pairs].iter().copied().map(f64::from).sum();
        for (at, energies) in self.energies[..=KEPT / 2 - pairs].iter_mut().enumerate() {
            *energies = energy as f32;
            energy += f64::from(squares[at + pairs]) - f64::from(squares[at]);
        }
    }
}

fn highest(of: &[f32]) -> f32 {
    let mut highest = [0.0f32; 16];
    let (chunks, rest) = of.as_chunks::<16>();
    for chunk in chunks {
        for at in 0..16 {
            highest[at] = if chunk[at] > highest[at] { chunk[at] } else { highest[at] };
        }
    }
    highest.iter().chain(rest).copied().fold(0.0, f32::max)
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
        let mut samples = samples;
        if self.phase == 0 && rate.hz().is_multiple_of(HZ) {
            // The usual rates, whole samples of ours at a time.
            let each = (rate.hz() / HZ) as usize;
            let scale = 1.0 / each as f32;
            let whole = samples.chunks_exact(each);
            samples = whole.remainder();
            for some in whole {
                let mean = some.iter().map(|sample| i32::from(*sample)).sum::<i32>() as f32 * scale;
                give(mean - self.last);
                self.last = mean;
            }
        }
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
                let like = guard.likeness([&heard[..700], &heard[700..]]);
                assert!(like > 0.8, "{hz} Hz, {delay_ms} ms: {like}");
            }
        }
    }

    #[test]
    fn silence_and_too_little_are_like_nothing() {
        let mut guard = EchoGuard::new();
        assert_eq!(guard.likeness([&[1_000; 2_000], &[]]), 0.0);
        guard.played(&Noise::new(1).white(16_000, -20.0), Rate::WIDE);
        assert_eq!(guard.likeness([&[], &[]]), 0.0);
        assert_eq!(guard.likeness([&[], &[0; 2_000]]), 0.0);
        assert_eq!(guard.likeness([&Noise::new(1).white(16_000, -20.0)[15_200..], &[]]), 0.0, "50 ms are too little");
    }
}
