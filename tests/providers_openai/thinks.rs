//! The model: words and tools however the bytes are cut, one warm connection, and every way in which it fails.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::StreamExt;
use pronto::{
    call::{Ask, Finish, LlmEvent, Message, ToolKind, ToolSpec, Turn},
    language::Language,
    providers::{
        Fault, Kind, Llm, ProviderError, Retry,
        openai::{Connections, OpenAiLlm},
    },
};
use tokio::{
    net::TcpListener,
    time::{sleep, timeout},
};

use crate::server::{
    LAST, Server,
    Step::{self, Close, Drip, Hang, Send, Wait},
    all, chunk, head, server, sse_head,
};

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
