//! What happens in a simulated call: who says what when, how the engines behave, and what the line does. Times count
//! from the answer.

use std::{ops::Range, sync::Arc, time::Duration};

use crate::{
    audio::{Codec, Detector, Format, Key, Line, Rate, VadSettings},
    call::{Control, Failed, Finish, Interrupting, Settings, ToolKind, ToolSpec},
};

/// One call, written down beforehand.
#[derive(Debug, Clone)]
pub struct Script {
    /// What the caller says.
    pub utterances: Vec<Utterance>,
    /// Sounds that are no words.
    pub noises: Vec<Range<Duration>>,
    /// Keys pressed.
    pub keys: Vec<(Duration, Key)>,
    /// Controls of somebody with the right to.
    pub controls: Vec<(Duration, Control)>,
    /// The caller hangs up.
    pub hang_up: Option<Duration>,
    /// The process shuts down, giving this much time.
    pub shutdown: Option<(Duration, Duration)>,
    /// The network delivers nothing in these times, and then everything.
    pub stalls: Vec<Range<Duration>>,
    /// The line is lost in these times, with everything that is on its way in either direction.
    pub drops: Vec<Range<Duration>>,
    /// Our own process is frozen in these times: everything that was due is late.
    pub freezes: Vec<Range<Duration>>,
    /// The peer sends nothing at all in these times (not even silence).
    pub mute: Vec<Range<Duration>>,
    /// What the model answers, ask by ask; the last answer is repeated.
    pub model: Vec<Answer>,
    /// How tools behave, by name.
    pub tools: Vec<Tool>,
    /// How the recogniser behaves.
    pub ears: Ears,
    /// How the voice behaves.
    pub voice: Voice,
    /// The line.
    pub line: Line,
    /// The call's settings.
    pub settings: Settings,
    /// Spoken first.
    pub greeting: String,
    /// The simulation ends here at the latest.
    pub until: Duration,
    /// Our voice comes back to us this many decibels softer, this much later.
    pub echo: Option<(i32, Duration)>,
    /// Marks come back that were never sent.
    pub marks_invented: Vec<(Duration, u32)>,
    /// The caller hangs up without a goodbye.
    pub line_breaks: bool,
    /// Anything but sound and words of engines comes a second time, this often in a hundred.
    pub twice: u64,
    /// The caller's frames carry numbers and times, and this often in a hundred one comes after the next or never.
    pub jumbled: Option<u64>,
    /// The caller's bytes are cut anywhere, and not where samples end.
    pub odd_pieces: bool,
    /// The rate of the voice, where it is not the line's.
    pub voice_rate: Option<Rate>,
    /// Marks never come back, on a line that has them.
    pub marks_lost: bool,
    /// The length of the caller's frames.
    pub frame: Duration,
    /// The caller's number, where the line tells it.
    pub caller: Option<String>,
    /// The call is woken far more often than it asks for.
    pub nudged: bool,
    /// The caller's frames are read only as soon as the call [wants them](crate::call::Call::may_wait), as the gateway does.
    pub unhurried: bool,
}

/// Something the caller says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Utterance {
    /// From the first voiced sample to the last.
    pub at: Range<Duration>,
    /// The words, evenly spread over the time.
    pub text: String,
}

/// What the model answers to one ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Until its first word or tool.
    pub first: Duration,
    /// Between words.
    pub gap: Duration,
    /// What it says before it asks for tools or ends.
    pub text: String,
    /// What it asks for: id, name, arguments.
    pub tools: Vec<(String, String, String)>,
    /// How it ends.
    pub ends: Ends,
}

/// How an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// As it should.
    Done(Finish),
    /// With an error.
    Failed(Failed),
    /// Never: it hangs.
    Hangs,
}

/// How a tool behaves.
#[derive(Debug, Clone)]
pub struct Tool {
    /// As the model sees it.
    pub spec: ToolSpec,
    /// How long it takes.
    pub takes: Duration,
    /// What it answers.
    pub answers: crate::call::Outcome,
    /// It answers twice, the second time this much later.
    pub again: Option<Duration>,
}

/// How the recogniser behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ears {
    /// From speech to partial text; `None`: it gives none.
    pub partials: Option<Duration>,
    /// From a commit (or from the end of speech, where it takes no commits) to the final text.
    pub finals: Duration,
    /// It answers commits.
    pub commits: bool,
    /// It ends turns by itself this long after the end of speech.
    pub turns: Option<Duration>,
    /// It fails, then.
    pub dies: Option<Duration>,
    /// Another one takes over.
    pub restarts: bool,
    /// Events come out of order, twice, or not at all, this often in a hundred.
    pub hostile: u64,
}

/// How the voice behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Voice {
    /// Until its first sample.
    pub first: Duration,
    /// How many times faster than real time it speaks.
    pub speed: u32,
    /// It tells when words end.
    pub alignment: bool,
    /// It fails (or hangs) this often in a hundred.
    pub fails: u64,
    /// These of its first 64 clauses fail besides: a bit each, the first one lowest.
    pub failing: u64,
    /// When it fails, it hangs instead.
    pub hangs: bool,
    /// What was stopped keeps coming for a while, this often in a hundred.
    pub late: u64,
}

/// The time one character takes to say.
pub const CHAR: Duration = Duration::from_millis(60);

impl Default for Script {
    fn default() -> Self {
        let format = Format { codec: Codec::Pcm, rate: Rate::WIDE };
        Self {
            utterances: Vec::new(),
            noises: Vec::new(),
            keys: Vec::new(),
            controls: Vec::new(),
            hang_up: None,
            shutdown: None,
            stalls: Vec::new(),
            drops: Vec::new(),
            freezes: Vec::new(),
            mute: Vec::new(),
            model: vec![Answer::says("Va bene.")],
            tools: Vec::new(),
            ears: Ears {
                partials: Some(Duration::from_millis(200)),
                finals: Duration::from_millis(100),
                commits: true,
                turns: None,
                dies: None,
                restarts: false,
                hostile: 0,
            },
            voice: Voice {
                first: Duration::from_millis(100),
                speed: 20,
                alignment: false,
                fails: 0,
                failing: 0,
                hangs: false,
                late: 0,
            },
            line: Line::vapi(format),
            settings: Settings {
                vad: VadSettings { detector: Detector::Energy, noise_suppression: false, ..VadSettings::default() },
                // To this detector every sound is sure speech; only its length tells a slam from a word.
                interruption: Interrupting { hold_ms: 120, ..Interrupting::default() },
                ..Settings::default()
            },
            greeting: String::new(),
            until: Duration::from_secs(60),
            echo: None,
            marks_invented: Vec::new(),
            line_breaks: false,
            twice: 0,
            jumbled: None,
            odd_pieces: false,
            voice_rate: None,
            marks_lost: false,
            frame: Duration::from_millis(20),
            caller: None,
            nudged: false,
            unhurried: false,
        }
    }
}

impl Answer {
    /// The model says this after 300 ms.
    pub fn says(text: &str) -> Self {
        Self {
            first: Duration::from_millis(300),
            gap: Duration::from_millis(15),
            text: text.to_string(),
            tools: Vec::new(),
            ends: Ends::Done(Finish::Said),
        }
    }

    /// The model asks for a tool after 300 ms.
    pub fn asks(id: &str, name: &str, arguments: &str) -> Self {
        Self {
            tools: vec![(id.to_string(), name.to_string(), arguments.to_string())],
            ends: Ends::Done(Finish::Tools),
            ..Self::says("")
        }
    }

    /// The same, with another time to the first word.
    #[must_use]
    pub const fn after(mut self, first: Duration) -> Self {
        self.first = first;
        self
    }

    /// The same, ending otherwise.
    #[must_use]
    pub const fn ending(mut self, ends: Ends) -> Self {
        self.ends = ends;
        self
    }
}

impl Script {
    /// The specs of its tools.
    pub fn specs(&self) -> Arc<[ToolSpec]> {
        self.tools.iter().map(|tool| tool.spec.clone()).collect()
    }
}

/// A tool's spec with nothing but a name and a kind.
pub fn spec(name: &str, kind: ToolKind) -> ToolSpec {
    ToolSpec {
        name: name.into(),
        description: String::new(),
        parameters: serde_json::json!({ "type": "object" }),
        kind,
    }
}
