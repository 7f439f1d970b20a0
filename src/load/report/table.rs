//! The report as lines for a terminal.

use super::{
    Report,
    measures::{MEASURES, TARGET, TARGET_SHOWN},
    told::{count, figure, figure_or_none, percent, seconds},
};

/// All of it.
pub(super) fn of(report: &Report) -> Vec<String> {
    let (run, calls, audio) = (&report.run, &report.calls, &report.audio);
    let mut lines = vec![format!(
        "{}: {} offered, {} answered, {} completed, {} under way at the end, at most {} at once; {} measured",
        run.name,
        count(calls.offered),
        count(calls.answered),
        count(calls.completed),
        count(calls.unfinished),
        count(calls.active_max),
        seconds(run.measured_s),
    )];
    let failures: Vec<_> = [("refused", &calls.refused), ("dropped", &calls.dropped)]
        .into_iter()
        .flat_map(|(kind, by)| by.iter().map(move |(why, times)| format!("{kind} ({why}) {}", count(*times))))
        .chain(
            [("hung up by the agent", calls.ended_by_agent), ("gave up", calls.gave_up), ("wrong", calls.wrong)]
                .iter()
                .filter(|it| it.1 > 0)
                .map(|(kind, times)| format!("{kind} {}", count(*times))),
        )
        .collect();
    lines.push(if failures.is_empty() { "no call failed".into() } else { format!("failed: {}", failures.join(", ")) });
    lines.push(String::new());
    lines.push(row("ms", ["n", "p50", "p90", "p95", "p99", "p99.9", "max"].map(str::to_owned)));
    let ours = MEASURES.iter().filter_map(|it| Some((it.title.to_lowercase(), report.latency.get(it.name)?)));
    let theirs = TARGET[..TARGET_SHOWN]
        .iter()
        .filter_map(|it| Some((format!("  target: {}", it.title.to_lowercase()), report.target.get(it.name)?)));
    for (title, of) in ours.chain(theirs) {
        let figures = [of.p50, of.p90, of.p95, of.p99, of.p999, of.max].map(figure);
        let [p50, p90, p95, p99, p999, max] = figures;
        lines.push(row(&title, [count(of.n), p50, p90, p95, p99, p999, max]));
    }
    if report.waterfall.len() > 1 {
        let parts: Vec<_> = report.waterfall.iter().map(|part| format!("{} {}", part.name, figure(part.ms))).collect();
        lines.push(String::new());
        lines.push(format!("a turn, in means (ms): {}", parts.join(" + ")));
    }
    lines.push(String::new());
    lines.push(format!(
        "sound: {} sent, {} heard, {} holes; numbered frames: {} heard, {} lost, {} doubled, {} damaged",
        seconds(audio.sent_s),
        seconds(audio.heard_s),
        count(audio.holes),
        count(audio.counted_frames),
        count(audio.lost_frames),
        count(audio.doubled_frames),
        count(audio.damaged_frames),
    ));
    for (name, usage) in &report.processes {
        lines.push(format!(
            "{name}: {} of a core, {} ms for a second of a call, {} MiB before, {} at most, {} threads, {} files",
            percent(usage.cpu_percent / 100.0),
            figure_or_none(report.cost(name)),
            figure(usage.rss_first_mib),
            figure(usage.rss_max_mib),
            count(usage.threads_max),
            count(usage.files_max),
        ));
    }
    lines.push(format!(
        "generator: frames {} ms late (p99), {} ms at worst{}",
        figure(report.generator.late_p99_ms),
        figure(report.generator.late_max_ms),
        if report.generator.was_the_limit {
            format!("; IT WAS THE LIMIT: {}", report.generator.why)
        } else {
            String::new()
        },
    ));
    if let Some(capacity) = &report.capacity {
        lines.push(String::new());
        lines.push(format!(
            "capacity: {} calls, {} a core, {} a GiB; {}",
            count(capacity.calls),
            figure(capacity.per_core),
            figure(capacity.per_gib),
            capacity.why
        ));
    }
    lines.extend(report.verdict.notes.iter().map(|note| format!("note: {note}")));
    let promises = report.overload.iter().flat_map(|overload| &overload.promises);
    if !report.verdict.gates.is_empty() || report.overload.is_some() {
        lines.push(String::new());
    }
    for judged in &report.verdict.gates {
        let word = if judged.fails { "FAILED" } else { "ok    " };
        lines.push(format!("  {word}  fails if {}  ({})", judged.gate, judged.found));
    }
    for promise in promises {
        lines.push(format!("  {}  {}", if promise.kept { "ok    " } else { "FAILED" }, promise.what));
    }
    lines
}

fn row(title: &str, cells: [String; 7]) -> String {
    format!("{title:<34}{}", cells.iter().map(|cell| format!("{cell:>9}")).collect::<String>())
}
