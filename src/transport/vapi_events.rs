//! The events of Vapi's wire, written as the platform sends them and read as its client does: flat JSON with a `type`
//! and a `timestamp` in milliseconds, without the envelope of the published schema.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};

use super::{
    Incoming, Json, PeerEvent, Told,
    vapi::{object, start_over, text},
    vapi_control::Destination,
};

/// An event as it is on the wire.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
enum Event<'a> {
    StatusUpdate {
        status: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        ended_reason: Option<&'a str>,
    },
    SpeechUpdate {
        status: &'a str,
        role: &'a str,
        turn: u32,
    },
    Transcript {
        role: &'a str,
        transcript_type: &'a str,
        transcript: &'a str,
    },
    ConversationUpdate {
        /// What live streams carry.
        conversation: Json<'a>,
        /// What the schema asks for: the same.
        #[serde(rename = "messagesOpenAIFormatted")]
        formatted: Json<'a>,
        /// The same in Vapi's form.
        #[serde(skip_serializing_if = "Option::is_none")]
        messages: Option<Json<'a>>,
    },
    /// The schema says an object; live streams carry a string.
    ModelOutput {
        output: &'a str,
        turn_id: String,
    },
    VoiceInput {
        input: &'a str,
        turn: u32,
    },
    UserInterrupted {
        turn_id: String,
    },
    ToolCalls {
        tool_call_list: [&'a ToolCall<'a>; 1],
        tool_with_tool_call_list: [ToolWithCall<'a>; 1],
    },
    ToolCallsResult {
        tool_call_result: ToolResult<'a>,
    },
    TransferUpdate {
        destination: Value,
    },
    Hang {},
    #[serde(rename = "assistant.started")]
    AssistantStarted {
        new_assistant: &'a Map<String, Value>,
    },
}

#[derive(Serialize)]
struct Stamped<'a> {
    #[serde(flatten)]
    event: Event<'a>,
    timestamp: i64,
}

#[derive(Serialize)]
struct ToolCall<'a> {
    id: &'a str,
    r#type: &'a str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: Arguments<'a>,
}

/// The schema says a string; live streams carry the object. What the model wrote that is no object stays a string.
#[derive(Serialize)]
#[serde(untagged)]
enum Arguments<'a> {
    Object(Map<String, Value>),
    Text(&'a str),
}

#[derive(Serialize)]
struct ToolWithCall<'a> {
    r#type: &'a str,
    #[serde(rename = "toolCall")]
    call: &'a ToolCall<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolResult<'a> {
    name: &'a str,
    tool_call_id: &'a str,
    result: &'a str,
}

/// Writes an event over what was there. The call's id makes the ids of its turns.
pub(super) fn write<'a>(kept: &'a mut Vec<u8>, call: &str, told: &Told<'_>, epoch_ms: i64) -> &'a str {
    let mut write = |event| {
        start_over(kept);
        serde_json::to_writer(&mut *kept, &Stamped { event, timestamp: epoch_ms })
            .expect("strings and numbers always have a JSON form");
    };
    let who = |agent| if agent { "assistant" } else { "user" };
    let turn_id = |turn| format!("{call}-{turn}");
    match *told {
        Told::InProgress => write(Event::StatusUpdate { status: "in-progress", ended_reason: None }),
        Told::Ended { reason } => write(Event::StatusUpdate { status: "ended", ended_reason: Some(reason) }),
        Told::Speech { agent, started, turn } => {
            let status = if started { "started" } else { "stopped" };
            write(Event::SpeechUpdate { status, role: who(agent), turn });
        }
        Told::Transcript { agent, last, text } => {
            let transcript_type = if last { "final" } else { "partial" };
            write(Event::Transcript { role: who(agent), transcript_type, transcript: text });
        }
        Told::Conversation { formatted, messages } => {
            write(Event::ConversationUpdate { conversation: formatted, formatted, messages });
        }
        Told::AssistantStarted { assistant } => write(Event::AssistantStarted { new_assistant: assistant }),
        Told::ModelOutput { text, turn } => write(Event::ModelOutput { output: text, turn_id: turn_id(turn) }),
        Told::VoiceInput { text, turn } => write(Event::VoiceInput { input: text, turn }),
        Told::Interrupted { turn } => write(Event::UserInterrupted { turn_id: turn_id(turn) }),
        Told::ToolCall { id, name, arguments } => {
            let arguments = serde_json::from_str(arguments).map_or(Arguments::Text(arguments), Arguments::Object);
            let call = ToolCall { id, r#type: "function", function: Function { name, arguments } };
            write(Event::ToolCalls {
                tool_call_list: [&call],
                tool_with_tool_call_list: [ToolWithCall { r#type: "function", call: &call }],
            });
        }
        Told::ToolResult { id, name, result } => {
            write(Event::ToolCallsResult { tool_call_result: ToolResult { name, tool_call_id: id, result } });
        }
        Told::Transfer { to } => write(Event::TransferUpdate { destination: Destination::written(to) }),
        Told::Late => write(Event::Hang {}),
    }
    str::from_utf8(kept).expect("JSON is written in UTF-8")
}

/// The fields of the events a client cares for.
#[derive(Deserialize)]
struct Peer<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "endedReason")]
    reason: Option<&'a RawValue>,
    #[serde(borrow, default)]
    role: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "transcriptType")]
    last: Option<&'a RawValue>,
    #[serde(borrow, default)]
    transcript: Option<&'a RawValue>,
    #[serde(borrow, default)]
    destination: Option<&'a RawValue>,
}

/// Reads an event of the platform. Wrapped ones are read too.
pub(super) fn read(json: &str) -> Incoming<'static> {
    let Some(outer) = object::<Peer<'_>>(json) else { return Incoming::Ignored("malformed event") };
    let read = match (outer.kind, outer.message) {
        (None, Some(inner)) => match object::<Peer<'_>>(inner.get()) {
            Some(inner) => event(&inner),
            None => Err("malformed event"),
        },
        _ => event(&outer),
    };
    read.map_or_else(Incoming::Ignored, Incoming::Event)
}

fn event(message: &Peer<'_>) -> Result<PeerEvent, &'static str> {
    let kind = string(message.kind).ok_or("an event without a type")?;
    match kind.as_ref() {
        "status-update" => Ok(PeerEvent::Status {
            status: string(message.status).ok_or("a status-update without a status")?.into_owned(),
            reason: string(message.reason).map(Cow::into_owned),
        }),
        "speech-update" => Ok(PeerEvent::Speech {
            assistant: assistant(message)?,
            started: match string(message.status).as_deref() {
                Some("started") => true,
                Some("stopped") => false,
                Some(_) | None => return Err("a speech-update that neither started nor stopped"),
            },
        }),
        // The second spelling is what a client gets that asked for final transcripts only.
        "transcript" | "transcript[transcriptType=\"final\"]" => Ok(PeerEvent::Transcript {
            ours: !assistant(message)?,
            last: string(message.last).as_deref().unwrap_or("final") == "final",
            text: string(message.transcript).ok_or("a transcript without a text")?.into_owned(),
        }),
        "user-interrupted" => Ok(PeerEvent::Interrupted),
        "transfer-update" => {
            let to = message.destination.and_then(Destination::read);
            let address = to.and_then(|to| to.address()).ok_or("a transfer to nowhere")?;
            Ok(PeerEvent::Transfer { to: address.into_owned() })
        }
        _ => Err("an event we have no use for"),
    }
}

fn assistant(message: &Peer<'_>) -> Result<bool, &'static str> {
    match string(message.role).as_deref() {
        Some("assistant" | "bot") => Ok(true),
        Some("user") => Ok(false),
        Some(_) | None => Err("an event of neither side"),
    }
}

fn string(raw: Option<&RawValue>) -> Option<Cow<'_, str>> {
    text(raw?)
}
