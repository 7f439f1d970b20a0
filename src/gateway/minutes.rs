//! Keeps the minutes of a call that was created over REST: when what was said, and what remains of it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::{CallName, Watch, clock, observe::reason};
use crate::{
    call::{Event, Message, Role, Turn},
    tenant::{CallRecord, Tenant},
    transport::vapi::{EndedReason, Kind},
    vapi::{
        Switchboard,
        assistant::Fitted,
        call::{Artifact, Minutes, Status},
        server_message::{Began, Body, Report, Side, Transcript},
        webhooks::Customer,
    },
};

/// Watches one call, and tells the switchboard when it is over, whatever becomes of it.
pub(super) struct MinuteTaker {
    board: Arc<Switchboard>,
    call: String,
    fitted: Arc<Fitted>,
    /// Whose server hears of it.
    customer: Customer,
    inner: Mutex<Inner>,
}

struct Inner {
    /// When the call was answered, on the clock and on the calendar.
    answered: Instant,
    answered_ms: i64,
    minutes: Minutes,
    over: bool,
}

impl MinuteTaker {
    pub(super) fn new(tenant: &Tenant, call: &str, fitted: &Arc<Fitted>, customer: Customer) -> Self {
        let (answered, answered_ms) = (clock::now(), clock::epoch_ms());
        Self {
            board: Arc::clone(tenant.switchboard()),
            call: call.to_owned(),
            fitted: Arc::clone(fitted),
            customer,
            inner: Mutex::new(Inner { answered, answered_ms, minutes: Minutes::default(), over: false }),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What there is of the call, with the times that are known.
    fn artifact<'a>(&self, inner: &Inner, history: impl Iterator<Item = &'a Message>) -> Artifact {
        let history = history.zip(inner.minutes.stamps());
        Artifact::new(&self.fitted.artifact, &self.fitted.instructions, inner.answered_ms, history)
    }
}

impl Inner {
    fn at(&self) -> Duration {
        clock::now().saturating_duration_since(self.answered)
    }
}

impl Watch for MinuteTaker {
    fn answered(&self, _: &CallName) {
        let mut inner = self.inner();
        (inner.answered, inner.answered_ms) = (clock::now(), clock::epoch_ms());
        drop(inner);
        self.customer.tell(&status(Status::InProgress, None));
    }

    fn event(&self, _: &CallName, event: &Event) {
        let mut inner = self.inner();
        let at = inner.at();
        inner.minutes.event(at, event);
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
        let at = inner.at();
        inner.minutes.history(at, history.iter().copied());
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
        let at = inner.at();
        inner.over = true;
        let history = end.history.reveal();
        inner.minutes.history(at, history.iter());
        let artifact = self.artifact(&inner, history.iter()).measured(&end.report);
        drop(inner);
        let (why, answered, over) = (reason(end.ending), record.answered, end.at);
        self.board.ended(&self.call, why, over);
        self.board.keep(&self.call, artifact.clone(), over);
        let customer = self.customer.clone();
        // What is owed is written down first, and then sent as often as it takes.
        tokio::spawn(async move { customer.report(Report::new(why, Some(answered), Some(over), &artifact)).await });
    }
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

/// A client that asked to come in and was gone before it had.
impl Drop for MinuteTaker {
    fn drop(&mut self) {
        if !self.inner().over {
            self.board.ended(&self.call, EndedReason::LineLost, Timestamp::now());
        }
    }
}
