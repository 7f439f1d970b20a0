//! A second question to a model that is slow to begin: whichever begins first is kept, the other is dropped.
//!
//! Most answers begin soon and a few begin late; asking once more, when an answer is later than four of five, is worth
//! the price of a fifth of the questions. What it never does: ask more than once more, ask once more when a word or a
//! tool was seen, hand anything of two answers on, or let the failure of one fail the other. When the model is slow for
//! everybody, a [budget](HedgeSettings::budget_percent) keeps everybody from asking twice.
//!
//! ```toml
//! [providers.llm]
//! kind = "openai"
//! model = "gpt-6-luna"
//! [providers.llm.hedge]              # without this section nothing is asked twice
//! after_ms = 900                     # default: the time within which four of the last five questions were answered
//! ```

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, future::BoxFuture, stream::BoxStream};
use serde::Deserialize;
use tokio::time::{Instant, sleep_until};

use super::{
    Kind, Llm, ProviderError,
    flow::{Out, flow},
};
use crate::call::{Ask, LlmEvent};

/// Questions that were asked twice, by what came of it.
pub const HEDGES: &str = "pronto_hedges_total";

/// First words remembered.
const REMEMBERED: usize = 100;
/// First words without which nothing is known of the model.
const NEEDED: usize = 10;
/// Later than so many percent of the answers is late.
const LATE_PERCENT: usize = 80;
/// Second questions that may be saved up.
const SAVED_MAX: u64 = 3;
/// The parts of one second question: a question adds [`HedgeSettings::budget_percent`] of them.
const WHOLE: u64 = 100;

/// When a model is asked once more: `[providers.llm.hedge]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HedgeSettings {
    /// Milliseconds after which an answer that has not begun is late; without it, the time within which four of five of
    /// the last hundred began, once ten are known.
    pub after_ms: Option<u64>,
    /// Milliseconds below which no answer is late.
    pub after_ms_min: u64,
    /// Of a hundred questions, so many may be asked twice.
    pub budget_percent: u8,
    /// Who is asked the second time.
    pub engine: Second,
}

/// Who is asked the second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Second {
    /// The same model.
    #[default]
    Same,
    /// The next one in the list; the same where there is none.
    Next,
}

impl Default for HedgeSettings {
    fn default() -> Self {
        Self { after_ms: None, after_ms_min: 250, budget_percent: 20, engine: Second::Same }
    }
}

/// What came of second questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The first answer began first after all.
    First,
    /// The second answer began first.
    Second,
    /// Both failed.
    Failed,
    /// Nobody waited for an answer any more.
    Dropped,
    /// None was asked: the budget was spent.
    Spent,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::First, Self::Second, Self::Failed, Self::Dropped, Self::Spent];

    /// Its label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Second => "second",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
            Self::Spent => "spent",
        }
    }
}

/// A model that is asked once more when it is slow to begin.
pub struct Hedge {
    first: Arc<dyn Llm>,
    second: Arc<dyn Llm>,
    memory: Arc<Memory>,
}

/// What is known of the model. Shared by every call.
#[derive(Debug)]
struct Memory {
    settings: HedgeSettings,
    /// How long the last answers took to begin, the oldest first.
    begun: Mutex<VecDeque<Duration>>,
    /// What is left to spend, in parts of a second question.
    saved: AtomicU64,
    /// By [`Outcome`].
    counts: [AtomicU64; Outcome::ALL.len()],
}

impl Hedge {
    /// Asks `first`, and when it is late `second`, which may be the same.
    pub fn new(first: Arc<dyn Llm>, second: Arc<dyn Llm>, settings: HedgeSettings) -> Self {
        let memory = Memory {
            settings,
            begun: Mutex::default(),
            saved: AtomicU64::new(0),
            counts: std::array::from_fn(|_| AtomicU64::new(0)),
        };
        Self { first, second, memory: Arc::new(memory) }
    }

    /// How often this came of a second question.
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.memory.counts[outcome as usize].load(Ordering::Relaxed)
    }

    /// When an answer is late now; nobody knows before some have begun.
    pub fn late(&self) -> Option<Duration> {
        self.memory.late()
    }
}

impl Llm for Hedge {
    fn name(&self) -> &'static str {
        self.first.name()
    }

    fn reply(&self, ask: Ask) -> BoxStream<'static, Result<LlmEvent, ProviderError>> {
        let (memory, second) = (Arc::clone(&self.memory), Arc::clone(&self.second));
        let first = self.first.reply(ask.clone());
        flow(move |out| async move {
            memory.asked();
            let asked = Instant::now();
            let mut first = Answer::of(first);
            let late = memory.late().map(|late| asked + late);
            let on_time = tokio::select! {
                biased;
                begun = first.begin() => Some(begun),
                () = sleep_until(late.unwrap_or(asked)), if late.is_some() => None,
            };
            let Some(begun) = on_time else {
                if !memory.spend() {
                    memory.count(Outcome::Spent);
                    return memory.go_on(asked, first.begin().await, first, &out).await;
                }
                return race(&memory, asked, first, Answer::of(second.reply(ask)), &out).await;
            };
            memory.go_on(asked, begun, first, &out).await
        })
    }

    fn warm(&self) -> BoxFuture<'static, ()> {
        let (first, second) = (self.first.warm(), self.second.warm());
        Box::pin(async move {
            futures_util::future::join(first, second).await;
        })
    }
}

/// Two answers, of which one is kept.
async fn race(
    memory: &Arc<Memory>,
    asked: Instant,
    mut first: Answer,
    mut second: Answer,
    out: &Out<LlmEvent>,
) -> Result<(), ProviderError> {
    // Whoever stops waiting drops us here.
    let mut dropped = Dropped(Some(Arc::clone(memory)));
    let (mut failed, mut second_failed) = (None, false);
    let which = loop {
        tokio::select! {
            biased;
            begun = first.begin(), if failed.is_none() => match begun {
                Ok(()) => break Outcome::First,
                Err(error) => failed = Some(error),
            },
            begun = second.begin(), if !second_failed => match begun {
                Ok(()) => break Outcome::Second,
                Err(error) => {
                    tracing::debug!(provider = error.provider, kind = ?error.kind, "a second question failed");
                    second_failed = true;
                }
            },
        }
        if let Some(error) = failed.take_if(|_| second_failed) {
            dropped.is(Outcome::Failed);
            return Err(error);
        }
    };
    // The other one is dropped now and not when the answer is over: that is its cancellation.
    let kept = if which == Outcome::First {
        drop(second);
        first
    } else {
        drop(first);
        second
    };
    dropped.is(which);
    // Where the second was first, the first would have taken at least as long.
    memory.remember(asked.elapsed());
    kept.hand_on(out).await
}

/// An answer on its way.
struct Answer {
    rest: BoxStream<'static, Result<LlmEvent, ProviderError>>,
    /// What it began with.
    begun: Option<LlmEvent>,
}

impl Answer {
    fn of(rest: BoxStream<'static, Result<LlmEvent, ProviderError>>) -> Self {
        Self { rest, begun: None }
    }

    /// Waits for the first word or tool. May be dropped and called again: nothing is lost.
    async fn begin(&mut self) -> Result<(), ProviderError> {
        loop {
            match self.rest.next().await {
                // Servers open an answer with an empty word: nothing was said.
                Some(Ok(LlmEvent::Words(words))) if words.is_empty() => {}
                Some(Ok(event @ (LlmEvent::Words(_) | LlmEvent::Tool { .. } | LlmEvent::Done(_)))) => {
                    self.begun = Some(event);
                    return Ok(());
                }
                Some(Err(error)) => return Err(error),
                None => return Err(cut()),
            }
        }
    }

    async fn hand_on(mut self, out: &Out<LlmEvent>) -> Result<(), ProviderError> {
        if let Some(event) = self.begun.take() {
            out.put(event).await;
        }
        while let Some(event) = self.rest.next().await {
            out.put(event?).await;
        }
        Ok(())
    }
}

/// In errors that are the hedge's own.
const NAME: &str = "hedge";

fn cut() -> ProviderError {
    ProviderError::upstream(NAME, Kind::Cut, "the model ended without an answer")
}

/// Counts a race that nobody waited for to its end.
struct Dropped(Option<Arc<Memory>>);

impl Dropped {
    /// It was not: this came of it.
    fn is(&mut self, outcome: Outcome) {
        if let Some(memory) = self.0.take() {
            memory.count(outcome);
        }
    }
}

impl Drop for Dropped {
    fn drop(&mut self) {
        self.is(Outcome::Dropped);
    }
}

impl Memory {
    /// A question adds to the budget.
    fn asked(&self) {
        let part = u64::from(self.settings.budget_percent);
        let more = |saved: u64| Some((saved + part).min(SAVED_MAX * WHOLE));
        let _ = self.saved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    /// Takes a second question from the budget, if there is one in it.
    fn spend(&self) -> bool {
        self.saved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |saved| saved.checked_sub(WHOLE)).is_ok()
    }

    fn late(&self) -> Option<Duration> {
        let least = Duration::from_millis(self.settings.after_ms_min);
        if let Some(after_ms) = self.settings.after_ms {
            return Some(Duration::from_millis(after_ms).max(least));
        }
        let begun = self.begun();
        if begun.len() < NEEDED {
            return None;
        }
        let mut sorted: Vec<Duration> = begun.iter().copied().collect();
        drop(begun);
        let rank = (sorted.len() * LATE_PERCENT).div_ceil(100).clamp(1, sorted.len());
        Some((*sorted.select_nth_unstable(rank - 1).1).max(least))
    }

    fn remember(&self, took: Duration) {
        let mut begun = self.begun();
        if begun.len() == REMEMBERED {
            begun.pop_front();
        }
        begun.push_back(took);
    }

    /// An answer that nobody competes with.
    async fn go_on(
        &self,
        asked: Instant,
        begun: Result<(), ProviderError>,
        answer: Answer,
        out: &Out<LlmEvent>,
    ) -> Result<(), ProviderError> {
        begun?;
        self.remember(asked.elapsed());
        answer.hand_on(out).await
    }

    fn count(&self, outcome: Outcome) {
        self.counts[outcome as usize].fetch_add(1, Ordering::Relaxed);
        #[cfg(feature = "gateway")]
        metrics::counter!(HEDGES, "outcome" => outcome.name()).increment(1);
    }

    fn begun(&self) -> MutexGuard<'_, VecDeque<Duration>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
