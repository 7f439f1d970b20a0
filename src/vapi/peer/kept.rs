//! What is kept of the calls that live at Vapi: their tools with the outcomes, and what the brain did in them.
//!
//! Vapi sends requests, not a connection: what belongs to one call is found again by the call's id. It is kept until the
//! call is reported to be over, or has not been heard of for an hour, or there are too many. Nothing in here is needed to
//! keep the books right, and it is lost with the process: a booking that is asked for again after that is found by its own
//! key.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{runs::Runs, thread::Thread};

/// Calls kept for one tenant. Of more, the one that was not heard of for longest is forgotten.
pub const CALLS_MAX: usize = 1_000;

/// How long a call is kept that is not heard of.
pub const CALL_LIFE: Duration = Duration::from_secs(3_600);

/// The calls of one tenant.
#[derive(Debug, Default)]
pub struct Kept(Mutex<HashMap<Box<str>, Entry>>);

#[derive(Debug)]
struct Entry {
    call: Arc<AtVapi>,
    /// When it was last heard of.
    heard_of: Instant,
}

/// One call.
#[derive(Debug, Default)]
pub(crate) struct AtVapi {
    /// The tools that were run in it.
    runs: Mutex<Runs>,
    /// What the brain did in it.
    thread: Mutex<Thread>,
}

impl Kept {
    /// The call of this id. One without an id is nobody's, and kept by whoever asks for it.
    pub(crate) fn call(&self, now: Instant, id: Option<&str>) -> Arc<AtVapi> {
        let Some(id) = id else { return Arc::default() };
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = calls.get_mut(id) {
            entry.heard_of = now;
            return Arc::clone(&entry.call);
        }
        calls.retain(|_, entry| now.saturating_duration_since(entry.heard_of) < CALL_LIFE);
        if calls.len() >= CALLS_MAX
            && let Some(oldest) = calls.iter().min_by_key(|(_, entry)| entry.heard_of).map(|(id, _)| id.clone())
        {
            calls.remove(&oldest);
        }
        let call = Arc::<AtVapi>::default();
        calls.insert(id.into(), Entry { call: Arc::clone(&call), heard_of: now });
        call
    }

    /// The call is over.
    pub(crate) fn forget(&self, id: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// None.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The locks are held for a look, never across an await.
impl AtVapi {
    pub(super) fn runs(&self) -> MutexGuard<'_, Runs> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn thread(&self) -> MutexGuard<'_, Thread> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_found_by_its_id_until_it_is_over_or_old() {
        let kept = Kept::default();
        let start = tokio::time::Instant::now().into_std();
        let call = kept.call(start, Some("a"));
        assert!(Arc::ptr_eq(&call, &kept.call(start, Some("a"))));
        assert!(!Arc::ptr_eq(&call, &kept.call(start, Some("b"))));
        assert!(!Arc::ptr_eq(&kept.call(start, None), &kept.call(start, None)), "nobody's");
        kept.forget("b");
        assert_eq!(kept.len(), 1);
        let _ = kept.call(start + CALL_LIFE, Some("c"));
        assert_eq!(kept.len(), 1, "the first is old");
    }

    #[test]
    fn of_too_many_the_one_not_heard_of_is_forgotten() {
        let kept = Kept::default();
        let start = tokio::time::Instant::now().into_std();
        let first = kept.call(start, Some("first"));
        for number in 0..CALLS_MAX {
            let _ = kept.call(start + Duration::from_millis(1), Some(&number.to_string()));
        }
        assert_eq!(kept.len(), CALLS_MAX);
        assert!(!Arc::ptr_eq(&first, &kept.call(start, Some("first"))));
    }
}
