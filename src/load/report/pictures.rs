//! The plots of a report.

use std::collections::BTreeMap;

use super::{
    Calls, Report, Second, Step,
    measures::{MEASURES, Measure},
    plot::{self, Axis, Bar, Series, Style},
    told::{count, figure},
};

/// The processes, in the order in which they are shown, each in its own colour.
const PROCESSES: [(&str, usize); 3] = [("target", 1), ("generator", 2), ("lab", 3)];

/// Side by side, where there is room.
pub(super) fn plots(all: &str) -> String {
    if all.is_empty() { String::new() } else { format!("<div class=\"plots\">\n{all}</div>\n") }
}

/// Where a turn's time goes, and the distribution of each measure.
pub(super) fn curves(report: &Report) -> String {
    let drawn = |measure: &Measure| {
        let ours = report.latency.get(measure.name).filter(|spread| spread.n > 1)?;
        let theirs = report.target.get(measure.name).filter(|spread| spread.n > 1);
        let both = [(Some(ours), "at the caller's ear", 1), (theirs, "as the target counts it", 2)];
        let series: Vec<_> = both
            .into_iter()
            .filter_map(|(spread, name, colour)| Some((spread?, name, colour)))
            .map(|(spread, name, colour)| Series {
                name: name.into(),
                colour,
                style: Style::Line,
                points: spread.curve.iter().map(|point| Some((point[0], point[1]))).collect(),
            })
            .collect();
        let values = series.iter().flat_map(|one| one.points.iter().flatten().map(|point| point.0));
        let x = Axis::around("ms", values.collect::<Vec<_>>().into_iter());
        let y = Axis::nines("% at most so long", ours.n);
        Some(plot::chart(measure.title, measure.meaning, &x, &y, &series))
    };
    let curves: String = MEASURES.iter().filter_map(drawn).collect();
    plots(&(waterfall(report) + &curves))
}

fn waterfall(report: &Report) -> String {
    let mut from = 0.0;
    let mut rows = Vec::new();
    for part in &report.waterfall {
        let colour = if part.own { 2 } else { 6 };
        rows.push(Bar { name: part.name.clone(), from, length: part.ms, told: figure(part.ms), colour });
        from += part.ms;
    }
    if rows.len() < 2 {
        return String::new();
    }
    let note =
        format!("Means, in the order in which they pass; together {} ms. Coloured: the gateway's own.", figure(from));
    plot::bars("Where the time of a turn goes", &note, "ms", &rows)
}

/// What happened when.
pub(super) fn over_time(report: &Report) -> String {
    let seconds = &report.seconds;
    if seconds.len() < 2 {
        return String::new();
    }
    let x = || Axis::time("s since the beginning", seconds.iter().map(|second| second.at_s));
    let mut all = String::new();
    let mut add = |title: &str, note: &str, unit: &str, series: Vec<Series>| {
        let values = series.iter().flat_map(|one| one.points.iter().flatten().map(|point| point.1));
        let values: Vec<_> = values.collect();
        if !values.is_empty() {
            all.push_str(&plot::chart(title, note, &x(), &Axis::even(unit, values.into_iter()), &series));
        }
    };
    let of = |name: &str, colour, style, value: &dyn Fn(&Second) -> Option<f64>| Series {
        name: name.into(),
        colour,
        style,
        points: seconds.iter().map(|second| Some((second.at_s, value(second)?))).collect(),
    };
    let figures = |value: &dyn Fn(&Second) -> Option<[f64; 3]>| {
        ["p50", "p95", "p99"]
            .iter()
            .enumerate()
            .map(|(at, name)| of(name, at + 1, Style::Line, &|second| value(second).map(|three| three[at])))
            .collect::<Vec<_>>()
    };
    add("Calls under way", "", "calls", vec![of("active", 1, Style::Stairs, &|second| Some(second.active as f64))]);
    add("Turn", "Of the turns answered in each second.", "ms", figures(&|second| second.turn_ms));
    add("Gateway's own share", "Of the turns answered in each second.", "ms", figures(&|second| second.own_ms));
    add(
        "Longest gap",
        "Between two frames of a speaking agent; they are due every 20 ms.",
        "ms",
        vec![of("gap", 1, Style::Line, &|second| second.gap_max_ms)],
    );
    if report.calls.failed() > 0 {
        let failed = of("failed", 5, Style::Stairs, &|second| Some(second.failed as f64));
        add("Calls that failed", "In each second.", "calls", vec![failed]);
    }
    plots(&all)
}

/// CPU and memory, over time and against calls.
pub(super) fn cost(report: &Report) -> String {
    let mut all = String::new();
    let seconds = &report.seconds;
    type Of = fn(&Second) -> &BTreeMap<String, f64>;
    let both: [(&str, &str, Of); 2] =
        [("CPU", "% of one core", |second| &second.cpu_percent), ("Memory", "MiB resident", |second| &second.rss_mib)];
    let by = |of: Of, style, x: &dyn Fn(&Second) -> f64| -> Vec<Series> {
        let series = PROCESSES.iter().map(|(name, colour)| Series {
            name: (*name).into(),
            colour: *colour,
            style,
            points: seconds.iter().map(|second| Some((x(second), *of(second).get(*name)?))).collect(),
        });
        series.filter(|one| one.points.iter().any(Option::is_some)).collect()
    };
    for (title, unit, of) in both {
        let series = by(of, Style::Line, &|second| second.at_s);
        if series.is_empty() {
            continue;
        }
        let values: Vec<_> = series.iter().flat_map(|one| one.points.iter().flatten().map(|point| point.1)).collect();
        let x = Axis::time("s since the beginning", seconds.iter().map(|second| second.at_s));
        let y = Axis::even(unit, values.into_iter());
        all.push_str(&plot::chart(&format!("{title} over time"), "", &x, &y, &series));
    }
    let mut levels: Vec<_> = seconds.iter().map(|second| second.active).collect();
    levels.sort_unstable();
    levels.dedup();
    if levels.len() < 3 || report.capacity.is_some() {
        return plots(&all);
    }
    for (title, unit, of) in both {
        let series = by(of, Style::Dots, &|second| second.active as f64);
        if series.is_empty() {
            continue;
        }
        let values: Vec<_> = series.iter().flat_map(|one| one.points.iter().flatten().map(|point| point.1)).collect();
        let x = Axis::even("calls under way", seconds.iter().map(|second| second.active as f64));
        let y = Axis::even(unit, values.into_iter());
        all.push_str(&plot::chart(&format!("{title} against calls"), "A dot for each second.", &x, &y, &series));
    }
    plots(&all)
}

/// What each number of calls was like.
pub(super) fn capacity(steps: &[&Step]) -> String {
    let mut all = String::new();
    let mut add = |title: &str, unit: &str, series: Vec<Series>| {
        let series: Vec<_> = series.into_iter().filter(|one| one.points.iter().any(Option::is_some)).collect();
        let values: Vec<_> = series.iter().flat_map(|one| one.points.iter().flatten().map(|point| point.1)).collect();
        if !values.is_empty() {
            let x = Axis::even("calls at once", steps.iter().map(|step| step.calls as f64));
            all.push_str(&plot::chart(title, "", &x, &Axis::even(unit, values.into_iter()), &series));
        }
    };
    let of = |name: &str, colour, value: &dyn Fn(&Step) -> Option<f64>| Series {
        name: name.into(),
        colour,
        style: Style::Line,
        points: steps.iter().map(|step| Some((step.calls as f64, value(step)?))).collect(),
    };
    add(
        "Own share against calls",
        "ms",
        vec![
            of("p50", 1, &|step| step.own_p50_ms),
            of("p95", 2, &|step| step.own_p95_ms),
            of("p99", 3, &|step| step.own_p99_ms),
        ],
    );
    add("Gap between frames against calls, p99", "ms", vec![of("gap", 1, &|step| step.gap_p99_ms)]);
    let each = |value: fn(&Step) -> &BTreeMap<String, f64>| {
        PROCESSES.iter().map(|(name, colour)| of(name, *colour, &|step| value(step).get(*name).copied())).collect()
    };
    add("CPU against calls", "% of one core", each(|step| &step.cpu_percent));
    add("Memory against calls", "MiB resident", each(|step| &step.rss_mib));
    plots(&all)
}

/// What went wrong, by kind.
pub(super) fn failures(calls: &Calls) -> String {
    let mut failures: Vec<(String, u64)> = Vec::new();
    failures.extend(calls.refused.iter().map(|(why, times)| (format!("refused: {why}"), *times)));
    failures.extend(calls.dropped.iter().map(|(why, times)| (format!("dropped: {why}"), *times)));
    failures.extend([
        ("the agent hung up".to_owned(), calls.ended_by_agent),
        ("gave up waiting".into(), calls.gave_up),
        ("answered wrong".to_owned(), calls.wrong),
    ]);
    failures.retain(|(_, times)| *times > 0);
    failures.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
    failures.truncate(20);
    if failures.is_empty() {
        return "<p class=\"good\">No call failed.</p>\n".into();
    }
    let bar = |(name, times): &(String, u64)| Bar {
        name: name.clone(),
        from: 0.0,
        length: *times as f64,
        told: count(*times),
        colour: 5,
    };
    let rows: Vec<_> = failures.iter().map(bar).collect();
    plots(&plot::bars("Failures by kind", "", "calls", &rows))
}
