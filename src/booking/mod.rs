//! The trade: a shop's services, its calendar, and the appointments in it.
//!
//! [`Shop`] is what the owner wrote down, [`Calendar`](calendar) says when a day is open, [`slots`] finds what is free,
//! and [`tools`] is the door through which a model asks. Whatever comes through the door is parsed once, into a
//! [`Request`]; what a store is asked to keep is an [`Order`], a [`Move`] or a [`Cancel`]. [`Ledger`] keeps them in
//! memory, as a value; the databases of the `store` room obey the same rules.
//!
//! Words: a *service* is what the shop does to a car; a *slot* is a start at which a service fits; a *bay* and a
//! *technician* are what an appointment occupies, each one at a time. So does the car: a plate is in one place at once.
//!
//! In here there is no clock (`now` is an argument), no lock, no task, no await. What callers hear comes from the
//! language files. An appointment never spans a break of the opening hours, and a local time that a change of the
//! clocks skips or repeats is never offered.

mod check;
pub mod hours;
pub mod resources;
pub mod shop;

pub mod calendar;
pub mod capacity;
pub mod holidays;
pub mod rules;
pub mod slots;

pub mod appointment;
pub mod key;
pub mod ledger;
pub mod order;

pub mod answer;
pub mod error;
pub mod limits;
pub mod request;
pub mod say;
pub mod tools;
pub mod words;

pub mod phone;
pub mod plate;
pub mod spoken;

#[cfg(feature = "fuzz")]
pub mod fuzz;

pub use appointment::{Appointment, Status, Taken};
pub use check::BookingSetting;
pub use error::{BookingError, Code};
pub use key::{Key, TenantId};
pub use ledger::Ledger;
pub use order::{Cancel, Confirmation, Kept, Message, Move, Note, Order, OutboxEntry, OutboxKind, Query, Refusal};
pub use request::{Door, Request, parse};
pub use shop::{Names, Service, Shop, Zone};
pub use slots::Slot;
pub use tools::{Kind, Tool};
