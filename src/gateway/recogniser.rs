//! The recogniser of one stream of sound: fed through a bounded queue, replaced when it breaks, a few times and not at once.
//! The next one hears what the last one missed.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use futures_util::{StreamExt, stream::BoxStream};

use super::{feed::Feed, limits, metrics, streams::complain};
use crate::{
    call::{Failed, SttEvent},
    language::Language,
    providers::{Kind, ProviderError, Retry, Stt},
};

/// A recogniser and its successors.
pub(super) struct Recogniser {
    /// Starts them.
    stt: Arc<dyn Stt>,
    /// What they hear.
    language: Language,
    /// What they are fed through.
    feed: Feed,
    /// The one that listens, or nothing while it is being replaced.
    events: Option<Events>,
    /// How many were started after the first.
    restarts: u32,
    /// When the next one is started.
    restart_at: Option<Instant>,
}

/// What a recogniser says.
pub(super) type Events = BoxStream<'static, Result<SttEvent, ProviderError>>;

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Recognised {
    /// Something was said.
    Said(SttEvent),
    /// It broke.
    Failed {
        /// How.
        why: Failed,
        /// There will be another one.
        restarts: bool,
    },
}

impl Recogniser {
    /// Starts the first.
    pub(super) fn new(stt: Arc<dyn Stt>, language: Language) -> Self {
        let feed = Feed::new(stt.capabilities().commits);
        let events = Some(stt.listen(feed.stream().boxed(), language));
        Self { stt, language, feed, events, restarts: 0, restart_at: None }
    }

    /// Feeds it.
    pub(super) fn hear(&self, samples: &[i16]) {
        self.feed.hear(samples);
    }

    /// Tells it to finish what it has.
    pub(super) fn commit(&self, commit: u32) {
        self.feed.commit(commit);
    }

    /// Samples that none of them ever heard.
    pub(super) fn unheard(&self) -> u64 {
        self.feed.dropped()
    }

    /// The task that feeds it polls it too, with this waker.
    pub(super) fn polled(&mut self, cx: &Context<'_>) {
        self.feed.polled(cx.waker());
    }

    /// When [`tick`](Self::tick) is to be called.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.restart_at
    }

    /// Starts the next one when its time has come.
    pub(super) fn tick(&mut self, now: Instant) {
        if self.restart_at.take_if(|at| *at <= now).is_some() {
            self.events = Some(self.stt.listen(self.feed.stream().boxed(), self.language));
        }
    }

    /// What it says next. May be asked in vain at any time.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<Recognised> {
        let Some(events) = &mut self.events else { return Poll::Pending };
        let Poll::Ready(event) = events.poll_next_unpin(cx) else { return Poll::Pending };
        let error = match event {
            Some(Ok(event)) => return Poll::Ready(Recognised::Said(event)),
            Some(Err(error)) => error,
            None => ProviderError::upstream(self.stt.capabilities().name, Kind::Cut, "the stream ended early"),
        };
        complain(metrics::Engine::Stt, &error);
        self.events = None;
        let restarts = self.restarts < limits::RECOGNISERS_MAX && error.retry != Retry::Never;
        if restarts {
            let pause = limits::RECOGNISER_PAUSE * 2_u32.pow(self.restarts);
            self.restarts += 1;
            self.restart_at = Some(now + pause);
        }
        Poll::Ready(Recognised::Failed { why: error.failed(), restarts })
    }

    /// No more sound will come. What it still says of what it has heard, up to the end of the stream.
    pub(super) fn finish(self) -> Option<Events> {
        self.events
    }
}
