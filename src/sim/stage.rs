//! Plays a script: the part of the gateway's driver, in virtual time. Its parts: the agenda of what will happen, the
//! caller's line, and the fakes in the place of engines.

mod agenda;
mod engines;
mod line;

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use self::agenda::{Agenda, Due, arrives};
use super::{promises::Promises, random::Random, script::Script, sink::Sink, sound::Caller, trace::Trace};
use crate::{
    audio::{Decoder, Encoder, Line},
    call::{Action, Actions, Call, ClauseId, Failed, Input, Setup, SttEvent, TtsEvent, Turn, Wake, limits::STALL},
    language::Language,
    privacy::Pii,
};

/// The voice of turn `t` consists of samples of this size, so that a stale one can be told from a fresh one: it is
/// louder, ducked voices apart. There are forty sizes, from 12000 down to 2000, that mu-law carries exactly.
pub const fn stamp(turn: Turn) -> i16 {
    let code = 103 - (turn.0 % 40) as i16;
    (((2 * (code % 16) + 33) << (code / 16)) - 33) * 4
}

/// A promise that was not kept.
#[derive(Debug)]
pub struct Broken {
    /// Which one, and how.
    pub promise: String,
    /// What had happened.
    pub trace: Box<Trace>,
}

/// A call being played.
pub struct Stage {
    script: Script,
    random: Random,
    /// Clauses the voice was given so far.
    clauses: u32,
    call: Call,
    origin: Instant,
    now: Duration,
    /// What will happen.
    agenda: Agenda,
    wake: Option<Wake>,
    actions: Actions,
    /// Every word, with the time its sound has come.
    words: Vec<(Duration, String)>,
    /// Words that were given in finals.
    fixed: usize,
    /// Answers the model has given.
    answered: usize,
    /// Turns up to this one are stopped.
    stopped: Option<Turn>,
    /// The model was asked this often: streams of earlier asks are dropped.
    asks: u32,
    /// What the voice said and the call had no room for yet.
    unread: VecDeque<(Turn, ClauseId, TtsEvent)>,
    /// Tools that nobody waits for.
    dropped: Vec<u32>,
    /// When audio of the caller last came.
    audio_at: Duration,
    /// Frames of the caller that have come and were not read yet, and when they were last looked for.
    unheard: Vec<u64>,
    looked: Duration,
    /// The line is lost.
    lost: bool,
    /// The network has no audio before this time.
    stalled_until: Duration,
    /// Our voice as the sink plays it, for an echo.
    played: Vec<i16>,
    /// The caller's sound.
    caller: Caller,
    /// What the caller's line carries.
    encoder: Encoder,
    /// The caller's bytes that were not sent yet.
    bytes: Vec<u8>,
    /// What our line carried.
    decoder: Decoder,
    /// Our voice as it left, reused.
    voice: Vec<i16>,
    /// The voice's stream is looked at again soon.
    reads: bool,
    sink: Sink,
    /// What was read from the voice of the present turn and has not left: the turn, how long.
    waiting: (Turn, Duration),
    trace: Trace,
    promises: Promises,
}

impl Stage {
    /// A call that is about to be answered. The seed decides what the script leaves to chance.
    pub fn new(script: Script, seed: u64) -> Self {
        #[expect(clippy::disallowed_methods, reason = "virtual time needs one real instant to count from")]
        let origin = Instant::now();
        let setup = Setup {
            line: script.line,
            clock: jiff::civil::date(2026, 4, 13).at(10, 0, 0, 0).in_tz("Europe/Rome").expect("a civil time in Rome"),
            caller: script.caller.clone().map(Pii::new),
            settings: Arc::new(script.settings.clone()),
            instructions: "".into(),
            greeting: script.greeting.as_str().into(),
            tools: script.specs(),
            stt_partials: script.ears.partials.is_some(),
            stt_commits: script.ears.commits,
            voice: script.voice_rate.unwrap_or(script.line.speaks.rate),
            complete: complete_seven,
        };
        let mut words = Vec::new();
        for utterance in &script.utterances {
            let spoken: Vec<&str> = utterance.text.split_whitespace().collect();
            let length = utterance.at.end.saturating_sub(utterance.at.start);
            for (place, word) in spoken.iter().enumerate() {
                let end = utterance.at.start + length * (place as u32 + 1) / spoken.len() as u32;
                if !script.drops.iter().any(|drop| drop.contains(&end)) {
                    words.push((arrives(&script, end), (*word).to_string()));
                }
            }
        }
        let sounds = script.utterances.iter().map(|utterance| utterance.at.clone());
        Self {
            random: Random::new(seed),
            clauses: 0,
            call: Call::new(setup).expect("a simulated line has a codec that is built in"),
            origin,
            now: Duration::ZERO,
            agenda: Agenda::new(&script, &words),
            wake: None,
            actions: Actions::new(),
            words,
            fixed: 0,
            answered: 0,
            stopped: None,
            asks: 0,
            unread: VecDeque::new(),
            dropped: Vec::new(),
            audio_at: Duration::ZERO,
            unheard: Vec::new(),
            looked: Duration::ZERO,
            lost: false,
            stalled_until: Duration::ZERO,
            played: Vec::new(),
            caller: Caller::new(script.line.hears.rate, sounds.chain(script.noises.iter().cloned())),
            encoder: Encoder::new(script.line.hears).expect("a simulated line has a codec that is built in"),
            bytes: Vec::new(),
            decoder: Decoder::new(script.line.speaks).expect("a simulated line has a codec that is built in"),
            voice: Vec::new(),
            reads: false,
            sink: Sink::new(origin),
            waiting: (Turn(0), Duration::ZERO),
            trace: Trace::new(&script),
            promises: Promises::new(&script),
            script,
        }
    }

    /// Plays the call to its end.
    ///
    /// # Errors
    /// The first promise that was broken, in words, with all that happened until then.
    pub fn play(mut self) -> Result<Trace, Broken> {
        let played = self.play_on();
        let now = self.instant();
        self.trace.close(&self.call, now, &self.sink, self.now);
        match played.and_then(|()| self.promises.at_the_end(&self.trace)) {
            Ok(()) => Ok(self.trace),
            Err(promise) => Err(Broken { promise, trace: Box::new(self.trace) }),
        }
    }

    fn play_on(&mut self) -> Result<(), String> {
        self.step(Input::Answered)?;
        loop {
            let event = self.agenda.next_at();
            let wake = self.wake.map(|wake| wake.at.saturating_duration_since(self.origin));
            let look = self.wait().filter(|_| !self.unheard.is_empty()).map(|wait| self.looked + wait);
            let next = [event, wake, look].into_iter().flatten().min();
            let Some(at) = next.filter(|at| *at <= self.script.until) else { break };
            self.now = self.now.max(at);
            if let Some(freeze) = self.script.freezes.iter().find(|freeze| freeze.contains(&self.now)) {
                self.now = freeze.end;
                // The driver looks at its deadlines before it reads what came meanwhile.
                if wake.is_some_and(|wake| wake <= self.now) {
                    self.step(Input::Wake)?;
                    continue;
                }
            }
            if event == Some(at) {
                self.nudge()?;
                let Some(due) = self.agenda.pop() else { break };
                let sleeps = self.wait().is_some() && matches!(due, Due::Frame(_) | Due::Late(_));
                self.happen(due)?;
                if sleeps {
                    continue;
                }
            } else if wake == Some(at) {
                self.step(Input::Wake)?;
            }
            self.look()?;
        }
        Ok(())
    }

    /// How long what the caller sends may lie unread.
    fn wait(&self) -> Option<Duration> {
        self.call.may_wait(self.instant()).filter(|_| self.script.unhurried)
    }

    fn later(&mut self, at: Duration, due: Due) {
        self.agenda.add(at, due);
    }

    /// Something scheduled happens.
    fn happen(&mut self, due: Due) -> Result<(), String> {
        let hostile = self.random.percent(self.script.ears.hostile);
        self.again(&due);
        match due {
            Due::Frame(number) => self.caller_frame(number),
            Due::Late(number) => self.deliver(number),
            Due::Stt(event) => {
                if hostile {
                    self.later(self.now + Duration::from_millis(300), Due::Stt(event.clone()));
                    let nonsense = engines::nonsense(&mut self.random);
                    self.step(Input::Stt(nonsense))?;
                }
                self.step(Input::Stt(event))
            }
            Due::Partial(until) => {
                let text = self.words_until(until);
                if text.is_empty() || hostile { Ok(()) } else { self.step(Input::Stt(SttEvent::Partial { text })) }
            }
            Due::Final { until, commit } => {
                let text = self.words_until(until);
                self.fixed = self.words.iter().filter(|(end, _)| *end <= until).count().max(self.fixed);
                if !text.is_empty() {
                    if hostile {
                        let late = SttEvent::Partial { text: text.clone() };
                        self.later(self.now + Duration::from_millis(150), Due::Stt(late));
                    }
                    self.step(Input::Stt(SttEvent::Final { text }))?;
                }
                match commit {
                    Some(_) if hostile && self.random.percent(30) => {
                        let nonsense = engines::nonsense(&mut self.random);
                        self.step(Input::Stt(nonsense))
                    }
                    Some(commit) => self.step(Input::Stt(SttEvent::Committed { commit })),
                    None => Ok(()),
                }
            }
            Due::SttDies => self.step(Input::SttFailed { why: Failed::Broken, restarts: self.script.ears.restarts }),
            Due::Llm(turn, ask, event) => {
                if ask == self.asks && !self.is_stopped(turn) {
                    self.promises.stream(self.now, turn)?;
                    self.step(Input::Llm(turn, event))
                } else {
                    Ok(())
                }
            }
            Due::LlmFails(turn, ask, why) => {
                if ask == self.asks && !self.is_stopped(turn) {
                    self.step(Input::LlmFailed(turn, why))
                } else {
                    Ok(())
                }
            }
            Due::Tts(turn, clause, event) => {
                // A stopped stream is dropped; a hostile one had something on its way already.
                if self.is_stopped(turn) && !self.random.percent(self.script.voice.late) {
                    return Ok(());
                }
                if !self.is_stopped(turn) && clause.0 < 1 << 16 {
                    self.promises.stream(self.now, turn)?;
                }
                if clause.0 >= 1 << 16 {
                    return self.step(Input::Tts(turn, clause, event));
                }
                self.unread.push_back((turn, clause, event));
                self.read_voice()
            }
            Due::Voice => {
                self.reads = false;
                self.read_voice()
            }
            Due::TtsFails(turn, clause, why) => {
                if self.is_stopped(turn) {
                    Ok(())
                } else {
                    self.step(Input::TtsFailed(turn, clause, why))
                }
            }
            Due::Tool(tool, outcome) => {
                if self.dropped.contains(&tool) {
                    Ok(())
                } else {
                    self.step(Input::ToolDone(tool, outcome))
                }
            }
            Due::Lost => {
                self.look()?;
                (self.lost, self.unheard) = (true, Vec::new());
                let now = self.instant();
                self.step(Input::LineLost)?;
                self.sink.clear(now);
                Ok(())
            }
            Due::Back => {
                self.lost = false;
                self.step(Input::LineBack)
            }
            Due::Key(_) | Due::Mark(_) if self.lost => Ok(()),
            Due::Key(place) => self.step(Input::Key(self.script.keys[place].1)),
            Due::Control(place) => self.step(Input::Control(self.script.controls[place].1.clone())),
            Due::HangUp => self.step(Input::Closed { clean: !self.script.line_breaks }),
            Due::Shutdown(within) => self.step(Input::Shutdown(within)),
            Due::Mark(number) => self.step(Input::Mark(number)),
        }
    }

    /// What came once may come twice.
    fn again(&mut self, due: &Due) {
        let may = match due {
            Due::Stt(_)
            | Due::Partial(_)
            | Due::Final { .. }
            | Due::SttDies
            | Due::Tool(..)
            | Due::Mark(_)
            | Due::HangUp
            | Due::Shutdown(_)
            | Due::TtsFails(..)
            | Due::Control(_) => self.script.twice > 0,
            Due::Frame(_)
            | Due::Late(_)
            | Due::Llm(..)
            | Due::LlmFails(..)
            | Due::Tts(..)
            | Due::Voice
            | Due::Lost
            | Due::Back
            | Due::Key(_) => false,
        };
        if may && self.random.percent(self.script.twice) {
            let after = self.random.ms(0, 700);
            self.later(self.now + after, due.clone());
        }
    }

    /// Reads the voice's stream for as long as there is room, in order.
    fn read_voice(&mut self) -> Result<(), String> {
        while self.call.is_hungry() {
            let Some((turn, clause, event)) = self.unread.pop_front() else { return Ok(()) };
            if let TtsEvent::Audio(samples) = &event
                && turn == self.call.turn()
            {
                let rate = self.script.voice_rate.unwrap_or(self.script.line.speaks.rate);
                let before = if self.waiting.0 == turn { self.waiting.1 } else { Duration::ZERO };
                self.waiting = (turn, before + rate.duration(samples.len() as u64));
                Promises::waiting(self.now, self.waiting.1)?;
            }
            self.step(Input::Tts(turn, clause, event))?;
        }
        if !self.unread.is_empty() && !self.reads {
            self.reads = true;
            self.later(self.now + Duration::from_millis(20), Due::Voice);
        }
        Ok(())
    }

    /// 9: before the time it asked for, a call that is woken has nothing to do. Where the caller's audio stalls it looks
    /// only now and then.
    fn nudge(&mut self) -> Result<(), String> {
        let (now, flows) = (self.instant(), self.audio_at + STALL * 9 / 10 > self.now);
        if !self.script.nudged || !flows || self.call.is_over() || self.wake.is_none_or(|wake| wake.at <= now) {
            return Ok(());
        }
        self.actions.clear();
        self.wake = self.call.handle(now, Input::Wake, &mut self.actions);
        let list = self.actions.list();
        // A frame may leave a little before it must.
        let frame = list.iter().any(|action| matches!(action, Action::Send { .. }));
        match list.first() {
            Some(action) if !frame => {
                Err(format!("promise 9: nobody asked to be woken, and due at {:?} was {action:?}", self.now))
            }
            Some(_) | None => self.act(false),
        }
    }

    /// Hands one input to the call and does what it asks.
    fn step(&mut self, input: Input<'_>) -> Result<(), String> {
        let now = self.instant();
        self.trace.input(self.now, &input);
        let woken = matches!(input, Input::Wake);
        self.actions.clear();
        self.wake = self.call.handle(now, input, &mut self.actions);
        self.act(woken)
    }

    fn act(&mut self, woken: bool) -> Result<(), String> {
        let now = self.instant();
        self.promises.step(
            self.now,
            woken,
            self.wake.map(|wake| wake.at.saturating_duration_since(self.origin)),
            &self.actions,
        )?;
        let list: Vec<Action> = self.actions.drain().collect();
        for action in list {
            self.trace.action(self.now, &action);
            match action {
                Action::Commit(commit) => {
                    let due = Due::Final { until: self.now, commit: Some(commit) };
                    if self.script.ears.commits {
                        self.later(self.now + self.script.ears.finals, due);
                    }
                }
                Action::Think(ask) => self.think(ask.turn),
                Action::Speak { turn, clause, text, aside } => self.speak(turn, clause, &text, aside),
                Action::Stop(turn) => {
                    self.stopped = self.stopped.max(Some(turn));
                    let late = self.random.percent(self.script.voice.late);
                    self.unread.retain(|(of, ..)| late || *of > turn);
                }
                Action::RunTool { tool, kind, ask } => self.run(tool, kind, &ask),
                Action::DropTool(tool) => self.dropped.push(tool),
                Action::Send { .. } if self.lost => {
                    return Err(format!("a frame leaves at {:?} on a line that is lost", self.now));
                }
                Action::Send { bytes, turn } => {
                    self.voice.clear();
                    if turn.is_some() || self.script.echo.is_some() {
                        self.decoder.decode(self.actions.bytes(&bytes), &mut self.voice);
                    }
                    if self.script.echo.is_some() {
                        let from = self.sink.end().max(self.now);
                        self.played.resize(self.caller.samples(from), 0);
                        self.played.extend(&self.voice);
                    }
                    // A muted voice leaves as silence.
                    if turn.is_none_or(|turn| turn == self.waiting.0) {
                        self.waiting.1 = self.waiting.1.saturating_sub(Line::FRAME);
                    }
                    if let Some(turn) = turn {
                        let loudest = self.voice.iter().fold(0, |loudest, sample| sample.saturating_abs().max(loudest));
                        self.promises.frame(self.now, turn, loudest)?;
                        if loudest < stamp(turn) / 2 {
                            self.sink.softened += Line::FRAME;
                        }
                    }
                    self.sink.frame(now, turn, Line::FRAME);
                }
                Action::Clear => self.sink.clear(now),
                Action::Mark(_) if self.script.marks_lost => {}
                Action::Mark(number) => self.later(self.sink.end().max(self.now), Due::Mark(number)),
                Action::Hear(_) | Action::Tell(_) | Action::Transfer(_) | Action::Close(_) => {}
            }
        }
        Ok(())
    }

    fn words_until(&self, until: Duration) -> String {
        let said = self.words.iter().enumerate().filter(|(place, (end, _))| *place >= self.fixed && *end <= until);
        said.map(|(_, (_, word))| word.as_str()).collect::<Vec<_>>().join(" ")
    }

    fn is_stopped(&self, turn: Turn) -> bool {
        self.stopped.is_some_and(|stopped| turn <= stopped)
    }

    fn instant(&self) -> Instant {
        self.origin + self.now
    }
}

/// A plate is complete with seven letters and digits, a phone number with nine.
fn complete_seven(question: crate::call::Question, text: &str, _: Language) -> bool {
    let signs = text.chars().filter(|c| c.is_alphanumeric()).count();
    match question {
        crate::call::Question::Plate => signs >= 7,
        crate::call::Question::Phone => signs >= 9,
        crate::call::Question::Name => text.split_whitespace().count() >= 2,
        crate::call::Question::Open => false,
    }
}
