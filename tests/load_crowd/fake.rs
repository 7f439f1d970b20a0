//! A target with exactly known behaviour, and its own record of what it did when: a tiny WebSocket server. Which
//! behaviour, the tenant's name says.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures_util::{SinkExt, StreamExt, stream::SplitSink};
use pronto::{audio::g711, load::crowd::counted};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{sleep_until, timeout_at},
};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{ErrorResponse, Request, Response},
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

pub const FRAME: Duration = Duration::from_millis(20);

/// What the fake did, on the clock that the harness reads too.
#[derive(Debug, Default)]
pub struct Record {
    /// From the end of the caller's last voiced sample to the first frame of the answer.
    pub turns: Vec<Duration>,
    /// From the caller's first voiced sample in our speech to the end of what we had sent, as it is heard.
    pub cuts: Vec<Duration>,
    /// What is missing between the end of what was sent and what came next.
    pub holes: Vec<Duration>,
    /// Calls that were let in.
    pub calls: usize,
    /// Of these, calls that are over here too: everything they sent has come.
    pub ended: usize,
    /// Frames of audio that came.
    pub frames: usize,
    /// Calls that said goodbye in order.
    pub goodbyes: usize,
    /// Messages of Twilio callers, as they came.
    pub twilio: Vec<serde_json::Value>,
    /// When calls were let in.
    pub at: Vec<Instant>,
}

pub type Shared = Arc<Mutex<Record>>;
type Socket = WebSocketStream<TcpStream>;

/// Starts the fake. It lives in a runtime of its own, as a target does.
pub fn start() -> (SocketAddr, Shared) {
    let record = Shared::default();
    let shared = record.clone();
    (serving(move |tcp| call(tcp, shared.clone())), record)
}

/// A proxy as stands before a gateway: TLS outside, with the test's certificate, and the fake behind it.
pub fn behind_tls(target: SocketAddr) -> SocketAddr {
    const TLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tls");
    let certificate = CertificateDer::from_pem_file(format!("{TLS}/localhost.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(format!("{TLS}/localhost.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    serving(move |tcp| {
        let acceptor = TlsAcceptor::from(Arc::new(config.clone()));
        async move {
            let Ok(mut outside) = acceptor.accept(tcp).await else { return };
            let mut inside = TcpStream::connect(target).await.unwrap();
            inside.set_nodelay(true).unwrap();
            let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
        }
    })
}

/// Answers every connection, in a runtime of its own.
fn serving<F: Future<Output = ()> + Send + 'static>(answer: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                tcp.set_nodelay(true).unwrap();
                tokio::spawn(answer(tcp));
            }
        });
    });
    told.recv().unwrap()
}

#[expect(clippy::result_large_err, reason = "the library's own type")]
async fn call(tcp: TcpStream, record: Shared) {
    let mut path = String::new();
    let look = |request: &Request, response: Response| {
        path = request.uri().path().to_owned();
        if path.ends_with("refuses") {
            let mut refused = ErrorResponse::new(Some("{}".into()));
            *refused.status_mut() = 429.try_into().unwrap();
            return Err(refused);
        }
        Ok(response)
    };
    let Ok(socket) = accept_hdr_async(tcp, look).await else { return };
    {
        let mut record = record.lock().unwrap();
        record.calls += 1;
        record.at.push(Instant::now());
    }
    match path.rsplit('/').next().unwrap() {
        "answers" => answers(socket, &record).await,
        "yields" => yields(socket, &record).await,
        "hole" => hole(socket, &record).await,
        "closes" => closes(socket).await,
        "cuts" => cuts(socket).await,
        "loses" => counts(socket, &record, |frames| drop(frames.remove(40))).await,
        "doubles" => counts(socket, &record, |frames| frames.insert(40, frames[40].clone())).await,
        "clean" => counts(socket, &record, |_| {}).await,
        "carrier" => carrier(socket, &record).await,
        "mute" => listen(socket, &record).await,
        "rubbish" => rubbish(socket).await,
        other => panic!("no behaviour {other}"),
    }
    record.lock().unwrap().ended += 1;
}

/// One frame of a tone as loud as a voice.
pub fn tone() -> Vec<u8> {
    (0..160).map(|at| g711::mulaw(if at % 16 < 8 { 6_000 } else { -6_000 })).collect()
}

/// Where the first and the last loud sample of a frame are, in time from its beginning.
fn voice(frame: &[u8]) -> Option<(Duration, Duration)> {
    let loud = |code: &u8| g711::MULAW[usize::from(*code)].unsigned_abs() > 500;
    let at = |sample: usize| Duration::from_micros(sample as u64 * 125);
    Some((at(frame.iter().position(loud)?), at(frame.iter().rposition(loud)? + 1)))
}

async fn send(sink: &mut SplitSink<Socket, Message>, frame: &[u8]) -> bool {
    sink.send(Message::Binary(frame.to_vec().into())).await.is_ok()
}

/// So many frames of a tone, one every 20 ms. When the first one was sent.
async fn speak(sink: &mut SplitSink<Socket, Message>, frames: usize) -> Instant {
    let begun = Instant::now();
    for frame in 0..frames {
        sleep_until((begun + FRAME * frame as u32).into()).await;
        send(sink, &tone()).await;
    }
    begun
}

/// Greets for 200 ms. Answers 300 ms after the last voiced frame.
async fn answers(socket: Socket, record: &Shared) {
    let (mut sink, mut source) = socket.split();
    speak(&mut sink, 10).await;
    let mut heard: Option<(Instant, Duration)> = None;
    loop {
        let due =
            heard.map_or_else(|| Instant::now() + Duration::from_secs(60), |(at, _)| at + Duration::from_millis(300));
        match timeout_at(due.into(), source.next()).await {
            Ok(Some(Ok(Message::Binary(frame)))) => {
                let now = Instant::now();
                record.lock().unwrap().frames += 1;
                if let Some((_, last)) = voice(&frame) {
                    heard = Some((now, last));
                }
            }
            Ok(Some(Ok(Message::Close(_)))) => record.lock().unwrap().goodbyes += 1,
            Ok(Some(Ok(_))) => {}
            Ok(Some(Err(_)) | None) => return,
            Err(_due) => {
                let (at, last) = heard.take().unwrap();
                let sent = speak(&mut sink, 1).await;
                record.lock().unwrap().turns.push(sent - at + (FRAME - last));
                speak(&mut sink, 15).await;
            }
        }
    }
}

/// Speaks until 120 ms after it hears a voice.
async fn yields(socket: Socket, record: &Shared) {
    let (mut sink, mut source) = socket.split();
    let begun = Instant::now();
    let (mut frames, mut stop): (u32, Option<Instant>) = (0, None);
    let mut onset = None;
    loop {
        let now = Instant::now();
        if stop.is_none_or(|stop| now < stop) && begun + FRAME * frames <= now {
            send(&mut sink, &tone()).await;
            frames += 1;
        }
        if let Some(onset) = stop.is_some_and(|stop| now >= stop).then(|| onset.take()).flatten() {
            // A telephone plays it 20 ms after the first had come.
            record.lock().unwrap().cuts.push((begun + FRAME * (frames + 1)) - onset);
        }
        let wait = if onset.is_none() && stop.is_some() { now + FRAME } else { begun + FRAME * frames };
        match timeout_at(wait.into(), source.next()).await {
            Ok(Some(Ok(Message::Binary(frame)))) => {
                let now = Instant::now();
                if let (Some((first, _)), None) = (voice(&frame), stop) {
                    onset = Some(now - (FRAME - first));
                    stop = Some(now + Duration::from_millis(120));
                }
            }
            Ok(Some(Ok(_))) | Err(_) => {}
            Ok(Some(Err(_)) | None) => return,
        }
    }
}

/// Says something of 400 ms with a pause of 200 ms in its middle in which nothing comes.
async fn hole(socket: Socket, record: &Shared) {
    let (mut sink, mut source) = socket.split();
    let begun = speak(&mut sink, 10).await;
    sleep_until((begun + FRAME * 20).into()).await;
    let again = speak(&mut sink, 10).await;
    record.lock().unwrap().holes.push(again - begun - FRAME * 10);
    while let Some(Ok(_)) = source.next().await {}
}

async fn closes(mut socket: Socket) {
    let frame = CloseFrame { code: CloseCode::Again, reason: "full".into() };
    let _ = socket.close(Some(frame)).await;
    while let Some(Ok(_)) = socket.next().await {}
}

async fn cuts(socket: Socket) {
    let (mut sink, _source) = socket.split();
    speak(&mut sink, 5).await;
}

/// Says two seconds of the counted voice, changed.
async fn counts(socket: Socket, record: &Shared, change: impl FnOnce(&mut Vec<Vec<u8>>)) {
    let (mut sink, mut source) = socket.split();
    let sound = counted::voice(16_000, pronto::audio::Rate::PHONE);
    let coded: Vec<u8> = sound.iter().map(|sample| g711::mulaw(*sample)).collect();
    // Not on the voice's own grid.
    let mut frames: Vec<Vec<u8>> = coded[53..].chunks_exact(160).map(<[u8]>::to_vec).collect();
    change(&mut frames);
    let begun = Instant::now();
    for (at, frame) in frames.iter().enumerate() {
        sleep_until((begun + FRAME * at as u32).into()).await;
        send(&mut sink, frame).await;
    }
    while let Some(Ok(_)) = source.next().await {
        record.lock().unwrap().frames += 1;
    }
}

/// Keeps what a Twilio caller sends; plays 400 ms, a mark behind 200 of them, and clears the rest at once.
async fn carrier(socket: Socket, record: &Shared) {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let (mut sink, mut source) = socket.split();
    let mut stream = None;
    while let Some(Ok(message)) = source.next().await {
        let Message::Text(text) = message else { continue };
        let message: serde_json::Value = serde_json::from_str(&text).unwrap();
        let begins = message["event"] == "start";
        if begins {
            stream = message["streamSid"].as_str().map(ToOwned::to_owned);
        }
        record.lock().unwrap().twilio.push(message);
        let Some(id) = stream.as_ref().filter(|_| begins) else { continue };
        let payload = STANDARD.encode(tone());
        let media = format!(r#"{{"event":"media","streamSid":"{id}","media":{{"payload":"{payload}"}}}}"#);
        let mark = format!(r#"{{"event":"mark","streamSid":"{id}","mark":{{"name":"half \"way\""}}}}"#);
        let clear = format!(r#"{{"event":"clear","streamSid":"{id}"}}"#);
        for text in
            std::iter::repeat_n(&media, 10).chain([&mark]).chain(std::iter::repeat_n(&media, 10)).chain([&clear])
        {
            let _ = sink.send(Message::text(text.clone())).await;
        }
    }
    record.lock().unwrap().goodbyes += 1;
}

async fn listen(socket: Socket, record: &Shared) {
    let (_sink, mut source) = socket.split();
    while let Some(Ok(message)) = source.next().await {
        match message {
            Message::Binary(_) => record.lock().unwrap().frames += 1,
            Message::Close(_) => record.lock().unwrap().goodbyes += 1,
            Message::Text(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
}

async fn rubbish(socket: Socket) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut tcp = socket.into_inner();
    let _ = tcp.write_all(&[0xFF; 64]).await;
    // It is the caller who hangs up.
    let mut rest = [0; 1_024];
    while tcp.read(&mut rest).await.is_ok_and(|read| read > 0) {}
}
