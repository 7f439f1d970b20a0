//! What the callers of a plan say, as messages that are ready for the wire: spoken once, mixed with the noise behind the
//! caller once, encoded and framed once, and shared by everybody who says it.

use std::{collections::HashMap, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    frame,
    plan::{Behaviour, LineKind, Noise, NoiseKind, Plan},
};
use crate::{
    audio::{Encoder, Rate, dtmf, level_db, signal},
    load::{
        caller::{
            CallerError, Lines, Turn,
            measure::{Voicing, speech},
        },
        lab::speech::{Speech, Voice},
    },
};

/// Length of what is repeated for noise without end.
const BED_S: usize = 8;
/// How long a key sounds on a line that has no message for it, and the silence behind it.
const KEY_MS: u64 = 120;
const KEY_GAP_MS: usize = 80;
/// How loud a caller is taken to be who says nothing.
const LEVEL_DB: f32 = -24.0;
/// What the people in the background say.
const BABBLE: [&str; 6] = [
    "ma le gomme invernali sono arrivate o no",
    "la macchina della signora è pronta per domani mattina",
    "passami la chiave da diciassette per favore",
    "ho detto che il preventivo lo mandiamo oggi pomeriggio",
    "guarda che il ponte due è ancora occupato",
    "allora ci vediamo venerdì alle otto e mezza",
];

/// The sound of every line of a plan, made once and shared by all callers.
#[derive(Debug, Clone)]
pub struct Sounds {
    /// By behaviour and kind of line.
    said: HashMap<(usize, LineKind), Arc<Said>>,
}

/// What one behaviour says on one kind of line.
#[derive(Debug)]
pub(super) struct Said {
    /// For each step, where it sounds.
    pub(super) steps: Vec<Option<Arc<Track>>>,
    /// What is heard when nothing is said: repeated without end.
    pub(super) bed: Arc<Track>,
}

/// A sound in frames of 20 ms, ready for the wire: whole WebSocket frames, or Twilio's base64.
#[derive(Debug)]
pub(super) struct Track {
    bytes: Box<[u8]>,
    /// Where each frame ends.
    ends: Box<[u32]>,
    /// The first voiced sample, and behind the last, in microseconds; of what is said, without the noise.
    pub(super) voiced: Option<(u64, u64)>,
}

impl Sounds {
    /// Speaks every line of the plan.
    pub async fn prepare(plan: &Plan, speech: &Speech) -> Result<Self, CallerError> {
        let mut said = HashMap::new();
        for (kind, _) in plan.wires.iter().filter(|(_, weight)| *weight > 0) {
            let rate = kind.format().rate;
            for (at, behaviour) in plan.behaviours.iter().enumerate() {
                let Lines::Scenario(scenario, spoken) =
                    Lines::spoken_by(speech, behaviour.scenario.clone(), rate).await?
                else {
                    continue;
                };
                let spoken: Vec<Option<Arc<[i16]>>> = scenario
                    .steps
                    .iter()
                    .zip(spoken)
                    .map(|(step, spoken)| match (&step.turn, *kind) {
                        (Turn::Keys(_), LineKind::Twilio) => None,
                        (Turn::Keys(keys), _) => Some(tones(keys, rate).into()),
                        _ => spoken.map(|spoken| spoken.samples),
                    })
                    .collect();
                let bed = match behaviour.noise {
                    Some(noise) => bed(noise, loudness(&spoken, rate), plan.seed, speech, rate).await?,
                    None => vec![0; frame_samples(rate)],
                };
                said.insert((at, *kind), Arc::new(Said::new(behaviour, &spoken, &bed, *kind)?));
            }
        }
        Ok(Self { said })
    }

    /// What this behaviour says on this kind of line.
    pub(super) fn of(&self, behaviour: usize, kind: LineKind) -> Option<Arc<Said>> {
        self.said.get(&(behaviour, kind)).cloned()
    }

    /// They were made for this plan.
    pub(super) fn belong_to(&self, plan: &Plan) -> bool {
        let kinds = plan.wires.iter().filter(|(_, weight)| *weight > 0);
        kinds.into_iter().all(|(kind, _)| {
            plan.behaviours.iter().enumerate().all(|(at, behaviour)| {
                self.said.get(&(at, *kind)).is_some_and(|said| said.steps.len() == behaviour.scenario.steps.len())
            })
        })
    }

    /// Memory of everything that is said.
    pub fn bytes(&self) -> usize {
        let tracks = self.said.values().flat_map(|said| said.steps.iter().flatten().chain([&said.bed]));
        tracks.map(|track| track.bytes.len()).sum()
    }
}

impl Said {
    pub(super) fn new(
        behaviour: &Behaviour,
        spoken: &[Option<Arc<[i16]>>],
        bed: &[i16],
        kind: LineKind,
    ) -> Result<Self, CallerError> {
        let mut steps = Vec::with_capacity(spoken.len());
        for samples in spoken {
            steps.push(match samples {
                None => None,
                Some(samples) => {
                    let noise = behaviour.noise.is_some().then_some(bed);
                    Some(Arc::new(Track::new(samples, noise, kind)?))
                }
            });
        }
        Ok(Self { steps, bed: Arc::new(Track::new(bed, None, kind)?) })
    }
}

impl Track {
    /// Encodes and frames a sound; the last frame is filled up. With noise behind it.
    pub(super) fn new(samples: &[i16], noise: Option<&[i16]>, kind: LineKind) -> Result<Self, CallerError> {
        let format = kind.format();
        let size = frame_samples(format.rate);
        let mut sound = samples.to_vec();
        sound.resize(samples.len().div_ceil(size).max(1) * size, 0);
        let stretches = speech(&sound, format.rate, &Voicing::CLEAN);
        let us = |sample: usize| format.rate.duration(sample as u64).as_micros() as u64;
        let voiced = stretches.first().zip(stretches.last()).map(|(first, last)| (us(first.start), us(last.end)));
        if let Some(noise) = noise {
            let noise: Vec<i16> = noise.iter().copied().cycle().take(sound.len()).collect();
            signal::add(&mut sound, &noise, 0);
        }
        let mut encoder = Encoder::new(format)?;
        let (mut bytes, mut ends, mut packet) = (Vec::new(), Vec::new(), Vec::new());
        for piece in sound.chunks_exact(size) {
            packet.clear();
            encoder.encode(piece, &mut packet);
            match kind {
                LineKind::Twilio => bytes.extend_from_slice(STANDARD.encode(&packet).as_bytes()),
                LineKind::VapiPcm | LineKind::VapiMulaw | LineKind::VapiOpus => {
                    frame::write(frame::Kind::Binary, &packet, &mut bytes);
                }
            }
            ends.push(bytes.len() as u32);
        }
        Ok(Self { bytes: bytes.into(), ends: ends.into(), voiced })
    }

    /// How many frames it has; at least one.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// One of them.
    pub(super) fn frame(&self, at: usize) -> &[u8] {
        let from = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.bytes[from as usize..self.ends[at] as usize]
    }
}

const fn frame_samples(rate: Rate) -> usize {
    rate.hz() as usize / 50
}

fn tones(keys: &[crate::audio::Key], rate: Rate) -> Vec<i16> {
    let mut sound = Vec::new();
    for key in keys {
        sound.extend(dtmf::tone(*key, rate, std::time::Duration::from_millis(KEY_MS)));
        sound.resize(sound.len() + rate.hz() as usize * KEY_GAP_MS / 1_000, 0);
    }
    sound
}

/// How loud the caller is while it speaks.
fn loudness(spoken: &[Option<Arc<[i16]>>], rate: Rate) -> f32 {
    let voiced: Vec<i16> = spoken
        .iter()
        .flatten()
        .flat_map(|samples| speech(samples, rate, &Voicing::CLEAN).into_iter().flat_map(|range| samples[range].iter()))
        .copied()
        .collect();
    if voiced.is_empty() { LEVEL_DB } else { level_db(&voiced) }
}

/// Noise that can be repeated.
async fn bed(noise: Noise, caller_db: f32, seed: u64, speech: &Speech, rate: Rate) -> Result<Vec<i16>, CallerError> {
    let level = caller_db - noise.snr_db;
    let samples = rate.hz() as usize * BED_S;
    if noise.kind == NoiseKind::White {
        return Ok(signal::Noise::new(seed ^ 0x5EED).white(samples, level));
    }
    let mut sum = vec![0i32; samples];
    let voices = Voice::callers(crate::language::Language::Italian);
    for (at, text) in BABBLE.iter().enumerate() {
        let said = speech.say(text, &voices[at % voices.len()], rate).await?;
        // Each begins somewhere else and goes round.
        let from = samples / BABBLE.len() * at;
        for turn in 0..samples / (said.len() + 1) + 1 {
            for (n, sample) in said.iter().enumerate() {
                let place = turn * (said.len() + rate.hz() as usize / 7 * (at + 1)) + n;
                if place < samples {
                    sum[(from + place) % samples] += i32::from(*sample);
                }
            }
        }
    }
    let mixed: Vec<i16> = sum.into_iter().map(|sample| (sample / 3).clamp(-32_768, 32_767) as i16).collect();
    Ok(signal::at_level(&mixed, level))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::caller::Scenario;

    fn sound() -> Arc<[i16]> {
        [vec![0; 160], signal::sine(300.0, Rate::PHONE, 8_000.0, 0, 1_500)].concat().into()
    }

    #[test]
    fn a_track_is_ready_for_the_wire() {
        let track = Track::new(&sound(), None, LineKind::VapiMulaw).unwrap();
        assert_eq!((track.len(), track.frame(0).len()), (11, 4 + 4 + 160));
        assert_eq!(track.frame(0)[..4], [0x82, 0x80 | 126, 0, 160]);
        let (onset, end) = track.voiced.unwrap();
        assert!((20_000..20_500).contains(&onset) && (207_000..207_600).contains(&end), "{onset} {end}");
        let twilio = Track::new(&sound(), None, LineKind::Twilio).unwrap();
        assert_eq!(STANDARD.decode(twilio.frame(3)).unwrap(), track.frame(3)[8..]);
        assert_eq!(Track::new(&[], None, LineKind::VapiPcm).unwrap().len(), 1);
    }

    #[test]
    fn noise_is_behind_the_words_and_does_not_move_their_ends() {
        let noise = signal::Noise::new(1).white(16_000, -30.0);
        let clean = Track::new(&sound(), None, LineKind::VapiMulaw).unwrap();
        let noisy = Track::new(&sound(), Some(&noise), LineKind::VapiMulaw).unwrap();
        assert_eq!(clean.voiced, noisy.voiced);
        assert_ne!(clean.frame(0), noisy.frame(0));
    }

    #[tokio::test]
    async fn every_line_of_a_plan_is_spoken() {
        let speech = Speech::new().await.unwrap();
        let text = r#"
            length_s = 1
            wires = { vapi-pcm = 1, twilio = 1 }
            tenants = { count = 1 }
            arrivals = { kind = "constant", calls = 1 }
            [[behaviours]]
            noise = { kind = "babble", snr_db = 12 }
            [[behaviours.scenario.steps]]
            say = "a che ora aprite"
            [[behaviours.scenario.steps]]
            keys = "12"
        "#;
        let plan = Plan::parse(text, std::path::Path::new(".")).unwrap();
        let sounds = Sounds::prepare(&plan, &speech).await.unwrap();
        assert!(sounds.belong_to(&plan) && sounds.bytes() > 100_000);
        let (wide, phone) = (sounds.of(0, LineKind::VapiPcm).unwrap(), sounds.of(0, LineKind::Twilio).unwrap());
        assert!(wide.steps[1].is_some() && phone.steps[1].is_none(), "a key is a message to Twilio");
        assert_eq!(wide.bed.len(), 50 * BED_S);
        assert!(wide.steps[0].as_ref().unwrap().len() > 40);
        let mut other = plan.clone();
        other.behaviours[0].scenario = Scenario::parse("[[steps]]\nhang_up = true").unwrap();
        assert!(!sounds.belong_to(&other));
    }
}
