//! When things were said. The history of a call knows words and no times; its events know when. The two are laid
//! together here: whoever drives a call hands over both as they come. Along the way it is counted how often we began to
//! speak into the caller's words.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use crate::call::{Event, Message, Role, limits::HISTORY_MAX};

/// The times of the history's entries, in its order.
#[derive(Debug, Clone, Default)]
pub struct Minutes {
    /// One for each entry.
    stamps: Vec<Seen>,
    /// When the caller and we began to speak, where that belongs to no entry yet.
    caller_began: Option<Duration>,
    agent_began: Option<Duration>,
    /// What the caller is saying, from its first sound until it is taken to be complete.
    saying: Option<Saying>,
    /// How often we began to speak into it.
    talked_over: usize,
}

/// Something the caller is saying.
#[derive(Debug, Clone, Copy, Default)]
struct Saying {
    /// Words of it have been recognised: a noise is nobody who could be interrupted.
    words: bool,
    /// We began to speak meanwhile.
    over: bool,
    /// That has been counted.
    counted: bool,
}

/// When one entry was said, counted from the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamp {
    /// Its first sound, or its moment where it is none.
    pub from: Duration,
    /// Its last.
    pub until: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    stamp: Stamp,
    kind: Kind,
    /// Of the text, to know the entry again.
    digest: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Caller,
    Agent,
    Other,
}

impl Minutes {
    /// Something happened.
    pub fn event(&mut self, at: Duration, event: &Event) {
        match event {
            Event::SpeechStarted(Role::Caller, _) => {
                self.caller_began = self.caller_began.or(Some(at));
                self.saying.get_or_insert_default();
            }
            Event::SpeechStarted(Role::Agent, _) => {
                self.agent_began = self.agent_began.or(Some(at));
                self.heard(|saying| saying.over = true);
            }
            Event::Transcript { role: Role::Caller, last: false, text } if !text.trim().is_empty() => {
                self.heard(|saying| saying.words = true);
            }
            Event::SpeechStopped(Role::Caller, _) => self.saying = None,
            Event::SpeechStopped(Role::Agent, _) => {
                if let Some(seen) = self.stamps.iter_mut().rfind(|seen| seen.kind == Kind::Agent) {
                    seen.stamp.until = seen.stamp.until.max(at);
                }
            }
            Event::Transcript { .. }
            | Event::HistoryChanged
            | Event::ModelSaid { .. }
            | Event::VoiceAsked { .. }
            | Event::Interrupted(_)
            | Event::Held(_)
            | Event::FalseAlarm(_)
            | Event::ToolStarted(_)
            | Event::ToolEnded { .. }
            | Event::Keys(_)
            | Event::Late(_)
            | Event::TurnEnded(_)
            | Event::Ended(_) => {}
        }
    }

    /// The history as it is now: at every [`Event::HistoryChanged`], and once more at the end.
    pub fn history<'a>(&mut self, at: Duration, history: impl Iterator<Item = &'a Message>) {
        let entries: Vec<_> = history.map(known).collect();
        self.stamps.drain(..self.gone(&entries));
        for (place, (kind, digest)) in entries.iter().copied().enumerate() {
            match self.stamps.get_mut(place) {
                Some(seen) if seen.kind == kind && seen.digest == digest => {}
                // What we say grows while it is heard, and an outcome comes later than its ask.
                Some(seen) if seen.kind == kind => {
                    (seen.stamp.until, seen.digest) = (at, digest);
                }
                // What was taken for a whole utterance came back: what stood here is no more.
                Some(_) | None => {
                    self.stamps.truncate(place);
                    let began = match kind {
                        Kind::Caller => self.caller_began.take(),
                        Kind::Agent => self.agent_began.take(),
                        Kind::Other => None,
                    };
                    let stamp = Stamp { from: began.unwrap_or(at), until: at };
                    self.stamps.push(Seen { stamp, kind, digest });
                }
            }
        }
        self.stamps.truncate(entries.len());
    }

    /// The times, one for each entry of the history that was handed over last.
    pub fn stamps(&self) -> impl Iterator<Item = Stamp> + '_ {
        self.stamps.iter().map(|seen| seen.stamp)
    }

    /// How often we began to speak while the caller was saying something.
    pub const fn talked_over(&self) -> usize {
        self.talked_over
    }

    /// Something is known of what the caller is saying. Who says words and hears us begin is interrupted, once.
    fn heard(&mut self, known: impl FnOnce(&mut Saying)) {
        let Some(saying) = &mut self.saying else { return };
        known(saying);
        if saying.words && saying.over && !saying.counted {
            saying.counted = true;
            self.talked_over += 1;
        }
    }

    /// How many entries a full history has dropped at its beginning.
    fn gone(&self, entries: &[(Kind, u64)]) -> usize {
        let Some(first) = entries.first().filter(|_| entries.len() >= HISTORY_MAX) else { return 0 };
        self.stamps.iter().position(|seen| (seen.kind, seen.digest) == *first).unwrap_or(0)
    }
}

fn known(message: &Message) -> (Kind, u64) {
    let mut digest = DefaultHasher::new();
    let kind = match message {
        Message::Caller { text } => {
            text.hash(&mut digest);
            Kind::Caller
        }
        Message::Agent { text, .. } => {
            text.hash(&mut digest);
            Kind::Agent
        }
        Message::Note { text } => {
            text.hash(&mut digest);
            Kind::Other
        }
        Message::Asked { tools } => {
            tools.iter().for_each(|tool| tool.id.hash(&mut digest));
            Kind::Other
        }
        Message::Outcome { id, content } => {
            (id, content).hash(&mut digest);
            Kind::Other
        }
    };
    (kind, digest.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Turn;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn caller(text: &str) -> Message {
        Message::Caller { text: text.into() }
    }

    fn agent(text: &str) -> Message {
        Message::Agent { text: text.into(), interrupted: false, estimated: false }
    }

    fn stamps(minutes: &Minutes) -> Vec<(u64, u64)> {
        minutes.stamps().map(|stamp| (stamp.from.as_secs(), stamp.until.as_secs())).collect()
    }

    #[test]
    fn words_have_the_times_of_their_sound() {
        let mut minutes = Minutes::default();
        minutes.event(s(1), &Event::SpeechStarted(Role::Caller, Turn(0)));
        minutes.event(s(3), &Event::SpeechStopped(Role::Caller, Turn(0)));
        let mut history = vec![caller("buongiorno")];
        minutes.history(s(4), history.iter());
        minutes.event(s(5), &Event::SpeechStarted(Role::Agent, Turn(1)));
        history.push(agent("Buon"));
        minutes.history(s(6), history.iter());
        history[1] = agent("Buongiorno, mi dica.");
        minutes.history(s(8), history.iter());
        minutes.event(s(9), &Event::SpeechStopped(Role::Agent, Turn(1)));
        assert_eq!(stamps(&minutes), [(1, 4), (5, 9)]);
    }

    #[test]
    fn whoever_says_words_and_hears_us_begin_was_interrupted() {
        let began = |role| Event::SpeechStarted(role, Turn(0));
        let stopped = || Event::SpeechStopped(Role::Caller, Turn(0));
        let words = |text: &str| Event::Transcript { role: Role::Caller, last: false, text: text.into() };
        let check = |events: &[Event], expected: usize| {
            let mut minutes = Minutes::default();
            (0..).zip(events).for_each(|(at, event)| minutes.event(s(at), event));
            assert_eq!(minutes.talked_over(), expected, "{events:?}");
        };
        let (caller, agent) = (|| began(Role::Caller), || began(Role::Agent));
        check(&[caller(), words("vorrei"), agent(), words("vorrei prenotare"), stopped()], 1);
        check(&[caller(), agent(), words("vorrei"), agent(), stopped()], 1);
        check(&[caller(), words("vorrei"), agent(), stopped(), caller(), words("no"), agent(), stopped()], 2);
        check(&[caller(), words("vorrei"), stopped(), agent()], 0);
        check(&[caller(), agent(), words(" "), stopped()], 0);
        // The other way round it is the caller who interrupts.
        check(&[agent(), caller(), words("aspetti"), Event::Interrupted(Turn(0)), stopped()], 0);
    }

    #[test]
    fn an_utterance_that_came_back_keeps_its_beginning() {
        let mut minutes = Minutes::default();
        minutes.event(s(1), &Event::SpeechStarted(Role::Caller, Turn(0)));
        minutes.history(s(2), [caller("vorrei")].iter());
        minutes.history(s(5), [caller("vorrei prenotare")].iter());
        assert_eq!(stamps(&minutes), [(1, 5)]);
    }

    #[test]
    fn a_full_history_drops_its_oldest() {
        let mut minutes = Minutes::default();
        let mut history: Vec<_> = (0..HISTORY_MAX).map(|at| caller(&at.to_string())).collect();
        for (at, end) in (0..).zip(1..=history.len()) {
            minutes.history(s(at), history[..end].iter());
        }
        history.remove(0);
        history.push(caller("new"));
        minutes.history(s(1_000), history.iter());
        let stamps = stamps(&minutes);
        assert_eq!((stamps[0], stamps[HISTORY_MAX - 1], stamps.len()), ((1, 1), (1_000, 1_000), HISTORY_MAX));
    }
}
