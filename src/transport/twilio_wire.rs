//! The JSON of Twilio Media Streams, both directions: read without a document tree, written into memory that is kept.
//!
//! What Twilio documents as a string may come as a number and the reverse; unknown fields and events are nobody's
//! fault. A `media` message costs no allocation in either direction.

use std::{borrow::Cow, fmt, time::Duration};

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};
use serde_json::value::RawValue;

use super::KEPT_BYTES_MAX;

/// Ordinary base64; a payload that lost its `=` is read all the same.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Any message of either side, one level deep; what is inside is read when the event is known.
#[derive(Deserialize)]
pub(super) struct Envelope<'a> {
    /// Which message this is.
    #[serde(borrow)]
    pub(super) event: Text<'a>,
    /// The stream it belongs to.
    #[serde(borrow, default, rename = "streamSid")]
    pub(super) stream: Option<Text<'a>>,
    /// The body of `media`.
    #[serde(borrow, default)]
    pub(super) media: Option<Media<'a>>,
    /// The body of `start`.
    #[serde(borrow, default)]
    pub(super) start: Option<&'a RawValue>,
    /// The body of `dtmf`.
    #[serde(borrow, default)]
    pub(super) dtmf: Option<Dtmf<'a>>,
    /// The body of `mark`.
    #[serde(borrow, default)]
    pub(super) mark: Option<Mark<'a>>,
}

/// A piece of audio.
#[derive(Deserialize)]
pub(super) struct Media<'a> {
    /// Whose audio: `inbound` is the caller's.
    #[serde(borrow, default)]
    pub(super) track: Option<Text<'a>>,
    /// Milliseconds since the stream began.
    #[serde(default)]
    pub(super) timestamp: Option<Millis>,
    /// Base64.
    #[serde(borrow, default)]
    pub(super) payload: Option<Text<'a>>,
}

/// A key.
#[derive(Deserialize)]
pub(super) struct Dtmf<'a> {
    /// Its label.
    #[serde(borrow, default)]
    pub(super) digit: Option<Text<'a>>,
}

/// A mark.
#[derive(Deserialize)]
pub(super) struct Mark<'a> {
    /// The name its sender gave it.
    #[serde(borrow, default)]
    pub(super) name: Option<Text<'a>>,
}

/// How the carrier describes the stream.
#[derive(Deserialize)]
pub(super) struct Start<'a> {
    /// The stream.
    #[serde(borrow, default, rename = "streamSid")]
    pub(super) stream: Option<Text<'a>>,
    /// The call.
    #[serde(borrow, default, rename = "callSid")]
    pub(super) call: Option<Text<'a>>,
    /// The format of the audio in both directions.
    #[serde(borrow, default, rename = "mediaFormat")]
    pub(super) format: Option<MediaFormat<'a>>,
    /// What our own TwiML gave to the stream.
    #[serde(borrow, default, rename = "customParameters")]
    pub(super) parameters: Option<Parameters<'a>>,
}

/// A format in Twilio's words.
#[derive(Deserialize)]
pub(super) struct MediaFormat<'a> {
    /// `audio/x-mulaw`.
    #[serde(borrow, default)]
    pub(super) encoding: Option<Text<'a>>,
    /// 8000.
    #[serde(borrow, default, rename = "sampleRate")]
    pub(super) rate: Option<Text<'a>>,
    /// 1.
    #[serde(borrow, default)]
    pub(super) channels: Option<Text<'a>>,
}

/// Our own parameters, with the spellings other gateways use for the numbers.
#[derive(Default, Deserialize)]
pub(super) struct Parameters<'a> {
    /// Which shop.
    #[serde(borrow, default)]
    pub(super) tenant: Option<Text<'a>>,
    /// The one-time token.
    #[serde(borrow, default)]
    pub(super) token: Option<Text<'a>>,
    /// The caller's number.
    #[serde(borrow, default)]
    pub(super) from: Option<Text<'a>>,
    /// The same, spelled otherwise.
    #[serde(borrow, default)]
    pub(super) from_number: Option<Text<'a>>,
    /// The number that was called.
    #[serde(borrow, default)]
    pub(super) to: Option<Text<'a>>,
    /// The same, spelled otherwise.
    #[serde(borrow, default)]
    pub(super) to_number: Option<Text<'a>>,
}

/// A string, or a number or boolean where a string belongs. Borrowed from the message unless it has escapes.
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Loose;

        impl<'de> Visitor<'de> for Loose {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a number")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(number.to_string())))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(number.to_string())))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(number.to_string())))
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(if value { "true" } else { "false" })))
            }
        }

        from.deserialize_any(Loose)
    }
}

/// A time in milliseconds, as a string or a number. One that is neither says nothing (`None`), but is no error.
#[derive(Clone, Copy)]
pub(super) struct Millis(pub(super) Option<u64>);

impl Millis {
    /// As a duration.
    pub(super) fn duration(self) -> Option<Duration> {
        self.0.map(Duration::from_millis)
    }
}

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Loose;

        impl Visitor<'_> for Loose {
            type Value = Millis;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of milliseconds")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Millis, E> {
                Ok(Millis(text.parse().ok()))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Millis, E> {
                Ok(Millis(Some(number)))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Millis, E> {
                Ok(Millis(u64::try_from(number).ok()))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Millis, E> {
                Ok(Millis((0.0..9e15).contains(&number).then_some(number as u64)))
            }
        }

        from.deserialize_any(Loose)
    }
}

/// Base64 into memory that is kept. `false` when it is not base64.
pub(super) fn decode(payload: &str, into: &mut Vec<u8>) -> bool {
    into.clear();
    if into.capacity() > KEPT_BYTES_MAX {
        into.shrink_to(KEPT_BYTES_MAX);
    }
    BASE64.decode_vec(payload, into).is_ok()
}

/// One message around base64: `head`, the payload, `tail`. Written over what was there.
pub(super) fn write_media<'a>(text: &'a mut String, head: &str, payload: &[u8], tail: &str) -> &'a str {
    start_over(text);
    text.push_str(head);
    BASE64.encode_string(payload, text);
    text.push_str(tail);
    text
}

/// Empties a text, keeping its memory unless one long message made it large.
pub(super) fn start_over(text: &mut String) {
    text.clear();
    if text.capacity() > KEPT_BYTES_MAX {
        text.shrink_to(KEPT_BYTES_MAX);
    }
}

/// A string as JSON, with its quotes.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
