//! One call in virtual time with real sound in both directions: the caller's as it comes off a wire in 20 ms frames,
//! ours as the far end plays it, sample by sample.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap, VecDeque},
    sync::{Arc, Mutex, OnceLock},
    time::{Duration, Instant},
};

use pronto::{
    audio::{Decoder, Encoder, Line, Rate, Resampler, level_db, signal},
    call::{
        Action, Actions, AudioIn, Call, CallReport, ClauseId, Event, Finish, Input, LlmEvent, Message, Settings, Setup,
        SttEvent, TtsEvent, Turn, Wake,
    },
};

use crate::audio_voice;

const FRAME: Duration = Line::FRAME;

/// How loud the caller and we speak, in dBFS.
pub const CALLER_DB: f32 = -24.0;
const OURS_DB: f32 = -20.0;

/// Our own voice is this one of [`audio_voice::speak`]'s; callers have the others.
pub const OUR_VOICE: usize = 2;

/// Real speech at 16 kHz, without the silence around it. Spoken once in the life of the process.
pub fn speech(text: &str, who: usize, db: f32) -> Vec<i16> {
    type Spoken = HashMap<(String, usize), Arc<Vec<i16>>>;
    static SPOKEN: OnceLock<Mutex<Spoken>> = OnceLock::new();
    let spoken = SPOKEN.get_or_init(Mutex::default);
    let known = spoken.lock().expect("no panic in it").get(&(text.to_string(), who)).cloned();
    let sound = known.unwrap_or_else(|| {
        let sound = Arc::new(audio_voice::speak(text, who));
        spoken.lock().expect("no panic in it").insert((text.to_string(), who), sound.clone());
        sound
    });
    signal::at_level(&sound, db)
}

/// How the recogniser behaves.
#[derive(Debug, Clone, Copy)]
pub struct Ears {
    /// A word is in a partial text so long after its sound; none where the recogniser gives whole utterances only.
    pub partials: Option<Duration>,
    /// The recogniser ends turns by itself, so long after the caller's last word; otherwise it answers commits.
    pub ends: Option<Duration>,
}

/// What will happen, and to whom.
#[derive(Debug, Clone)]
pub struct Scene {
    /// The line.
    pub line: Line,
    /// How the call behaves.
    pub settings: Settings,
    /// What we say first.
    pub greeting: String,
    /// What the model answers, in order; the last one for ever.
    pub answers: Vec<&'static str>,
    /// How the recogniser behaves.
    pub ears: Ears,
    /// The caller's side at 16 kHz.
    pub sound: Vec<i16>,
    /// When each word of the caller has been said.
    words: Vec<(Duration, String)>,
    /// Our own voice comes back so much softer and so late.
    pub echo: Option<(f32, Duration)>,
    /// When the curtain falls.
    pub until: Duration,
}

/// Seconds.
pub fn s(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

impl Scene {
    /// A quiet line of so many seconds.
    pub fn new(line: Line, seconds: f64) -> Self {
        Self {
            line,
            settings: Settings::default(),
            greeting: String::new(),
            answers: vec!["Va bene, un attimo solo."],
            ears: Ears { partials: Some(s(0.25)), ends: None },
            sound: signal::Noise::new(11).white(Rate::WIDE.samples(s(seconds)), -66.0),
            words: Vec::new(),
            echo: None,
            until: s(seconds),
        }
    }

    /// What we say first.
    pub fn greeting(mut self, text: &str) -> Self {
        self.greeting = text.into();
        self
    }

    /// Noise around the caller.
    pub fn noise(mut self, db: f32) -> Self {
        let noise = signal::Noise::new(29).white(self.sound.len(), db);
        signal::add(&mut self.sound, &noise, 0);
        self
    }

    /// A sound on the caller's side.
    pub fn sounds(mut self, at: Duration, sound: &[i16]) -> Self {
        signal::add(&mut self.sound, sound, Rate::WIDE.samples(at));
        self
    }

    /// The caller says something; returns when it has been said.
    pub fn says(&mut self, at: Duration, text: &str, who: usize) -> Duration {
        self.says_so(at, text, who, CALLER_DB)
    }

    /// The same so loud.
    pub fn says_so(&mut self, at: Duration, text: &str, who: usize, db: f32) -> Duration {
        let sound = speech(text, who, db);
        let length = Rate::WIDE.duration(sound.len() as u64);
        signal::add(&mut self.sound, &sound, Rate::WIDE.samples(at));
        let letters = text.chars().count() as u32;
        let mut said = 0;
        for word in text.split_whitespace() {
            said = (said + word.chars().count() as u32 + 1).min(letters);
            self.words.push((at + length * said / letters, word.to_string()));
        }
        at + length
    }

    /// Plays it.
    pub fn play(self) -> Played {
        Stage::new(self).play()
    }
}

/// A stretch of one reply as the far end heard it: samples of the line since the call began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    pub turn: Turn,
    pub from: usize,
    pub to: usize,
}

/// What happened.
#[derive(Debug)]
pub struct Played {
    /// The line's rate: what `heard` is at.
    pub rate: Rate,
    /// What the far end heard.
    pub heard: Vec<i16>,
    /// Which reply it belonged to.
    pub stretches: Vec<Stretch>,
    /// What the voice said in each turn, at 16 kHz.
    pub voice: BTreeMap<Turn, Vec<i16>>,
    /// When each question to the model was asked, and what the caller had said in it.
    pub asks: Vec<(Duration, Vec<String>)>,
    /// Replies that were stopped.
    pub stops: Vec<(Duration, Turn)>,
    /// What observers were told.
    pub events: Vec<(Duration, Event)>,
    pub history: Vec<Message>,
    pub report: CallReport,
}

impl Played {
    /// How often the reply was cut.
    pub fn cuts(&self) -> usize {
        self.events.iter().filter(|(_, event)| matches!(event, Event::Interrupted(_))).count()
    }

    /// How often the voice was held.
    pub fn holds(&self) -> usize {
        self.events.iter().filter(|(_, event)| matches!(event, Event::Held(_))).count()
    }

    /// What the caller said, utterance by utterance, as the history has it.
    pub fn understood(&self) -> Vec<&str> {
        let caller = |message: &'_ Message| matches!(message, Message::Caller { .. });
        self.history
            .iter()
            .filter(|message| caller(message))
            .map(|message| if let Message::Caller { text } = message { text.as_str() } else { "" })
            .collect()
    }

    /// What of a reply was heard, silence between its stretches left out.
    pub fn heard_of(&self, turn: Turn) -> Vec<i16> {
        let of = self.stretches.iter().filter(|stretch| stretch.turn == turn);
        of.flat_map(|stretch| self.heard[stretch.from..stretch.to].iter().copied()).collect()
    }

    /// When the sound of a reply is over for good: its last 5 ms above -55 dBFS.
    pub fn silent_after(&self, turn: Turn) -> Duration {
        let window = self.rate.samples(Duration::from_millis(5));
        let of = self.stretches.iter().filter(|stretch| stretch.turn == turn);
        let last = of.flat_map(|stretch| (stretch.from..stretch.to).step_by(window)).filter(|from| {
            let piece = &self.heard[*from..(*from + window).min(self.heard.len())];
            level_db(piece) > -55.0
        });
        self.rate.duration(last.max().map_or(0, |from| from + window) as u64)
    }

    /// The pauses inside a reply: from when to when.
    pub fn pauses(&self, turn: Turn) -> Vec<(Duration, Duration)> {
        let of: Vec<&Stretch> = self.stretches.iter().filter(|stretch| stretch.turn == turn).collect();
        let at = |sample: usize| self.rate.duration(sample as u64);
        of.windows(2).map(|pair| (at(pair[0].to), at(pair[1].from))).collect()
    }
}

#[derive(Debug)]
enum Due {
    Frame(u64),
    Partial,
    Final(Option<u32>),
    End,
    Llm(Turn, LlmEvent),
    Voice(Turn, ClauseId, String),
    Mark(u32),
}

struct Stage {
    scene: Scene,
    /// The caller's side at the line's rate.
    sound: Vec<i16>,
    encoder: Encoder,
    decoder: Decoder,
    call: Call,
    origin: Instant,
    now: Duration,
    due: BinaryHeap<Reverse<(Duration, u64)>>,
    what: HashMap<u64, Due>,
    next: u64,
    wake: Option<Wake>,
    actions: Actions,
    /// Words that were given in finals.
    fixed: usize,
    answered: usize,
    stopped: Option<Turn>,
    /// Frames of the caller that have come and wait to be read, as the gateway lets them.
    unheard: Vec<Vec<u8>>,
    /// When the call last looked.
    looked: Duration,
    /// What the voice said and the call had no room for yet.
    unread: VecDeque<(Turn, ClauseId, TtsEvent)>,
    /// Marks on their way back.
    marks: Vec<u32>,
    /// What happened so far.
    played: Played,
}

impl Stage {
    fn new(scene: Scene) -> Self {
        #[expect(clippy::disallowed_methods, reason = "virtual time needs one real instant to count from")]
        let origin = Instant::now();
        let setup = Setup {
            line: scene.line,
            clock: jiff::civil::date(2026, 4, 13).at(10, 0, 0, 0).in_tz("Europe/Rome").expect("a civil time"),
            caller: None,
            settings: Arc::new(scene.settings.clone()),
            instructions: "".into(),
            greeting: scene.greeting.as_str().into(),
            tools: Arc::from(Vec::new()),
            stt_partials: scene.ears.partials.is_some(),
            stt_commits: scene.ears.ends.is_none(),
            voice: Rate::WIDE,
            complete: |_, _, _| false,
        };
        let mut sound = Vec::new();
        let mut resampler = Resampler::new(Rate::WIDE, scene.line.hears.rate);
        resampler.process(&scene.sound, &mut sound);
        resampler.flush(&mut sound);
        Self {
            sound,
            encoder: Encoder::new(scene.line.hears).expect("built"),
            decoder: Decoder::new(scene.line.speaks).expect("built"),
            call: Call::new(setup).expect("built"),
            origin,
            now: Duration::ZERO,
            due: BinaryHeap::new(),
            what: HashMap::new(),
            next: 0,
            wake: None,
            actions: Actions::new(),
            fixed: 0,
            answered: 0,
            stopped: None,
            unheard: Vec::new(),
            looked: Duration::ZERO,
            unread: VecDeque::new(),
            marks: Vec::new(),
            played: Played {
                rate: scene.line.speaks.rate,
                heard: Vec::new(),
                stretches: Vec::new(),
                voice: BTreeMap::new(),
                asks: Vec::new(),
                stops: Vec::new(),
                events: Vec::new(),
                history: Vec::new(),
                report: CallReport::default(),
            },
            scene,
        }
    }

    fn play(mut self) -> Played {
        self.later(FRAME, Due::Frame(0));
        for (end, _) in self.scene.words.clone() {
            if let Some(delay) = self.scene.ears.partials {
                self.later(end + delay, Due::Partial);
            }
        }
        if let (Some(delay), Some((last, _))) = (self.scene.ears.ends, self.scene.words.last().cloned()) {
            self.later(last + delay, Due::Final(None));
            self.later(last + delay, Due::End);
        }
        self.step(Input::Answered);
        loop {
            let event = self.due.peek().map(|Reverse((at, _))| *at);
            let wake = self.wake.map(|wake| wake.at.saturating_duration_since(self.origin));
            let wait = self.call.may_wait(self.origin + self.now);
            let look = wait.map(|wait| self.looked + wait);
            let next = event.into_iter().chain(wake).chain(look).min();
            let Some(at) = next.filter(|at| *at <= self.scene.until) else { break };
            self.now = self.now.max(at);
            let mut asleep = false;
            if event == Some(at) {
                let Some(Reverse((_, number))) = self.due.pop() else { break };
                let due = self.what.remove(&number).expect("planned");
                asleep = wait.is_some() && matches!(due, Due::Frame(_));
                self.happen(due);
            } else if wake == Some(at) {
                self.step(Input::Wake);
            }
            if !asleep {
                self.looked = self.now;
                for bytes in std::mem::take(&mut self.unheard) {
                    self.step(Input::Audio(AudioIn::plain(&bytes)));
                }
            }
            self.read_voice();
        }
        self.played.history = self.call.history().cloned().collect();
        self.played.report = self.call.report(self.origin + self.now);
        self.played
    }

    fn later(&mut self, at: Duration, due: Due) {
        self.due.push(Reverse((at, self.next)));
        self.what.insert(self.next, due);
        self.next += 1;
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Frame(number) => self.caller_frame(number),
            Due::Partial => {
                let text = self.words_until(self.now.saturating_sub(self.scene.ears.partials.unwrap_or_default()));
                if !text.is_empty() {
                    self.step(Input::Stt(SttEvent::Partial { text }));
                }
            }
            Due::Final(commit) => {
                // What was said until the commit went out; the answer took 150 ms.
                let until = if commit.is_some() { self.now - s(0.15) } else { self.now };
                let text = self.words_until(until);
                self.fixed = self.scene.words.iter().filter(|(end, _)| *end <= until).count().max(self.fixed);
                if !text.is_empty() {
                    self.step(Input::Stt(SttEvent::Final { text }));
                }
                if let Some(commit) = commit {
                    self.step(Input::Stt(SttEvent::Committed { commit }));
                }
            }
            Due::End => self.step(Input::Stt(SttEvent::End)),
            Due::Llm(turn, event) if !self.is_stopped(turn) => self.step(Input::Llm(turn, event)),
            Due::Voice(turn, clause, text) if !self.is_stopped(turn) => {
                for piece in speech(&text, OUR_VOICE, OURS_DB).chunks(3_200) {
                    self.unread.push_back((turn, clause, TtsEvent::Audio(piece.to_vec())));
                }
                self.unread.push_back((turn, clause, TtsEvent::Done));
            }
            Due::Llm(..) | Due::Voice(..) => {}
            Due::Mark(number) => {
                if let Some(at) = self.marks.iter().position(|mark| *mark == number) {
                    self.marks.remove(at);
                    self.step(Input::Mark(number));
                }
            }
        }
    }

    fn is_stopped(&self, turn: Turn) -> bool {
        self.stopped.is_some_and(|stopped| turn <= stopped)
    }

    fn words_until(&self, until: Duration) -> String {
        let words = self.scene.words.iter().skip(self.fixed).take_while(|(end, _)| *end <= until);
        words.map(|(_, word)| word.as_str()).collect::<Vec<_>>().join(" ")
    }

    fn read_voice(&mut self) {
        while self.call.is_hungry() {
            let Some((turn, clause, event)) = self.unread.pop_front() else { return };
            if self.is_stopped(turn) {
                continue;
            }
            if let TtsEvent::Audio(samples) = &event {
                self.played.voice.entry(turn).or_default().extend(samples);
            }
            self.step(Input::Tts(turn, clause, event));
        }
    }

    /// 20 ms of the caller, with what comes back of us.
    fn caller_frame(&mut self, number: u64) {
        self.later(self.now + FRAME, Due::Frame(number + 1));
        let samples = self.scene.line.hears.rate.samples(FRAME);
        let from = number as usize * samples;
        let mut frame: Vec<i16> = self.sound.iter().skip(from).take(samples).copied().collect();
        frame.resize(samples, 0);
        if let Some((db, delay)) = self.scene.echo {
            let delay = self.scene.line.hears.rate.samples(delay);
            let ours: Vec<i16> = (from..from + samples)
                .map(|at| at.checked_sub(delay).and_then(|at| self.played.heard.get(at)).copied().unwrap_or(0))
                .collect();
            signal::add(&mut frame, &signal::gain(&ours, db), 0);
        }
        let mut bytes = Vec::new();
        self.encoder.encode(&frame, &mut bytes);
        self.unheard.push(bytes);
    }

    fn step(&mut self, input: Input<'_>) {
        self.actions.clear();
        self.wake = self.call.handle(self.origin + self.now, input, &mut self.actions);
        let actions = std::mem::take(&mut self.actions);
        for action in actions.list() {
            match action {
                Action::Send { bytes, turn } => self.frame(actions.bytes(bytes), *turn),
                Action::Clear => self.clear(),
                Action::Mark(number) => {
                    self.marks.push(*number);
                    let at = self.played.rate.duration(self.played.heard.len() as u64).max(self.now);
                    self.later(at + Duration::from_millis(1), Due::Mark(*number));
                }
                Action::Commit(commit) => self.later(self.now + s(0.15), Due::Final(Some(*commit))),
                Action::Think(ask) => {
                    let said = ask.messages.iter().filter_map(|message| match message {
                        Message::Caller { text } => Some(text.clone()),
                        Message::Agent { .. }
                        | Message::Asked { .. }
                        | Message::Outcome { .. }
                        | Message::Note { .. } => None,
                    });
                    self.played.asks.push((self.now, said.collect()));
                    let answer = self.scene.answers[self.answered.min(self.scene.answers.len() - 1)];
                    self.answered += 1;
                    self.later(self.now + s(0.4), Due::Llm(ask.turn, LlmEvent::Words(answer.into())));
                    self.later(self.now + s(0.41), Due::Llm(ask.turn, LlmEvent::Done(Finish::Said)));
                }
                Action::Speak { turn, clause, text, .. } => {
                    self.later(self.now + s(0.1), Due::Voice(*turn, *clause, text.clone()));
                }
                Action::Stop(turn) => {
                    self.stopped = Some(*turn);
                    self.played.stops.push((self.now, *turn));
                }
                Action::Tell(event) => self.played.events.push((self.now, event.clone())),
                Action::Hear(_)
                | Action::RunTool { .. }
                | Action::DropTool(_)
                | Action::Transfer(_)
                | Action::Close(_) => {}
            }
        }
        self.actions = actions;
    }

    /// A frame of ours arrives at the far end.
    fn frame(&mut self, bytes: &[u8], turn: Option<Turn>) {
        let now = self.played.rate.samples(self.now);
        let from = self.played.heard.len().max(now);
        self.played.heard.resize(from, 0);
        self.decoder.decode(bytes, &mut self.played.heard);
        let to = self.played.heard.len();
        let Some(turn) = turn else { return };
        match self.played.stretches.last_mut() {
            Some(last) if last.turn == turn && last.to == from => last.to = to,
            Some(_) | None => self.played.stretches.push(Stretch { turn, from, to }),
        }
    }

    /// What has not been played is dropped, and its marks come back.
    fn clear(&mut self) {
        let now = self.played.rate.samples(self.now);
        self.played.heard.truncate(now);
        self.played.stretches.retain(|stretch| stretch.from < now);
        if let Some(last) = self.played.stretches.last_mut() {
            last.to = last.to.min(now);
        }
        for mark in self.marks.clone() {
            self.later(self.now + Duration::from_millis(1), Due::Mark(mark));
        }
    }
}
