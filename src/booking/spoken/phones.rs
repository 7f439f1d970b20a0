//! Dictated phone numbers: a run of digits that is a number.

use super::{
    letters::{self, Piece, Reading, runs},
    words::{Word, corrected, listed},
};
use crate::{
    booking::phone::{Phone, PhoneClass},
    language::Language,
};

/// Pieces of one number; more are no number.
const PIECES_MAX: usize = 24;

/// The last number dictated; numbers are read joined ("trenta quattro" is 34) before they are read word for word.
pub(super) fn phone(words: &[Word], language: Language) -> Option<Phone> {
    if !letters::any_digit(words, language) {
        return None;
    }
    corrected(words, language).find_map(|piece| {
        [Reading::Joined, Reading::Single].into_iter().find_map(|reading| in_words(piece, reading, language))
    })
}

fn in_words(words: &[Word], reading: Reading, language: Language) -> Option<Phone> {
    let piece = |here: &[Word]| {
        plus(here, language).or_else(|| letters::digits(here, reading, language)).or_else(|| english_oh(here, language))
    };
    runs(words, language, piece).iter().rev().find_map(|run| in_run(run))
}

/// "più trentanove", "+39", "plus": a plus with or without digits behind it.
fn plus(here: &[Word], language: Language) -> Option<(Piece, usize)> {
    let first = here.first()?;
    let chars = if listed(&first.text, language, "spoken.plus") {
        "+".to_string()
    } else {
        first.text.starts_with('+').then(|| first.text.chars().filter(|c| matches!(c, '+' | '0'..='9')).collect())?
    };
    Some((Piece { chars, weak: false, pause: false }, 1))
}

fn english_oh(here: &[Word], language: Language) -> Option<(Piece, usize)> {
    let zero = language == Language::English && here.first()?.is(&["oh", "o"]);
    zero.then(|| (Piece { chars: "0".into(), weak: false, pause: false }, 1))
}

/// The whole run, else the longest stretch between two pauses.
fn in_run(run: &[Piece]) -> Option<Phone> {
    if let Some(phone) = parse(run) {
        return Some(phone);
    }
    let starts: Vec<usize> = (0..run.len()).filter(|at| *at == 0 || run[*at].pause).collect();
    let mut stretches: Vec<&[Piece]> = Vec::new();
    for (index, start) in starts.iter().enumerate() {
        stretches.extend(starts[index + 1..].iter().chain([&run.len()]).map(|end| &run[*start..*end]));
    }
    stretches.sort_by_key(|stretch| std::cmp::Reverse(stretch.len()));
    stretches.into_iter().take(64).find_map(parse)
}

fn parse(pieces: &[Piece]) -> Option<Phone> {
    if pieces.len() > PIECES_MAX {
        return None;
    }
    let chars: String = pieces.iter().map(|piece| piece.chars.as_str()).collect();
    Phone::parse(&chars).ok().filter(|phone| phone.class() != PhoneClass::Premium)
}

/// Whether the number is surely complete: Italian landlines may always go on.
pub(super) fn is_whole(phone: &Phone) -> bool {
    match phone.class() {
        PhoneClass::Mobile | PhoneClass::Fixed => phone.national().len() >= 10,
        PhoneClass::TollFree | PhoneClass::Premium => true,
        PhoneClass::Foreign => phone.as_str().len() >= 12,
    }
}
