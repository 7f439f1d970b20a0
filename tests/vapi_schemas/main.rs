//! Everything we tell Vapi's clients and servers against Vapi's published schema.
//!
//! The schema is Vapi's own and not part of this repository. It is read from `PRONTO_VAPI_SCHEMAS`, or from
//! `../shared/protocols/vapi-schemas.json` beside the checkout; where it is in neither place these tests say so and
//! check nothing.
#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

mod checker;
mod platform;
mod wire;

use std::collections::BTreeSet;

use pronto::transport::vapi::EndedReason;
use serde_json::json;

use checker::{check, schema};

/// Where the wire differs from the published schema, and our messages with it: definition, path of the field, and why.
/// Nothing else may differ.
const EXCEPTIONS: [(&str, &str, &str); 6] = [
    ("ClientMessageModelOutput", "/output", "an object in the schema; live streams carry the words as a string"),
    (
        "ClientMessageToolCalls",
        "/toolCallList/0/function/arguments",
        "a string in the schema; live streams carry the object",
    ),
    (
        "ClientMessageToolCalls",
        "/toolWithToolCallList/0/toolCall/function/arguments",
        "a string in the schema; live streams carry the object",
    ),
    ("ServerMessageModelOutput", "/output", "an object in the schema; live messages carry the words as a string"),
    (
        "ServerMessageToolCalls",
        "/toolCallList/0/function/arguments",
        "a string in the schema; live messages carry the object (a tenant may have the string)",
    ),
    (
        "ServerMessageToolCalls",
        "/toolWithToolCallList/0/toolCall/function/arguments",
        "a string in the schema; live messages carry the object (a tenant may have the string)",
    ),
];

#[test]
fn everything_we_emit_fits_the_schema_but_for_the_known_exceptions() {
    let Some(root) = schema() else { return };
    let mut used = BTreeSet::new();
    for (name, message) in wire::events().into_iter().chain(platform::messages()) {
        for (path, why) in check(&root, name, &message) {
            let known = EXCEPTIONS.iter().position(|exception| (exception.0, exception.1) == (name, path.as_str()));
            used.insert(known.unwrap_or_else(|| panic!("{name}{path} {why}: {message}")));
        }
    }
    assert_eq!(used.len(), EXCEPTIONS.len(), "an exception that nothing needs any more");
}

#[test]
fn every_ended_reason_is_one_of_vapis() {
    let Some(root) = schema() else { return };
    let known = root["$defs"]["EndedReason"]["enum"].as_array().expect("a list of reasons");
    for reason in EndedReason::ALL {
        assert!(known.contains(&json!(reason.as_str())), "{reason:?}");
    }
}
