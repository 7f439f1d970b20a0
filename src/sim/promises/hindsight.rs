//! Promises that can be checked only when the call is over: against all that was heard, said and recorded.

use std::{collections::BTreeSet, time::Duration};

use super::{
    super::{script::CHAR, trace::Trace},
    Promises,
};
use crate::{
    call::{
        Action, Event, Message,
        limits::{DEAD_AIR_MAX, GOODBYE_MAX, HISTORY_MAX, TURNS_MAX, UTTERANCE_CHARS_MAX},
    },
    language::Language,
};

/// What was said is in the history by then, or never will be.
const UNDERSTOOD_WITHIN: Duration = Duration::from_secs(4);

impl Promises {
    /// The first promise that was not kept, in words.
    pub(crate) fn at_the_end(&self, trace: &Trace) -> Result<(), String> {
        self.every_ask_has_one_outcome(trace)?;
        self.history_holds_only_what_was_heard(trace)?;
        self.what_was_stopped_is_not_heard(trace)?;
        self.nobody_is_left_in_silence(trace)?;
        self.each_word_is_understood_once(trace)?;
        if trace.history().len() > HISTORY_MAX {
            return Err(format!("promise 8: a history of {} entries", trace.history().len()));
        }
        if let Some(text) = trace.understood().iter().find(|text| text.chars().count() > UTTERANCE_CHARS_MAX + 2) {
            return Err(format!("promise 8: an utterance of {} characters", text.chars().count()));
        }
        if trace.report().turns.len() > TURNS_MAX {
            return Err(format!("promise 8: a report of {} turns", trace.report().turns.len()));
        }
        if trace.ahead_max > self.lead + Duration::from_millis(25) {
            return Err(format!("promise 8: {:?} ahead of the caller's ear", trace.ahead_max));
        }
        Ok(())
    }

    /// 3: recorded in the history, whatever the caller did.
    fn every_ask_has_one_outcome(&self, trace: &Trace) -> Result<(), String> {
        let mut asked = BTreeSet::new();
        let mut outcomes = BTreeSet::new();
        for message in trace.history() {
            match message {
                Message::Asked { tools } => {
                    for tool in tools {
                        if !asked.insert(tool.id.clone()) {
                            return Err(format!("promise 3: the ask {} is recorded twice", tool.id));
                        }
                    }
                }
                Message::Outcome { id, .. } => {
                    if !outcomes.insert(id.clone()) {
                        return Err(format!("promise 3: the outcome of {id} is recorded twice"));
                    }
                }
                Message::Caller { .. } | Message::Agent { .. } | Message::Note { .. } => {}
            }
        }
        if asked != outcomes {
            return Err(format!("promise 3: asked {asked:?}, outcomes {outcomes:?}"));
        }
        for (_, id, _) in &self.started {
            if !asked.contains(id) {
                return Err(format!("promise 3: the tool call {id} was started and not recorded"));
            }
        }
        Ok(())
    }

    /// 2, at the far end: nothing of a stopped turn but what the line had taken and cannot give back.
    fn what_was_stopped_is_not_heard(&self, trace: &Trace) -> Result<(), String> {
        for (at, turn) in &self.stops {
            let until = *at + self.tail + Duration::from_millis(25);
            if let Some(stretch) = trace.heard().iter().find(|stretch| stretch.turn == *turn && stretch.to > until) {
                return Err(format!("promise 2: {turn:?}, stopped at {at:?}, is heard until {:?}", stretch.to));
            }
        }
        Ok(())
    }

    /// 5: no more words of a turn than its sound can hold, and none in the history that were not.
    fn history_holds_only_what_was_heard(&self, trace: &Trace) -> Result<(), String> {
        for (turn, said) in &self.said {
            // Joins between clauses are recorded as a space and have no sound.
            let joins = trace.clauses(*turn);
            let needed = CHAR * said.chars().count().saturating_sub(joins) as u32;
            let sounded = trace.voice_of(*turn);
            if needed > sounded + Duration::from_millis(100) {
                return Err(format!("promise 5: {needed:?} of words of {turn:?} in the history, {sounded:?} heard"));
            }
        }
        let signs = |text: &str| text.chars().filter(|sign| !sign.is_whitespace()).count();
        let told: usize = self.said.iter().map(|(_, said)| signs(said)).sum();
        let recorded: usize = trace.said().iter().map(|text| signs(text.trim_end_matches('|'))).sum();
        if recorded != told && trace.history().len() < HISTORY_MAX {
            return Err(format!("promise 5: {recorded} signs in the history, {told} told as heard"));
        }
        Ok(())
    }

    /// How much of this time our own process stood still, and everything that follows from it.
    fn held_up(&self, from: Duration, to: Duration) -> Duration {
        self.freezes.iter().fold(Duration::ZERO, |late, freeze| {
            let matters = freeze.start < to + late && freeze.end > from;
            late + if matters { freeze.end - freeze.start.max(from) } else { Duration::ZERO }
        })
    }

    /// 7: a caller who speaks is answered within the limit, or told something.
    fn nobody_is_left_in_silence(&self, trace: &Trace) -> Result<(), String> {
        if self.excused {
            return Ok(());
        }
        let end = trace.ending().map_or(trace.end(), |(at, _)| at);
        for utterance in trace.utterances() {
            let spoken = utterance.at.end;
            let understood = utterance.text.split_whitespace().count() > 0
                && utterance.at.end - utterance.at.start >= Duration::from_millis(600);
            let limit = spoken + DEAD_AIR_MAX + self.lead;
            let limit = limit + self.held_up(spoken, limit);
            let goes_on = trace.is_busy_between(spoken, limit);
            let unheard = self.mute.iter().any(|mute| mute.start < utterance.at.end && mute.end > utterance.at.start);
            if !understood || unheard || goes_on || limit > end {
                continue;
            }
            // What we were saying when the caller began does not count, unless we go on saying it.
            let heard_from = spoken + Duration::from_millis(200);
            let sounds = trace.heard().iter().any(|stretch| stretch.to > heard_from && stretch.from < limit);
            if !sounds {
                return Err(format!("promise 7: silence for more than {DEAD_AIR_MAX:?} after {spoken:?}"));
            }
        }
        Ok(())
    }

    /// What the caller said is in the history, once, unless our own voice or the end was in the way.
    fn each_word_is_understood_once(&self, trace: &Trace) -> Result<(), String> {
        if !self.clear {
            return Ok(());
        }
        let understood = trace.understood();
        let count = |words: &str| understood.iter().map(|text| text.matches(words).count()).sum::<usize>();
        for utterance in trace.utterances() {
            let said =
                trace.utterances().iter().map(|other| other.text.matches(&utterance.text).count()).sum::<usize>();
            if count(&utterance.text) > said && !self.repeats {
                return Err(format!("\"{}\" was said {said} times and understood more often", utterance.text));
            }
            // While an answer is on its way these say "go on".
            let silent = utterance.text.trim().is_empty();
            if silent || Language::Italian.phrases().list("call.backchannels").any(|known| known == utterance.text) {
                continue;
            }
            let (from, to) = (utterance.at.start.saturating_sub(Duration::from_secs(1)), utterance.at.end);
            let late = self.held_up(from, to + UNDERSTOOD_WITHIN);
            let until = to + UNDERSTOOD_WITHIN + late;
            let unheard = self.mute.iter().any(|mute| mute.start < until && mute.end > utterance.at.start);
            let over_us = trace.heard().iter().any(|stretch| stretch.to > from && stretch.from < to + late);
            let others = trace.is_busy_between(from, utterance.at.start) || trace.is_busy_between(to, until);
            let ends = trace.ending().map_or(trace.end(), |(at, _)| at) < until;
            // The call is about to end, or to be put through: what is said meanwhile finds nobody any more.
            let parting = trace.events().any(|(at, event)| {
                let ends = |name: &str| name == "end_call" || name == "transfer_to_human";
                matches!(event, Event::ToolEnded { name, .. } if ends(name)) && at < to && at + GOODBYE_MAX > from
            });
            let told = trace.actions().iter().any(|(at, action)| {
                let Action::Speak { text, .. } = action else { return false };
                let says = |key| Language::Italian.phrases().text(key).contains(text.as_str());
                // Asked to repeat, because nothing of it was recognised; or the call had to end just then.
                (from..until).contains(at) && says("call.trouble") && !trace.was_recognised(utterance, *at)
                    || (from..to + DEAD_AIR_MAX + late).contains(at)
                        && (says("call.goodbye_time") || says("call.shutdown"))
            });
            if !over_us
                && !unheard
                && !others
                && !told
                && !ends
                && !parting
                && to - utterance.at.start >= Duration::from_millis(300)
                && count(&utterance.text) == 0
            {
                return Err(format!("\"{}\", said at {:?}, was not understood", utterance.text, utterance.at.start));
            }
        }
        Ok(())
    }
}
