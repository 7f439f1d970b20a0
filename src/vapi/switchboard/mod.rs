//! The switchboard of one tenant: the assistants that a customer stored and the calls it created, as Vapi's REST interface
//! shows them.
//!
//! Everything is in memory and bounded: of ended calls the oldest are forgotten, and a restart forgets them all. What a
//! call did is not lost with it: bookings and call records are in the store.
//!
//! It reads no clock, makes no ids and opens no sockets. The gateway hands in the time, ids and keys, and says when a
//! client connects and when its call is over.

mod assistants;
mod calls;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use assistants::ASSISTANTS_MAX;
pub use calls::{Addresses, CALLS_MAX, CONNECT_WAIT, Connecting, New};

use self::{assistants::Assistants, calls::Calls};

/// See the [module](self).
#[derive(Debug, Default)]
pub struct Switchboard {
    assistants: Mutex<Assistants>,
    calls: Mutex<Calls>,
}

/// The locks are held for a look, never across an await.
impl Switchboard {
    fn assistants(&self) -> MutexGuard<'_, Assistants> {
        self.assistants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
