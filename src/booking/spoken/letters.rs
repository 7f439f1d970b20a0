//! Letters and digits as they are dictated: by name ("bi", "vu doppia"), by a word ("Bologna", "B come Bologna",
//! "bravo"), alone, in numbers ("centoventitré") or repeated ("doppio zero").

use super::{
    lists::list,
    numbers,
    words::{Word, listed, phrase, valued},
};
use crate::language::Language;

/// One piece of a dictation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// Capitals and digits.
    pub chars: String,
    /// The word is a small word of the language as well ("a", "e", "di"): at an edge it may be just that.
    pub weak: bool,
    /// A pause stands before it.
    pub pause: bool,
}

/// How numbers are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// "cento ventitré" is 123, "trenta quattro" is 34.
    Joined,
    /// Each word for itself.
    Single,
}

/// Unbroken runs of what `piece` reads; fillers ("trattino") do not break a run, any other word does.
pub(super) fn runs(
    words: &[Word],
    language: Language,
    piece: impl Fn(&[Word]) -> Option<(Piece, usize)>,
) -> Vec<Vec<Piece>> {
    let mut runs = vec![Vec::new()];
    let (mut at, mut pause) = (0, false);
    while at < words.len() {
        pause |= words[at].pause;
        if let Some((found, used)) = piece(&words[at..]) {
            if let Some(run) = runs.last_mut() {
                run.push(Piece { pause, ..found });
            }
            pause = false;
            at += used.max(1);
        } else {
            let filler = phrase(&words[at..], language, "spoken.dictation_fillers");
            if filler == 0 && runs.last().is_some_and(|run: &Vec<Piece>| !run.is_empty()) {
                runs.push(Vec::new());
            }
            at += filler.max(1);
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

/// Whether there is any digit or number at all: most of what callers say needs no closer look.
pub(super) fn any_digit(words: &[Word], language: Language) -> bool {
    let is_number =
        |word: &Word| word.text.bytes().any(|b| b.is_ascii_digit()) || numbers::single(&word.text, language).is_some();
    words.iter().any(|word| is_number(word) || word.is(&["oh", "o"]))
}

/// Digits at the start of the words.
pub(super) fn digits(here: &[Word], reading: Reading, language: Language) -> Option<(Piece, usize)> {
    let first = here.first()?;
    let times = repeat(first, language);
    if times > 1 {
        let (piece, used) = digits(here.get(1..)?, reading, language).filter(|(piece, _)| piece.chars.len() == 1)?;
        return Some((Piece { chars: piece.chars.repeat(times), ..piece }, used + 1));
    }
    if first.text.starts_with(|c: char| c.is_ascii_digit()) && is_written_digits(&first.text) {
        let chars = first.text.chars().filter(char::is_ascii_digit).collect();
        return Some((Piece { chars, weak: false, pause: false }, 1));
    }
    let (value, used) = match reading {
        Reading::Joined => numbers::cardinal(here, language)?,
        Reading::Single => (numbers::single(&first.text, language)?, 1),
    };
    Some((Piece { chars: value.to_string(), weak: false, pause: false }, used))
}

/// Digits with separators that are no hour or date: `333.1234567`, `011/1234567`, `02-12345678`.
fn is_written_digits(text: &str) -> bool {
    let parts: Vec<&str> = text.split(|c: char| !c.is_ascii_digit()).collect();
    let small = parts.len() > 1 && parts.iter().all(|part| part.len() <= 2);
    let date = parts.len() == 3 && parts[..2].iter().all(|part| part.len() <= 2) && parts[2].len() == 4;
    let iso = parts.len() == 3 && parts[0].len() == 4 && parts[1..].iter().all(|part| part.len() <= 2);
    text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'/' | b'-')) && !(small || date || iso)
}

/// A letter at the start of the words, with the word that explains it.
pub(super) fn letter(here: &[Word], language: Language) -> Option<(Piece, usize)> {
    let first = here.first()?;
    let times = repeat(first, language);
    if times > 1 {
        let next = here.get(1)?;
        if listed(&next.text, language, "spoken.double_letters") {
            return Some((strong('W'), 2)); // doppia vu, double u
        }
        let (piece, used) = letter(&here[1..], language)?;
        return Some((Piece { chars: piece.chars.repeat(times), weak: false, pause: false }, used + 1));
    }
    let (letter, mut used, weak) = named(here, language)?;
    let explained = explanation(here.get(used..).unwrap_or_default(), letter, language);
    let (letter, more) = explained.unwrap_or((letter, 0));
    used += more;
    Some((Piece { chars: letter.to_string(), weak: weak && more == 0, pause: false }, used))
}

const fn strong_piece(chars: String) -> Piece {
    Piece { chars, weak: false, pause: false }
}

fn strong(letter: char) -> Piece {
    strong_piece(letter.to_string())
}

/// A letter by itself, by its name or by a word of the alphabet; how many words; whether it is a small word too.
fn named(here: &[Word], language: Language) -> Option<(char, usize, bool)> {
    let first = here.first()?;
    // "Vu doppia" is a W, but "vu, doppia vu" is a V and a W.
    let next_is_double = here.get(1).is_some_and(|word| repeat(word, language) == 2)
        && here.get(2).is_some_and(|word| listed(&word.text, language, "spoken.double_letters"));
    let here = if next_is_double { &here[..1] } else { here };
    let longest = valued(here, language, "spoken.letters");
    let weak = listed(&first.text, language, "spoken.weak_letters") && !is_capital(first);
    if let Some((used, letter)) = longest {
        return Some((letter.chars().next()?.to_ascii_uppercase(), used, weak && used == 1));
    }
    if is_single(first) {
        return Some((initial(&first.text)?, 1, weak));
    }
    let introduced = listed(&first.text, language, "spoken.letter_as");
    if introduced {
        return Some((initial(&here.get(1).filter(|word| word.text.len() > 2)?.text)?, 2, false));
    }
    listed(&first.text, language, "spoken.alphabet_heard").then(|| initial(&first.text).map(|c| (c, 1, false)))?
}

/// "come Bologna", "di Domodossola", "Bologna" behind a letter: the word is clearer than the letter, so it decides.
fn explanation(here: &[Word], letter: char, language: Language) -> Option<(char, usize)> {
    let first = here.first()?;
    let as_in = phrase(here, language, "spoken.letter_as");
    if as_in > 0 {
        let word = here.get(as_in).filter(|word| word.text.len() > 1)?;
        // "X come ics": the word may be the letter's own name.
        let letter = letter_name(&word.text, language).or_else(|| initial(&word.text))?;
        return Some((letter, as_in + 1));
    }
    let is_word =
        |word: &Word| listed(&word.text, language, "spoken.alphabet_heard") && initial(&word.text) == Some(letter);
    if first.text == "di" && here.get(1).is_some_and(is_word) {
        return Some((letter, 2));
    }
    None
}

/// Letters and digits written together: `AB123CD`, `FX`, `123CD`.
pub(super) fn written(here: &[Word], language: Language) -> Option<(Piece, usize)> {
    let word = here.first()?;
    let letters = word.text.bytes().filter(u8::is_ascii_lowercase).count();
    let digits = word.text.bytes().filter(u8::is_ascii_digit).count();
    let others = word.text.chars().any(|c| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '.' | '/'));
    if others || letters == 0 || letters + digits > 8 {
        return None;
    }
    // Two letters are a pair when they are no word and no letter's name, or when they are written large and could
    // stand on a plate ("DI" could not).
    let is_word = listed(&word.text, language, "spoken.small_words") || letter_name(&word.text, language).is_some();
    let large = is_capital(word) && !word.text.contains(['i', 'o', 'q', 'u']);
    let pair = letters == 2 && digits == 0 && (large || !is_word);
    (digits > 0 || pair).then(|| {
        let chars = word.text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect();
        (strong_piece(chars), 1)
    })
}

/// The letter of a name in one word.
fn letter_name(word: &str, language: Language) -> Option<char> {
    list(language, "spoken.letters").value(word).and_then(initial)
}

/// How often what follows is repeated: 2 for "doppio", 3 for "triplo", else 1.
fn repeat(word: &Word, language: Language) -> usize {
    if listed(&word.text, language, "spoken.double") {
        2
    } else if listed(&word.text, language, "spoken.triple") {
        3
    } else {
        1
    }
}

fn is_capital(word: &Word) -> bool {
    word.raw.chars().all(|c| c.is_ascii_uppercase())
}

/// One letter; "è" is a verb.
fn is_single(word: &Word) -> bool {
    word.raw.len() == 1 && word.raw.bytes().all(|b| b.is_ascii_alphabetic())
}

fn initial(word: &str) -> Option<char> {
    word.chars().next().filter(char::is_ascii_lowercase).map(|c| c.to_ascii_uppercase())
}

/// The word that makes a letter clear when it is read back.
pub(super) fn clear_word(letter: char, language: Language) -> Option<&'static str> {
    list(language, "spoken.alphabet").value(&letter.to_lowercase().to_string())
}
