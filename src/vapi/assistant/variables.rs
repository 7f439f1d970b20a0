//! Fills the variables of prompts and messages in, as Vapi's templates have them: `{{name}}`, `{{customer.number}}`,
//! `{{name | default: "x"}}`, `{{now}}`, `{{date}}`, `{{time}}`, and `{{"now" | date: "%H:%M", "Europe/Rome"}}`.
//!
//! It is not Liquid. What it does not understand stays as it was written and is named in a warning; a name without a
//! value becomes nothing, as in Liquid. Values are not read again, so what a caller is called cannot ask for more.

use jiff::{Zoned, fmt::strtime, tz::TimeZone};
use serde_json::{Map, Value};

use super::Warnings;
use crate::privacy::Pii;

/// The longest text that is made of a template, in bytes; the rest is left out.
const TEXT_BYTES_MAX: usize = 256 * 1024;

/// The longest piece of a template that a warning repeats, in characters.
const TOLD_CHARS_MAX: usize = 40;

/// What templates may name.
#[derive(Debug, Clone)]
pub struct Variables {
    /// By name; objects are reached into with dots. They may be the caller's.
    values: Pii<Map<String, Value>>,
    /// The moment of the call, in the zone in which dates are written.
    now: Zoned,
}

impl Variables {
    /// The values of `assistantOverrides.variableValues`; the moment is written in its own zone.
    pub fn new(values: Map<String, Value>, now: Zoned) -> Self {
        Self { values: Pii::new(values), now }
    }

    /// One more, unless the call brings its own of this name.
    #[must_use]
    pub fn or(self, name: &str, value: Value) -> Self {
        let mut values = self.values.into_inner();
        values.entry(name).or_insert(value);
        Self { values: Pii::new(values), ..self }
    }

    /// All of them, for `artifact.variableValues`.
    pub fn values(&self) -> &Map<String, Value> {
        self.values.reveal()
    }

    /// Fills a template in. What was not understood is told.
    pub fn fill(&self, template: &str, warnings: &mut Warnings) -> String {
        let (mut filled, mut rest) = (String::new(), template);
        while let Some(tag) = rest.as_bytes().windows(2).position(|two| two == b"{{" || two == b"{%") {
            let close = if rest[tag..].starts_with("{{") { "}}" } else { "%}" };
            let Some(length) = rest[tag..].find(close) else { break };
            let written = &rest[tag..tag + length + 2];
            filled.push_str(&rest[..tag]);
            let value = (close == "}}").then(|| self.value(&written[2..written.len() - 2])).flatten();
            match value {
                Some(value) => filled.push_str(&value),
                None => {
                    let told: String = written.chars().take(TOLD_CHARS_MAX).collect();
                    warnings.add(format!("{told} is not understood and stays as it is written"));
                    filled.push_str(written);
                }
            }
            rest = &rest[tag + length + 2..];
            if filled.len() > TEXT_BYTES_MAX {
                break;
            }
        }
        filled.push_str(rest);
        filled.truncate(filled.floor_char_boundary(TEXT_BYTES_MAX));
        filled
    }

    /// The value of an expression; `None` where it is not understood.
    fn value(&self, expression: &str) -> Option<String> {
        let mut parts = split(expression, '|').into_iter();
        let first = parts.next()?.trim();
        let mut value = match quoted(first) {
            Some(text) => Some(text.to_owned()),
            None if is_path(first) => self.named(first),
            None => return None,
        };
        for filter in parts {
            let (name, arguments) = filter.split_once(':').unwrap_or((filter, ""));
            let arguments: Option<Vec<_>> = split(arguments, ',').into_iter().map(|it| quoted(it.trim())).collect();
            match (name.trim(), arguments?.as_slice()) {
                ("default", [usual]) => {
                    value = value.filter(|value| !value.is_empty()).or(Some((*usual).to_owned()));
                }
                ("date", [format]) if is_now(first) => value = Some(self.date(format, None)?),
                ("date", [format, zone]) if is_now(first) => value = Some(self.date(format, Some(zone))?),
                _ => return None,
            }
        }
        Some(value.unwrap_or_default())
    }

    fn named(&self, path: &str) -> Option<String> {
        let mut names = path.split('.');
        let first = names.next().and_then(|name| self.values.reveal().get(name));
        let found = names.try_fold(first, |value, name| value.map(|value| value.get(name))).flatten();
        if let Some(value) = found.filter(|value| !value.is_null()) {
            return Some(value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned));
        }
        let format = match path {
            "now" => "%b %-d, %Y, %-I:%M %p",
            "date" => "%b %-d, %Y",
            "time" => "%-I:%M %p",
            "day" => "%-d",
            "month" => "%B",
            "year" => "%Y",
            _ => return None,
        };
        self.date(format, None)
    }

    fn date(&self, format: &str, zone: Option<&str>) -> Option<String> {
        let now = match zone {
            Some(zone) => self.now.with_time_zone(TimeZone::get(zone).ok()?),
            None => self.now.clone(),
        };
        strtime::format(format, &now).ok()
    }
}

fn is_now(expression: &str) -> bool {
    expression == "now" || quoted(expression) == Some("now")
}

/// A name, or names with dots between them.
fn is_path(text: &str) -> bool {
    let name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
    text.split('.').all(name)
}

/// The text between quotation marks.
fn quoted(text: &str) -> Option<&str> {
    let inside = |mark| text.strip_prefix(mark)?.strip_suffix(mark).filter(|inside: &&str| !inside.contains(mark));
    inside('"').or_else(|| inside('\''))
}

/// Splits where the separator does not stand inside quotation marks.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut within: Option<char> = None;
    let pieces = text.split(|c: char| {
        match within {
            Some(mark) if mark == c => within = None,
            None if c == '"' || c == '\'' => within = Some(c),
            Some(_) | None => {}
        }
        c == separator && within.is_none()
    });
    pieces.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(template: &str, expected: &str, warned: usize) {
        let values = json!({"shop": "Officina Rossi", "bays": 2, "car": {"plate": "AB123CD"}, "trick": "{{shop}}"});
        let now = "2026-09-01T10:30[Europe/Rome]".parse().unwrap();
        let variables = Variables::new(values.as_object().unwrap().clone(), now);
        let variables = variables.or("customer", json!({"number": "+390612345678"})).or("shop", json!("another"));
        let mut warnings = Warnings::default();
        assert_eq!(variables.fill(template, &mut warnings), expected);
        assert_eq!(warnings.list().len(), warned, "{warnings:?}");
    }

    #[test]
    fn names_become_their_values() {
        check(
            "{{shop}}, {{ bays }} ponti, {{car.plate}} {{customer.number}}",
            "Officina Rossi, 2 ponti, AB123CD +390612345678",
            0,
        );
        check("[{{nobody}}] [{{car.colour}}]", "[] []", 0);
        check(
            "{{ nobody | default: \"signore | signora\" }} {{shop | default: 'x'}}",
            "signore | signora Officina Rossi",
            0,
        );
    }

    #[test]
    fn the_moment_is_written_in_a_zone() {
        check("{{now}} | {{date}} | {{time}}", "Sep 1, 2026, 10:30 AM | Sep 1, 2026 | 10:30 AM", 0);
        check("{{\"now\" | date: \"%H:%M\", \"UTC\"}} {{now | date: '%d/%m'}}", "08:30 01/09", 0);
    }

    #[test]
    fn what_is_not_understood_stays_and_is_told() {
        check("{{ shop | upcase }}", "{{ shop | upcase }}", 1);
        check("{% if shop %}ciao{% endif %}", "{% if shop %}ciao{% endif %}", 2);
        check(
            "{{ 1 + 1 }} {{\"now\" | date: \"%H\", \"Mars/Olympus\"}}",
            "{{ 1 + 1 }} {{\"now\" | date: \"%H\", \"Mars/Olympus\"}}",
            2,
        );
        check("{{ open", "{{ open", 0);
        check("}} { {", "}} { {", 0);
    }

    #[test]
    fn a_value_is_not_read_again() {
        check("{{trick}}", "{{shop}}", 0);
    }

    #[test]
    fn a_text_has_a_longest_length() {
        let values = json!({"long": "à".repeat(TEXT_BYTES_MAX)});
        let now = "2026-09-01T10:30[Europe/Rome]".parse().unwrap();
        let variables = Variables::new(values.as_object().unwrap().clone(), now);
        assert!(variables.fill("x{{long}}{{long}}", &mut Warnings::default()).len() <= TEXT_BYTES_MAX);
    }
}
