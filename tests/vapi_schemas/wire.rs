//! The WebSocket: events to a client, controls to a platform.

use pronto::{
    audio::Format,
    transport::{
        Control, Dialect, Json, Message, Outgoing, Told, VapiClient, VapiServer,
        vapi::{EndedReason, Wanted},
    },
};
use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};

use super::checker::{check, schema};

fn conversation<'a>(formatted: &'a RawValue, messages: Option<&'a RawValue>) -> Told<'a> {
    Told::Conversation { formatted: Json::new(formatted), messages: messages.map(Json::new) }
}

/// Every event we can send, with the definition it should fit.
pub(super) fn events() -> Vec<(&'static str, Value)> {
    let written = |value: Value| to_raw_value(&value).unwrap();
    let said = written(json!([
        {"role": "system", "content": "Sei la receptionist."},
        {"role": "assistant", "content": null}
    ]));
    let minutes = written(json!([
        {"role": "system", "message": "Sei la receptionist.", "time": 1_788_251_396_000_i64, "secondsFromStart": 0.0},
        {
            "role": "user", "message": "Buongiorno.", "time": 1_788_251_400_120_i64, "endTime": 1_788_251_402_980_i64,
            "secondsFromStart": 4.12, "duration": 2_860
        }
    ]));
    let none = written(json!([]));
    let assistant = json!({"name": "A", "firstMessage": "Buongiorno."}).as_object().unwrap().clone();
    let mut all = vec![
        ("ServerMessageStatusUpdate", Told::InProgress),
        ("ClientMessageSpeechUpdate", Told::Speech { agent: false, started: true, turn: 0 }),
        ("ClientMessageSpeechUpdate", Told::Speech { agent: true, started: false, turn: 1 }),
        ("ClientMessageTranscript", Told::Transcript { agent: false, last: false, text: "Buongiorno" }),
        ("ClientMessageTranscript", Told::Transcript { agent: true, last: true, text: "Certo." }),
        ("ClientMessageConversationUpdate", conversation(&said, Some(&minutes))),
        ("ClientMessageConversationUpdate", conversation(&said, None)),
        ("ClientMessageConversationUpdate", conversation(&none, Some(&none))),
        ("ClientMessageAssistantStarted", Told::AssistantStarted { assistant: &assistant }),
        ("ClientMessageModelOutput", Told::ModelOutput { text: "Certo. ", turn: 1 }),
        ("ClientMessageVoiceInput", Told::VoiceInput { text: "Certo.", turn: 1 }),
        ("ClientMessageUserInterrupted", Told::Interrupted { turn: 1 }),
        ("ClientMessageToolCalls", Told::ToolCall { id: "call_7", name: "book", arguments: "{\"plate\":\"AB123CD\"}" }),
        ("ClientMessageToolCalls", Told::ToolCall { id: "call_8", name: "book", arguments: "not an object" }),
        ("ClientMessageToolCallsResult", Told::ToolResult { id: "call_7", name: "book", result: "Prenotato." }),
        ("ClientMessageTransferUpdate", Told::Transfer { to: "+390698765432" }),
        ("ClientMessageTransferUpdate", Told::Transfer { to: "sip:officina@example.it" }),
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
        "assistant.started",
        "transfer-update",
    ];
    let mut server = VapiServer::new(Format::PCM_WIDE, "01993a1f").telling(Wanted::only(names));
    let sent = |(name, told)| match server.send(Outgoing::Event(told), 1_788_251_396_120) {
        Some(Message::Text(json)) => (name, serde_json::from_str(json).unwrap()),
        other => panic!("{name}: {other:?}"),
    };
    all.into_iter().map(sent).collect()
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
