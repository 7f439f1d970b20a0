//! The books and the call records, kept where they survive.
//!
//! A [`Store`] obeys the rules of [`Ledger`](crate::booking::Ledger): one unit of time of a bay, a technician or a car
//! belongs to one appointment, by a constraint and not by a check; the same key answers with the first result; what is
//! sent to the caller is written in the same step as what it is about. Every question names its tenant.
//!
//! What customers' servers are owed is kept beside them ([`Reports`]), and so is what customers keep with us
//! ([`Documents`]).
//!
//! What it does not do: decide. Whether a time may be booked at all is the trade's affair; what was kept is told to the
//! caller by the [`Desk`](crate::tenant::Desk).
//!
//! [`MemoryStore`] is for tests, demos and embedders; `SqliteStore` (feature `sqlite`) for shops.

mod documents;
mod error;
mod memory;
mod record;
mod reports;
#[cfg(feature = "sqlite")]
mod sqlite;

pub use documents::{Change, DOCUMENT_BYTES_MAX, Document, DocumentKind, Documents};
pub use error::StoreError;
pub use memory::MemoryStore;
pub use record::CallRecord;
pub use reports::{Owed, Owing, REPORTS_MAX, Reports};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;

use std::fmt;

use futures_util::future::BoxFuture;
use jiff::Timestamp;

use crate::booking::{
    Appointment, Cancel, Kept, Key, Message, Move, Note, Order, OutboxEntry, Query, Refusal, Taken, TenantId,
};

/// What a store answers: a failure of the store itself, or else what the books say.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// Where books and call records are kept.
///
/// A write that was begun runs to its end or changes nothing, also when its future is dropped. When a write answers,
/// it is durable.
pub trait Store: Reports + Documents + fmt::Debug + Send + Sync {
    /// Keeps a new appointment, or answers with the one that the key, or the car at that very time, already has.
    fn book<'a>(&'a self, tenant: &'a TenantId, order: &'a Order) -> Answer<'a, Result<Kept, Refusal>>;

    /// Keeps an appointment at another time. When that is taken, nothing changes.
    fn move_to<'a>(&'a self, tenant: &'a TenantId, wish: &'a Move) -> Answer<'a, Result<Kept, Refusal>>;

    /// Cancels an appointment. One that is cancelled already stays so.
    fn cancel<'a>(&'a self, tenant: &'a TenantId, wish: &'a Cancel) -> Answer<'a, Result<Kept, Refusal>>;

    /// The appointment that a key made or changed, as it now stands.
    fn settled<'a>(&'a self, tenant: &'a TenantId, key: &'a Key) -> Answer<'a, Option<Appointment>>;

    /// The appointments that are meant, by their start.
    fn find<'a>(&'a self, tenant: &'a TenantId, query: &'a Query) -> Answer<'a, Vec<Appointment>>;

    /// What is taken in an interval, by its start.
    fn taken<'a>(&'a self, tenant: &'a TenantId, from: Timestamp, until: Timestamp) -> Answer<'a, Vec<Taken>>;

    /// Keeps a message for the staff; the same one is kept once. Says whether it was new.
    fn take_message<'a>(&'a self, tenant: &'a TenantId, note: &'a Note) -> Answer<'a, bool>;

    /// The newest messages first, at most `limit`.
    fn messages<'a>(&'a self, tenant: &'a TenantId, limit: usize) -> Answer<'a, Vec<Message>>;

    /// What waits to be sent, the oldest first, at most `limit`.
    fn outbox<'a>(&'a self, tenant: &'a TenantId, limit: usize) -> Answer<'a, Vec<OutboxEntry>>;

    /// Notes that an entry of the outbox was sent. Says whether it was waiting.
    fn sent<'a>(&'a self, tenant: &'a TenantId, number: i64, at: Timestamp) -> Answer<'a, bool>;

    /// Keeps the record of a call; a later record of the same call replaces it.
    fn keep_call<'a>(&'a self, tenant: &'a TenantId, call: &'a CallRecord) -> Answer<'a, ()>;

    /// The latest calls first, at most `limit`.
    fn calls<'a>(&'a self, tenant: &'a TenantId, limit: usize) -> Answer<'a, Vec<CallRecord>>;

    /// Whether the store can be written to, for the health page.
    fn ping(&self) -> Answer<'_, ()>;
}
