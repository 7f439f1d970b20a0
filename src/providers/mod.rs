//! Engines that hear, think and speak: one trait a capability, streams in and out, no callbacks.
//!
//! A brand's folder translates its wire into the neutral events of [`call`](crate::call); its JSON never leaves it.
//! **Dropping a stream is the cancellation**: each brand says in its docs what that does on its wire.

use futures_util::stream::BoxStream;

use crate::{
    audio::Rate,
    call::{Ask, LlmEvent, SttEvent, TtsEvent},
    language::Language,
};

mod error;
pub mod receptionist;

pub use error::{Fault, Kind, ProviderError, Retry};

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
}

/// Speaks: text to speech.
pub trait Tts: Send + Sync {
    /// What it can do.
    fn capabilities(&self) -> TtsCapabilities;

    /// Speaks one clause. Ends after [`TtsEvent::Done`].
    fn speak(&self, say: Say) -> BoxStream<'static, Result<TtsEvent, ProviderError>>;
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
