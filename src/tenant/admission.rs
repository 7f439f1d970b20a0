//! How many calls a tenant has, and whether one more is let in.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Counts a tenant's calls. Outlives the tenant's settings: after a reload the calls under way still count.
#[derive(Debug, Default)]
pub struct Admission {
    /// Calls that hold a permit.
    active: AtomicUsize,
}

/// The right to one call; given back when dropped.
#[derive(Debug)]
pub struct Permit(Arc<Admission>);

impl Admission {
    /// Nobody has called yet.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// A permit, or `None` when there are already `max` calls.
    pub fn admit(self: &Arc<Self>, max: usize) -> Option<Permit> {
        self.active
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |active| (active < max).then_some(active + 1))
            .ok()
            .map(|_| Permit(Arc::clone(self)))
    }

    /// Calls under way.
    pub fn active(&self) -> usize {
        self.active.load(Ordering::Acquire)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permit_is_given_back_when_the_call_ends() {
        let admission = Admission::new();
        let first = admission.admit(1).expect("there is room");
        assert!(admission.admit(1).is_none());
        assert_eq!(admission.active(), 1);
        drop(first);
        assert!(admission.admit(1).is_some());
    }

    #[test]
    fn a_reload_that_lowers_the_limit_lets_nobody_in_until_calls_have_ended() {
        let admission = Admission::new();
        let calls: Vec<_> = (0..3).map_while(|_| admission.admit(3)).collect();
        assert_eq!(calls.len(), 3);
        assert!(admission.admit(2).is_none());
        drop(calls);
        assert!(admission.admit(2).is_some());
    }
}
