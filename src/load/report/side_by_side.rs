//! Two reports side by side: what grew, what shrank, and whether they may be compared at all.

use std::fmt::Write as _;

use super::{
    Report,
    measures::{COUNTERS, MEASURES, TARGET, TARGET_SHOWN},
    page::whole,
    plot::{self, Axis, Series, Style},
    told::{escaped, figure_or_none},
};

/// Two reports, to be compared.
#[derive(Debug, Clone, Copy)]
pub struct Comparison<'a> {
    /// The earlier one, or the other.
    pub a: (&'a str, &'a Report),
    /// The later one.
    pub b: (&'a str, &'a Report),
}

/// One thing that both may have.
struct Row {
    name: String,
    a: Option<f64>,
    b: Option<f64>,
}

/// The numbers that are worth a line.
const NUMBERS: [&str; 13] = [
    "offered",
    "answered",
    "failed",
    "turns",
    "holes",
    "lost_frames",
    "doubled_frames",
    "damaged_frames",
    "cpu_ms_per_call_s",
    "rss_kib_per_call",
    "rss_mib",
    "capacity",
    "calls_per_core",
];

impl Comparison<'_> {
    /// Why the numbers may not mean the same.
    pub fn notes(&self) -> Vec<String> {
        let (a, b) = (self.a.1, self.b.1);
        let mut notes = Vec::new();
        if !a.machine.is_like(&b.machine) {
            notes.push(format!("the machines differ: {}; {}", a.machine.told(), b.machine.told()));
        }
        if a.run.plan != b.run.plan || a.run.wires != b.run.wires {
            notes.push(format!(
                "the plans differ: `{}` over {}; `{}` over {}",
                a.run.name,
                a.run.wires.join(", "),
                b.run.name,
                b.run.wires.join(", ")
            ));
        }
        if a.run.expected_waits_ms != b.run.expected_waits_ms {
            notes.push("the waits taken out of the own share differ".into());
        }
        for (name, report) in [self.a, self.b] {
            if report.generator.was_the_limit {
                notes.push(format!("{name}: the generator was the limit ({})", report.generator.why));
            }
            if report.run.stopped_early {
                notes.push(format!("{name}: ended before its time"));
            }
        }
        notes
    }

    /// As lines for a terminal.
    pub fn table(&self) -> Vec<String> {
        let mut lines: Vec<_> = self.notes().into_iter().map(|note| format!("note: {note}")).collect();
        lines.push(format!("{:<34}{:>14}{:>14}{:>10}", "", name(self.a.0), name(self.b.0), "B / A"));
        for row in self.rows() {
            let [a, b] = [row.a, row.b].map(figure_or_none);
            lines.push(format!("{:<34}{a:>14}{b:>14}{:>10}", row.name, row.ratio()));
        }
        lines
    }

    /// As a page.
    pub fn page(&self) -> String {
        let mut body = String::from("<header><h1>Two runs side by side</h1></header>\n");
        let (a, b) = (escaped(self.a.0), escaped(self.b.0));
        for note in self.notes() {
            let _ = writeln!(body, "<p class=\"bad\">{}</p>", escaped(&note));
        }
        let _ = write!(
            body,
            "<h2>Numbers</h2>\n<div class=\"scroll\"><table><thead><tr><th></th><th>A: {a}</th><th>B: {b}</th><th>B / \
             A</th></tr></thead><tbody>"
        );
        for row in self.rows() {
            let [a, b] = [row.a, row.b].map(figure_or_none);
            let (name, ratio) = (escaped(&row.name), row.ratio());
            let _ = write!(
                body,
                "<tr><th class=\"l\" scope=\"row\">{name}</th><td>{a}</td><td>{b}</td><td>{ratio}</td></tr>"
            );
        }
        body.push_str("</tbody></table></div>\n<h2>Distributions</h2>\n<div class=\"plots\">\n");
        for measure in &MEASURES {
            let both = [(self.a.1, "A", 1), (self.b.1, "B", 2)];
            let found: Vec<_> = both
                .into_iter()
                .filter_map(|(report, name, colour)| Some((report.latency.get(measure.name)?, name, colour)))
                .filter(|(spread, ..)| spread.n > 1)
                .collect();
            let Some(n) = found.iter().map(|(spread, ..)| spread.n).max() else { continue };
            let series: Vec<_> = found
                .iter()
                .map(|(spread, name, colour)| Series {
                    name: (*name).into(),
                    colour: *colour,
                    style: Style::Line,
                    points: spread.curve.iter().map(|point| Some((point[0], point[1]))).collect(),
                })
                .collect();
            let values: Vec<_> = series.iter().flat_map(|one| one.points.iter().flatten().map(|it| it.0)).collect();
            let x = Axis::around("ms", values.into_iter());
            body.push_str(&plot::chart(
                measure.title,
                measure.meaning,
                &x,
                &Axis::nines("% at most so long", n),
                &series,
            ));
        }
        body.push_str("</div>\n");
        whole("two runs", &body)
    }

    fn rows(&self) -> Vec<Row> {
        let (a, b) = (self.a.1, self.b.1);
        let mut rows = Vec::new();
        let both =
            [(&MEASURES[..], "", &a.latency, &b.latency), (&TARGET[..TARGET_SHOWN], "target: ", &a.target, &b.target)];
        for (measures, whose, a, b) in both {
            for measure in measures {
                let (a, b) = (a.get(measure.name), b.get(measure.name));
                for stat in ["p50", "p95", "p99"] {
                    let of = |spread: &super::Distribution| match stat {
                        "p50" => spread.p50,
                        "p95" => spread.p95,
                        _ => spread.p99,
                    };
                    let name = format!("{whose}{} {stat}, ms", measure.title.to_lowercase());
                    rows.push(Row { name, a: a.map(of), b: b.map(of) });
                }
            }
        }
        for name in NUMBERS {
            if let Some((_, counted)) = COUNTERS.iter().find(|(known, _)| *known == name) {
                rows.push(Row { name: name.into(), a: counted(a), b: counted(b) });
            }
        }
        rows.retain(|row| row.a.is_some() || row.b.is_some());
        rows
    }
}

impl Row {
    fn ratio(&self) -> String {
        match (self.a, self.b) {
            (Some(a), Some(b)) if a > 0.0 => format!("{:.2}", b / a),
            (Some(_), Some(b)) if b > 0.0 => "new".into(),
            (Some(_), Some(_)) => "=".into(),
            _ => "-".into(),
        }
    }
}

/// The end of a long name: there the runs differ.
fn name(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    chars[chars.len().saturating_sub(13)..].iter().collect()
}
