//! Settings files, read whole: every mistake is found in one go, each with its field and what to write instead.

use std::fmt;

use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// One thing that is wrong in a settings file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which field, as a path in the file (`call.endpointing.silence_ms`).
    pub field: String,
    /// Where it stands, where that could be found.
    pub line: Option<usize>,
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub fix: String,
}

impl Problem {
    /// A mistake in a field.
    pub fn new(field: impl Into<String>, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { field: field.into(), line: None, what: what.into(), fix: fix.into() }
    }

    /// The same, with the line on which the field stands in this text.
    #[must_use]
    pub fn found_in(mut self, text: &str) -> Self {
        self.line = self.line.or_else(|| line_of(text, &self.field));
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        write!(f, "{}: {}; {}", self.field, self.what, self.fix)
    }
}

impl std::error::Error for Problem {}

/// The most mistakes that are told at once.
const PROBLEMS_MAX: usize = 64;

/// Reads a whole document.
pub(crate) fn document(text: &str) -> Result<Table, Problem> {
    text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        Problem { field: "file".into(), line, what: error.message().into(), fix: "write valid TOML".into() }
    })
}

/// Reads a table into settings. What is wrong is told, taken out, and the rest read without it; `None` when a field
/// is missing that has no default.
pub(crate) fn read<T: DeserializeOwned>(mut table: Table, path: &str, problems: &mut Vec<Problem>) -> Option<T> {
    for _ in 0..PROBLEMS_MAX {
        let error = match T::deserialize(Value::Table(table.clone())) {
            Ok(settings) => return Some(settings),
            Err(error) => error,
        };
        let (place, problem) = understood(&error, path);
        problems.push(problem);
        if !take_out(&mut table, &place) {
            return None;
        }
    }
    None
}

/// What serde complains about: where in the table, and in words.
fn understood(error: &toml::de::Error, path: &str) -> (Vec<String>, Problem) {
    let said = error.to_string();
    let place = said.split("\nin `").nth(1).and_then(|rest| rest.split('`').next()).unwrap_or("");
    let mut place: Vec<String> =
        place.split('.').filter(|key| !key.is_empty()).map(|key| key.trim_matches('"').to_owned()).collect();
    let message = error.message();
    let mut quoted = message.split('`').skip(1).step_by(2);
    let absolute = |place: &[String]| {
        let path = (!path.is_empty()).then(|| path.to_owned());
        path.into_iter().chain(place.iter().cloned()).collect::<Vec<_>>().join(".")
    };
    if message.starts_with("unknown field") {
        let unknown = quoted.next().unwrap_or_default().to_owned();
        let known: Vec<_> = quoted.collect();
        let fix = match closest(&unknown, &known) {
            Some(meant) => format!("did you mean {meant}?"),
            None if known.is_empty() => "take it out".to_owned(),
            None => format!("known here: {}", known.join(", ")),
        };
        place.push(unknown);
        (place.clone(), Problem::new(absolute(&place), "no such setting", fix))
    } else if message.starts_with("missing field") {
        let mut field = place.clone();
        field.push(quoted.next().unwrap_or_default().to_owned());
        // Nothing can be taken out for it.
        (vec![], Problem::new(absolute(&field), "is missing", "add it; config/tenants has an example"))
    } else {
        let (what, fix) = match message.split_once(", expected ") {
            Some((what, expected)) => (what.to_owned(), format!("write {}", plain(expected))),
            None => (message.to_owned(), "see the annotated example in config".to_owned()),
        };
        (place.clone(), Problem::new(absolute(&place), what, fix))
    }
}

/// What serde expects, for those who do not write Rust.
fn plain(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" | "i32" | "i64" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a string" => "text in quotes",
        "a sequence" => "a list in [ ]",
        other => other,
    }
}

/// The mistakes of one file, in the order in which they stand there.
pub(crate) fn sorted(text: &str, problems: Vec<Problem>) -> Vec<Problem> {
    let mut problems: Vec<_> = problems.into_iter().map(|problem| problem.found_in(text)).collect();
    problems.sort_by_key(|problem| problem.line.unwrap_or(usize::MAX));
    problems
}

/// Takes the value at a place out. `false` when it is not there, or is the whole table.
fn take_out(table: &mut Table, place: &[String]) -> bool {
    let Some((last, parents)) = place.split_last() else { return false };
    let Some((first, _)) = parents.split_first() else { return table.remove(last).is_some() };
    let mut here = &mut *table;
    for key in parents {
        match here.get_mut(key) {
            Some(Value::Table(inner)) => here = inner,
            // Inside an array the place is not told: the whole of it goes.
            _ => return table.remove(first).is_some(),
        }
    }
    // A borrow of the first key is needed again when nothing was found below it.
    if here.remove(last).is_some() { true } else { table.remove(first).is_some() }
}

/// The name that was probably meant.
fn closest<'a>(unknown: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|name| (distance(unknown, name), *name))
        .filter(|(distance, name)| *distance <= 2.max(name.len() / 3))
        .min()
        .map(|(_, name)| name)
}

/// How many letters must be changed, added or taken away.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

/// The line of a field: the one on which its last key stands, below the header of its table.
fn line_of(text: &str, field: &str) -> Option<usize> {
    let (table, key) = field.rsplit_once('.').unwrap_or(("", field));
    let mut here = String::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') && !line.contains('=') {
            here = line.trim_matches(|c| c == '[' || c == ']').trim().to_owned();
            if here == field {
                return Some(at + 1);
            }
        } else if here == table && line.split_once('=').is_some_and(|(name, _)| name.trim().trim_matches('"') == key) {
            return Some(at + 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Settings;

    fn check(text: &str, expected: &[&str]) {
        let mut problems = Vec::new();
        let _: Option<Settings> = read(document(text).unwrap(), "", &mut problems);
        let told: Vec<_> = sorted(text, problems).iter().map(Problem::to_string).collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn every_mistake_is_told_at_once_with_its_line_and_the_fix() {
        check(
            "filler_ms = 1_000\nsilense_s = 5\nreprompts = \"two\"\n\n[endpointing]\npolicy = \"text\"\nsilence_mss = 1\ncommit_ms = -4\n",
            &[
                "line 2: silense_s: no such setting; did you mean silence_s?",
                "line 3: reprompts: invalid type: string \"two\"; write a whole number",
                "line 7: endpointing.silence_mss: no such setting; did you mean silence_ms?",
                "line 8: endpointing.commit_ms: invalid value: integer `-4`; write a whole number",
            ],
        );
    }

    #[test]
    fn a_name_like_no_other_is_answered_with_the_known_ones() {
        let mut problems = Vec::new();
        let table = document("x = 1").unwrap();
        let _: Option<crate::call::Interrupting> = read(table, "call.interruption", &mut problems);
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].field, "call.interruption.x");
        assert!(problems[0].fix.starts_with("known here: policy, hold_ms"), "{}", problems[0].fix);
    }

    #[test]
    fn broken_toml_names_its_line() {
        let problem = document("a = 1\nb = \n").unwrap_err();
        assert_eq!((problem.field.as_str(), problem.line), ("file", Some(2)));
    }
}
