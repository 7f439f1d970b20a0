//! One port for every endpoint: HTTP/1.1 and WebSocket, routed by path.
//!
//! Every connection and stream is a task of one set, so that stopping the lab ends them all.

use std::{
    convert::Infallible,
    future::Future,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, Full, Limited, StreamBody, combinators::BoxBody};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Frame, Incoming},
    header::{self, HeaderName, HeaderValue},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        handshake::derive_accept_key,
        protocol::{Role, WebSocketConfig},
    },
};

use super::{
    deepgram,
    ears::Ears,
    faults::{Fault, Faults, Gate, Harm, Pass},
    journal::{Endpoint, Journal},
    latency::Dice,
    openai,
    settings::LabSettings,
    speech::{self, Speech, SpeechError, Voice},
};
use crate::{audio::Rate, load::crowd::counted};

/// The longest request body: a minute of sound, generously.
const BODY_MAX: usize = 25 << 20;
/// How long the counted voice takes for each sign of a text, as long as speech takes.
const COUNTED_SIGN: Duration = Duration::from_millis(60);
/// Events written ahead of the client.
const AHEAD: usize = 8;

/// A body, whole or streamed. Its error is a broken connection.
pub type Body = BoxBody<Bytes, io::Error>;
/// An answer.
pub type Reply = Response<Body>;
/// A WebSocket of ours.
pub type Socket = WebSocketStream<TcpStream>;
/// A request as it comes.
pub type Ask = Request<Incoming>;

/// Close the connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("closed by a fault")]
pub struct Closed;

/// Everything the endpoints share.
#[derive(Debug)]
pub struct House {
    /// What the lab was started with.
    pub settings: LabSettings,
    /// Its voice.
    pub speech: Arc<Speech>,
    /// Its ears.
    pub ears: Ears,
    /// What goes wrong.
    pub faults: Faults,
    /// What happened.
    pub journal: Journal,
    /// Chance.
    pub dice: Dice,
    /// Connections and streams.
    tasks: Mutex<JoinSet<()>>,
}

impl House {
    /// A house with nobody in it.
    pub fn new(settings: LabSettings, speech: Arc<Speech>, ears: Ears) -> Self {
        let faults = Faults::default();
        settings.faults.iter().cloned().for_each(|fault| faults.add(fault));
        let dice = Dice::new(settings.seed);
        Self { settings, speech, ears, faults, journal: Journal::default(), dice, tasks: Mutex::default() }
    }

    /// Runs a task that ends with the lab.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// The agent's voice says a text.
    pub async fn say(&self, text: &str, voice: &Voice, rate: Rate) -> Result<Arc<[i16]>, SpeechError> {
        match self.settings.voice {
            speech::Kind::EspeakNg => self.speech.say(text, voice, rate).await,
            speech::Kind::Counted => {
                let spoken = COUNTED_SIGN * text.chars().count() as u32;
                Ok(counted::voice(rate.samples(spoken), rate).into())
            }
        }
    }

    /// Ends every connection and stream.
    pub fn shut(&self) -> JoinSet<()> {
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.abort_all();
        tasks
    }

    /// An id as the vendors give them.
    pub fn id(&self, prefix: &str) -> String {
        format!("{prefix}{:016x}{:08x}", self.dice.roll(), self.dice.roll() as u32)
    }

    /// A UUID as Deepgram gives them.
    pub fn uuid(&self) -> String {
        let bits = (u128::from(self.dice.roll()) << 64) | u128::from(self.dice.roll());
        uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid().to_string()
    }

    /// Waits as long as an endpoint waits before its first answer.
    pub async fn first(&self, endpoint: Endpoint) {
        tokio::time::sleep(self.settings.latency.of(endpoint).first.sample(&self.dice)).await;
    }

    /// Waits as long as an endpoint waits between its answers.
    pub async fn next(&self, endpoint: Endpoint) {
        let wait = self.settings.latency.of(endpoint).next.sample(&self.dice);
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }
}

/// Accepts connections until it is dropped.
pub async fn accept(house: Arc<House>, listener: TcpListener) {
    loop {
        let Ok((tcp, _)) = listener.accept().await else {
            // Out of file descriptors: the next try is no better at once.
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            continue;
        };
        house.journal.connection();
        let _ = tcp.set_nodelay(true);
        let serve = house.clone();
        house.spawn(async move {
            let service = service_fn(|request| route(serve.clone(), request));
            let _ = hyper::server::conn::http1::Builder::new()
                .max_buf_size(64 * 1024)
                .serve_connection(TokioIo::new(tcp), service)
                .with_upgrades()
                .await;
        });
    }
}

/// Finds the endpoint.
async fn route(house: Arc<House>, request: Ask) -> Result<Reply, Closed> {
    let path = request.uri().path().to_string();
    match (request.method(), path.as_str()) {
        (&Method::POST, "/v1/chat/completions") => openai::chat(house, request).await,
        (&Method::POST, "/v1/audio/transcriptions") => openai::transcriptions(house, request).await,
        (&Method::POST, "/v1/audio/speech") => openai::speech(house, request).await,
        (&Method::GET, "/v1/models") => openai::models(&house, &request).await,
        (&Method::GET, "/v1/listen") => deepgram::upgrade(house, Endpoint::Nova, request).await,
        (&Method::GET, "/v2/listen") => deepgram::upgrade(house, Endpoint::Flux, request).await,
        (&Method::GET, "/v1/speak") => deepgram::upgrade(house, Endpoint::Aura, request).await,
        (_, "/lab/faults") => Ok(faults(&house, request).await),
        (&Method::GET, "/lab/journal") => Ok(json_reply(StatusCode::OK, &house.journal.page())),
        (&Method::DELETE, "/lab/journal") => {
            house.journal.forget();
            Ok(json_reply(StatusCode::OK, &json!({})))
        }
        _ => Ok(openai::error(
            StatusCode::NOT_FOUND,
            &format!("Invalid URL ({} {path})", request.method()),
            "invalid_request_error",
            None,
            None,
        )),
    }
}

/// `GET`, `POST` (one fault or a list) and `DELETE /lab/faults`.
async fn faults(house: &House, request: Ask) -> Reply {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        Many(Vec<Fault>),
        One(Fault),
    }
    let method = request.method().clone();
    if method == Method::POST {
        let Some(body) = read(request).await else { return plain(StatusCode::PAYLOAD_TOO_LARGE, "too long") };
        match serde_json::from_slice(&body) {
            Ok(OneOrMany::Many(faults)) => faults.into_iter().for_each(|fault| house.faults.add(fault)),
            Ok(OneOrMany::One(fault)) => house.faults.add(fault),
            Err(_) => {
                let example = r#"{"endpoint": "chat", "kind": "stall", "after": 3, "times": 1}"#;
                return plain(StatusCode::BAD_REQUEST, &format!("not a fault; one looks like {example}"));
            }
        }
    } else if method == Method::DELETE {
        house.faults.clear();
    }
    json_reply(StatusCode::OK, &house.faults.list())
}

/// What is to be done with a request, before anything of it is looked at.
pub async fn door(house: &House, endpoint: Endpoint) -> Result<Option<Harm>, Closed> {
    let harm = house.faults.begin(endpoint);
    if harm.is_some() {
        house.journal.count(endpoint, |counts| counts.harmed += 1);
    }
    match harm {
        Some(Harm::Refuse) => Err(Closed),
        Some(Harm::Silent) => {
            // Until the faults are cleared, and then it is too late for this one.
            Gate::new(endpoint, Some(Harm::Silent)).pass(&house.faults).await;
            Err(Closed)
        }
        harm => Ok(harm),
    }
}

/// The whole body; none when it is too long or broke off.
pub async fn read(request: Ask) -> Option<Bytes> {
    Limited::new(request.into_body(), BODY_MAX).collect().await.ok().map(http_body_util::Collected::to_bytes)
}

/// A body in one piece.
pub fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never: Infallible| match never {}).boxed()
}

/// An answer in JSON.
pub fn json_reply(status: StatusCode, body: &impl Serialize) -> Reply {
    let body = serde_json::to_vec(body).expect("our own types have no keys but strings");
    with(status, "application/json", whole(body))
}

/// An answer in text.
pub fn plain(status: StatusCode, text: &str) -> Reply {
    with(status, "text/plain; charset=utf-8", whole(text.to_string()))
}

/// An answer of a type.
pub fn with(status: StatusCode, kind: &'static str, body: Body) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    reply
}

/// Adds a header; a value that is no header is left out.
pub fn add(reply: &mut Reply, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        reply.headers_mut().insert(HeaderName::from_static(name), value);
    }
}

/// The writing end of a streamed body.
pub struct Pipe {
    house: Arc<House>,
    pieces: mpsc::Sender<io::Result<Frame<Bytes>>>,
    gate: Gate,
    /// What garbage and the vendor's error look like in this stream.
    rubbish: (Bytes, Bytes),
}

/// The stream is over: the client has left, or a fault ended it.
#[derive(Debug)]
pub struct Over;

impl Pipe {
    /// Sends a piece, unless a fault has other plans.
    pub async fn send(&mut self, piece: impl Into<Bytes>) -> Result<(), Over> {
        let bytes = match self.gate.pass(&self.house.faults).await {
            Pass::Go => piece.into(),
            Pass::Garbage => self.rubbish.0.clone(),
            Pass::Error => {
                self.put(Ok(Frame::data(self.rubbish.1.clone()))).await?;
                return Err(Over);
            }
            Pass::Truncate => return Err(Over),
            Pass::Cut => {
                self.put(Err(io::ErrorKind::ConnectionReset.into())).await?;
                return Err(Over);
            }
        };
        self.put(Ok(Frame::data(bytes))).await
    }

    async fn put(&self, piece: io::Result<Frame<Bytes>>) -> Result<(), Over> {
        self.pieces.send(piece).await.map_err(|_| Over)
    }
}

/// A body that is written by a task. When the client leaves, the task is dropped where it waits, and the journal says
/// so. `write` is handed the pipe; whether it fails does not matter, it has ended the stream.
pub fn streamed<F>(
    house: &Arc<House>,
    endpoint: Endpoint,
    harm: Option<Harm>,
    rubbish: (Bytes, Bytes),
    write: impl FnOnce(Pipe) -> F,
) -> Body
where
    F: Future<Output = Result<(), Over>> + Send + 'static,
{
    let (pieces, mut taken) = mpsc::channel(AHEAD);
    let gone = pieces.clone();
    let pipe = Pipe { house: house.clone(), pieces, gate: Gate::new(endpoint, harm), rubbish };
    let open = house.journal.stream(endpoint);
    let writing = write(pipe);
    house.spawn(async move {
        tokio::select! {
            biased;
            _ = writing => {
                // The client may leave as the last piece is written: that is no cancellation.
                open.finished();
            }
            () = gone.closed() => drop(open),
        }
    });
    StreamBody::new(stream::poll_fn(move |cx| taken.poll_recv(cx))).boxed()
}

/// Answers an upgrade and hands the socket to a task of the lab.
pub fn upgrade<F>(house: &Arc<House>, mut request: Ask, serve: impl FnOnce(Socket) -> F + Send + 'static) -> Reply
where
    F: Future<Output = ()> + Send + 'static,
{
    let Some(key) = handshake(&request) else {
        return plain(StatusCode::UPGRADE_REQUIRED, "this is a WebSocket endpoint: connect with version 13");
    };
    let upgraded = hyper::upgrade::on(&mut request);
    house.spawn(async move {
        let Ok(upgraded) = upgraded.await else { return };
        let Ok(parts) = upgraded.downcast::<TokioIo<TcpStream>>() else { return };
        let config = WebSocketConfig::default()
            .read_buffer_size(16 * 1024)
            .write_buffer_size(0)
            .max_write_buffer_size(1 << 20)
            .max_message_size(Some(4 << 20))
            .max_frame_size(Some(4 << 20));
        let early = parts.read_buf.to_vec();
        let socket =
            WebSocketStream::from_partially_read(parts.io.into_inner(), early, Role::Server, Some(config)).await;
        serve(socket).await;
    });
    let mut reply = Response::new(whole(Bytes::new()));
    *reply.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = reply.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    add(&mut reply, "sec-websocket-accept", &key);
    reply
}

/// The accept key of a correct WebSocket handshake.
fn handshake(request: &Ask) -> Option<String> {
    let has = |name: HeaderName, value: &str| {
        request
            .headers()
            .get(name)
            .and_then(|header| header.to_str().ok())
            .is_some_and(|header| header.to_ascii_lowercase().split(',').any(|part| part.trim() == value))
    };
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY)?;
    (has(header::CONNECTION, "upgrade")
        && has(header::UPGRADE, "websocket")
        && has(header::SEC_WEBSOCKET_VERSION, "13"))
    .then(|| derive_accept_key(key.as_bytes()))
}

/// A JSON body; null where it is not JSON.
pub fn parsed(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or(Value::Null)
}
