//! `POST /call`: who is to answer, on which wire. Only Vapi's WebSocket transport can be asked for here.

use serde_json::{Map, Value};

use crate::{
    audio::Format,
    privacy::Pii,
    transport::{TransportError, vapi::parse_format},
    vapi::{
        Violations,
        assistant::Assistant,
        read::{self, Reader, Wrong},
    },
};

/// The longest request, in bytes.
pub const CALL_BYTES_MAX: usize = 1024 * 1024;

/// Vapi's words for a call that has neither a WebSocket nor a number.
pub const NO_NUMBER: &str = "Couldn't Get Phone Number. Need Either `phoneNumberId` Or `phoneNumber`.";

/// A call that is wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateCall {
    /// Who answers. Nobody named: the shop's own receptionist, or nobody.
    pub who: Option<Who>,
    /// What is different this time. Variables may be the caller's.
    pub overrides: Pii<Assistant>,
    /// What audio is in.
    pub format: Format,
    /// What the customer calls it.
    pub name: Option<String>,
    /// The caller, as the customer describes them.
    pub customer: Option<Pii<Map<String, Value>>>,
    /// The customer's own notes.
    pub metadata: Option<Pii<Map<String, Value>>>,
}

/// Who answers a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Who {
    /// An assistant that was stored.
    Stored(String),
    /// One that came with the request.
    Transient(Assistant),
}

/// What cannot be had here, and what to do instead.
const NOT_HERE: [(&str, &str); 10] = [
    ("squadId", "is not supported: name an assistantId or an assistant"),
    ("squad", "is not supported: name an assistantId or an assistant"),
    ("squadOverrides", "is not supported: name an assistantId or an assistant"),
    ("workflowId", "is not supported: name an assistantId or an assistant"),
    ("workflow", "is not supported: name an assistantId or an assistant"),
    ("workflowOverrides", "is not supported: name an assistantId or an assistant"),
    ("customers", "is not supported: create one call for each customer"),
    ("schedulePlan", "is not supported: create the call when it is due"),
    ("phoneNumberId", "is not permitted: calls are created for the transport vapi.websocket"),
    ("phoneNumber", "is not permitted: calls are created for the transport vapi.websocket"),
];

impl CreateCall {
    /// Reads a request.
    pub fn parse(json: &str) -> Result<Self, Violations> {
        let (body, wrong) = (read::object(json, CALL_BYTES_MAX)?, Wrong::default());
        let top = Reader::new(&body, "", &wrong);
        for (name, why) in NOT_HERE {
            if top.value(name).is_some() {
                top.must(name, why);
            }
        }
        let customer = top.object("customer");
        customer.text("number", 3, 40);
        for name in ["name", "email", "externalId"] {
            customer.text(name, 0, 40);
        }
        let call = Self {
            who: who(&top),
            overrides: Pii::new(Assistant::inside(&top.object("assistantOverrides")).unwrap_or_default()),
            format: format(&top),
            name: top.text("name", 0, 40).map(ToOwned::to_owned),
            customer: customer.written().cloned().map(Pii::new),
            metadata: top.object("metadata").written().cloned().map(Pii::new),
        };
        let call = wrong.or(call)?;
        // Told last and alone, as Vapi does: whoever forgot the transport has nothing else to mend.
        if top.value("transport").is_none() { Err(Violations::one(NO_NUMBER)) } else { Ok(call) }
    }

    /// The caller's number, where the customer told it.
    pub fn number(&self) -> Option<Pii<String>> {
        let number = self.customer.as_ref()?.reveal().get("number")?.as_str()?;
        Some(Pii::new(number.to_owned()))
    }
}

fn who(top: &Reader<'_>) -> Option<Who> {
    let stored = top.text("assistantId", 1, 100);
    let transient = Assistant::inside(&top.object("assistant"));
    match (stored, transient) {
        (Some(_), Some(_)) => {
            top.must("assistant", "must not be given together with assistantId");
            None
        }
        (Some(id), None) => Some(Who::Stored(id.to_owned())),
        (None, Some(assistant)) => Some(Who::Transient(assistant)),
        (None, None) => None,
    }
}

fn format(top: &Reader<'_>) -> Format {
    let transport = top.object("transport");
    if transport.exists() {
        if transport.value("provider").is_none() {
            transport.must("provider", "must be one of the following values: vapi.websocket");
        }
        transport.word("provider", &["vapi.websocket"]);
        transport.word("conversationType", &["voice"]);
    }
    let Some(asked) = transport.value("audioFormat") else { return Format::PCM_WIDE };
    match parse_format(&asked.to_string()) {
        Ok(format) => format,
        Err(TransportError::Format(why)) => {
            transport.says(why);
            Format::PCM_WIDE
        }
        Err(other) => {
            transport.must("audioFormat", other);
            Format::PCM_WIDE
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(body: Value) -> Vec<String> {
        CreateCall::parse(&body.to_string()).map_or_else(Violations::into_messages, |_| vec![])
    }

    #[test]
    fn requests_of_the_official_clients_are_read() {
        let typescript = json!({
            "assistantId": "a1", "assistantOverrides": {"variableValues": {"x": 1}, "server": {"url": "http://127.0.0.1:1/h"}},
            "transport": {"provider": "vapi.websocket", "audioFormat": {"format": "pcm_s16le", "container": "raw", "sampleRate": 16000}},
        });
        let call = CreateCall::parse(&typescript.to_string()).unwrap();
        assert_eq!((call.who, call.format), (Some(Who::Stored("a1".into())), Format::PCM_WIDE));
        assert_eq!(call.overrides.reveal().written()["variableValues"]["x"], 1);
        let python = r#"{"transport":{"provider":"vapi.websocket","audioFormat":{"sampleRate":8000.0,"format":"mulaw","container":"raw"}},
            "assistant":{"firstMessage":"Ciao"},"customer":{"number":"+390612345678"},"metadata":{"k":1},"squad":null,"new":1}"#;
        let call = CreateCall::parse(python).unwrap();
        assert!(matches!(&call.who, Some(Who::Transient(assistant)) if assistant.written().len() == 1));
        assert_eq!((call.format, call.number()), (Format::MULAW_PHONE, Some(Pii::new("+390612345678".into()))));
        let short = CreateCall::parse(r#"{"transport":{"provider":"vapi.websocket"}}"#).unwrap();
        assert_eq!((short.who, short.format), (None, Format::PCM_WIDE));
    }

    #[test]
    fn a_call_without_a_wire_is_refused_in_vapis_words() {
        assert_eq!(told(json!({"assistantId": "a"})), [NO_NUMBER]);
    }

    #[test]
    fn what_cannot_be_had_is_told() {
        let provider = "transport.provider must be one of the following values: vapi.websocket";
        for transport in [json!({"provider": "twilio"}), json!({"provider": "daily"}), json!({})] {
            assert_eq!(told(json!({"transport": transport})), [provider]);
        }
        let body = json!({
            "squadId": "s", "customers": [], "phoneNumberId": "p", "assistantId": "a", "assistant": {"maxDurationSeconds": 1},
            "assistantOverrides": {"stopSpeakingPlan": {"numWords": 11}}, "name": "n".repeat(41),
            "transport": {"provider": "vapi.websocket", "audioFormat": {"format": "opus", "sampleRate": 16000}},
        });
        assert_eq!(
            told(body),
            [
                "squadId is not supported: name an assistantId or an assistant",
                "customers is not supported: create one call for each customer",
                "phoneNumberId is not permitted: calls are created for the transport vapi.websocket",
                "assistant.maxDurationSeconds must not be less than 10",
                "assistant must not be given together with assistantId",
                "assistantOverrides.stopSpeakingPlan.numWords must not be greater than 10",
                "transport.audioFormat.format must be pcm_s16le or mulaw",
                "name must be shorter than or equal to 40 characters",
            ]
        );
    }

    #[test]
    fn a_callers_number_is_in_no_message() {
        let told = told(
            json!({"customer": {"number": "+3906123456789".repeat(4)}, "transport": {"provider": "vapi.websocket"}}),
        );
        assert_eq!(told, ["customer.number must be shorter than or equal to 40 characters"]);
    }
}
