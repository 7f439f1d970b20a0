//! Reports of calls that a customer's server is owed: kept until it has them, or it is too late for them.
//!
//! What it does not do: send anything, or decide when the next attempt is due. Of several who want to make the same attempt
//! one may ([`Reports::claim`]); a report that was delivered by a process that died before it could say so is sent again.

use jiff::Timestamp;

use super::Answer;
use crate::{booking::TenantId, privacy::Pii};

/// The most reports that a tenant owes at once: servers that are down for days, or for good.
pub const REPORTS_MAX: usize = 1_000;

/// How long it is remembered that a report was done with.
pub(super) const REMEMBERED: jiff::SignedDuration = jiff::SignedDuration::from_hours(7 * 24);

/// A report that is owed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    /// The call it is about: one report for each.
    pub call: String,
    /// Where it goes and with which secrets, in the words of whoever sends it.
    pub server: Pii<String>,
    /// What is sent, byte for byte.
    pub body: Pii<String>,
    /// Since when it is owed.
    pub written: Timestamp,
    /// When the next attempt is due.
    pub next: Timestamp,
    /// Attempts that were begun.
    pub attempts: u32,
}

/// What became of a report that is to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owing {
    /// It is owed.
    New,
    /// A report of this call is, or was, owed.
    Known,
    /// Too many are owed already: this one is not kept.
    Full,
}

/// Where reports are kept that are owed. A write that has answered is durable, as in the rest of the [`Store`](super::Store).
pub trait Reports: std::fmt::Debug + Send + Sync {
    /// Keeps a report: one for each call, and [`REPORTS_MAX`] at most.
    fn owe<'a>(&'a self, tenant: &'a TenantId, report: &'a Owed) -> Answer<'a, Owing>;

    /// The reports that are owed, those first whose next attempt is due first, at most `limit`.
    fn owed<'a>(&'a self, tenant: &'a TenantId, limit: usize) -> Answer<'a, Vec<Owed>>;

    /// Begins the attempt of this number (from 0); the one after it is due at `next`. Says whether we may: somebody else may
    /// have begun it, or ended the matter.
    fn claim<'a>(&'a self, tenant: &'a TenantId, call: &'a str, attempt: u32, next: Timestamp) -> Answer<'a, bool>;

    /// Ends the matter, delivered or given up: what it was about is forgotten. Says whether it was owed.
    fn settle<'a>(&'a self, tenant: &'a TenantId, call: &'a str, at: Timestamp) -> Answer<'a, bool>;
}
