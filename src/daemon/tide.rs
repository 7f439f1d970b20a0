//! When memory is worth giving back to the system: after many calls have ended.
//!
//! Asking the allocator costs a little and holds up whoever allocates meanwhile, so it is not done after every call but
//! when half of those that were here at once are gone: a busy hour pays a few times, a quiet one gets all of it back.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{
    gateway::{CallName, Watch},
    tenant::CallRecord,
};

/// The calls as they come and go.
#[derive(Debug)]
pub(super) struct Tide {
    /// How many there are.
    calls: AtomicUsize,
    /// The most there were at once since the last ebb.
    high: AtomicUsize,
}

impl Tide {
    /// The start of the program leaves as much behind as a call that is over.
    pub(super) const fn new() -> Self {
        Self { calls: AtomicUsize::new(0), high: AtomicUsize::new(1) }
    }

    /// Nobody is here.
    pub(super) fn is_out(&self) -> bool {
        self.calls.load(Ordering::Acquire) == 0
    }

    /// Half of them are over, for the first time since it was asked.
    pub(super) fn has_ebbed(&self) -> bool {
        let (calls, high) = (self.calls.load(Ordering::Acquire), self.high.load(Ordering::Acquire));
        let ebbed = high > 0 && calls * 2 <= high;
        if ebbed {
            self.high.store(calls, Ordering::Release);
        }
        ebbed
    }

    fn rises(&self) {
        let calls = self.calls.fetch_add(1, Ordering::AcqRel) + 1;
        self.high.fetch_max(calls, Ordering::AcqRel);
    }

    fn falls(&self) {
        self.calls.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Watch for Tide {
    fn answered(&self, _: &CallName) {
        self.rises();
    }

    fn ended(&self, _: &CallRecord) {
        self.falls();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_back_when_half_of_the_calls_are_over() {
        let tide = Tide::new();
        assert!(tide.has_ebbed() && tide.is_out(), "the start is over");
        assert!(!tide.has_ebbed(), "nobody has called");
        let mut asked = Vec::new();
        for change in [8_i32, -3, -1, 0, -2, 0, -2, 0, 1, 0, -1] {
            for _ in 0..change.abs() {
                if change > 0 { tide.rises() } else { tide.falls() }
            }
            asked.push(tide.has_ebbed());
        }
        // 8, 5, 4 of 8, 4, 2 of 4, 2, 0 of 2, 0, 1, 1, 0 of 1
        assert_eq!(asked, [false, false, true, false, true, false, true, false, false, false, true]);
    }
}
