//! The controls of Vapi's wire, read and written: what a connected client, or the holder of a control URL, asks of a
//! running call.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{json, value::RawValue};

use super::{
    Control,
    vapi::{object, text},
};

/// One control message; each field is read only when the type asks for it, so that a field of the wrong kind elsewhere
/// does not spoil the message.
#[derive(Deserialize)]
struct Inbound<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    control: Option<&'a RawValue>,
    #[serde(borrow, default)]
    destination: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "endCallAfterSpoken")]
    then_end: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "interruptAssistantEnabled")]
    now: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "interruptionsEnabled")]
    interruptible: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "triggerResponseEnabled")]
    respond: Option<&'a RawValue>,
}

/// The `message` of an `add-message`.
#[derive(Deserialize)]
struct Added<'a> {
    #[serde(borrow, default)]
    role: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
}

/// Where a transfer goes.
#[derive(Deserialize)]
pub(super) struct Destination<'a> {
    #[serde(borrow, default)]
    number: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "sipUri")]
    sip: Option<&'a RawValue>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
}

impl<'a> Destination<'a> {
    /// Reads one.
    pub(super) fn read(raw: &'a RawValue) -> Option<Self> {
        object(raw.get())
    }

    /// A number or a SIP address.
    pub(super) fn address(&self) -> Option<Cow<'a, str>> {
        string(self.number).or_else(|| string(self.sip)).filter(|address| !address.is_empty())
    }

    /// One as it is written.
    pub(super) fn written(to: &str) -> serde_json::Value {
        if to.starts_with("sip:") || to.starts_with("sips:") {
            json!({"type": "sip", "sipUri": to})
        } else {
            json!({"type": "number", "number": to})
        }
    }
}

/// Reads a control, or tells why there is nothing to do. The same words come over the WebSocket and over the control
/// URL.
pub(super) fn read(json: &str) -> Result<Control, &'static str> {
    let outer = inbound(json)?;
    match (outer.kind, outer.message) {
        (None, Some(inner)) => control(&inbound(inner.get())?), // the published schema wraps the message; the wire does not
        _ => control(&outer),
    }
}

fn inbound(json: &str) -> Result<Inbound<'_>, &'static str> {
    object(json).ok_or("malformed control")
}

fn control(message: &Inbound<'_>) -> Result<Control, &'static str> {
    let kind = string(message.kind).ok_or("a control without a type")?;
    match kind.as_ref() {
        "say" => say(message),
        "add-message" => add_message(message),
        "control" => switch(message),
        "end-call" | "hangup" => Ok(Control::End),
        "transfer" | "handoff" => transfer(message),
        "send-transport-message" => Err("a message for another transport"),
        _ => Err("unknown control"),
    }
}

fn say(message: &Inbound<'_>) -> Result<Control, &'static str> {
    let then_end = flag(message.then_end, false);
    // The platform's own web client says `message` for `content`.
    match string(message.content).or_else(|| string(message.message)).filter(|text| !text.trim().is_empty()) {
        Some(text) => Ok(Control::Say {
            text: text.into_owned(),
            now: flag(message.now, false),
            interruptible: flag(message.interruptible, true),
            then_end,
        }),
        None if then_end => Ok(Control::End),
        None => Err("say without a text"),
    }
}

fn add_message(message: &Inbound<'_>) -> Result<Control, &'static str> {
    let added = message.message.and_then(|raw| object::<Added<'_>>(raw.get()));
    let added = added.ok_or("add-message without a message")?;
    let role = string(added.role).ok_or("add-message without a role")?;
    let text = string(added.content).ok_or("add-message without a text")?;
    Ok(Control::AddMessage { role: role.into_owned(), text: text.into_owned(), respond: flag(message.respond, true) })
}

fn switch(message: &Inbound<'_>) -> Result<Control, &'static str> {
    match string(message.control).as_deref() {
        Some("mute-assistant") => Ok(Control::MuteAgent(true)),
        Some("unmute-assistant") => Ok(Control::MuteAgent(false)),
        Some("mute-customer") => Ok(Control::MuteCaller(true)),
        Some("unmute-customer") => Ok(Control::MuteCaller(false)),
        Some("say-first-message") => Ok(Control::SayFirstMessage),
        Some(_) | None => Err("unknown switch"),
    }
}

/// A `handoff` goes to another assistant, of which we have none, or to a number like a `transfer`.
fn transfer(message: &Inbound<'_>) -> Result<Control, &'static str> {
    let to = message.destination.and_then(Destination::read).ok_or("a transfer without a destination")?;
    let address = to.address();
    let say = string(message.content).or_else(|| string(to.message));
    Ok(Control::Transfer {
        to: address.ok_or("a transfer to neither a number nor a SIP address")?.into_owned(),
        say: say.filter(|text| !text.is_empty()).map(Cow::into_owned),
    })
}

fn string(raw: Option<&RawValue>) -> Option<Cow<'_, str>> {
    text(raw?)
}

fn flag(raw: Option<&RawValue>, usual: bool) -> bool {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or(usual)
}

/// Writes a control, for the platform we have dialled.
pub(super) fn write(control: &Control) -> String {
    let switch = |control: &str| json!({"type": "control", "control": control});
    let json = match control {
        Control::Say { text, now, interruptible, then_end } => json!({
            "type": "say",
            "content": text,
            "endCallAfterSpoken": then_end,
            "interruptAssistantEnabled": now,
            "interruptionsEnabled": interruptible,
        }),
        Control::AddMessage { role, text, respond } => json!({
            "type": "add-message",
            "message": {"role": role, "content": text},
            "triggerResponseEnabled": respond,
        }),
        Control::MuteAgent(true) => switch("mute-assistant"),
        Control::MuteAgent(false) => switch("unmute-assistant"),
        Control::MuteCaller(true) => switch("mute-customer"),
        Control::MuteCaller(false) => switch("unmute-customer"),
        Control::SayFirstMessage => switch("say-first-message"),
        Control::Transfer { to, say } => {
            let destination = Destination::written(to);
            match say {
                Some(say) => json!({"type": "transfer", "destination": destination, "content": say}),
                None => json!({"type": "transfer", "destination": destination}),
            }
        }
        Control::End => json!({"type": "end-call"}),
    };
    json.to_string()
}
