//! Twilio Media Streams, seen from the application that Twilio dials: JSON text messages, audio as base64 mu-law at
//! 8 kHz, `clear` and `mark`.
//!
//! The stream begins with Twilio's `start`, which carries the id every answer must name: before it nothing can be sent.
//! What cannot be read ends the stream before `start` (a stranger) and is ignored and counted after it (one bad message
//! is no reason to drop a caller). Keys come as messages; do not look for their tones in the audio as well.
//!
//! Twilio ends or transfers a call over its REST API only; closing the socket goes on to the next verb of the TwiML.
//!
//! ```
//! use pronto::transport::{Dialect, Incoming, Message, Outgoing, TwilioServer};
//!
//! let mut twilio = TwilioServer::new();
//! let start = r#"{"event":"start","start":{"callSid":"CA1","customParameters":{"tenant":"rossi"}},"streamSid":"MZ1"}"#;
//! let Ok(Incoming::Started(started)) = twilio.receive(Message::Text(start)) else { panic!() };
//! assert_eq!(started.tenant.as_deref(), Some("rossi"));
//! assert_eq!(
//!     twilio.send(Outgoing::Audio(&[0xff; 3]), 0),
//!     Some(Message::Text(r#"{"event":"media","streamSid":"MZ1","media":{"payload":"////"}}"#))
//! );
//! ```

use std::{collections::VecDeque, fmt::Write as _};

use super::{
    Dialect, Incoming, Message, Outgoing, Started, TEXT_BYTES_MAX, TransportError,
    twilio_wire::{Envelope, MediaFormat, Start, Text, decode, quoted, start_over, write_media},
    within,
};
use crate::{
    audio::{Key, Line},
    privacy::Pii,
};

/// The most marks that may be on their way. With so many unanswered no further mark is sent ([`Dialect::send`] answers
/// `None`): a peer that never answers marks must not make us remember them all.
pub const MARKS_MAX: usize = 256;

/// The longest id or parameter of a `start`, in bytes. Twilio's own limit for a parameter is 500 characters with its
/// name.
pub const WORD_BYTES_MAX: usize = 512;

/// The application's side of one Twilio stream.
#[derive(Debug, Default)]
pub struct TwilioServer {
    /// What every message to this stream begins with; `None` before `start`.
    open: Option<Heads>,
    /// Marks we have sent and Twilio has not answered, oldest first. A `clear` does not empty it: Twilio then answers
    /// them all at once, and those answers are reported like any other. Whoever sent the clear knows which it were.
    marks: VecDeque<u32>,
    /// The caller's audio of the last message.
    audio: Vec<u8>,
    /// The message written last.
    text: String,
}

/// The constant beginnings of our messages, with the stream's id in them.
#[derive(Debug)]
struct Heads {
    /// Up to the base64.
    media: String,
    /// Up to the number.
    mark: String,
    /// All of it.
    clear: String,
}

impl TwilioServer {
    /// Before the first message.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many of our marks have not come back.
    pub fn marks(&self) -> usize {
        self.marks.len()
    }

    fn text<'a>(&'a mut self, text: &'a str) -> Result<Incoming<'a>, TransportError> {
        within(text.len(), TEXT_BYTES_MAX)?;
        let started = self.open.is_some();
        let message: Envelope<'a> = match serde_json::from_str(text) {
            Ok(message) => message,
            Err(_) if started => return Ok(Incoming::Ignored("malformed message")),
            Err(_) => {
                return Err(TransportError::Garbage("the first messages must be Twilio's `connected` and `start`"));
            }
        };
        match (message.event.0.as_ref(), started) {
            ("media", true) => Ok(self.media(message)),
            ("dtmf", true) => Ok(key(&message)),
            ("mark", true) => Ok(self.mark(&message)),
            ("media", false) => Err(TransportError::TooEarly("media")),
            ("dtmf", false) => Err(TransportError::TooEarly("a key")),
            ("mark", false) => Err(TransportError::TooEarly("a mark")),
            ("start", false) => self.begin(&message).map(Incoming::Started),
            ("start", true) => Ok(Incoming::Ignored("a second start")),
            ("stop", _) => Ok(Incoming::Stopped),
            ("connected", _) => Ok(Incoming::Ignored("connected")),
            _ => Ok(Incoming::Ignored("unknown event")),
        }
    }

    fn media<'a>(&'a mut self, message: Envelope<'a>) -> Incoming<'a> {
        let Some(media) = message.media else { return Incoming::Ignored("media without a body") };
        // The other track is our own voice: the recogniser must not hear it.
        if media.track.is_some_and(|track| track.0.starts_with("outbound")) {
            return Incoming::Ignored("our own track");
        }
        let Some(payload) = media.payload else { return Incoming::Ignored("media without a payload") };
        if !decode(&payload.0, &mut self.audio) {
            return Incoming::Ignored("a payload that is not base64");
        }
        if self.audio.is_empty() {
            return Incoming::Ignored("empty audio");
        }
        let media_time = media.timestamp.and_then(|timestamp| timestamp.duration());
        Incoming::Audio { payload: &self.audio, media_time, sequence: None }
    }

    fn mark(&mut self, message: &Envelope<'_>) -> Incoming<'static> {
        let name = message.mark.as_ref().and_then(|mark| mark.name.as_ref());
        let Some(mark) = name.and_then(|name| name.0.parse().ok()) else {
            return Incoming::Ignored("a mark that is not ours");
        };
        match self.marks.iter().position(|sent| *sent == mark) {
            // Marks come back in order: one that overtakes others answers them too.
            Some(at) => {
                self.marks.drain(..=at);
                Incoming::Mark(mark)
            }
            None => Incoming::Ignored("a mark that is not ours"),
        }
    }

    fn begin(&mut self, message: &Envelope<'_>) -> Result<Started, TransportError> {
        let body = message.start.ok_or(TransportError::Garbage("`start` has no body"))?;
        let start: Start<'_> = serde_json::from_str(body.get())
            .map_err(|_| TransportError::Garbage("the body of `start` is malformed"))?;
        if let Some(format) = &start.format {
            check_format(format)?;
        }
        let stream = word(start.stream.as_ref().or(message.stream.as_ref()))?
            .ok_or(TransportError::Garbage("`start` has no `streamSid`: answers could not name the stream"))?;
        let call = word(start.call.as_ref())?.unwrap_or_default();
        let own = start.parameters.unwrap_or_default();
        let started = Started {
            call,
            tenant: word(own.tenant.as_ref())?,
            token: word(own.token.as_ref())?.map(Pii::new),
            from: word(own.from.as_ref().or(own.from_number.as_ref()))?.map(Pii::new),
            to: word(own.to.as_ref().or(own.to_number.as_ref()))?.map(Pii::new),
            stream,
        };
        self.open = Some(Heads::new(&started.stream));
        Ok(started)
    }
}

impl Dialect for TwilioServer {
    fn line(&self) -> Line {
        Line::twilio()
    }

    fn receive<'a>(&'a mut self, message: Message<'a>) -> Result<Incoming<'a>, TransportError> {
        match message {
            Message::Text(text) => self.text(text),
            Message::Binary(_) => Err(TransportError::WrongFrame { got: "binary", expected: "text" }),
        }
    }

    fn send<'a>(&'a mut self, outgoing: Outgoing<'_>, _epoch_ms: i64) -> Option<Message<'a>> {
        let heads = self.open.as_ref()?;
        match outgoing {
            Outgoing::Audio([]) | Outgoing::Event(_) | Outgoing::Control(_) => None,
            Outgoing::Audio(audio) => Some(Message::Text(write_media(&mut self.text, &heads.media, audio, "\"}}"))),
            Outgoing::Clear => Some(Message::Text(&heads.clear)),
            Outgoing::Mark(_) if self.marks.len() >= MARKS_MAX => None,
            Outgoing::Mark(mark) => {
                self.marks.push_back(mark);
                start_over(&mut self.text);
                self.text.push_str(&heads.mark);
                let _infallible = write!(self.text, "{mark}\"}}}}");
                Some(Message::Text(&self.text))
            }
        }
    }
}

impl Heads {
    fn new(stream: &str) -> Self {
        let stream = quoted(stream);
        Self {
            media: format!(r#"{{"event":"media","streamSid":{stream},"media":{{"payload":""#),
            mark: format!(r#"{{"event":"mark","streamSid":{stream},"mark":{{"name":""#),
            clear: format!(r#"{{"event":"clear","streamSid":{stream}}}"#),
        }
    }
}

fn key(message: &Envelope<'_>) -> Incoming<'static> {
    let digit = message.dtmf.as_ref().and_then(|dtmf| dtmf.digit.as_ref());
    let mut label = digit.map_or("", |digit| digit.0.as_ref()).chars();
    match (label.next().and_then(Key::new), label.next()) {
        (Some(key), None) => Incoming::Key(key),
        _ => Incoming::Ignored("not a key of a telephone"),
    }
}

fn check_format(format: &MediaFormat<'_>) -> Result<(), TransportError> {
    let is = |field: &Option<Text<'_>>, wanted: &str| {
        field.as_ref().is_none_or(|field| field.0.trim_end_matches(".0").eq_ignore_ascii_case(wanted))
    };
    let wrong = if !is(&format.encoding, "audio/x-mulaw") {
        "mediaFormat.encoding must be audio/x-mulaw"
    } else if !is(&format.rate, "8000") {
        "mediaFormat.sampleRate must be 8000"
    } else if !is(&format.channels, "1") {
        "mediaFormat.channels must be 1"
    } else {
        return Ok(());
    };
    Err(TransportError::Format(wrong.into()))
}

/// A word of a `start`: `None` when it is absent or empty, an error when it is longer than any real one.
fn word(text: Option<&Text<'_>>) -> Result<Option<String>, TransportError> {
    let Some(text) = text.filter(|text| !text.0.is_empty()) else { return Ok(None) };
    within(text.0.len(), WORD_BYTES_MAX)?;
    Ok(Some(text.0.clone().into_owned()))
}
