//! What engines send is read by strangers' rules: inputs for fuzz targets, with what must hold for any of them.

#[cfg(feature = "openai")]
pub use openai::{fuzz_chat_body, fuzz_chat_pieces};

#[cfg(feature = "deepgram")]
pub use deepgram::fuzz_deepgram;

#[cfg(feature = "openai")]
mod openai {
    use std::collections::BTreeSet;

    use crate::{
        call::LlmEvent,
        providers::openai::{Assembly, lines},
    };

    /// A streamed answer as bytes, cut anywhere: only whole JSON documents get past the door.
    pub fn fuzz_chat_body(data: &[u8]) {
        let Some((piece, body)) = data.split_first() else { return };
        let mut assembly = Assembly::new([]);
        let mut events = Vec::new();
        for line in lines(body, usize::from(*piece).max(1)) {
            assert!(serde_json::from_str::<serde::de::IgnoredAny>(&line).is_ok(), "the door let in what is no JSON");
            if assembly.take(&line, &mut events).is_err() {
                return;
            }
        }
        check(&events, &assembly);
    }

    /// The pieces of an answer, one a line.
    pub fn fuzz_chat_pieces(data: &[u8]) {
        let mut assembly = Assembly::new(["call_0".to_string()]);
        let mut events = Vec::new();
        for piece in String::from_utf8_lossy(data).lines() {
            // Errors end an answer, but nothing may break when one goes on.
            let _ = assembly.take(piece, &mut events);
        }
        check(&events, &assembly);
    }

    fn check(events: &[LlmEvent], assembly: &Assembly) {
        let mut ids = BTreeSet::new();
        for (at, event) in events.iter().enumerate() {
            match event {
                LlmEvent::Words(words) => assert!(!words.is_empty()),
                LlmEvent::Tool { id, name, arguments } => {
                    assert!(!name.is_empty() && !arguments.is_empty());
                    assert!(ids.insert(id), "an id was given out twice");
                }
                LlmEvent::Done(_) => assert!(at + 1 == events.len() && assembly.finished()),
            }
        }
    }
}

#[cfg(feature = "deepgram")]
mod deepgram {
    use crate::{
        call::SttEvent,
        providers::deepgram::{Flux, Nova},
    };

    /// The messages of a recogniser, one a line.
    pub fn fuzz_deepgram(data: &[u8]) {
        let (mut nova, mut flux) = (Nova::new(false), Flux::new());
        let mut eager = false;
        for line in String::from_utf8_lossy(data).lines() {
            let reading = nova.read(line);
            assert!(!reading.events.contains(&SttEvent::End), "pauses were not to count");
            assert!(reading.settled_s.is_none_or(f64::is_finite));
            let reading = flux.read(line);
            assert!(reading.settled_s.is_none_or(f64::is_finite));
            for event in reading.events {
                match event {
                    SttEvent::EagerEnd => {
                        assert!(!std::mem::replace(&mut eager, true), "a second guess without a resumption")
                    }
                    SttEvent::Resumed => assert!(std::mem::take(&mut eager), "resumed what was not guessed"),
                    SttEvent::End => eager = false,
                    SttEvent::Final { text } => assert!(!text.is_empty()),
                    SttEvent::SpeechStarted | SttEvent::Partial { .. } | SttEvent::Committed { .. } => {}
                }
            }
        }
    }
}

/// Sound in pieces of any length is the same as in one piece, or refused in both.
#[cfg(any(feature = "openai", feature = "command"))]
pub fn fuzz_wav(data: &[u8]) {
    use crate::{audio::Rate, providers::wav::Decoder};
    let Some((piece, bytes)) = data.split_first() else { return };
    let decode = |size: usize| {
        let mut decoder = Decoder::new(Rate::VOICE);
        let mut samples = Vec::new();
        for piece in bytes.chunks(size) {
            samples.extend(decoder.take(piece).ok()?);
        }
        samples.extend(decoder.end());
        Some(samples)
    };
    assert_eq!(decode(usize::from(*piece).max(1)), decode(bytes.len().max(1)));
}

#[cfg(all(test, feature = "openai", feature = "deepgram"))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Texts of a shape that gets further than noise does.
    fn shaped() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            Just(r#"data: {"choices":[{"delta":{"content":"a"}}]}"#.to_string()),
            Just(r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"x","arguments":"{"}}]}}]}"#.into()),
            Just(r#"{"choices":[{"delta":{"tool_calls":[{"function":{"name":"y","arguments":{}}}]}}]}"#.into()),
            Just(r#"{"choices":[{"finish_reason":"length"}]}"#.into()),
            Just("data: [DONE]".into()),
            Just(r#"{"type":"Results","start":1,"duration":2,"is_final":true,"channel":{"alternatives":[{"transcript":"a"}]}}"#.into()),
            Just(r#"{"type":"TurnInfo","event":"EagerEndOfTurn","turn_index":1,"transcript":"a"}"#.into()),
            Just(r#"{"type":"TurnInfo","event":"TurnResumed","turn_index":1,"transcript":"b"}"#.into()),
            Just(r#"{"type":"TurnInfo","event":"EndOfTurn","turn_index":1,"audio_window_end":1.5}"#.into()),
            Just("RIFF....WAVEfmt \u{10}\0\0\0".into()),
            any::<String>(),
        ];
        prop::collection::vec(part, 0..12).prop_map(|parts| format!("\u{7}{}", parts.join("\n")).into_bytes())
    }

    proptest! {
        #[test]
        fn what_engines_send_keeps_its_promises(data in prop_oneof![shaped(), prop::collection::vec(any::<u8>(), 0..300)]) {
            fuzz_chat_body(&data);
            fuzz_chat_pieces(&data);
            fuzz_deepgram(&data);
            fuzz_wav(&data);
        }
    }
}
