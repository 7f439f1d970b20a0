//! We dial Vapi: a call is created there over REST and its WebSocket opened from here, for an embedder ([`VapiCall`]) or for
//! a caller who has come in at another door ([`put_through`]).
//!
//! The caller's sound goes out without a pause, because silence is part of that wire; what comes from there is passed on in
//! real time. A connection that breaks is opened again. A caller whose assistant cannot be reached, or is lost, is not: the
//! shop's own receptionist answers.
//!
//! ```no_run
//! use pronto::{
//!     audio::Format,
//!     gateway::dialling::{FromVapi, VapiCall},
//!     vapi::peer::{account::VapiAccount, dialling::{Answerer, NewCall}},
//! };
//!
//! # async fn run(key: secrecy::SecretString, microphone: Vec<i16>) -> Result<(), Box<dyn std::error::Error>> {
//! let vapi = VapiAccount::new("https://api.vapi.ai".to_owned().try_into()?, key)?;
//! let new = NewCall::to(Answerer::Stored("assistant-id".into()), Format::PCM_WIDE);
//! let mut call = VapiCall::place(&vapi, &new).await?;
//! call.hear(&microphone);
//! loop {
//!     match call.next().await {
//!         FromVapi::Audio(bytes) => println!("{} bytes of the assistant", bytes.len()),
//!         FromVapi::Event(event) => println!("{event:?}"),
//!         FromVapi::Over(over) => break println!("{over:?}"),
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod legs;
mod line;
mod open;
mod through;

pub use line::{CallOver, FromVapi, VapiCall};
pub use open::DialError;
pub(in crate::gateway) use through::{Through, put_through};
