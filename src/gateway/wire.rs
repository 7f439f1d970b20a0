//! A socket and the dialect spoken on it: what the call says, as messages of the peer.

use tokio::net::TcpStream;

use super::{
    clock,
    socket::{Fault, Socket},
};
use crate::{
    call::Turn,
    transport::{
        Dialect, Outgoing, Told, Transport,
        vapi::{EndedReason, Kind},
    },
};

/// One connection of a peer whose dialect we know.
#[derive(Debug)]
pub(super) struct Wire {
    /// The connection.
    pub(super) socket: Socket<TcpStream>,
    /// How it is spoken.
    pub(super) transport: Transport,
    /// The peer's program knows that the call is over.
    over: bool,
}

impl Wire {
    pub(super) const fn new(socket: Socket<TcpStream>, transport: Transport) -> Self {
        Self { socket, transport, over: false }
    }

    /// Sends a frame of our voice.
    pub(super) fn audio(&mut self, turn: Option<Turn>, bytes: &[u8]) -> Result<(), Fault> {
        match self.transport.send(Outgoing::Audio(bytes), 0) {
            Some(message) => self.socket.audio(turn, message),
            None => Ok(()),
        }
    }

    /// Asks to be told when everything before this has been heard.
    pub(super) fn mark(&mut self, mark: u32) -> Result<(), Fault> {
        match self.transport.send(Outgoing::Mark(mark), 0) {
            Some(message) => self.socket.audio(None, message),
            None => Ok(()),
        }
    }

    /// Makes the peer drop what it has not played.
    pub(super) fn clear(&mut self) {
        if let Some(message) = self.transport.send(Outgoing::Clear, 0) {
            self.socket.control(message);
        }
    }

    /// Tells the peer's program; nothing more once it knows that the call is over.
    pub(super) fn tell(&mut self, told: Told<'_>) {
        if self.over {
            return;
        }
        self.over |= matches!(told, Told::Ended { .. });
        if let Some(message) = self.transport.send(Outgoing::Event(told), clock::epoch_ms()) {
            self.socket.control(message);
        }
    }

    /// Tells the peer's program that the call is over, unless it knows.
    pub(super) fn ended(&mut self, reason: EndedReason) {
        self.tell(Told::Ended { reason: reason.as_str() });
    }

    /// Whether the dialect has words for events at all.
    pub(super) const fn tells(&self) -> bool {
        matches!(self.transport, Transport::Vapi(_))
    }

    /// Whether the peer's program is told of this.
    pub(super) const fn wants(&self, kind: Kind) -> bool {
        match &self.transport {
            Transport::Vapi(server) => server.wants(kind),
            Transport::VapiClient(_) | Transport::Twilio(_) => false,
        }
    }

    /// Whether a peer of this dialect dials again when its connection breaks. A carrier's stream does not come back.
    pub(super) const fn comes_back(&self) -> bool {
        matches!(self.transport, Transport::Vapi(_))
    }

    /// The name of the dialect, for logs and labels.
    pub(super) const fn name(&self) -> &'static str {
        match self.transport {
            Transport::Vapi(_) => "vapi",
            Transport::VapiClient(_) => "vapi_client",
            Transport::Twilio(_) => "twilio",
        }
    }
}
