//! The envelope of Vapi's server messages, `{"message":{...}}`: live messages have it, and what people send by hand often has
//! not. Both are read.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::tool_calls::read_object;

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
}

/// What is inside; the whole where there is no envelope. `None`: the body is no JSON object.
pub(super) fn inside(json: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(json).ok()?;
    let envelope: Envelope<'_> = read_object(text)?;
    Some(envelope.message.map_or(text, RawValue::get))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: Option<&str>) {
        assert_eq!(inside(json.as_bytes()), expected, "{json}");
    }

    #[test]
    fn with_or_without_it_the_message_is_read() {
        check(r#"{"message":{"type":"hang"},"x":1}"#, Some(r#"{"type":"hang"}"#));
        check(r#"{"type":"hang"}"#, Some(r#"{"type":"hang"}"#));
        check(r#"{"message":null,"type":"hang"}"#, Some(r#"{"message":null,"type":"hang"}"#));
        check(r#"{"message":7}"#, Some("7"));
        for nothing in ["", "[]", r#"[{"type":"hang"}]"#, "7", "{"] {
            check(nothing, None);
        }
        assert_eq!(inside(b"{\"a\":\"\xff\"}"), None);
    }
}
