//! One WebSocket with every bound written out: what waits to be sent, how long a write may stand still, how long a
//! silent peer is believed to be there.
//!
//! What is to be sent at one moment is written together, and nothing more until that is away; control messages go before
//! audio, and audio of a reply that
//! was cut is dropped here before it reaches the wire.

use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Instant,
};

use bytes::Bytes;
use futures_util::{Sink, SinkExt, Stream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Message, Utf8Bytes,
        error::CapacityError,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use super::limits;
use crate::{call::Turn, transport};

/// A WebSocket that carries one call.
#[derive(Debug)]
pub(super) struct Socket<S> {
    /// The protocol; keeps at most what is being written.
    wire: WebSocketStream<S>,
    /// It keeps something.
    writing: bool,
    /// Events, pings and clears: sent first.
    control: VecDeque<Message>,
    /// Frames of our voice and the turn each belongs to; marks too, because they speak of the frames before them.
    audio: VecDeque<(Option<Turn>, Message)>,
    /// Since when the writer has made no progress.
    stuck_since: Option<Instant>,
    /// When the next ping is due.
    ping_at: Instant,
    /// Pings sent since the peer last gave a sign of life.
    unanswered: u32,
    /// Frames and events that had to be dropped because the peer is slow.
    dropped: u64,
}

/// What came.
#[derive(Debug)]
pub(super) enum Received {
    /// A text message.
    Text(Utf8Bytes),
    /// A binary message. Points into the read buffer: use it at once, keep nothing.
    Binary(Bytes),
    /// The peer closed the connection.
    Closed {
        /// It said goodbye first.
        clean: bool,
    },
    /// The connection cannot go on.
    Fault(Fault),
}

/// Why a connection cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Fault {
    /// A message over [`limits::MESSAGE_MAX`].
    TooLong,
    /// Bytes that are no WebSocket, or text that is no UTF-8.
    Protocol,
    /// The connection broke.
    Broken,
    /// No sign of life in answer to our pings.
    Silent,
    /// Our bytes do not get away: the peer does not read.
    Slow,
}

impl Fault {
    /// What the peer is told, if it can still hear.
    pub(super) const fn close(self) -> (CloseCode, &'static str) {
        match self {
            Self::TooLong => (CloseCode::Size, "message too long: the most is 4 MiB; send audio in frames of 20 ms"),
            Self::Protocol => (CloseCode::Protocol, "not a valid WebSocket message"),
            Self::Broken | Self::Silent => (CloseCode::Away, "no sign of life"),
            Self::Slow => (CloseCode::Policy, "audio is not being read"),
        }
    }

    /// The label.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Protocol => "protocol",
            Self::Broken => "broken",
            Self::Silent => "silent",
            Self::Slow => "slow",
        }
    }

    fn of(error: &tungstenite::Error) -> Self {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the library's errors may grow; any other means it broke")]
        match error {
            tungstenite::Error::Capacity(CapacityError::MessageTooLong { .. }) => Self::TooLong,
            tungstenite::Error::Protocol(
                tungstenite::error::ProtocolError::ResetWithoutClosingHandshake
                | tungstenite::error::ProtocolError::SendAfterClosing,
            ) => Self::Broken,
            tungstenite::Error::Protocol(_) | tungstenite::Error::Utf8(_) => Self::Protocol,
            tungstenite::Error::WriteBufferFull(_) => Self::Slow,
            _ => Self::Broken,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// A connection whose upgrade is done.
    pub(super) fn new(wire: WebSocketStream<S>, now: Instant) -> Self {
        Self {
            wire,
            writing: false,
            control: VecDeque::new(),
            audio: VecDeque::new(),
            stuck_since: None,
            ping_at: now + limits::PING_EVERY,
            unanswered: 0,
            dropped: 0,
        }
    }

    /// Waits for the next message and sends what waits meanwhile. May be dropped at any time without loss.
    ///
    /// `asleep` it answers with what is there and is not woken by what comes later: ask again in time.
    pub(super) async fn next(&mut self, now: Instant, asleep: bool) -> Received {
        poll_fn(|cx| self.poll(cx, now, asleep)).await
    }

    /// Queues an event or a clear. `true` when it is queued; a full queue drops it.
    pub(super) fn control(&mut self, message: transport::Message<'_>) -> bool {
        if self.control.len() >= limits::EVENTS_WAITING_MAX {
            self.dropped += 1;
            return false;
        }
        self.control.push_back(owned(message));
        true
    }

    /// Queues a frame of our voice, or a mark.
    pub(super) fn audio(&mut self, turn: Option<Turn>, message: transport::Message<'_>) -> Result<(), Fault> {
        if self.audio.len() >= limits::FRAMES_WAITING_MAX {
            return Err(Fault::Slow);
        }
        self.audio.push_back((turn, owned(message)));
        Ok(())
    }

    /// Frames of our voice that wait to be sent.
    pub(super) fn waiting(&self) -> usize {
        self.audio.len()
    }

    /// Drops the frames of every turn up to this one that have not been sent.
    pub(super) fn cut(&mut self, turn: Turn) {
        self.audio.retain(|(of, _)| of.is_none_or(|of| of > turn));
    }

    /// When [`tick`](Self::tick) is to be called.
    pub(super) fn deadline(&self) -> Instant {
        self.stuck_since.map_or(self.ping_at, |since| self.ping_at.min(since + limits::WRITE_STALL))
    }

    /// Does what is due: a ping, or giving up.
    pub(super) fn tick(&mut self, now: Instant) -> Result<(), Fault> {
        if self.stuck_since.is_some_and(|since| now >= since + limits::WRITE_STALL) {
            return Err(Fault::Slow);
        }
        if now >= self.ping_at {
            if self.unanswered >= limits::PINGS_MISSED_MAX {
                return Err(Fault::Silent);
            }
            self.unanswered += 1;
            self.ping_at = now + limits::PING_EVERY;
            self.control.push_back(Message::Ping(Bytes::new()));
        }
        Ok(())
    }

    /// Frames and events dropped so far.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Says goodbye: sends what waits, the close frame, and waits a little for the peer's.
    pub(super) async fn close(&mut self, code: CloseCode, reason: &str) {
        // A control frame holds 125 bytes, two of them the code.
        let reason = &reason[..reason.floor_char_boundary(123)];
        let goodbye = async {
            poll_fn(|cx| self.poll_send(cx, None)).await?;
            self.wire.send(Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await?;
            // The peer's goodbye, or its end.
            while poll_fn(|cx| Pin::new(&mut self.wire).poll_next(cx)).await.is_some_and(|message| message.is_ok()) {}
            Ok::<(), tungstenite::Error>(())
        };
        let clean = tokio::time::timeout(limits::CLOSE_WAIT, goodbye).await;
        if code == CloseCode::Size && matches!(clean, Ok(Ok(()))) {
            // Closing on unread bytes would reset the connection, and the peer would never read why.
            // On the heap: it would be part of every call's task for as long as the call lives.
            let mut waste = vec![0; 4096];
            let drain = async { while matches!(self.wire.get_mut().read(&mut waste).await, Ok(1..)) {} };
            let _ = tokio::time::timeout(limits::CLOSE_WAIT, drain).await;
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>, now: Instant, asleep: bool) -> Poll<Received> {
        let mut nobody = Context::from_waker(Waker::noop());
        // The library wakes whoever wrote last when there is something to read. Only a write that is stuck needs it.
        let mut sent = if asleep { self.poll_send(&mut nobody, Some(now)) } else { Poll::Pending };
        if sent.is_pending() {
            sent = self.poll_send(cx, Some(now));
        }
        if let Poll::Ready(Err(error)) = sent {
            return Poll::Ready(Received::Fault(Fault::of(&error)));
        }
        let reader = if asleep { &mut nobody } else { cx };
        loop {
            let message = match Pin::new(&mut self.wire).poll_next(reader) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(Received::Closed { clean: false }),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Received::Fault(Fault::of(&error))),
                Poll::Ready(Some(Ok(message))) => message,
            };
            self.unanswered = 0;
            match message {
                Message::Text(text) => return Poll::Ready(Received::Text(text)),
                Message::Binary(bytes) => return Poll::Ready(Received::Binary(bytes)),
                Message::Close(frame) => {
                    let clean = frame.is_none_or(|frame| matches!(frame.code, CloseCode::Normal | CloseCode::Policy));
                    return Poll::Ready(Received::Closed { clean });
                }
                // The library answers pings itself.
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    /// Sends until nothing waits (`Ready`) or the peer does not take more. `now` is left out where nobody watches.
    fn poll_send(&mut self, cx: &mut Context<'_>, now: Option<Instant>) -> Poll<Result<(), tungstenite::Error>> {
        loop {
            if self.writing {
                if Pin::new(&mut self.wire).poll_flush(cx)?.is_pending() {
                    self.stuck_since = self.stuck_since.or(now);
                    return Poll::Pending;
                }
                self.writing = false;
            }
            self.stuck_since = None;
            let mut bytes = 0;
            while bytes < limits::WRITE_BUFFER {
                let next = self.control.pop_front().or_else(|| self.audio.pop_front().map(|(_, frame)| frame));
                let Some(message) = next else { break };
                bytes += message.len();
                self.writing = true;
                Pin::new(&mut self.wire).start_send(message)?;
            }
            if !self.writing {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

fn owned(message: transport::Message<'_>) -> Message {
    match message {
        transport::Message::Text(text) => Message::Text(text.into()),
        transport::Message::Binary(bytes) => Message::Binary(Bytes::copy_from_slice(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::Wake,
        time::Duration,
    };

    use futures_util::{FutureExt, StreamExt};
    use tokio::io::{DuplexStream, duplex};
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::*;

    async fn pair(buffer: usize) -> (Socket<DuplexStream>, WebSocketStream<DuplexStream>, Instant) {
        let (ours, theirs) = duplex(buffer);
        let now = super::super::clock::now();
        let ours = WebSocketStream::from_raw_socket(ours, Role::Server, Some(limits::websocket())).await;
        let theirs = WebSocketStream::from_raw_socket(theirs, Role::Client, None).await;
        (Socket::new(ours, now), theirs, now)
    }

    /// Sends what can be sent now.
    async fn pump(socket: &mut Socket<DuplexStream>, now: Instant) {
        poll_fn(|cx| {
            let _ = socket.poll_send(cx, Some(now));
            Poll::Ready(())
        })
        .await;
    }

    fn received(peer: &mut WebSocketStream<DuplexStream>) -> Option<Message> {
        peer.next().now_or_never().flatten().map(|message| message.expect("the stream is well formed"))
    }

    const FRAME: [u8; 160] = [7; 160];

    #[tokio::test]
    async fn a_peer_that_does_not_read_is_given_up_after_the_stall() {
        let (mut socket, _peer, now) = pair(256).await;
        for _ in 0..3 {
            socket.audio(Some(Turn(1)), transport::Message::Binary(&FRAME)).unwrap();
        }
        pump(&mut socket, now).await;
        assert_eq!(socket.deadline(), now + limits::WRITE_STALL);
        assert_eq!(socket.tick(now + limits::WRITE_STALL - Duration::from_millis(1)), Ok(()));
        assert_eq!(socket.tick(now + limits::WRITE_STALL), Err(Fault::Slow));
    }

    #[tokio::test]
    async fn too_many_waiting_frames_mean_a_slow_peer() {
        let (mut socket, _peer, _) = pair(256).await;
        let queued = (0..=limits::FRAMES_WAITING_MAX)
            .map(|_| socket.audio(None, transport::Message::Binary(&FRAME)))
            .take_while(Result::is_ok)
            .count();
        assert_eq!(queued, limits::FRAMES_WAITING_MAX);
    }

    #[tokio::test]
    async fn a_half_open_peer_is_lost_after_two_unanswered_pings() {
        let (mut socket, _peer, mut now) = pair(4096).await;
        for _ in 0..limits::PINGS_MISSED_MAX {
            now += limits::PING_EVERY;
            assert_eq!(socket.tick(now), Ok(()));
            pump(&mut socket, now).await;
        }
        assert_eq!(socket.tick(now + limits::PING_EVERY), Err(Fault::Silent));
    }

    #[tokio::test]
    async fn any_sign_of_life_answers_a_ping() {
        let (mut socket, mut peer, mut now) = pair(4096).await;
        for _ in 0..5 {
            now += limits::PING_EVERY;
            assert_eq!(socket.tick(now), Ok(()));
            pump(&mut socket, now).await;
            assert!(matches!(received(&mut peer), Some(Message::Ping(_))));
            peer.send(Message::Text("x".into())).await.unwrap();
            assert!(matches!(socket.next(now, false).await, Received::Text(_)));
        }
    }

    #[tokio::test]
    async fn asleep_nothing_wakes_but_what_is_there_is_read_and_what_is_stuck_goes_on() {
        let (mut socket, mut peer, now) = pair(4096).await;
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        assert!(socket.poll(&mut cx, now, false).is_pending());
        assert!(socket.poll(&mut cx, now, true).is_pending());
        for _ in 0..3 {
            peer.send(Message::Text("x".into())).await.unwrap();
        }
        assert_eq!(woken.times(), 0, "asleep");
        for _ in 0..3 {
            assert!(matches!(socket.poll(&mut cx, now, true), Poll::Ready(Received::Text(_))));
        }
        assert!(socket.poll(&mut cx, now, true).is_pending());
        for _ in 0..50 {
            socket.audio(Some(Turn(1)), transport::Message::Binary(&FRAME)).unwrap();
        }
        assert!(socket.poll(&mut cx, now, true).is_pending());
        while received(&mut peer).is_some() {}
        assert!(woken.times() > 0, "the peer reads on");
    }

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Woken {
        fn times(&self) -> usize {
            self.0.load(Ordering::SeqCst)
        }
    }

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[tokio::test]
    async fn events_go_before_audio_and_a_cut_takes_the_cut_turn_only() {
        let (mut socket, mut peer, now) = pair(1 << 16).await;
        for (turn, byte) in [(Some(Turn(1)), 1), (None, 0), (Some(Turn(2)), 2)] {
            socket.audio(turn, transport::Message::Binary(&[byte])).unwrap();
        }
        assert!(socket.control(transport::Message::Text("cut")));
        socket.cut(Turn(1));
        pump(&mut socket, now).await;
        let order: Vec<_> = std::iter::from_fn(|| received(&mut peer)).map(Message::into_data).collect();
        assert_eq!(order, [&b"cut"[..], &[0], &[2]]);
    }

    #[tokio::test]
    async fn events_beyond_the_bound_are_dropped_and_counted() {
        let (mut socket, _peer, _) = pair(256).await;
        for _ in 0..limits::EVENTS_WAITING_MAX + 3 {
            socket.control(transport::Message::Text("{}"));
        }
        assert_eq!(socket.dropped(), 3);
    }
}
