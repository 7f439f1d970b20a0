//! The door of the gateway over loopback: who is let in, who is not, and what they are told.
#![cfg(feature = "gateway")]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test fails loudly")]

mod gateway_shop;

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use gateway_shop::{Running, Script, TOKEN, tenant};
use pronto::gateway::DrainSettings;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{self, Message, protocol::frame::coding::CloseCode},
};

/// A gateway with one shop, `rossi`.
fn door(calls_max: usize, connections_max: usize) -> Running {
    let script = Script::new(&[], &[]);
    Running::start(
        [tenant("rossi", "", calls_max, &script)],
        DrainSettings { finish_s: 0, goodbye_s: 0 },
        connections_max,
    )
}

async fn request(door: &Running, head: &str) -> String {
    let mut tcp = TcpStream::connect(door.address).await.unwrap();
    tcp.write_all(format!("{head}\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn refused(door: &Running, path: &str, token: Option<&str>) -> (u16, serde_json::Value) {
    match door.dial(path, token).await {
        Err(tungstenite::Error::Http(answer)) => {
            let body = serde_json::from_slice(answer.body().as_deref().unwrap()).unwrap();
            (answer.status().as_u16(), body)
        }
        other => panic!("not refused: {other:?}"),
    }
}

async fn alive(door: &Running) {
    let answer = request(door, "GET /healthz HTTP/1.1").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(r#""status":"ok""#), "{answer}");
}

/// The code of the close frame, whatever comes before it.
async fn closed(socket: &mut WebSocketStream<TcpStream>) -> (CloseCode, String) {
    loop {
        match timeout(Duration::from_secs(20), socket.next()).await.expect("the socket is closed in time") {
            Some(Ok(Message::Close(Some(frame)))) => return (frame.code, frame.reason.to_string()),
            Some(Ok(_)) => {}
            other => panic!("no close frame: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_wrong_or_missing_token_is_refused_before_the_upgrade() {
    let door = door(1, 100);
    for token in [None, Some("sbagliato"), Some("")] {
        let (status, body) = refused(&door, "/v1/stream/rossi", token).await;
        assert_eq!((status, &body["field"]), (401, &"authorization".into()));
    }
    let (status, _) = refused(&door, "/v1/stream/rossi?token=no", None).await;
    assert_eq!(status, 401);
    alive(&door).await;
    door.close().await;
}

#[tokio::test]
async fn an_unknown_tenant_is_not_found() {
    let door = door(1, 100);
    for path in ["/v1/stream/bianchi", "/v1/stream/..%2f", "/v1/stream/", "/twilio/bianchi"] {
        let (status, body) = refused(&door, path, Some(TOKEN)).await;
        assert_eq!((status, &body["field"]), (404, &"tenant".into()), "{path}");
    }
    let (status, _) = refused(&door, "/nowhere", None).await;
    assert_eq!(status, 404);
    door.close().await;
}

#[tokio::test]
async fn a_request_that_is_no_websocket_is_told_so() {
    let door = door(1, 100);
    let answer = request(&door, "GET /v1/stream/rossi?token=segreto HTTP/1.1").await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("Sec-WebSocket-Key"), "{answer}");
    let answer = request(&door, "POST /v1/stream/rossi HTTP/1.1").await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("method"), "{answer}");
    let (status, body) = refused(&door, "/v1/stream/rossi?format=mp3&token=segreto", None).await;
    assert_eq!((status, &body["field"]), (400, &"format".into()));
    door.close().await;
}

#[tokio::test]
async fn a_message_of_ten_megabytes_closes_with_1009_and_says_why() {
    let door = door(1, 100);
    let mut socket = door.dial("/twilio/rossi", Some(TOKEN)).await.unwrap();
    let _ = socket.send(Message::Text("x".repeat(10 << 20).into())).await;
    let (code, reason) = closed(&mut socket).await;
    assert_eq!(code, CloseCode::Size);
    assert!(reason.contains("4 MiB"), "{reason}");
    alive(&door).await;
    door.close().await;
}

#[tokio::test]
async fn a_stream_that_is_not_described_as_it_should_be_is_closed() {
    let door = door(5, 100);
    let cases = [
        (Message::Text("{{{".into()), CloseCode::Policy),
        (Message::Text(r#"{"event":"media","media":{"payload":"//"}}"#.into()), CloseCode::Policy),
        (Message::Binary(vec![0; 160].into()), CloseCode::Unsupported),
        (Message::Text(r#"{"event":"start","streamSid":"MZ1","start":{"callSid":"CA1"}}"#.into()), CloseCode::Policy),
    ];
    for (message, expected) in cases {
        let mut socket = door.dial("/twilio/rossi", None).await.unwrap();
        socket.send(message.clone()).await.unwrap();
        assert_eq!(closed(&mut socket).await.0, expected, "{message}");
    }
    alive(&door).await;
    door.close().await;
}

#[tokio::test]
async fn a_stranger_who_never_describes_the_stream_takes_no_line() {
    let door = door(1, 100);
    let _stranger = door.dial("/twilio/rossi", None).await.unwrap();
    let known = door.dial("/twilio/rossi", Some(TOKEN)).await;
    assert!(known.is_ok(), "the line is free");
    let (status, body) = refused(&door, "/twilio/rossi", Some(TOKEN)).await;
    assert_eq!((status, &body["field"]), (429, &"tenant".into()));
    door.close().await;
}

#[tokio::test]
async fn connections_are_bounded() {
    let door = door(1, 2);
    let _first = TcpStream::connect(door.address).await.unwrap();
    let _second = TcpStream::connect(door.address).await.unwrap();
    let answer = request(&door, "GET /healthz HTTP/1.1").await;
    assert!(answer.starts_with("HTTP/1.1 429") && answer.contains("Retry-After"), "{answer}");
    door.close().await;
}

#[tokio::test]
async fn health_and_readiness_say_where_it_stands() {
    let door = door(1, 100);
    let answer = request(&door, "GET /readyz HTTP/1.1").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(r#""step":"accepting""#), "{answer}");
    alive(&door).await;
    door.close().await;
}
