//! The program: settings, logs, the composition of the rooms, and what the command line offers.
//!
//! Everything is read and checked whole before anything is opened. What it does not do: decide anything about a call.

#[cfg(feature = "load")]
pub mod call;
pub mod check;
#[cfg(feature = "load")]
pub mod demo;
pub mod health;
#[cfg(feature = "load")]
pub mod lab;
#[cfg(feature = "load")]
pub mod load;
mod logs;
pub mod pages;
pub mod serve;
mod settings;
mod tenants;
#[cfg(feature = "load")]
mod terminal;
mod tide;
pub mod vapi;
mod with_parent;

pub use settings::{Given, Log, LogFormat, Settings};
