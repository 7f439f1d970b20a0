//! What we say in one turn, as a value: when it is dropped, nothing of it is left anywhere.

use std::{ops::Range, time::Instant};

use super::{
    ClauseId, Ending, Turn, TurnReport,
    clauses::Clauses,
    heard::{Heard, Spoken},
    history::Part,
    limits::CLAUSES_MAX,
};
use crate::{audio::Rate, language::Language};

/// One reply in progress.
#[derive(Debug)]
pub(crate) struct Reply {
    /// Its number.
    pub(crate) turn: Turn,
    /// Where its words come from, and whether more will.
    pub(crate) source: Source,
    /// It is a sentence of ours, without the model.
    pub(crate) scripted: bool,
    /// The caller may cut in.
    pub(crate) interruptible: bool,
    /// The call ends when it has been heard.
    pub(crate) then_end: Option<Ending>,
    /// Its times.
    pub(crate) report: TurnReport,
    /// Rounds of tools so far.
    pub(crate) rounds: u32,
    /// Fillers spoken so far.
    pub(crate) fillers: u32,
    /// Since when the caller waits for it.
    pub(crate) since: Instant,
    /// The caller's patience starts anew here: the last filler was asked for.
    pub(crate) patience_from: Option<Instant>,
    /// Voice of it has left.
    pub(crate) audible: bool,
    /// The voice could not say its last clause: the caller knows nothing of it.
    pub(crate) unsaid: bool,
    /// The model or the voice failed in it.
    pub(crate) broken: bool,
    /// The peer was asked to tell when it has been heard.
    pub(crate) marked: bool,
    /// Words that are not a clause yet.
    splitter: Clauses,
    /// Every clause given to the voice or waiting for it, in order; asides among them.
    clauses: Vec<Spoken>,
    /// How many clauses (asides apart) were given to the voice.
    asked: usize,
    /// The part that words belong to now.
    part: u32,
    /// Clauses beyond the bound, not spoken.
    pub(crate) unspoken: u32,
}

/// Where the words of a reply come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The model is thinking or talking; it was asked, or said its last word, then.
    Model { since: Instant },
    /// The model waits for its tools.
    Tools,
    /// All its words are here.
    Complete,
}

/// An aside's number starts here: asides do not take part in the order of clauses.
const ASIDE: u32 = 1 << 16;

impl Reply {
    pub(crate) fn new(turn: Turn, source: Source, language: Language, since: Instant) -> Self {
        Self {
            turn,
            source,
            scripted: false,
            interruptible: true,
            then_end: None,
            report: TurnReport { turn, ..TurnReport::default() },
            rounds: 0,
            fillers: 0,
            since,
            patience_from: None,
            audible: false,
            unsaid: false,
            broken: false,
            marked: false,
            splitter: Clauses::new(language),
            clauses: Vec::new(),
            asked: 0,
            part: 0,
            unspoken: 0,
        }
    }

    /// A reply whose words are all known.
    pub(crate) fn script(turn: Turn, text: &str, language: Language, since: Instant) -> Self {
        let mut reply = Self::new(turn, Source::Complete, language, since);
        reply.scripted = true;
        reply.script_on(text);
        reply
    }

    /// Ends with a sentence of ours.
    pub(crate) fn script_on(&mut self, text: &str) {
        self.words(text);
        self.end_words();
    }

    /// More words.
    pub(crate) fn words(&mut self, words: &str) {
        self.splitter.push(words);
        while let Some(clause) = self.splitter.next() {
            self.add(clause);
        }
    }

    /// No more words in this part.
    pub(crate) fn end_words(&mut self) {
        if let Some(clause) = self.splitter.finish() {
            self.add(clause);
        }
    }

    /// The words that follow come after a tool's outcome.
    pub(crate) fn next_part(&mut self) {
        self.part += 1;
    }

    fn add(&mut self, text: String) {
        let spoken = self.answers().count();
        if spoken >= CLAUSES_MAX {
            self.unspoken += 1;
            return;
        }
        self.clauses.push(Spoken {
            id: ClauseId(spoken as u32),
            text,
            part: self.part,
            aside: false,
            start: None,
            end: None,
            words: Vec::new(),
        });
    }

    /// The next clause for the voice, when the voice is free.
    pub(crate) fn next_clause(&mut self) -> Option<(ClauseId, String)> {
        let asked = self.asked;
        let busy = self.answers().take(asked).any(|clause| clause.end.is_none());
        if busy {
            return None;
        }
        let next = self.answers().nth(asked).map(|clause| (clause.id, clause.text.clone()))?;
        self.asked += 1;
        Some(next)
    }

    /// How often something was said while the answer was late.
    pub(crate) fn asides(&self) -> usize {
        self.clauses.iter().filter(|clause| clause.aside).count()
    }

    /// Something to say while the answer is late.
    pub(crate) fn aside(&mut self, text: &str) -> ClauseId {
        let id = ClauseId(ASIDE + self.asides() as u32);
        self.clauses.push(Spoken {
            id,
            text: text.to_string(),
            part: self.part,
            aside: true,
            start: None,
            end: None,
            words: Vec::new(),
        });
        id
    }

    /// The clause with this number, if it was given to the voice.
    pub(crate) fn clause(&mut self, id: ClauseId) -> Option<&mut Spoken> {
        self.clauses.iter_mut().find(|clause| clause.id == id)
    }

    /// Something of the answer itself lies before this place of the playout.
    pub(crate) fn has_answered(&self, position: u64) -> bool {
        self.answers().any(|clause| clause.start.is_some_and(|start| start < position))
    }

    /// An aside is being voiced: the answer's voice waits.
    pub(crate) fn in_aside(&self) -> bool {
        self.clauses.iter().any(|clause| clause.aside && clause.start.is_some() && clause.end.is_none())
    }

    /// The answer's own voice has begun: an aside that has not is not wanted any more.
    pub(crate) fn drop_silent_asides(&mut self, position: u64) {
        for clause in &mut self.clauses {
            if clause.aside && clause.start.is_none() {
                clause.end = Some(position);
            }
        }
    }

    /// An aside that never ends is over.
    pub(crate) fn end_asides(&mut self, position: u64) {
        for clause in &mut self.clauses {
            if clause.aside && clause.end.is_none() {
                clause.end = Some(position);
            }
        }
    }

    /// All words are known.
    pub(crate) fn is_complete(&self) -> bool {
        self.source == Source::Complete
    }

    /// What has not been heard of it when the playout stands here, from the first clause that was not heard whole.
    pub(crate) fn rest(&self, position: u64, rate: Rate) -> String {
        let unheard = self.answers().skip_while(|clause| clause.heard(position, rate) == Heard::Whole);
        unheard.map(|clause| clause.text.as_str()).collect::<Vec<_>>().join(" ")
    }

    /// All words are known and the voice has spoken all of them.
    pub(crate) fn is_voiced(&self) -> bool {
        self.source == Source::Complete && self.clauses.iter().all(|clause| clause.end.is_some())
    }

    /// There is nothing to say in it (yet).
    pub(crate) fn is_wordless(&self) -> bool {
        self.answers().next().is_none()
    }

    /// What it will have said, part by part: for the model.
    pub(crate) fn planned(&self) -> Vec<(Part, String)> {
        (0..=self.part)
            .map(|part| {
                let texts: Vec<&str> =
                    self.answers().filter(|clause| clause.part == part).map(|clause| clause.text.as_str()).collect();
                ((self.turn, part), texts.join(" "))
            })
            .filter(|(_, text)| !text.is_empty())
            .collect()
    }

    /// What was heard of it when the playout stands here and these stretches were lost, part by part: text, whether
    /// something is missing, whether that is an estimate.
    pub(crate) fn heard(&self, position: u64, lost: &[Range<u64>], rate: Rate) -> Vec<(Part, String, bool, bool)> {
        (0..=self.part)
            .map(|part| {
                let (mut text, mut missing, mut estimated) = (String::new(), false, false);
                for clause in self.answers().filter(|clause| clause.part == part) {
                    let lost = lost.iter().find(|lost| clause.lies_in(lost));
                    let words = match clause.heard(lost.map_or(position, |lost| position.min(lost.start)), rate) {
                        Heard::Whole => clause.text.as_str(),
                        Heard::Part { text, estimated: guess } => {
                            (missing, estimated) = (true, guess);
                            text
                        }
                        Heard::Nothing => {
                            missing = true;
                            ""
                        }
                    };
                    if !text.is_empty() && !words.is_empty() {
                        text.push(' ');
                    }
                    text.push_str(words);
                }
                ((self.turn, part), text, missing, estimated)
            })
            .collect()
    }

    /// Everything it says, as one text.
    pub(crate) fn text(&self) -> String {
        self.answers().map(|clause| clause.text.as_str()).collect::<Vec<_>>().join(" ")
    }

    /// The part that words belong to now.
    pub(crate) const fn part(&self) -> Part {
        (self.turn, self.part)
    }

    /// Its clauses without the asides.
    fn answers(&self) -> impl Iterator<Item = &Spoken> {
        self.clauses.iter().filter(|clause| !clause.aside)
    }
}
