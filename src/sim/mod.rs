//! Calls in virtual time: scripted stories, and a seeded world of hostile engines, lines and callers. Hours of
//! conversation take seconds, and every time is exact.
//!
//! [`stage`] plays a [`Script`](script::Script) against a real [`Call`](crate::call::Call), doing what the gateway's
//! driver does with fakes in the place of engines; [`promises`] watches every step. [`story`] is the language the tests
//! in `tests/calls/` are written in, and [`world`] invents scripts from a seed.
//!
//! What is faked: the sound of words (a tone), and the engines. What is real: the call, the detector (energy), jitter,
//! playout, pacing, history, tools, and the booking rules.

pub mod promises;
pub mod random;
pub mod script;
pub mod sink;
mod sound;
pub mod stage;
pub mod story;
pub mod trace;
pub mod world;
