//! An assistant as Vapi writes it: a JSON document that is kept as it came, and what of it a call of ours can do.
//!
//! ```
//! use pronto::{call::Settings, language::Language, vapi::assistant::{Assistant, Shop}};
//!
//! let assistant = Assistant::parse(r#"{"firstMessage":"Pronto, {{shop}}.","startSpeakingPlan":{"waitSeconds":0.4},"x":1}"#)?;
//! let overrides = Assistant::parse(r#"{"variableValues":{"shop":"Officina Rossi"},"maxDurationSeconds":900.0}"#)?;
//! let variables = overrides.variables("2026-09-01T10:30[Europe/Rome]".parse().unwrap());
//!
//! let shop = Shop { call: &Settings::default(), greeting: "", instructions: "", records: false };
//! let fitted = assistant.overridden(&overrides)?.fit(&shop, &variables);
//! assert_eq!(&*fitted.greeting, "Pronto, Officina Rossi.");
//! assert_eq!(fitted.call.duration_max_s, 900);
//! assert!(fitted.warnings.iter().any(|warning| warning.starts_with("x ")));
//! # Ok::<(), pronto::vapi::Violations>(())
//! ```
//!
//! What it does not do: it stores nothing, asks no engine by the name Vapi has for it, and never refuses a field that it
//! does not know. [`settings`] says of each field what becomes of it.

mod fit;
mod merge;
mod server;
pub mod settings;
mod tools;
mod variables;
mod wishes;

use serde_json::{Map, Value};

pub use fit::{Fitted, Monitoring, Shop};
pub use server::{Backoff, Server, TIMEOUT};
pub use tools::{Does, Tool, ToolMessage, When};
pub use variables::Variables;
pub use wishes::{ArtifactPlan, FirstMessage};

use super::{
    Violations,
    read::{self, Reader, Wrong},
};
use wishes::Wishes;

/// The longest assistant, in bytes of JSON.
pub const ASSISTANT_BYTES_MAX: usize = 512 * 1024;

/// An assistant, or what overrides one: they have the same fields.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Assistant {
    /// As it was written.
    written: Map<String, Value>,
}

impl Assistant {
    /// Reads an assistant and checks every field that we honour.
    pub fn parse(json: &str) -> Result<Self, Violations> {
        Self::new(read::object(json, ASSISTANT_BYTES_MAX)?)
    }

    /// The same for a document that has been read already.
    pub fn new(written: Map<String, Value>) -> Result<Self, Violations> {
        let wrong = Wrong::default();
        Wishes::read(&Reader::new(&written, "", &wrong));
        wrong.or(Self { written })
    }

    /// A part of another document; mistakes go with its own. `None` where it is absent.
    pub(super) fn inside(reader: &Reader<'_>) -> Option<Self> {
        Wishes::read(reader);
        reader.written().map(|written| Self { written: written.clone() })
    }

    /// This assistant with overrides laid over it: deep, lists replaced, `tools:append` added. Each may be right and
    /// both together too much, so it is checked again.
    pub fn overridden(&self, overrides: &Self) -> Result<Self, Violations> {
        Self::new(merge::overridden(&self.written, &overrides.written))
    }

    /// This assistant with some of its fields replaced as a whole; `null` takes one away.
    pub fn patched(&self, patch: &Self) -> Result<Self, Violations> {
        Self::new(merge::patched(&self.written, &patch.written))
    }

    /// The variables these overrides bring.
    pub fn variables(&self, now: jiff::Zoned) -> Variables {
        let values = self.written.get("variableValues").and_then(Value::as_object).cloned();
        Variables::new(values.unwrap_or_default(), now)
    }

    /// The whole document, unknown fields too: to be stored.
    pub fn written(&self) -> &Map<String, Value> {
        &self.written
    }

    /// The document as it may be shown to others: without `credentials`, and without the secrets of servers.
    pub fn shown(&self) -> Map<String, Value> {
        let mut shown = self.written.clone();
        shown.remove("credentials");
        for value in shown.values_mut() {
            hide(value);
        }
        shown
    }

    /// Its name.
    pub fn name(&self) -> Option<&str> {
        self.written.get("name")?.as_str()
    }

    /// What a call of a shop does for this assistant, with the variables filled in.
    pub fn fit(&self, shop: &Shop<'_>, variables: &Variables) -> Fitted {
        // Checked when it was made: what would be wrong now is absent.
        let wrong = Wrong::default();
        let wishes = Wishes::read(&Reader::new(&self.written, "", &wrong));
        let mut warnings = Warnings::default();
        settings::without_effect(&self.written, &mut warnings);
        fit::fit(wishes, shop, variables, warnings)
    }
}

/// Takes secrets out, wherever they stand.
fn hide(value: &mut Value) {
    const SECRETS: [&str; 5] = ["secret", "apiKey", "authToken", "twilioAuthToken", "vonageApiSecret"];
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|name, value| !(SECRETS.contains(&name.as_str()) && value.is_string()));
        fields.values_mut().for_each(hide);
    } else if let Some(list) = value.as_array_mut() {
        list.iter_mut().for_each(hide);
    }
}

/// What a customer should know of a document that is not wrong. Each thing is told once, and not without end.
#[derive(Debug, Clone, Default)]
pub struct Warnings(Vec<String>);

/// The most warnings of one document.
const WARNINGS_MAX: usize = 64;

impl Warnings {
    /// One more.
    pub(super) fn add(&mut self, warning: String) {
        if self.0.len() < WARNINGS_MAX && !self.0.contains(&warning) {
            self.0.push(warning);
        }
    }

    /// All of them.
    pub fn list(&self) -> &[String] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_is_kept_as_it_came() {
        let json = r#"{"zeta":[1,{"y":null}],"name":"Officina","model":{"provider":"openai","strange":1.50}}"#;
        let assistant = Assistant::parse(json).unwrap();
        assert_eq!(Value::Object(assistant.written().clone()), serde_json::from_str::<Value>(json).unwrap());
        assert_eq!(assistant.name(), Some("Officina"));
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let assistant = json!({
            "name": "x".repeat(41), "maxDurationSeconds": 5, "firstMessageMode": "shout", "endCallPhrases": ["a"],
            "startSpeakingPlan": {"waitSeconds": 6}, "stopSpeakingPlan": {"voiceSeconds": 0.6}, "server": {"url": "x"},
        });
        let told = Assistant::parse(&assistant.to_string()).unwrap_err().into_messages();
        for expected in [
            "name must be shorter than or equal to 40 characters",
            "maxDurationSeconds must not be less than 10",
            "firstMessageMode must be one of the following values: assistant-speaks-first, \
             assistant-speaks-first-with-model-generated-message, assistant-waits-for-user",
            "each value in endCallPhrases must be longer than or equal to 2 characters",
            "startSpeakingPlan.waitSeconds must not be greater than 5",
            "stopSpeakingPlan.voiceSeconds must not be greater than 0.5",
            "server.url must be a URL address that begins with https:// or http://",
        ] {
            assert!(told.iter().any(|message| message == expected), "{expected} is not in {told:?}");
        }
        assert_eq!(told.len(), 7, "{told:?}");
    }

    #[test]
    fn two_right_documents_may_be_wrong_together() {
        let tools = |count| (0..count).map(|_| json!({"type": "endCall"})).collect::<Vec<_>>();
        let assistant = json!({"model": {"tools": tools(60)}});
        let assistant = Assistant::parse(&assistant.to_string()).unwrap();
        let overrides = Assistant::parse(&json!({"tools:append": tools(10)}).to_string()).unwrap();
        let told = assistant.overridden(&overrides).unwrap_err().into_messages();
        assert_eq!(told, ["model.tools must contain no more than 64 elements"]);
    }

    #[test]
    fn secrets_are_not_shown() {
        let assistant = json!({
            "credentials": [{"apiKey": "k"}],
            "server": {"url": "https://a", "secret": "s"},
            "model": {"tools": [{"type": "function", "function": {"name": "f"}, "server": {"url": "https://b", "secret": "s"}}]},
        });
        let shown = Assistant::parse(&assistant.to_string()).unwrap().shown();
        let text = Value::Object(shown).to_string();
        assert!(text.contains("https://b") && !text.contains("secret") && !text.contains("apiKey"), "{text}");
    }
}
