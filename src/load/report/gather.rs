//! From what a crowd measured to a report.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::{
    Audio, Calls, Distribution, Generator, Report, SCHEMA, Second, distribution::tidy, exposition::Exposition, ms,
    process::Watched,
};
use crate::{
    gateway::metrics,
    load::crowd::{Counts, Measure, Outcome, Plan, Tally},
};

type Theirs = (&'static str, &'static str, Option<(&'static str, &'static str)>);

/// The target's histograms, by what they are called in a report: the metric, and its label where it has one.
const THEIRS: [Theirs; 7] = [
    ("turn_ms", metrics::TURN_LATENCY, None),
    ("own_ms", metrics::TURN_OWN, None),
    ("cut_ms", metrics::INTERRUPTION, None),
    ("filler_ms", metrics::FILLER_LATENCY, None),
    ("stt_ms", metrics::ENGINE_WAIT, Some(("engine", "stt"))),
    ("llm_ms", metrics::ENGINE_WAIT, Some(("engine", "llm"))),
    ("tts_ms", metrics::ENGINE_WAIT, Some(("engine", "tts"))),
];

impl Report {
    /// What a crowd measured, following a plan. The rest (who was called, on which machine, what it cost) is filled in
    /// by whoever knows it.
    pub fn of(plan: &Plan, outcome: &Outcome) -> Self {
        let mut report = Self { schema: SCHEMA, ..Self::default() };
        let weights = plan.wires.iter().map(|(_, weight)| f64::from(*weight)).sum::<f64>().max(1.0);
        let wire = |(kind, weight): &(crate::load::crowd::LineKind, u32)| match plan.wires.len() {
            1 => kind.to_string(),
            _ => format!("{kind} {:.0} %", f64::from(*weight) / weights * 100.0),
        };
        report.run.name.clone_from(&plan.name);
        report.run.plan.clone_from(&plan.text);
        report.run.wires = plan.wires.iter().filter(|(_, weight)| *weight > 0).map(wire).collect();
        report.run.seed = plan.seed;
        report.run.version = env!("CARGO_PKG_VERSION").into();
        report.run.measured_s = tidy(outcome.measured.as_secs_f64());
        report.run.warm_up_s = tidy(plan.warm_up.as_secs_f64());
        report.run.stopped_early = outcome.stopped;
        report.latency = spreads(&outcome.tally);
        let counts = &outcome.tally.counts;
        report.calls = calls(&outcome.tally, u64::from(outcome.active_max));
        report.audio = audio(counts);
        let first = outcome.tally.series.first();
        report.seconds = outcome
            .tally
            .series
            .seconds()
            .iter()
            .enumerate()
            // The last one is cut off.
            .filter(|(at, _)| ((first + at) as f64) + 0.5 < outcome.lasted.as_secs_f64())
            .map(|(at, it)| second(first + at, it))
            .collect();
        let generator = &outcome.generator;
        report.generator = Generator {
            was_the_limit: generator.limit.is_some(),
            why: generator.limit.map_or(String::new(), |limit| limit.to_string()),
            shards: u64::from(generator.shards),
            cpu_percent: tidy(generator.cpu.as_secs_f64() / outcome.lasted.as_secs_f64().max(0.001) * 100.0),
            late_p99_ms: tidy(ms(generator.late_p99)),
            late_max_ms: tidy(ms(generator.late_max)),
        };
        report
    }

    /// What each process cost, overall and second by second.
    pub fn cost_of(&mut self, processes: &[Watched]) {
        let warm_up = std::time::Duration::from_secs_f64(self.run.warm_up_s.max(0.0));
        for process in processes {
            let name = process.name();
            self.processes.insert(name.into(), process.usage(warm_up));
            for second in &mut self.seconds {
                let from = std::time::Duration::from_secs_f64(second.at_s.max(0.0));
                let to = from + std::time::Duration::from_secs(1);
                if let Some(cpu) = process.cpu_percent(from, to) {
                    second.cpu_percent.insert(name.into(), tidy(cpu));
                }
                if let Some(rss) = process.rss_mib(to) {
                    second.rss_mib.insert(name.into(), rss);
                }
            }
        }
    }

    /// What the target's own metrics page says of what was measured: what came between the two pages.
    pub fn told_by_target(&mut self, before: &Exposition, after: &Exposition) {
        for (name, metric, label) in THEIRS {
            let Some(histogram) = after.histogram(metric, label) else { continue };
            let since = match before.histogram(metric, label) {
                Some(before) => histogram.since(&before),
                None => histogram,
            };
            if let Some(spread) = since.distribution() {
                self.target.insert(name.into(), spread);
            }
        }
    }
}

/// The histograms of a tally, by their names in a report.
pub fn spreads(tally: &Tally) -> BTreeMap<String, Distribution> {
    let of = |measure: Measure| Some((format!("{}_ms", measure.name()), spread(tally.of(measure))?));
    Measure::ALL.into_iter().filter_map(of).collect()
}

/// A histogram of microseconds.
fn spread(histogram: &Histogram<u64>) -> Option<Distribution> {
    let quantile = |share| histogram.value_at_quantile(share) as f64 / 1_000.0;
    Distribution::of(histogram.len(), histogram.mean() / 1_000.0, quantile)
}

fn calls(tally: &Tally, active_max: u64) -> Calls {
    let counts = &tally.counts;
    let mut refused: BTreeMap<String, u64> =
        tally.refused_by.iter().map(|(status, times)| (format!("HTTP {status}"), *times)).collect();
    if counts.failed > 0 {
        refused.insert("nobody answered".into(), counts.failed);
    }
    let why = |code: u16| if code == 1006 { "the line broke (1006)".into() } else { format!("closed with {code}") };
    let dropped = tally.dropped_by().map(|(code, times)| (why(code), times)).collect();
    Calls {
        offered: counts.offered,
        answered: counts.answered,
        completed: counts.completed,
        unfinished: counts.unfinished,
        refused,
        dropped,
        ended_by_agent: counts.ended_by_target,
        gave_up: counts.gave_up,
        wrong: counts.wrong,
        active_max,
        turns: tally.of(Measure::Turn).len(),
        unanswered: counts.unanswered,
    }
}

fn audio(counts: &Counts) -> Audio {
    Audio {
        sent_s: counts.sent_ms as f64 / 1_000.0,
        heard_s: counts.heard_ms as f64 / 1_000.0,
        holes: counts.holes,
        counted_frames: counts.counted_frames,
        lost_frames: counts.lost_frames,
        doubled_frames: counts.doubled_frames,
        damaged_frames: counts.damaged_frames,
        malformed: counts.malformed,
    }
}

fn second(at: usize, second: &crate::load::crowd::Second) -> Second {
    let three = |of: &dyn Fn(f64) -> Option<std::time::Duration>| {
        Some([tidy(ms(of(0.5)?)), tidy(ms(of(0.95)?)), tidy(ms(of(0.99)?))])
    };
    Second {
        at_s: at as f64,
        active: u64::from(second.active),
        started: u64::from(second.started),
        ended: u64::from(second.ended),
        failed: u64::from(second.failed),
        turn_ms: three(&|share| second.turn(share)),
        own_ms: three(&|share| second.own(share)),
        gap_max_ms: (second.gap_max_us > 0).then(|| f64::from(second.gap_max_us) / 1_000.0),
        cpu_percent: BTreeMap::new(),
        rss_mib: BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::crowd;

    #[test]
    fn what_a_crowd_measured_is_in_the_report() {
        let plan = Plan::parse(include_str!("../../../config/load/capacity.toml"), std::path::Path::new(".")).unwrap();
        let mut tally = Tally::new();
        for us in 1..=1_000 {
            tally.record(Measure::Turn, 1_000_000 + us * 100);
        }
        tally.counts =
            Counts { offered: 9, answered: 6, completed: 5, failed: 1, heard_ms: 1_500, ..Counts::default() };
        tally.refused_by.insert(429, 2);
        // Regression: who closed because it went away (1001) had also dropped the call.
        tally.closed_by.extend([(1013, 1), (1000, 5), (1001, 2)]);
        tally.counts.ended_by_target = 7;
        let generator = crowd::Generator {
            late_p99: Duration::from_millis(7),
            limit: Some(crowd::Limit::Late),
            ..Default::default()
        };
        let lasted = Duration::from_secs(30);
        let report =
            Report::of(&plan, &Outcome { tally, measured: lasted, lasted, active_max: 4, stopped: false, generator });
        assert_eq!((report.calls.refused_all(), report.calls.dropped_all(), report.calls.ended_by_agent), (3, 1, 7));
        assert_eq!(
            (report.calls.dropped["closed with 1013"], report.calls.turns, report.calls.active_max),
            (1, 1_000, 4)
        );
        let turn = &report.latency["turn_ms"];
        assert!((turn.p50 - 1_050.0).abs() < 1.5 && turn.n == 1_000, "{turn:?}");
        assert!(report.generator.was_the_limit && report.generator.why.contains("5 ms late"));
        assert!(!report.latency.contains_key("cut_ms"));
        assert_eq!(Report::parse(&report.json()).unwrap().latency, report.latency);
    }
}
