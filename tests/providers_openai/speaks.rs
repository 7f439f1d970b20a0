//! The voice: its sound is whole however the bytes are cut, and a failure says how.

use std::sync::atomic::Ordering;

use pronto::{
    call::TtsEvent,
    language::Language,
    providers::{
        Kind, ProviderError, Say, Tts,
        openai::{Connections, OpenAiTts},
    },
};

use crate::server::{
    LAST, Server,
    Step::{self, Hang, Send},
    all, chunk, head, json, server,
};

fn tts(server: &Server, more: &str) -> OpenAiTts {
    let text = format!("base_url = '{}'\nmodel = 'kokoro'\nvoice = 'if_sara'\n{more}", server.address);
    OpenAiTts::new(toml::from_str(&text).unwrap(), Connections::new().unwrap()).unwrap()
}

fn say() -> Say {
    Say { text: "Buongiorno.".into(), language: Language::Italian }
}

async fn speak(script: Vec<Step>, more: &str) -> (Vec<i16>, Result<TtsEvent, ProviderError>) {
    let server = server(vec![script]).await;
    let mut events = all(tts(&server, more).speak(say())).await;
    let last = events.pop().unwrap();
    let samples = events
        .into_iter()
        .flat_map(|event| match event {
            Ok(TtsEvent::Audio(samples)) => samples,
            other => panic!("{other:?} in the middle"),
        })
        .collect();
    (samples, last)
}

#[tokio::test]
async fn sound_is_whole_however_the_bytes_are_cut() {
    let sound: Vec<i16> = (0..300).map(|n| n * 100 - 15_000).collect();
    let bytes: Vec<u8> = sound.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    for size in [1, 3, 5, 64, 1000] {
        let mut script = vec![Send(head("200 OK", "audio/pcm"))];
        script.extend(bytes.chunks(size).map(|piece| Send(chunk(piece))));
        script.push(Send(LAST.to_vec()));
        assert_eq!(speak(script, "").await, (sound.clone(), Ok(TtsEvent::Done)), "chunks of {size}");
    }
}

#[tokio::test]
async fn a_voice_that_fails_says_how() {
    let quick = "first_ms = 200\nstall_ms = 200";
    let ok = || Send(head("200 OK", "audio/pcm"));
    let kind = |end: Result<TtsEvent, ProviderError>| end.unwrap_err().kind;
    assert_eq!(kind(speak(vec![Hang], quick).await.1), Kind::FirstTimeout);
    assert_eq!(kind(speak(vec![ok(), Hang], quick).await.1), Kind::FirstTimeout);
    let (samples, end) = speak(vec![ok(), Send(chunk([1; 400])), Hang], quick).await;
    assert_eq!((samples.len(), kind(end)), (200, Kind::Stalled));
    assert_eq!(kind(speak(vec![ok(), Send(LAST.to_vec())], quick).await.1), Kind::Garbage);
    assert_eq!(
        kind(speak(vec![ok(), Send(chunk(b"ID3\x04................")), Send(LAST.to_vec())], quick).await.1),
        Kind::Garbage
    );
    assert_eq!(kind(speak(vec![Send(json("422 X", r#"{"detail":{"error":"x"}}"#))], quick).await.1), Kind::Refused);
}

#[tokio::test]
async fn nothing_to_say_is_said_at_once() {
    let server = server(vec![vec![Hang]]).await;
    let events = all(tts(&server, "").speak(Say { text: "  ".into(), language: Language::English })).await;
    assert_eq!(events, [Ok(TtsEvent::Done)]);
    assert_eq!(server.connections.load(Ordering::SeqCst), 0);
}
