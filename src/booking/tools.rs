//! The tools, as the model sees them: names, descriptions and JSON Schemas.
//!
//! What the model writes back is read by [`request::parse`](super::request::parse), which is more forgiving than the
//! schema (a service by any of its names), and stricter where it matters (a date that is not that weekday).

use serde_json::{Map, Value, json};

use super::{say, shop::Shop};
use crate::language::Language;

/// Finds free slots.
pub const FIND_SLOTS: &str = "find_slots";
/// Makes an appointment.
pub const BOOK: &str = "book_appointment";
/// Moves one.
pub const MOVE: &str = "move_appointment";
/// Cancels one.
pub const CANCEL: &str = "cancel_appointment";
/// Finds the caller's.
pub const FIND: &str = "find_appointments";
/// Leaves a message for the staff.
pub const MESSAGE: &str = "take_message";
/// Puts the caller through.
pub const TRANSFER: &str = "transfer_to_human";
/// Hangs up.
pub const END: &str = "end_call";

/// A tool.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// The name it is asked for by.
    pub name: &'static str,
    /// When to use it, for the model.
    pub description: String,
    /// JSON Schema of its arguments.
    pub parameters: Value,
    /// Whether it changes anything.
    pub kind: Kind,
}

/// Whether a tool changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Looks something up.
    Read,
    /// Changes the books.
    Write,
    /// Ends or hands over the call.
    Call,
}

/// The tools of a shop. Without a number to transfer to there is no such tool.
pub fn tools(shop: &Shop, language: Language) -> Vec<Tool> {
    let service = || (String::from("service"), service_schema(shop, language));
    let start = || text("start", "Local start as YYYY-MM-DDTHH:MM, one of the starts that find_slots returned.");
    let plate = || text("plate", "The car's licence plate, as the caller spelled it, without spaces.");
    let phone = || text("phone", "A phone number to reach the caller; leave out for the one they call from.");
    let name = || text("name", "The caller's first and last name.");
    let id = || text("id", "The id of the appointment, as returned by find_appointments or book_appointment.");
    let mut tools = vec![
        Tool {
            name: FIND_SLOTS,
            description: "Find free appointment times. Call it before offering any time. Say the 'say' texts, never \
                          the raw dates; offer two or three at a time."
                .into(),
            parameters: object(
                [
                    service(),
                    text("date", "Only this day, as YYYY-MM-DD. Leave out for the next free times."),
                    choice("part", "Only this part of the day.", &["morning", "afternoon"]),
                    text("time", "The time the caller would like, as HH:MM; the nearest free times come first."),
                ],
                &["service"],
            ),
            kind: Kind::Read,
        },
        Tool {
            name: BOOK,
            description: "Make an appointment, after the caller agreed to the time and gave name and plate. It is \
                          booked only when the result says ok; on slot_taken offer the alternatives."
                .into(),
            parameters: object(
                [
                    service(),
                    start(),
                    name(),
                    plate(),
                    phone(),
                    text("notes", "Anything the caller wants the garage to know."),
                    text("weekday", "The weekday that the caller said, if any, as a check of the date."),
                ],
                &["service", "start", "name", "plate"],
            ),
            kind: Kind::Write,
        },
        Tool {
            name: MOVE,
            description: "Move an appointment to another time. Give the id, or the plate if the car has only one."
                .into(),
            parameters: object([id(), plate(), start()], &["start"]),
            kind: Kind::Write,
        },
        Tool {
            name: CANCEL,
            description: "Cancel an appointment, after the caller confirmed it. Give the id, or the plate if the car \
                          has only one."
                .into(),
            parameters: object([id(), plate()], &[]),
            kind: Kind::Write,
        },
        Tool {
            name: FIND,
            description: "Find the caller's coming appointments by plate, phone or full name; with no argument, by \
                          the number they call from."
                .into(),
            parameters: object([plate(), phone(), name()], &[]),
            kind: Kind::Read,
        },
        Tool {
            name: MESSAGE,
            description: "Leave a message for the staff when you cannot help: a question about a repair, a price, a \
                          complaint, or when booking is unavailable."
                .into(),
            parameters: object([name(), phone(), text("text", "The message, in the caller's language.")], &["text"]),
            kind: Kind::Write,
        },
    ];
    if shop.transfer_to.is_some() {
        tools.push(Tool {
            name: TRANSFER,
            description: "Put the caller through to a person, when they ask for one or are upset.".into(),
            parameters: object([text("reason", "Why, in a few words.")], &[]),
            kind: Kind::Call,
        });
    }
    tools.push(Tool {
        name: END,
        description: "Hang up, after the caller has said goodbye.".into(),
        parameters: object([], &[]),
        kind: Kind::Call,
    });
    tools
}

fn service_schema(shop: &Shop, language: Language) -> Value {
    let ids: Vec<&str> = shop.services.iter().map(|service| service.id.as_str()).collect();
    let list: Vec<String> = shop
        .services
        .iter()
        .map(|service| {
            let price = match service.price_cents {
                Some(cents) if cents % 100 == 0 => format!(", from {} euro", cents / 100),
                Some(cents) => format!(", from {}.{:02} euro", cents / 100, cents % 100),
                None => String::new(),
            };
            let names = service.names.of(language);
            let names = if names.is_empty() { &service.names.it } else { names };
            format!("{} ({}; {}{price})", service.id, names.join(", "), say::minutes(service.minutes, language))
        })
        .collect();
    json!({ "type": "string", "enum": ids, "description": format!("The service: {}.", list.join("; ")) })
}

fn text(name: &str, description: &str) -> (String, Value) {
    (name.to_string(), json!({ "type": "string", "description": description }))
}

fn choice(name: &str, description: &str, of: &[&str]) -> (String, Value) {
    (name.to_string(), json!({ "type": "string", "enum": of, "description": description }))
}

fn object<const N: usize>(properties: [(String, Value); N], required: &[&str]) -> Value {
    let properties: Map<String, Value> = properties.into_iter().collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_has_a_strict_schema_and_required_arguments_exist() {
        for language in [Language::Italian, Language::English] {
            let tools = tools(&Shop::example(), language);
            assert_eq!(tools.len(), 8);
            for tool in tools {
                assert!(!tool.description.is_empty() && tool.description.len() < 1024, "{}", tool.name);
                assert_eq!(tool.parameters["additionalProperties"], false, "{}", tool.name);
                for required in tool.parameters["required"].as_array().expect("a list") {
                    let name = required.as_str().expect("a name");
                    assert!(tool.parameters["properties"].get(name).is_some(), "{} {name}", tool.name);
                }
            }
        }
    }

    #[test]
    fn the_services_are_in_the_schema() {
        let tools = tools(&Shop::example(), Language::Italian);
        let service = &tools[0].parameters["properties"]["service"];
        assert_eq!(service["enum"][0], "tagliando");
        assert!(service["description"].as_str().expect("text").contains("from 79.02 euro"), "{service}");
    }

    #[test]
    fn nobody_to_transfer_to_is_no_tool_to_transfer() {
        let mut shop = Shop::example();
        shop.transfer_to = None;
        assert!(tools(&shop, Language::Italian).iter().all(|tool| tool.name != TRANSFER));
    }
}
