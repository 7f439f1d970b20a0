//! `/v1/listen`: Deepgram's Nova. Partials, finals after a pause, `Finalize`, `UtteranceEnd`.

use std::time::Duration;

use futures_util::{StreamExt, stream::SplitStream};
use hyper::StatusCode;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::{
    deepgram::{End, Query, Refusal, Sound, Wire, bad, language},
    ears::{Guess, Listener, Noticed, Word},
    journal::Endpoint,
    outbox::Gone,
    server::{House, Socket},
};
use crate::language::Language;

/// Without anything for so long the vendor hangs up.
const PATIENCE: Duration = Duration::from_secs(10);
/// Silence is told as an empty final every so many seconds.
const EMPTY_EVERY: f64 = 3.0;
/// Without endpointing a pause this long ends a segment, though not the speech.
const SEGMENT: Duration = Duration::from_millis(1_000);

/// What the query asks for.
#[derive(Debug)]
pub struct Settings {
    /// Spoken in this language.
    pub language: Language,
    /// The model's name.
    model: String,
    /// Partials are wanted.
    interim: bool,
    /// The pause that ends speech; none when it is switched off.
    endpointing: Option<Duration>,
    /// The gap after a word that ends the utterance, in seconds.
    utterance_end: Option<f64>,
    /// `SpeechStarted` is wanted.
    vad_events: bool,
    /// Capitals and full stops.
    format: bool,
}

impl Settings {
    /// Refuses what the vendor refuses.
    pub fn new(house: &House, query: &Query) -> Result<Self, Refusal> {
        let model = query.get("model").unwrap_or_default();
        if !model.starts_with("nova-") {
            return Err((StatusCode::FORBIDDEN, "INSUFFICIENT_PERMISSIONS", format!("no such model: {model}")));
        }
        let interim = query.on("interim_results");
        let utterance_end = query.number("utterance_end_ms", 1_000.0..=5_000.0).map_err(bad)?;
        if utterance_end.is_some() && !interim {
            return Err(bad("utterance_end_ms needs interim_results=true"));
        }
        let endpointing = match query.get("endpointing") {
            Some("false") => None,
            Some(_) => query.number("endpointing", 0.0..=10_000.0).map_err(bad)?.map(|ms| ms as u64),
            None => Some(10),
        };
        Ok(Self {
            language: language(house, query)?,
            model: model.to_string(),
            interim,
            endpointing: endpointing.map(Duration::from_millis),
            utterance_end: utterance_end.map(|ms| ms / 1_000.0),
            vad_events: query.on("vad_events"),
            format: query.on("smart_format") || query.on("punctuate"),
        })
    }
}

/// One stream.
pub struct Nova {
    settings: Settings,
    sound: Sound,
    listener: Listener,
    /// Where the current segment began, in seconds.
    start: f64,
    /// The end of the last word, until its `UtteranceEnd` is told.
    last_word: Option<f64>,
}

impl Nova {
    /// A stream with these settings.
    pub const fn new(settings: Settings, sound: Sound, listener: Listener) -> Self {
        Self { settings, sound, listener, start: 0.0, last_word: None }
    }

    /// Serves the stream to its end.
    pub async fn run(mut self, wire: Wire, mut messages: SplitStream<Socket>) -> End {
        let mut heard_any = false;
        let mut deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let message = match tokio::time::timeout_at(deadline, messages.next()).await {
                Ok(Some(Ok(message))) => message,
                Ok(Some(Err(_)) | None) => return End::Left,
                Err(_) => {
                    wire.outbox.close(1011, "NET-0001").await;
                    return End::Finished;
                }
            };
            // A keep-alive counts only once there was sound.
            if heard_any || message.is_binary() {
                deadline = tokio::time::Instant::now() + PATIENCE;
            }
            let done = match message {
                Message::Binary(bytes) if bytes.is_empty() => self.close(&wire).await,
                Message::Binary(bytes) => {
                    heard_any = true;
                    self.hear(&wire, &bytes).await.map(|()| false)
                }
                Message::Text(text) => self.control(&wire, text.as_str()).await,
                Message::Close(_) => return End::Left,
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Ok(false),
            };
            match done {
                Ok(true) => return End::Finished,
                Ok(false) => {}
                Err(Gone) => return End::Left,
            }
        }
    }

    async fn hear(&mut self, wire: &Wire, bytes: &[u8]) -> Result<(), Gone> {
        let samples = self.sound.samples(bytes);
        let mut noticed = Vec::new();
        // In frames, so that a long message is heard as many short ones would be.
        for piece in samples.chunks(320) {
            self.listener.hear(piece, &mut noticed);
            for noticed in noticed.drain(..) {
                match noticed {
                    Noticed::Started(at) if self.settings.vad_events => {
                        let started = json!({ "type": "SpeechStarted", "channel": [0, 1], "timestamp": at });
                        wire.outbox.json(&started, Duration::ZERO).await?;
                    }
                    Noticed::Partial(guess) if self.settings.interim && !wire.gate.deaf(&wire.house.faults) => {
                        let wait = wire.house.settings.latency.nova.next.sample(&wire.house.dice);
                        self.results(wire, &guess, Kind::Interim, wait).await?;
                    }
                    Noticed::Started(_) | Noticed::Partial(_) => {}
                }
            }
            self.pauses(wire).await?;
        }
        Ok(())
    }

    /// What a pause brings: a final, the end of the utterance, an empty final.
    async fn pauses(&mut self, wire: &Wire) -> Result<(), Gone> {
        let quiet = self.listener.quiet();
        let now = self.listener.heard().as_secs_f64();
        if self.listener.speaking() {
            let ends = self.settings.endpointing.is_some_and(|pause| quiet >= pause.max(MIN_PAUSE));
            if ends || quiet >= SEGMENT {
                self.finish(wire, if ends { Kind::SpeechFinal } else { Kind::Final }).await?;
            }
        } else if now - self.start >= EMPTY_EVERY {
            self.results(wire, &Guess::default(), Kind::Final, Duration::ZERO).await?;
            self.start = now;
        }
        if let (Some(gap), Some(last)) = (self.settings.utterance_end, self.last_word)
            && now >= last + gap
            && !self.listener.speaking()
        {
            self.last_word = None;
            let end = json!({ "type": "UtteranceEnd", "channel": [0, 1], "last_word_end": last });
            // Behind the final it belongs to.
            wire.outbox.json(&end, Duration::ZERO).await?;
        }
        Ok(())
    }

    /// Ends the segment.
    async fn finish(&mut self, wire: &Wire, kind: Kind) -> Result<(), Gone> {
        let guess = self.listener.finish().unwrap_or_default();
        let guess = if wire.gate.deaf(&wire.house.faults) { Guess::default() } else { guess };
        let wait = wire.house.settings.latency.nova.first.sample(&wire.house.dice);
        if let Some(word) = guess.words.last() {
            self.last_word = Some(word.to);
        }
        if !guess.words.is_empty() {
            wire.house.journal.heard(Endpoint::Nova, &guess.text(), guess.confidence);
        }
        self.results(wire, &guess, kind, wait).await?;
        self.start = self.listener.heard().as_secs_f64();
        Ok(())
    }

    async fn control(&mut self, wire: &Wire, text: &str) -> Result<bool, Gone> {
        let value: Value = serde_json::from_str(text).unwrap_or(Value::Null);
        match value["type"].as_str() {
            Some("KeepAlive") => {}
            Some("Finalize") => {
                wire.house.journal.count(Endpoint::Nova, |counts| counts.commits += 1);
                self.finish(wire, Kind::FromFinalize).await?;
            }
            Some("CloseStream") => return self.close(wire).await,
            Some("Configure") => wire.outbox.json(&json!({ "type": "ConfigureSuccess" }), Duration::ZERO).await?,
            Some(_) | None => {
                let error = json!({ "type": "Error", "variant": "SchemaError", "message": text,
                    "description": "Could not deserialize last text message" });
                wire.outbox.json(&error, Duration::ZERO).await?;
            }
        }
        Ok(false)
    }

    /// The last words, the metadata, and the close.
    async fn close(&mut self, wire: &Wire) -> Result<bool, Gone> {
        if self.listener.speaking() {
            self.finish(wire, Kind::Final).await?;
        }
        let metadata = json!({
            "type": "Metadata", "transaction_key": "deprecated", "request_id": wire.id, "sha256": "0".repeat(64),
            "created": jiff::Timestamp::now().to_string(), "duration": self.listener.heard().as_secs_f64(), "channels": 1,
        });
        wire.outbox.json(&metadata, Duration::ZERO).await?;
        wire.outbox.close(1000, "").await;
        Ok(true)
    }

    // `&mut`, because a resampler is not `Sync` and this future moves between threads.
    async fn results(&mut self, wire: &Wire, guess: &Guess, kind: Kind, wait: Duration) -> Result<(), Gone> {
        let (transcript, words) = written(guess, self.settings.format);
        let results = json!({
            "type": "Results", "channel_index": [0, 1], "start": self.start,
            "duration": self.listener.heard().as_secs_f64() - self.start,
            "is_final": kind != Kind::Interim, "speech_final": kind == Kind::SpeechFinal,
            "from_finalize": kind == Kind::FromFinalize,
            "channel": { "alternatives": [
                { "transcript": transcript, "confidence": guess.confidence, "words": words } ] },
            "metadata": { "request_id": wire.id, "model_uuid": "00000000-0000-4000-8000-000000000001",
                "model_info": { "name": self.settings.model, "version": "lab", "arch": "nova" } },
        });
        wire.outbox.json(&results, wait).await
    }
}

/// Whatever the settings say, a pause shorter than this is inside a word.
const MIN_PAUSE: Duration = Duration::from_millis(100);

/// Which `Results` it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Interim,
    Final,
    SpeechFinal,
    FromFinalize,
}

/// The text and the words as the vendor writes them, formatted or not.
pub fn written(guess: &Guess, format: bool) -> (String, Vec<Value>) {
    let last = guess.words.len().saturating_sub(1);
    let mut texts = Vec::new();
    let words = guess
        .words
        .iter()
        .enumerate()
        .map(|(at, Word { text, from, to, confidence })| {
            let bare = text.trim_matches(|letter: char| !letter.is_alphanumeric()).to_lowercase();
            let mut shown = if format { text.clone() } else { bare.clone() };
            if format && at == 0 {
                shown = shown.chars().take(1).flat_map(char::to_uppercase).chain(shown.chars().skip(1)).collect();
            }
            if format && at == last {
                shown = format!("{}.", shown.trim_end_matches([',', '.', ';']));
            }
            texts.push(shown.clone());
            json!({ "word": bare, "start": from, "end": to, "confidence": confidence, "punctuated_word": shown })
        })
        .collect();
    (texts.join(" "), words)
}
