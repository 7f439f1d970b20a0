//! A caller of ours is put through to an assistant at Vapi.

use std::time::{Duration, Instant};

use tokio::{
    select,
    time::{sleep_until, timeout_at},
};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::{
    legs::ToCaller,
    line::{CallOver, FromVapi, VapiCall},
};
use crate::{
    audio::{Codec, CodecError, Decoder, Format, Key, Line, Resampler, dtmf},
    call::{Ending, Event, Message, Role},
    gateway::{
        clock,
        drain::{Drain, Step},
        driver::{Leave, fault_of},
        metrics,
        observe::Observer,
        socket::{Fault, Received},
        wire::Wire,
    },
    transport::{self, Dialect, Incoming, PeerEvent, Started, Told},
    vapi::peer::{Dialling, dialling::NewCall},
};

/// How long Vapi may take to have a call ready before the shop's own receptionist answers: a caller hears nothing meanwhile,
/// and two seconds and a half of that is the most we promise.
const READY_WAIT: Duration = Duration::from_secs(2);

/// How long a key sounds, on its way to an assistant that has no other word for it.
const KEY: Duration = Duration::from_millis(120);

/// Messages kept of a conversation.
const HISTORY_MAX: usize = 1_000;

/// How it went.
pub(in crate::gateway) enum Through {
    /// The call is over.
    Over(Leave, Vec<Message>),
    /// The caller is still there, and the assistant is not (any more).
    Alone(Vec<Message>),
}

/// Puts a caller through, and stays until one of them is gone.
pub(in crate::gateway) async fn put_through(
    dialling: &Dialling,
    wire: &mut Wire,
    started: &Started,
    observer: &Observer,
    drain: &Drain,
) -> Through {
    let line = wire.transport.line();
    let format = format(line.hears);
    let mut new = NewCall::to(dialling.answerer.clone(), format).named(&format!("pronto {}", observer.name.id));
    if let Some(from) = &started.from {
        new = new.knowing("callerNumber", from.reveal().as_str());
    }
    let (account, calling) = (dialling.account.clone(), new);
    let mut calling = tokio::spawn(async move { VapiCall::place(&account, &calling).await });
    let until = clock::now() + READY_WAIT;
    let waited = timeout_at(until.into(), async {
        select! {
            biased;
            called = &mut calling => Ok(called),
            gone = gone(wire) => Err(gone),
        }
    });
    let (outcome, early) = match waited.await {
        Ok(Ok(Ok(Ok(call)))) => match Bridge::new(wire, observer, call, format, &line) {
            Ok(bridge) => {
                metrics::dialled("ready");
                return bridge.run(drain).await;
            }
            Err(_) => ("format", None),
        },
        Ok(Ok(Ok(Err(error)))) => {
            tracing::warn!(%error, "no call at Vapi: the shop's own receptionist answers");
            (error.name(), None)
        }
        Ok(Ok(Err(_panicked))) => ("panicked", None),
        Ok(Err(leave)) => ("gone", Some(leave)),
        Err(_late) => {
            tracing::warn!("Vapi has no call ready in time: the shop's own receptionist answers");
            ("late", None)
        }
    };
    metrics::dialled(outcome);
    // What becomes a call after all is ended: nobody would be on it, and somebody would pay for it.
    if matches!(outcome, "late" | "gone") {
        tokio::spawn(async move {
            if let Ok(Ok(call)) = calling.await {
                call.hang_up().await;
            }
        });
    }
    match early {
        Some(leave) => Through::Over(leave, Vec::new()),
        None => Through::Alone(Vec::new()),
    }
}

/// What audio is in at Vapi: what the caller's line has, where Vapi has it, so that as little as possible is done to it.
const fn format(hears: Format) -> Format {
    match hears.codec {
        Codec::Mulaw | Codec::Pcm => hears,
        Codec::Alaw | Codec::Opus => Format { codec: Codec::Pcm, rate: hears.rate },
    }
}

/// Waits until the caller hangs up.
async fn gone(wire: &mut Wire) -> Leave {
    loop {
        let now = clock::now();
        let due = wire.socket.deadline();
        let received = select! {
            biased;
            received = wire.socket.next(now, false) => received,
            () = sleep_until(due.into()) => {
                match wire.socket.tick(clock::now()) {
                    Ok(()) => continue,
                    Err(fault) => Received::Fault(fault),
                }
            }
        };
        let message = match &received {
            Received::Text(text) => transport::Message::Text(text),
            Received::Binary(bytes) => transport::Message::Binary(bytes),
            Received::Closed { clean } => return closed(*clean),
            Received::Fault(fault) => return faulty(*fault),
        };
        // What the caller says into the ringing is not kept.
        match wire.transport.receive(message) {
            Ok(Incoming::Stopped | Incoming::Control(transport::Control::End)) => return closed(true),
            Ok(_) => {}
            Err(error) => return misspoke(&error),
        }
    }
}

fn leave(ending: Ending, code: CloseCode, reason: &str) -> Leave {
    Leave { ending, code, reason: reason.to_owned(), transfer: None }
}

fn closed(clean: bool) -> Leave {
    leave(if clean { Ending::CallerHungUp } else { Ending::LineLost }, CloseCode::Normal, "")
}

fn faulty(fault: Fault) -> Leave {
    metrics::socket_fault(fault.name());
    let (code, reason) = fault.close();
    leave(Ending::LineLost, code, reason)
}

fn misspoke(error: &transport::TransportError) -> Leave {
    let (name, code) = fault_of(error);
    metrics::socket_fault(name);
    leave(Ending::LineLost, code, &error.to_string())
}

/// Both legs.
struct Bridge<'a> {
    wire: &'a mut Wire,
    observer: &'a Observer,
    vapi: VapiCall,
    to_caller: ToCaller,
    /// The caller's sound, from the line's format to Vapi's rate.
    decoder: Decoder,
    resampler: Resampler,
    format: Format,
    native: Vec<i16>,
    samples: Vec<i16>,
    history: Vec<Message>,
    /// Where Vapi wants the caller to be put through to.
    transfer: Option<String>,
}

/// How it ends.
enum End {
    Leave(Leave),
    Alone,
}

enum Happened {
    Caller(Received),
    Vapi(FromVapi),
    Closing,
    Due,
}

impl<'a> Bridge<'a> {
    fn new(
        wire: &'a mut Wire,
        observer: &'a Observer,
        vapi: VapiCall,
        format: Format,
        line: &Line,
    ) -> Result<Self, CodecError> {
        Ok(Self {
            wire,
            observer,
            vapi,
            to_caller: ToCaller::new(format, line)?,
            decoder: Decoder::new(line.hears)?,
            resampler: Resampler::new(line.hears.rate, format.rate),
            format,
            native: Vec::new(),
            samples: Vec::new(),
            history: Vec::new(),
            transfer: None,
        })
    }

    async fn run(mut self, drain: &Drain) -> Through {
        let end = self.carry(drain).await;
        metrics::dialled_dropped(self.vapi.dropped());
        // Its goodbye is nothing that the caller has to wait for.
        tokio::spawn(self.vapi.hang_up());
        match end {
            End::Leave(mut leave) => {
                leave.transfer = self.transfer.take();
                Through::Over(leave, self.history)
            }
            End::Alone => {
                metrics::dialled("lost");
                tracing::warn!("the assistant at Vapi is gone: the shop's own receptionist goes on");
                Through::Alone(self.history)
            }
        }
    }

    async fn carry(&mut self, drain: &Drain) -> End {
        loop {
            let now = clock::now();
            if let Err(fault) = self.pump(now) {
                return End::Leave(faulty(fault));
            }
            let socket_due = self.wire.socket.deadline();
            let due = self.to_caller.next(now).map_or(socket_due, |due| due.min(socket_due));
            let happened = select! {
                biased;
                () = drain.reached(Step::Closing) => Happened::Closing,
                received = self.wire.socket.next(now, false) => Happened::Caller(received),
                from = self.vapi.next() => Happened::Vapi(from),
                () = sleep_until(due.into()) => Happened::Due,
            };
            let now = clock::now();
            let end = match happened {
                Happened::Closing => {
                    Some(End::Leave(leave(Ending::Shutdown, CloseCode::Restart, "the gateway is shutting down")))
                }
                Happened::Caller(received) => self.caller(now, &received).map(End::Leave),
                Happened::Vapi(FromVapi::Audio(bytes)) => {
                    self.to_caller.say(now, &bytes);
                    None
                }
                Happened::Vapi(FromVapi::Event(event)) => {
                    self.event(event);
                    None
                }
                Happened::Vapi(FromVapi::Over(over)) => Some(self.over(over)),
                Happened::Due => self.wire.socket.tick(now).err().map(|fault| End::Leave(faulty(fault))),
            };
            if let Some(end) = end {
                return end;
            }
        }
    }

    /// Sends the caller what is due.
    fn pump(&mut self, now: Instant) -> Result<(), Fault> {
        while let Some(frame) = self.to_caller.due(now) {
            self.wire.audio(None, frame)?;
        }
        Ok(())
    }

    fn caller(&mut self, now: Instant, received: &Received) -> Option<Leave> {
        let message = match received {
            Received::Text(text) => transport::Message::Text(text),
            Received::Binary(bytes) => transport::Message::Binary(bytes),
            Received::Closed { clean } => return Some(closed(*clean)),
            Received::Fault(fault) => return Some(faulty(*fault)),
        };
        match self.wire.transport.receive(message) {
            Ok(Incoming::Audio { payload, .. }) => {
                self.native.clear();
                self.decoder.decode(payload, &mut self.native);
                self.samples.clear();
                self.resampler.process(&self.native, &mut self.samples);
                self.vapi.hear(&self.samples);
                self.to_caller.accompanied(now);
            }
            Ok(Incoming::Key(key)) => self.key(key),
            Ok(Incoming::Control(asked)) => {
                self.vapi.control(&asked);
            }
            Ok(Incoming::Stopped) => return Some(closed(true)),
            Ok(Incoming::Mark(_)) => {}
            Ok(Incoming::Started(_)) => metrics::ignored("started twice"),
            Ok(Incoming::Event(_)) => metrics::ignored("event of a platform"),
            Ok(Incoming::Ignored(why)) => metrics::ignored(why),
            Err(error) => return Some(misspoke(&error)),
        }
        None
    }

    /// The carrier took the key's sound out of the audio; Vapi's wire has no other word for it.
    fn key(&mut self, key: Key) {
        self.vapi.hear(&dtmf::tone(key, self.format.rate, KEY));
    }

    fn event(&mut self, event: PeerEvent) {
        match event {
            PeerEvent::Transcript { ours, last, text } => {
                self.wire.tell(Told::Transcript { agent: !ours, last, text: &text });
                let role = if ours { Role::Caller } else { Role::Agent };
                let told = Event::Transcript { role, last, text };
                for watch in &self.observer.watches {
                    watch.event(&self.observer.name, &told);
                }
                if let Event::Transcript { text, last: true, .. } = told
                    && self.history.len() < HISTORY_MAX
                {
                    self.history.push(match role {
                        Role::Caller => Message::Caller { text },
                        Role::Agent => Message::Agent { text, interrupted: false, estimated: false },
                    });
                }
            }
            PeerEvent::Speech { assistant, started } => {
                self.wire.tell(Told::Speech { agent: assistant, started, turn: 0 });
            }
            PeerEvent::Interrupted => {
                self.to_caller.cut();
                if self.wire.transport.line().clears {
                    self.wire.clear();
                    self.to_caller.cleared();
                }
                self.wire.tell(Told::Interrupted { turn: 0 });
            }
            PeerEvent::Transfer { to } => {
                self.wire.tell(Told::Transfer { to: &to });
                self.transfer = Some(to);
            }
            PeerEvent::Status { .. } => {}
        }
    }

    /// Vapi has ended the call. Who it has lost or failed is not sent away.
    fn over(&mut self, over: CallOver) -> End {
        let ending = match over {
            CallOver::Lost => None,
            CallOver::Ended(None) => Some(Ending::AgentEnded),
            CallOver::Ended(Some(reason)) => ending(&reason),
        };
        match ending {
            Some(ending) => End::Leave(leave(ending, CloseCode::Normal, "")),
            None => End::Alone,
        }
    }
}

/// Vapi's reason as ours; none where something broke there and the caller has not had an end.
fn ending(reason: &str) -> Option<Ending> {
    Some(match reason {
        "customer-ended-call" => Ending::CallerHungUp,
        "silence-timed-out" => Ending::SilenceTimedOut,
        "exceeded-max-duration" => Ending::TooLong,
        "assistant-said-end-call-phrase" => Ending::EndPhrase,
        "assistant-forwarded-call" => Ending::Transferred,
        "manually-canceled" => Ending::Cancelled,
        _ if reason.starts_with("assistant-ended-call") => Ending::AgentEnded,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_failed_by_vapi_is_not_sent_away() {
        let check = |reason, expected| assert_eq!(ending(reason), expected, "{reason}");
        check("assistant-ended-call-after-message-spoken", Some(Ending::AgentEnded));
        check("assistant-forwarded-call", Some(Ending::Transferred));
        check("pipeline-error-custom-llm-500-server-error", None);
        check("worker-shutdown", None);
        check("a reason of tomorrow", None);
    }

    #[test]
    fn the_callers_own_format_is_asked_for_where_vapi_has_it() {
        assert_eq!(format(Format::MULAW_PHONE), Format::MULAW_PHONE);
        let alaw = Format { codec: Codec::Alaw, ..Format::MULAW_PHONE };
        assert_eq!(format(alaw), Format { codec: Codec::Pcm, ..alaw });
    }
}
