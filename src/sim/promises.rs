//! The promises of the house, checked at each step of a simulated call, and in [`hindsight`] when it is over. The numbers
//! are those of the design; a broken promise is a sentence.

mod hindsight;

use std::{collections::BTreeSet, ops::Range, time::Duration};

use super::{script::Script, stage::stamp};
use crate::call::{
    Action, Actions, Control, Event, Message, Role, ToolKind, Turn,
    limits::{CLAUSE_CHARS_MAX, CLAUSES_MAX, STALL_MAX, VOICE_AHEAD},
};

/// More wakes than this in a second of virtual time are a call that spins: there are fifty frames in it.
const WAKES_MAX: u32 = 150;

/// More actions than this in one step have no bound.
const ACTIONS_MAX: usize = 400;

/// Watches one call.
#[derive(Debug)]
pub struct Promises {
    /// Turns up to this one were stopped.
    stopped: Option<Turn>,
    /// The turn of the last question to the model.
    asked: Option<Turn>,
    /// Tools that run: our number, the model's id, kind.
    started: Vec<(u32, String, ToolKind)>,
    /// Ids whose outcome was told.
    ended: BTreeSet<String>,
    /// Wakes in the present second.
    wakes: (u64, u32),
    /// The call was closed.
    closed: bool,
    /// Its end was told.
    end_told: bool,
    /// Who is said to speak: the caller, and which turn of ours.
    speaks: (bool, Option<Turn>),
    /// The next commit's number at least.
    commits: u32,
    /// Clauses given to the voice: the turn, and how many of it.
    clauses: (Turn, u32),
    /// Turns whose end was told.
    turns_told: BTreeSet<Turn>,
    /// Turns that were stopped, and when.
    stops: Vec<(Duration, Turn)>,
    /// What was said to have been heard of a turn.
    said: Vec<(Turn, String)>,
    /// Nothing of the recogniser, of the line or of others can be blamed: each word said is understood once.
    clear: bool,
    /// Two sources of dead air at once, or an engine that never speaks, are beyond the promise.
    excused: bool,
    /// While our own process stands still nobody can be answered; afterwards it is as late as that, and no later.
    freezes: Vec<Range<Duration>>,
    /// Without commits an engine says all of a sentence again that a stall had cut in two: better twice than lost.
    repeats: bool,
    /// What is said on a mute line nobody can understand.
    mute: Vec<Range<Duration>>,
    /// What the line holds ahead at most.
    lead: Duration,
    /// What the line still plays of what was stopped.
    tail: Duration,
    /// What is heard was synthesised at this rate, so that its size is known (ducked, it is smaller).
    plain: bool,
}

impl Promises {
    pub(crate) fn new(script: &Script) -> Self {
        // The network delivers late, and a line that goes mute in mid-word is believed to be speaking for a while.
        let mute = script.mute.iter().map(|mute| mute.start..mute.end.min(mute.start + STALL_MAX));
        let mut freezes: Vec<Range<Duration>> =
            script.freezes.iter().chain(&script.stalls).chain(&script.drops).cloned().chain(mute).collect();
        freezes.sort_by_key(|freeze| freeze.start);
        let muted = script.controls.iter().any(|(_, control)| matches!(control, Control::MuteAgent(true)));
        let unspoken = script.voice.fails > 0 || script.settings.filler_ms > 1_800;
        let hostile = script.ears.hostile > 0;
        Self {
            stopped: None,
            asked: None,
            started: Vec::new(),
            ended: BTreeSet::new(),
            wakes: (0, 0),
            closed: false,
            end_told: false,
            speaks: (false, None),
            commits: 0,
            clauses: (Turn(0), 0),
            turns_told: BTreeSet::new(),
            stops: Vec::new(),
            said: Vec::new(),
            clear: !hostile && script.twice == 0 && script.jumbled.is_none() && script.controls.is_empty(),
            excused: unspoken || hostile || muted || script.ears.finals > Duration::from_millis(600),
            freezes,
            repeats: !script.stalls.is_empty() && !script.ears.commits,
            mute: script.mute.iter().chain(&script.drops).cloned().collect(),
            lead: script.line.lead,
            tail: if script.line.clears { Duration::ZERO } else { script.line.lead },
            plain: script.voice_rate.is_none_or(|rate| rate == script.line.speaks.rate),
        }
    }

    /// One step: what the call asked for, and when it wants to be woken.
    pub(crate) fn step(
        &mut self,
        now: Duration,
        woken: bool,
        wake: Option<Duration>,
        actions: &Actions,
    ) -> Result<(), String> {
        // 9: every wake has a name and lies in the future.
        if wake.is_some_and(|wake| wake <= now) {
            return Err(format!("promise 9: at {now:?} the call wants to be woken in the past"));
        }
        let second = now.as_secs();
        let before = if self.wakes.0 == second { self.wakes.1 } else { 0 };
        self.wakes = (second, before + u32::from(woken));
        if self.wakes.1 > WAKES_MAX {
            return Err(format!("promise 9: the call spins at {now:?}"));
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
            sent_voice |= matches!(action, Action::Send { turn: Some(_), .. });
            self.action(now, action, sent_voice)?;
        }
        if self.closed && wake.is_some() {
            return Err(format!("promise 9: a closed call wants to be woken at {now:?}"));
        }
        Ok(())
    }

    fn action(&mut self, now: Duration, action: &Action, sent_voice: bool) -> Result<(), String> {
        match action {
            Action::Stop(turn) => {
                self.stopped = self.stopped.max(Some(*turn));
                self.stops.push((now, *turn));
            }
            // 2: after a stop of turn t, no byte of turn t reaches the wire, and nothing is asked for it.
            Action::Send { turn: Some(turn), .. } => self.is_alive(now, *turn, "a frame")?,
            Action::Think(ask) => {
                self.is_alive(now, ask.turn, "an ask")?;
                if let Some(before) = self.asked.replace(ask.turn)
                    && before != ask.turn
                    && Some(before) > self.stopped
                    && !self.turns_told.contains(&before)
                {
                    return Err(format!("promise 2: {before:?} was neither stopped nor ended when {now:?} asked anew"));
                }
                outcomes_follow_asks(&ask.messages).map_err(|why| format!("promise 3: asked at {now:?}: {why}"))?;
            }
            Action::Speak { turn, clause, aside, text } => {
                self.is_alive(now, *turn, "a clause")?;
                if text.trim().is_empty() || text.chars().count() > CLAUSE_CHARS_MAX {
                    return Err(format!("promise 8: a clause of {} characters at {now:?}", text.chars().count()));
                }
                if !aside {
                    let expected = if self.clauses.0 == *turn { self.clauses.1 } else { 0 };
                    if clause.0 as usize >= CLAUSES_MAX {
                        return Err(format!("promise 8: the clause {clause:?} of {turn:?} at {now:?}"));
                    }
                    if clause.0 != expected {
                        return Err(format!("the clause {clause:?} of {turn:?} at {now:?} instead of {expected}"));
                    }
                    self.clauses = (*turn, expected + 1);
                }
            }
            Action::Commit(number) => {
                if *number < self.commits {
                    return Err(format!("the commit {number} comes twice, at {now:?}"));
                }
                self.commits = number + 1;
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
            Action::Tell(event) => self.told(now, event, sent_voice)?,
            Action::Close(_) => {
                if !self.end_told || self.speaks.1.is_some() {
                    return Err(format!("the close at {now:?} is a surprise: {:?}", self.speaks));
                }
                self.closed = true;
            }
            Action::Send { turn: None, .. }
            | Action::Hear(_)
            | Action::Clear
            | Action::Mark(_)
            | Action::Transfer(_) => {}
        }
        Ok(())
    }

    /// What observers are told is consistent.
    fn told(&mut self, now: Duration, event: &Event, sent_voice: bool) -> Result<(), String> {
        match event {
            // 3: one outcome each.
            Event::ToolEnded { id, .. } => {
                if !self.ended.insert(id.clone()) {
                    return Err(format!("promise 3: the tool call {id} ended twice"));
                }
            }
            // 6: speaking means that audio is leaving.
            Event::SpeechStarted(Role::Agent, turn) => {
                if !sent_voice {
                    return Err(format!("promise 6: {turn:?} is said to speak at {now:?}, and nothing has left"));
                }
                if let Some(other) = self.speaks.1.replace(*turn) {
                    return Err(format!("promise 6: {turn:?} begins at {now:?} and {other:?} has not stopped"));
                }
            }
            Event::SpeechStopped(Role::Agent, turn) => {
                if self.speaks.1.take() != Some(*turn) {
                    return Err(format!("promise 6: {turn:?} stops at {now:?} and had not begun"));
                }
                self.said.push((*turn, String::new()));
            }
            Event::SpeechStarted(Role::Caller, _) => {
                if std::mem::replace(&mut self.speaks.0, true) {
                    return Err(format!("promise 6: the caller begins twice, at {now:?}"));
                }
            }
            Event::SpeechStopped(Role::Caller, _) => {
                if !std::mem::replace(&mut self.speaks.0, false) {
                    return Err(format!("promise 6: the caller stops at {now:?} and had not begun"));
                }
            }
            Event::TurnEnded(report) => {
                if !self.turns_told.insert(report.turn) {
                    return Err(format!("{:?} ended twice, at {now:?}", report.turn));
                }
                let times = [report.speech_end, report.endpoint, report.asked, report.first_word, report.first_clause];
                let sound = [report.first_clause, report.first_audio, report.first_frame];
                for times in [&times[..], &sound[..]] {
                    let times: Vec<Duration> = times.iter().copied().flatten().collect();
                    if !times.is_sorted() || times.last().is_some_and(|last| *last > now) {
                        return Err(format!("the times of {:?} are out of order at {now:?}: {report:?}", report.turn));
                    }
                }
            }
            Event::Ended(_) => {
                if std::mem::replace(&mut self.end_told, true) {
                    return Err(format!("the end is told twice, at {now:?}"));
                }
            }
            Event::Transcript { role: Role::Agent, last: true, text } => {
                if let Some((_, said)) = self.said.last_mut() {
                    said.clone_from(text);
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
            | Event::Keys(_)
            | Event::Late(_) => {}
        }
        Ok(())
    }

    fn is_alive(&self, now: Duration, turn: Turn, what: &str) -> Result<(), String> {
        if Some(turn) <= self.stopped {
            return Err(format!("promise 2: {what} of the stopped {turn:?} at {now:?}"));
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

    /// 2: the streams of a turn that is over were stopped, or had said all they had.
    pub(crate) fn stream(&self, now: Duration, turn: Turn) -> Result<(), String> {
        if self.turns_told.contains(&turn) {
            return Err(format!("promise 2: {turn:?} is over and was not stopped, and an engine goes on at {now:?}"));
        }
        Ok(())
    }

    /// 8: what was read from a voice and has not left.
    pub(crate) fn waiting(now: Duration, waiting: Duration) -> Result<(), String> {
        // What came last may be a whole piece, and a filler is welcome at any time.
        if waiting > VOICE_AHEAD + Duration::from_millis(200) {
            return Err(format!("promise 8: {waiting:?} of voice wait at {now:?}"));
        }
        Ok(())
    }
}

/// In what a model reads, each ask is followed by its outcome (or that it is pending), and we never said nothing.
fn outcomes_follow_asks(messages: &[Message]) -> Result<(), String> {
    let mut open: Vec<&str> = Vec::new();
    for message in messages {
        match message {
            Message::Asked { tools } => open.extend(tools.iter().map(|tool| tool.id.as_str())),
            Message::Outcome { id, .. } => {
                let place = open.iter().position(|of| of == id).ok_or(format!("the outcome of {id} answers no ask"))?;
                open.remove(place);
            }
            Message::Agent { text, .. } if text.is_empty() => return Err("we said nothing".into()),
            Message::Agent { .. } | Message::Caller { .. } | Message::Note { .. } => {
                if let Some(id) = open.first() {
                    return Err(format!("something was said between the ask {id} and its outcome"));
                }
            }
        }
    }
    open.first().map_or(Ok(()), |id| Err(format!("the ask {id} has no outcome")))
}
