//! A whole [`Call`] in virtual time, without the simulator: for numbers about calls, on any line, with the real detector.
//!
//! The conversation is always the same: every ten seconds the caller speaks for three, the model answers in one
//! sentence, and the voice, far faster than real time, says it for four. Everything that is not the call's (texts of the
//! engines, the voice's samples, the caller's packets) is made before it is handed in.
#![allow(dead_code, reason = "each benchmark uses its own part")]

use std::{
    collections::VecDeque,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use pronto::{
    audio::{CodecError, Line, Rate, signal},
    call::{
        Action, Actions, AudioIn, Call, ClauseId, Finish, Input, LlmEvent, Question, Settings, Setup, SttEvent,
        TtsEvent, Turn, Wake,
    },
    language::Language,
};

/// The caller begins to speak this long after the beginning of each round.
pub const SPEAKS_AT: Duration = Duration::from_secs(1);
/// ... and speaks for this long.
pub const SPEAKS_FOR: Duration = Duration::from_secs(3);
/// A caller who cuts in does so this long after the beginning of each round, in the middle of our answer.
pub const CUTS_IN_AT: Duration = Duration::from_millis(6_500);
/// One round of the conversation.
pub const ROUND: Duration = Duration::from_secs(10);

const FRAME: Duration = Line::FRAME;
const SAID: &str = "vorrei prenotare un tagliando per giovedì mattina";
const ANSWER: &str = "Certo, giovedì mattina abbiamo posto alle nove e alle dieci e trenta.";
/// The voice's piece: what a streaming voice sends at once.
const PIECE: Duration = Duration::from_millis(100);

/// The caller's side of the wire, made once for all calls of a line.
pub struct Packets {
    voice: Vec<Vec<u8>>,
    silence: Vec<Vec<u8>>,
}

impl Packets {
    /// A voice and a quiet room, as this line carries them.
    pub fn new(line: &Line) -> Result<Rc<Self>, CodecError> {
        let room = signal::Noise::new(1).white(Rate::WIDE.samples(SPEAKS_FOR), -65.0);
        let mut voice = room.clone();
        // Syllables: 200 ms of a voice with a pitch, 60 ms of rest.
        for syllable in 0..voice.len() / 4_160 {
            for harmonic in 1..=12 {
                let hz = (120.0 + (syllable % 5) as f64 * 8.0) * f64::from(harmonic);
                let part = signal::sine(hz, Rate::WIDE, 5_000.0 / f64::from(harmonic), 0, 3_200);
                signal::add(&mut voice, &part, syllable * 4_160);
            }
        }
        Ok(Rc::new(Self {
            voice: signal::packets(&voice, Rate::WIDE, line.hears)?,
            silence: signal::packets(&room, Rate::WIDE, line.hears)?,
        }))
    }

    fn at(&self, frame: usize, cuts_in: bool) -> &[u8] {
        let round = ROUND.as_millis() as usize / 20;
        let (from, long) = (SPEAKS_AT.as_millis() as usize / 20, SPEAKS_FOR.as_millis() as usize / 20);
        let cut = CUTS_IN_AT.as_millis() as usize / 20;
        let at = frame % round;
        let speaks = (from..from + long).contains(&at) || cuts_in && (cut..cut + 60).contains(&at);
        let packets = if speaks { &self.voice } else { &self.silence };
        &packets[(at + round - from) % round % packets.len()]
    }
}

/// A call under way.
pub struct Conversation {
    /// The call.
    pub call: Call,
    /// What it asked for last; a driver keeps one for each call, so it counts as the call's.
    pub actions: Actions,
    /// Frames of voice sent.
    pub sent: u64,
    /// The caller cuts in on every answer.
    pub cuts_in: bool,
    packets: Rc<Packets>,
    start: Instant,
    now: Duration,
    frames: usize,
    wake: Option<Wake>,
    /// What the engines will say, in order.
    due: VecDeque<(Duration, Input<'static>)>,
    /// The rest of the clause being spoken: turn, clause, samples to come.
    voice: Option<(Turn, ClauseId, usize)>,
    rate: Rate,
}

impl Conversation {
    /// An answered call on this line, with a voice of 24 kHz and the default settings.
    pub fn new(line: Line, packets: &Rc<Packets>) -> Result<Self, CodecError> {
        #[expect(clippy::disallowed_methods, reason = "virtual time needs one real instant to count from")]
        let start = Instant::now();
        let setup = Setup {
            line,
            clock: jiff::civil::date(2026, 4, 13).at(10, 0, 0, 0).in_tz("Europe/Rome").expect("a civil time in Rome"),
            caller: None,
            settings: Arc::new(Settings { duration_max_s: 3_600, ..Settings::default() }),
            instructions: "".into(),
            greeting: "".into(),
            tools: Arc::new([]),
            stt_partials: true,
            stt_commits: true,
            voice: Rate::VOICE,
            complete: |_: Question, _: &str, _: Language| false,
        };
        let mut this = Self {
            call: Call::new(setup)?,
            actions: Actions::new(),
            sent: 0,
            cuts_in: false,
            packets: Rc::clone(packets),
            start,
            now: Duration::ZERO,
            frames: 0,
            wake: None,
            due: VecDeque::new(),
            voice: None,
            rate: Rate::VOICE,
        };
        this.give(Input::Answered, &mut |call, now, input, actions| call.handle(now, input, actions));
        Ok(this)
    }

    /// Plays on until then. `handle` is given each input, so that it can be watched.
    pub fn play(&mut self, until: Duration, handle: &mut Handle<'_>) {
        while self.now < until {
            let frame = FRAME * self.frames as u32;
            let wake = self.wake.map(|wake| wake.at.saturating_duration_since(self.start));
            let next = [Some(frame), wake, self.due.front().map(|(at, _)| *at)].into_iter().flatten().min();
            self.now = self.now.max(next.unwrap_or(frame));
            if self.due.front().is_some_and(|(at, _)| *at <= self.now) {
                if let Some((_, input)) = self.due.pop_front() {
                    self.give(input, handle);
                }
            } else if frame <= self.now {
                let packets = Rc::clone(&self.packets);
                self.give(Input::Audio(AudioIn::plain(packets.at(self.frames, self.cuts_in))), handle);
                self.frames += 1;
            } else {
                self.give(Input::Wake, handle);
            }
            self.speak(handle);
        }
    }

    /// The caller hangs up.
    pub fn hang_up(&mut self) {
        self.give(Input::Closed { clean: true }, &mut |call, now, input, actions| call.handle(now, input, actions));
    }

    /// The memory of the call itself, in bytes, engines and caller dropped.
    pub fn into_call(self) -> (Call, Actions) {
        (self.call, self.actions)
    }

    fn give(&mut self, input: Input<'_>, handle: &mut Handle<'_>) {
        self.actions.clear();
        self.wake = handle(&mut self.call, self.start + self.now, input, &mut self.actions);
        for place in 0..self.actions.list().len() {
            let later = |ms| self.now + Duration::from_millis(ms);
            match &self.actions.list()[place] {
                Action::Commit(commit) => {
                    let (text, commit) = (SAID.to_string(), *commit);
                    self.due.push_back((later(100), Input::Stt(SttEvent::Final { text })));
                    self.due.push_back((later(100), Input::Stt(SttEvent::Committed { commit })));
                }
                Action::Think(ask) => {
                    let turn = ask.turn;
                    for words in ANSWER.split_inclusive(' ') {
                        self.due.push_back((later(200), Input::Llm(turn, LlmEvent::Words(words.to_string()))));
                    }
                    self.due.push_back((later(200), Input::Llm(turn, LlmEvent::Done(Finish::Said))));
                }
                Action::Speak { turn, clause, text, .. } => {
                    let samples = self.rate.samples(Duration::from_millis(60)) * text.chars().count();
                    self.voice = Some((*turn, *clause, samples));
                }
                Action::Stop(turn) => {
                    let turn = *turn;
                    self.voice = self.voice.filter(|(of, ..)| *of > turn);
                    self.due.retain(|(_, input)| !matches!(input, Input::Llm(of, _) if *of <= turn));
                }
                Action::Send { turn: Some(_), .. } => self.sent += 1,
                Action::Send { turn: None, .. }
                | Action::Hear(_)
                | Action::RunTool { .. }
                | Action::DropTool(_)
                | Action::Clear
                | Action::Mark(_)
                | Action::Tell(_)
                | Action::Transfer(_)
                | Action::Close(_) => {}
            }
        }
    }

    /// A voice that is faster than anybody reads: as much as the call takes.
    fn speak(&mut self, handle: &mut Handle<'_>) {
        while self.call.is_hungry()
            && let Some((turn, clause, left)) = self.voice
        {
            let piece = left.min(self.rate.samples(PIECE));
            self.voice = (left > piece).then_some((turn, clause, left - piece));
            let samples = signal::sine(220.0, self.rate, 6_000.0, 0, piece);
            self.give(Input::Tts(turn, clause, TtsEvent::Audio(samples)), handle);
            if left == piece {
                self.give(Input::Tts(turn, clause, TtsEvent::Done), handle);
            }
        }
    }
}

/// How an input is handed to a call.
pub type Handle<'a> = dyn FnMut(&mut Call, Instant, Input<'_>, &mut Actions) -> Option<Wake> + 'a;
