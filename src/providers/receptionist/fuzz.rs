//! Arbitrary histories, as another model and a hostile desk could have made them.

use std::collections::HashSet;

use arbitrary::{Result, Unstructured};
use jiff::civil::date;

use super::answer;
use crate::{
    call::{Ask, Finish, LlmEvent, Message, ToolAsk, ToolKind, ToolSpec, Turn},
    language::Language,
    privacy::Pii,
};

/// Answers an arbitrary history and checks what must hold of every answer.
pub fn fuzz(data: &[u8]) {
    let Ok(ask) = arbitrary_ask(&mut Unstructured::new(data)) else { return };
    let events = answer(&ask);
    assert!(matches!(events.last(), Some(LlmEvent::Done(_))), "the end is missing");
    let ends = events.iter().filter(|event| matches!(event, LlmEvent::Done(_))).count();
    assert_eq!(ends, 1, "ends once");
    let mut ids = HashSet::new();
    for event in &events {
        match event {
            LlmEvent::Tool { id, name, arguments } => {
                assert!(ids.insert(id), "an id twice");
                assert!(ask.tools.iter().any(|tool| tool.name == *name), "a tool that was not offered");
                assert!(serde_json::from_str::<serde_json::Value>(arguments).is_ok_and(|value| value.is_object()));
            }
            LlmEvent::Words(words) => assert!(!words.is_empty(), "empty words"),
            LlmEvent::Done(finish) => {
                let tools = events.iter().any(|event| matches!(event, LlmEvent::Tool { .. }));
                assert_eq!(*finish == Finish::Tools, tools, "the end says whether tools were asked for");
            }
        }
    }
}

const TOOLS: [&str; 8] = [
    "find_slots",
    "book_appointment",
    "find_appointments",
    "move_appointment",
    "cancel_appointment",
    "take_message",
    "transfer_to_human",
    "end_call",
];

/// Pieces a random history is built of, so that it reaches further than noise does.
const SAID: [&str; 24] = [
    "sì",
    "no",
    "tagliando",
    "martedì alle nove",
    "AB123CD",
    "mi chiamo Mario Rossi",
    "vorrei spostare l'appuntamento",
    "annullare",
    "un messaggio",
    "il primo",
    "arrivederci",
    "333 1234567",
    "non lo so",
    "come?",
    "un attimo",
    "anzi no",
    "Confermo?",
    "Mi dice la targa?",
    "Quale preferisce?",
    "Le serve altro?",
    "A che nome?",
    "Per quando?",
    "È ancora in linea?",
    "Quale di questi?",
];

const OUTCOMES: [&str; 8] = [
    r#"{"ok":true,"slots":[{"start":"2026-04-14T09:00","say":"x"},{"start":"2026-04-14T10:00","say":"y"}]}"#,
    r#"{"ok":true,"slots":[]}"#,
    r#"{"ok":true,"id":"A1","start":"2026-04-14T09:00","service":"tagliando","say":"x"}"#,
    r#"{"ok":true,"appointments":[{"id":"A1","service":"tagliando","start":"2026-04-14T09:00","say":"x"}]}"#,
    r#"{"ok":true,"appointments":[{"id":1,"start":"bad"},{"id":2},{}]}"#,
    r#"{"ok":false,"error":"slot_taken","alternatives":[{"start":"2026-04-14T11:00","say":"z"}]}"#,
    r#"{"ok":false,"error":"not_found"}"#,
    "[]",
];

fn arbitrary_ask(u: &mut Unstructured<'_>) -> Result<Ask> {
    let mut messages = Vec::new();
    for _ in 0..u.int_in_range(0..=24)? {
        let text = arbitrary_text(u)?;
        match u.int_in_range(0..=4)? {
            0 | 1 => messages.push(Message::Caller { text }),
            2 => messages.push(Message::Agent { text, interrupted: u.arbitrary()?, estimated: false }),
            3 => {
                let name = u.choose(&TOOLS)?.to_string();
                let id = format!("{}-{}", messages.len(), name);
                let arguments = u.choose(&[
                    r#"{"service":"tagliando","date":"2026-04-14"}"#,
                    r#"{"service":"x","start":"2026-04-14T09:00","name":"R","plate":"AB123CD","phone":"1","id":"A1"}"#,
                    "{}",
                    "garbage",
                ])?;
                messages.push(Message::Asked {
                    tools: vec![ToolAsk { id: id.clone(), name, arguments: (*arguments).into() }],
                });
                let content = if u.arbitrary()? { Some(u.choose(&OUTCOMES)?.to_string()) } else { None };
                messages.push(Message::Outcome { id, content });
            }
            _ => messages.push(Message::Note { text }),
        }
    }
    let mut tools = Vec::new();
    for name in TOOLS {
        if u.arbitrary()? {
            let parameters = serde_json::json!({"properties": {"service": {"enum": ["tagliando", 3, null]}}});
            tools.push(ToolSpec { name: name.into(), description: String::new(), parameters, kind: ToolKind::Write });
        }
    }
    let clock = date(2026, 4, 9).at(9, 0, 0, 0);
    Ok(Ask {
        turn: Turn(1),
        instructions: "".into(),
        messages,
        tools: tools.into(),
        now: clock.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| arbitrary::Error::IncorrectFormat)?,
        language: if u.arbitrary()? { Language::Italian } else { Language::English },
        caller: u.arbitrary::<bool>()?.then(|| Pii::new("+393331234567".to_string())),
    })
}

fn arbitrary_text(u: &mut Unstructured<'_>) -> Result<String> {
    if u.ratio(1, 4)? {
        return u.arbitrary();
    }
    let mut text = String::new();
    for _ in 0..u.int_in_range(1..=3)? {
        text.push_str(u.choose(&SAID)?);
        text.push(' ');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_histories() {
        let mut seed = 0x2545_F491_4F6C_DD1D_u64;
        for _ in 0..3000 {
            let data: Vec<u8> = (0..256)
                .map(|_| {
                    seed ^= seed << 13;
                    seed ^= seed >> 7;
                    seed ^= seed << 17;
                    seed.to_le_bytes()[3]
                })
                .collect();
            fuzz(&data);
        }
    }
}
