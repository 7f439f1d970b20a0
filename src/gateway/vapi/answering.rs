//! Who answers a call that names nobody. Where the tenant's settings say so its server is asked (`assistant-request`), and has
//! seven and a half seconds.
//!
//! | the server says | a call over REST | a call by telephone |
//! |---|---|---|
//! | an assistant, or the id of a stored one | waits for its client | is answered by it |
//! | a destination | is created, and over | is put through by the carrier |
//! | an error | is created, and over | hears it in the carrier's voice, and is hung up on |
//! | nothing of use, or nothing in time | is created, and over | is answered by the shop's own receptionist |
//!
//! In each case the call is on the switchboard and its server hears of its end. A caller on the telephone is never lost to a
//! server that fails.

use std::sync::Arc;

use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Map, Value};

use super::created::{self, Reached};
use crate::{
    audio::Format,
    gateway::{Shared, clock, metrics, session::Called},
    language::Language,
    privacy::Pii,
    tenant::{Permit, Tenant},
    transport::{
        twiml::{dial, say_and_dial, say_and_hang_up},
        vapi::{EndedReason, Wanted},
    },
    vapi::{
        Violations,
        assistant::Assistant,
        call::{CallObject, Cost, CreateCall, Kind, Monitor, Status, TransportObject, Who},
        server_message::{AssistantAnswer, Body, Destination, Envelope},
        webhooks::Customer,
    },
};

/// The longest number that is told to a server, in bytes.
const NUMBER_MAX: usize = 64;

/// What a server said, as far as it is of use.
enum Said {
    /// This one answers, with these overrides.
    Assistant(Box<(Who, Assistant)>),
    /// The caller is put through.
    Forward(Destination),
    /// The caller hears this.
    Error(Pii<String>),
    /// Nothing: this is why.
    Nobody(EndedReason),
}

impl Said {
    /// As a label.
    const fn name(&self) -> &'static str {
        match self {
            Self::Assistant(_) => "assistant",
            Self::Forward(_) => "forward",
            Self::Error(_) => "error",
            Self::Nobody(why) => why.as_str(),
        }
    }
}

/// What becomes of a call that rings.
pub(in crate::gateway) enum Ringing {
    /// Its stream is opened; whoever is named by the switchboard answers, or the shop's own receptionist.
    Answered(Option<Called>),
    /// Nobody here talks to it: the carrier does this.
    Carried(String),
}

/// Asks who answers a call that is to be created over REST, and writes that into it. The error is why nobody does.
pub(in crate::gateway) async fn name(
    tenant: &Arc<Tenant>,
    id: &str,
    wanted: &mut CreateCall,
    now: Timestamp,
) -> Result<(), EndedReason> {
    let asking = CallObject {
        name: wanted.name.clone(),
        customer: wanted.customer.clone(),
        metadata: wanted.metadata.clone(),
        transport: Some(TransportObject::websocket(wanted.format, None)),
        ..asking(tenant, id, Kind::WebSocket, now)
    };
    match ask(tenant, asking, None, wanted.overrides.reveal()).await {
        Said::Assistant(named) => {
            let (who, overrides) = *named;
            (wanted.who, wanted.overrides) = (Some(who), Pii::new(overrides));
            Ok(())
        }
        Said::Forward(_) => Err(EndedReason::AssistantRequestForwarded),
        Said::Error(_) => Err(EndedReason::AssistantRequestError),
        Said::Nobody(why) => Err(why),
    }
}

/// Asks who answers a call by telephone, and puts it on the switchboard. It has a line of the tenant.
pub(in crate::gateway) async fn telephone(
    shared: &Arc<Shared>,
    tenant: &Arc<Tenant>,
    permit: Permit,
    base: String,
    from: Option<&str>,
    to: Option<&str>,
) -> Ringing {
    let (reached, now) = (Reached::at(base), Timestamp::now());
    let number = |number: Option<&str>| {
        let number = number.filter(|number| !number.is_empty() && number.len() <= NUMBER_MAX)?;
        Some(Map::from_iter([("number".to_owned(), Value::from(number))]))
    };
    let customer = number(from).map(Pii::new);
    let dialled = number(to).map(|mut dialled| {
        dialled.insert("provider".to_owned(), "twilio".into());
        dialled
    });
    let asking = CallObject { customer: customer.clone(), ..asking(tenant, &reached.id, Kind::Inbound, now) };
    let said = ask(tenant, asking, dialled, &Assistant::default()).await;
    let (who, overrides) = match &said {
        Said::Assistant(named) => (Some(named.0.clone()), named.1.clone()),
        Said::Forward(_) | Said::Error(_) | Said::Nobody(_) => (None, Assistant::default()),
    };
    let (format, overrides) = (Format::MULAW_PHONE, Pii::new(overrides));
    let wanted = CreateCall { who, overrides, format, name: None, customer, metadata: None };
    let made = created::create(tenant, Kind::Inbound, &reached, permit, wanted, Timestamp::now());
    if made.is_err() {
        tracing::error!(tenant = %tenant.id(), call = %reached.id, "a call that rings is not on the switchboard");
    }
    let language = match tenant.profile().call.language {
        Language::Italian => "it-IT",
        Language::English => "en-GB",
    };
    match said {
        Said::Assistant(_) | Said::Nobody(_) if made.is_err() => Ringing::Answered(None),
        Said::Assistant(_) | Said::Nobody(_) => {
            created::expire_later(shared, tenant, reached.id.clone());
            let Reached { id, key, base } = reached;
            Ringing::Answered(Some(Called { id, key: SecretString::from(key), base }))
        }
        Said::Forward(to) => {
            created::call_off(tenant, &reached.id, EndedReason::AssistantRequestForwarded);
            let address = to.address().reveal();
            Ringing::Carried(match to.message() {
                Some(words) => say_and_dial(words, language, address),
                None => dial(address),
            })
        }
        Said::Error(words) => {
            created::call_off(tenant, &reached.id, EndedReason::AssistantRequestError);
            Ringing::Carried(say_and_hang_up(words.reveal(), language))
        }
    }
}

/// Asks the tenant's own server: there is no assistant yet that could have one. `request` is what overrides it already.
async fn ask(tenant: &Arc<Tenant>, call: CallObject, dialled: Option<Map<String, Value>>, request: &Assistant) -> Said {
    let id = call.id.clone();
    let wrap = move |body: &Body<'_>| {
        let (timestamp, customer) = (clock::epoch_ms(), call.customer.as_ref());
        let (call, phone_number) = (Some(&call), dialled.as_ref());
        Envelope { timestamp, call, customer, phone_number, ..Envelope::default() }.write(body)
    };
    let customer = Customer::new(Arc::clone(tenant), &id, None, Wanted::SERVER, Arc::new(wrap));
    let said = match customer.assistant().await {
        Ok(AssistantAnswer::Assistant(named)) => {
            let (who, overrides) = *named;
            known(tenant, who, request, &overrides)
        }
        Ok(AssistantAnswer::Forward(to)) => Said::Forward(to),
        Ok(AssistantAnswer::Error(words)) => Said::Error(words),
        Err(fault) => Said::Nobody(fault.reason()),
    };
    metrics::assistant_asked(said.name());
    if let Said::Nobody(why) = &said {
        let why = why.as_str();
        tracing::warn!(tenant = %tenant.id(), call = %id, why, "the server of a customer does not say who answers a call");
    }
    said
}

/// Whether the assistant that was named is there, and is one with all that overrides it.
fn known(tenant: &Tenant, who: Who, request: &Assistant, named: &Assistant) -> Said {
    let below = match &who {
        Who::Transient(assistant) => Ok(assistant.clone()),
        Who::Stored(id) => match tenant.switchboard().assistant(tenant.id().as_str(), id) {
            Ok(shown) => Assistant::new(shown),
            Err(_gone) => return Said::Nobody(EndedReason::AssistantNotFound),
        },
    };
    let overrides = laid(request, named);
    match below.and_then(|below| overrides.and_then(|overrides| below.overridden(&overrides).map(|_| overrides))) {
        Ok(overrides) => Said::Assistant(Box::new((who, overrides))),
        Err(_violations) => Said::Nobody(EndedReason::InvalidAssistant),
    }
}

/// What the request overrides, and above it what the server does. Of the variables each brings its own.
fn laid(request: &Assistant, named: &Assistant) -> Result<Assistant, Violations> {
    let mut both = request.written().clone();
    for (name, value) in named.written() {
        match (both.get_mut(name).and_then(Value::as_object_mut), value.as_object()) {
            (Some(below), Some(above)) if name == "variableValues" => below.extend(above.clone()),
            (Some(_) | None, _) => _ = both.insert(name.clone(), value.clone()),
        }
    }
    Assistant::new(both)
}

/// A call that is not yet one, as its server is told of it.
fn asking(tenant: &Tenant, id: &str, kind: Kind, now: Timestamp) -> CallObject {
    CallObject {
        id: id.to_owned(),
        org_id: tenant.id().as_str().to_owned(),
        kind,
        status: if kind == Kind::Inbound { Status::Ringing } else { Status::Queued },
        ended_reason: None,
        created_at: now,
        updated_at: now,
        started_at: None,
        ended_at: None,
        name: None,
        assistant_id: None,
        assistant: None,
        assistant_overrides: None,
        customer: None,
        metadata: None,
        transport: None,
        monitor: Monitor::default(),
        artifact: None,
        cost: Cost,
        subscription_limits: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn assistant(written: &Value) -> Assistant {
        Assistant::parse(&written.to_string()).expect("right")
    }

    #[test]
    fn what_the_server_overrides_is_laid_over_what_the_request_does() {
        let check = |request: Value, named: Value, expected: Value| {
            let both = laid(&assistant(&request), &assistant(&named)).expect("right");
            assert_eq!(Value::Object(both.written().clone()), expected);
        };
        check(
            json!({"variableValues": {"shop": "Rossi", "x": 1}, "maxDurationSeconds": 600}),
            json!({"variableValues": {"x": 2, "caller": "Bianchi"}, "firstMessage": "Ciao"}),
            json!({
                "variableValues": {"shop": "Rossi", "x": 2, "caller": "Bianchi"},
                "maxDurationSeconds": 600, "firstMessage": "Ciao",
            }),
        );
        check(
            json!({"startSpeakingPlan": {"waitSeconds": 0.5}}),
            json!({"startSpeakingPlan": {"waitSeconds": 1}}),
            json!({"startSpeakingPlan": {"waitSeconds": 1}}),
        );
        check(json!({}), json!({}), json!({}));
    }
}
