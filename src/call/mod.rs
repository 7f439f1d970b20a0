//! The conversation on one transport, from answer to hang-up, as a value.
//!
//! [`Call::handle`] takes one [`Input`] and the time, and pushes what should be done to [`Actions`]. There is no clock,
//! socket, task, lock or await in here, so a call can be run in virtual time, exactly.
//!
//! Words: a *turn* is a number that grows each time the right to speak changes hands; an *utterance* is what the caller
//! says in a turn and a *reply* is what we say in one; *playout* is what is still to be heard.
//!
//! Phases are derived, not stored: listening is no reply; thinking is a reply that has not been heard; speaking is a
//! reply whose playout has moved.
//!
//! What it does not do: it never decides how a wire is written, never knows a brand of engine, never runs a tool, and
//! never looks at a clock.

pub mod limits;

mod action;
mod ask;
mod deadline;
mod engine;
mod input;
mod report;
mod settings;

mod ahead;
mod away;
mod endpointing;
mod interruption;
mod keypad;
mod listen;
mod loudness;
mod taken;
mod utterance;
mod words;

mod clauses;
mod heard;
mod mouth;
mod reply;

mod history;
pub(crate) mod tool_calls;

mod hearing;
mod speaking;
mod waiting;

#[cfg(feature = "fuzz")]
pub mod fuzz;

use std::{collections::VecDeque, time::Instant};

use serde::{Deserialize, Serialize};

pub use action::{Action, Actions, Ending, Event, Role};
pub use ahead::AskedAhead;
pub use ask::{Ask, Message, ToolAsk, ToolKind, ToolSpec};
pub use clauses::clauses;
pub use deadline::{Deadline, Wake};
pub use endpointing::{Complete, Question};
pub use engine::{Finish, LlmEvent, SttEvent, TtsEvent, WordTiming};
pub use input::{AudioIn, Control, Failed, Input, Outcome, Then};
pub use report::{CallReport, Interruption, TurnReport};
pub use settings::{
    Endpointing, EndpointingPolicy, Interrupting, InterruptingPolicy, Opening, Sayings, Settings, Setup,
};

use self::{
    ahead::Ahead, away::Away, history::History, interruption::CutIn, keypad::Keypad, listen::Listen, mouth::Mouth,
    reply::Reply, tool_calls::ToolCalls, waiting::Closing,
};
use crate::{
    audio::{CodecError, VadSettings},
    language::Phrases,
};

/// Grows each time the right to speak changes hands. Everything asked of a provider carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "fuzz", derive(arbitrary::Arbitrary))]
pub struct Turn(pub u32);

/// One piece of a reply that is spoken in one go, counted from 0 in each turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "fuzz", derive(arbitrary::Arbitrary))]
pub struct ClauseId(pub u32);

/// A conversation. See the [module](self).
#[derive(Debug)]
pub struct Call {
    /// How this call behaves.
    setup: Setup,
    /// The sentences of its language.
    phrases: &'static Phrases,
    /// When it was answered; every time in the report counts from here.
    answered: Option<Instant>,
    /// The number of the last turn.
    turn: Turn,
    /// The way in.
    listen: Listen,
    /// The way out.
    mouth: Mouth,
    /// What we are saying, or about to. Barge-in takes it.
    reply: Option<Reply>,
    /// What we will say when the reply is over, without the model: text, interruptible, what follows.
    queue: VecDeque<Script>,
    /// The caller may be cutting in.
    cut_in: Option<CutIn>,
    history: History,
    tools: ToolCalls,
    keypad: Keypad,
    /// The question that will be asked if the caller has finished.
    ahead: Option<Ahead>,
    /// How asking ahead went so far.
    asked_ahead: AskedAhead,
    /// Something is unanswered though nobody speaks: the model is to be asked.
    owed: bool,
    /// The call is ending: why, and until when the goodbye may take.
    closing: Option<Closing>,
    /// The line is lost.
    away: Option<Away>,
    /// Since when nobody says anything.
    quiet_since: Option<Instant>,
    /// How often we asked whether the caller is still there.
    reprompts: u32,
    /// Replies that failed, one after the other.
    failures: u32,
    /// Times the caller spoke and nothing was recognised, one after the other.
    unheard: u32,
    /// Utterances in a row that were too soft to be meant for us, and ignored.
    far: u32,
    /// The times of finished turns.
    turns: VecDeque<TurnReport>,
    /// Answers of providers that came too late.
    late: u64,
    /// Why it is over.
    over: Option<Ending>,
}

/// A sentence of ours, without the model.
#[derive(Debug)]
struct Script {
    text: String,
    interruptible: bool,
    then_end: Option<Ending>,
}

/// Rounds of [`Call::settle`]: each may make the next one possible (a reply ends, the queue speaks, the call closes).
const SETTLE_ROUNDS: usize = 8;

impl Call {
    /// A call that has not been answered yet. Fails where a format cannot be carried.
    pub fn new(setup: Setup) -> Result<Self, CodecError> {
        let vad: &VadSettings = &setup.settings.vad;
        Ok(Self {
            phrases: setup.settings.language.phrases(),
            answered: None,
            turn: Turn(0),
            listen: Listen::new(setup.line, vad)?,
            mouth: Mouth::new(setup.line)?,
            reply: None,
            queue: VecDeque::new(),
            cut_in: None,
            history: History::default(),
            tools: ToolCalls::default(),
            keypad: Keypad::default(),
            ahead: None,
            asked_ahead: AskedAhead::default(),
            owed: false,
            closing: None,
            away: None,
            quiet_since: None,
            reprompts: 0,
            failures: 0,
            unheard: 0,
            far: 0,
            turns: VecDeque::new(),
            late: 0,
            over: None,
            setup,
        })
    }

    /// Handles one input. Everything asked for is pushed to `actions` before this returns.
    ///
    /// `now` never goes back. For audio it is the moment the bytes arrived. The work is bounded: by the length of the
    /// input and by the limits of [`limits`].
    #[must_use = "the call sleeps for ever if it is not woken"]
    pub fn handle(&mut self, now: Instant, input: Input<'_>, actions: &mut Actions) -> Option<Wake> {
        if self.over.is_some() {
            self.after_the_end(input);
            return None;
        }
        self.listen.looked(now);
        match input {
            Input::Answered => self.answer(now, actions),
            Input::Audio(_) if self.is_away() => {}
            Input::Audio(audio) => self.hear(now, audio, actions),
            Input::Key(key) => {
                let entry = self.keypad.press(now, key, &self.setup.settings.keys_end);
                self.key_pressed(now, entry, actions);
            }
            Input::Mark(number) => self.mouth.marked(number),
            Input::Stt(event) => self.recognised(now, &event, actions),
            Input::SttFailed { why: _, restarts } => self.recogniser_failed(now, restarts, actions),
            Input::Llm(turn, event) => match self.is_current(turn) {
                true => self.model(now, event, actions),
                false => self.late += u64::from(!self.keep_ahead(turn, &event, actions)),
            },
            Input::LlmFailed(turn, _) => match self.is_current(turn) {
                true => self.model_failed(now, actions),
                false => self.late += u64::from(!self.ahead_failed(turn, actions)),
            },
            Input::Tts(turn, clause, event) => match self.is_current(turn) {
                true => self.voice(now, clause, event),
                false => self.late += 1,
            },
            Input::TtsFailed(turn, clause, _) => match self.is_current(turn) {
                true => self.voice_failed(now, clause, actions),
                false => self.late += 1,
            },
            Input::ToolDone(tool, outcome) => self.tool_done(now, tool, outcome, actions),
            Input::Control(control) => self.control(now, control, actions),
            Input::LineLost => self.line_lost(now, actions),
            Input::LineBack => self.line_back(now, actions),
            Input::Closed { clean } => {
                self.finish(now, if clean { Ending::CallerHungUp } else { Ending::LineLost }, None, actions);
            }
            Input::Shutdown(within) => self.shut_down(now, within, actions),
            Input::Wake => {}
        }
        for _ in 0..SETTLE_ROUNDS {
            if self.over.is_some() || !self.settle(now, actions) && !self.is_due(now) {
                break;
            }
        }
        self.next_wake(now)
    }

    /// Does what has become possible or due. Returns whether something was done that may make more possible.
    fn settle(&mut self, now: Instant, actions: &mut Actions) -> bool {
        if self.answered.is_none() || self.is_away() {
            return false;
        }
        let before = self.turn;
        self.settle_cut_in(now, actions);
        self.settle_utterance(now, actions);
        self.settle_ahead(now, actions);
        self.settle_keys(now, actions);
        self.settle_patience(now, actions);
        if self.over.is_some() {
            return false;
        }
        self.settle_voice(now, actions);
        // In a new turn the caller may be cutting in already; and what we were held for may have been nothing.
        let nothing = self.cut_in.is_some() && self.listen.utterance.is_none();
        let more = nothing || self.turn != before;
        more | self.settle_reply(now, actions) | self.settle_silence(now, actions) | self.settle_ending(now, actions)
    }

    /// What was done made something else due.
    fn is_due(&self, now: Instant) -> bool {
        self.earliest(now).is_some_and(|(at, _)| at <= now)
    }

    /// The earliest moment at which something is due.
    fn next_wake(&self, now: Instant) -> Option<Wake> {
        let (at, why) = self.earliest(now)?;
        // A deadline that is due and was not handled would spin for ever: better to end this call, loudly.
        assert!(at > now, "the deadline {why:?} was due and nothing was done about it");
        Some(Wake { at, why })
    }

    fn earliest(&self, now: Instant) -> Option<(Instant, Deadline)> {
        let answered = self.answered?;
        if self.over.is_some() || self.is_away() {
            return None;
        }
        let wakes = [
            self.mouth.wake(now, self.may_wait(now)).map(|at| (at, Deadline::Frame)),
            self.listen.wake(now).map(|at| (at, Deadline::Stall)),
            self.keys_wake().map(|at| (at, Deadline::Keys)),
            self.patience_wake(),
            self.reply_wake(now),
            self.silence_wake(answered),
            self.closing.as_ref().map(|closing| (closing.until, Deadline::Goodbye)),
        ];
        wakes.into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// The conversation so far, oldest first; holds only what was heard.
    pub fn history(&self) -> impl Iterator<Item = &Message> {
        self.history.messages()
    }

    /// There is room for more of the voice's audio: when not, leave it in its stream. Asides are always welcome.
    pub fn is_hungry(&self) -> bool {
        self.mouth.is_hungry() && self.reply.as_ref().is_none_or(|reply| !reply.in_aside())
    }

    /// The call has asked to be closed.
    pub const fn is_over(&self) -> bool {
        self.over.is_some()
    }

    /// The report so far.
    pub fn report(&self, now: Instant) -> CallReport {
        CallReport {
            duration: self.answered.map_or_else(Default::default, |at| now.saturating_duration_since(at)),
            ending: self.over,
            turns: self.turns.iter().cloned().collect(),
            late_inputs: self.late,
            asked_ahead: self.asked_ahead,
            samples_in: self.listen.samples_in,
            concealed: self.listen.concealed(),
            frames_out: self.mouth.frames_out,
        }
    }

    /// The one place where a provider's answer is compared with the turn it was asked in.
    fn is_current(&self, turn: Turn) -> bool {
        self.reply.as_ref().is_some_and(|reply| reply.turn == turn)
    }

    /// A time for the report.
    fn since_answer(&self, at: Instant) -> std::time::Duration {
        self.answered.map_or_else(Default::default, |answered| at.saturating_duration_since(answered))
    }
}
