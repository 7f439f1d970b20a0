//! The OpenAI engines against a scripted server over loopback. The server plays what it is told, byte by byte, and
//! ends by itself.
#![cfg(feature = "openai")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod server;

mod hears;
mod speaks;
mod thinks;
