//! Why a call wants to be woken. Every wake has a name and lies in the future.

use std::time::Instant;

/// When to call [`handle`](super::Call::handle) with [`Input::Wake`](super::Input::Wake), if nothing happens before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wake {
    /// When; always later than the `now` that was handed in.
    pub at: Instant,
    /// Why.
    pub why: Deadline,
}

/// The names of the deadlines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Deadline {
    /// The next frame is due on the wire.
    Frame,
    /// The transcript of a finished utterance is late.
    Transcript,
    /// The model's first word is late: speak a filler.
    Filler,
    /// The model or the voice is hopelessly late: apologise.
    Answer,
    /// A tool is slow: say that we are checking.
    Patience,
    /// A hold must end: interruption or false alarm.
    Hold,
    /// The reply will have been heard.
    Heard,
    /// The caller's audio stopped arriving in the middle of an utterance.
    Stall,
    /// The caller says nothing: ask, then say goodbye.
    Silence,
    /// No audio of the caller has ever come.
    NoAudio,
    /// The keys pressed so far are an entry.
    Keys,
    /// The call reached its longest duration.
    Longest,
    /// The goodbye takes too long: close all the same.
    Goodbye,
}
