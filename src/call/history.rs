//! The conversation so far. One writer, and it holds only what was heard.

use super::{Message, ToolAsk, Turn, limits::HISTORY_MAX};

/// Which part of which reply an entry of ours belongs to; a part ends where the model waits for a tool.
pub(crate) type Part = (Turn, u32);

/// The history of one call.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// Oldest first.
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    /// For what we say: which part of which reply.
    part: Option<Part>,
    message: Message,
}

impl History {
    /// The caller said something.
    pub(crate) fn caller(&mut self, text: &str) {
        self.add(None, Message::Caller { text: text.to_string() });
    }

    /// A note for the model.
    pub(crate) fn note(&mut self, text: &str) {
        self.add(None, Message::Note { text: text.to_string() });
    }

    /// The caller goes on speaking: what was taken for a whole utterance comes back, if nothing happened since.
    pub(crate) fn take_back_utterance(&mut self) -> Option<String> {
        while self.entries.last().is_some_and(Entry::is_empty) {
            self.entries.pop();
        }
        match self.entries.pop() {
            Some(Entry { message: Message::Caller { text }, .. }) => Some(text),
            Some(other) => {
                self.entries.push(other);
                None
            }
            None => None,
        }
    }

    /// What the caller has heard of one part of a reply; said again, it replaces what was said before.
    pub(crate) fn agent(&mut self, part: Part, text: &str, interrupted: bool, estimated: bool) {
        let message = Message::Agent { text: text.to_string(), interrupted, estimated };
        match self.entries.iter_mut().rfind(|entry| entry.part == Some(part)) {
            Some(entry) => entry.message = message,
            None if text.is_empty() => {}
            None => self.add(Some(part), message),
        }
    }

    /// The model asked for a tool in this part of its reply: recorded with a pending outcome in the same step.
    pub(crate) fn asked(&mut self, part: Part, ask: &ToolAsk) {
        // Words said before the ask are heard later: they keep their place.
        if !self.entries.iter().any(|entry| entry.part == Some(part)) {
            let nothing_yet = Message::Agent { text: String::new(), interrupted: false, estimated: false };
            self.entries.push(Entry { part: Some(part), message: nothing_yet });
        }
        self.add(None, Message::Asked { tools: vec![ask.clone()] });
        self.add(None, Message::Outcome { id: ask.id.clone(), content: None });
    }

    /// A tool's outcome. Returns whether it was pending.
    pub(crate) fn outcome(&mut self, id: &str, content: String) -> bool {
        let pending = self.entries.iter_mut().rev().find_map(|entry| match &mut entry.message {
            Message::Outcome { id: of, content: missing @ None } if of == id => Some(missing),
            Message::Outcome { .. }
            | Message::Caller { .. }
            | Message::Agent { .. }
            | Message::Asked { .. }
            | Message::Note { .. } => None,
        });
        match pending {
            Some(missing) => {
                *missing = Some(content);
                true
            }
            None => false,
        }
    }

    /// Somebody said or did something that nobody has answered.
    pub(crate) fn is_unanswered(&self) -> bool {
        match self.entries.iter().rev().find(|entry| !entry.is_empty()).map(|entry| &entry.message) {
            Some(Message::Caller { .. } | Message::Note { .. }) => true,
            Some(Message::Outcome { content, .. }) => content.is_some(),
            Some(Message::Agent { .. } | Message::Asked { .. }) | None => false,
        }
    }

    /// The last thing we said.
    pub(crate) fn last_agent_text(&self) -> &str {
        self.entries
            .iter()
            .rev()
            .find_map(|entry| match &entry.message {
                Message::Agent { text, .. } if !text.is_empty() => Some(text.as_str()),
                Message::Agent { .. }
                | Message::Caller { .. }
                | Message::Asked { .. }
                | Message::Outcome { .. }
                | Message::Note { .. } => None,
            })
            .unwrap_or_default()
    }

    /// The conversation: oldest first, without what nobody heard.
    pub(crate) fn messages(&self) -> impl Iterator<Item = &Message> {
        self.entries.iter().filter(|entry| !entry.is_empty()).map(|entry| &entry.message)
    }

    /// The conversation as the model sees it: with `saying`, what the reply in progress will have said.
    pub(crate) fn for_model(&self, saying: &[(Part, String)]) -> Vec<Message> {
        self.entries
            .iter()
            .map(|entry| {
                let planned = saying.iter().find(|(part, _)| entry.part == Some(*part));
                match planned {
                    Some((_, text)) => Message::Agent { text: text.clone(), interrupted: false, estimated: false },
                    None => entry.message.clone(),
                }
            })
            .filter(|message| !matches!(message, Message::Agent { text, .. } if text.is_empty()))
            .collect()
    }

    fn add(&mut self, part: Option<Part>, message: Message) {
        if self.entries.len() >= HISTORY_MAX {
            self.entries.remove(0);
        }
        self.entries.push(Entry { part, message });
    }
}

impl Entry {
    fn is_empty(&self) -> bool {
        matches!(&self.message, Message::Agent { text, .. } if text.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(id: &str) -> ToolAsk {
        ToolAsk { id: id.into(), name: "find_slots".into(), arguments: "{}".into() }
    }

    #[test]
    fn words_before_a_tool_keep_their_place_though_they_are_heard_later() {
        let mut history = History::default();
        history.caller("vorrei prenotare");
        history.asked((Turn(1), 0), &ask("a"));
        assert!(history.outcome("a", "{}".into()));
        history.agent((Turn(1), 1), "Alle nove?", false, false);
        history.agent((Turn(1), 0), "Un attimo.", false, false);
        let roles: Vec<_> = history
            .messages()
            .map(|message| match message {
                Message::Caller { text } | Message::Agent { text, .. } => text.as_str(),
                Message::Asked { .. } => "asked",
                Message::Outcome { .. } => "outcome",
                Message::Note { .. } => "note",
            })
            .collect();
        assert_eq!(roles, ["vorrei prenotare", "Un attimo.", "asked", "outcome", "Alle nove?"]);
    }

    #[test]
    fn an_outcome_is_recorded_once() {
        let mut history = History::default();
        history.asked((Turn(1), 0), &ask("a"));
        assert!(history.outcome("a", "1".into()));
        assert!(!history.outcome("a", "2".into()));
        assert!(!history.outcome("b", "3".into()));
    }

    #[test]
    fn an_utterance_comes_back_only_while_it_is_the_last_word() {
        let mut history = History::default();
        history.caller("vorrei");
        assert_eq!(history.take_back_utterance().as_deref(), Some("vorrei"));
        history.caller("vorrei");
        history.asked((Turn(1), 0), &ask("a"));
        assert_eq!(history.take_back_utterance(), None);
        assert_eq!(history.messages().count(), 3);
    }
}
