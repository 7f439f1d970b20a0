//! What changes an assistant: overrides, which reach deep, and a `PATCH`, which replaces whole fields.

use serde_json::{Map, Value};

/// Lays overrides over an assistant: objects field by field, everything else (lists too) replaced. A `null` changes
/// nothing. Two names mean more than themselves: `tools:append` adds to the model's tools, `variableValues` is no field
/// of an assistant and is left out.
pub(super) fn overridden(assistant: &Map<String, Value>, overrides: &Map<String, Value>) -> Map<String, Value> {
    let mut merged = assistant.clone();
    for (name, value) in overrides {
        match name.as_str() {
            "variableValues" => {}
            "tools:append" => append_tools(&mut merged, value),
            _ => lay(&mut merged, name, value),
        }
    }
    merged
}

/// Replaces whole fields; a `null` takes the field away.
pub(super) fn patched(assistant: &Map<String, Value>, patch: &Map<String, Value>) -> Map<String, Value> {
    let mut patched = assistant.clone();
    for (name, value) in patch {
        if value.is_null() {
            patched.remove(name);
        } else {
            patched.insert(name.clone(), value.clone());
        }
    }
    patched
}

fn lay(into: &mut Map<String, Value>, name: &str, value: &Value) {
    match (into.get_mut(name).and_then(Value::as_object_mut), value.as_object()) {
        (_, None) if value.is_null() => {}
        (Some(below), Some(above)) if is_same_kind(below, above) => {
            for (name, value) in above {
                lay(below, name, value);
            }
        }
        _ => _ = into.insert(name.to_owned(), value.clone()),
    }
}

/// Another provider is another thing: its fields are not mixed with the former one's.
fn is_same_kind(below: &Map<String, Value>, above: &Map<String, Value>) -> bool {
    match (below.get("provider"), above.get("provider")) {
        (Some(one), Some(other)) => one == other,
        (None | Some(_), None) | (None, Some(_)) => true,
    }
}

fn append_tools(merged: &mut Map<String, Value>, more: &Value) {
    let Some(more) = more.as_array() else { return };
    let model = merged.entry("model").or_insert_with(|| Value::Object(Map::new()));
    let Some(model) = model.as_object_mut() else { return };
    let tools = model.entry("tools").or_insert_with(|| Value::Array(Vec::new()));
    if tools.is_null() {
        *tools = Value::Array(Vec::new());
    }
    if let Some(tools) = tools.as_array_mut() {
        tools.extend(more.iter().cloned());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// One of the two ways to change an assistant.
    type How = fn(&Map<String, Value>, &Map<String, Value>) -> Map<String, Value>;

    fn check(how: How, over: &Value, expected: Value) {
        let assistant = json!({
            "firstMessage": "Buongiorno",
            "model": {"provider": "openai", "temperature": 0.3, "messages": [{"role": "system", "content": "a"}]},
            "endCallPhrases": ["arrivederci", "a presto"],
        });
        let changed = how(assistant.as_object().unwrap(), over.as_object().unwrap());
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(changed.get(name).unwrap_or(&Value::Null), value, "{name}");
        }
    }

    #[test]
    fn overrides_reach_into_objects_and_replace_lists() {
        check(
            overridden,
            &json!({"model": {"temperature": 0.7}, "endCallPhrases": ["ciao"], "firstMessage": null, "variableValues": {"a": 1}}),
            json!({
                "firstMessage": "Buongiorno",
                "model": {"provider": "openai", "temperature": 0.7, "messages": [{"role": "system", "content": "a"}]},
                "endCallPhrases": ["ciao"],
                "variableValues": null,
            }),
        );
    }

    #[test]
    fn tools_are_added() {
        let tool = json!({"type": "endCall"});
        check(
            overridden,
            &json!({"model": {"tools": [1]}, "tools:append": [tool]}),
            json!({"model": {
                "provider": "openai", "temperature": 0.3, "messages": [{"role": "system", "content": "a"}], "tools": [1, tool],
            }}),
        );
    }

    #[test]
    fn another_provider_brings_nothing_of_the_former_one() {
        let model = json!({"provider": "anthropic", "model": "x"});
        check(overridden, &json!({"model": model}), json!({"model": model}));
    }

    #[test]
    fn a_patch_replaces_whole_fields() {
        check(
            patched,
            &json!({"model": {"temperature": 0.7}, "endCallPhrases": null}),
            json!({"model": {"temperature": 0.7}, "endCallPhrases": null, "firstMessage": "Buongiorno"}),
        );
    }
}
