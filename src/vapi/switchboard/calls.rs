//! Calls that were created over REST, from then on until they are forgotten.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use jiff::{Timestamp, Zoned};

use super::Switchboard;
use crate::{
    audio::Format,
    privacy::Pii,
    tenant::{Permit, Tokens},
    transport::vapi::EndedReason,
    vapi::{
        assistant::{Assistant, Fitted, Shop},
        call::{
            Artifact, CallObject, Cost, CreateCall, Kind, ListCalls, Monitor, Refusal, Status, SubscriptionLimits,
            TransportObject, UpdateCall, Who,
        },
    },
};

/// Calls kept for one tenant; of more, the oldest that has ended is forgotten.
pub const CALLS_MAX: usize = 1_000;

/// How long a client may take to connect.
pub const CONNECT_WAIT: Duration = Duration::from_secs(60);

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Calls {
    by_id: HashMap<String, Entry>,
    /// In the order of their creation.
    order: VecDeque<String>,
}

#[derive(Debug)]
struct Entry {
    shown: CallObject,
    /// What the call's own addresses open for.
    key: Tokens,
    /// What audio is in.
    format: Format,
    fitted: Arc<Fitted>,
    /// Its line, until the client has connected.
    permit: Option<Permit>,
}

/// What a new call is given by who makes it.
#[derive(Debug)]
pub struct New<'a> {
    /// Whose it is.
    pub org: &'a str,
    /// Its id.
    pub id: String,
    /// Its line.
    pub permit: Permit,
    /// The secret part of its addresses.
    pub key: secrecy::SecretString,
    /// Its addresses.
    pub addresses: Addresses,
    /// The time at the shop.
    pub now: Zoned,
    /// How many calls the tenant may have, and has, this one included.
    pub lines: (usize, usize),
}

/// Where a call is reached. Who has one of these may come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// For the client's WebSocket.
    pub transport: String,
    /// For who listens.
    pub listen: String,
    /// For who controls it.
    pub control: String,
}

/// A client comes to its call.
#[derive(Debug)]
pub enum Connecting {
    /// For the first time: this is how the call is to be.
    First {
        /// What the assistant asks for.
        fitted: Arc<Fitted>,
        /// Its line.
        permit: Permit,
        /// What audio is in.
        format: Format,
        /// The caller's number, where the customer told it.
        number: Option<Pii<String>>,
    },
    /// Once more: the call is under way.
    Again {
        /// What audio is in.
        format: Format,
        /// What the assistant asks for.
        fitted: Arc<Fitted>,
    },
}

const KIND: &str = "Call";

impl Switchboard {
    /// Creates a call: nobody is connected yet. Nothing is created where it is refused. What of the assistant has no effect
    /// is told besides.
    pub fn create_call(
        &self,
        wanted: CreateCall,
        shop: &Shop<'_>,
        new: New<'_>,
    ) -> Result<(CallObject, Vec<String>), Refusal> {
        let CreateCall { who, overrides, format, name, customer, metadata } = wanted;
        let (stored_id, transient, below) = match who {
            None => (None, None, Assistant::default()),
            Some(Who::Transient(assistant)) => (None, Some(assistant.shown()), assistant),
            Some(Who::Stored(id)) => {
                let stored = self.assistants().get(&id).map(|stored| stored.assistant.clone());
                (Some(id), None, stored.ok_or_else(|| Refusal::not_found("Assistant"))?)
            }
        };
        let own_receptionist = stored_id.is_none() && transient.is_none();
        let merged = below.overridden(overrides.reveal())?;
        let mut variables = overrides.reveal().variables(new.now.clone());
        if let Some(customer) = &customer {
            variables = variables.or("customer", serde_json::Value::Object(customer.reveal().clone()));
        }
        let mut fitted = merged.fit(shop, &variables);
        if own_receptionist && fitted.greeting.is_empty() {
            // Nobody was named to answer: the shop's own receptionist does, and greets as it always does.
            (fitted.greeting, fitted.call.opening) = (shop.greeting.into(), shop.call.opening);
        }
        let at = new.now.timestamp();
        let monitoring = fitted.monitoring;
        let url = |url: String, open: bool| open.then(|| Pii::new(url));
        let shown = CallObject {
            id: new.id.clone(),
            org_id: new.org.to_owned(),
            kind: Kind::WebSocket,
            status: Status::Queued,
            ended_reason: None,
            created_at: at,
            updated_at: at,
            started_at: None,
            ended_at: None,
            name,
            assistant_id: stored_id,
            assistant: transient,
            assistant_overrides: (!overrides.reveal().written().is_empty())
                .then(|| Pii::new(overrides.reveal().shown())),
            customer,
            metadata,
            transport: Some(TransportObject::websocket(format, Some(new.addresses.transport))),
            monitor: Monitor {
                listen_url: url(new.addresses.listen, monitoring.listen),
                control_url: url(new.addresses.control, monitoring.control),
            },
            artifact: None,
            cost: Cost,
            subscription_limits: None,
        };
        let answer =
            CallObject { subscription_limits: Some(SubscriptionLimits::of(new.lines.0, new.lines.1)), ..shown.clone() };
        let entry =
            Entry { shown, key: Tokens::new([&new.key]), format, fitted: Arc::new(fitted), permit: Some(new.permit) };
        let warnings = entry.fitted.warnings.clone();
        self.calls().add(new.id, entry);
        Ok((answer, warnings))
    }

    /// One call.
    pub fn call(&self, id: &str) -> Result<CallObject, Refusal> {
        self.calls().by_id.get(id).map(|entry| entry.shown.clone()).ok_or_else(|| Refusal::not_found(KIND))
    }

    /// The calls that are asked for, newest first.
    pub fn list_calls(&self, which: &ListCalls) -> Vec<CallObject> {
        let calls = self.calls();
        let newest = calls.order.iter().rev().filter_map(|id| calls.by_id.get(id));
        newest.map(|entry| &entry.shown).filter(|call| which.has(call)).take(which.limit).cloned().collect()
    }

    /// Gives a call another name.
    pub fn update_call(&self, id: &str, update: UpdateCall, now: Timestamp) -> Result<CallObject, Refusal> {
        let mut calls = self.calls();
        let entry = calls.by_id.get_mut(id).ok_or_else(|| Refusal::not_found(KIND))?;
        if update.name.is_some() {
            entry.shown.name = update.name;
        }
        entry.shown.updated_at = now;
        Ok(entry.shown.clone())
    }

    /// Forgets a call; shows it once more. Whether it was under way is told by its status: whoever drives it ends it.
    pub fn delete_call(&self, id: &str) -> Result<CallObject, Refusal> {
        let mut calls = self.calls();
        let entry = calls.by_id.remove(id).ok_or_else(|| Refusal::not_found(KIND))?;
        calls.order.retain(|other| other != id);
        Ok(entry.shown)
    }

    /// A client comes with the key of a call's address. `None`: there is no such call, or not any more, or not for this
    /// key; nobody is told which.
    pub fn connect(&self, id: &str, key: &str, now: Timestamp) -> Option<Connecting> {
        let mut calls = self.calls();
        let entry = calls.open(id, key)?;
        match entry.shown.status {
            Status::Queued => {
                let permit = entry.permit.take()?;
                (entry.shown.status, entry.shown.started_at) = (Status::InProgress, Some(now));
                entry.shown.updated_at = now;
                Some(Connecting::First {
                    fitted: Arc::clone(&entry.fitted),
                    permit,
                    format: entry.format,
                    number: entry.number(),
                })
            }
            Status::InProgress | Status::Forwarding | Status::Ringing => {
                Some(Connecting::Again { format: entry.format, fitted: Arc::clone(&entry.fitted) })
            }
            Status::Ended => None,
        }
    }

    /// Who has the key of this call under way may listen to it and control it, as far as the assistant lets them.
    pub fn monitored(&self, id: &str, key: &str) -> Option<Arc<Fitted>> {
        let mut calls = self.calls();
        let entry = calls.open(id, key)?;
        (entry.shown.status == Status::InProgress).then(|| Arc::clone(&entry.fitted))
    }

    /// A call that nobody connected to is over. Whether it was.
    pub fn expire(&self, id: &str, now: Timestamp) -> bool {
        let mut calls = self.calls();
        let Some(entry) = calls.by_id.get_mut(id).filter(|entry| entry.shown.status == Status::Queued) else {
            return false;
        };
        entry.end(EndedReason::NeverConnected, now);
        true
    }

    /// A call is over. What remains of it may come later, with [`keep`](Self::keep).
    pub fn ended(&self, id: &str, reason: EndedReason, now: Timestamp) {
        if let Some(entry) = self.calls().by_id.get_mut(id) {
            entry.end(reason, now);
        }
    }

    /// Keeps what remains of a call.
    pub fn keep(&self, id: &str, artifact: Artifact, now: Timestamp) {
        if let Some(entry) = self.calls().by_id.get_mut(id) {
            entry.shown.artifact = Some(Pii::new(artifact));
            entry.shown.updated_at = now;
        }
    }
}

impl Calls {
    fn add(&mut self, id: String, entry: Entry) {
        while self.by_id.len() >= CALLS_MAX {
            let over = |id: &String| self.by_id.get(id).is_none_or(|entry| entry.shown.status == Status::Ended);
            // There are never so many under way: each has a line of the tenant.
            let Some(at) = self.order.iter().position(over) else { break };
            if let Some(id) = self.order.remove(at) {
                self.by_id.remove(&id);
            }
        }
        self.order.push_back(id.clone());
        self.by_id.insert(id, entry);
    }

    fn open(&mut self, id: &str, key: &str) -> Option<&mut Entry> {
        self.by_id.get_mut(id).filter(|entry| entry.key.hold(key))
    }
}

impl Entry {
    fn end(&mut self, reason: EndedReason, now: Timestamp) {
        if self.shown.status == Status::Ended {
            return;
        }
        self.permit = None;
        (self.shown.status, self.shown.ended_reason, self.shown.ended_at) = (Status::Ended, Some(reason), Some(now));
        self.shown.updated_at = now;
    }

    fn number(&self) -> Option<Pii<String>> {
        let number = self.shown.customer.as_ref()?.reveal().get("number")?.as_str()?;
        Some(Pii::new(number.to_owned()))
    }
}
