//! One call on a mu-law line with the ear it has in production, driven by hand: what the gateway's driver would do, with
//! a stopwatch around the call itself.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use pronto::{
    audio::{Encoder, Format, Line, Rate, signal},
    call::{
        Action, Actions, AudioIn, Call, ClauseId, Input, LlmEvent, Settings, Setup, SttEvent, TtsEvent, Turn, Wake,
    },
};

/// A call and its clock.
pub struct Desk {
    pub call: Call,
    pub actions: Actions,
    pub now: Instant,
    wake: Option<Wake>,
    /// Time spent in the call since the stopwatch was set.
    pub spent: Duration,
    /// Frames of voice sent since then, and the turn of the last.
    pub voiced: u32,
    pub turn: Turn,
    /// Turns up to this one are stopped, and frames of them that left all the same.
    pub stopped: Option<Turn>,
    pub stale: u32,
    /// What was asked of the engines since then.
    pub thinks: u32,
    pub speaks: Option<(Turn, ClauseId)>,
    pub commit: Option<u32>,
}

impl Desk {
    #[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
    pub fn new(line: Line) -> Self {
        let setup = Setup {
            line,
            clock: jiff::civil::date(2026, 4, 13).at(10, 0, 0, 0).in_tz("Europe/Rome").expect("a time in Rome"),
            caller: None,
            settings: Arc::new(Settings { duration_max_s: 1_000_000, silence_s: 1_000_000, ..Settings::default() }),
            instructions: "".into(),
            greeting: "".into(),
            tools: [].into(),
            stt_partials: true,
            stt_commits: true,
            voice: Rate::VOICE,
            complete: |_, _, _| false,
        };
        let call = Call::new(setup).expect("mu-law can be carried");
        let mut desk = Self {
            call,
            actions: Actions::new(),
            now: Instant::now(),
            wake: None,
            spent: Duration::ZERO,
            voiced: 0,
            turn: Turn(0),
            stopped: None,
            stale: 0,
            thinks: 0,
            speaks: None,
            commit: None,
        };
        desk.handle(Input::Answered);
        desk
    }

    /// Hands one input to the call and notes what it asks.
    #[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
    pub fn handle(&mut self, input: Input<'_>) {
        self.actions.clear();
        let started = Instant::now();
        self.wake = self.call.handle(self.now, input, &mut self.actions);
        self.spent += started.elapsed();
        for action in self.actions.list() {
            match action {
                Action::Send { turn: Some(turn), .. } => {
                    self.voiced += 1;
                    self.turn = *turn;
                    self.stale += u32::from(Some(*turn) <= self.stopped);
                }
                Action::Stop(turn) => self.stopped = self.stopped.max(Some(*turn)),
                Action::Think(_) => self.thinks += 1,
                Action::Speak { turn, clause, .. } => self.speaks = Some((*turn, *clause)),
                Action::Commit(commit) => self.commit = Some(*commit),
                Action::Hear(_)
                | Action::RunTool { .. }
                | Action::DropTool(_)
                | Action::Send { turn: None, .. }
                | Action::Clear
                | Action::Mark(_)
                | Action::Tell(_)
                | Action::Transfer(_)
                | Action::Close(_) => {}
            }
        }
    }

    /// Twenty milliseconds of the caller, and everything that is due within them.
    pub fn frame(&mut self, packet: &[u8]) {
        let until = self.now + Line::FRAME;
        while let Some(wake) = self.wake.filter(|wake| wake.at < until) {
            self.now = wake.at;
            self.handle(Input::Wake);
        }
        self.now = until;
        self.handle(Input::Audio(AudioIn::plain(packet)));
    }

    /// The stopwatch at nought.
    pub fn reset(&mut self) {
        (self.spent, self.voiced, self.thinks, self.speaks, self.commit) = (Duration::ZERO, 0, 0, None, None);
    }

    /// The caller says this, and is recognised: half a second of voice, and silence until the model is asked.
    pub fn says(&mut self, text: &str, voice: &[Vec<u8>], silence: &[u8]) {
        for packet in voice {
            self.frame(packet);
        }
        self.handle(Input::Stt(SttEvent::Partial { text: text.into() }));
        while self.thinks == 0 {
            self.frame(silence);
            if let Some(commit) = self.commit.take() {
                self.handle(Input::Stt(SttEvent::Final { text: text.into() }));
                self.handle(Input::Stt(SttEvent::Committed { commit }));
            }
        }
    }

    /// The model answers with one sentence and the voice speaks so many milliseconds of it, all at once.
    pub fn answers(&mut self, text: &str, ms: u64) {
        let turn = self.call.turn();
        self.handle(Input::Llm(turn, LlmEvent::Words(text.into())));
        self.handle(Input::Llm(turn, LlmEvent::Done(pronto::call::Finish::Said)));
        let (turn, clause) = self.speaks.expect("the sentence was given to the voice");
        let sound = signal::sine(200.0, Rate::VOICE, 5_000.0, 0, Rate::VOICE.samples(Duration::from_millis(ms)));
        for piece in sound.chunks(Rate::VOICE.samples(Duration::from_millis(100))) {
            self.handle(Input::Tts(turn, clause, TtsEvent::Audio(piece.to_vec())));
        }
        self.handle(Input::Tts(turn, clause, TtsEvent::Done));
    }
}

/// A voice with its pitch, in packets of mu-law.
pub fn voice(ms: u64) -> Vec<Vec<u8>> {
    let samples = Rate::WIDE.samples(Duration::from_millis(ms));
    let mut sound = signal::Noise::new(1).white(samples, -65.0);
    for harmonic in 1..=12 {
        let part = signal::sine(130.0 * f64::from(harmonic), Rate::WIDE, 4_000.0 / f64::from(harmonic), 0, samples);
        signal::add(&mut sound, &part, 0);
    }
    signal::packets(&sound, Rate::WIDE, Format::MULAW_PHONE).expect("mu-law can be carried")
}

/// A packet of silence.
pub fn silence() -> Vec<u8> {
    let mut bytes = Vec::new();
    Encoder::new(Format::MULAW_PHONE).expect("mu-law can be carried").silence(160, &mut bytes);
    bytes
}

/// The middle one, the one in a hundred, and the largest, in microseconds.
pub fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1e6;
    format!("p50 {:.1} us, p99 {:.1} us, max {:.1} us", at(50), at(99), at(100))
}
