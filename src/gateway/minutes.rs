//! Keeps the minutes of a call that was created over REST: when what was said, and what remains of it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::{CallName, Watch, clock, observe::reason};
use crate::{
    call::{Event, Message},
    tenant::{CallRecord, Tenant},
    transport::vapi::EndedReason,
    vapi::{
        Switchboard,
        assistant::Fitted,
        call::{Artifact, Minutes},
    },
};

/// Watches one call, and tells the switchboard when it is over, whatever becomes of it.
pub(super) struct MinuteTaker {
    board: Arc<Switchboard>,
    call: String,
    fitted: Arc<Fitted>,
    inner: Mutex<Inner>,
}

struct Inner {
    /// When the call was answered.
    answered: Instant,
    minutes: Minutes,
    over: bool,
}

impl MinuteTaker {
    pub(super) fn new(tenant: &Tenant, call: &str, fitted: &Arc<Fitted>) -> Self {
        Self {
            board: Arc::clone(tenant.switchboard()),
            call: call.to_owned(),
            fitted: Arc::clone(fitted),
            inner: Mutex::new(Inner { answered: clock::now(), minutes: Minutes::default(), over: false }),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn at(&self) -> Duration {
        clock::now().saturating_duration_since(self.answered)
    }
}

impl Watch for MinuteTaker {
    fn answered(&self, _: &CallName) {
        self.inner().answered = clock::now();
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
    }

    fn history(&self, _: &CallName, history: &mut dyn Iterator<Item = &Message>) {
        let mut inner = self.inner();
        let at = inner.at();
        inner.minutes.history(at, history);
    }

    fn ended(&self, record: &CallRecord) {
        let Some(end) = &record.end else { return };
        let mut inner = self.inner();
        let at = inner.at();
        inner.over = true;
        inner.minutes.history(at, end.history.reveal().iter());
        let history = end.history.reveal().iter().zip(inner.minutes.stamps());
        let answered_ms = record.answered.as_millisecond();
        let artifact = Artifact::new(&self.fitted.artifact, &self.fitted.instructions, answered_ms, history);
        self.board.ended(&self.call, reason(end.ending), end.at);
        self.board.keep(&self.call, artifact.measured(&end.report), end.at);
    }
}

/// A client that asked to come in and was gone before it had.
impl Drop for MinuteTaker {
    fn drop(&mut self) {
        if !self.inner().over {
            self.board.ended(&self.call, EndedReason::LineLost, Timestamp::now());
        }
    }
}
