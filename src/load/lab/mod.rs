//! The lab: local emulators of the OpenAI and Deepgram endpoints we use, over real HTTP and WebSocket.
//!
//! Nothing in it is a recording. Its voice is [`speech`] (espeak-ng), its [`ears`] recognise what the simulated callers
//! say from the sound itself, so that a damaged audio path shows as recognition errors. It never leaves the loopback
//! interface, and it is not a provider: a shop that runs on it talks to a synthesiser.

pub mod ears;
mod mfcc;
pub mod phrasebook;
mod search;
pub mod speech;
mod templates;
