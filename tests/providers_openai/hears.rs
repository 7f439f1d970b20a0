//! The recogniser: an utterance in, its text out, and no more than two attempts.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use pronto::{
    audio::Rate,
    call::SttEvent,
    language::Language,
    providers::{
        Heard, Kind, Stt,
        openai::{Connections, OpenAiStt},
    },
};

use crate::server::{Server, Step::Send, all, json, server};

fn stt(server: &Server) -> OpenAiStt {
    let text = format!("base_url = '{}'\nkey = 'sk-test'\nmodel = 'gpt-transcribe'\nanswer_ms = 3000", server.address);
    OpenAiStt::new(toml::from_str(&text).unwrap(), Connections::new().unwrap()).unwrap()
}

fn voice(ms: u64) -> Heard {
    let samples = Rate::WIDE.samples(Duration::from_millis(ms));
    Heard::Audio((0..samples).map(|n| if n % 40 < 20 { 3_000 } else { -3_000 }).collect())
}

#[tokio::test]
async fn an_utterance_is_sent_as_wav_and_its_text_comes_before_its_commit() {
    let mut server = server(vec![vec![Send(json("200 OK", "{\"text\":\" Vorrei un tagliando.\\n\"}"))]]).await;
    let heard = stream::iter([voice(500), Heard::Commit(7)]).boxed();
    let events = all(stt(&server).listen(heard, Language::Italian)).await;
    let text = "Vorrei un tagliando.".to_string();
    assert_eq!(events, [Ok(SttEvent::Final { text }), Ok(SttEvent::Committed { commit: 7 })]);
    let (head, body) = server.requests.recv().await.unwrap();
    assert!(head.starts_with("POST /v1/audio/transcriptions"), "{head}");
    let body = String::from_utf8_lossy(&body);
    for part in [
        "name=\"language\"\r\n\r\nit\r\n",
        "name=\"model\"\r\n\r\ngpt-transcribe\r\n",
        "filename=\"utterance.wav\"",
        "RIFF",
    ] {
        assert!(body.contains(part), "{part} is missing");
    }
}

#[tokio::test]
async fn a_transcript_is_asked_for_twice_at_most() {
    let trouble = vec![Send(json("500 X", "{}"))];
    let heard = || stream::iter([voice(500), Heard::Commit(1)]).boxed();
    let first = server(vec![trouble.clone(), vec![Send(json("200 OK", r#"{"text":"sì","usage":null}"#))]]).await;
    let events = all(stt(&first).listen(heard(), Language::Italian)).await;
    assert_eq!(events[0], Ok(SttEvent::Final { text: "sì".into() }));
    let mut second = server(vec![trouble]).await;
    let events = all(stt(&second).listen(heard(), Language::Italian)).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].as_ref().unwrap_err().kind, Kind::Status(500));
    second.requests.close();
    let mut asked = 0;
    while second.requests.recv().await.is_some() {
        asked += 1;
    }
    assert_eq!(asked, 2);
}
