//! The call itself: a frame every 20 ms, whatever happens, and what comes laid on the same clock.
//!
//! A frame is sent when it would have been spoken to its end, as a telephone does: the sample at position `n` of the
//! caller's side left at `n` samples after the call was dialled, or up to 20 ms later.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{SinkExt, StreamExt};
use tokio::{
    sync::mpsc::error::TryRecvError,
    time::{MissedTickBehavior, interval_at, timeout},
};
use tokio_tungstenite::tungstenite::{
    self, Message,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use super::{
    CALL_MAX, CallerError, Placement, Wire,
    around::{Around, Now},
    dial::{Socket, dial},
    line::{FromAgent, Line},
    lines::{Lines, Spoken},
    measure::{Said, Voicing},
    recording::Recording,
    scenario::{Scenario, Turn, When},
    script::{Next, Script},
};
use crate::{
    audio::{self, Key, level_db},
    transport::PeerEvent,
};

/// How long the gateway may take no audio before we give up.
pub(super) const SEND_WAIT: Duration = Duration::from_secs(5);

/// How long we wait for the gateway's goodbye to our own.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// The silence between two keys that are sounds.
const KEY_GAP: Duration = Duration::from_millis(80);

const FRAME: Duration = audio::Line::FRAME;

/// A call that is over.
#[derive(Debug)]
pub struct Conversation {
    /// Both sides.
    pub recording: Recording,
    /// When it was dialled: times count from here.
    pub dialled: Instant,
    /// How it ended.
    pub how: How,
    /// The most that a frame of ours left too late: what is measured is no better than this.
    pub late_max: Duration,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// The caller hung up.
    HungUp,
    /// The agent hung up.
    AgentHungUp {
        /// The code of the close frame, 1005 where there was none.
        code: u16,
        /// Its reason.
        reason: String,
    },
    /// The caller waited for something to answer, and nothing came that fits. What the agent had said last.
    GaveUp(String),
    /// The longest call was reached.
    TooLong,
    /// The connection broke.
    Broke(String),
}

/// Something happened in a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// How long after it was dialled.
    pub at: Duration,
    /// What.
    pub what: Happened,
}

/// What may happen in a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// The gateway took the call.
    Connected,
    /// The caller begins a line.
    Says {
        /// The line.
        text: String,
        /// Into the agent's speech.
        cuts_in: bool,
    },
    /// The caller pressed a key.
    Pressed(Key),
    /// The agent begins to be heard, or is not heard any more.
    AgentSpeaks(bool),
    /// Words as the gateway tells them.
    Words {
        /// The caller's, as it understood them.
        ours: bool,
        /// They will not change any more.
        last: bool,
        /// The words.
        text: String,
    },
    /// The gateway says it was interrupted.
    Interrupted,
    /// The gateway says how the call stands.
    Status {
        /// `in-progress`, `ended`, ...
        status: String,
        /// Why it ended.
        reason: Option<String>,
    },
    /// The call is over.
    Over(How),
}

/// Calls, talks, and comes back when the call is over; hangs up when `hang_up` is ready.
pub async fn call(
    placement: &Placement,
    lines: Lines,
    told: &mut (dyn FnMut(Moment) + Send),
    hang_up: impl Future<Output = ()>,
) -> Result<Conversation, CallerError> {
    call_from(placement, lines, None, told, hang_up).await
}

/// The same from somewhere: from a car, from a room with other people in it.
pub async fn call_from<'a>(
    placement: &Placement,
    lines: Lines,
    around: Option<&'a mut (dyn Around + 'a)>,
    told: &'a mut (dyn FnMut(Moment) + Send + 'a),
    hang_up: impl Future<Output = ()>,
) -> Result<Conversation, CallerError> {
    let line = Line::new(placement)?;
    let socket = dial(placement).await?;
    let (tells, rate) = (around.is_some() || matches!(placement.wire, Wire::Vapi(_)), line.rate());
    #[expect(clippy::disallowed_methods, reason = "a caller lives in real time: this is its clock")]
    let start = Instant::now();
    let script = Script::new(
        match &lines {
            Lines::Scenario(scenario, _) => scenario,
            Lines::Live(_) => &LIVE,
        },
        tells,
    );
    let mut talk = Talk {
        start,
        line,
        socket,
        lines,
        script,
        recording: Recording::new(rate),
        saying: None,
        frame: vec![0; rate.samples(FRAME)],
        late_max: Duration::ZERO,
        around,
        told,
    };
    let how = talk.run(hang_up).await?;
    talk.tell(Happened::Over(how.clone()));
    Ok(Conversation { recording: talk.recording, dialled: start, how, late_max: talk.late_max })
}

/// What a caller without a scenario waits for: the end of the agent's words.
static LIVE: Scenario = Scenario {
    language: crate::language::Language::Italian,
    voice: None,
    pause_ms: 1_500,
    patience_s: 8,
    repeat_on: vec![],
    steps: vec![],
};

/// A call under way.
struct Talk<'a> {
    /// When it was dialled.
    start: Instant,
    line: Line,
    socket: Socket,
    lines: Lines,
    script: Script,
    recording: Recording,
    /// The sound being sent.
    saying: Option<Saying>,
    /// The frame being sent.
    frame: Vec<i16>,
    /// See [`Conversation`].
    late_max: Duration,
    /// What is around the caller.
    around: Option<&'a mut (dyn Around + 'a)>,
    told: &'a mut (dyn FnMut(Moment) + Send + 'a),
}

/// A sound on its way out.
struct Saying {
    samples: Arc<[i16]>,
    at: usize,
}

impl Talk<'_> {
    async fn run(&mut self, hang_up: impl Future<Output = ()>) -> Result<How, CallerError> {
        for message in self.line.opening() {
            self.send(message).await?;
        }
        self.tell(Happened::Connected);
        let mut pace = interval_at((self.start + FRAME).into(), FRAME);
        // Late frames are sent at once after a stall: what the caller said is not lost, and the clock stays true.
        pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut hang_up = std::pin::pin!(hang_up);
        loop {
            let ended = tokio::select! {
                biased;
                () = &mut hang_up => Some(self.hang_up(How::HungUp).await),
                _ = pace.tick() => self.round().await?,
                message = self.socket.next() => self.take(message).await?,
            };
            if let Some(how) = ended {
                return Ok(how);
            }
        }
    }

    /// One frame: what is heard, what that makes us do, what we say.
    async fn round(&mut self) -> Result<Option<How>, CallerError> {
        let rate = self.recording.rate();
        let from = self.recording.caller.len();
        let to = from + self.frame.len();
        let now = rate.duration(to as u64);
        self.late_max = self.late_max.max(self.start.elapsed().saturating_sub(now));
        while let Some(mark) = self.recording.agent.due(to) {
            if let Some(message) = self.line.mark(&mark) {
                self.send(message).await?;
            }
        }
        let voiced = level_db(self.recording.agent.heard(from, to)) >= Voicing::CLEAN.level_db;
        if let Some(speaks) = self.script.hear(now, voiced) {
            self.tell(Happened::AgentSpeaks(speaks));
        }
        if now >= CALL_MAX {
            return Ok(Some(self.hang_up(How::TooLong).await));
        }
        while let Some((text, last)) = self.around.as_mut().and_then(|around| around.words()) {
            self.script.words(&text, last);
            if last {
                self.tell(Happened::Words { ours: false, last, text });
            }
        }
        if let Some(how) = self.decide(now).await? {
            return Ok(Some(how));
        }
        let speaks = self.saying.is_some();
        self.speak(now);
        if let Some(around) = &mut self.around {
            let agent_speaks = self.script.is_agent_speaking(now);
            let heard = self.recording.agent.heard(from, to);
            around.frame(Now { at: now, sample: from, heard, agent_speaks, speaks }, &mut self.frame);
        }
        self.recording.caller.extend_from_slice(&self.frame);
        if let Some(message) = self.line.audio(&self.frame, rate.duration(from as u64)) {
            match self.send(message).await {
                Ok(()) => {}
                // The gateway has closed: that is seen, with its reason, on the reading side.
                Err(CallerError::Broken(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Begins the next line, if it is time. A line that comes while the call runs does not wait for anything.
    async fn decide(&mut self, now: Duration) -> Result<Option<How>, CallerError> {
        if self.saying.is_some() || self.around.as_ref().is_some_and(|around| around.busy()) {
            return Ok(None);
        }
        let mut over = true;
        if let Lines::Live(coming) = &mut self.lines {
            match coming.try_recv() {
                Ok(spoken) => {
                    let cuts_in = self.script.is_agent_speaking(now);
                    self.say(spoken, cuts_in);
                    return Ok(None);
                }
                Err(TryRecvError::Empty) => over = false,
                Err(TryRecvError::Disconnected) => {}
            }
        }
        if !over {
            return Ok(None);
        }
        let step = match self.script.next(now) {
            None => return Ok(None),
            Some(Next::Over) => return Ok(Some(self.hang_up(How::HungUp).await)),
            Some(Next::GiveUp) => {
                let why = match self.lines {
                    Lines::Scenario(..) => How::GaveUp(self.script.heard().to_owned()),
                    Lines::Live(_) => How::HungUp,
                };
                return Ok(Some(self.hang_up(why).await));
            }
            Some(Next::Step(step)) => step,
        };
        let Lines::Scenario(scenario, spoken) = &self.lines else { return Ok(None) };
        let (turn, when) = (scenario.steps[step].turn.clone(), scenario.steps[step].when);
        let spoken = spoken.get(step).cloned().flatten();
        match turn {
            Turn::Say(_) | Turn::Wav(_) => {
                if let Some(spoken) = spoken {
                    self.say(spoken, matches!(when, When::AgentSpeaks(_)));
                }
            }
            Turn::Keys(keys) => self.press(&keys, now).await?,
            Turn::HangUp => return Ok(Some(self.hang_up(How::HungUp).await)),
        }
        Ok(None)
    }

    fn say(&mut self, spoken: Spoken, cuts_in: bool) {
        let from = self.recording.caller.len();
        let samples = from..from + spoken.samples.len();
        self.recording.said.push(Said { text: spoken.text.clone(), samples, cuts_in });
        self.saying = Some(Saying { samples: spoken.samples, at: 0 });
        self.tell(Happened::Says { text: spoken.text, cuts_in });
    }

    async fn press(&mut self, keys: &[Key], now: Duration) -> Result<(), CallerError> {
        let mut sound = Vec::new();
        for key in keys {
            self.tell(Happened::Pressed(*key));
            match self.line.key(*key) {
                Ok(message) => self.send(message).await?,
                Err(tone) => {
                    sound.extend(tone);
                    sound.resize(sound.len() + self.recording.rate().samples(KEY_GAP), 0);
                }
            }
        }
        if sound.is_empty() {
            self.script.done(now);
        } else {
            self.saying = Some(Saying { samples: sound.into(), at: 0 });
        }
        Ok(())
    }

    /// Fills the frame with what is being said, and silence.
    fn speak(&mut self, now: Duration) {
        self.frame.fill(0);
        let Some(saying) = &mut self.saying else { return };
        let rest = &saying.samples[saying.at..];
        let taken = rest.len().min(self.frame.len());
        self.frame[..taken].copy_from_slice(&rest[..taken]);
        saying.at += taken;
        if saying.at == saying.samples.len() {
            self.saying = None;
            self.script.done(now);
        }
    }

    /// What came on the socket.
    async fn take(&mut self, message: Option<Result<Message, tungstenite::Error>>) -> Result<Option<How>, CallerError> {
        let message = match message {
            Some(Ok(Message::Close(frame))) => {
                // Our own close frame is on its way; the other end drops the connection.
                let _ = timeout(CLOSE_WAIT, self.socket.close(None)).await;
                let (code, reason) =
                    frame.map_or((1005, String::new()), |frame| (frame.code.into(), frame.reason.to_string()));
                return Ok(Some(How::AgentHungUp { code, reason }));
            }
            Some(Ok(message)) => message,
            Some(Err(error)) => return Ok(Some(How::Broke(error.to_string()))),
            None => return Ok(Some(How::Broke("the connection was dropped without a goodbye".into()))),
        };
        let now = self.recording.rate().samples(self.start.elapsed());
        match self.line.read(&message)? {
            FromAgent::Audio(samples) => self.recording.agent.audio(now, samples),
            FromAgent::Mark(name) => self.recording.agent.mark(name),
            FromAgent::Clear => {
                self.recording.agent.clear(now);
                while let Some(mark) = self.recording.agent.due(now) {
                    if let Some(message) = self.line.mark(&mark) {
                        self.send(message).await?;
                    }
                }
            }
            FromAgent::Event(event) => self.event(event),
            FromAgent::Nothing => {}
        }
        Ok(None)
    }

    fn event(&mut self, event: PeerEvent) {
        let happened = match event {
            PeerEvent::Transcript { ours, last, text } => {
                // Whoever understands by itself need not be told twice.
                if self.around.is_some() {
                    return;
                }
                if !ours {
                    self.script.words(&text, last);
                }
                Happened::Words { ours, last, text }
            }
            PeerEvent::Interrupted => Happened::Interrupted,
            PeerEvent::Status { status, reason } => Happened::Status { status, reason },
            // What is heard tells more than what is announced.
            PeerEvent::Speech { .. } | PeerEvent::Transfer { .. } => return,
        };
        self.tell(happened);
    }

    /// Says goodbye to the wire, and waits a little for the other end's.
    async fn hang_up(&mut self, how: How) -> How {
        if let Some(message) = self.line.goodbye() {
            let _ = self.send(message).await;
        }
        let frame = CloseFrame { code: CloseCode::Normal, reason: "the caller hung up".into() };
        let _ = timeout(SEND_WAIT, self.socket.close(Some(frame))).await;
        let _ = timeout(CLOSE_WAIT, async { while let Some(Ok(_)) = self.socket.next().await {} }).await;
        how
    }

    async fn send(&mut self, message: Message) -> Result<(), CallerError> {
        match timeout(SEND_WAIT, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(CallerError::Broken(Box::new(error))),
            Err(_late) => Err(CallerError::Stuck),
        }
    }

    fn tell(&mut self, what: Happened) {
        (self.told)(Moment { at: self.start.elapsed(), what });
    }
}
