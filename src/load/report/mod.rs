//! What a load test found, as a value: JSON that a later version still reads, a page to look at, a table for the
//! terminal, gates for a build, and two of them side by side.
//!
//! ```
//! use pronto::load::report::{Gate, Report};
//! # let json = r#"{"schema":1,"run":{"name":"one caller"},"calls":{"offered":3,"refused":{"429":1}}}"#;
//! let report = Report::parse(json)?;
//! let gate = Gate::parse("refused > 0 or dropped > 0")?;
//! assert!(gate.judge(&report).fails);
//! std::fs::write(std::env::temp_dir().join("report.html"), report.page())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Pure: numbers in, text out; only [`process`] and [`machine`] look at `/proc`. What it does not do: measure. The
//! crowd does that, and the target's own metrics say the rest ([`exposition`]).

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

mod distribution;
pub mod exposition;
mod expression;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod gate;
mod gather;
pub mod machine;
mod measures;
mod page;
mod pictures;
mod plot;
pub mod process;
mod side_by_side;
mod table;
mod told;
mod waterfall;

pub use distribution::{Distribution, QUANTILES};
pub use gate::{Gate, GateError, Judged};
pub use gather::spreads;
pub use measures::{MEASURES, Measured, value};
pub use side_by_side::Comparison;
pub use waterfall::Part;

use self::{machine::Machine, process::Use};

/// The version of the JSON. It grows when something changes its meaning; what is only added leaves it as it is.
pub const SCHEMA: u32 = 1;

/// The longest report that is read.
pub const BYTES_MAX: u64 = 64 << 20;

/// Everything that one run found.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// The version of this form.
    pub schema: u32,
    /// What was run.
    pub run: Run,
    /// Where it was run.
    pub machine: Machine,
    /// What became of the calls.
    pub calls: Calls,
    /// What callers heard, by measure ([`MEASURES`]), in milliseconds.
    pub latency: BTreeMap<String, Distribution>,
    /// The same turns as the target counts them, from its metrics page, in milliseconds.
    pub target: BTreeMap<String, Distribution>,
    /// The sound itself.
    pub audio: Audio,
    /// Where the time of a turn went.
    pub waterfall: Vec<Part>,
    /// Second by second.
    pub seconds: Vec<Second>,
    /// What each process cost: `target`, `generator`, `lab`.
    pub processes: BTreeMap<String, Use>,
    /// Whether what was measured is the target.
    pub generator: Generator,
    /// What was asked of the run, and whether it was so.
    pub verdict: Verdict,
    /// How many calls it carries, where that was looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Capacity>,
    /// How it takes too many calls, where that was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overload: Option<Overload>,
}

/// What was run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Run {
    /// The name of the plan.
    pub name: String,
    /// The plan as it was written.
    pub plan: String,
    /// The wires, with their shares.
    pub wires: Vec<String>,
    /// The address that was called.
    pub target: String,
    /// Who started the target, in words.
    pub target_is: String,
    /// The version of the harness.
    pub version: String,
    /// Seed of everything left to chance.
    pub seed: u64,
    /// When it began (RFC 3339).
    pub started: String,
    /// How long was measured, in seconds.
    pub measured_s: f64,
    /// How long was run before that, in seconds.
    pub warm_up_s: f64,
    /// It was ended before its time.
    pub stopped_early: bool,
    /// The waits that are not the target's: silence of endpointing and engines, in milliseconds, where they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_waits_ms: Option<f64>,
}

/// What became of the calls.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Calls {
    /// Dialled, by the schedule.
    pub offered: u64,
    /// In which the agent was heard.
    pub answered: u64,
    /// Ended as they should.
    pub completed: u64,
    /// Under way when the run ended: neither good nor bad.
    pub unfinished: u64,
    /// Not let in, by HTTP status or reason.
    pub refused: BTreeMap<String, u64>,
    /// Ended by the target or the network in the middle, by close code or reason.
    pub dropped: BTreeMap<String, u64>,
    /// The agent hung up in order before its caller had finished: it took what was said for a goodbye.
    pub ended_by_agent: u64,
    /// Callers who waited for an answer and hung up.
    pub gave_up: u64,
    /// Answered otherwise than expected.
    pub wrong: u64,
    /// The most at once.
    pub active_max: u64,
    /// Turns that were answered.
    pub turns: u64,
    /// Lines of callers that never were.
    pub unanswered: u64,
}

/// The sound itself, both ways.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Audio {
    /// What callers sent, in seconds.
    pub sent_s: f64,
    /// What they heard of the agent, in seconds.
    pub heard_s: f64,
    /// Interruptions of the agent's speech that are nobody's wish.
    pub holes: u64,
    /// Frames of a counted voice that were heard.
    pub counted_frames: u64,
    /// Of them missing.
    pub lost_frames: u64,
    /// Heard twice.
    pub doubled_frames: u64,
    /// Not to be told what they were.
    pub damaged_frames: u64,
    /// Messages that the wire's dialect does not have.
    pub malformed: u64,
}

/// One second of the run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Second {
    /// Since the run began, warm-up included.
    pub at_s: f64,
    /// Calls under way.
    pub active: u64,
    /// Calls that began in it.
    pub started: u64,
    /// Calls that ended in it, however.
    pub ended: u64,
    /// Calls that failed in it, in any way.
    pub failed: u64,
    /// p50, p95 and p99 of the turns answered in it, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn_ms: Option<[f64; 3]>,
    /// The same of the target's own share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own_ms: Option<[f64; 3]>,
    /// The longest time between two frames of a speaking agent, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap_max_ms: Option<f64>,
    /// CPU in percent of one core, by process.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub cpu_percent: BTreeMap<String, f64>,
    /// Resident memory in MiB, by process.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rss_mib: BTreeMap<String, f64>,
}

/// Whether the generator, and not the target, was what was measured.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Generator {
    /// It was: the numbers are a bound, no measurement of the target.
    pub was_the_limit: bool,
    /// How that is known.
    pub why: String,
    /// Its threads.
    pub shards: u64,
    /// Its own CPU, in percent of one core.
    pub cpu_percent: f64,
    /// How late its frames left (p99), in milliseconds.
    pub late_p99_ms: f64,
    /// And at worst.
    pub late_max_ms: f64,
}

/// What was asked of the run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Verdict {
    /// Nothing failed.
    pub passed: bool,
    /// Each gate with what was found.
    pub gates: Vec<Judged>,
    /// What else is to be known before the numbers are believed.
    pub notes: Vec<String>,
}

/// How many calls the target carries.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Capacity {
    /// The most that held.
    pub calls: u64,
    /// For each core that the target used while it held them.
    pub per_core: f64,
    /// For each GiB that it kept.
    pub per_gib: f64,
    /// What broke beyond: `target`, `generator`, `lab`, `machine`; `none` where nothing did up to the most that was tried.
    pub limit: String,
    /// In a sentence.
    pub why: String,
    /// Each number of calls that was held up.
    pub steps: Vec<Step>,
}

/// One number of calls, kept up for a while.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Step {
    /// How many.
    pub calls: u64,
    /// The limits were kept.
    pub held: bool,
    /// Which one was not.
    pub broke: String,
    /// Turns it was judged by.
    pub turns: u64,
    /// The target's own share of a turn.
    pub own_p50_ms: Option<f64>,
    /// The same.
    pub own_p95_ms: Option<f64>,
    /// The same.
    pub own_p99_ms: Option<f64>,
    /// Time between frames of a speaking agent.
    pub gap_p99_ms: Option<f64>,
    /// Interruptions of its speech.
    pub holes: u64,
    /// Calls that failed.
    pub failed: u64,
    /// CPU in percent of one core, by process.
    pub cpu_percent: BTreeMap<String, f64>,
    /// Resident memory in MiB, by process.
    pub rss_mib: BTreeMap<String, f64>,
    /// How late the generator's frames left (p99).
    pub late_p99_ms: f64,
}

/// How the target takes more calls than it can.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Overload {
    /// The calls that it is set to take.
    pub limit: u64,
    /// Calls that wished to be there at once.
    pub offered: u64,
    /// Own share of accepted calls, p99, before.
    pub before_p99_ms: Option<f64>,
    /// And while too many called.
    pub during_p99_ms: Option<f64>,
    /// Calls refused as they should be (429, 503).
    pub refused: u64,
    /// How long that took, p99.
    pub refused_p99_ms: Option<f64>,
    /// Accepted calls that were lost.
    pub dropped: u64,
    /// From the end of the rush to the first second in which everything was as before.
    pub recovery_s: Option<f64>,
    /// What was promised, and whether it was kept.
    pub promises: Vec<Promise>,
}

/// Something that was to be so.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Promise {
    /// In a sentence, with the numbers.
    pub what: String,
    /// It was.
    pub kept: bool,
}

/// Why a file is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is not JSON of this form.
    #[error("it is no report of a load test ({0}): `pronto load --json FILE` writes one")]
    Form(#[from] serde_json::Error),
    /// Somebody else's.
    #[error("it has schema {0}, and this version reads 1 to {SCHEMA}: read it with the version that wrote it")]
    Schema(u32),
}

impl Report {
    /// Reads a report.
    ///
    /// # Errors
    /// When it is none, or a later version's.
    pub fn parse(json: &str) -> Result<Self, ReadError> {
        let report: Self = serde_json::from_str(json)?;
        if report.schema == 0 || report.schema > SCHEMA {
            return Err(ReadError::Schema(report.schema));
        }
        Ok(report)
    }

    /// As JSON, to be kept.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("numbers and strings are JSON")
    }

    /// As one page that needs nothing else.
    pub fn page(&self) -> String {
        page::of(self)
    }

    /// As lines for a terminal.
    pub fn table(&self) -> Vec<String> {
        table::of(self)
    }

    /// Tells the parts of a turn apart, from the distributions that are in it.
    pub fn take_apart(&mut self) {
        self.waterfall = waterfall::of(&self.latency, &self.target, self.run.expected_waits_ms);
    }

    /// Judges it by these gates, and by what was promised of an overload. What a gate asks for and was not measured fails
    /// it; where nothing is asked nothing fails.
    pub fn judge(&mut self, gates: &[Gate]) {
        self.verdict.gates = gates.iter().map(|gate| gate.judge(self)).collect();
        let mut promises = self.overload.iter().flat_map(|overload| &overload.promises);
        self.verdict.passed = self.verdict.gates.iter().all(|judged| !judged.fails) && promises.all(|it| it.kept);
    }

    /// Call-seconds that were measured: the sum of the calls under way in each second after the warm-up.
    pub fn call_seconds(&self) -> f64 {
        self.measured_seconds().map(|second| second.active as f64).sum()
    }

    /// The seconds after the warm-up.
    pub fn measured_seconds(&self) -> impl Iterator<Item = &Second> {
        self.seconds.iter().filter(|second| second.at_s >= self.run.warm_up_s)
    }
}

impl Calls {
    /// Not let in, for whatever reason.
    pub fn refused_all(&self) -> u64 {
        self.refused.values().fold(0, |sum, some| sum.saturating_add(*some))
    }

    /// Ended in the middle, for whatever reason.
    pub fn dropped_all(&self) -> u64 {
        self.dropped.values().fold(0, |sum, some| sum.saturating_add(*some))
    }

    /// Everything that is not as it should be.
    pub fn failed(&self) -> u64 {
        [self.refused_all(), self.dropped_all(), self.ended_by_agent, self.gave_up, self.wrong]
            .into_iter()
            .fold(0, |sum, some| sum.saturating_add(some))
    }
}

/// Milliseconds, as the report keeps them.
pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

#[cfg(test)]
mod tests;
