//! What Vapi's official WebSocket tester does, without its browser: creates a call as it was recorded, connects to the
//! address that it is given, streams audio in frames of its own size, and relays what its page writes. Real sockets,
//! real time: the four rates that it is used with run at once.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use pronto::gateway::DrainSettings;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, Interval, interval, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{Role, frame::coding::CloseCode},
    },
};

use super::{
    gateway_shop::{Running, Script, TOKEN, tenant},
    recorded::{Kept, TESTER},
};

const QUICK: DrainSettings = DrainSettings { finish_s: 0, goodbye_s: 0 };

/// Nothing in here takes so long.
const LONG: Duration = Duration::from_secs(20);

/// How far what comes may be before or behind the clock: our lead, and a busy machine.
const OFF_MAX: Duration = Duration::from_millis(300);

/// What its page writes, and its server passes on as it is.
const SAY: &str = r#"{"type":"say","content":"ciao","endCallAfterSpoken":false,"interruptAssistantEnabled":false}"#;
const ADD: &str = r#"{"type":"add-message","message":{"role":"user","content":"x"},"triggerResponseEnabled":true}"#;
const MUTE: &str = r#"{"type":"control","control":"mute-assistant"}"#;
const END: &str = r#"{"type":"end-call"}"#;
/// The documentation's own example has this instead.
const HANGUP: &str = r#"{"type":"hangup"}"#;

/// The key of a handshake, and its answer: the example of RFC 6455.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The tester, connected.
struct Tester {
    socket: WebSocketStream<TcpStream>,
    rate: u32,
    /// What it sends in one frame: a power of two, at least 20 ms.
    samples: usize,
    pace: Interval,
    /// Frames of speech still to be sent; otherwise it sends silence.
    speech: usize,
    /// What came, by kind.
    events: Vec<Value>,
    /// Frames that came, and when the first one did.
    frames: u32,
    since: Option<Instant>,
    /// Those with voice in them, and those without since the last of these.
    voiced: u32,
    silent: u32,
    closed: Option<CloseCode>,
}

impl Tester {
    /// Creates a call for a stored assistant and connects to it. Answers the call, too.
    async fn connect(shop: &Running, rate: u32, samples: usize) -> (Self, Value) {
        let mut rest = Kept::open(shop, TESTER).await;
        let (status, stored) = rest.ask("POST", "/assistant", Some(r#"{"firstMessage":"Pronto, officina."}"#)).await;
        assert_eq!(status, 201, "{stored}");
        let wanted = r#"{"assistantId":"…","transport":{"provider":"vapi.websocket","audioFormat":{"format":"pcm_s16le","container":"raw","sampleRate":16000}}}"#;
        let wanted = wanted.replace('…', stored["id"].as_str().unwrap()).replace("16000", &rate.to_string());
        let (status, call) = rest.ask("POST", "/call", Some(&wanted)).await;
        assert_eq!(status, 201, "{call}");
        let socket = upgraded(shop, call["transport"]["websocketCallUrl"].as_str().unwrap()).await;
        let pace = interval(Duration::from_secs_f64(samples as f64 / f64::from(rate)));
        let tester = Self {
            socket,
            rate,
            samples,
            pace,
            speech: 0,
            events: vec![],
            frames: 0,
            since: None,
            voiced: 0,
            silent: 0,
            closed: None,
        };
        (tester, call)
    }

    async fn relay(&mut self, text: &str) {
        self.socket.send(Message::Text(text.into())).await.unwrap();
    }

    /// Speaks for so long, from now on.
    fn speak(&mut self, long: Duration) {
        self.speech = (long.as_secs_f64() * f64::from(self.rate)) as usize / self.samples;
    }

    /// Somebody speaks, to a detector that listens for loudness.
    fn tone(&self, samples: usize) -> Vec<i16> {
        let step = 3_200.0 / self.rate as f32;
        (0..samples).map(|at| ((at as f32 * step).sin() * 9_000.0) as i16).collect()
    }

    /// Goes on until something is true.
    async fn until(&mut self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        let end = Instant::now() + LONG;
        while !is_so(self) {
            assert!(Instant::now() < end, "{} Hz: {what} did not come: {:?}", self.rate, self.kinds());
            assert!(self.closed.is_none(), "{} Hz: closed before {what}: {:?}", self.rate, self.kinds());
            self.round().await;
        }
    }

    /// Goes on until there is voice after so much of it, and then a pause.
    async fn until_voice_after(&mut self, before: u32, what: &str) {
        self.until(what, |it| it.voiced > before + 2 && it.silent >= 25).await;
    }

    async fn until_closed(&mut self) -> CloseCode {
        let end = Instant::now() + LONG;
        while self.closed.is_none() {
            assert!(Instant::now() < end, "{} Hz: never closed: {:?}", self.rate, self.kinds());
            self.round().await;
        }
        self.closed.unwrap()
    }

    fn kinds(&self) -> Vec<&str> {
        self.events.iter().map(|event| event["type"].as_str().unwrap_or("?")).collect()
    }

    fn has(&self, kind: &str, is_so: impl Fn(&Value) -> bool) -> bool {
        self.events.iter().any(|event| event["type"] == kind && is_so(event))
    }

    fn spoken(&self, words: &str) -> bool {
        self.has("voice-input", |event| event["input"].as_str().is_some_and(|input| input.contains(words)))
    }

    /// One frame is sent, or one message comes.
    async fn round(&mut self) {
        tokio::select! {
            _ = self.pace.tick() => {
                let frame = if self.speech > 0 { self.tone(self.samples) } else { vec![0; self.samples] };
                self.speech = self.speech.saturating_sub(1);
                // The gateway may close meanwhile: that is seen on the reading side.
                let _ = self.socket.send(binary(&frame)).await;
            }
            message = self.socket.next() => match message {
                Some(Ok(Message::Binary(sound))) => self.hear(&sound),
                Some(Ok(Message::Text(text))) => self.events.push(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(frame))) => self.closed = Some(frame.map_or(CloseCode::Status, |it| it.code)),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => {
                    self.closed.get_or_insert(CloseCode::Abnormal);
                }
            }
        }
    }

    /// A frame comes: of 20 ms at the rate that was asked for, and not before its time: it could not be taken back.
    fn hear(&mut self, sound: &[u8]) {
        assert_eq!(sound.len(), self.rate as usize / 50 * 2, "20 ms at {} Hz", self.rate);
        let (now, before) = (Instant::now(), self.sent());
        let since = *self.since.get_or_insert(now);
        assert!(before <= now - since + OFF_MAX, "{} Hz: {before:?} of sound in {:?}", self.rate, now - since);
        self.frames += 1;
        let samples = sound.as_chunks::<2>().0.iter().map(|pair| i16::from_le_bytes(*pair));
        if samples.map(i16::unsigned_abs).max() > Some(1_000) {
            (self.voiced, self.silent) = (self.voiced + 1, 0);
        } else {
            self.silent += 1;
        }
    }

    /// How long what has come lasts.
    fn sent(&self) -> Duration {
        Duration::from_millis(20) * self.frames
    }
}

fn binary(samples: &[i16]) -> Message {
    let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    Message::Binary(bytes.into())
}

/// Opens the socket with the handshake that was recorded. Compression is offered and must not be taken up.
async fn upgraded(shop: &Running, url: &str) -> WebSocketStream<TcpStream> {
    let path = url.strip_prefix(&format!("ws://{}", shop.address)).expect("the address under which it was asked");
    let mut tcp = TcpStream::connect(shop.address).await.unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nAuthorization: Bearer {TOKEN}\r\n\
         Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\nHost: {}\r\n\r\n",
        shop.address
    );
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut read = Vec::new();
    let end = loop {
        if let Some(at) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        let got = timeout(LONG, tcp.read_buf(&mut read)).await.expect("an answer").unwrap();
        assert!(got > 0, "closed: {}", String::from_utf8_lossy(&read));
    };
    let early = read.split_off(end);
    let head = String::from_utf8(read).unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains(ACCEPT), "{head}");
    let head = head.to_lowercase();
    for never_agreed in ["sec-websocket-extensions", "sec-websocket-protocol"] {
        assert!(!head.contains(never_agreed), "{head}");
    }
    WebSocketStream::from_partially_read(tcp, early, Role::Client, None).await
}

/// How the call is shown once it is over.
async fn shown(shop: &Running, call: &Value) -> Value {
    let path = format!("/call/{}", call["id"].as_str().unwrap());
    let (status, shown) = Kept::open(shop, TESTER).await.ask("GET", &path, None).await;
    assert_eq!(status, 200, "{shown}");
    shown
}

/// All that the tester does with one call.
async fn talks(rate: u32, samples: usize, end: &str) {
    let script = Script::new(&["vorrei prenotare"], &[]);
    let shop = Running::start([tenant("rossi", "", 1, &script)], QUICK, 100);
    let (mut tester, call) = Tester::connect(&shop, rate, samples).await;
    tester.until_voice_after(0, "the first message").await;
    let first = &tester.events[0];
    assert_eq!((&first["type"], &first["status"]), (&json!("status-update"), &json!("in-progress")));
    assert!(tester.spoken("officina"), "{:?}", tester.events);

    let before = tester.voiced;
    tester.speak(Duration::from_millis(900));
    tester.until_voice_after(before, "the answer to what it heard").await;
    assert!(tester.spoken("vorrei prenotare"), "{:?}", tester.events);

    let before = tester.voiced;
    tester.relay(SAY).await;
    tester.until_voice_after(before, "what it asked to be said").await;
    assert!(tester.spoken("ciao"), "{:?}", tester.events);

    let before = tester.voiced;
    tester.relay(ADD).await;
    tester.until_voice_after(before, "the answer to what it added").await;
    let added = |said: &Value| said["role"] == "user" && said["content"] == "x";
    let holds = |event: &Value| event["conversation"].as_array().is_some_and(|all| all.iter().any(added));
    tester.until("its message in the conversation", |it| it.has("conversation-update", holds)).await;

    // Silence goes on, and what is said now is not heard.
    tester.relay(MUTE).await;
    let (voiced, frames) = (tester.voiced, tester.frames);
    let said = tester.kinds().iter().filter(|kind| **kind == "voice-input").count();
    tester.relay(SAY).await;
    let again = |it: &Tester| it.kinds().iter().filter(|kind| **kind == "voice-input").count() > said;
    tester.until("what is said to nobody", |it| again(it) && it.frames >= frames + 20).await;
    assert_eq!(tester.voiced, voiced, "{rate} Hz: the assistant is muted");

    tester.relay(end).await;
    assert_eq!(tester.until_closed().await, CloseCode::Normal, "{:?}", tester.kinds());
    let last = tester.events.last().unwrap();
    assert_eq!(
        (&last["type"], &last["status"], &last["endedReason"]),
        (&json!("status-update"), &json!("ended"), &json!("assistant-ended-call")),
        "told before it closed"
    );
    let shown = shown(&shop, &call).await;
    assert_eq!((&shown["status"], &shown["endedReason"]), (&json!("ended"), &last["endedReason"]));
    assert!(shown["endedAt"].as_str() >= shown["startedAt"].as_str() && shown["startedAt"].is_string(), "{shown}");
    drop(tester);
    shop.close().await;
}

#[tokio::test]
async fn the_official_tester_talks_at_every_rate_it_is_used_with() {
    tokio::join!(
        talks(8_000, 256, END),
        talks(16_000, 512, END),
        talks(24_000, 512, HANGUP),
        talks(44_100, 1_024, END),
    );
}

/// What comes while the tester speaks, and after: as much sound as time has passed.
async fn measures(rate: u32, samples: usize) {
    let shop = Running::start([tenant("rossi", "", 1, &Script::new(&[], &[]))], QUICK, 100);
    let (mut tester, _) = Tester::connect(&shop, rate, samples).await;
    tester.until_voice_after(0, "the first message").await;
    let (since, before) = (Instant::now(), tester.sent());
    tester.speak(Duration::from_millis(2_000));
    let end = since + Duration::from_secs(3);
    tester.until("the third second", |_| Instant::now() >= end).await;
    let (passed, came) = (since.elapsed(), tester.sent() - before);
    assert!(
        came + OFF_MAX >= passed && came <= passed + OFF_MAX,
        "{rate} Hz: {came:?} of sound came in {passed:?}, in frames of the tester's of {samples} samples"
    );
    tester.relay(END).await;
    tester.until_closed().await;
    drop(tester);
    shop.close().await;
}

#[tokio::test]
async fn a_second_of_sound_comes_back_each_second_whatever_the_tester_s_frames() {
    tokio::join!(measures(8_000, 256), measures(16_000, 512), measures(24_000, 512), measures(44_100, 1_024));
}

#[tokio::test]
async fn a_whole_recording_in_one_frame_is_heard() {
    let script = Script::new(&["vorrei prenotare"], &[]);
    let shop = Running::start([tenant("rossi", "", 1, &script)], QUICK, 100);
    let (mut tester, call) = Tester::connect(&shop, 16_000, 512).await;
    tester.until_voice_after(0, "the first message").await;
    let mut recording = vec![0; 8_000];
    recording.extend(tester.tone(16_000));
    recording.resize(48_000, 0);
    let before = tester.voiced;
    tester.socket.send(binary(&recording)).await.unwrap();
    tester.until_voice_after(before, "the answer to the recording").await;
    assert!(tester.spoken("vorrei prenotare"), "{:?}", tester.events);

    // It closes without a word: as if the caller had hung up.
    tester.socket.close(None).await.unwrap();
    drop(tester);
    let over = async {
        loop {
            let shown = shown(&shop, &call).await;
            if shown["status"] == "ended" {
                return shown;
            }
        }
    };
    let over = timeout(LONG, over).await.expect("the call ends");
    assert_eq!(over["endedReason"], "customer-ended-call");
    shop.close().await;
}
