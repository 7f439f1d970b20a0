//! Calls that were created over REST, from then on until they are forgotten.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use jiff::{Timestamp, Zoned};

use super::{NOT_ERASED, NOT_KEPT, Switchboard, document as kept};
use crate::{
    audio::Format,
    privacy::Pii,
    store::{Document, DocumentKind},
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
    /// Until it is over.
    line: Option<Line>,
}

/// What is there of a call while it can be reached.
#[derive(Debug)]
struct Line {
    /// What the call's own addresses open for.
    key: Tokens,
    /// What audio is in.
    format: Format,
    fitted: Arc<Fitted>,
    /// Its place, until the client has connected.
    permit: Option<Permit>,
}

/// What a new call is given by who makes it.
#[derive(Debug)]
pub struct New<'a> {
    /// Whose it is.
    pub org: &'a str,
    /// Its id.
    pub id: String,
    /// How it comes. Who calls by telephone is ringing while it is decided who answers.
    pub kind: Kind,
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
            fitted.call.greeting_interruptible = shop.call.greeting_interruptible;
        }
        let at = new.now.timestamp();
        let monitoring = fitted.monitoring;
        let url = |url: String, open: bool| open.then(|| Pii::new(url));
        let shown = CallObject {
            id: new.id.clone(),
            org_id: new.org.to_owned(),
            kind: new.kind,
            status: if new.kind == Kind::Inbound { Status::Ringing } else { Status::Queued },
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
            transport: (new.kind == Kind::WebSocket)
                .then(|| TransportObject::websocket(format, Some(new.addresses.transport))),
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
        let warnings = fitted.warnings.clone();
        let key = Tokens::new([&new.key]);
        let line = Some(Line { key, format, fitted: Arc::new(fitted), permit: Some(new.permit) });
        let forgotten = self.calls().add(new.id.clone(), Entry { shown, line });
        self.calls_changed(forgotten.into_iter().chain([new.id]));
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
        let shown = {
            let mut calls = self.calls();
            let entry = calls.by_id.get_mut(id).ok_or_else(|| Refusal::not_found(KIND))?;
            if update.name.is_some() {
                entry.shown.name = update.name;
            }
            entry.shown.updated_at = now;
            entry.shown.clone()
        };
        self.call_changed(id);
        Ok(shown)
    }

    /// Forgets a call; shows it once more. Whether it was under way is told by its status: whoever drives it ends it.
    /// [`erased`](Self::erased) tells when the store has forgotten it, too.
    pub fn delete_call(&self, id: &str) -> Result<CallObject, Refusal> {
        if !self.has_room() {
            return Err(Refusal::unwritable(NOT_KEPT));
        }
        let entry = {
            let mut calls = self.calls();
            let entry = calls.by_id.remove(id).ok_or_else(|| Refusal::not_found(KIND))?;
            calls.order.retain(|other| other != id);
            entry
        };
        self.call_changed(id);
        Ok(entry.shown)
    }

    /// Waits until the store has erased calls that were deleted; of some of these it may be asked once more.
    pub async fn erased(&self, ids: &[String]) -> Result<(), Refusal> {
        let keys: Vec<_> = ids.iter().map(|id| (DocumentKind::Call, id.clone())).collect();
        if self.in_store(&keys).await { Ok(()) } else { Err(Refusal::unwritable(NOT_ERASED)) }
    }

    /// A client comes with the key of a call's address. `None`: there is no such call, or not any more, or not for this
    /// key; nobody is told which.
    pub fn connect(&self, id: &str, key: &str, now: Timestamp) -> Option<Connecting> {
        let connecting = {
            let mut calls = self.calls();
            let (shown, line) = calls.open(id, key)?;
            let (format, fitted) = (line.format, Arc::clone(&line.fitted));
            match shown.status {
                Status::Queued | Status::Ringing => {
                    let permit = line.permit.take()?;
                    (shown.status, shown.started_at, shown.updated_at) = (Status::InProgress, Some(now), now);
                    Connecting::First { fitted, permit, format, number: number(shown) }
                }
                Status::InProgress | Status::Forwarding => Connecting::Again { format, fitted },
                Status::Ended => return None,
            }
        };
        if let Connecting::First { .. } = &connecting {
            self.call_changed(id);
        }
        Some(connecting)
    }

    /// Who has the key of this call under way may listen to it and control it, as far as the assistant lets them.
    pub fn monitored(&self, id: &str, key: &str) -> Option<Arc<Fitted>> {
        let mut calls = self.calls();
        let (shown, line) = calls.open(id, key)?;
        (shown.status == Status::InProgress).then(|| Arc::clone(&line.fitted))
    }

    /// A call that nobody has connected to is over. Answers how it would have been, for whoever is to hear of its end; `None`
    /// where there is no such call, or somebody has.
    pub fn call_off(&self, id: &str, reason: EndedReason, now: Timestamp) -> Option<Arc<Fitted>> {
        let fitted = {
            let mut calls = self.calls();
            let waits = |entry: &&mut Entry| matches!(entry.shown.status, Status::Queued | Status::Ringing);
            let entry = calls.by_id.get_mut(id).filter(waits)?;
            let fitted = entry.line.as_ref().map(|line| Arc::clone(&line.fitted));
            entry.end(reason, now);
            fitted
        };
        self.call_changed(id);
        fitted
    }

    /// A call is over. What remains of it may come later, with [`keep`](Self::keep).
    pub fn ended(&self, id: &str, reason: EndedReason, now: Timestamp) {
        let ended = self.calls().by_id.get_mut(id).is_some_and(|entry| entry.end(reason, now));
        if ended {
            self.call_changed(id);
        }
    }

    /// Keeps what remains of a call.
    pub fn keep(&self, id: &str, artifact: Artifact, now: Timestamp) {
        let kept = match self.calls().by_id.get_mut(id) {
            Some(entry) => {
                (entry.shown.artifact, entry.shown.updated_at) = (Some(Pii::new(artifact)), now);
                true
            }
            None => false,
        };
        if kept {
            self.call_changed(id);
        }
    }

    fn call_changed(&self, id: &str) {
        self.calls_changed([id.to_owned()]);
    }

    fn calls_changed(&self, ids: impl IntoIterator<Item = String>) {
        self.changed(ids.into_iter().map(|id| (DocumentKind::Call, id)));
    }
}

impl Calls {
    /// A call as it is shown.
    pub(super) fn shown(&self, id: &str) -> Option<&CallObject> {
        self.by_id.get(id).map(|entry| &entry.shown)
    }

    /// A call that was kept by the process before; newer than those that are here. Whether it has changed by that: it was
    /// under way, and is over.
    pub(super) fn restore(&mut self, mut shown: CallObject, now: Timestamp) -> bool {
        let died = shown.status != Status::Ended;
        if died {
            // Nobody knows when the process died: the last that was kept of the call is the last that is sure.
            (shown.status, shown.ended_reason) = (Status::Ended, Some(EndedReason::Shutdown));
            (shown.ended_at, shown.updated_at) = (Some(shown.updated_at), now);
        }
        let id = shown.id.clone();
        if self.by_id.insert(id.clone(), Entry { shown, line: None }).is_none() {
            self.order.push_back(id);
        }
        died
    }

    /// Forgets the calls that are over and were created before. Answers which.
    pub(super) fn forget_before(&mut self, created: Timestamp) -> Vec<String> {
        let Self { by_id, order } = self;
        let old = |entry: &Entry| entry.shown.status == Status::Ended && entry.shown.created_at < created;
        let forgotten: Vec<_> = order.iter().filter(|id| by_id.get(*id).is_some_and(old)).cloned().collect();
        for id in &forgotten {
            by_id.remove(id);
        }
        order.retain(|id| by_id.contains_key(id));
        forgotten
    }

    /// One more. Answers which were forgotten for it.
    fn add(&mut self, id: String, entry: Entry) -> Vec<String> {
        let mut forgotten = Vec::new();
        while self.by_id.len() >= CALLS_MAX {
            let over = |id: &String| self.by_id.get(id).is_none_or(|entry| entry.shown.status == Status::Ended);
            // There are never so many under way: each has a line of the tenant.
            let Some(at) = self.order.iter().position(over) else { break };
            if let Some(id) = self.order.remove(at) {
                self.by_id.remove(&id);
                forgotten.push(id);
            }
        }
        self.order.push_back(id.clone());
        self.by_id.insert(id, entry);
        forgotten
    }

    /// A call that can be reached, for who has its key.
    fn open(&mut self, id: &str, key: &str) -> Option<(&mut CallObject, &mut Line)> {
        let Entry { shown, line } = self.by_id.get_mut(id)?;
        line.as_mut().filter(|line| line.key.hold(key)).map(|line| (shown, line))
    }
}

impl Entry {
    /// It is over. Whether it was not before.
    fn end(&mut self, reason: EndedReason, now: Timestamp) -> bool {
        if self.shown.status == Status::Ended {
            return false;
        }
        self.line = None;
        (self.shown.status, self.shown.ended_reason, self.shown.ended_at) = (Status::Ended, Some(reason), Some(now));
        self.shown.updated_at = now;
        true
    }
}

fn number(call: &CallObject) -> Option<Pii<String>> {
    let number = call.customer.as_ref()?.reveal().get("number")?.as_str()?;
    Some(Pii::new(number.to_owned()))
}

/// A call as it is kept: without its addresses, whose keys end with the process. `None`: it is too long even without what
/// was said.
pub(super) fn document(call: CallObject) -> Option<Document> {
    let mut call = CallObject {
        transport: call.transport.map(TransportObject::without_address),
        monitor: Monitor::default(),
        ..call
    };
    let written = |call: &CallObject| {
        let body = serde_json::to_string(call).ok()?;
        kept(DocumentKind::Call, &call.id, body, call.created_at, call.updated_at)
    };
    written(&call).or_else(|| {
        call.artifact = None;
        tracing::error!(id = %call.id, "a call is too long for the store: what was said is not kept there");
        written(&call)
    })
}
