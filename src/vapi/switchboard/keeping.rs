//! What of a switchboard the store has not yet, and the task that writes it there.
//!
//! A change is noted by its id. The task writes what stands under it when its turn comes: something that changes often is
//! written as it is at last, and no write overtakes another of the same document. There is a task as long as there is
//! something to write; a store that fails is tried again until it does not.

use std::{
    collections::BTreeSet,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::Notify,
    time::{sleep, timeout},
};

use super::{Board, DOCUMENTS};
use crate::{
    booking::TenantId,
    store::{DocumentKind, Documents},
};

/// Which document.
pub(super) type Key = (DocumentKind, String);

/// Changes that wait for a store that fails; each is an id. One more is not kept.
const UNWRITTEN_MAX: usize = 10_000;

/// Changes that are written in one step.
const AT_ONCE: usize = 16;

/// Between an attempt that failed and the next; doubled each time.
const AGAIN: Duration = Duration::from_secs(1);

/// The most it becomes.
const AGAIN_MAX: Duration = Duration::from_secs(60);

/// How long who wants to know waits for the store: longer than a write waits for its turn, less than clients wait for us.
const WRITE_WAIT: Duration = Duration::from_secs(20);

/// Counts changes.
fn count(end: &'static str, changes: usize) {
    metrics::counter!(DOCUMENTS, "end" => end).increment(changes as u64);
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Keeping {
    pub(super) store: Arc<dyn Documents>,
    pub(super) tenant: TenantId,
    unwritten: Mutex<Unwritten>,
    /// Something was written, or given up.
    news: Notify,
}

#[derive(Debug, Default)]
struct Unwritten {
    waiting: BTreeSet<Key>,
    /// What the task has taken.
    writing: Vec<Key>,
    /// There is a task.
    busy: bool,
}

impl Keeping {
    pub(super) fn new(store: Arc<dyn Documents>, tenant: TenantId) -> Self {
        Self { store, tenant, unwritten: Mutex::default(), news: Notify::new() }
    }

    /// These have changed. Whether a task is to be [started](Writer::start).
    pub(super) fn note(&self, keys: impl IntoIterator<Item = Key>) -> bool {
        let mut unwritten = self.unwritten();
        for key in keys {
            if unwritten.waiting.len() < UNWRITTEN_MAX || unwritten.waiting.contains(&key) {
                unwritten.waiting.insert(key);
            } else {
                count("not_kept", 1);
                let (kind, id) = (key.0.as_str(), key.1);
                tracing::error!(kind, %id, "too much waits for the store: this change is not kept");
            }
        }
        !unwritten.waiting.is_empty() && !mem::replace(&mut unwritten.busy, true)
    }

    /// Whether one more change may wait.
    pub(super) fn has_room(&self) -> bool {
        self.unwritten().waiting.len() < UNWRITTEN_MAX
    }

    /// Waits until nothing of these waits to be written; of nothing at all, where none are named.
    pub(super) async fn quiet(&self, keys: Option<&[Key]>) {
        loop {
            let news = self.news.notified();
            if !self.unwritten().has(keys) {
                return;
            }
            news.await;
        }
    }

    /// The same, for no longer than anybody should wait. Whether it came to that.
    pub(super) async fn quiet_in_time(&self, keys: &[Key]) -> bool {
        timeout(WRITE_WAIT, self.quiet(Some(keys))).await.is_ok()
    }

    /// The next ones to be written; nothing, and the task is done.
    fn next(&self) -> Vec<Key> {
        let mut unwritten = self.unwritten();
        while unwritten.writing.len() < AT_ONCE {
            let Some(key) = unwritten.waiting.pop_first() else { break };
            unwritten.writing.push(key);
        }
        unwritten.busy = !unwritten.writing.is_empty();
        unwritten.writing.clone()
    }

    /// They are in the store.
    fn wrote(&self) {
        self.unwritten().writing.clear();
        self.news.notify_waiters();
    }

    /// They are not.
    fn again(&self) {
        let mut unwritten = self.unwritten();
        let failed = mem::take(&mut unwritten.writing);
        unwritten.waiting.extend(failed);
    }

    fn unwritten(&self) -> MutexGuard<'_, Unwritten> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Unwritten {
    /// Whether one of these is not written; any, where none are named.
    fn has(&self, keys: Option<&[Key]>) -> bool {
        match keys {
            Some(keys) => keys.iter().any(|key| self.waiting.contains(key) || self.writing.contains(key)),
            None => !self.waiting.is_empty() || !self.writing.is_empty(),
        }
    }
}

/// The task that writes.
pub(super) struct Writer {
    board: Arc<Board>,
    /// It came to its end.
    done: bool,
}

impl Writer {
    /// Starts one. Without a runtime there is nobody to run it: what waits is written with the next change.
    pub(super) fn start(board: &Arc<Board>) {
        let writer = Self { board: Arc::clone(board), done: false };
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(writer.write());
        }
    }

    async fn write(mut self) {
        let board = Arc::clone(&self.board);
        let Some(keeping) = &board.keeping else { return };
        let mut pause = AGAIN;
        loop {
            let keys = keeping.next();
            if keys.is_empty() {
                self.done = true;
                return;
            }
            let changes: Vec<_> = keys.iter().filter_map(|key| board.change(key)).collect();
            match keeping.store.change(&keeping.tenant, &changes).await {
                Ok(()) => {
                    count("written", changes.len());
                    // What is too long was named when it was read.
                    count("not_kept", keys.len() - changes.len());
                    keeping.wrote();
                    pause = AGAIN;
                }
                Err(error) => {
                    count("again", changes.len());
                    let tenant = keeping.tenant.as_str();
                    tracing::error!(tenant, %error, "assistants and calls wait for the store");
                    keeping.again();
                    sleep(pause).await;
                    pause = pause.saturating_mul(2).min(AGAIN_MAX);
                }
            }
        }
    }
}

/// A task that was dropped or has panicked leaves what it had to the next one.
impl Drop for Writer {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        if let Some(keeping) = &self.board.keeping {
            keeping.again();
            keeping.unwritten().busy = false;
        }
    }
}
