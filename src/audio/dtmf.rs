//! Keys of the telephone, heard in the sound and made for it.
//!
//! Every 10 ms the power at the eight frequencies is measured (Goertzel). Two measurements side by side make a window:
//! the phase between them tells the frequency to a few hertz, which speech hardly ever meets at a row and a column at
//! once. A key counts after two windows (30 ms) and is over after two without it.

use std::{f32::consts::TAU, time::Duration};

use super::{
    Key, Rate,
    step::{STEP, Steps, mean_square},
};

const ROWS: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const COLUMNS: [f32; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];
/// The tones are measured at 8 kHz: half the work, and all there is of them.
const HZ: f32 = 8_000.0;
/// 10 ms of that.
const BLOCK: usize = STEP / 2;
/// Below this mean square (-48 dBFS) nobody presses a key.
const POWER_MIN: f32 = 17_000.0;
/// The part of a window's energy that the two tones must hold: what is left of them beside noise 10 dB below.
const SHARE_MIN: f32 = 0.66;
/// How much stronger a tone must be than its neighbours of the same group (6 dB).
const PEAK_MIN: f32 = 4.0;
/// How much stronger a row may be than a column (the wire loses treble) ...
const TWIST: f32 = 7.9;
/// ... and the reverse.
const TWIST_REVERSE: f32 = 6.3;
/// How strong the second harmonic may be (-10 dB): voices have one, keys do not.
const HARMONIC_MAX: f32 = 0.1;
/// How far a tone may be off: 1.5 % by the standard, and what 20 ms of noisy phase add to it.
const OFF_MAX: f32 = 0.015;
const OFF_MAX_HZ: f32 = 6.0;
/// Windows that make a key, and windows without it that end it.
const HITS: u32 = 2;
const MISSES: u32 = 2;

/// Listens for keys in 16 kHz samples.
///
/// ```
/// use pronto::audio::{Key, Rate, dtmf};
/// use std::time::Duration;
/// let mut listener = dtmf::Dtmf::new();
/// let mut keys = Vec::new();
/// let five = Key::new('5').expect("a key");
/// listener.hear(&dtmf::tone(five, Rate::WIDE, Duration::from_millis(60)), &mut |key| keys.push(key));
/// assert_eq!(keys, [five]);
/// ```
#[derive(Debug, Clone)]
pub struct Dtmf {
    steps: Steps,
    /// The angle of each tone between two samples, as its cosine and sine.
    turns: [(f32, f32); 8],
    /// The block before, where it was loud enough.
    before: Option<Spectrum>,
    /// The key of the last window.
    candidate: Option<Key>,
    /// Windows in a row with the candidate.
    hits: u32,
    /// The key that is down.
    down: Option<Key>,
    /// Windows in a row without it.
    misses: u32,
}

/// The eight tones of one block.
#[derive(Debug, Clone, Copy)]
struct Spectrum {
    energy: f32,
    real: [f32; 8],
    imaginary: [f32; 8],
}

impl Default for Dtmf {
    fn default() -> Self {
        Self::new()
    }
}

impl Dtmf {
    /// A listener that has heard nothing.
    pub fn new() -> Self {
        let turns = std::array::from_fn(|tone| turn(frequency(tone)));
        Self { steps: Steps::new(), turns, before: None, candidate: None, hits: 0, down: None, misses: 0 }
    }

    /// Hears a piece of any length. Tells each key once, when it goes down.
    pub fn hear(&mut self, samples: &[i16], on: &mut impl FnMut(Key)) {
        let mut steps = std::mem::take(&mut self.steps);
        steps.feed(samples, |step| self.step(step, mean_square(step), on));
        self.steps = steps;
    }

    /// A key, or what may become one, is sounding.
    pub fn sounding(&self) -> bool {
        self.candidate.is_some() || self.down.is_some()
    }

    /// Hears 10 ms of this mean square.
    pub(super) fn step(&mut self, step: &[i16; STEP], power: f32, on: &mut impl FnMut(Key)) {
        if power < POWER_MIN && self.before.is_none() && !self.sounding() {
            return;
        }
        let mut block = [0.0f32; BLOCK];
        for (sample, pair) in block.iter_mut().zip(step.as_chunks::<2>().0) {
            *sample = (f32::from(pair[0]) + f32::from(pair[1])) * 0.5;
        }
        let now = (power >= POWER_MIN).then(|| Spectrum::of(&block, &self.turns));
        let found = self.before.zip(now).and_then(|(before, now)| judge(&block, &before, &now));
        self.before = now;
        self.hits = match found {
            Some(_) if found == self.candidate => self.hits + 1,
            Some(_) => 1,
            None => 0,
        };
        self.candidate = found;
        if self.down.is_some() && found != self.down {
            self.misses += 1;
            if self.misses >= MISSES {
                self.down = None;
            }
        } else {
            self.misses = 0;
        }
        if let Some(key) = found
            && self.hits >= HITS
            && self.down != found
        {
            self.down = found;
            self.misses = 0;
            on(key);
        }
    }
}

/// The key of a window, if it is one.
fn judge(block: &[f32; BLOCK], before: &Spectrum, now: &Spectrum) -> Option<Key> {
    let power: [f32; 8] = std::array::from_fn(|at| before.power(at) + now.power(at));
    let row = strongest(&power[..4])?;
    let column = strongest(&power[4..])? + 4;
    // A tone alone puts N/2 of its energy into its own power.
    let share = |power: f32| 2.0 * power / (BLOCK as f32 * (before.energy + now.energy));
    let balanced = power[row] <= power[column] * TWIST && power[column] <= power[row] * TWIST_REVERSE;
    if !balanced || share(power[row] + power[column]) < SHARE_MIN {
        return None;
    }
    if off(row, before, now) || off(column, before, now) {
        return None;
    }
    // Some rows have their harmonic next to the column they are pressed with, where it cannot be told apart.
    let apart = (2.0 * frequency(row) - frequency(column)).abs() > 120.0;
    for tone in [Some(column), apart.then_some(row)].into_iter().flatten() {
        let (real, imaginary) = goertzel(block, turn(2.0 * frequency(tone)));
        if real * real + imaginary * imaginary > HARMONIC_MAX * now.power(tone) {
            return None;
        }
    }
    Key::new(Key::ALL[row * 4 + column - 4])
}

impl Spectrum {
    fn of(block: &[f32; BLOCK], turns: &[(f32, f32); 8]) -> Self {
        // All eight at once: a vector of lanes.
        let twice_cos = turns.map(|(cos, _)| 2.0 * cos);
        let (mut last, mut older) = ([0.0f32; 8], [0.0f32; 8]);
        let mut energy = 0.0;
        for sample in block {
            energy += sample * sample;
            for at in 0..8 {
                let next = sample + twice_cos[at] * last[at] - older[at];
                older[at] = last[at];
                last[at] = next;
            }
        }
        Self {
            energy,
            real: std::array::from_fn(|at| last[at] * turns[at].0 - older[at]),
            imaginary: std::array::from_fn(|at| last[at] * turns[at].1),
        }
    }

    fn power(&self, tone: usize) -> f32 {
        self.real[tone] * self.real[tone] + self.imaginary[tone] * self.imaginary[tone]
    }
}

fn frequency(tone: usize) -> f32 {
    if tone < 4 { ROWS[tone] } else { COLUMNS[tone - 4] }
}

fn turn(hz: f32) -> (f32, f32) {
    let (sin, cos) = (TAU * hz / HZ).sin_cos();
    (cos, sin)
}

/// The index of a tone that stands out in its group.
fn strongest(group: &[f32]) -> Option<usize> {
    let (at, power) = group.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?;
    let alone = group.iter().enumerate().all(|(other, weaker)| other == at || weaker * PEAK_MIN <= *power);
    alone.then_some(at)
}

/// The tone's true frequency, told by the phase between two blocks, is not the nominal one.
fn off(tone: usize, before: &Spectrum, now: &Spectrum) -> bool {
    let phase = |spectrum: &Spectrum| spectrum.imaginary[tone].atan2(spectrum.real[tone]);
    let expected = TAU * frequency(tone) * BLOCK as f32 / HZ;
    let slip = (phase(now) - phase(before) - expected).rem_euclid(TAU);
    let slip = if slip > TAU / 2.0 { slip - TAU } else { slip };
    let hertz = slip / TAU * HZ / BLOCK as f32;
    hertz.abs() > OFF_MAX * frequency(tone) + OFF_MAX_HZ
}

fn goertzel(block: &[f32; BLOCK], (cos, sin): (f32, f32)) -> (f32, f32) {
    let (last, older) =
        block.iter().fold((0.0, 0.0), |(last, older), sample| (sample + 2.0 * cos * last - older, last));
    (last * cos - older, last * sin)
}

/// The sound of a key: two tones of -9 dBFS each.
pub fn tone(key: Key, rate: Rate, duration: Duration) -> Vec<i16> {
    let at = Key::ALL.iter().position(|label| *label == key.label()).unwrap_or(0);
    let (row, column) = (ROWS[at / 4], COLUMNS[at % 4]);
    let angle = |frequency: f32, at: usize| (TAU * frequency / rate.hz() as f32 * at as f32).sin();
    (0..rate.samples(duration)).map(|at| ((angle(row, at) + angle(column, at)) * 11_600.0) as i16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{
        Codec, Format, Resampler,
        signal::{Noise, add, gain, through},
    };

    fn all() -> Vec<Key> {
        Key::ALL.into_iter().filter_map(Key::new).collect()
    }

    fn heard(sound: &[i16]) -> String {
        let mut listener = Dtmf::new();
        let mut keys = String::new();
        for piece in sound.chunks(333) {
            listener.hear(piece, &mut |key| keys.push(key.label()));
        }
        keys
    }

    /// Each key for `on` and a pause for `off`, through a wire, with noise so many decibels below.
    fn dialled(on: u64, off: u64, format: Format, snr: f32, db: f32, shift: usize) -> String {
        let mut sound = vec![0; 800 + shift];
        for key in all() {
            sound.extend(gain(&tone(key, Rate::WIDE, Duration::from_millis(on)), db));
            sound.extend(vec![0; Rate::WIDE.samples(Duration::from_millis(off))]);
        }
        // The two tones together have a level of -9 dBFS.
        let noise = Noise::new(shift as u64 + 1).white(sound.len(), -9.0 + db - snr);
        add(&mut sound, &noise, 0);
        let wire = through(&sound, Rate::WIDE, format).expect("built");
        let (mut wide, mut up) = (Vec::new(), Resampler::new(format.rate, Rate::WIDE));
        up.process(&wire, &mut wide);
        up.flush(&mut wide);
        heard(&wide)
    }

    const LABELS: &str = "123A456B789C*0#D";

    #[test]
    fn all_keys_are_heard_at_45_to_100_ms_down_to_10_db() {
        for format in [Format::MULAW_PHONE, Format { codec: Codec::Alaw, ..Format::MULAW_PHONE }, Format::PCM_WIDE] {
            for (on, off) in [(45, 45), (60, 40), (100, 100), (250, 40)] {
                for snr in [60.0, 20.0, 10.0] {
                    for shift in [0, 37, 80, 119] {
                        let keys = dialled(on, off, format, snr, 0.0, shift);
                        assert_eq!(keys, LABELS, "{on}/{off} ms, {snr} dB, {format:?}, {shift}");
                    }
                }
            }
        }
    }

    #[test]
    fn soft_keys_are_heard() {
        for db in [-10.0, -20.0, -25.0] {
            assert_eq!(dialled(60, 60, Format::MULAW_PHONE, 25.0, db, 11), LABELS, "{db} dB");
        }
    }

    #[test]
    fn a_long_key_is_one_key_and_a_repeated_key_is_two() {
        let five = Key::new('5').expect("a key");
        let mut sound = tone(five, Rate::WIDE, Duration::from_secs(2));
        sound.extend([0; 800]);
        sound.extend(tone(five, Rate::WIDE, Duration::from_millis(60)));
        assert_eq!(heard(&sound), "55");
    }

    #[test]
    fn noise_tones_and_silence_are_no_keys() {
        assert_eq!(heard(&[0; 160_000]), "");
        for seed in 0..20 {
            assert_eq!(heard(&Noise::new(seed).white(160_000, -15.0)), "", "seed {seed}");
        }
        // One tone alone, and the dial and ringing tones of Italy.
        for hz in [697.0, 1_336.0, 425.0] {
            assert_eq!(heard(&crate::audio::signal::sine(hz, Rate::WIDE, 9_000.0, 0, 32_000)), "");
        }
    }
}
