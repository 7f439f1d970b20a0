//! What engines say: one neutral model for every recogniser, language model and voice.
//!
//! The provider rooms translate each brand's wire into these; the call knows no brand.

/// What a recogniser heard. The utterance so far is every [`Final`](Self::Final) in order, then the last
/// [`Partial`](Self::Partial).
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "fuzz", derive(arbitrary::Arbitrary))]
pub enum SttEvent {
    /// The engine's own detector heard speech begin.
    SpeechStarted,
    /// The part that may still change: replaces the previous partial.
    Partial {
        /// The text since the last final.
        text: String,
    },
    /// A part that will not change any more; the turn may go on.
    Final {
        /// The text, without what earlier finals said.
        text: String,
    },
    /// The engine guesses that the turn has ended: think, but do not speak or write.
    EagerEnd,
    /// The guess was wrong.
    Resumed,
    /// The engine is sure that the turn has ended. May come without any text (a cough): then it is no turn.
    End,
    /// Everything heard before this commit (see [`Action::Commit`](super::Action::Commit)) has been said in finals.
    Committed {
        /// The number of the commit.
        commit: u32,
    },
}

/// What a language model says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "fuzz", derive(arbitrary::Arbitrary))]
pub enum LlmEvent {
    /// Some more words to speak.
    Words(String),
    /// It asks for a tool; whole, assembled from however many pieces the wire had.
    Tool {
        /// The model's id for this ask: the outcome answers it.
        id: String,
        /// Which tool.
        name: String,
        /// A JSON object, as the model wrote it: not yet checked.
        arguments: String,
    },
    /// It has finished.
    Done(Finish),
}

/// Why a model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "fuzz", derive(arbitrary::Arbitrary))]
pub enum Finish {
    /// It said what it had to say.
    Said,
    /// It waits for the outcome of the tools it asked for.
    Tools,
    /// It hit its length limit.
    Length,
    /// The provider refused the content.
    Refused,
}

/// What a voice says.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "fuzz", derive(arbitrary::Arbitrary))]
pub enum TtsEvent {
    /// Samples at the rate the voice's capabilities name.
    Audio(Vec<i16>),
    /// When words are said, where the voice tells.
    Words(Vec<WordTiming>),
    /// The clause is complete.
    Done,
}

/// A word of a clause and where it ends in the clause's audio.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "fuzz", derive(arbitrary::Arbitrary))]
pub struct WordTiming {
    /// Characters of the clause up to and with this word.
    pub chars: u32,
    /// Milliseconds from the clause's first sample to the word's end.
    pub end_ms: u32,
}
