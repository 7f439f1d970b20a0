//! The doors between us and Vapi, over loopback: what is said, what comes when something is lost, late, slow or wrong.
#![cfg(feature = "gateway")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails loudly, and tells what it could not see"
)]

mod brain;
mod ears;
#[path = "../gateway_shop/mod.rs"]
mod gateway_shop;
mod hands;
mod mouth;
mod platform;
mod resume;
mod vapi_shop;
