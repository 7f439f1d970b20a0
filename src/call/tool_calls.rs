//! The tools a model asked for: each that was started has exactly one outcome, whatever the caller does.

use std::time::Instant;

use super::{
    Outcome, Then, ToolAsk, ToolKind, ToolSpec, Turn,
    limits::{TOOL_ARGUMENTS_MAX, TOOLS_MAX},
};

/// Every tool call of one call.
#[derive(Debug, Default)]
pub(crate) struct ToolCalls {
    /// In the order they were asked for; our number is the place.
    calls: Vec<ToolCall>,
}

#[derive(Debug)]
struct ToolCall {
    ask: ToolAsk,
    kind: ToolKind,
    /// The turn that waits for it.
    turn: Turn,
    state: State,
}

#[derive(Debug)]
enum State {
    Running {
        since: Instant,
    },
    Done,
    /// A look-up that nobody waits for any more; its outcome, if it comes, is late.
    Dropped,
}

/// What became of an ask.
#[derive(Debug)]
pub(crate) enum Asked {
    /// Run it under this number.
    Run(u32, ToolKind),
    /// The model repeats itself: this id is known.
    Repeated,
    /// It cannot be run; the model reads why.
    Refused(Outcome),
}

/// What became of an outcome.
#[derive(Debug)]
pub(crate) enum Settled {
    /// The first for this call: what it answers.
    Now { ask: ToolAsk, turn: Turn },
    /// There was one already, or nobody asked.
    Late,
}

impl ToolCalls {
    /// Records an ask of the model.
    pub(crate) fn ask(&mut self, now: Instant, turn: Turn, ask: &ToolAsk, specs: &[ToolSpec]) -> Asked {
        if self.calls.iter().any(|call| call.ask.id == ask.id) {
            return Asked::Repeated;
        }
        let spec = specs.iter().find(|spec| spec.name == ask.name);
        let (kind, refused) = match spec {
            None => (ToolKind::Read, Some(refusal("unknown_tool", "there is no tool of this name"))),
            Some(spec) if ask.arguments.len() > TOOL_ARGUMENTS_MAX => {
                (spec.kind, Some(refusal("bad_arguments", "the arguments are too long")))
            }
            Some(spec) if self.calls.len() >= TOOLS_MAX => {
                (spec.kind, Some(refusal("unavailable", "too many tools in this call: answer with what you have")))
            }
            Some(spec) => (spec.kind, None),
        };
        let state = if refused.is_none() { State::Running { since: now } } else { State::Done };
        self.calls.push(ToolCall { ask: ask.clone(), kind, turn, state });
        match refused {
            Some(outcome) => Asked::Refused(outcome),
            None => Asked::Run(self.calls.len() as u32 - 1, kind),
        }
    }

    /// Records an outcome.
    pub(crate) fn settle(&mut self, tool: u32) -> Settled {
        match self.calls.get_mut(tool as usize) {
            Some(call) if matches!(call.state, State::Running { .. }) => {
                call.state = State::Done;
                Settled::Now { ask: call.ask.clone(), turn: call.turn }
            }
            Some(_) | None => Settled::Late,
        }
    }

    /// A turn was given up: its look-ups are dropped (and get an outcome that says so), its writes run on.
    pub(crate) fn give_up(&mut self, turn: Turn) -> Vec<(u32, ToolAsk)> {
        let mut dropped = Vec::new();
        for (number, call) in self.calls.iter_mut().enumerate() {
            let running = matches!(call.state, State::Running { .. });
            if call.turn == turn && running && call.kind == ToolKind::Read {
                call.state = State::Dropped;
                dropped.push((number as u32, call.ask.clone()));
            }
        }
        dropped
    }

    /// A reply waits for tools: since when the oldest of them runs.
    pub(crate) fn waiting_since(&self, turn: Turn) -> Option<Instant> {
        self.running().filter(|(of, _)| *of == turn).map(|(_, since)| since).min()
    }

    fn running(&self) -> impl Iterator<Item = (Turn, Instant)> {
        self.calls.iter().filter_map(|call| match call.state {
            State::Running { since } => Some((call.turn, since)),
            State::Done | State::Dropped => None,
        })
    }
}

/// What the model reads when an ask is refused.
pub(crate) fn refusal(error: &str, why: &str) -> Outcome {
    let content = serde_json::json!({ "ok": false, "error": error, "why": why }).to_string();
    Outcome { content, then: Then::GoOn }
}
