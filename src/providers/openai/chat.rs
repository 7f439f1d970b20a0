//! A question as Chat Completions reads it: the history turned into messages that every server accepts.

use serde_json::{Map, Value, json};

use super::{Dialect, OpenAiLlmSettings};
use crate::call::{Ask, Message, ToolAsk};

/// The body of a request.
pub(super) fn request(settings: &OpenAiLlmSettings, ask: &Ask) -> Value {
    let openai = settings.dialect() == Dialect::Openai;
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| {
        body.insert(name.to_string(), value);
    };
    put("model", settings.model.as_str().into());
    put("stream", true.into());
    put("messages", messages(ask, openai));
    if !ask.tools.is_empty() {
        let tools = ask.tools.iter().map(|tool| {
            json!({ "type": "function", "function": {
                "name": tool.name, "description": tool.description, "parameters": tool.parameters,
            }})
        });
        put("tools", tools.collect());
        put("tool_choice", "auto".into());
        put("parallel_tool_calls", true.into());
    }
    put("max_completion_tokens", settings.tokens_max.into());
    if openai {
        put("store", false.into());
        put("stream_options", json!({ "include_obfuscation": false }));
    } else {
        // Ollama knows only the old name; the others take either. OpenAI refuses both at once.
        put("max_tokens", settings.tokens_max.into());
    }
    if settings.reasoning_effort != "omit" {
        // OpenAI's newer models refuse tools unless it is there and says "none"; any other effort is too slow to talk.
        put("reasoning_effort", settings.reasoning_effort.as_str().into());
    }
    if let Some(temperature) = settings.temperature {
        put("temperature", temperature.into());
    }
    if let Some(verbosity) = &settings.verbosity {
        put("verbosity", verbosity.as_str().into());
    }
    if let Some(tier) = &settings.service_tier {
        put("service_tier", tier.as_str().into());
    }
    for (name, value) in &settings.extra {
        put(name, value.clone());
    }
    Value::Object(body)
}

/// The conversation as messages. Neighbours of one role are joined and every tool call gets its answer right behind
/// it, because servers refuse anything else.
fn messages(ask: &Ask, openai: bool) -> Value {
    let mut list = vec![json!({ "role": "system", "content": instructions(ask) })];
    for (at, message) in ask.messages.iter().enumerate() {
        match message {
            Message::Caller { text } => say(&mut list, "user", text),
            Message::Agent { text, interrupted, .. } => {
                say(&mut list, "assistant", &if *interrupted { format!("{text} …") } else { text.clone() });
            }
            Message::Asked { tools } if tools.is_empty() => {}
            Message::Asked { tools } => {
                let calls = tools.iter().map(|tool| {
                    json!({ "id": tool.id, "type": "function",
                            "function": { "name": tool.name, "arguments": arguments(tool) } })
                });
                let calls: Value = calls.collect();
                // What was said and what was asked in one answer are one message.
                match list.last_mut() {
                    Some(last) if last["role"] == "assistant" && last.get("tool_calls").is_none() => {
                        last["tool_calls"] = calls;
                    }
                    _ => list.push(json!({ "role": "assistant", "content": null, "tool_calls": calls })),
                }
                for tool in tools {
                    let content = outcome(&ask.messages[at + 1..], &tool.id);
                    list.push(json!({ "role": "tool", "tool_call_id": tool.id, "content": content }));
                }
            }
            // Stands behind its ask already.
            Message::Outcome { .. } => {}
            Message::Note { text } if openai => say(&mut list, "system", text),
            // Many chat templates take a system message only at the beginning.
            Message::Note { text } => say(&mut list, "user", &format!("[{text}]")),
        }
    }
    list.into()
}

/// Adds a text, joining it to a neighbour of the same role.
fn say(list: &mut Vec<Value>, role: &str, text: &str) {
    match list.last_mut() {
        Some(last) if last["role"] == role && last.get("tool_calls").is_none() && role != "system" => {
            let joined = format!("{}\n{text}", last["content"].as_str().unwrap_or_default());
            last["content"] = joined.into();
        }
        _ => list.push(json!({ "role": role, "content": text })),
    }
}

/// What a tool answered, wherever in the history its outcome came to stand.
fn outcome<'a>(later: &'a [Message], id: &str) -> &'a str {
    later
        .iter()
        .take_while(|message| !matches!(message, Message::Asked { tools } if tools.iter().any(|tool| tool.id == id)))
        .filter_map(|message| match message {
            Message::Outcome { id: answered, content: Some(content) } if answered == id => Some(content.as_str()),
            Message::Outcome { .. }
            | Message::Caller { .. }
            | Message::Agent { .. }
            | Message::Asked { .. }
            | Message::Note { .. } => None,
        })
        .last()
        .unwrap_or(r#"{"status":"pending"}"#)
}

/// The arguments as the model wrote them, unless they would make the server refuse the whole history.
fn arguments(tool: &ToolAsk) -> String {
    match serde_json::from_str::<Map<String, Value>>(&tool.arguments) {
        Ok(_) => tool.arguments.clone(),
        Err(_) => json!({ "unreadable": tool.arguments }).to_string(),
    }
}

/// The system prompt, then what it cannot know: the day, the hour, and who calls. The part that changes comes last, so
/// that the server's prompt cache keeps the rest.
fn instructions(ask: &Ask) -> String {
    let phrases = ask.language.phrases();
    let weekday = ask.now.weekday().to_monday_zero_offset() as usize;
    let weekday = phrases.list("providers.weekdays").nth(weekday).unwrap_or_default();
    let date = ask.now.strftime("%Y-%m-%d").to_string();
    let time = ask.now.strftime("%H:%M").to_string();
    let mut text = ask.instructions.to_string();
    text.push_str("\n\n");
    text.push_str(&phrases.fill("providers.now", &[("weekday", weekday), ("date", &date), ("time", &time)]));
    if let Some(number) = &ask.caller {
        text.push('\n');
        text.push_str(&phrases.fill("providers.caller", &[("number", number.reveal())]));
    }
    text
}

/// The sentences this room reads, for the test that every language has them.
#[cfg(test)]
pub(crate) const PHRASES: &[&str] = &["providers.weekdays", "providers.now", "providers.caller"];

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        call::{ToolKind, ToolSpec, Turn},
        language::Language,
    };

    fn ask(messages: Vec<Message>) -> Ask {
        Ask {
            turn: Turn(1),
            instructions: "Sei Anna.".into(),
            messages,
            tools: Arc::new([ToolSpec {
                name: "prenota".into(),
                description: "Prenota".into(),
                parameters: json!({ "type": "object" }),
                kind: ToolKind::Write,
            }]),
            now: "2026-11-20T09:05:00+01:00[Europe/Rome]".parse().unwrap(),
            language: Language::Italian,
            caller: Some("+393331234567".to_string().into()),
        }
    }

    fn settings(text: &str) -> OpenAiLlmSettings {
        let model = if text.contains("model =") { "" } else { "model = 'gpt-6-luna'\n" };
        toml::from_str(&format!("{model}{text}")).unwrap()
    }

    fn caller(text: &str) -> Message {
        Message::Caller { text: text.into() }
    }

    fn asked(id: &str, arguments: &str) -> ToolAsk {
        ToolAsk { id: id.into(), name: "prenota".into(), arguments: arguments.into() }
    }

    #[test]
    fn openai_and_the_compatible_servers_get_the_fields_they_accept() {
        let body = request(&settings(""), &ask(vec![]));
        assert_eq!(body["reasoning_effort"], "none");
        assert_eq!(body["stream"], true);
        assert_eq!(body["store"], false);
        assert!(body.get("max_tokens").is_none() && body["max_completion_tokens"].is_number());
        let body = request(
            &settings(
                "base_url = 'http://127.0.0.1:11434/v1'\nmodel = 'gpt-oss:20b'\nreasoning_effort = 'omit'\nextra = { top_k = 3 }",
            ),
            &ask(vec![]),
        );
        assert!(body.get("reasoning_effort").is_none() && body.get("store").is_none());
        assert!(body["max_tokens"].is_number());
        assert_eq!(body["top_k"], 3);
        // A proxy in front of OpenAI, and what the settings say in any case.
        let body = request(&settings("base_url = 'http://127.0.0.1:4000/v1'"), &ask(vec![]));
        assert!(body.get("max_tokens").is_none());
        let body = request(&settings("dialect = 'compatible'"), &ask(vec![]));
        assert!(body["max_tokens"].is_number());
    }

    #[test]
    fn the_model_knows_the_day_and_the_caller() {
        let body = request(&settings(""), &ask(vec![]));
        let text = body["messages"][0]["content"].as_str().unwrap();
        assert!(text.starts_with("Sei Anna.\n\n"), "{text}");
        for part in ["venerdì", "2026-11-20", "09:05", "+393331234567"] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
    }

    #[test]
    fn every_tool_call_is_answered_right_behind_it() {
        let list = messages(
            &ask(vec![
                caller("ciao"),
                caller("un tagliando"),
                Message::Agent { text: "Certo".into(), interrupted: false, estimated: false },
                Message::Asked { tools: vec![asked("a", "{}"), asked("b", "{\"x")] },
                Message::Outcome { id: "b".into(), content: None },
                caller("pronto?"),
                Message::Outcome { id: "a".into(), content: Some("fatto".into()) },
                Message::Agent { text: "Ecco".into(), interrupted: true, estimated: true },
                Message::Note { text: "tasto 1".into() },
            ]),
            true,
        );
        let expected = json!([
            { "role": "user", "content": "ciao\nun tagliando" },
            { "role": "assistant", "content": "Certo", "tool_calls": [
                { "id": "a", "type": "function", "function": { "name": "prenota", "arguments": "{}" } },
                { "id": "b", "type": "function",
                  "function": { "name": "prenota", "arguments": "{\"unreadable\":\"{\\\"x\"}" } },
            ]},
            { "role": "tool", "tool_call_id": "a", "content": "fatto" },
            { "role": "tool", "tool_call_id": "b", "content": "{\"status\":\"pending\"}" },
            { "role": "user", "content": "pronto?" },
            { "role": "assistant", "content": "Ecco …" },
            { "role": "system", "content": "tasto 1" },
        ]);
        assert_eq!(list.as_array().unwrap()[1..], expected.as_array().unwrap()[..]);
    }

    #[test]
    fn both_languages_have_the_sentences() {
        for language in [Language::Italian, Language::English] {
            for key in PHRASES {
                assert!(language.phrases().has(key), "{key} is missing in {}", language.code());
            }
            assert_eq!(language.phrases().list("providers.weekdays").count(), 7);
        }
    }
}
