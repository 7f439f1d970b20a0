//! The doors between us and Vapi, over loopback: what is said, what comes when something is lost, late, slow or wrong.
#![cfg(feature = "gateway")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails loudly, and tells what it could not see"
)]

mod brain;
mod customers;
mod dialling;
mod ears;
#[path = "../gateway_shop/mod.rs"]
mod gateway_shop;
mod hands;
#[cfg(feature = "sqlite")]
mod lasting;
mod mouth;
mod platform;
mod recorded;
mod recordings;
mod resume;
#[path = "../vapi_webhooks/server.rs"]
#[allow(dead_code, reason = "each test uses its own part")]
mod server;
mod tester;
mod vapi_shop;
