//! The wire dialects of a connection that carries a caller's audio: bytes and text frames in, [`Incoming`] out; and
//! [`Outgoing`] in, frames out. Pure: a dialect owns no socket and reads no clock.
//!
//! A dialect never decides anything about the conversation, never closes for something it does not understand, and
//! never keeps audio: what comes in goes out in the same call.

use std::time::Duration;

use crate::{
    audio::{Key, Line},
    privacy::Pii,
};

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
    /// The whole conversation: role and text.
    Conversation(&'a [(&'a str, String)]),
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
    /// The answer is late.
    Late,
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

/// What every dialect does. The gateway holds one in an enum; embedders may write their own.
pub trait Dialect {
    /// What this line carries and can do.
    fn line(&self) -> Line;

    /// Reads one message.
    fn receive<'a>(&'a mut self, message: Message<'a>) -> Result<Incoming<'a>, TransportError>;

    /// Writes one message; `None` where the dialect has no word for it. `epoch_ms` is the wall clock, for dialects
    /// that stamp their events.
    fn send<'a>(&'a mut self, outgoing: Outgoing<'_>, epoch_ms: i64) -> Option<Message<'a>>;
}
