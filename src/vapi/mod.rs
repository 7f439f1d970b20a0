//! The doors between us and Vapi, whichever side it is on.
//!
//! | door | who dials whom | room |
//! |---|---|---|
//! | brain | Vapi's custom LLM asks us: `POST /vapi/{tenant}/chat/completions` | [`brain`], [`question`], [`chunks`] |
//! | hands | Vapi's server messages come to us: `POST /vapi/{tenant}/tools` | [`hands`], [`tool_calls`] |
//!
//! [`auth`] is about who is who, in both directions. The wire of a call's audio is [`transport::vapi`](crate::transport).
//! What reads and writes messages is pure; what serves a tenant runs its tools and asks its model, and knows no socket:
//! the gateway reads the requests and writes the answers.

pub mod auth;
pub mod chunks;
pub mod question;
pub mod tool_calls;

#[cfg(feature = "fuzz")]
pub mod fuzz;

#[cfg(feature = "gateway")]
pub mod brain;
#[cfg(feature = "gateway")]
pub mod hands;
#[cfg(feature = "gateway")]
mod kept;
#[cfg(feature = "gateway")]
mod mouth;
#[cfg(feature = "gateway")]
mod runs;
#[cfg(feature = "gateway")]
mod settings;
#[cfg(feature = "gateway")]
mod thread;

#[cfg(feature = "gateway")]
pub(crate) use settings::VapiTable;
#[cfg(feature = "gateway")]
pub use {kept::Kept, settings::Vapi};
