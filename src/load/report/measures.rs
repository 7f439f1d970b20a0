//! What can be measured and counted, by name: the same names in JSON, in gates, in tables and on the page.

use super::{Distribution, Report};

/// A distribution that a report may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measure {
    /// In JSON and in gates.
    pub name: &'static str,
    /// For people.
    pub title: &'static str,
    /// From what to what.
    pub meaning: &'static str,
}

const fn measure(name: &'static str, title: &'static str, meaning: &'static str) -> Measure {
    Measure { name, title, meaning }
}

/// What callers measure, in the order in which it is shown.
pub const MEASURES: [Measure; 8] = [
    measure("turn_ms", "Turn", "the caller's last voiced sample to the first of the answer (A1-T0)"),
    measure("own_ms", "Gateway's own share", "the same without endpointing silence and the engines' waits"),
    measure("cut_ms", "Interruption to silence", "the caller's first voiced sample to the agent's last"),
    measure("filler_ms", "Filler", "the caller's last voiced sample to the first of a filler (F1-T0)"),
    measure("answer_ms", "Answer", "dialling to the first voiced sample of the greeting"),
    measure("connect_ms", "Connect", "dialling to the open line"),
    measure("refused_ms", "Refusal", "dialling to the door's answer that this call may not come in"),
    measure("gap_ms", "Gap", "between two frames of a speaking agent as they arrive"),
];

/// What the target's metrics page tells of the same turns; in gates with `target_` before it.
pub const TARGET: [Measure; 7] = [
    measure("turn_ms", "Turn", "as the target counts it"),
    measure("own_ms", "Own share", "as the target counts it"),
    measure("cut_ms", "Interruption to silence", "as the target counts it"),
    measure("filler_ms", "Filler", "as the target counts it"),
    measure("stt_ms", "Recogniser", "waiting for it in a turn, beyond the silence"),
    measure("llm_ms", "Model", "waiting for its first clause"),
    measure("tts_ms", "Voice", "waiting for its first sample"),
];

/// Those whose percentiles say something: the buckets of the engines' waits are wide, and what is taken inside them is a
/// guess. Their means are exact, and in the waterfall.
pub const TARGET_SHOWN: usize = 4;

/// What a name means in a report.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Measured<'a> {
    /// A distribution: a figure of it must be named.
    Spread(&'a Distribution),
    /// A number.
    Number(f64),
    /// It is known, and was not measured.
    Nothing,
}

/// A number that a report may have.
type Counter = (&'static str, fn(&Report) -> Option<f64>);

/// The numbers, by name.
pub const COUNTERS: [Counter; 30] = [
    ("offered", |it| Some(it.calls.offered as f64)),
    ("answered", |it| Some(it.calls.answered as f64)),
    ("completed", |it| Some(it.calls.completed as f64)),
    ("unfinished", |it| Some(it.calls.unfinished as f64)),
    ("refused", |it| Some(it.calls.refused_all() as f64)),
    ("dropped", |it| Some(it.calls.dropped_all() as f64)),
    ("ended_by_agent", |it| Some(it.calls.ended_by_agent as f64)),
    ("gave_up", |it| Some(it.calls.gave_up as f64)),
    ("wrong", |it| Some(it.calls.wrong as f64)),
    ("failed", |it| Some(it.calls.failed() as f64)),
    ("failed_share", |it| share(it.calls.failed() as f64, it.calls.offered as f64)),
    ("answered_share", |it| share(it.calls.answered as f64, it.calls.offered as f64)),
    ("calls_max", |it| Some(it.calls.active_max as f64)),
    ("turns", |it| Some(it.calls.turns as f64)),
    ("unanswered", |it| Some(it.calls.unanswered as f64)),
    ("holes", |it| Some(it.audio.holes as f64)),
    ("lost_frames", |it| Some(it.audio.lost_frames as f64)),
    ("doubled_frames", |it| Some(it.audio.doubled_frames as f64)),
    ("damaged_frames", |it| Some(it.audio.damaged_frames as f64)),
    ("malformed", |it| Some(it.audio.malformed as f64)),
    ("lost_share", |it| share(it.audio.lost_frames as f64, it.audio.counted_frames as f64)),
    ("cpu_ms_per_call_s", |it| it.cost("target")),
    ("generator_cpu_ms_per_call_s", |it| it.cost("generator")),
    ("rss_kib_per_call", Report::rss_per_call),
    ("rss_mib", |it| it.processes.get("target").map(|usage| usage.rss_max_mib)),
    ("generator_was_the_limit", |it| Some(f64::from(u8::from(it.generator.was_the_limit)))),
    ("generator_late_p99_ms", |it| Some(it.generator.late_p99_ms)),
    ("capacity", |it| it.capacity.as_ref().map(|capacity| capacity.calls as f64)),
    ("calls_per_core", |it| it.capacity.as_ref().map(|capacity| capacity.per_core)),
    ("recovery_s", |it| it.overload.as_ref().and_then(|overload| overload.recovery_s)),
];

/// What a name means in this report; `None` where no report has such a thing.
pub fn value<'a>(report: &'a Report, name: &str) -> Option<Measured<'a>> {
    let of = |spread: Option<&'a Distribution>| spread.map_or(Measured::Nothing, Measured::Spread);
    if MEASURES.iter().any(|measure| measure.name == name) {
        return Some(of(report.latency.get(name)));
    }
    if let Some(theirs) = name.strip_prefix("target_").filter(|it| TARGET.iter().any(|measure| measure.name == *it)) {
        return Some(of(report.target.get(theirs)));
    }
    let (_, counted) = COUNTERS.iter().find(|(known, _)| *known == name)?;
    Some(counted(report).map_or(Measured::Nothing, Measured::Number))
}

/// The names of distributions.
pub fn spreads() -> Vec<String> {
    let ours = MEASURES.iter().map(|measure| measure.name.to_owned());
    ours.chain(TARGET.iter().map(|measure| format!("target_{}", measure.name))).collect()
}

impl Report {
    /// CPU of a process in milliseconds for each second of a call, over what was measured.
    pub fn cost(&self, process: &str) -> Option<f64> {
        share(self.processes.get(process)?.cpu_s * 1_000.0, self.call_seconds())
    }

    /// Memory of the target for each call at the moment of the most calls, in KiB, without what it had before the first.
    pub fn rss_per_call(&self) -> Option<f64> {
        let before = self.processes.get("target")?.rss_first_mib;
        let most = self.seconds.iter().map(|second| second.active).max()?;
        let then = self.seconds.iter().filter(|second| second.active == most);
        let rss = then.filter_map(|second| second.rss_mib.get("target").copied()).reduce(f64::max)?;
        share((rss - before).max(0.0) * 1_024.0, most as f64)
    }
}

fn share(part: f64, of: f64) -> Option<f64> {
    (of > 0.0).then(|| part / of)
}
