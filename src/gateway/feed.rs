//! What the recogniser is fed through: a bounded queue that drops its oldest audio when the recogniser is too slow,
//! and that outlives a recogniser, so that the next one hears what the last one missed.
//!
//! A recogniser that is told when to finish (by a commit) gets the audio 60 ms at a time: a third of the messages on its
//! connection, and of the wakes here. A commit takes along what was gathered, so no answer to one comes later for it. A
//! recogniser that finds the end of a turn by itself gets each piece at once.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use futures_util::Stream;

use super::limits;
use crate::providers::Heard;

/// The call's end. Dropping it ends the stream.
#[derive(Debug)]
pub(super) struct Feed {
    /// Shared with the recogniser.
    queue: Arc<Mutex<Queue>>,
    /// Wakes the call's own task. It polls its recogniser whenever it has fed it, and need not be woken for that.
    own: Option<Waker>,
}

/// The recogniser's end.
#[derive(Debug)]
pub(super) struct FeedStream {
    /// Shared with the call.
    queue: Arc<Mutex<Queue>>,
    /// Which recogniser this is; an older one hears nothing more.
    reader: u32,
}

#[derive(Debug, Default)]
struct Queue {
    /// Handed over together once there is enough of it.
    gathered: Vec<i16>,
    /// How much is enough, in samples.
    enough: usize,
    /// Oldest first.
    waiting: VecDeque<Heard>,
    /// Samples in `waiting`.
    samples: usize,
    /// Samples dropped so far.
    dropped: u64,
    /// Nothing more will come.
    ended: bool,
    /// The recogniser that is fed now.
    reader: u32,
    /// Its waker.
    waker: Option<Waker>,
}

impl Feed {
    /// An empty queue, for a recogniser that answers commits or not.
    pub(super) fn new(commits: bool) -> Self {
        let enough = if commits { limits::FEED_GATHERED } else { 1 };
        Self { queue: Arc::new(Mutex::new(Queue { enough, ..Queue::default() })), own: None }
    }

    /// The end for a new recogniser. The one before gets nothing more.
    pub(super) fn stream(&self) -> FeedStream {
        let mut queue = lock(&self.queue);
        queue.reader += 1;
        self.wake(&mut queue);
        FeedStream { queue: Arc::clone(&self.queue), reader: queue.reader }
    }

    /// The task that feeds polls the recogniser too, with this waker.
    pub(super) fn polled(&mut self, waker: &Waker) {
        if !self.own.as_ref().is_some_and(|own| own.will_wake(waker)) {
            self.own = Some(waker.clone());
        }
    }

    /// Adds audio; drops the oldest audio when there is too much of it.
    pub(super) fn hear(&self, samples: &[i16]) {
        let mut queue = lock(&self.queue);
        if queue.gathered.is_empty() {
            let room = queue.enough.max(samples.len());
            queue.gathered.reserve_exact(room);
        }
        queue.gathered.extend_from_slice(samples);
        if queue.gathered.len() < queue.enough {
            return;
        }
        hand_over(&mut queue);
        while queue.samples > limits::FEED_SAMPLES_MAX || queue.waiting.len() > limits::FEED_PIECES_MAX {
            let Some(at) = queue.waiting.iter().position(|heard| matches!(heard, Heard::Audio(_))) else { break };
            if let Some(Heard::Audio(oldest)) = queue.waiting.remove(at) {
                queue.samples -= oldest.len();
                queue.dropped += oldest.len() as u64;
            }
        }
        self.wake(&mut queue);
    }

    /// Adds a commit; refused where the queue is full of them, and the call goes on without the answer.
    pub(super) fn commit(&self, commit: u32) {
        let mut queue = lock(&self.queue);
        if queue.waiting.len() >= limits::FEED_PIECES_MAX {
            return;
        }
        hand_over(&mut queue);
        queue.waiting.push_back(Heard::Commit(commit));
        self.wake(&mut queue);
    }

    /// Samples dropped so far.
    pub(super) fn dropped(&self) -> u64 {
        lock(&self.queue).dropped
    }

    /// Wakes the recogniser, unless it is polled by who feeds it.
    fn wake(&self, queue: &mut Queue) {
        let awake = |waker: &mut Waker| !self.own.as_ref().is_some_and(|own| own.will_wake(waker));
        if let Some(waker) = queue.waker.take_if(awake) {
            waker.wake();
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        // Who feeds no more may poll no more.
        self.own = None;
        let mut queue = lock(&self.queue);
        hand_over(&mut queue);
        queue.ended = true;
        self.wake(&mut queue);
    }
}

impl Stream for FeedStream {
    type Item = Heard;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Heard>> {
        let mut queue = lock(&self.queue);
        if queue.reader != self.reader {
            return Poll::Ready(None);
        }
        match queue.waiting.pop_front() {
            Some(heard) => {
                if let Heard::Audio(samples) = &heard {
                    queue.samples -= samples.len();
                }
                Poll::Ready(Some(heard))
            }
            None if queue.ended => Poll::Ready(None),
            None => {
                queue.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

fn hand_over(queue: &mut Queue) {
    if !queue.gathered.is_empty() {
        let gathered = std::mem::take(&mut queue.gathered);
        queue.samples += gathered.len();
        queue.waiting.push_back(Heard::Audio(gathered));
    }
}

/// Held for a few instructions, never across an await. Nothing in there can leave the queue half changed.
fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        task::Wake,
    };

    use futures_util::{FutureExt, StreamExt};

    use super::*;

    #[test]
    fn a_slow_recogniser_loses_the_oldest_audio_and_no_commit() {
        let feed = Feed::new(false);
        let mut stream = feed.stream();
        feed.commit(1);
        for second in 0..32_i16 {
            feed.hear(&[second; 16_000]);
        }
        assert_eq!(feed.dropped(), 32_000);
        assert_eq!(stream.next().now_or_never(), Some(Some(Heard::Commit(1))));
        assert_eq!(stream.next().now_or_never(), Some(Some(Heard::Audio(vec![2; 16_000]))));
    }

    #[test]
    fn audio_is_gathered_until_there_is_enough_or_a_commit() {
        let feed = Feed::new(true);
        let mut stream = feed.stream();
        feed.hear(&[1; 320]);
        feed.hear(&[2; 320]);
        assert_eq!(stream.next().now_or_never(), None);
        feed.hear(&[3; 320]);
        let whole = [[1; 320], [2; 320], [3; 320]].concat();
        assert_eq!(stream.next().now_or_never(), Some(Some(Heard::Audio(whole))));
        feed.hear(&[4; 320]);
        feed.commit(7);
        assert_eq!(stream.next().now_or_never(), Some(Some(Heard::Audio(vec![4; 320]))));
        assert_eq!(stream.next().now_or_never(), Some(Some(Heard::Commit(7))));
        feed.hear(&[5; 320]);
        drop(feed);
        assert_eq!(stream.next().now_or_never(), Some(Some(Heard::Audio(vec![5; 320]))));
        assert_eq!(stream.next().now_or_never(), Some(None));
    }

    #[test]
    fn who_feeds_and_polls_in_one_task_is_not_woken_for_it() {
        struct Woken(AtomicBool);
        impl Wake for Woken {
            fn wake(self: Arc<Self>) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let [own, other] = [0, 1].map(|_| Arc::new(Woken(AtomicBool::new(false))));
        for (reader, woken) in [(&own, false), (&other, true)] {
            let mut feed = Feed::new(false);
            let mut stream = feed.stream();
            feed.polled(&Arc::clone(&own).into());
            let waker = Arc::clone(reader).into();
            assert!(stream.poll_next_unpin(&mut Context::from_waker(&waker)).is_pending());
            feed.hear(&[1]);
            assert_eq!(reader.0.load(Ordering::SeqCst), woken);
            assert!(stream.poll_next_unpin(&mut Context::from_waker(&waker)).is_ready());
        }
    }

    #[test]
    fn the_next_recogniser_hears_what_the_last_one_missed() {
        let feed = Feed::new(false);
        let mut first = feed.stream();
        feed.hear(&[1]);
        feed.hear(&[2]);
        assert_eq!(first.next().now_or_never(), Some(Some(Heard::Audio(vec![1]))));
        let mut second = feed.stream();
        assert_eq!(first.next().now_or_never(), Some(None));
        assert_eq!(second.next().now_or_never(), Some(Some(Heard::Audio(vec![2]))));
        drop(feed);
        assert_eq!(second.next().now_or_never(), Some(None));
    }
}
