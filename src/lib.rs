//! **pronto** answers the phone of a small business: it hears, understands, speaks, and books the appointment.
//!
//! It is a real-time voice call gateway. The conversation is a value, [`call::Call`]: you hand it what happened
//! ([`call::Input`]) and the time, and it pushes what should be done ([`call::Action`]). Everything that touches a
//! socket, a clock or a task lives in rooms above it, and an embedder may bring their own.
//!
//! The floors, from the ground up; imports point one way, down:
//!
//! ```text
//! audio  call  transport  booking  vapi   pure: no clock, socket, task, lock, async
//! providers  store  tenant                the outside world: plain async code
//! gateway                                 sockets, tasks, the clock
//! daemon                                  composition root and command line
//! sim  load                               beside the house: virtual time, fakes, simulated callers
//! ```
//!
//! With no features the crate is the pure floors and what of the outside world needs no runtime: the provider traits, the
//! built-in receptionist, the books in memory and the desk.

#![forbid(unsafe_code)]

pub mod language;
pub mod privacy;

pub mod audio;
pub mod booking;
pub mod call;
pub mod transport;

pub mod vapi;

pub mod providers;
pub mod store;
pub mod tenant;

#[cfg(feature = "gateway")]
pub mod gateway;

#[cfg(feature = "daemon")]
pub mod daemon;

#[cfg(feature = "sim")]
pub mod sim;

#[cfg(feature = "load")]
pub mod load;

/// The README's code is compiled and run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
