//! Watches a run from outside: what each process costs, and what the target's own page says.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context;

use super::{metrics, rig::Rig};
use crate::load::{
    crowd::{Outcome, Plan, Snapshot},
    report::{
        Report,
        exposition::Exposition,
        machine::Machine,
        process::{Cores, Watched},
    },
};

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// How long the target has to count the turns of the last callers, who were hung up.
const SETTLE: Duration = Duration::from_millis(500);

/// What is looked at while a run lasts.
#[derive(Debug)]
pub(super) struct Watch {
    processes: Vec<Watched>,
    /// What the whole machine does, to tell what others use of it.
    cores: Option<Cores>,
    machine: Machine,
    /// Where the target's page is.
    page: Option<String>,
    /// The page as it was when the measure began.
    before: Arc<Mutex<Option<Exposition>>>,
    asked: bool,
    next: Duration,
    /// What is to be known about the numbers.
    notes: Vec<String>,
}

impl Watch {
    /// Of a rig, or of a process that is known by its id.
    pub(super) fn new(rig: Option<&Rig>, pid: Option<u32>, page: Option<String>) -> anyhow::Result<Self> {
        let mut ids = vec![("generator", std::process::id())];
        if let Some(rig) = rig {
            ids.extend([("target", rig.gateway()), ("lab", rig.lab())]);
        }
        ids.extend(pid.map(|pid| ("target", pid)));
        let mut processes = Vec::new();
        for (name, pid) in ids {
            match Watched::new(name, pid) {
                Ok(process) => processes.push(process),
                Err(error) if rig.is_none() && name == "target" => {
                    return Err(error).with_context(|| format!("--pid: there is no process {pid} to be looked at"));
                }
                // No /proc here: there are no costs to be told, and the rest is as good.
                Err(_) => {}
            }
        }
        Ok(Self {
            processes,
            cores: Cores::now(),
            machine: Machine::here(),
            page,
            before: Arc::default(),
            asked: false,
            next: Duration::ZERO,
            notes: vec![],
        })
    }

    /// The target's page is left alone.
    pub(super) fn without_page(&mut self) {
        self.page = None;
    }

    /// Looks, when it is time.
    pub(super) fn look(&mut self, now: &Snapshot<'_>) {
        if now.measuring && !self.asked {
            self.asked = true;
            self.ask();
        }
        if now.at >= self.next {
            self.next = now.at + LOOK;
            for process in &mut self.processes {
                process.look(now.at);
            }
        }
    }

    /// CPU of a process in the last two seconds, in percent of a core.
    pub(super) fn cpu(&self, name: &str, at: Duration) -> Option<f64> {
        self.cpu_between(name, at.saturating_sub(2 * LOOK), at)
    }

    /// CPU of a process in a time, in percent of a core.
    pub(super) fn cpu_between(&self, name: &str, from: Duration, to: Duration) -> Option<f64> {
        self.process(name)?.cpu_percent(from, to)
    }

    /// Memory of a process now, in MiB.
    pub(super) fn rss_mib(&self, name: &str) -> Option<f64> {
        Some(self.process(name)?.rss_kib() as f64 / 1_024.0)
    }

    /// Those that are looked at.
    pub(super) fn names(&self) -> Vec<String> {
        self.processes.iter().map(|process| process.name().to_owned()).collect()
    }

    fn process(&self, name: &str) -> Option<&Watched> {
        self.processes.iter().find(|process| process.name() == name)
    }

    /// The page as it is when the measure begins, so that the warm-up does not count.
    fn ask(&self) {
        let (Some(address), before) = (self.page.clone(), Arc::clone(&self.before)) else { return };
        tokio::spawn(async move {
            if let Ok(page) = metrics::fetch(&address).await {
                *before.lock().unwrap_or_else(PoisonError::into_inner) = Some(page);
            }
        });
    }

    /// The whole report, but for the judgement.
    pub(super) async fn report(mut self, plan: &Plan, outcome: &Outcome, expected: Option<Duration>) -> Report {
        let mut report = Report::of(plan, outcome);
        report.run.started = begun(outcome.lasted);
        report.run.expected_waits_ms = expected.map(crate::load::report::ms);
        report.cost_of(&self.processes);
        if let Some(address) = &self.page {
            tokio::time::sleep(SETTLE).await;
            let after = metrics::fetch(address).await;
            let before = self.before.lock().unwrap_or_else(PoisonError::into_inner).take();
            match (before, after) {
                (Some(before), Ok(after)) => report.told_by_target(&before, &after),
                (_, Err(error)) => self.notes.push(format!("the target's own histograms are missing: {error:#}")),
                (None, Ok(_)) => {
                    self.notes.push("the target's own histograms are missing: it did not answer in time".into())
                }
            }
        }
        report.take_apart();
        let ours: f64 = report.processes.values().map(|usage| usage.cpu_percent).sum();
        if let Some(busy) = self.cores.as_ref().and_then(Cores::busy_percent) {
            let others = busy - ours;
            if others > 20.0 {
                self.notes.push(format!(
                    "other programs used {others:.0} % of a core of this machine: its numbers are noisy, and worse than \
                     those of a quiet one"
                ));
            }
        }
        self.machine.ended();
        report.machine = self.machine;
        report.verdict.notes = self.notes;
        report
    }
}

/// When a run began that has just ended.
fn begun(lasted: Duration) -> String {
    let now = jiff::Timestamp::now();
    let ago = jiff::SignedDuration::try_from(lasted).unwrap_or_default();
    now.checked_sub(ago).unwrap_or(now).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
