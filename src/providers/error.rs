//! A provider's error says whose fault it is and whether to try again.

use std::{fmt, time::Duration};

use crate::call::Failed;

/// What went wrong with a provider. Never holds caller data, keys or bodies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderError {
    /// Which provider, for logs.
    pub provider: &'static str,
    /// What happened.
    pub kind: Kind,
    /// Whose fault.
    pub fault: Fault,
    /// Whether to try again.
    pub retry: Retry,
    /// A sentence for the operator: what to do next.
    pub detail: String,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// No connection.
    Unreachable,
    /// No first word, byte or text within the deadline.
    FirstTimeout,
    /// It began and then fell silent.
    Stalled,
    /// It answered with an error status.
    Status(u16),
    /// It broke off in the middle.
    Cut,
    /// It sent something that cannot be read.
    Garbage,
    /// Key, quota, model name or request refused.
    Refused,
    /// Too many requests.
    RateLimited,
    /// A bound of ours was reached (pool full, queue full).
    Busy,
}

/// Whose fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Theirs.
    Upstream,
    /// Ours: settings or a bug.
    Ours,
}

/// Whether to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Retry {
    /// At once, elsewhere or again.
    Now,
    /// Not before this time has passed.
    After(Duration),
    /// It will not help.
    Never,
}

impl ProviderError {
    /// An upstream failure worth an immediate retry elsewhere.
    pub fn upstream(provider: &'static str, kind: Kind, detail: impl Into<String>) -> Self {
        Self { provider, kind, fault: Fault::Upstream, retry: Retry::Now, detail: detail.into() }
    }

    /// The provider refuses us for a reason that stays.
    pub fn refused(provider: &'static str, detail: impl Into<String>) -> Self {
        Self { provider, kind: Kind::Refused, fault: Fault::Ours, retry: Retry::Never, detail: detail.into() }
    }

    /// What the call needs to know.
    pub const fn failed(&self) -> Failed {
        match self.kind {
            Kind::FirstTimeout | Kind::Stalled => Failed::TimedOut,
            Kind::Refused => Failed::Refused,
            Kind::Unreachable | Kind::Status(_) | Kind::Cut | Kind::Garbage | Kind::RateLimited | Kind::Busy => {
                Failed::Broken
            }
        }
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}: {}", self.provider, self.kind, self.detail)
    }
}

impl std::error::Error for ProviderError {}
