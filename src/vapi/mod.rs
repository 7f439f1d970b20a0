//! Everything of Vapi's but the wire of a call's audio (that is [`transport::vapi`](crate::transport)), whichever side it is
//! on: its doors to us, and what its platform reads and writes over HTTP.
//!
//! | door | who dials whom | room |
//! |---|---|---|
//! | brain | Vapi's custom LLM asks us: `POST /vapi/{tenant}/chat/completions` | [`brain`], [`question`], [`chunks`] |
//! | hands | Vapi's server messages come to us: `POST /vapi/{tenant}/tools` | [`hands`], [`tool_calls`] |
//! | ears | Vapi's custom transcriber dials us: `GET /vapi/{tenant}/transcriber` | [`ears`], [`transcriber`] |
//! | mouth | Vapi's custom voice asks us: `POST /vapi/{tenant}/voice` | [`mouth`], [`voice_request`], [`pcm`] |
//!
//! [`description`] describes the four of them to Vapi.
//!
//! | document | what |
//! |---|---|
//! | [`assistant`] | an assistant as Vapi writes it, what its overrides change, and what of it a call of ours can do |
//! | [`call`] | the call object, its artifact, the requests that create, change, list and delete calls |
//! | [`server_message`] | what a customer's server URL is told and asked, and what it answers |
//!
//! [`switchboard`] keeps what a customer created over REST: its assistants and calls.
//!
//! [`webhooks`] sends the last of these and waits for the answers, and is the only room in here that dials anybody;
//! [`assistant_tools`] are the tools of an assistant in one call, most of which are asked for in that way.
//!
//! [`auth`] is about who is who, in both directions. Documents and messages are read and written without a clock or a
//! socket; mistakes in what strangers send are [`Violations`], all of them at once, in the words of Vapi's own API, and
//! nothing is refused for a field we do not know. What serves a tenant runs its tools and asks its model, and knows no
//! socket either: the gateway reads the requests and writes the answers.

pub mod assistant;
pub mod auth;
pub mod call;
pub mod chunks;
pub mod ears;
pub mod pcm;
pub mod question;
mod read;
pub mod server_message;
pub mod tool_calls;
pub mod transcriber;
pub mod voice_request;

#[cfg(feature = "fuzz")]
pub mod fuzz;

#[cfg(feature = "gateway")]
pub mod assistant_tools;
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
pub mod switchboard;
#[cfg(feature = "gateway")]
mod thread;
#[cfg(feature = "gateway")]
pub mod webhooks;

pub use read::Violations;
#[cfg(feature = "gateway")]
pub(crate) use settings::VapiTable;
#[cfg(feature = "gateway")]
pub use {kept::Kept, settings::Vapi, switchboard::Switchboard};
