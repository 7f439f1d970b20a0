//! What the gateway adds to an assistant that lives at Vapi, door by door, over loopback and with engines that answer at
//! once: what is left is ours, the sockets and the scheduler included.
//!
//! - brain: from the last byte of the question to the first word on the wire;
//! - mouth: from the last byte of the request to the first byte of sound;
//! - ears: from the end of the customer's speech, in frames that are sent in real time, to the final text, without the
//!   silence after which the recogniser is asked to finish (`call.endpointing.commit_ms`).
//!
//! `cargo bench --no-default-features --features gateway --bench doors`; `PRONTO_TIMES` (200) says how often each.
#![expect(clippy::print_stdout, reason = "a report")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{FutureExt, SinkExt, StreamExt, future::BoxFuture, stream, stream::BoxStream};
use pronto::{
    audio::{Rate, signal},
    call::{Ask, Finish, LlmEvent, Outcome, SttEvent, ToolSpec, TtsEvent},
    gateway::{self, Gateway},
    language::Language,
    providers::{Heard, Llm, ProviderError, Say, Stt, SttCapabilities, Tts, TtsCapabilities},
    tenant::{CallRecord, Directory, Engines, Profile, Tenant, TenantId, ToolRun, Tools},
};
use secrecy::SecretString;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{MissedTickBehavior, interval},
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest},
};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const TOKEN: &str = "a token of nobody";

/// Answers at once.
struct Engine;

impl Stt for Engine {
    fn capabilities(&self) -> SttCapabilities {
        SttCapabilities { name: "bench", partials: false, turns: false, commits: true }
    }

    fn listen(
        &self,
        audio: BoxStream<'static, Heard>,
        _: Language,
    ) -> BoxStream<'static, std::result::Result<SttEvent, ProviderError>> {
        let says = |heard| match heard {
            Heard::Audio(_) => vec![],
            Heard::Commit(commit) => {
                vec![Ok(SttEvent::Final { text: "Vorrei un tagliando.".into() }), Ok(SttEvent::Committed { commit })]
            }
        };
        audio.flat_map(move |heard| stream::iter(says(heard))).boxed()
    }
}

impl Llm for Engine {
    fn name(&self) -> &'static str {
        "bench"
    }

    fn reply(&self, _: Ask) -> BoxStream<'static, std::result::Result<LlmEvent, ProviderError>> {
        stream::iter([Ok(LlmEvent::Words("Certo.".into())), Ok(LlmEvent::Done(Finish::Said))]).boxed()
    }
}

impl Tts for Engine {
    fn capabilities(&self) -> TtsCapabilities {
        TtsCapabilities { name: "bench", rate: Rate::VOICE, alignment: false }
    }

    fn speak(&self, _: Say) -> BoxStream<'static, std::result::Result<TtsEvent, ProviderError>> {
        let piece = || Ok(TtsEvent::Audio(signal::sine(200.0, Rate::VOICE, 9_000.0, 0, 2_400)));
        stream::iter([piece(), piece(), Ok(TtsEvent::Done)]).boxed()
    }
}

impl Tools for Engine {
    fn specs(&self) -> Arc<[ToolSpec]> {
        Arc::new([])
    }

    fn run(&self, _: ToolRun) -> BoxFuture<'static, Outcome> {
        std::future::pending().boxed()
    }

    fn keep(&self, _: CallRecord) -> BoxFuture<'static, ()> {
        async {}.boxed()
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    // `cargo test --benches` runs this too: twice is enough there.
    let usual = if std::env::args().any(|argument| argument == "--bench") { 200 } else { 2 };
    let times: usize = std::env::var("PRONTO_TIMES").ok().and_then(|times| times.parse().ok()).unwrap_or(usual);
    let mut profile = Profile::new(TenantId::new("bench")?, "Officina", &SecretString::from(TOKEN));
    profile.zone = jiff::tz::TimeZone::UTC;
    let commit = Duration::from_millis(profile.call.endpointing.commit_ms);
    let engine = Arc::new(Engine);
    let engines = Engines { stt: engine.clone(), llm: engine.clone(), tts: engine.clone() };
    let tenants = Arc::new(Directory::new());
    tenants.put(Arc::new(Tenant::new(profile, engines, engine)));
    let gateway = Gateway::new(tenants, gateway::Settings::default());
    // A thread of its own: the peer's work is not the gateway's.
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = gateway::listen("127.0.0.1:0".parse().expect("an address")).expect("a port");
            let _ = tell.send(listener.local_addr());
            gateway.run(listener, std::future::pending()).await;
        });
    });
    let address = told.recv()??;

    println!("{times} times each, engines that answer at once");
    let question = r#"{"model":"bench","stream":true,"messages":[{"role":"user","content":"Pronto?"}]}"#;
    let (mut brain, mut mouth) = (Vec::new(), Vec::new());
    let request = r#"{"message":{"type":"voice-request","text":"Certo, giovedì alle nove.","sampleRate":16000}}"#;
    for _ in 0..times {
        brain.push(first(address, "chat/completions", question, b"Certo").await?);
        mouth.push(first(address, "voice", request, b"\r\n\r\n").await?);
    }
    println!("  brain, question to first word           {}", spread(brain));
    println!("  mouth, request to first sound           {}", spread(mouth));
    println!("  ears, end of speech to final text       {}", spread(heard(address, times.div_ceil(4), commit).await?));
    Ok(())
}

/// From the last byte of a request to the first read that has all of this in it. The connection is open by then.
async fn first(address: SocketAddr, path: &str, body: &str, sign: &[u8]) -> Result<Duration> {
    let mut tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    let request = format!(
        "POST /vapi/bench/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    // The gateway has accepted by the time that most of the request has been read.
    let (most, last) = request.as_bytes().split_at(request.len() - 1);
    tcp.write_all(most).await?;
    tokio::time::sleep(Duration::from_millis(5)).await;
    let begun = Instant::now();
    tcp.write_all(last).await?;
    let (mut read, mut buffer) = (Vec::new(), [0; 4_096]);
    let found = loop {
        let got = tcp.read(&mut buffer).await?;
        read.extend_from_slice(&buffer[..got]);
        let at = read.windows(sign.len()).position(|bytes| bytes == sign);
        // Behind the head there must be something of the body.
        if at.is_some_and(|at| read.len() > at + sign.len() || sign != b"\r\n\r\n") || got == 0 {
            break at;
        }
    };
    let took = begun.elapsed();
    found.ok_or_else(|| String::from_utf8_lossy(&read).into_owned())?;
    while tcp.read(&mut buffer).await? > 0 {}
    Ok(took)
}

/// Sentences of a customer in real time, and how long after each its text came.
async fn heard(address: SocketAddr, times: usize, commit: Duration) -> Result<Vec<Duration>> {
    let mut request = format!("ws://{address}/vapi/bench/transcriber").into_client_request()?;
    request.headers_mut().insert("x-vapi-secret", TOKEN.parse()?);
    let (mut socket, _) = client_async(request, TcpStream::connect(address).await?).await?;
    socket.send(Message::text(r#"{"type":"start","sampleRate":16000,"channels":2}"#)).await?;
    let mut pace = interval(Duration::from_millis(20));
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (voice, mut took) = (voice(), Vec::new());
    for _ in 0..times {
        for frame in voice.chunks(320) {
            pace.tick().await;
            say(&mut socket, frame).await?;
        }
        let end = Instant::now();
        let text = loop {
            tokio::select! {
                _ = pace.tick() => say(&mut socket, &[0; 320]).await?,
                message = socket.next() => if let Message::Text(text) = message.ok_or("closed")?? {
                    break text;
                },
            }
        };
        assert!(text.contains("final"), "{text}");
        took.push(end.elapsed().saturating_sub(commit));
        for _ in 0..20 {
            pace.tick().await;
            say(&mut socket, &[0; 320]).await?;
        }
    }
    Ok(took)
}

/// A voice with its pitch, 600 ms of it.
fn voice() -> Vec<i16> {
    let mut sound = signal::Noise::new(1).white(9_600, -65.0);
    for harmonic in 1..=12 {
        let part = signal::sine(130.0 * f64::from(harmonic), Rate::WIDE, 4_000.0 / f64::from(harmonic), 0, 9_600);
        signal::add(&mut sound, &part, 0);
    }
    sound
}

/// One frame: the customer says this, the assistant nothing.
async fn say(socket: &mut WebSocketStream<TcpStream>, samples: &[i16]) -> Result<()> {
    let bytes: Vec<u8> = samples.iter().flat_map(|sample| [*sample, 0]).flat_map(i16::to_le_bytes).collect();
    Ok(socket.send(Message::binary(bytes)).await?)
}

fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1e3;
    format!("p50 {:.2} ms, p95 {:.2} ms, max {:.2} ms", at(50), at(95), at(100))
}
