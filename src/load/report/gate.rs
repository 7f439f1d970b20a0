//! A gate: an expression that must not hold. What was not measured cannot be judged, and that fails too: a gate that
//! passes because nothing was measured is worse than none.

use serde::{Deserialize, Serialize};

use super::{
    Report,
    expression::{Expression, Value},
    measures::{Measured, value},
};

/// Something that must not be so: `p99.own_ms > 25`.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    /// As it was written.
    text: String,
    /// As it was read.
    expression: Expression,
}

/// A gate and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Judged {
    /// The gate as it was written: what must not be so.
    pub gate: String,
    /// It is so, or cannot be told.
    pub fails: bool,
    /// Each value in it with what was found.
    pub found: String,
}

/// Why an expression is no gate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// A word in the wrong place.
    #[error("`{word}`: here stands {wanted}")]
    Word {
        /// The word.
        word: String,
        /// What may stand there.
        wanted: String,
    },
    /// It ends too early.
    #[error("it ends where {wanted} is missing: write such as p99.own_ms > 25")]
    End {
        /// What is missing.
        wanted: String,
    },
    /// Nothing is called so.
    #[error("`{name}`: nothing is measured under this name; known: {known}")]
    Value {
        /// The name.
        name: String,
        /// What there is.
        known: String,
    },
    /// No figure of a distribution is called so.
    #[error("`{stat}`: a distribution has no such figure; known: {known}")]
    Figure {
        /// The name.
        stat: String,
        /// What there is.
        known: String,
    },
    /// A distribution without a figure.
    #[error("`{name}` is a distribution: write which figure of it, such as p99.{name}; known: {known}")]
    NoFigure {
        /// The name.
        name: String,
        /// What there is.
        known: String,
    },
    /// Too long.
    #[error("is longer than {max} characters: write two gates")]
    Long {
        /// The bound.
        max: usize,
    },
    /// Too many parentheses in one another.
    #[error("has more than {max} parentheses in one another: write two gates")]
    Deep {
        /// The bound.
        max: usize,
    },
}

impl Gate {
    /// Reads a gate.
    ///
    /// # Errors
    /// Names the word, and lists what is known.
    pub fn parse(text: &str) -> Result<Self, GateError> {
        Ok(Self { text: text.trim().to_owned(), expression: Expression::parse(text)? })
    }

    /// Judges a report.
    pub fn judge(&self, report: &Report) -> Judged {
        let mut found = Vec::new();
        let holds = holds(&self.expression, report, &mut found);
        found.dedup();
        Judged { gate: self.text.clone(), fails: holds.unwrap_or(true), found: found.join(", ") }
    }
}

/// Whether an expression holds; `None` where that hangs on what was not measured. Every value in it is told.
fn holds(expression: &Expression, report: &Report, found: &mut Vec<String>) -> Option<bool> {
    match expression {
        Expression::Compare(value, operator, number) => {
            let measured = look_up(value, report);
            let written = match value.stat {
                Some(stat) => format!("{}.{}", stat.name(), value.name),
                None => value.name.clone(),
            };
            found.push(match measured {
                Some(measured) => format!("{written} = {}", super::told::figure(measured)),
                None => format!("{written} was not measured"),
            });
            measured.map(|measured| operator.holds(measured, *number))
        }
        Expression::Any(all) => joined(all, report, found, true),
        Expression::All(all) => joined(all, report, found, false),
    }
}

/// `or` (decided by the first that holds) and `and` (by the first that does not): three-valued, and nothing is skipped.
fn joined(all: &[Expression], report: &Report, found: &mut Vec<String>, decides: bool) -> Option<bool> {
    let judged: Vec<_> = all.iter().map(|one| holds(one, report, found)).collect();
    if judged.contains(&Some(decides)) {
        return Some(decides);
    }
    if judged.contains(&None) { None } else { Some(!decides) }
}

fn look_up(wanted: &Value, report: &Report) -> Option<f64> {
    match (value(report, &wanted.name)?, wanted.stat) {
        (Measured::Spread(spread), Some(stat)) => Some(spread.figure(stat)),
        (Measured::Number(number), None) => Some(number),
        (Measured::Spread(_), None) | (Measured::Number(_), Some(_)) | (Measured::Nothing, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Distribution, *};

    fn report() -> Report {
        let mut report = Report::default();
        let own = Distribution::of_samples((1..=100).map(|ms| f64::from(ms) / 2.0).collect()).unwrap();
        report.latency.insert("own_ms".into(), own);
        report.calls.offered = 10;
        report.calls.refused.insert("429".into(), 2);
        report
    }

    fn check(gate: &str, fails: bool, found: &str) {
        let judged = Gate::parse(gate).unwrap_or_else(|error| panic!("{gate}: {error}")).judge(&report());
        assert_eq!((judged.fails, judged.found.as_str()), (fails, found), "{gate}");
    }

    fn wrong(gate: &str, told: &str) {
        let error = Gate::parse(gate).unwrap_err().to_string();
        assert!(error.contains(told), "{gate}: {error}");
    }

    #[test]
    fn a_gate_says_what_it_found() {
        check("p99.own_ms > 25", true, "p99.own_ms = 49.5");
        check("p99.own_ms>=49.6", false, "p99.own_ms = 49.5");
        check("refused == 2", true, "refused = 2");
        check("failed_share > 0.25", false, "failed_share = 0.2");
        check("count.own_ms < 100", false, "count.own_ms = 100");
        check("p99.9.own_ms != 50", false, "p99.9.own_ms = 50");
    }

    #[test]
    fn and_binds_closer_than_or() {
        check("refused > 1 or dropped > 0 and wrong > 0", true, "refused = 2, dropped = 0, wrong = 0");
        check("(refused > 1 or dropped > 0) and wrong > 0", false, "refused = 2, dropped = 0, wrong = 0");
        check("wrong > 0 or wrong > 1 or refused<1", false, "wrong = 0, refused = 2");
    }

    #[test]
    fn what_was_not_measured_fails_where_it_decides() {
        check("p50.cut_ms > 250", true, "p50.cut_ms was not measured");
        check("calls_per_core < 100", true, "calls_per_core was not measured");
        check("p50.cut_ms > 250 and refused > 5", false, "p50.cut_ms was not measured, refused = 2");
        check("p50.cut_ms > 250 or refused > 5", true, "p50.cut_ms was not measured, refused = 2");
    }

    #[test]
    fn mistakes_name_the_word_and_what_is_known() {
        wrong("p98.own_ms > 25", "`p98`: a distribution has no such figure; known: p50 p90 p95 p99 p99.9 max");
        wrong("p99.mine_ms > 25", "`mine_ms`: nothing is measured under this name; known: turn_ms own_ms");
        wrong("own_ms > 25", "write which figure of it, such as p99.own_ms");
        wrong("p99.refused > 25", "`refused`: nothing is measured");
        wrong("refuse > 25", "`refuse`: nothing is measured under this name; known: turn_ms");
        wrong("p99.own_ms = 25", "`=`: here stands one of >= <= == != > <");
        wrong("p99.own_ms > 25ms", "`25ms`: here stands a number");
        wrong("p99.own_ms > NaN", "`NaN`: here stands a number");
        wrong("p99.own_ms > 25 but", "`but`: here stands `and`, `or` or the end");
        wrong("p99.own_ms >", "it ends where a number is missing");
        wrong("", "it ends where a value, such as p99.own_ms is missing");
        wrong("(refused > 0", "it ends where `)` is missing");
        wrong(&"(".repeat(40), "more than 32 parentheses");
        wrong(&"x".repeat(3_000), "longer than 2000 characters");
    }
}
