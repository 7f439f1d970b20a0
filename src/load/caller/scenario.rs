//! A scenario: what a caller says, and when. Read from TOML, checked whole.
//!
//! ```toml
//! language = "it"
//! voice = "giulia"                                # one of the lab's callers; the first one if left out
//!
//! [[steps]]
//! say = "vorrei prenotare un tagliando"           # when the agent has finished speaking
//!
//! [[steps]]
//! while_agent_speaks_ms = 1_200                   # into the agent's speech: barge-in
//! say = "anzi no, facciamo alle undici"         # once everything before it has been said
//!
//! [[steps]]
//! expect = ["targa"]                              # only when the agent has said one of these
//! say = "la targa è A B uno due tre C D"
//! again = 2                                       # and once more if it asks once more
//!
//! [[steps]]
//! after_s = 1.5                                   # so long after the caller's last line, whatever happens
//! keys = "1#"
//!
//! [[steps]]
//! wav = "noise.wav"
//!
//! [[steps]]
//! while_agent_speaks_ms = 800
//! say = "mm-hm"
//! backchannel = true                              # go on: the agent is not meant to stop
//!
//! [[steps]]
//! hang_up = true
//! ```

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;

use super::CallerError;
use crate::{audio::Key, language::Language};

/// The most steps of a scenario.
const STEPS_MAX: usize = 500;

/// What a caller says, and when.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What the caller speaks.
    #[serde(default)]
    pub language: Language,
    /// The name of one of the lab's callers; the first one if left out.
    #[serde(default)]
    pub voice: Option<String>,
    /// How much silence says that the agent has finished.
    #[serde(default = "pause_ms")]
    pub pause_ms: u64,
    /// How long the caller waits for an agent that says nothing, or nothing that fits, before it gives up.
    #[serde(default = "patience_s")]
    pub patience_s: u64,
    /// When the agent says one of these, the last line is said again.
    #[serde(default)]
    pub repeat_on: Vec<String>,
    /// In order.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What is done.
    pub turn: Turn,
    /// When.
    pub when: When,
    /// Only when the agent has said one of these words, where the line tells what it says. Steps that expect something
    /// are taken in the order the agent asks; one that expects nothing waits for those before it.
    pub expect: Vec<String>,
    /// How often it may be taken again.
    pub again: u32,
    /// It means "go on": an agent that is speaking is not meant to stop for it.
    pub backchannel: bool,
}

/// What a caller does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// Speaks.
    Say(String),
    /// Plays a file.
    Wav(PathBuf),
    /// Presses keys.
    Keys(Vec<Key>),
    /// Hangs up.
    HangUp,
}

/// When a caller does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The agent has spoken and finished.
    AgentDone,
    /// So long after the caller's last line.
    After(Duration),
    /// The agent has been speaking for so long, and speaks.
    AgentSpeaks(Duration),
}

const fn pause_ms() -> u64 {
    900
}

const fn patience_s() -> u64 {
    12
}

/// A step as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    say: Option<String>,
    wav: Option<PathBuf>,
    keys: Option<String>,
    #[serde(default)]
    hang_up: bool,
    after_s: Option<f64>,
    while_agent_speaks_ms: Option<u64>,
    #[serde(default)]
    expect: Vec<String>,
    #[serde(default)]
    again: u32,
    #[serde(default)]
    backchannel: bool,
}

impl Scenario {
    /// Reads a scenario.
    pub fn parse(text: &str) -> Result<Self, CallerError> {
        let scenario: Self = toml::from_str(text).map_err(|error| {
            CallerError::Scenario(format!("cannot be read: {}", error.to_string().trim_end().replace('\n', " ")))
        })?;
        scenario.checked()
    }

    /// The scenario, if it has a number of steps that can be followed.
    pub(in crate::load) fn checked(self) -> Result<Self, CallerError> {
        if self.steps.is_empty() || self.steps.len() > STEPS_MAX {
            return Err(CallerError::Scenario(format!("has {} steps: write 1 to {STEPS_MAX}", self.steps.len())));
        }
        Ok(self)
    }

    /// Says these lines one after the other, each when the agent has finished, then hangs up.
    pub fn lines(language: Language, lines: impl IntoIterator<Item = Turn>) -> Self {
        let turns = lines.into_iter().chain([Turn::HangUp]);
        let step = |turn| Step { turn, when: When::AgentDone, expect: vec![], again: 0, backchannel: false };
        Self {
            language,
            voice: None,
            pause_ms: pause_ms(),
            patience_s: patience_s(),
            repeat_on: vec![],
            steps: turns.map(step).collect(),
        }
    }

    /// The same with `{name}` replaced in what is said.
    #[must_use]
    pub fn fill(mut self, values: &[(&str, &str)]) -> Self {
        for step in &mut self.steps {
            if let Turn::Say(text) = &mut step.turn {
                for (name, value) in values {
                    *text = text.replace(&format!("{{{name}}}"), value);
                }
            }
        }
        self
    }
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(deserializer)?;
        Self::try_from(written).map_err(serde::de::Error::custom)
    }
}

impl TryFrom<Written> for Step {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written { say, wav, keys, hang_up, after_s, while_agent_speaks_ms, expect, again, backchannel } = written;
        let keys = keys.map(|labels| labels.chars().map(Key::try_from).collect::<Result<Vec<_>, _>>()).transpose()?;
        let turns = [say.map(Turn::Say), wav.map(Turn::Wav), keys.map(Turn::Keys), hang_up.then_some(Turn::HangUp)];
        let mut turns = turns.into_iter().flatten();
        let (Some(turn), None) = (turns.next(), turns.next()) else {
            return Err("a step is one of say, wav, keys, hang_up".into());
        };
        let when = match (after_s, while_agent_speaks_ms) {
            (None, None) => When::AgentDone,
            (Some(s), None) => {
                When::After(Duration::try_from_secs_f64(s).map_err(|_| format!("after_s: {s} is not a time from now"))?)
            }
            (None, Some(ms)) => When::AgentSpeaks(Duration::from_millis(ms)),
            (Some(_), Some(_)) => return Err("a step has after_s or while_agent_speaks_ms, not both".into()),
        };
        Ok(Self { turn, when, expect, again, backchannel })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_documentation_is_read() {
        let docs = crate::load::documented(include_str!("scenario.rs"));
        let scenario = Scenario::parse(&docs).unwrap();
        assert_eq!(scenario.steps.len(), 7);
        assert_eq!(scenario.steps[1].when, When::AgentSpeaks(Duration::from_millis(1_200)));
        assert_eq!((scenario.steps[2].expect[0].as_str(), scenario.steps[2].again), ("targa", 2));
        assert_eq!(scenario.steps[3].when, When::After(Duration::from_millis(1_500)));
        assert!(scenario.steps[5].backchannel);
        assert_eq!(scenario.steps[6].turn, Turn::HangUp);
    }

    fn check(text: &str, expected: &str) {
        let told = Scenario::parse(text).unwrap_err().to_string();
        assert!(told.contains(expected), "{told}");
    }

    #[test]
    fn mistakes_are_told() {
        check("", "steps");
        check("steps = []", "has 0 steps");
        check("[[steps]]\nafter_s = 1", "one of say, wav, keys, hang_up");
        check("[[steps]]\nsay = \"a\"\nhang_up = true", "one of say, wav, keys, hang_up");
        check("[[steps]]\nsay = \"a\"\nafter_s = -1", "not a time from now");
        check("[[steps]]\nsay = \"a\"\nafter_s = 1\nwhile_agent_speaks_ms = 2", "not both");
        check("[[steps]]\nkeys = \"12x\"", "a telephone key");
        check("[[steps]]\nsya = \"a\"", "sya");
    }

    #[test]
    fn names_are_filled_in() {
        let scenario = Scenario::parse("[[steps]]\nsay = \"{day} alle nove\"").unwrap().fill(&[("day", "martedì")]);
        assert_eq!(scenario.steps[0].turn, Turn::Say("martedì alle nove".into()));
    }
}
