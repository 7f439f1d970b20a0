//! `tool-calls`: the model's asks, in every spelling that handlers read.
//!
//! The schema, live captures and the documentation disagree on where the calls stand (`toolCallList`, `toolCalls`,
//! inside `toolWithToolCallList`), on what an entry holds (`function.arguments`, `arguments`, `parameters`) and on whether
//! arguments are an object or a string. All places are written, so that a handler written for any one of them works.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{call::ToolAsk, vapi::assistant::Tool};

/// How arguments are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArgumentsForm {
    /// As an object: what live messages carry.
    #[default]
    Object,
    /// As a JSON string: what the published schema says.
    String,
}

/// The asks of one turn that go to one server.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolCalls<'a> {
    tool_call_list: Vec<Ask<'a>>,
    /// The same, as live messages have it.
    tool_calls: Vec<Ask<'a>>,
    /// The same, within the definition of the tool.
    tool_with_tool_call_list: Vec<Defined<'a>>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Ask<'a> {
    id: &'a str,
    r#type: &'static str,
    function: Function<'a>,
    name: &'a str,
    arguments: Value,
    parameters: Value,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: Value,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Defined<'a> {
    /// The definition, without the secret of its server.
    #[serde(flatten)]
    definition: Map<String, Value>,
    name: &'a str,
    #[serde(rename = "toolCall")]
    call: Ask<'a>,
}

impl<'a> ToolCalls<'a> {
    /// Of asks and their tools, in order.
    pub fn new(asks: impl IntoIterator<Item = (&'a ToolAsk, &'a Tool)>, form: ArgumentsForm) -> Self {
        let (mut list, mut defined) = (Vec::new(), Vec::new());
        for (ask, tool) in asks {
            let call = Ask::of(ask, form);
            let definition = definition(tool);
            defined.push(Defined { definition, name: &ask.name, call: call.clone() });
            list.push(call);
        }
        Self { tool_call_list: list.clone(), tool_calls: list, tool_with_tool_call_list: defined }
    }
}

impl<'a> Ask<'a> {
    fn of(ask: &'a ToolAsk, form: ArgumentsForm) -> Self {
        // What a model wrote that is no object stays the text it is.
        let object = serde_json::from_str::<Map<String, Value>>(&ask.arguments).map(Value::Object).ok();
        let text = || Value::String(ask.arguments.clone());
        let arguments = match form {
            ArgumentsForm::Object => object.clone().unwrap_or_else(text),
            ArgumentsForm::String => text(),
        };
        Self {
            id: &ask.id,
            r#type: "function",
            function: Function { name: &ask.name, arguments: arguments.clone() },
            name: &ask.name,
            arguments,
            parameters: object.unwrap_or_else(|| json!({})),
        }
    }
}

fn definition(tool: &Tool) -> Map<String, Value> {
    let mut definition = tool.written.clone();
    // Written by us, below.
    definition.remove("name");
    definition.remove("toolCall");
    if let Some(server) = definition.get_mut("server").and_then(Value::as_object_mut) {
        server.remove("secret");
    }
    definition
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vapi::assistant::{Assistant, Shop};

    fn tool() -> Tool {
        let json = r#"{"model":{"tools":[{"type":"function","function":{"name":"book"},"name":"x","server":{"url":"https://s","secret":"s"}}]}}"#;
        let assistant = Assistant::parse(json).unwrap();
        let variables = assistant.variables("2026-09-01T10:30[Europe/Rome]".parse().unwrap());
        let shop = Shop { call: &crate::call::Settings::default(), greeting: "", instructions: "", records: false };
        assistant.fit(&shop, &variables).tools.remove(0)
    }

    fn written(arguments: &str, form: ArgumentsForm) -> Value {
        let ask = ToolAsk { id: "call_7".into(), name: "book".into(), arguments: arguments.into() };
        serde_json::to_value(ToolCalls::new([(&ask, &tool())], form)).unwrap()
    }

    #[test]
    fn every_spelling_is_there() {
        let calls = written("{\"plate\":\"AB123CD\"}", ArgumentsForm::Object);
        let arguments = json!({"plate": "AB123CD"});
        let entry = json!({
            "id": "call_7", "type": "function", "function": {"name": "book", "arguments": arguments},
            "name": "book", "arguments": arguments, "parameters": arguments,
        });
        assert_eq!((&calls["toolCallList"][0], &calls["toolCalls"][0]), (&entry, &entry));
        let defined = &calls["toolWithToolCallList"][0];
        assert_eq!((&defined["toolCall"], &defined["name"]), (&entry, &json!("book")));
        assert_eq!(defined["server"], json!({"url": "https://s"}), "the secret stays here");
    }

    #[test]
    fn arguments_may_be_wanted_as_text_or_be_none() {
        let calls = written("{\"plate\":1}", ArgumentsForm::String);
        let entry = &calls["toolCallList"][0];
        assert_eq!(
            (&entry["function"]["arguments"], &entry["parameters"]),
            (&json!("{\"plate\":1}"), &json!({"plate": 1}))
        );
        let entry = &written("domani", ArgumentsForm::Object)["toolCallList"][0];
        assert_eq!((&entry["arguments"], &entry["parameters"]), (&json!("domani"), &json!({})));
    }
}
