//! The door of the gateway over loopback: who is let in, who is not, and what they are told.
#![cfg(feature = "gateway")]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures_util::{FutureExt, SinkExt, StreamExt, future::BoxFuture, stream, stream::BoxStream};
use pronto::{
    audio::Rate,
    call::{Ask, LlmEvent, Outcome, SttEvent, Then, ToolSpec, TtsEvent},
    gateway::{self, DrainSettings, Gateway},
    language::Language,
    providers::{Heard, Llm, ProviderError, Say, Stt, SttCapabilities, Tts, TtsCapabilities},
    tenant::{CallRecord, Directory, Engines, Profile, Tenant, TenantId, ToolRun, Tools},
};
use secrecy::SecretString;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{self, Message, client::IntoClientRequest, protocol::frame::coding::CloseCode},
};

/// Engines that never say anything.
struct Mute;

impl Stt for Mute {
    fn capabilities(&self) -> SttCapabilities {
        SttCapabilities { name: "mute", partials: false, turns: false, commits: false }
    }

    fn listen(
        &self,
        _audio: BoxStream<'static, Heard>,
        _language: Language,
    ) -> BoxStream<'static, Result<SttEvent, ProviderError>> {
        stream::pending().boxed()
    }
}

impl Llm for Mute {
    fn name(&self) -> &'static str {
        "mute"
    }

    fn reply(&self, _ask: Ask) -> BoxStream<'static, Result<LlmEvent, ProviderError>> {
        stream::pending().boxed()
    }
}

impl Tts for Mute {
    fn capabilities(&self) -> TtsCapabilities {
        TtsCapabilities { name: "mute", rate: Rate::WIDE, alignment: false }
    }

    fn speak(&self, _say: Say) -> BoxStream<'static, Result<TtsEvent, ProviderError>> {
        stream::pending().boxed()
    }
}

impl Tools for Mute {
    fn specs(&self) -> Arc<[ToolSpec]> {
        Arc::new([])
    }

    fn run(&self, _run: ToolRun) -> BoxFuture<'static, Outcome> {
        async { Outcome { content: "{}".into(), then: Then::GoOn } }.boxed()
    }

    fn keep(&self, _record: CallRecord) -> BoxFuture<'static, ()> {
        async {}.boxed()
    }
}

/// A gateway with one shop, `rossi`, whose token is `segreto`.
struct Door {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    done: JoinHandle<()>,
}

async fn door(calls_max: usize, connections_max: usize) -> Door {
    let mut profile = Profile::new(TenantId::new("rossi").unwrap(), "Officina Rossi", &SecretString::from("segreto"));
    profile.calls_max = calls_max;
    let mute = Arc::new(Mute);
    let engines = Engines { stt: mute.clone(), llm: mute.clone(), tts: mute.clone() };
    let tenants = Arc::new(Directory::new());
    tenants.put(Arc::new(Tenant::new(profile, engines, mute)));
    let settings = gateway::Settings { connections_max, drain: DrainSettings { finish_s: 0, goodbye_s: 0 } };
    let listener = gateway::listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let gateway = Gateway::new(tenants, settings);
    let done = tokio::spawn(async move { gateway.run(listener, stopped.map(|_| ())).await });
    Door { address, stop, done }
}

impl Door {
    async fn request(&self, head: &str) -> String {
        let mut tcp = TcpStream::connect(self.address).await.unwrap();
        tcp.write_all(format!("{head}\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        tcp.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn dial(&self, path: &str, token: Option<&str>) -> Result<WebSocketStream<TcpStream>, tungstenite::Error> {
        let mut request = format!("ws://{}{path}", self.address).into_client_request().unwrap();
        if let Some(token) = token {
            request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        let tcp = TcpStream::connect(self.address).await.unwrap();
        client_async(request, tcp).await.map(|(socket, _)| socket)
    }

    async fn refused(&self, path: &str, token: Option<&str>) -> (u16, serde_json::Value) {
        match self.dial(path, token).await {
            Err(tungstenite::Error::Http(answer)) => {
                let body = serde_json::from_slice(answer.body().as_deref().unwrap()).unwrap();
                (answer.status().as_u16(), body)
            }
            other => panic!("not refused: {other:?}"),
        }
    }

    async fn alive(&self) {
        let answer = self.request("GET /healthz HTTP/1.1").await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(r#""status":"ok""#), "{answer}");
    }

    async fn close(self) {
        self.stop.send(()).unwrap();
        timeout(Duration::from_secs(10), self.done).await.expect("the gateway ends").unwrap();
    }
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
    let door = door(1, 100).await;
    for token in [None, Some("sbagliato"), Some("")] {
        let (status, body) = door.refused("/v1/stream/rossi", token).await;
        assert_eq!((status, &body["field"]), (401, &"authorization".into()));
    }
    let (status, _) = door.refused("/v1/stream/rossi?token=no", None).await;
    assert_eq!(status, 401);
    door.alive().await;
    door.close().await;
}

#[tokio::test]
async fn an_unknown_tenant_is_not_found() {
    let door = door(1, 100).await;
    for path in ["/v1/stream/bianchi", "/v1/stream/..%2f", "/v1/stream/", "/twilio/bianchi"] {
        let (status, body) = door.refused(path, Some("segreto")).await;
        assert_eq!((status, &body["field"]), (404, &"tenant".into()), "{path}");
    }
    let (status, _) = door.refused("/nowhere", None).await;
    assert_eq!(status, 404);
    door.close().await;
}

#[tokio::test]
async fn a_request_that_is_no_websocket_is_told_so() {
    let door = door(1, 100).await;
    let answer = door.request("GET /v1/stream/rossi?token=segreto HTTP/1.1").await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("Sec-WebSocket-Key"), "{answer}");
    let answer = door.request("POST /v1/stream/rossi HTTP/1.1").await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("method"), "{answer}");
    let (status, body) = door.refused("/v1/stream/rossi?format=mp3&token=segreto", None).await;
    assert_eq!((status, &body["field"]), (400, &"format".into()));
    door.close().await;
}

#[tokio::test]
async fn a_message_of_ten_megabytes_closes_with_1009_and_says_why() {
    let door = door(1, 100).await;
    let mut socket = door.dial("/twilio/rossi", Some("segreto")).await.unwrap();
    let _ = socket.send(Message::Text("x".repeat(10 << 20).into())).await;
    let (code, reason) = closed(&mut socket).await;
    assert_eq!(code, CloseCode::Size);
    assert!(reason.contains("4 MiB"), "{reason}");
    door.alive().await;
    door.close().await;
}

#[tokio::test]
async fn a_stream_that_is_not_described_as_it_should_be_is_closed() {
    let door = door(5, 100).await;
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
    door.alive().await;
    door.close().await;
}

#[tokio::test]
async fn a_stranger_who_never_describes_the_stream_takes_no_line() {
    let door = door(1, 100).await;
    let _stranger = door.dial("/twilio/rossi", None).await.unwrap();
    let known = door.dial("/twilio/rossi", Some("segreto")).await;
    assert!(known.is_ok(), "the line is free");
    let (status, body) = door.refused("/twilio/rossi", Some("segreto")).await;
    assert_eq!((status, &body["field"]), (429, &"tenant".into()));
    door.close().await;
}

#[tokio::test]
async fn connections_are_bounded() {
    let door = door(1, 2).await;
    let _first = TcpStream::connect(door.address).await.unwrap();
    let _second = TcpStream::connect(door.address).await.unwrap();
    let answer = door.request("GET /healthz HTTP/1.1").await;
    assert!(answer.starts_with("HTTP/1.1 429") && answer.contains("Retry-After"), "{answer}");
    door.close().await;
}

#[tokio::test]
async fn health_and_readiness_say_where_it_stands() {
    let door = door(1, 100).await;
    let answer = door.request("GET /readyz HTTP/1.1").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(r#""step":"accepting""#), "{answer}");
    door.alive().await;
    door.close().await;
}
