//! Deepgram's engines against scripted WebSocket servers over loopback, which end by themselves.
#![cfg(feature = "deepgram")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod server;

mod hears;
mod speaks;
