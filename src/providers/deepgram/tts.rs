//! Speaks, over WebSockets that are kept open between clauses.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::BoxStream};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::Message;

use super::{
    NAME,
    wire::{Account, Socket, closed, cut, send},
};
use crate::{
    audio::Rate,
    call::TtsEvent,
    language::Language,
    providers::{
        Address, Key, KeyError, Kind, ProviderError, Say, Tts, TtsCapabilities,
        address::escape,
        flow::{Out, flow},
        wav,
    },
};

/// Settings of Deepgram's voices.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeepgramTtsSettings {
    /// The API's address.
    #[serde(default = "super::base_url")]
    pub base_url: Address,
    /// The key.
    pub key: Key,
    /// The Italian voice.
    #[serde(default = "voice_it")]
    pub voice_it: String,
    /// The English voice.
    #[serde(default = "voice_en")]
    pub voice_en: String,
    /// The rate of its samples: 8000, 16000, 24000, 32000 or 48000.
    #[serde(default = "rate")]
    pub rate: Rate,
    /// 1.0 is the voice's own pace.
    #[serde(default)]
    pub speed: Option<f64>,
    /// Milliseconds from the text to the first sound.
    #[serde(default = "first_ms")]
    pub first_ms: u64,
    /// Milliseconds between two pieces of sound.
    #[serde(default = "stall_ms")]
    pub stall_ms: u64,
}

fn voice_it() -> String {
    "aura-2-livia-it".into()
}

fn voice_en() -> String {
    "aura-2-thalia-en".into()
}

const fn rate() -> Rate {
    Rate::VOICE
}

const fn first_ms() -> u64 {
    2_000
}

const fn stall_ms() -> u64 {
    3_000
}

/// Idle connections that are kept, for each language.
const IDLE_MAX: usize = 2;
/// An idle connection older than this is not trusted.
const IDLE: Duration = Duration::from_secs(30);
/// Deepgram takes 20 flushes in 60 s on one connection and then falls silent: beyond this many another one is opened.
const FLUSHES_MAX: usize = 18;
const FLUSHES_IN: Duration = Duration::from_secs(60);
/// How long a connection may take to confirm that it has forgotten a clause.
const CLEAR: Duration = Duration::from_secs(1);
/// The longest sound of one clause.
const CLAUSE_MAX: Duration = Duration::from_secs(120);

/// A voice of Deepgram's. Cheap to clone.
#[derive(Debug, Clone)]
pub struct DeepgramTts(Arc<Inner>);

struct Inner {
    settings: DeepgramTtsSettings,
    account: Account,
    /// Connections that wait for a clause, and the language last spoken.
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    italian: Vec<Connection>,
    english: Vec<Connection>,
    last: Language,
}

impl Idle {
    const fn of(&mut self, language: Language) -> &mut Vec<Connection> {
        match language {
            Language::Italian => &mut self.italian,
            Language::English => &mut self.english,
        }
    }
}

/// A connection that speaks one voice.
struct Connection {
    socket: Socket,
    /// When clauses were asked for, within the last minute.
    flushes: VecDeque<Instant>,
    /// Since when it waits.
    idle_since: Instant,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeepgramTts").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl DeepgramTts {
    /// A voice with these settings.
    ///
    /// # Errors
    /// When the key is not where the settings say.
    pub fn new(settings: DeepgramTtsSettings) -> Result<Self, KeyError> {
        let account = Account::new(&settings.base_url, &settings.key)?;
        Ok(Self(Arc::new(Inner { settings, account, idle: Mutex::default() })))
    }
}

impl Tts for DeepgramTts {
    fn capabilities(&self) -> TtsCapabilities {
        TtsCapabilities { name: NAME, rate: self.0.settings.rate, alignment: false }
    }

    fn speak(&self, say: Say) -> BoxStream<'static, Result<TtsEvent, ProviderError>> {
        let inner = self.0.clone();
        flow(move |out| async move { inner.speak(&say, &out).await })
    }

    fn warm(&self) -> BoxFuture<'static, ()> {
        let inner = self.0.clone();
        Box::pin(async move {
            let language = inner.idle().last;
            if let Some(waiting) = inner.waiting(language) {
                inner.keep(waiting, language);
            } else if let Ok(connection) = inner.open(language).await {
                inner.keep(connection, language);
            }
        })
    }
}

/// How a clause ended on a connection.
enum Spoken {
    Whole,
    /// The connection turned out to be dead before anything was heard.
    Dead(ProviderError),
}

impl Inner {
    async fn speak(self: &Arc<Self>, say: &Say, out: &Out<TtsEvent>) -> Result<(), ProviderError> {
        if say.text.trim().is_empty() {
            out.put(TtsEvent::Done).await;
            return Ok(());
        }
        let first = Instant::now() + Duration::from_millis(self.settings.first_ms);
        if let Some(connection) = self.waiting(say.language) {
            match self.speak_on(connection, say, first, out).await? {
                Spoken::Whole => return Ok(()),
                Spoken::Dead(_) => {} // closed while it waited: a new one
            }
        }
        let opened = timeout_at(first, self.open(say.language)).await;
        let connection = opened.unwrap_or_else(|_| {
            Err(ProviderError::upstream(NAME, Kind::FirstTimeout, "no connection before the first sound was due"))
        })?;
        match self.speak_on(connection, say, first, out).await? {
            Spoken::Whole => Ok(()),
            Spoken::Dead(error) => Err(error),
        }
    }

    async fn speak_on(
        self: &Arc<Self>,
        mut connection: Connection,
        say: &Say,
        first: Instant,
        out: &Out<TtsEvent>,
    ) -> Result<Spoken, ProviderError> {
        connection.flushes.push_back(Instant::now());
        let mut clause = Clause { inner: self.clone(), language: say.language, connection: Some(connection) };
        match self.exchange(&mut clause, &say.text, first, out).await {
            Ok(Some(connection)) => {
                self.keep(connection, say.language);
                out.put(TtsEvent::Done).await;
                Ok(Spoken::Whole)
            }
            Ok(None) => Ok(Spoken::Dead(cut())),
            Err(error) => {
                // What failed is not used again.
                clause.connection = None;
                Err(error)
            }
        }
    }

    /// Speaks one clause. Gives the connection back when it can be used again; nothing when it was dead before the
    /// first sound.
    async fn exchange(
        &self,
        clause: &mut Clause,
        text: &str,
        first: Instant,
        out: &Out<TtsEvent>,
    ) -> Result<Option<Connection>, ProviderError> {
        let Some(connection) = &mut clause.connection else { return Ok(None) };
        let socket = &mut connection.socket;
        for message in [json!({ "type": "Speak", "text": text }), json!({ "type": "Flush" })] {
            if send(socket, Message::text(message.to_string())).await.is_err() {
                clause.connection = None;
                return Ok(None);
            }
        }
        let mut decoder = wav::Decoder::raw(self.settings.rate);
        let mut spoken = 0;
        loop {
            let until =
                if spoken == 0 { first } else { Instant::now() + Duration::from_millis(self.settings.stall_ms) };
            let message = timeout_at(until, socket.next()).await.map_err(|_| {
                if spoken == 0 {
                    ProviderError::upstream(NAME, Kind::FirstTimeout, "no sound in time: raise first_ms")
                } else {
                    ProviderError::upstream(NAME, Kind::Stalled, "the sound stopped coming")
                }
            })?;
            let mut samples = Vec::new();
            let mut flushed = false;
            match message {
                Some(Ok(Message::Binary(bytes))) => {
                    samples = decoder
                        .take(&bytes)
                        .map_err(|error| ProviderError::upstream(NAME, Kind::Garbage, error.to_string()))?;
                }
                Some(Ok(Message::Text(text))) => match kind(&text).as_str() {
                    "Flushed" => {
                        flushed = true;
                        samples = decoder.end();
                    }
                    "Error" => return Err(ProviderError::upstream(NAME, Kind::Cut, "it reports an error of its own")),
                    "Warning" => tracing::debug!("the voice gives a warning"),
                    _ => {}
                },
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Close(Some(frame)))) if u16::from(frame.code) == 1008 => {
                    return Err(closed(Some(&frame)));
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => {
                    clause.connection = None;
                    return if spoken == 0 { Ok(None) } else { Err(cut()) };
                }
            }
            spoken += samples.len();
            if spoken > self.settings.rate.samples(CLAUSE_MAX) {
                return Err(ProviderError::upstream(NAME, Kind::Garbage, "the sound of one clause does not end"));
            }
            if !samples.is_empty() {
                out.put(TtsEvent::Audio(samples)).await;
            }
            if flushed {
                if spoken == 0 {
                    let detail = "it answered without any sound: check the voice";
                    return Err(ProviderError::upstream(NAME, Kind::Garbage, detail));
                }
                return Ok(clause.connection.take());
            }
        }
    }

    async fn open(&self, language: Language) -> Result<Connection, ProviderError> {
        let settings = &self.settings;
        let voice = match language {
            Language::Italian => &settings.voice_it,
            Language::English => &settings.voice_en,
        };
        let speed = settings.speed.map(|speed| format!("&speed={speed}")).unwrap_or_default();
        let (voice, hz) = (escape(voice), settings.rate.hz());
        let path = format!("/v1/speak?model={voice}&encoding=linear16&sample_rate={hz}{speed}");
        let socket = self.account.open(&path).await?;
        Ok(Connection { socket, flushes: VecDeque::new(), idle_since: Instant::now() })
    }

    /// A connection that waits and is still good.
    fn waiting(&self, language: Language) -> Option<Connection> {
        let mut idle = self.idle();
        idle.last = language;
        while let Some(mut connection) = idle.of(language).pop() {
            if connection.is_good(Instant::now()) {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection for the next clause; the oldest one goes when there are enough.
    fn keep(&self, mut connection: Connection, language: Language) {
        connection.idle_since = Instant::now();
        let mut idle = self.idle();
        let waiting = idle.of(language);
        waiting.push(connection);
        if waiting.len() > IDLE_MAX {
            waiting.remove(0);
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    fn is_good(&mut self, now: Instant) -> bool {
        self.flushes.retain(|at| now.duration_since(*at) < FLUSHES_IN);
        if self.flushes.len() >= FLUSHES_MAX || now.duration_since(self.idle_since) > IDLE {
            return false;
        }
        // Nothing, or news that do not matter, may lie in it; the end may not.
        for _ in 0..8 {
            match self.socket.next().now_or_never() {
                None => return true,
                Some(Some(Ok(Message::Close(_)) | Err(_)) | None) => return false,
                Some(Some(Ok(_))) => {}
            }
        }
        false
    }

    /// Makes the server forget what it was saying.
    async fn clear(&mut self) -> Result<(), ProviderError> {
        send(&mut self.socket, Message::text(r#"{"type":"Clear"}"#)).await?;
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) if kind(&text) == "Cleared" => return Ok(()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(cut()),
                Some(Ok(_)) => {} // sound that nobody will hear
            }
        }
    }
}

/// A clause that is being spoken. Dropped in the middle, its connection is cleared in the background.
struct Clause {
    inner: Arc<Inner>,
    language: Language,
    connection: Option<Connection>,
}

impl Drop for Clause {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (inner, language) = (self.inner.clone(), self.language);
        runtime.spawn(async move {
            if let Ok(Ok(())) = timeout(CLEAR, connection.clear()).await {
                inner.keep(connection, language);
            }
        });
    }
}

/// The type of a message.
fn kind(text: &str) -> String {
    #[derive(Deserialize)]
    struct Typed {
        #[serde(rename = "type")]
        kind: String,
    }
    serde_json::from_str::<Typed>(text).map(|typed| typed.kind).unwrap_or_default()
}
