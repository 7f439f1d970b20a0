//! What the tools answered, read into values. An answer that cannot be read is an unavailable tool.

use jiff::civil::DateTime;
use serde_json::Value;

/// Slots and appointments read of one answer; the rest is not offered.
const ITEMS_MAX: usize = 60;

/// A tool said no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// `slot_taken`, `closed`, `bad_plate` ...
    pub error: String,
    /// A sentence of the tool's own, for errors we do not know.
    pub say: Option<String>,
    /// Other slots.
    pub alternatives: Vec<DateTime>,
}

/// An appointment that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Appointment {
    pub id: String,
    pub service: String,
    pub start: Option<DateTime>,
    pub say: String,
}

/// The object of an answer that went well, or the refusal.
pub(super) fn read(content: &str) -> Result<Value, Refusal> {
    let value: Value = serde_json::from_str(content).unwrap_or(Value::Null);
    if value.get("ok").and_then(Value::as_bool) == Some(true) {
        return Ok(value);
    }
    Err(Refusal {
        error: text(&value, "error").unwrap_or_else(|| "unavailable".into()),
        say: text(&value, "say"),
        alternatives: starts(&value, "alternatives"),
    })
}

/// The slots of `find_slots`, or what is free instead.
pub(super) fn slots(value: &Value) -> Vec<DateTime> {
    let slots = starts(value, "slots");
    if slots.is_empty() { starts(value, "alternatives") } else { slots }
}

/// The appointments of `find_appointments`.
pub(super) fn appointments(value: &Value) -> Vec<Appointment> {
    let items = value.get("appointments").and_then(Value::as_array).into_iter().flatten().take(ITEMS_MAX);
    items.filter_map(appointment).collect()
}

/// One appointment: what `book_appointment` made, or an item of a list.
pub(super) fn appointment(value: &Value) -> Option<Appointment> {
    let id = value.get("id").map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_string))?;
    Some(Appointment {
        id,
        service: text(value, "service").unwrap_or_default(),
        start: start(value),
        say: text(value, "say").unwrap_or_default(),
    })
}

/// The time of an answer.
pub(super) fn start(value: &Value) -> Option<DateTime> {
    value.get("start")?.as_str()?.parse().ok()
}

/// A string of an object, not empty.
pub(super) fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().filter(|text| !text.trim().is_empty()).map(str::to_string)
}

fn starts(value: &Value, key: &str) -> Vec<DateTime> {
    value.get(key).and_then(Value::as_array).into_iter().flatten().take(ITEMS_MAX).filter_map(start).collect()
}
