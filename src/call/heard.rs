//! What the caller has really heard of a reply. Text is laid on samples as they leave. Where the voice gives no
//! alignment the position is estimated, and says so.

use std::{ops::Range, time::Duration};

use super::{ClauseId, WordTiming};
use crate::audio::Rate;

/// How long a character takes to say, for a clause whose length is not known yet.
const CHAR: Duration = Duration::from_millis(65);

/// One clause as it lies in the playout.
#[derive(Debug)]
pub(crate) struct Spoken {
    /// Which clause of the turn.
    pub(crate) id: ClauseId,
    /// What is said.
    pub(crate) text: String,
    /// Which part of the reply it belongs to: a part ends where the model waits for a tool.
    pub(crate) part: u32,
    /// It only passes the time (a filler): said, but no part of the answer.
    pub(crate) aside: bool,
    /// Where its first sample lies in the playout.
    pub(crate) start: Option<u64>,
    /// Where its last one does; `None` while the voice still speaks.
    pub(crate) end: Option<u64>,
    /// When words end, where the voice tells.
    pub(crate) words: Vec<WordTiming>,
}

/// The part of a clause that was heard.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard<'a> {
    /// Nothing.
    Nothing,
    /// These words; `estimated` when the voice gives no alignment.
    Part { text: &'a str, estimated: bool },
    /// All of it.
    Whole,
}

impl Spoken {
    /// What of the clause was heard when the playout stands at this sample.
    pub(crate) fn heard(&self, position: u64, rate: Rate) -> Heard<'_> {
        let Some(start) = self.start.filter(|start| position > *start) else { return Heard::Nothing };
        if self.end.is_some_and(|end| position >= end) {
            return Heard::Whole;
        }
        let played = rate.duration(position - start);
        let (chars, estimated) =
            match self.words.iter().rfind(|word| Duration::from_millis(word.end_ms.into()) <= played) {
                Some(word) => (word.chars as usize, false),
                None if !self.words.is_empty() => (0, false),
                None => (self.estimate(start, played, rate), true),
            };
        match whole_words(&self.text, chars) {
            "" => Heard::Nothing,
            text => Heard::Part { text, estimated },
        }
    }

    /// A part of it lies in this stretch of the playout.
    pub(crate) fn lies_in(&self, stretch: &Range<u64>) -> bool {
        self.start.is_some_and(|start| start < stretch.end && self.end.is_none_or(|end| end > stretch.start))
    }

    /// How many characters were said after this time, by proportion.
    fn estimate(&self, start: u64, played: Duration, rate: Rate) -> usize {
        let chars = self.text.chars().count();
        let length = self.end.map_or(CHAR * chars as u32, |end| rate.duration(end - start));
        let share = played.as_secs_f64() / length.as_secs_f64().max(0.001);
        (chars as f64 * share.min(1.0)) as usize
    }
}

/// The words of a text that are complete within its first `chars` characters.
fn whole_words(text: &str, chars: usize) -> &str {
    let Some((cut, next)) = text.char_indices().nth(chars) else { return text };
    let head = &text[..cut];
    if next.is_whitespace() {
        return head.trim_end();
    }
    head.rfind(char::is_whitespace).map_or("", |space| head[..space].trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clause(words: Vec<WordTiming>, end: Option<u64>) -> Spoken {
        Spoken {
            id: ClauseId(0),
            text: "La aspetto domani".into(),
            part: 0,
            aside: false,
            start: Some(8_000),
            end,
            words,
        }
    }

    #[test]
    fn alignment_gives_the_words_that_left() {
        let words = vec![
            WordTiming { chars: 2, end_ms: 200 },
            WordTiming { chars: 10, end_ms: 700 },
            WordTiming { chars: 17, end_ms: 1_300 },
        ];
        let clause = clause(words, Some(18_400));
        let part = |text| Heard::Part { text, estimated: false };
        assert_eq!(clause.heard(8_000, Rate::PHONE), Heard::Nothing);
        assert_eq!(clause.heard(8_000 + 1_000, Rate::PHONE), Heard::Nothing);
        assert_eq!(clause.heard(8_000 + 1_600, Rate::PHONE), part("La"));
        assert_eq!(clause.heard(8_000 + 6_000, Rate::PHONE), part("La aspetto"));
        assert_eq!(clause.heard(18_400, Rate::PHONE), Heard::Whole);
    }

    #[test]
    fn without_alignment_it_is_an_estimate_that_never_claims_half_a_word() {
        let clause = clause(Vec::new(), Some(8_000 + 17_000));
        for position in (8_000..25_000).step_by(97) {
            match clause.heard(position, Rate::PHONE) {
                Heard::Nothing | Heard::Whole => {}
                Heard::Part { text, estimated } => {
                    assert!(estimated && ["La", "La aspetto"].contains(&text), "{text:?}");
                }
            }
        }
        assert_eq!(clause.heard(8_000 + 12_000, Rate::PHONE), Heard::Part { text: "La aspetto", estimated: true });
    }

    #[test]
    fn a_clause_still_being_synthesised_is_estimated_by_its_length() {
        let clause = clause(Vec::new(), None);
        assert_eq!(clause.heard(8_000 + 8 * 65 * 3, Rate::PHONE), Heard::Part { text: "La", estimated: true });
    }
}
