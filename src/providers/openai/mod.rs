//! OpenAI, and every server that speaks its HTTP API: vLLM, llama.cpp, Ollama, speaches, LocalAI, Kokoro, whisper.cpp.
//!
//! - [`OpenAiLlm`] thinks through streamed Chat Completions with tools;
//! - [`OpenAiStt`] hears whole utterances through `/audio/transcriptions`;
//! - [`OpenAiTts`] speaks clauses through `/audio/speech`, played while they arrive.
//!
//! **Dropping a stream** closes its exchange: on HTTP/2 one stream is reset, on HTTP/1.1 the connection closes, and the
//! server stops generating. An answer that has come to its end is read out in the background (half a second at most),
//! so that its connection stays warm for the next turn.
//!
//! What it does not do: it never retries an answer of the server (a fallback is a [`FallbackLlm`](super::FallbackLlm)),
//! follows no redirect, and writes nothing of what was said to a log. It is tested against emulators and the documented
//! shapes, not against the paid service.

mod chat;
mod chunk;
mod door;
mod http;
mod llm;
mod stt;
mod thought;
mod tts;

pub use chunk::Assembly;
#[cfg(feature = "fuzz")]
pub(super) use door::lines;
pub use http::Connections;
pub use llm::{Dialect, OpenAiLlm, OpenAiLlmSettings};
pub use stt::{OpenAiStt, OpenAiSttSettings};
pub use tts::{OpenAiTts, OpenAiTtsSettings};

use super::Address;

/// Where OpenAI itself is; `https://eu.api.openai.com/v1` keeps the data in Europe where the project allows it.
fn base_url() -> Address {
    "https://api.openai.com/v1".to_string().try_into().expect("the default address is tested")
}
