//! Several engines of one kind that stand in for each other, in order of preference.
//!
//! An engine that says nothing within the deadline, or fails before it has said anything, is dropped and the next one
//! is asked. Once words have been spoken there is no way back: the error passes on, and the call decides. A fuse keeps
//! an engine that has just failed out of the way; when every fuse is out, all are tried rather than none.
//!
//! A recogniser is different: it listens for a whole call. When it fails, the next one hears again what had not become
//! a final text yet, and goes on from there.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures_util::{StreamExt, future::BoxFuture, stream::BoxStream};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout_at},
};

use super::{
    Heard, Kind, Llm, ProviderError, Say, Stt, SttCapabilities, Tts, TtsCapabilities,
    breaker::Breaker,
    flow::{Out, flow},
};
use crate::{
    audio::{Packed, Rate, Resampler},
    call::{Ask, LlmEvent, SttEvent, TtsEvent},
    language::Language,
};

/// Language models that stand in for each other.
pub type FallbackLlm = Fallback<dyn Llm>;
/// Voices that stand in for each other. All speak at the rate of the first.
pub type FallbackTts = Fallback<dyn Tts>;
/// Recognisers that stand in for each other.
pub type FallbackStt = Fallback<dyn Stt>;

/// Engines of one kind, in order of preference. Says of itself what the first one says.
pub struct Fallback<E: ?Sized>(Arc<Engines<E>>);

struct Engines<E: ?Sized> {
    /// The preferred one.
    first: Engine<E>,
    /// The others, in order.
    others: Vec<Engine<E>>,
    /// How long an engine has for its first event while there is another one to ask.
    patience: Duration,
}

struct Engine<E: ?Sized> {
    engine: Arc<E>,
    breaker: Breaker,
}

impl<E: ?Sized> Fallback<E> {
    /// Asks `first`, and `others` in their order when it fails or says nothing for as long as `patience`.
    pub fn new(first: Arc<E>, others: Vec<Arc<E>>, patience: Duration) -> Self {
        let now = Instant::now();
        let fused = |engine| Engine { engine, breaker: Breaker::new(now) };
        Self(Arc::new(Engines { first: fused(first), others: others.into_iter().map(fused).collect(), patience }))
    }

    fn engines(&self) -> impl Iterator<Item = &Arc<E>> {
        std::iter::once(&self.0.first).chain(&self.0.others).map(|one| &one.engine)
    }
}

impl<E: ?Sized> Engines<E> {
    fn get(&self, at: usize) -> &Engine<E> {
        at.checked_sub(1).and_then(|at| self.others.get(at)).unwrap_or(&self.first)
    }
}

/// Who is asked when: those that may be asked in their order, then those whose fuse is out, which is better than
/// silence. A fuse is looked at when its turn comes, so that no trial is wasted.
struct Turns {
    at: usize,
    count: usize,
    /// Passed over because of their fuse.
    resting: VecDeque<usize>,
}

impl Turns {
    fn new<E: ?Sized>(engines: &Engines<E>) -> Self {
        Self { at: 0, count: engines.others.len() + 1, resting: VecDeque::new() }
    }

    fn next<E: ?Sized>(&mut self, engines: &Engines<E>) -> Option<usize> {
        while self.at < self.count {
            let at = self.at;
            self.at += 1;
            if engines.get(at).breaker.allows(Instant::now()) {
                return Some(at);
            }
            self.resting.push_back(at);
        }
        self.resting.pop_front()
    }

    /// Nobody is left to ask after the last one.
    fn over(&self) -> bool {
        self.at == self.count && self.resting.is_empty()
    }
}

/// An answer that has begun.
struct Begun<T> {
    /// Whose.
    at: usize,
    /// Its events so far.
    events: VecDeque<T>,
    /// The rest of it.
    rest: BoxStream<'static, Result<T, ProviderError>>,
}

impl<T> Begun<T> {
    /// The next event. A fuse is told of an engine that fails in the middle.
    async fn next<E: ?Sized>(&mut self, engines: &Engines<E>) -> Option<Result<T, ProviderError>> {
        if let Some(event) = self.events.pop_front() {
            return Some(Ok(event));
        }
        let next = self.rest.next().await;
        if let Some(Err(error)) = &next {
            engines.get(self.at).breaker.failed(Instant::now(), error);
        }
        next
    }
}

impl<E: ?Sized> Engines<E> {
    /// Asks one after the other until an answer begins.
    async fn begin<T>(
        &self,
        ask: impl Fn(&E) -> BoxStream<'static, Result<T, ProviderError>>,
        begins: impl Fn(&T) -> bool,
    ) -> Result<Begun<T>, ProviderError> {
        let mut turns = Turns::new(self);
        let mut last = None;
        while let Some(at) = turns.next(self) {
            let engine = self.get(at);
            let mut rest = ask(&engine.engine);
            let mut events = VecDeque::new();
            let first = async {
                loop {
                    match rest.next().await {
                        Some(Ok(event)) => {
                            let begun = begins(&event);
                            events.push_back(event);
                            if begun {
                                return Ok(());
                            }
                        }
                        Some(Err(error)) => return Err(error),
                        None => return Err(cut()),
                    }
                }
            };
            let began = if turns.over() {
                // Its own deadlines are the only ones now: there is nobody else to ask.
                first.await
            } else {
                let late =
                    || Err(ProviderError::upstream(NAME, Kind::FirstTimeout, "the next engine is asked instead"));
                timeout_at(Instant::now() + self.patience, first).await.unwrap_or_else(|_| late())
            };
            match began {
                Ok(()) => {
                    engine.breaker.succeeded();
                    return Ok(Begun { at, events, rest });
                }
                Err(error) => {
                    tracing::debug!(engine = at, kind = ?error.kind, provider = error.provider, "an engine is passed over");
                    engine.breaker.failed(Instant::now(), &error);
                    last = Some(error);
                }
            }
        }
        Err(last.unwrap_or_else(cut))
    }
}

/// In errors that are the fallback's own.
const NAME: &str = "fallback";

fn cut() -> ProviderError {
    ProviderError::upstream(NAME, Kind::Cut, "the engine ended without an answer")
}

impl Llm for FallbackLlm {
    fn name(&self) -> &'static str {
        self.0.first.engine.name()
    }

    fn reply(&self, ask: Ask) -> BoxStream<'static, Result<LlmEvent, ProviderError>> {
        let engines = self.0.clone();
        flow(move |out| async move {
            let mut begun = engines.begin(|engine| engine.reply(ask.clone()), |_| true).await?;
            while let Some(event) = begun.next(&engines).await {
                out.put(event?).await;
            }
            Ok(())
        })
    }

    fn warm(&self) -> BoxFuture<'static, ()> {
        warm_all(self.engines().map(|engine| engine.warm()).collect())
    }
}

impl Tts for FallbackTts {
    fn capabilities(&self) -> TtsCapabilities {
        self.0.first.engine.capabilities()
    }

    fn speak(&self, say: Say) -> BoxStream<'static, Result<TtsEvent, ProviderError>> {
        let engines = self.0.clone();
        flow(move |out| async move {
            // Times of words are no sound: an engine that gives only those has not begun.
            let begins = |event: &TtsEvent| match event {
                TtsEvent::Audio(samples) => !samples.is_empty(),
                TtsEvent::Done => true,
                TtsEvent::Words(_) => false,
            };
            let mut begun = engines.begin(|engine| engine.speak(say.clone()), begins).await?;
            let rate = engines.first.engine.capabilities().rate;
            let mut rates = Rates::new(engines.get(begun.at).engine.capabilities().rate, rate);
            while let Some(event) = begun.next(&engines).await {
                rates.put(event?, &out).await;
            }
            Ok(())
        })
    }

    fn warm(&self) -> BoxFuture<'static, ()> {
        warm_all(self.engines().map(|engine| engine.warm()).collect())
    }
}

/// Warms all at once: the ones behind are needed most when the first is slow.
fn warm_all(all: Vec<BoxFuture<'static, ()>>) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        futures_util::future::join_all(all).await;
    })
}

/// Puts a voice to the rate that was promised.
struct Rates(Option<Resampler>);

impl Rates {
    fn new(from: Rate, to: Rate) -> Self {
        Self((from != to).then(|| Resampler::new(from, to)))
    }

    async fn put(&mut self, event: TtsEvent, out: &Out<TtsEvent>) {
        let Some(resampler) = &mut self.0 else { return out.put(event).await };
        let mut samples = Vec::new();
        match &event {
            TtsEvent::Audio(input) => resampler.process(input, &mut samples),
            TtsEvent::Done => resampler.flush(&mut samples),
            TtsEvent::Words(_) => {}
        }
        if !samples.is_empty() {
            out.put(TtsEvent::Audio(samples)).await;
        }
        match event {
            TtsEvent::Audio(_) => {}
            TtsEvent::Done | TtsEvent::Words(_) => out.put(event).await,
        }
    }
}

impl Stt for FallbackStt {
    fn capabilities(&self) -> SttCapabilities {
        self.0.first.engine.capabilities()
    }

    fn listen(
        &self,
        audio: BoxStream<'static, Heard>,
        language: Language,
    ) -> BoxStream<'static, Result<SttEvent, ProviderError>> {
        let engines = self.0.clone();
        flow(move |out| async move {
            let mut caller = Caller { audio, ended: false, memory: VecDeque::new(), samples: 0 };
            let mut turns = Turns::new(&engines);
            let mut last = None;
            while let Some(at) = turns.next(&engines) {
                let Engine { engine, breaker } = engines.get(at);
                let patience = (!turns.over()).then_some(engines.patience);
                match caller.listen_with(engine.as_ref(), breaker, language, patience, &out).await {
                    Ok(()) => return Ok(()),
                    Err(error) => {
                        tracing::debug!(engine = at, kind = ?error.kind, provider = error.provider, "a recogniser is replaced");
                        breaker.failed(Instant::now(), &error);
                        last = Some(error);
                    }
                }
            }
            Err(last.unwrap_or_else(cut))
        })
    }

    fn warm(&self) -> BoxFuture<'static, ()> {
        warm_all(self.engines().map(|engine| engine.warm()).collect())
    }
}

/// What is kept for the next recogniser, at most.
const MEMORY: usize = Rate::WIDE.samples(Duration::from_secs(20));
/// What is kept behind a final text of a recogniser that gives them while the caller speaks: it was said a little ago.
const BEHIND_FINAL: usize = Rate::WIDE.samples(Duration::from_millis(300));
/// Pieces that may wait inside a recogniser.
const QUEUE: usize = 32;

/// The caller, as recognisers come and go.
struct Caller {
    audio: BoxStream<'static, Heard>,
    /// There will be no more audio.
    ended: bool,
    /// What has not become a final text yet, with the commits in it.
    memory: VecDeque<Remembered>,
    /// Samples in it.
    samples: usize,
}

/// What was [`Heard`]; the sound is packed, because few recognisers are ever replaced.
enum Remembered {
    Audio(Packed),
    Commit(u32),
}

impl Remembered {
    fn of(heard: &Heard) -> Self {
        match heard {
            Heard::Audio(samples) => Self::Audio(Packed::new(samples)),
            Heard::Commit(commit) => Self::Commit(*commit),
        }
    }

    fn again(&self) -> Heard {
        match self {
            Self::Audio(packed) => {
                let mut samples = Vec::new();
                packed.unpack(0..packed.len(), &mut samples);
                Heard::Audio(samples)
            }
            Self::Commit(commit) => Heard::Commit(*commit),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Audio(packed) => packed.len(),
            Self::Commit(_) => 0,
        }
    }

    const fn is(&self, number: u32) -> bool {
        matches!(self, Self::Commit(commit) if *commit == number)
    }
}

impl Caller {
    /// Listens with one recogniser until the audio ends or the recogniser fails. With `patience` a commit that is not
    /// answered in time is a failure too.
    async fn listen_with(
        &mut self,
        engine: &dyn Stt,
        breaker: &Breaker,
        language: Language,
        patience: Option<Duration>,
        out: &Out<SttEvent>,
    ) -> Result<(), ProviderError> {
        let able = engine.capabilities();
        let (feed, fed) = mpsc::channel::<Heard>(QUEUE);
        let mut feed = Some(feed);
        let fed = futures_util::stream::unfold(fed, |mut fed| async { fed.recv().await.map(|heard| (heard, fed)) });
        let mut events = engine.listen(fed.boxed(), language);
        let mut backlog: VecDeque<Heard> = self.memory.iter().map(Remembered::again).collect();
        let mut waiting = backlog.iter().filter(|heard| matches!(heard, Heard::Commit(_))).count();
        let mut answer_due = Instant::now() + patience.unwrap_or_default();
        loop {
            if self.ended && backlog.is_empty() {
                feed = None;
            }
            tokio::select! {
                biased;
                event = events.next() => match event {
                    Some(Ok(event)) => {
                        breaker.succeeded();
                        if matches!(event, SttEvent::Committed { .. }) {
                            waiting = waiting.saturating_sub(1);
                            answer_due = Instant::now() + patience.unwrap_or_default();
                        }
                        self.settled(&event, able);
                        out.put(event).await;
                    }
                    Some(Err(error)) => return Err(error),
                    None if feed.is_none() => return Ok(()),
                    None => return Err(ProviderError::upstream(able.name, Kind::Cut, "it stopped listening")),
                },
                Some(permit) = reserve(&feed), if !backlog.is_empty() => {
                    if let Some(heard) = backlog.pop_front() {
                        permit.send(heard);
                    }
                }
                heard = self.audio.next(), if !self.ended => match heard {
                    Some(heard) => {
                        if matches!(heard, Heard::Commit(_)) {
                            if waiting == 0 {
                                answer_due = Instant::now() + patience.unwrap_or_default();
                            }
                            waiting += 1;
                        }
                        self.remember(&heard);
                        backlog.push_back(heard);
                        if backlog.iter().map(length).sum::<usize>() > MEMORY {
                            return Err(ProviderError::upstream(able.name, Kind::Stalled, "it does not take the audio"));
                        }
                    }
                    None => self.ended = true,
                },
                () = sleep_until(answer_due), if patience.is_some() && able.commits && waiting > 0 => {
                    return Err(ProviderError::upstream(able.name, Kind::Stalled, "a commit was not answered in time"));
                }
            }
        }
    }

    /// Keeps what was heard, and forgets the oldest when it is too much.
    fn remember(&mut self, heard: &Heard) {
        self.samples += length(heard);
        self.memory.push_back(Remembered::of(heard));
        while self.samples > MEMORY {
            self.forget_oldest();
        }
    }

    /// Forgets what has become final text.
    fn settled(&mut self, event: &SttEvent, able: SttCapabilities) {
        match event {
            SttEvent::Committed { commit } => {
                if self.memory.iter().any(|heard| heard.is(*commit)) {
                    while self.memory.front().is_some_and(|heard| !heard.is(*commit)) {
                        self.forget_oldest();
                    }
                    self.forget_oldest();
                }
            }
            // One that hears whole utterances says which with the commit.
            SttEvent::Final { .. } | SttEvent::End if able.partials => {
                let mut behind = self.samples;
                self.memory.retain(|heard| {
                    let keep = behind <= BEHIND_FINAL || matches!(heard, Remembered::Commit(_));
                    behind -= heard.len();
                    keep
                });
                self.samples = self.memory.iter().map(Remembered::len).sum();
            }
            SttEvent::Final { .. }
            | SttEvent::End
            | SttEvent::SpeechStarted
            | SttEvent::Partial { .. }
            | SttEvent::EagerEnd
            | SttEvent::Resumed => {}
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(heard) = self.memory.pop_front() {
            self.samples -= heard.len();
        }
    }
}

fn length(heard: &Heard) -> usize {
    match heard {
        Heard::Audio(samples) => samples.len(),
        Heard::Commit(_) => 0,
    }
}

/// A place in the recogniser's queue; none when it does not listen any more.
async fn reserve(feed: &Option<mpsc::Sender<Heard>>) -> Option<mpsc::Permit<'_, Heard>> {
    match feed {
        Some(feed) => feed.reserve().await.ok(),
        None => None,
    }
}
