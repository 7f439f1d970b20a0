//! Vapi's WebSocket transport, seen from the client: we have dialled a `websocketCallUrl`, of Vapi or of a gateway that
//! speaks its words.
//!
//! The caller's audio goes out as binary messages, without a pause (silence when there is nothing), the assistant's
//! comes in the same way, with no promise of the length of a message. Events come as text; controls go as text.
//! [`start`](Dialect::start) says that audio may flow at once: the platform waits for it before it says anything.

use super::{
    Dialect, Incoming, Message, Outgoing, Started, TEXT_BYTES_MAX, TransportError,
    vapi::{heard, said},
    vapi_control, vapi_events, within,
};
use crate::audio::{Format, Line};

/// The client's side of one call.
#[derive(Debug)]
pub struct VapiClient {
    /// What audio is in, both ways.
    format: Format,
    /// The platform's id of the call.
    call: String,
    /// The audio sent last.
    audio: Vec<u8>,
    /// The control sent last.
    text: String,
}

impl VapiClient {
    /// A connection to a call that was created with this format.
    pub fn new(format: Format, call: impl Into<String>) -> Self {
        Self { format, call: call.into(), audio: Vec::new(), text: String::new() }
    }
}

impl Dialect for VapiClient {
    fn line(&self) -> Line {
        Line::vapi(self.format)
    }

    fn start(&self) -> Option<Started> {
        Some(Started { call: self.call.clone(), stream: self.call.clone(), ..Started::default() })
    }

    fn receive<'a>(&'a mut self, message: Message<'a>) -> Result<Incoming<'a>, TransportError> {
        match message {
            Message::Binary(audio) => heard(audio),
            Message::Text(text) => within(text.len(), TEXT_BYTES_MAX).map(|()| vapi_events::read(text)),
        }
    }

    fn send<'a>(&'a mut self, outgoing: Outgoing<'_>, _epoch_ms: i64) -> Option<Message<'a>> {
        match outgoing {
            Outgoing::Audio(audio) => said(&mut self.audio, audio),
            Outgoing::Control(control) => {
                self.text = vapi_control::write(control);
                Some(Message::Text(&self.text))
            }
            Outgoing::Event(_) | Outgoing::Clear | Outgoing::Mark(_) => None,
        }
    }
}
