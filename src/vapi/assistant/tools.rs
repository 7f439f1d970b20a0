//! The tools of an assistant: what the model sees, who does it, and what is said meanwhile.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Server, Warnings};
use crate::{
    call::{ToolKind, ToolSpec},
    vapi::read::Reader,
};

/// One tool.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// As the model sees it.
    pub spec: ToolSpec,
    /// Who does it.
    pub does: Does,
    /// The model is told at once that it was done.
    pub background: bool,
    /// What is said meanwhile and afterwards, in the order written.
    pub messages: Vec<ToolMessage>,
    /// The definition as it was written: a server is told it with each ask.
    pub written: Map<String, Value>,
}

impl Tool {
    /// The server of its own.
    pub fn server(&self) -> Option<&Server> {
        match &self.does {
            Does::Ask(server) => server.as_ref(),
            Does::End | Does::Transfer(_) => None,
        }
    }
}

/// Who does what a tool is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Does {
    /// A customer's server: the tool's own, or the next in line.
    Ask(Option<Server>),
    /// The call ends.
    End,
    /// The caller is put through to one of these numbers or addresses.
    Transfer(Vec<String>),
}

/// Something that is said because of a tool.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolMessage {
    /// When.
    pub when: When,
    /// What; nothing keeps us silent.
    pub text: String,
    /// The call ends when it has been heard.
    pub then_end: bool,
}

/// When something is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Before the tool is asked (and, where it blocks, heard before).
    Start {
        /// The tool waits until it has been heard.
        blocking: bool,
    },
    /// The tool has taken this long.
    Delayed(Duration),
    /// It is done.
    Complete,
    /// It is done; for the model, not for the caller.
    Hint,
    /// It failed.
    Failed,
}

/// The most tools of an assistant.
const TOOLS_MAX: usize = 64;
const MESSAGES_MAX: usize = 32;
const DESTINATIONS_MAX: usize = 32;
const TEXT_CHARS_MAX: usize = 1_000;
const DESCRIPTION_CHARS_MAX: usize = 10_000;

/// The kinds we have; of others the customer is told.
const KINDS: [&str; 3] = ["function", "endCall", "transferCall"];

/// Reads the tools of a model.
pub(super) fn read(model: &Reader<'_>) -> Vec<Tool> {
    model.objects("tools", TOOLS_MAX).iter().filter_map(tool).collect()
}

/// Reads the tools that overrides append; they are only checked.
pub(super) fn check_appended(overrides: &Reader<'_>) {
    for tool in overrides.objects("tools:append", TOOLS_MAX) {
        self::tool(&tool);
    }
}

/// What of the tools has no effect.
pub(super) fn without_effect(assistant: &Map<String, Value>, warnings: &mut Warnings) {
    let tools = assistant.get("model").and_then(|model| model.get("tools")?.as_array());
    for (at, tool) in tools.into_iter().flatten().enumerate() {
        let field = |name: &str| tool.get(name).filter(|value| !value.is_null());
        let kind = field("type").and_then(Value::as_str).unwrap_or_default();
        if !KINDS.contains(&kind) {
            let known = KINDS.join(", ");
            warnings.add(format!("model.tools.{at} has no effect: tools of other types than {known} are not run"));
            continue;
        }
        for name in ["rejectionPlan", "variableExtractionPlan", "parameters"] {
            if field(name).is_some() {
                warnings.add(format!("model.tools.{at}.{name} has no effect"));
            }
        }
        let messages = field("messages").and_then(Value::as_array).into_iter().flatten();
        for (message, fields) in messages.enumerate() {
            for name in ["conditions", "contents"] {
                if fields.get(name).and_then(Value::as_array).is_some_and(|list| !list.is_empty()) {
                    warnings.add(format!(
                        "model.tools.{at}.messages.{message}.{name} has no effect: write one content for each message"
                    ));
                }
            }
            if fields.get("blocking") == Some(&Value::Bool(true)) {
                warnings.add(format!(
                    "model.tools.{at}.messages.{message}.blocking has no effect: the tool does not wait until it was heard"
                ));
            }
        }
    }
}

fn tool(written: &Reader<'_>) -> Option<Tool> {
    let kind = written.text("type", 0, 100).unwrap_or_default();
    let function = written.object("function");
    let messages = written.objects("messages", MESSAGES_MAX).iter().filter_map(message).collect();
    let background = written.flag("async").unwrap_or(false);
    let server = Server::read(&written.object("server"));
    let destinations = written.objects("destinations", DESTINATIONS_MAX);
    let name = function.text("name", 1, 64);
    let legal = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if name.is_some_and(|name| !legal(name)) {
        function.must("name", "must match ^[a-zA-Z0-9_-]{1,64}$");
    }
    let description = function.text("description", 0, DESCRIPTION_CHARS_MAX).unwrap_or_default().to_owned();
    let parameters = function.object("parameters");
    let (name, kind, does) = match kind {
        "function" => {
            if name.is_none() && function.value("name").is_none() {
                function.must("name", "must be a string");
            }
            // Whether a server's tool changes anything is not told: it is never cancelled.
            (name?.to_owned(), ToolKind::Write, Does::Ask(server))
        }
        "endCall" => ("endCall".to_owned(), ToolKind::Call, Does::End),
        "transferCall" => {
            let to =
                destinations.iter().filter_map(|it| it.text("number", 1, 100).or_else(|| it.text("sipUri", 1, 200)));
            ("transferCall".to_owned(), ToolKind::Call, Does::Transfer(to.map(ToOwned::to_owned).collect()))
        }
        _ => return None,
    };
    let parameters = match (&does, parameters.written()) {
        (Does::Transfer(to), _) if !to.is_empty() => json!({
            "type": "object", "properties": {"destination": {"type": "string", "enum": to}}, "required": ["destination"],
        }),
        (_, Some(written)) => Value::Object(written.clone()),
        (_, None) => json!({"type": "object", "properties": {}}),
    };
    let description = match does {
        Does::End if description.is_empty() => "Use this function to end the call.".to_owned(),
        Does::Transfer(_) if description.is_empty() => "Use this function to transfer the call.".to_owned(),
        Does::End | Does::Transfer(_) | Does::Ask(_) => description,
    };
    let written = written.written().cloned().unwrap_or_default();
    Some(Tool { spec: ToolSpec { name, description, parameters, kind }, does, background, messages, written })
}

fn message(written: &Reader<'_>) -> Option<ToolMessage> {
    let kinds = ["request-start", "request-response-delayed", "request-complete", "request-failed"];
    let (kind, text) = (written.word("type", &kinds), written.text("content", 0, TEXT_CHARS_MAX));
    let hint = written.word("role", &["assistant", "system"]) == Some("system");
    let blocking = written.flag("blocking").unwrap_or(false);
    let delay = written.number("timingMilliseconds", 100.0, 120_000.0);
    let then_end = written.flag("endCallAfterSpokenEnabled").unwrap_or(false);
    let when = match kind? {
        "request-start" => When::Start { blocking },
        "request-response-delayed" => When::Delayed(Duration::from_millis(delay.unwrap_or(4_000.0) as u64)),
        "request-complete" if hint => When::Hint,
        "request-complete" => When::Complete,
        _ => When::Failed,
    };
    Some(ToolMessage { when, text: text?.to_owned(), then_end })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vapi::{Violations, read::Wrong};

    fn tools(model: Value) -> Result<Vec<Tool>, Violations> {
        let wrong = Wrong::default();
        let tools = read(&Reader::new(model.as_object().unwrap(), "model.", &wrong));
        wrong.or(tools)
    }

    #[test]
    fn a_function_of_the_contract() {
        let written = json!({
            "type": "function", "async": false,
            "function": {"name": "book_appointment", "description": "Prenota", "parameters": {"type": "object"}},
            "messages": [
                {"type": "request-start", "content": "Controllo subito.", "blocking": false},
                {"type": "request-response-delayed", "timingMilliseconds": 4000.0, "content": "Ci sono quasi."},
                {"type": "request-failed", "content": "Mi dispiace.", "endCallAfterSpokenEnabled": true},
            ],
            "server": {"url": "https://shop.example.test/tools"},
        });
        let tool = tools(json!({"tools": [written]})).unwrap().remove(0);
        assert_eq!((tool.spec.name.as_str(), tool.spec.kind), ("book_appointment", ToolKind::Write));
        let when: Vec<_> = tool.messages.iter().map(|message| (message.when, message.then_end)).collect();
        let delayed = When::Delayed(Duration::from_secs(4));
        assert_eq!(when, [(When::Start { blocking: false }, false), (delayed, false), (When::Failed, true)]);
        assert!(matches!(&tool.does, Does::Ask(Some(server)) if server.url == "https://shop.example.test/tools"));
        assert_eq!(Value::Object(tool.written), written);
    }

    #[test]
    fn the_calls_own_tools_have_the_names_that_models_know() {
        let to =
            json!([{"type": "number", "number": "+390612345678"}, {"type": "sip", "sipUri": "sip:capo@example.it"}]);
        let read =
            tools(json!({"tools": [{"type": "endCall"}, {"type": "transferCall", "destinations": to}]})).unwrap();
        let names: Vec<_> = read.iter().map(|tool| (tool.spec.name.as_str(), tool.spec.kind)).collect();
        assert_eq!(names, [("endCall", ToolKind::Call), ("transferCall", ToolKind::Call)]);
        assert_eq!(read[1].spec.parameters["properties"]["destination"]["enum"][1], "sip:capo@example.it");
    }

    #[test]
    fn mistakes_and_what_has_no_effect_are_told() {
        let told = |tool: Value| tools(json!({"tools": [tool]})).map_or_else(Violations::into_messages, |_| vec![]);
        let name = "model.tools.0.function.name must match ^[a-zA-Z0-9_-]{1,64}$";
        assert_eq!(told(json!({"type": "function", "function": {"name": "prenota subito"}})), [name]);
        assert_eq!(told(json!({"type": "function"})), ["model.tools.0.function.name must be a string"]);
        assert_eq!(told(json!({"type": "sms"})), [""; 0]);

        let message = json!({"conditions": [1], "blocking": true});
        let assistant = json!({"model": {"tools": [{"type": "sms"}, {"type": "endCall", "messages": [message]}]}});
        let mut warnings = Warnings::default();
        without_effect(assistant.as_object().unwrap(), &mut warnings);
        let fields: Vec<_> = warnings.list().iter().map(|it| it.split(' ').next().unwrap()).collect();
        let messages = ["model.tools.1.messages.0.conditions", "model.tools.1.messages.0.blocking"];
        assert_eq!(fields, ["model.tools.0", messages[0], messages[1]]);
    }
}
