//! Deciding that the caller has finished: how much silence is enough, by what was said and by what we asked.
//!
//! Policies name a silence; they do not decide when text is missing, that is the listener's business.

use std::time::Duration;

use super::{
    Endpointing, EndpointingPolicy, Settings,
    words::{ends_with, without, words},
};
use crate::language::{Language, Phrases};

/// What we asked for last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Nothing in particular.
    Open,
    /// A number plate.
    Plate,
    /// A phone number.
    Phone,
    /// A name.
    Name,
}

/// Tells whether a text answers a question completely. The trade knows what a plate is; the call is told.
pub type Complete = fn(Question, &str, Language) -> bool;

impl Question {
    /// Reads the last sentence of what we said.
    pub(crate) fn of(said: &str, phrases: &Phrases) -> Self {
        let sentences: Vec<&str> = said.split_inclusive(['?', '.', '!']).filter(|s| !s.trim().is_empty()).collect();
        let Some(last) = sentences.iter().rfind(|s| s.trim_end().ends_with('?')).or(sentences.last()) else {
            return Self::Open;
        };
        match Self::asked(last, phrases) {
            // "Non ho capito la targa. Me la può ripetere?"
            Self::Open if mentions(last, phrases, "call.asks_again") => Self::asked(said, phrases),
            question @ (Self::Open | Self::Plate | Self::Phone | Self::Name) => question,
        }
    }

    fn asked(sentence: &str, phrases: &Phrases) -> Self {
        if mentions(sentence, phrases, "call.asks_plate") {
            Self::Plate
        } else if mentions(sentence, phrases, "call.asks_phone") {
            Self::Phone
        } else if mentions(sentence, phrases, "call.asks_name") {
            Self::Name
        } else {
            Self::Open
        }
    }
}

fn mentions(sentence: &str, phrases: &Phrases, list: &'static str) -> bool {
    let sentence = sentence.to_lowercase();
    phrases.list(list).any(|word| sentence.contains(word))
}

/// How an utterance reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Surely complete.
    Complete,
    /// Could be complete.
    Plausible,
    /// Surely not complete.
    Unfinished,
    /// Something is being spelled out.
    Dictation,
}

impl Endpointing {
    /// The silence that ends this utterance.
    pub(crate) fn silence(&self, text: &str, question: Question, complete: Complete, language: Language) -> Duration {
        Settings::ms(match self.policy {
            EndpointingPolicy::Silence => self.silence_ms,
            EndpointingPolicy::Text => match read(text, question, complete, language) {
                Reading::Complete => self.complete_ms,
                Reading::Plausible => self.silence_ms,
                Reading::Unfinished => self.unfinished_ms,
                Reading::Dictation => self.dictation_ms,
            },
        })
    }
}

/// Reads an utterance in the light of what we asked.
pub(crate) fn read(text: &str, question: Question, complete: Complete, language: Language) -> Reading {
    let phrases = language.phrases();
    let spoken = words(text);
    if spoken.is_empty() {
        return Reading::Plausible;
    }
    if question != Question::Open {
        if complete(question, text, language) {
            return Reading::Complete;
        }
        if without(text, phrases.list("call.short_answers")).is_empty() {
            return Reading::Plausible;
        }
        return Reading::Dictation;
    }
    if ends_with(text, phrases, "call.unfinished") || text.trim_end().ends_with([',', '-']) {
        return Reading::Unfinished;
    }
    if is_spelling(&spoken) {
        return Reading::Dictation;
    }
    let short = without(text, phrases.list("call.short_answers")).is_empty();
    if short || text.trim_end().ends_with('?') { Reading::Complete } else { Reading::Plausible }
}

/// The last two words are digits or single letters: a number or a plate is being dictated.
fn is_spelling(spoken: &[String]) -> bool {
    let spelled = |word: &String| word.chars().count() == 1 || word.chars().all(|c| c.is_ascii_digit());
    spoken.len() >= 2 && spoken[spoken.len() - 2..].iter().all(spelled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seven(question: Question, text: &str, _: Language) -> bool {
        question == Question::Plate && text.chars().filter(|c| c.is_alphanumeric()).count() >= 7
    }

    fn check(question: Question, text: &str, expected: Reading) {
        assert_eq!(read(text, question, seven, Language::Italian), expected, "{text:?}");
    }

    #[test]
    fn short_answers_are_complete() {
        check(Question::Open, "Sì.", Reading::Complete);
        check(Question::Open, "sì, va bene", Reading::Complete);
        check(Question::Open, "no grazie", Reading::Complete);
        check(Question::Open, "a che ora aprite?", Reading::Complete);
    }

    #[test]
    fn phrases_that_hang_in_the_air_are_not() {
        check(Question::Open, "vorrei prenotare un tagliando per", Reading::Unfinished);
        check(Question::Open, "mi chiamo", Reading::Unfinished);
        check(Question::Open, "domani mattina,", Reading::Unfinished);
        check(Question::Open, "vorrei prenotare un tagliando", Reading::Plausible);
    }

    #[test]
    fn a_dictated_plate_is_waited_for_and_finishes_early() {
        check(Question::Plate, "A B 1 2", Reading::Dictation);
        check(Question::Plate, "AB 123 CD", Reading::Complete);
        check(Question::Plate, "no", Reading::Plausible);
        check(Question::Open, "il numero è 3 3 3", Reading::Dictation);
    }

    #[test]
    fn the_last_question_counts() {
        let phrases = Language::Italian.phrases();
        assert_eq!(Question::of("Perfetto. Mi dice la targa?", phrases), Question::Plate);
        assert_eq!(Question::of("A che nome? Grazie.", phrases), Question::Name);
        assert_eq!(Question::of("La targa è AB123CD. Le va bene domani?", phrases), Question::Open);
    }

    #[test]
    fn asking_again_asks_for_the_same() {
        let italian = Language::Italian.phrases();
        for (key, question) in [
            ("receptionist.plate_again", Question::Plate),
            ("receptionist.phone_again", Question::Phone),
            ("receptionist.name_again", Question::Name),
            ("booking.bad_plate", Question::Plate),
        ] {
            assert_eq!(Question::of(italian.text(key), italian), question, "{key}");
        }
        assert_eq!(Question::of("Non ho sentito. Può ripetere?", italian), Question::Open);
        let english = Language::English.phrases();
        assert_eq!(Question::of("I did not get the plate. Could you spell it?", english), Question::Plate);
    }
}
