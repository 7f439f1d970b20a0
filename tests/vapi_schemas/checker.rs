//! Vapi's schema file, and what of a value does not fit a definition of it.

use std::{fs, path::Path};

use serde_json::Value;

/// The schema, where it is.
pub(super) fn schema() -> Option<Value> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/protocols/vapi-schemas.json");
    let path = std::env::var_os("PRONTO_VAPI_SCHEMAS").map_or(beside, Into::into);
    let Ok(text) = fs::read_to_string(&path) else {
        #[expect(clippy::print_stderr, reason = "a test that checks nothing must say so")]
        {
            eprintln!("{} is absent: nothing is checked against Vapi's schema", path.display());
        }
        return None;
    };
    Some(serde_json::from_str(&text).expect("the schema is JSON"))
}

/// What of a value does not fit a schema: the paths of the fields with the reason. Knows the words the file uses.
fn faults(root: &Value, schema: &Value, value: &Value, path: &str, into: &mut Vec<(String, String)>) {
    let mut fault = |why: String| into.push((path.to_owned(), why));
    if let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.strip_prefix('#').expect("a reference into the same file");
        let target = root.pointer(pointer).unwrap_or_else(|| panic!("{reference} leads nowhere"));
        return faults(root, target, value, path, into);
    }
    let is = |name: &str| match name {
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "null" => value.is_null(),
        other => panic!("a type called {other}"),
    };
    let (one, several) = (schema["type"].as_str(), schema["type"].as_array());
    let mut types = one.into_iter().chain(several.into_iter().flatten().map(|name| name.as_str().unwrap())).peekable();
    if types.peek().is_some() && !types.any(is) {
        return fault(format!("is not {}", schema["type"]));
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        return fault(format!("{value} is not among the {} allowed", allowed.len()));
    }
    if let Some(text) = value.as_str() {
        let chars = text.chars().count() as u64;
        if schema["maxLength"].as_u64().is_some_and(|max| chars > max) {
            fault(format!("is longer than {}", schema["maxLength"]));
        }
        if schema["minLength"].as_u64().is_some_and(|min| chars < min) {
            fault(format!("is shorter than {}", schema["minLength"]));
        }
    }
    if let Some(number) = value.as_f64() {
        if schema["maximum"].as_f64().is_some_and(|max| number > max) {
            fault(format!("is over {}", schema["maximum"]));
        }
        if schema["minimum"].as_f64().is_some_and(|min| number < min) {
            fault(format!("is under {}", schema["minimum"]));
        }
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        if value.is_object() && value.get(name.as_str().unwrap()).is_none() {
            fault(format!("has no {name}"));
        }
    }
    if let (Some(known), Some(fields)) = (schema["properties"].as_object(), value.as_object()) {
        for (name, field) in fields {
            if let Some(known) = known.get(name) {
                faults(root, known, field, &format!("{path}/{name}"), into);
            }
        }
    }
    if let (Some(items), Some(values)) = (schema.get("items"), value.as_array()) {
        for (at, value) in values.iter().enumerate() {
            faults(root, items, value, &format!("{path}/{at}"), into);
        }
    }
    for (word, all) in [("allOf", true), ("anyOf", false), ("oneOf", false)] {
        let Some(choices) = schema[word].as_array() else { continue };
        let tried: Vec<_> = choices
            .iter()
            .map(|choice| {
                let mut found = Vec::new();
                faults(root, choice, value, path, &mut found);
                found
            })
            .collect();
        // Where no choice fits, the faults of the best one are told.
        if all {
            into.extend(tried.into_iter().flatten());
        } else if let Some(best) = tried.into_iter().min_by_key(Vec::len) {
            into.extend(best);
        }
    }
}

pub(super) fn check(root: &Value, name: &str, value: &Value) -> Vec<(String, String)> {
    let definition = &root["$defs"][name];
    assert!(definition.is_object(), "{name} is not in the schema");
    let mut found = Vec::new();
    faults(root, definition, value, "", &mut found);
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_checker_finds_faults() {
        let root = json!({"$defs":{
            "Word": {"type":"string","enum":["a","b"]},
            "Thing": {
                "type":"object","required":["word","size"],
                "properties":{
                    "word":{"$ref":"#/$defs/Word"},
                    "size":{"type":["number","null"],"minimum":1,"maximum":9},
                    "name":{"type":"string","minLength":1,"maxLength":3},
                    "list":{"type":"array","items":{"anyOf":[{"$ref":"#/$defs/Word"},{"type":"object","required":["x"]}]}},
                    "both":{"allOf":[{"type":"string"},{"maxLength":1}]},
                },
            },
        }});
        let paths = |value: Value| check(&root, "Thing", &value).into_iter().map(|(path, _)| path).collect::<Vec<_>>();
        let none: [&str; 0] = [];
        assert_eq!(paths(json!({"word":"a","size":null,"name":"abc","list":["b",{"x":1}],"both":"c","more":1})), none);
        assert_eq!(paths(json!({"word":"c","size":0})), ["/size", "/word"]);
        assert_eq!(paths(json!({"word":"a","size":10,"name":""})), ["/name", "/size"]);
        assert_eq!(paths(json!({"word":"a"})), [""]);
        assert_eq!(paths(json!({"word":"a","size":1,"list":[7,{}],"both":"cc"})), ["/both", "/list/0", "/list/1"]);
        assert_eq!(paths(json!("a")), [""]);
    }
}
