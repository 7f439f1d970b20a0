//! The lab's mind: the built-in receptionist behind the wire of a language model.
//!
//! A chat request becomes an [`Ask`], as far as the wire carries one: what the gateway wrote into the system prompt
//! (the date, the hour, the caller's number) is read back out of it.

use std::sync::Arc;

use jiff::{Zoned, civil::DateTime, tz::TimeZone};
use serde_json::Value;

use crate::{
    call::{Ask, LlmEvent, Message, ToolAsk, ToolKind, ToolSpec, Turn},
    language::Language,
    privacy::Pii,
    providers::receptionist,
};

/// Answers a chat request that was found valid.
pub fn think(request: &Value, language: Language) -> Vec<LlmEvent> {
    receptionist::answer(&ask(request, language))
}

/// The request as the gateway had it.
fn ask(request: &Value, fallback: Language) -> Ask {
    let mut instructions = String::new();
    let mut messages = Vec::new();
    for message in request["messages"].as_array().into_iter().flatten() {
        let text = text(&message["content"]);
        match message["role"].as_str().unwrap_or_default() {
            // The first is the prompt; later ones are notes about the call.
            "system" | "developer" if instructions.is_empty() => instructions = text,
            "system" | "developer" => messages.push(Message::Note { text }),
            "user" => messages.push(Message::Caller { text }),
            "assistant" => {
                let interrupted = text.ends_with('…');
                let text = text.trim_end_matches(['…', ' ']).to_string();
                if !text.is_empty() {
                    messages.push(Message::Agent { text, interrupted, estimated: false });
                }
                let tools: Vec<ToolAsk> = message["tool_calls"].as_array().into_iter().flatten().map(tool).collect();
                if !tools.is_empty() {
                    messages.push(Message::Asked { tools });
                }
            }
            "tool" => messages.push(Message::Outcome {
                id: message["tool_call_id"].as_str().unwrap_or_default().to_string(),
                content: Some(text).filter(|text| !text.contains(r#""status":"pending""#)),
            }),
            _ => {}
        }
    }
    Ask {
        turn: Turn(messages.len() as u32),
        now: now(&instructions),
        language: language(&instructions).unwrap_or(fallback),
        caller: number(&instructions).map(Pii::new),
        instructions: instructions.into(),
        messages,
        tools: tools(request),
    }
}

/// A content: a string, or parts of which some are text.
fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join(" "),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
    }
}

fn tool(call: &Value) -> ToolAsk {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    ToolAsk {
        id: text(&call["id"]),
        name: text(&call["function"]["name"]),
        arguments: text(&call["function"]["arguments"]),
    }
}

fn tools(request: &Value) -> Arc<[ToolSpec]> {
    let tools = request["tools"].as_array().into_iter().flatten().map(|tool| {
        let function = &tool["function"];
        ToolSpec {
            name: function["name"].as_str().unwrap_or_default().to_string(),
            description: function["description"].as_str().unwrap_or_default().to_string(),
            parameters: function["parameters"].clone(),
            // The wire does not tell; the receptionist does not ask.
            kind: ToolKind::Write,
        }
    });
    tools.collect()
}

/// The shop's clock as the prompt tells it (`2026-11-20` ... `09:05`), or the real one.
fn now(prompt: &str) -> Zoned {
    let rome = || TimeZone::get("Europe/Rome").unwrap_or(TimeZone::UTC);
    let shaped = |piece: &&str, shape: &str| {
        piece.len() == shape.len()
            && piece.bytes().zip(shape.bytes()).all(|(a, b)| if b == b'0' { a.is_ascii_digit() } else { a == b })
    };
    // The last ones: the gateway writes its own behind the shop's prompt.
    let pieces = || prompt.split(|letter: char| !letter.is_ascii_digit() && letter != '-' && letter != ':').rev();
    let date = pieces().find(|piece| shaped(piece, "0000-00-00"));
    let time = pieces().find(|piece| shaped(piece, "00:00"));
    let told = date.zip(time).and_then(|(date, time)| format!("{date}T{time}").parse::<DateTime>().ok());
    told.and_then(|told| told.to_zoned(rome()).ok()).unwrap_or_else(|| Zoned::now().with_time_zone(rome()))
}

/// The caller's number, where the prompt tells it.
fn number(prompt: &str) -> Option<String> {
    prompt.split_whitespace().rev().find_map(|word| {
        let digits: String = word.strip_prefix('+')?.chars().take_while(char::is_ascii_digit).collect();
        (8..=15).contains(&digits.len()).then(|| format!("+{digits}"))
    })
}

/// The language of a text, by its small words; none when it has none.
pub fn language(text: &str) -> Option<Language> {
    const ITALIAN: &[&str] = &[
        "il",
        "lo",
        "gli",
        "di",
        "che",
        "è",
        "per",
        "un",
        "una",
        "alle",
        "del",
        "della",
        "sei",
        "sono",
        "non",
        "con",
        "sì",
        "buongiorno",
        "grazie",
        "va",
        "bene",
        "può",
        "la",
        "ha",
        "oggi",
        "domani",
    ];
    const ENGLISH: &[&str] = &[
        "the", "you", "are", "is", "of", "and", "to", "at", "for", "your", "with", "not", "yes", "good", "hello",
        "thank", "can", "it", "i", "that", "have", "would", "my", "today", "tomorrow",
    ];
    let (mut italian, mut english) = (0, 0);
    for word in text.split(|letter: char| !letter.is_alphabetic()).map(str::to_lowercase) {
        italian += usize::from(ITALIAN.contains(&word.as_str()));
        english += usize::from(ENGLISH.contains(&word.as_str()));
    }
    match italian.cmp(&english) {
        std::cmp::Ordering::Greater => Some(Language::Italian),
        std::cmp::Ordering::Less => Some(Language::English),
        std::cmp::Ordering::Equal => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_gateway_sent_comes_out_again() {
        let request = json!({ "messages": [
            { "role": "system", "content": "Sei la receptionist dell'officina, aperta dalle 08:00.\n\nOggi è venerdì 2026-11-20, ore 09:05.\nIl cliente chiama dal +393331234567." },
            { "role": "user", "content": [{ "type": "text", "text": "vorrei un tagliando" }] },
            { "role": "assistant", "content": "Controllo …", "tool_calls": [
                { "id": "a", "type": "function", "function": { "name": "find_slots", "arguments": "{}" } },
                { "id": "b", "type": "function", "function": { "name": "find_customer", "arguments": "{}" } } ] },
            { "role": "tool", "tool_call_id": "a", "content": "{\"slots\":[]}" },
            { "role": "tool", "tool_call_id": "b", "content": "{\"status\":\"pending\"}" },
        ], "tools": [{ "type": "function", "function": { "name": "find_slots", "parameters": { "type": "object" } } }] });
        let ask = ask(&request, Language::English);
        assert_eq!(ask.now.strftime("%Y-%m-%d %H:%M").to_string(), "2026-11-20 09:05");
        assert_eq!(ask.caller.as_ref().map(|number| number.reveal().as_str()), Some("+393331234567"));
        assert_eq!(ask.language, Language::Italian);
        assert_eq!(ask.tools[0].name, "find_slots");
        assert_eq!(ask.messages.len(), 5, "{:?}", ask.messages);
        assert!(matches!(&ask.messages[1], Message::Agent { text, interrupted: true, .. } if text == "Controllo"));
        assert!(matches!(&ask.messages[2], Message::Asked { tools } if tools.len() == 2));
        assert!(matches!(&ask.messages[3], Message::Outcome { content: Some(_), .. }));
        assert!(matches!(&ask.messages[4], Message::Outcome { content: None, .. }));
    }

    #[test]
    fn the_language_is_that_of_the_small_words() {
        assert_eq!(language("Buongiorno, va bene per domani?"), Some(Language::Italian));
        assert_eq!(language("Good morning, is it for tomorrow?"), Some(Language::English));
        assert_eq!(language("Fiat Panda 42"), None);
    }
}
