//! What the gateway tells of each call: the ears of the callers, who understand what the agent says as people do.
//!
//! A Twilio line tells no words, and no line tells which of its own calls the gateway means: callers dial one after the
//! other, and the call that is answered then is theirs.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::sync::{mpsc, oneshot};

use crate::{
    call::{Event, Role},
    gateway::{CallName, Watch},
    tenant::CallRecord,
};

/// Words that may wait for a caller; more are lost, which no caller is slow enough for.
const WORDS_MAX: usize = 256;
/// Notes of one call; a longer call is not noted to its end.
const NOTES_MAX: usize = 2_000;

/// Watches every call of a gateway.
#[derive(Debug, Default)]
pub struct Witness {
    /// Calls by the gateway's name for them.
    calls: Mutex<HashMap<Arc<str>, Seat>>,
    /// Whose call is answered next.
    next: Mutex<Option<(Seat, oneshot::Sender<()>)>>,
}

/// A call that is watched.
#[derive(Debug, Clone)]
struct Seat {
    words: mpsc::Sender<(String, bool)>,
    notes: Arc<Mutex<Vec<Note>>>,
}

/// Something the gateway told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// When.
    pub at: Instant,
    /// What.
    pub what: What,
}

/// What the gateway tells that the sound does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The caller cut in: the reply is over.
    Interrupted,
    /// The voice was held.
    Held,
    /// It went on.
    WentOn,
    /// The agent said this.
    Said(String),
    /// The caller was understood so.
    Understood(String),
    /// A tool was asked for.
    Tool(String),
}

/// One caller's part of what the gateway tells.
#[derive(Debug)]
pub struct Listening {
    /// What the agent says: a clause that is being said, or all that was heard of a reply.
    pub words: mpsc::Receiver<(String, bool)>,
    /// What else it told.
    notes: Arc<Mutex<Vec<Note>>>,
}

impl Listening {
    /// What was told so far.
    pub fn notes(&self) -> Vec<Note> {
        lock(&self.notes).clone()
    }
}

impl Witness {
    /// The next call that is answered is this one: dial now. The receiver tells when it was.
    pub fn expect(&self) -> (Listening, oneshot::Receiver<()>) {
        let (sender, words) = mpsc::channel(WORDS_MAX);
        let notes = Arc::<Mutex<Vec<Note>>>::default();
        let (answered, told) = oneshot::channel();
        *lock(&self.next) = Some((Seat { words: sender, notes: Arc::clone(&notes) }, answered));
        (Listening { words, notes }, told)
    }
}

impl Watch for Witness {
    fn answered(&self, call: &CallName) {
        if let Some((seat, answered)) = lock(&self.next).take() {
            lock(&self.calls).insert(Arc::clone(&call.id), seat);
            // Whoever dialled has hung up already.
            let _ = answered.send(());
        }
    }

    fn event(&self, call: &CallName, event: &Event) {
        let Some(seat) = lock(&self.calls).get(&call.id).cloned() else { return };
        match event {
            Event::Transcript { role: Role::Agent, last: true, text } => {
                drop(seat.words.try_send((text.clone(), true)));
                seat.note(What::Said(text.clone()));
            }
            Event::Transcript { role: Role::Caller, last: true, text } => seat.note(What::Understood(text.clone())),
            Event::VoiceAsked { text, .. } => drop(seat.words.try_send((text.clone(), false))),
            Event::Interrupted(_) => seat.note(What::Interrupted),
            Event::Held(_) => seat.note(What::Held),
            Event::FalseAlarm(_) => seat.note(What::WentOn),
            Event::ToolStarted(ask) => seat.note(What::Tool(format!("{} {}", ask.name, ask.arguments))),
            Event::Transcript { last: false, .. }
            | Event::SpeechStarted(..)
            | Event::SpeechStopped(..)
            | Event::HistoryChanged
            | Event::ModelSaid { .. }
            | Event::ToolEnded { .. }
            | Event::Keys(_)
            | Event::Late(_)
            | Event::TurnEnded(_)
            | Event::Ended(_) => {}
        }
    }

    fn ended(&self, record: &CallRecord) {
        lock(&self.calls).remove(&record.id);
    }
}

impl Seat {
    fn note(&self, what: What) {
        #[expect(clippy::disallowed_methods, reason = "both ends of the call are laid on one clock afterwards")]
        let at = Instant::now();
        let mut notes = lock(&self.notes);
        if notes.len() < NOTES_MAX {
            notes.push(Note { at, what });
        }
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
