//! Conversations of strangers: any bytes are read as a sequence of messages and answers, and what must always hold is
//! asserted. Nothing a peer sends may panic, grow memory without bound, or make us write what the other side of the
//! same dialect cannot read.

use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};

use super::{
    Control, Dialect, Incoming, Json, Message, Outgoing, PeerEvent, Started, Told, TransportError, TwilioClient,
    TwilioServer, VapiClient, VapiServer,
    twilio::MARKS_MAX,
    twilio_client::FromServer,
    vapi::{EndedReason, Wanted, parse_format, parse_format_pairs},
};
use crate::{
    audio::{Format, Key},
    privacy::Pii,
};

/// One thing that happens on a Vapi connection.
#[derive(Debug, Arbitrary)]
enum VapiStep<'a> {
    /// The client sends anything at all.
    Raw(Message<'a>),
    /// The client sends an object with words of the dialect in any place.
    Words(Vec<(u8, Value<'a>)>),
    /// The client sends a control of ours.
    Control(Control),
    /// Either side sends audio.
    Audio(&'a [u8]),
    /// We send an event.
    Event(u8, bool, bool, &'a str, &'a str, u32),
    /// A client asks for a format.
    Format(&'a str),
}

/// A value of a field.
#[derive(Debug, Arbitrary)]
enum Value<'a> {
    /// A word of the dialect.
    Word(u8),
    /// Any string.
    Text(&'a str),
    /// Any number.
    Number(f64),
    /// Either.
    Flag(bool),
    /// Nothing.
    Null,
    /// An object of the same.
    Object(Vec<(u8, &'a str)>),
}

/// Words of both dialects, so that random bytes get past the first line of a reader.
const WORDS: [&str; 44] = [
    "type",
    "message",
    "content",
    "say",
    "add-message",
    "control",
    "end-call",
    "hangup",
    "transfer",
    "handoff",
    "destination",
    "number",
    "sipUri",
    "role",
    "user",
    "assistant",
    "mute-assistant",
    "say-first-message",
    "endCallAfterSpoken",
    "interruptAssistantEnabled",
    "triggerResponseEnabled",
    "status",
    "status-update",
    "transcript",
    "speech-update",
    "started",
    "event",
    "media",
    "start",
    "stop",
    "mark",
    "dtmf",
    "connected",
    "streamSid",
    "callSid",
    "payload",
    "timestamp",
    "track",
    "digit",
    "name",
    "customParameters",
    "mediaFormat",
    "tenant",
    "//8=",
];

fn word(at: u8) -> &'static str {
    WORDS[at as usize % WORDS.len()]
}

fn object(fields: &[(u8, Value<'_>)]) -> String {
    let value = |value: &Value<'_>| match value {
        Value::Word(at) => word(*at).into(),
        Value::Text(text) => (*text).into(),
        Value::Number(number) => (*number).into(),
        Value::Flag(flag) => (*flag).into(),
        Value::Null => serde_json::Value::Null,
        Value::Object(fields) => fields
            .iter()
            .map(|(at, text)| (word(*at).to_owned(), (*text).into()))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    };
    let fields = fields.iter().map(|(at, field)| (word(*at).to_owned(), value(field)));
    serde_json::Value::Object(fields.collect()).to_string()
}

/// Any sequence of messages on a connection of Vapi's dialect, both ends.
pub fn vapi(data: &[u8]) {
    let mut bytes = Unstructured::new(data);
    let format = if bytes.arbitrary().unwrap_or(true) { Format::PCM_WIDE } else { Format::MULAW_PHONE };
    let mut server = VapiServer::new(format, "call").telling(Wanted::only(["tool-calls-result", "transcript"]));
    while !bytes.is_empty() {
        let Ok(step) = bytes.arbitrary::<VapiStep<'_>>() else { return };
        let mut client = VapiClient::new(format, "call");
        match step {
            VapiStep::Raw(message) => {
                assert_harmless(server.receive(message));
                assert_harmless(client.receive(message));
            }
            VapiStep::Words(fields) => {
                let text = object(&fields);
                assert_harmless(server.receive(Message::Text(&text)));
                assert_harmless(client.receive(Message::Text(&text)));
            }
            VapiStep::Control(control) => {
                let message = client.send(Outgoing::Control(&control), 0).expect("a client writes every control");
                // A fresh server: this one may have been told to end.
                assert_same(
                    &control,
                    VapiServer::new(format, "call").receive(message).expect("no control is an error"),
                );
                assert_harmless(server.receive(message));
            }
            VapiStep::Audio(audio) => {
                let sent = server.send(Outgoing::Audio(audio), 0);
                assert_eq!(sent, (!audio.is_empty()).then_some(Message::Binary(audio)));
                if let Some(message) = sent {
                    assert_eq!(client.receive(message), Ok(plain(audio)));
                }
            }
            VapiStep::Event(kind, agent, last, text, other, turn) => event(kind, agent, last, text, other, turn),
            VapiStep::Format(asked) => {
                let _any = (parse_format(asked), parse_format_pairs([("format", asked), ("sampleRate", asked)]));
            }
        }
    }
}

/// No message of a Vapi peer ends the stream (a fuzzer does not reach the limits of size).
fn assert_harmless(read: Result<Incoming<'_>, TransportError>) {
    let read = read.expect("what a Vapi peer says is never an error");
    assert!(!matches!(read, Incoming::Started(_) | Incoming::Stopped | Incoming::Mark(_) | Incoming::Key(_)));
}

fn plain(audio: &[u8]) -> Incoming<'_> {
    Incoming::Audio { payload: audio, media_time: None, sequence: None }
}

/// A control says the same at the other end, but for the empty ones.
fn assert_same(sent: &Control, read: Incoming<'_>) {
    match sent {
        Control::Say { text, then_end, .. } if text.trim().is_empty() => {
            let end = Incoming::Control(Control::End);
            assert_eq!(read, if *then_end { end } else { Incoming::Ignored("say without a text") });
        }
        Control::Transfer { to, .. } if to.is_empty() => assert!(matches!(read, Incoming::Ignored(_))),
        Control::Transfer { to, say } => {
            let say = say.clone().filter(|say| !say.is_empty());
            assert_eq!(read, Incoming::Control(Control::Transfer { to: to.clone(), say }));
        }
        Control::Say { .. }
        | Control::AddMessage { .. }
        | Control::MuteAgent(_)
        | Control::MuteCaller(_)
        | Control::SayFirstMessage
        | Control::End => assert_eq!(read, Incoming::Control(sent.clone())),
    }
}

fn event(kind: u8, agent: bool, last: bool, text: &str, other: &str, turn: u32) {
    let said = serde_json::json!([{ "role": other, "content": text }]);
    let said = serde_json::value::to_raw_value(&said).expect("texts always have a JSON form");
    let assistant = serde_json::Map::from_iter([(other.to_owned(), text.into())]);
    let told = match kind % 13 {
        0 => Told::InProgress,
        1 => Told::Ended { reason: EndedReason::ALL[turn as usize % EndedReason::ALL.len()].as_str() },
        2 => Told::Speech { agent, started: last, turn },
        3 => Told::Transcript { agent, last, text },
        4 => Told::Conversation { formatted: Json::new(&said), messages: last.then(|| Json::new(&said)) },
        5 => Told::ModelOutput { text, turn },
        6 => Told::VoiceInput { text, turn },
        7 => Told::Interrupted { turn },
        8 => Told::ToolCall { id: other, name: other, arguments: text },
        9 => Told::ToolResult { id: other, name: other, result: text },
        10 => Told::AssistantStarted { assistant: &assistant },
        11 => Told::Transfer { to: other },
        _ => Told::Late,
    };
    let (mut server, mut client) = (VapiServer::new(Format::PCM_WIDE, other), VapiClient::new(Format::PCM_WIDE, other));
    let Some(message) = server.send(Outgoing::Event(told.clone()), i64::from(turn)) else {
        assert!(matches!(told, Told::ToolResult { .. }), "only the results of tools are not sent unasked");
        return;
    };
    let Message::Text(json) = message else { panic!("an event is text") };
    let json: serde_json::Value = serde_json::from_str(json).expect("an event is JSON");
    assert!(json["type"].is_string() && json["timestamp"] == turn);
    let read = client.receive(message).expect("no event is an error");
    let expected = match told {
        Told::InProgress => PeerEvent::Status { status: "in-progress".into(), reason: None },
        Told::Ended { reason } => PeerEvent::Status { status: "ended".into(), reason: Some(reason.into()) },
        Told::Speech { agent, started, .. } => PeerEvent::Speech { assistant: agent, started },
        Told::Transcript { agent, last, text } => PeerEvent::Transcript { ours: !agent, last, text: text.into() },
        Told::Interrupted { .. } => PeerEvent::Interrupted,
        Told::Transfer { to: "" } => return assert_eq!(read, Incoming::Ignored("a transfer to nowhere")),
        Told::Transfer { to } => PeerEvent::Transfer { to: to.into() },
        Told::Conversation { .. }
        | Told::AssistantStarted { .. }
        | Told::ModelOutput { .. }
        | Told::VoiceInput { .. }
        | Told::ToolCall { .. }
        | Told::ToolResult { .. }
        | Told::Late => return assert_eq!(read, Incoming::Ignored("an event we have no use for")),
    };
    assert_eq!(read, Incoming::Event(expected));
}

/// One thing that happens on a Twilio stream.
#[derive(Debug, Arbitrary)]
enum TwilioStep<'a> {
    /// The peer sends anything at all.
    Raw(Message<'a>),
    /// The peer sends an object with words of the dialect in any place.
    Words(Vec<(u8, Value<'a>)>),
    /// The carrier's messages, in any order.
    Connected,
    /// See above.
    Start(&'a str, &'a str),
    /// See above.
    Media(&'a [u8], u32),
    /// See above.
    Key(u8),
    /// See above.
    GiveBack(u8),
    /// See above.
    Stop,
    /// We send audio.
    Audio(&'a [u8]),
    /// We clear.
    Clear,
    /// We mark.
    Mark(u32),
}

/// Any sequence of messages on a Twilio stream, both ends.
pub fn twilio(data: &[u8]) {
    let mut bytes = Unstructured::new(data);
    let mut server = TwilioServer::new();
    // The carrier's end, once the stream has begun, and the marks it holds.
    let mut client: Option<TwilioClient> = None;
    let mut held: Vec<String> = Vec::new();
    while !bytes.is_empty() {
        let Ok(step) = bytes.arbitrary::<TwilioStep<'_>>() else { return };
        match step {
            TwilioStep::Raw(message) => stranger(&mut server, &mut client, message),
            TwilioStep::Words(fields) => stranger(&mut server, &mut client, Message::Text(&object(&fields))),
            TwilioStep::Connected => {
                let message = TwilioClient::new("", "");
                stranger(&mut server, &mut client, { message }.connected());
            }
            TwilioStep::Start(stream, word) => {
                let token = Some(Pii::new(word.to_owned()));
                let started = Started { tenant: Some(word.into()), token, ..Started::default() };
                stranger(&mut server, &mut client, TwilioClient::new(stream, word).start(&started));
            }
            TwilioStep::Media(audio, at) => {
                let Some(client) = &mut client else { continue };
                let at = Duration::from_millis(u64::from(at));
                let read = server.receive(client.media(audio, at));
                if audio.is_empty() {
                    assert_eq!(read, Ok(Incoming::Ignored("empty audio")));
                } else {
                    assert_eq!(read, Ok(Incoming::Audio { payload: audio, media_time: Some(at), sequence: None }));
                }
            }
            TwilioStep::Key(at) => {
                let Some((client, key)) = client.as_mut().zip(Key::new(Key::ALL[at as usize % Key::ALL.len()])) else {
                    continue;
                };
                assert_eq!(server.receive(client.key(key)), Ok(Incoming::Key(key)));
            }
            TwilioStep::GiveBack(at) => {
                let Some(client) = &mut client else { continue };
                if held.is_empty() {
                    continue;
                }
                let name = held.remove(at as usize % held.len());
                let read = server.receive(client.mark(&name)).expect("a mark is no error");
                assert!(matches!(read, Incoming::Mark(_) | Incoming::Ignored(_)));
            }
            TwilioStep::Stop => {
                let Some(client) = &mut client else { continue };
                assert_eq!(server.receive(client.stop()), Ok(Incoming::Stopped));
            }
            TwilioStep::Audio(audio) => {
                let sent = server.send(Outgoing::Audio(audio), 0);
                assert_eq!(sent.is_some(), client.is_some() && !audio.is_empty());
                if let Some((message, client)) = sent.zip(client.as_mut()) {
                    assert_eq!(client.receive(message), Ok(FromServer::Audio(audio)));
                }
            }
            TwilioStep::Clear => {
                let sent = server.send(Outgoing::Clear, 0);
                if let Some((message, client)) = sent.zip(client.as_mut()) {
                    assert_eq!(client.receive(message), Ok(FromServer::Clear));
                }
            }
            TwilioStep::Mark(mark) => {
                let sent = server.send(Outgoing::Mark(mark), 0);
                if let Some((message, client)) = sent.zip(client.as_mut()) {
                    assert_eq!(client.receive(message), Ok(FromServer::Mark(mark.to_string())));
                    held.push(mark.to_string());
                }
            }
        }
        assert!(server.marks() <= MARKS_MAX);
    }
}

/// Before `start` a stranger may be refused; after it nothing that is text is an error.
fn stranger(server: &mut TwilioServer, client: &mut Option<TwilioClient>, message: Message<'_>) {
    match server.receive(message) {
        Ok(Incoming::Started(started)) => {
            assert!(client.is_none(), "a stream starts once");
            assert!(!started.stream.is_empty());
            *client = Some(TwilioClient::new(&started.stream, &started.call));
        }
        Ok(_) => {}
        Err(TransportError::WrongFrame { .. }) => assert!(matches!(message, Message::Binary(_))),
        Err(error) => assert!(client.is_none(), "{error} after the start"),
    }
}
