//! A request of Vapi's custom voice: what is to be spoken, and at which rate. With or without its envelope.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    envelope,
    tool_calls::{read_object, string},
};
use crate::{audio::Rate, call::limits::UTTERANCE_CHARS_MAX, privacy::Pii};

/// The rates that are asked for, in hertz.
pub const RATES: [u32; 5] = [8_000, 16_000, 22_050, 24_000, 44_100];

/// Characters of a text; of more, none is spoken.
pub const TEXT_MAX: usize = UTTERANCE_CHARS_MAX;

/// What is to be spoken.
#[derive(Debug)]
pub struct VoiceRequest {
    /// The words, without the platform's `<flush />`. May be empty.
    pub text: Pii<String>,
    /// The rate of the samples that are wanted.
    pub rate: Rate,
}

/// Not a voice request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoVoiceRequest {
    /// Not JSON, or not an object.
    #[error("the body is no JSON object")]
    Json,
    /// Another message.
    #[error("message.type is not voice-request")]
    Type,
    /// There is no text.
    #[error("message.text is missing or no string")]
    Text,
    /// There is too much of it.
    #[error("message.text is too long")]
    TooLong,
    /// A rate that nobody speaks at.
    #[error("message.sampleRate is missing or none of those known")]
    Rate,
}

type Raw<'a> = Option<&'a RawValue>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Inner<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Raw<'a>,
    #[serde(borrow, default)]
    text: Raw<'a>,
    #[serde(borrow, default)]
    sample_rate: Raw<'a>,
}

/// Reads a voice request.
pub fn read(json: &[u8]) -> Result<VoiceRequest, NoVoiceRequest> {
    let inside = envelope::inside(json).ok_or(NoVoiceRequest::Json)?;
    let inner: Inner<'_> = read_object(inside).ok_or(NoVoiceRequest::Type)?;
    if string(inner.kind).is_none_or(|kind| kind != "voice-request") {
        return Err(NoVoiceRequest::Type);
    }
    let text = string(inner.text).ok_or(NoVoiceRequest::Text)?;
    if text.chars().nth(TEXT_MAX).is_some() {
        return Err(NoVoiceRequest::TooLong);
    }
    let rate = inner.sample_rate.and_then(whole).filter(|hz| RATES.contains(hz));
    let rate = rate.and_then(|hz| Rate::new(hz).ok()).ok_or(NoVoiceRequest::Rate)?;
    Ok(VoiceRequest { text: Pii::new(without_flush(&text)), rate })
}

/// A whole number, however it is written: `16000`, `16000.0`, `"16000"`.
pub(super) fn whole(raw: &RawValue) -> Option<u32> {
    let number: f64 = raw.get().trim_matches('"').parse().ok()?;
    (number.fract() == 0.0 && (0.0..1e9).contains(&number)).then_some(number as u32)
}

/// The text without `<flush />`, `<flush>` and `</flush>`, whatever their spaces and letters. Where one stood, words do not
/// run together.
fn without_flush(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        clean.push_str(before);
        match after.split_once('>') {
            Some((tag, behind)) if is_flush(tag) => {
                clean.push(' ');
                rest = behind;
            }
            Some(_) | None => {
                clean.push('<');
                rest = after;
            }
        }
    }
    clean.push_str(rest);
    clean
}

fn is_flush(tag: &str) -> bool {
    let tag = tag.trim();
    let name = tag.strip_prefix('/').or_else(|| tag.strip_suffix('/')).unwrap_or(tag).trim();
    name.eq_ignore_ascii_case("flush")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: Result<(&str, u32), NoVoiceRequest>) {
        let read = read(json.as_bytes()).map(|request| (request.text.reveal().clone(), request.rate.hz()));
        assert_eq!(read, expected.map(|(text, hz)| (text.to_owned(), hz)), "{json}");
    }

    #[test]
    fn a_request_is_read_with_its_envelope_and_without() {
        check(r#"{"message":{"type":"voice-request","text":"Certo?","sampleRate":16000}}"#, Ok(("Certo?", 16_000)));
        check(r#"{"type":"voice-request","text":"Sì","sampleRate":22050.0,"new":{}}"#, Ok(("Sì", 22_050)));
        check(r#"{"message":{"type":"voice-request","text":"","sampleRate":44100}}"#, Ok(("", 44_100)));
    }

    #[test]
    fn what_is_wrong_is_told_apart() {
        let with = |text: &str, rate: &str| {
            format!(r#"{{"message":{{"type":"voice-request","text":{text},"sampleRate":{rate}}}}}"#)
        };
        for json in ["", "[]", "7", "{"] {
            check(json, Err(NoVoiceRequest::Json));
        }
        for json in ["{}", r#"{"message":7}"#, r#"{"message":{"type":"hang"}}"#, r#"{"text":"a","sampleRate":8000}"#] {
            check(json, Err(NoVoiceRequest::Type));
        }
        check(&with("null", "8000"), Err(NoVoiceRequest::Text));
        check(&with("7", "8000"), Err(NoVoiceRequest::Text));
        for rate in ["null", "11025", "16000.5", "-8000", "1e40", "true", "[]", r#""fast""#] {
            check(&with(r#""a""#, rate), Err(NoVoiceRequest::Rate));
        }
        let long = |chars| format!("\"{}\"", "è".repeat(chars));
        check(&with(&long(TEXT_MAX + 1), "8000"), Err(NoVoiceRequest::TooLong));
        check(&with(&long(TEXT_MAX), "8000"), Ok((&"è".repeat(TEXT_MAX), 8_000)));
    }

    #[test]
    fn flush_is_not_spoken_and_other_brackets_stay() {
        let check = |text: &str, expected: &str| assert_eq!(without_flush(text), expected);
        check("Un attimo.<flush />Ecco.", "Un attimo. Ecco.");
        check("a< FLUSH >b< / flush >c<flush/>", "a b c ");
        check("meno di <3 e > di 2", "meno di <3 e > di 2");
        check("<<flush>>", "< >");
        check("<flush", "<flush");
        check("<b>sì</b>", "<b>sì</b>");
    }
}
