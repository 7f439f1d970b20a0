//! A shop whose model and tools are used by an assistant at Vapi: fakes that follow a script, and a peer that sends HTTP.
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

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream, stream::BoxStream};
use pronto::{
    call::{Ask, LlmEvent, Outcome, Settings, Then, ToolKind, ToolSpec},
    gateway::DrainSettings,
    providers::{Llm, ProviderError, Stt, Tts},
    tenant::{CallRecord, Engines, Profile, Tenant, TenantId, ToolRun, Tools},
    vapi::Vapi,
};
use secrecy::SecretString;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
    time::timeout,
};

use crate::gateway_shop::{Running, Script, Scripted};

pub const TOKEN: &str = "segreto";

/// Nothing in here takes so long.
const LONG: Duration = Duration::from_secs(20);

/// What the model and the tools of the shop do.
pub struct Shop {
    /// What the model answers, question by question; then it says nothing and waits.
    pub answers: Mutex<VecDeque<Vec<Said>>>,
    /// What it was asked.
    pub asks: Mutex<Vec<Ask>>,
    /// Questions so far.
    pub asked: Semaphore,
    /// Answers that were dropped before their end.
    pub dropped: Semaphore,
    /// Tools that were begun.
    pub begun: Semaphore,
    /// Tools may end, one for each.
    pub may_end: Semaphore,
    /// The model may go on, once for each [`Said::Wait`].
    pub may_go_on: Semaphore,
    /// The tools that ran to their end, in order.
    pub ran: Mutex<Vec<ToolRun>>,
    /// Tools that run, and the most at once.
    running: AtomicUsize,
    pub most: AtomicUsize,
    /// Tools that were dropped before their end.
    pub given_up: Semaphore,
    /// Tools wait to be let go.
    pub gated: bool,
    /// How the shop's calls behave: so patient that no timer ever decides a test, unless it says so.
    pub settings: Settings,
}

/// What a model says.
#[derive(Clone)]
pub enum Said {
    Event(LlmEvent),
    Fails(ProviderError),
    Panics,
    /// Waits until it may go on.
    Wait,
}

impl Shop {
    pub fn new(answers: Vec<Vec<Said>>) -> Self {
        Self {
            answers: Mutex::new(answers.into()),
            asks: Mutex::default(),
            asked: Semaphore::new(0),
            dropped: Semaphore::new(0),
            begun: Semaphore::new(0),
            may_end: Semaphore::new(0),
            may_go_on: Semaphore::new(0),
            ran: Mutex::default(),
            running: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            given_up: Semaphore::new(0),
            gated: false,
            settings: Settings { filler_ms: 60_000, patience_ms: 60_000, answer_ms: 60_000, ..Settings::default() },
        }
    }

    pub fn gated(answers: Vec<Vec<Said>>) -> Self {
        Self { gated: true, ..Self::new(answers) }
    }

    pub fn ran(&self) -> Vec<String> {
        self.ran.lock().unwrap().iter().map(|run| run.name.clone()).collect()
    }

    pub fn ask(&self, at: usize) -> Ask {
        self.asks.lock().unwrap()[at].clone()
    }
}

/// Waits for so many, and takes them.
pub async fn wait(what: &str, semaphore: &Semaphore, many: u32) {
    timeout(LONG, semaphore.acquire_many(many))
        .await
        .unwrap_or_else(|_| panic!("{what} did not come"))
        .unwrap()
        .forget();
}

/// The shop's model and tools.
pub struct Fake(pub Arc<Shop>);

/// Counts what is dropped before its end.
struct Whole {
    shop: Arc<Shop>,
    count: fn(&Shop) -> &Semaphore,
    ended: bool,
}

impl Whole {
    fn new(shop: &Arc<Shop>, count: fn(&Shop) -> &Semaphore) -> Self {
        Self { shop: Arc::clone(shop), count, ended: false }
    }

    fn end(&mut self) {
        self.ended = true;
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        if !self.ended {
            (self.count)(&self.shop).add_permits(1);
        }
    }
}

impl Llm for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn reply(&self, ask: Ask) -> BoxStream<'static, Result<LlmEvent, ProviderError>> {
        let said = self.0.answers.lock().unwrap().pop_front().unwrap_or_else(|| vec![Said::Wait]);
        self.0.asks.lock().unwrap().push(ask);
        self.0.asked.add_permits(1);
        let whole = Whole::new(&self.0, |shop| &shop.dropped);
        stream::unfold((VecDeque::from(said), whole), |(mut said, mut whole)| async move {
            loop {
                match said.pop_front() {
                    Some(Said::Event(event)) => return Some((Ok(event), (said, whole))),
                    Some(Said::Fails(error)) => return Some((Err(error), (said, whole))),
                    Some(Said::Panics) => panic!("a bug on purpose"),
                    Some(Said::Wait) => wait("the model's leave", &whole.shop.may_go_on, 1).await,
                    None => {
                        whole.end();
                        return None;
                    }
                }
            }
        })
        .boxed()
    }
}

impl Tools for Fake {
    fn specs(&self) -> Arc<[ToolSpec]> {
        let spec = |name: &str, kind| ToolSpec {
            name: name.into(),
            description: name.into(),
            parameters: serde_json::json!({ "type": "object" }),
            kind,
        };
        Arc::new([
            spec("find", ToolKind::Read),
            spec("book", ToolKind::Write),
            spec("end_call", ToolKind::Call),
            spec("transfer", ToolKind::Call),
            spec("bug", ToolKind::Write),
        ])
    }

    fn run(&self, run: ToolRun) -> BoxFuture<'static, Outcome> {
        let shop = Arc::clone(&self.0);
        async move {
            let mut whole = Whole::new(&shop, |shop| &shop.given_up);
            shop.begun.add_permits(1);
            let running = shop.running.fetch_add(1, Ordering::SeqCst) + 1;
            shop.most.fetch_max(running, Ordering::SeqCst);
            if shop.gated {
                wait("the tool's leave", &shop.may_end, 1).await;
            }
            shop.running.fetch_sub(1, Ordering::SeqCst);
            assert!(run.name != "bug", "a bug on purpose");
            let then = match run.name.as_str() {
                "end_call" => Then::EndCall,
                "transfer" => Then::Transfer("+390698765432".into()),
                _ => Then::GoOn,
            };
            let mut ran = shop.ran.lock().unwrap();
            ran.push(run.clone());
            whole.end();
            Outcome { content: format!("{{\"ok\":true,\n\"{}\":{}}}", run.name, ran.len()), then }
        }
        .boxed()
    }

    fn keep(&self, _record: CallRecord) -> BoxFuture<'static, ()> {
        async {}.boxed()
    }
}

/// A tenant with this model and these tools, served as it wants to be.
pub fn tenant(id: &str, vapi: Vapi, shop: &Arc<Shop>) -> Tenant {
    let mut profile = Profile::new(TenantId::new(id).unwrap(), "Officina", &SecretString::from(TOKEN));
    profile.vapi = vapi;
    profile.call = Arc::new(shop.settings.clone());
    let deaf = Arc::new(Scripted(Script::new(&[], &[])));
    with_engines(profile, shop, deaf.clone(), deaf)
}

/// A tenant with this recogniser and this voice.
pub fn with_engines(profile: Profile, shop: &Arc<Shop>, stt: Arc<dyn Stt>, tts: Arc<dyn Tts>) -> Tenant {
    let fake = Arc::new(Fake(Arc::clone(shop)));
    Tenant::new(profile, Engines { stt, llm: fake.clone(), tts }, fake)
}

/// A gateway with one such tenant, `rossi`.
pub fn running(vapi: Vapi, shop: &Arc<Shop>) -> Running {
    Running::start([tenant("rossi", vapi, shop)], DrainSettings { finish_s: 0, goodbye_s: 0 }, 100)
}

/// Sends a request and leaves the answer to be read.
pub async fn send(address: SocketAddr, path: &str, headers: &[(&str, &str)], body: &str) -> TcpStream {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.write_all(request.as_bytes()).await.unwrap();
    tcp
}

/// Reads until something stands in what was read, or the end.
pub async fn read_until(tcp: &mut TcpStream, read: &mut String, end: &str) {
    let mut buffer = [0; 4096];
    while !read.contains(end) {
        let got = timeout(LONG, tcp.read(&mut buffer)).await.unwrap_or_else(|_| panic!("no {end} in {read}"));
        let got = got.unwrap();
        if got == 0 {
            return;
        }
        read.push_str(std::str::from_utf8(&buffer[..got]).expect("our answers are short enough"));
    }
}

/// The status and the body.
pub async fn post(address: SocketAddr, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let mut tcp = send(address, path, headers, body).await;
    let mut read = String::new();
    read_until(&mut tcp, &mut read, "\0").await;
    let (head, body) = read.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}
