//! Engines that fail: refuse, stall, break off, drip and talk nonsense, from the beginning or from a moment on.
//!
//! A test says `POST /lab/faults {"endpoint": "chat", "kind": "stall", "after": 3}` in the middle of a call, or calls
//! [`Faults::add`]. Faults are tried in order; each says how many requests it lets pass and how many it hits. One that
//! is `open` also hits streams already under way.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::journal::Endpoint;

/// Faults that may be waiting at once.
pub const FAULTS_MAX: usize = 64;

/// Something that goes wrong at one endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// Where.
    pub endpoint: Endpoint,
    /// What goes wrong.
    #[serde(flatten)]
    pub harm: Harm,
    /// How many requests pass before.
    #[serde(default)]
    pub skip: u32,
    /// How many requests it hits; none: all, until the faults are cleared.
    #[serde(default)]
    pub times: Option<u32>,
    /// It also hits the streams that are under way.
    #[serde(default)]
    pub open: bool,
}

/// What goes wrong. `after` counts events (SSE events, WebSocket messages, pieces of sound) that still come through.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Harm {
    /// An error status with the vendor's body.
    Status {
        /// 400 to 599.
        status: u16,
        /// The `retry-after` header, as written: whole, fractional or a date.
        #[serde(default)]
        retry_after: Option<String>,
        /// The vendor's code (`insufficient_quota`).
        #[serde(default)]
        code: Option<String>,
        /// The body is a proxy's HTML instead of the vendor's JSON.
        #[serde(default)]
        html: bool,
    },
    /// The connection is closed without an answer.
    Refuse,
    /// The connection is accepted and nothing ever comes.
    Silent,
    /// It begins and falls silent. With `after` 0 there are headers and nothing else.
    Stall {
        /// Events before it.
        #[serde(default)]
        after: u32,
    },
    /// It begins and the connection breaks.
    Cut {
        /// Events before it.
        #[serde(default)]
        after: u32,
    },
    /// An event that cannot be read, then it goes on.
    Garbage {
        /// Events before it.
        #[serde(default)]
        after: u32,
    },
    /// The vendor's own error in the middle of a stream, then its end.
    Error {
        /// Events before it.
        #[serde(default)]
        after: u32,
    },
    /// A stream that ends too early, politely: no end mark, no reason.
    Truncate {
        /// Events before it.
        #[serde(default)]
        after: u32,
    },
    /// Each event comes so much later.
    Drip {
        /// Milliseconds.
        ms: u64,
    },
    /// A recogniser that hears nothing: its texts are empty.
    Deaf,
}

/// The faults of a lab.
#[derive(Debug, Default)]
pub struct Faults {
    /// In the order they are tried.
    waiting: Mutex<Vec<Fault>>,
    /// Wakes stalled streams when the faults change.
    changed: Notify,
}

impl Faults {
    /// Adds a fault; the oldest goes when there are too many.
    pub fn add(&self, fault: Fault) {
        let mut waiting = self.waiting();
        if waiting.len() == FAULTS_MAX {
            waiting.remove(0);
        }
        waiting.push(fault);
        drop(waiting);
        self.changed.notify_waiters();
    }

    /// Mends everything; stalled streams go on.
    pub fn clear(&self) {
        self.waiting().clear();
        self.changed.notify_waiters();
    }

    /// What is waiting to go wrong.
    pub fn list(&self) -> Vec<Fault> {
        self.waiting().clone()
    }

    /// A request arrives: what happens to it?
    pub fn begin(&self, endpoint: Endpoint) -> Option<Harm> {
        let mut waiting = self.waiting();
        for at in 0..waiting.len() {
            let fault = &mut waiting[at];
            if fault.endpoint != endpoint {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                return None;
            }
            let harm = fault.harm.clone();
            if let Some(times) = &mut fault.times {
                *times = times.saturating_sub(1);
                if *times == 0 {
                    waiting.remove(at);
                }
            }
            return Some(harm);
        }
        None
    }

    /// What happens to a stream that is under way.
    fn under_way(&self, endpoint: Endpoint) -> Option<Harm> {
        let waiting = self.waiting();
        waiting.iter().find(|fault| fault.endpoint == endpoint && fault.open).map(|fault| fault.harm.clone())
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is to be done with the next event of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// Send it.
    Go,
    /// Send rubbish instead of it.
    Garbage,
    /// Send the vendor's error instead of it, and end.
    Error,
    /// End here without an end mark.
    Truncate,
    /// Break the connection.
    Cut,
}

/// Lets the events of one stream pass, or not.
#[derive(Debug)]
pub struct Gate {
    /// Where.
    endpoint: Endpoint,
    /// What the request was hit by.
    harm: Option<Harm>,
    /// Events so far.
    passed: u32,
    /// Garbage was sent: once is enough.
    garbled: bool,
}

impl Gate {
    /// A gate for a stream that was hit by this.
    pub const fn new(endpoint: Endpoint, harm: Option<Harm>) -> Self {
        Self { endpoint, harm, passed: 0, garbled: false }
    }

    /// The recogniser hears nothing.
    pub fn deaf(&self, faults: &Faults) -> bool {
        self.harm == Some(Harm::Deaf) || faults.under_way(self.endpoint) == Some(Harm::Deaf)
    }

    /// Waits as long as the fault wants, and says what is to be done with the next event. Safe to drop.
    pub async fn pass(&mut self, faults: &Faults) -> Pass {
        loop {
            let changed = faults.changed.notified();
            let harm = self.harm.clone().or_else(|| faults.under_way(self.endpoint));
            let hit = |after: u32| self.passed >= after;
            match harm {
                Some(Harm::Stall { after }) if hit(after) => {
                    changed.await;
                    // Cleared: even a fault of our own is over then.
                    if faults.list().is_empty() {
                        self.harm = None;
                    }
                    continue;
                }
                Some(Harm::Silent) => {
                    changed.await;
                    continue;
                }
                Some(Harm::Refuse | Harm::Status { .. }) => return Pass::Cut,
                Some(Harm::Cut { after }) if hit(after) => return Pass::Cut,
                Some(Harm::Error { after }) if hit(after) => return Pass::Error,
                Some(Harm::Truncate { after }) if hit(after) => return Pass::Truncate,
                Some(Harm::Garbage { after }) if hit(after) && !self.garbled => {
                    self.garbled = true;
                    return Pass::Garbage;
                }
                Some(Harm::Drip { ms }) => tokio::time::sleep(Duration::from_millis(ms)).await,
                Some(
                    Harm::Stall { .. }
                    | Harm::Cut { .. }
                    | Harm::Error { .. }
                    | Harm::Truncate { .. }
                    | Harm::Garbage { .. }
                    | Harm::Deaf,
                )
                | None => {}
            }
            self.passed += 1;
            return Pass::Go;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(json: &str) -> Fault {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn faults_pass_some_hit_some_and_are_over() {
        let faults = Faults::default();
        faults.add(fault(r#"{"endpoint": "chat", "kind": "status", "status": 500, "skip": 1, "times": 2}"#));
        let hits: Vec<bool> = (0..5).map(|_| faults.begin(Endpoint::Chat).is_some()).collect();
        assert_eq!(hits, [false, true, true, false, false]);
        assert!(faults.begin(Endpoint::Nova).is_none() && faults.list().is_empty());
    }

    #[tokio::test]
    async fn a_stalled_stream_goes_on_when_the_fault_is_cleared() {
        let faults = Faults::default();
        faults.add(fault(r#"{"endpoint": "aura", "kind": "stall", "after": 1, "open": true}"#));
        let mut gate = Gate::new(Endpoint::Aura, None);
        assert_eq!(gate.pass(&faults).await, Pass::Go);
        let (passed, ()) = tokio::join!(gate.pass(&faults), async {
            tokio::task::yield_now().await;
            faults.clear();
        });
        assert_eq!(passed, Pass::Go);
    }

    #[tokio::test]
    async fn each_harm_has_its_effect_after_its_events() {
        let faults = Faults::default();
        for (json, expected) in [
            (r#"{"endpoint": "chat", "kind": "cut", "after": 2}"#, [Pass::Go, Pass::Go, Pass::Cut, Pass::Cut]),
            (r#"{"endpoint": "chat", "kind": "garbage", "after": 1}"#, [Pass::Go, Pass::Garbage, Pass::Go, Pass::Go]),
            (r#"{"endpoint": "chat", "kind": "error"}"#, [Pass::Error; 4]),
        ] {
            let mut gate = Gate::new(Endpoint::Chat, Some(fault(json).harm));
            for expected in expected {
                assert_eq!(gate.pass(&faults).await, expected, "{json}");
            }
        }
    }
}
