//! The caller's end of a dialect, for many callers at once: what is said is ready before, what comes is read where it
//! lies.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    frame::{self, Frame, Kind},
    listener::Sound,
    plan::LineKind,
};
use crate::{
    audio::{Codec, CodecError, Decoder, Format, Key, Rate},
    load::chance::Chance,
    privacy::Pii,
    transport::{
        Dialect, Incoming, Message, PeerEvent, Started, TransportError, TwilioClient, VapiClient,
        twilio_client::FromServer,
    },
};

/// What one message of the agent meant.
#[derive(Debug)]
pub(super) enum FromAgent<'a> {
    /// Sound.
    Audio(Sound<'a>),
    /// To be given back when everything so far has been heard.
    Mark(String),
    /// Drop what is queued.
    Clear,
    /// Vapi's events.
    Event(PeerEvent),
    /// Of no use to a caller.
    Nothing,
}

/// One end of one call.
#[derive(Debug)]
pub(super) enum Wire {
    Vapi(Box<Vapi>),
    Twilio(Box<Twilio>),
}

#[derive(Debug)]
pub(super) struct Vapi {
    kind: LineKind,
    client: VapiClient,
    /// Of Opus: at 8 kHz, which is a quarter of the work and enough to hear who speaks.
    decoder: Option<Decoder>,
}

#[derive(Debug)]
pub(super) struct Twilio {
    client: TwilioClient,
    /// What stood before and behind the payload of the last `media`. The next one differs in the payload alone, most
    /// likely, and then it need not be parsed.
    around: Option<(Box<str>, Box<str>)>,
}

impl Wire {
    /// A line that was just opened: what is said first goes out.
    pub(super) fn new(
        kind: LineKind,
        token: Option<String>,
        from: String,
        chance: &mut Chance,
        out: &mut Vec<u8>,
    ) -> Result<Self, CodecError> {
        if kind != LineKind::Twilio {
            let decoder = match kind.format().codec {
                Codec::Opus => Some(Decoder::new(Format { codec: Codec::Opus, rate: Rate::PHONE })?),
                Codec::Pcm | Codec::Mulaw | Codec::Alaw => None,
            };
            return Ok(Self::Vapi(Box::new(Vapi { kind, client: VapiClient::new(kind.format(), ""), decoder })));
        }
        let id = format!("{:016x}{:016x}", chance.roll(), chance.roll());
        let mut client = TwilioClient::new(&format!("MZ{id}"), &format!("CA{id}"));
        say(client.connected(), out);
        say(
            client.start(&Started { token: token.map(Pii::new), from: Some(Pii::new(from)), ..Started::default() }),
            out,
        );
        Ok(Self::Twilio(Box::new(Twilio { client, around: None })))
    }

    /// The rate of the sounds it reads.
    pub(super) fn hz(&self) -> u32 {
        match self {
            Self::Vapi(vapi) if vapi.decoder.is_some() => Rate::PHONE.hz(),
            Self::Vapi(vapi) => vapi.kind.format().rate.hz(),
            Self::Twilio(_) => Rate::PHONE.hz(),
        }
    }

    /// A frame of a [`Track`](super::sounds::Track), which begins this long after the call did.
    pub(super) fn audio(&mut self, ready: &[u8], at: std::time::Duration, out: &mut Vec<u8>) {
        match self {
            Self::Vapi(_) => out.extend_from_slice(ready),
            Self::Twilio(twilio) => {
                let base64 = std::str::from_utf8(ready).expect("base64 is ASCII");
                say(twilio.client.media_encoded(base64, at), out);
            }
        }
    }

    /// A key as a message, where the dialect has one.
    pub(super) fn key(&mut self, key: Key, out: &mut Vec<u8>) {
        if let Self::Twilio(twilio) = self {
            say(twilio.client.key(key), out);
        }
    }

    /// A mark that has been reached.
    pub(super) fn mark(&mut self, name: &str, out: &mut Vec<u8>) {
        if let Self::Twilio(twilio) = self {
            say(twilio.client.mark(name), out);
        }
    }

    /// What is said before the socket is closed.
    pub(super) fn goodbye(&mut self, out: &mut Vec<u8>) {
        if let Self::Twilio(twilio) = self {
            say(twilio.client.stop(), out);
        }
    }

    /// Reads one message; `bytes` and `samples` are memory for what it carries.
    pub(super) fn read<'a>(
        &mut self,
        frame: &Frame<'a>,
        bytes: &'a mut Vec<u8>,
        samples: &'a mut Vec<i16>,
    ) -> Result<FromAgent<'a>, TransportError> {
        match self {
            Self::Vapi(vapi) => vapi.read(frame, samples),
            Self::Twilio(twilio) => twilio.read(frame, bytes),
        }
    }
}

impl Vapi {
    fn read<'a>(&mut self, frame: &Frame<'a>, samples: &'a mut Vec<i16>) -> Result<FromAgent<'a>, TransportError> {
        if frame.kind == Kind::Binary {
            let sound = match (&mut self.decoder, self.kind.format().codec) {
                (Some(decoder), _) => {
                    samples.clear();
                    decoder.decode(frame.payload, samples);
                    Sound::Samples(samples)
                }
                (None, Codec::Pcm) => Sound::Pcm(frame.payload),
                (None, _) => Sound::Mulaw(frame.payload),
            };
            return Ok(FromAgent::Audio(sound));
        }
        let text = text(frame)?;
        Ok(match self.client.receive(Message::Text(text))? {
            Incoming::Event(event) => FromAgent::Event(event),
            Incoming::Started(_)
            | Incoming::Audio { .. }
            | Incoming::Key(_)
            | Incoming::Mark(_)
            | Incoming::Control(_)
            | Incoming::Stopped
            | Incoming::Ignored(_) => FromAgent::Nothing,
        })
    }
}

impl Twilio {
    fn read<'a>(&mut self, frame: &Frame<'a>, bytes: &'a mut Vec<u8>) -> Result<FromAgent<'a>, TransportError> {
        if frame.kind == Kind::Binary {
            return Err(TransportError::WrongFrame { got: "binary", expected: "text" });
        }
        if self.same_again(frame.payload, bytes) {
            return Ok(FromAgent::Audio(Sound::Mulaw(bytes)));
        }
        let text = text(frame)?;
        match self.client.receive(Message::Text(text))? {
            FromServer::Audio(audio) => {
                bytes.clear();
                bytes.extend_from_slice(audio);
                self.around = around(text);
                Ok(FromAgent::Audio(Sound::Mulaw(bytes)))
            }
            FromServer::Mark(name) => Ok(FromAgent::Mark(name)),
            FromServer::Clear => Ok(FromAgent::Clear),
        }
    }

    /// A `media` that differs from the last one in its payload alone. What is base64 ends no string and opens none, so
    /// everything else means what it meant the last time.
    fn same_again(&self, message: &[u8], bytes: &mut Vec<u8>) -> bool {
        let Some((head, tail)) = &self.around else { return false };
        let payload = message.strip_prefix(head.as_bytes()).and_then(|rest| rest.strip_suffix(tail.as_bytes()));
        let Some(payload) = payload else { return false };
        bytes.clear();
        STANDARD.decode_vec(payload, bytes).is_ok()
    }
}

/// What stands around the payload of a message, where there is exactly one place that looks like it.
fn around(text: &str) -> Option<(Box<str>, Box<str>)> {
    const FIELD: &str = "\"payload\":\"";
    let from = text.find(FIELD)? + FIELD.len();
    let to = from + text[from..].find('"')?;
    let once = text.matches("payload").count() == 1 && !text[..to].contains('\\');
    once.then(|| (text[..from].into(), text[to..].into()))
}

fn text<'a>(frame: &Frame<'a>) -> Result<&'a str, TransportError> {
    std::str::from_utf8(frame.payload).map_err(|_| TransportError::Garbage("text that is not UTF-8"))
}

/// Appends a message as a frame.
fn say(message: Message<'_>, out: &mut Vec<u8>) {
    match message {
        Message::Text(text) => frame::write(Kind::Text, text.as_bytes(), out),
        Message::Binary(bytes) => frame::write(Kind::Binary, bytes, out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn twilio() -> (Wire, String) {
        let mut out = vec![];
        let wire = Wire::new(LineKind::Twilio, None, String::new(), &mut Chance::new(1), &mut out).unwrap();
        let said = String::from_utf8_lossy(&out).into_owned();
        let from = said.find("\"MZ").unwrap() + 1;
        (wire, said[from..from + 34].to_owned())
    }

    fn check(wire: &mut Wire, text: &str) -> Option<Vec<i16>> {
        let (mut bytes, mut samples) = (vec![], vec![]);
        let frame = Frame { kind: Kind::Text, payload: text.as_bytes() };
        match wire.read(&frame, &mut bytes, &mut samples) {
            Ok(FromAgent::Audio(sound)) => Some((0..sound.len()).map(|at| sound.sample(at)).collect()),
            Ok(_) | Err(_) => None,
        }
    }

    #[test]
    fn a_media_is_read_the_same_way_fast_and_slow() {
        let (mut wire, id) = twilio();
        let media =
            |payload: &str| format!(r#"{{"event":"media","streamSid":"{id}","media":{{"payload":"{payload}"}}}}"#);
        let first = check(&mut wire, &media("AP8A")).unwrap();
        assert_eq!(first, [-32_124, 0, -32_124]);
        assert!(matches!(&wire, Wire::Twilio(twilio) if twilio.around.is_some()));
        assert_eq!(check(&mut wire, &media("////")), Some(vec![0; 3]));
        assert_eq!(check(&mut wire, &media("")), Some(vec![]));
        // Not base64, another stream, a payload that closes the string, escapes: all read by the parser.
        assert_eq!(check(&mut wire, &media("%%%%")), None);
        assert_eq!(check(&mut wire, &media("AP8A").replace(&id, "MZ0")), None);
        assert_eq!(check(&mut wire, &media(r#"AP8A","x":"1"#)), Some(first.clone()));
        assert_eq!(check(&mut wire, &media(r"AP\u0038A")), Some(first));
        assert_eq!(check(&mut wire, "{}"), None);
    }

    #[test]
    fn the_place_of_a_payload_is_not_guessed() {
        assert!(around(r#"{"payload":"AA","streamSid":"payload"}"#).is_none());
        assert!(around(r#"{"x":"\"payload\":\"AA"}"#).is_none());
        assert!(around(r#"{"media":{"payload" : "AA"}}"#).is_none());
    }
}
