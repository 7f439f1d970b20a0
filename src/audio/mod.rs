//! Samples: everything that happens to sound between the wire and the ear. Pure, and no allocation per frame once a
//! call is under way.
//!
//! Inside, sound is `i16` at 16 kHz mono on the way in (what recognisers and detectors want) and `i16` at the line's
//! rate on the way out; `f32` appears only inside the filters. The word *frame* means 20 ms.
//!
//! What this floor does not do: it knows no conversation, no wire dialect, and no time but the time that is counted
//! in samples.

mod format;

mod codec;
pub mod g711;
#[cfg(feature = "opus")]
mod opus;

mod resample;

mod ear;
mod jitter;
mod level;
mod vad;
mod voicing;

pub mod dtmf;
mod echo;

mod pace;
mod playout;

pub mod signal;

pub use codec::{CodecError, Decoder, Encoder};
pub use ear::{Ear, Heard};
pub use echo::{ECHO_LIKENESS, EchoGuard};
pub use format::{Codec, Format, Key, Line, Rate, RateError};
pub use jitter::{HOLE_MAX, Jitter, Piece, REORDER_MAX, Troubles};
pub use level::{SILENCE_DB, level_db, peak_db};
pub use pace::{BURST_MAX, Pace};
pub use playout::{PLAYOUT_MAX, Playout, REWIND_MAX};
pub use resample::Resampler;
pub use vad::{Detector, Vad, VadSettings, Voice};
