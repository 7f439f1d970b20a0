//! What we tell a Vapi client against Vapi's published schema.
//!
//! The schema is Vapi's own and not part of this repository. It is read from `PRONTO_VAPI_SCHEMAS`, or from
//! `../shared/protocols/vapi-schemas.json` beside the checkout; where it is in neither place these tests say so and
//! check nothing.
#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::{fs, path::Path};

use pronto::{
    audio::Format,
    transport::{
        Control, Dialect, Message, Outgoing, Told, VapiClient, VapiServer,
        vapi::{EndedReason, Wanted},
    },
};
use serde_json::{Value, json};

/// Where the wire differs from the published schema, and our messages with it. Definition, path of the field, and why.
const EXCEPTIONS: [(&str, &str, &str); 3] = [
    ("ClientMessageModelOutput", "/output", "an object in the schema; live streams carry the words as a string"),
    (
        "ClientMessageToolCalls",
        "/toolCallList/0/function/arguments",
        "a string in the schema; live streams carry the object",
    ),
    (
        "ClientMessageToolCalls",
        "/toolWithToolCallList/0/toolCall/function/arguments",
        "a string in the schema; live streams carry the object",
    ),
];

/// The schema, where it is.
fn schema() -> Option<Value> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/protocols/vapi-schemas.json");
    let path = std::env::var_os("PRONTO_VAPI_SCHEMAS").map_or(beside, Into::into);
    let Ok(text) = fs::read_to_string(&path) else {
        #[expect(clippy::print_stderr, reason = "a test that checks nothing must say so")]
        {
            eprintln!("{} is absent: nothing is checked against Vapi's schema", path.display());
        }
        return None;
    };
    Some(serde_json::from_str(&text).expect("the schema is JSON"))
}

/// What of a value does not fit a schema: the paths of the fields with the reason. Knows the words the file uses.
fn faults(root: &Value, schema: &Value, value: &Value, path: &str, into: &mut Vec<(String, String)>) {
    let mut fault = |why: String| into.push((path.to_owned(), why));
    if let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.strip_prefix('#').expect("a reference into the same file");
        let target = root.pointer(pointer).unwrap_or_else(|| panic!("{reference} leads nowhere"));
        return faults(root, target, value, path, into);
    }
    let is = |name: &str| match name {
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "null" => value.is_null(),
        other => panic!("a type called {other}"),
    };
    let (one, several) = (schema["type"].as_str(), schema["type"].as_array());
    let mut types = one.into_iter().chain(several.into_iter().flatten().map(|name| name.as_str().unwrap())).peekable();
    if types.peek().is_some() && !types.any(is) {
        return fault(format!("is not {}", schema["type"]));
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        return fault(format!("{value} is not among the {} allowed", allowed.len()));
    }
    if let Some(text) = value.as_str() {
        let chars = text.chars().count() as u64;
        if schema["maxLength"].as_u64().is_some_and(|max| chars > max) {
            fault(format!("is longer than {}", schema["maxLength"]));
        }
        if schema["minLength"].as_u64().is_some_and(|min| chars < min) {
            fault(format!("is shorter than {}", schema["minLength"]));
        }
    }
    if let Some(number) = value.as_f64() {
        if schema["maximum"].as_f64().is_some_and(|max| number > max) {
            fault(format!("is over {}", schema["maximum"]));
        }
        if schema["minimum"].as_f64().is_some_and(|min| number < min) {
            fault(format!("is under {}", schema["minimum"]));
        }
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        if value.is_object() && value.get(name.as_str().unwrap()).is_none() {
            fault(format!("has no {name}"));
        }
    }
    if let (Some(known), Some(fields)) = (schema["properties"].as_object(), value.as_object()) {
        for (name, field) in fields {
            if let Some(known) = known.get(name) {
                faults(root, known, field, &format!("{path}/{name}"), into);
            }
        }
    }
    if let (Some(items), Some(values)) = (schema.get("items"), value.as_array()) {
        for (at, value) in values.iter().enumerate() {
            faults(root, items, value, &format!("{path}/{at}"), into);
        }
    }
    for (word, all) in [("allOf", true), ("anyOf", false), ("oneOf", false)] {
        let Some(choices) = schema[word].as_array() else { continue };
        let tried: Vec<_> = choices
            .iter()
            .map(|choice| {
                let mut found = Vec::new();
                faults(root, choice, value, path, &mut found);
                found
            })
            .collect();
        // Where no choice fits, the faults of the best one are told.
        if all {
            into.extend(tried.into_iter().flatten());
        } else if let Some(best) = tried.into_iter().min_by_key(Vec::len) {
            into.extend(best);
        }
    }
}

fn check(root: &Value, name: &str, value: &Value) -> Vec<(String, String)> {
    let definition = &root["$defs"][name];
    assert!(definition.is_object(), "{name} is not in the schema");
    let mut found = Vec::new();
    faults(root, definition, value, "", &mut found);
    found
}

/// Every event we can send, with the definition it should fit.
fn events() -> Vec<(&'static str, Value)> {
    let said = [("system", "Sei la receptionist.".to_owned()), ("user", "Buongiorno.".to_owned())];
    let mut all = vec![
        ("ServerMessageStatusUpdate", Told::InProgress),
        ("ClientMessageSpeechUpdate", Told::Speech { agent: false, started: true, turn: 0 }),
        ("ClientMessageSpeechUpdate", Told::Speech { agent: true, started: false, turn: 1 }),
        ("ClientMessageTranscript", Told::Transcript { agent: false, last: false, text: "Buongiorno" }),
        ("ClientMessageTranscript", Told::Transcript { agent: true, last: true, text: "Certo." }),
        ("ClientMessageConversationUpdate", Told::Conversation(&said)),
        ("ClientMessageConversationUpdate", Told::Conversation(&[])),
        ("ClientMessageModelOutput", Told::ModelOutput { text: "Certo. ", turn: 1 }),
        ("ClientMessageVoiceInput", Told::VoiceInput { text: "Certo.", turn: 1 }),
        ("ClientMessageUserInterrupted", Told::Interrupted { turn: 1 }),
        ("ClientMessageToolCalls", Told::ToolCall { id: "call_7", name: "book", arguments: "{\"plate\":\"AB123CD\"}" }),
        ("ClientMessageToolCalls", Told::ToolCall { id: "call_8", name: "book", arguments: "not an object" }),
        ("ClientMessageToolCallsResult", Told::ToolResult { id: "call_7", name: "book", result: "Prenotato." }),
        ("ClientMessageHang", Told::Late),
    ];
    all.extend(EndedReason::ALL.map(|reason| ("ServerMessageStatusUpdate", Told::Ended { reason: reason.as_str() })));
    let names = [
        "status-update",
        "speech-update",
        "transcript",
        "conversation-update",
        "model-output",
        "voice-input",
        "user-interrupted",
        "tool-calls",
        "tool-calls-result",
        "hang",
    ];
    let mut server = VapiServer::new(Format::PCM_WIDE, "01993a1f").telling(Wanted::only(names));
    let written = |(name, told)| match server.send(Outgoing::Event(told), 1_788_251_396_120) {
        Some(Message::Text(json)) => (name, serde_json::from_str(json).unwrap()),
        other => panic!("{name}: {other:?}"),
    };
    all.into_iter().map(written).collect()
}

#[test]
fn every_event_fits_the_schema_but_for_the_known_exceptions() {
    let Some(root) = schema() else { return };
    let mut used = [false; EXCEPTIONS.len()];
    for (name, event) in events() {
        for (path, why) in check(&root, name, &event) {
            let known = EXCEPTIONS.iter().position(|exception| (exception.0, exception.1) == (name, path.as_str()));
            let known = known.unwrap_or_else(|| panic!("{name}{path} {why}: {event}"));
            used[known] = true;
        }
    }
    assert_eq!(used, [true; EXCEPTIONS.len()], "an exception that nothing needs any more");
}

#[test]
fn every_ended_reason_is_one_of_vapis() {
    let Some(root) = schema() else { return };
    let known = root["$defs"]["EndedReason"]["enum"].as_array().expect("a list of reasons");
    for reason in EndedReason::ALL {
        assert!(known.contains(&json!(reason.as_str())), "{reason:?}");
    }
}

#[test]
fn every_control_we_send_fits_the_schema() {
    let Some(root) = schema() else { return };
    let transfer = |to: &str, say: Option<&str>| Control::Transfer { to: to.into(), say: say.map(Into::into) };
    let mut client = VapiClient::new(Format::PCM_WIDE, "c1");
    for (name, control) in [
        (
            "ClientInboundMessageSay",
            Control::Say { text: "ciao".into(), now: true, interruptible: true, then_end: false },
        ),
        (
            "ClientInboundMessageAddMessage",
            Control::AddMessage { role: "system".into(), text: "nota".into(), respond: false },
        ),
        ("ClientInboundMessageControl", Control::MuteAgent(true)),
        ("ClientInboundMessageControl", Control::MuteAgent(false)),
        ("ClientInboundMessageControl", Control::MuteCaller(true)),
        ("ClientInboundMessageControl", Control::MuteCaller(false)),
        ("ClientInboundMessageControl", Control::SayFirstMessage),
        ("ClientInboundMessageTransfer", transfer("+390612345678", Some("La passo."))),
        ("ClientInboundMessageTransfer", transfer("sip:capo@example.it", None)),
        ("ClientInboundMessageEndCall", Control::End),
    ] {
        let Some(Message::Text(json)) = client.send(Outgoing::Control(&control), 0) else { panic!("{control:?}") };
        let json = serde_json::from_str(json).unwrap();
        assert_eq!(check(&root, name, &json), [], "{json}");
    }
}

#[test]
fn the_checker_finds_faults() {
    let root = json!({"$defs":{
        "Word": {"type":"string","enum":["a","b"]},
        "Thing": {
            "type":"object","required":["word","size"],
            "properties":{
                "word":{"$ref":"#/$defs/Word"},
                "size":{"type":["number","null"],"minimum":1,"maximum":9},
                "name":{"type":"string","minLength":1,"maxLength":3},
                "list":{"type":"array","items":{"anyOf":[{"$ref":"#/$defs/Word"},{"type":"object","required":["x"]}]}},
                "both":{"allOf":[{"type":"string"},{"maxLength":1}]},
            },
        },
    }});
    let paths = |value: Value| check(&root, "Thing", &value).into_iter().map(|(path, _)| path).collect::<Vec<_>>();
    let none: [&str; 0] = [];
    assert_eq!(paths(json!({"word":"a","size":null,"name":"abc","list":["b",{"x":1}],"both":"c","more":1})), none);
    assert_eq!(paths(json!({"word":"c","size":0})), ["/size", "/word"]);
    assert_eq!(paths(json!({"word":"a","size":10,"name":""})), ["/name", "/size"]);
    assert_eq!(paths(json!({"word":"a"})), [""]);
    assert_eq!(paths(json!({"word":"a","size":1,"list":[7,{}],"both":"cc"})), ["/both", "/list/0", "/list/1"]);
    assert_eq!(paths(json!("a")), [""]);
}
