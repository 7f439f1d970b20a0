//! The platform: messages to a server URL, the call object, and the table of settings.

use std::time::Duration;

use pronto::{
    audio::Format,
    call::{CallReport, Interruption, Message, Settings, ToolAsk, TurnReport},
    privacy::Pii,
    transport::vapi::{EndedReason, Kind},
    vapi::{
        assistant::{ArtifactPlan, Assistant, Fitted, Shop, settings::TABLE},
        call::{
            Artifact, CallObject, Cost, Kind as CallKind, Monitor, Mono, Performance, Recording, Stamp, Status,
            SubscriptionLimits, TransportObject,
        },
        server_message::{
            ArgumentsForm, Began, Body, Destination, Envelope, Report, Request, Side, Source, ToolCalls, Transcript,
        },
    },
};
use serde_json::{Map, Value, json};

use super::checker::schema;

const ASSISTANT: &str = r#"{
    "name": "Officina Rossi", "firstMessage": "Buongiorno", "maxDurationSeconds": 600, "brandNew": {"x": 1},
    "model": {"provider": "custom-llm", "url": "https://llm.test", "model": "m", "tools": [{
        "type": "function", "async": false, "server": {"url": "https://shop.test", "secret": "s"},
        "function": {"name": "book", "description": "Prenota", "parameters": {"type": "object", "properties": {}}},
        "messages": [{"type": "request-start", "content": "Controllo.", "blocking": false}]}]}
}"#;

fn fitted() -> (Assistant, Fitted) {
    let assistant = Assistant::parse(ASSISTANT).unwrap();
    let variables = assistant.variables("2026-09-01T10:30[Europe/Rome]".parse().unwrap());
    let shop = Shop { call: &Settings::default(), greeting: "", instructions: "", records: false };
    let fitted = assistant.fit(&shop, &variables);
    (assistant, fitted)
}

fn ask() -> ToolAsk {
    ToolAsk { id: "call_7Hq2".into(), name: "book".into(), arguments: "{\"plate\":\"AB123CD\"}".into() }
}

fn artifact() -> Artifact {
    let ms = |ms| Some(Duration::from_millis(ms));
    let history = [
        Message::Agent { text: "Buongiorno!".into(), interrupted: false, estimated: true },
        Message::Caller { text: "Vorrei prenotare.".into() },
        Message::Asked { tools: vec![ask()] },
        Message::Outcome { id: "call_7Hq2".into(), content: Some("Prenotato.".into()) },
        Message::Outcome { id: "call_8".into(), content: None },
        Message::Note { text: "Tasti: 1234".into() },
    ];
    let turn = TurnReport {
        speech_end: ms(1_000),
        first_frame: ms(1_900),
        interruption: Some(Interruption { onset: Duration::ZERO, silent: Duration::ZERO, decided: Duration::ZERO }),
        ..TurnReport::default()
    };
    let report = CallReport { turns: vec![turn], ..CallReport::default() };
    let mono = Mono { combined_url: Some("https://f.test/m.wav".into()), ..Mono::default() };
    let stamp = Stamp { from: Duration::from_millis(4_120), until: Duration::from_millis(6_980) };
    let entries = history.iter().map(|message| (message, stamp));
    let mut artifact = Artifact::new(&ArtifactPlan::default(), "Sei la receptionist.", 1_788_251_396_000, entries)
        .measured(Performance::of(&report, 1))
        .recorded(Recording { stereo_url: Some("https://f.test/s.wav".into()), mono });
    artifact.variable_values.insert("shop".into(), "Officina Rossi".into());
    artifact
}

fn call(status: Status, ended_reason: Option<EndedReason>) -> CallObject {
    let at = "2026-09-01T08:30:00Z".parse().unwrap();
    let ended = status == Status::Ended;
    let map = |value: Value| value.as_object().cloned().unwrap();
    CallObject {
        id: "01993a1f-0d43-7aa0-8f5e-2a6f3c9f7b01".into(),
        org_id: "01990000-0000-7000-8000-000000000001".into(),
        kind: if status == Status::Ringing { CallKind::Inbound } else { CallKind::WebSocket },
        status,
        ended_reason,
        created_at: at,
        updated_at: at,
        started_at: ended.then_some(at),
        ended_at: ended.then_some(at),
        name: Some("collaudo".into()),
        assistant_id: Some("a1".into()),
        assistant: Some(Assistant::parse(ASSISTANT).unwrap().shown()),
        assistant_overrides: Some(Pii::new(map(json!({"variableValues": {"x": 1}})))),
        customer: Some(Pii::new(map(json!({"number": "+390612345678"})))),
        metadata: Some(Pii::new(Map::new())),
        transport: Some(TransportObject::websocket(Format::MULAW_PHONE, Some("wss://v.test/x?t=1".into()))),
        monitor: Monitor { listen_url: Some(Pii::new("wss://v.test/l".into())), control_url: None },
        artifact: ended.then(|| Pii::new(artifact())),
        cost: Cost,
        subscription_limits: Some(SubscriptionLimits::of(10, 1)),
    }
}

/// Every message to a server, and the call object in every state, with the definition it should fit.
pub(super) fn messages() -> Vec<(&'static str, Value)> {
    let (assistant, fitted) = fitted();
    let (shown, artifact, ask) = (assistant.shown(), artifact(), ask());
    let (number, sip) = (Destination::to("+390698765432"), Destination::to("sip:capo@example.it"));
    let asks = |form| Body::ToolCalls(ToolCalls::new([(&ask, &fitted.tools[0])], form));
    let at = Some("2026-09-01T08:30:05Z".parse().unwrap());
    let partial = Transcript::new(Side::User, false, "Buongiorno");
    let last = Transcript::new(Side::Assistant, true, "Certo.");
    let status = |status, ended_reason| Body::StatusUpdate { status, ended_reason, destination: None };
    let mut bodies = vec![
        ("ServerMessageAssistantRequest", Body::AssistantRequest {}),
        ("ServerMessageToolCalls", asks(ArgumentsForm::Object)),
        ("ServerMessageToolCalls", asks(ArgumentsForm::String)),
        ("ServerMessageStatusUpdate", status(Status::Queued, None)),
        ("ServerMessageStatusUpdate", status(Status::InProgress, None)),
        (
            "ServerMessageStatusUpdate",
            Body::StatusUpdate { status: Status::Forwarding, ended_reason: None, destination: Some(&sip) },
        ),
        (
            "ServerMessageConversationUpdate",
            Body::ConversationUpdate { messages: &artifact.messages, formatted: &artifact.formatted },
        ),
        ("ServerMessageTranscript", Body::Transcript(partial)),
        ("ServerMessageTranscript", Body::FinalTranscript(last)),
        ("ServerMessageSpeechUpdate", Body::SpeechUpdate { status: Began::Stopped, role: Side::User, turn: 1 }),
        ("ServerMessageModelOutput", Body::ModelOutput { output: "Certo. ", turn_id: Some("t-1".into()) }),
        ("ServerMessageVoiceInput", Body::VoiceInput { input: "Certo." }),
        ("ServerMessageUserInterrupted", Body::UserInterrupted { turn_id: Some("t-1".into()) }),
        ("ServerMessageHang", Body::Hang {}),
        // There is no definition of a server's: the client's has the same fields.
        ("ClientMessageAssistantStarted", Body::AssistantStarted { new_assistant: &shown }),
        ("ServerMessageAssistantSpeech", Body::SpeechStarted { text: "Certo.", turn: 1, source: Source::Model }),
        ("ServerMessageTransferUpdate", Body::TransferUpdate { destination: Some(&number) }),
        ("ServerMessageTransferDestinationRequest", Body::TransferDestinationRequest {}),
        ("ServerMessageCallEndpointingRequest", Body::EndpointingRequest { formatted: &artifact.formatted }),
        ("ServerMessagePhoneCallControl", Body::PhoneCallControl { request: Request::HangUp, destination: None }),
        (
            "ServerMessagePhoneCallControl",
            Body::PhoneCallControl { request: Request::Forward, destination: Some(&number) },
        ),
        ("ServerMessageLanguageChangeDetected", Body::LanguageChangeDetected { language: "en" }),
        ("ServerMessageCallDeleted", Body::CallDeleted {}),
        ("ServerMessageCallDeleteFailed", Body::CallDeleteFailed {}),
    ];
    for reason in EndedReason::ALL {
        bodies.push(("ServerMessageStatusUpdate", status(Status::Ended, Some(reason))));
        bodies.push(("ServerMessageEndOfCallReport", Body::EndOfCallReport(Report::new(reason, at, at, &artifact))));
    }
    let missing = Kind::ALL.iter().filter(|kind| bodies.iter().all(|(_, body)| body.kind() != **kind));
    assert_eq!(missing.collect::<Vec<_>>(), [&Kind::ToolCallsResult], "a type that is not written to a server");

    let (call_object, customer) = (call(Status::InProgress, None), Pii::new(Map::new()));
    let envelope = Envelope {
        timestamp: 1_788_251_396_120,
        call: Some(&call_object),
        assistant: Some(&shown),
        customer: Some(&customer),
        phone_number: None,
        artifact: Some(&artifact),
    };
    let unwrapped = |text: String| {
        let mut outer: Map<String, Value> = serde_json::from_str(&text).unwrap();
        let message = outer.remove("message").expect("webhooks have an envelope");
        assert!(outer.is_empty() && message["timestamp"].is_i64(), "{text}");
        message
    };
    let messages = bodies.into_iter().map(|(name, body)| (name, unwrapped(envelope.write(&body))));
    let calls = [Status::Queued, Status::Ringing, Status::InProgress, Status::Forwarding];
    let calls = calls.map(|status| call(status, None)).into_iter();
    let calls = calls.chain([call(Status::Ended, Some(EndedReason::CustomerEnded))]);
    messages.chain(calls.map(|call| ("Call", serde_json::to_value(call).unwrap()))).collect()
}

#[test]
fn every_field_of_an_assistant_is_in_the_table() {
    let Some(root) = schema() else { return };
    let listed = |field: &str| TABLE.iter().any(|row| row.field == field);
    let mut missing = Vec::new();
    for (definition, path) in [
        ("CreateAssistantDTO", ""),
        ("AssistantOverrides", ""),
        ("StartSpeakingPlan", "startSpeakingPlan."),
        ("TranscriptionEndpointingPlan", "startSpeakingPlan.transcriptionEndpointingPlan."),
        ("StopSpeakingPlan", "stopSpeakingPlan."),
        ("KeypadInputPlan", "keypadInputPlan."),
        ("Server", "server."),
        ("MonitorPlan", "monitorPlan."),
    ] {
        let fields = root["$defs"][definition]["properties"].as_object().expect("an object with fields");
        let fields = fields.keys().map(|name| format!("{path}{name}"));
        missing.extend(fields.filter(|field| !listed(field)));
    }
    assert_eq!(missing, [""; 0], "say in TABLE what becomes of them");
}

#[test]
fn the_examples_of_the_table_are_not_taken_for_unknown() {
    let Some(root) = schema() else { return };
    // An assistant with every field of the schema is told of each field that has no effect, and of none as unknown.
    let fields = root["$defs"]["CreateAssistantDTO"]["properties"].as_object().expect("an object with fields");
    let assistant: Map<_, _> = fields
        .iter()
        .map(|(name, schema)| {
            let value = match schema["type"].as_str() {
                Some("string") => schema["enum"][0].as_str().map_or(json!("testo"), |word| json!(word)),
                Some("number") => json!(60),
                Some("boolean") => json!(true),
                Some("array") => json!([]),
                _ => json!({}),
            };
            (name.clone(), value)
        })
        .collect();
    let assistant = Assistant::new(assistant).unwrap();
    let variables = assistant.variables("2026-09-01T10:30[Europe/Rome]".parse().unwrap());
    let shop = Shop { call: &Settings::default(), greeting: "", instructions: "", records: false };
    let fitted = assistant.fit(&shop, &variables);
    assert!(
        fitted.warnings.iter().all(|warning| !warning.contains("no setting that we know")),
        "{:?}",
        fitted.warnings
    );
    assert!(fitted.warnings.iter().any(|warning| warning.starts_with("voicemailMessage ")));
}
