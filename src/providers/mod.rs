//! Engines that hear, think and speak: one trait a capability, streams in and out, no callbacks.
//!
//! A brand's folder translates its wire into the neutral events of [`call`](crate::call); its JSON never leaves it.
//! **Dropping a stream is the cancellation**: each brand says in its docs what that does on its wire. **An error is the
//! last item** of a stream: what failed does not go on by itself.

use futures_util::{future::BoxFuture, stream::BoxStream};

use crate::{
    audio::Rate,
    call::{Ask, LlmEvent, SttEvent, TtsEvent},
    language::Language,
};

pub mod phrases;
pub mod receptionist;

mod address;
mod error;
mod key;

#[cfg(feature = "tokio")]
mod breaker;
#[cfg(any(feature = "deepgram", feature = "gateway"))]
pub(crate) mod duplex;
#[cfg(feature = "tokio")]
mod fallback;
#[cfg(feature = "tokio")]
mod flow;
#[cfg(feature = "fuzz")]
pub mod fuzz;
#[cfg(feature = "tokio")]
pub mod hedge;
#[cfg(feature = "tokio")]
pub mod settings;
#[cfg(any(feature = "openai", feature = "deepgram", feature = "gateway"))]
pub(crate) mod tls;
#[cfg(any(feature = "openai", feature = "deepgram", feature = "command"))]
#[cfg_attr(
    not(all(feature = "openai", feature = "deepgram", feature = "command")),
    allow(dead_code, reason = "each engine needs a part of it")
)]
mod wav;
#[cfg(any(feature = "openai", feature = "command"))]
mod whole;

#[cfg(feature = "command")]
pub mod command;
#[cfg(feature = "deepgram")]
pub mod deepgram;
#[cfg(feature = "openai")]
pub mod openai;

#[cfg(feature = "load")]
pub(crate) use address::escape;
pub use address::{Address, AddressError};
#[cfg(feature = "tokio")]
pub use breaker::Breaker;
pub use error::{Fault, Kind, ProviderError, Retry};
#[cfg(feature = "tokio")]
pub use fallback::{Fallback, FallbackLlm, FallbackStt, FallbackTts};
#[cfg(feature = "tokio")]
pub use hedge::{Hedge, HedgeSettings};
pub use key::{Key, KeyError};

/// Hears: speech to text.
pub trait Stt: Send + Sync {
    /// What it can do.
    fn capabilities(&self) -> SttCapabilities;

    /// Listens to one caller until `audio` ends. The stream ends after the last event.
    fn listen(
        &self,
        audio: BoxStream<'static, Heard>,
        language: Language,
    ) -> BoxStream<'static, Result<SttEvent, ProviderError>>;

    /// Opens what takes time to open, so that the first request finds it open. Worth calling when a call begins;
    /// failures show when the engine is used.
    fn warm(&self) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }
}

/// What a recogniser is fed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Samples at 16 kHz, without a playout delay.
    Audio(Vec<i16>),
    /// The caller paused: finish what there is, and say `Committed` with this number.
    Commit(u32),
}

/// What a recogniser can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SttCapabilities {
    /// The brand and model, for logs.
    pub name: &'static str,
    /// Gives partial texts while the caller speaks.
    pub partials: bool,
    /// Gives ends of turns of its own.
    pub turns: bool,
    /// Answers a commit.
    pub commits: bool,
}

/// Thinks: a language model with tools.
pub trait Llm: Send + Sync {
    /// The brand and model, for logs.
    fn name(&self) -> &'static str;

    /// Answers one question. Ends after [`LlmEvent::Done`].
    fn reply(&self, ask: Ask) -> BoxStream<'static, Result<LlmEvent, ProviderError>>;

    /// Opens what takes time to open, so that the first request finds it open. Worth calling when a call begins;
    /// failures show when the engine is used.
    fn warm(&self) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }
}

/// Speaks: text to speech.
pub trait Tts: Send + Sync {
    /// What it can do.
    fn capabilities(&self) -> TtsCapabilities;

    /// Speaks one clause. Ends after [`TtsEvent::Done`].
    fn speak(&self, say: Say) -> BoxStream<'static, Result<TtsEvent, ProviderError>>;

    /// Makes these sentences ready to be spoken at once, where the voice can keep sound. Answers how many it could not
    /// get.
    fn prepare(&self, _sentences: Vec<Say>) -> BoxFuture<'static, usize> {
        Box::pin(async { 0 })
    }

    /// Opens what takes time to open, so that the first request finds it open. Worth calling when a call begins;
    /// failures show when the engine is used.
    fn warm(&self) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }
}

/// What a voice is asked to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Say {
    /// One clause.
    pub text: String,
    /// In which language.
    pub language: Language,
}

/// What a voice can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TtsCapabilities {
    /// The brand and model, for logs.
    pub name: &'static str,
    /// The rate of its samples.
    pub rate: Rate,
    /// Tells when words are said.
    pub alignment: bool,
}
