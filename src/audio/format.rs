//! How sound is written on a line: rate, codec, and what the line can do.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// Samples per second, 8 000 to 48 000.
///
/// ```
/// use pronto::audio::Rate;
/// use std::time::Duration;
/// assert_eq!(Rate::WIDE.samples(Duration::from_millis(20)), 320);
/// assert!(Rate::new(4_000).is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Rate(u32);

/// A rate outside 8 000 to 48 000 Hz.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sample rate of {0} Hz is not supported: use 8000 to 48000")]
pub struct RateError(pub u32);

impl Rate {
    /// 8 kHz, the telephone.
    pub const PHONE: Self = Self(8_000);
    /// 16 kHz, what recognisers and detectors hear.
    pub const WIDE: Self = Self(16_000);
    /// 24 kHz, what most voices speak.
    pub const VOICE: Self = Self(24_000);
    /// 48 kHz.
    pub const FULL: Self = Self(48_000);

    /// A rate from 8 000 to 48 000 Hz.
    pub const fn new(hz: u32) -> Result<Self, RateError> {
        if hz < 8_000 || hz > 48_000 { Err(RateError(hz)) } else { Ok(Self(hz)) }
    }

    /// In hertz.
    pub const fn hz(self) -> u32 {
        self.0
    }

    /// How many whole samples a duration holds.
    pub const fn samples(self, duration: Duration) -> usize {
        (duration.as_nanos() * self.0 as u128 / 1_000_000_000) as usize
    }

    /// How long a number of samples lasts.
    pub const fn duration(self, samples: u64) -> Duration {
        Duration::from_nanos((samples as u128 * 1_000_000_000 / self.0 as u128) as u64)
    }
}

impl TryFrom<u32> for Rate {
    type Error = RateError;

    fn try_from(hz: u32) -> Result<Self, RateError> {
        Self::new(hz)
    }
}

impl From<Rate> for u32 {
    fn from(rate: Rate) -> u32 {
        rate.0
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} Hz", self.0)
    }
}

/// How samples are written as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Codec {
    /// Signed 16-bit little-endian PCM.
    #[serde(rename = "pcm_s16le")]
    Pcm,
    /// G.711 mu-law.
    Mulaw,
    /// G.711 A-law.
    Alaw,
    /// Opus, one packet a frame.
    Opus,
}

/// A codec at a rate, mono.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Format {
    /// How samples are written.
    pub codec: Codec,
    /// How many there are in a second.
    pub rate: Rate,
}

impl Format {
    /// Twilio's, and most of telephony's: mu-law at 8 kHz.
    pub const MULAW_PHONE: Self = Self { codec: Codec::Mulaw, rate: Rate::PHONE };
    /// Vapi's default: PCM at 16 kHz.
    pub const PCM_WIDE: Self = Self { codec: Codec::Pcm, rate: Rate::WIDE };
}

/// What one line carries and can do. A transport describes its line; the call adapts to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// The format of the caller's audio.
    pub hears: Format,
    /// The format of ours.
    pub speaks: Format,
    /// The peer can drop audio we have already sent (Twilio's `clear`).
    pub clears: bool,
    /// The peer tells when it has played up to a mark.
    pub marks: bool,
    /// The peer wants frames without a pause, silence included (Vapi).
    pub continuous: bool,
    /// How far ahead of real time we send at most. Short where nothing can be taken back.
    pub lead: Duration,
}

impl Line {
    /// The length of the frames we send.
    pub const FRAME: Duration = Duration::from_millis(20);

    /// Vapi's WebSocket: no clear, no marks, never silent; 60 ms ahead.
    pub const fn vapi(format: Format) -> Self {
        Self {
            hears: format,
            speaks: format,
            clears: false,
            marks: false,
            continuous: true,
            lead: Duration::from_millis(60),
        }
    }

    /// Twilio Media Streams: mu-law 8 kHz, clear and marks; 200 ms ahead.
    pub const fn twilio() -> Self {
        Self {
            hears: Format::MULAW_PHONE,
            speaks: Format::MULAW_PHONE,
            clears: true,
            marks: true,
            continuous: false,
            lead: Duration::from_millis(200),
        }
    }
}

/// A key of the telephone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "fuzz", derive(arbitrary::Arbitrary))]
#[serde(try_from = "char", into = "char")]
pub struct Key(
    #[cfg_attr(feature = "fuzz", arbitrary(with = |u: &mut arbitrary::Unstructured<'_>| u.int_in_range(0..=15)))] u8,
);

impl Key {
    /// The sixteen keys, row by row: `123A456B789C*0#D`.
    pub const ALL: [char; 16] = ['1', '2', '3', 'A', '4', '5', '6', 'B', '7', '8', '9', 'C', '*', '0', '#', 'D'];

    /// The key with this label, if there is one.
    pub fn new(label: char) -> Option<Self> {
        let label = label.to_ascii_uppercase();
        Self::ALL.iter().position(|key| *key == label).map(|at| Self(at as u8))
    }

    /// The label.
    pub const fn label(self) -> char {
        Self::ALL[(self.0 & 15) as usize]
    }
}

impl TryFrom<char> for Key {
    type Error = &'static str;

    fn try_from(label: char) -> Result<Self, Self::Error> {
        Self::new(label).ok_or("a telephone key is one of 0-9, *, #, A-D")
    }
}

impl From<Key> for char {
    fn from(key: Key) -> char {
        key.label()
    }
}
