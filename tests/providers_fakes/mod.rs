//! Engines that follow a script, in virtual time.
#![allow(dead_code, reason = "each test uses its own part")]

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, stream, stream::BoxStream};
use pronto::{
    call::{Ask, Finish, LlmEvent, Turn},
    language::Language,
    providers::{Kind, Llm, ProviderError},
};
use tokio::time::sleep;

/// What an engine does: wait so many milliseconds, then say or fail; then end.
pub type Script<T> = Vec<(u64, Result<T, Kind>)>;

pub fn play<T: Send + 'static>(script: Script<T>) -> BoxStream<'static, Result<T, ProviderError>> {
    stream::iter(script)
        .then(|(wait, event)| async move {
            sleep(Duration::from_millis(wait)).await;
            event.map_err(|kind| ProviderError::upstream("fake", kind, ""))
        })
        .boxed()
}

/// A model that answers with one script after the other, with the last one again and again.
pub struct FakeLlm {
    scripts: Mutex<VecDeque<Script<LlmEvent>>>,
    asked: AtomicUsize,
    /// Answers that are still being read.
    alive: Arc<()>,
}

impl FakeLlm {
    pub fn new(scripts: impl IntoIterator<Item = Script<LlmEvent>>) -> Arc<Self> {
        let scripts = Mutex::new(scripts.into_iter().collect());
        Arc::new(Self { scripts, asked: AtomicUsize::new(0), alive: Arc::new(()) })
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    pub fn alive(&self) -> usize {
        Arc::strong_count(&self.alive) - 1
    }
}

impl Llm for FakeLlm {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn reply(&self, _: Ask) -> BoxStream<'static, Result<LlmEvent, ProviderError>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut scripts = self.scripts.lock().unwrap();
        let script = if scripts.len() > 1 { scripts.pop_front().unwrap() } else { scripts[0].clone() };
        let alive = Arc::clone(&self.alive);
        let played = play(script).inspect(move |_| {
            let _read = &alive;
        });
        played.boxed()
    }
}

pub fn ask() -> Ask {
    Ask {
        turn: Turn(1),
        instructions: "".into(),
        messages: vec![],
        tools: Arc::new([]),
        now: "2026-11-20T09:05:00+01:00[Europe/Rome]".parse().unwrap(),
        language: Language::Italian,
        caller: None,
    }
}

pub fn words(text: &str) -> Result<LlmEvent, Kind> {
    Ok(LlmEvent::Words(text.into()))
}

pub const DONE: Result<LlmEvent, Kind> = Ok(LlmEvent::Done(Finish::Said));
