//! Reads JSON that strangers wrote, field by field, and tells every mistake in the words of Vapi's own API
//! (`transport.audioFormat.sampleRate must not be greater than 48000`). `null` is absent, `16000.0` is a whole number,
//! and fields that nobody asks for are not looked at.
//!
//! A message names the field and what it must be; never what was written there, which may be a caller's.

use std::cell::RefCell;

use serde_json::{Map, Value};

/// What is wrong with a request: one message for each mistake, each beginning with the path of its field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct Violations(Vec<String>);

impl Violations {
    /// A single mistake.
    pub fn one(message: impl Into<String>) -> Self {
        Self(vec![message.into()])
    }

    /// The messages.
    pub fn messages(&self) -> &[String] {
        &self.0
    }

    /// Takes the messages out.
    pub fn into_messages(self) -> Vec<String> {
        self.0
    }
}

/// The most mistakes that are told at once.
const VIOLATIONS_MAX: usize = 64;

/// Mistakes as they are found.
#[derive(Debug, Default)]
pub(super) struct Wrong(RefCell<Vec<String>>);

impl Wrong {
    /// One more.
    pub(super) fn add(&self, message: String) {
        let mut messages = self.0.borrow_mut();
        if messages.len() < VIOLATIONS_MAX {
            messages.push(message);
        }
    }

    /// The value, if nothing was wrong.
    pub(super) fn or<T>(&self, value: T) -> Result<T, Violations> {
        let messages = self.0.take();
        if messages.is_empty() { Ok(value) } else { Err(Violations(messages)) }
    }
}

/// A JSON text of at most this many bytes, as an object.
pub(super) fn object(json: &str, bytes_max: usize) -> Result<Map<String, Value>, Violations> {
    if json.len() > bytes_max {
        return Err(Violations::one(format!("the body must be shorter than or equal to {bytes_max} bytes")));
    }
    serde_json::from_str(json).map_err(|error| {
        let at = format!("line {} column {}", error.line(), error.column());
        Violations::one(if error.is_data() {
            "the body must be a JSON object".to_owned()
        } else {
            format!("the body must be valid JSON: {at}")
        })
    })
}

/// One object, under its path.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a> {
    /// Its fields; none where it is absent.
    fields: Option<&'a Map<String, Value>>,
    /// Where it stands, with a dot at the end; empty for the document.
    path: String,
    /// Where mistakes go.
    wrong: &'a Wrong,
}

impl<'a> Reader<'a> {
    /// The document itself; its path is empty, or a name with a dot at the end.
    pub(super) fn new(fields: &'a Map<String, Value>, path: &str, wrong: &'a Wrong) -> Self {
        Self { fields: Some(fields), path: path.to_owned(), wrong }
    }

    /// It is there.
    pub(super) fn exists(&self) -> bool {
        self.fields.is_some()
    }

    /// What was written, where it is there.
    pub(super) fn written(&self) -> Option<&'a Map<String, Value>> {
        self.fields
    }

    /// A field of any kind.
    pub(super) fn value(&self, name: &str) -> Option<&'a Value> {
        self.fields?.get(name).filter(|value| !value.is_null())
    }

    /// Says that a field is wrong.
    pub(super) fn must(&self, name: &str, rule: impl std::fmt::Display) {
        self.wrong.add(format!("{}{name} {rule}", self.path));
    }

    /// Says what is wrong inside, in a sentence that begins with its field.
    pub(super) fn says(&self, sentence: impl std::fmt::Display) {
        self.wrong.add(format!("{}{sentence}", self.path));
    }

    /// A number in a range.
    pub(super) fn number(&self, name: &str, min: f64, max: f64) -> Option<f64> {
        let value = self.value(name)?;
        let Some(number) = value.as_f64() else {
            self.must(name, "must be a number conforming to the specified constraints");
            return None;
        };
        if number > max {
            self.must(name, format_args!("must not be greater than {max}"));
        } else if number < min {
            self.must(name, format_args!("must not be less than {min}"));
        } else {
            return Some(number);
        }
        None
    }

    /// A whole number in a range.
    pub(super) fn whole(&self, name: &str, min: u32, max: u32) -> Option<u32> {
        let number = self.number(name, f64::from(min), f64::from(max))?;
        if number.fract() != 0.0 {
            self.must(name, "must be an integer number");
            return None;
        }
        // In range and whole: nothing is lost.
        Some(number as u32)
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        let flag = self.value(name)?.as_bool();
        if flag.is_none() {
            self.must(name, "must be a boolean value");
        }
        flag
    }

    /// A text of some length, in characters.
    pub(super) fn text(&self, name: &str, min: usize, max: usize) -> Option<&'a str> {
        let Some(text) = self.value(name)?.as_str() else {
            self.must(name, "must be a string");
            return None;
        };
        let chars = text.chars().count();
        if chars > max {
            self.must(name, format_args!("must be shorter than or equal to {max} characters"));
        } else if chars < min {
            self.must(name, format_args!("must be longer than or equal to {min} characters"));
        } else {
            return Some(text);
        }
        None
    }

    /// One of these words.
    pub(super) fn word(&self, name: &str, words: &[&'static str]) -> Option<&'static str> {
        let value = self.value(name)?;
        let word = value.as_str().and_then(|text| words.iter().copied().find(|word| *word == text));
        if word.is_none() {
            self.must(name, format_args!("must be one of the following values: {}", words.join(", ")));
        }
        word
    }

    /// An object; where it is absent or none, one without fields.
    pub(super) fn object(&self, name: &str) -> Self {
        let fields = self.value(name).and_then(|value| {
            if !value.is_object() {
                self.must(name, "must be an object");
            }
            value.as_object()
        });
        Self { fields, path: format!("{}{name}.", self.path), wrong: self.wrong }
    }

    /// A list of objects, at most this long.
    pub(super) fn objects(&self, name: &str, max: usize) -> Vec<Self> {
        let items = self.list(name, max).iter().enumerate();
        let read = items.filter_map(|(at, item)| {
            if !item.is_object() {
                self.must(&format!("{name}.{at}"), "must be an object");
            }
            let path = format!("{}{name}.{at}.", self.path);
            item.as_object().map(|fields| Self { fields: Some(fields), path, wrong: self.wrong })
        });
        read.collect()
    }

    /// A list of texts, at most so many of some length each.
    pub(super) fn texts(&self, name: &str, most: usize, min: usize, max: usize) -> Option<Vec<&'a str>> {
        self.value(name)?;
        let (list, mut texts) = (self.list(name, most), Vec::new());
        for item in list {
            match item.as_str().map(|text| (text, text.chars().count())) {
                None => self.wrong.add(format!("each value in {}{name} must be a string", self.path)),
                Some((_, chars)) if chars > max => {
                    let rule = format!("must be shorter than or equal to {max} characters");
                    self.wrong.add(format!("each value in {}{name} {rule}", self.path));
                }
                Some((_, chars)) if chars < min => {
                    let rule = format!("must be longer than or equal to {min} characters");
                    self.wrong.add(format!("each value in {}{name} {rule}", self.path));
                }
                Some((text, _)) => texts.push(text),
            }
        }
        Some(texts)
    }

    fn list(&self, name: &str, max: usize) -> &'a [Value] {
        let Some(value) = self.value(name) else { return &[] };
        let Some(list) = value.as_array() else {
            self.must(name, "must be an array");
            return &[];
        };
        if list.len() > max {
            self.must(name, format_args!("must contain no more than {max} elements"));
            return &[];
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, read: impl Fn(&Reader<'_>), expected: &[&str]) {
        let (fields, wrong) = (object(json, 1_000).unwrap(), Wrong::default());
        read(&Reader::new(&fields, "a.", &wrong));
        assert_eq!(wrong.or(()).map_or_else(Violations::into_messages, |()| vec![]), expected, "{json}");
    }

    #[test]
    fn numbers_may_be_written_as_floats() {
        check(r#"{"x":16000.0}"#, |it| assert_eq!(it.whole("x", 0, 48_000), Some(16_000)), &[]);
        check(r#"{"x":null}"#, |it| assert_eq!(it.whole("x", 0, 1), None), &[]);
        check(r#"{"x":0.5}"#, |it| assert_eq!(it.whole("x", 0, 1), None), &["a.x must be an integer number"]);
    }

    #[test]
    fn mistakes_name_their_field_and_the_fix() {
        check(r#"{"x":9}"#, |it| _ = it.number("x", 0.0, 5.0), &["a.x must not be greater than 5"]);
        check(r#"{"x":-1}"#, |it| _ = it.number("x", 0.0, 5.0), &["a.x must not be less than 0"]);
        let number = "a.x must be a number conforming to the specified constraints";
        check(r#"{"x":"9"}"#, |it| _ = it.number("x", 0.0, 5.0), &[number]);
        check(r#"{"x":"abc"}"#, |it| _ = it.text("x", 0, 2), &["a.x must be shorter than or equal to 2 characters"]);
        check(r#"{"x":1}"#, |it| _ = it.object("x").flag("y"), &["a.x must be an object"]);
        check(r#"{"x":{"y":1}}"#, |it| _ = it.object("x").flag("y"), &["a.x.y must be a boolean value"]);
        check(r#"{"x":[{"y":1},2]}"#, |it| _ = it.objects("x", 9), &["a.x.1 must be an object"]);
        check(r#"{"x":"c"}"#, |it| _ = it.word("x", &["a", "b"]), &["a.x must be one of the following values: a, b"]);
        check(r#"{"x":[1,2,3]}"#, |it| _ = it.texts("x", 2, 0, 9), &["a.x must contain no more than 2 elements"]);
    }

    #[test]
    fn a_body_that_is_no_object_is_told_where() {
        let told = |json: &str| object(json, 20).unwrap_err().into_messages().remove(0);
        assert_eq!(told("[1]"), "the body must be a JSON object");
        assert_eq!(told("{\"a\":"), "the body must be valid JSON: line 1 column 5");
        assert_eq!(told(&" ".repeat(21)), "the body must be shorter than or equal to 20 bytes");
    }
}
