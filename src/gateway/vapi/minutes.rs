//! Keeps the minutes of calls: when what was said. What remains of a call that was created over REST is kept with them, and
//! its customer's server hears of it; the program at the other end of a WebSocket is told them as they grow.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::{
    Map, Value,
    value::{RawValue, to_raw_value},
};
use tokio::runtime::Handle;

use super::recordings::Recorded;
use crate::{
    call::{Event, Message, Role, Turn},
    gateway::{CallName, Watch, clock, observe::reason},
    tenant::{CallRecord, Tenant},
    transport::vapi::{EndedReason, Kind},
    vapi::{
        Switchboard,
        assistant::{ArtifactPlan, Fitted},
        call::{Artifact, Minutes, Performance, Recording, Status},
        server_message::{Began, Body, Report, Side, Transcript},
        webhooks::Customer,
    },
};

/// The minutes of a call, on the clock and on the calendar.
struct Clocked {
    answered: Instant,
    answered_ms: i64,
    minutes: Minutes,
}

impl Clocked {
    /// Of a call that is answered now.
    fn new() -> Self {
        Self { answered: clock::now(), answered_ms: clock::epoch_ms(), minutes: Minutes::default() }
    }

    fn at(&self) -> Duration {
        clock::now().saturating_duration_since(self.answered)
    }

    fn event(&mut self, event: &Event) {
        let at = self.at();
        self.minutes.event(at, event);
    }

    /// The history as it is now: all of it.
    fn history<'a>(&mut self, history: impl Iterator<Item = &'a Message>) {
        let at = self.at();
        self.minutes.history(at, history);
    }

    /// What there is of the call, of the history that was handed over last.
    fn artifact<'a>(
        &self,
        plan: &ArtifactPlan,
        instructions: &str,
        history: impl Iterator<Item = &'a Message>,
    ) -> Artifact {
        Artifact::new(plan, instructions, self.answered_ms, history.zip(self.minutes.stamps()))
    }
}

/// The minutes for the program at the other end.
pub(in crate::gateway) struct Conversation {
    /// The system prompt, where the program may know it: its own customer wrote it.
    instructions: Arc<str>,
    clocked: Mutex<Clocked>,
}

impl Conversation {
    pub(in crate::gateway) fn new(instructions: Arc<str>) -> Self {
        Self { instructions, clocked: Mutex::new(Clocked::new()) }
    }

    /// Something happened.
    pub(in crate::gateway) fn event(&self, event: &Event) {
        self.clocked.lock().unwrap_or_else(PoisonError::into_inner).event(event);
    }

    /// The conversation as a model reads it, and in Vapi's form.
    pub(in crate::gateway) fn written<'a>(
        &self,
        history: impl Iterator<Item = &'a Message>,
    ) -> Option<(Box<RawValue>, Box<RawValue>)> {
        let history: Vec<_> = history.collect();
        let mut clocked = self.clocked.lock().unwrap_or_else(PoisonError::into_inner);
        clocked.history(history.iter().copied());
        let plan = ArtifactPlan { transcript: false, ..ArtifactPlan::default() };
        let artifact = clocked.artifact(&plan, &self.instructions, history.into_iter());
        drop(clocked);
        Some((to_raw_value(&artifact.formatted).ok()?, to_raw_value(&artifact.messages).ok()?))
    }
}

/// Watches one call that was created, and tells the switchboard when it is over, whatever becomes of it.
pub(in crate::gateway) struct MinuteTaker {
    board: Arc<Switchboard>,
    call: String,
    fitted: Arc<Fitted>,
    /// Who answers, as it may be shown.
    assistant: Arc<Map<String, Value>>,
    /// Whose server hears of it.
    customer: Customer,
    /// Its recording, and where that can be had.
    recorded: Option<(Recorded, Recording)>,
    inner: Mutex<Inner>,
}

struct Inner {
    clocked: Clocked,
    over: bool,
}

impl MinuteTaker {
    pub(in crate::gateway) fn new(
        tenant: &Tenant,
        call: &str,
        fitted: &Arc<Fitted>,
        assistant: Arc<Map<String, Value>>,
        customer: Customer,
    ) -> Self {
        Self {
            board: Arc::clone(tenant.switchboard()),
            call: call.to_owned(),
            fitted: Arc::clone(fitted),
            assistant,
            customer,
            recorded: None,
            inner: Mutex::new(Inner { clocked: Clocked::new(), over: false }),
        }
    }

    /// The call is recorded, and this is where that can be had.
    #[must_use]
    pub(in crate::gateway) fn recorded(mut self, recorded: Option<(Recorded, Recording)>) -> Self {
        self.recorded = recorded;
        self
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What there is of the call, with the times that are known.
    fn artifact<'a>(&self, inner: &Inner, history: impl Iterator<Item = &'a Message>) -> Artifact {
        inner.clocked.artifact(&self.fitted.artifact, &self.fitted.instructions, history)
    }
}

impl Watch for MinuteTaker {
    fn answered(&self, _: &CallName) {
        self.inner().clocked = Clocked::new();
        self.customer.tell(&status(Status::InProgress, None));
        self.customer.tell(&Body::AssistantStarted { new_assistant: &self.assistant });
    }

    fn event(&self, _: &CallName, event: &Event) {
        let mut inner = self.inner();
        inner.clocked.event(event);
        if let Event::Ended(ending) = event {
            // What remains of it comes later; that it is over is known at once.
            inner.over = true;
            self.board.ended(&self.call, reason(*ending), Timestamp::now());
        }
        drop(inner);
        if let Some(body) = told(event) {
            self.customer.tell(&body);
        }
    }

    fn history(&self, _: &CallName, history: &mut dyn Iterator<Item = &Message>) {
        let history: Vec<_> = history.collect();
        let mut inner = self.inner();
        inner.clocked.history(history.iter().copied());
        if !self.customer.wants(Kind::ConversationUpdate) {
            return;
        }
        let artifact = self.artifact(&inner, history.into_iter());
        drop(inner);
        self.customer.tell(&Body::ConversationUpdate { messages: &artifact.messages, formatted: &artifact.formatted });
    }

    fn ended(&self, record: &CallRecord) {
        let Some(end) = &record.end else { return };
        let mut inner = self.inner();
        // A call that was cut off, or broke, has not said so itself.
        let silent = !std::mem::replace(&mut inner.over, true);
        let history = end.history.reveal();
        inner.clocked.history(history.iter());
        let performance = Performance::of(&end.report, inner.clocked.minutes.talked_over());
        let artifact = self.artifact(&inner, history.iter()).measured(performance);
        drop(inner);
        let artifact = match &self.recorded {
            Some((recorded, places)) if recorded.is_kept() => artifact.recorded(places.clone()),
            Some(_) | None => artifact,
        };
        let (why, answered, over) = (reason(end.ending), record.answered, end.at);
        self.board.ended(&self.call, why, over);
        self.board.keep(&self.call, artifact.clone(), over);
        if silent {
            self.customer.tell(&status(Status::Ended, Some(why)));
        }
        let customer = self.customer.clone();
        // What is owed is written down first, and then sent as often as it takes.
        tokio::spawn(async move { customer.report(Report::new(why, Some(answered), Some(over), &artifact)).await });
    }
}

/// A call is over in which nobody ever spoke: its customer's server hears of that as of any other, and nothing remains of it.
/// The switchboard knows already that it is over.
pub(in crate::gateway) fn never_begun(
    board: &Switchboard,
    call: &str,
    customer: &Customer,
    why: EndedReason,
    at: Timestamp,
) {
    let artifact = Artifact::default();
    board.keep(call, artifact.clone(), at);
    customer.tell(&status(Status::Ended, Some(why)));
    let customer = customer.clone();
    tokio::spawn(async move { customer.report(Report::new(why, None, Some(at), &artifact)).await });
}

fn status(status: Status, ended_reason: Option<EndedReason>) -> Body<'static> {
    Body::StatusUpdate { status, ended_reason, destination: None }
}

/// An event in the words of the customer's server.
fn told(event: &Event) -> Option<Body<'_>> {
    let side = |role: &Role| if *role == Role::Agent { Side::Assistant } else { Side::User };
    let speech = |status, role, turn: &Turn| Body::SpeechUpdate { status, role: side(role), turn: turn.0 };
    Some(match event {
        Event::SpeechStarted(role, turn) => speech(Began::Started, role, turn),
        Event::SpeechStopped(role, turn) => speech(Began::Stopped, role, turn),
        Event::Transcript { role, last, text } => Body::Transcript(Transcript::new(side(role), *last, text)),
        Event::ModelSaid { text, .. } => Body::ModelOutput { output: text, turn_id: None },
        Event::VoiceAsked { text, .. } => Body::VoiceInput { input: text },
        Event::Interrupted(_) => Body::UserInterrupted { turn_id: None },
        Event::Late(_) => Body::Hang {},
        Event::Ended(ending) => status(Status::Ended, Some(reason(*ending))),
        // The history comes with all of it; tools are asked of the server itself.
        Event::HistoryChanged
        | Event::ToolStarted(_)
        | Event::ToolEnded { .. }
        | Event::Held(_)
        | Event::FalseAlarm(_)
        | Event::Keys(_)
        | Event::TurnEnded(_) => return None,
    })
}

/// A client that asked to come in and was gone before it had, or was turned away.
impl Drop for MinuteTaker {
    fn drop(&mut self) {
        if self.inner().over {
            return;
        }
        let (why, now) = (EndedReason::LineLost, Timestamp::now());
        self.board.ended(&self.call, why, now);
        // Of a call that was deleted nothing more is told. Without a runtime the process ends, and tells nobody anything.
        if self.board.call(&self.call).is_ok() && Handle::try_current().is_ok() {
            never_begun(&self.board, &self.call, &self.customer, why, now);
        }
    }
}
