//! What remains of a call: its messages in Vapi's form and in OpenAI's, the transcript, the times, the recordings.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Performance, Stamp};
use crate::{
    call::{Message, ToolAsk},
    vapi::assistant::ArtifactPlan,
};

/// `artifact`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Artifact {
    /// Who said and did what, and when.
    pub messages: Vec<Entry>,
    /// The same as a model reads it.
    #[serde(rename = "messagesOpenAIFormatted")]
    pub formatted: Vec<Formatted>,
    /// The same as people read it; absent where the plan wants none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transcript: Option<String>,
    /// Where the sound is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recording: Option<Recording>,
    /// The mono recording once more: an old name that is still read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recording_url: Option<String>,
    /// The stereo recording once more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stereo_recording_url: Option<String>,
    /// Where it can be had without a key; made anew whenever it is shown, and never kept.
    #[serde(flatten, skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub presigned: Option<Presigned>,
    /// The times of the turns; known at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub performance_metrics: Option<Performance>,
    /// What templates could name.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub variable_values: Map<String, Value>,
}

/// Where the sound of a call is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Recording {
    /// The caller left, we right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stereo_url: Option<String>,
    /// One channel.
    pub mono: Mono,
}

/// Recordings of one channel.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Mono {
    /// Both sides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub combined_url: Option<String>,
    /// Our side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assistant_url: Option<String>,
    /// The caller's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_url: Option<String>,
}

/// Addresses of recordings that open by themselves for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Presigned {
    /// Both sides on one channel.
    pub presigned_mono_url: String,
    /// The caller left, we right.
    pub presigned_stereo_url: String,
    /// Our side.
    pub presigned_assistant_url: String,
    /// The caller's.
    pub presigned_customer_url: String,
    /// Until when they open.
    #[serde(serialize_with = "super::iso")]
    pub presigned_urls_expires_at: Timestamp,
}

/// One message in Vapi's form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum Entry {
    /// The instructions, or a note.
    System {
        /// The text.
        message: String,
        /// When, in milliseconds since 1970.
        time: i64,
        /// When, since the answer.
        seconds_from_start: f64,
    },
    /// The caller's words.
    User {
        /// The text.
        message: String,
        /// Their beginning.
        time: i64,
        /// Their end.
        end_time: i64,
        /// Their beginning since the answer.
        seconds_from_start: f64,
        /// In milliseconds, as the wire has it; the schema says seconds.
        duration: u64,
    },
    /// Our words, as they were heard.
    Bot {
        /// The text.
        message: String,
        /// Their beginning.
        time: i64,
        /// Their end.
        end_time: i64,
        /// Their beginning since the answer.
        seconds_from_start: f64,
        /// In milliseconds.
        duration: u64,
        /// Nothing: Vapi has it and clients read it.
        #[serde(skip_deserializing)]
        source: &'static str,
    },
    /// The model asked for tools.
    ToolCalls {
        /// The asks.
        tool_calls: Vec<Asked>,
        /// Nothing.
        #[serde(skip_deserializing)]
        message: &'static str,
        /// When.
        time: i64,
        /// When, since the answer.
        seconds_from_start: f64,
    },
    /// A tool's outcome.
    ToolCallResult {
        /// The ask it answers.
        tool_call_id: String,
        /// The tool.
        name: String,
        /// What the model read.
        result: String,
        /// When.
        time: i64,
        /// When, since the answer.
        seconds_from_start: f64,
    },
}

/// One message in OpenAI's form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Formatted {
    /// Whose.
    pub role: FormattedRole,
    /// The text; `null` where there are asks for tools instead.
    pub content: Option<String>,
    /// The asks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<Asked>,
    /// The ask it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
}

/// OpenAI's roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FormattedRole {
    /// Instructions and notes.
    System,
    /// The caller.
    User,
    /// We.
    Assistant,
    /// A tool.
    Tool,
}

/// An ask for a tool in OpenAI's form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    id: String,
    #[serde(skip_deserializing, default = "function")]
    r#type: &'static str,
    function: Function,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Function {
    name: String,
    /// As the model wrote them.
    arguments: String,
}

fn function() -> &'static str {
    "function"
}

/// What stands where a tool has not answered yet: Vapi's own words.
const PENDING: &str = "Tool Result Still Pending But Proceed Further If Possible.";

impl Artifact {
    /// Of a conversation so far, with the time of each message. `answered_ms` is the moment of the answer since 1970.
    pub fn new<'a>(
        plan: &ArtifactPlan,
        instructions: &str,
        answered_ms: i64,
        history: impl Iterator<Item = (&'a Message, Stamp)>,
    ) -> Self {
        let mut artifact = Self::default();
        if !instructions.is_empty() {
            artifact.add(answered_ms, &Message::Note { text: instructions.to_owned() }, Stamp::default());
        }
        let mut transcript = String::new();
        for (message, stamp) in history {
            artifact.add(answered_ms, message, stamp);
            let (who, text) = match message {
                Message::Caller { text } => (&plan.user_name, text),
                Message::Agent { text, .. } => (&plan.assistant_name, text),
                Message::Asked { .. } | Message::Outcome { .. } | Message::Note { .. } => continue,
            };
            transcript.push_str(&format!("{who}: {text}\n"));
        }
        artifact.transcript = plan.transcript.then_some(transcript);
        artifact
    }

    /// With the times of a call that is over.
    #[must_use]
    pub fn measured(self, performance: Performance) -> Self {
        Self { performance_metrics: Some(performance), ..self }
    }

    /// With its recordings.
    #[must_use]
    pub fn recorded(mut self, recording: Recording) -> Self {
        self.recording_url = recording.mono.combined_url.clone();
        self.stereo_recording_url = recording.stereo_url.clone();
        self.recording = Some(recording);
        self
    }

    /// With addresses of its recordings that open by themselves.
    #[must_use]
    pub fn presigned(self, presigned: Presigned) -> Self {
        Self { presigned: Some(presigned), ..self }
    }

    fn add(&mut self, answered_ms: i64, message: &Message, stamp: Stamp) {
        let at = |time: Duration| answered_ms.saturating_add(time.as_millis() as i64);
        let (time, end_time) = (at(stamp.from), at(stamp.until));
        let seconds_from_start = stamp.from.as_millis() as f64 / 1_000.0;
        let duration = stamp.until.saturating_sub(stamp.from).as_millis() as u64;
        let plain = |role, text: &str| Formatted {
            role,
            content: Some(text.to_owned()),
            tool_calls: vec![],
            tool_call_id: None,
        };
        match message {
            Message::Caller { text } => {
                let message = text.clone();
                self.messages.push(Entry::User { message, time, end_time, seconds_from_start, duration });
                self.formatted.push(plain(FormattedRole::User, text));
            }
            Message::Agent { text, .. } => {
                let (message, source) = (text.clone(), "");
                self.messages.push(Entry::Bot { message, time, end_time, seconds_from_start, duration, source });
                self.formatted.push(plain(FormattedRole::Assistant, text));
            }
            Message::Note { text } => {
                self.messages.push(Entry::System { message: text.clone(), time, seconds_from_start });
                self.formatted.push(plain(FormattedRole::System, text));
            }
            Message::Asked { tools } => {
                let asked: Vec<_> = tools.iter().map(Asked::of).collect();
                let (tool_calls, message) = (asked.clone(), "");
                self.messages.push(Entry::ToolCalls { tool_calls, message, time, seconds_from_start });
                let (role, content) = (FormattedRole::Assistant, None);
                self.formatted.push(Formatted { role, content, tool_calls: asked, tool_call_id: None });
            }
            Message::Outcome { id, content } => {
                let text = content.as_deref().unwrap_or(PENDING);
                let tool = plain(FormattedRole::Tool, text);
                self.formatted.push(Formatted { tool_call_id: Some(id.clone()), ..tool });
                // In Vapi's form a result is there when there is one.
                if let Some(result) = content.clone() {
                    let (tool_call_id, name) = (id.clone(), self.asked(id));
                    self.messages.push(Entry::ToolCallResult { tool_call_id, name, result, time, seconds_from_start });
                }
            }
        }
    }

    /// The name of the tool that was asked for under this id.
    fn asked(&self, id: &str) -> String {
        let asks = self.formatted.iter().rev().flat_map(|message| &message.tool_calls);
        asks.into_iter().find(|ask| ask.id == id).map(|ask| ask.function.name.clone()).unwrap_or_default()
    }
}

impl Asked {
    fn of(ask: &ToolAsk) -> Self {
        let function = Function { name: ask.name.clone(), arguments: ask.arguments.clone() };
        Self { id: ask.id.clone(), r#type: self::function(), function }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn history() -> Vec<(Message, Stamp)> {
        let stamp = |from, until| Stamp { from: Duration::from_millis(from), until: Duration::from_millis(until) };
        let ask = ToolAsk { id: "call_7".into(), name: "book".into(), arguments: "{\"plate\":\"AB123CD\"}".into() };
        let other = ToolAsk { id: "call_8".into(), name: "find".into(), arguments: "{}".into() };
        vec![
            (Message::Agent { text: "Buongiorno!".into(), interrupted: false, estimated: true }, stamp(0, 1_450)),
            (Message::Caller { text: "Vorrei prenotare.".into() }, stamp(4_120, 6_980)),
            (Message::Asked { tools: vec![ask] }, stamp(7_000, 7_000)),
            (Message::Outcome { id: "call_7".into(), content: Some("Prenotato.".into()) }, stamp(7_420, 7_420)),
            (Message::Asked { tools: vec![other] }, stamp(8_000, 8_000)),
            (Message::Outcome { id: "call_8".into(), content: None }, stamp(8_000, 8_000)),
        ]
    }

    #[test]
    fn messages_have_both_forms() {
        let (plan, history) = (ArtifactPlan::default(), history());
        let entries = history.iter().map(|(message, stamp)| (message, *stamp));
        let written = serde_json::to_value(Artifact::new(&plan, "Sei la receptionist.", 1_000_000, entries)).unwrap();
        let messages = written["messages"].as_array().unwrap();
        let roles: Vec<_> = messages.iter().map(|message| message["role"].as_str().unwrap()).collect();
        assert_eq!(roles, ["system", "bot", "user", "tool_calls", "tool_call_result", "tool_calls"]);
        let user = json!({
            "role": "user", "message": "Vorrei prenotare.", "time": 1_004_120, "endTime": 1_006_980,
            "secondsFromStart": 4.12, "duration": 2_860,
        });
        assert_eq!(messages[2], user);
        assert_eq!((&messages[4]["name"], &messages[4]["time"]), (&json!("book"), &json!(1_007_420)));
        let formatted = written["messagesOpenAIFormatted"].as_array().unwrap();
        let last = json!({"role": "tool", "tool_call_id": "call_8", "content": PENDING});
        assert_eq!((&formatted[3]["content"], &formatted[6]), (&Value::Null, &last));
        assert_eq!(written["transcript"], "AI: Buongiorno!\nUser: Vorrei prenotare.\n");
    }

    #[test]
    fn the_plan_names_the_sides_or_wants_no_transcript() {
        let history = history();
        let transcript = |plan: &ArtifactPlan| {
            Artifact::new(plan, "", 0, history.iter().map(|(message, stamp)| (message, *stamp))).transcript
        };
        let named =
            ArtifactPlan { assistant_name: "Officina".into(), user_name: "Cliente".into(), ..ArtifactPlan::default() };
        assert_eq!(transcript(&named).unwrap(), "Officina: Buongiorno!\nCliente: Vorrei prenotare.\n");
        assert_eq!(transcript(&ArtifactPlan { transcript: false, ..ArtifactPlan::default() }), None);
    }

    #[test]
    fn recordings_stand_under_their_old_names_too() {
        let mono = Mono { combined_url: Some("https://f/m.wav".into()), ..Mono::default() };
        let recording = Recording { stereo_url: Some("https://f/s.wav".into()), mono };
        let written = serde_json::to_value(Artifact::default().recorded(recording)).unwrap();
        assert_eq!(written["recordingUrl"], written["recording"]["mono"]["combinedUrl"]);
        assert_eq!(written["stereoRecordingUrl"], "https://f/s.wav");
        assert!(written.get("presignedMonoUrl").is_none());
    }

    #[test]
    fn addresses_that_open_by_themselves_stand_beside_the_others_and_are_not_kept() {
        let url = |side: &str| format!("https://f/{side}?t=1");
        let artifact = Artifact::default().presigned(Presigned {
            presigned_mono_url: url("m"),
            presigned_stereo_url: url("s"),
            presigned_assistant_url: url("a"),
            presigned_customer_url: url("c"),
            presigned_urls_expires_at: "2026-09-01T08:35:00Z".parse().unwrap(),
        });
        let written = serde_json::to_value(&artifact).unwrap();
        assert_eq!(written["presignedCustomerUrl"], "https://f/c?t=1");
        assert_eq!(written["presignedUrlsExpiresAt"], "2026-09-01T08:35:00.000Z");
        assert_eq!(serde_json::from_value::<Artifact>(written).unwrap(), Artifact::default());
    }
}
