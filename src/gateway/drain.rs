//! Shutting down, as a sequence with names, so that the health page can say where it stands.

use std::{future::Future, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

/// Where the gateway stands between taking calls and being gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// New calls are answered.
    Accepting,
    /// New calls are refused; those under way go on, as long as `finish_s`.
    Refusing,
    /// Calls under way are told to say goodbye.
    Telling,
    /// They say it, as long as `goodbye_s`; writes end.
    Waiting,
    /// Who is still there is cut off.
    Closing,
    /// Nothing is left.
    Done,
}

impl Step {
    /// The name on the health page.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepting => "accepting",
            Self::Refusing => "refusing",
            Self::Telling => "telling",
            Self::Waiting => "waiting",
            Self::Closing => "closing",
            Self::Done => "done",
        }
    }
}

/// How long a shutdown may take: `[gateway.drain]` in the daemon's file. Together with two seconds for closing it must
/// fit in the grace period of whoever stops the process (30 s on Kubernetes unless told otherwise).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DrainSettings {
    /// Seconds that calls under way may go on before they are told.
    pub finish_s: u64,
    /// Seconds they have to say goodbye.
    pub goodbye_s: u64,
}

impl Default for DrainSettings {
    fn default() -> Self {
        Self { finish_s: 15, goodbye_s: 8 }
    }
}

/// The shutdown of one gateway, as everyone sees it.
#[derive(Debug, Clone)]
pub struct Drain(watch::Sender<Step>);

impl Default for Drain {
    fn default() -> Self {
        Self(watch::Sender::new(Step::Accepting))
    }
}

impl Drain {
    /// Where it stands.
    pub fn step(&self) -> Step {
        *self.0.borrow()
    }

    /// Waits until it has come to this step or beyond.
    pub async fn reached(&self, step: Step) {
        // The sender is in `self`: the channel is never closed.
        let _ = self.0.subscribe().wait_for(|now| *now >= step).await;
    }

    /// Goes through the steps. `quiet` waits until no call and no write is under way.
    pub(super) async fn run<F: Future<Output = ()>>(&self, settings: DrainSettings, quiet: impl Fn() -> F) {
        let within = |seconds| Instant::now() + Duration::from_secs(seconds);
        self.go(Step::Refusing);
        if timeout_at(within(settings.finish_s), quiet()).await.is_err() {
            self.go(Step::Telling);
            self.go(Step::Waiting);
            if timeout_at(within(settings.goodbye_s), quiet()).await.is_err() {
                self.go(Step::Closing);
                let _ = timeout_at(within(2), quiet()).await;
            }
        }
        self.go(Step::Done);
    }

    fn go(&self, step: Step) {
        tracing::info!(step = step.name(), "shutting down");
        self.0.send_replace(step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_gateway_without_calls_tells_nobody() {
        let drain = Drain::default();
        assert_eq!(drain.step(), Step::Accepting);
        let asked = std::cell::Cell::new(0);
        let quiet = || {
            asked.set(asked.get() + 1);
            async {}
        };
        drain.run(DrainSettings::default(), quiet).await;
        assert_eq!((drain.step(), asked.get()), (Step::Done, 1));
    }

    #[tokio::test]
    async fn a_call_that_does_not_end_is_told_and_then_cut_off() {
        let drain = Drain::default();
        let watched = drain.clone();
        // Quiet only once calls are cut off: everything before it runs into its bound.
        let quiet = || watched.reached(Step::Closing);
        drain.run(DrainSettings { finish_s: 0, goodbye_s: 0 }, quiet).await;
        assert_eq!(drain.step(), Step::Done);
    }
}
