//! What a lab is started with.

use serde::{Deserialize, Serialize};

use super::{ears, faults::Fault, journal::Endpoint, latency::Spread, speech};
use crate::language::Language;

/// What a lab is started with. The default waits like the real engines do and has no faults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LabSettings {
    /// The port on 127.0.0.1; 0 for any free one.
    pub port: u16,
    /// The languages learned before the lab is ready; others are learned when they are asked for.
    pub languages: Vec<Language>,
    /// The language of a request that does not say.
    pub language: Language,
    /// What the callers say besides the phrasebook.
    pub phrases: Vec<ExtraPhrase>,
    /// How it hears.
    pub ears: ears::Kind,
    /// What it speaks with.
    pub voice: speech::Kind,
    /// The only key accepted; none accepts any key that does not begin with `invalid`.
    pub key: Option<String>,
    /// Seed of everything left to chance.
    pub seed: u64,
    /// How long each engine makes us wait.
    pub latency: Latencies,
    /// Faults from the beginning on.
    pub faults: Vec<Fault>,
}

/// A phrase the callers say besides the phrasebook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtraPhrase {
    /// In which language.
    #[serde(default)]
    pub language: Language,
    /// What is said.
    pub text: String,
}

/// The waits of each endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Latencies {
    /// `/v1/chat/completions`: first token, then each word.
    pub chat: Latency,
    /// `/v1/audio/transcriptions`: the transcript.
    pub transcriptions: Latency,
    /// `/v1/audio/speech`: first byte, then each tenth of a second of sound.
    pub speech: Latency,
    /// `/v1/listen`: a final after its pause, a partial after its word.
    pub nova: Latency,
    /// `/v2/listen`: the end of a turn after its pause, an update after its word.
    pub flux: Latency,
    /// `/v1/speak`: first byte after a flush, then each tenth of a second of sound.
    pub aura: Latency,
}

/// The waits of one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    /// Before the first answer.
    pub first: Spread,
    /// Before each further one.
    #[serde(default = "at_once")]
    pub next: Spread,
}

const fn at_once() -> Spread {
    Spread::Fixed(0.0)
}

impl Latency {
    const fn new(p50: f64, p95: f64, next: f64) -> Self {
        Self { first: Spread::Around { p50, p95, shape: super::latency::Shape::Lognormal }, next: Spread::Fixed(next) }
    }

    /// No wait at all.
    pub const NONE: Self = Self { first: at_once(), next: at_once() };
}

impl Default for Latencies {
    fn default() -> Self {
        Self {
            chat: Latency::new(350.0, 600.0, 15.0),
            transcriptions: Latency::new(300.0, 500.0, 0.0),
            speech: Latency::new(200.0, 350.0, 20.0),
            nova: Latency::new(250.0, 400.0, 100.0),
            flux: Latency::new(250.0, 400.0, 100.0),
            aura: Latency::new(200.0, 350.0, 20.0),
        }
    }
}

impl Latencies {
    /// Everything at once.
    pub const fn none() -> Self {
        Self {
            chat: Latency::NONE,
            transcriptions: Latency::NONE,
            speech: Latency::NONE,
            nova: Latency::NONE,
            flux: Latency::NONE,
            aura: Latency::NONE,
        }
    }

    /// The waits of an endpoint.
    pub const fn of(&self, endpoint: Endpoint) -> Latency {
        match endpoint {
            Endpoint::Chat => self.chat,
            Endpoint::Transcriptions => self.transcriptions,
            Endpoint::Speech => self.speech,
            Endpoint::Models => Latency::NONE,
            Endpoint::Nova => self.nova,
            Endpoint::Flux => self.flux,
            Endpoint::Aura => self.aura,
        }
    }
}

impl Default for LabSettings {
    fn default() -> Self {
        Self {
            port: 0,
            languages: vec![Language::Italian],
            language: Language::Italian,
            phrases: Vec::new(),
            ears: ears::Kind::default(),
            voice: speech::Kind::default(),
            key: None,
            seed: 1,
            latency: Latencies::default(),
            faults: Vec::new(),
        }
    }
}

impl LabSettings {
    /// A lab that answers at once: for tests that are not about waiting.
    pub fn instant() -> Self {
        Self { latency: Latencies::none(), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_annotated_settings_are_the_defaults() {
        let annotated: LabSettings = toml::from_str(include_str!("../../../config/lab/lab.toml")).unwrap();
        assert_eq!(annotated, LabSettings { port: 18_790, ..LabSettings::default() });
    }

    #[test]
    fn settings_are_written_as_the_docs_say() {
        let settings: LabSettings = toml::from_str(
            r#"
            port = 18080
            language = "en"
            phrases = [{ text = "vorrei un'auto sostitutiva" }]
            [latency.chat]
            first = { p50 = 350, p95 = 900 }
            next = 15
            [[faults]]
            endpoint = "chat"
            kind = "status"
            status = 429
            retry_after = "30"
            times = 2
            "#,
        )
        .unwrap();
        assert_eq!(settings.latency.chat.next, Spread::Fixed(15.0));
        assert_eq!(settings.latency.nova, Latencies::default().nova);
        assert_eq!(settings.faults.len(), 1);
        assert!(toml::from_str::<LabSettings>("prot = 1").is_err());
    }
}
