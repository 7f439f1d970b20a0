//! Vapi's WebSocket transport, seen from the platform: a client written for Vapi has dialled us.
//!
//! Binary messages are audio in both directions, mono, in the one format that was negotiated when the call was
//! created, of any length. Text messages are JSON: controls from the client, events to it. There is no `clear` and no
//! `mark`: audio that was sent cannot be taken back, so it must be sent in real time ([`Line::vapi`]).
//!
//! The wire has no word for the beginning either. The stream begins with the connection, and
//! [`start`](Dialect::start) describes it; [`receive`](Dialect::receive) never answers [`Incoming::Started`]. Nothing a
//! client may send ends the stream except a message over the limit: unknown types, unknown fields and broken JSON are
//! [`Incoming::Ignored`].
//!
//! ```
//! use pronto::audio::Format;
//! use pronto::transport::{Control, Dialect, Incoming, Message, Outgoing, Told, VapiServer, vapi::parse_format};
//!
//! let format = parse_format(r#"{"format":"pcm_s16le","container":"raw","sampleRate":16000.0}"#).unwrap();
//! assert_eq!(format, Format::PCM_WIDE);
//!
//! let mut vapi = VapiServer::new(format, "01993a1f-0d43-7aa0-8f5e-2a6f3c9f7b01");
//! let said = vapi.receive(Message::Text(r#"{"type":"end-call"}"#)).unwrap();
//! assert_eq!(said, Incoming::Control(Control::End));
//! assert_eq!(
//!     vapi.send(Outgoing::Event(Told::InProgress), 1_788_251_396_120),
//!     Some(Message::Text(r#"{"type":"status-update","status":"in-progress","timestamp":1788251396120}"#))
//! );
//! ```

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    AUDIO_BYTES_MAX, Control, Dialect, Incoming, KEPT_BYTES_MAX, Message, Outgoing, Started, TEXT_BYTES_MAX,
    TransportError, vapi_control, vapi_events, within,
};
use crate::audio::{Codec, Format, Line, Rate};

pub use super::vapi_words::{Kind, Wanted};

/// The platform's side of one call.
#[derive(Debug)]
pub struct VapiServer {
    /// What audio is in, both ways.
    format: Format,
    /// The call's id: it names the stream too, and its turns.
    call: String,
    /// The events the client asked for.
    wanted: Wanted,
    /// The client has ended the call: what it asks afterwards is dropped.
    ended: bool,
    /// The audio sent last.
    audio: Vec<u8>,
    /// The event sent last.
    text: Vec<u8>,
}

impl VapiServer {
    /// A call whose client has just connected, with Vapi's default choice of events.
    pub fn new(format: Format, call: impl Into<String>) -> Self {
        let (audio, text) = (Vec::new(), Vec::new());
        Self { format, call: call.into(), wanted: Wanted::default(), ended: false, audio, text }
    }

    /// Whether events of this type are sent.
    pub const fn wants(&self, kind: Kind) -> bool {
        self.wanted.has_kind(kind)
    }

    /// Sends only these events (`assistant.clientMessages`).
    pub fn telling(mut self, wanted: Wanted) -> Self {
        self.wanted = wanted;
        self
    }
}

impl Dialect for VapiServer {
    fn line(&self) -> Line {
        Line::vapi(self.format)
    }

    fn start(&self) -> Option<Started> {
        Some(Started { call: self.call.clone(), stream: self.call.clone(), ..Started::default() })
    }

    fn receive<'a>(&'a mut self, message: Message<'a>) -> Result<Incoming<'a>, TransportError> {
        let text = match message {
            Message::Binary(audio) => return heard(audio),
            Message::Text(text) => text,
        };
        within(text.len(), TEXT_BYTES_MAX)?;
        if self.ended {
            return Ok(Incoming::Ignored("a control after the end of the call"));
        }
        Ok(match vapi_control::read(text) {
            Ok(control) => {
                self.ended = control == Control::End;
                Incoming::Control(control)
            }
            Err(why) => Incoming::Ignored(why),
        })
    }

    fn send<'a>(&'a mut self, outgoing: Outgoing<'_>, epoch_ms: i64) -> Option<Message<'a>> {
        match outgoing {
            Outgoing::Audio(audio) => said(&mut self.audio, audio),
            Outgoing::Event(told) if self.wanted.has(&told) => {
                Some(Message::Text(vapi_events::write(&mut self.text, &self.call, &told, epoch_ms)))
            }
            Outgoing::Event(_) | Outgoing::Control(_) | Outgoing::Clear | Outgoing::Mark(_) => None,
        }
    }
}

/// Audio of a binary message, which the server and the client read alike.
pub(super) fn heard(audio: &[u8]) -> Result<Incoming<'_>, TransportError> {
    within(audio.len(), AUDIO_BYTES_MAX)?;
    if audio.is_empty() {
        return Ok(Incoming::Ignored("empty audio"));
    }
    Ok(Incoming::Audio { payload: audio, media_time: None, sequence: None })
}

/// Audio as a binary message, which the server and the client write alike.
pub(super) fn said<'a>(kept: &'a mut Vec<u8>, audio: &[u8]) -> Option<Message<'a>> {
    if audio.is_empty() {
        return None;
    }
    start_over(kept);
    kept.extend_from_slice(audio);
    Some(Message::Binary(kept))
}

/// Empties a buffer, keeping its memory unless one long message made it large.
pub(super) fn start_over(kept: &mut Vec<u8>) {
    kept.clear();
    if kept.capacity() > KEPT_BYTES_MAX {
        kept.shrink_to(KEPT_BYTES_MAX);
    }
}

/// Reads the `audioFormat` of a call's `transport`, as JSON; `null` and absent fields take Vapi's defaults (PCM, 16 kHz;
/// mu-law, 8 kHz). Rates are 8 to 48 kHz, whole numbers written as `16000`, `16000.0` or `"16000"`.
pub fn parse_format(json: &str) -> Result<Format, TransportError> {
    let asked: Option<AudioFormat<'_>> = serde_json::from_str(json)
        .map_err(|_| wrong("audioFormat must be an object with format, container and sampleRate"))?;
    let asked = asked.unwrap_or_default();
    let text = |field: Option<&'_ RawValue>, fix: &str| match field {
        Some(raw) => text(raw).map(|text| Some(text.into_owned())).ok_or_else(|| wrong(fix)),
        None => Ok(None),
    };
    format_of(
        text(asked.format, FORMAT_FIX)?.as_deref(),
        text(asked.container, CONTAINER_FIX)?.as_deref(),
        asked.rate.map(RawValue::get).map(|rate| rate.trim_matches('"')),
    )
}

/// The same from the pairs of a query: `format`, `container`, `sampleRate`. Other pairs are not looked at.
pub fn parse_format_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Format, TransportError> {
    let (mut format, mut container, mut rate) = (None, None, None);
    for (name, value) in pairs {
        match name {
            "format" => format = Some(value),
            "container" => container = Some(value),
            "sampleRate" => rate = Some(value),
            _ => {}
        }
    }
    format_of(format, container, rate)
}

/// The negotiated format, as a client writes it.
#[derive(Default, Deserialize)]
struct AudioFormat<'a> {
    #[serde(borrow, default)]
    format: Option<&'a RawValue>,
    #[serde(borrow, default)]
    container: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "sampleRate")]
    rate: Option<&'a RawValue>,
}

const FORMAT_FIX: &str = "audioFormat.format must be pcm_s16le or mulaw";
const CONTAINER_FIX: &str = "audioFormat.container must be raw";
const RATE_FIX: &str = "audioFormat.sampleRate must be a whole number from 8000 to 48000";

fn format_of(format: Option<&str>, container: Option<&str>, rate: Option<&str>) -> Result<Format, TransportError> {
    let (codec, usual) = match format {
        None | Some("pcm_s16le") => (Codec::Pcm, Rate::WIDE),
        Some("mulaw") => (Codec::Mulaw, Rate::PHONE),
        Some(_) => return Err(wrong(FORMAT_FIX)),
    };
    if container.is_some_and(|container| container != "raw") {
        return Err(wrong(CONTAINER_FIX));
    }
    let Some(rate) = rate else { return Ok(Format { codec, rate: usual }) };
    let hz = rate.parse::<f64>().ok().filter(|hz| hz.fract() == 0.0 && (0.0..1e9).contains(hz));
    let rate = hz.and_then(|hz| Rate::new(hz as u32).ok()).ok_or_else(|| wrong(RATE_FIX))?;
    Ok(Format { codec, rate })
}

fn wrong(fix: &str) -> TransportError {
    TransportError::Format(fix.to_owned())
}

/// Reads one control as it comes in the body of a request to a call's control URL: the same words as on the WebSocket.
/// The error is the reason it means nothing, for a 400.
pub fn parse_control(json: &str) -> Result<Control, &'static str> {
    if json.len() > TEXT_BYTES_MAX { Err("a control over 1 MiB") } else { vapi_control::read(json) }
}

/// A JSON object. A list is none, whatever serde makes of it.
pub(super) fn object<'a, T: Deserialize<'a>>(json: &'a str) -> Option<T> {
    if json.trim_start().starts_with('{') { serde_json::from_str(json).ok() } else { None }
}

/// A JSON string.
pub(super) fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    /// Borrows where it can; a bare `Cow` never does.
    #[derive(Deserialize)]
    struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str::<Borrowed<'_>>(raw.get()).ok().map(|text| text.0)
}

/// Why a call ended, in Vapi's vocabulary: the ones a gateway needs of the 627 strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndedReason {
    /// The caller hung up, or the client closed the socket.
    CustomerEnded,
    /// We said goodbye, or were told to.
    AssistantEnded,
    /// We said one of the end phrases.
    EndPhrase,
    /// The caller was silent for too long.
    Silence,
    /// The call reached its longest duration.
    TooLong,
    /// No audio of the caller ever came.
    NoAudio,
    /// The client never connected.
    NeverConnected,
    /// The client's connection broke and did not come back.
    LineLost,
    /// The carrier's connection broke.
    CarrierLineLost,
    /// The caller was put through.
    Forwarded,
    /// Ended over the REST interface.
    Cancelled,
    /// The process is shutting down.
    Shutdown,
    /// Too many calls at once.
    Crowded,
    /// Engines failed and could not be replaced.
    EnginesFailed,
    /// A bug of ours ended the call.
    Panicked,
    /// What one of our messages about a tool said was the last word.
    AssistantEndedAfterMessage,
    /// The assistant that was named does not exist.
    AssistantNotFound,
    /// The assistant that was named, or that a server named, is not one.
    InvalidAssistant,
    /// Nobody was named to answer.
    NoAssistant,
    /// The server that should have said who answers did not.
    AssistantRequestFailed,
    /// It answered with an error, which the caller heard.
    AssistantRequestError,
    /// It said that the caller is to be put through at once.
    AssistantRequestForwarded,
    /// The call's data was deleted while it ran.
    Deleted,
}

impl EndedReason {
    /// All of them.
    pub const ALL: [Self; 23] = [
        Self::CustomerEnded,
        Self::AssistantEnded,
        Self::EndPhrase,
        Self::Silence,
        Self::TooLong,
        Self::NoAudio,
        Self::NeverConnected,
        Self::LineLost,
        Self::CarrierLineLost,
        Self::Forwarded,
        Self::Cancelled,
        Self::Shutdown,
        Self::Crowded,
        Self::EnginesFailed,
        Self::Panicked,
        Self::AssistantEndedAfterMessage,
        Self::AssistantNotFound,
        Self::InvalidAssistant,
        Self::NoAssistant,
        Self::AssistantRequestFailed,
        Self::AssistantRequestError,
        Self::AssistantRequestForwarded,
        Self::Deleted,
    ];

    /// Vapi's string.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CustomerEnded => "customer-ended-call",
            Self::AssistantEnded => "assistant-ended-call",
            Self::EndPhrase => "assistant-said-end-call-phrase",
            Self::Silence => "silence-timed-out",
            Self::TooLong => "exceeded-max-duration",
            Self::NoAudio => "call.in-progress.error-assistant-did-not-receive-customer-audio",
            Self::NeverConnected => "call.in-progress.error-vapifault-transport-never-connected",
            Self::LineLost => "call.in-progress.error-vapifault-call-started-but-connection-to-transport-missing",
            Self::CarrierLineLost => "phone-call-provider-closed-websocket",
            Self::Forwarded => "assistant-forwarded-call",
            Self::Cancelled => "manually-canceled",
            Self::Shutdown => "worker-shutdown",
            Self::Crowded => "call.start.error-subscription-concurrency-limit-reached",
            Self::EnginesFailed => "call.in-progress.error-pipeline-no-available-llm-model",
            Self::Panicked => "call.in-progress.error-vapifault-worker-died",
            Self::AssistantEndedAfterMessage => "assistant-ended-call-after-message-spoken",
            Self::AssistantNotFound => "assistant-not-found",
            Self::InvalidAssistant => "assistant-request-returned-invalid-assistant",
            Self::NoAssistant => "assistant-request-returned-no-assistant",
            Self::AssistantRequestFailed => "assistant-request-failed",
            Self::AssistantRequestError => "assistant-request-returned-error",
            Self::AssistantRequestForwarded => "assistant-request-returned-forwarding-phone-number",
            Self::Deleted => "call-deleted",
        }
    }
}
