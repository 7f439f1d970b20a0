//! Reads what a customer's server answers. Tolerant: what can be understood is, and what cannot is a failure the caller
//! of the telephone need not notice; nothing here is an error that a customer could fix by reading it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    privacy::Pii,
    transport::vapi::EndedReason,
    vapi::{
        assistant::Assistant,
        call::Who,
        read::{Reader, Wrong},
    },
};

/// The longest answer that is read.
pub const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// What the model is told where a server told nothing: Vapi's own words.
pub const NO_RESULT: &str = "No result returned";

/// The longest result that a model is given, in bytes; the rest is left out.
const RESULT_BYTES_MAX: usize = 64 * 1024;

/// What a server says of one tool call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolResult {
    /// For the model: one line.
    pub text: Pii<String>,
    /// It did not work.
    pub failed: bool,
    /// What is said of it, instead of what the tool's messages or the model would say.
    pub say: Option<Spoken>,
    /// For a connected client, untouched.
    pub metadata: Option<Map<String, Value>>,
}

/// What is said of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spoken {
    /// The words.
    pub text: Pii<String>,
    /// For the model, not for the caller.
    pub hint: bool,
    /// The call ends when they have been heard.
    pub then_end: bool,
}

/// Reads the answer to `tool-calls`: one result for each id, in the order asked. Anything but a 200 is a failure,
/// whatever it says.
pub fn tool_results(ids: &[&str], status: u16, body: &str) -> Vec<ToolResult> {
    let (ok, body) = ((200..300).contains(&status), object(body));
    let results = body.get("results").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let whole = line(body.get("error"));
    let one = |id: &&str| {
        let of = results.iter().filter_map(Value::as_object);
        let named = of.clone().find(|result| result.get("toolCallId").and_then(Value::as_str) == Some(*id));
        // One ask and one result without a name belong together; so does the old form, which knows one call only.
        let unnamed = || of.clone().find(|result| ids.len() == 1 && !result.contains_key("toolCallId"));
        let old = || (ids.len() == 1 && results.is_empty()).then_some(&body);
        let result = named.or_else(unnamed).or_else(old);
        let (said, error) = (result.and_then(|it| line(it.get("result"))), result.and_then(|it| line(it.get("error"))));
        let failed = !ok || error.is_some() || said.is_none();
        let text = error.or(said).or_else(|| whole.clone()).unwrap_or_else(|| NO_RESULT.to_owned());
        ToolResult {
            text: Pii::new(text),
            failed,
            say: result.and_then(|it| it.get("message")?.as_object()).and_then(spoken),
            metadata: result.and_then(|it| it.get("metadata")?.as_object()).cloned(),
        }
    };
    ids.iter().map(one).collect()
}

/// Who is to answer a call.
#[derive(Debug, Clone, PartialEq)]
pub enum AssistantAnswer {
    /// This one.
    Assistant(Box<(Who, Assistant)>),
    /// Nobody here: the caller is put through at once.
    Forward(Destination),
    /// Nobody: the caller hears this.
    Error(Pii<String>),
}

/// Why nobody answers a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AssistantFault {
    /// The server did not answer, or not with a 200.
    #[error("the server did not answer")]
    Failed,
    /// It named nobody.
    #[error("the server named no assistant")]
    Nobody,
    /// It named something that is not an assistant of ours.
    #[error("the server named an assistant that is not valid")]
    Invalid,
}

impl AssistantFault {
    /// As the call's reason to end.
    pub const fn reason(self) -> EndedReason {
        match self {
            Self::Failed => EndedReason::AssistantRequestFailed,
            Self::Nobody => EndedReason::NoAssistant,
            Self::Invalid => EndedReason::InvalidAssistant,
        }
    }
}

/// Reads the answer to `assistant-request`. A destination wins over everything, an error over an assistant.
pub fn assistant(status: u16, body: &str) -> Result<AssistantAnswer, AssistantFault> {
    if !(200..300).contains(&status) || body.len() > ANSWER_BYTES_MAX {
        return Err(AssistantFault::Failed);
    }
    let (body, wrong) = (object(body), Wrong::default());
    if let Some(destination) = body.get("destination").and_then(Destination::read) {
        return Ok(AssistantAnswer::Forward(destination));
    }
    if let Some(error) = line(body.get("error")) {
        return Ok(AssistantAnswer::Error(Pii::new(error)));
    }
    let answer = Reader::new(&body, "", &wrong);
    let transient = Assistant::inside(&answer.object("assistant")).map(Who::Transient);
    let overrides = Assistant::inside(&answer.object("assistantOverrides")).unwrap_or_default();
    let who = transient.or_else(|| answer.text("assistantId", 1, 100).map(|id| Who::Stored(id.to_owned())));
    wrong.or(()).map_err(|_| AssistantFault::Invalid)?;
    match who {
        Some(who) => Ok(AssistantAnswer::Assistant(Box::new((who, overrides)))),
        // A squad or a workflow is somebody, but nobody we have.
        None if ["squad", "squadId", "workflow", "workflowId"].iter().any(|name| answer.value(name).is_some()) => {
            Err(AssistantFault::Invalid)
        }
        None => Err(AssistantFault::Nobody),
    }
}

/// Where a caller is put through to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase", rename_all_fields = "camelCase")]
pub enum Destination {
    /// A number.
    Number {
        /// `+39...`
        number: Pii<String>,
        /// What the caller hears first.
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// An address.
    Sip {
        /// `sip:...`
        sip_uri: Pii<String>,
        /// What the caller hears first.
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
}

/// The longest number or address.
const ADDRESS_CHARS_MAX: usize = 200;

impl Destination {
    /// To a number or a `sip:` address.
    pub fn to(address: &str) -> Self {
        let (address, message) = (Pii::new(address.to_owned()), None);
        if address.reveal().starts_with("sip:") || address.reveal().starts_with("sips:") {
            Self::Sip { sip_uri: address, message }
        } else {
            Self::Number { number: address, message }
        }
    }

    /// The number or address.
    pub const fn address(&self) -> &Pii<String> {
        match self {
            Self::Number { number, .. } => number,
            Self::Sip { sip_uri, .. } => sip_uri,
        }
    }

    /// What the caller hears first.
    pub fn message(&self) -> Option<&str> {
        match self {
            Self::Number { message, .. } | Self::Sip { message, .. } => message.as_deref(),
        }
    }

    /// As Vapi writes it, or a bare number. `None` for what we cannot put through to: an assistant, a step, nothing.
    fn read(written: &Value) -> Option<Self> {
        let field = |name: &str| written.get(name).and_then(Value::as_str);
        let address = written.as_str().or_else(|| field("number")).or_else(|| field("sipUri"))?.trim();
        if address.is_empty() || address.len() > ADDRESS_CHARS_MAX || address.contains(char::is_control) {
            return None;
        }
        // A message is a text, or an object with contents in several languages.
        let said = written.get("message");
        let said = said.and_then(|said| said.as_str().or_else(|| said.get("content")?.as_str()));
        Some(Self::to(address).saying(said.filter(|said| !said.is_empty())))
    }

    fn saying(self, said: Option<&str>) -> Self {
        let message = said.map(ToOwned::to_owned);
        match self {
            Self::Number { number, .. } => Self::Number { number, message },
            Self::Sip { sip_uri, .. } => Self::Sip { sip_uri, message },
        }
    }
}

/// What a server says of a transfer that the model asked for without a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransferAnswer {
    /// There, after these words.
    To(Destination, Option<Spoken>),
    /// Nowhere: the model is told.
    Failed(Pii<String>),
}

/// Reads the answer to `transfer-destination-request`.
pub fn transfer(status: u16, body: &str) -> TransferAnswer {
    let body = object(body);
    let said = body.get("message").and_then(Value::as_object).and_then(spoken);
    match body.get("destination").and_then(Destination::read) {
        Some(destination) if (200..300).contains(&status) => TransferAnswer::To(destination, said),
        Some(_) | None => {
            let error = line(body.get("error")).unwrap_or_else(|| NO_RESULT.to_owned());
            TransferAnswer::Failed(Pii::new(error))
        }
    }
}

/// Reads the answer to `call.endpointing.request`: how long to wait, 15 s at most. `None`: it said nothing of use.
pub fn endpointing(status: u16, body: &str) -> Option<Duration> {
    let seconds = object(body).get("timeoutSeconds")?.as_f64()?;
    ((200..300).contains(&status) && seconds >= 0.0).then(|| Duration::from_secs_f64(seconds.min(15.0)))
}

/// The answer, without the wrapping that the schema has and the wire has not. What is no object is an empty one.
fn object(body: &str) -> Map<String, Value> {
    #[derive(Deserialize)]
    struct Wrapped {
        #[serde(rename = "messageResponse")]
        inner: Map<String, Value>,
    }
    if body.len() > ANSWER_BYTES_MAX {
        return Map::new();
    }
    serde_json::from_str::<Wrapped>(body)
        .map(|wrapped| wrapped.inner)
        .or_else(|_| serde_json::from_str(body))
        .unwrap_or_default()
}

/// A value on one line: texts as they are, anything else as JSON. Line breaks break what reads it.
fn line(value: Option<&Value>) -> Option<String> {
    let value = value.filter(|value| !value.is_null())?;
    let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    let mut line =
        text.split(['\r', '\n']).map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    line.truncate(line.floor_char_boundary(RESULT_BYTES_MAX));
    Some(line)
}

fn spoken(message: &Map<String, Value>) -> Option<Spoken> {
    let field = |name: &str| message.get(name).and_then(Value::as_str);
    let text = line(message.get("content")).filter(|text| !text.is_empty())?;
    let then_end = message.get("endCallAfterSpokenEnabled").and_then(Value::as_bool).unwrap_or(false);
    Some(Spoken { text: Pii::new(text), hint: field("role") == Some("system"), then_end })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(ids: &[&str], status: u16, body: &str) -> Vec<(String, bool)> {
        let results = tool_results(ids, status, body).into_iter();
        results.map(|result| (result.text.into_inner(), result.failed)).collect()
    }

    fn check(body: &str, expected: &str, failed: bool) {
        assert_eq!(results(&["a"], 200, body), [(expected.to_owned(), failed)], "{body}");
    }

    #[test]
    fn every_form_of_a_result_is_read() {
        check(r#"{"results":[{"toolCallId":"a","name":"book","result":"Prenotato."}]}"#, "Prenotato.", false);
        check(r#"{"results":[{"toolCallId":"a","result":"Prenotato\r\n  alle 9."}]}"#, "Prenotato alle 9.", false);
        check(r#"{"results":[{"toolCallId":"a","result":{"at":9}}]}"#, r#"{"at":9}"#, false);
        check(r#"{"results":[{"result":"solo"}]}"#, "solo", false);
        check(r#"{"result":"vecchio"}"#, "vecchio", false);
        check(r#"{"messageResponse":{"results":[{"toolCallId":"a","result":"x"}]}}"#, "x", false);
        check(r#"{"results":[{"toolCallId":"a","error":"Occupato","result":"y"}]}"#, "Occupato", true);
        check(r#"{"error":"Chiuso"}"#, "Chiuso", true);
        for nothing in [
            "",
            "[]",
            "ok",
            r#"{"results":[]}"#,
            r#"{"results":[{"toolCallId":"b","result":"x"}]}"#,
            r#"{"result":null}"#,
        ] {
            check(nothing, NO_RESULT, true);
        }
    }

    #[test]
    fn results_find_their_asks() {
        let body = r#"{"results":[{"toolCallId":"b","result":"2"},{"toolCallId":"a","result":"1"},{"result":"3"}]}"#;
        let expected = [("1".to_owned(), false), ("2".to_owned(), false), (NO_RESULT.to_owned(), true)];
        assert_eq!(results(&["a", "b", "c"], 200, body), expected);
        assert!(results(&["a"], 500, body).iter().all(|(text, failed)| text == "1" && *failed));
    }

    #[test]
    fn a_result_may_bring_its_own_words() {
        let body = r#"{"results":[{"toolCallId":"a","result":"x","metadata":{"k":1},
            "message":{"type":"request-complete","content":"Fatto.","endCallAfterSpokenEnabled":true}}]}"#;
        let result = tool_results(&["a"], 201, body).remove(0);
        assert_eq!(result.say, Some(Spoken { text: Pii::new("Fatto.".into()), hint: false, then_end: true }));
        assert_eq!(result.metadata.unwrap()["k"], 1);
    }

    #[test]
    fn who_answers() {
        let check = |body: &str, expected: Result<AssistantAnswer, AssistantFault>| {
            assert_eq!(assistant(200, body), expected, "{body}");
        };
        let stored = AssistantAnswer::Assistant(Box::new((Who::Stored("a1".into()), Assistant::default())));
        check(r#"{"assistantId":"a1","squadId":null}"#, Ok(stored));
        let to = Destination::to("+390698765432").saying(Some("La passo."));
        check(
            r#"{"assistantId":"a1","destination":{"type":"number","number":"+390698765432","message":"La passo."}}"#,
            Ok(AssistantAnswer::Forward(to)),
        );
        check(r#"{"error":"Chiusi","assistantId":"a"}"#, Ok(AssistantAnswer::Error(Pii::new("Chiusi".into()))));
        check(r#"{"squadId":"s"}"#, Err(AssistantFault::Invalid));
        check(r#"{"assistant":{"maxDurationSeconds":1}}"#, Err(AssistantFault::Invalid));
        check("{}", Err(AssistantFault::Nobody));
        check("<html>", Err(AssistantFault::Nobody));
        assert_eq!(assistant(503, "{}"), Err(AssistantFault::Failed));
    }

    #[test]
    fn where_a_caller_goes() {
        let check =
            |status, body: &str, expected: TransferAnswer| assert_eq!(transfer(status, body), expected, "{body}");
        let sip = r#"{"destination":{"type":"sip","sipUri":"sip:capo@example.it"},"message":{"content":"Attenda."}}"#;
        let words = Spoken { text: Pii::new("Attenda.".into()), hint: false, then_end: false };
        check(200, sip, TransferAnswer::To(Destination::to("sip:capo@example.it"), Some(words)));
        check(200, r#"{"destination":"+39061"}"#, TransferAnswer::To(Destination::to("+39061"), None));
        check(404, sip, TransferAnswer::Failed(Pii::new(NO_RESULT.into())));
        let assistant = r#"{"destination":{"type":"assistant","assistantName":"x"},"error":"no"}"#;
        check(200, assistant, TransferAnswer::Failed(Pii::new("no".into())));
    }

    #[test]
    fn how_long_to_wait() {
        assert_eq!(endpointing(200, r#"{"timeoutSeconds":0.4}"#), Some(Duration::from_millis(400)));
        assert_eq!(endpointing(200, r#"{"timeoutSeconds":1e300}"#), Some(Duration::from_secs(15)));
        for nothing in [r#"{"timeoutSeconds":-1}"#, r#"{"timeoutSeconds":"1"}"#, "", "{}"] {
            assert_eq!(endpointing(200, nothing), None, "{nothing}");
        }
    }
}
