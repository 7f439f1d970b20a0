//! The conversation on one transport, from answer to hang-up, as a value.
//!
//! [`Call::handle`] takes one [`Input`] and the time, and pushes what should be done to [`Actions`]. There is no clock,
//! socket, task, lock or await in here, so a call can be run in virtual time, exactly.
//!
//! Words: a *turn* is a number that grows each time the right to speak changes hands; an *utterance* is what the caller
//! says in a turn and a *reply* is what we say in one; *playout* is what is still to be heard.

mod action;
mod ask;
mod deadline;
mod engine;
mod input;
pub mod limits;
mod report;
mod settings;

pub use action::{Action, Actions, Ending, Event, Role};
pub use ask::{Ask, Message, ToolAsk, ToolKind, ToolSpec};
pub use deadline::{Deadline, Wake};
pub use engine::{Finish, LlmEvent, SttEvent, TtsEvent, WordTiming};
pub use input::{AudioIn, Control, Failed, Input, Outcome, Then};
pub use report::{CallReport, Interruption, TurnReport};
pub use settings::{Endpointing, EndpointingPolicy, Interrupting, InterruptingPolicy, Settings, Setup};

use std::time::Instant;

use serde::{Deserialize, Serialize};

/// Grows each time the right to speak changes hands. Everything asked of a provider carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "fuzz", derive(arbitrary::Arbitrary))]
pub struct Turn(pub u32);

/// One piece of a reply that is spoken in one go, counted from 0 in each turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "fuzz", derive(arbitrary::Arbitrary))]
pub struct ClauseId(pub u32);

/// A conversation. See the [module](self).
#[derive(Debug)]
pub struct Call {
    setup: Setup,
}

impl Call {
    /// A call that has not been answered yet.
    pub fn new(setup: Setup) -> Self {
        Self { setup }
    }

    /// Handles one input. Everything asked for is pushed to `actions` before this returns.
    #[must_use = "the call sleeps for ever if it is not woken"]
    pub fn handle(&mut self, now: Instant, input: Input<'_>, actions: &mut Actions) -> Option<Wake> {
        let _ = (now, input, actions, &self.setup);
        todo!("being written")
    }

    /// The conversation so far; holds only what was heard.
    pub fn history(&self) -> &[Message] {
        todo!("being written")
    }

    /// There is room for more of the voice's audio: when not, leave it in the stream.
    pub fn hungry(&self) -> bool {
        todo!("being written")
    }

    /// The report so far.
    pub fn report(&self, now: Instant) -> CallReport {
        let _ = now;
        todo!("being written")
    }

    /// The call has asked to be closed.
    pub fn is_over(&self) -> bool {
        todo!("being written")
    }
}
