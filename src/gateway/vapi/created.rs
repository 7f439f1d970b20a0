//! A call that was created before anybody is there to talk: it is put on the switchboard, waits for a minute, and somebody
//! comes for it or nobody does. Who comes is a client's WebSocket, or the stream of a carrier whose call rings.
//!
//! What it does not do: decide who answers. That is written in the request that creates the call, or
//! [asked](super::answering) of the customer's server.

use std::sync::Arc;

use jiff::Timestamp;
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::SecretString;
use serde_json::{Map, Value};
use tokio::time::sleep;

use super::{
    minutes::{MinuteTaker, never_begun},
    recordings::{self, Recorder},
};
use crate::{
    audio::Format,
    gateway::{Shared, Step, calls::Errand, clock, session::Created},
    privacy::Pii,
    tenant::{Permit, Tenant},
    transport::vapi::{EndedReason, Wanted},
    vapi::{
        assistant::{Assistant, Fitted, Shop},
        assistant_tools::AssistantTools,
        call::{CallObject, CreateCall, Kind, Refusal, Status},
        server_message::{Body, Envelope},
        switchboard::{Addresses, CONNECT_WAIT, Connecting, New},
        webhooks::Customer,
    },
};

/// The longest name of an assistant, in characters.
const NAME_CHARS_MAX: usize = 40;

/// By what a new call is known and reached.
pub(in crate::gateway) struct Reached {
    /// Its id.
    pub(in crate::gateway) id: String,
    /// The secret part of its addresses.
    pub(in crate::gateway) key: String,
    /// What they begin with: `https://` and a host.
    pub(in crate::gateway) base: String,
}

impl Reached {
    /// An id and a key that nobody else has.
    pub(in crate::gateway) fn at(base: String) -> Self {
        Self { id: new_id(), key: new_key(), base }
    }

    fn addresses(&self, tenant: &Tenant) -> Addresses {
        let Self { id, key, base } = self;
        let ws = base.replacen("http", "ws", 1);
        let path = |door: &str| format!("/vapi/{}/{id}/{door}?t={key}", tenant.id());
        Addresses {
            transport: format!("{ws}{}", path("transport")),
            listen: format!("{ws}{}", path("listen")),
            control: format!("{base}{}", path("control")),
        }
    }
}

/// Puts a call on the switchboard. What of its assistant has no effect is told besides.
pub(in crate::gateway) fn create(
    tenant: &Tenant,
    kind: Kind,
    reached: &Reached,
    permit: Permit,
    wanted: CreateCall,
    now: Timestamp,
) -> Result<(CallObject, Vec<String>), Refusal> {
    let profile = tenant.profile();
    let shop = Shop {
        call: &profile.call,
        greeting: &profile.greeting,
        instructions: &profile.instructions,
        records: tenant.records(),
    };
    let new = New {
        org: tenant.id().as_str(),
        id: reached.id.clone(),
        kind,
        permit,
        addresses: reached.addresses(tenant),
        key: SecretString::from(reached.key.clone()),
        now: now.to_zoned(profile.zone.clone()),
        lines: (profile.calls_max, tenant.calls()),
    };
    tenant.switchboard().create_call(wanted, &shop, new)
}

/// Whoever does not come in time leaves the line to others.
pub(in crate::gateway) fn expire_later(shared: &Arc<Shared>, tenant: &Arc<Tenant>, id: String) {
    let (shared, tenant) = (Arc::clone(shared), Arc::clone(tenant));
    tokio::spawn(async move {
        tokio::select! {
            () = sleep(CONNECT_WAIT) => {}
            () = shared.drain.reached(Step::Telling) => {}
        }
        call_off(&tenant, &id, EndedReason::NeverConnected);
    });
}

/// A call that nobody has come for is over, if there still is one: its customer's server hears of it.
pub(in crate::gateway) fn call_off(tenant: &Arc<Tenant>, id: &str, why: EndedReason) {
    let (board, now) = (tenant.switchboard(), Timestamp::now());
    if let Some(fitted) = board.call_off(id, why, now) {
        never_begun(board, id, &customer(tenant, id, &fitted), why, now);
    }
}

/// What somebody finds who has come for a call.
pub(in crate::gateway) struct Joining {
    /// The shop, as the call is to be.
    pub(in crate::gateway) tenant: Arc<Tenant>,
    /// The call, for who comes first.
    pub(in crate::gateway) created: Option<Created>,
    /// Its line, likewise.
    pub(in crate::gateway) permit: Option<Permit>,
    /// Who records it, likewise.
    pub(in crate::gateway) recorder: Option<Recorder>,
    /// The caller's number, where the customer told it.
    pub(in crate::gateway) from: Option<Pii<String>>,
    /// What audio is in, where nothing else says so.
    pub(in crate::gateway) format: Format,
    /// The events that the assistant wants its client to have.
    pub(in crate::gateway) clients: Wanted,
}

/// Somebody comes for a call of this kind, with the key of its addresses. `None`: there is none, or not any more, or not for
/// this key.
pub(in crate::gateway) fn join(
    shared: &Arc<Shared>,
    tenant: &Arc<Tenant>,
    kind: Kind,
    call: &str,
    key: &str,
    base: &str,
) -> Option<Joining> {
    // Who may listen to a telephone call has its key, too, and must not take the place of its caller.
    let shown = tenant.switchboard().call(call).ok().filter(|shown| shown.kind == kind)?;
    let (fitted, format, permit, from) = match tenant.switchboard().connect(call, key, Timestamp::now())? {
        Connecting::First { fitted, permit, format, number } => (fitted, format, Some(permit), number),
        Connecting::Again { format, fitted } => (fitted, format, None, None),
    };
    let customer = customer(tenant, call, &fitted);
    let hand = {
        let (shared, id, call) = (Arc::clone(shared), tenant.id().clone(), call.to_owned());
        Arc::new(move |control| {
            shared.calls.tell(&id, &call, Errand::Control(control));
        })
    };
    let tools = AssistantTools::new(fitted.tools.clone(), customer.clone(), Arc::clone(tenant.tools()), hand);
    let first = permit.is_some();
    let wanted = first && fitted.artifact.recording;
    let (recorder, recorded) = wanted.then(|| shared.recordings.begin(tenant, call)).flatten().unzip();
    let recorded = recorded.map(|recorded| (recorded, recordings::places(base, tenant.id(), call)));
    let created = first.then(|| {
        let assistant = Arc::new(answering(tenant, &shown));
        let minutes = MinuteTaker::new(tenant, call, &fitted, Arc::clone(&assistant), customer).recorded(recorded);
        Created { id: call.into(), minutes: Arc::new(minutes), assistant }
    });
    let (greeting, instructions) = (Arc::clone(&fitted.greeting), Arc::clone(&fitted.instructions));
    Some(Joining {
        tenant: Arc::new(tenant.for_call(fitted.call.clone(), greeting, instructions, Arc::new(tools))),
        created,
        permit,
        recorder,
        from,
        format,
        clients: fitted.clients,
    })
}

/// Who answers a call, as it may be shown: the assistant that was named with what overrides it, or the shop's own
/// receptionist.
fn answering(tenant: &Tenant, call: &CallObject) -> Map<String, Value> {
    let stored = |id: &String| tenant.switchboard().assistant(tenant.id().as_str(), id).ok();
    let named = call.assistant.clone().or_else(|| call.assistant_id.as_ref().and_then(stored));
    let below = named.unwrap_or_else(|| {
        let name: String = tenant.profile().name.chars().take(NAME_CHARS_MAX).collect();
        Map::from_iter([("name".to_owned(), name.into())])
    });
    let Some(above) = &call.assistant_overrides else { return below };
    let laid = Assistant::new(below.clone()).and_then(|it| it.overridden(&Assistant::new(above.reveal().clone())?));
    laid.map_or(below, |laid| laid.shown())
}

/// The way to the server of a call's customer. Every message says how the call stands.
pub(in crate::gateway) fn customer(tenant: &Arc<Tenant>, call: &str, fitted: &Fitted) -> Customer {
    let (board, id) = (Arc::clone(tenant.switchboard()), call.to_owned());
    // What is told of a call that was deleted while it ran: which it was, and little else.
    let deleted = board.call(call).ok().map(|call| CallObject {
        status: Status::Ended,
        ended_reason: Some(EndedReason::Cancelled),
        assistant: None,
        assistant_overrides: None,
        metadata: None,
        ..call
    });
    let wrap = move |body: &Body<'_>| {
        let known = board.call(&id).ok();
        let call = known.as_ref().or(deleted.as_ref());
        let customer = call.and_then(|call| call.customer.as_ref());
        let assistant = call.and_then(|call| call.assistant.as_ref());
        Envelope { timestamp: clock::epoch_ms(), call, assistant, customer, ..Envelope::default() }.write(body)
    };
    Customer::new(Arc::clone(tenant), call, fitted.server.clone(), fitted.servers, Arc::new(wrap))
}

pub(in crate::gateway) fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// 128 bits that nobody guesses: whoever has the address may come in.
fn new_key() -> String {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).expect("the system has randomness");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
