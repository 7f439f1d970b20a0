//! A stream written as straight-line code: a future that hands out its items one after the other.
//!
//! Nothing is spawned: the future runs only while the stream is polled, and dropping the stream drops it in the middle
//! of whatever it awaits. That is how a provider is cancelled.

use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use futures_util::{Stream, future::BoxFuture, stream::BoxStream};

use super::ProviderError;

/// Items that may wait between the future and the reader; when there are so many, the future pauses. Few, because a
/// voice's are large: what it sends ahead can wait in the socket.
const QUEUE: usize = 2;

/// Items on their way. The future and the reader are polled by the same task, one inside the other: nobody ever waits for
/// the lock, and nobody has to be woken.
type Made<T> = Arc<Mutex<VecDeque<T>>>;

fn lock<T>(made: &Made<T>) -> MutexGuard<'_, VecDeque<T>> {
    made.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where the future puts its items. To be used by the future itself, not by a task it spawns.
pub struct Out<T>(Made<T>);

impl<T> Out<T> {
    /// Hands out one item, waiting for the reader when it is behind.
    pub async fn put(&self, item: T) {
        let mut item = Some(item);
        // Pending without a waker: the items that are in the way were made in this very poll, or nobody has polled for
        // more; who takes the last of them polls the future again.
        poll_fn(|_| {
            let mut made = lock(&self.0);
            if made.len() >= QUEUE {
                return Poll::Pending;
            }
            made.extend(item.take());
            Poll::Ready(())
        })
        .await;
    }
}

/// The stream of what `work` puts out, then of the error it ends with, if any.
pub fn flow<T, F>(work: impl FnOnce(Out<T>) -> F) -> BoxStream<'static, Result<T, ProviderError>>
where
    T: Send + 'static,
    F: Future<Output = Result<(), ProviderError>> + Send + 'static,
{
    let made = Made::default();
    Box::pin(Flow { work: Some(Box::pin(work(Out(Arc::clone(&made))))), made, end: None })
}

struct Flow<T> {
    /// What was put out and not yet read.
    made: Made<T>,
    /// The future, until it has ended.
    work: Option<BoxFuture<'static, Result<(), ProviderError>>>,
    /// How it ended, to be told last.
    end: Option<ProviderError>,
}

impl<T> Stream for Flow<T> {
    type Item = Result<T, ProviderError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = |made: &Made<T>| lock(made).pop_front();
        if let Some(item) = next(&self.made) {
            return Poll::Ready(Some(Ok(item)));
        }
        if let Some(work) = &mut self.work
            && let Poll::Ready(end) = work.as_mut().poll(cx)
        {
            self.work = None;
            self.end = end.err();
        }
        match next(&self.made) {
            Some(item) => Poll::Ready(Some(Ok(item))),
            None if self.work.is_none() => Poll::Ready(self.end.take().map(Err)),
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;
    use crate::providers::Kind;

    #[tokio::test]
    async fn items_come_in_order_and_the_error_last() {
        let stream = flow(|out| async move {
            for n in 0..40 {
                out.put(n).await;
            }
            Err(ProviderError::upstream("test", Kind::Cut, "over"))
        });
        let all: Vec<_> = stream.collect().await;
        assert_eq!(all.len(), 41);
        assert_eq!(
            all[..40].iter().map(|item| *item.as_ref().unwrap()).collect::<Vec<_>>(),
            (0..40).collect::<Vec<_>>()
        );
        assert_eq!(all[40].as_ref().unwrap_err().kind, Kind::Cut);
    }

    #[tokio::test]
    async fn dropping_the_stream_drops_the_work() {
        let alive = std::sync::Arc::new(());
        let held = alive.clone();
        let mut stream = flow(|out| async move {
            let _held = held;
            out.put(1).await;
            std::future::pending().await
        });
        assert_eq!(stream.next().await, Some(Ok(1)));
        assert_eq!(std::sync::Arc::strong_count(&alive), 2);
        drop(stream);
        assert_eq!(std::sync::Arc::strong_count(&alive), 1);
    }
}
