//! One call: what the caller will say is spoken beforehand, the call is made, and what is left of it is what was heard.

use std::{ops::Range, sync::Arc, time::Duration};

use tokio::{
    sync::Mutex,
    time::{sleep, timeout},
};

use super::{
    noise::{self, Table, away, by, softer},
    persona::{NoiseKind, Others},
    plan::{Beside, Heard, Plan},
    room::{Room, Sound},
    witness::{Note, Witness},
};
use crate::{
    audio::Rate,
    load::{
        caller::{CallerError, Conversation, Lines, Moment, Placement, Spoken, Turn, call_from},
        chance::Chance,
        lab::speech::{Speech, SpeechError},
    },
};

/// The longest call: who has not done by then never will.
const CALL_MAX: Duration = Duration::from_secs(150);
/// How long a gateway may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// A call that was made.
#[derive(Debug)]
pub struct Played {
    /// Both sides of it.
    pub conversation: Conversation,
    /// Where the caller was.
    pub room: Room,
    /// What each line is made of.
    pub lines: Vec<Line>,
    /// What happened at the caller's end.
    pub moments: Vec<Moment>,
    /// What the gateway told.
    pub notes: Vec<Note>,
}

/// What one line of the scenario is made of: samples from its beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// As it stands in the recording.
    pub text: String,
    /// From the first piece of what is dictated to the end of the last.
    pub dictated: Option<Range<usize>>,
    /// What was said to somebody else before it, and where the line itself begins.
    pub aside: Option<(Range<usize>, usize)>,
}

/// The noises of a run.
#[derive(Debug)]
pub struct Noises {
    white: Table,
    babble: Table,
    car: Table,
}

impl Noises {
    /// All of them.
    ///
    /// # Errors
    /// When espeak-ng fails.
    pub async fn new(rate: Rate, speech: &Speech) -> Result<Self, SpeechError> {
        Ok(Self {
            white: noise::noise(NoiseKind::White, rate, speech).await?,
            babble: noise::noise(NoiseKind::Babble, rate, speech).await?,
            car: noise::noise(NoiseKind::Car, rate, speech).await?,
        })
    }

    /// One of them.
    pub fn of(&self, kind: NoiseKind) -> Table {
        match kind {
            NoiseKind::White => &self.white,
            NoiseKind::Babble => &self.babble,
            NoiseKind::Car => &self.car,
        }
        .clone()
    }
}

/// Who makes the calls.
#[derive(Debug)]
pub struct Callers<'a> {
    /// Their voices.
    pub speech: &'a Speech,
    /// What is around them.
    pub noises: &'a Noises,
    /// What the gateway tells.
    pub witness: &'a Witness,
    /// One dials at a time.
    pub dialling: &'a Mutex<()>,
}

impl Callers<'_> {
    /// Makes one call.
    ///
    /// # Errors
    /// When the caller has no voice, or the gateway does not let it in.
    pub async fn play(&self, plan: &Plan, placement: &Placement) -> Result<Played, CallerError> {
        let rate = placement.format().rate;
        let (spoken, lines) = self.lines(plan, rate).await?;
        let voice = noise::loudness(spoken.iter().flatten().map(|spoken| &*spoken.samples), rate);
        let mut besides = Vec::new();
        for beside in &plan.besides {
            let samples = self.beside(plan, beside, rate).await?;
            besides.push(Sound { kind: beside.kind, text: beside.text, samples, after: beside.after });
        }
        let turn = self.dialling.lock().await;
        let (mut listening, answered) = self.witness.expect();
        let words = std::mem::replace(&mut listening.words, tokio::sync::mpsc::channel(1).1);
        let persona = plan.persona;
        let mut chance = Chance::new(plan.seed);
        let mut room = Room::new(rate, words, persona.early || persona.corrects).with(besides).checking(plan.checks());
        if let Some((kind, below_db)) = plan.noise {
            let from = chance.roll() as usize;
            room = room.with_noise(self.noises.of(kind), voice * by(below_db), from);
            if kind == NoiseKind::Car {
                room = room.in_a_car(chance.ms(120, 260));
            }
        }
        let mut moments = Vec::new();
        let mut told = |moment| moments.push(moment);
        let lines_of_call = Lines::Scenario(plan.scenario.clone(), spoken);
        let calling = call_from(placement, lines_of_call, Some(&mut room), &mut told, sleep(CALL_MAX));
        let dialled = async {
            // Not answered in time: the call says so itself.
            let _ = timeout(ANSWER_MAX, answered).await;
            drop(turn);
        };
        let (conversation, ()) = tokio::join!(calling, dialled);
        Ok(Played { conversation: conversation?, room, lines, moments, notes: listening.notes() })
    }

    /// Speaks every line beforehand.
    async fn lines(&self, plan: &Plan, rate: Rate) -> Result<(Vec<Option<Spoken>>, Vec<Line>), SpeechError> {
        let (mut spoken, mut lines) = (Vec::new(), Vec::<Line>::new());
        for step in &plan.scenario.steps {
            let Turn::Say(text) = &step.turn else {
                spoken.push(None);
                continue;
            };
            let mut line = Line { text: text.clone(), dictated: None, aside: None };
            let mut samples = Vec::new();
            if let Some((_, before)) = plan.before.as_ref().filter(|(of, _)| of == text) {
                let aside = self.beside(plan, before, rate).await?;
                samples.extend_from_slice(&aside);
                samples.resize(samples.len() + rate.samples(before.after), 0);
                line.aside = Some((0..aside.len(), samples.len()));
            }
            match plan.dictations.iter().find(|one| one.line == *text) {
                Some(dictation) => {
                    let from = samples.len();
                    let last = dictation.pieces.len().saturating_sub(1);
                    for (at, (piece, pause)) in dictation.pieces.iter().enumerate() {
                        samples.extend_from_slice(&self.speech.say(piece, &plan.voice, rate).await?);
                        if at < last {
                            samples.resize(samples.len() + rate.samples(*pause), 0);
                        }
                    }
                    line.dictated = Some(from..samples.len());
                }
                None => samples.extend_from_slice(&self.speech.say(text, &plan.voice, rate).await?),
            }
            spoken.push(Some(Spoken { text: text.clone(), samples: samples.into() }));
            lines.push(line);
        }
        Ok((spoken, lines))
    }

    async fn beside(&self, plan: &Plan, beside: &Beside, rate: Rate) -> Result<Arc<[i16]>, SpeechError> {
        let said = self.speech.say(beside.text, &beside.voice, rate).await?;
        let away_from = beside.kind == Heard::Other && plan.persona.others == Some(Others::Aside);
        Ok(if away_from { away(&said, beside.below_db, rate) } else { softer(&said, beside.below_db) })
    }
}
