//! The thread of one call that the brain must keep, because Vapi does not: the tools our model asked for and what came of
//! them, and which request is the present one.
//!
//! Vapi sends the conversation with every request, as it was heard. Of tools that ran on our side it knows nothing, so
//! their asks and outcomes are woven in where they belong: behind the words of the caller that they answered.

use tokio::sync::oneshot;

use super::runs::Running;
use crate::call::{Message, ToolAsk, limits::TOOLS_MAX};

/// What the brain keeps of one call.
#[derive(Debug, Default)]
pub(crate) struct Thread {
    /// In the order they were asked for.
    done: Vec<Done>,
    /// Requests so far.
    requests: u64,
    /// Dropped when a newer request takes over.
    present: Option<oneshot::Sender<()>>,
    /// Answers that failed, one after the other.
    failures: u32,
}

/// A tool that our model asked for.
#[derive(Debug)]
struct Done {
    /// In which request.
    request: u64,
    /// How many things the caller had said.
    said: usize,
    ask: ToolAsk,
    outcome: Fate,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Fate {
    /// The model has read this.
    Known(String),
    /// A write that may still be under way.
    Write(Running),
}

/// A request that is the present one until a newer comes.
#[derive(Debug)]
pub(super) struct Present {
    /// Its number.
    pub(super) request: u64,
    /// Ready when there is a newer one.
    pub(super) over: oneshot::Receiver<()>,
}

impl Thread {
    /// A request takes over from the one before.
    pub(super) fn begin(&mut self) -> Present {
        self.requests += 1;
        let (present, over) = oneshot::channel();
        self.present = Some(present);
        Present { request: self.requests, over }
    }

    /// Whether another tool may be asked for.
    pub(super) fn has_room(&self) -> bool {
        self.done.len() < TOOLS_MAX
    }

    /// A tool was asked for in this request, after so many things the caller has said.
    pub(super) fn record(&mut self, request: u64, said: usize, ask: ToolAsk, outcome: Fate) {
        self.done.push(Done { request, said, ask, outcome });
    }

    /// The writes of earlier requests that are still under way.
    pub(super) fn pending(&self) -> Vec<Running> {
        self.done
            .iter()
            .filter_map(|done| match &done.outcome {
                Fate::Write(running) if running.outcome().is_none() => Some(running.clone()),
                Fate::Write(_) | Fate::Known(_) => None,
            })
            .collect()
    }

    /// The conversation as Vapi tells it, with what earlier requests did in it.
    pub(super) fn woven(&self, heard: &[Message], request: u64) -> Vec<Message> {
        let callers = heard.iter().filter(|message| matches!(message, Message::Caller { .. })).count();
        let mut earlier = self.done.iter().filter(|done| done.request != request).peekable();
        let mut woven = Vec::with_capacity(heard.len() + 2 * self.done.len());
        let mut said = 0;
        // What was done before the caller had said anything.
        let mut weave = |woven: &mut Vec<Message>, said: usize| {
            // Turns may have been joined since: what belongs to one that is no longer there follows the last.
            while let Some(done) = earlier.next_if(|done| done.said.min(callers) <= said) {
                let content = match &done.outcome {
                    Fate::Known(content) => Some(content.clone()),
                    Fate::Write(running) => running.outcome().map(|outcome| outcome.content),
                };
                woven.push(Message::Asked { tools: vec![done.ask.clone()] });
                woven.push(Message::Outcome { id: done.ask.id.clone(), content });
            }
        };
        weave(&mut woven, said);
        for message in heard {
            woven.push(message.clone());
            if matches!(message, Message::Caller { .. }) {
                said += 1;
                weave(&mut woven, said);
            }
        }
        woven
    }

    /// An answer was given.
    pub(super) fn answered(&mut self) {
        self.failures = 0;
    }

    /// An answer could not be given. Says how many in a row.
    pub(super) fn failed(&mut self) -> u32 {
        self.failures += 1;
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(text: &str) -> Message {
        Message::Caller { text: text.into() }
    }

    fn agent(text: &str) -> Message {
        Message::Agent { text: text.into(), interrupted: false, estimated: true }
    }

    fn told(messages: &[Message]) -> Vec<String> {
        let tell = |message: &Message| match message {
            Message::Caller { text } | Message::Agent { text, .. } | Message::Note { text } => text.clone(),
            Message::Asked { tools } => format!("ask {}", tools[0].id),
            Message::Outcome { id, content } => format!("{id}: {}", content.as_deref().unwrap_or("pending")),
        };
        messages.iter().map(tell).collect()
    }

    fn thread(done: &[(usize, &str)]) -> Thread {
        let mut thread = Thread::default();
        let request = thread.begin().request;
        for (said, id) in done {
            let ask = ToolAsk { id: (*id).into(), name: "find".into(), arguments: "{}".into() };
            thread.record(request, *said, ask, Fate::Known("ok".into()));
        }
        thread
    }

    #[test]
    fn what_was_done_stands_behind_the_words_it_answered() {
        let thread = thread(&[(0, "a"), (1, "b"), (1, "c"), (2, "d")]);
        let heard = [agent("pronto"), caller("uno"), agent("sì"), caller("due"), caller("tre")];
        assert_eq!(
            told(&thread.woven(&heard, 2)),
            [
                "ask a", "a: ok", "pronto", "uno", "ask b", "b: ok", "ask c", "c: ok", "sì", "due", "ask d", "d: ok",
                "tre"
            ]
        );
        assert_eq!(told(&thread.woven(&heard, 1)).len(), heard.len(), "its own are not earlier ones");
    }

    #[test]
    fn turns_that_were_joined_lose_nothing() {
        let thread = thread(&[(1, "a"), (3, "b")]);
        assert_eq!(
            told(&thread.woven(&[caller("uno due tre")], 2)),
            ["uno due tre", "ask a", "a: ok", "ask b", "b: ok"]
        );
        assert_eq!(told(&thread.woven(&[], 2)), ["ask a", "a: ok", "ask b", "b: ok"]);
    }

    #[test]
    fn a_newer_request_ends_the_one_before() {
        let mut thread = Thread::default();
        let mut first = thread.begin();
        assert_eq!(first.over.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        let second = thread.begin();
        assert_eq!(first.over.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        assert_eq!((first.request, second.request), (1, 2));
    }
}
