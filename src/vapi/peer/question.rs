//! A question to the brain: the request of Vapi's custom LLM, which is OpenAI's chat completions with the call beside it.
//!
//! The conversation is taken as Vapi tells it, which is as it was heard. The system prompt at its beginning is not: the
//! tenant has its own. Of the tools only those are read that are the platform's (`endCall`, `transferCall`): ours run on
//! our side. Everything else is left alone.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::tool_calls::{self, object, read_object, string};
use crate::{
    call::{
        Message, ToolAsk,
        limits::{HISTORY_MAX, TOOL_ARGUMENTS_MAX, UTTERANCE_CHARS_MAX},
    },
    privacy::Pii,
};

/// The tool of the platform that ends the call.
pub const END_CALL: &str = "endCall";
/// The tool of the platform that puts the caller through.
pub const TRANSFER_CALL: &str = "transferCall";

/// Tools that are looked through.
const TOOLS_MAX: usize = 256;

/// Characters of the model's name that are said back.
const MODEL_MAX: usize = 128;

/// What the brain is asked.
#[derive(Debug)]
pub struct Question {
    /// The call's id, where the request says it.
    pub call: Option<Box<str>>,
    /// The number of the caller, where the request says it.
    pub caller: Option<Pii<String>>,
    /// The model's name, said back in the answer.
    pub model: String,
    /// Piece by piece, or whole.
    pub stream: bool,
    /// The conversation as it was heard, the newest [`HISTORY_MAX`] entries. Not printed.
    pub heard: Pii<Vec<Message>>,
    /// The platform can end the call.
    pub can_end: bool,
    /// The platform can put the caller through.
    pub can_transfer: bool,
}

/// Not a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoQuestion {
    /// Not JSON, or not an object.
    #[error("the body is no JSON object")]
    Json,
    /// There is no conversation.
    #[error("messages is missing or no list")]
    Messages,
}

type Raw<'a> = Option<&'a RawValue>;

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    messages: Raw<'a>,
    #[serde(borrow, default)]
    model: Raw<'a>,
    #[serde(borrow, default)]
    stream: Raw<'a>,
    #[serde(borrow, default)]
    tools: Raw<'a>,
    #[serde(borrow, default)]
    functions: Raw<'a>,
    #[serde(borrow, default)]
    call: Raw<'a>,
    #[serde(borrow, default)]
    customer: Raw<'a>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow, default)]
    role: Raw<'a>,
    #[serde(borrow, default)]
    content: Raw<'a>,
    #[serde(borrow, default)]
    tool_calls: Raw<'a>,
    #[serde(borrow, default)]
    tool_call_id: Raw<'a>,
}

/// A tool that is offered or was asked for: its function, or the function itself.
#[derive(Deserialize)]
struct Tool<'a> {
    #[serde(borrow, default)]
    id: Raw<'a>,
    #[serde(borrow, default)]
    function: Raw<'a>,
    #[serde(borrow, default)]
    name: Raw<'a>,
    #[serde(borrow, default)]
    arguments: Raw<'a>,
}

/// Reads a question.
pub fn read(json: &[u8]) -> Result<Question, NoQuestion> {
    let text = std::str::from_utf8(json).map_err(|_| NoQuestion::Json)?;
    let body: Body<'_> = read_object(text).ok_or(NoQuestion::Json)?;
    let messages: Vec<&RawValue> = body.messages.and_then(parsed).ok_or(NoQuestion::Messages)?;
    let offered: Vec<_> = [body.tools, body.functions]
        .into_iter()
        .filter_map(|list| parsed::<Vec<&RawValue>>(list?))
        .flatten()
        .take(TOOLS_MAX)
        .filter_map(name)
        .collect();
    let (call, caller) = tool_calls::call(body.call);
    Ok(Question {
        call,
        caller: caller.or_else(|| tool_calls::caller(body.customer)),
        model: string(body.model).map_or_else(|| "pronto".to_owned(), |name| name.chars().take(MODEL_MAX).collect()),
        stream: body.stream.and_then(parsed).unwrap_or(true),
        heard: Pii::new(heard(&messages)),
        can_end: offered.iter().any(|name| name == END_CALL),
        can_transfer: offered.iter().any(|name| name == TRANSFER_CALL),
    })
}

fn parsed<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Option<T> {
    serde_json::from_str(raw.get()).ok()
}

fn name(tool: &RawValue) -> Option<Cow<'_, str>> {
    let tool: Tool<'_> = object(Some(tool))?;
    let function: Option<Tool<'_>> = object(tool.function);
    string(function.and_then(|function| function.name)).or_else(|| string(tool.name))
}

/// The conversation. What is not understood is left out: a stranger's message is no reason to say nothing to the caller.
fn heard(messages: &[&RawValue]) -> Vec<Message> {
    let newest = &messages[messages.len().saturating_sub(HISTORY_MAX)..];
    let mut heard = Vec::with_capacity(newest.len());
    let mut begun = newest.len() < messages.len();
    for raw in newest {
        let Some(entry) = object::<Entry<'_>>(Some(raw)) else { continue };
        let said = content(entry.content).filter(|text| !text.trim().is_empty());
        match string(entry.role).as_deref() {
            Some("user") => heard.extend(said.map(|text| Message::Caller { text })),
            Some("assistant") => {
                // As the platform transcribed it; where it was cut in, it does not say.
                heard.extend(said.map(|text| Message::Agent { text, interrupted: false, estimated: true }));
                let tools = asks(entry.tool_calls);
                if !tools.is_empty() {
                    heard.push(Message::Asked { tools });
                }
            }
            Some("tool") => {
                if let Some(id) = string(entry.tool_call_id) {
                    heard.push(Message::Outcome { id: id.into_owned(), content: said });
                }
            }
            // What stands at the beginning is the prompt of an assistant that we are not; later ones are notes to us.
            Some("system" | "developer") if begun => heard.extend(said.map(|text| Message::Note { text })),
            Some(_) | None => continue,
        }
        begun = true;
    }
    heard
}

fn asks(list: Raw<'_>) -> Vec<ToolAsk> {
    let list: Option<Vec<&RawValue>> = list.and_then(parsed);
    let ask = |raw: &RawValue| {
        let tool: Tool<'_> = object(Some(raw))?;
        let function: Tool<'_> = object(tool.function)?;
        let arguments = string(function.arguments).map_or_else(|| "{}".to_owned(), Cow::into_owned);
        let ask = ToolAsk { id: string(tool.id)?.into_owned(), name: string(function.name)?.into_owned(), arguments };
        Some(ask).filter(|ask| ask.arguments.len() <= TOOL_ARGUMENTS_MAX)
    };
    list.unwrap_or_default().into_iter().take(tool_calls::ASKS_MAX).filter_map(ask).collect()
}

/// Text, or a list of parts of which some are text.
fn content(raw: Raw<'_>) -> Option<String> {
    #[derive(Deserialize)]
    struct Part<'a> {
        #[serde(borrow, default)]
        text: Raw<'a>,
    }
    let text = match string(raw) {
        Some(text) => text.into_owned(),
        None => parsed::<Vec<&RawValue>>(raw?)?
            .into_iter()
            .filter_map(|part| string(object::<Part<'_>>(Some(part))?.text))
            .collect::<Vec<_>>()
            .join(" "),
    };
    // The newest words count: a caller who goes on has said the rest in an earlier question.
    let over = text.chars().count().saturating_sub(UTTERANCE_CHARS_MAX);
    Some(if over == 0 { text } else { text.chars().skip(over).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The request of the contract, section 7.2.
    const REQUEST: &str = r#"{"model":"booking-it","stream":true,"temperature":0.3,"max_tokens":250.0,"messages":[
        {"role":"system","content":"Sei la receptionist di Officina Rossi."},
        {"role":"assistant","content":"Officina Rossi, buongiorno!"},
        {"role":"user","content":"Vorrei prenotare il tagliando."}],
        "tools":[{"type":"function","function":{"name":"book_appointment","description":"Prenota","parameters":{"type":"object"}}},
        {"type":"function","function":{"name":"endCall","description":"Use this function to end the call."}}],
        "call":{"id":"01993a1f","orgId":"1","monitor":{"controlUrl":"https://x"}},
        "metadata":{"tenant":"officina-rossi"},"phoneNumber":null,"customer":{"number":"+390612345678"}}"#;

    #[test]
    fn the_request_of_the_contract() {
        let question = read(REQUEST.as_bytes()).unwrap();
        assert_eq!(question.call.as_deref(), Some("01993a1f"));
        assert_eq!(question.caller.as_ref().unwrap().reveal(), "+390612345678");
        assert_eq!((question.model.as_str(), question.stream), ("booking-it", true));
        assert!(question.can_end && !question.can_transfer);
        let heard = question.heard.reveal();
        assert!(
            matches!(&heard[..], [Message::Agent { text: one, .. }, Message::Caller { text: two }]
                if one.ends_with("buongiorno!") && two.starts_with("Vorrei")),
            "{heard:?}"
        );
        assert!(!format!("{question:?}").contains("tagliando"), "a transcript is not printed");
    }

    #[test]
    fn functions_parts_and_no_stream_are_read() {
        let question = read(
            br#"{"stream":false,"functions":[{"name":"transferCall"}],"tools":null,"messages":[
            {"role":"user","content":[{"type":"text","text":"buon"},{"type":"image_url"},{"type":"text","text":"giorno"}]}]}"#,
        )
        .unwrap();
        assert!(!question.stream && question.can_transfer && !question.can_end);
        assert_eq!(question.heard.reveal()[..], [Message::Caller { text: "buon giorno".into() }]);
    }

    #[test]
    fn tools_of_the_platform_and_notes_stay_in_the_conversation() {
        let question = read(
            br#"{"messages":[{"role":"system","content":"prompt"},{"role":"user","content":"ciao"},{"role":"system","content":"nota"},
            {"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"transferCall","arguments":"{}"}}]},
            {"role":"tool","tool_call_id":"1","content":"nobody"},{"role":"tool","tool_call_id":"2","content":null},
            {"role":"alien","content":"x"},7,{"role":"assistant","content":""}]}"#,
        )
        .unwrap();
        let tools = vec![ToolAsk { id: "1".into(), name: "transferCall".into(), arguments: "{}".into() }];
        assert_eq!(
            question.heard.reveal()[..],
            [
                Message::Caller { text: "ciao".into() },
                Message::Note { text: "nota".into() },
                Message::Asked { tools },
                Message::Outcome { id: "1".into(), content: Some("nobody".into()) },
                Message::Outcome { id: "2".into(), content: None },
            ]
        );
    }

    #[test]
    fn what_is_no_question_says_so_and_what_is_too_long_is_cut() {
        for (json, error) in [
            ("", NoQuestion::Json),
            ("[]", NoQuestion::Json),
            ("{}", NoQuestion::Messages),
            (r#"{"messages":{}}"#, NoQuestion::Messages),
        ] {
            assert_eq!(read(json.as_bytes()).err(), Some(error), "{json}");
        }
        // A first message of the model's own has nobody before it.
        assert!(read(br#"{"messages":[{"role":"system","content":"x"}]}"#).unwrap().heard.reveal().is_empty());
        let long = "a".repeat(UTTERANCE_CHARS_MAX) + "fine";
        let many = vec![format!(r#"{{"role":"user","content":"{long}"}}"#); HISTORY_MAX + 5].join(",");
        let question = read(format!(r#"{{"messages":[{many}]}}"#).as_bytes()).unwrap();
        assert_eq!(question.heard.reveal().len(), HISTORY_MAX);
        let Message::Caller { text } = &question.heard.reveal()[0] else { panic!() };
        assert!(text.len() == UTTERANCE_CHARS_MAX && text.ends_with("fine"));
    }
}
