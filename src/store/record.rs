//! The record of a call.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::privacy::Pii;

/// What is kept of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRecord {
    /// Its id, unique in the tenant.
    pub id: String,
    /// The number it came from, where the line told it.
    pub caller: Option<Pii<String>>,
    /// When it was answered.
    pub started: Timestamp,
    /// When it was over; not yet, or the process died, where it is missing.
    pub ended: Option<Timestamp>,
    /// Why it ended, in the word of [`Ending`](crate::call::Ending).
    pub ending: Option<String>,
    /// Its [`CallReport`](crate::call::CallReport), as JSON.
    pub report: Option<String>,
}
