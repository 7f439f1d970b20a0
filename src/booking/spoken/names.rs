//! Spoken names: introduced ("mi chiamo Mario Rossi"), or standing alone where a name was asked for.

use super::words::{Word, corrected, listed, phrase, place};
use crate::language::Language;

/// Words of the longest name.
pub(super) const WORDS_MAX: usize = 4;

/// The name the words introduce.
pub(super) fn introduced(words: &[Word], language: Language) -> Option<String> {
    let cased = is_cased(words);
    corrected(words, language).find_map(|piece| {
        (0..piece.len()).rev().find_map(|at| {
            let sure = phrase(&piece[at..], language, "spoken.introductions");
            let used = sure.max(phrase(&piece[at..], language, "spoken.maybe_introductions"));
            if used == 0 {
                return None;
            }
            let title = phrase(&piece[at + used..], language, "spoken.titles");
            let rest = &piece[at + used + title..];
            // "Sono interessato" is no name: where the text has capitals, a name has one.
            let needs_capital = sure == 0 && title == 0 && cased;
            let known = rest.first().filter(|first| !needs_capital || is_capitalised(first));
            known.and_then(|_| leading_name(rest, language)).map(|(name, _)| name)
        })
    })
}

/// The words are nothing but a name.
pub(super) fn alone(words: &[Word], language: Language) -> Option<String> {
    let piece = corrected(words, language).next()?;
    let mut at = 0;
    while at < piece.len() && listed(&piece[at].text, language, "spoken.name_fillers") {
        at += 1;
    }
    let (name, used) = leading_name(&piece[at..], language)?;
    let rest = &piece[at + used..];
    let ends = rest.iter().all(|word| listed(&word.text, language, "spoken.name_fillers"));
    (ends && name.split(' ').count() <= 3).then_some(name)
}

/// The name these words begin with, and how many words it takes.
fn leading_name(words: &[Word], language: Language) -> Option<(String, usize)> {
    let mut name: Vec<String> = Vec::new();
    let mut at = 0;
    let cased = is_cased(words);
    while let Some(word) = words.get(at).filter(|_| name.len() < WORDS_MAX) {
        if (word.pause && at > 0) || !is_name(word, words.get(at + 1), cased, language) {
            break;
        }
        // "D'Angelo" came as two words.
        let elided = word.is(&["d", "dell", "dall", "o"]) && words.get(at + 1).is_some_and(|next| next.raw.len() > 2);
        match words.get(at + 1).filter(|_| elided && language == Language::Italian) {
            Some(next) => {
                name.push(format!("{}'{}", title(&word.raw), title(&next.raw)));
                at += 2;
            }
            None => {
                name.push(title(&word.raw));
                at += 1;
            }
        }
    }
    (!name.is_empty()).then(|| (name.join(" "), at))
}

fn is_name(word: &Word, next: Option<&Word>, cased: bool, language: Language) -> bool {
    let letters = word.raw.chars().all(char::is_alphabetic);
    let elided = word.is(&["d"]) && next.is_some();
    let particle = listed(&word.text, language, "spoken.name_particles");
    let known = listed(&word.text, language, "spoken.not_names")
        || place(&word.text, language, "spoken.weekdays").is_some()
        || place(&word.text, language, "spoken.months").is_some();
    // "De Luca": a particle is part of a name when it is written large and something follows.
    if particle {
        return is_capitalised(word) && next.is_some_and(|next| !next.pause);
    }
    let length = word.raw.chars().count();
    letters && (length >= 2 || elided) && length <= 24 && !known && (!cased || is_capitalised(word) || elided)
}

/// The text has capitals beyond its first word, or its first word alone is capitalised: then names have them too.
fn is_cased(words: &[Word]) -> bool {
    words.iter().any(is_capitalised)
}

fn is_capitalised(word: &Word) -> bool {
    word.raw.chars().next().is_some_and(char::is_uppercase)
}

/// First letter large; the rest as it was, unless everything was small or large.
fn title(raw: &str) -> String {
    let mut chars = raw.chars();
    let Some(first) = chars.next() else { return String::new() };
    let rest: String = chars.collect();
    let rest = if rest.chars().all(char::is_uppercase) { rest.to_lowercase() } else { rest };
    first.to_uppercase().chain(rest.chars()).collect()
}
