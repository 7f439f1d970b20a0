//! What the books are asked, and what they answer.

use jiff::{Timestamp, civil::DateTime};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    appointment::{Appointment, Status},
    capacity::{Assigned, Candidates},
    key::Key,
};
use crate::privacy::Pii;

/// A new appointment to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The same request has the same key.
    pub key: Key,
    /// What the appointment will be called, if it is new.
    pub id: Uuid,
    /// When it is asked.
    pub asked: Timestamp,
    /// The id of the service.
    pub service: String,
    /// On the shop's clocks.
    pub local: DateTime,
    /// In the world's time.
    pub start: Timestamp,
    /// When the work ends.
    pub end: Timestamp,
    /// Who and what may do it, in the order in which they are tried.
    pub candidates: Candidates,
    /// Who comes.
    pub name: Pii<String>,
    /// The car.
    pub plate: Pii<String>,
    /// How to reach them.
    pub phone: Option<Pii<String>>,
    /// What the caller added.
    pub notes: Option<Pii<String>>,
    /// What is sent to the caller, kept in the same step.
    pub confirmation: Confirmation,
}

impl Order {
    /// The appointment it becomes with this bay and this technician.
    pub fn appointment(&self, assigned: Assigned) -> Appointment {
        Appointment {
            id: self.id,
            service: self.service.clone(),
            local: self.local,
            start: self.start,
            end: self.end,
            bay: assigned.bay,
            technician: assigned.technician,
            name: self.name.clone(),
            plate: self.plate.clone(),
            phone: self.phone.clone(),
            notes: self.notes.clone(),
            status: Status::Booked,
        }
    }
}

/// An appointment to be kept at another time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The same request has the same key.
    pub key: Key,
    /// Which appointment.
    pub id: Uuid,
    /// When it is asked.
    pub asked: Timestamp,
    /// The new time on the shop's clocks.
    pub local: DateTime,
    /// In the world's time.
    pub start: Timestamp,
    /// When the work ends.
    pub end: Timestamp,
    /// Who and what may do it.
    pub candidates: Candidates,
    /// What is sent to the caller, kept in the same step.
    pub confirmation: Confirmation,
}

impl Move {
    /// What becomes of the appointment that stands, with this bay and this technician.
    pub fn appointment(&self, standing: Appointment, assigned: Assigned) -> Appointment {
        Appointment {
            local: self.local,
            start: self.start,
            end: self.end,
            bay: assigned.bay,
            technician: assigned.technician,
            ..standing
        }
    }
}

/// An appointment that no longer stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancel {
    /// The same request has the same key.
    pub key: Key,
    /// Which appointment.
    pub id: Uuid,
    /// When it is asked.
    pub asked: Timestamp,
    /// What is sent to the caller, kept in the same step.
    pub confirmation: Confirmation,
}

/// A message for the staff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The same message has the same key.
    pub key: Key,
    /// When it was left.
    pub at: Timestamp,
    /// Who left it.
    pub name: Option<Pii<String>>,
    /// How to reach them.
    pub phone: Option<Pii<String>>,
    /// What they said.
    pub text: Pii<String>,
}

/// What is sent about an appointment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// To which number; nobody is written to where it is not known, the staff still see it.
    pub to: Option<Pii<String>>,
    /// The words.
    pub text: Pii<String>,
}

/// What the books did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The appointment as it now stands.
    pub appointment: Appointment,
    /// It was so already: nothing was changed.
    pub again: bool,
}

/// What the books cannot do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// No bay or no technician is left at that time.
    SlotTaken,
    /// The car has another appointment that overlaps, at this local time.
    CarTaken(DateTime),
    /// There is no such appointment, or it is over.
    NotFound,
    /// The id of a new appointment is already somebody else's.
    IdTaken,
}

/// Which appointments are meant; every condition that is given must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    /// This one.
    pub id: Option<Uuid>,
    /// Of this car.
    pub plate: Option<Pii<String>>,
    /// Of this number.
    pub phone: Option<Pii<String>>,
    /// Of somebody of this name, whatever its case and accents.
    pub name: Option<Pii<String>>,
    /// Those that end after this.
    pub from: Option<Timestamp>,
    /// Those that begin before this.
    pub until: Option<Timestamp>,
    /// Cancelled ones too.
    pub cancelled: bool,
    /// At most so many, the earliest first.
    pub limit: usize,
}

/// A message that was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its number in the tenant's books, from 1.
    pub number: i64,
    /// When it was left.
    pub at: Timestamp,
    /// Who left it.
    pub name: Option<Pii<String>>,
    /// How to reach them.
    pub phone: Option<Pii<String>>,
    /// What they said.
    pub text: Pii<String>,
}

/// Something that is to be sent, kept in the same step as what it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxEntry {
    /// Its number in the tenant's books, from 1.
    pub number: i64,
    /// What it tells.
    pub kind: OutboxKind,
    /// About which appointment.
    pub appointment: Uuid,
    /// What to send.
    pub confirmation: Confirmation,
    /// When it was written.
    pub written: Timestamp,
    /// When it was sent.
    pub sent: Option<Timestamp>,
}

/// What an entry of the outbox tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutboxKind {
    /// An appointment was made.
    Booked,
    /// It was moved.
    Moved,
    /// It was cancelled.
    Cancelled,
}

impl OutboxKind {
    /// Its word in the books.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Booked => "booked",
            Self::Moved => "moved",
            Self::Cancelled => "cancelled",
        }
    }
}
