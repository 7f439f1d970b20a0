//! The calls under way: how many, and under which ids.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::Notify;

use crate::tenant::TenantId;

/// The calls of one gateway.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// How many.
    active: AtomicUsize,
    /// Told when one ends.
    ended: Notify,
    /// The ids that peers gave their calls: one connection for each.
    taken: Mutex<HashSet<(TenantId, Box<str>)>>,
}

/// One call under way; over when dropped.
#[derive(Debug)]
pub(super) struct Active {
    calls: Arc<Calls>,
    name: Option<(TenantId, Box<str>)>,
}

impl Calls {
    /// Begins a call. `None` when the peer's id of it is in use.
    pub(super) fn begin(self: &Arc<Self>, tenant: &TenantId, id: Option<&str>) -> Option<Active> {
        let name = id.map(|id| (tenant.clone(), Box::from(id)));
        if let Some(name) = &name
            && !self.taken.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone())
        {
            return None;
        }
        self.active.fetch_add(1, Ordering::AcqRel);
        Some(Active { calls: Arc::clone(self), name })
    }

    /// How many there are.
    pub(super) fn active(&self) -> usize {
        self.active.load(Ordering::Acquire)
    }

    /// Waits until there is none.
    pub(super) async fn quiet(&self) {
        loop {
            let ended = self.ended.notified();
            if self.active() == 0 {
                return;
            }
            ended.await;
        }
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            self.calls.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        }
        self.calls.active.fetch_sub(1, Ordering::AcqRel);
        self.calls.ended.notify_waiters();
    }
}
