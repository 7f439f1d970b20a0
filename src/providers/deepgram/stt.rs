//! Hears, over one WebSocket a call that is replaced when it breaks.
//!
//! What has not become final text is kept, and a new connection hears it again, faster than it was spoken. So a broken
//! connection costs the caller a moment and no words.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::BoxStream};
use serde::Deserialize;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_tungstenite::tungstenite::Message;

use super::{
    Flux, NAME, Nova, Reading,
    line::{Line, Next},
    tape::Tape,
    wire::{Account, closed, cut},
};
use crate::{
    audio::Rate,
    call::SttEvent,
    language::Language,
    providers::{
        Address, Heard, Key, KeyError, Kind, ProviderError, Retry, Stt, SttCapabilities,
        address::escape,
        flow::{Out, flow},
    },
};

/// Settings of Deepgram's recognisers.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeepgramSttSettings {
    /// The API's address.
    #[serde(default = "super::base_url")]
    pub base_url: Address,
    /// The key.
    pub key: Key,
    /// `nova-3`, or `flux-general-multi`, which knows by itself when a turn has ended.
    pub model: String,
    /// Words that will come up: names, trades, marques.
    #[serde(default)]
    pub keyterms: Vec<String>,
    /// Believe its ends of turns. Flux listens to the sentence, so yes; Nova only counts silence, which the call does
    /// better, so no.
    #[serde(default)]
    pub turns: Option<bool>,
    /// Nova: milliseconds of silence after which a text becomes final.
    #[serde(default = "endpointing_ms")]
    pub endpointing_ms: u64,
    /// Flux: how sure it must be that the turn has ended, 0.5 to 0.9.
    #[serde(default)]
    pub end_threshold: Option<f64>,
    /// Flux: how sure it must be to guess so early, 0.3 to 0.9. Without it there are no guesses.
    #[serde(default)]
    pub eager_threshold: Option<f64>,
    /// Flux: milliseconds of silence that end a turn in any case.
    #[serde(default)]
    pub end_timeout_ms: Option<u64>,
    /// Milliseconds to wait for the answer to a commit; it does not always come.
    #[serde(default = "commit_ms")]
    pub commit_ms: u64,
    /// Let Deepgram train on the calls.
    #[serde(default)]
    pub training: bool,
    /// Further fields of the query.
    #[serde(default)]
    pub extra: BTreeMap<String, String>,
}

const fn endpointing_ms() -> u64 {
    300
}

const fn commit_ms() -> u64 {
    700
}

impl DeepgramSttSettings {
    fn is_flux(&self) -> bool {
        self.model.starts_with("flux")
    }

    fn turns(&self) -> bool {
        self.turns.unwrap_or(self.is_flux())
    }

    /// Path and query of the connection.
    fn path(&self, language: Language) -> String {
        let mut fields: Vec<(&str, String)> = vec![
            ("model", self.model.clone()),
            ("encoding", "linear16".into()),
            ("sample_rate", Rate::WIDE.hz().to_string()),
        ];
        if self.is_flux() {
            fields.push(("language_hint", language.code().into()));
            fields.extend(self.end_threshold.map(|value| ("eot_threshold", value.to_string())));
            fields.extend(self.eager_threshold.map(|value| ("eager_eot_threshold", value.to_string())));
            fields.extend(self.end_timeout_ms.map(|value| ("eot_timeout_ms", value.to_string())));
        } else {
            fields.push(("language", language.code().into()));
            fields.push(("channels", "1".into()));
            fields.push(("endpointing", self.endpointing_ms.to_string()));
            fields.push(("utterance_end_ms", "1000".into()));
            for name in ["interim_results", "vad_events", "smart_format", "punctuate", "numerals"] {
                fields.push((name, "true".into()));
            }
        }
        if !self.training {
            fields.push(("mip_opt_out", "true".into()));
        }
        fields.extend(self.keyterms.iter().map(|term| ("keyterm", term.clone())));
        fields.extend(self.extra.iter().map(|(name, value)| (name.as_str(), value.clone())));
        let query: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
        format!("/v{}/listen?{}", if self.is_flux() { 2 } else { 1 }, query.join("&"))
    }
}

/// A recogniser of Deepgram's. Cheap to clone.
#[derive(Debug, Clone)]
pub struct DeepgramStt(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: DeepgramSttSettings,
    account: Account,
}

impl DeepgramStt {
    /// A recogniser with these settings.
    ///
    /// # Errors
    /// When the key is not where the settings say.
    pub fn new(settings: DeepgramSttSettings) -> Result<Self, KeyError> {
        let account = Account::new(&settings.base_url, &settings.key)?;
        Ok(Self(Arc::new(Inner { settings, account })))
    }
}

impl Stt for DeepgramStt {
    fn capabilities(&self) -> SttCapabilities {
        let settings = &self.0.settings;
        SttCapabilities { name: NAME, partials: true, turns: settings.turns(), commits: !settings.is_flux() }
    }

    fn listen(
        &self,
        audio: BoxStream<'static, Heard>,
        language: Language,
    ) -> BoxStream<'static, Result<SttEvent, ProviderError>> {
        let inner = self.0.clone();
        flow(move |out| async move {
            let dialect = if inner.settings.is_flux() {
                Dialect::Flux(Flux::new(), inner.settings.turns())
            } else {
                Dialect::Nova(Nova::new(inner.settings.turns()))
            };
            let path = inner.settings.path(language);
            Listening { inner, path, audio, ended: false, tape: Tape::default(), dialect, out }.run().await
        })
    }
}

/// Which of the two protocols is spoken, and where the conversation stands in it.
enum Dialect {
    Nova(Nova),
    /// And whether its ends of turns are believed.
    Flux(Flux, bool),
}

impl Dialect {
    fn read(&mut self, text: &str) -> Reading {
        match self {
            Self::Nova(nova) => nova.read(text),
            Self::Flux(flux, turns) => {
                let mut reading = flux.read(text);
                reading
                    .events
                    .retain(|event| *turns || !matches!(event, SttEvent::End | SttEvent::EagerEnd | SttEvent::Resumed));
                reading
            }
        }
    }

    fn reconnected(&mut self) {
        match self {
            Self::Nova(nova) => nova.reconnected(),
            Self::Flux(flux, _) => flux.reconnected(),
        }
    }

    const fn idle(&self) -> bool {
        match self {
            Self::Nova(nova) => nova.idle(),
            Self::Flux(flux, _) => flux.idle(),
        }
    }

    const fn commits(&self) -> bool {
        matches!(self, Self::Nova(_))
    }

    /// It knows a word that keeps a quiet connection alive. Flux knows no other sign of life than sound.
    const fn keeps_alive(&self) -> bool {
        matches!(self, Self::Nova(_))
    }
}

/// Failures in a row after which the recogniser gives up.
const FAILURES_MAX: u32 = 3;
/// Between the second failure and the third attempt; the first is tried again at once.
const REST: Duration = Duration::from_millis(250);
/// Who sent a message within this is there, and has nothing to say where it does not answer a commit: partial texts
/// come about once a second.
const TALKING: Duration = Duration::from_secs(1);
/// Commits in a row that were not answered by somebody who says nothing at all, after which it is taken for dead,
/// though it answers pings.
const UNANSWERED_MAX: u32 = 2;
/// A final that ends this much in front of a commit answers it all the same.
const NEAR: i64 = Rate::WIDE.samples(Duration::from_millis(50)) as i64;

/// One call being listened to.
struct Listening {
    inner: Arc<Inner>,
    path: String,
    audio: BoxStream<'static, Heard>,
    /// There will be no more audio.
    ended: bool,
    /// What a new connection would have to hear again.
    tape: Tape,
    dialect: Dialect,
    out: Out<SttEvent>,
}

impl Listening {
    async fn run(mut self) -> Result<(), ProviderError> {
        let mut failures = 0;
        loop {
            let inner = self.inner.clone();
            let path = self.path.clone();
            let opened = self.hear_during(async move { inner.account.open(&path).await }).await;
            let error = match opened {
                Ok(socket) => {
                    self.dialect.reconnected();
                    let mut line = Line::new(socket, self.tape.start());
                    match self.converse(&mut line).await {
                        Ok(()) => return Ok(()),
                        Err(_) if self.ended && line.closing.is_some() => return Ok(()),
                        Err(error) => {
                            if line.useful {
                                failures = 0;
                            }
                            error
                        }
                    }
                }
                Err(error) => error,
            };
            failures += 1;
            if error.retry == Retry::Never || failures >= FAILURES_MAX {
                return Err(error);
            }
            tracing::debug!(kind = ?error.kind, failures, "the recogniser's connection is replaced");
            let rest = match error.retry {
                Retry::After(wait) => wait.min(Duration::from_secs(1)),
                Retry::Now | Retry::Never => REST * (failures - 1),
            };
            self.hear_during(sleep(rest)).await;
        }
    }

    /// Waits for something and hears the caller meanwhile.
    async fn hear_during<T>(&mut self, what: impl Future<Output = T>) -> T {
        let mut what = std::pin::pin!(what);
        loop {
            tokio::select! {
                biased;
                done = &mut what => return done,
                heard = self.audio.next(), if !self.ended => self.hear(heard),
            }
        }
    }

    fn hear(&mut self, heard: Option<Heard>) {
        match heard {
            // Nobody would answer it.
            Some(Heard::Commit(_)) if !self.dialect.commits() => {}
            Some(heard) => self.tape.hear(heard, self.dialect.idle()),
            None => self.ended = true,
        }
    }

    /// Talks on one connection until the audio ends or the connection breaks.
    async fn converse(&mut self, line: &mut Line) -> Result<(), ProviderError> {
        loop {
            line.skip_forgotten(&self.tape);
            let due = line.next(&self.tape, self.ended);
            let wake = line.wake();
            tokio::select! {
                biased;
                message = line.socket.next() => match message {
                    Some(Ok(Message::Text(text))) => self.said(line, &text).await?,
                    Some(Ok(Message::Close(_))) if line.closing.is_some() => return Ok(()),
                    Some(Ok(Message::Close(frame))) => return Err(closed(frame.as_ref())),
                    Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {
                        line.received();
                    }
                    Some(Err(_)) | None if line.closing.is_some() => return Ok(()),
                    Some(Err(_)) | None => return Err(cut()),
                },
                () = std::future::ready(()), if due.is_some() => {
                    let answer_ms = self.inner.settings.commit_ms;
                    match due {
                        Some(Next::Audio(until)) => line.send_audio(&mut self.tape, until).await?,
                        Some(Next::Finalize) => line.finalize(Duration::from_millis(answer_ms)).await?,
                        Some(Next::Goodbye) => line.goodbye().await?,
                        None => {}
                    }
                }
                heard = self.audio.next(), if !self.ended => self.hear(heard),
                () = sleep_until(wake) => {
                    let now = Instant::now();
                    if line.closing.is_some_and(|until| now >= until) {
                        return Ok(());
                    }
                    if line.answer_due.is_some_and(|due| now >= due) {
                        line.answer_due = None;
                        if now < line.said_at + TALKING {
                            // Not every commit is answered: there was nothing left to say.
                            self.committed(line, line.asked).await;
                        } else {
                            line.unanswered += 1;
                        }
                        if line.unanswered >= UNANSWERED_MAX {
                            return Err(ProviderError::upstream(NAME, Kind::Stalled, "it has nothing to say any more"));
                        }
                    }
                    line.stay(self.dialect.keeps_alive()).await?;
                }
            }
        }
    }

    /// Reads a message.
    async fn said(&mut self, line: &mut Line, text: &str) -> Result<(), ProviderError> {
        line.received();
        (line.said_at, line.unanswered) = (Instant::now(), 0);
        let reading = self.dialect.read(text);
        if reading.failed {
            return Err(ProviderError::upstream(NAME, Kind::Cut, "it reports an error of its own"));
        }
        line.useful |= !reading.events.is_empty() || reading.settled_s.is_some();
        for event in reading.events {
            self.out.put(event).await;
        }
        let settled = reading.settled_s.map(|seconds| line.sample(seconds));
        if let Some(settled) = settled {
            self.tape.forget(settled.clamp(0, line.sent as i64) as u64);
        }
        let reached = (0..line.asked)
            .take_while(|at| {
                let commit = self.tape.commit(*at).unwrap_or_default() as i64;
                settled.is_some_and(|settled| settled + NEAR >= commit)
            })
            .count();
        let answered = if reading.finalized { reached.max(1) } else { reached };
        self.committed(line, answered.min(line.asked)).await;
        Ok(())
    }

    /// The oldest `count` commits are answered.
    async fn committed(&mut self, line: &mut Line, count: usize) {
        for _ in 0..count {
            line.asked -= 1;
            if let Some(commit) = self.tape.answer() {
                self.out.put(SttEvent::Committed { commit }).await;
            }
        }
        if line.asked == 0 {
            line.answer_due = None;
        }
    }
}
