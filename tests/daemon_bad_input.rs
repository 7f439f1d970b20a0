//! Everything bad that strangers and broken lines send, to one running daemon at once: each is answered clearly and
//! counted, and the daemon takes calls as before.
#![cfg(feature = "daemon")]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails loudly, and watches the real clock"
)]

mod daemon_process;

use std::{fs, time::Duration};

use daemon_process::{Daemon, EXAMPLE, Place};
use futures_util::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{Instant, interval, sleep, timeout},
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{self, Message, client::IntoClientRequest},
};

const TOKEN: &str = "officina-rossi-demo-token";
const VAPI: &str = "/v1/stream/officina-rossi";
const TWILIO: &str = "/twilio/officina-rossi";

/// How Twilio describes a stream.
fn start(call: &str) -> String {
    serde_json::json!({ "event": "start", "sequenceNumber": "1", "streamSid": "MZ1", "start": {
        "streamSid": "MZ1", "accountSid": "AC1", "callSid": call, "tracks": ["inbound"], "customParameters": {},
        "mediaFormat": { "encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1 },
    }})
    .to_string()
}

/// A daemon that strangers reach.
struct Door {
    daemon: Daemon,
    place: Place,
}

impl Door {
    fn open() -> Self {
        let place = Place::new("bad_input", EXAMPLE);
        Self { daemon: Daemon::start(&place.config()), place }
    }

    async fn request(&self, head: &str) -> String {
        let mut tcp = TcpStream::connect(self.daemon.address).await.unwrap();
        tcp.write_all(format!("{head}\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        tcp.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// A counter or gauge; 0 where it has never moved.
    async fn metric(&self, name: &str) -> f64 {
        let page = self.request("GET /metrics HTTP/1.1").await;
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.trim().parse().unwrap())
    }

    async fn counts(&self, name: &str, at_least: f64) {
        let end = Instant::now() + Duration::from_secs(10);
        while self.metric(name).await < at_least {
            assert!(Instant::now() < end, "{name} has not reached {at_least}: {}", self.metric(name).await);
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn dial(&self, path: &str, token: &str) -> Result<WebSocketStream<TcpStream>, tungstenite::Error> {
        self.dial_on(TcpSocket::new_v4().unwrap(), path, token).await
    }

    async fn dial_on(
        &self,
        socket: TcpSocket,
        path: &str,
        token: &str,
    ) -> Result<WebSocketStream<TcpStream>, tungstenite::Error> {
        let mut request = format!("ws://{}{path}", self.daemon.address).into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        let tcp = socket.connect(self.daemon.address).await.unwrap();
        client_async(request, tcp).await.map(|(socket, _)| socket)
    }

    /// A stream of Twilio's that has been described.
    async fn carrier(&self, call: &str) -> WebSocketStream<TcpStream> {
        let mut socket = self.dial(TWILIO, TOKEN).await.unwrap();
        socket.send(Message::text(start(call))).await.unwrap();
        socket
    }

    async fn refused(&self, path: &str, token: &str) -> (u16, serde_json::Value) {
        match self.dial(path, token).await {
            Err(tungstenite::Error::Http(answer)) => {
                let body = serde_json::from_slice(answer.body().as_deref().unwrap()).unwrap();
                (answer.status().as_u16(), body)
            }
            other => panic!("not refused: {other:?}"),
        }
    }
}

/// The code and reason with which it is closed, whatever comes before.
async fn closed(socket: &mut WebSocketStream<TcpStream>) -> (u16, String) {
    loop {
        match timeout(Duration::from_secs(60), socket.next()).await.expect("it is closed in time") {
            Some(Ok(Message::Close(Some(frame)))) => return (frame.code.into(), frame.reason.to_string()),
            Some(Ok(_)) => {}
            other => panic!("no close frame: {other:?}"),
        }
    }
}

/// The greeting is heard: so many messages of loud audio. A frame of silence is sent every 20 ms.
async fn hears(socket: &mut WebSocketStream<TcpStream>, twilio: bool) {
    let mut pace = interval(Duration::from_millis(20));
    let (mut loud, end) = (0, Instant::now() + Duration::from_secs(20));
    while loud < 25 {
        assert!(Instant::now() < end, "only {loud} messages of voice");
        tokio::select! {
            _ = pace.tick() => {
                let silence = r#"{"event":"media","streamSid":"MZ1","media":{"track":"inbound","payload":"//////////8="}}"#;
                let frame = if twilio { Message::text(silence) } else { Message::Binary(vec![0; 640].into()) };
                socket.send(frame).await.unwrap();
            }
            message = socket.next() => match message.expect("the call goes on").unwrap() {
                Message::Binary(bytes) => {
                    let samples = bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]]));
                    loud += usize::from(samples.into_iter().any(|sample| sample.unsigned_abs() > 1_000));
                }
                Message::Text(text) => loud += usize::from(text.contains(r#""event":"media""#)),
                _ => {}
            },
        }
    }
}

#[tokio::test]
async fn bad_input_is_answered_and_counted_and_the_daemon_goes_on() {
    let daemon = Door::open();
    let d = &daemon;
    let stranger = async {
        for path in [VAPI, "/v1/stream/officina-rossi?token=no"] {
            let (status, body) = d.refused(path, "sbagliato").await;
            assert_eq!((status, &body["field"]), (401, &"authorization".into()), "{path}");
            assert!(body["fix"].as_str().is_some_and(|fix| !fix.is_empty()), "{body}");
        }
        for path in ["/v1/stream/bianchi", "/twilio/bianchi"] {
            let (status, body) = d.refused(path, TOKEN).await;
            assert_eq!((status, &body["field"]), (404, &"tenant".into()), "{path}");
        }
        d.counts(r#"pronto_refused_total{reason="unauthorised"}"#, 2.0).await;
        d.counts(r#"pronto_refused_total{reason="no_tenant"}"#, 2.0).await;
    };
    let ten_megabytes = async {
        for mut socket in [d.dial(VAPI, TOKEN).await.unwrap(), d.carrier("CA1").await] {
            let _ = socket.send(Message::text("x".repeat(10 << 20))).await;
            let (code, reason) = closed(&mut socket).await;
            assert_eq!(code, 1009);
            assert!(reason.contains("4 MiB"), "{reason}");
        }
        d.counts(r#"pronto_socket_faults_total{kind="too_long"}"#, 2.0).await;
    };
    // Controls are text in Vapi's dialect, so text is never audio there: it is ignored, counted, and the call goes on.
    let text_to_vapi = async {
        let mut socket = d.dial(VAPI, TOKEN).await.unwrap();
        let audio = r#"{"event":"media","media":{"payload":"//////////8="}}"#;
        for text in ["{{{", "null", r#"{"type":3}"#, audio, &"\u{1F600}".repeat(1_000)] {
            socket.send(Message::text(text)).await.unwrap();
        }
        hears(&mut socket, false).await;
    };
    let garbage_to_twilio = async {
        let mut socket = d.carrier("CA2").await;
        for text in ["{{{", r#"{"event":"media","media":{"payload":"%%%"}}"#, r#"{"event":"media"}"#, r#"{"event":7}"#]
        {
            socket.send(Message::text(text)).await.unwrap();
        }
        hears(&mut socket, true).await;
        for reason in ["malformed message", "a payload that is not base64", "media without a body"] {
            d.counts(&format!(r#"pronto_messages_ignored_total{{reason="{reason}"}}"#), 1.0).await;
        }
        // Before the stream is described nothing is known of the peer: it is not believed any longer.
        let mut socket = d.dial(TWILIO, TOKEN).await.unwrap();
        socket.send(Message::text("{{{")).await.unwrap();
        assert_eq!(closed(&mut socket).await.0, 1008);
        d.counts(r#"pronto_socket_faults_total{kind="garbage"}"#, 1.0).await;
        d.counts(r#"pronto_refused_total{reason="never_started"}"#, 1.0).await;
    };
    let binary_to_twilio = async {
        let mut socket = d.carrier("CA3").await;
        socket.send(Message::Binary(vec![0; 160].into())).await.unwrap();
        let (code, reason) = closed(&mut socket).await;
        assert!(code == 1003 && !reason.is_empty(), "{code} {reason}");
        d.counts(r#"pronto_socket_faults_total{kind="wrong_frame"}"#, 1.0).await;
    };
    // A peer that sends and never reads: our bytes do not get away.
    let stalled = async {
        let small = TcpSocket::new_v4().unwrap();
        small.set_recv_buffer_size(4 << 10).unwrap();
        let mut socket = d.dial_on(small, VAPI, TOKEN).await.unwrap();
        let sending = async {
            let mut pace = interval(Duration::from_millis(20));
            loop {
                pace.tick().await;
                if socket.send(Message::Binary(vec![0; 640].into())).await.is_err() {
                    break;
                }
            }
        };
        timeout(Duration::from_secs(60), sending).await.expect("it is given up");
        d.counts(r#"pronto_socket_faults_total{kind="slow"}"#, 1.0).await;
    };
    // Half open: the peer will send no more, says its kernel; or nothing says so, and it is simply not there any more.
    let half_closed = async {
        let mut socket = d.dial(VAPI, TOKEN).await.unwrap();
        socket.send(Message::Binary(vec![0; 640].into())).await.unwrap();
        socket.get_mut().shutdown().await.unwrap();
        let mut rest = Vec::new();
        timeout(Duration::from_secs(5), socket.get_mut().read_to_end(&mut rest)).await.expect("it is let go").ok();
        d.counts(r#"pronto_calls_ended_total{ending="line_lost"}"#, 1.0).await;
    };
    let half_open = async {
        let mut socket = d.dial(VAPI, TOKEN).await.unwrap();
        let mut received = Vec::new();
        let reading = socket.get_mut().read_to_end(&mut received);
        timeout(Duration::from_secs(60), reading).await.expect("it is let go").ok();
        let told = received.windows(13).any(|bytes| bytes == b"no audio came");
        assert!(told, "it is told why");
        d.counts(r#"pronto_calls_ended_total{ending="no_audio"}"#, 1.0).await;
    };
    let never_asks = async {
        let mut tcp = TcpStream::connect(d.daemon.address).await.unwrap();
        tcp.write_all(b"GET /v1/stream/officina-rossi HTTP/1.1\r\nHost:").await.unwrap();
        let mut answer = Vec::new();
        timeout(Duration::from_secs(20), tcp.read_to_end(&mut answer)).await.expect("it is let go").ok();
    };
    let typo = async {
        let file = d.place.0.join("tenants/bianchi.toml");
        let text = EXAMPLE.replace("id = \"officina-rossi\"", "id = \"bianchi\"");
        fs::write(&file, text.replace("silence_s", "silense_s")).unwrap();
        d.counts(r#"pronto_reloads_total{outcome="rejected"}"#, 1.0).await;
        assert_eq!(d.refused("/v1/stream/bianchi", TOKEN).await.0, 404);
        let changed = r#"pronto_reloads_total{outcome="changed"}"#;
        let before = d.metric(changed).await;
        fs::write(&file, text).unwrap();
        d.counts(changed, before + 1.0).await;
        let mut socket = d.dial("/v1/stream/bianchi", TOKEN).await.unwrap();
        hears(&mut socket, false).await;
    };
    tokio::join!(stranger, ten_megabytes, text_to_vapi, garbage_to_twilio, binary_to_twilio);
    tokio::join!(stalled, half_closed, half_open, never_asks, typo);

    // Nothing of all this is left, and both dialects are answered as before.
    let ignored = d.request("GET /metrics HTTP/1.1").await;
    let ignored: f64 = ignored
        .lines()
        .filter(|line| line.starts_with("pronto_messages_ignored_total"))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum();
    assert!(ignored >= 5.0 + 4.0, "every message that meant nothing was counted: {ignored}");
    let end = Instant::now() + Duration::from_secs(20);
    while d.metric("pronto_calls_active").await > 0.0 {
        assert!(Instant::now() < end, "a call is left over");
        sleep(Duration::from_millis(200)).await;
    }
    hears(&mut d.dial(VAPI, TOKEN).await.unwrap(), false).await;
    hears(&mut d.carrier("CA4").await, true).await;
    assert!(d.request("GET /healthz HTTP/1.1").await.contains(r#""status":"ok""#));
    assert_eq!(d.metric("pronto_call_panics_total").await, 0.0);
}
