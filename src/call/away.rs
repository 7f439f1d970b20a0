//! The line is lost and may come back: the call waits, and goes on where it was.
//!
//! While it is away nothing is said, asked or due; tools run to their end, and whoever drives the call decides how long it
//! waits ([`Input::Closed`](super::Input::Closed) ends it). What was being said is over: the history keeps what was heard
//! of it. When the line is back soon, the rest is said from the last clause that was not heard whole; later, the caller
//! hears that we are there; and what waited for an answer gets it.

use std::time::{Duration, Instant};

use super::{Actions, Call, Script};

/// Who was away for longer has lost the thread: half a sentence would help nobody.
const REMEMBERED: Duration = Duration::from_secs(3);

/// What is to be taken up again.
#[derive(Debug)]
pub(crate) struct Away {
    /// Since when.
    since: Instant,
    /// What the caller has not heard of what we were saying.
    unsaid: Option<Script>,
    /// Since when the caller waits for an answer that we had not given whole.
    owed: Option<Instant>,
}

impl Call {
    /// The line is lost.
    pub(super) fn line_lost(&mut self, now: Instant, actions: &mut Actions) {
        if self.away.is_some() || self.answered.is_none() {
            return;
        }
        if let Some(closing) = &self.closing {
            // All that was left was to say goodbye.
            let ending = closing.ending;
            return self.finish(now, ending, None, actions);
        }
        let (mut unsaid, mut owed) = (None, self.owed.then_some(now));
        if let Some(reply) = &self.reply {
            let rest = reply.rest(self.mouth.position(), self.mouth.rate());
            if reply.is_complete() {
                let script = |text| Script { text, interruptible: reply.interruptible, then_end: reply.then_end };
                unsaid = (!rest.is_empty() || reply.then_end.is_some()).then(|| script(rest));
            } else {
                owed = Some(if reply.audible { now } else { reply.since });
            }
        }
        self.forget_ahead(actions);
        self.cut(now, actions);
        self.mouth.line_lost();
        self.owed = false;
        self.away = Some(Away { since: now, unsaid, owed });
    }

    /// The line is back.
    pub(super) fn line_back(&mut self, now: Instant, actions: &mut Actions) {
        let Some(Away { since, unsaid, owed }) = self.away.take() else { return };
        self.listen.line_back(now);
        self.quiet_since = Some(now);
        let gone = now.saturating_duration_since(since);
        match unsaid {
            Some(script) if gone < REMEMBERED || script.then_end.is_some() => self.queue.push_front(script),
            None if self.owed || owed.is_some() || !self.queue.is_empty() || gone < REMEMBERED => {}
            Some(_) | None => {
                let text = self.phrases.text("call.line_back").to_string();
                self.queue.push_front(Script { text, interruptible: true, then_end: None });
            }
        }
        self.speak_queue(now);
        match owed {
            // They have waited all the while: a filler is due all the sooner.
            Some(since) if self.reply.is_none() && self.listen.utterance.is_none() => self.think(now, since, actions),
            Some(_) => self.owed = true,
            None => {}
        }
    }

    /// Nobody is there to hear us.
    pub(super) const fn is_away(&self) -> bool {
        self.away.is_some()
    }
}
