//! Sounds for tests and benches: tones, noise, slams, coughs, clicks, and the wire they go through.
//!
//! Everything is deterministic: the same seed makes the same noise.

use std::f64::consts::TAU;

use super::{CodecError, Decoder, Encoder, Format, Rate, Resampler, level_db};

/// A generator of noise.
#[derive(Debug, Clone)]
pub struct Noise(u64);

impl Noise {
    /// With a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// The next value, evenly from -1 to 1.
    pub fn value(&mut self) -> f64 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let bits = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11;
        bits as f64 / (1u64 << 52) as f64 - 1.0
    }

    /// White noise at a mean level in dBFS.
    pub fn white(&mut self, samples: usize, db: f32) -> Vec<i16> {
        let amplitude = amplitude(db) * 3f64.sqrt();
        (0..samples).map(|_| (self.value() * amplitude) as i16).collect()
    }
}

/// A sine with its peak at this amplitude; `from` is the number of its first sample, so that pieces fit together.
pub fn sine(hz: f64, rate: Rate, amplitude: f64, from: usize, samples: usize) -> Vec<i16> {
    let step = TAU * hz / f64::from(rate.hz());
    (from..from + samples).map(|at| ((step * at as f64).sin() * amplitude).round() as i16).collect()
}

/// A door, a cup on the table: noise that begins within a millisecond and decays to a tenth in `decay_ms`, with its
/// peak at `peak_db`.
pub fn slam(seed: u64, rate: Rate, decay_ms: f64, peak_db: f32) -> Vec<i16> {
    let (mut noise, peak) = (Noise::new(seed), amplitude(peak_db));
    let per_ms = f64::from(rate.hz()) / 1_000.0;
    // A body that resonates low is what tells a slam from a hiss.
    let mut body = 0.0;
    (0..(decay_ms * 3.0 * per_ms) as usize)
        .map(|at| {
            let ms = at as f64 / per_ms;
            body += (noise.value() - body) * 0.4;
            let envelope = ms.min(1.0) * 10f64.powf(-ms / decay_ms);
            (body * 1.6 * envelope * peak).clamp(-32_768.0, 32_767.0) as i16
        })
        .collect()
}

/// A dull slam: a body that rings at one frequency, with a knock at its beginning. It decays to a tenth in `decay_ms`.
pub fn thud(seed: u64, rate: Rate, hz: f64, decay_ms: f64, peak_db: f32) -> Vec<i16> {
    let (mut noise, peak) = (Noise::new(seed), amplitude(peak_db));
    let per_ms = f64::from(rate.hz()) / 1_000.0;
    (0..(decay_ms * 3.0 * per_ms) as usize)
        .map(|at| {
            let ms = at as f64 / per_ms;
            let ring = (TAU * hz * ms / 1_000.0).sin() * 10f64.powf(-ms / decay_ms);
            let knock = noise.value() * (-ms / 4.0).exp();
            ((0.7 * ring + 0.5 * knock) * ms.min(1.0) * peak).clamp(-32_768.0, 32_767.0) as i16
        })
        .collect()
}

/// A cough: two bursts of throaty noise, the first short and hard.
pub fn cough(seed: u64, rate: Rate, peak_db: f32) -> Vec<i16> {
    let (mut noise, peak) = (Noise::new(seed), amplitude(peak_db));
    let per_ms = f64::from(rate.hz()) / 1_000.0;
    let burst = |ms: f64, begin: f64, rise: f64, decay: f64| {
        let since = ms - begin;
        if since < 0.0 { 0.0 } else { (since / rise).min(1.0) * (-since / decay).exp() }
    };
    // Two resonances of an open throat, around 600 and 1 500 Hz.
    let mut throat = [Resonance::new(600.0, 250.0, rate), Resonance::new(1_500.0, 400.0, rate)];
    let samples: Vec<f64> = (0..(350.0 * per_ms) as usize)
        .map(|at| {
            let ms = at as f64 / per_ms;
            let envelope = burst(ms, 0.0, 5.0, 35.0) + 0.45 * burst(ms, 140.0, 15.0, 60.0);
            let breath = noise.value() * envelope;
            throat.iter_mut().map(|resonance| resonance.next(breath)).sum::<f64>() + 0.2 * breath
        })
        .collect();
    let highest = samples.iter().fold(1e-9, |highest: f64, sample| highest.max(sample.abs()));
    samples.iter().map(|sample| (sample / highest * peak) as i16).collect()
}

/// A key of a keyboard, or a pen: 3 ms of noise, and its weaker release 80 ms later.
pub fn click(seed: u64, rate: Rate, peak_db: f32) -> Vec<i16> {
    let (mut noise, peak) = (Noise::new(seed), amplitude(peak_db));
    let per_ms = f64::from(rate.hz()) / 1_000.0;
    (0..(100.0 * per_ms) as usize)
        .map(|at| {
            let ms = at as f64 / per_ms;
            let strike = (-ms / 1.5).exp();
            let release = if ms < 80.0 { 0.0 } else { 0.5 * (-(ms - 80.0) / 1.5).exp() };
            (noise.value() * (strike + release) * peak) as i16
        })
        .collect()
}

/// A second-order resonance.
struct Resonance {
    a1: f64,
    a2: f64,
    gain: f64,
    last: f64,
    older: f64,
}

impl Resonance {
    fn new(hz: f64, width: f64, rate: Rate) -> Self {
        let radius = (-std::f64::consts::PI * width / f64::from(rate.hz())).exp();
        let a1 = 2.0 * radius * (TAU * hz / f64::from(rate.hz())).cos();
        Self { a1, a2: -radius * radius, gain: 1.0 - radius, last: 0.0, older: 0.0 }
    }

    fn next(&mut self, input: f64) -> f64 {
        let value = self.gain * input + self.a1 * self.last + self.a2 * self.older;
        (self.older, self.last) = (self.last, value);
        value
    }
}

/// Adds a sound to another from a sample on; what hangs over the end is left out.
pub fn add(sound: &mut [i16], other: &[i16], from: usize) {
    for (sample, other) in sound.iter_mut().skip(from).zip(other) {
        *sample = sample.saturating_add(*other);
    }
}

/// Makes a sound softer or louder by so many decibels.
pub fn gain(sound: &[i16], db: f32) -> Vec<i16> {
    let factor = 10f64.powf(f64::from(db) / 20.0);
    sound.iter().map(|sample| (f64::from(*sample) * factor) as i16).collect()
}

/// Makes the mean level of a sound this many dBFS.
pub fn at_level(sound: &[i16], db: f32) -> Vec<i16> {
    gain(sound, db - level_db(sound))
}

/// A sound as it comes out of a wire in this format, at the wire's rate: resampled, encoded, decoded in 20 ms packets.
pub fn through(sound: &[i16], rate: Rate, format: Format) -> Result<Vec<i16>, CodecError> {
    let mut at_rate = Vec::new();
    let mut resampler = Resampler::new(rate, format.rate);
    resampler.process(sound, &mut at_rate);
    resampler.flush(&mut at_rate);
    let (mut encoder, mut decoder) = (Encoder::new(format)?, Decoder::new(format)?);
    let (mut packet, mut out) = (Vec::new(), Vec::new());
    for frame in at_rate.chunks(format.rate.hz() as usize / 50) {
        packet.clear();
        encoder.encode(frame, &mut packet);
        decoder.decode(&packet, &mut out);
    }
    Ok(out)
}

/// A sound as the payloads of a wire in this format, 20 ms each.
pub fn packets(sound: &[i16], rate: Rate, format: Format) -> Result<Vec<Vec<u8>>, CodecError> {
    let mut at_rate = Vec::new();
    let mut resampler = Resampler::new(rate, format.rate);
    resampler.process(sound, &mut at_rate);
    resampler.flush(&mut at_rate);
    let mut encoder = Encoder::new(format)?;
    let encode = |frame: &[i16]| {
        let mut packet = Vec::new();
        encoder.encode(frame, &mut packet);
        packet
    };
    Ok(at_rate.chunks(format.rate.hz() as usize / 50).map(encode).collect())
}

/// How much stronger a sine of this frequency is than everything else in the sound, in decibels: the best-fitting sine
/// is taken out and what is left is compared with it. A step, a repeated or a lost sample ruins it.
pub fn purity_db(sound: &[i16], hz: f64, rate: Rate) -> f64 {
    let step = TAU * hz / f64::from(rate.hz());
    // Least squares for a * sin + b * cos.
    let (mut ss, mut cc, mut sc, mut xs, mut xc, mut xx) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
    for (at, sample) in sound.iter().enumerate() {
        let (sin, cos) = (step * at as f64).sin_cos();
        let x = f64::from(*sample);
        ss += sin * sin;
        cc += cos * cos;
        sc += sin * cos;
        xs += x * sin;
        xc += x * cos;
        xx += x * x;
    }
    let determinant = ss * cc - sc * sc;
    let a = (xs * cc - xc * sc) / determinant;
    let b = (xc * ss - xs * sc) / determinant;
    let fitted = a * xs + b * xc;
    10.0 * (fitted / (xx - fitted).max(1e-9)).log10()
}

fn amplitude(db: f32) -> f64 {
    32_768.0 * 10f64.powf(f64::from(db) / 20.0)
}
