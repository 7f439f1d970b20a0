//! Watches the demo's call from the gateway's side.

use std::{
    sync::{Mutex, OnceLock, PoisonError},
    time::Instant,
};

use tokio::sync::mpsc::Sender;

use crate::{
    call::{Event, Role},
    gateway::{CallName, Watch},
    load::caller::Moment,
    tenant::CallRecord,
};

/// Something to be shown.
#[derive(Debug)]
pub enum Line {
    /// What is being waited for.
    Wait(String),
    /// From the caller's end of the line.
    Caller(Moment),
    /// From the gateway: words, as they were heard or understood.
    Words(Role, String),
    /// From the gateway: a tool was asked for.
    Tool(String),
    /// From the gateway: the caller cut in.
    Interrupted,
}

/// The watcher of one call.
#[derive(Debug)]
pub(super) struct Watcher {
    /// Where lines go.
    lines: Sender<Line>,
    /// When the call was answered.
    answered: OnceLock<Instant>,
    /// What remains of it.
    record: Mutex<Option<CallRecord>>,
}

impl Watcher {
    pub(super) fn new(lines: Sender<Line>) -> Self {
        Self { lines, answered: OnceLock::new(), record: Mutex::default() }
    }

    pub(super) fn answered_at(&self) -> Option<Instant> {
        self.answered.get().copied()
    }

    pub(super) fn record(&self) -> Option<CallRecord> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn show(&self, line: Line) {
        // The terminal may be slow; the call is not to wait for it.
        drop(self.lines.try_send(line));
    }
}

impl Watch for Watcher {
    fn answered(&self, _call: &CallName) {
        #[expect(clippy::disallowed_methods, reason = "both ends of the call are laid on one clock afterwards")]
        let now = Instant::now();
        self.answered.get_or_init(|| now);
    }

    fn event(&self, _call: &CallName, event: &Event) {
        match event {
            Event::Transcript { role, last: true, text } => self.show(Line::Words(*role, text.clone())),
            Event::ToolStarted(ask) => self.show(Line::Tool(ask.name.clone())),
            Event::Interrupted(_) => self.show(Line::Interrupted),
            Event::Transcript { last: false, .. }
            | Event::SpeechStarted(..)
            | Event::SpeechStopped(..)
            | Event::HistoryChanged
            | Event::ModelSaid { .. }
            | Event::VoiceAsked { .. }
            | Event::Held(_)
            | Event::FalseAlarm(_)
            | Event::ToolEnded { .. }
            | Event::Keys(_)
            | Event::Late(_)
            | Event::TurnEnded(_)
            | Event::Ended(_) => {}
        }
    }

    fn ended(&self, record: &CallRecord) {
        *self.record.lock().unwrap_or_else(PoisonError::into_inner) = Some(record.clone());
    }
}
