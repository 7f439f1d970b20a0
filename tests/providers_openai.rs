//! The OpenAI engines against a scripted server over loopback. The server plays what it is told, byte by byte, and
//! ends by itself.
#![cfg(feature = "openai")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, stream};
use pronto::{
    audio::Rate,
    call::{Ask, Finish, LlmEvent, Message, SttEvent, ToolKind, ToolSpec, TtsEvent, Turn},
    language::Language,
    providers::{
        Fault, Heard, Kind, Llm, ProviderError, Retry, Say, Stt, Tts,
        openai::{Connections, OpenAiLlm, OpenAiStt, OpenAiTts},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{sleep, timeout},
};

/// One thing the server does.
#[derive(Clone)]
enum Step {
    Send(Vec<u8>),
    /// Byte by byte, each in a packet of its own.
    Drip(Vec<u8>),
    Wait(u64),
    /// Says nothing until the peer leaves.
    Hang,
    /// Hangs up.
    Close,
}

use Step::{Close, Drip, Hang, Send, Wait};

struct Server {
    address: String,
    connections: Arc<AtomicUsize>,
    /// The bodies of the requests, in order.
    requests: mpsc::Receiver<(String, Vec<u8>)>,
    /// The peer closed a connection in the middle of a script.
    closed: mpsc::Receiver<()>,
}

/// Plays one script a request, in order; the last one again for all further requests.
async fn server(scripts: Vec<Vec<Step>>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/v1", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let (asked, requests) = mpsc::channel(64);
    let (gone, closed) = mpsc::channel(64);
    let count = connections.clone();
    tokio::spawn(async move {
        let turn = Arc::new(AtomicUsize::new(0));
        while let Ok(Ok((socket, _))) = timeout(Duration::from_secs(20), listener.accept()).await {
            count.fetch_add(1, Ordering::SeqCst);
            let (scripts, turn, asked, gone) = (scripts.clone(), turn.clone(), asked.clone(), gone.clone());
            tokio::spawn(async move {
                let mut socket = socket;
                socket.set_nodelay(true).unwrap();
                while let Some((head, body)) = read_request(&mut socket).await {
                    if head.starts_with("HEAD") {
                        socket.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await.unwrap();
                        continue;
                    }
                    let _ = asked.try_send((head, body));
                    let at = turn.fetch_add(1, Ordering::SeqCst).min(scripts.len() - 1);
                    if !play(&mut socket, &scripts[at]).await {
                        let _ = gone.try_send(());
                        return;
                    }
                }
            });
        }
    });
    Server { address, connections, requests, closed }
}

async fn play(socket: &mut TcpStream, script: &[Step]) -> bool {
    for step in script {
        let sent = match step {
            Send(bytes) => socket.write_all(bytes).await,
            Drip(bytes) => {
                for byte in bytes {
                    if socket.write_all(&[*byte]).await.is_err() {
                        return false;
                    }
                    tokio::task::yield_now().await;
                }
                Ok(())
            }
            Wait(ms) => {
                sleep(Duration::from_millis(*ms)).await;
                Ok(())
            }
            Hang => {
                let mut byte = [0];
                let _ = timeout(Duration::from_secs(20), socket.read(&mut byte)).await;
                return false;
            }
            Close => return false,
        };
        if sent.is_err() {
            return false;
        }
    }
    true
}

async fn read_request(socket: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        match timeout(Duration::from_secs(20), socket.read(&mut piece)).await {
            Ok(Ok(count)) if count > 0 => bytes.extend_from_slice(&piece[..count]),
            _ => return None,
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let length = head
        .lines()
        .find_map(|line| {
            line.to_ascii_lowercase().strip_prefix("content-length:").map(|n| n.trim().parse::<usize>().unwrap())
        })
        .unwrap_or(0);
    while bytes.len() < head_end + length {
        match socket.read(&mut piece).await {
            Ok(count) if count > 0 => bytes.extend_from_slice(&piece[..count]),
            _ => return None,
        }
    }
    Some((head, bytes.split_off(head_end)))
}

fn head(status: &str, kind: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n").into_bytes()
}

fn chunk(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

fn sse_head() -> Vec<u8> {
    head("200 OK", "text/event-stream")
}

const LAST: &[u8] = b"0\r\n\r\n";

fn event(delta: &str, reason: Option<&str>) -> String {
    let reason = reason.map_or("null".to_string(), |reason| format!("\"{reason}\""));
    format!("data: {{\"id\":\"x\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{reason}}}]}}\n\n")
}

fn words(text: &str) -> String {
    event(&format!("{{\"content\":\"{text}\"}}"), None)
}

/// A whole answer that says hello, as one script.
fn hello() -> Vec<Step> {
    let body = [words("Buon"), words("giorno"), event("{}", Some("stop")), "data: [DONE]\n\n".into()].concat();
    vec![Send(sse_head()), Send(chunk(body)), Send(LAST.to_vec())]
}

fn ask() -> Ask {
    Ask {
        turn: Turn(1),
        instructions: "Sei Anna.".into(),
        messages: vec![Message::Caller { text: "buongiorno".into() }],
        tools: Arc::new([ToolSpec {
            name: "prenota".into(),
            description: "Prenota".into(),
            parameters: serde_json::json!({ "type": "object" }),
            kind: ToolKind::Write,
        }]),
        now: "2026-11-20T09:05:00+01:00[Europe/Rome]".parse().unwrap(),
        language: Language::Italian,
        caller: None,
    }
}

fn llm(server: &Server, more: &str) -> OpenAiLlm {
    let text = format!("base_url = '{}'\nkey = 'sk-test'\nmodel = 'gpt-6-luna'\n{more}", server.address);
    OpenAiLlm::new(toml::from_str(&text).unwrap(), Connections::new().unwrap()).unwrap()
}

/// Everything of one stream; fails when it takes absurdly long.
async fn all<T>(stream: impl futures_util::Stream<Item = T>) -> Vec<T> {
    timeout(Duration::from_secs(15), stream.collect()).await.expect("the stream does not end")
}

async fn reply(scripts: Vec<Vec<Step>>, more: &str) -> Vec<Result<LlmEvent, ProviderError>> {
    let server = server(scripts).await;
    all(llm(&server, more).reply(ask())).await
}

fn said(events: &[Result<LlmEvent, ProviderError>]) -> String {
    let text = |event: &Result<LlmEvent, ProviderError>| match event {
        Ok(LlmEvent::Words(text)) => text.clone(),
        _ => String::new(),
    };
    events.iter().map(text).collect()
}

async fn check_failure(script: Vec<Step>, more: &str, spoken: &str, kind: Kind) -> ProviderError {
    let events = reply(vec![script], more).await;
    assert_eq!(said(&events), spoken);
    let error = events.last().unwrap().clone().expect_err("it should have failed");
    assert_eq!(error.kind, kind, "{error}");
    error
}

#[tokio::test]
async fn words_and_parallel_tools_arrive_however_the_bytes_are_cut() {
    let body = [
        ": ping\r\n\r\n".to_string(),
        event(r#"{"role":"assistant","content":""}"#, None),
        words("È "),
        words("già "),
        event(
            r#"{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"prenota","arguments":""}}]}"#,
            None,
        ),
        event(r#"{"tool_calls":[{"index":1,"id":"b","function":{"name":"invia","arguments":"{}"}}]}"#, None),
        event(r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"città\":\"Forlì\"}"}}]}"#, None),
        event("{}", Some("tool_calls")),
        "data: {\"choices\":[],\"usage\":{}}\n\ndata: [DONE]\n\n".to_string(),
    ]
    .concat();
    let expected = [
        Ok(LlmEvent::Words("È ".into())),
        Ok(LlmEvent::Words("già ".into())),
        Ok(LlmEvent::Tool { id: "a".into(), name: "prenota".into(), arguments: r#"{"città":"Forlì"}"#.into() }),
        Ok(LlmEvent::Tool { id: "b".into(), name: "invia".into(), arguments: "{}".into() }),
        Ok(LlmEvent::Done(Finish::Tools)),
    ];
    for size in [1, 2, 3, 5, 7, 64, 10_000] {
        let mut steps = vec![Send(sse_head())];
        for piece in body.as_bytes().chunks(size) {
            steps.push(Send(chunk(piece)));
        }
        steps.push(Send(LAST.to_vec()));
        assert_eq!(reply(vec![steps], "").await, expected, "chunks of {size}");
    }
    let whole = [sse_head(), chunk(&body), LAST.to_vec()].concat();
    assert_eq!(reply(vec![vec![Drip(whole)]], "").await, expected, "byte by byte");
}

#[tokio::test]
async fn a_server_that_does_not_stream_is_understood() {
    let body = "{\n \"choices\": [{\"message\": {\"content\": \"Buongiorno\"},\n \"finish_reason\": \"stop\"}]}";
    let script = vec![Send(head("200 OK", "application/json")), Send(chunk(body)), Send(LAST.to_vec())];
    let events = reply(vec![script], "").await;
    assert_eq!(events, [Ok(LlmEvent::Words("Buongiorno".into())), Ok(LlmEvent::Done(Finish::Said))]);
    let script =
        vec![Send(head("200 OK", "application/json")), Send(chunk(r#"{"error":"no model"}"#)), Send(LAST.to_vec())];
    check_failure(script, "", "", Kind::Cut).await;
}

#[tokio::test]
async fn the_question_is_asked_as_the_settings_say() {
    let mut server = server(vec![hello()]).await;
    all(llm(&server, "").reply(ask())).await;
    let (head, body) = server.requests.recv().await.unwrap();
    assert!(head.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("authorization: Bearer sk-test"), "{head}");
    assert!(!head.to_lowercase().contains("openai-organization"), "{head}");
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&body["stream"], &body["reasoning_effort"]), (&true.into(), &"none".into()));
    assert_eq!(body["tools"][0]["function"]["name"], "prenota");
}

#[tokio::test]
async fn turns_share_one_warm_connection() {
    // The last chunk comes late, as it does over a network: the body must be read to its end for the connection to live.
    let late = |script: Vec<Step>| {
        let mut script = script;
        script.insert(2, Wait(30));
        script
    };
    let server = server(vec![late(hello())]).await;
    let llm = llm(&server, "");
    llm.warm().await;
    for _ in 0..5 {
        assert_eq!(said(&all(llm.reply(ask())).await), "Buongiorno");
        sleep(Duration::from_millis(120)).await;
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_connection_that_died_while_idle_is_no_failure() {
    let mut close = hello();
    close.push(Close);
    let server = server(vec![close]).await;
    let llm = llm(&server, "");
    for _ in 0..4 {
        assert_eq!(said(&all(llm.reply(ask())).await), "Buongiorno");
    }
}

#[tokio::test]
async fn dropping_the_stream_closes_the_exchange() {
    let mut server = server(vec![vec![Send(sse_head()), Send(chunk(words("Buon"))), Hang]]).await;
    let mut stream = llm(&server, "").reply(ask());
    assert_eq!(stream.next().await, Some(Ok(LlmEvent::Words("Buon".into()))));
    drop(stream);
    timeout(Duration::from_secs(5), server.closed.recv()).await.expect("the server never saw the connection close");
}

#[tokio::test]
async fn a_wait_the_server_asks_for_is_told_and_not_obeyed() {
    let body = r#"{"error":{"message":"mario rossi","type":"tokens","code":"rate_limit_exceeded"}}"#;
    let head = format!("HTTP/1.1 429 Too Many Requests\r\nretry-after: 600\r\ncontent-length: {}\r\n\r\n", body.len());
    let server = server(vec![vec![Send(head.into_bytes()), Send(body.into())]]).await;
    // 600 seconds: if it were obeyed, `all` would give up.
    let events = all(llm(&server, "").reply(ask())).await;
    let error = events[0].clone().unwrap_err();
    assert_eq!((error.kind, error.retry), (Kind::RateLimited, Retry::After(Duration::from_secs(600))));
    assert!(!error.to_string().contains("mario"), "{error}");
    assert_eq!(events.len(), 1);
    assert_eq!(server.connections.load(Ordering::SeqCst), 1, "it must not try again by itself");
}

#[tokio::test]
async fn errors_of_every_shape() {
    let status = |line: &str, body: &str| {
        vec![Send(format!("HTTP/1.1 {line}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes())]
    };
    let error =
        check_failure(status("401 Unauthorized", r#"{"error":{"code":"invalid_api_key"}}"#), "", "", Kind::Refused)
            .await;
    assert_eq!((error.fault, error.retry), (Fault::Ours, Retry::Never));
    check_failure(
        status("400 Bad Request", r#"{"error":{"code":400,"type":"BadRequestError"}}"#),
        "",
        "",
        Kind::Refused,
    )
    .await;
    check_failure(status("404 Not Found", r#"{"detail":"Not Found"}"#), "", "", Kind::Refused).await;
    check_failure(status("429 X", r#"{"error":{"type":"insufficient_quota"}}"#), "", "", Kind::Refused).await;
    check_failure(status("500 X", "<html>oops</html>"), "", "", Kind::Status(500)).await;
    check_failure(status("503 X", r#"{"status":"loading model"}"#), "", "", Kind::Status(503)).await;
    // A body that never comes does not hold the error back.
    let script = vec![Send(b"HTTP/1.1 503 X\r\ncontent-length: 100\r\n\r\n".to_vec()), Hang];
    check_failure(script, "first_ms = 5000", "", Kind::Status(503)).await;
}

#[tokio::test]
async fn silence_has_a_deadline_wherever_it_falls() {
    let quick = "first_ms = 200\nstall_ms = 200";
    check_failure(vec![Hang], quick, "", Kind::FirstTimeout).await;
    check_failure(vec![Send(sse_head()), Hang], quick, "", Kind::FirstTimeout).await;
    let role = event(r#"{"role":"assistant","content":""}"#, None);
    check_failure(vec![Send(sse_head()), Send(chunk(role)), Hang], quick, "", Kind::FirstTimeout).await;
    let script = vec![Send(sse_head()), Send(chunk(words("Un attimo"))), Hang];
    check_failure(script, quick, "Un attimo", Kind::Stalled).await;
    // Pings are no words.
    let mut script = vec![Send(sse_head())];
    for _ in 0..20 {
        script.extend([Send(chunk(": ping\n\n")), Wait(50)]);
    }
    check_failure(script, quick, "", Kind::FirstTimeout).await;
    // A word now and then for ever.
    let mut script = vec![Send(sse_head())];
    for _ in 0..40 {
        script.extend([Send(chunk(words("a"))), Wait(50)]);
    }
    let events = reply(vec![script], "first_ms = 1000\nstall_ms = 1000\ntotal_ms = 300").await;
    assert_eq!(events.last().unwrap().as_ref().unwrap_err().kind, Kind::Stalled);
}

#[tokio::test]
async fn what_breaks_in_the_middle_is_told() {
    check_failure(vec![Send(sse_head()), Send(chunk(words("Buon"))), Close], "", "Buon", Kind::Cut).await;
    let no_end = vec![Send(sse_head()), Send(chunk(words("Buon"))), Send(LAST.to_vec())];
    check_failure(no_end, "", "Buon", Kind::Cut).await;
    let error = format!("{}data: {{\"error\":{{\"message\":\"mario\",\"type\":\"server_error\"}}}}\n\n", words("Buon"));
    let error =
        check_failure(vec![Send(sse_head()), Send(chunk(error)), Send(LAST.to_vec())], "", "Buon", Kind::Cut).await;
    assert!(error.detail.contains("server_error") && !error.detail.contains("mario"), "{error}");
    let garbage = vec![Send(sse_head()), Send(chunk("data: <html>mario</html>\n\n")), Send(LAST.to_vec())];
    check_failure(garbage, "", "", Kind::Garbage).await;
    let endless = vec![Send(sse_head()), Send(chunk(vec![b'x'; 400_000])), Hang];
    check_failure(endless, "", "", Kind::Garbage).await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/v1", listener.local_addr().unwrap());
    drop(listener);
    let settings = toml::from_str(&format!("base_url = '{address}'\nmodel = 'x'")).unwrap();
    let llm = OpenAiLlm::new(settings, Connections::new().unwrap()).unwrap();
    llm.warm().await;
    let events = all(llm.reply(ask())).await;
    assert_eq!(events[0].as_ref().unwrap_err().kind, Kind::Unreachable);
}

fn stt(server: &Server) -> OpenAiStt {
    let text = format!("base_url = '{}'\nkey = 'sk-test'\nmodel = 'gpt-transcribe'\nanswer_ms = 3000", server.address);
    OpenAiStt::new(toml::from_str(&text).unwrap(), Connections::new().unwrap()).unwrap()
}

fn voice(ms: u64) -> Heard {
    let samples = Rate::WIDE.samples(Duration::from_millis(ms));
    Heard::Audio((0..samples).map(|n| if n % 40 < 20 { 3_000 } else { -3_000 }).collect())
}

fn json(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
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
