//! Hears whole utterances, through `/audio/transcriptions`.

use std::{sync::Arc, time::Duration};

use futures_util::{future::BoxFuture, stream::BoxStream};
use reqwest::multipart::{Form, Part};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::timeout;

use super::{
    Connections,
    http::{Account, NAME, broken, inner_error},
};
use crate::{
    audio::Rate,
    call::SttEvent,
    language::Language,
    providers::{Address, Heard, Key, KeyError, Kind, ProviderError, Retry, Stt, SttCapabilities, wav, whole},
};

/// Settings of a recogniser behind `/audio/transcriptions`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenAiSttSettings {
    /// The API's address, up to and with `/v1`.
    #[serde(default = "super::base_url")]
    pub base_url: Address,
    /// The key; local servers need none.
    #[serde(default)]
    pub key: Option<Key>,
    /// The model. Models retire: the name is a setting and has no default.
    pub model: String,
    /// Words that will come up, as a sentence: names, trades, marques.
    #[serde(default)]
    pub prompt: Option<String>,
    /// Milliseconds for the transcript of one utterance.
    #[serde(default = "answer_ms")]
    pub answer_ms: u64,
}

const fn answer_ms() -> u64 {
    4_000
}

/// The longest transcript that is read.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// A recogniser behind `/audio/transcriptions`: gives no partial texts, answers commits. Cheap to clone.
#[derive(Debug, Clone)]
pub struct OpenAiStt(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: OpenAiSttSettings,
    account: Account,
}

impl OpenAiStt {
    /// A recogniser with these settings.
    ///
    /// # Errors
    /// When the key is not where the settings say.
    pub fn new(settings: OpenAiSttSettings, connections: Connections) -> Result<Self, KeyError> {
        let account = Account::new(&settings.base_url, settings.key.as_ref(), connections)?;
        Ok(Self(Arc::new(Inner { settings, account })))
    }
}

impl Stt for OpenAiStt {
    fn capabilities(&self) -> SttCapabilities {
        SttCapabilities { name: NAME, partials: false, turns: false, commits: true }
    }

    fn listen(
        &self,
        audio: BoxStream<'static, Heard>,
        language: Language,
    ) -> BoxStream<'static, Result<SttEvent, ProviderError>> {
        let inner = self.0.clone();
        whole::listen(audio, language, move |samples| {
            let inner = inner.clone();
            async move { inner.transcribe(&samples, language).await }
        })
    }

    fn warm(&self) -> BoxFuture<'static, ()> {
        let inner = self.0.clone();
        Box::pin(async move { inner.account.warm().await })
    }
}

impl Inner {
    /// One utterance. Asked a second time at once when the first attempt failed for a passing reason: the audio would
    /// be lost otherwise.
    async fn transcribe(&self, samples: &[i16], language: Language) -> Result<String, ProviderError> {
        let file = bytes::Bytes::from(wav::write(samples, Rate::WIDE));
        let attempts = async {
            match self.ask(file.clone(), language).await {
                Err(error) if error.retry == Retry::Now => self.ask(file, language).await,
                answer => answer,
            }
        };
        timeout(Duration::from_millis(self.settings.answer_ms), attempts).await.unwrap_or_else(|_| {
            let detail = "no transcript in time: raise answer_ms, or take a faster model";
            Err(ProviderError::upstream(NAME, Kind::FirstTimeout, detail))
        })
    }

    async fn ask(&self, file: bytes::Bytes, language: Language) -> Result<String, ProviderError> {
        let length = file.len() as u64;
        let part = Part::stream_with_length(file, length).file_name("utterance.wav").mime_str("audio/wav");
        let mut form = Form::new()
            .part("file", part.map_err(|error| broken(&error))?)
            .text("model", self.settings.model.clone())
            .text("language", language.code())
            .text("response_format", "json");
        if let Some(prompt) = &self.settings.prompt {
            form = form.text("prompt", prompt.clone());
        }
        let mut response = self.account.send(self.account.post("/audio/transcriptions").multipart(form)).await?;
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| broken(&error))? {
            body.extend_from_slice(&piece);
            if body.len() > ANSWER_BYTES_MAX {
                return Err(garbage());
            }
        }
        let answer: Value = serde_json::from_slice(&body).map_err(|_| garbage())?;
        match (answer.get("text").and_then(Value::as_str), answer.get("error")) {
            (Some(text), _) => Ok(text.to_string()),
            (None, Some(error)) => Err(inner_error(error)),
            (None, None) => Err(garbage()),
        }
    }
}

fn garbage() -> ProviderError {
    ProviderError::upstream(
        NAME,
        Kind::Garbage,
        "the transcript is not JSON with a text: is base_url a transcription API?",
    )
}
