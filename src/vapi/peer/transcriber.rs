//! The wire of Vapi's custom transcriber: a description, then the sound of a call with its two sides interleaved; texts the
//! other way. What is read here is what the platform sends, what is written is ours.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    tool_calls::{read_object, string},
    voice_request::whole,
};
use crate::audio::Rate;

/// What the binary messages hold: signed 16-bit little-endian samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// Samples per second of each side.
    pub rate: Rate,
    /// 2: the customer and the assistant, interleaved. 1: the customer alone.
    pub channels: usize,
}

/// A text message that we do not take for a description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoStart {
    /// Not JSON, or not an object.
    #[error("a text message is no JSON object")]
    Json,
    /// Another message: not for us, and no mistake.
    #[error("the message is not of type start")]
    Other,
    /// Another coding of the sound.
    #[error("encoding must be linear16, container raw")]
    Encoding,
    /// A rate that cannot be.
    #[error("sampleRate must be a whole number from 8000 to 48000")]
    Rate,
    /// More sides than a call has.
    #[error("channels must be 2 (customer and assistant) or 1 (customer)")]
    Channels,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    encoding: Option<&'a RawValue>,
    #[serde(borrow, default)]
    container: Option<&'a RawValue>,
    #[serde(borrow, default)]
    sample_rate: Option<&'a RawValue>,
    #[serde(borrow, default)]
    channels: Option<&'a RawValue>,
}

impl Start {
    /// Reads a text message. Fields that are absent are what Vapi documents: linear16 at 16 kHz, two sides.
    pub fn read(json: &str) -> Result<Self, NoStart> {
        let fields: Fields<'_> = read_object(json).ok_or(NoStart::Json)?;
        if string(fields.kind).is_none_or(|kind| kind != "start") {
            return Err(NoStart::Other);
        }
        let is =
            |field: Option<&RawValue>, word: &str| field.is_none_or(|_| string(field).is_some_and(|it| it == word));
        if !is(fields.encoding, "linear16") || !is(fields.container, "raw") {
            return Err(NoStart::Encoding);
        }
        let rate = match fields.sample_rate {
            Some(raw) => whole(raw).and_then(|hz| Rate::new(hz).ok()).ok_or(NoStart::Rate)?,
            None => Rate::WIDE,
        };
        let channels = match fields.channels.map(whole) {
            None | Some(Some(2)) => 2,
            Some(Some(1)) => 1,
            Some(_) => return Err(NoStart::Channels),
        };
        Ok(Self { rate, channels })
    }
}

/// Bytes of a side that are kept for the next message: a sixth of a second at 48 kHz, more than a frame at any rate.
const KEPT_MAX: usize = 16 << 10;

/// Takes the sides of a call apart, out of messages of any length.
#[derive(Debug)]
pub struct Sides {
    /// How many there are.
    channels: usize,
    /// The beginning of a sample of all sides, until its end comes.
    kept: [u8; 4],
    /// Bytes of it.
    len: usize,
    /// The last message's samples, side by side; reused.
    apart: [Vec<u8>; 2],
}

impl Sides {
    /// Of a call with so many sides, 1 or 2.
    pub fn new(channels: usize) -> Self {
        Self { channels, kept: [0; 4], len: 0, apart: [Vec::new(), Vec::new()] }
    }

    /// Takes a message; answers the whole samples of each side, as bytes. An end that is no whole sample waits for the
    /// next message.
    pub fn split(&mut self, bytes: &[u8]) -> [&[u8]; 2] {
        let size = 2 * self.channels;
        for side in &mut self.apart {
            side.clear();
            // A whole recording in one message is not paid for until the end of the call.
            side.shrink_to(KEPT_MAX);
        }
        let missing = (size - self.len) % size;
        let (head, bytes) = bytes.split_at(missing.min(bytes.len()));
        self.kept[self.len..self.len + head.len()].copy_from_slice(head);
        self.len += head.len();
        if self.len == size {
            let kept = self.kept;
            self.take(&kept[..size]);
            self.len = 0;
        }
        let whole = bytes.chunks_exact(size);
        let rest = whole.remainder();
        whole.for_each(|samples| self.take(samples));
        if !rest.is_empty() {
            self.kept[..rest.len()].copy_from_slice(rest);
            self.len = rest.len();
        }
        [&self.apart[0], &self.apart[1]]
    }

    /// One sample of each side.
    fn take(&mut self, samples: &[u8]) {
        for (side, sample) in self.apart.iter_mut().zip(samples.chunks_exact(2)) {
            side.extend_from_slice(sample);
        }
    }
}

/// Who spoke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// The first side.
    Customer,
    /// The second.
    Assistant,
}

/// How sure a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Sure {
    /// The next one replaces it.
    Partial,
    /// It stays.
    Final,
}

/// The message that tells a text.
pub fn response(channel: Channel, sure: Sure, text: &str) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Response<'a> {
        r#type: &'static str,
        transcription: &'a str,
        channel: Channel,
        transcript_type: Sure,
    }
    let response = Response { r#type: "transcriber-response", transcription: text, channel, transcript_type: sure };
    serde_json::to_string(&response).expect("strings are JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_read_and_what_is_absent_is_as_documented() {
        let check = |json: &str, hz: u32, channels: usize| {
            let expected = Start { rate: Rate::new(hz).unwrap(), channels };
            assert_eq!(Start::read(json), Ok(expected), "{json}");
        };
        check(r#"{"type":"start","encoding":"linear16","container":"raw","sampleRate":16000,"channels":2}"#, 16_000, 2);
        check(r#"{"type":"start"}"#, 16_000, 2);
        check(r#"{"type":"start","sampleRate":8000.0,"channels":1.0,"encoding":null,"new":[]}"#, 8_000, 1);
        check(r#"{"type":"start","sampleRate":null,"channels":null}"#, 16_000, 2);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let check = |json: &str, why: NoStart| assert_eq!(Start::read(json), Err(why), "{json}");
        check("", NoStart::Json);
        check("[1]", NoStart::Json);
        check("{}", NoStart::Other);
        check(r#"{"type":"ping"}"#, NoStart::Other);
        check(r#"{"type":"start","encoding":"mulaw"}"#, NoStart::Encoding);
        check(r#"{"type":"start","encoding":7}"#, NoStart::Encoding);
        check(r#"{"type":"start","container":"wav"}"#, NoStart::Encoding);
        check(r#"{"type":"start","sampleRate":4000}"#, NoStart::Rate);
        check(r#"{"type":"start","sampleRate":"fast"}"#, NoStart::Rate);
        check(r#"{"type":"start","channels":3}"#, NoStart::Channels);
        check(r#"{"type":"start","channels":0}"#, NoStart::Channels);
    }

    #[test]
    fn the_sides_are_the_same_whatever_the_messages() {
        let bytes: Vec<u8> = (0..40).collect();
        let customer: Vec<u8> = bytes.chunks(4).flat_map(|both| both[..2].to_vec()).collect();
        let assistant: Vec<u8> = bytes.chunks(4).flat_map(|both| both[2..].to_vec()).collect();
        for size in 1..=41 {
            for channels in [1, 2] {
                let mut sides = Sides::new(channels);
                let (mut first, mut second) = (Vec::new(), Vec::new());
                for message in bytes.chunks(size) {
                    let [one, two] = sides.split(message);
                    assert!(one.len() % 2 == 0 && two.len() % 2 == 0);
                    first.extend_from_slice(one);
                    second.extend_from_slice(two);
                }
                let expected =
                    if channels == 1 { (bytes.clone(), vec![]) } else { (customer.clone(), assistant.clone()) };
                assert_eq!((first, second), expected, "{channels} in messages of {size}");
            }
        }
    }

    #[test]
    fn an_end_that_is_no_whole_sample_waits() {
        let mut sides = Sides::new(2);
        assert_eq!(sides.split(&[1, 2, 3]), [b"" as &[u8], b""]);
        assert_eq!(sides.split(&[]), [b"" as &[u8], b""]);
        assert_eq!(sides.split(&[4, 5, 6, 7, 8, 9]), [&[1u8, 2, 5, 6][..], &[3, 4, 7, 8]]);
    }

    #[test]
    fn a_text_is_told_in_the_words_of_the_wire() {
        assert_eq!(
            response(Channel::Customer, Sure::Partial, "dica \"sì\""),
            r#"{"type":"transcriber-response","transcription":"dica \"sì\"","channel":"customer","transcriptType":"partial"}"#
        );
        assert!(
            response(Channel::Assistant, Sure::Final, "a")
                .contains(r#""channel":"assistant","transcriptType":"final""#)
        );
    }
}
