//! `pronto load capacity`: raises the number of calls until the target's own share of a turn or its pacing breaks, then
//! looks for the place between.
//!
//! Free of coordinated omission: the number of calls is what is set, not how often they ask. Each caller speaks by its
//! own clock, whatever comes back; a turn counts from when its last voiced sample was due. A target that stalls for a
//! second is charged with that second by every caller there is, and a generator that cannot keep up says so and is named
//! as the limit.

use std::{ops::ControlFlow, path::PathBuf, process::ExitCode, time::Duration};

use clap::Args;

use super::{
    live::Live,
    offer::{Kept, Stage, Whom, read, with_room},
    watch::Watch,
};
use crate::load::{
    crowd::{CALLS_MAX, LATE_MAX, Measure, Snapshot, Steering, Tally},
    report::{self, Capacity, Step, ms, process::Cores},
};

/// The plan where none is named.
pub(super) const TALKERS: &str = include_str!("../../../config/load/capacity.toml");

/// Looks for the most calls that are carried well
#[derive(Debug, Args)]
#[command(after_help = "\
Carried well: the target's own share of a turn is at most 25 ms in 95 of 100 turns, or 10 ms more than with four calls
where the way to the lab and back alone is more than that; the gap between two frames of a speaking agent is at most
90 ms in 99 of 100 (a wire that allows it gets 60 ms at a time); no call is refused or lost, and no speech has holes.
What breaks is tried once more before it is believed.")]
pub(super) struct Search {
    /// The plan; callers who go on talking, over all wires, if left out
    #[arg(value_name = "PLAN")]
    plan: Option<PathBuf>,
    #[command(flatten)]
    whom: Whom,
    #[command(flatten)]
    kept: Kept,
    /// Try no more calls than this
    #[arg(long, default_value_t = 2_000, value_name = "N")]
    max: u32,
    /// Begin with so many, and find the limit to so many
    #[arg(long, default_value_t = 50, value_name = "N")]
    step: u32,
    /// Judge each number of calls by so many seconds
    #[arg(long, default_value_t = 15, value_name = "SECONDS")]
    hold_s: u64,
    /// The most that the own share may be (p95), in milliseconds
    #[arg(long, default_value_t = 25.0, value_name = "MS")]
    own_max_ms: f64,
    /// The most that the gap between frames may be (p99), in milliseconds
    #[arg(long, default_value_t = 90.0, value_name = "MS")]
    gap_max_ms: f64,
}

/// How long the calls may take to be there.
const REACH_WAIT: Duration = Duration::from_secs(40);
/// How long they settle before they are judged: greetings, and what a change stirred up.
const SETTLE: Duration = Duration::from_secs(4);
/// Fewer turns than this judge nobody.
const TURNS_MIN: u64 = 10;
/// The programs of this machine that are none of ours.
const OTHERS: &str = "others";
/// So many calls tell what a turn takes on this machine that has nothing to do with their number.
const FEW: u32 = 4;
/// The own share may be so much more than theirs, where that is more than the limit.
const GROWTH_MS: f64 = 10.0;
/// Of so many turns one may have a hole: on a shared machine one frame is late now and then.
const TURNS_A_HOLE: u64 = 1_000;

impl Search {
    pub(super) async fn go(mut self) -> anyhow::Result<ExitCode> {
        // A gateway that protects its calls would never show what it cannot carry.
        self.whom.late_ms_max.get_or_insert(0);
        let plan = read(self.plan.as_deref(), TALKERS)?;
        let gates = self.kept.gates(&plan)?;
        let max = self.max.clamp(1, CALLS_MAX);
        let mut stage = Stage::set(&plan, &self.whom, with_room(max)).await?;
        stage.without_page();
        let mut live = Live::new(None);
        let steering = Steering::default();
        let own = stage.target.expected_waits.is_some();
        let limits = Limits { own_ms: own.then_some(self.own_max_ms), gap_ms: self.gap_max_ms };
        let mut climb = Climb::new(limits, Bisection::new(self.step, max), Duration::from_secs(self.hold_s.max(2)));
        steering.calls(climb.calls);
        let outcome = stage
            .play(&plan, &steering, &mut |now, watch| {
                live.show(now, watch, &climb.told());
                if let Some(line) = climb.go_on(now, watch, &steering) {
                    live.terminal.line(line);
                }
                if climb.over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .await?;
        live.terminal.clear();
        let mut report = stage.report(&plan, &outcome).await;
        report.run.stopped_early = !climb.over;
        // The rest of the run is what lay beyond the limit, or short of it.
        report.latency = std::mem::take(&mut climb.best);
        report.take_apart();
        report.capacity = Some(climb.found(report.machine.cores));
        report.judge(&gates);
        self.kept.tell(&mut live.terminal, &report)
    }
}

/// What it is to be carried well.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// None where the own share cannot be known.
    own_ms: Option<f64>,
    gap_ms: f64,
}

/// Numbers of calls to be tried, until the limit is known to the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bisection {
    step: u32,
    max: u32,
    /// The most that held.
    held: u32,
    /// The least that broke.
    broke: Option<u32>,
}

impl Bisection {
    fn new(step: u32, max: u32) -> Self {
        Self { step: step.clamp(1, max), max, held: 0, broke: None }
    }

    fn tried(&mut self, calls: u32, held: bool) {
        if held {
            self.held = self.held.max(calls);
        } else {
            self.broke = Some(self.broke.map_or(calls, |broke| broke.min(calls)));
        }
    }

    /// The next number; none when the limit is known.
    fn next(self) -> Option<u32> {
        match self.broke {
            None if self.held >= self.max => None,
            None => Some(self.held.saturating_mul(2).clamp(self.step, self.max)),
            Some(broke) if broke <= self.held.saturating_add(self.step) => None,
            Some(broke) => Some(self.held + (broke - self.held) / 2),
        }
    }
}

/// What the search is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// The calls come, or go, since then.
    Reaching(Duration),
    /// They are there, since then.
    Settling(Duration),
    /// They are judged, since then.
    Judging(Duration),
}

/// The search as it goes.
#[derive(Debug)]
struct Climb {
    limits: Limits,
    numbers: Bisection,
    hold: Duration,
    at: At,
    /// How many calls are tried now.
    calls: u32,
    /// They broke once and are tried again.
    again: bool,
    /// The machine when the judging began, to tell what other programs use of it.
    machine: Option<Cores>,
    /// They are the few that are tried first.
    first: bool,
    over: bool,
    steps: Vec<Step>,
    /// What callers heard at the most that held.
    best: std::collections::BTreeMap<String, report::Distribution>,
}

impl Climb {
    fn new(limits: Limits, numbers: Bisection, hold: Duration) -> Self {
        let calls = FEW.min(numbers.step);
        let (at, steps, best) = (At::Reaching(Duration::ZERO), Vec::new(), Default::default());
        Self { limits, numbers, hold, at, calls, again: false, machine: None, first: true, over: false, steps, best }
    }

    /// In a few words.
    fn told(&self) -> String {
        let doing = match self.at {
            At::Reaching(_) => "calling",
            At::Settling(_) => "settling",
            At::Judging(_) => "judging",
        };
        format!("{} calls: {doing}", self.calls)
    }

    /// Goes on; a number of calls that has been judged is told.
    fn go_on(&mut self, now: &Snapshot<'_>, watch: &Watch, steering: &Steering) -> Option<String> {
        match self.at {
            At::Reaching(since) => {
                let waited = now.at.saturating_sub(since);
                if now.active == self.calls || waited >= REACH_WAIT {
                    self.at = At::Settling(now.at);
                }
                None
            }
            At::Settling(since) => {
                if now.at.saturating_sub(since) >= SETTLE {
                    steering.new_window();
                    self.machine = Cores::now();
                    self.at = At::Judging(now.at);
                }
                None
            }
            At::Judging(since) => {
                let held = now.at.saturating_sub(since);
                let few = now.window.of(Measure::Turn).len() < TURNS_MIN;
                if held < self.hold || (few && held < self.hold * 4) {
                    return None;
                }
                let step = self.judge(now, watch, since);
                Some(self.decide(step, now, steering))
            }
        }
    }

    fn judge(&self, now: &Snapshot<'_>, watch: &Watch, since: Duration) -> Step {
        let window = now.window;
        let quantile = |measure, share| window.quantile(measure, share).map(ms);
        let mut step = Step {
            calls: u64::from(self.calls),
            turns: window.of(Measure::Turn).len(),
            own_p50_ms: quantile(Measure::Own, 0.5),
            own_p95_ms: quantile(Measure::Own, 0.95),
            own_p99_ms: quantile(Measure::Own, 0.99),
            gap_p99_ms: quantile(Measure::Gap, 0.99),
            holes: window.counts.holes,
            failed: window.counts.calls_failed(),
            late_p99_ms: ms(now.generator.late_p99),
            ..Step::default()
        };
        for name in watch.names() {
            if let Some(cpu) = watch.cpu_between(&name, since, now.at) {
                step.cpu_percent.insert(name.clone(), cpu);
            }
            if let Some(rss) = watch.rss_mib(&name) {
                step.rss_mib.insert(name, rss);
            }
        }
        if let Some(busy) = self.machine.as_ref().and_then(Cores::busy_percent) {
            let ours: f64 = step.cpu_percent.values().sum();
            step.cpu_percent.insert(OTHERS.into(), (busy - ours).max(0.0));
        }
        let limits = if self.first { Limits { own_ms: None, ..self.limits } } else { self.limits };
        step.broke = limits.broken_by(now.active, self.calls, window).unwrap_or_default();
        step.held = step.broke.is_empty();
        step
    }

    fn decide(&mut self, step: Step, now: &Snapshot<'_>, steering: &Steering) -> String {
        let told = tell(&step);
        let held = step.held;
        self.steps.push(step);
        if held && self.calls >= self.numbers.held {
            self.best = report::spreads(now.window);
        }
        if std::mem::take(&mut self.first)
            && let Some(own) = self.steps.last().and_then(|step| step.own_p95_ms)
        {
            self.limits.own_ms = self.limits.own_ms.map(|most| most.max(own + GROWTH_MS));
        }
        if !held && !self.again {
            // Once is no proof on a machine that others use too.
            self.again = true;
            self.at = At::Settling(now.at);
            return format!("{told}; once more");
        }
        self.again = false;
        self.numbers.tried(self.calls, held);
        match self.numbers.next() {
            Some(calls) => {
                self.calls = calls;
                steering.calls(calls);
                self.at = At::Reaching(now.at);
            }
            None => self.over = true,
        }
        told
    }

    /// What was found, in the end.
    fn found(&self, cores: u64) -> Capacity {
        let most = u64::from(self.numbers.held);
        let best = self.steps.iter().rfind(|step| step.held && step.calls == most);
        let broke = self.steps.iter().filter(|step| !step.held && step.calls > most).min_by_key(|step| step.calls);
        let of = |by: &std::collections::BTreeMap<String, f64>| by.get("target").copied().filter(|value| *value > 0.0);
        let cpu = best.and_then(|step| of(&step.cpu_percent));
        let rss = best.and_then(|step| of(&step.rss_mib));
        let (limit, why) = match broke {
            None if self.over => {
                ("none", format!("All {most} calls were carried well, and no more were tried (--max)."))
            }
            None => ("none", "The search was ended before its time.".to_owned()),
            Some(step) => limit(step, cores),
        };
        Capacity {
            calls: most,
            per_core: cpu.map_or(0.0, |cpu| most as f64 / cpu * 100.0),
            per_gib: rss.map_or(0.0, |mib| most as f64 / mib * 1_024.0),
            limit: limit.into(),
            why,
            steps: self.steps.clone(),
        }
    }
}

impl Limits {
    /// What of it is not kept.
    fn broken_by(self, active: u32, wanted: u32, window: &Tally) -> Option<String> {
        let counts = &window.counts;
        let turns = window.of(Measure::Turn).len();
        let over = |measure, share, most: f64| window.quantile(measure, share).map(ms).filter(|value| *value > most);
        // Those who hang up are followed by others: a few are always on their way.
        if u64::from(active) * 10 < u64::from(wanted) * 9 {
            return Some(format!("only {active} calls are under way"));
        }
        let lost = counts.refused + counts.failed + counts.dropped;
        if lost > 0 {
            return Some(format!("{lost} calls were refused or lost"));
        }
        // Ears that are cheap mishear one in a hundred: some are misunderstood on a quiet day too.
        let misunderstood = counts.gave_up + counts.ended_by_target + counts.wrong;
        if misunderstood * 50 > turns.max(50) {
            return Some(format!("{misunderstood} callers gave up or were hung up on"));
        }
        if turns < TURNS_MIN {
            return Some(format!("only {turns} turns were answered"));
        }
        if let Some((own, most)) = self.own_ms.and_then(|most| Some((over(Measure::Own, 0.95, most)?, most))) {
            return Some(format!("own share {own:.0} ms (p95), at most {most:.0}"));
        }
        if let Some(gap) = over(Measure::Gap, 0.99, self.gap_ms) {
            return Some(format!("gap between frames {gap:.0} ms (p99), at most {:.0}", self.gap_ms));
        }
        (counts.holes * TURNS_A_HOLE > turns.max(TURNS_A_HOLE))
            .then(|| format!("{} holes in the agents' speech in {turns} turns", counts.holes))
    }
}

/// What was the limit when this broke, and why that is believed.
fn limit(step: &Step, cores: u64) -> (&'static str, String) {
    let cpu = |name: &str| step.cpu_percent.get(name).copied().unwrap_or(0.0);
    let (target, generator, lab, others) = (cpu("target"), cpu("generator"), cpu("lab"), cpu(OTHERS));
    let all = cores as f64 * 100.0;
    let busy = format!(
        "target {target:.0} %, generator {generator:.0} %, lab {lab:.0} %, other programs {others:.0} % of a core, of {all:.0}"
    );
    let broke = format!("With {} calls: {}", step.calls, step.broke);
    if target + generator + lab + others >= all * 0.9 {
        let why = "the machine was full, and they share it: on cores of its own the target carries more";
        return ("machine", format!("{broke}; {why} ({busy})."));
    }
    if step.late_p99_ms > ms(LATE_MAX) {
        let late = step.late_p99_ms;
        return (
            "generator",
            format!("{broke}; the generator itself was {late:.0} ms late (p99): it was the limit ({busy})."),
        );
    }
    if lab > target && lab > 90.0 {
        return ("lab", format!("{broke}; the lab worked more than the target: it was the limit ({busy})."));
    }
    (
        "target",
        format!("{broke}; the generator was on time and the machine not full: the target was the limit ({busy})."),
    )
}

fn tell(step: &Step) -> String {
    let ms = |value: Option<f64>| value.map_or("-".to_owned(), |ms| format!("{ms:.0}"));
    let cpu = step.cpu_percent.iter().map(|(name, cpu)| format!("{name} {cpu:.0} %")).collect::<Vec<_>>().join(", ");
    let verdict = if step.held { "held".to_owned() } else { format!("BROKE: {}", step.broke) };
    format!(
        "{:>5} calls  {:>5} turns  own p50/p95/p99 {}/{}/{} ms  gap p99 {} ms  {cpu}  {verdict}",
        step.calls,
        step.turns,
        ms(step.own_p50_ms),
        ms(step.own_p95_ms),
        ms(step.own_p99_ms),
        ms(step.gap_p99_ms),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(step: u32, max: u32, limit: u32) -> (u32, Vec<u32>) {
        let mut numbers = Bisection::new(step, max);
        let mut tried = Vec::new();
        while let Some(calls) = numbers.next() {
            assert!(tried.len() < 50 && calls >= 1 && calls <= max, "{tried:?} {calls}");
            tried.push(calls);
            numbers.tried(calls, calls <= limit);
        }
        (numbers.held, tried)
    }

    #[test]
    fn the_limit_is_found_to_the_step() {
        assert_eq!(search(50, 2_000, 430), (400, vec![50, 100, 200, 400, 800, 600, 500, 450]));
        assert_eq!(search(50, 300, 900), (300, vec![50, 100, 200, 300]));
        assert_eq!(search(50, 2_000, 10).0, 0);
        for limit in [0, 1, 7, 49, 50, 51, 333, 1_999, 2_000] {
            let (held, _) = search(10, 2_000, limit);
            assert!(held <= limit && limit - held < 10 || limit < 10, "{limit}: {held}");
        }
        assert_eq!(search(1, 1, 5), (1, vec![1]));
    }

    #[test]
    fn what_broke_is_named() {
        let limits = Limits { own_ms: Some(25.0), gap_ms: 60.0 };
        let mut window = Tally::new();
        let check = |window: &Tally, active, told: Option<&str>| {
            let broken = limits.broken_by(active, 100, window);
            assert!(broken.as_deref().map(str::len).is_some() == told.is_some(), "{broken:?}");
            assert!(broken.unwrap_or_default().contains(told.unwrap_or_default()));
        };
        check(&window, 100, Some("only 0 turns"));
        for _ in 0..500 {
            window.record(Measure::Turn, 900_000);
            window.record(Measure::Own, 10_000);
            window.record(Measure::Gap, 20_000);
        }
        check(&window, 95, None);
        check(&window, 80, Some("only 80 calls"));
        window.counts.holes = 1;
        check(&window, 100, None);
        window.counts.holes = 2;
        check(&window, 100, Some("2 holes"));
        (0..20).for_each(|_| window.record(Measure::Gap, 80_000));
        check(&window, 100, Some("gap between frames 80 ms"));
        (0..50).for_each(|_| window.record(Measure::Own, 40_000));
        check(&window, 100, Some("own share 40 ms"));
        window.counts.dropped = 3;
        check(&window, 100, Some("3 calls were refused or lost"));
    }

    #[test]
    fn who_was_the_limit_is_told_from_what_they_used() {
        let check = |target: f64, generator: f64, lab: f64, late: f64, who: &str| {
            let cpu = [("target", target), ("generator", generator), ("lab", lab)];
            let cpu_percent = cpu.map(|(name, cpu)| (name.to_owned(), cpu)).into();
            let step = Step { calls: 9, broke: "x".into(), cpu_percent, late_p99_ms: late, ..Step::default() };
            assert_eq!(limit(&step, 2).0, who);
        };
        check(120.0, 50.0, 20.0, 9.0, "machine");
        check(60.0, 50.0, 10.0, 9.0, "generator");
        check(40.0, 10.0, 100.0, 0.5, "lab");
        check(100.0, 30.0, 10.0, 0.5, "target");
    }
}
