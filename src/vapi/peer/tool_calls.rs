//! A server message of Vapi's, as far as a tool server reads it, and what it answers.
//!
//! The same request for a tool has been seen in four spellings, with its arguments as an object or as the text of one, and
//! in an older form with a single function; all of them come to [`ToolAsk`]s. What is not a request for tools is told apart
//! by its type and otherwise left alone.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::envelope;
use crate::{
    call::{ToolAsk, limits::TOOL_ARGUMENTS_MAX},
    privacy::Pii,
};

/// Requests read in one message. Each one more is answered with an error.
pub const ASKS_MAX: usize = 32;

/// Bytes of a request's id; of the id of a call and of a number as well. A longer id is answered with an error.
pub const ID_MAX: usize = 256;

/// Bytes of a tool's name; a longer one is no tool's.
pub const NAME_MAX: usize = 128;

/// A message to a server URL.
#[derive(Debug)]
pub struct ServerMessage {
    /// The call's id, where the message says it.
    pub call: Option<Box<str>>,
    /// The number of the caller, where the message says it.
    pub caller: Option<Pii<String>>,
    /// What it is about.
    pub matter: Matter,
}

/// What a server message is about.
#[derive(Debug)]
pub enum Matter {
    /// Tools are to be run: each in the order asked.
    ToolCalls(Vec<Asked>),
    /// One tool is to be run, the old way: the answer has no id.
    FunctionCall(Asked),
    /// The call is over.
    EndOfCall,
    /// Something else, by its type.
    Other(Box<str>),
}

/// One request for a tool.
#[derive(Debug)]
pub struct Asked {
    /// What is asked. The arguments are the text of a JSON object, as it was written.
    pub ask: ToolAsk,
    /// Why it cannot be run, if it cannot.
    pub wrong: Option<&'static str>,
}

/// Not a server message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoMessage {
    /// Not JSON, or not an object.
    #[error("the body is no JSON object")]
    Json,
    /// There is no `message`, or no type in it.
    #[error("there is no message.type")]
    Type,
}

type Raw<'a> = Option<&'a RawValue>;

/// Each field is read only where the type asks for it: a field of the wrong kind elsewhere spoils nothing.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Inner<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Raw<'a>,
    #[serde(borrow, default)]
    call: Raw<'a>,
    #[serde(borrow, default)]
    customer: Raw<'a>,
    #[serde(borrow, default)]
    tool_calls: Raw<'a>,
    #[serde(borrow, default)]
    tool_call_list: Raw<'a>,
    #[serde(borrow, default)]
    tool_with_tool_call_list: Raw<'a>,
    #[serde(borrow, default)]
    function_call: Raw<'a>,
}

#[derive(Deserialize)]
struct CallRef<'a> {
    #[serde(borrow, default)]
    id: Raw<'a>,
    #[serde(borrow, default)]
    customer: Raw<'a>,
}

#[derive(Deserialize)]
struct Customer<'a> {
    #[serde(borrow, default)]
    number: Raw<'a>,
}

/// One entry of any of the lists.
#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow, default)]
    id: Raw<'a>,
    #[serde(borrow, default)]
    name: Raw<'a>,
    #[serde(borrow, default)]
    function: Raw<'a>,
    #[serde(borrow, default)]
    arguments: Raw<'a>,
    #[serde(borrow, default)]
    parameters: Raw<'a>,
    #[serde(borrow, default, rename = "toolCall")]
    tool_call: Raw<'a>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow, default)]
    name: Raw<'a>,
    #[serde(borrow, default)]
    arguments: Raw<'a>,
    #[serde(borrow, default)]
    parameters: Raw<'a>,
}

/// Reads a server message. One without its envelope is taken as well.
pub fn read(json: &[u8]) -> Result<ServerMessage, NoMessage> {
    let inside = envelope::inside(json).ok_or(NoMessage::Json)?;
    let inner: Inner<'_> = read_object(inside).ok_or(NoMessage::Type)?;
    let kind = string(inner.kind).ok_or(NoMessage::Type)?;
    let matter = match kind.as_ref() {
        "tool-calls" => Matter::ToolCalls(asks(&inner)),
        "function-call" => Matter::FunctionCall(legacy(inner.function_call)),
        "end-of-call-report" => Matter::EndOfCall,
        other => Matter::Other(other.chars().take(NAME_MAX).collect()),
    };
    let call: Option<CallRef<'_>> = object(inner.call);
    Ok(ServerMessage {
        caller: caller(call.as_ref().and_then(|call| call.customer)).or_else(|| caller(inner.customer)),
        call: call.and_then(|call| short(call.id)),
        matter,
    })
}

/// The number of a `customer`.
pub(super) fn caller(customer: Raw<'_>) -> Option<Pii<String>> {
    let customer: Customer<'_> = object(customer)?;
    short(customer.number).map(|number| Pii::new(number.into_string()))
}

/// The id of a `call` and the number of its customer.
pub(super) fn call(call: Raw<'_>) -> (Option<Box<str>>, Option<Pii<String>>) {
    let call: Option<CallRef<'_>> = object(call);
    call.map_or((None, None), |call| (short(call.id), caller(call.customer)))
}

/// The first list that has anything in it.
fn asks(inner: &Inner<'_>) -> Vec<Asked> {
    [inner.tool_calls, inner.tool_call_list, inner.tool_with_tool_call_list]
        .into_iter()
        .filter_map(|list| serde_json::from_str::<Vec<&RawValue>>(list?.get()).ok())
        .find(|list| !list.is_empty())
        .unwrap_or_default()
        .into_iter()
        .enumerate()
        .map(|(at, entry)| asked(entry, at))
        .collect()
}

fn asked(entry: &RawValue, at: usize) -> Asked {
    let Some(outer) = object::<Entry<'_>>(Some(entry)) else { return unreadable("this entry is no object") };
    let within: Option<Entry<'_>> = object(outer.tool_call);
    // Around the inner call stands the tool's definition: its parameters are a schema, and only its name is the call's.
    let call = within.as_ref().unwrap_or(&outer);
    let function: Option<Function<'_>> = object(call.function);
    let definition: Option<Function<'_>> = object(outer.function);
    let (function_name, function_arguments, function_parameters) =
        function.map_or((None, None, None), |it| (it.name, it.arguments, it.parameters));
    let name = [function_name, call.name, outer.name, definition.and_then(|it| it.name)].into_iter().find_map(string);
    let written = function_arguments.or(call.arguments).or(call.parameters).or(function_parameters);
    let Some(id) = string(call.id).or_else(|| string(outer.id)) else { return unreadable("this entry has no id") };
    let arguments = arguments(written);
    let wrong = match (&name, &arguments) {
        _ if at >= ASKS_MAX => Some("too many tools in one message: ask for the others again"),
        _ if id.len() > ID_MAX => Some("the id is too long"),
        (None, _) => Some("there is no name of a tool"),
        (_, Err(why)) => Some(*why),
        (Some(_), Ok(_)) => None,
    };
    let name: String = name.unwrap_or_default().chars().take(NAME_MAX).collect();
    let arguments = arguments.map_or_else(|_| String::new(), Cow::into_owned);
    Asked { ask: ToolAsk { id: id.into_owned(), name, arguments }, wrong }
}

fn legacy(function: Raw<'_>) -> Asked {
    let Some(entry) = object::<Entry<'_>>(function) else { return unreadable("there is no functionCall") };
    let arguments = arguments(entry.parameters.or(entry.arguments));
    let name: String = string(entry.name).unwrap_or_default().chars().take(NAME_MAX).collect();
    let wrong = arguments.as_ref().err().copied();
    let arguments = arguments.map_or_else(|_| String::new(), Cow::into_owned);
    Asked { ask: ToolAsk { id: String::new(), name, arguments }, wrong }
}

fn unreadable(why: &'static str) -> Asked {
    Asked { ask: ToolAsk { id: String::new(), name: String::new(), arguments: String::new() }, wrong: Some(why) }
}

/// Arguments are an object, or the text of one. Nothing is an empty object.
fn arguments(written: Raw<'_>) -> Result<Cow<'_, str>, &'static str> {
    let text = match string(written) {
        Some(text) if text.trim().is_empty() => Cow::Borrowed("{}"),
        Some(text) => text,
        None => Cow::Borrowed(written.map_or("{}", RawValue::get)),
    };
    if text.len() > TOOL_ARGUMENTS_MAX {
        return Err("the arguments are too long");
    }
    if text.trim_start().starts_with('{') { Ok(text) } else { Err("the arguments are no JSON object") }
}

pub(super) fn object<'a, T: Deserialize<'a>>(raw: Raw<'a>) -> Option<T> {
    read_object(raw?.get())
}

/// Lists are no objects, whatever serde makes of them.
pub(super) fn read_object<'a, T: Deserialize<'a>>(json: &'a str) -> Option<T> {
    if json.trim_start().starts_with('{') { serde_json::from_str(json).ok() } else { None }
}

pub(super) fn string(raw: Raw<'_>) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str(raw?.get()).ok().map(|Text(text)| text)
}

/// A text that is not empty and not too long to be kept.
fn short(raw: Raw<'_>) -> Option<Box<str>> {
    string(raw).filter(|text| !text.is_empty() && text.len() <= ID_MAX).map(Box::from)
}

/// What became of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered {
    /// The model reads this.
    Result(String),
    /// It was not run, or broke.
    Error(String),
}

#[derive(Serialize)]
struct Results<'a> {
    results: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(rename = "toolCallId")]
    id: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Cow<'a, str>>,
}

/// The answer to a `tool-calls`: a line for each request, in their order.
pub fn results<'a>(answers: impl IntoIterator<Item = (&'a ToolAsk, &'a Answered)>) -> String {
    let line = |(ask, answered): (&'a ToolAsk, &'a Answered)| {
        let (result, error) = match answered {
            Answered::Result(text) => (Some(one_line(text)), None),
            Answered::Error(text) => (None, Some(one_line(text))),
        };
        Line { id: &ask.id, name: &ask.name, result, error }
    };
    let results = Results { results: answers.into_iter().map(line).collect() };
    serde_json::to_string(&results).expect("strings are JSON")
}

/// The answer to a `function-call`. The old form has no place for errors.
pub fn result(answered: &Answered) -> String {
    let (Answered::Result(text) | Answered::Error(text)) = answered;
    serde_json::json!({ "result": one_line(text) }).to_string()
}

/// Line breaks break the reading of results in practice.
fn one_line(text: &str) -> Cow<'_, str> {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    if text.contains(breaks) { text.replace("\r\n", " ").replace(breaks, " ").into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_asks(list: &str) -> Vec<Asked> {
        let json = format!(r#"{{"message":{{"type":"tool-calls",{list}}}}}"#);
        match read(json.as_bytes()).unwrap().matter {
            Matter::ToolCalls(asks) => asks,
            other @ (Matter::FunctionCall(_) | Matter::EndOfCall | Matter::Other(_)) => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_spelling_says_the_same() {
        let check = |list: &str| {
            let asks = read_asks(list);
            assert_eq!(asks.len(), 1, "{list}");
            assert_eq!(asks[0].wrong, None, "{list}");
            let ask = &asks[0].ask;
            assert_eq!((ask.id.as_str(), ask.name.as_str()), ("call_1", "book"), "{list}");
            assert_eq!(ask.arguments, r#"{"plate":"AB123CD"}"#, "{list}");
        };
        // The published schema, and the observed wire.
        check(
            r#""toolCallList":[{"id":"call_1","type":"function","function":{"name":"book","arguments":"{\"plate\":\"AB123CD\"}"}}]"#,
        );
        check(
            r#""toolCalls":[{"id":"call_1","type":"function","function":{"name":"book","arguments":{"plate":"AB123CD"}}}],"toolCallList":[]"#,
        );
        // The spellings of the documentation.
        check(r#""toolCallList":[{"id":"call_1","name":"book","arguments":{"plate":"AB123CD"}}]"#);
        check(r#""toolCallList":[{"id":"call_1","name":"book","parameters":{"plate":"AB123CD"}}]"#);
        check(
            r#""toolWithToolCallList":[{"name":"book","toolCall":{"id":"call_1","parameters":{"plate":"AB123CD"}}}]"#,
        );
        check(
            r#""toolCalls":null,"toolCallList":[],"toolWithToolCallList":[{"type":"function","function":{"name":"book","parameters":{"type":"object"}},
            "toolCall":{"id":"call_1","type":"function","function":{"name":"book","arguments":"{\"plate\":\"AB123CD\"}"}}}]"#,
        );
        check(r#""toolCalls":[{"id":"call_1","function":{"name":"book","parameters":{"plate":"AB123CD"}}}]"#);
        // All at once, as we send it ourselves.
        check(
            r#""toolCallList":[{"id":"call_1","function":{"name":"book","arguments":{"plate":"AB123CD"}},"name":"book","arguments":{},"parameters":{}}]"#,
        );
    }

    #[test]
    fn the_old_form_has_one_function_and_no_id() {
        for parameters in [r#"{"plate":"AB123CD"}"#, r#""{\"plate\":\"AB123CD\"}""#] {
            let json = format!(
                r#"{{"message":{{"type":"function-call","functionCall":{{"name":"book","parameters":{parameters}}},"call":{{"id":"c1"}}}}}}"#
            );
            let message = read(json.as_bytes()).unwrap();
            assert_eq!(message.call.as_deref(), Some("c1"));
            let Matter::FunctionCall(asked) = message.matter else { panic!("{:?}", message.matter) };
            assert_eq!((asked.ask.name.as_str(), asked.wrong), ("book", None));
            assert_eq!(asked.ask.arguments, r#"{"plate":"AB123CD"}"#);
        }
        assert_eq!(result(&Answered::Result("sì\nno".into())), r#"{"result":"sì no"}"#);
    }

    #[test]
    fn the_caller_is_found_in_both_places() {
        let check = |fields: &str, expected: Option<&str>| {
            let json = format!(r#"{{"message":{{"type":"hang",{fields}}}}}"#);
            let message = read(json.as_bytes()).unwrap();
            assert_eq!(message.caller.as_ref().map(|number| number.reveal().as_str()), expected, "{fields}");
        };
        check(r#""call":{"id":"c","customer":{"number":"+391"}}"#, Some("+391"));
        check(r#""call":{"id":"c"},"customer":{"number":"+392"}"#, Some("+392"));
        check(r#""call":{"customer":{"number":"+391"}},"customer":{"number":"+392"}"#, Some("+391"));
        check(r#""customer":null,"call":null"#, None);
        check(r#""customer":{"number":7},"call":"x""#, None);
    }

    #[test]
    fn what_cannot_be_run_is_said_line_by_line() {
        let check = |entry: &str, why: &str| {
            let asks = read_asks(&format!(r#""toolCalls":[{entry}]"#));
            assert!(asks[0].wrong.is_some_and(|wrong| wrong.contains(why)), "{entry}: {:?}", asks[0].wrong);
        };
        check("7", "object");
        check(r#"["1","book"]"#, "object");
        check(r#"{"name":"book"}"#, "id");
        check(r#"{"id":"1"}"#, "name");
        check(r#"{"id":"1","name":"book","arguments":[1]}"#, "object");
        check(r#"{"id":"1","name":"book","arguments":"plate"}"#, "object");
        check(&format!(r#"{{"id":"1","name":"b","arguments":{{"a":"{}"}}}}"#, "x".repeat(TOOL_ARGUMENTS_MAX)), "long");
        check(&format!(r#"{{"id":"{}","name":"b"}}"#, "1".repeat(ID_MAX + 1)), "long");
        let many = vec![r#"{"id":"1","name":"b"}"#; ASKS_MAX + 1].join(",");
        let asks = read_asks(&format!(r#""toolCalls":[{many}]"#));
        assert_eq!(asks[ASKS_MAX - 1].wrong, None);
        assert!(asks[ASKS_MAX].wrong.unwrap().contains("too many"));
        assert!(read_asks(r#""toolCalls":{}"#).is_empty());
        // No arguments are an empty object.
        for none in [r#"{"id":"1","name":"b"}"#, r#"{"id":"1","name":"b","arguments":""}"#] {
            assert_eq!(read_asks(&format!(r#""toolCalls":[{none}]"#))[0].ask.arguments, "{}");
        }
    }

    #[test]
    fn other_messages_are_told_apart_and_what_is_none_is_refused() {
        let matter = |json: &str| read(json.as_bytes()).map(|message| message.matter);
        assert!(matches!(
            matter(r#"{"message":{"type":"end-of-call-report","call":{"id":"c"}}}"#),
            Ok(Matter::EndOfCall)
        ));
        assert!(
            matches!(matter(r#"{"message":{"type":"status-update"}}"#), Ok(Matter::Other(kind)) if &*kind == "status-update")
        );
        assert!(matches!(matter(r#"{"type":"hang"}"#), Ok(Matter::Other(_))), "without its envelope");
        for json in ["", "[]", "7", "{"] {
            assert_eq!(matter(json).err(), Some(NoMessage::Json), "{json}");
        }
        for json in ["{}", r#"{"message":{}}"#, r#"{"message":7}"#, r#"{"message":{"type":7}}"#] {
            assert_eq!(matter(json).err(), Some(NoMessage::Type), "{json}");
        }
        assert_eq!(read(&[0xff]).err(), Some(NoMessage::Json));
    }

    #[test]
    fn each_line_is_one_line() {
        let ask = |id: &str| ToolAsk { id: id.into(), name: "book".into(), arguments: "{}".into() };
        let (one, two) = (ask("1"), ask("2"));
        let (done, broken) = (Answered::Result("a\r\nb\u{2028}c".into()), Answered::Error("d\te".into()));
        assert_eq!(
            results([(&one, &done), (&two, &broken)]),
            r#"{"results":[{"toolCallId":"1","name":"book","result":"a b c"},{"toolCallId":"2","name":"book","error":"d e"}]}"#
        );
    }
}
