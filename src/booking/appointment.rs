//! An appointment, and the part of it that says what is taken.

use jiff::{Timestamp, civil::DateTime};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::privacy::Pii;

/// A car, a service and a time, with the bay and the technician that are kept for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Appointment {
    /// Its name in the books.
    pub id: Uuid,
    /// The id of the service.
    pub service: String,
    /// When the caller comes, on the shop's clocks as they were promised.
    pub local: DateTime,
    /// The same instant in the world's time.
    pub start: Timestamp,
    /// When the work ends.
    pub end: Timestamp,
    /// The bay that is kept, where the service needs one.
    pub bay: Option<String>,
    /// The technician that is kept.
    pub technician: String,
    /// Who comes.
    pub name: Pii<String>,
    /// The car, in its normal form.
    pub plate: Pii<String>,
    /// How to reach them.
    pub phone: Option<Pii<String>>,
    /// What the caller added.
    pub notes: Option<Pii<String>>,
    /// Whether it still stands.
    pub status: Status,
}

impl Appointment {
    /// What it keeps from others while it stands.
    pub fn taken(&self) -> Taken {
        Taken { start: self.start, end: self.end, bay: self.bay.clone(), technician: self.technician.clone() }
    }
}

/// Whether an appointment still stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It stands.
    Booked,
    /// It was cancelled: kept for the staff, occupies nothing.
    Cancelled,
}

impl Status {
    /// Its word in the books.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Booked => "booked",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A bay and a technician that are kept for a time; says nothing of the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// From.
    pub start: Timestamp,
    /// Until, not included.
    pub end: Timestamp,
    /// Which bay.
    pub bay: Option<String>,
    /// Which technician.
    pub technician: String,
}

impl Taken {
    /// Whether it shares any time with the interval.
    pub fn overlaps(&self, start: Timestamp, end: Timestamp) -> bool {
        self.start < end && start < self.end
    }
}
