//! A transcript as words: folded to plain lower case, with the pauses between them, and cut at corrections.

use std::ops::Range;

use super::lists::list;
use crate::language::Language;

/// Words read of one utterance; what follows is not read (nobody says more than this in one breath).
const WORDS_MAX: usize = 300;

/// One word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    /// Lower case without accents. Digits keep what stands between them (`9:30`, `14/4`), and a plus before them.
    pub text: String,
    /// As it was written.
    pub raw: String,
    /// A comma, full stop or the like stands before it.
    pub pause: bool,
}

impl Word {
    /// Only digits.
    pub fn is_digits(&self) -> bool {
        self.text.bytes().all(|b| b.is_ascii_digit())
    }

    pub fn is(&self, options: &[&str]) -> bool {
        options.contains(&self.text.as_str())
    }
}

/// The words of a text.
pub(crate) fn words(text: &str, language: Language) -> Vec<Word> {
    let chars: Vec<char> = text.chars().take(WORDS_MAX * 40).collect();
    let mut words: Vec<Word> = Vec::new();
    let (mut raw, mut pause) = (String::new(), false);
    for (at, &c) in chars.iter().enumerate() {
        let digit_at = |at: Option<usize>| at.and_then(|at| chars.get(at)).is_some_and(char::is_ascii_digit);
        let between_digits = digit_at(at.checked_sub(1)) && digit_at(Some(at + 1));
        let apostrophe = matches!(c, '\'' | '’' | '`' | '‘');
        if c.is_alphanumeric()
            || (between_digits && matches!(c, ':' | '.' | '/' | '-'))
            || (c == '+' && raw.is_empty() && digit_at(Some(at + 1)))
        {
            raw.push(c);
        } else if (apostrophe && language == Language::English && !raw.is_empty()) || matches!(c, '°' | 'º' | 'ª') {
            // "can't" is one word in English; "l'otto" is two in Italian.
        } else if c == '.' && is_initial(&raw) && is_initial_at(&chars, at + 1) {
            // "p.m." and "A.B." are one word.
        } else {
            end_word(&mut words, &mut raw, &mut pause);
            pause |= matches!(c, ',' | '.' | ';' | ':' | '?' | '!' | '…' | '\n');
        }
        if words.len() == WORDS_MAX {
            return words;
        }
    }
    end_word(&mut words, &mut raw, &mut pause);
    words
}

fn end_word(words: &mut Vec<Word>, raw: &mut String, pause: &mut bool) {
    if !raw.is_empty() {
        let raw = std::mem::take(raw);
        words.push(Word { text: fold(&raw), raw, pause: *pause });
        *pause = false;
    }
}

/// One letter so far, or some that were joined by dots.
fn is_initial(raw: &str) -> bool {
    (1..=2).contains(&raw.len()) && raw.bytes().all(|b| b.is_ascii_alphabetic())
}

/// One letter stands here, alone.
fn is_initial_at(chars: &[char], at: usize) -> bool {
    chars.get(at).is_some_and(char::is_ascii_alphabetic) && chars.get(at + 1).is_none_or(|c| !c.is_alphanumeric())
}

/// Lower case without the accents of Italian.
pub(crate) fn fold(text: &str) -> String {
    text.chars()
        .flat_map(char::to_lowercase)
        .map(|c| match c {
            'à' | 'á' | 'â' | 'ä' => 'a',
            'è' | 'é' | 'ê' | 'ë' => 'e',
            'ì' | 'í' | 'î' | 'ï' => 'i',
            'ò' | 'ó' | 'ô' | 'ö' => 'o',
            'ù' | 'ú' | 'û' | 'ü' => 'u',
            _ => c,
        })
        .collect()
}

/// Whether the word is in a list of the language.
pub(crate) fn listed(word: &str, language: Language, key: &'static str) -> bool {
    list(language, key).has(word)
}

/// The place of the word in a list of the language whose items may have accents.
pub(crate) fn place(word: &str, language: Language, key: &'static str) -> Option<usize> {
    list(language, key).place(word)
}

/// How many words the longest phrase of a list takes at the start of these words; 0 when none does.
pub(crate) fn phrase(words: &[Word], language: Language, key: &'static str) -> usize {
    valued(words, language, key).map_or(0, |(used, _)| used)
}

/// How many words the longest phrase of a list takes at the start of these words, and its value.
pub(crate) fn valued(words: &[Word], language: Language, key: &'static str) -> Option<(usize, &'static str)> {
    list(language, key).longest(words)
}

/// How many words the phrase takes at the start of these words; 0 when it does not stand there.
pub(crate) fn starts_with(words: &[Word], phrase: &str) -> usize {
    let mut count = 0;
    for part in phrase.split(' ') {
        match words.get(count) {
            Some(word) if word.text == part => count += 1,
            Some(_) | None => return 0,
        }
    }
    count
}

/// The pieces between words of correction, the last one first: what comes after a correction replaces what came
/// before.
pub(crate) fn corrected(words: &[Word], language: Language) -> impl Iterator<Item = &[Word]> {
    let mut pieces = Vec::new();
    let (mut start, mut at) = (0, 0);
    while at < words.len() {
        let taken = phrase(&words[at..], language, "spoken.corrections");
        if taken > 0 {
            pieces.push(&words[start..at]);
            start = at + taken;
        }
        at += taken.max(1);
    }
    pieces.push(&words[start..]);
    pieces.into_iter().rev().filter(|piece| !piece.is_empty())
}

/// Something that was mentioned, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mention<T> {
    pub value: T,
    pub at: Range<usize>,
}

/// The mentions that were meant: not denied, and of a choice ("lunedì o martedì") the first.
pub(crate) fn meant<T>(words: &[Word], mentions: Vec<Mention<T>>, language: Language) -> Vec<Mention<T>> {
    let denied: Vec<bool> = denied(words, &mentions, language);
    let mut before: Option<usize> = None;
    let mut kept = Vec::new();
    for (mention, denied) in mentions.into_iter().zip(denied) {
        let choice = before.is_some_and(|end| is_choice(&words[end.min(mention.at.start)..mention.at.start]));
        before = Some(mention.at.end);
        if !denied && !choice {
            kept.push(mention);
        }
    }
    kept
}

/// Only small words between two mentions, with an "or" among them.
fn is_choice(between: &[Word]) -> bool {
    between.len() <= 3 && between.first().is_some_and(|word| word.is(&["o", "oppure", "or"]))
}

/// Which mentions are denied. A denial right behind a mention takes that one ("lunedì no", "lunedì non posso"), else
/// the first one after it with only small words between ("non lunedì", "non posso lunedì").
fn denied<T>(words: &[Word], mentions: &[Mention<T>], language: Language) -> Vec<bool> {
    let mut denied = vec![false; mentions.len()];
    for (at, word) in words.iter().enumerate() {
        if listed(&word.text, language, "spoken.denials") {
            // A pause after "no" makes it an answer of its own: "no, lunedì".
            let behind = mentions.iter().rposition(|mention| mention.at.end == at);
            let ahead = mentions.iter().position(|mention| {
                mention.at.start > at
                    && words[at + 1..mention.at.start]
                        .iter()
                        .all(|word| !word.pause && listed(&word.text, language, "spoken.denial_fillers"))
                    && !words[mention.at.start].pause
            });
            match (behind, ahead) {
                (Some(index), _) if !word.pause => denied[index] = true,
                (_, Some(index)) if word.text != "no" => denied[index] = true,
                _ => {}
            }
        }
        // "Alle dieci invece delle nove": what stands behind it is what was given up.
        let instead = phrase(&words[at..], language, "spoken.instead");
        if instead > 0 {
            let after = at + instead;
            let given_up = mentions
                .iter()
                .position(|mention| mention.at.end > after && (at + 1..=after + 1).contains(&mention.at.start));
            if let Some(index) = given_up {
                denied[index] = true;
            }
        }
    }
    denied
}

/// A word after which more is sure to come; among letters only a correction is one.
pub(crate) fn is_unfinished(word: &Word, letters: bool, language: Language) -> bool {
    (!letters && listed(&word.text, language, "spoken.unfinished"))
        || listed(&word.text, language, "spoken.corrections")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, language: Language, expected: &str) {
        let words: Vec<String> = words(text, language)
            .into_iter()
            .map(|word| format!("{}{}", if word.pause { "," } else { "" }, word.text))
            .collect();
        assert_eq!(words.join(" "), expected, "{text:?}");
    }

    #[test]
    fn words_of_a_text() {
        check("Perché, l’otto è già preso?", Language::Italian, "perche ,l otto e gia preso");
        check("alle 9:30, il 14/4 o il 14.04.2026.", Language::Italian, "alle 9:30 ,il 14/4 o il 14.04.2026");
        check("I can't at 3 p.m. on Monday", Language::English, "i cant at 3 pm ,on monday");
        check("AB-123-CD, +39 333-1234567", Language::Italian, "ab 123 cd ,+39 333-1234567");
        check("A.B. 123", Language::Italian, "ab ,123");
        check("1° maggio", Language::Italian, "1 maggio");
        check("  ...  ", Language::Italian, "");
    }

    #[test]
    fn an_endless_text_is_read_up_to_the_bound() {
        assert_eq!(words(&"a ".repeat(100_000), Language::Italian).len(), WORDS_MAX);
    }

    #[test]
    fn a_correction_comes_first() {
        let words = words("lunedì anzi no martedì, mi scusi, mercoledì", Language::Italian);
        let pieces: Vec<String> = corrected(&words, Language::Italian).map(|piece| piece[0].text.clone()).collect();
        assert_eq!(pieces, ["mercoledi", "martedi", "lunedi"]);
    }
}
