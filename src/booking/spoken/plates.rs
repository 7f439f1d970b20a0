//! Dictated plates: a run of letters and digits that is a plate, with nothing left over but small words.

use super::{
    letters::{self, Piece, Reading, runs},
    words::{Word, corrected},
};
use crate::{booking::plate::Plate, language::Language};

/// The last plate dictated; numbers are read joined ("cento ventitré" is 123) before they are read word for word.
pub(super) fn plate(text: &str, words: &[Word], language: Language) -> Option<Plate> {
    if let Ok(plate) = Plate::parse(text) {
        return Some(plate);
    }
    if !letters::any_digit(words, language) {
        return None;
    }
    corrected(words, language)
        .find_map(|piece| {
            [Reading::Joined, Reading::Single].into_iter().find_map(|reading| in_words(piece, reading, language))
        })
        // "A B uno due tre, anzi quattro, C D" is asked again: which digit was corrected is a guess.
        .filter(|plate| plate.as_str().len() <= 10)
}

fn in_words(words: &[Word], reading: Reading, language: Language) -> Option<Plate> {
    let piece = |here: &[Word]| {
        letters::written(here, language)
            .or_else(|| letters::digits(here, reading, language))
            .or_else(|| letters::letter(here, language))
    };
    runs(words, language, piece).iter().rev().find_map(|run| in_run(run))
}

/// A stretch of pieces that is a plate; what is left on either side must be small words, or a plate said before.
fn in_run(run: &[Piece]) -> Option<Plate> {
    let whole = run.iter().rev().find(|piece| piece.chars.len() == 7).and_then(|piece| Plate::parse(&piece.chars).ok());
    if whole.is_some() {
        return whole;
    }
    let is_left_over = |pieces: &[Piece]| pieces.iter().all(|piece| piece.weak) || parse(pieces).is_some();
    (0..run.len()).rev().find_map(|start| {
        let mut chars = 0;
        let length = run[start..].iter().position(|piece| {
            chars += piece.chars.len();
            chars >= 7
        })?;
        let end = start + length + 1;
        let plate = parse(&run[start..end])?;
        (is_left_over(&run[..start]) && is_left_over(&run[end..])).then_some(plate)
    })
}

fn parse(pieces: &[Piece]) -> Option<Plate> {
    if pieces.len() > 16 {
        return None;
    }
    let chars: String = pieces.iter().map(|piece| piece.chars.as_str()).collect();
    Plate::parse(&chars).ok().filter(|plate| plate.as_str().len() == 7)
}
