//! The built-in receptionist: a rule-based engine that books, moves and cancels in Italian and English.
//!
//! It needs no network, no key and no memory of its own: an answer is a pure function of the [`Ask`]. Each time it
//! reads the whole history again, so it can take over in mid-conversation from a model that has died, whatever that
//! model said, and a booking already made is never made again.
//!
//! ```text
//! services    the work the shop does, from the tools' schema
//! understand  one utterance of the caller -> what it says
//! desk        what the tools answered
//! known       the whole history -> what we know
//! caller      ... what an utterance changes in it
//! outcomes    ... what a tool's outcome changes in it
//! policy      what we know -> the next sentence and the tools to ask for
//! words       sentences in two languages, and which question a sentence asks
//! ```
//!
//! It asks one thing at a time, reads back before it books, and after three misunderstandings offers a message or a
//! colleague. It does not chat, quote prices or diagnose; those callers are offered a message.
//!
//! Dropping its stream does nothing on any wire: everything is decided before the first event.

use std::iter;

use futures_util::stream::{self, BoxStream, StreamExt};

use super::{Llm, ProviderError};
use crate::call::{Ask, Finish, LlmEvent};

mod caller;
mod desk;
mod known;
mod outcomes;
mod policy;
mod services;
mod understand;
mod words;

#[cfg(feature = "fuzz")]
mod fuzz;
#[cfg(feature = "fuzz")]
pub use fuzz::fuzz;

/// The built-in engine behind the [`Llm`] trait.
#[derive(Debug, Clone, Copy, Default)]
pub struct Receptionist;

impl Receptionist {
    /// There is nothing to set up.
    pub const fn new() -> Self {
        Self
    }
}

impl Llm for Receptionist {
    fn name(&self) -> &'static str {
        "receptionist"
    }

    fn reply(&self, ask: Ask) -> BoxStream<'static, Result<LlmEvent, ProviderError>> {
        stream::iter(answer(&ask).into_iter().map(Ok)).boxed()
    }
}

/// Answers one question: some words, tools if any, and [`LlmEvent::Done`] last. The same ask has the same answer.
pub fn answer(ask: &Ask) -> Vec<LlmEvent> {
    let known = known::Known::from(ask);
    let step = policy::next(&known);
    let finish = if step.tools.is_empty() { Finish::Said } else { Finish::Tools };
    let tools = step.tools.into_iter().enumerate().map(|(index, (name, arguments))| LlmEvent::Tool {
        // The history grows with each answer, so its length makes the id unique.
        id: format!("receptionist-{}-{index}", ask.messages.len()),
        name: name.to_string(),
        arguments: arguments.to_string(),
    });
    words::pieces(&step.words)
        .into_iter()
        .map(LlmEvent::Words)
        .chain(tools)
        .chain(iter::once(LlmEvent::Done(finish)))
        .collect()
}
