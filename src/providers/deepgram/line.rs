//! One connection of a recogniser: what is sent on it next, where its seconds stand in the call, and whether anybody is
//! there at its other end. What is said on it is read elsewhere.

use std::time::Duration;

use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::{
    NAME,
    tape::Tape,
    wire::{Socket, send},
};
use crate::{
    audio::Rate,
    providers::{Kind, ProviderError},
};

/// Sent at once: in pieces of at most this much, so that answers are read in between.
const PIECE: u64 = Rate::WIDE.samples(Duration::from_millis(100)) as u64;
/// After so long without anything sent, the connection is kept alive.
const QUIET: Duration = Duration::from_secs(4);
/// After so long without anything received we ask whether anybody is there, and give up after as long again.
const SILENT: Duration = Duration::from_secs(4);
/// How long the last texts may take when the caller has gone.
const FAREWELL: Duration = Duration::from_secs(2);

/// What is to be sent next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Audio up to this sample.
    Audio(u64),
    Finalize,
    Goodbye,
}

/// One connection.
pub(super) struct Line {
    pub(super) socket: Socket,
    /// The next sample to send.
    pub(super) sent: u64,
    /// The sample that stands at second 0 of the connection's audio. May lie before the call: silence came first.
    origin: i64,
    /// Commits that were passed on and not answered, the oldest ones of the tape.
    pub(super) asked: usize,
    /// When the answer to them is given up.
    pub(super) answer_due: Option<Instant>,
    /// When it last said anything.
    pub(super) said_at: Instant,
    /// Commits in a row after which it did not.
    pub(super) unanswered: u32,
    /// It has heard some audio.
    heard: bool,
    /// It has said something worth a connection.
    pub(super) useful: bool,
    /// When something was last sent, and received.
    sent_at: Instant,
    received_at: Instant,
    /// We asked whether anybody is there.
    pinged: bool,
    /// The caller has gone, and the last texts are waited for until then.
    pub(super) closing: Option<Instant>,
}

impl Line {
    pub(super) fn new(socket: Socket, start: u64) -> Self {
        let now = Instant::now();
        Self {
            socket,
            sent: start,
            origin: start as i64,
            asked: 0,
            answer_due: None,
            said_at: now,
            unanswered: 0,
            heard: false,
            useful: false,
            sent_at: now,
            received_at: now,
            pinged: false,
            closing: None,
        }
    }

    /// Where a second of the connection's audio stands in the call.
    pub(super) fn sample(&self, seconds: f64) -> i64 {
        self.origin.saturating_add((seconds * f64::from(Rate::WIDE.hz())) as i64)
    }

    /// What the tape could not keep will never be sent.
    pub(super) fn skip_forgotten(&mut self, tape: &Tape) {
        if let Some(lost) = tape.start().checked_sub(self.sent) {
            self.sent += lost;
            self.origin += lost as i64;
        }
    }

    pub(super) fn next(&self, tape: &Tape, ended: bool) -> Option<Next> {
        if self.closing.is_some() {
            return None;
        }
        match tape.commit(self.asked) {
            Some(commit) if commit <= self.sent => return Some(Next::Finalize),
            // Not a sample further before it is passed on.
            Some(commit) => return Some(Next::Audio(commit.min(self.sent + PIECE))),
            None => {}
        }
        if self.sent < tape.end() {
            Some(Next::Audio(tape.end().min(self.sent + PIECE)))
        } else {
            ended.then_some(Next::Goodbye)
        }
    }

    /// When there is something to look after.
    pub(super) fn wake(&self) -> Instant {
        let heartbeat = self.sent_at + QUIET;
        let silence = self.received_at + SILENT * if self.pinged { 2 } else { 1 };
        [self.answer_due, self.closing].into_iter().flatten().fold(heartbeat.min(silence), Instant::min)
    }

    async fn send(&mut self, message: Message) -> Result<(), ProviderError> {
        send(&mut self.socket, message).await?;
        self.sent_at = Instant::now();
        Ok(())
    }

    pub(super) async fn send_audio(&mut self, tape: &mut Tape, until: u64) -> Result<(), ProviderError> {
        let bytes = tape.bytes(self.sent..until);
        self.sent = until;
        // An empty message would close the connection.
        if bytes.is_empty() {
            return Ok(());
        }
        self.heard = true;
        self.send(Message::Binary(bytes.into())).await
    }

    pub(super) async fn finalize(&mut self, answer: Duration) -> Result<(), ProviderError> {
        self.asked += 1;
        self.answer_due = Some(Instant::now() + answer);
        self.send(Message::text(r#"{"type":"Finalize"}"#)).await
    }

    pub(super) async fn goodbye(&mut self) -> Result<(), ProviderError> {
        self.closing = Some(Instant::now() + FAREWELL);
        self.send(Message::text(r#"{"type":"CloseStream"}"#)).await
    }

    pub(super) fn received(&mut self) {
        self.received_at = Instant::now();
        self.pinged = false;
    }

    /// Keeps the connection alive, with a word where the server knows one (`word`), and finds out when it is dead.
    pub(super) async fn stay(&mut self, word: bool) -> Result<(), ProviderError> {
        let now = Instant::now();
        if now >= self.received_at + SILENT * 2 && self.pinged {
            return Err(ProviderError::upstream(NAME, Kind::Stalled, "nobody is there any more"));
        }
        if now >= self.received_at + SILENT && !self.pinged {
            self.pinged = true;
            // Not counted as sent: a ping does not keep the server from closing a quiet stream.
            send(&mut self.socket, Message::Ping(bytes::Bytes::new())).await?;
        }
        if now < self.sent_at + QUIET {
            return Ok(());
        }
        if word && self.heard {
            return self.send(Message::text(r#"{"type":"KeepAlive"}"#)).await;
        }
        // A connection that never heard anything is closed, whatever else it is told.
        self.origin -= PIECE as i64;
        self.send(Message::Binary(vec![0; PIECE as usize * 2].into())).await
    }
}
