//! What a customer's server URL is told and asked: one JSON body for each message, in the envelope that webhooks have and
//! the WebSocket has not, `{"message":{...}}`; and what the server may answer.
//!
//! ```
//! use pronto::vapi::server_message::{Body, Envelope};
//!
//! let envelope = Envelope { timestamp: 1_788_251_396_120, ..Envelope::default() };
//! let json = envelope.write(&Body::UserInterrupted { turn_id: None });
//! assert_eq!(json, r#"{"message":{"type":"user-interrupted","timestamp":1788251396120}}"#);
//! ```
//!
//! It sends nothing: how long an answer may take and what may be dropped is said in [`rules`], for whoever does.

mod answers;
pub mod rules;
mod tool_calls;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

pub use answers::{
    ANSWER_BYTES_MAX, AssistantAnswer, AssistantFault, Destination, NO_RESULT, Spoken, ToolResult, TransferAnswer,
    assistant, endpointing, tool_results, transfer,
};
pub use tool_calls::{ArgumentsForm, ToolCalls};

use super::call::{Artifact, CallObject, Entry, Formatted, Status, iso_if, reason};
use crate::{
    privacy::Pii,
    transport::vapi::{EndedReason, Kind},
};

/// What goes with every message. Absent things are left out.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope<'a> {
    /// When it happened, in milliseconds since 1970.
    pub timestamp: i64,
    /// The call, as it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<&'a CallObject>,
    /// The assistant, as it may be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assistant: Option<&'a Map<String, Value>>,
    /// The caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer: Option<&'a Pii<Map<String, Value>>>,
    /// The number that was called; never an account's keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone_number: Option<&'a Map<String, Value>>,
    /// What there is of the call so far. A report brings its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact: Option<&'a Artifact>,
}

/// A message: its type and its own fields.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Body<'a> {
    /// A call comes in: who is to answer it?
    AssistantRequest {},
    /// The model asked for tools of the customer's.
    ToolCalls(ToolCalls<'a>),
    /// The call stands elsewhere.
    StatusUpdate {
        /// Where.
        status: Status,
        /// Why it ended.
        #[serde(skip_serializing_if = "Option::is_none", serialize_with = "reason")]
        ended_reason: Option<EndedReason>,
        /// To whom the caller is being put through.
        #[serde(skip_serializing_if = "Option::is_none")]
        destination: Option<&'a Destination>,
    },
    /// The call is over: everything there is.
    EndOfCallReport(Report<'a>),
    /// The conversation grew.
    ConversationUpdate {
        /// In Vapi's form.
        messages: &'a [Entry],
        /// As a model reads it.
        #[serde(rename = "messagesOpenAIFormatted")]
        formatted: &'a [Formatted],
    },
    /// Words of either side, while they are spoken or when they will not change any more.
    Transcript(Transcript<'a>),
    /// The last words only, for who asked for these only: the same fields under another name.
    #[serde(rename = "transcript[transcriptType=\"final\"]")]
    FinalTranscript(Transcript<'a>),
    /// Either side began or stopped speaking.
    SpeechUpdate {
        /// Which.
        status: Began,
        /// Who.
        role: Side,
        /// The turn, from 0.
        turn: u32,
    },
    /// Words of the model. The schema says an object; the wire carries text.
    ModelOutput {
        /// The words.
        output: &'a str,
        /// The turn.
        #[serde(skip_serializing_if = "Option::is_none")]
        turn_id: Option<String>,
    },
    /// A sentence given to the voice.
    VoiceInput {
        /// The sentence.
        input: &'a str,
    },
    /// The caller cut in.
    UserInterrupted {
        /// The turn that was cut.
        #[serde(skip_serializing_if = "Option::is_none")]
        turn_id: Option<String>,
    },
    /// The answer is late.
    Hang {},
    /// The assistant is there.
    #[serde(rename = "assistant.started")]
    AssistantStarted {
        /// Which.
        new_assistant: &'a Map<String, Value>,
    },
    /// Our voice began to be heard.
    #[serde(rename = "assistant.speechStarted")]
    SpeechStarted {
        /// The whole of what is being said.
        text: &'a str,
        /// The turn, from 0.
        turn: u32,
        /// Where the words come from.
        source: Source,
    },
    /// The caller is being put through.
    TransferUpdate {
        /// To whom.
        #[serde(skip_serializing_if = "Option::is_none")]
        destination: Option<&'a Destination>,
    },
    /// The model wants to put the caller through and does not know to whom.
    TransferDestinationRequest {},
    /// How long should we wait before we answer?
    #[serde(rename = "call.endpointing.request")]
    EndpointingRequest {
        /// As a model reads it.
        #[serde(rename = "messagesOpenAIFormatted")]
        formatted: &'a [Formatted],
    },
    /// The customer's server controls the line: it is to do this.
    PhoneCallControl {
        /// What.
        request: Request,
        /// To whom.
        #[serde(skip_serializing_if = "Option::is_none")]
        destination: Option<&'a Destination>,
    },
    /// The caller speaks another language.
    LanguageChangeDetected {
        /// Which.
        language: &'a str,
    },
    /// The call's data was deleted.
    #[serde(rename = "call.deleted")]
    CallDeleted {},
    /// It was not.
    #[serde(rename = "call.delete.failed")]
    CallDeleteFailed {},
}

/// The report at the end.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report<'a> {
    /// Why it ended.
    #[serde(serialize_with = "one_reason")]
    pub ended_reason: EndedReason,
    /// When the client connected.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "iso_if")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "iso_if")]
    pub ended_at: Option<Timestamp>,
    /// What remains of it.
    pub artifact: &'a Artifact,
    /// Nothing: calls are not analysed here, and clients expect the field.
    analysis: Nothing,
    cost: u8,
    duration_ms: i64,
    duration_seconds: f64,
    duration_minutes: f64,
    /// Of the artifact, once more: live reports carry it, and older handlers read it here.
    messages: &'a [Entry],
    #[serde(skip_serializing_if = "Option::is_none")]
    transcript: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recording_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stereo_recording_url: Option<&'a str>,
    summary: &'static str,
}

/// `{}`
#[derive(Debug, Clone, Copy, Serialize)]
struct Nothing {}

impl<'a> Report<'a> {
    /// Of a call that is over. One that was never answered lasted no time.
    pub fn new(
        ended_reason: EndedReason,
        started_at: Option<Timestamp>,
        ended_at: Option<Timestamp>,
        artifact: &'a Artifact,
    ) -> Self {
        let duration_ms =
            started_at.zip(ended_at).map_or(0, |(from, to)| (to.as_millisecond() - from.as_millisecond()).max(0));
        let duration_seconds = duration_ms as f64 / 1_000.0;
        Self {
            ended_reason,
            started_at,
            ended_at,
            artifact,
            analysis: Nothing {},
            cost: 0,
            duration_ms,
            duration_seconds,
            duration_minutes: duration_seconds / 60.0,
            messages: &artifact.messages,
            transcript: artifact.transcript.as_deref(),
            recording_url: artifact.recording_url.as_deref(),
            stereo_recording_url: artifact.stereo_recording_url.as_deref(),
            summary: "",
        }
    }
}

fn one_reason<S: serde::Serializer>(reason: &EndedReason, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(reason.as_str())
}

/// Words of either side.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Transcript<'a> {
    role: Side,
    transcript_type: &'static str,
    transcript: &'a str,
}

impl<'a> Transcript<'a> {
    /// What somebody said; `last` if it will not change any more.
    pub const fn new(role: Side, last: bool, transcript: &'a str) -> Self {
        Self { role, transcript_type: if last { "final" } else { "partial" }, transcript }
    }

    /// It will not change any more.
    pub fn is_last(&self) -> bool {
        self.transcript_type == "final"
    }
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// We.
    Assistant,
    /// The caller.
    User,
}

/// Began or stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Began {
    /// Began.
    Started,
    /// Stopped.
    Stopped,
}

/// Where words come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The model.
    Model,
    /// A sentence of ours or of the customer's.
    ForceSay,
}

/// What a server that controls its line itself is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Put the caller through.
    Forward,
    /// Hang up.
    HangUp,
}

impl Envelope<'_> {
    /// The whole body of the request, for these bytes to be signed and sent.
    pub fn write(&self, body: &Body<'_>) -> String {
        #[derive(Serialize)]
        struct Outer<'a> {
            message: Inner<'a>,
        }
        #[derive(Serialize)]
        struct Inner<'a> {
            #[serde(flatten)]
            body: &'a Body<'a>,
            #[serde(flatten)]
            envelope: Envelope<'a>,
        }
        let mut envelope = *self;
        if matches!(body, Body::EndOfCallReport(_)) {
            envelope.artifact = None;
        }
        serde_json::to_string(&Outer { message: Inner { body, envelope } })
            .expect("texts and numbers always have a JSON form")
    }
}

impl Body<'_> {
    /// How much it weighs when a server does not keep up.
    pub fn weight(&self) -> rules::Weight {
        rules::weight(self.kind(), matches!(self, Self::Transcript(words) if !words.is_last()))
    }

    /// The type.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::AssistantRequest {} => Kind::AssistantRequest,
            Self::ToolCalls(_) => Kind::ToolCalls,
            Self::StatusUpdate { .. } => Kind::StatusUpdate,
            Self::EndOfCallReport(_) => Kind::EndOfCallReport,
            Self::ConversationUpdate { .. } => Kind::ConversationUpdate,
            Self::Transcript(_) => Kind::Transcript,
            Self::FinalTranscript(_) => Kind::FinalTranscript,
            Self::SpeechUpdate { .. } => Kind::SpeechUpdate,
            Self::ModelOutput { .. } => Kind::ModelOutput,
            Self::VoiceInput { .. } => Kind::VoiceInput,
            Self::UserInterrupted { .. } => Kind::UserInterrupted,
            Self::Hang {} => Kind::Hang,
            Self::AssistantStarted { .. } => Kind::AssistantStarted,
            Self::SpeechStarted { .. } => Kind::SpeechStarted,
            Self::TransferUpdate { .. } => Kind::TransferUpdate,
            Self::TransferDestinationRequest {} => Kind::TransferDestinationRequest,
            Self::EndpointingRequest { .. } => Kind::EndpointingRequest,
            Self::PhoneCallControl { .. } => Kind::PhoneCallControl,
            Self::LanguageChangeDetected { .. } => Kind::LanguageChangeDetected,
            Self::CallDeleted {} => Kind::CallDeleted,
            Self::CallDeleteFailed {} => Kind::CallDeleteFailed,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(body: &Body<'_>) -> Value {
        let artifact = Artifact::default();
        let envelope = Envelope { timestamp: 7, artifact: Some(&artifact), ..Envelope::default() };
        let text = envelope.write(body);
        assert_eq!(text.matches("\"artifact\"").count(), 1, "a field twice is no JSON that everybody reads: {text}");
        serde_json::from_str::<Value>(&text).unwrap()["message"].take()
    }

    #[test]
    fn a_body_has_the_name_of_its_kind() {
        let (assistant, artifact) = (Map::new(), Artifact::default());
        let said = Transcript::new(Side::User, true, "ciao");
        for body in [
            Body::AssistantRequest {},
            Body::StatusUpdate { status: Status::InProgress, ended_reason: None, destination: None },
            Body::EndOfCallReport(Report::new(EndedReason::Silence, None, None, &artifact)),
            Body::ConversationUpdate { messages: &[], formatted: &[] },
            Body::Transcript(said),
            Body::FinalTranscript(said),
            Body::SpeechUpdate { status: Began::Started, role: Side::Assistant, turn: 0 },
            Body::ModelOutput { output: "", turn_id: None },
            Body::VoiceInput { input: "" },
            Body::UserInterrupted { turn_id: None },
            Body::Hang {},
            Body::AssistantStarted { new_assistant: &assistant },
            Body::SpeechStarted { text: "", turn: 0, source: Source::ForceSay },
            Body::TransferUpdate { destination: None },
            Body::TransferDestinationRequest {},
            Body::EndpointingRequest { formatted: &[] },
            Body::PhoneCallControl { request: Request::HangUp, destination: None },
            Body::LanguageChangeDetected { language: "it" },
            Body::CallDeleted {},
            Body::CallDeleteFailed {},
        ] {
            assert_eq!(written(&body)["type"], body.kind().name());
        }
    }

    #[test]
    fn a_report_has_the_fields_that_live_ones_have() {
        let artifact = Artifact { transcript: Some("AI: ciao\n".into()), ..Artifact::default() };
        let at = |text: &str| Some(text.parse().unwrap());
        let (from, to) = (at("2026-09-01T08:30:05Z"), at("2026-09-01T08:31:10.5Z"));
        let report = written(&Body::EndOfCallReport(Report::new(EndedReason::CustomerEnded, from, to, &artifact)));
        let expected = json!({
            "type": "end-of-call-report", "timestamp": 7, "endedReason": "customer-ended-call",
            "startedAt": "2026-09-01T08:30:05.000Z", "endedAt": "2026-09-01T08:31:10.500Z", "analysis": {}, "cost": 0,
            "durationMs": 65_500, "durationSeconds": 65.5, "durationMinutes": 65.5 / 60.0, "summary": "",
            "artifact": {"messages": [], "messagesOpenAIFormatted": [], "transcript": "AI: ciao\n"},
            "messages": [], "transcript": "AI: ciao\n",
        });
        assert_eq!(report, expected);
    }
}
