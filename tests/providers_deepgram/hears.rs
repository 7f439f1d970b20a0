//! The recognisers: no word is lost or said twice, whatever becomes of a connection.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{SinkExt, StreamExt, stream, stream::BoxStream};
use pronto::{
    call::SttEvent,
    language::Language,
    providers::{Heard, Kind, ProviderError, Retry, Stt, deepgram::DeepgramStt},
};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_tungstenite::tungstenite::Message;

use crate::server::{Peer, Server, all, refusing, server};

fn stt(server: &Server, more: &str) -> DeepgramStt {
    let text = format!("base_url = '{}'\nkey = 'dg-test'\n{more}", server.address);
    DeepgramStt::new(toml::from_str(&text).unwrap()).unwrap()
}

/// Samples that say where they stand.
fn audio(range: std::ops::Range<usize>) -> Heard {
    Heard::Audio(range.map(|n| (n % 30_000) as i16).collect())
}

fn results(start: f64, duration: f64, text: &str, flags: &str) -> Message {
    Message::text(format!(
        r#"{{"type":"Results","start":{start},"duration":{duration},{flags}"channel":{{"alternatives":[{{"transcript":"{text}"}}]}}}}"#
    ))
}

const FINAL: &str = r#""is_final":true,"#;
const FROM_FINALIZE: &str = r#""is_final":true,"from_finalize":true,"#;

fn final_(text: &str) -> Result<SttEvent, ProviderError> {
    Ok(SttEvent::Final { text: text.into() })
}

fn committed(commit: u32) -> Result<SttEvent, ProviderError> {
    Ok(SttEvent::Committed { commit })
}

/// What a connection heard: the numbers of its samples, and the control messages in between.
#[derive(Default, Clone)]
struct Log(Arc<Mutex<(Vec<i16>, Vec<String>)>>);

impl Log {
    fn samples(&self) -> Vec<i16> {
        self.0.lock().unwrap().0.clone()
    }

    fn controls(&self) -> Vec<String> {
        self.0.lock().unwrap().1.clone()
    }

    /// Reads until this many samples have come, or a control message, which it gives back.
    async fn read(&self, peer: &mut Peer, samples: usize) -> Option<String> {
        loop {
            match peer.next().await {
                Some(Ok(Message::Binary(bytes))) => {
                    assert!(!bytes.is_empty(), "an empty message closes the stream");
                    let (pairs, _) = bytes.as_chunks::<2>();
                    let mut log = self.0.lock().unwrap();
                    log.0.extend(pairs.iter().map(|pair| i16::from_le_bytes(*pair)));
                    if log.0.len() >= samples {
                        return None;
                    }
                }
                Some(Ok(Message::Text(text))) => {
                    let control = text.split('"').nth(3).unwrap().to_string();
                    self.0.lock().unwrap().1.push(control.clone());
                    return Some(control);
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Some("gone".into()),
            }
        }
    }
}

/// Feeds these, then nothing until the test has seen enough.
fn feed(heard: Vec<Heard>) -> (mpsc::Sender<Heard>, BoxStream<'static, Heard>) {
    let (sender, receiver) = mpsc::channel(heard.len().max(1) + 64);
    for heard in heard {
        sender.try_send(heard).unwrap();
    }
    let stream =
        stream::unfold(receiver, |mut receiver| async { receiver.recv().await.map(|heard| (heard, receiver)) });
    (sender, stream.boxed())
}

#[tokio::test]
async fn nova_hears_a_call_from_the_first_word_to_the_farewell() {
    let log = Log::default();
    let heard = log.clone();
    let server = server(move |_, mut peer| {
        let log = heard.clone();
        async move {
            assert_eq!(log.read(&mut peer, 1_600).await, None);
            peer.send(results(0.0, 0.1, "Vorrei", "")).await.unwrap();
            while log.read(&mut peer, usize::MAX).await.as_deref() != Some("Finalize") {}
            peer.send(results(0.0, 0.2, "Vorrei un tagliando", FROM_FINALIZE)).await.unwrap();
            while log.read(&mut peer, usize::MAX).await.as_deref() != Some("CloseStream") {}
            peer.send(results(0.2, 0.1, "grazie", FINAL)).await.unwrap();
            peer.send(Message::text(r#"{"type":"Metadata","duration":0.3}"#)).await.unwrap();
            peer.close(None).await.unwrap();
        }
    })
    .await;
    let engine = stt(&server, "model = 'nova-3'\nkeyterms = ['tagliando', 'città & co']");
    let script = [audio(0..1_600), audio(1_600..3_200), Heard::Commit(4), audio(3_200..4_800)];
    let events = all(engine.listen(stream::iter(script).boxed(), Language::Italian)).await;
    let partial = Ok(SttEvent::Partial { text: "Vorrei".into() });
    assert_eq!(events, [partial, final_("Vorrei un tagliando"), committed(4), final_("grazie")]);
    assert_eq!(log.samples(), (0..4_800).collect::<Vec<i16>>());
    let asked = server.asked.lock().unwrap();
    let (path, key) = &asked[0];
    assert_eq!(key, "Token dg-test");
    for part in [
        "/v1/listen?model=nova-3&encoding=linear16&sample_rate=16000&language=it",
        "&interim_results=true",
        "&mip_opt_out=true",
        "&keyterm=tagliando",
        "&keyterm=citt%C3%A0%20%26%20co",
    ] {
        assert!(path.contains(part), "{part} is missing in {path}");
    }
}

#[tokio::test]
async fn a_broken_connection_costs_no_words_and_repeats_none() {
    let logs = [Log::default(), Log::default()];
    let heard = logs.clone();
    let server = server(move |at, mut peer| {
        let log = heard[at].clone();
        async move {
            if at == 0 {
                log.read(&mut peer, 16_000).await;
                peer.send(results(0.0, 0.5, "prima metà", FINAL)).await.unwrap();
                peer.send(results(0.5, 0.3, "seconda", "")).await.unwrap();
                return; // and breaks off
            }
            while log.read(&mut peer, usize::MAX).await.as_deref() != Some("Finalize") {}
            peer.send(results(0.0, 0.75, "seconda metà", FROM_FINALIZE)).await.unwrap();
            while log.read(&mut peer, usize::MAX).await.as_deref() != Some("CloseStream") {}
        }
    })
    .await;
    let engine = stt(&server, "model = 'nova-3'\ncommit_ms = 10000");
    let (more, audio_stream) = feed((0..50).map(|n| audio(n * 320..(n + 1) * 320)).collect());
    let mut events = engine.listen(audio_stream, Language::Italian);
    assert_eq!(events.next().await, Some(final_("prima metà")));
    assert_eq!(events.next().await, Some(Ok(SttEvent::Partial { text: "seconda".into() })));
    // The connection is breaking, and the caller speaks on.
    more.send(audio(16_000..20_000)).await.unwrap();
    more.send(Heard::Commit(9)).await.unwrap();
    assert_eq!(events.next().await, Some(final_("seconda metà")));
    assert_eq!(events.next().await, Some(committed(9)));
    drop(more);
    assert_eq!(events.next().await, None);
    let (again, first) = (logs[1].samples(), 8_000..20_000_i16);
    assert_eq!(again.len(), first.len(), "from the end of the last final, without a hole");
    // What is heard a second time was packed meanwhile.
    assert!(again.iter().zip(first).all(|(is, was)| is.abs_diff(was) <= 64 && (was < 16_000 || *is == was)));
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_commit_asked_of_a_connection_that_breaks_is_asked_again() {
    let server = server(|at, mut peer| async move {
        let log = Log::default();
        while log.read(&mut peer, usize::MAX).await.as_deref() != Some("Finalize") {}
        if at == 0 {
            return;
        }
        peer.send(results(0.0, 1.0, "sì", FROM_FINALIZE)).await.unwrap();
        while log.read(&mut peer, usize::MAX).await.as_deref() != Some("CloseStream") {}
    })
    .await;
    let engine = stt(&server, "model = 'nova-3'\ncommit_ms = 10000");
    let (_more, audio_stream) = feed(vec![audio(0..16_000), Heard::Commit(1)]);
    let events: Vec<_> = all(engine.listen(audio_stream, Language::Italian).take(2)).await;
    assert_eq!(events, [final_("sì"), committed(1)]);
}

#[tokio::test]
async fn a_commit_that_nobody_answers_is_answered() {
    let server = server(|_, mut peer| async move { while peer.next().await.is_some() {} }).await;
    let engine = stt(&server, "model = 'nova-3'\ncommit_ms = 100");
    let (_more, audio_stream) = feed(vec![audio(0..1_600), Heard::Commit(1), Heard::Commit(2)]);
    let events: Vec<_> = all(engine.listen(audio_stream, Language::Italian).take(2)).await;
    assert_eq!(events, [committed(1), committed(2)]);
}

#[tokio::test]
async fn a_connection_that_answers_pings_and_no_commits_is_replaced() {
    let server = server(|at, mut peer| async move {
        let log = Log::default();
        if at == 0 {
            while peer.next().await.is_some() {}
            return;
        }
        for (start, said) in [(0.0, "sì"), (0.1, "confermo")] {
            while log.read(&mut peer, usize::MAX).await.as_deref() != Some("Finalize") {}
            peer.send(results(start, 0.1, said, FROM_FINALIZE)).await.unwrap();
        }
        while log.read(&mut peer, usize::MAX).await.as_deref() != Some("CloseStream") {}
    })
    .await;
    let engine = stt(&server, "model = 'nova-3'\ncommit_ms = 100");
    // So long after now.
    let later = |heard: Vec<Heard>, after| {
        stream::once(sleep(Duration::from_millis(after))).flat_map(move |()| stream::iter(heard.clone()))
    };
    let first = later(vec![audio(0..1_600), Heard::Commit(1)], 1_200);
    let second = later(vec![audio(1_600..3_200), Heard::Commit(2)], 1_800);
    let caller = first.chain(second).chain(stream::pending()).boxed();
    let events: Vec<_> = all(engine.listen(caller, Language::Italian).take(4)).await;
    assert_eq!(events, [final_("sì"), committed(1), final_("confermo"), committed(2)], "the new one hears both");
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_final_that_reaches_the_commit_answers_it() {
    let server = server(|_, mut peer| async move {
        let log = Log::default();
        while log.read(&mut peer, usize::MAX).await.as_deref() != Some("Finalize") {}
        // The engine had seen the pause by itself: nothing is left to finalize.
        peer.send(results(0.0, 0.1, "sì", FINAL)).await.unwrap();
        while log.read(&mut peer, usize::MAX).await.as_deref() != Some("CloseStream") {}
    })
    .await;
    let engine = stt(&server, "model = 'nova-3'\ncommit_ms = 60000");
    let (_more, audio_stream) = feed(vec![audio(0..1_600), Heard::Commit(1)]);
    let events: Vec<_> = all(engine.listen(audio_stream, Language::Italian).take(2)).await;
    assert_eq!(events, [final_("sì"), committed(1)]);
}

#[tokio::test]
async fn a_quiet_connection_is_kept_alive() {
    let log = Log::default();
    let heard = log.clone();
    let server = server(move |_, mut peer| {
        let log = heard.clone();
        async move {
            log.read(&mut peer, 320).await;
            log.read(&mut peer, usize::MAX).await;
            peer.send(results(0.0, 0.1, "eccomi", FINAL)).await.unwrap();
        }
    })
    .await;
    let engine = stt(&server, "model = 'nova-3'");
    let (_more, audio_stream) = feed(vec![audio(0..320)]);
    let mut events = engine.listen(audio_stream, Language::Italian);
    assert_eq!(timeout(Duration::from_secs(15), events.next()).await.unwrap(), Some(final_("eccomi")));
    assert_eq!(log.controls(), ["KeepAlive"]);
}

#[tokio::test]
async fn who_refuses_us_is_not_asked_twice_and_who_fails_is() {
    let refusals = [
        ("HTTP/1.1 401 Unauthorized\r\ndg-error: INVALID_AUTH\r\ncontent-length: 0\r\n\r\n", Kind::Refused, 1),
        ("HTTP/1.1 402 X\r\ncontent-length: 0\r\n\r\n", Kind::Refused, 1),
        ("HTTP/1.1 400 X\r\ndg-error: a sentence about mario\r\ncontent-length: 0\r\n\r\n", Kind::Refused, 1),
        ("HTTP/1.1 503 X\r\ncontent-length: 0\r\n\r\n", Kind::Status(503), 3),
        ("garbage\r\n\r\n", Kind::Cut, 3),
    ];
    for (answer, kind, attempts) in refusals {
        let server = refusing(answer).await;
        let (_more, audio_stream) = feed(vec![audio(0..320)]);
        let events = all(stt(&server, "model = 'nova-3'").listen(audio_stream, Language::Italian)).await;
        let error = events[0].clone().unwrap_err();
        assert_eq!((error.kind, events.len(), server.connections()), (kind, 1, attempts), "{answer}");
        assert!(!error.detail.contains("mario"), "{error}");
    }
    let server = refusing("HTTP/1.1 429 X\r\ncontent-length: 0\r\n\r\n").await;
    let (_more, audio_stream) = feed(vec![]);
    let events = all(stt(&server, "model = 'nova-3'").listen(audio_stream, Language::Italian)).await;
    assert_eq!(events[0].as_ref().unwrap_err().retry, Retry::After(Duration::from_secs(1)));
}

#[tokio::test]
async fn garbage_in_a_conversation_is_passed_over() {
    let server = server(|_, mut peer| async move {
        let log = Log::default();
        for message in [
            "{",
            "[]",
            "null",
            r#"{"type":7}"#,
            r#"{"type":"Results","channel":null}"#,
            r#"{"type":"Results","start":1e999}"#,
        ] {
            peer.send(Message::text(message)).await.unwrap();
        }
        peer.send(Message::binary(vec![1, 2, 3])).await.unwrap();
        peer.send(results(0.0, 0.1, "sì", FINAL)).await.unwrap();
        while log.read(&mut peer, usize::MAX).await.as_deref() != Some("CloseStream") {}
    })
    .await;
    let (_more, audio_stream) = feed(vec![audio(0..1_600)]);
    let mut events = stt(&server, "model = 'nova-3'").listen(audio_stream, Language::Italian);
    assert_eq!(events.next().await, Some(final_("sì")));
}

#[tokio::test]
async fn flux_tells_turns_and_hears_an_open_one_again() {
    let logs = [Log::default(), Log::default()];
    let heard = logs.clone();
    let server = server(move |at, mut peer| {
        let log = heard[at].clone();
        async move {
            let turn = |event: &str, index: u64, end: f64, text: &str| {
                Message::text(format!(
                    r#"{{"type":"TurnInfo","event":"{event}","turn_index":{index},"audio_window_end":{end},"transcript":"{text}"}}"#
                ))
            };
            peer.send(Message::text(r#"{"type":"Connected","sequence_id":0}"#)).await.unwrap();
            if at == 0 {
                log.read(&mut peer, 16_000).await;
                peer.send(turn("StartOfTurn", 0, 0.2, "")).await.unwrap();
                peer.send(turn("EndOfTurn", 0, 0.5, "Buongiorno.")).await.unwrap();
                peer.send(turn("StartOfTurn", 1, 0.9, "Vorrei")).await.unwrap();
                peer.send(Message::text(r#"{"type":"Error","code":"INTERNAL_SERVER_ERROR"}"#)).await.unwrap();
                while peer.next().await.is_some() {}
                return;
            }
            log.read(&mut peer, 8_000).await;
            peer.send(turn("EagerEndOfTurn", 0, 0.5, "Vorrei un tagliando")).await.unwrap();
            peer.send(turn("EndOfTurn", 0, 0.6, "Vorrei un tagliando.")).await.unwrap();
            while log.read(&mut peer, usize::MAX).await.as_deref() != Some("CloseStream") {}
        }
    })
    .await;
    let engine = stt(&server, "model = 'flux-general-multi'\neager_threshold = 0.4");
    assert!(engine.capabilities().turns && !engine.capabilities().commits);
    let (_more, audio_stream) = feed(vec![audio(0..16_000), Heard::Commit(1)]);
    let events: Vec<_> = all(engine.listen(audio_stream, Language::Italian).take(9)).await;
    let partial = |text: &str| Ok(SttEvent::Partial { text: text.into() });
    assert_eq!(
        events,
        [
            Ok(SttEvent::SpeechStarted),
            final_("Buongiorno."),
            Ok(SttEvent::End),
            Ok(SttEvent::SpeechStarted),
            partial("Vorrei"),
            partial("Vorrei un tagliando"),
            Ok(SttEvent::EagerEnd),
            final_("Vorrei un tagliando."),
            Ok(SttEvent::End),
        ]
    );
    assert_eq!(logs[1].samples(), (8_000..16_000).collect::<Vec<i16>>());
    let path = server.asked.lock().unwrap()[0].0.clone();
    assert!(path.starts_with("/v2/listen?model=flux-general-multi&"), "{path}");
    assert!(path.contains("&language_hint=it&eager_eot_threshold=0.4"), "{path}");
}
