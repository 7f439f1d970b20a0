//! The report as one page: everything in it, nothing fetched, no script.

use std::fmt::Write as _;

use super::{
    Judged, Promise, Report, Step,
    measures::{MEASURES, TARGET, TARGET_SHOWN},
    pictures,
    told::{count, escaped, figure, figure_or_none, percent, seconds},
};

/// How it looks.
pub(super) const STYLE: &str = include_str!("style.css");

/// How turns are measured, for whoever reads the page alone.
const METHOD: &str = "Callers follow a schedule and do not wait for one another: a call that is due is dialled when it is \
    due, however slow the answers before it were, and is counted from that moment. A turn begins with the last voiced \
    sample of the caller by the schedule of its own frames (T0), and ends with the first voiced sample of the answer as it \
    arrived (A1). So a target that stalls is charged with the whole stall by every caller that was waiting or was to \
    call: nothing is left out because the generator was held up too. The generator measures how late its own frames \
    leave, and says so when it, and not the target, was the limit.";

/// The whole page.
pub(super) fn of(report: &Report) -> String {
    let mut body = String::new();
    head(&mut body, report);
    tiles(&mut body, report);
    gates(&mut body, &report.verdict.gates, report.overload.as_ref().map_or(&[], |it| &it.promises));
    capacity(&mut body, report);
    overload(&mut body, report);
    percentiles(&mut body, report);
    section(&mut body, "How long callers waited", &pictures::curves(report));
    section(&mut body, "Over time", &pictures::over_time(report));
    section(&mut body, "What it cost", &[cost_table(report), pictures::cost(report)].concat());
    section(&mut body, "What became of the calls", &fate(report));
    about(&mut body, report);
    whole(&report.run.name, &body)
}

/// A page around its body.
pub(super) fn whole(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width,initial-scale=1\"><title>{} - pronto load</title><style>\n{STYLE}</style></head>\n\
         <body>\n{body}</body></html>\n",
        escaped(title)
    )
}

fn head(body: &mut String, report: &Report) {
    let run = &report.run;
    let (class, word) = if report.verdict.passed { ("good", "passed") } else { ("bad", "failed") };
    let mut name = escaped(&run.name);
    if name.is_empty() {
        name.push_str("load test");
    }
    let _ = write!(body, "<header><h1>{name}</h1><span class=\"verdict {class}\">{word}</span></header>\n<p>");
    let wires = run.wires.join(", ");
    let _ = writeln!(
        body,
        "{} calls offered, at most {} at once, over {}; {} turns measured for {} against {}.</p>",
        count(report.calls.offered),
        count(report.calls.active_max),
        escaped(if wires.is_empty() { "one wire" } else { &wires }),
        count(report.calls.turns),
        seconds(run.measured_s),
        escaped(if run.target.is_empty() { "the target" } else { &run.target }),
    );
    if run.stopped_early {
        body.push_str("<p class=\"bad\">The run was ended before its time.</p>\n");
    }
    if report.generator.was_the_limit {
        let _ = writeln!(
            body,
            "<p class=\"bad\">The generator was the limit and not the target: {}. Read the numbers as a bound.</p>",
            escaped(&report.generator.why)
        );
    }
    for note in &report.verdict.notes {
        let _ = writeln!(body, "<p class=\"soft\">{}</p>", escaped(note));
    }
}

fn tiles(body: &mut String, report: &Report) {
    let mut all = Vec::new();
    for (name, title) in [("turn_ms", "Turn"), ("own_ms", "Gateway's own share"), ("cut_ms", "Interruption to silence")]
    {
        if let Some(spread) = report.latency.get(name) {
            let more = format!("p95 {}, p99 {} ms", figure(spread.p95), figure(spread.p99));
            all.push((title, format!("{} <small>ms p50</small>", figure(spread.p50)), more));
        }
    }
    if let Some(capacity) = &report.capacity {
        let more = format!("{} a core, {} a GiB", figure(capacity.per_core), figure(capacity.per_gib));
        all.push(("Capacity", format!("{} <small>calls</small>", count(capacity.calls)), more));
    }
    if let Some(cost) = report.cost("target") {
        let more = report.cost("generator").map_or(String::new(), |own| format!("generator {} ms", figure(own)));
        all.push(("CPU for a second of a call", format!("{} <small>ms</small>", figure(cost)), more));
    }
    if let Some(rss) = report.rss_per_call() {
        let more = format!("{} MiB at most", figure(report.processes.get("target").map_or(0.0, |it| it.rss_max_mib)));
        all.push(("Memory of a call", format!("{} <small>KiB</small>", figure(rss)), more));
    }
    let failed = report.calls.failed();
    let share = if report.calls.offered > 0 { failed as f64 / report.calls.offered as f64 } else { 0.0 };
    all.push(("Calls failed", count(failed), format!("{} of those offered", percent(share))));
    if report.audio.counted_frames > 0 {
        let more = format!("of {}", count(report.audio.counted_frames));
        all.push(("Frames lost", count(report.audio.lost_frames), more));
    }
    let tiles = all.iter().map(|(name, value, more)| format!("<li>{name}<b>{value}</b><small>{more}</small></li>"));
    let _ = writeln!(body, "<ul class=\"tiles\">{}</ul>", tiles.collect::<String>());
}

fn gates(body: &mut String, gates: &[Judged], promises: &[Promise]) {
    if gates.is_empty() && promises.is_empty() {
        return;
    }
    body.push_str("<h2>Verdict</h2>\n<div class=\"scroll\"><table><thead><tr><th class=\"l\"></th><th class=\"l\">fails if, or promised</th><th class=\"l\">found</th></tr></thead><tbody>");
    let mut row = |fails: bool, what: &str, found: &str| {
        let (class, word) = if fails { ("bad", "failed") } else { ("good", "ok") };
        let (what, found) = (escaped(what), escaped(found));
        let _ = write!(
            body,
            "<tr><td class=\"l {class}\">{word}</td><td class=\"l w\">{what}</td><td class=\"l w\">{found}</td></tr>"
        );
    };
    for judged in gates {
        row(judged.fails, &judged.gate, &judged.found);
    }
    for promise in promises {
        row(!promise.kept, &promise.what, "");
    }
    body.push_str("</tbody></table></div>\n");
}

fn percentiles(body: &mut String, report: &Report) {
    let ours = MEASURES.iter().filter_map(|it| Some((it, report.latency.get(it.name)?, "")));
    let theirs = TARGET[..TARGET_SHOWN]
        .iter()
        .filter_map(|it| Some((it, report.target.get(it.name)?, ", as the target counts it")));
    let rows: Vec<_> = ours.chain(theirs).collect();
    if rows.is_empty() {
        body.push_str("<h2>Percentiles</h2>\n<p>Nothing was measured: no turn was answered.</p>\n");
        return;
    }
    body.push_str(
        "<h2>Percentiles</h2>\n<div class=\"scroll\"><table><caption>Milliseconds</caption><thead><tr><th class=\"l\">\
         measure</th><th>n</th><th>min</th><th>p50</th><th>p90</th><th>p95</th><th>p99</th><th>p99.9</th><th>max</th>\
         <th>mean</th><th class=\"l\">from, to</th></tr></thead><tbody>",
    );
    for (measure, spread, whose) in rows {
        let figures =
            [spread.min, spread.p50, spread.p90, spread.p95, spread.p99, spread.p999, spread.max, spread.mean];
        let cells: String = figures.iter().map(|value| format!("<td>{}</td>", figure(*value))).collect();
        let meaning = if whose.is_empty() { measure.meaning } else { "" };
        let _ = write!(
            body,
            "<tr><th class=\"l\" scope=\"row\">{}{whose}</th><td>{}</td>{cells}<td class=\"l w soft\">{meaning}</td></tr>",
            measure.title,
            count(spread.n)
        );
    }
    body.push_str("</tbody></table></div>\n");
}

fn section(body: &mut String, title: &str, content: &str) {
    if !content.is_empty() {
        let _ = write!(body, "<h2>{title}</h2>\n{content}\n");
    }
}

fn cost_table(report: &Report) -> String {
    if report.processes.is_empty() {
        return "<p>No process was looked at: the target is on another machine, or no --pid was given.</p>\n".into();
    }
    let mut table = String::from(
        "<div class=\"scroll\"><table><thead><tr><th class=\"l\">process</th><th>CPU, % of a core</th><th>CPU, ms for a \
         second of a call</th><th>MiB before</th><th>at most</th><th>at the end</th><th>threads</th><th>files and \
         sockets</th></tr></thead><tbody>",
    );
    for (name, usage) in &report.processes {
        let _ = write!(
            table,
            "<tr><th class=\"l\" scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>\
             <td>{}</td></tr>",
            escaped(name),
            figure(usage.cpu_percent),
            figure_or_none(report.cost(name)),
            figure(usage.rss_first_mib),
            figure(usage.rss_max_mib),
            figure(usage.rss_last_mib),
            count(usage.threads_max),
            count(usage.files_max)
        );
    }
    table.push_str("</tbody></table></div>\n");
    table
}

fn fate(report: &Report) -> String {
    let calls = &report.calls;
    let mut out = String::from("<div class=\"scroll\"><table><tbody>");
    let mut row = |name: &str, value: String| {
        let _ = write!(out, "<tr><th class=\"l\" scope=\"row\">{name}</th><td>{value}</td></tr>");
    };
    for (name, value) in [
        ("offered", calls.offered),
        ("answered", calls.answered),
        ("completed", calls.completed),
        ("under way at the end", calls.unfinished),
        ("turns answered", calls.turns),
        ("lines never answered", calls.unanswered),
    ] {
        row(name, count(value));
    }
    let audio = &report.audio;
    row("sound sent, heard", format!("{}, {}", seconds(audio.sent_s), seconds(audio.heard_s)));
    row("holes in the agent's speech", count(audio.holes));
    if audio.counted_frames > 0 {
        row(
            "numbered frames heard; lost, doubled, damaged",
            format!(
                "{}; {}, {}, {}",
                count(audio.counted_frames),
                count(audio.lost_frames),
                count(audio.doubled_frames),
                count(audio.damaged_frames)
            ),
        );
    }
    row("messages that the wire does not have", count(audio.malformed));
    out.push_str("</tbody></table></div>\n");
    out.push_str(&pictures::failures(calls));
    out
}

fn capacity(body: &mut String, report: &Report) {
    let Some(capacity) = &report.capacity else { return };
    let _ = write!(
        body,
        "<h2>Capacity</h2>\n<p><b>{} calls</b>: {} for each core that it used, {} for each GiB that it kept. {}</p>\n",
        count(capacity.calls),
        figure(capacity.per_core),
        figure(capacity.per_gib),
        escaped(&capacity.why)
    );
    body.push_str(
        "<div class=\"scroll\"><table><thead><tr><th>calls</th><th>turns</th><th>own p50</th><th>p95</th><th>p99 ms</th>\
         <th>gap p99 ms</th><th>holes</th><th>failed</th><th>CPU target</th><th>generator</th><th>lab %</th><th>MiB \
         target</th><th>late p99 ms</th><th class=\"l\"></th></tr></thead><tbody>",
    );
    let mut steps: Vec<&Step> = capacity.steps.iter().collect();
    steps.sort_by_key(|step| step.calls);
    for step in &steps {
        let cpu = |name: &str| figure_or_none(step.cpu_percent.get(name).copied());
        let verdict = if step.held {
            "<td class=\"l good\">held</td>".to_owned()
        } else {
            format!("<td class=\"l w bad\">{}</td>", escaped(&step.broke))
        };
        let cells = [
            count(step.calls),
            count(step.turns),
            figure_or_none(step.own_p50_ms),
            figure_or_none(step.own_p95_ms),
            figure_or_none(step.own_p99_ms),
            figure_or_none(step.gap_p99_ms),
            count(step.holes),
            count(step.failed),
            cpu("target"),
            cpu("generator"),
            cpu("lab"),
            figure_or_none(step.rss_mib.get("target").copied()),
            figure(step.late_p99_ms),
        ];
        let cells: String = cells.iter().map(|cell| format!("<td>{cell}</td>")).collect();
        let _ = write!(body, "<tr>{cells}{verdict}</tr>");
    }
    body.push_str("</tbody></table></div>\n");
    body.push_str(&pictures::capacity(&steps));
}

fn overload(body: &mut String, report: &Report) {
    let Some(overload) = &report.overload else { return };
    let _ = write!(
        body,
        "<h2>Overload</h2>\n<p>{} calls wished to be there at once; {} are allowed. Own share of the accepted, p99: {} ms \
         before, {} ms while too many called. {} were refused, in {} ms (p99); {} accepted calls were lost. Recovered \
         after {}.</p>\n",
        count(overload.offered),
        count(overload.limit),
        figure_or_none(overload.before_p99_ms),
        figure_or_none(overload.during_p99_ms),
        count(overload.refused),
        figure_or_none(overload.refused_p99_ms),
        count(overload.dropped),
        overload.recovery_s.map_or("no time that was waited for".into(), seconds)
    );
}

fn about(body: &mut String, report: &Report) {
    let run = &report.run;
    let _ = write!(body, "<h2>How this was measured</h2>\n<p>{METHOD}</p>\n<div class=\"scroll\"><table><tbody>");
    let waits = run.expected_waits_ms.map(|ms| format!("{} ms of silence and engines", figure(ms)));
    let generator = format!(
        "{} threads, {} % of a core, frames {} ms late (p99), {} ms at worst",
        report.generator.shards,
        figure(report.generator.cpu_percent),
        figure(report.generator.late_p99_ms),
        figure(report.generator.late_max_ms)
    );
    for (name, value) in [
        ("target", format!("{} ({})", run.target, run.target_is)),
        ("taken out of the own share", waits.unwrap_or_else(|| "unknown: no own share".into())),
        ("wires", run.wires.join(", ")),
        ("begun", run.started.clone()),
        ("warm-up, measured", format!("{}, {}", seconds(run.warm_up_s), seconds(run.measured_s))),
        ("seed", run.seed.to_string()),
        ("machine", report.machine.told()),
        ("generator", generator),
        ("version", run.version.clone()),
    ] {
        let _ = write!(
            body,
            "<tr><th class=\"l\" scope=\"row\">{name}</th><td class=\"l w\">{}</td></tr>",
            escaped(&value)
        );
    }
    body.push_str("</tbody></table></div>\n");
    if !run.plan.is_empty() {
        let _ = writeln!(body, "<details><summary>The plan</summary><pre>{}</pre></details>", escaped(&run.plan));
    }
}
