//! The caller's end of the wire: samples to messages and messages to samples, in either dialect.

use std::time::Duration;

use bytes::Bytes;
use tokio_tungstenite::tungstenite;

use super::{CallerError, Placement, Wire};
use crate::{
    audio::{Decoder, Encoder, Format, Key, Rate, dtmf},
    privacy::Pii,
    transport::{
        Dialect, Incoming, Message, Outgoing, PeerEvent, Started, TransportError, TwilioClient, VapiClient,
        twilio_client::FromServer,
    },
};

/// How long a key sounds on a line that has no message for it.
const KEY: Duration = Duration::from_millis(120);

/// One end of one call.
#[derive(Debug)]
pub(super) struct Line {
    dialect: End,
    /// Of both directions.
    format: Format,
    encoder: Encoder,
    decoder: Decoder,
    /// Bytes of the frame being sent.
    bytes: Vec<u8>,
    /// Samples of the message just read.
    samples: Vec<i16>,
    /// What the carrier tells when it opens a Twilio stream.
    started: Started,
}

#[derive(Debug)]
enum End {
    Vapi(VapiClient),
    Twilio(Box<TwilioClient>),
}

/// What one message of the agent meant.
#[derive(Debug, PartialEq)]
pub(super) enum FromAgent<'a> {
    /// Sound.
    Audio(&'a [i16]),
    /// To be given back when everything so far has been heard.
    Mark(String),
    /// Drop what is queued.
    Clear,
    /// Vapi's events.
    Event(PeerEvent),
    /// Of no use to a caller.
    Nothing,
}

impl Line {
    pub(super) fn new(placement: &Placement) -> Result<Self, CallerError> {
        let format = placement.format();
        let dialect = match placement.wire {
            Wire::Vapi(format) => End::Vapi(VapiClient::new(format, "")),
            Wire::Twilio => {
                let id = uuid::Uuid::now_v7().simple().to_string();
                End::Twilio(Box::new(TwilioClient::new(&format!("MZ{id}"), &format!("CA{id}"))))
            }
        };
        let started = Started {
            from: placement.from.clone().map(Pii::new),
            token: placement.token.clone().map(Pii::new),
            ..Started::default()
        };
        Ok(Self {
            dialect,
            format,
            encoder: Encoder::new(format)?,
            decoder: Decoder::new(format)?,
            bytes: Vec::new(),
            samples: Vec::new(),
            started,
        })
    }

    pub(super) fn rate(&self) -> Rate {
        self.format.rate
    }

    /// What is sent before any audio.
    pub(super) fn opening(&mut self) -> Vec<tungstenite::Message> {
        match &mut self.dialect {
            End::Vapi(_) => vec![],
            End::Twilio(twilio) => vec![owned(twilio.connected()), owned(twilio.start(&self.started))],
        }
    }

    /// A frame of the caller's, which begins this long after the call did.
    pub(super) fn audio(&mut self, samples: &[i16], at: Duration) -> Option<tungstenite::Message> {
        self.bytes.clear();
        self.encoder.encode(samples, &mut self.bytes);
        match &mut self.dialect {
            End::Vapi(vapi) => vapi.send(Outgoing::Audio(&self.bytes), 0).map(owned),
            End::Twilio(twilio) => Some(owned(twilio.media(&self.bytes, at))),
        }
    }

    /// A key as a message, or, where the dialect has none, as a sound.
    pub(super) fn key(&mut self, key: Key) -> Result<tungstenite::Message, Vec<i16>> {
        match &mut self.dialect {
            End::Vapi(_) => Err(dtmf::tone(key, self.format.rate, KEY)),
            End::Twilio(twilio) => Ok(owned(twilio.key(key))),
        }
    }

    /// A mark that has been reached.
    pub(super) fn mark(&mut self, name: &str) -> Option<tungstenite::Message> {
        match &mut self.dialect {
            End::Vapi(_) => None,
            End::Twilio(twilio) => Some(owned(twilio.mark(name))),
        }
    }

    /// What is said before the socket is closed.
    pub(super) fn goodbye(&mut self) -> Option<tungstenite::Message> {
        match &mut self.dialect {
            End::Vapi(_) => None,
            End::Twilio(twilio) => Some(owned(twilio.stop())),
        }
    }

    /// Reads one message.
    pub(super) fn read<'a>(&'a mut self, message: &'a tungstenite::Message) -> Result<FromAgent<'a>, TransportError> {
        let message = match message {
            tungstenite::Message::Text(text) => Message::Text(text.as_str()),
            tungstenite::Message::Binary(bytes) => Message::Binary(bytes),
            tungstenite::Message::Ping(_)
            | tungstenite::Message::Pong(_)
            | tungstenite::Message::Close(_)
            | tungstenite::Message::Frame(_) => return Ok(FromAgent::Nothing),
        };
        self.samples.clear();
        match &mut self.dialect {
            End::Vapi(vapi) => match vapi.receive(message)? {
                Incoming::Audio { payload, .. } => {
                    self.decoder.decode(payload, &mut self.samples);
                    Ok(FromAgent::Audio(&self.samples))
                }
                Incoming::Event(event) => Ok(FromAgent::Event(event)),
                Incoming::Started(_)
                | Incoming::Key(_)
                | Incoming::Mark(_)
                | Incoming::Control(_)
                | Incoming::Stopped
                | Incoming::Ignored(_) => Ok(FromAgent::Nothing),
            },
            End::Twilio(twilio) => match twilio.receive(message)? {
                FromServer::Audio(payload) => {
                    self.decoder.decode(payload, &mut self.samples);
                    Ok(FromAgent::Audio(&self.samples))
                }
                FromServer::Mark(name) => Ok(FromAgent::Mark(name)),
                FromServer::Clear => Ok(FromAgent::Clear),
            },
        }
    }
}

/// The message as the socket takes it.
fn owned(message: Message<'_>) -> tungstenite::Message {
    match message {
        Message::Text(text) => tungstenite::Message::text(text),
        Message::Binary(bytes) => tungstenite::Message::Binary(Bytes::copy_from_slice(bytes)),
    }
}
