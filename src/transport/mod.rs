//! The wire dialects of a connection that carries a caller's audio: bytes and text frames in, [`Incoming`] out; and
//! [`Outgoing`] in, frames out. Pure: a dialect owns no socket and reads no clock.
//!
//! A dialect never decides anything about the conversation, never closes for something it does not understand, and
//! never keeps audio: what comes in goes out in the same call, odd lengths included.
//!
//! | dialect | who speaks it | we are |
//! |---|---|---|
//! | [`VapiServer`] | a client written for Vapi's WebSocket transport | the platform it dials |
//! | [`VapiClient`] | Vapi, at a `websocketCallUrl` | the client that dials |
//! | [`TwilioServer`] | Twilio Media Streams | the application it dials |
//! | [`TwilioClient`] | the same, from the other end | the carrier: simulated callers and tests |
//!
//! What stands around a stream before it opens is here too: [`twilio_signature`] tells whether a request is Twilio's,
//! [`twiml`] writes the answer that makes it open a stream, [`vapi::parse_format`] reads the format a Vapi client asks
//! for.

pub mod twilio;
pub mod twilio_client;
pub mod twilio_signature;
mod twilio_wire;
pub mod twiml;
pub mod vapi;
pub mod vapi_client;
mod vapi_control;
mod vapi_events;
mod vapi_words;

#[cfg(feature = "fuzz")]
pub mod fuzz;

pub use twilio::TwilioServer;
pub use twilio_client::TwilioClient;
pub use vapi::VapiServer;
pub use vapi_client::VapiClient;

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, value::RawValue};

use crate::{
    audio::{Key, Line},
    privacy::Pii,
};

/// The longest text message a dialect reads. A longer one is [`TransportError::TooLong`]: close with 1009.
pub const TEXT_BYTES_MAX: usize = 1 << 20;

/// The longest audio message a dialect reads: a whole recording in one message is legal on Vapi's wire. A longer one is
/// [`TransportError::TooLong`]: close with 1009.
pub const AUDIO_BYTES_MAX: usize = 4 << 20;

/// How much memory a stream keeps between messages; what one long message needed beyond it is given back.
const KEPT_BYTES_MAX: usize = 64 << 10;

/// One WebSocket message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "fuzz", derive(arbitrary::Arbitrary))]
pub enum Message<'a> {
    /// A text frame.
    Text(&'a str),
    /// A binary frame.
    Binary(&'a [u8]),
}

/// What one message of the peer meant.
#[derive(Debug, Clone, PartialEq)]
pub enum Incoming<'a> {
    /// The peer described the stream: the call may begin.
    Started(Started),
    /// A piece of the caller's audio, in the line's format.
    Audio {
        /// The bytes.
        payload: &'a [u8],
        /// Where they begin on the peer's media clock, where the wire tells.
        media_time: Option<Duration>,
        /// The wire's sequence number, where packets may be reordered.
        sequence: Option<u32>,
    },
    /// The caller pressed a key.
    Key(Key),
    /// The peer played, or after a clear dropped, everything up to our mark of this number.
    Mark(u32),
    /// The peer asks something of the call.
    Control(Control),
    /// The peer ends the call.
    Stopped,
    /// An event of the peer's platform, in the client role (we dialled): status, transcripts, ...
    Event(PeerEvent),
    /// Nothing to do: unknown or harmless. Counted by reason.
    Ignored(&'static str),
}

/// How a peer describes the stream it opens.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Started {
    /// The peer's id of the call.
    pub call: String,
    /// The peer's id of the stream; answers carry it.
    pub stream: String,
    /// The tenant it names, where it does.
    pub tenant: Option<String>,
    /// The token it shows, where the dialect carries one inside the stream.
    pub token: Option<Pii<String>>,
    /// The caller's number.
    pub from: Option<Pii<String>>,
    /// The number that was called.
    pub to: Option<Pii<String>>,
}

/// What a peer asks of the call. The gateway hands it on to the call.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "fuzz", derive(arbitrary::Arbitrary))]
pub enum Control {
    /// Speak a text without the model.
    Say {
        /// The text.
        text: String,
        /// Cut what is being said.
        now: bool,
        /// The caller may interrupt it.
        interruptible: bool,
        /// End the call when it has been heard.
        then_end: bool,
    },
    /// Add to the history.
    AddMessage {
        /// `system`, `user`, `assistant`, ...
        role: String,
        /// The text.
        text: String,
        /// Ask the model to react.
        respond: bool,
    },
    /// Stop or resume sending our voice.
    MuteAgent(bool),
    /// Stop or resume hearing the caller.
    MuteCaller(bool),
    /// Speak the first message now.
    SayFirstMessage,
    /// Put the caller through.
    Transfer {
        /// Number or address.
        to: String,
        /// What to say first.
        say: Option<String>,
    },
    /// End the call.
    End,
}

/// An event of the platform we dialled.
#[derive(Debug, Clone, PartialEq)]
pub enum PeerEvent {
    /// The call is live, or over with this reason.
    Status {
        /// `in-progress`, `ended`, ...
        status: String,
        /// Why it ended.
        reason: Option<String>,
    },
    /// Words of either side.
    Transcript {
        /// `user` or `assistant`.
        ours: bool,
        /// Will not change any more.
        last: bool,
        /// The text.
        text: String,
    },
    /// Either side began or stopped speaking. `ours` is the side of the platform's assistant.
    Speech {
        /// The assistant's side.
        assistant: bool,
        /// Began, or stopped.
        started: bool,
    },
    /// The platform's assistant was interrupted.
    Interrupted,
    /// The caller is to be put through.
    Transfer {
        /// Number or address.
        to: String,
    },
}

/// What we send.
#[derive(Debug, Clone, PartialEq)]
pub enum Outgoing<'a> {
    /// Encoded audio, in the line's format.
    Audio(&'a [u8]),
    /// Drop what you have not played.
    Clear,
    /// Tell when you have played everything so far.
    Mark(u32),
    /// An event for the peer, as JSON where the dialect has such events.
    Event(Told<'a>),
    /// What we ask of the platform we dialled, in the client role.
    Control(&'a Control),
}

/// An event in the words of the wire; the gateway translates the call's events into these.
#[derive(Debug, Clone, PartialEq)]
pub enum Told<'a> {
    /// The call is live.
    InProgress,
    /// The call is over.
    Ended {
        /// The reason in the dialect's own vocabulary.
        reason: &'a str,
    },
    /// Either side began (`true`) or stopped speaking.
    Speech {
        /// The agent's side.
        agent: bool,
        /// Began, or stopped.
        started: bool,
        /// The turn, from 0.
        turn: u32,
    },
    /// Words of either side.
    Transcript {
        /// The agent's side.
        agent: bool,
        /// Will not change any more.
        last: bool,
        /// The text.
        text: &'a str,
    },
    /// The whole conversation.
    Conversation {
        /// As a model reads it: a list of `{role, content}`.
        formatted: Json<'a>,
        /// In Vapi's form, with times, where they are known.
        messages: Option<Json<'a>>,
    },
    /// This assistant answers.
    AssistantStarted {
        /// As it may be shown.
        assistant: &'a Map<String, Value>,
    },
    /// Words of the model.
    ModelOutput {
        /// The words.
        text: &'a str,
        /// The turn.
        turn: u32,
    },
    /// A sentence given to the voice.
    VoiceInput {
        /// The sentence.
        text: &'a str,
        /// The turn.
        turn: u32,
    },
    /// The caller cut in.
    Interrupted {
        /// The turn that was cut.
        turn: u32,
    },
    /// The model asked for a tool.
    ToolCall {
        /// The model's id.
        id: &'a str,
        /// The tool.
        name: &'a str,
        /// JSON arguments.
        arguments: &'a str,
    },
    /// A tool answered.
    ToolResult {
        /// The model's id.
        id: &'a str,
        /// The tool.
        name: &'a str,
        /// What the model reads.
        result: &'a str,
    },
    /// The caller is put through.
    Transfer {
        /// Number or address.
        to: &'a str,
    },
    /// The answer is late.
    Late,
}

/// JSON that whoever tells has written already: its form is known on a floor above.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(transparent)]
pub struct Json<'a>(&'a RawValue);

impl<'a> Json<'a> {
    /// This.
    pub const fn new(written: &'a RawValue) -> Self {
        Self(written)
    }
}

impl PartialEq for Json<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

/// A message of the peer that breaks its dialect in a way that must end the stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// Text where the dialect has only binary, or the reverse.
    #[error("a {got} frame where this dialect sends only {expected}: check the client's transport")]
    WrongFrame {
        /// What came.
        got: &'static str,
        /// What should have.
        expected: &'static str,
    },
    /// A message that cannot be read.
    #[error("message not understood: {0}")]
    Garbage(&'static str),
    /// Something before the stream was described.
    #[error("{0} before the stream was started")]
    TooEarly(&'static str),
    /// A format that the line cannot carry.
    #[error("format not supported: {0}")]
    Format(String),
    /// A message over the limit.
    #[error("a message of {bytes} bytes: the most is {max}")]
    TooLong {
        /// How long it was.
        bytes: usize,
        /// How long it may be.
        max: usize,
    },
}

/// What every dialect does. The gateway holds one in a [`Transport`]; embedders may write their own.
pub trait Dialect {
    /// What this line carries and can do.
    fn line(&self) -> Line;

    /// How the stream began, where it begins with the connection: the wire has no word for it, everything was said
    /// before (Vapi). `None` where the peer describes the stream itself, as [`Incoming::Started`] (Twilio).
    fn start(&self) -> Option<Started> {
        None
    }

    /// Reads one message.
    fn receive<'a>(&'a mut self, message: Message<'a>) -> Result<Incoming<'a>, TransportError>;

    /// Writes one message; `None` where the dialect has no word for it. `epoch_ms` is the wall clock, for dialects
    /// that stamp their events.
    fn send<'a>(&'a mut self, outgoing: Outgoing<'_>, epoch_ms: i64) -> Option<Message<'a>>;
}

/// Any of the dialects: what a connection of the gateway holds. An enum, because it is asked fifty times a second.
#[derive(Debug)]
pub enum Transport {
    /// A client written for Vapi has dialled us.
    Vapi(VapiServer),
    /// We have dialled Vapi.
    VapiClient(VapiClient),
    /// Twilio has dialled us.
    Twilio(TwilioServer),
}

impl Dialect for Transport {
    fn line(&self) -> Line {
        match self {
            Self::Vapi(dialect) => dialect.line(),
            Self::VapiClient(dialect) => dialect.line(),
            Self::Twilio(dialect) => dialect.line(),
        }
    }

    fn start(&self) -> Option<Started> {
        match self {
            Self::Vapi(dialect) => dialect.start(),
            Self::VapiClient(dialect) => dialect.start(),
            Self::Twilio(dialect) => dialect.start(),
        }
    }

    fn receive<'a>(&'a mut self, message: Message<'a>) -> Result<Incoming<'a>, TransportError> {
        match self {
            Self::Vapi(dialect) => dialect.receive(message),
            Self::VapiClient(dialect) => dialect.receive(message),
            Self::Twilio(dialect) => dialect.receive(message),
        }
    }

    fn send<'a>(&'a mut self, outgoing: Outgoing<'_>, epoch_ms: i64) -> Option<Message<'a>> {
        match self {
            Self::Vapi(dialect) => dialect.send(outgoing, epoch_ms),
            Self::VapiClient(dialect) => dialect.send(outgoing, epoch_ms),
            Self::Twilio(dialect) => dialect.send(outgoing, epoch_ms),
        }
    }
}

impl From<VapiServer> for Transport {
    fn from(dialect: VapiServer) -> Self {
        Self::Vapi(dialect)
    }
}

impl From<VapiClient> for Transport {
    fn from(dialect: VapiClient) -> Self {
        Self::VapiClient(dialect)
    }
}

impl From<TwilioServer> for Transport {
    fn from(dialect: TwilioServer) -> Self {
        Self::Twilio(dialect)
    }
}

/// Refuses a message over the limit.
fn within(bytes: usize, max: usize) -> Result<(), TransportError> {
    if bytes > max { Err(TransportError::TooLong { bytes, max }) } else { Ok(()) }
}
