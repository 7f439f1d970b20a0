//! One connection of Vapi's custom transcriber, from the upgrade to its end: what comes is fed to the tenant's recogniser,
//! what is understood is sent back. What it all means is the business of [`peer::ears`](crate::vapi::peer::ears).
//!
//! The connection is a call's: it takes one of the tenant's lines, and a shutdown waits for it. When the peer has said
//! goodbye nothing more may be sent to it, so what the recogniser still held is dropped with it; when we say goodbye, the
//! rest is told first.

use std::{
    future::poll_fn,
    panic::AssertUnwindSafe,
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream::select_all};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    select,
    task::coop::consume_budget,
    time::{sleep_until, timeout},
};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tracing::Instrument;

use crate::{
    gateway::{
        Shared, Step, clock, limits, metrics,
        recogniser::{Recognised, Recogniser},
        socket::{Received, Socket},
    },
    tenant::{Permit, Tenant},
    transport::Message,
    vapi::peer::{
        ears::{Fed, Listener},
        transcriber::{Channel, NoStart, Sides, Start},
    },
};

/// Why the connection is over: what the socket is closed with. Without caller data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Leave(CloseCode, &'static str);

impl Leave {
    const GONE: Self = Self(CloseCode::Normal, "");
    const SILENT: Self = Self(CloseCode::Policy, "no start message came: send {\"type\":\"start\",...} first");
    const EARLY: Self = Self(CloseCode::Policy, "audio came before the start message");
    const DRAINING: Self = Self(CloseCode::Restart, "the gateway is shutting down");
    const DEAF: Self = Self(CloseCode::Error, "the recogniser failed");
    const BUG: Self = Self(CloseCode::Error, "internal error");
}

/// A connection that is counted; no longer when dropped.
struct Counted;

impl Counted {
    fn new() -> Self {
        metrics::transcriber(true);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        metrics::transcriber(false);
    }
}

/// Runs one connection to its end. It holds one of the tenant's lines meanwhile.
pub(super) async fn run<S>(shared: Arc<Shared>, mut socket: Socket<S>, tenant: Arc<Tenant>, permit: Permit)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let id = uuid::Uuid::now_v7();
    let span = tracing::info_span!("transcriber", %id, tenant = %tenant.id());
    let listening = async {
        let (_counted, _under_way) = (Counted::new(), shared.calls.begin(tenant.id(), None));
        tracing::info!("a call at Vapi is heard");
        let heard = AssertUnwindSafe(hear(&shared, &mut socket, &tenant)).catch_unwind().await;
        let Leave(code, reason) = heard.unwrap_or_else(|_panic| {
            metrics::panicked();
            tracing::error!("a transcriber panicked");
            Leave::BUG
        });
        metrics::events_dropped(socket.dropped());
        tracing::info!(code = u16::from(code), reason, "a call at Vapi is heard no more");
        socket.close(code, reason).await;
    };
    listening.instrument(span).await;
    drop(permit);
}

/// Listens until the connection is over.
async fn hear<S: AsyncRead + AsyncWrite + Unpin>(shared: &Shared, socket: &mut Socket<S>, tenant: &Tenant) -> Leave {
    let start = match timeout(limits::START_WAIT, described(socket)).await {
        Ok(Ok(start)) => start,
        Ok(Err(leave)) => return leave,
        Err(_late) => return Leave::SILENT,
    };
    let Ok(mut ears) = Ears::new(tenant, start) else {
        return Leave(CloseCode::Unsupported, "this audio cannot be carried");
    };
    let leave = ears.listen(shared, socket).await;
    if leave == Leave::DRAINING {
        let rest = ears.rest(socket);
        // Who is cut off hears no more.
        let _ = timeout(Duration::from_secs(shared.settings.drain.goodbye_s), rest).await;
    }
    leave
}

/// Waits for the description of the sound.
async fn described<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut Socket<S>) -> Result<Start, Leave> {
    loop {
        match socket.next(clock::now(), false).await {
            Received::Text(text) => match Start::read(&text) {
                Ok(start) => return Ok(start),
                Err(NoStart::Other) => metrics::ignored("message before the start of a transcriber"),
                Err(NoStart::Json) => return Err(Leave(CloseCode::Policy, "a text message is no JSON object")),
                Err(NoStart::Encoding) => {
                    let reason = "encoding must be linear16, container raw";
                    return Err(Leave(CloseCode::Unsupported, reason));
                }
                Err(NoStart::Rate) => {
                    let reason = "sampleRate must be a whole number from 8000 to 48000";
                    return Err(Leave(CloseCode::Unsupported, reason));
                }
                Err(NoStart::Channels) => {
                    let reason = "channels must be 2 (customer and assistant) or 1 (customer)";
                    return Err(Leave(CloseCode::Unsupported, reason));
                }
            },
            Received::Binary(_) => return Err(Leave::EARLY),
            Received::Closed { .. } => return Err(Leave::GONE),
            Received::Fault(fault) => {
                metrics::socket_fault(fault.name());
                let (code, reason) = fault.close();
                return Err(Leave(code, reason));
            }
        }
    }
}

/// The sides of a call that are listened to.
struct Ears {
    sides: Sides,
    /// Each with its place among the sides.
    listening: Vec<(usize, Listener, Recogniser)>,
}

/// What ended the wait.
enum Happened {
    Draining,
    Received(Received),
    Recognised(usize, Recognised),
    Due,
}

impl Ears {
    fn new(tenant: &Tenant, start: Start) -> Result<Self, crate::audio::CodecError> {
        let profile = tenant.profile();
        let stt = &tenant.engines().stt;
        let pause = Duration::from_millis(profile.call.endpointing.commit_ms);
        let pause = stt.capabilities().commits.then_some(pause);
        let both = profile.vapi.transcribe_assistant && start.channels == 2;
        let wanted = if both { &[Channel::Customer, Channel::Assistant][..] } else { &[Channel::Customer] };
        let listening = wanted.iter().enumerate().map(|(side, channel)| {
            let listener = Listener::new(*channel, start.rate, &profile.call.vad, pause)?;
            Ok((side, listener, Recogniser::new(Arc::clone(stt), profile.call.language)))
        });
        Ok(Self { listening: listening.collect::<Result<_, _>>()?, sides: Sides::new(start.channels) })
    }

    async fn listen<S: AsyncRead + AsyncWrite + Unpin>(&mut self, shared: &Shared, socket: &mut Socket<S>) -> Leave {
        let mut draining = pin!(shared.drain.reached(Step::Telling));
        let mut sleep = pin!(sleep_until(tokio::time::Instant::now()));
        loop {
            consume_budget().await;
            let now = clock::now();
            if let Err(fault) = socket.tick(now) {
                metrics::socket_fault(fault.name());
                let (code, reason) = fault.close();
                return Leave(code, reason);
            }
            self.tick(now);
            let due = self.deadline().map_or(socket.deadline(), |due| due.min(socket.deadline())).max(now).into();
            if sleep.deadline() != due {
                sleep.as_mut().reset(due);
            }
            // In no order: neither a peer that sends without a pause nor a recogniser that talks all the time holds up
            // the other.
            let happened = select! {
                () = &mut draining => Happened::Draining,
                received = socket.next(now, false) => Happened::Received(received),
                (at, recognised) = poll_fn(|cx| self.poll(cx, now)) => Happened::Recognised(at, recognised),
                () = &mut sleep => Happened::Due,
            };
            let now = clock::now();
            match happened {
                Happened::Due => {}
                Happened::Draining => return Leave::DRAINING,
                Happened::Received(Received::Binary(bytes)) => self.hear(now, &bytes),
                Happened::Received(Received::Text(_)) => metrics::ignored("message to a transcriber"),
                Happened::Received(Received::Closed { .. }) => return Leave::GONE,
                Happened::Received(Received::Fault(fault)) => {
                    metrics::socket_fault(fault.name());
                    let (code, reason) = fault.close();
                    return Leave(code, reason);
                }
                Happened::Recognised(at, Recognised::Said(event)) => {
                    if let Some(text) = self.listening[at].1.recognised(event) {
                        socket.control(Message::Text(&text));
                    }
                }
                Happened::Recognised(at, Recognised::Failed { restarts, .. }) => {
                    if !restarts {
                        return Leave::DEAF;
                    }
                    self.listening[at].1.lose();
                }
            }
        }
    }

    /// A message of sound.
    fn hear(&mut self, now: Instant, bytes: &Bytes) {
        let sides = self.sides.split(bytes);
        for (side, listener, recogniser) in &mut self.listening {
            listener.hear(now, sides[*side], |fed| match fed {
                Fed::Sound(samples) => recogniser.hear(samples),
                Fed::Commit(commit) => recogniser.commit(commit),
            });
        }
    }

    /// Whatever has become due.
    fn tick(&mut self, now: Instant) {
        for (_, listener, recogniser) in &mut self.listening {
            recogniser.tick(now);
            if let Some(commit) = listener.stalled(now) {
                recogniser.commit(commit);
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let deadlines = |(_, listener, recogniser): &(usize, Listener, Recogniser)| {
            [listener.wake(), recogniser.deadline()].into_iter().flatten().min()
        };
        self.listening.iter().filter_map(deadlines).min()
    }

    fn poll(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<(usize, Recognised)> {
        for (at, (_, _, recogniser)) in self.listening.iter_mut().enumerate() {
            recogniser.polled(cx);
            if let Poll::Ready(recognised) = recogniser.poll(cx, now) {
                return Poll::Ready((at, recognised));
            }
        }
        Poll::Pending
    }

    /// Nothing more is heard: tells what the recognisers still say of what they have.
    async fn rest<S: AsyncRead + AsyncWrite + Unpin>(&mut self, socket: &mut Socket<S>) {
        let texts = self.listening.drain(..).filter_map(|(_, mut listener, recogniser)| {
            if let Some(commit) = listener.end() {
                recogniser.commit(commit);
            }
            metrics::stt_dropped(recogniser.unheard());
            let events = recogniser.finish()?;
            let texts = events.filter_map(move |event| {
                let text = event.ok().and_then(|event| listener.recognised(event));
                async move { text }
            });
            Some(texts.boxed())
        });
        let mut texts = select_all(texts);
        while let Some(text) = texts.next().await {
            socket.control(Message::Text(&text));
        }
    }
}

impl Drop for Ears {
    fn drop(&mut self) {
        self.listening.iter().for_each(|(_, _, recogniser)| metrics::stt_dropped(recogniser.unheard()));
    }
}
