//! `pronto load overload`: three times as many call as there are lines. Those who were let in must not notice, the
//! others must be told at once, and soon after the rush everything must be as it was.

use std::{collections::BTreeMap, ops::ControlFlow, path::PathBuf, process::ExitCode, time::Duration};

use clap::Args;

use super::{
    capacity::TALKERS,
    live::Live,
    offer::{Kept, Stage, Whom, read},
};
use crate::load::{
    crowd::{CALLS_MAX, Measure, Snapshot, Steering, Tally},
    report::{self, Distribution, Overload, Promise, Second, ms},
};

/// Offers more calls than the target may take, and judges how it takes that
#[derive(Debug, Args)]
#[command(after_help = "\
The target must have its limits set: a gateway that is started for this has; of another one, name the limit of its
tenant with --limit.")]
pub(super) struct Rush {
    /// The plan; callers who go on talking, over all wires, if left out
    #[arg(value_name = "PLAN")]
    plan: Option<PathBuf>,
    #[command(flatten)]
    whom: Whom,
    #[command(flatten)]
    kept: Kept,
    /// The calls that the target is set to take; best what `pronto load capacity` found
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: u32,
    /// The gateway that is started has no limit of lines: its own pulse decides who is too many
    #[arg(long)]
    by_pulse: bool,
    /// How many times as many call
    #[arg(long, default_value_t = 3, value_name = "N")]
    times: u32,
    /// How long the rush lasts, in seconds
    #[arg(long = "for", default_value_t = 60, value_name = "SECONDS")]
    rush_s: u64,
    /// How long is measured before it, in seconds
    #[arg(long, default_value_t = 20, value_name = "SECONDS")]
    before_s: u64,
}

/// How long is looked after the rush.
const AFTER: Duration = Duration::from_secs(15);
/// How long calls settle before they are measured.
const SETTLE: Duration = Duration::from_secs(6);
/// The own share of accepted calls may grow by so much (p99), or be this much whatever it was.
const GROWTH_MS: f64 = 5.0;
const OWN_MS: f64 = 25.0;
/// Everything must be as before in so much time.
const RECOVERY_MAX_S: f64 = 5.0;

impl Rush {
    pub(super) async fn go(self) -> anyhow::Result<ExitCode> {
        let plan = read(self.plan.as_deref(), TALKERS)?;
        let gates = self.kept.gates(&plan)?;
        let limit = self.limit.clamp(1, CALLS_MAX);
        let offered = limit.saturating_mul(self.times.max(1)).min(CALLS_MAX);
        let lines = if self.by_pulse { offered } else { limit };
        let mut stage = Stage::set(&plan, &self.whom, lines).await?;
        stage.without_page();
        let mut live = Live::new(None);
        let steering = Steering::default();
        // Four of five lines: who hangs up is followed by the next, and must not find the line still taken.
        let usual = (limit * 4 / 5).max(1);
        steering.calls(usual);
        let before = SETTLE + Duration::from_secs(self.before_s.max(5));
        let rush = before + Duration::from_secs(self.rush_s.max(5));
        let mut phases = Phases { before, rush, end: rush + AFTER, ..Phases::default() };
        let outcome = stage
            .play(&plan, &steering, &mut |now, watch| {
                live.show(now, watch, phases.told());
                phases.go_on(now, &steering, usual, offered)
            })
            .await?;
        live.terminal.clear();
        let mut report = stage.report(&plan, &outcome).await;
        report.run.stopped_early = phases.at != Phase::Over;
        report.run.name = format!("{}: {usual}, then {offered} call where {limit} may", plan.name);
        let mut overload = phases.found(limit, offered);
        let rush_ended = phases.rush_ended.unwrap_or(phases.rush);
        overload.recovery_s = recovery(&report.seconds, rush_ended, u64::from(usual), overload.before_p99_ms);
        overload.promises.push(Promise {
            what: match overload.recovery_s {
                Some(s) => format!("after the rush everything was as before in {s:.0} s (at most {RECOVERY_MAX_S:.0})"),
                None => format!("after the rush it was not as before in the {} s that were waited", AFTER.as_secs()),
            },
            kept: overload.recovery_s.is_some_and(|s| s <= RECOVERY_MAX_S),
        });
        // What callers heard in the rush, not before and after it.
        report.latency = std::mem::take(&mut phases.heard);
        report.take_apart();
        report.overload = Some(overload);
        report.judge(&gates);
        self.kept.tell(&mut live.terminal, &report)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    #[default]
    Settling,
    Before,
    Rush,
    After,
    Over,
}

/// The parts of the run, and what was found in each.
#[derive(Debug, Default)]
struct Phases {
    at: Phase,
    /// When each ends.
    before: Duration,
    rush: Duration,
    end: Duration,
    /// When the rush was told to be over.
    rush_ended: Option<Duration>,
    before_p99: Option<f64>,
    during_p99: Option<f64>,
    /// The fewest calls under way in the rush, once it was there.
    active_min: Option<u32>,
    rushed: Option<Rushed>,
    heard: BTreeMap<String, Distribution>,
}

/// What was counted in the rush.
#[derive(Debug, Clone, PartialEq, Default)]
struct Rushed {
    refused_by: BTreeMap<u16, u64>,
    /// How long that took, p99 in milliseconds.
    refused_p99: Option<f64>,
    /// Let in and then lost.
    lost: u64,
    /// Neither let in nor told why.
    unanswered: u64,
}

impl Phases {
    const fn told(&self) -> &'static str {
        match self.at {
            Phase::Settling => "settling",
            Phase::Before => "before",
            Phase::Rush => "RUSH",
            Phase::After | Phase::Over => "after",
        }
    }

    fn go_on(&mut self, now: &Snapshot<'_>, steering: &Steering, usual: u32, offered: u32) -> ControlFlow<()> {
        match self.at {
            Phase::Settling if now.at >= SETTLE => {
                steering.new_window();
                self.at = Phase::Before;
            }
            Phase::Before if now.at >= self.before => {
                self.before_p99 = now.window.quantile(Measure::Own, 0.99).map(ms);
                steering.new_window();
                steering.calls(offered);
                self.at = Phase::Rush;
            }
            Phase::Rush => {
                // The first second is the rush coming in.
                if now.at >= self.before + Duration::from_secs(1) {
                    self.active_min = Some(self.active_min.map_or(now.active, |least| least.min(now.active)));
                }
                if now.at >= self.rush {
                    self.take(now.window);
                    steering.new_window();
                    steering.calls(usual);
                    self.rush_ended = Some(now.at);
                    self.at = Phase::After;
                }
            }
            Phase::After if now.at >= self.end => {
                self.at = Phase::Over;
                return ControlFlow::Break(());
            }
            Phase::Settling | Phase::Before | Phase::After | Phase::Over => {}
        }
        ControlFlow::Continue(())
    }

    fn take(&mut self, window: &Tally) {
        self.during_p99 = window.quantile(Measure::Own, 0.99).map(ms);
        self.heard = report::spreads(window);
        self.rushed = Some(Rushed {
            refused_by: window.refused_by.clone(),
            refused_p99: window.quantile(Measure::Refused, 0.99).map(ms),
            lost: window.counts.dropped + window.counts.ended_by_target,
            unanswered: window.counts.failed,
        });
    }

    fn found(&self, limit: u32, offered: u32) -> Overload {
        let rushed = self.rushed.clone().unwrap_or_default();
        let refused = rushed.refused_by.values().sum();
        let rightly: u64 = [429, 503].iter().filter_map(|status| rushed.refused_by.get(status)).sum();
        let told = |value: Option<f64>| value.map_or("-".to_owned(), |ms| format!("{ms:.1} ms"));
        let kept = match (self.before_p99, self.during_p99) {
            (Some(before), Some(during)) => during <= (before + GROWTH_MS).max(OWN_MS),
            _ => false,
        };
        let by: Vec<_> = rushed.refused_by.iter().map(|(status, times)| format!("{times} with {status}")).collect();
        let by = if by.is_empty() { "none".to_owned() } else { by.join(", ") };
        let active = self.active_min.unwrap_or(0);
        let promises = vec![
            Promise {
                what: format!(
                    "accepted calls keep their own share (p99): {} before, {} in the rush (at most {GROWTH_MS:.0} ms more, or {OWN_MS:.0} ms)",
                    told(self.before_p99),
                    told(self.during_p99)
                ),
                kept,
            },
            Promise {
                what: format!(
                    "who is too many is refused at the door with 429 or 503: {by}; {} got no answer",
                    rushed.unanswered
                ),
                kept: refused > 0 && rightly == refused && rushed.unanswered == 0,
            },
            Promise { what: format!("no accepted call is lost: {} were", rushed.lost), kept: rushed.lost == 0 },
            Promise {
                what: format!("the lines stay taken: at least {active} of {limit} all the time"),
                kept: u64::from(active) * 10 >= u64::from(limit) * 9,
            },
        ];
        Overload {
            limit: u64::from(limit),
            offered: u64::from(offered),
            before_p99_ms: self.before_p99,
            during_p99_ms: self.during_p99,
            refused,
            refused_p99_ms: rushed.refused_p99,
            dropped: rushed.lost,
            recovery_s: None,
            promises,
        }
    }
}

/// From the end of the rush to the first second from which on nobody is refused, turns are as fast as before, and as many
/// calls are under way.
fn recovery(seconds: &[Second], ended: Duration, usual: u64, before_p99: Option<f64>) -> Option<f64> {
    let most = (before_p99? + GROWTH_MS).max(OWN_MS);
    let well = |second: &Second| {
        let quick = second.own_ms.is_none_or(|[.., p99]| p99 <= most);
        second.failed == 0 && quick && second.active * 10 >= usual * 9
    };
    // The last second is cut off: its calls were hung up.
    let after: Vec<_> = seconds.iter().filter(|second| second.at_s >= ended.as_secs_f64()).collect();
    let after = after.split_last().map(|(_, rest)| rest).unwrap_or_default();
    let last_bad = after.iter().rposition(|second| !well(second)).map_or(0, |at| at + 1);
    after.get(last_bad).map(|second| (second.at_s - ended.as_secs_f64()).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovery_is_the_first_second_from_which_all_is_well() {
        let second = |at: u32, active, failed, p99| Second {
            at_s: f64::from(at),
            active,
            failed,
            own_ms: Some([1.0, 2.0, p99]),
            ..Second::default()
        };
        let ended = Duration::from_secs(10);
        let check = |seconds: &[Second], found| assert_eq!(recovery(seconds, ended, 50, Some(10.0)), found);
        let calm = |from: u32| (from..20).map(|at| second(at, 50, 0, 9.0));
        check(&calm(0).collect::<Vec<_>>(), Some(0.0));
        let rough = [second(9, 50, 9, 9.0), second(10, 50, 3, 9.0), second(11, 50, 0, 80.0), second(12, 30, 0, 9.0)];
        check(&rough.iter().cloned().chain(calm(13)).collect::<Vec<_>>(), Some(3.0));
        check(&rough, None);
        check(&[], None);
        let end = second(20, 0, 0, 9.0);
        check(&calm(0).chain([end]).collect::<Vec<_>>(), Some(0.0));
    }

    #[test]
    fn a_rush_that_is_taken_well_keeps_its_promises() {
        let mut window = Tally::new();
        (0..100).for_each(|_| window.record(Measure::Own, 12_000));
        window.refused_by.insert(429, 700);
        (0..700).for_each(|_| window.record(Measure::Refused, 3_000));
        let mut phases = Phases { before_p99: Some(10.0), active_min: Some(50), ..Phases::default() };
        phases.take(&window);
        let kept = |phases: &Phases| phases.found(50, 150).promises.iter().map(|it| it.kept).collect::<Vec<_>>();
        assert_eq!(kept(&phases), [true; 4]);
        assert!(phases.found(50, 150).refused_p99_ms.is_some_and(|ms| (2.9..3.1).contains(&ms)));
        window.refused_by.insert(500, 1);
        window.counts.dropped = 2;
        phases.take(&window);
        phases.active_min = Some(20);
        phases.before_p99 = None;
        assert_eq!(kept(&phases), [false; 4]);
    }
}
