//! Everything that can happen to a call.

use std::time::Duration;

use super::{ClauseId, LlmEvent, SttEvent, TtsEvent, Turn};
use crate::audio::Key;

/// One thing that happened.
///
/// Inputs of providers carry the turn they were asked in; late ones are counted and dropped in
/// [`Call::handle`](super::Call::handle) and nowhere else.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "fuzz", derive(arbitrary::Arbitrary))]
pub enum Input<'a> {
    /// The line is open: greet. Comes once, first.
    Answered,
    /// Audio of the caller, in the line's format. Stamp it when the bytes arrive.
    Audio(AudioIn<'a>),
    /// A key reported by the transport (keys in the sound are heard by the call itself).
    Key(Key),
    /// The peer has played (or, after a clear, dropped) everything up to this mark of ours.
    Mark(u32),
    /// The recogniser heard something.
    Stt(SttEvent),
    /// The recogniser failed. What it had not said yet of the present utterance is lost.
    SttFailed {
        /// How.
        why: Failed,
        /// Another one takes over: no reason to tell the caller.
        restarts: bool,
    },
    /// The model said something.
    Llm(Turn, LlmEvent),
    /// The model failed, and every fallback with it.
    LlmFailed(Turn, Failed),
    /// The voice said something.
    Tts(Turn, ClauseId, TtsEvent),
    /// The voice failed, and every fallback with it.
    TtsFailed(Turn, ClauseId, Failed),
    /// A tool has its outcome. Not tied to a turn: tools belong to the tenant.
    ToolDone(u32, Outcome),
    /// Somebody with the right to (the peer, a live control) asks for something.
    Control(Control),
    /// The transport is gone, and may come back.
    LineLost,
    /// It is back: the peer has nothing of what was sent before.
    LineBack,
    /// The transport is gone for good.
    Closed {
        /// The peer said goodbye (close frame, `stop`); otherwise the line broke.
        clean: bool,
    },
    /// The process is shutting down: say so and close within this time.
    Shutdown(Duration),
    /// The wake that was asked for has come.
    Wake,
}

/// A piece of the caller's audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "fuzz", derive(arbitrary::Arbitrary))]
pub struct AudioIn<'a> {
    /// Bytes in the line's format; any length, odd ones included.
    pub payload: &'a [u8],
    /// Where the piece begins on the peer's media clock, where the wire tells. Lets holes be filled.
    pub media_time: Option<Duration>,
    /// The wire's sequence number, where packets may be reordered.
    pub sequence: Option<u32>,
}

impl<'a> AudioIn<'a> {
    /// Audio of a wire that has neither sequence numbers nor a media clock.
    pub const fn plain(payload: &'a [u8]) -> Self {
        Self { payload, media_time: None, sequence: None }
    }
}

/// A provider failed for good: what the call needs to know of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "fuzz", derive(arbitrary::Arbitrary))]
pub enum Failed {
    /// It did not answer in time.
    TimedOut,
    /// It answered with an error, or the connection broke.
    Broken,
    /// It refuses us (key, quota, model name): no retry will help.
    Refused,
}

/// How a tool call ended. There is exactly one for each that was started.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "fuzz", derive(arbitrary::Arbitrary))]
pub struct Outcome {
    /// What the model reads: a JSON object.
    pub content: String,
    /// What the call does besides telling the model.
    pub then: Then,
}

/// What follows from a tool's outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "fuzz", derive(arbitrary::Arbitrary))]
pub enum Then {
    /// The conversation goes on; the model speaks about the outcome.
    GoOn,
    /// The call ends when what is being said (and the goodbye) has been heard.
    EndCall,
    /// The caller is put through to this number or address when the sentence has been heard.
    Transfer(String),
}

/// What a peer with the right to may ask of a running call.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "fuzz", derive(arbitrary::Arbitrary))]
pub enum Control {
    /// Speak this, without the model.
    Say {
        /// The text.
        text: String,
        /// Cut what is being said instead of queueing behind it.
        now: bool,
        /// The caller may interrupt it.
        interruptible: bool,
        /// End the call when it has been heard.
        then_end: bool,
    },
    /// Speak this while the caller waits for an answer, as a filler is spoken; nothing where one can be heard.
    Aside(String),
    /// Add a note to the history; ask the model for a turn when `respond`.
    Note {
        /// The text, as a system message.
        text: String,
        /// Ask the model to react.
        respond: bool,
    },
    /// Add words as if the caller had said them.
    Heard {
        /// The text.
        text: String,
        /// Ask the model to react.
        respond: bool,
    },
    /// Stop (`true`) or resume sending our voice.
    MuteAgent(bool),
    /// Stop (`true`) or resume hearing the caller.
    MuteCaller(bool),
    /// Speak the greeting now.
    Greet,
    /// Put the caller through.
    Transfer {
        /// Number or address.
        to: String,
        /// What to say first, instead of the default sentence.
        say: Option<String>,
    },
    /// End the call now.
    End,
    /// The same, because whoever created the call takes it back.
    Cancel,
}
