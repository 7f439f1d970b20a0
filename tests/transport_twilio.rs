//! Twilio Media Streams over the wire: recorded sessions, the order of things, marks, and both ends against each other.
#![expect(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test panics where it fails")]

use std::time::Duration;

use pronto::{
    audio::{Key, Line},
    privacy::Pii,
    transport::{
        Dialect, Incoming, Message, Outgoing, Started, TEXT_BYTES_MAX, Told, Transport, TransportError, TwilioClient,
        TwilioServer,
        twilio::{MARKS_MAX, WORD_BYTES_MAX},
        twilio_client::FromServer,
    },
};
use proptest::prelude::*;
use serde_json::{Value, json};

const START: &str =
    r#"{"event":"start","sequenceNumber":"1","start":{"streamSid":"MZ1","callSid":"CA1"},"streamSid":"MZ1"}"#;

fn started() -> TwilioServer {
    let mut server = TwilioServer::new();
    assert!(matches!(text(&mut server, START), Ok(Incoming::Started(_))));
    server
}

fn text<'a>(server: &'a mut TwilioServer, json: &'a str) -> Result<Incoming<'a>, TransportError> {
    server.receive(Message::Text(json))
}

fn sent(server: &mut TwilioServer, outgoing: Outgoing<'_>) -> Value {
    match server.send(outgoing, 0) {
        Some(Message::Text(json)) => serde_json::from_str(json).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// The messages of a recorded session, in order: direction and JSON.
fn session(name: &str) -> Vec<(String, Value)> {
    let path = format!("{}/tests/fixtures/twilio/{name}", env!("CARGO_MANIFEST_DIR"));
    let lines = std::fs::read_to_string(path).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter_map(|line| Some((line.get("dir")?.as_str()?.to_owned(), line.get("json")?.clone()))).collect()
}

/// Everything the carrier sent in a session, read; with the audio's bytes and times.
fn replay(name: &str) -> (Vec<String>, usize, Vec<Duration>) {
    let mut server = TwilioServer::new();
    let (mut seen, mut bytes, mut times) = (Vec::new(), 0, Vec::new());
    for (direction, json) in session(name) {
        if direction != "rx" {
            continue;
        }
        let json = json.to_string();
        match text(&mut server, &json).unwrap() {
            Incoming::Audio { payload, media_time, sequence } => {
                assert_eq!(sequence, None);
                bytes += payload.len();
                times.push(media_time.unwrap());
            }
            other => seen.push(format!("{other:?}")),
        }
    }
    (seen, bytes, times)
}

#[test]
fn a_recorded_session_is_read_as_it_was_meant() {
    let mut server = TwilioServer::new();
    let mut seen = Vec::new();
    for (direction, json) in session("session.jsonl") {
        let json = json.to_string();
        if direction == "rx" {
            let read = text(&mut server, &json).unwrap();
            if let Incoming::Started(started) = &read {
                assert_eq!(started.call, "CA00112233445566778899aabbccddeeff");
                assert_eq!(started.stream, "MZ0f1e2d3c4b5a69788796a5b4c3d2e1f0");
                assert_eq!(started.tenant.as_deref(), Some("officina-rossi"));
                assert_eq!(started.token, Some(Pii::new("b3f0c2a9".into())));
                assert_eq!(started.from, Some(Pii::new("+393331234567".into())));
                assert_eq!(started.to, Some(Pii::new("+390612345678".into())));
                assert!(!format!("{started:?}").contains("333"), "numbers do not print");
            }
            seen.push(match read {
                Incoming::Started(_) => "started".into(),
                Incoming::Audio { payload, .. } => format!("audio {}", payload.len()),
                other => format!("{other:?}"),
            });
        }
    }
    let expected = |n| std::iter::repeat_n("audio 160".to_owned(), n);
    let mut wanted: Vec<String> = vec!["Ignored(\"connected\")".into(), "started".into()];
    wanted.extend(expected(7));
    wanted.push(format!("{:?}", Incoming::Key(Key::new('1').unwrap())));
    wanted.extend(expected(1));
    // The recording's marks have another sender's names.
    wanted.push("Ignored(\"a mark that is not ours\")".into());
    wanted.extend(expected(1));
    wanted.push("Ignored(\"a mark that is not ours\")".into());
    wanted.extend(expected(1));
    wanted.push("Stopped".into());
    assert_eq!(seen, wanted);
}

#[test]
fn what_we_write_is_what_the_recorded_application_wrote() {
    let mut server = TwilioServer::new();
    for (direction, json) in session("session.jsonl") {
        let text_json = json.to_string();
        if direction == "rx" {
            let _read = text(&mut server, &text_json).unwrap();
            continue;
        }
        let mut ours = match json["event"].as_str().unwrap() {
            "media" => {
                use base64::Engine;
                let payload = json["media"]["payload"].as_str().unwrap();
                let audio = base64::engine::general_purpose::STANDARD.decode(payload).unwrap();
                sent(&mut server, Outgoing::Audio(&audio))
            }
            "mark" => sent(&mut server, Outgoing::Mark(7)),
            _ => sent(&mut server, Outgoing::Clear),
        };
        if ours["event"] == "mark" {
            assert_eq!(ours["mark"]["name"], "7");
            ours["mark"] = json["mark"].clone();
        }
        assert_eq!(ours, json);
    }
}

#[test]
fn a_stall_leaves_the_media_clock_whole_and_a_gap_shows_in_it() {
    let steps = |times: &[Duration]| {
        let mut steps: Vec<_> = times.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect();
        steps.dedup();
        steps
    };
    let (_, bytes, times) = replay("stall_burst.jsonl");
    assert_eq!(bytes, times.len() * 160);
    assert_eq!(steps(&times), [20]);
    let (_, _, times) = replay("timestamp_gap.jsonl");
    assert_eq!(steps(&times), [20, 120, 20]);
}

#[test]
fn nothing_but_the_greeting_comes_before_the_start() {
    for (early, what) in [
        (r#"{"event":"media","media":{"payload":"/w=="}}"#, "media"),
        (r#"{"event":"dtmf","dtmf":{"digit":"1"}}"#, "a key"),
        (r#"{"event":"mark","mark":{"name":"1"}}"#, "a mark"),
    ] {
        assert_eq!(text(&mut TwilioServer::new(), early), Err(TransportError::TooEarly(what)));
    }
    assert!(matches!(text(&mut TwilioServer::new(), "GET / HTTP/1.1"), Err(TransportError::Garbage(_))));
    assert!(matches!(text(&mut TwilioServer::new(), "{}"), Err(TransportError::Garbage(_))));
    let stop = r#"{"event":"stop"}"#;
    assert_eq!(text(&mut TwilioServer::new(), stop), Ok(Incoming::Stopped));
    let mut server = TwilioServer::new();
    for outgoing in [Outgoing::Audio(&[1]), Outgoing::Clear, Outgoing::Mark(1)] {
        assert_eq!(server.send(outgoing, 0), None, "an answer must name the stream");
    }
    assert_eq!(server.marks(), 0);
}

#[test]
fn after_the_start_no_text_ends_the_stream() {
    let mut server = started();
    for (odd, why) in [
        ("{", "malformed message"),
        ("", "malformed message"),
        (r#"{"event":"media","media":7}"#, "malformed message"),
        (r#"{"event":"media"}"#, "media without a body"),
        (r#"{"event":"media","media":{}}"#, "media without a payload"),
        (r#"{"event":"media","media":{"payload":"!!"}}"#, "a payload that is not base64"),
        (r#"{"event":"media","media":{"payload":""}}"#, "empty audio"),
        (r#"{"event":"media","media":{"track":"outbound","payload":"/w=="}}"#, "our own track"),
        (r#"{"event":"dtmf"}"#, "not a key of a telephone"),
        (r#"{"event":"dtmf","dtmf":{"digit":"12"}}"#, "not a key of a telephone"),
        (r#"{"event":"dtmf","dtmf":{"digit":"x"}}"#, "not a key of a telephone"),
        (r#"{"event":"mark"}"#, "a mark that is not ours"),
        (r#"{"event":"mark","mark":{"name":"1"}}"#, "a mark that is not ours"),
        (r#"{"event":"warp","warp":{"a":[1]}}"#, "unknown event"),
        (START, "a second start"),
    ] {
        assert_eq!(text(&mut server, odd), Ok(Incoming::Ignored(why)), "{odd}");
    }
    let frame = server.receive(Message::Binary(&[1]));
    assert_eq!(frame, Err(TransportError::WrongFrame { got: "binary", expected: "text" }));
}

#[test]
fn strings_and_numbers_are_the_same() {
    let mut server = started();
    for (timestamp, time) in [
        (json!("60"), Some(60)),
        (json!(60), Some(60)),
        (json!(60.0), Some(60)),
        (json!(-1), None),
        (json!("soon"), None),
        (json!(null), None),
    ] {
        let media =
            json!({"event":"media","sequenceNumber":2,"media":{"chunk":1,"timestamp":timestamp,"payload":"/w"}});
        let json = media.to_string();
        let read = text(&mut server, &json).unwrap();
        let media_time = time.map(Duration::from_millis);
        assert_eq!(read, Incoming::Audio { payload: &[255], media_time, sequence: None }, "{timestamp}");
    }
    assert_eq!(text(&mut server, r#"{"event":"dtmf","dtmf":{"digit":5}}"#), Ok(Incoming::Key(Key::new('5').unwrap())));
    // An encoder that escapes the slashes of base64, as some do.
    let escaped = r#"{"event":"media","media":{"payload":"\/\/\/\/"}}"#;
    assert!(matches!(text(&mut server, escaped), Ok(Incoming::Audio { payload: [255, 255, 255], .. })));
}

#[test]
fn a_start_is_checked_and_the_error_names_the_field() {
    let check = |start: Value| {
        text(&mut TwilioServer::new(), &json!({"event":"start","start":start}).to_string())
            .map(|read| matches!(read, Incoming::Started(_)))
    };
    let format = |encoding: &str, rate: Value, channels: Value| json!({"streamSid":"MZ","mediaFormat":{"encoding":encoding,"sampleRate":rate,"channels":channels}});
    assert_eq!(check(json!({"streamSid":"MZ"})), Ok(true));
    assert_eq!(check(format("audio/x-mulaw", json!(8000), json!(1))), Ok(true));
    assert_eq!(check(format("audio/x-mulaw", json!("8000"), json!("1"))), Ok(true));
    assert_eq!(check(format("AUDIO/X-MULAW", json!(8000.0), json!(1))), Ok(true));
    let fix = |fix: &str| Err(TransportError::Format(fix.into()));
    assert_eq!(check(format("audio/x-alaw", json!(8000), json!(1))), fix("mediaFormat.encoding must be audio/x-mulaw"));
    assert_eq!(check(format("audio/x-mulaw", json!(16000), json!(1))), fix("mediaFormat.sampleRate must be 8000"));
    assert_eq!(check(format("audio/x-mulaw", json!(8000), json!(2))), fix("mediaFormat.channels must be 1"));
    assert!(matches!(check(json!({})), Err(TransportError::Garbage(why)) if why.contains("streamSid")));
    assert!(matches!(check(json!(null)), Err(TransportError::Garbage(_))));
    assert!(matches!(check(json!({"streamSid":{}})), Err(TransportError::Garbage(_))));
    let long = "x".repeat(WORD_BYTES_MAX + 1);
    let too_long = Err(TransportError::TooLong { bytes: WORD_BYTES_MAX + 1, max: WORD_BYTES_MAX });
    assert_eq!(check(json!({"streamSid":long})), too_long);
    assert_eq!(check(json!({"streamSid":"MZ","customParameters":{"tenant":long}})), too_long);
}

#[test]
fn parameters_have_the_spellings_of_other_gateways_too() {
    let parameters = |own: Value| {
        let mut server = TwilioServer::new();
        let start = json!({"event":"start","streamSid":"MZ","start":{"customParameters":own}}).to_string();
        match text(&mut server, &start) {
            Ok(Incoming::Started(started)) => started,
            other => panic!("{other:?}"),
        }
    };
    let both = parameters(json!({"from":"+391","from_number":"+392","to_number":"+393","tenant":"","token":12,"x":{}}));
    assert_eq!(both.from, Some(Pii::new("+391".into())));
    assert_eq!(both.to, Some(Pii::new("+393".into())));
    assert_eq!(both.tenant, None);
    assert_eq!(both.token, Some(Pii::new("12".into())));
    assert_eq!(parameters(json!({})), Started { stream: "MZ".into(), ..Started::default() });
}

#[test]
fn marks_come_back_in_order_and_each_once() {
    let mut server = started();
    for mark in [1, 2, 3] {
        assert_eq!(sent(&mut server, Outgoing::Mark(mark))["mark"]["name"], mark.to_string());
    }
    let back = |server: &mut TwilioServer, name: &str| {
        let json = json!({"event":"mark","mark":{"name":name}}).to_string();
        match text(server, &json).unwrap() {
            Incoming::Mark(mark) => Some(mark),
            _ => None,
        }
    };
    assert_eq!(back(&mut server, "2"), Some(2), "it answers the first as well");
    assert_eq!(back(&mut server, "1"), None);
    assert_eq!(back(&mut server, "2"), None);
    assert_eq!(server.marks(), 1);
}

#[test]
fn a_mark_that_returns_because_of_a_clear_is_still_a_mark() {
    let mut server = started();
    let _mark = sent(&mut server, Outgoing::Mark(41));
    assert_eq!(sent(&mut server, Outgoing::Clear), json!({"event":"clear","streamSid":"MZ1"}));
    assert_eq!(text(&mut server, r#"{"event":"mark","mark":{"name":"41"}}"#), Ok(Incoming::Mark(41)));
}

#[test]
fn a_peer_that_answers_no_marks_gets_no_more_of_them() {
    let mut server = started();
    for mark in 0..MARKS_MAX as u32 {
        assert!(server.send(Outgoing::Mark(mark), 0).is_some());
    }
    assert_eq!(server.send(Outgoing::Mark(9_999), 0), None);
    assert_eq!(server.marks(), MARKS_MAX);
    assert_eq!(text(&mut server, r#"{"event":"mark","mark":{"name":"9"}}"#), Ok(Incoming::Mark(9)));
    assert!(server.send(Outgoing::Mark(9_999), 0).is_some());
}

#[test]
fn a_message_over_the_limit_is_refused() {
    let mut server = started();
    let long = " ".repeat(TEXT_BYTES_MAX + 1);
    let error = TransportError::TooLong { bytes: TEXT_BYTES_MAX + 1, max: TEXT_BYTES_MAX };
    assert_eq!(text(&mut server, &long), Err(error));
}

#[test]
fn the_dialect_has_no_word_for_events_and_controls() {
    let mut server = started();
    assert_eq!(server.line(), Line::twilio());
    assert_eq!(server.start(), None, "Twilio describes the stream itself");
    assert_eq!(server.send(Outgoing::Event(Told::InProgress), 0), None);
    assert_eq!(server.send(Outgoing::Audio(&[]), 0), None);
}

#[test]
fn the_carrier_is_as_strict_as_twilio() {
    let mut carrier = TwilioClient::new("MZ1", "CA1");
    for bad in [
        r#"{"event":"media","streamSid":"MZ2","media":{"payload":"/w=="}}"#,
        r#"{"event":"media","media":{"payload":"/w=="}}"#,
        r#"{"event":"media","streamSid":"MZ1","media":{}}"#,
        r#"{"event":"stop","streamSid":"MZ1"}"#,
        "{",
    ] {
        assert!(matches!(carrier.receive(Message::Text(bad)), Err(TransportError::Garbage(_))), "{bad}");
    }
    assert!(matches!(carrier.receive(Message::Binary(&[])), Err(TransportError::WrongFrame { .. })));
}

/// Strings as strangers would make them: quotes, escapes, anything.
fn any_word() -> impl Strategy<Value = String> {
    prop_oneof!["[A-Za-z0-9]{1,34}", "\\PC{1,40}", "[\"\\\\/\n\t<>&]{1,20}"]
}

proptest! {
    #[test]
    fn both_ends_agree_whatever_the_framing(
        stream in any_word(),
        call in any_word(),
        tenant in any_word(),
        frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..400), 0..20),
        key in 0usize..16,
    ) {
        let mut carrier = TwilioClient::new(&stream, &call);
        let mut server = Transport::from(TwilioServer::new());
        prop_assert_eq!(server.receive(carrier.connected()), Ok(Incoming::Ignored("connected")));
        let said = Started {
            call: call.clone(),
            stream: stream.clone(),
            tenant: Some(tenant.clone()),
            token: Some(Pii::new(tenant)),
            from: Some(Pii::new(call)),
            to: None,
        };
        prop_assert_eq!(server.receive(carrier.start(&said)), Ok(Incoming::Started(said.clone())));
        let mut at = Duration::ZERO;
        for (n, frame) in frames.iter().enumerate() {
            let read = server.receive(carrier.media(frame, at)).unwrap();
            prop_assert_eq!(read, Incoming::Audio { payload: frame, media_time: Some(at), sequence: None });
            let message = server.send(Outgoing::Audio(frame), 0).unwrap();
            prop_assert_eq!(carrier.receive(message), Ok(FromServer::Audio(frame)));
            let mark = server.send(Outgoing::Mark(n as u32), 0).unwrap();
            let Ok(FromServer::Mark(name)) = carrier.receive(mark) else { panic!("a mark") };
            prop_assert_eq!(server.receive(carrier.mark(&name)), Ok(Incoming::Mark(n as u32)));
            at += Duration::from_millis(20);
        }
        let key = Key::new(Key::ALL[key]).unwrap();
        prop_assert_eq!(server.receive(carrier.key(key)), Ok(Incoming::Key(key)));
        prop_assert_eq!(carrier.receive(server.send(Outgoing::Clear, 0).unwrap()), Ok(FromServer::Clear));
        prop_assert_eq!(server.receive(carrier.stop()), Ok(Incoming::Stopped));
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,200}", begun in any::<bool>()) {
        let mut server = if begun { started() } else { TwilioServer::new() };
        let read = server.receive(Message::Text(&text));
        prop_assert!(!begun || read.is_ok());
    }
}
