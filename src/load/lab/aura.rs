//! `/v1/speak`: Deepgram's Aura over a WebSocket. Text is collected until `Flush`, spoken, and forgotten at `Clear`.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, stream::SplitStream};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::{
    deepgram::{End, Query, Refusal, Wire, bad},
    journal::Endpoint,
    outbox::Gone,
    server::Socket,
    speech::Voice,
};
use crate::{
    audio::{Codec, Encoder, Format, Rate},
    language::Language,
};

/// Flushes within [`WINDOW`]; more are refused.
const FLUSHES: usize = 20;
const WINDOW: Duration = Duration::from_secs(60);
/// Characters in one text message.
const TEXT_MAX: usize = 2_000;
/// Flushes waiting to be spoken.
const WAITING: usize = 64;

/// One stream.
pub struct Aura {
    /// The voice the model's name asks for.
    voice: Voice,
    model: String,
    format: Format,
    /// What was said since the last flush.
    text: String,
    /// Texts to be spoken, each with the number of its flush.
    waiting: VecDeque<(String, u64)>,
    /// The next number.
    sequence: u64,
    /// When the last flushes were.
    flushes: VecDeque<Instant>,
}

/// A text being spoken.
struct Speaking {
    /// The encoded sound.
    sound: Bytes,
    /// Bytes in a tenth of a second.
    piece: usize,
    /// How many were sent.
    sent: usize,
    /// When the next piece is due.
    due: Instant,
    /// The number of its flush.
    sequence: u64,
}

impl Aura {
    /// Refuses what the vendor refuses.
    pub fn new(query: &Query) -> Result<Self, Refusal> {
        let model = query.get("model").unwrap_or("aura-2-thalia-en");
        let language = match model.rsplit('-').next() {
            Some("it") => Language::Italian,
            Some("en") => Language::English,
            Some(_) | None => return Err(bad(format!("no such model: {model}"))),
        };
        if !model.starts_with("aura-") {
            return Err(bad(format!("no such model: {model}")));
        }
        let codec = match query.get("encoding").unwrap_or("linear16") {
            "linear16" => Codec::Pcm,
            "mulaw" => Codec::Mulaw,
            "alaw" => Codec::Alaw,
            other => return Err(bad(format!("encoding {other} cannot be streamed"))),
        };
        let rate = query.number("sample_rate", 8_000.0..=48_000.0).map_err(bad)?.unwrap_or(24_000.0) as u32;
        if ![8_000, 16_000, 24_000, 32_000, 48_000].contains(&rate) || (codec != Codec::Pcm && rate > 16_000) {
            return Err(bad(format!("sample_rate {rate} does not go with this encoding")));
        }
        let rate = Rate::new(rate).map_err(|error| bad(error.to_string()))?;
        Ok(Self {
            voice: Voice::agent(language),
            model: model.to_string(),
            format: Format { codec, rate },
            text: String::new(),
            waiting: VecDeque::new(),
            sequence: 0,
            flushes: VecDeque::new(),
        })
    }

    /// Serves the stream to its end.
    pub async fn run(mut self, wire: Wire, mut messages: SplitStream<Socket>) -> End {
        let metadata = json!({ "type": "Metadata", "request_id": wire.id, "model_name": self.model,
            "model_version": "lab", "model_uuid": "00000000-0000-4000-8000-000000000002" });
        if wire.outbox.json(&metadata, Duration::ZERO).await.is_err() {
            return End::Left;
        }
        let mut speaking: Option<Speaking> = None;
        let mut closing = false;
        loop {
            if speaking.is_none()
                && let Some((text, sequence)) = self.waiting.pop_front()
            {
                match self.speak(&wire, &text, sequence).await {
                    Some(begun) => speaking = Some(begun),
                    None => {
                        wire.outbox.close(1011, "NET-0000").await;
                        return End::Finished;
                    }
                }
            }
            if closing && speaking.is_none() {
                wire.outbox.close(1000, "").await;
                return End::Finished;
            }
            let due = speaking.as_ref().map(|speaking| speaking.due);
            let done = tokio::select! {
                biased;
                message = messages.next() => match message {
                    Some(Ok(Message::Text(text))) => {
                        let done = self.control(&wire, text.as_str(), &mut speaking).await;
                        closing |= matches!(done, Ok(true));
                        done.map(|_| ())
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(()),
                    Some(Ok(Message::Binary(_))) => {
                        wire.outbox.close(1003, "MESSAGE-0000").await;
                        return End::Finished;
                    }
                    // Left with everything spoken is a proper end; in the middle it is not.
                    Some(Ok(Message::Close(_))) if speaking.is_none() => return End::Finished,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return End::Left,
                },
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    Self::send(&wire, &mut speaking).await
                }
            };
            if done.is_err() {
                return End::Left;
            }
        }
    }

    /// Synthesises a text; its first piece is due after the engine's wait.
    async fn speak(&self, wire: &Wire, text: &str, sequence: u64) -> Option<Speaking> {
        let due = Instant::now() + wire.house.settings.latency.aura.first.sample(&wire.house.dice);
        let mut sound = Vec::new();
        if !text.trim().is_empty() {
            let pcm = wire.house.say(text, &self.voice, self.format.rate).await.ok()?;
            Encoder::new(self.format).ok()?.encode(&pcm, &mut sound);
            wire.house.journal.spoke(Endpoint::Aura, text);
        }
        let bytes = if self.format.codec == Codec::Pcm { 2 } else { 1 };
        let piece = self.format.rate.hz() as usize / 10 * bytes;
        Some(Speaking { sound: sound.into(), piece, sent: 0, due, sequence })
    }

    /// Sends the next piece, or says that it was the last.
    async fn send(wire: &Wire, speaking: &mut Option<Speaking>) -> Result<(), Gone> {
        let Some(now) = speaking.as_mut() else { return Ok(()) };
        if now.sent < now.sound.len() {
            let end = (now.sent + now.piece).min(now.sound.len());
            let piece = now.sound.slice(now.sent..end);
            now.sent = end;
            now.due = Instant::now() + wire.house.settings.latency.aura.next.sample(&wire.house.dice);
            return wire.outbox.message(Message::Binary(piece), Duration::ZERO).await;
        }
        let flushed = json!({ "type": "Flushed", "sequence_id": now.sequence });
        *speaking = None;
        wire.outbox.json(&flushed, Duration::ZERO).await
    }

    /// A text message; true for the last one.
    async fn control(&mut self, wire: &Wire, text: &str, speaking: &mut Option<Speaking>) -> Result<bool, Gone> {
        let value: Value = serde_json::from_str(text).unwrap_or(Value::Null);
        match value["type"].as_str() {
            Some("Speak") => {
                let text = value["text"].as_str().unwrap_or_default();
                if self.text.len() + text.len() > TEXT_MAX {
                    wire.outbox.close(1008, "DATA-0001").await;
                    return Ok(true);
                }
                self.text.push_str(text);
            }
            Some("Flush") => {
                let now = Instant::now();
                while self.flushes.front().is_some_and(|flush| now.duration_since(*flush) > WINDOW) {
                    self.flushes.pop_front();
                }
                if self.flushes.len() >= FLUSHES || self.waiting.len() >= WAITING {
                    let warning = json!({ "type": "Warning", "code": "EXCESSIVE_FLUSH",
                        "description": "More than 20 Flush messages in 60 seconds." });
                    wire.outbox.json(&warning, Duration::ZERO).await?;
                    return Ok(false);
                }
                self.flushes.push_back(now);
                self.waiting.push_back((std::mem::take(&mut self.text), self.sequence));
                self.sequence += 1;
            }
            Some("Clear") => {
                if speaking.take().is_some() {
                    wire.house.journal.count(Endpoint::Aura, |counts| counts.cancelled += 1);
                }
                self.waiting.clear();
                self.text.clear();
                let cleared = json!({ "type": "Cleared", "sequence_id": self.sequence });
                self.sequence += 1;
                wire.outbox.json(&cleared, Duration::ZERO).await?;
            }
            Some("Close") => {
                if !self.text.is_empty() {
                    self.waiting.push_back((std::mem::take(&mut self.text), self.sequence));
                }
                return Ok(true);
            }
            Some(_) | None => {
                wire.outbox.close(1003, "MESSAGE-0000").await;
                return Ok(true);
            }
        }
        Ok(false)
    }
}
