//! One task for one call: hands the call what happens, does what it asks.
//!
//! Everything is awaited in one biased `select!` over futures that may be dropped without loss. Deadlines are compared
//! with the clock on every round rather than waited for, so that neither a flood of messages nor tokio's budget can
//! delay them.

use std::{
    future::ready,
    pin::pin,
    time::{Duration, Instant},
};

use tokio::{net::TcpStream, select, task::coop::consume_budget, time::sleep_until};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::{
    calls::{Active, Errand},
    clock,
    drain::{Drain, Step},
    limits, metrics,
    observe::Observer,
    socket::{Fault, Received, Socket},
    streams::Streams,
    tap::{Listener, Tap},
    wire::Wire,
};
use crate::{
    call::{Action, Actions, AudioIn, Call, Control, Ending, Input, Wake},
    transport::{self, Dialect, Incoming, Told, TransportError},
};

/// A call under way and everything it moves.
pub(super) struct Driver<'a> {
    /// The conversation. On the heap: it would be part of every future that hands it on.
    pub(super) call: Box<Call>,
    /// Its peer.
    pub(super) wire: &'a mut Wire,
    /// Its engines and tools.
    pub(super) streams: Streams,
    /// Who watches.
    pub(super) observer: &'a Observer,
    /// What the call asked for last; kept for its memory.
    actions: Actions,
    /// The same, taken out.
    todo: Vec<Action>,
    /// When the call wants to be woken.
    wake: Option<Wake>,
    /// Its place among the calls, where it is reached from outside.
    active: &'a mut Active,
    /// The connection is lost: until when the call waits for another one.
    lost_until: Option<Instant>,
    /// Who listens and records, while somebody does.
    tap: Option<Box<Tap>>,
    /// How it is left, once it is.
    leave: Option<Leave>,
}

/// How a call is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leave {
    /// Why it ended.
    pub(super) ending: Ending,
    /// What the peer's socket is closed with.
    pub(super) code: CloseCode,
    /// In words; without caller data.
    pub(super) reason: String,
    /// Where the caller is put through to.
    pub(super) transfer: Option<String>,
}

/// What ended the wait.
enum Happened {
    Told,
    CutOff,
    Received(Received),
    Errand(Errand),
    Said(Input<'static>),
    Nothing,
}

impl<'a> Driver<'a> {
    pub(super) fn new(
        call: Box<Call>,
        wire: &'a mut Wire,
        streams: Streams,
        observer: &'a Observer,
        active: &'a mut Active,
    ) -> Self {
        let (actions, todo) = (Actions::new(), Vec::new());
        let recorder = active.recorder();
        let mut driver = Self {
            call,
            wire,
            streams,
            observer,
            actions,
            todo,
            wake: None,
            active,
            lost_until: None,
            tap: None,
            leave: None,
        };
        // Before the first sound, so that nothing of the call is missing.
        if let Some(recorder) = recorder
            && let Some(tap) = driver.tapped()
        {
            tap.record(recorder);
        }
        driver
    }

    /// Answers, and goes on until the call is over. `first` is handed to the call right after the answer.
    pub(super) async fn run(&mut self, drain: &Drain, goodbye: Duration, first: Option<Control>) -> Leave {
        let mut stopping = pin!(drain.reached(Step::Telling));
        let mut told = false;
        let mut sleep = pin!(sleep_until(tokio::time::Instant::now()));
        let mut messages_in_a_row = 0;
        self.handle(clock::now(), Input::Answered);
        if let Some(control) = first {
            self.handle(clock::now(), Input::Control(control));
        }
        loop {
            consume_budget().await;
            let now = clock::now();
            self.tick(now);
            if let Some(leave) = self.leave.take() {
                self.active.over();
                return leave;
            }
            // Most of the time nothing is hurried. Then the process wakes once for several frames, reads them together
            // and sends ours with them.
            let (wait, deadline) = (self.call.may_wait(now), self.deadline());
            let due = wait.map_or(deadline, |wait| deadline.min(now + wait)).max(now).into();
            if sleep.deadline() != due {
                sleep.as_mut().reset(due);
            }
            let (hungry, asleep) = (self.call.is_hungry(), wait.is_some());
            let here = self.lost_until.is_none();
            let happened = select! {
                biased;
                () = &mut stopping => if told { Happened::CutOff } else { Happened::Told },
                received = self.wire.socket.next(now, asleep), if here && messages_in_a_row < limits::MESSAGES_IN_A_ROW => {
                    Happened::Received(received)
                }
                errand = self.active.errand() => Happened::Errand(errand),
                input = self.streams.next(hungry, now) => Happened::Said(input),
                () = &mut sleep => Happened::Nothing,
                () = ready(()), if messages_in_a_row >= limits::MESSAGES_IN_A_ROW => Happened::Nothing,
            };
            // Stamped here, when the bytes have arrived, and not when they were decoded.
            let now = clock::now();
            messages_in_a_row = if matches!(happened, Happened::Received(_)) { messages_in_a_row + 1 } else { 0 };
            match happened {
                Happened::Nothing => {}
                Happened::Told => {
                    told = true;
                    stopping.set(drain.reached(Step::Closing));
                    self.handle(now, Input::Shutdown(goodbye));
                }
                Happened::CutOff => self.leave(Ending::Shutdown, CloseCode::Restart, "the gateway is shutting down"),
                Happened::Said(input) => self.handle(now, input),
                Happened::Errand(Errand::Back(socket)) => self.back(now, *socket),
                Happened::Errand(Errand::Listen(listener)) => self.listen(listener),
                Happened::Errand(Errand::Control(asked)) => self.handle(now, Input::Control(asked)),
                Happened::Received(Received::Text(text)) => self.message(now, transport::Message::Text(&text)),
                Happened::Received(Received::Binary(bytes)) => self.message(now, transport::Message::Binary(&bytes)),
                Happened::Received(Received::Closed { clean }) => self.closed(now, clean),
                Happened::Received(Received::Fault(fault)) => self.fault(now, fault),
            }
        }
    }

    /// Whatever has become due.
    fn tick(&mut self, now: Instant) {
        self.streams.tick(now);
        match self.lost_until {
            Some(until) if until <= now => self.closed(now, false),
            Some(_) => {}
            None => {
                if let Err(fault) = self.wire.socket.tick(now) {
                    self.fault(now, fault);
                }
            }
        }
        if self.leave.is_none() && self.wake.is_some_and(|wake| wake.at <= now) {
            self.handle(now, Input::Wake);
        }
    }

    /// The next thing that becomes due. There always is one: the ping, or the end of waiting for the peer.
    fn deadline(&self) -> Instant {
        let line = self.lost_until.unwrap_or_else(|| self.wire.socket.deadline());
        [self.wake.map(|wake| wake.at), self.streams.deadline()].into_iter().flatten().fold(line, Instant::min)
    }

    /// A message of the peer.
    fn message(&mut self, now: Instant, message: transport::Message<'_>) {
        let input = match self.wire.transport.receive(message) {
            Ok(Incoming::Audio { payload, media_time, sequence }) => {
                Input::Audio(AudioIn { payload, media_time, sequence })
            }
            Ok(Incoming::Key(key)) => Input::Key(key),
            Ok(Incoming::Mark(mark)) => Input::Mark(mark),
            Ok(Incoming::Control(asked)) => Input::Control(control(asked)),
            Ok(Incoming::Stopped) => Input::Closed { clean: true },
            Ok(Incoming::Started(_)) => return metrics::ignored("started twice"),
            Ok(Incoming::Event(_)) => return metrics::ignored("event of a platform"),
            Ok(Incoming::Ignored(reason)) => return metrics::ignored(reason),
            Err(error) => return self.misspoke(now, &error),
        };
        self.wake = self.call.handle(now, input, &mut self.actions);
        self.act();
    }

    /// Hands one input to the call and does what it asks.
    fn handle(&mut self, now: Instant, input: Input<'_>) {
        self.wake = self.call.handle(now, input, &mut self.actions);
        self.act();
    }

    /// Does what the call asked for, in order.
    fn act(&mut self) {
        self.tap.take_if(|tap| tap.is_idle());
        let mut todo = std::mem::take(&mut self.todo);
        todo.extend(self.actions.drain());
        for action in todo.drain(..) {
            self.act_on(action);
        }
        self.todo = todo;
        self.actions.clear();
    }

    fn act_on(&mut self, action: Action) {
        let sent = match action {
            Action::Send { bytes, turn } => {
                let bytes = self.actions.bytes(&bytes);
                if let Some(tap) = &mut self.tap {
                    tap.ours(bytes);
                }
                self.wire.audio(turn, bytes)
            }
            Action::Mark(mark) => self.wire.mark(mark),
            Action::Clear => return self.wire.clear(),
            Action::Hear(samples) => {
                let samples = self.actions.samples(&samples);
                if let Some(tap) = &mut self.tap {
                    tap.caller(samples);
                }
                return self.streams.hear(samples);
            }
            Action::Commit(commit) => return self.streams.commit(commit),
            Action::Think(ask) => return self.streams.think(*ask),
            Action::Speak { turn, clause, text, aside } => return self.streams.speak(turn, clause, text, aside),
            Action::Stop(turn) => {
                self.streams.stop(turn);
                return self.wire.socket.cut(turn);
            }
            Action::RunTool { tool, kind, ask } => return self.streams.run_tool(tool, kind, ask),
            Action::DropTool(tool) => return self.streams.drop_tool(tool),
            Action::Tell(event) => return self.observer.event(&event, &self.call, self.wire),
            Action::Transfer(to) => {
                self.wire.tell(Told::Transfer { to: &to });
                self.leave(Ending::Transferred, CloseCode::Normal, "transferred");
                return self.leave.iter_mut().for_each(|leave| leave.transfer = Some(to.clone()));
            }
            Action::Close(ending) => {
                let (code, reason) = goodbye(ending);
                return self.leave(ending, code, reason);
            }
        };
        if let Err(fault) = sent {
            metrics::socket_fault(fault.name());
            let (code, reason) = fault.close();
            self.leave(Ending::LineLost, code, reason);
        }
    }

    /// The connection broke. The call waits for another one, if it can be found by who comes.
    fn lost(&mut self, now: Instant) -> bool {
        if self.lost_until.is_some() || !self.wire.comes_back() || !self.active.lost() {
            return false;
        }
        tracing::info!("the line is lost: the call waits for another connection");
        metrics::line(false);
        self.lost_until = Some(now + limits::AWAY_WAIT);
        self.handle(now, Input::LineLost);
        true
    }

    /// Somebody listens from now on.
    fn listen(&mut self, listener: Listener) {
        if let Some(tap) = self.tapped() {
            tap.add(listener);
        }
    }

    /// Both sides for who listens, from now on.
    fn tapped(&mut self) -> Option<&mut Tap> {
        if self.tap.as_ref().is_none_or(|tap| tap.is_idle()) {
            self.tap = Tap::new(self.wire.transport.line().speaks).ok().map(Box::new);
        }
        self.tap.as_deref_mut()
    }

    /// The peer is back.
    fn back(&mut self, now: Instant, socket: Socket<TcpStream>) {
        tracing::info!("the line is back");
        metrics::line(true);
        metrics::events_dropped(self.wire.socket.dropped());
        self.wire.socket = socket;
        self.lost_until = None;
        self.wire.tell(Told::InProgress);
        self.handle(now, Input::LineBack);
    }

    /// The peer is gone.
    fn closed(&mut self, now: Instant, clean: bool) {
        if !clean && self.lost(now) {
            return;
        }
        self.handle(now, Input::Closed { clean });
        let ending = if clean { Ending::CallerHungUp } else { Ending::LineLost };
        self.leave(ending, CloseCode::Normal, "");
    }

    /// The connection cannot go on.
    fn fault(&mut self, now: Instant, fault: Fault) {
        metrics::socket_fault(fault.name());
        if matches!(fault, Fault::Broken | Fault::Silent) && self.lost(now) {
            return;
        }
        tracing::info!(fault = fault.name(), "the line is lost");
        let (code, reason) = fault.close();
        self.lose(now, code, reason);
    }

    /// The peer sent what its dialect does not have.
    fn misspoke(&mut self, now: Instant, error: &TransportError) {
        let (name, code) = fault_of(error);
        metrics::socket_fault(name);
        tracing::info!(fault = name, "the peer does not speak its dialect");
        self.lose(now, code, &error.to_string());
    }

    /// The call hears that its line is gone; the peer hears why, whatever the call says.
    fn lose(&mut self, now: Instant, code: CloseCode, reason: &str) {
        self.handle(now, Input::Closed { clean: false });
        let ending = self.leave.take().map_or(Ending::LineLost, |leave| leave.ending);
        self.leave(ending, code, reason);
    }

    /// The first reason counts.
    fn leave(&mut self, ending: Ending, code: CloseCode, reason: &str) {
        self.leave.get_or_insert_with(|| Leave { ending, code, reason: reason.to_owned(), transfer: None });
    }
}

/// The label of a breach of the dialect, and what the socket is closed with.
pub(super) const fn fault_of(error: &TransportError) -> (&'static str, CloseCode) {
    match error {
        TransportError::WrongFrame { .. } => ("wrong_frame", CloseCode::Unsupported),
        TransportError::Format(_) => ("format", CloseCode::Unsupported),
        TransportError::Garbage(_) => ("garbage", CloseCode::Policy),
        TransportError::TooEarly(_) => ("too_early", CloseCode::Policy),
        TransportError::TooLong { .. } => ("too_long", CloseCode::Size),
    }
}

/// What the peer's socket is closed with when the call ends by itself.
pub(super) const fn goodbye(ending: Ending) -> (CloseCode, &'static str) {
    match ending {
        Ending::Shutdown => (CloseCode::Restart, "the gateway is shutting down"),
        Ending::Panicked => (CloseCode::Error, "internal error"),
        Ending::EnginesFailed => (CloseCode::Error, "engines failed"),
        Ending::NoAudio => (CloseCode::Policy, "no audio came"),
        Ending::CallerHungUp
        | Ending::LineLost
        | Ending::AgentEnded
        | Ending::EndPhrase
        | Ending::SilenceTimedOut
        | Ending::TooLong
        | Ending::Cancelled
        | Ending::Transferred => (CloseCode::Normal, ""),
    }
}

/// What a peer asks, in the words of the call.
pub(super) fn control(asked: transport::Control) -> Control {
    match asked {
        transport::Control::Say { text, now, interruptible, then_end } => {
            Control::Say { text, now, interruptible, then_end }
        }
        transport::Control::AddMessage { role, text, respond } if role == "user" => Control::Heard { text, respond },
        transport::Control::AddMessage { text, respond, .. } => Control::Note { text, respond },
        transport::Control::MuteAgent(on) => Control::MuteAgent(on),
        transport::Control::MuteCaller(on) => Control::MuteCaller(on),
        transport::Control::SayFirstMessage => Control::Greet,
        transport::Control::Transfer { to, say } => Control::Transfer { to, say },
        transport::Control::End => Control::End,
    }
}
