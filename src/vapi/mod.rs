//! The doors between us and Vapi, whichever side it is on.
//!
//! | door | who dials whom | room |
//! |---|---|---|
//! | brain | Vapi's custom LLM asks us: `POST /vapi/{tenant}/chat/completions` | [`brain`], [`question`], [`chunks`] |
//! | hands | Vapi's server messages come to us: `POST /vapi/{tenant}/tools` | [`hands`], [`tool_calls`] |
//! | ears | Vapi's custom transcriber dials us: `GET /vapi/{tenant}/transcriber` | [`ears`], [`transcriber`] |
//! | mouth | Vapi's custom voice asks us: `POST /vapi/{tenant}/voice` | [`mouth`], [`voice_request`], [`pcm`] |
//!
//! [`assistant`] describes the four of them to Vapi.
//!
//! [`auth`] is about who is who, in both directions. The wire of a call's audio is [`transport::vapi`](crate::transport).
//! What reads and writes messages is pure; what serves a tenant runs its tools and asks its model, and knows no socket:
//! the gateway reads the requests and writes the answers.

pub mod auth;
pub mod chunks;
pub mod ears;
pub mod pcm;
pub mod question;
pub mod tool_calls;
pub mod transcriber;
pub mod voice_request;

#[cfg(feature = "fuzz")]
pub mod fuzz;

#[cfg(feature = "gateway")]
pub mod assistant;
#[cfg(feature = "gateway")]
pub mod brain;
#[cfg(feature = "gateway")]
pub mod hands;
#[cfg(feature = "gateway")]
mod kept;
#[cfg(feature = "gateway")]
pub mod mouth;
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
