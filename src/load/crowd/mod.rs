//! A crowd: thousands of simulated callers from one process, cheaper than the gateway they call. What they measure is
//! what a caller would hear, in the audio itself.
//!
//! ```no_run
//! use std::{ops::ControlFlow, path::Path};
//! use pronto::load::{
//!     crowd::{Measure, Plan, Sounds, Steering, Target, run},
//!     lab::speech::Speech,
//! };
//!
//! # async fn go() -> Result<(), Box<dyn std::error::Error>> {
//! let plan = Plan::read(Path::new("config/load/busy.toml"))?;
//! let target = Target::new("ws://127.0.0.1:18789").with_token("officina-rossi-demo-token");
//! let sounds = Sounds::prepare(&plan, &Speech::new().await?).await?;
//! let outcome = run(&plan, &target, &sounds, &Steering::default(), &mut |now| {
//!     println!("{} calls, turns p95 {:?}", now.active, now.tally.quantile(Measure::Turn, 0.95));
//!     ControlFlow::Continue(())
//! })
//! .await?;
//! println!("{:?}", outcome.generator.limit);
//! # Ok(())
//! # }
//! ```
//!
//! # How it stays cheap
//!
//! A few threads ([`Plan::shards`]) carry all calls. What is said is synthesised once, encoded once, and framed once:
//! a caller who speaks sends slices of memory that all share. What comes is measured as it comes and kept by nobody: a
//! caller costs a few KiB, however long it talks.
//!
//! # Why nothing is omitted in coordination
//!
//! A generator that waits for the target before it goes on measures a slow target rarely, and finds it fast. Here:
//!
//! - Calls come when the [plan](Arrivals) says. With `poisson` they come whether earlier ones have ended or not; where a
//!   number of calls is kept up, each is a line that is never free, which is what the number means.
//! - [`Measure::Connect`] and [`Measure::Answer`] count from when the dial was *due*: a dial that this process made late
//!   is a long wait.
//! - A caller sends its frames by its own clock, whatever comes back, and [`Measure::Turn`] counts from when the last
//!   voiced sample was *due* on that clock, not from when the socket took it.
//! - A turn that is never answered is not left out silently: it is counted as `unanswered`.
//!
//! How late the generator itself was is measured beside all that, and [`Outcome::generator`] says when it, and not the
//! target, was the limit.

mod arrivals;
pub mod counted;
mod desk;
mod dial;
mod faults;
mod frame;
#[cfg(any(test, feature = "fuzz"))]
mod fuzz;
mod listener;
mod phone;
mod plan;
mod run;
mod series;
mod shard;
mod sounds;
mod tally;
mod wire;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

pub use arrivals::Arrivals;
#[cfg(feature = "fuzz")]
pub use fuzz::fuzz;
pub use plan::{Behaviour, CALLS_MAX, Cut, Fault, LineKind, Noise, NoiseKind, Plan, PlanError, Stall};
pub use run::run;
pub use series::{Second, Series};
pub use sounds::Sounds;
pub use tally::{Counts, Measure, Tally};

/// Whom the crowd calls.
#[derive(Clone, Default)]
pub struct Target {
    /// `ws://host:port`, and the paths are our gateway's; or with a path, in which `{tenant}` stands for the tenant.
    pub address: String,
    /// What opens the door of each tenant.
    pub tokens: BTreeMap<String, String>,
    /// What opens the door of the others.
    pub token: Option<String>,
    /// What a turn waits for besides the target, when that is fixed: the silence that ends a turn and the engines. The
    /// own share of a turn is what is left.
    pub expected_waits: Option<Duration>,
    /// Authorities that are trusted besides the public ones when the target is `wss://`, as PEM: a private one, or the
    /// one that made a certificate for a test.
    pub ca: Option<String>,
}

impl Target {
    /// One without tokens.
    pub fn new(address: &str) -> Self {
        Self { address: address.to_owned(), ..Self::default() }
    }

    /// The same with a token for every tenant.
    #[must_use]
    pub fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// What opens the door of this tenant.
    pub fn token_of(&self, tenant: &str) -> Option<&str> {
        self.tokens.get(tenant).or(self.token.as_ref()).map(String::as_str)
    }
}

/// Without the tokens.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("address", &self.address)
            .field("tokens", &self.tokens.len())
            .field("expected_waits", &self.expected_waits)
            .field("ca", &self.ca.is_some())
            .finish_non_exhaustive()
    }
}

/// Changes a run while it runs. Clones steer the same run.
#[derive(Debug, Clone, Default)]
pub struct Steering {
    shared: Arc<Steered>,
}

#[derive(Debug, Default)]
struct Steered {
    /// The number of calls wanted plus one; 0 leaves it to the plan.
    calls: AtomicU32,
    /// How often the window was begun anew.
    windows: AtomicU64,
    stop: AtomicBool,
}

impl Steering {
    /// Wants so many calls from now on, instead of what the plan's arrivals say. When there are more, the rest hang up.
    /// The number of threads is chosen when the run begins: where it is to become much more, say so in
    /// [`Plan::shards`].
    pub fn calls(&self, calls: u32) {
        self.shared.calls.store(calls.min(CALLS_MAX) + 1, Ordering::Relaxed);
    }

    /// Begins [`Snapshot::window`] anew: what was measured before does not count in it any more, but for what was on its
    /// way, of the last 250 ms.
    pub fn new_window(&self) {
        self.shared.windows.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends the run.
    pub fn stop(&self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }

    fn wanted(&self) -> Option<u32> {
        self.shared.calls.load(Ordering::Relaxed).checked_sub(1)
    }

    fn windows(&self) -> u64 {
        self.shared.windows.load(Ordering::Relaxed)
    }

    fn stopped(&self) -> bool {
        self.shared.stop.load(Ordering::Relaxed)
    }
}

/// How a run stands.
#[derive(Debug, Clone, Copy)]
pub struct Snapshot<'a> {
    /// Since the beginning, the warm-up included.
    pub at: Duration,
    /// Whether the warm-up is over.
    pub measuring: bool,
    /// Calls under way: let in and not ended.
    pub active: u32,
    /// Calls that are being dialled.
    pub dialling: u32,
    /// How many there should be, where that is a number.
    pub wanted: Option<u32>,
    /// Everything measured so far.
    pub tally: &'a Tally,
    /// What was measured since [`Steering::new_window`], the warm-up included. It comes up to 250 ms after the fact.
    pub window: &'a Tally,
    /// How we ourselves are doing.
    pub generator: &'a Generator,
}

/// How the generator itself did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Generator {
    /// Threads that carried the calls.
    pub shards: u32,
    /// CPU time of this process since the run began.
    pub cpu: Duration,
    /// The busiest second of the process, in cores.
    pub cores_max: f64,
    /// How late a frame left, 99 of 100.
    pub late_p99: Duration,
    /// How late a frame left at most.
    pub late_max: Duration,
    /// Frames that left.
    pub frames: u64,
    /// Seconds of calls carried.
    pub call_seconds: f64,
    /// What is measured may be our own doing, and why.
    pub limit: Option<Limit>,
}

/// Why the generator was the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// 1 in 100 of its frames left later than [`LATE_MAX`].
    Late,
    /// One of its threads used more than 90 % of a core in more than one second of twenty.
    Cpu,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Late => "more than 1 in 100 of its own frames left over 5 ms late: use fewer calls or more machine",
            Self::Cpu => "it used over 90 % of a core per shard: set `shards` higher, or use fewer calls",
        })
    }
}

/// A generator whose frames leave later than this measures itself.
pub const LATE_MAX: Duration = Duration::from_millis(5);

/// What came of a run.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What was measured after the warm-up; the series has the warm-up too.
    pub tally: Tally,
    /// How long was measured.
    pub measured: Duration,
    /// How long the run lasted, the warm-up included.
    pub lasted: Duration,
    /// The most calls there were at once.
    pub active_max: u32,
    /// It was stopped before its end.
    pub stopped: bool,
    /// How we ourselves did.
    pub generator: Generator,
}

/// Why a run could not be done.
#[derive(Debug, thiserror::Error)]
pub enum CrowdError {
    /// The plan is none.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The address is wrong.
    #[error(
        "the target's address {0}: it must be like ws://127.0.0.1:18789 or ws://127.0.0.1:18789/v1/stream/{{tenant}}"
    )]
    Address(&'static str),
    /// The authorities that are to be trusted are none.
    #[error("the target's authority {0}: it must be certificates as PEM, `-----BEGIN CERTIFICATE-----` and so on")]
    Authority(&'static str),
    /// The callers have no voice, or none that fits.
    #[error(transparent)]
    Sound(#[from] crate::load::caller::CallerError),
    /// The process may not open so many files.
    #[error(
        "{wanted} calls need {needed} open files and this process may have {limit}: run `ulimit -n {needed}` in this \
         shell first (as root beyond the hard limit), or make fewer calls"
    )]
    Files {
        /// Calls.
        wanted: u32,
        /// Files.
        needed: u64,
        /// The soft limit.
        limit: u64,
    },
    /// More calls than one process makes.
    #[error("{0} calls at once are more than the {CALLS_MAX} of one process: run several with a part each")]
    TooMany(u32),
    /// The sounds were prepared for another plan.
    #[error("the sounds do not belong to this plan: prepare them again")]
    OtherSounds,
    /// The system does not let us.
    #[error("a thread for the calls cannot be started ({0}): is the machine out of memory or of processes?")]
    Thread(std::io::Error),
}
