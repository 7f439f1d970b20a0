//! A connection whose peer must read: one that takes none of what is sent for too long is broken off, and with it ends
//! whatever was being made for it. A WebSocket has its own watch ([`socket`](super::socket)).

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use super::limits;

/// A connection under watch.
#[derive(Debug)]
pub(super) struct Watched<S> {
    io: S,
    /// Runs while a write makes no progress.
    stuck: Option<Pin<Box<Sleep>>>,
}

impl<S> Watched<S> {
    /// From now on.
    pub(super) const fn new(io: S) -> Self {
        Self { io, stuck: None }
    }

    /// No longer.
    pub(super) fn into_inner(self) -> S {
        self.io
    }

    fn watch<T>(&mut self, cx: &mut Context<'_>, wrote: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if wrote.is_ready() {
            self.stuck = None;
            return wrote;
        }
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(sleep(limits::ANSWER_STALL)));
        stuck.as_mut().poll(cx).map(|()| Err(io::Error::new(io::ErrorKind::TimedOut, "the peer does not read")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.watch(cx, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.watch(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, duplex},
        time::timeout,
    };

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_read_is_broken_off_and_one_that_reads_slowly_is_not() {
        let (ours, mut theirs) = duplex(64);
        let mut watched = Watched::new(ours);
        // Read in the very last moment, again and again.
        for _ in 0..3 {
            watched.write_all(&[7; 64]).await.unwrap();
            let early = limits::ANSWER_STALL - Duration::from_millis(1);
            assert!(timeout(early, watched.write_all(&[8; 64])).await.is_err(), "it waits");
            theirs.read_exact(&mut [0; 64]).await.unwrap();
        }
        watched.write_all(&[7; 64]).await.unwrap();
        let begun = tokio::time::Instant::now();
        let broken = watched.write_all(&[8; 64]).await.unwrap_err();
        assert_eq!(broken.kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed(), limits::ANSWER_STALL);
    }
}
