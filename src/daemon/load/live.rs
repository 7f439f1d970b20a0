//! How a run stands, while it lasts: one line that is written over, or a line now and then where nobody watches.

use std::time::Duration;

use super::watch::Watch;
use crate::{
    daemon::terminal::Terminal,
    load::crowd::{Measure, Snapshot, Tally},
};

/// Between two lines where nobody watches.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Cells of the bar.
const BAR: usize = 16;

/// The view of a run.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) terminal: Terminal,
    /// How long the run is to last; unknown while a limit is looked for.
    total: Option<Duration>,
    next: Duration,
}

impl Live {
    pub(super) fn new(total: Option<Duration>) -> Self {
        Self { terminal: Terminal::new(), total, next: LINE_EVERY }
    }

    /// Shows how it stands; `doing` says what the run is at, where that is not its whole purpose.
    pub(super) fn show(&mut self, now: &Snapshot<'_>, watch: &Watch, doing: &str) {
        let tally = if now.measuring && doing.is_empty() { now.tally } else { now.window };
        let line = format!("{}{}{}", bar(now.at, self.total), calls(now, tally), costs(now.at, watch));
        let line = if doing.is_empty() { line } else { format!("{doing}  {line}") };
        if self.terminal.is_live() {
            self.terminal.wait(line);
        } else if now.at >= self.next {
            self.next = now.at + LINE_EVERY;
            self.terminal.line(line);
        }
    }
}

fn bar(at: Duration, total: Option<Duration>) -> String {
    let Some(total) = total else { return format!("{} s  ", at.as_secs()) };
    let share = (at.as_secs_f64() / total.as_secs_f64().max(0.001)).clamp(0.0, 1.0);
    let full = (share * BAR as f64) as usize;
    format!("[{}{}] {}/{} s  ", "#".repeat(full), ".".repeat(BAR - full), at.as_secs(), total.as_secs())
}

fn calls(now: &Snapshot<'_>, tally: &Tally) -> String {
    let wanted = now.wanted.map_or(String::new(), |wanted| format!("/{wanted}"));
    let mut line = format!("calls {}{wanted}", now.active);
    let failed = tally.counts.calls_failed();
    if failed > 0 {
        line.push_str(&format!("  failed {failed}"));
    }
    for (name, measure) in [("turn", Measure::Turn), ("own", Measure::Own), ("cut", Measure::Cut)] {
        let ms = |share| tally.quantile(measure, share).map(|time| time.as_millis());
        if let (Some(p50), Some(p95)) = (ms(0.5), ms(0.95)) {
            line.push_str(&format!("  {name} {p50}/{p95}"));
        }
    }
    if tally.of(Measure::Turn).is_empty() { line } else { format!("{line} ms p50/p95") }
}

fn costs(at: Duration, watch: &Watch) -> String {
    let mut line = String::new();
    for name in watch.names() {
        if let Some(cpu) = watch.cpu(&name, at) {
            line.push_str(&format!("  {name} {cpu:.0} %"));
        }
    }
    if let Some(rss) = watch.rss_mib("target") {
        line.push_str(&format!(" {rss:.0} MiB"));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_never_longer_than_itself() {
        let check = |at, total, told: &str| assert_eq!(bar(Duration::from_secs(at), total), told);
        let minute = Some(Duration::from_secs(60));
        check(0, minute, "[................] 0/60 s  ");
        check(30, minute, "[########........] 30/60 s  ");
        check(99, minute, "[################] 99/60 s  ");
        check(9, None, "9 s  ");
        check(9, Some(Duration::ZERO), "[################] 9/0 s  ");
    }
}
