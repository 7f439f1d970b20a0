//! The promises of the house, checked at each step of a simulated call and at its end. The numbers are those of the
//! design; a broken promise is a sentence.

use std::{collections::BTreeSet, time::Duration};

use super::{
    script::{CHAR, Script},
    stage::stamp,
    trace::Trace,
};
use crate::call::{
    Action, Actions, Event, Message, Role, ToolKind, Turn,
    limits::{DEAD_AIR_MAX, HISTORY_MAX},
};

/// More wakes than this in a second of virtual time are a call that spins.
const WAKES_MAX: u32 = 400;

/// More actions than this in one step have no bound.
const ACTIONS_MAX: usize = 400;

/// Watches one call.
#[derive(Debug)]
pub struct Promises {
    /// Turns up to this one were stopped.
    stopped: Option<Turn>,
    /// Tools that run: our number, the model's id, kind.
    started: Vec<(u32, String, ToolKind)>,
    /// Ids whose outcome was told.
    ended: BTreeSet<String>,
    /// Wakes in the present second.
    wakes: (u64, u32),
    /// The call was closed.
    closed: bool,
    /// Two sources of dead air at once, or an engine that never speaks, are beyond the promise.
    excused: bool,
    /// What the line holds ahead at most.
    lead: Duration,
    /// What is heard was synthesised at this rate, so that its size is known (ducked, it is smaller).
    plain: bool,
}

impl Promises {
    pub(crate) fn new(script: &Script) -> Self {
        let stalls = !script.stalls.is_empty() || !script.mute.is_empty() || !script.freezes.is_empty();
        let unspoken = script.voice.fails > 0 || script.settings.filler_ms > 1_800;
        let deaf = script.ears.dies.is_some() || script.ears.hostile > 0;
        Self {
            stopped: None,
            started: Vec::new(),
            ended: BTreeSet::new(),
            wakes: (0, 0),
            closed: false,
            excused: stalls || unspoken || deaf || script.ears.finals > Duration::from_millis(600),
            lead: script.line.lead,
            plain: script.voice_rate.is_none_or(|rate| rate == script.line.speaks.rate),
        }
    }

    /// 9: a wake is about to be delivered; a call that asks for too many of them spins.
    pub(crate) fn wake(&mut self, now: Duration) -> Result<(), String> {
        let second = now.as_secs();
        self.wakes = if self.wakes.0 == second { (second, self.wakes.1 + 1) } else { (second, 1) };
        if self.wakes.1 > WAKES_MAX {
            return Err(format!("promise 9: the call spins at {now:?}"));
        }
        Ok(())
    }

    /// One step: what the call asked for, and when it wants to be woken.
    pub(crate) fn step(&mut self, now: Duration, wake: Option<Duration>, actions: &Actions) -> Result<(), String> {
        // 9: every wake has a name and lies in the future.
        if wake.is_some_and(|wake| wake <= now) {
            return Err(format!("promise 9: at {now:?} the call wants to be woken in the past"));
        }
        // 8: everything has a bound.
        if actions.list().len() > ACTIONS_MAX {
            return Err(format!("promise 8: {} actions in one step at {now:?}", actions.list().len()));
        }
        let mut sent_voice = false;
        for action in actions.list() {
            if self.closed {
                return Err(format!("after the close at {now:?}: {action:?}"));
            }
            match action {
                Action::Stop(turn) => self.stopped = self.stopped.max(Some(*turn)),
                // 2: after a stop of turn t, no byte of turn t reaches the wire.
                Action::Send { turn: Some(turn), .. } => {
                    sent_voice = true;
                    if Some(*turn) <= self.stopped {
                        return Err(format!("promise 2: a frame of the stopped {turn:?} at {now:?}"));
                    }
                }
                Action::RunTool { tool, kind, ask } => {
                    if self.started.iter().any(|(number, id, _)| number == tool || *id == ask.id) {
                        return Err(format!("promise 3: the tool call {} was started twice", ask.id));
                    }
                    self.started.push((*tool, ask.id.clone(), *kind));
                }
                // 3: writes are never cancelled.
                Action::DropTool(tool) => {
                    let kind = self.started.iter().find(|(number, ..)| number == tool).map(|(.., kind)| *kind);
                    if kind != Some(ToolKind::Read) {
                        return Err(format!("promise 3: the tool {tool} of kind {kind:?} was dropped"));
                    }
                }
                // 3: one outcome each.
                Action::Tell(Event::ToolEnded { id, .. }) => {
                    if !self.ended.insert(id.clone()) {
                        return Err(format!("promise 3: the tool call {id} ended twice"));
                    }
                }
                // 6: speaking means that audio is leaving.
                Action::Tell(Event::SpeechStarted(Role::Agent, turn)) => {
                    if !sent_voice {
                        return Err(format!("promise 6: {turn:?} is said to speak at {now:?}, and nothing has left"));
                    }
                }
                Action::Close(_) => self.closed = true,
                Action::Send { turn: None, .. }
                | Action::Hear(_)
                | Action::Commit(_)
                | Action::Think(_)
                | Action::Speak { .. }
                | Action::Clear
                | Action::Mark(_)
                | Action::Tell(_)
                | Action::Transfer(_) => {}
            }
        }
        Ok(())
    }

    /// 2, in the sound itself: a frame said to be of this turn consists of its samples, the loudest of which is this.
    pub(crate) fn frame(&self, now: Duration, turn: Turn, loudest: i16) -> Result<(), String> {
        if self.plain && loudest > stamp(turn) {
            return Err(format!("promise 2: samples of another turn in a frame of {turn:?} at {now:?}: {loudest}"));
        }
        Ok(())
    }

    /// What can only be seen in the end.
    pub(crate) fn at_the_end(&self, trace: &Trace) -> Result<(), String> {
        self.every_ask_has_one_outcome(trace)?;
        self.history_holds_only_what_was_heard(trace)?;
        self.nobody_is_left_in_silence(trace)?;
        if trace.history().len() > HISTORY_MAX {
            return Err(format!("promise 8: a history of {} entries", trace.history().len()));
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

    /// 5: no more words than the sound that left can hold.
    fn history_holds_only_what_was_heard(&self, trace: &Trace) -> Result<(), String> {
        let recorded: usize = trace.said().iter().map(|text| text.trim_end_matches('|').chars().count()).sum();
        let sounded = trace.voice();
        // Joins between clauses are recorded as a space and have no sound.
        let joins = trace.spoken().len() + trace.said().len();
        let needed = CHAR * recorded.saturating_sub(joins) as u32;
        if needed > sounded + self.lead + Duration::from_millis(100) {
            return Err(format!("promise 5: {needed:?} of words in the history, {sounded:?} of sound heard"));
        }
        Ok(())
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
            let goes_on = trace.is_busy_between(spoken, limit);
            if !understood || goes_on || limit > end {
                continue;
            }
            // A backchannel while we speak, and what we are saying then, needs no other answer.
            let sounds = trace.heard().iter().any(|stretch| stretch.to > utterance.at.start && stretch.from < limit);
            if !sounds {
                return Err(format!("promise 7: silence for more than {DEAD_AIR_MAX:?} after {spoken:?}"));
            }
        }
        Ok(())
    }
}
