//! What waits to be told to one server: in order, and no more than it may be. When there is no room, what weighs least
//! goes, and of that the oldest; what must be told is never let go.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::{transport::vapi::Kind, vapi::server_message::rules::Weight};

/// Messages that wait. More, and the lightest is dropped and counted.
const MESSAGES_MAX: usize = 256;

/// Their bytes together: conversations grow with each message about them.
const BYTES_MAX: usize = 4 << 20;

/// A message that waits.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) kind: Kind,
    pub(super) weight: Weight,
    /// A caller's words: never printed.
    pub(super) body: Bytes,
}

/// Messages to one server.
#[derive(Default)]
pub(super) struct Queue {
    waiting: VecDeque<Waiting>,
    bytes: usize,
}

impl Queue {
    /// Puts a message behind the others. Answers what was dropped for it, which may be itself.
    pub(super) fn push(&mut self, message: Waiting) -> Vec<Kind> {
        let mut dropped = Vec::new();
        while self.is_full_for(&message) {
            let lightest = self.waiting.iter().enumerate().min_by_key(|(_, waiting)| waiting.weight);
            match lightest.map(|(at, waiting)| (at, waiting.weight)) {
                Some((at, weight)) if weight < Weight::Kept && weight <= message.weight => {
                    dropped.extend(self.take(at).map(|gone| gone.kind));
                }
                // Everything that waits is worth more than this, or must be told like this.
                Some(_) | None if message.weight < Weight::Kept => {
                    dropped.push(message.kind);
                    return dropped;
                }
                Some(_) | None => break,
            }
        }
        self.bytes += message.body.len();
        self.waiting.push_back(message);
        dropped
    }

    /// The next one.
    pub(super) fn pop(&mut self) -> Option<Waiting> {
        self.take(0)
    }

    fn take(&mut self, at: usize) -> Option<Waiting> {
        let taken = self.waiting.remove(at)?;
        self.bytes -= taken.body.len();
        Some(taken)
    }

    fn is_full_for(&self, message: &Waiting) -> bool {
        self.waiting.len() >= MESSAGES_MAX || self.bytes + message.body.len() > BYTES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vapi::server_message::rules::weight;

    fn message(kind: Kind, partial: bool, body: &'static [u8]) -> Waiting {
        Waiting { kind, weight: weight(kind, partial), body: Bytes::from_static(body) }
    }

    fn order(queue: &mut Queue) -> Vec<Kind> {
        std::iter::from_fn(|| queue.pop()).map(|waiting| waiting.kind).collect()
    }

    #[test]
    fn words_that_will_change_go_first_then_who_speaks_and_never_where_the_call_stands() {
        let mut queue = Queue::default();
        let (partial, speech) = (message(Kind::Transcript, true, b"p"), message(Kind::SpeechUpdate, false, b"s"));
        let status = message(Kind::StatusUpdate, false, b"!");
        for _ in 0..MESSAGES_MAX / 2 {
            assert!(queue.push(partial.clone()).is_empty() && queue.push(speech.clone()).is_empty());
        }
        for _ in 0..MESSAGES_MAX / 2 {
            assert_eq!(queue.push(status.clone()), [Kind::Transcript]);
        }
        assert_eq!(queue.push(partial), [Kind::Transcript], "nothing that waits is worth less");
        for _ in 0..MESSAGES_MAX / 2 {
            assert_eq!(queue.push(status.clone()), [Kind::SpeechUpdate]);
        }
        assert_eq!(queue.push(speech), [Kind::SpeechUpdate]);
        assert!(queue.push(status).is_empty());
        assert_eq!(order(&mut queue), vec![Kind::StatusUpdate; MESSAGES_MAX + 1]);
        assert_eq!(queue.bytes, 0);
    }

    #[test]
    fn the_order_is_kept_and_bytes_count() {
        let mut queue = Queue::default();
        queue.push(message(Kind::StatusUpdate, false, b"1"));
        queue.push(message(Kind::ConversationUpdate, false, b"2"));
        queue.push(message(Kind::Transcript, true, b"3"));
        let big = Waiting { body: vec![b' '; BYTES_MAX].into(), ..message(Kind::ConversationUpdate, false, b"") };
        assert_eq!(
            queue.push(big),
            [Kind::Transcript, Kind::ConversationUpdate, Kind::ConversationUpdate],
            "with the status that must be told there is no room for it"
        );
        assert_eq!(order(&mut queue), [Kind::StatusUpdate]);
    }
}
