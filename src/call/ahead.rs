//! Asking ahead: the model is asked as soon as the caller pauses and the words stand still, before it is known that they
//! have finished. When they have, and said nothing more, the answer is there already or on its way.
//!
//! Nothing of an answer that was asked for ahead is spoken, told to anybody or run before that: no look-up, and never a
//! write. When the caller goes on it is thrown away unread, and costs what the model's provider charges for it.

use std::{collections::VecDeque, time::Instant};

use super::{
    Action, Actions, Call, LlmEvent, Message, Settings, Turn,
    limits::{AHEAD_CHARS_MAX, AHEAD_MAX, AHEAD_STABLE},
    reply::{Reply, Source},
    words::words,
};

/// A question asked ahead, and what has come of its answer.
#[derive(Debug)]
pub(crate) struct Ahead {
    /// The turn it will be if the caller has finished.
    turn: Turn,
    /// The words the answer is for.
    words: Vec<String>,
    /// When the recogniser had said them.
    text_at: Option<Instant>,
    /// When it was asked.
    asked: Instant,
    /// The answer so far.
    said: VecDeque<LlmEvent>,
    /// How long that is.
    chars: usize,
}

/// How asking ahead went in a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct AskedAhead {
    /// The caller had finished: the answer was used.
    pub used: u32,
    /// The caller went on, or the model failed: it was thrown away.
    pub wasted: u32,
}

impl Call {
    /// Asks ahead when it is time, and forgets a question that will not be asked.
    pub(super) fn settle_ahead(&mut self, now: Instant, actions: &mut Actions) {
        if self.setup.settings.endpointing.ahead_ms == 0 {
            return;
        }
        let text_at = self.listen.text_at;
        let open = self.reply.is_none() && self.closing.is_none() && self.over.is_none();
        let utterance = self.listen.utterance.as_ref().filter(|it| open && !it.is_empty() && !it.is_ours());
        if let Some(ahead) = &mut self.ahead {
            let current = ahead.turn == self.turn && utterance.is_some();
            if current && (ahead.text_at == text_at || utterance.is_some_and(|it| words(&it.text()) == ahead.words)) {
                ahead.text_at = text_at;
                return;
            }
            self.forget_ahead(actions);
        }
        if open {
            self.ask_ahead(now, actions);
        }
    }

    fn ask_ahead(&mut self, now: Instant, actions: &mut Actions) {
        let settings = &self.setup.settings.endpointing;
        let (after, could_be_complete) = (Settings::ms(settings.ahead_ms), Settings::ms(settings.silence_ms));
        if self.listen.is_speaking(now) || self.listen.silence(now) < after {
            return;
        }
        let commits = self.setup.stt_commits;
        let still = self.listen.still() >= AHEAD_STABLE;
        let asked = |asked: u32| asked < AHEAD_MAX;
        let Some(utterance) = self.listen.utterance.as_ref().filter(|it| !it.is_empty() && asked(it.asked_ahead))
        else {
            return;
        };
        if !(still || utterance.is_settled(commits)) || utterance.is_ours() {
            return;
        }
        // Of a sentence that hangs in the air, or of a plate being dictated, more is to come.
        if self.wanted_silence() > could_be_complete.max(super::limits::PAUSE_KEPT) {
            return;
        }
        let Some(utterance) = &mut self.listen.utterance else { return };
        utterance.asked_ahead += 1;
        let text = utterance.text();
        self.turn.0 += 1;
        self.ahead = Some(Ahead {
            turn: self.turn,
            words: words(&text),
            text_at: self.listen.text_at,
            asked: now,
            said: VecDeque::new(),
            chars: 0,
        });
        let mut messages = self.history.for_model(&[]);
        messages.push(Message::Caller { text });
        let ask = self.ask(now, self.turn, messages);
        actions.push(Action::Think(Box::new(ask)));
    }

    /// The caller has finished, and this is what they said: the answer that was asked for ahead, if it is one to that.
    pub(super) fn take_ahead(&mut self, text: &str) -> Option<Ahead> {
        let turn = self.turn;
        let ahead = self.ahead.take_if(|ahead| ahead.turn == turn && ahead.words == words(text))?;
        self.asked_ahead.used += 1;
        Some(ahead)
    }

    /// Replies with what was asked for ahead. `since` is when the caller began to wait.
    pub(super) fn think_on(&mut self, now: Instant, since: Instant, ahead: Ahead, actions: &mut Actions) {
        self.owed = false;
        let mut reply = Reply::new(ahead.turn, Source::Model { since: now }, self.setup.settings.language, since);
        reply.report.asked = Some(self.since_answer(now));
        reply.report.ahead = Some(now.saturating_duration_since(ahead.asked));
        self.reply = Some(reply);
        for event in ahead.said {
            self.model(now, event, actions);
        }
    }

    /// Keeps a piece of the answer to a question asked ahead. Returns whether it is one.
    pub(super) fn keep_ahead(&mut self, turn: Turn, event: &LlmEvent, actions: &mut Actions) -> bool {
        let Some(ahead) = self.ahead.as_mut().filter(|ahead| ahead.turn == turn) else { return false };
        ahead.chars += match event {
            LlmEvent::Words(text) => text.len(),
            LlmEvent::Tool { id, name, arguments } => id.len() + name.len() + arguments.len(),
            LlmEvent::Done(_) => 0,
        };
        if ahead.chars > AHEAD_CHARS_MAX {
            self.forget_ahead(actions);
        } else {
            ahead.said.push_back(event.clone());
        }
        true
    }

    /// It will not be asked after all.
    pub(super) fn forget_ahead(&mut self, actions: &mut Actions) {
        if let Some(ahead) = self.ahead.take() {
            self.asked_ahead.wasted += 1;
            actions.push(Action::Stop(ahead.turn));
        }
    }

    /// The model failed to answer it: should the caller have finished, it is asked as if nothing had been.
    pub(super) fn ahead_failed(&mut self, turn: Turn, actions: &mut Actions) -> bool {
        let is_ahead = self.ahead.as_ref().is_some_and(|ahead| ahead.turn == turn);
        if is_ahead {
            self.forget_ahead(actions);
            if let Some(utterance) = &mut self.listen.utterance {
                utterance.asked_ahead = AHEAD_MAX;
            }
        }
        is_ahead
    }
}
