//! Deepgram: a recogniser and voices over WebSockets.
//!
//! - [`DeepgramStt`] hears with Nova (`/v1/listen`) or Flux (`/v2/listen`), chosen by the model's name;
//! - [`DeepgramTts`] speaks with Aura (`/v1/speak`).
//!
//! **Dropping a recogniser's stream** closes its connection without a farewell: what was not final is lost, which is
//! right when the call is over. **Dropping a voice's stream** in the middle of a clause tells the server to forget it
//! (`Clear`) and keeps the connection for the next clause once it has confirmed.
//!
//! It is tested against emulators and the documented shapes, not against the paid service.

mod line;
mod read;
mod stt;
mod tape;
mod tts;
mod wire;

pub use read::{Flux, Nova, Reading};
pub use stt::{DeepgramStt, DeepgramSttSettings};
pub use tts::{DeepgramTts, DeepgramTtsSettings};

use super::Address;

/// The brand in logs.
const NAME: &str = "deepgram";

/// Where Deepgram is; `https://api.eu.deepgram.com` keeps the data in Europe.
fn base_url() -> Address {
    "https://api.deepgram.com".to_string().try_into().expect("the default address is tested")
}
