//! `/v1/chat/completions`: what is refused, and the answer as the wire has it, whole or in events.

use std::sync::Arc;

use bytes::Bytes;
use hyper::StatusCode;
use serde_json::{Map, Value, json};

use super::{
    faults::Harm,
    journal::Endpoint,
    mind,
    openai::{Refusal, known},
    server::{House, Over, Reply, json_reply, streamed, with},
};
use crate::call::{Finish, LlmEvent};

/// Accepted reasoning efforts.
const EFFORTS: [&str; 6] = ["none", "low", "medium", "high", "xhigh", "max"];
/// Pieces of a tool's arguments have about this many bytes.
const FRAGMENT: usize = 12;

/// Answers a request.
pub async fn answer(house: &Arc<House>, harm: Option<Harm>, request: &Value) -> Result<Reply, Refusal> {
    check(request)?;
    let answer = Answer::new(house, request);
    house.journal.thought(request.clone(), answer.text());
    if request["stream"] != true {
        house.first(Endpoint::Chat).await;
        return Ok(json_reply(StatusCode::OK, &answer.whole()));
    }
    let options = &request["stream_options"];
    let usage = options["include_usage"] == true;
    let padded = options["include_obfuscation"] != false;
    let events = answer.events(usage, padded);
    let failed = json!({ "error": {
        "message": "The server had an error processing your request.",
        "type": "server_error", "param": null, "code": null } });
    let rubbish = (Bytes::from_static(b"data: {\"id\": \"chatcmpl-\xff\xfe, \n\n"), event(&failed));
    let waits = house.clone();
    let body = streamed(house, Endpoint::Chat, harm, rubbish, async move |mut pipe| -> Result<(), Over> {
        waits.first(Endpoint::Chat).await;
        for (index, piece) in events.into_iter().enumerate() {
            if index > 0 {
                waits.next(Endpoint::Chat).await;
            }
            pipe.send(event(&piece)).await?;
        }
        pipe.send("data: [DONE]\n\n").await
    });
    Ok(with(StatusCode::OK, "text/event-stream; charset=utf-8", body))
}

/// One event of the stream.
fn event(value: &Value) -> Bytes {
    format!("data: {value}\n\n").into()
}

/// Refuses what the vendor refuses.
fn check(request: &Value) -> Result<(), Refusal> {
    let model = known(&request["model"], Endpoint::Chat)?;
    let reasons = model.starts_with("gpt-6") || model.starts_with("gpt-5");
    let effort = request["reasoning_effort"].as_str();
    if let Some(effort) = effort
        && !EFFORTS.contains(&effort)
    {
        let message = format!("Invalid value: '{effort}'. Supported values are: {EFFORTS:?}.");
        return Err(Refusal::field("reasoning_effort", message).coded("invalid_value"));
    }
    let tools = request["tools"].as_array().is_some_and(|tools| !tools.is_empty());
    if reasons && tools && effort != Some("none") {
        let message = format!(
            "Function tools with reasoning_effort are not supported for {model} in /v1/chat/completions. To use \
             function tools, use /v1/responses or set reasoning_effort to 'none'."
        );
        return Err(Refusal::field("reasoning_effort", message));
    }
    let given = |name: &str| !request[name].is_null();
    for name in ["temperature", "top_p", "logprobs"] {
        if reasons && effort != Some("none") && given(name) {
            let message = format!("Unsupported parameter: '{name}' is not supported with this model.");
            return Err(Refusal::field(name, message).coded("unsupported_parameter"));
        }
    }
    if reasons && given("max_tokens") {
        let message = "Unsupported parameter: 'max_tokens' is not supported with this model. Use \
                       'max_completion_tokens' instead.";
        return Err(Refusal::field("max_tokens", message).coded("unsupported_parameter"));
    }
    if given("stream_options") && request["stream"] != true {
        return Err(Refusal::field("stream_options", "'stream_options' is only allowed when 'stream' is enabled."));
    }
    if given("tool_choice") && !tools {
        return Err(Refusal::field("tool_choice", "'tool_choice' is only allowed when 'tools' are specified."));
    }
    messages(&request["messages"])
}

/// Refuses a history the vendor refuses: every tool call is answered right behind it, and nothing else is.
fn messages(messages: &Value) -> Result<(), Refusal> {
    let Some(messages) = messages.as_array().filter(|messages| !messages.is_empty()) else {
        return Err(Refusal::field("messages", "Invalid 'messages': empty array. Expected at least one message."));
    };
    let mut unanswered: Vec<&str> = Vec::new();
    for message in messages {
        let role = message["role"].as_str().unwrap_or_default();
        if role == "tool" {
            let id = message["tool_call_id"].as_str().unwrap_or_default();
            let Some(at) = unanswered.iter().position(|asked| *asked == id) else {
                let message = "Invalid parameter: messages with role 'tool' must be a response to a preceding message \
                               with 'tool_calls'.";
                return Err(Refusal::field("messages", message));
            };
            unanswered.remove(at);
            continue;
        }
        all_answered(&unanswered)?;
        if !["system", "developer", "user", "assistant"].contains(&role) {
            let message = format!(
                "Invalid value: '{role}'. Supported values are: 'system', 'assistant', 'user', 'developer' and 'tool'."
            );
            return Err(Refusal::field("messages", message).coded("invalid_value"));
        }
        let calls = message["tool_calls"].as_array();
        if message["content"].is_null() && calls.is_none_or(Vec::is_empty) {
            let message = "Invalid value for 'content': expected a string, got null.";
            return Err(Refusal::field("messages", message));
        }
        unanswered = calls.into_iter().flatten().filter_map(|call| call["id"].as_str()).collect();
    }
    all_answered(&unanswered)
}

fn all_answered(unanswered: &[&str]) -> Result<(), Refusal> {
    if unanswered.is_empty() {
        return Ok(());
    }
    let message = format!(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. \
         The following tool_call_ids did not have response messages: {}",
        unanswered.join(", ")
    );
    Err(Refusal::field("messages", message))
}

/// What the mind said, ready for the wire.
struct Answer {
    id: String,
    model: String,
    /// What was said, word by word.
    words: Vec<String>,
    /// Id, name, arguments.
    tools: Vec<(String, String, String)>,
    finish: &'static str,
    usage: Value,
    /// Random text for padding.
    padding: String,
}

impl Answer {
    fn new(house: &House, request: &Value) -> Self {
        let mut words = Vec::new();
        let mut tools = Vec::new();
        let mut finish = "stop";
        for event in mind::think(request, house.settings.language) {
            match event {
                LlmEvent::Words(text) => words.extend(text.split_inclusive(' ').map(str::to_string)),
                LlmEvent::Tool { name, arguments, .. } => tools.push((house.id("call_"), name, arguments)),
                LlmEvent::Done(Finish::Said) => finish = "stop",
                LlmEvent::Done(Finish::Tools) => finish = "tool_calls",
                LlmEvent::Done(Finish::Length) => finish = "length",
                LlmEvent::Done(Finish::Refused) => finish = "content_filter",
            }
        }
        // About four bytes a token, as with the real thing.
        let prompt = request["messages"].to_string().len() / 4;
        let answered =
            words.len() + tools.iter().map(|(_, name, arguments)| (name.len() + arguments.len()) / 4).sum::<usize>();
        let usage = json!({
            "prompt_tokens": prompt, "completion_tokens": answered, "total_tokens": prompt + answered,
            "prompt_tokens_details": { "cached_tokens": 0, "audio_tokens": 0 },
            "completion_tokens_details": { "reasoning_tokens": 0, "audio_tokens": 0,
                "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0 },
        });
        let model = format!("{}-2026-09-22", request["model"].as_str().unwrap_or_default());
        Self { id: house.id("chatcmpl-"), model, words, tools, finish, usage, padding: house.id("") }
    }

    fn text(&self) -> String {
        let tools = self.tools.iter().map(|(_, name, arguments)| format!("{name}({arguments})"));
        self.words.iter().cloned().chain(tools).collect()
    }

    /// The answer in one piece.
    fn whole(&self) -> Value {
        let text: String = self.words.concat();
        let content = if text.is_empty() { Value::Null } else { text.into() };
        let mut message = json!({ "role": "assistant", "content": content, "refusal": null, "annotations": [] });
        if !self.tools.is_empty() {
            let calls = self.tools.iter().map(|(id, name, arguments)| {
                json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments } })
            });
            message["tool_calls"] = calls.collect();
        }
        json!({
            "id": self.id, "object": "chat.completion", "created": 1_763_625_600, "model": self.model,
            "choices": [{ "index": 0, "message": message, "logprobs": null, "finish_reason": self.finish }],
            "usage": self.usage, "service_tier": "default", "system_fingerprint": null,
        })
    }

    /// The answer in events: the role, the words, the tools in fragments, the reason, the usage.
    fn events(&self, usage: bool, padded: bool) -> Vec<Value> {
        let mut deltas = Vec::new();
        let mut role = json!({ "role": "assistant" });
        if self.words.is_empty() && !self.tools.is_empty() {
            role["content"] = Value::Null;
        } else {
            role["content"] = "".into();
            role["refusal"] = Value::Null;
        }
        deltas.push(role);
        deltas.extend(self.words.iter().map(|word| json!({ "content": word })));
        for (index, (id, name, arguments)) in self.tools.iter().enumerate() {
            let opening = json!([{ "index": index, "id": id, "type": "function",
                                   "function": { "name": name, "arguments": "" } }]);
            // The first tool comes with the role when nothing was said.
            match deltas.as_mut_slice() {
                [only] if index == 0 && self.words.is_empty() => only["tool_calls"] = opening,
                _ => deltas.push(json!({ "tool_calls": opening })),
            }
            deltas.extend(
                fragments(arguments).into_iter().map(
                    |fragment| json!({ "tool_calls": [{ "index": index, "function": { "arguments": fragment } }] }),
                ),
            );
        }
        let mut events: Vec<Value> =
            deltas.into_iter().map(|delta| self.chunk(delta, Value::Null, usage, padded)).collect();
        events.push(self.chunk(json!({}), self.finish.into(), usage, padded));
        if usage {
            let mut last = self.chunk(json!({}), Value::Null, true, false);
            last["choices"] = json!([]);
            last["usage"] = self.usage.clone();
            events.push(last);
        }
        events
    }

    fn chunk(&self, delta: Value, finish: Value, usage: bool, padded: bool) -> Value {
        let mut chunk = Map::new();
        let mut put = |name: &str, value: Value| {
            chunk.insert(name.to_string(), value);
        };
        put("id", self.id.as_str().into());
        put("object", "chat.completion.chunk".into());
        put("created", 1_763_625_600.into());
        put("model", self.model.as_str().into());
        put("service_tier", "default".into());
        put("system_fingerprint", Value::Null);
        put("choices", json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish }]));
        if usage {
            put("usage", Value::Null);
        }
        if padded {
            put("obfuscation", self.padding.as_str().into());
        }
        Value::Object(chunk)
    }
}

/// A text in pieces, as a model writes it.
fn fragments(text: &str) -> Vec<&str> {
    let mut rest = text;
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let mut cut = FRAGMENT.min(rest.len());
        while !rest.is_char_boundary(cut) {
            cut += 1;
        }
        let (piece, after) = rest.split_at(cut);
        pieces.push(piece);
        rest = after;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut Value)) -> Option<String> {
        let mut request = json!({
            "model": "gpt-6-luna", "stream": true, "reasoning_effort": "none", "tool_choice": "auto",
            "tools": [{ "type": "function", "function": { "name": "book" } }],
            "messages": [
                { "role": "user", "content": "ciao" },
                { "role": "assistant", "content": null, "tool_calls": [{ "id": "a" }, { "id": "b" }] },
                { "role": "tool", "tool_call_id": "b", "content": "{}" },
                { "role": "tool", "tool_call_id": "a", "content": "{}" },
            ],
        });
        change(&mut request);
        check(&request).err().map(|refusal| format!("{refusal:?}"))
    }

    #[test]
    fn what_the_vendor_accepts_is_accepted() {
        assert_eq!(refused(|_| {}), None);
        assert_eq!(refused(|request| request["temperature"] = 0.3.into()), None);
        assert_eq!(refused(|request| request["model"] = "gpt-4o-mini".into()), None);
    }

    #[test]
    fn what_the_vendor_refuses_is_refused() {
        let refused = |change: &dyn Fn(&mut Value), expected: &str| {
            let said = refused(change).unwrap_or_else(|| panic!("accepted, though: {expected}"));
            assert!(said.contains(expected), "{said} is not about {expected}");
        };
        refused(&|request| drop(request.as_object_mut().unwrap().remove("reasoning_effort")), "'none'");
        refused(&|request| request["reasoning_effort"] = "low".into(), "'none'");
        refused(&|request| request["reasoning_effort"] = "minimal".into(), "Supported values");
        refused(&|request| request["model"] = "gpt-4-turbo".into(), "model_not_found");
        refused(&|request| request["model"] = "tts-1".into(), "not supported on this endpoint");
        refused(&|request| request["max_tokens"] = 100.into(), "max_completion_tokens");
        refused(&|request| request["messages"] = json!([]), "empty array");
        refused(&|request| drop(request["messages"].as_array_mut().unwrap().pop()), "response messages: a");
        refused(&|request| drop(request["messages"].as_array_mut().unwrap().remove(1)), "preceding message");
        refused(&|request| request["messages"][0]["role"] = "caller".into(), "Supported values");
        refused(&|request| request["messages"][0]["content"] = Value::Null, "content");
    }

    #[test]
    fn fragments_join_into_the_arguments() {
        let arguments = r#"{"name":"Nicolò","when":"2026-11-24T09:00"}"#;
        assert!(fragments(arguments).len() > 2);
        assert_eq!(fragments(arguments).concat(), arguments);
        assert!(fragments("").is_empty());
    }
}
