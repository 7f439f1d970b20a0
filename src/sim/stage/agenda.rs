//! What will happen in a call, and when: what the script knows beforehand, and what follows from it while it is played.

use std::{collections::BTreeMap, time::Duration};

use super::super::script::Script;
use crate::call::{ClauseId, Failed, LlmEvent, Outcome, SttEvent, TtsEvent, Turn};

/// One thing that will happen.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Due {
    Frame(u64),
    /// A frame that the network kept back.
    Late(u64),
    Stt(SttEvent),
    /// Words up to here are recognised.
    Partial(Duration),
    Final {
        until: Duration,
        commit: Option<u32>,
    },
    SttDies,
    Llm(Turn, u32, LlmEvent),
    LlmFails(Turn, u32, Failed),
    Tts(Turn, ClauseId, TtsEvent),
    /// The voice's stream is looked at again.
    Voice,
    TtsFails(Turn, ClauseId, Failed),
    Tool(u32, Outcome),
    Key(usize),
    Control(usize),
    HangUp,
    /// The line is lost.
    Lost,
    /// It is back.
    Back,
    Shutdown(Duration),
    Mark(u32),
}

/// All that will happen, in the order of its times; of two things at one time the one that was planned first.
pub(super) struct Agenda {
    due: BTreeMap<(Duration, u64), Due>,
    /// The number of the next entry.
    next: u64,
}

impl Agenda {
    /// What the script knows. `words` are all that the caller will say, with the time their sound has come.
    pub(super) fn new(script: &Script, words: &[(Duration, String)]) -> Self {
        let mut agenda = Self { due: BTreeMap::new(), next: 0 };
        agenda.plan(script, words);
        agenda
    }

    pub(super) fn add(&mut self, at: Duration, due: Due) {
        self.due.insert((at, self.next), due);
        self.next += 1;
    }

    /// The next thing that happens.
    pub(super) fn pop(&mut self) -> Option<Due> {
        self.due.pop_first().map(|(_, due)| due)
    }

    pub(super) fn next_at(&self) -> Option<Duration> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// Everything that is known beforehand.
    fn plan(&mut self, script: &Script, words: &[(Duration, String)]) {
        self.add(script.frame, Due::Frame(0));
        let ears = script.ears;
        if let Some(delay) = ears.partials {
            for (end, _) in words {
                self.add(*end + delay, Due::Partial(*end));
            }
        }
        for utterance in &script.utterances {
            let end = arrives(script, utterance.at.end);
            if !ears.commits {
                self.add(end + ears.finals, Due::Final { until: end, commit: None });
            }
            if let Some(delay) = ears.turns {
                // An engine that ends a turn has said all of it before.
                self.add(end + delay, Due::Final { until: end, commit: None });
                self.add(end + delay, Due::Stt(SttEvent::End));
            }
        }
        if let Some(at) = ears.dies {
            self.add(at, Due::SttDies);
        }
        for (place, (at, _)) in script.keys.iter().enumerate() {
            self.add(*at, Due::Key(place));
        }
        for (at, number) in &script.marks_invented {
            self.add(*at, Due::Mark(*number));
        }
        for (place, (at, _)) in script.controls.iter().enumerate() {
            self.add(*at, Due::Control(place));
        }
        for drop in &script.drops {
            self.add(drop.start, Due::Lost);
            self.add(drop.end, Due::Back);
        }
        if let Some(at) = script.hang_up {
            self.add(at, Due::HangUp);
        }
        if let Some((at, within)) = script.shutdown {
            self.add(at, Due::Shutdown(within));
        }
    }
}

/// When what was said at this time reaches the recogniser: after the network's stall.
pub(super) fn arrives(script: &Script, at: Duration) -> Duration {
    script.stalls.iter().filter(|stall| stall.contains(&at)).map(|stall| stall.end).fold(at, Duration::max)
}
