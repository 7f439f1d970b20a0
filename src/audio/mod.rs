//! Samples: everything that happens to sound between the wire and the ear. Pure, and no allocation per frame once a
//! call is under way.
//!
//! Inside, sound is `i16` at 16 kHz mono on the way in (what recognisers and detectors want) and `i16` at the line's
//! rate on the way out; `f32` appears only inside the filters. The word *frame* means 20 ms.
//!
//! The way in is [`Ear`]: order and holes ([`Jitter`]), [`Decoder`], [`Resampler`], keys ([`dtmf`]), voice activity.
//! The way out is [`Resampler`] -> [`Playout`] -> [`Encoder`], at the pace of [`Pace`]. [`EchoGuard`] lies between them
//! and knows our own voice when it comes back.
//!
//! ```
//! use pronto::audio::{Ear, Encoder, Format, Line, Playout, Rate, VadSettings};
//!
//! // A peer speaks a second into the telephone ...
//! let line = Line::twilio();
//! let mut playout = Playout::new(&line);
//! playout.push(&pronto::audio::signal::sine(200.0, Rate::PHONE, 9_000.0, 0, 8_000));
//! let (mut encoder, mut ear) = (Encoder::new(line.speaks)?, Ear::new(line.hears, &VadSettings::default())?);
//!
//! // ... frame by frame, and we listen.
//! let (mut frame, mut packet, mut heard) = (Vec::new(), Vec::new(), Vec::new());
//! while playout.pull(160, &mut frame) > 0 {
//!     encoder.encode(&frame, &mut packet);
//!     ear.hear(&packet, None, None, &mut heard, &mut |event| println!("{event:?}"));
//!     frame.clear();
//!     packet.clear();
//! }
//! assert_eq!(ear.position(), heard.len() as u64);
//! assert!(heard.len() > 15_900, "8 kHz in, 16 kHz out, 2.5 ms still on their way");
//! # Ok::<(), pronto::audio::CodecError>(())
//! ```
//!
//! What this floor does not do: it knows no conversation, no wire dialect, and no time but the time that is counted
//! in samples.

mod format;

mod codec;
pub mod g711;
#[cfg(feature = "opus")]
mod opus;

mod fir;
mod resample;

mod ear;
mod gate;
mod jitter;
mod level;
mod network;
mod ring;
mod step;
mod vad;
mod voicing;
mod widest;

pub mod dtmf;
mod echo;

mod pace;
mod packed;
mod playout;

pub mod signal;

#[cfg(any(test, feature = "fuzz"))]
mod fuzz;

pub use codec::{CodecError, Decoder, Encoder};
pub use ear::{Ear, Heard};
pub use echo::{ECHO_LIKENESS, EchoGuard};
pub use format::{Codec, Format, Key, Line, Rate, RateError};
#[cfg(feature = "fuzz")]
pub use fuzz::fuzz;
pub use jitter::{HOLE_MAX, Jitter, Piece, REORDER_MAX, Troubles};
pub use level::{SILENCE_DB, level_db, peak_db};
pub use pace::{BURST_MAX, Pace, Stride};
pub use packed::Packed;
pub use playout::{PLAYOUT_MAX, Playout, REWIND_MAX};
pub use resample::Resampler;
pub use vad::{Detector, VadSettings};
