//! A whole call in a loop of your own: no runtime, no socket, and time that passes as fast as it can be computed. The
//! built-in receptionist answers, the caller books a service, and the dialogue is printed as it is heard.
//!
//! `cargo run --no-default-features --example one_call`
//!
//! Put your own recogniser, model, voice and line in the place of [`World`], the real clock in the place of its own, and
//! this is a voice agent.
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::{
    collections::{BTreeMap, VecDeque},
    error::Error,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use pronto::{
    audio::{Detector, Format, Line, Rate, VadSettings, signal},
    booking::{Shop, TenantId},
    call::{
        Action, Actions, Ask, AudioIn, Call, ClauseId, Event, Input, Role, Settings, Setup, SttEvent, ToolAsk,
        TtsEvent, Turn, Wake,
    },
    language::Language,
    privacy::Pii,
    providers::receptionist,
    store::MemoryStore,
    tenant::{Desk, ToolRun},
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut world = World::new(&[
        "buongiorno, vorrei prenotare un tagliando",
        "martedì mattina",
        "alle nove",
        "mi chiamo Mario Rossi",
        "A B uno due tre C D",
        "sì, va bene",
        "no grazie, arrivederci",
    ])?;
    let setup = world.setup()?;
    // README begin
    let (mut call, mut actions) = (Call::new(setup)?, Actions::new());
    let mut happens = (world.now, Input::Answered);
    while !call.is_over() {
        actions.clear();
        let wake = call.handle(happens.0, happens.1, &mut actions);
        for action in actions.drain().collect::<Vec<_>>() {
            match action {
                Action::Hear(sound) => world.recogniser_hears(actions.samples(&sound)),
                Action::Commit(number) => world.recogniser_finishes(number),
                Action::Think(ask) => world.model_answers(&ask),
                Action::Speak { turn, clause, text, aside } => world.voice_speaks((turn, clause), &text, aside),
                Action::RunTool { tool, ask, .. } => world.desk_runs(tool, ask),
                Action::Send { bytes, turn } => world.line_sends(actions.bytes(&bytes), turn),
                Action::Stop(turn) => world.engines_stop(turn),
                Action::Tell(event) => world.is_told(event),
                // This line holds nothing ahead, its tools are quick, and `is_over` tells of the end.
                Action::Clear | Action::Mark(_) | Action::DropTool(_) | Action::Transfer(_) | Action::Close(_) => {}
            }
        }
        happens = world.next(wake, call.is_hungry());
    }
    // README end
    let report = call.report(world.now);
    println!("\n{:?} after {:.1} s", report.ending, report.duration.as_secs_f64());
    Ok(())
}

/// Everything that is not the call: a telephone line, a caller, and engines. Here they are all invented.
struct World {
    /// The time it is.
    now: Instant,
    start: Instant,
    desk: Desk,
    /// When the caller's next frame arrives.
    frame_at: Instant,
    /// What the caller still has to say.
    lines: VecDeque<&'static str>,
    /// Frames of the present line still to be spoken.
    speaking: usize,
    /// The line that was spoken last, until the recogniser has given it.
    spoken: Option<&'static str>,
    /// When our voice was last sent; the caller waits for a pause before speaking.
    voiced_at: Instant,
    /// A frame of speech, and one of silence.
    frames: [Vec<u8>; 2],
    /// What the recogniser, the model and the desk will say, and when.
    answers: BTreeMap<(Instant, usize), Input<'static>>,
    /// How many answers there were.
    answered: usize,
    /// What the voice will say.
    voice: VecDeque<(Turn, ClauseId, TtsEvent)>,
}

const LINE: Line = Line::vapi(Format::PCM_WIDE);

impl World {
    fn new(lines: &[&'static str]) -> Result<Self, Box<dyn Error>> {
        #[expect(clippy::disallowed_methods, reason = "virtual time needs one real instant to count from")]
        let start = Instant::now();
        let desk = Desk::new(
            Arc::new(Shop::example()),
            Arc::new(MemoryStore::new()),
            TenantId::new("officina-rossi"),
            Language::Italian,
        );
        let frame =
            |loudness| signal::packets(&signal::sine(300.0, Rate::WIDE, loudness, 0, 320), Rate::WIDE, LINE.hears);
        Ok(Self {
            now: start,
            start,
            desk,
            frame_at: start,
            lines: lines.iter().copied().collect(),
            speaking: 0,
            spoken: None,
            voiced_at: start,
            frames: [frame(0.0)?.concat(), frame(6_000.0)?.concat()],
            answers: BTreeMap::new(),
            answered: 0,
            voice: VecDeque::new(),
        })
    }

    /// How the call behaves. A tone is speech to a detector of energy; real lines want the default one.
    fn setup(&self) -> Result<Setup, Box<dyn Error>> {
        let vad = VadSettings { detector: Detector::Energy, ..VadSettings::default() };
        let shop = &self.desk.shop().name;
        let phrases = Language::Italian.phrases();
        let disclosure = phrases.text("call.disclosure");
        Ok(Setup {
            line: LINE,
            clock: "2026-04-13T10:10[Europe/Rome]".parse()?,
            caller: Some(Pii::new("+393331234567".into())),
            settings: Arc::new(Settings { vad, ..Settings::default() }),
            instructions: "".into(),
            greeting: phrases.fill("call.greeting", &[("shop", shop), ("disclosure", disclosure)]).into(),
            tools: self.desk.tools(),
            stt_partials: false,
            stt_commits: true,
            voice: Rate::WIDE,
            complete: |_, _, _| false,
        })
    }

    /// A recogniser would be fed here. Ours knows what the caller says.
    fn recogniser_hears(&mut self, _sound: &[i16]) {}

    fn recogniser_finishes(&mut self, commit: u32) {
        if let Some(text) = self.spoken.take() {
            self.later(120, Input::Stt(SttEvent::Final { text: text.into() }));
        }
        self.later(120, Input::Stt(SttEvent::Committed { commit }));
    }

    fn model_answers(&mut self, ask: &Ask) {
        for event in receptionist::answer(ask) {
            self.later(250, Input::Llm(ask.turn, event));
        }
    }

    /// 60 ms of sound for each letter. An aside is spoken at once, beside the clause in progress.
    fn voice_speaks(&mut self, (turn, clause): (Turn, ClauseId), text: &str, aside: bool) {
        let piece = |_| TtsEvent::Audio(signal::sine(180.0, Rate::WIDE, 6_000.0, 0, 960));
        for event in text.chars().map(piece).chain([TtsEvent::Done]) {
            if aside {
                self.later(0, Input::Tts(turn, clause, event));
            } else {
                self.voice.push_back((turn, clause, event));
            }
        }
    }

    fn desk_runs(&mut self, tool: u32, ask: ToolAsk) {
        println!("{:>8}  {} {}", "desk", ask.name, ask.arguments);
        let run = ToolRun {
            id: ask.id,
            name: ask.name,
            arguments: ask.arguments,
            caller: Some(Pii::new("+393331234567".into())),
            call: "one".into(),
            now: "2026-04-13T10:10[Europe/Rome]".parse().expect("a time in Rome"),
        };
        // Books in memory answer at once; others are awaited.
        let outcome = self.desk.run(run).now_or_never().expect("books in memory answer at once");
        self.later(30, Input::ToolDone(tool, outcome));
    }

    fn line_sends(&mut self, _bytes: &[u8], turn: Option<Turn>) {
        if turn.is_some() {
            self.voiced_at = self.now;
        }
    }

    /// What comes of a turn that was cut is nobody's any more. The desk's answers are.
    fn engines_stop(&mut self, turn: Turn) {
        self.voice.retain(|(of, ..)| *of > turn);
        self.answers.retain(|_, input| !matches!(input, Input::Llm(of, _) if *of <= turn));
    }

    fn is_told(&mut self, event: Event) {
        if let Event::Transcript { role, last: true, text } = event {
            let at = self.now.duration_since(self.start).as_secs_f64();
            println!("{at:>7.1}s  {}: {text}", if role == Role::Agent { "pronto" } else { "caller" });
        }
    }

    fn later(&mut self, ms: u64, input: Input<'static>) {
        self.answered += 1;
        self.answers.insert((self.now + Duration::from_millis(ms), self.answered), input);
    }

    /// What happens next: something the engines say, a frame of the caller, or the wake that the call asked for.
    fn next(&mut self, wake: Option<Wake>, hungry: bool) -> (Instant, Input<'_>) {
        if hungry && let Some((turn, clause, event)) = self.voice.pop_front() {
            return (self.now, Input::Tts(turn, clause, event));
        }
        let wake = wake.map(|wake| wake.at).filter(|at| *at < self.frame_at);
        let next = wake.unwrap_or(self.frame_at);
        if let Some(answer) = self.answers.first_entry().filter(|answer| answer.key().0 <= next) {
            let ((at, _), input) = answer.remove_entry();
            self.now = self.now.max(at);
            return (self.now, input);
        }
        self.now = next;
        if wake.is_some() {
            return (self.now, Input::Wake);
        }
        self.frame_at += Line::FRAME;
        let quiet = self.now.duration_since(self.voiced_at) > Duration::from_millis(900);
        if self.speaking == 0 && quiet && self.spoken.is_none() && self.answers.is_empty() {
            self.spoken = self.lines.pop_front();
            self.speaking = self.spoken.map_or(0, |text| text.chars().count() * 3);
            // One line at a time: the next one waits for an answer to this one.
            self.voiced_at = self.now + Duration::from_secs(3_600);
        }
        let speaks = self.speaking > 0;
        self.speaking = self.speaking.saturating_sub(1);
        (self.now, Input::Audio(AudioIn::plain(&self.frames[usize::from(speaks)])))
    }
}
