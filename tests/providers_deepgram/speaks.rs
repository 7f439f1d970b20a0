//! The voice: one warm connection, nothing heard of a clause that was cut, and a failure that says how.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use pronto::{
    call::TtsEvent,
    language::Language,
    providers::{Kind, ProviderError, Say, Tts, deepgram::DeepgramTts},
};
use tokio::{sync::mpsc, time::sleep};
use tokio_tungstenite::tungstenite::Message;

use crate::server::{Peer, Server, all, refusing, server};

fn tts(server: &Server, more: &str) -> DeepgramTts {
    let text = format!("base_url = '{}'\nkey = 'dg-test'\nrate = 16000\n{more}", server.address);
    DeepgramTts::new(toml::from_str(&text).unwrap()).unwrap()
}

fn say(text: &str) -> Say {
    Say { text: text.into(), language: Language::Italian }
}

/// Reads until a Flush and gives the texts before it, or the other control message.
async fn asked_to_speak(peer: &mut Peer) -> Result<String, String> {
    let mut texts = String::new();
    loop {
        match peer.next().await {
            Some(Ok(Message::Text(text))) => {
                let message: serde_json::Value = serde_json::from_str(&text).unwrap();
                match message["type"].as_str().unwrap() {
                    "Speak" => texts.push_str(message["text"].as_str().unwrap()),
                    "Flush" => return Ok(texts),
                    other => return Err(other.to_string()),
                }
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return Err("gone".into()),
        }
    }
}

const FLUSHED: &str = r#"{"type":"Flushed","sequence_id":0}"#;

/// Speaks each text as samples of its bytes, cut in odd places.
async fn echo(peer: &mut Peer, text: &str) {
    peer.send(Message::text(r#"{"type":"Metadata","model_name":"x"}"#)).await.unwrap();
    let bytes: Vec<u8> = text.bytes().flat_map(|byte| [byte, 0]).collect();
    for piece in bytes.chunks(3) {
        peer.send(Message::binary(piece.to_vec())).await.unwrap();
    }
    peer.send(Message::text(FLUSHED)).await.unwrap();
}

async fn spoken(tts: &DeepgramTts, text: &str) -> (String, Result<TtsEvent, ProviderError>) {
    let mut events = all(tts.speak(say(text))).await;
    let end = events.pop().unwrap();
    let samples = events.into_iter().flat_map(|event| match event {
        Ok(TtsEvent::Audio(samples)) => samples,
        other => panic!("{other:?}"),
    });
    (samples.map(|sample| char::from(sample as u8)).collect(), end)
}

#[tokio::test]
async fn clauses_share_one_warm_connection() {
    let server = server(|_, mut peer| async move {
        while let Ok(text) = asked_to_speak(&mut peer).await {
            echo(&mut peer, &text).await;
        }
    })
    .await;
    let tts = tts(&server, "");
    tts.warm().await;
    tts.warm().await;
    for text in ["Buongiorno.", "Officina Rossi.", "Mi dica."] {
        assert_eq!(spoken(&tts, text).await, (text.into(), Ok(TtsEvent::Done)));
    }
    assert_eq!(spoken(&tts, "  ").await, (String::new(), Ok(TtsEvent::Done)));
    assert_eq!(server.connections(), 1);
    let (path, key) = server.asked.lock().unwrap()[0].clone();
    assert_eq!(path, "/v1/speak?model=aura-2-livia-it&encoding=linear16&sample_rate=16000");
    assert_eq!(key, "Token dg-test");
}

#[tokio::test]
async fn a_clause_cut_short_is_cleared_and_its_sound_never_heard_later() {
    let (cleared, mut clears) = mpsc::channel(4);
    let server = server(move |_, mut peer| {
        let cleared = cleared.clone();
        async move {
            asked_to_speak(&mut peer).await.unwrap();
            peer.send(Message::binary(vec![b'x', 0])).await.unwrap();
            assert_eq!(asked_to_speak(&mut peer).await, Err("Clear".into()));
            // What was under way still comes.
            peer.send(Message::binary(vec![b'x', 0, b'x', 0])).await.unwrap();
            peer.send(Message::text(FLUSHED)).await.unwrap();
            peer.send(Message::text(r#"{"type":"Cleared","sequence_id":1}"#)).await.unwrap();
            cleared.send(()).await.unwrap();
            let text = asked_to_speak(&mut peer).await.unwrap();
            echo(&mut peer, &text).await;
        }
    })
    .await;
    let tts = tts(&server, "");
    let mut first = tts.speak(say("lungo"));
    assert_eq!(first.next().await, Some(Ok(TtsEvent::Audio(vec![i16::from(b'x')]))));
    drop(first);
    clears.recv().await.unwrap();
    // The connection goes back to its place a moment after the confirmation.
    sleep(Duration::from_millis(500)).await;
    assert_eq!(spoken(&tts, "breve").await, ("breve".into(), Ok(TtsEvent::Done)));
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_connection_that_died_while_it_waited_is_replaced() {
    let server = server(|at, mut peer| async move {
        let text = asked_to_speak(&mut peer).await.unwrap();
        echo(&mut peer, &text).await;
        if at == 0 {
            // Dies when the next clause is already on its way.
            let _ = asked_to_speak(&mut peer).await;
        }
    })
    .await;
    let tts = tts(&server, "");
    for text in ["uno", "due", "tre"] {
        assert_eq!(spoken(&tts, text).await, (text.into(), Ok(TtsEvent::Done)));
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn the_limit_of_flushes_is_kept() {
    let server = server(|_, mut peer| async move {
        for _ in 0..20 {
            let Ok(text) = asked_to_speak(&mut peer).await else { return };
            echo(&mut peer, &text).await;
        }
        // Silence, as the real one.
        while peer.next().await.is_some() {}
    })
    .await;
    let tts = tts(&server, "");
    for _ in 0..45 {
        assert_eq!(spoken(&tts, "sì").await.1, Ok(TtsEvent::Done));
    }
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn a_voice_that_fails_says_how() {
    let server = server(|_, mut peer| async move {
        let Ok(text) = asked_to_speak(&mut peer).await else { return };
        match text.as_str() {
            "hang" => while peer.next().await.is_some() {},
            "stall" => {
                peer.send(Message::binary([b'x', 0].repeat(8))).await.unwrap();
                while peer.next().await.is_some() {}
            }
            "cut" => peer.send(Message::binary([b'x', 0].repeat(8))).await.unwrap(),
            "silent" => peer.send(Message::text(FLUSHED)).await.unwrap(),
            "error" => peer.send(Message::text(r#"{"type":"Error"}"#)).await.unwrap(),
            _ => {}
        }
    })
    .await;
    let tts = tts(&server, "first_ms = 300\nstall_ms = 300");
    for (text, heard, kind) in [
        ("hang", "", Kind::FirstTimeout),
        ("stall", "xxxxxxxx", Kind::Stalled),
        ("cut", "xxxxxxxx", Kind::Cut),
        ("silent", "", Kind::Garbage),
        ("error", "", Kind::Cut),
        ("close", "", Kind::Cut),
    ] {
        let (said, end) = spoken(&tts, text).await;
        assert_eq!((said.as_str(), end.unwrap_err().kind), (heard, kind), "{text}");
    }
    let refusing = refusing("HTTP/1.1 401 X\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(spoken(&self::tts(&refusing, ""), "a").await.1.unwrap_err().kind, Kind::Refused);
}
