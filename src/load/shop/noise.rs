//! What a room sounds like: noises of one size, and what a telephone does to a voice.

use std::{f64::consts::TAU, sync::Arc};

use super::persona::NoiseKind;
use crate::{
    audio::{Rate, level_db},
    language::Language,
    load::{
        chance::Chance,
        lab::speech::{Speech, SpeechError, Voice},
    },
};

/// Seconds of a noise before it is heard again.
const LOOP_S: usize = 8;
/// What many people say at once.
const BABBLE: [&str; 6] = [
    "allora ieri siamo andati al mare con tutta la famiglia e il tempo era bellissimo",
    "non so se hai visto la partita di domenica, hanno perso ancora e adesso cambiano allenatore",
    "guarda, il pacco doveva arrivare martedì e invece niente, adesso chiamo e mi sentono",
    "la ricetta di mia nonna è semplice, farina, uova, un pizzico di sale e tanta pazienza",
    "se prendi la seconda a destra dopo il semaforo arrivi prima e non paghi il parcheggio",
    "questa settimana lavoro fino a tardi tutti i giorni, ci vediamo sabato se per te va bene",
];
/// What a hands-free telephone lets through.
const HANDS_FREE_HZ: (f64, f64) = (250.0, 3_300.0);
/// Above this the voice of somebody who looks away is lost.
const AWAY_HZ: f64 = 2_000.0;

/// A noise whose mean square is 1, heard again and again.
pub type Table = Arc<[f32]>;

/// Makes a noise.
///
/// # Errors
/// When espeak-ng fails: babble is made of voices.
pub async fn noise(kind: NoiseKind, rate: Rate, speech: &Speech) -> Result<Table, SpeechError> {
    let samples = rate.hz() as usize * LOOP_S;
    let mut chance = Chance::new(0x0B5E);
    let mut white = || chance.between(-1.0, 1.0) as f32;
    Ok(match kind {
        NoiseKind::White => normalised((0..samples).map(|_| white()).collect()),
        NoiseKind::Car => {
            // The road below, the wind above it, through the microphone of the car.
            let (mut road, mut mic) = (Low::new(180.0, rate), Band::hands_free(rate));
            let noise = (0..samples).map(|_| {
                let wind = white();
                mic.pass(f64::from(road.pass(wind) * 8.0 + wind * 0.25)) as f32
            });
            normalised(noise.collect())
        }
        NoiseKind::Babble => {
            let mut sum = vec![0.0; samples];
            let voices = Voice::callers(Language::Italian);
            for (at, text) in BABBLE.iter().enumerate() {
                let said = speech.say(text, &voices[at % voices.len()], rate).await?;
                // Each begins elsewhere, and never stops.
                let from = at * samples / BABBLE.len();
                for (place, sample) in said.iter().cycle().take(samples).enumerate() {
                    sum[(from + place) % samples] += f32::from(*sample);
                }
            }
            normalised(sum)
        }
    })
}

fn normalised(mut noise: Vec<f32>) -> Table {
    let square = noise.iter().map(|sample| sample * sample).sum::<f32>() / noise.len().max(1) as f32;
    let by = 1.0 / square.sqrt().max(1e-9);
    noise.iter_mut().for_each(|sample| *sample *= by);
    noise.into()
}

/// The root mean square of a voice where it is heard.
pub fn loudness<'a>(lines: impl Iterator<Item = &'a [i16]>, rate: Rate) -> f32 {
    let frame = rate.hz() as usize / 50;
    let (mut sum, mut count) = (0.0_f64, 0_usize);
    for piece in lines.flat_map(|line| line.chunks(frame)).filter(|piece| level_db(piece) > -45.0) {
        sum += piece.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>();
        count += piece.len();
    }
    (sum / count.max(1) as f64).sqrt() as f32
}

/// A voice that is softer by so many dB, and turned away from the telephone.
pub fn away(voice: &[i16], below_db: f64, rate: Rate) -> Arc<[i16]> {
    let (mut first, mut second) = (Low::new(AWAY_HZ, rate), Low::new(AWAY_HZ, rate));
    let gain = by(below_db);
    // The wall says it again.
    let late = rate.hz() as usize * 23 / 1_000;
    let direct: Vec<f32> = voice.iter().map(|sample| second.pass(first.pass(f32::from(*sample))) * gain).collect();
    let echoed = |at: usize| at.checked_sub(late).map_or(0.0, |before| direct[before] * 0.4);
    direct.iter().enumerate().map(|(at, sample)| rounded(sample + echoed(at))).collect()
}

/// A voice that is softer by so many dB.
pub fn softer(voice: &[i16], below_db: f64) -> Arc<[i16]> {
    let gain = by(below_db);
    voice.iter().map(|sample| rounded(f32::from(*sample) * gain)).collect()
}

/// A factor from dB below.
pub fn by(below_db: f64) -> f32 {
    10f64.powf(-below_db / 20.0) as f32
}

/// The nearest sample there is.
pub fn rounded(sample: f32) -> i16 {
    sample.round().clamp(-32_768.0, 32_767.0) as i16
}

/// Lets low tones through: one pole.
#[derive(Debug, Clone)]
pub struct Low {
    keep: f32,
    last: f32,
}

impl Low {
    /// Below this frequency.
    pub fn new(hz: f64, rate: Rate) -> Self {
        Self { keep: (1.0 - (-TAU * hz / f64::from(rate.hz())).exp()) as f32, last: 0.0 }
    }

    /// One sample.
    pub fn pass(&mut self, sample: f32) -> f32 {
        self.last += (sample - self.last) * self.keep;
        self.last
    }
}

/// Lets the band of a hands-free telephone through: two poles on each side.
#[derive(Debug, Clone)]
pub struct Band {
    low: Biquad,
    high: Biquad,
}

impl Band {
    /// Of a hands-free telephone.
    pub fn hands_free(rate: Rate) -> Self {
        Self { low: Biquad::high_pass(HANDS_FREE_HZ.0, rate), high: Biquad::low_pass(HANDS_FREE_HZ.1, rate) }
    }

    /// One sample.
    pub fn pass(&mut self, sample: f64) -> f64 {
        self.high.pass(self.low.pass(sample))
    }
}

/// Two poles and two zeros (Butterworth).
#[derive(Debug, Clone)]
struct Biquad {
    b: [f64; 3],
    a: [f64; 2],
    x: [f64; 2],
    y: [f64; 2],
}

impl Biquad {
    fn low_pass(hz: f64, rate: Rate) -> Self {
        Self::new(hz, rate, |cos| [(1.0 - cos) / 2.0, 1.0 - cos, (1.0 - cos) / 2.0])
    }

    fn high_pass(hz: f64, rate: Rate) -> Self {
        Self::new(hz, rate, |cos| [f64::midpoint(1.0, cos), -(1.0 + cos), f64::midpoint(1.0, cos)])
    }

    fn new(hz: f64, rate: Rate, zeros: impl Fn(f64) -> [f64; 3]) -> Self {
        let turn = TAU * hz / f64::from(rate.hz());
        let (sin, cos) = turn.sin_cos();
        let alpha = sin / std::f64::consts::SQRT_2;
        let a0 = 1.0 + alpha;
        let b = zeros(cos).map(|zero| zero / a0);
        Self { b, a: [-2.0 * cos / a0, (1.0 - alpha) / a0], x: [0.0; 2], y: [0.0; 2] }
    }

    fn pass(&mut self, sample: f64) -> f64 {
        let [b0, b1, b2] = self.b;
        let out = b0 * sample + b1 * self.x[0] + b2 * self.x[1] - self.a[0] * self.y[0] - self.a[1] * self.y[1];
        self.x = [sample, self.x[0]];
        self.y = [out, self.y[0]];
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::signal::sine;

    fn through(hz: f64, mut pass: impl FnMut(f64) -> f64) -> f32 {
        let tone = sine(hz, Rate::WIDE, 8_000.0, 0, 16_000);
        let out: Vec<i16> = tone.iter().map(|sample| rounded(pass(f64::from(*sample)) as f32)).collect();
        level_db(&out[1_000..]) - level_db(&tone)
    }

    #[test]
    fn a_hands_free_telephone_has_a_band() {
        let band = |hz| {
            let mut band = Band::hands_free(Rate::WIDE);
            through(hz, move |sample| band.pass(sample))
        };
        assert!(band(1_000.0).abs() < 0.5, "{}", band(1_000.0));
        assert!(band(60.0) < -20.0 && band(7_000.0) < -15.0, "{} {}", band(60.0), band(7_000.0));
    }

    #[test]
    fn somebody_turned_away_is_softer_and_darker() {
        let level = |hz| {
            let tone = sine(hz, Rate::WIDE, 8_000.0, 0, 16_000);
            level_db(&away(&tone, 14.0, Rate::WIDE)[1_000..]) - level_db(&tone)
        };
        assert!((-18.0..-9.0).contains(&level(300.0)), "{}", level(300.0));
        assert!(level(6_000.0) < level(300.0) - 8.0);
    }

    #[tokio::test]
    async fn noises_have_one_size() {
        let speech = Speech::new().await.unwrap();
        for kind in [NoiseKind::White, NoiseKind::Babble, NoiseKind::Car] {
            let noise = noise(kind, Rate::PHONE, &speech).await.unwrap();
            let square = noise.iter().map(|sample| sample * sample).sum::<f32>() / noise.len() as f32;
            assert!((square - 1.0).abs() < 0.01, "{kind:?} {square}");
        }
    }

    #[test]
    fn a_voice_is_as_loud_as_where_it_is_heard() {
        let tone = sine(500.0, Rate::PHONE, 10_000.0, 0, 8_000);
        let padded = [vec![0; 8_000], tone.clone(), vec![0; 8_000]].concat();
        let loud = loudness([padded.as_slice()].into_iter(), Rate::PHONE);
        assert!((loud - 7_071.0).abs() < 100.0, "{loud}");
    }
}
