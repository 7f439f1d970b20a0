//! Speaks, through `/audio/speech`: raw samples, played while they arrive.

use std::{sync::Arc, time::Duration};

use futures_util::{future::BoxFuture, stream::BoxStream};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    Connections,
    http::{Account, NAME, broken},
};
use crate::{
    audio::Rate,
    call::TtsEvent,
    providers::{
        Address, Key, KeyError, Kind, ProviderError, Say, Tts, TtsCapabilities,
        flow::{Out, flow},
        wav,
    },
};

/// Settings of a voice behind `/audio/speech`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenAiTtsSettings {
    /// The API's address, up to and with `/v1`.
    #[serde(default = "super::base_url")]
    pub base_url: Address,
    /// The key; local servers need none.
    #[serde(default)]
    pub key: Option<Key>,
    /// The model. Models retire: the name is a setting and has no default.
    pub model: String,
    /// The voice, as the server names it.
    pub voice: String,
    /// How to speak, in words, where the model takes it.
    #[serde(default)]
    pub instructions: Option<String>,
    /// 1.0 is the voice's own pace.
    #[serde(default)]
    pub speed: Option<f64>,
    /// The rate of its samples. OpenAI's is 24000; some local servers have another.
    #[serde(default = "rate")]
    pub rate: Rate,
    /// Milliseconds from the text to the first sound.
    #[serde(default = "first_ms")]
    pub first_ms: u64,
    /// Milliseconds between two pieces of sound.
    #[serde(default = "stall_ms")]
    pub stall_ms: u64,
}

const fn rate() -> Rate {
    Rate::VOICE
}

const fn first_ms() -> u64 {
    2_000
}

const fn stall_ms() -> u64 {
    3_000
}

/// The longest sound of one clause.
const CLAUSE_MAX: Duration = Duration::from_secs(120);

/// A voice behind `/audio/speech`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct OpenAiTts(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: OpenAiTtsSettings,
    account: Account,
}

impl OpenAiTts {
    /// A voice with these settings.
    ///
    /// # Errors
    /// When the key is not where the settings say.
    pub fn new(settings: OpenAiTtsSettings, connections: Connections) -> Result<Self, KeyError> {
        let account = Account::new(&settings.base_url, settings.key.as_ref(), connections)?;
        Ok(Self(Arc::new(Inner { settings, account })))
    }
}

impl Tts for OpenAiTts {
    fn capabilities(&self) -> TtsCapabilities {
        TtsCapabilities { name: NAME, rate: self.0.settings.rate, alignment: false }
    }

    fn speak(&self, say: Say) -> BoxStream<'static, Result<TtsEvent, ProviderError>> {
        let inner = self.0.clone();
        flow(move |out| async move { inner.speak(&say.text, out).await })
    }

    fn warm(&self) -> BoxFuture<'static, ()> {
        let inner = self.0.clone();
        Box::pin(async move { inner.account.warm().await })
    }
}

impl Inner {
    async fn speak(&self, text: &str, out: Out<TtsEvent>) -> Result<(), ProviderError> {
        let settings = &self.settings;
        let first = Instant::now() + Duration::from_millis(settings.first_ms);
        let late = || {
            let detail = "no sound in time: raise first_ms, or take a faster voice";
            ProviderError::upstream(NAME, Kind::FirstTimeout, detail)
        };
        if text.trim().is_empty() {
            out.put(TtsEvent::Done).await;
            return Ok(());
        }
        let mut response = timeout_at(first, self.account.send(self.request(text))).await.map_err(|_| late())??;
        let mut decoder = wav::Decoder::new(settings.rate);
        let mut spoken = 0;
        loop {
            let piece = if spoken == 0 {
                timeout_at(first, response.chunk()).await.map_err(|_| late())?
            } else {
                timeout(Duration::from_millis(settings.stall_ms), response.chunk())
                    .await
                    .map_err(|_| ProviderError::upstream(NAME, Kind::Stalled, "the sound stopped coming"))?
            };
            let piece = piece.map_err(|error| broken(&error))?;
            let samples = match &piece {
                Some(bytes) => decoder
                    .take(bytes)
                    .map_err(|error| ProviderError::upstream(NAME, Kind::Garbage, error.to_string()))?,
                None => decoder.end(),
            };
            spoken += samples.len();
            if spoken > settings.rate.samples(CLAUSE_MAX) {
                return Err(ProviderError::upstream(NAME, Kind::Garbage, "the sound of one clause does not end"));
            }
            if !samples.is_empty() {
                out.put(TtsEvent::Audio(samples)).await;
            }
            if piece.is_none() {
                break;
            }
        }
        if spoken == 0 {
            return Err(ProviderError::upstream(NAME, Kind::Garbage, "it answered without any sound"));
        }
        out.put(TtsEvent::Done).await;
        Ok(())
    }

    fn request(&self, text: &str) -> reqwest::RequestBuilder {
        let settings = &self.settings;
        let mut body = json!({
            "model": settings.model, "input": text, "voice": settings.voice, "response_format": "pcm",
        });
        if let Some(instructions) = &settings.instructions {
            body["instructions"] = instructions.as_str().into();
        }
        if let Some(speed) = settings.speed {
            body["speed"] = speed.into();
        }
        self.account.post("/audio/speech").json(&body)
    }
}
