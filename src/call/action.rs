//! Everything a call may ask for.

use std::ops::Range;

use super::{Ask, ClauseId, ToolAsk, ToolKind, Turn, limits::BUFFER_KEPT};

/// One thing to do, now and in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Feed these samples (16 kHz, [`Actions::samples`]) to the recogniser.
    Hear(Range<usize>),
    /// Tell the recogniser to finish what it has: the caller paused. It answers
    /// [`SttEvent::Committed`](super::SttEvent::Committed) where it can.
    Commit(u32),
    /// Ask the model. Any earlier model stream is to be dropped.
    Think(Box<Ask>),
    /// Speak one clause. Clauses of a turn come in order, one at a time: the next one follows the end of the last.
    Speak {
        /// The turn it belongs to.
        turn: Turn,
        /// Which clause of it.
        clause: ClauseId,
        /// What to say.
        text: String,
        /// A filler while the answer is late: spoken beside the clause in progress, whose stream stays open.
        aside: bool,
    },
    /// Drop the streams (model and voice) of every turn up to this one.
    Stop(Turn),
    /// Run a tool. Its outcome comes back once as [`Input::ToolDone`](super::Input::ToolDone) with the same number.
    RunTool {
        /// Our number for it, unique in the call.
        tool: u32,
        /// Whether it may be dropped.
        kind: ToolKind,
        /// What the model asked.
        ask: ToolAsk,
    },
    /// The turn of this read-only tool was given up: nobody waits for it any more.
    DropTool(u32),
    /// Send one frame to the caller ([`Actions::bytes`], in the line's format).
    Send {
        /// The bytes.
        bytes: Range<usize>,
        /// The turn the audio belongs to; `None` for silence.
        turn: Option<Turn>,
    },
    /// Make the peer drop what it has not played yet. Only on lines that can.
    Clear,
    /// Ask the peer to tell when it has played everything sent so far. Only on lines that can.
    Mark(u32),
    /// Tell whoever watches.
    Tell(Event),
    /// Put the caller through to a number or address, then the call is over.
    Transfer(String),
    /// Close the transport: the last action of a call.
    Close(Ending),
}

/// Why a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The caller hung up.
    CallerHungUp,
    /// The line broke.
    LineLost,
    /// We said goodbye (the model ended the call, or a control did).
    AgentEnded,
    /// We said one of the end phrases.
    EndPhrase,
    /// The caller was silent for too long.
    SilenceTimedOut,
    /// The call reached its longest allowed duration.
    TooLong,
    /// No audio of the caller ever came.
    NoAudio,
    /// The caller was put through to somebody.
    Transferred,
    /// Whoever created the call took it back.
    Cancelled,
    /// The process is shutting down.
    Shutdown,
    /// Engines failed and could not be replaced.
    EnginesFailed,
    /// A bug of ours ended the call.
    Panicked,
}

/// Something worth telling an observer: the peer's event stream, the terminal, the dashboard. Observers watch, they do
/// not take part.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Somebody began to speak.
    SpeechStarted(Role, Turn),
    /// Somebody stopped.
    SpeechStopped(Role, Turn),
    /// Words of the caller, or words of ours as they are being heard.
    Transcript {
        /// Whose.
        role: Role,
        /// Will not change any more.
        last: bool,
        /// The text.
        text: String,
    },
    /// The history grew; read it from the call.
    HistoryChanged,
    /// Words of the model as they come.
    ModelSaid {
        /// The turn.
        turn: Turn,
        /// The words.
        text: String,
    },
    /// A clause was given to the voice.
    VoiceAsked {
        /// The turn.
        turn: Turn,
        /// The text.
        text: String,
    },
    /// The caller cut in: the reply of this turn is over.
    Interrupted(Turn),
    /// The voice was held because the caller may be cutting in.
    Held(Turn),
    /// It was a false alarm: the voice went on where it had stopped.
    FalseAlarm(Turn),
    /// The model asked for a tool.
    ToolStarted(ToolAsk),
    /// A tool has its outcome.
    ToolEnded {
        /// The model's id of the ask.
        id: String,
        /// The tool's name.
        name: String,
        /// What the model reads.
        content: String,
    },
    /// The caller pressed keys.
    Keys(String),
    /// The answer is late: the caller hears a filler.
    Late(Turn),
    /// A turn is complete; its times are in the report.
    TurnEnded(Box<super::TurnReport>),
    /// The call is over.
    Ended(Ending),
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The caller.
    Caller,
    /// We.
    Agent,
}

/// The actions of one [`handle`](super::Call::handle), with the bytes they speak of. Kept by the driver and reused, so
/// that a frame costs no allocation.
#[derive(Debug, Default)]
pub struct Actions {
    /// In order.
    list: Vec<Action>,
    /// Encoded audio for the wire.
    bytes: Vec<u8>,
    /// 16 kHz audio for the recogniser.
    samples: Vec<i16>,
}

impl Actions {
    /// Nothing to do yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets everything, keeps the memory; not that of an unusually long message.
    pub fn clear(&mut self) {
        self.list.clear();
        self.bytes.clear();
        self.samples.clear();
        self.bytes.shrink_to(2 * BUFFER_KEPT);
        self.samples.shrink_to(BUFFER_KEPT);
    }

    /// Adds an action.
    pub fn push(&mut self, action: Action) {
        self.list.push(action);
    }

    /// What is to be done, in order.
    pub fn list(&self) -> &[Action] {
        &self.list
    }

    /// Takes the actions out; the bytes stay until [`clear`](Self::clear).
    pub fn drain(&mut self) -> impl Iterator<Item = Action> + use<'_> {
        self.list.drain(..)
    }

    /// The bytes of an [`Action::Send`].
    pub fn bytes(&self, range: &Range<usize>) -> &[u8] {
        &self.bytes[range.clone()]
    }

    /// The samples of an [`Action::Hear`].
    pub fn samples(&self, range: &Range<usize>) -> &[i16] {
        &self.samples[range.clone()]
    }

    /// Adds samples for the recogniser.
    pub(crate) fn hear(&mut self, write: impl FnOnce(&mut Vec<i16>)) {
        let start = self.samples.len();
        write(&mut self.samples);
        if self.samples.len() > start {
            self.list.push(Action::Hear(start..self.samples.len()));
        }
    }

    /// Adds a frame for the wire.
    pub(crate) fn send(&mut self, turn: Option<Turn>, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        if self.bytes.len() > start {
            self.list.push(Action::Send { bytes: start..self.bytes.len(), turn });
        }
    }
}
