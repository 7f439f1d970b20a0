//! What the pieces of a streamed answer add up to. Pure: text in, events out.
//!
//! Tolerant on purpose. The shape is spoken by a dozen servers, and each leaves out, repeats or renames something: ids
//! and indices of tool calls, the final mark, whole calls in one piece, arguments as an object, unknown reasons.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use super::{
    http::{NAME, inner_error},
    thought::Thought,
};
use crate::{
    call::{Finish, LlmEvent},
    providers::{Kind, ProviderError},
};

/// One answer asks for at most so many tools.
const CALLS_MAX: usize = 16;
/// Bytes of the arguments of one call.
const ARGUMENTS_BYTES_MAX: usize = 64 * 1024;
/// Bytes of one answer's words: twenty minutes of speech.
const WORDS_BYTES_MAX: usize = 64 * 1024;

/// An answer as it grows.
#[derive(Debug, Default)]
pub struct Assembly {
    /// Hides a leading `<think>` block.
    thought: Thought,
    /// Tool calls so far, in the order they were opened.
    calls: Vec<Open>,
    /// Ids that are taken: those of the history, and those given out here.
    ids: BTreeSet<String>,
    /// Bytes of words so far.
    words_bytes: usize,
    /// Something that a caller or a tool can use has come.
    begun: bool,
    /// The last event has been given out.
    finished: bool,
}

/// A tool call that is being put together.
#[derive(Debug)]
struct Open {
    index: Option<u64>,
    /// The server's id, where it gives one.
    id: Option<String>,
    name: String,
    arguments: String,
}

#[derive(Debug, Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Option<Vec<Choice>>,
    #[serde(default)]
    error: Option<Value>,
    /// Written by the [door](super::door).
    #[serde(default, rename = "pronto_end")]
    end: bool,
    /// Likewise.
    #[serde(default, rename = "pronto_garbage")]
    garbage: bool,
}

#[derive(Debug, Deserialize)]
struct Choice {
    #[serde(default)]
    index: Option<u64>,
    /// `message` where a server answers in one piece although a stream was asked for.
    #[serde(default, alias = "message")]
    delta: Option<Delta>,
    #[serde(default)]
    finish_reason: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Delta {
    #[serde(default)]
    content: Option<Value>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<Piece>>,
    #[serde(default)]
    function_call: Option<Function>,
}

#[derive(Debug, Deserialize)]
struct Piece {
    #[serde(default)]
    index: Option<u64>,
    #[serde(default)]
    id: Option<Value>,
    #[serde(default)]
    function: Option<Function>,
}

#[derive(Debug, Deserialize)]
struct Function {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    arguments: Option<Value>,
}

impl Assembly {
    /// An answer in a conversation where these ids of tool calls are taken. Some servers begin anew with `call_0` in
    /// every answer, and a call refuses an id that it has seen.
    pub fn new(taken: impl IntoIterator<Item = String>) -> Self {
        Self { ids: taken.into_iter().collect(), ..Self::default() }
    }

    /// Takes one piece, a JSON text, and adds what it brings.
    pub fn take(&mut self, json: &str, events: &mut Vec<LlmEvent>) -> Result<(), ProviderError> {
        if self.finished {
            return Ok(());
        }
        let chunk: Chunk = serde_json::from_str(json).map_err(|_| garbage("a piece of an unknown shape"))?;
        if chunk.garbage {
            return Err(garbage("a piece that is no JSON, or too long"));
        }
        if let Some(error) = chunk.error.filter(|error| !error.is_null()) {
            return Err(inner_error(&error));
        }
        for choice in chunk.choices.into_iter().flatten() {
            if choice.index.is_some_and(|index| index > 0) || self.finished {
                continue;
            }
            if let Some(delta) = choice.delta {
                self.grow(delta, events)?;
            }
            if let Some(reason) = choice.finish_reason.filter(|reason| !reason.is_null()) {
                self.finish(reason.as_str().unwrap_or_default(), events)?;
            }
        }
        if chunk.end && !self.finished {
            // The final mark without a reason before it: some servers never give one.
            self.finish("", events)?;
        }
        Ok(())
    }

    /// The wire has ended.
    pub fn end(&self) -> Result<(), ProviderError> {
        if self.finished {
            Ok(())
        } else {
            Err(ProviderError::upstream(NAME, Kind::Cut, "the answer ended in the middle"))
        }
    }

    /// Something that a caller or a tool can use has come.
    pub const fn begun(&self) -> bool {
        self.begun
    }

    /// The last event has been given out.
    pub const fn finished(&self) -> bool {
        self.finished
    }

    fn grow(&mut self, delta: Delta, events: &mut Vec<LlmEvent>) -> Result<(), ProviderError> {
        for text in delta.content.as_ref().map(plain).into_iter().chain(delta.refusal) {
            self.words_bytes += text.len();
            if self.words_bytes > WORDS_BYTES_MAX {
                return Err(garbage("an answer without end"));
            }
            let words = self.thought.pass(&text);
            self.say(words, events);
        }
        for piece in delta.tool_calls.into_iter().flatten() {
            self.call(piece)?;
        }
        if let Some(function) = delta.function_call {
            self.call(Piece { index: Some(0), id: None, function: Some(function) })?;
        }
        Ok(())
    }

    fn say(&mut self, words: String, events: &mut Vec<LlmEvent>) {
        if !words.is_empty() {
            self.begun = true;
            events.push(LlmEvent::Words(words));
        }
    }

    /// Adds a piece of a tool call to the call it belongs to.
    fn call(&mut self, piece: Piece) -> Result<(), ProviderError> {
        self.begun = true;
        let id = piece.id.map(|id| plain(&id)).filter(|id| !id.is_empty());
        let function = piece.function.unwrap_or(Function { name: None, arguments: None });
        let name = function.name.unwrap_or_default();
        let at = match piece.index {
            Some(index) => self.calls.iter().rposition(|open| open.index == Some(index)),
            None => match &id {
                // Without an index, an id that is already open says where it goes; a new one opens a call.
                Some(id) => self.calls.iter().position(|open| open.id.as_deref() == Some(id)),
                None => self.calls.len().checked_sub(1),
            },
        };
        let at = at.filter(|at| !self.calls[*at].is_followed_by(id.as_deref(), &name));
        let at = match at {
            Some(at) => at,
            None if self.calls.len() == CALLS_MAX => return Err(garbage("too many tool calls in one answer")),
            None => {
                self.calls.push(Open { index: piece.index, id: None, name: String::new(), arguments: String::new() });
                self.calls.len() - 1
            }
        };
        let open = &mut self.calls[at];
        open.id = open.id.take().or(id);
        if open.name.is_empty() {
            open.name = name;
        }
        match function.arguments {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => open.arguments.push_str(&text),
            Some(value) => open.arguments.push_str(&value.to_string()),
        }
        if open.arguments.len() > ARGUMENTS_BYTES_MAX {
            return Err(garbage("a tool call with arguments without end"));
        }
        Ok(())
    }

    fn finish(&mut self, reason: &str, events: &mut Vec<LlmEvent>) -> Result<(), ProviderError> {
        self.finished = true;
        let rest = self.thought.end();
        self.say(rest, events);
        let cut = reason == "length";
        let mut asked = false;
        let mut calls = std::mem::take(&mut self.calls);
        // Stable: calls without an index stay in the order they came.
        calls.sort_by_key(|open| open.index);
        let last = calls.len().saturating_sub(1);
        let nameless = calls.iter().any(|open| open.name.is_empty());
        for (at, open) in calls.into_iter().enumerate() {
            // The one that was being written when the length limit came is not whole.
            let torn = cut && at == last && !is_object(&open.arguments);
            if torn || open.name.is_empty() {
                continue;
            }
            asked = true;
            let id = self.fresh(open.id);
            let arguments = if open.arguments.trim().is_empty() { "{}".to_string() } else { open.arguments };
            events.push(LlmEvent::Tool { id, name: open.name, arguments });
        }
        if nameless && !asked {
            return Err(garbage("a tool call without a name"));
        }
        events.push(LlmEvent::Done(match reason {
            "content_filter" => Finish::Refused,
            "length" if !asked => Finish::Length,
            // Whatever the reason says: with calls it waits for them, without it has finished.
            _ if asked => Finish::Tools,
            _ => Finish::Said,
        }));
        Ok(())
    }

    /// The server's id, or one of ours where it gives none or one that is taken.
    fn fresh(&mut self, id: Option<String>) -> String {
        let id = id
            .filter(|id| id.len() <= 128 && !self.ids.contains(id))
            .unwrap_or_else(|| format!("call_{}", uuid::Uuid::now_v7().simple()));
        self.ids.insert(id.clone());
        id
    }
}

impl Open {
    /// A piece with this id and name begins another call than this one.
    fn is_followed_by(&self, id: Option<&str>, name: &str) -> bool {
        match (id, self.id.as_deref()) {
            (Some(new), Some(old)) => new != old,
            // Without ids, a name after complete arguments begins the next call.
            (None, _) | (Some(_), None) => !name.is_empty() && !self.name.is_empty() && is_object(&self.arguments),
        }
    }
}

fn is_object(text: &str) -> bool {
    serde_json::from_str::<serde_json::Map<String, Value>>(text).is_ok()
}

fn garbage(what: &str) -> ProviderError {
    ProviderError::upstream(NAME, Kind::Garbage, format!("it sent {what}: is base_url a chat completions API?"))
}

/// A text, a number as text, or the texts of a list of parts.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str)).collect::<String>()
        }
        Value::Null | Value::Bool(_) | Value::Object(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(pieces: &[&str]) -> Result<Vec<LlmEvent>, ProviderError> {
        let mut assembly = Assembly::new(["call_used".to_string()]);
        let mut events = Vec::new();
        for piece in pieces {
            assembly.take(piece, &mut events)?;
        }
        assembly.end()?;
        Ok(events)
    }

    fn delta(delta: &str) -> String {
        format!(r#"{{"choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]}}"#)
    }

    fn finish(reason: &str) -> String {
        format!(r#"{{"choices":[{{"index":0,"delta":{{}},"finish_reason":"{reason}"}}]}}"#)
    }

    /// Names and arguments of the tools, and how it finished.
    fn check_calls(pieces: &[String], expected: &[(&str, &str)], end: Finish) {
        let events = run(&pieces.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
        let mut ids = BTreeSet::new();
        let calls: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                LlmEvent::Tool { id, name, arguments } => {
                    assert!(ids.insert(id.clone()), "the id {id} comes twice");
                    assert_ne!(id, "call_used");
                    Some((name.as_str(), arguments.as_str()))
                }
                LlmEvent::Words(_) | LlmEvent::Done(_) => None,
            })
            .collect();
        assert_eq!(calls, expected);
        assert_eq!(events.last(), Some(&LlmEvent::Done(end)));
    }

    #[test]
    fn words_come_as_they_are() {
        let events =
            run(&[&delta(r#"{"role":"assistant","content":""}"#), &delta(r#"{"content":"Buon"}"#), &finish("stop")]);
        assert_eq!(events.unwrap(), [LlmEvent::Words("Buon".into()), LlmEvent::Done(Finish::Said)]);
    }

    #[test]
    fn parallel_calls_are_put_together_by_index_in_any_order() {
        check_calls(
            &[
                delta(
                    r#"{"content":null,"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"prenota","arguments":""}}]}"#,
                ),
                delta(r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"slot\":"}}]}"#),
                delta(r#"{"tool_calls":[{"index":1,"id":"b","function":{"name":"invia","arguments":""}}]}"#),
                delta(r#"{"tool_calls":[{"index":0,"function":{"arguments":"\"15:30\"}"}}]}"#),
                delta(r#"{"tool_calls":[{"index":1,"function":{"arguments":"{}"}}]}"#),
                finish("tool_calls"),
            ],
            &[("prenota", r#"{"slot":"15:30"}"#), ("invia", "{}")],
            Finish::Tools,
        );
    }

    #[test]
    fn calls_of_careless_servers() {
        let whole = |id: &str, index: &str, arguments: &str| {
            delta(&format!(r#"{{"tool_calls":[{{{index}{id}"function":{{"name":"x","arguments":{arguments}}}}}]}}"#))
        };
        // Every call with index 0 and its own id.
        check_calls(
            &[
                whole(r#""id":"a","#, r#""index":0,"#, r#""{}""#),
                whole(r#""id":"b","#, r#""index":0,"#, r#""{}""#),
                finish("stop"),
            ],
            &[("x", "{}"), ("x", "{}")],
            Finish::Tools,
        );
        // Neither ids nor indices, whole calls, arguments as an object or missing.
        check_calls(
            &[whole("", "", r#"{"a":1}"#), whole("", "", r#""{\"a\":2}""#), whole("", "", "null"), finish("eos")],
            &[("x", r#"{"a":1}"#), ("x", r#"{"a":2}"#), ("x", "{}")],
            Finish::Tools,
        );
        // The name repeated with every piece, an id that is taken already, no reason but the final mark.
        check_calls(
            &[
                whole(r#""id":"call_used","#, r#""index":0,"#, r#""{\"a\"""#),
                whole(r#""id":"call_used","#, r#""index":0,"#, r#"":1}""#),
                r#"{"pronto_end":true}"#.into(),
            ],
            &[("x", r#"{"a":1}"#)],
            Finish::Tools,
        );
        // The old shape.
        check_calls(
            &[
                delta(r#"{"function_call":{"name":"x","arguments":"{"}}"#),
                delta(r#"{"function_call":{"arguments":"}"}}"#),
                finish("function_call"),
            ],
            &[("x", "{}")],
            Finish::Tools,
        );
        // Not streamed at all.
        check_calls(
            &[r#"{"choices":[{"message":{"content":"","tool_calls":[{"id":"a","function":{"name":"x","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}"#.into()],
            &[("x", "{}")],
            Finish::Tools,
        );
    }

    #[test]
    fn a_call_torn_by_the_length_limit_is_not_run() {
        let piece = delta(r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"x","arguments":"{\"a\":"}}]}"#);
        check_calls(&[piece, finish("length")], &[], Finish::Length);
    }

    #[test]
    fn reasons() {
        for (reason, end) in [
            ("stop", Finish::Said),
            ("length", Finish::Length),
            ("content_filter", Finish::Refused),
            ("eos", Finish::Said),
            ("", Finish::Said),
            ("tool_calls", Finish::Said),
        ] {
            let events = run(&[&delta(r#"{"content":"a"}"#), &finish(reason)]).unwrap();
            assert_eq!(events.last(), Some(&LlmEvent::Done(end)), "{reason}");
        }
    }

    #[test]
    fn what_breaks_is_an_error() {
        let check = |pieces: &[&str], kind| assert_eq!(run(pieces).unwrap_err().kind, kind, "{pieces:?}");
        check(&[&delta(r#"{"content":"a"}"#)], Kind::Cut);
        check(&[r#"{"error":{"message":"x","type":"server_error","code":null}}"#], Kind::Cut);
        check(&[r#"{"error":{"code":"rate_limit_exceeded"}}"#], Kind::RateLimited);
        check(&[r#"{"choices":7}"#], Kind::Garbage);
        check(&[r#"{"pronto_garbage":true}"#], Kind::Garbage);
        check(
            &[&delta(r#"{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}"#), &finish("tool_calls")],
            Kind::Garbage,
        );
    }
}
