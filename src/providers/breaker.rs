//! A fuse: an engine that fails is left alone for a while, so that not every caller waits for it anew.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

use super::{Kind, ProviderError, Retry};

/// The first rest; it doubles with each failure in a row.
const REST: Duration = Duration::from_secs(5);
/// The longest rest.
const REST_MAX: Duration = Duration::from_secs(120);
/// How long one attempt has the engine to itself after a rest.
const TRIAL: Duration = Duration::from_secs(3);
/// Failures in a row that are forgiven when they cost the caller no time.
const FORGIVEN: u32 = 1;

/// The fuse of one engine. Shared by every call; no lock.
#[derive(Debug)]
pub struct Breaker {
    /// Times are counted from here.
    since: Instant,
    /// Milliseconds until which the engine rests; 0 when it does not.
    rests_until: AtomicU64,
    /// Failures in a row.
    failures: AtomicU32,
}

impl Breaker {
    /// A closed one.
    pub const fn new(now: Instant) -> Self {
        Self { since: now, rests_until: AtomicU64::new(0), failures: AtomicU32::new(0) }
    }

    /// Whether to ask the engine. After a rest only one is let through until it has answered.
    pub fn allows(&self, now: Instant) -> bool {
        let until = self.rests_until.load(Ordering::Relaxed);
        if until == 0 {
            return true;
        }
        let now_ms = self.ms(now);
        let next = now_ms + TRIAL.as_millis() as u64;
        now_ms >= until && self.rests_until.compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// The engine answered.
    pub fn succeeded(&self) {
        self.failures.store(0, Ordering::Relaxed);
        self.rests_until.store(0, Ordering::Relaxed);
    }

    /// The engine failed.
    pub fn failed(&self, now: Instant, error: &ProviderError) {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let rest = match (error.retry, error.kind) {
            (Retry::Never, _) => REST_MAX,
            (Retry::After(wait), _) => wait.clamp(Duration::from_millis(200), REST_MAX),
            // These cost the caller seconds: once is enough.
            (Retry::Now, Kind::Unreachable | Kind::FirstTimeout | Kind::Stalled) => doubled(failures),
            (
                Retry::Now,
                Kind::Status(_) | Kind::Cut | Kind::Garbage | Kind::Refused | Kind::RateLimited | Kind::Busy,
            ) => match failures.checked_sub(FORGIVEN) {
                None | Some(0) => return,
                Some(more) => doubled(more),
            },
        };
        self.rests_until.store(self.ms(now) + rest.as_millis() as u64, Ordering::Relaxed);
    }

    /// Never 0, which means that it does not rest.
    fn ms(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.since).as_millis() as u64 + 1
    }
}

fn doubled(failures: u32) -> Duration {
    REST.saturating_mul(1 << failures.saturating_sub(1).min(8)).min(REST_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_engine_rests_longer_each_time_and_is_tried_by_one_at_a_time() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let breaker = Breaker::new(start);
        let late = ProviderError::upstream("x", Kind::FirstTimeout, "");
        assert!(breaker.allows(at(0)));
        breaker.failed(at(0), &late);
        assert!(!breaker.allows(at(4)));
        assert!(breaker.allows(at(5)), "the trial");
        assert!(!breaker.allows(at(6)), "one at a time");
        assert!(breaker.allows(at(9)), "the trial was given up without an answer");
        breaker.failed(at(9), &late);
        assert!(!breaker.allows(at(18)) && breaker.allows(at(20)));
        breaker.succeeded();
        assert!(breaker.allows(at(20)) && breaker.allows(at(20)));
    }

    #[test]
    fn what_costs_no_time_is_forgiven_once_and_what_will_not_pass_rests_long() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let breaker = Breaker::new(start);
        breaker.failed(at(0), &ProviderError::upstream("x", Kind::Cut, ""));
        assert!(breaker.allows(at(0)));
        breaker.failed(at(0), &ProviderError::upstream("x", Kind::Cut, ""));
        assert!(!breaker.allows(at(4)) && breaker.allows(at(5)));
        breaker.failed(at(5), &ProviderError::refused("x", ""));
        assert!(!breaker.allows(at(124)) && breaker.allows(at(126)));
    }
}
