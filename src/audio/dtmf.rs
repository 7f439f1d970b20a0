//! Keys of the telephone, heard in the sound and made for it.
//!
//! Every 10 ms the power at the eight frequencies is measured (Goertzel). Two measurements side by side make a window:
//! the phase between them tells the frequency to a few hertz, which speech hardly ever meets at a row and a column at
//! once. A key counts after two windows (30 ms) and is over after two without it.

use std::{f32::consts::TAU, time::Duration};

use super::{Key, Rate};

const ROWS: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const COLUMNS: [f32; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];
/// 10 ms at 16 kHz.
const BLOCK: usize = 160;
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
    /// Samples that wait for a whole block.
    staged: [f32; BLOCK],
    filled: usize,
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
        Self { staged: [0.0; BLOCK], filled: 0, before: None, candidate: None, hits: 0, down: None, misses: 0 }
    }

    /// Hears a piece of any length. Tells each key once, when it goes down.
    pub fn hear(&mut self, mut samples: &[i16], on: &mut impl FnMut(Key)) {
        while !samples.is_empty() {
            let (now, later) = samples.split_at(samples.len().min(BLOCK - self.filled));
            for (staged, sample) in self.staged[self.filled..].iter_mut().zip(now) {
                *staged = f32::from(*sample);
            }
            self.filled += now.len();
            samples = later;
            if self.filled == BLOCK {
                self.filled = 0;
                self.window(on);
            }
        }
    }

    /// A key, or what may become one, is sounding.
    pub fn sounding(&self) -> bool {
        self.candidate.is_some() || self.down.is_some()
    }

    fn window(&mut self, on: &mut impl FnMut(Key)) {
        let energy = energy(&self.staged);
        let now = (energy >= POWER_MIN * BLOCK as f32).then(|| Spectrum::of(&self.staged, energy));
        let found = self.before.zip(now).and_then(|(before, now)| self.judge(&before, &now));
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

    fn judge(&self, before: &Spectrum, now: &Spectrum) -> Option<Key> {
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
        for tone in [row, column] {
            let (real, imaginary) = tone_of(&self.staged, 2.0 * frequency(tone));
            if real * real + imaginary * imaginary > HARMONIC_MAX * now.power(tone) {
                return None;
            }
        }
        Key::new(Key::ALL[row * 4 + column - 4])
    }
}

impl Spectrum {
    fn of(block: &[f32; BLOCK], energy: f32) -> Self {
        let angle: [f32; 8] = std::array::from_fn(|at| TAU * frequency(at) / Rate::WIDE.hz() as f32);
        let twice_cos = angle.map(|angle| 2.0 * angle.cos());
        let (mut last, mut older) = ([0.0f32; 8], [0.0f32; 8]);
        for sample in block {
            for at in 0..8 {
                let next = sample + twice_cos[at] * last[at] - older[at];
                older[at] = last[at];
                last[at] = next;
            }
        }
        Self {
            energy,
            real: std::array::from_fn(|at| last[at] * angle[at].cos() - older[at]),
            imaginary: std::array::from_fn(|at| last[at] * angle[at].sin()),
        }
    }

    fn power(&self, tone: usize) -> f32 {
        self.real[tone] * self.real[tone] + self.imaginary[tone] * self.imaginary[tone]
    }
}

fn frequency(tone: usize) -> f32 {
    if tone < 4 { ROWS[tone] } else { COLUMNS[tone - 4] }
}

/// The index of a tone that stands out in its group.
fn strongest(group: &[f32]) -> Option<usize> {
    let (at, power) = group.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?;
    let alone = group.iter().enumerate().all(|(other, weaker)| other == at || weaker * PEAK_MIN <= *power);
    alone.then_some(at)
}

/// The tone's true frequency, told by the phase between two blocks, is not the nominal one.
fn off(tone: usize, before: &Spectrum, now: &Spectrum) -> bool {
    let turn = |spectrum: &Spectrum| spectrum.imaginary[tone].atan2(spectrum.real[tone]);
    let expected = TAU * frequency(tone) * BLOCK as f32 / Rate::WIDE.hz() as f32;
    let slip = (turn(now) - turn(before) - expected).rem_euclid(TAU);
    let slip = if slip > TAU / 2.0 { slip - TAU } else { slip };
    let hertz = slip / TAU * Rate::WIDE.hz() as f32 / BLOCK as f32;
    hertz.abs() > OFF_MAX * frequency(tone) + OFF_MAX_HZ
}

fn tone_of(block: &[f32; BLOCK], frequency: f32) -> (f32, f32) {
    let angle = TAU * frequency / Rate::WIDE.hz() as f32;
    let twice_cos = 2.0 * angle.cos();
    let (last, older) =
        block.iter().fold((0.0, 0.0), |(last, older), sample| (sample + twice_cos * last - older, last));
    (last * angle.cos() - older, last * angle.sin())
}

fn energy(block: &[f32; BLOCK]) -> f32 {
    let mut sums = [0.0f32; 8];
    for eight in block.as_chunks::<8>().0 {
        for (sum, sample) in sums.iter_mut().zip(eight) {
            *sum += sample * sample;
        }
    }
    sums.iter().sum()
}

/// The sound of a key: two tones of -9 dBFS each.
pub fn tone(key: Key, rate: Rate, duration: Duration) -> Vec<i16> {
    let at = Key::ALL.iter().position(|label| *label == key.label()).unwrap_or(0);
    let (row, column) = (ROWS[at / 4], COLUMNS[at % 4]);
    let angle = |frequency: f32, at: usize| (TAU * frequency / rate.hz() as f32 * at as f32).sin();
    (0..rate.samples(duration)).map(|at| ((angle(row, at) + angle(column, at)) * 11_600.0) as i16).collect()
}
