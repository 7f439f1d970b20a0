//! The program: settings, logs, the composition of the rooms, and what the command line offers.
//!
//! Everything is read and checked whole before anything is opened. What it does not do: decide anything about a call.

pub mod check;
pub mod health;
mod logs;
pub mod serve;
mod settings;
mod tenants;

pub use settings::{Given, Log, LogFormat, Settings};
