//! Requests that the books could not take, waiting for them to be reachable again. Lost if the process ends.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    booking::{Note, TenantId},
    store::Store,
};

/// How many wait; a further one pushes out the oldest.
const WAITING_MAX: usize = 50;
/// How many are brought home at once, so that no caller waits for another's message.
const AT_ONCE: usize = 4;

/// What waits, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Backlog(Mutex<VecDeque<Note>>);

impl Backlog {
    /// Keeps a request, once. Says whether another one was lost for it.
    pub(super) fn keep(&self, note: Note) -> bool {
        let mut waiting = self.waiting();
        if waiting.iter().any(|other| other.key == note.key) {
            return false;
        }
        let full = waiting.len() == WAITING_MAX;
        if full {
            waiting.pop_front();
        }
        waiting.push_back(note);
        full
    }

    /// Brings home some of what waits, now that the books can be reached.
    pub(super) async fn bring_home(&self, store: &dyn Store, tenant: &TenantId) {
        for _ in 0..AT_ONCE {
            // Copied, and let go of when it is home: a run that is dropped in between loses nothing, and the key sees to
            // it that the message is kept once.
            let Some(note) = self.waiting().front().cloned() else { return };
            if store.take_message(tenant, &note).await.is_err() {
                return;
            }
            self.waiting().retain(|other| other.key != note.key);
        }
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting().len()
    }

    /// The lock is never held across an await.
    fn waiting(&self) -> MutexGuard<'_, VecDeque<Note>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
