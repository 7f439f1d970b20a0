//! A stream written as straight-line code: a future that hands out its items one after the other.
//!
//! Nothing is spawned: the future runs only while the stream is polled, and dropping the stream drops it in the middle
//! of whatever it awaits. That is how a provider is cancelled.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::{Stream, future::BoxFuture, stream::BoxStream};
use tokio::sync::mpsc;

use super::ProviderError;

/// Items that may wait between the future and the reader; a full queue pauses the future.
const QUEUE: usize = 16;

/// Where the future puts its items.
pub struct Out<T>(mpsc::Sender<T>);

impl<T> Out<T> {
    /// Hands out one item, waiting for the reader when it is behind.
    pub async fn put(&self, item: T) {
        // The receiver lives as long as this future: a failure means that we are being dropped.
        let _ = self.0.send(item).await;
    }
}

/// The stream of what `work` puts out, then of the error it ends with, if any.
pub fn flow<T, F>(work: impl FnOnce(Out<T>) -> F) -> BoxStream<'static, Result<T, ProviderError>>
where
    T: Send + 'static,
    F: Future<Output = Result<(), ProviderError>> + Send + 'static,
{
    let (sender, made) = mpsc::channel(QUEUE);
    Box::pin(Flow { made, work: Some(Box::pin(work(Out(sender)))), end: None })
}

struct Flow<T> {
    /// What was put out and not yet read.
    made: mpsc::Receiver<T>,
    /// The future, until it has ended.
    work: Option<BoxFuture<'static, Result<(), ProviderError>>>,
    /// How it ended, to be told last.
    end: Option<ProviderError>,
}

impl<T> Stream for Flow<T> {
    type Item = Result<T, ProviderError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.made.poll_recv(cx) {
            Poll::Ready(Some(item)) => return Poll::Ready(Some(Ok(item))),
            Poll::Ready(None) => {
                self.work = None;
                return Poll::Ready(self.end.take().map(Err));
            }
            Poll::Pending => {}
        }
        if let Some(work) = &mut self.work
            && let Poll::Ready(end) = work.as_mut().poll(cx)
        {
            self.work = None;
            self.end = end.err();
        }
        match self.made.poll_recv(cx) {
            Poll::Ready(Some(item)) => Poll::Ready(Some(Ok(item))),
            Poll::Ready(None) => Poll::Ready(self.end.take().map(Err)),
            Poll::Pending => Poll::Pending,
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
