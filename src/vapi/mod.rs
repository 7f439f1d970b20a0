//! Everything of Vapi's but the wire of a call's audio (that is [`transport::vapi`](crate::transport)), whichever side it is
//! on: its doors to us, and what its platform reads and writes over HTTP.
//!
//! | side | room |
//! |---|---|
//! | the assistant lives at Vapi, and its brain, hands, ears or mouth are ours; or we dial it | [`peer`] |
//! | we are in Vapi's place: a customer's assistants and calls | [`switchboard`] |
//! | and its server hears of them, and is asked | [`webhooks`], [`assistant_tools`] |
//!
//! | document | what |
//! |---|---|
//! | [`assistant`] | an assistant as Vapi writes it, what its overrides change, and what of it a call of ours can do |
//! | [`call`] | the call object, its artifact, the requests that create, change, list and delete calls |
//! | [`server_message`] | what a customer's server URL is told and asked, and what it answers |
//!
//! [`auth`] is about who is who, in both directions. Documents and messages are read and written without a clock or a
//! socket; mistakes in what strangers send are [`Violations`], all of them at once, in the words of Vapi's own API, and
//! nothing is refused for a field we do not know. What serves a tenant runs its tools and asks its model, and knows no
//! socket either: the gateway reads the requests and writes the answers.

pub mod assistant;
pub mod auth;
pub mod call;
pub mod peer;
mod read;
pub mod server_message;

#[cfg(feature = "fuzz")]
pub mod fuzz;

#[cfg(feature = "gateway")]
pub mod assistant_tools;
#[cfg(feature = "gateway")]
mod settings;
#[cfg(feature = "gateway")]
pub mod switchboard;
#[cfg(feature = "gateway")]
pub mod webhooks;

pub use read::Violations;
#[cfg(feature = "gateway")]
pub(crate) use settings::VapiTable;
#[cfg(feature = "gateway")]
pub use {
    settings::{RecordingPlan, Vapi},
    switchboard::Switchboard,
};
