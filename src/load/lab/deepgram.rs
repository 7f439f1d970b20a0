//! What the Deepgram endpoints have in common: keys, query, errors, and the life of a socket.

use std::sync::Arc;

use futures_util::StreamExt;
use hyper::{StatusCode, header};
use serde_json::json;

use super::{
    aura,
    faults::{Gate, Harm},
    flux,
    journal::Endpoint,
    nova,
    openai::accepted,
    outbox::Outbox,
    server::{self, Ask, Closed, House, Reply, Socket, add, door, json_reply},
};
use crate::{
    audio::{Codec, Decoder, Format, Rate, Resampler},
    language::Language,
};

/// The parameters of a request, decoded, in order.
#[derive(Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads `a=1&b=2`.
    pub fn parse(query: &str) -> Self {
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        });
        Self(pairs.collect())
    }

    /// A parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A switch, off when it is absent.
    pub fn on(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// A number within limits.
    pub fn number(&self, name: &str, limits: std::ops::RangeInclusive<f64>) -> Result<Option<f64>, String> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match text.parse() {
            Ok(number) if limits.contains(&number) => Ok(Some(number)),
            _ => Err(format!("Invalid query parameter {name}: {text}. Use {} to {}.", limits.start(), limits.end())),
        }
    }
}

/// Percent escapes and plus signs undone; a broken escape stays as it is.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = bytes.get(at + 1..at + 3).and_then(|two| std::str::from_utf8(two).ok());
        match (bytes[at], escape.and_then(|two| u8::from_str_radix(two, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
                continue;
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A request that is refused: status, code, sentence.
pub type Refusal = (StatusCode, &'static str, String);

/// A bad parameter.
pub fn bad(message: impl Into<String>) -> Refusal {
    (StatusCode::BAD_REQUEST, "Bad Request", message.into())
}

/// Encoded sound to 16 kHz samples.
pub struct Sound {
    decoder: Decoder,
    resampler: Resampler,
    /// Half a sample that came at the end of a message.
    odd: Option<u8>,
    /// Samples are two bytes.
    pairs: bool,
    narrow: Vec<i16>,
}

impl Sound {
    /// The sound that `encoding` and `sample_rate` announce.
    pub fn new(query: &Query) -> Result<Self, Refusal> {
        let codec = match query.get("encoding") {
            Some("linear16") => Codec::Pcm,
            Some("mulaw") => Codec::Mulaw,
            Some("alaw") => Codec::Alaw,
            Some(other) => return Err(bad(format!("the lab does not decode encoding={other}"))),
            None => return Err(bad("raw audio needs encoding and sample_rate; the lab reads no containers")),
        };
        let rate = query.number("sample_rate", 8_000.0..=48_000.0).map_err(bad)?;
        let rate = rate.and_then(|rate| Rate::new(rate as u32).ok());
        let Some(rate) = rate else { return Err(bad("sample_rate is required with encoding")) };
        let decoder = Decoder::new(Format { codec, rate }).map_err(|error| bad(error.to_string()))?;
        let resampler = Resampler::new(rate, Rate::WIDE);
        Ok(Self { decoder, resampler, odd: None, pairs: codec == Codec::Pcm, narrow: Vec::new() })
    }

    /// The samples of a message.
    pub fn samples(&mut self, bytes: &[u8]) -> Vec<i16> {
        let mut whole = Vec::with_capacity(bytes.len() + 1);
        whole.extend(self.odd.take());
        whole.extend_from_slice(bytes);
        if self.pairs && whole.len() % 2 == 1 {
            self.odd = whole.pop();
        }
        self.narrow.clear();
        self.decoder.decode(&whole, &mut self.narrow);
        let mut wide = Vec::with_capacity(self.narrow.len() * 2);
        self.resampler.process(&self.narrow, &mut wide);
        wide
    }
}

/// The language of a stream; `multi` is what the hint says.
pub fn language(house: &House, query: &Query) -> Result<Language, Refusal> {
    let asked = match query.get("language") {
        Some("multi") | None => query.get("language_hint"),
        asked => asked,
    };
    match asked {
        None => Ok(house.settings.language),
        Some(code) if code == "it" || code.starts_with("it-") => Ok(Language::Italian),
        Some(code) if code == "en" || code.starts_with("en-") => Ok(Language::English),
        Some(code) => Err(bad(format!("the lab does not hear language={code}"))),
    }
}

/// Upgrades a request for one of the endpoints, unless something is wrong with it.
pub async fn upgrade(house: Arc<House>, endpoint: Endpoint, request: Ask) -> Result<Reply, Closed> {
    let harm = door(&house, endpoint).await?;
    let id = house.uuid();
    if let Some(Harm::Status { status, retry_after, .. }) = &harm {
        let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let code = match status.as_u16() {
            401 => "INVALID_AUTH",
            402 => "ASR_PAYMENT_REQUIRED",
            429 => "TOO_MANY_REQUESTS",
            _ => "INTERNAL_SERVER_ERROR",
        };
        let mut reply = error(&id, status, code, "The lab was told to fail.");
        if let Some(retry) = retry_after {
            add(&mut reply, "retry-after", retry);
        }
        return Ok(reply);
    }
    match prepare(&house, endpoint, &request).await {
        Ok(engine) => {
            house.journal.count(endpoint, |counts| counts.requests += 1);
            let keep = house.clone();
            let request_id = id.clone();
            let mut reply = server::upgrade(&house, request, move |socket| async move {
                serve(keep, endpoint, harm, engine, request_id, socket).await;
            });
            add(&mut reply, "dg-request-id", &id);
            Ok(reply)
        }
        Err((status, code, message)) => {
            house.journal.count(endpoint, |counts| counts.refused += 1);
            Ok(error(&id, status, code, &message))
        }
    }
}

/// The engine behind a socket.
enum Engine {
    Nova(Box<nova::Nova>),
    Flux(Box<flux::Flux>),
    Aura(aura::Aura),
}

async fn prepare(house: &Arc<House>, endpoint: Endpoint, request: &Ask) -> Result<Engine, Refusal> {
    authorized(house, request)?;
    let query = Query::parse(request.uri().query().unwrap_or_default());
    let failed = |_| (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_SERVER_ERROR", "the ears failed".to_string());
    Ok(match endpoint {
        Endpoint::Flux => {
            let settings = flux::Settings::new(house, &query)?;
            let listener = house.ears.listen(settings.language).await.map_err(failed)?;
            Engine::Flux(Box::new(flux::Flux::new(settings, Sound::new(&query)?, listener)))
        }
        Endpoint::Aura => Engine::Aura(aura::Aura::new(&query)?),
        Endpoint::Nova | Endpoint::Chat | Endpoint::Transcriptions | Endpoint::Speech | Endpoint::Models => {
            let settings = nova::Settings::new(house, &query)?;
            let listener = house.ears.listen(settings.language).await.map_err(failed)?;
            Engine::Nova(Box::new(nova::Nova::new(settings, Sound::new(&query)?, listener)))
        }
    })
}

/// How a conversation on a socket ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As the protocol wants it; what is still to be sent is sent.
    Finished,
    /// The client just left.
    Left,
}

/// Serves one socket to its end.
async fn serve(house: Arc<House>, endpoint: Endpoint, harm: Option<Harm>, engine: Engine, id: String, socket: Socket) {
    let open = house.journal.stream(endpoint);
    let gate = Gate::new(endpoint, harm.clone());
    let (sink, messages) = socket.split();
    let (outbox, writing) = Outbox::open(house.clone(), endpoint, harm, sink);
    tokio::pin!(writing);
    let wire = Wire { house, outbox, gate, id };
    let reading = async move {
        match engine {
            Engine::Nova(nova) => nova.run(wire, messages).await,
            Engine::Flux(flux) => flux.run(wire, messages).await,
            Engine::Aura(aura) => aura.run(wire, messages).await,
        }
    };
    tokio::select! {
        // A fault, or a close of ours.
        () = &mut writing => open.finished(),
        end = reading => {
            if end == End::Finished {
                writing.await;
                open.finished();
            }
        }
    }
}

/// What an engine needs of its connection.
pub struct Wire {
    /// The lab.
    pub house: Arc<House>,
    /// Where answers go.
    pub outbox: Outbox,
    /// Only asked whether the engine is deaf: the outbox has its own.
    pub gate: Gate,
    /// The request's id.
    pub id: String,
}

fn authorized(house: &House, request: &Ask) -> Result<(), Refusal> {
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let header = text(header::AUTHORIZATION);
    let key = header.and_then(|header| header.strip_prefix("Token ").or_else(|| header.strip_prefix("Bearer ")));
    let offered = text(header::SEC_WEBSOCKET_PROTOCOL).and_then(|offered| offered.strip_prefix("token,"));
    match key.or(offered).map(str::trim) {
        Some(key) if accepted(house, key) => Ok(()),
        Some(_) | None => Err((StatusCode::UNAUTHORIZED, "INVALID_AUTH", "Invalid credentials.".to_string())),
    }
}

/// An error before the upgrade.
fn error(id: &str, status: StatusCode, code: &str, message: &str) -> Reply {
    let mut reply = json_reply(status, &json!({ "err_code": code, "err_msg": message, "request_id": id }));
    add(&mut reply, "dg-error", message);
    add(&mut reply, "dg-request-id", id);
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_decoded() {
        let query = Query::parse("model=nova-3&keyterm=cambio%20olio&keyterm=a+b&x=%zz&interim_results=True&n=5");
        assert_eq!(query.get("keyterm"), Some("cambio olio"));
        assert_eq!(query.get("x"), Some("%zz"));
        assert!(query.on("interim_results") && !query.on("vad_events"));
        assert_eq!(query.number("n", 1.0..=9.0), Ok(Some(5.0)));
        assert!(query.number("n", 6.0..=9.0).is_err());
    }

    #[test]
    fn a_sample_cut_in_two_by_messages_is_whole_again() {
        let mut sound = Sound::new(&Query::parse("encoding=linear16&sample_rate=16000")).ok().unwrap();
        let mut samples = sound.samples(&[1]);
        samples.extend(sound.samples(&[2, 3]));
        samples.extend(sound.samples(&[4]));
        assert_eq!(samples, [0x0201, 0x0403]);
    }
}
