//! Samples: everything that happens to sound between the wire and the ear. Pure, and no allocation per frame once a
//! call is under way.
//!
//! Inside, sound is `i16` at 16 kHz mono on the way in (what recognisers and detectors want) and `i16` at the line's
//! rate on the way out; `f32` appears only inside the filters. The word *frame* means 20 ms.
//!
//! What this floor does not do: it knows no conversation, no wire dialect, and no time but the time that is counted
//! in samples.

mod format;
mod vad;

pub use format::{Codec, Format, Key, Line, Rate, RateError};
pub use vad::{Detector, VadSettings};
