//! The store that forgets: a ledger for each tenant, behind a lock. For tests, demos and embedders.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures_util::FutureExt;
use jiff::Timestamp;

use super::{
    Answer, CallRecord, Change, Document, DocumentKind, Documents, Owed, Owing, REPORTS_MAX, Reports, Store,
    reports::REMEMBERED,
};
use crate::booking::{
    Appointment, Cancel, Kept, Key, Ledger, Message, Move, Note, Order, OutboxEntry, Query, Refusal, Taken, TenantId,
};

/// Calls kept for each tenant; the oldest is forgotten.
const CALLS_MAX: usize = 1_000;

/// Books that live as long as the process.
#[derive(Debug, Default)]
pub struct MemoryStore {
    /// A shelf for each tenant. The lock is held for one operation, never across an await.
    tenants: Mutex<BTreeMap<TenantId, Shelf>>,
}

/// What is kept for one tenant.
#[derive(Debug, Default)]
struct Shelf {
    /// Its books.
    ledger: Ledger,
    /// Its calls, by when they began.
    calls: Vec<CallRecord>,
    /// The reports it owes, by their calls; with an end, those that were owed.
    reports: BTreeMap<String, (Owed, Option<Timestamp>)>,
    /// The documents of its customers.
    documents: BTreeMap<(DocumentKind, String), Document>,
}

impl MemoryStore {
    /// Empty books.
    pub fn new() -> Self {
        Self::default()
    }

    fn on<'a, T: Send + 'a>(&'a self, tenant: &TenantId, then: impl FnOnce(&mut Shelf) -> T) -> Answer<'a, T> {
        let mut tenants: MutexGuard<'_, _> = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = then(tenants.entry(tenant.clone()).or_default());
        futures_util::future::ready(Ok(answer)).boxed()
    }
}

impl Store for MemoryStore {
    fn book<'a>(&'a self, tenant: &'a TenantId, order: &'a Order) -> Answer<'a, Result<Kept, Refusal>> {
        self.on(tenant, |shelf| shelf.ledger.book(order))
    }

    fn move_to<'a>(&'a self, tenant: &'a TenantId, wish: &'a Move) -> Answer<'a, Result<Kept, Refusal>> {
        self.on(tenant, |shelf| shelf.ledger.move_to(wish))
    }

    fn cancel<'a>(&'a self, tenant: &'a TenantId, wish: &'a Cancel) -> Answer<'a, Result<Kept, Refusal>> {
        self.on(tenant, |shelf| shelf.ledger.cancel(wish))
    }

    fn settled<'a>(&'a self, tenant: &'a TenantId, key: &'a Key) -> Answer<'a, Option<Appointment>> {
        self.on(tenant, |shelf| shelf.ledger.settled(key).cloned())
    }

    fn find<'a>(&'a self, tenant: &'a TenantId, query: &'a Query) -> Answer<'a, Vec<Appointment>> {
        self.on(tenant, |shelf| shelf.ledger.find(query))
    }

    fn taken<'a>(&'a self, tenant: &'a TenantId, from: Timestamp, until: Timestamp) -> Answer<'a, Vec<Taken>> {
        self.on(tenant, |shelf| shelf.ledger.taken(from, until))
    }

    fn take_message<'a>(&'a self, tenant: &'a TenantId, note: &'a Note) -> Answer<'a, bool> {
        self.on(tenant, |shelf| shelf.ledger.take_message(note))
    }

    fn messages<'a>(&'a self, tenant: &'a TenantId, limit: usize) -> Answer<'a, Vec<Message>> {
        self.on(tenant, |shelf| shelf.ledger.messages(limit))
    }

    fn outbox<'a>(&'a self, tenant: &'a TenantId, limit: usize) -> Answer<'a, Vec<OutboxEntry>> {
        self.on(tenant, |shelf| shelf.ledger.outbox(limit))
    }

    fn sent<'a>(&'a self, tenant: &'a TenantId, number: i64, at: Timestamp) -> Answer<'a, bool> {
        self.on(tenant, |shelf| shelf.ledger.sent(number, at))
    }

    fn keep_call<'a>(&'a self, tenant: &'a TenantId, call: &'a CallRecord) -> Answer<'a, ()> {
        self.on(tenant, |shelf| {
            shelf.calls.retain(|kept| kept.id != call.id);
            shelf.calls.push(call.clone());
            shelf.calls.sort_by(|one, other| (one.started, &one.id).cmp(&(other.started, &other.id)));
            if shelf.calls.len() > CALLS_MAX {
                shelf.calls.remove(0);
            }
        })
    }

    fn calls<'a>(&'a self, tenant: &'a TenantId, limit: usize) -> Answer<'a, Vec<CallRecord>> {
        self.on(tenant, |shelf| shelf.calls.iter().rev().take(limit).cloned().collect())
    }

    fn ping(&self) -> Answer<'_, ()> {
        futures_util::future::ready(Ok(())).boxed()
    }
}

impl Reports for MemoryStore {
    fn owe<'a>(&'a self, tenant: &'a TenantId, report: &'a Owed) -> Answer<'a, Owing> {
        self.on(tenant, |shelf| {
            let remembered = |at: Timestamp| report.written.duration_since(at) <= REMEMBERED;
            shelf.reports.retain(|_, (_, done)| done.is_none_or(remembered));
            if shelf.reports.contains_key(&report.call) {
                return Owing::Known;
            }
            if shelf.reports.values().filter(|(_, done)| done.is_none()).count() >= REPORTS_MAX {
                return Owing::Full;
            }
            shelf.reports.insert(report.call.clone(), (report.clone(), None));
            Owing::New
        })
    }

    fn owed<'a>(&'a self, tenant: &'a TenantId, limit: usize) -> Answer<'a, Vec<Owed>> {
        self.on(tenant, |shelf| {
            let mut owed: Vec<_> =
                shelf.reports.values().filter(|(_, done)| done.is_none()).map(|(owed, _)| owed).collect();
            owed.sort_by_key(|owed| (owed.next, owed.written, &owed.call));
            owed.into_iter().take(limit).cloned().collect()
        })
    }

    fn claim<'a>(&'a self, tenant: &'a TenantId, call: &'a str, attempt: u32, next: Timestamp) -> Answer<'a, bool> {
        self.on(tenant, |shelf| match shelf.reports.get_mut(call) {
            Some((owed, None)) if owed.attempts == attempt => {
                (owed.attempts, owed.next) = (attempt + 1, next);
                true
            }
            Some(_) | None => false,
        })
    }

    fn settle<'a>(&'a self, tenant: &'a TenantId, call: &'a str, at: Timestamp) -> Answer<'a, bool> {
        self.on(tenant, |shelf| match shelf.reports.get_mut(call) {
            Some((owed, done @ None)) => {
                *done = Some(at);
                (owed.server, owed.body) = Default::default();
                true
            }
            Some(_) | None => false,
        })
    }
}

impl Documents for MemoryStore {
    fn change<'a>(&'a self, tenant: &'a TenantId, changes: &'a [Change]) -> Answer<'a, ()> {
        self.on(tenant, |shelf| {
            for change in changes {
                match change {
                    Change::Put(document) => {
                        shelf.documents.insert((document.kind, document.id.clone()), document.clone());
                    }
                    Change::Erase(kind, id) => {
                        shelf.documents.remove(&(*kind, id.clone()));
                    }
                }
            }
        })
    }

    fn documents<'a>(&'a self, tenant: &'a TenantId, kind: DocumentKind, limit: usize) -> Answer<'a, Vec<Document>> {
        self.on(tenant, |shelf| {
            let mut found: Vec<_> = shelf.documents.values().filter(|document| document.kind == kind).collect();
            found.sort_by(|one, other| (one.created, &one.id).cmp(&(other.created, &other.id)));
            let beyond = found.len().saturating_sub(limit);
            found.into_iter().skip(beyond).cloned().collect()
        })
    }

    fn erase_before<'a>(&'a self, tenant: &'a TenantId, kind: DocumentKind, created: Timestamp) -> Answer<'a, u64> {
        self.on(tenant, |shelf| {
            let before = shelf.documents.len();
            shelf.documents.retain(|_, document| document.kind != kind || document.created >= created);
            (before - shelf.documents.len()) as u64
        })
    }
}
