//! The way out of a call: what the socket does not take at once is kept, up to a bound.

use tokio::{
    io::{AsyncRead, AsyncWriteExt},
    net::tcp::OwnedWriteHalf,
    sync::mpsc,
    task::spawn_local,
};

use crate::load::crowd::dial::Stream;

/// What a target that does not read may make us keep for one call; beyond it the line counts as broken.
const BACKLOG_MAX: usize = 256 << 10;

/// The way out.
pub(super) struct Out {
    pub(super) way: Way,
    /// What the socket did not take.
    pub(super) backlog: Vec<u8>,
}

/// Where bytes go.
pub(super) enum Way {
    Plain(OwnedWriteHalf),
    /// To a task that writes.
    Tls(mpsc::Sender<Vec<u8>>),
    Gone,
}

impl Out {
    /// Sends, or keeps what the socket does not take; in vain where that has become too much.
    pub(super) fn send(&mut self, bytes: &mut Vec<u8>) -> bool {
        if bytes.is_empty() && self.backlog.is_empty() {
            return true;
        }
        if self.backlog.is_empty() {
            let taken = self.way.take(bytes);
            self.backlog.extend_from_slice(&bytes[taken..]);
        } else {
            self.backlog.extend_from_slice(bytes);
            let taken = self.way.take(&self.backlog);
            self.backlog.drain(..taken);
            if self.backlog.is_empty() {
                self.backlog = Vec::new();
            }
        }
        bytes.clear();
        self.backlog.len() <= BACKLOG_MAX
    }
}

impl Way {
    /// How many bytes were taken.
    fn take(&self, bytes: &[u8]) -> usize {
        match self {
            Self::Plain(half) => match half.try_write(bytes) {
                Ok(taken) => taken,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => 0,
                // That the connection is gone is seen, with its reason, on the reading side.
                Err(_) => bytes.len(),
            },
            Self::Tls(queue) => match queue.try_send(bytes.to_vec()) {
                Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => bytes.len(),
                Err(mpsc::error::TrySendError::Full(_)) => 0,
            },
            Self::Gone => bytes.len(),
        }
    }
}

/// Both ends of a connection.
pub(super) fn halves(stream: Stream) -> (Box<dyn AsyncRead + Unpin>, Way) {
    match stream {
        Stream::Plain(tcp) => {
            let (read, write) = tcp.into_split();
            (Box::new(read), Way::Plain(write))
        }
        Stream::Tls(tls) => {
            let (read, mut write) = tokio::io::split(*tls);
            let (queue, mut waiting) = mpsc::channel::<Vec<u8>>(64);
            spawn_local(async move {
                while let Some(bytes) = waiting.recv().await {
                    if write.write_all(&bytes).await.is_err() || write.flush().await.is_err() {
                        return;
                    }
                }
                let _ = write.shutdown().await;
            });
            (Box::new(read), Way::Tls(queue))
        }
    }
}
