//! Local engines as processes: no key, no network, no server.
//!
//! - [`CommandTts`] speaks through a program that reads a clause and writes sound: `espeak-ng`, `piper`, or any other;
//! - [`CommandStt`] hears whole utterances through a program that reads a WAV file and writes text: `whisper-cli`.
//!
//! A process serves one request. **Dropping a stream kills its process.** At most a few run at once; who waits too long
//! for a place is told [`Busy`](super::Kind::Busy). There is no shell: arguments are handed over as they are.

mod pool;
mod stt;
mod tts;

pub use stt::{CommandStt, CommandSttSettings, WhisperSettings};
pub use tts::{CommandTts, CommandTtsSettings, EspeakSettings, Output, PiperSettings};

/// The brand in logs.
const NAME: &str = "command";
