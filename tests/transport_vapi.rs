//! Vapi's WebSocket transport: what clients say, what they are told, formats, and both ends against each other.
#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

use pronto::{
    audio::{Codec, Format, Line, Rate},
    transport::{
        AUDIO_BYTES_MAX, Control, Dialect, Incoming, Json, Message, Outgoing, PeerEvent, Started, TEXT_BYTES_MAX, Told,
        Transport, TransportError, VapiClient, VapiServer,
        vapi::{Wanted, parse_control, parse_format, parse_format_pairs},
    },
};
use proptest::prelude::*;
use serde_json::{Value, json, value::to_raw_value};

fn server() -> VapiServer {
    VapiServer::new(Format::PCM_WIDE, "c1")
}

/// What one text message means to a call that has just begun.
fn read(json: &str) -> Incoming<'static> {
    match server().receive(Message::Text(json)) {
        Ok(Incoming::Control(control)) => Incoming::Control(control),
        Ok(Incoming::Ignored(why)) => Incoming::Ignored(why),
        other => panic!("{json}: {other:?}"),
    }
}

fn say(text: &str) -> Control {
    Control::Say { text: text.into(), now: false, interruptible: true, then_end: false }
}

#[test]
fn the_stream_begins_with_the_connection() {
    let started = Started { call: "c1".into(), stream: "c1".into(), ..Started::default() };
    assert_eq!(server().start(), Some(started.clone()));
    assert_eq!(Transport::from(VapiClient::new(Format::PCM_WIDE, "c1")).start(), Some(started));
    assert_eq!(Transport::from(server()).line(), Line::vapi(Format::PCM_WIDE));
}

#[test]
fn what_the_official_tester_sends_is_understood() {
    let recorded = [
        (
            r#"{"type":"say","content":"ciao","endCallAfterSpoken":false,"interruptAssistantEnabled":false}"#,
            say("ciao"),
        ),
        (
            r#"{"type":"add-message","message":{"role":"user","content":"x"},"triggerResponseEnabled":true}"#,
            Control::AddMessage { role: "user".into(), text: "x".into(), respond: true },
        ),
        (r#"{"type":"control","control":"mute-assistant"}"#, Control::MuteAgent(true)),
        (r#"{"type":"end-call"}"#, Control::End),
    ];
    let mut server = server();
    for (json, control) in recorded {
        assert_eq!(server.receive(Message::Text(json)), Ok(Incoming::Control(control)));
    }
}

#[test]
fn every_control_is_understood_in_every_spelling() {
    let transfer = |to: &str, say: Option<&str>| Control::Transfer { to: to.into(), say: say.map(Into::into) };
    let note = |respond| Control::AddMessage { role: "system".into(), text: "targa AB123CD".into(), respond };
    for (json, control) in [
        (
            json!({"type":"say","content":"a","interruptAssistantEnabled":true,"interruptionsEnabled":false,"endCallAfterSpoken":true}),
            Control::Say { text: "a".into(), now: true, interruptible: false, then_end: true },
        ),
        (json!({"type":"say","message":"web"}), say("web")),
        (json!({"type":"say","content":null,"message":"web"}), say("web")),
        (
            json!({"type":"say","content":"a","endCallAfterSpoken":null,"interruptionsEnabled":"?","extra":[{}]}),
            say("a"),
        ),
        (json!({"type":"say","endCallAfterSpoken":true}), Control::End),
        (json!({"message":{"type":"say","content":"wrapped"}}), say("wrapped")),
        (json!({"type":"add-message","message":{"role":"system","content":"targa AB123CD"}}), note(true)),
        (
            json!({"type":"add-message","message":{"role":"system","content":"targa AB123CD","x":1},"triggerResponseEnabled":false}),
            note(false),
        ),
        (json!({"message":{"type":"add-message","message":{"role":"system","content":"targa AB123CD"}}}), note(true)),
        (json!({"type":"control","control":"mute-assistant"}), Control::MuteAgent(true)),
        (json!({"type":"control","control":"unmute-assistant"}), Control::MuteAgent(false)),
        (json!({"type":"control","control":"mute-customer"}), Control::MuteCaller(true)),
        (json!({"type":"control","control":"unmute-customer"}), Control::MuteCaller(false)),
        (json!({"type":"control","control":"say-first-message"}), Control::SayFirstMessage),
        (json!({"type":"end-call"}), Control::End),
        (json!({"type":"hangup"}), Control::End),
        (
            json!({"type":"transfer","destination":{"type":"number","number":"+390612345678","message":"La passo."}}),
            transfer("+390612345678", Some("La passo.")),
        ),
        (
            json!({"type":"transfer","destination":{"type":"number","number":"+39061","message":"a"},"content":"b"}),
            transfer("+39061", Some("b")),
        ),
        (
            json!({"type":"transfer","destination":{"type":"sip","sipUri":"sip:capo@example.it"}}),
            transfer("sip:capo@example.it", None),
        ),
        (json!({"type":"handoff","destination":{"type":"number","number":"+39061"}}), transfer("+39061", None)),
    ] {
        assert_eq!(read(&json.to_string()), Incoming::Control(control), "{json}");
    }
}

#[test]
fn what_is_not_understood_is_counted_and_never_an_error() {
    for (json, why) in [
        ("", "malformed control"),
        ("{", "malformed control"),
        ("7", "malformed control"),
        (r#"{"type":"say","type":"say"}"#, "malformed control"),
        (r#"["end-call"]"#, "malformed control"),
        (r#"{"message":["end-call"]}"#, "malformed control"),
        (r#"{"type":"add-message","message":["user","x"]}"#, "add-message without a message"),
        (r#"{"type":"transfer","destination":["+39061"]}"#, "a transfer without a destination"),
        ("{}", "a control without a type"),
        (r#"{"type":5}"#, "a control without a type"),
        (r#"{"type":"warp"}"#, "unknown control"),
        (r#"{"type":"say"}"#, "say without a text"),
        (r#"{"type":"say","content":"  "}"#, "say without a text"),
        (r#"{"type":"say","content":{"a":1}}"#, "say without a text"),
        (r#"{"type":"add-message"}"#, "add-message without a message"),
        (r#"{"type":"add-message","message":"x"}"#, "add-message without a message"),
        (r#"{"type":"add-message","message":{"role":"user"}}"#, "add-message without a text"),
        (r#"{"type":"add-message","message":{"content":"x"}}"#, "add-message without a role"),
        (r#"{"type":"control","control":"self-destruct"}"#, "unknown switch"),
        (r#"{"type":"control"}"#, "unknown switch"),
        (r#"{"type":"transfer"}"#, "a transfer without a destination"),
        (
            r#"{"type":"handoff","destination":{"type":"assistant","assistantName":"x"}}"#,
            "a transfer to neither a number nor a SIP address",
        ),
        (
            r#"{"type":"send-transport-message","message":{"transport":"twilio","twiml":"<Say/>"}}"#,
            "a message for another transport",
        ),
    ] {
        assert_eq!(read(json), Incoming::Ignored(why), "{json}");
    }
    let deep = "[".repeat(100_000);
    assert!(matches!(read(&deep), Incoming::Ignored(_)));
    assert!(matches!(read(&format!(r#"{{"type":"warp","x":{deep}"#)), Incoming::Ignored(_)));
}

#[test]
fn the_control_url_has_the_words_of_the_socket() {
    assert_eq!(parse_control(r#"{"type":"say","content":"ciao"}"#), Ok(say("ciao")));
    assert_eq!(parse_control(r#"{"type":"warp"}"#), Err("unknown control"));
    assert_eq!(parse_control(&" ".repeat(TEXT_BYTES_MAX + 1)), Err("a control over 1 MiB"));
}

#[test]
fn nothing_is_asked_after_the_end() {
    let mut server = server();
    assert_eq!(server.receive(Message::Text(r#"{"type":"hangup"}"#)), Ok(Incoming::Control(Control::End)));
    let after = server.receive(Message::Text(r#"{"type":"say","content":"ancora"}"#));
    assert_eq!(after, Ok(Incoming::Ignored("a control after the end of the call")));
    assert!(matches!(server.receive(Message::Binary(&[0, 0])), Ok(Incoming::Audio { .. })), "audio still flows");
}

#[test]
fn audio_of_any_length_is_audio() {
    let mut server = server();
    for bytes in [1usize, 2, 159, 640, 2048, 1_000_001, AUDIO_BYTES_MAX] {
        let audio = vec![7u8; bytes];
        match server.receive(Message::Binary(&audio)) {
            Ok(Incoming::Audio { payload, media_time: None, sequence: None }) => assert_eq!(payload, audio),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(server.receive(Message::Binary(&[])), Ok(Incoming::Ignored("empty audio")));
}

#[test]
fn a_message_over_the_limit_is_refused() {
    let (audio, text) = (vec![0; AUDIO_BYTES_MAX + 1], " ".repeat(TEXT_BYTES_MAX + 1));
    let too_long = |bytes, max| Err(TransportError::TooLong { bytes, max });
    let (audio, text) = (Message::Binary(&audio), Message::Text(&text));
    let mut client = VapiClient::new(Format::PCM_WIDE, "c1");
    assert_eq!(server().receive(audio), too_long(AUDIO_BYTES_MAX + 1, AUDIO_BYTES_MAX));
    assert_eq!(client.receive(audio), too_long(AUDIO_BYTES_MAX + 1, AUDIO_BYTES_MAX));
    assert_eq!(server().receive(text), too_long(TEXT_BYTES_MAX + 1, TEXT_BYTES_MAX));
    assert_eq!(client.receive(text), too_long(TEXT_BYTES_MAX + 1, TEXT_BYTES_MAX));
}

fn format(codec: Codec, hz: u32) -> Format {
    Format { codec, rate: Rate::new(hz).unwrap() }
}

#[test]
fn formats_are_read_as_every_sdk_writes_them() {
    for (asked, read) in [
        (json!(null), Format::PCM_WIDE),
        (json!({}), Format::PCM_WIDE),
        (json!({"format":"pcm_s16le","container":"raw","sampleRate":16000}), Format::PCM_WIDE),
        (json!({"sampleRate":16000.0,"format":"pcm_s16le","container":"raw"}), Format::PCM_WIDE),
        (json!({"format":"mulaw"}), Format::MULAW_PHONE),
        (json!({"format":"mulaw","container":"raw","sampleRate":8000}), Format::MULAW_PHONE),
        (json!({"format":"mulaw","sampleRate":16000}), format(Codec::Mulaw, 16_000)),
        (json!({"sampleRate":44100}), format(Codec::Pcm, 44_100)),
        (json!({"sampleRate":"22050","container":null}), format(Codec::Pcm, 22_050)),
        (json!({"sampleRate":48000,"bits":16}), format(Codec::Pcm, 48_000)),
    ] {
        assert_eq!(parse_format(&asked.to_string()), Ok(read), "{asked}");
    }
    assert_eq!(parse_format_pairs([]), Ok(Format::PCM_WIDE));
    assert_eq!(
        parse_format_pairs([("t", "x"), ("format", "mulaw"), ("sampleRate", "8000.0")]),
        Ok(Format::MULAW_PHONE)
    );
}

#[test]
fn a_format_that_is_refused_names_the_field_and_the_fix() {
    let rate = "audioFormat.sampleRate must be a whole number from 8000 to 48000";
    let name = "audioFormat.format must be pcm_s16le or mulaw";
    for (asked, fix) in [
        (json!({"sampleRate":3000}), rate),
        (json!({"sampleRate":192_000}), rate),
        (json!({"sampleRate":16000.5}), rate),
        (json!({"sampleRate":-16000}), rate),
        (json!({"sampleRate":1e300}), rate),
        (json!({"sampleRate":true}), rate),
        (json!({"sampleRate":"NaN"}), rate),
        (json!({"sampleRate":[]}), rate),
        (json!({"format":"opus"}), name),
        (json!({"format":16}), name),
        (json!({"container":"wav"}), "audioFormat.container must be raw"),
        (json!("pcm_s16le"), "audioFormat must be an object with format, container and sampleRate"),
    ] {
        assert_eq!(parse_format(&asked.to_string()), Err(TransportError::Format(fix.into())), "{asked}");
    }
    assert_eq!(parse_format_pairs([("sampleRate", "")]), Err(TransportError::Format(rate.into())));
}

fn told(server: &mut VapiServer, told: Told<'_>) -> Option<Value> {
    match server.send(Outgoing::Event(told), 1_788_251_396_120)? {
        Message::Text(json) => Some(serde_json::from_str(json).unwrap()),
        Message::Binary(_) => panic!("an event is text"),
    }
}

#[test]
fn events_are_flat_stamped_and_in_the_words_of_live_streams() {
    let lines = json!([{"role":"system","content":"Sei la receptionist."},{"role":"user","content":"Buon\"giorno"}]);
    let timed = json!([{"role":"user","message":"Buon\"giorno","time":1_788_251_400_120_i64,"secondsFromStart":4.12}]);
    let (said, minutes) = (to_raw_value(&lines).unwrap(), to_raw_value(&timed).unwrap());
    let assistant = json!({"name":"A"}).as_object().unwrap().clone();
    let call = json!({"id":"call_7","type":"function","function":{"name":"book","arguments":{"plate":"AB123CD"}}});
    let broken = json!({"id":"call_7","type":"function","function":{"name":"book","arguments":"{\"plate\":"}});
    let tool = |arguments| Told::ToolCall { id: "call_7", name: "book", arguments };
    for (event, expected) in [
        (Told::InProgress, json!({"type":"status-update","status":"in-progress"})),
        (
            Told::Ended { reason: "customer-ended-call" },
            json!({"type":"status-update","status":"ended","endedReason":"customer-ended-call"}),
        ),
        (
            Told::Speech { agent: false, started: true, turn: 0 },
            json!({"type":"speech-update","status":"started","role":"user","turn":0}),
        ),
        (
            Told::Speech { agent: true, started: false, turn: 3 },
            json!({"type":"speech-update","status":"stopped","role":"assistant","turn":3}),
        ),
        (
            Told::Transcript { agent: false, last: false, text: "Buongiorno," },
            json!({"type":"transcript","role":"user","transcriptType":"partial","transcript":"Buongiorno,"}),
        ),
        (
            Told::Transcript { agent: true, last: true, text: "Certo." },
            json!({"type":"transcript","role":"assistant","transcriptType":"final","transcript":"Certo."}),
        ),
        (
            Told::Conversation { formatted: Json::new(&said), messages: None },
            json!({"type":"conversation-update","conversation":lines,"messagesOpenAIFormatted":lines}),
        ),
        (
            Told::Conversation { formatted: Json::new(&said), messages: Some(Json::new(&minutes)) },
            json!({
                "type":"conversation-update","conversation":lines,"messagesOpenAIFormatted":lines,"messages":timed
            }),
        ),
        (
            Told::AssistantStarted { assistant: &assistant },
            json!({"type":"assistant.started","newAssistant":{"name":"A"}}),
        ),
        (
            Told::ModelOutput { text: "Certo. ", turn: 2 },
            json!({"type":"model-output","output":"Certo. ","turnId":"c1-2"}),
        ),
        (Told::VoiceInput { text: "Certo.", turn: 2 }, json!({"type":"voice-input","input":"Certo.","turn":2})),
        (Told::Interrupted { turn: 2 }, json!({"type":"user-interrupted","turnId":"c1-2"})),
        (
            tool(r#"{"plate":"AB123CD"}"#),
            json!({"type":"tool-calls","toolCallList":[call],"toolWithToolCallList":[{"type":"function","toolCall":call}]}),
        ),
        (
            tool(r#"{"plate":"#),
            json!({"type":"tool-calls","toolCallList":[broken],"toolWithToolCallList":[{"type":"function","toolCall":broken}]}),
        ),
        (
            Told::Transfer { to: "+390698765432" },
            json!({"type":"transfer-update","destination":{"type":"number","number":"+390698765432"}}),
        ),
        (Told::Late, json!({"type":"hang"})),
    ] {
        let mut expected = expected;
        expected["timestamp"] = json!(1_788_251_396_120_i64);
        assert_eq!(told(&mut server(), event), Some(expected));
    }
}

#[test]
fn a_client_gets_the_events_it_asked_for() {
    let result = || Told::ToolResult { id: "call_7", name: "book", result: "{\"ok\":true}" };
    assert_eq!(told(&mut server(), result()), None, "not among Vapi's defaults");
    let mut server = server().telling(Wanted::only(["tool-calls-result", "assistant.started"]));
    let json = told(&mut server, result()).unwrap();
    assert_eq!(json["toolCallResult"], json!({"name":"book","toolCallId":"call_7","result":"{\"ok\":true}"}));
    assert_eq!(told(&mut server, Told::InProgress), None);
}

#[test]
fn there_is_no_clear_and_no_mark_on_this_wire() {
    let mut client = VapiClient::new(Format::PCM_WIDE, "c1");
    for outgoing in [Outgoing::Clear, Outgoing::Mark(1), Outgoing::Audio(&[])] {
        assert_eq!(server().send(outgoing.clone(), 0), None);
        assert_eq!(client.send(outgoing, 0), None);
    }
    assert_eq!(server().send(Outgoing::Control(&Control::End), 0), None);
    assert_eq!(client.send(Outgoing::Event(Told::Late), 0), None);
}

#[test]
fn a_client_reads_the_events_of_live_streams() {
    let event = |json: Value| {
        let json = json.to_string();
        let mut client = VapiClient::new(Format::PCM_WIDE, "c1");
        match client.receive(Message::Text(&json)) {
            Ok(Incoming::Event(event)) => Ok(event),
            Ok(Incoming::Ignored(why)) => Err(why),
            other => panic!("{other:?}"),
        }
    };
    let status = |status: &str, reason: Option<&str>| PeerEvent::Status {
        status: status.into(),
        reason: reason.map(Into::into),
    };
    for (json, read) in [
        (
            json!({"type":"status-update","status":"in-progress","timestamp":1788251396120.5}),
            Ok(status("in-progress", None)),
        ),
        (
            json!({"type":"status-update","status":"ended","endedReason":"customer-ended-call"}),
            Ok(status("ended", Some("customer-ended-call"))),
        ),
        (json!({"message":{"type":"status-update","status":"ended"}}), Ok(status("ended", None))),
        (
            json!({"type":"speech-update","status":"started","role":"user","turn":0}),
            Ok(PeerEvent::Speech { assistant: false, started: true }),
        ),
        (
            json!({"type":"speech-update","status":"stopped","role":"assistant"}),
            Ok(PeerEvent::Speech { assistant: true, started: false }),
        ),
        (
            json!({"type":"transcript","transcriptType":"partial","role":"user","transcript":"Buongiorno, vorrei"}),
            Ok(PeerEvent::Transcript { ours: true, last: false, text: "Buongiorno, vorrei".into() }),
        ),
        (
            json!({"type":"transcript[transcriptType=\"final\"]","role":"assistant","transcript":"Certo."}),
            Ok(PeerEvent::Transcript { ours: false, last: true, text: "Certo.".into() }),
        ),
        (json!({"type":"user-interrupted","turnId":"x"}), Ok(PeerEvent::Interrupted)),
        (
            json!({"type":"transfer-update","destination":{"type":"sip","sipUri":"sip:a@b"}}),
            Ok(PeerEvent::Transfer { to: "sip:a@b".into() }),
        ),
        (json!({"type":"transfer-update","toAssistant":{}}), Err("a transfer to nowhere")),
        (json!({"type":"model-output","output":{"a":1}}), Err("an event we have no use for")),
        (json!({"type":"hang"}), Err("an event we have no use for")),
        (json!({"type":"assistant.started","newAssistant":{}}), Err("an event we have no use for")),
        (
            json!({"type":"speech-update","status":"paused","role":"user"}),
            Err("a speech-update that neither started nor stopped"),
        ),
        (json!({"type":"transcript","role":"robot","transcript":"x"}), Err("an event of neither side")),
        (json!({"type":"status-update"}), Err("a status-update without a status")),
        (json!({"status":"ended"}), Err("an event without a type")),
        (json!([]), Err("malformed event")),
        (json!(["status-update", null, "ended"]), Err("malformed event")),
        (json!("ended"), Err("malformed event")),
    ] {
        assert_eq!(event(json.clone()), read, "{json}");
    }
}

fn any_control() -> impl Strategy<Value = Control> {
    let text = || "\\PC{0,30}[a-z\"\\\\]";
    prop_oneof![
        (text(), any::<[bool; 3]>()).prop_map(|(text, [now, interruptible, then_end])| Control::Say {
            text,
            now,
            interruptible,
            then_end
        }),
        ("\\PC{0,9}", "\\PC{0,30}", any::<bool>()).prop_map(|(role, text, respond)| Control::AddMessage {
            role,
            text,
            respond
        }),
        any::<bool>().prop_map(Control::MuteAgent),
        any::<bool>().prop_map(Control::MuteCaller),
        Just(Control::SayFirstMessage),
        (text(), prop::option::of(text())).prop_map(|(to, say)| Control::Transfer { to, say }),
        "[a-z]{3}".prop_map(|user| Control::Transfer { to: format!("sip:{user}@example.it"), say: None }),
        Just(Control::End),
    ]
}

proptest! {
    #[test]
    fn audio_is_the_same_at_the_other_end_whatever_the_framing(
        audio in prop::collection::vec(any::<u8>(), 0..4000),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(audio.len() + 1)).collect();
        cuts.extend([0, audio.len()]);
        cuts.sort_unstable();
        let (mut server, mut client) = (server(), VapiClient::new(Format::PCM_WIDE, "c1"));
        let (mut up, mut down) = (Vec::new(), Vec::new());
        for pair in cuts.windows(2) {
            let piece = &audio[pair[0]..pair[1]];
            if let Some(message) = client.send(Outgoing::Audio(piece), 0)
                && let Ok(Incoming::Audio { payload, .. }) = server.receive(message)
            {
                up.extend_from_slice(payload);
            }
            if let Some(message) = server.send(Outgoing::Audio(piece), 0)
                && let Ok(Incoming::Audio { payload, .. }) = client.receive(message)
            {
                down.extend_from_slice(payload);
            }
        }
        prop_assert_eq!(&up, &audio);
        prop_assert_eq!(&down, &audio);
    }

    #[test]
    fn a_control_means_the_same_at_the_other_end(control in any_control()) {
        let mut client = VapiClient::new(Format::PCM_WIDE, "c1");
        let message = client.send(Outgoing::Control(&control), 0).unwrap();
        let mut server = server();
        prop_assert_eq!(server.receive(message), Ok(Incoming::Control(control.clone())));
    }

    #[test]
    fn no_text_is_an_error(text in "\\PC{0,200}") {
        prop_assert!(server().receive(Message::Text(&text)).is_ok());
        prop_assert!(VapiClient::new(Format::PCM_WIDE, "c1").receive(Message::Text(&text)).is_ok());
    }
}
