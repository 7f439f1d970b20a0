//! A call that we create at Vapi: the body of `POST /call`, and what of its answer is needed to dial it. The contract is that
//! of Vapi's REST interface (`CreateCallDTO`, `Call`), for the transport `vapi.websocket`.

use serde_json::{Map, Value, json};

use crate::{
    audio::{Codec, Format},
    privacy::Pii,
};

/// The longest name of a call.
pub const NAME_CHARS_MAX: usize = 40;

/// The longest answer that is read, in bytes.
pub const ANSWER_BYTES_MAX: usize = 1 << 20;

/// The longest address that is dialled, in bytes.
const ADDRESS_BYTES_MAX: usize = 4 << 10;

/// Who is to answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Answerer {
    /// An assistant that is stored at Vapi.
    Stored(String),
    /// One that is described with the call.
    Transient(Map<String, Value>),
}

/// What is asked for.
///
/// ```
/// use pronto::{audio::Format, vapi::peer::dialling::{Answerer, NewCall}};
/// let new = NewCall::to(Answerer::Stored("a1".into()), Format::MULAW_PHONE).named("collaudo");
/// let expected = r#"{"assistantId":"a1","name":"collaudo","transport":{"provider":"vapi.websocket","audioFormat":{"format":"mulaw","container":"raw","sampleRate":8000}}}"#;
/// assert_eq!(new.body().unwrap(), serde_json::from_str::<serde_json::Value>(expected).unwrap());
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NewCall {
    answerer: Answerer,
    format: Format,
    name: Option<String>,
    overrides: Map<String, Value>,
    variables: Map<String, Value>,
}

/// Why a call cannot be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Vapi carries PCM and mu-law only: choose one of them")]
pub struct NoSuchFormat;

impl NewCall {
    /// A call that is answered so, with audio in this format both ways.
    pub fn to(answerer: Answerer, format: Format) -> Self {
        Self { answerer, format, name: None, overrides: Map::new(), variables: Map::new() }
    }

    /// Its name, as far as there is room for it.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self { name: Some(name.chars().take(NAME_CHARS_MAX).collect()), ..self }
    }

    /// What is different from the assistant, for this call: `assistantOverrides`.
    #[must_use]
    pub fn overriding(self, overrides: Map<String, Value>) -> Self {
        Self { overrides, ..self }
    }

    /// A variable of the assistant's texts.
    #[must_use]
    pub fn knowing(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.variables.insert(name.to_owned(), value.into());
        self
    }

    /// What audio is in.
    pub const fn format(&self) -> Format {
        self.format
    }

    /// The body of the request.
    pub fn body(&self) -> Result<Value, NoSuchFormat> {
        let codec = match self.format.codec {
            Codec::Pcm => "pcm_s16le",
            Codec::Mulaw => "mulaw",
            Codec::Alaw | Codec::Opus => return Err(NoSuchFormat),
        };
        let mut body = Map::new();
        match &self.answerer {
            Answerer::Stored(id) => body.insert("assistantId".into(), id.as_str().into()),
            Answerer::Transient(assistant) => body.insert("assistant".into(), Value::Object(assistant.clone())),
        };
        let mut overrides = self.overrides.clone();
        if !self.variables.is_empty() {
            let known = overrides.entry("variableValues").or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(known) = known {
                known.extend(self.variables.clone());
            }
        }
        if !overrides.is_empty() {
            body.insert("assistantOverrides".into(), Value::Object(overrides));
        }
        if let Some(name) = &self.name {
            body.insert("name".into(), name.as_str().into());
        }
        let audio = json!({"format": codec, "container": "raw", "sampleRate": self.format.rate.hz()});
        body.insert("transport".into(), json!({"provider": "vapi.websocket", "audioFormat": audio}));
        Ok(Value::Object(body))
    }
}

/// A call that was created. Who has its addresses may come in: they are shown to nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Vapi's id of it.
    pub id: String,
    /// Where it is dialled: `ws://` or `wss://`.
    pub transport: Pii<String>,
    /// Where it is controlled, if the assistant lets anybody: `http://` or `https://`.
    pub control: Option<Pii<String>>,
}

/// Why there is no call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotCreated {
    /// The answer has another status than 200 and 201. Vapi's words are for the operator: they name fields, not callers.
    #[error("Vapi answered {status}: {words}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it says, shortened.
        words: String,
    },
    /// Nothing was refused, and there is no line.
    #[error("Vapi created no call, because all lines of the organisation are taken")]
    Blocked,
    /// The answer is not that of the contract.
    #[error("Vapi's answer has no {0}: is base_url the address of Vapi's API?")]
    Garbage(&'static str),
}

impl Created {
    /// Reads the answer to `POST /call`.
    pub fn read(status: u16, body: &str) -> Result<Self, NotCreated> {
        let answer: Value = serde_json::from_str(body).unwrap_or_default();
        if !matches!(status, 200 | 201) {
            return Err(NotCreated::Refused { status, words: words(&answer) });
        }
        if answer["subscriptionLimits"]["concurrencyBlocked"] == true {
            return Err(NotCreated::Blocked);
        }
        let id = answer["id"].as_str().filter(|id| !id.is_empty() && id.len() <= 128);
        let address = |value: &Value, schemes: [&str; 2]| {
            let fits = |address: &&str| {
                address.len() <= ADDRESS_BYTES_MAX && schemes.iter().any(|scheme| address.starts_with(scheme))
            };
            value.as_str().filter(fits).map(|address| Pii::new(address.to_owned()))
        };
        Ok(Self {
            id: id.ok_or(NotCreated::Garbage("id"))?.to_owned(),
            transport: address(&answer["transport"]["websocketCallUrl"], ["ws://", "wss://"])
                .ok_or(NotCreated::Garbage("transport.websocketCallUrl"))?,
            control: address(&answer["monitor"]["controlUrl"], ["http://", "https://"]),
        })
    }
}

/// The words of a refusal: a text, or one for each field.
fn words(answer: &Value) -> String {
    const CHARS_MAX: usize = 200;
    let said = match &answer["message"] {
        Value::String(text) => text.clone(),
        Value::Array(texts) => texts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; "),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => "no reason was given".to_owned(),
    };
    said.chars().filter(|c| !c.is_control()).take(CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body that the contract shows for a 201.
    const CREATED: &str = r#"{"id":"01993a1f-0d43-7aa0-8f5e-2a6f3c9f7b01","orgId":"o","status":"queued","createdAt":"2026-09-01T08:30:00.000Z","updatedAt":"2026-09-01T08:30:00.000Z","monitor":{"listenUrl":"wss://voice.example.test/c/listen","controlUrl":"https://voice.example.test/c/control"},"transport":{"provider":"vapi.websocket","websocketCallUrl":"wss://voice.example.test/c/transport"},"subscriptionLimits":{"concurrencyBlocked":false,"concurrencyLimit":10,"remainingConcurrentCalls":9}}"#;

    #[test]
    fn the_answer_tells_where_to_dial() {
        let created = Created::read(201, CREATED).expect("created");
        assert_eq!(created.id, "01993a1f-0d43-7aa0-8f5e-2a6f3c9f7b01");
        assert_eq!(created.transport.reveal(), "wss://voice.example.test/c/transport");
        assert_eq!(created.control.expect("controlled").reveal(), "https://voice.example.test/c/control");
    }

    #[test]
    fn what_is_no_call_says_why() {
        let check = |status, body: &str, expected: &str| {
            assert_eq!(Created::read(status, body).expect_err("no call").to_string(), expected, "{body}");
        };
        check(
            400,
            r#"{"message":["a must not be empty","b"],"statusCode":400}"#,
            "Vapi answered 400: a must not be empty; b",
        );
        check(401, r#"{"message":"Invalid Key."}"#, "Vapi answered 401: Invalid Key.");
        check(502, "<html>", "Vapi answered 502: no reason was given");
        let blocked = CREATED.replace("Blocked\":false", "Blocked\":true");
        check(201, &blocked, "Vapi created no call, because all lines of the organisation are taken");
        let garbage = "Vapi's answer has no transport.websocketCallUrl: is base_url the address of Vapi's API?";
        check(201, r#"{"id":"c"}"#, garbage);
        check(201, &CREATED.replace("wss://voice.example.test/c/transport", "file:///etc/passwd"), garbage);
        check(201, "[]", "Vapi's answer has no id: is base_url the address of Vapi's API?");
    }

    #[test]
    fn variables_are_laid_over_the_overrides() {
        let overrides = json!({"firstMessage": "ciao", "variableValues": {"shop": "Rossi", "x": 1}});
        let Value::Object(overrides) = overrides else { panic!("an object") };
        let transient = Answerer::Transient(Map::new());
        let new = NewCall::to(transient, Format::PCM_WIDE).overriding(overrides).knowing("x", 2).named(&"n".repeat(50));
        let body = new.body().expect("a format of Vapi's");
        assert_eq!(body["assistantOverrides"]["variableValues"], json!({"shop": "Rossi", "x": 2}));
        assert_eq!((&body["assistant"], body["name"].as_str().map(str::len)), (&json!({}), Some(NAME_CHARS_MAX)));
        let opus = Format { codec: Codec::Opus, ..Format::PCM_WIDE };
        assert_eq!(NewCall::to(Answerer::Stored("a".into()), opus).body(), Err(NoSuchFormat));
    }
}
