//! The language of the stories in `tests/calls/`. A story reads like the call:
//!
//! ```
//! use pronto::sim::story::{ms, says, story};
//! story()
//!     .caller(0.5..2.0, "vorrei prenotare un tagliando")
//!     .model(says("Certo. Per che giorno?"))
//!     .expect("one answer", |t| t.asks() == 1)
//!     .expect("soon", |t| t.silence_after(2.0) < ms(1500))
//!     .play();
//! ```
//!
//! Times are seconds since the answer. Everything that is not said has a sensible default: partial texts after 200 ms,
//! the model's first word after 300, the voice after 100.

use std::{ops::Range, time::Duration};

use super::{
    script::{Answer, Ends, Script, Tool, Utterance, spec},
    stage::Stage,
    trace::Trace,
};
use crate::{
    audio::{Format, Key, Line},
    call::{Control, Failed, Finish, Outcome, Settings, Then, ToolKind},
};

/// Begins a story.
pub fn story() -> Story {
    Story { script: Script { model: Vec::new(), until: Duration::ZERO, ..Script::default() }, expectations: Vec::new() }
}

/// Milliseconds.
pub const fn ms(value: u64) -> Duration {
    Duration::from_millis(value)
}

/// Seconds.
pub fn s(value: f64) -> Duration {
    Duration::from_secs_f64(value)
}

/// The model says this.
pub fn says(text: &str) -> Answer {
    Answer::says(text)
}

/// The model asks for a tool, with an id of its own.
pub fn asks(tool: &str) -> Answer {
    Answer::asks(&format!("ask-{tool}"), tool, "{}")
}

/// The model asks for a tool under this id, with these arguments.
pub fn asks_as(id: &str, tool: &str, arguments: &str) -> Answer {
    Answer::asks(id, tool, arguments)
}

/// The model says something and asks for a tool.
pub fn says_and_asks(text: &str, tool: &str) -> Answer {
    Answer { text: text.to_string(), ..asks(tool) }
}

/// The model never answers.
pub fn hangs() -> Answer {
    says("").ending(Ends::Hangs)
}

/// The model fails.
pub fn fails() -> Answer {
    says("").ending(Ends::Failed(Failed::Broken))
}

/// A line that can drop what it has, and tells when it has played a mark: 200 ms ahead.
pub fn clearing() -> Line {
    Line { clears: true, marks: true, continuous: false, lead: ms(200), ..Line::vapi(Format::PCM_WIDE) }
}

/// What a tool answers when the call is to end.
pub fn ends_call() -> Outcome {
    Outcome { then: Then::EndCall, ..done() }
}

/// What a tool answers when the caller is to be put through.
pub fn puts_through(to: &str) -> Outcome {
    Outcome { then: Then::Transfer(to.into()), ..done() }
}

/// What a tool answers when all is well.
pub fn done() -> Outcome {
    Outcome { content: r#"{"ok":true}"#.into(), then: Then::GoOn }
}

/// A call being told.
pub struct Story {
    script: Script,
    expectations: Vec<(&'static str, Expectation)>,
}

type Expectation = Box<dyn Fn(&Trace) -> bool>;

impl Story {
    /// The caller says this, in these seconds.
    #[must_use]
    pub fn caller(mut self, at: Range<f64>, text: &str) -> Self {
        self.script.utterances.push(Utterance { at: s(at.start)..s(at.end), text: text.to_string() });
        self
    }

    /// A noise that is loud enough to be speech, but is none.
    #[must_use]
    pub fn noise(mut self, at: Range<f64>) -> Self {
        self.script.noises.push(s(at.start)..s(at.end));
        self
    }

    /// The caller presses a key.
    #[must_use]
    pub fn key(mut self, at: f64, label: char) -> Self {
        let key = Key::new(label).expect("a story presses keys that exist");
        self.script.keys.push((s(at), key));
        self
    }

    /// Somebody with the right to asks for something.
    #[must_use]
    pub fn control(mut self, at: f64, control: Control) -> Self {
        self.script.controls.push((s(at), control));
        self
    }

    /// The caller hangs up.
    #[must_use]
    pub fn hangs_up(mut self, at: f64) -> Self {
        self.script.hang_up = Some(s(at));
        self
    }

    /// The process shuts down and gives the call this long.
    #[must_use]
    pub fn shutdown(mut self, at: f64, within: Duration) -> Self {
        self.script.shutdown = Some((s(at), within));
        self
    }

    /// The model's next answer.
    #[must_use]
    pub fn model(mut self, answer: Answer) -> Self {
        self.script.model.push(answer);
        self
    }

    /// A tool that looks something up.
    #[must_use]
    pub fn read(self, name: &str, takes: Duration, answers: Outcome) -> Self {
        self.tool(name, ToolKind::Read, takes, answers)
    }

    /// A tool that changes something.
    #[must_use]
    pub fn write(self, name: &str, takes: Duration, answers: Outcome) -> Self {
        self.tool(name, ToolKind::Write, takes, answers)
    }

    /// A tool of any kind.
    #[must_use]
    pub fn tool(mut self, name: &str, kind: ToolKind, takes: Duration, answers: Outcome) -> Self {
        self.script.tools.push(Tool { spec: spec(name, kind), takes, answers, again: None });
        self
    }

    /// Spoken first.
    #[must_use]
    pub fn greeting(mut self, text: &str) -> Self {
        self.script.greeting = text.to_string();
        self
    }

    /// Another line.
    #[must_use]
    pub fn line(mut self, line: Line) -> Self {
        self.script.line = line;
        self
    }

    /// Other settings.
    #[must_use]
    pub fn settings(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.script.settings);
        self
    }

    /// The recogniser needs this long, from the commit to the final text.
    #[must_use]
    pub fn transcript_after(mut self, delay: Duration) -> Self {
        self.script.ears.finals = delay;
        self
    }

    /// The recogniser gives no text before the caller has finished.
    #[must_use]
    pub fn no_partials(mut self) -> Self {
        self.script.ears.partials = None;
        self
    }

    /// The recogniser takes no commits and ends turns by itself, this long after the caller's last word; its last text
    /// comes at once.
    #[must_use]
    pub fn engine_ends_turns(mut self, after: Duration) -> Self {
        self.script.ears.commits = false;
        self.script.ears.turns = Some(after);
        self
    }

    /// The recogniser fails for good.
    #[must_use]
    pub fn recogniser_dies(mut self, at: f64) -> Self {
        self.script.ears.dies = Some(s(at));
        self
    }

    /// The voice tells when words end.
    #[must_use]
    pub fn aligned(mut self) -> Self {
        self.script.voice.alignment = true;
        self
    }

    /// The voice fails every clause.
    #[must_use]
    pub fn voice_fails(mut self) -> Self {
        self.script.voice.fails = 100;
        self
    }

    /// The voice fails these clauses, counted from 0 over all that it is given.
    #[must_use]
    pub fn voice_fails_at(mut self, clauses: &[u32]) -> Self {
        self.script.voice.failing = clauses.iter().fold(0, |bits, clause| bits | 1 << clause);
        self
    }

    /// The voice hangs on every clause.
    #[must_use]
    pub fn voice_hangs(mut self) -> Self {
        self.script.voice.fails = 100;
        self.script.voice.hangs = true;
        self
    }

    /// Our voice comes back, so many decibels softer, so much later.
    #[must_use]
    pub fn echo(mut self, decibels: i32, delay: Duration) -> Self {
        self.script.echo = Some((decibels, delay));
        self
    }

    /// The peer sends nothing at all in these seconds.
    #[must_use]
    pub fn line_is_mute(mut self, at: Range<f64>) -> Self {
        self.script.mute.push(s(at.start)..s(at.end));
        self
    }

    /// The network delivers nothing in these seconds, and then everything.
    #[must_use]
    pub fn network_stalls(mut self, at: Range<f64>) -> Self {
        self.script.stalls.push(s(at.start)..s(at.end));
        self
    }

    /// Anything else.
    #[must_use]
    pub fn script(mut self, change: impl FnOnce(&mut Script)) -> Self {
        change(&mut self.script);
        self
    }

    /// What must be true in the end.
    #[must_use]
    pub fn expect(mut self, what: &'static str, holds: impl Fn(&Trace) -> bool + 'static) -> Self {
        self.expectations.push((what, Box::new(holds)));
        self
    }

    /// The story goes on until then; else for eight seconds after the last thing that happens from outside.
    #[must_use]
    pub fn until(mut self, at: f64) -> Self {
        self.script.until = s(at);
        self
    }

    /// When the last thing happens from outside.
    fn last(&self) -> Duration {
        let script = &self.script;
        let utterances = script.utterances.iter().map(|utterance| utterance.at.end);
        let noises = script.noises.iter().map(|noise| noise.end);
        let keys = script.keys.iter().map(|(at, _)| *at);
        let controls = script.controls.iter().map(|(at, _)| *at);
        let others = script.hang_up.into_iter().chain(script.shutdown.map(|(at, within)| at + within));
        utterances.chain(noises).chain(keys).chain(controls).chain(others).max().unwrap_or_default()
    }

    /// Plays the call, checks the promises at each step and the expectations in the end.
    ///
    /// # Panics
    /// When a promise is broken or an expectation does not hold: a story is a test.
    pub fn play(mut self) -> Trace {
        if self.script.model.is_empty() {
            self.script.model.push(says("Va bene."));
        }
        if self.script.until.is_zero() {
            self.script.until = self.last() + s(8.0);
        }
        let trace = match Stage::new(self.script, 1).play() {
            Ok(trace) => trace,
            Err(broken) => panic!("{}\n{}", broken.promise, tell(&broken.trace)),
        };
        for (what, holds) in &self.expectations {
            assert!(holds(&trace), "expected: {what}\n{}", tell(&trace));
        }
        trace
    }
}

/// The call as a person would retell it, for a failed expectation.
pub fn tell(trace: &Trace) -> String {
    let mut text = String::new();
    for (at, action) in trace.actions() {
        let shown = format!("{action:?}");
        text.push_str(&format!("{:8.3}  {}\n", at.as_secs_f64(), shown.chars().take(160).collect::<String>()));
    }
    for stretch in trace.heard() {
        text.push_str(&format!(
            "heard {:.3} to {:.3}  {:?}\n",
            stretch.from.as_secs_f64(),
            stretch.to.as_secs_f64(),
            stretch.turn
        ));
    }
    text.push_str(&format!("history: {:#?}\n", trace.history()));
    text
}

/// How the model's finish is written in a story.
pub const SAID: Ends = Ends::Done(Finish::Said);
