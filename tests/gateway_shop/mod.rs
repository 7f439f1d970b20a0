//! A shop for the gateway's tests: engines that follow a script, a caller on a real WebSocket.
#![allow(dead_code, reason = "each test uses its own part")]

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{FutureExt, SinkExt, StreamExt, future::BoxFuture, stream, stream::BoxStream};
use pronto::{
    audio::{Detector, Rate, VadSettings},
    call::{
        Ask, Endpointing, EndpointingPolicy, Finish, LlmEvent, Message as Said, Outcome, Settings, SttEvent, Then,
        ToolKind, ToolSpec, TtsEvent,
    },
    gateway::{self, DrainSettings, Gateway},
    language::Language,
    providers::{Heard, Llm, ProviderError, Say, Stt, SttCapabilities, Tts, TtsCapabilities},
    tenant::{CallRecord, Directory, Engines, Profile, Tenant, TenantId, ToolRun, Tools, Twilio},
};
use secrecy::SecretString;
use tokio::{
    net::TcpStream,
    sync::{Notify, oneshot},
    task::JoinHandle,
    time::{interval, sleep, timeout},
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{self, Message, client::IntoClientRequest, protocol::frame::coding::CloseCode},
};

pub const TOKEN: &str = "segreto";

/// What the engines of a shop do.
#[derive(Default)]
pub struct Script {
    /// What the recogniser hears in each utterance.
    pub hears: Mutex<VecDeque<&'static str>>,
    /// What the model answers to each question; when it is used up, it repeats what the caller said.
    pub answers: Mutex<VecDeque<Answer>>,
    /// Tools that were run to their end.
    pub tools_done: AtomicUsize,
    /// Told when one was.
    pub tool_done: Notify,
    /// What follows from a tool.
    pub then: Option<Then>,
    /// How long a tool takes.
    pub tool_takes: Duration,
    /// Answers of the model that were dropped before their end.
    pub dropped: AtomicUsize,
    /// The records of ended calls.
    pub records: Mutex<Vec<CallRecord>>,
}

/// One answer of the model.
#[derive(Debug, Clone)]
pub enum Answer {
    /// These words.
    Words(String),
    /// The tool `book`.
    Book,
    /// A bug.
    Panic,
    /// Nothing, ever.
    Silence,
}

impl Script {
    pub fn new(hears: &[&'static str], answers: &[Answer]) -> Arc<Self> {
        Arc::new(Self {
            hears: Mutex::new(hears.iter().copied().collect()),
            answers: Mutex::new(answers.iter().cloned().collect()),
            ..Self::default()
        })
    }
}

/// An answer that has no end; it is counted when it is dropped.
struct Endless(Arc<Script>);

impl Drop for Endless {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

/// All engines of a shop in one.
pub struct Scripted(pub Arc<Script>);

impl Stt for Scripted {
    fn capabilities(&self) -> SttCapabilities {
        SttCapabilities { name: "scripted", partials: true, turns: false, commits: true }
    }

    /// Says the next line when the caller pauses.
    fn listen(
        &self,
        audio: BoxStream<'static, Heard>,
        _language: Language,
    ) -> BoxStream<'static, Result<SttEvent, ProviderError>> {
        let script = Arc::clone(&self.0);
        audio
            .flat_map(move |heard| {
                let events = match heard {
                    Heard::Audio(_) => vec![],
                    Heard::Commit(commit) => {
                        let text = script.hears.lock().unwrap().pop_front();
                        text.map(|text| SttEvent::Final { text: text.into() })
                            .into_iter()
                            .chain([SttEvent::Committed { commit }])
                            .collect()
                    }
                };
                stream::iter(events.into_iter().map(Ok))
            })
            .boxed()
    }
}

impl Llm for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn reply(&self, ask: Ask) -> BoxStream<'static, Result<LlmEvent, ProviderError>> {
        let answer = self.0.answers.lock().unwrap().pop_front().unwrap_or_else(|| {
            let last = ask.messages.iter().rev().find_map(|message| match message {
                Said::Caller { text } => Some(text.clone()),
                Said::Agent { .. } | Said::Asked { .. } | Said::Outcome { .. } | Said::Note { .. } => None,
            });
            Answer::Words(format!("Lei ha detto: {}.", last.unwrap_or_default()))
        });
        let events = match answer {
            Answer::Words(words) => vec![LlmEvent::Words(words), LlmEvent::Done(Finish::Said)],
            Answer::Book => vec![
                LlmEvent::Tool { id: "t1".into(), name: "book".into(), arguments: r#"{"name":"Ottavia"}"#.into() },
                LlmEvent::Done(Finish::Tools),
            ],
            Answer::Panic => panic!("a bug on purpose"),
            Answer::Silence => {
                let endless = Endless(Arc::clone(&self.0));
                return stream::pending()
                    .inspect(move |_| {
                        let _ = &endless;
                    })
                    .boxed();
            }
        };
        stream::iter(events.into_iter().map(Ok)).boxed()
    }
}

impl Tts for Scripted {
    fn capabilities(&self) -> TtsCapabilities {
        TtsCapabilities { name: "scripted", rate: Rate::WIDE, alignment: false }
    }

    /// A tone of 25 ms for each letter.
    fn speak(&self, say: Say) -> BoxStream<'static, Result<TtsEvent, ProviderError>> {
        let letters = say.text.chars().count();
        let audio = (0..letters).map(|_| Ok(TtsEvent::Audio(tone(400))));
        stream::iter(audio.chain([Ok(TtsEvent::Done)])).boxed()
    }
}

impl Tools for Scripted {
    fn specs(&self) -> Arc<[ToolSpec]> {
        Arc::new([ToolSpec {
            name: "book".into(),
            description: "books".into(),
            parameters: serde_json::json!({ "type": "object" }),
            kind: ToolKind::Write,
        }])
    }

    fn run(&self, _run: ToolRun) -> BoxFuture<'static, Outcome> {
        let script = Arc::clone(&self.0);
        async move {
            sleep(script.tool_takes).await;
            script.tools_done.fetch_add(1, Ordering::SeqCst);
            script.tool_done.notify_one();
            let then = script.then.clone().unwrap_or(Then::GoOn);
            Outcome { content: r#"{"ok":true}"#.into(), then }
        }
        .boxed()
    }

    fn keep(&self, record: CallRecord) -> BoxFuture<'static, ()> {
        let script = Arc::clone(&self.0);
        async move {
            if record.end.is_some() {
                script.records.lock().unwrap().push(record);
            }
        }
        .boxed()
    }
}

/// A loud tone at 16 kHz, speech to a detector of energy.
pub fn tone(samples: usize) -> Vec<i16> {
    (0..samples).map(|i| ((i as f32 * 0.2).sin() * 9_000.0) as i16).collect()
}

pub fn tenant(id: &str, greeting: &str, calls_max: usize, script: &Arc<Script>) -> Tenant {
    tenant_with(id, greeting, calls_max, None, script)
}

pub fn tenant_with(id: &str, greeting: &str, calls_max: usize, twilio: Option<Twilio>, script: &Arc<Script>) -> Tenant {
    run_by(Profile { twilio, ..profile(id, greeting, calls_max) }, script)
}

/// How the shops of these tests are run.
pub fn profile(id: &str, greeting: &str, calls_max: usize) -> Profile {
    let mut profile = Profile::new(TenantId::new(id).unwrap(), "Officina", &SecretString::from(TOKEN));
    profile.greeting = greeting.into();
    profile.calls_max = calls_max;
    profile.call = Arc::new(Settings {
        vad: VadSettings { detector: Detector::Energy, noise_suppression: false, ..VadSettings::default() },
        endpointing: Endpointing { policy: EndpointingPolicy::Silence, silence_ms: 400, ..Endpointing::default() },
        ..Settings::default()
    });
    profile
}

/// A shop with the engines of a script.
pub fn run_by(profile: Profile, script: &Arc<Script>) -> Tenant {
    let scripted = Arc::new(Scripted(Arc::clone(script)));
    let engines = Engines { stt: scripted.clone(), llm: scripted.clone(), tts: scripted.clone() };
    Tenant::new(profile, engines, scripted)
}

/// A gateway that runs.
pub struct Running {
    pub address: SocketAddr,
    pub tenants: Arc<Directory>,
    stop: Option<oneshot::Sender<()>>,
    done: JoinHandle<()>,
}

impl Running {
    pub fn start(tenants: impl IntoIterator<Item = Tenant>, drain: DrainSettings, connections_max: usize) -> Self {
        let directory = Arc::new(Directory::new());
        for tenant in tenants {
            directory.put(Arc::new(tenant));
        }
        let listener = gateway::listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let gateway = Gateway::new(
            Arc::clone(&directory),
            gateway::Settings { connections_max, drain, ..gateway::Settings::default() },
        );
        let done = tokio::spawn(async move { gateway.run(listener, stopped.map(|_| ())).await });
        Self { address, tenants: directory, stop: Some(stop), done }
    }

    pub async fn dial(
        &self,
        path: &str,
        token: Option<&str>,
    ) -> Result<WebSocketStream<TcpStream>, tungstenite::Error> {
        let mut request = format!("ws://{}{path}", self.address).into_client_request().unwrap();
        if let Some(token) = token {
            request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        let tcp = TcpStream::connect(self.address).await.unwrap();
        client_async(request, tcp).await.map(|(socket, _)| socket)
    }

    /// A caller in Vapi's dialect.
    pub async fn call(&self, tenant: &str) -> Caller {
        Caller::new(self.dial(&format!("/v1/stream/{tenant}?from=%2B393331234567"), Some(TOKEN)).await.unwrap())
    }

    /// Begins the shutdown.
    pub fn stop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
    }

    pub async fn close(mut self) {
        self.stop();
        timeout(Duration::from_secs(20), self.done).await.expect("the gateway ends").unwrap();
    }
}

/// Somebody on the telephone: sends a frame every 20 ms and listens.
pub struct Caller {
    pub socket: WebSocketStream<TcpStream>,
    pace: tokio::time::Interval,
    /// Frames of speech still to be said.
    speech: usize,
    /// Events received, by type.
    pub events: Vec<serde_json::Value>,
    /// Frames of voice received.
    pub voiced: usize,
    /// Frames of silence since the last voice.
    pub silent: usize,
    /// The close frame.
    pub closed: Option<(CloseCode, String)>,
}

impl Caller {
    pub fn new(socket: WebSocketStream<TcpStream>) -> Self {
        let pace = interval(Duration::from_millis(20));
        Self { socket, pace, speech: 0, events: vec![], voiced: 0, silent: 0, closed: None }
    }

    /// Speaks from now on for so many milliseconds.
    pub fn speak(&mut self, ms: usize) {
        self.speech = ms / 20;
    }

    pub async fn send(&mut self, json: &str) {
        self.socket.send(Message::Text(json.into())).await.unwrap();
    }

    /// Goes on until something is true, at most 20 s.
    pub async fn until(&mut self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        let end = tokio::time::Instant::now() + Duration::from_secs(20);
        while !is_so(self) {
            assert!(tokio::time::Instant::now() < end, "{what} did not come: {:?}", self.kinds());
            assert!(self.closed.is_none(), "closed before {what}: {:?}, {:?}", self.closed, self.kinds());
            self.round().await;
        }
    }

    /// Goes on until the gateway closes.
    pub async fn hear_out(&mut self) -> (CloseCode, String) {
        let end = tokio::time::Instant::now() + Duration::from_secs(20);
        while self.closed.is_none() {
            assert!(tokio::time::Instant::now() < end, "never closed: {:?}", self.kinds());
            self.round().await;
        }
        self.closed.clone().unwrap()
    }

    pub fn kinds(&self) -> Vec<String> {
        self.events.iter().map(|event| event["type"].as_str().unwrap_or("?").to_owned()).collect()
    }

    pub fn count(&self, kind: &str) -> usize {
        self.events.iter().filter(|event| event["type"] == kind).count()
    }

    pub fn text(&self, kind: &str) -> String {
        self.events.iter().filter(|event| event["type"] == kind).map(|event| event.to_string()).collect()
    }

    pub async fn round(&mut self) {
        tokio::select! {
            _ = self.pace.tick() => {
                let samples = if self.speech > 0 { tone(320) } else { vec![0; 320] };
                self.speech = self.speech.saturating_sub(1);
                let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
                // The gateway may close meanwhile: that is seen on the reading side.
                let _ = self.socket.send(Message::Binary(bytes.into())).await;
            }
            message = self.socket.next() => match message {
                Some(Ok(Message::Binary(bytes))) if bytes.iter().any(|byte| *byte != 0) => {
                    self.voiced += 1;
                    self.silent = 0;
                }
                Some(Ok(Message::Binary(_))) => self.silent += 1,
                Some(Ok(Message::Text(text))) => self.events.push(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(Some(frame)))) => self.closed = Some((frame.code, frame.reason.to_string())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => {
                    self.closed.get_or_insert((CloseCode::Abnormal, String::new()));
                }
            }
        }
    }
}
