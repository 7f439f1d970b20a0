//! We are the peer: the assistant lives at Vapi, and some part of it is ours.
//!
//! | part | who dials whom | room |
//! |---|---|---|
//! | brain | Vapi's custom LLM asks us: `POST /vapi/{tenant}/chat/completions` | [`brain`], [`question`], [`chunks`] |
//! | hands | Vapi's server messages come to us: `POST /vapi/{tenant}/tools` | [`hands`], [`tool_calls`] |
//! | ears | Vapi's custom transcriber dials us: `GET /vapi/{tenant}/transcriber` | [`ears`], [`transcriber`] |
//! | mouth | Vapi's custom voice asks us: `POST /vapi/{tenant}/voice` | [`mouth`], [`voice_request`], [`pcm`] |
//! | dialling | we create a call at Vapi and dial it: `POST /call` | [`dialling`], [`account`] |
//!
//! [`description`] describes the first four to Vapi. Nothing in here knows a socket or a clock of its own but [`account`],
//! which asks over HTTP: the gateway reads the requests, writes the answers and dials.

pub mod chunks;
pub mod dialling;
pub mod ears;
mod envelope;
pub mod pcm;
pub mod question;
pub mod tool_calls;
pub mod transcriber;
pub mod voice_request;

#[cfg(feature = "gateway")]
pub mod account;
#[cfg(feature = "gateway")]
pub mod brain;
#[cfg(feature = "gateway")]
pub mod description;
#[cfg(feature = "gateway")]
pub mod hands;
#[cfg(feature = "gateway")]
mod kept;
#[cfg(feature = "gateway")]
pub mod mouth;
#[cfg(feature = "gateway")]
mod runs;
#[cfg(feature = "gateway")]
mod said;
#[cfg(feature = "gateway")]
mod settings;
#[cfg(feature = "gateway")]
mod thread;

#[cfg(feature = "gateway")]
pub(crate) use settings::DiallingTable;
#[cfg(feature = "gateway")]
pub use {kept::Kept, settings::Dialling};
