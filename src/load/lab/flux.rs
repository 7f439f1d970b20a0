//! `/v2/listen`: Deepgram's Flux. Turns: start, update, eager end, resumed, end.

use std::time::Duration;

use futures_util::{StreamExt, stream::SplitStream};
use hyper::StatusCode;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::{
    deepgram::{End, Query, Refusal, Sound, Wire, bad, language},
    ears::{Guess, Listener, Noticed},
    journal::Endpoint,
    nova::written,
    outbox::Gone,
    server::{House, Socket},
};
use crate::language::Language;

/// The models.
const MODELS: [&str; 2] = ["flux-general-multi", "flux-general-en"];
/// A pause after which the model begins to guess that the turn is over.
const EAGER: Duration = Duration::from_millis(200);

/// What the query asks for.
#[derive(Debug)]
pub struct Settings {
    /// Spoken in this language.
    pub language: Language,
    /// The pause after which the turn is over; none when only the client ends turns.
    end: Option<Duration>,
    /// Eager ends are wanted.
    eager: bool,
    /// The turn is over after this pause in any case.
    timeout: Duration,
}

impl Settings {
    /// Refuses what the vendor refuses.
    pub fn new(house: &House, query: &Query) -> Result<Self, Refusal> {
        let model = query.get("model").unwrap_or_default();
        if !MODELS.contains(&model) {
            return Err((StatusCode::FORBIDDEN, "INSUFFICIENT_PERMISSIONS", format!("no such model: {model}")));
        }
        let end = query.number("eot_threshold", 0.5..=1.0).map_err(bad)?.unwrap_or(0.7);
        let eager = query.number("eager_eot_threshold", 0.3..=0.9).map_err(bad)?;
        if eager.is_some_and(|eager| eager > end) {
            return Err(bad("eager_eot_threshold must not exceed eot_threshold"));
        }
        let timeout = query.number("eot_timeout_ms", 500.0..=60_000.0).map_err(bad)?.unwrap_or(5_000.0);
        Ok(Self {
            language: if model == MODELS[1] { Language::English } else { language(house, query)? },
            end: pause(end),
            eager: eager.is_some(),
            timeout: Duration::from_millis(timeout as u64),
        })
    }
}

/// The surer the model has to be, the longer the pause it wants: 0.7 is 400 ms, 0.9 is 600 ms, 1.0 is never.
fn pause(threshold: f64) -> Option<Duration> {
    (threshold < 1.0).then(|| Duration::from_millis((200.0 + (threshold - 0.5) * 1_000.0) as u64))
}

/// One stream.
pub struct Flux {
    settings: Settings,
    sound: Sound,
    listener: Listener,
    /// Messages sent so far.
    sequence: u64,
    /// Turns ended so far.
    turn: u64,
    /// When the last turn ended, in seconds.
    start: f64,
    /// `StartOfTurn` was sent for this turn.
    started: bool,
    /// The eager end of this turn was sent and not taken back.
    eager: bool,
}

impl Flux {
    /// A stream with these settings.
    pub const fn new(settings: Settings, sound: Sound, listener: Listener) -> Self {
        Self { settings, sound, listener, sequence: 0, turn: 0, start: 0.0, started: false, eager: false }
    }

    /// Serves the stream to its end.
    pub async fn run(mut self, wire: Wire, mut messages: SplitStream<Socket>) -> End {
        let connected = json!({ "type": "Connected", "request_id": wire.id, "sequence_id": 0 });
        if wire.outbox.json(&connected, Duration::ZERO).await.is_err() {
            return End::Left;
        }
        loop {
            let Some(Ok(message)) = messages.next().await else { return End::Left };
            let done = match message {
                Message::Binary(bytes) => self.hear(&wire, &bytes).await.map(|()| false),
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
        for piece in samples.chunks(320) {
            self.listener.hear(piece, &mut noticed);
            for noticed in noticed.drain(..) {
                match noticed {
                    Noticed::Partial(guess) if !wire.gate.deaf(&wire.house.faults) => {
                        let wait = wire.house.settings.latency.flux.next.sample(&wire.house.dice);
                        let event = if self.started { "Update" } else { "StartOfTurn" };
                        self.started = true;
                        self.info(wire, event, &guess, None, wait).await?;
                    }
                    // A turn starts with its first word.
                    Noticed::Started(_) | Noticed::Partial(_) => {}
                }
            }
            self.pauses(wire).await?;
        }
        Ok(())
    }

    /// What a pause, or its end, brings.
    async fn pauses(&mut self, wire: &Wire) -> Result<(), Gone> {
        if !self.listener.speaking() {
            return Ok(());
        }
        let quiet = self.listener.quiet();
        if self.eager && quiet.is_zero() {
            self.eager = false;
            let guess = self.listener.guess().unwrap_or_default();
            self.info(wire, "TurnResumed", &guess, None, Duration::ZERO).await?;
        }
        if self.settings.end.is_some_and(|pause| quiet >= pause) {
            return self.end(wire, "model").await;
        }
        if quiet >= self.settings.timeout {
            return self.end(wire, "timeout").await;
        }
        if self.settings.eager && !self.eager && quiet >= EAGER && !wire.gate.deaf(&wire.house.faults) {
            let guess = self.listener.guess().unwrap_or_default();
            if !guess.words.is_empty() {
                self.start_first(wire, &guess).await?;
                self.eager = true;
                self.info(wire, "EagerEndOfTurn", &guess, None, Duration::ZERO).await?;
            }
        }
        Ok(())
    }

    /// Ends the turn.
    async fn end(&mut self, wire: &Wire, trigger: &str) -> Result<(), Gone> {
        let guess = self.listener.finish().unwrap_or_default();
        let guess = if wire.gate.deaf(&wire.house.faults) { Guess::default() } else { guess };
        if guess.words.is_empty() && !self.started {
            // A cough.
            return Ok(());
        }
        self.start_first(wire, &guess).await?;
        wire.house.journal.heard(Endpoint::Flux, &guess.text(), guess.confidence);
        let wait = wire.house.settings.latency.flux.first.sample(&wire.house.dice);
        self.info(wire, "EndOfTurn", &guess, Some(trigger), wait).await?;
        self.turn += 1;
        self.start = self.listener.heard().as_secs_f64();
        (self.started, self.eager) = (false, false);
        Ok(())
    }

    /// No turn ends that did not start.
    async fn start_first(&mut self, wire: &Wire, guess: &Guess) -> Result<(), Gone> {
        if !std::mem::replace(&mut self.started, true) {
            self.info(wire, "StartOfTurn", guess, None, Duration::ZERO).await?;
        }
        Ok(())
    }

    async fn control(&mut self, wire: &Wire, text: &str) -> Result<bool, Gone> {
        let value: Value = serde_json::from_str(text).unwrap_or(Value::Null);
        match value["type"].as_str() {
            Some("ForceEndTurn") => {
                wire.house.journal.count(Endpoint::Flux, |counts| counts.commits += 1);
                self.end(wire, "manual").await?;
            }
            Some("Configure") => {
                let thresholds = &value["thresholds"];
                if let Some(end) = thresholds["eot_threshold"].as_f64() {
                    self.settings.end = pause(end);
                }
                if let Some(timeout) = thresholds["eot_timeout_ms"].as_u64() {
                    self.settings.timeout = Duration::from_millis(timeout);
                }
                self.settings.eager |= thresholds["eager_eot_threshold"].is_number();
                self.sequence += 1;
                let success = json!({ "type": "ConfigureSuccess", "sequence_id": self.sequence });
                wire.outbox.json(&success, Duration::ZERO).await?;
            }
            Some("CloseStream") => {
                if self.listener.speaking() {
                    self.end(wire, "manual").await?;
                }
                wire.outbox.close(1000, "").await;
                return Ok(true);
            }
            Some(_) | None => {
                self.sequence += 1;
                let error = json!({ "type": "Error", "sequence_id": self.sequence, "code": "INVALID_MESSAGE",
                    "description": "Could not deserialize last text message" });
                wire.outbox.json(&error, Duration::ZERO).await?;
                wire.outbox.close(1008, "DATA-0000").await;
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn info(
        &mut self,
        wire: &Wire,
        event: &str,
        guess: &Guess,
        trigger: Option<&str>,
        wait: Duration,
    ) -> Result<(), Gone> {
        self.sequence += 1;
        let (transcript, words) = written(guess, event == "EndOfTurn");
        let words: Vec<Value> = words
            .into_iter()
            .map(|word| {
                json!({ "word": word["punctuated_word"], "confidence": word["confidence"],
                                "start": word["start"], "end": word["end"] })
            })
            .collect();
        let mut info = json!({
            "type": "TurnInfo", "request_id": wire.id, "sequence_id": self.sequence, "event": event,
            "turn_index": self.turn, "audio_window_start": self.start,
            "audio_window_end": self.listener.heard().as_secs_f64(), "transcript": transcript, "words": words,
            "end_of_turn_confidence": if event == "EndOfTurn" { 0.86 } else { 0.3 },
            "languages": [self.settings.language.code()], "languages_hinted": [self.settings.language.code()],
        });
        if let Some(trigger) = trigger {
            info["trigger"] = trigger.into();
        }
        wire.outbox.json(&info, wait).await
    }
}
