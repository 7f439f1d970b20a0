//! Who calls: `config/lab/shop/personas.toml`, compiled in, and what each kind of call is like
//! (`book.toml`, `move.toml`, `cancel.toml`).

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::load::caller::Scenario;

/// Somebody who calls.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Persona {
    /// A word for tables.
    pub name: String,
    /// What it calls for.
    #[serde(default)]
    pub goal: Goal,
    /// What is heard besides it.
    pub noise: Option<Noise>,
    /// The pauses in what it dictates, in seconds.
    #[serde(default = "pause_s")]
    pub pause_s: [f64; 2],
    /// The line tells its number.
    #[serde(default = "yes")]
    pub number: bool,
    /// Hangs up after so long without an answer, in seconds.
    pub patience_s: Option<u64>,
    /// Answers before the agent has finished asking.
    #[serde(default)]
    pub early: bool,
    /// Says its wish into the greeting.
    #[serde(default)]
    pub cuts_in: bool,
    /// Takes back the hour while it is read back.
    #[serde(default)]
    pub corrects: bool,
    /// Says "mh" into the agent's speech.
    #[serde(default)]
    pub nods: bool,
    /// Who else is heard.
    pub others: Option<Others>,
    /// Says a day first that cannot be.
    pub wrong: Option<Wrong>,
    /// Wishes the same hour as its neighbour in the list.
    #[serde(default)]
    pub rival: bool,
}

/// What a caller calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// A new appointment.
    #[default]
    Book,
    /// Its appointment at another time.
    Move,
    /// No appointment any more.
    Cancel,
}

/// Noise.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Noise {
    /// What kind.
    pub kind: NoiseKind,
    /// How far below the caller's voice, in dB: from, to.
    pub snr_db: [f64; 2],
}

/// Kinds of noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoiseKind {
    /// A hiss.
    White,
    /// Many people talking.
    Babble,
    /// A car on the road, and a telephone that is not held to the ear.
    Car,
}

/// Who else is heard, and is not to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Others {
    /// The caller speaks to somebody beside it.
    Aside,
    /// A radio plays in the room.
    Radio,
}

/// Days that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wrong {
    /// The shop is closed.
    Sunday,
    /// Everybody is closed.
    Holiday,
    /// It is over.
    Past,
    /// No calendar has it.
    Nonexistent,
}

const fn pause_s() -> [f64; 2] {
    [0.4, 0.9]
}

const fn yes() -> bool {
    true
}

/// Everybody, in the order in which they call.
pub fn personas() -> &'static [Persona] {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        personas: Vec<Persona>,
    }
    static PERSONAS: LazyLock<Vec<Persona>> = LazyLock::new(|| {
        let file: File = toml::from_str(include_str!("../../../config/lab/shop/personas.toml"))
            .expect("the compiled-in personas are tested");
        file.personas
    });
    &PERSONAS
}

impl Goal {
    /// What such a call is like, with braces to be filled in.
    pub fn scenario(self) -> Scenario {
        let text = match self {
            Self::Book => include_str!("../../../config/lab/shop/book.toml"),
            Self::Move => include_str!("../../../config/lab/shop/move.toml"),
            Self::Cancel => include_str!("../../../config/lab/shop/cancel.toml"),
        };
        Scenario::parse(text).expect("the compiled-in scenarios are tested")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_can_be_read() {
        assert!(personas().len() >= 15);
        let with = |has: fn(&Persona) -> bool| personas().iter().filter(|one| has(one)).count();
        assert!(
            with(|one| one.nods) >= 4 && with(|one| one.others.is_some()) >= 3 && with(|one| one.wrong.is_some()) == 4
        );
        assert_eq!(with(|one| one.rival) % 2, 0, "rivals come in pairs");
        for goal in [Goal::Book, Goal::Move, Goal::Cancel] {
            assert!(!goal.scenario().steps.is_empty());
        }
    }
}
