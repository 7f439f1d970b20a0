//! Vapi's documents, apart from the wire of one call (that is [`transport`](crate::transport)): what its platform reads
//! and writes over HTTP. Pure: bytes and JSON in, values and JSON out; no socket, no clock.
//!
//! | room | what |
//! |---|---|
//! | [`assistant`] | an assistant as Vapi writes it, what its overrides change, and what of it a call of ours can do |
//! | [`call`] | the call object, its artifact, the requests that create, change, list and delete calls |
//! | [`server_message`] | what a customer's server URL is told and asked, and what it answers |
//!
//! Mistakes in what strangers send are [`Violations`]: all of them at once, in the words of Vapi's own API. Nothing here
//! is refused for a field we do not know.

pub mod assistant;
pub mod call;
mod read;
pub mod server_message;

#[cfg(feature = "fuzz")]
pub mod fuzz;

pub use read::Violations;
