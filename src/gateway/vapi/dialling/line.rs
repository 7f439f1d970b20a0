//! One call at Vapi that we have dialled.

use std::{
    future::Future,
    pin::Pin,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::{
    select,
    time::{sleep, sleep_until},
};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::{
    legs::ToVapi,
    open::{DialError, Dialled, open},
};
use crate::{
    audio::Format,
    gateway::{clock, limits, metrics, socket::Received},
    transport::{Control, Dialect, Incoming, Message, Outgoing, PeerEvent, VapiClient},
    vapi::peer::{
        account::VapiAccount,
        dialling::{Created, NewCall},
    },
};

/// Frames that may wait for a slow network before the caller's sound is dropped: half a second. Latency is worse.
const FRAMES_WAITING_MAX: usize = 25;

/// Before the first attempt to open a broken connection again; doubled each time.
const BACKOFF: Duration = Duration::from_millis(100);

/// The longest wait between two attempts.
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// What comes from the assistant.
#[derive(Debug, Clone, PartialEq)]
pub enum FromVapi {
    /// Its sound, in the call's format; silence too. Of any length.
    Audio(Bytes),
    /// What it tells of the call.
    Event(PeerEvent),
    /// The call is over. Nothing follows.
    Over(CallOver),
}

/// How a call is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallOver {
    /// Vapi has ended it, for this reason (`endedReason`), if it told one.
    Ended(Option<String>),
    /// The connection broke and could not be opened again.
    Lost,
}

type Opening = Pin<Box<dyn Future<Output = Result<Box<Dialled>, DialError>> + Send>>;

/// One call at Vapi. Ask for what is [`next`](Self::next) without a pause: the caller's sound leaves meanwhile, and silence
/// where there is none.
pub struct VapiCall {
    account: VapiAccount,
    created: Created,
    dialect: VapiClient,
    sound: ToVapi,
    wire: Wire,
    /// What Vapi told as the reason of the end.
    reason: Option<String>,
    over: Option<CallOver>,
    /// Frames that were dropped because the network is slow.
    dropped: u64,
}

enum Wire {
    Open(Box<Dialled>),
    /// It broke: it is tried to be opened again until then, now by this attempt.
    Broken {
        until: Instant,
        backoff: Duration,
        opening: Opening,
    },
}

enum Happened {
    Received(Received),
    Opened(Result<Box<Dialled>, DialError>),
    Due,
}

impl VapiCall {
    /// Creates a call and dials it. What was created and cannot be dialled is ended.
    pub async fn place(account: &VapiAccount, new: &NewCall) -> Result<Self, DialError> {
        let created = account.create(new).await?;
        match open(account, created.transport.reveal()).await {
            Ok(socket) => Self::new(account, created, new.format(), socket),
            Err(error) => {
                account.end(&created).await;
                Err(error)
            }
        }
    }

    fn new(account: &VapiAccount, created: Created, format: Format, socket: Dialled) -> Result<Self, DialError> {
        Ok(Self {
            dialect: VapiClient::new(format, created.id.as_str()),
            sound: ToVapi::new(format)?,
            account: account.clone(),
            created,
            wire: Wire::Open(Box::new(socket)),
            reason: None,
            over: None,
            dropped: 0,
        })
    }

    /// Vapi's id of the call.
    pub fn id(&self) -> &str {
        &self.created.id
    }

    /// Sound of the caller, at the rate of the call's format. It leaves while [`next`](Self::next) is waited for.
    pub fn hear(&mut self, samples: &[i16]) {
        self.sound.hear(samples);
    }

    /// Asks something of the assistant. Whether there was a connection to ask it on.
    pub fn control(&mut self, control: &Control) -> bool {
        let Wire::Open(socket) = &mut self.wire else { return false };
        let Some(message) = self.dialect.send(Outgoing::Control(control), 0) else { return false };
        socket.control(message)
    }

    /// Frames of the caller's sound that never left: the network was too slow, or too much came at once.
    pub const fn dropped(&self) -> u64 {
        self.dropped + self.sound.lost()
    }

    /// Waits for what comes next. May be dropped at any time without loss.
    pub async fn next(&mut self) -> FromVapi {
        loop {
            if let Some(over) = &self.over {
                return FromVapi::Over(over.clone());
            }
            let now = clock::now();
            self.pump(now);
            let happened = match &mut self.wire {
                Wire::Open(socket) => {
                    let due = self.sound.next(now).min(socket.deadline());
                    select! {
                        biased;
                        received = socket.next(now, false) => Happened::Received(received),
                        () = sleep_until(due.into()) => Happened::Due,
                    }
                }
                Wire::Broken { until, opening, .. } => select! {
                    biased;
                    opened = opening => Happened::Opened(opened),
                    () = sleep_until((*until).into()) => Happened::Due,
                },
            };
            let now = clock::now();
            match happened {
                Happened::Received(Received::Text(text)) => {
                    if let Some(from) = self.read(Message::Text(&text)) {
                        return from;
                    }
                }
                Happened::Received(Received::Binary(bytes)) => {
                    if let Some(from) = self.read(Message::Binary(&bytes)) {
                        return from;
                    }
                }
                Happened::Received(Received::Closed { clean: true }) => {
                    self.over = Some(CallOver::Ended(self.reason.take()));
                }
                Happened::Received(Received::Closed { clean: false } | Received::Fault(_)) => self.broke(now),
                Happened::Opened(opened) => self.opened(now, opened),
                Happened::Due => self.due(now),
            }
        }
    }

    /// The caller hangs up: the connection is closed, which Vapi takes for just that (`customer-ended-call`).
    pub async fn hang_up(self) {
        match self.wire {
            Wire::Open(mut socket) => socket.close(CloseCode::Normal, "").await,
            Wire::Broken { .. } if self.over.is_none() => self.account.end(&self.created).await,
            Wire::Broken { .. } => {}
        }
    }

    /// Sends what is due.
    fn pump(&mut self, now: Instant) {
        let Wire::Open(socket) = &mut self.wire else { return };
        while let Some(frame) = self.sound.due(now) {
            if socket.waiting() >= FRAMES_WAITING_MAX {
                self.dropped += 1;
                continue;
            }
            if let Some(message) = self.dialect.send(Outgoing::Audio(frame), 0) {
                // There is room: it was just looked for.
                let _ = socket.audio(None, message);
            }
        }
    }

    fn read(&mut self, message: Message<'_>) -> Option<FromVapi> {
        match self.dialect.receive(message) {
            Ok(Incoming::Audio { payload, .. }) => Some(FromVapi::Audio(Bytes::copy_from_slice(payload))),
            Ok(Incoming::Event(event)) => {
                if let PeerEvent::Status { status, reason } = &event
                    && status == "ended"
                {
                    self.reason.clone_from(reason);
                }
                Some(FromVapi::Event(event))
            }
            Ok(Incoming::Stopped) => {
                self.over = Some(CallOver::Ended(self.reason.take()));
                None
            }
            Ok(Incoming::Ignored(why)) => {
                metrics::ignored(why);
                None
            }
            Ok(Incoming::Started(_) | Incoming::Key(_) | Incoming::Mark(_) | Incoming::Control(_)) => None,
            // One bad message of Vapi's is no reason to drop a caller.
            Err(_) => {
                metrics::ignored("malformed message");
                None
            }
        }
    }

    /// A timer: the socket's own, or the end of the attempts.
    fn due(&mut self, now: Instant) {
        match &mut self.wire {
            Wire::Open(socket) => {
                if socket.tick(now).is_err() {
                    self.broke(now);
                }
            }
            Wire::Broken { until, .. } if *until <= now => self.over = Some(CallOver::Lost),
            Wire::Broken { .. } => {}
        }
    }

    /// The connection broke. If Vapi had told that the call is over, it is.
    fn broke(&mut self, now: Instant) {
        if let Some(reason) = self.reason.take() {
            self.over = Some(CallOver::Ended(Some(reason)));
            return;
        }
        tracing::info!("the connection to Vapi broke: it is opened again");
        let until = now + self.account.reconnect_for();
        self.wire = Wire::Broken { until, backoff: BACKOFF, opening: self.open_after(Duration::ZERO) };
    }

    fn opened(&mut self, now: Instant, opened: Result<Box<Dialled>, DialError>) {
        let Wire::Broken { until, backoff, .. } = &self.wire else { return };
        match opened {
            Ok(socket) => {
                self.sound.reconnected();
                self.wire = Wire::Open(socket);
            }
            Err(error) if error.may_pass() && now + *backoff < *until => {
                let (until, backoff) = (*until, *backoff);
                let opening = self.open_after(backoff);
                self.wire = Wire::Broken { until, backoff: (2 * backoff).min(BACKOFF_MAX), opening };
            }
            Err(_) => self.over = Some(CallOver::Lost),
        }
    }

    fn open_after(&self, wait: Duration) -> Opening {
        let (account, address) = (self.account.clone(), self.created.transport.clone());
        Box::pin(async move {
            sleep(wait).await;
            open(&account, address.reveal()).await.map(Box::new)
        })
    }
}

impl std::fmt::Debug for VapiCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VapiCall").field("id", &self.created.id).field("over", &self.over).finish_non_exhaustive()
    }
}

const _: () = assert!(FRAMES_WAITING_MAX < limits::FRAMES_WAITING_MAX, "there is always room for what is let through");
