//! The switchboard of one tenant: the assistants that a customer stored and the calls it created, as Vapi's REST interface
//! shows them.
//!
//! It answers from memory, which is bounded: of ended calls the oldest are forgotten, and those that are older than the
//! tenant keeps calls. What changes is written to the tenant's store behind the answer, in order and until it is done; a
//! stored assistant is there before its answer leaves. A switchboard that was [opened](Switchboard::open) finds all of it
//! again: a call that was under way when the process died is over, and the addresses of calls open nothing any more, for
//! their keys are written nowhere. One that was not opened (`default`) lives as long as the process.
//!
//! Whoever deletes is answered when the store has erased it. Where that fails the answer says so (503, as Vapi's own does
//! where data could not be erased): it is not shown any more and goes on being erased, and who asks again learns whether it
//! was.
//!
//! It makes no ids and opens no sockets, and reads a clock only to see [what is old](forget_old_calls). The gateway hands in
//! the time, ids and keys, and says when a client connects and when its call is over.

mod assistants;
mod calls;
mod keeping;
mod old;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;

pub use assistants::ASSISTANTS_MAX;
pub use calls::{Addresses, CALLS_MAX, CONNECT_WAIT, Connecting, New};
pub use old::forget_old_calls;

use self::{
    assistants::{Assistants, Stored},
    calls::Calls,
    keeping::{Keeping, Key, Writer},
};
use crate::{
    booking::TenantId,
    store::{Change, DOCUMENT_BYTES_MAX, Document, DocumentKind, Documents, StoreError},
    vapi::call::CallObject,
};

/// Changes of assistants and calls on their way to the store, by what became of them.
pub const DOCUMENTS: &str = "pronto_vapi_documents_total";

/// What is answered where a change was taken back because the store cannot be written to.
const NOT_KEPT: &str = "the store cannot be written to: nothing was changed, try again later";

/// What is answered where something was forgotten and the store cannot be written to.
const NOT_ERASED: &str = "this is shown no more, but the store cannot be written to: it is erased there as soon as it can; \
                          ask again to know whether it was";

/// See the [module](self).
#[derive(Debug, Default)]
pub struct Switchboard(Arc<Board>);

/// What the task that writes has in common with who answers.
#[derive(Debug, Default)]
struct Board {
    assistants: Mutex<Assistants>,
    calls: Mutex<Calls>,
    /// Where it is kept, if anywhere.
    keeping: Option<Keeping>,
}

/// The locks are held for a look, never across an await.
impl Board {
    fn assistants(&self) -> MutexGuard<'_, Assistants> {
        self.assistants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the store is to be told of a document: how it is now, or that it is gone. `None`: it is too long to be kept.
    fn change(&self, (kind, id): &Key) -> Option<Change> {
        // Copied under the lock and written down after it: others wait for a copy, not for a text.
        let document = match kind {
            DocumentKind::Assistant => {
                let stored = self.assistants().get(id).cloned();
                stored.map(|stored| stored.document(id))
            }
            DocumentKind::Call => {
                let call = self.calls().shown(id).cloned();
                call.map(calls::document)
            }
        };
        match document {
            Some(Some(document)) => Some(Change::Put(document)),
            Some(None) => {
                let kind = kind.as_str();
                tracing::error!(kind, %id, "this is too long for the store: it lives as long as the process");
                None
            }
            None => Some(Change::Erase(*kind, id.clone())),
        }
    }
}

impl Switchboard {
    /// What the store has of this tenant, without the calls that are older than it keeps them. From now on it is kept there.
    pub async fn open(
        store: Arc<dyn Documents>,
        tenant: TenantId,
        keep_calls: Duration,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        store.erase_before(&tenant, DocumentKind::Call, before(now, keep_calls)).await?;
        let assistants = store.documents(&tenant, DocumentKind::Assistant, ASSISTANTS_MAX).await?;
        let assistants: Assistants = assistants
            .into_iter()
            .filter_map(|document| known(&document, Stored::of(&document)).map(|stored| (document.id, stored)))
            .collect();
        let stored = store.documents(&tenant, DocumentKind::Call, CALLS_MAX).await?;
        if let Some(oldest) = stored.first().filter(|_| stored.len() == CALLS_MAX) {
            // A process that died between a new call and the erasing of the oldest left one too many.
            store.erase_before(&tenant, DocumentKind::Call, oldest.created).await?;
        }
        let (mut calls, mut over) = (Calls::default(), Vec::new());
        for document in stored {
            let call = serde_json::from_str::<CallObject>(document.body.reveal()).ok();
            if let Some(call) = known(&document, call)
                && calls.restore(call, now)
            {
                over.push((DocumentKind::Call, document.id));
            }
        }
        let keeping = Some(Keeping::new(store, tenant));
        let board = Self(Arc::new(Board { assistants: Mutex::new(assistants), calls: Mutex::new(calls), keeping }));
        board.changed(over);
        Ok(board)
    }

    /// Waits until the store has everything.
    pub async fn written(&self) {
        if let Some(keeping) = &self.0.keeping {
            // Whoever should have written may be gone with another runtime.
            self.changed([]);
            keeping.quiet(None).await;
        }
    }

    fn assistants(&self) -> MutexGuard<'_, Assistants> {
        self.0.assistants()
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.0.calls()
    }

    /// These are to be written.
    fn changed(&self, keys: impl IntoIterator<Item = Key>) {
        if let Some(keeping) = &self.0.keeping
            && keeping.note(keys)
        {
            Writer::start(&self.0);
        }
    }

    /// Whether one more erasure can be remembered until the store can be written to.
    fn has_room(&self) -> bool {
        self.0.keeping.as_ref().is_none_or(Keeping::has_room)
    }

    /// Waits until the store has these as they are. Whether it has them: it is not waited for without end.
    async fn in_store(&self, keys: &[Key]) -> bool {
        match &self.0.keeping {
            Some(keeping) => keeping.quiet_in_time(keys).await,
            None => true,
        }
    }
}

/// A document as it is kept, where it is not too long.
fn document(kind: DocumentKind, id: &str, body: String, created: Timestamp, updated: Timestamp) -> Option<Document> {
    let fits = body.len() <= DOCUMENT_BYTES_MAX;
    fits.then(|| Document { kind, id: id.to_owned(), body: body.into(), created, updated })
}

/// What was read of a document; where it could not be, somebody should know.
fn known<T>(document: &Document, read: Option<T>) -> Option<T> {
    if read.is_none() {
        let (kind, id) = (document.kind.as_str(), &document.id);
        tracing::error!(kind, %id, "what was kept cannot be read by this version: it is not shown, and stays in the store");
    }
    read
}

/// The moment before which calls are old.
fn before(now: Timestamp, keep_calls: Duration) -> Timestamp {
    now.saturating_sub(keep_calls).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests;
