//! Cuts the words of a model into clauses that can be spoken one by one, as early as it sounds natural.
//!
//! Knows abbreviations ("Sig. Rossi"), times ("alle 15.30"), prices ("EUR 1.200,50"), initials and list numbers, and
//! waits for one more character where the words so far cannot tell.

use super::limits::CLAUSE_CHARS_MAX;
use crate::language::{Language, Phrases};

/// A comma ends the first clause of a reply once it has this many characters: the sooner the voice begins, the better.
const FIRST_COMMA_CHARS: usize = 14;
/// Later clauses are longer: the voice has something to say already, and longer clauses sound better.
const COMMA_CHARS: usize = 60;

/// The clauses a text is spoken in: what a voice can be given beforehand.
pub fn clauses(text: &str, language: Language) -> Vec<String> {
    let mut clauses = Clauses::new(language);
    clauses.push(text);
    let mut found = Vec::new();
    while let Some(clause) = clauses.next() {
        found.push(clause);
    }
    found.extend(clauses.finish());
    found
}

/// Collects words, gives clauses.
#[derive(Debug)]
pub(crate) struct Clauses {
    /// Words that are not a clause yet.
    buffer: String,
    /// How many clauses were given: the first may be short.
    given: u32,
    /// Whose abbreviations.
    phrases: &'static Phrases,
}

impl Clauses {
    pub(crate) fn new(language: Language) -> Self {
        Self { buffer: String::new(), given: 0, phrases: language.phrases() }
    }

    /// Adds words. What is not meant for a voice (markdown) is left out.
    pub(crate) fn push(&mut self, words: &str) {
        self.buffer.extend(words.chars().filter(|c| !matches!(c, '*' | '`' | '#' | '_')));
    }

    /// The next clause, when one is complete.
    pub(crate) fn next(&mut self) -> Option<String> {
        loop {
            let end = self.end()?;
            let rest = self.buffer.split_off(end);
            let clause = std::mem::replace(&mut self.buffer, rest);
            if let Some(clause) = speakable(&clause) {
                self.given += 1;
                return Some(clause);
            }
        }
    }

    /// No more words will come: what is left is the last clause.
    pub(crate) fn finish(&mut self) -> Option<String> {
        let clause = speakable(&std::mem::take(&mut self.buffer))?;
        self.given += 1;
        Some(clause)
    }

    /// Where the first clause in the buffer ends, in bytes.
    fn end(&self) -> Option<usize> {
        let comma_chars = if self.given == 0 { FIRST_COMMA_CHARS } else { COMMA_CHARS };
        let mut last_space = None;
        for (count, (at, c)) in self.buffer.char_indices().enumerate() {
            let after = at + c.len_utf8();
            let next = self.buffer[after..].chars().next();
            let spaced = next.is_some_and(char::is_whitespace);
            let ends = match c {
                '\n' => count > 0,
                '?' | '!' | '…' => spaced,
                '.' => spaced && !self.is_inner_dot(at),
                ';' | ':' => spaced && count + 1 >= FIRST_COMMA_CHARS,
                ',' => spaced && count + 1 >= comma_chars,
                _ => false,
            };
            if ends {
                return Some(after);
            }
            if c.is_whitespace() {
                last_space = Some(after);
            }
            if count + 1 >= CLAUSE_CHARS_MAX {
                return Some(last_space.unwrap_or(after));
            }
        }
        None
    }

    /// Whether the dot at this byte, which a space follows, belongs to a word.
    fn is_inner_dot(&self, at: usize) -> bool {
        let before = &self.buffer[..at];
        let word = before.rsplit(|c: char| c.is_whitespace() || c == '(').next().unwrap_or(before);
        let mut chars = word.chars();
        let (first, second) = (chars.next(), chars.next());
        // "A. Bianchi": an initial. Not after a digit word such as "9."
        let initial = first.is_some_and(|c| c.is_uppercase()) && second.is_none();
        // "1. Tagliando": the number of a list, only at the very beginning.
        let listed =
            before.trim_start().len() == word.len() && word.len() <= 2 && word.chars().all(|c| c.is_ascii_digit());
        let dotted = format!("{}.", word.to_lowercase());
        let abbreviated = self.phrases.list("call.abbreviations").any(|known| known == dotted);
        !word.is_empty() && (initial || listed || abbreviated)
    }
}

/// The clause without space around it, if there is anything in it to say.
fn speakable(clause: &str) -> Option<String> {
    let clause = clause.trim();
    clause.chars().any(char::is_alphanumeric).then(|| clause.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever the size of the pieces, the clauses are the same.
    fn check(language: Language, text: &str, expected: &[&str]) {
        for size in [1, 2, 3, 7, 1000] {
            let mut clauses = Clauses::new(language);
            let mut found = Vec::new();
            let chars: Vec<char> = text.chars().collect();
            for piece in chars.chunks(size) {
                clauses.push(&piece.iter().collect::<String>());
                while let Some(clause) = clauses.next() {
                    found.push(clause);
                }
            }
            found.extend(clauses.finish());
            assert_eq!(found, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn sentences_are_clauses() {
        check(Language::Italian, "Certo. Per quale auto? Bene!", &["Certo.", "Per quale auto?", "Bene!"]);
    }

    #[test]
    fn times_and_prices_stay_whole() {
        check(
            Language::Italian,
            "La aspettiamo alle 15.30 di lunedì. Il prezzo è EUR 1.200,50 con IVA.",
            &["La aspettiamo alle 15.30 di lunedì.", "Il prezzo è EUR 1.200,50 con IVA."],
        );
        check(
            Language::English,
            "It is $1,200.50 in all. See you at 9.30 a.m. on Monday.",
            &["It is $1,200.50 in all.", "See you at 9.30 a.m. on Monday."],
        );
    }

    #[test]
    fn abbreviations_and_initials_do_not_end_a_clause() {
        check(
            Language::Italian,
            "Buongiorno Sig. Rossi. Parla il dott. M. Bianchi.",
            &["Buongiorno Sig. Rossi.", "Parla il dott. M. Bianchi."],
        );
        check(Language::English, "Hello Mr. Smith. How are you?", &["Hello Mr. Smith.", "How are you?"]);
    }

    #[test]
    fn the_first_clause_may_end_at_a_comma() {
        check(
            Language::Italian,
            "Va bene, allora la segno per domani mattina, d'accordo?",
            &["Va bene, allora la segno per domani mattina,", "d'accordo?"],
        );
        check(
            Language::Italian,
            "Certamente signora, controllo subito l'agenda.",
            &["Certamente signora,", "controllo subito l'agenda."],
        );
    }

    #[test]
    fn markdown_and_bare_punctuation_are_not_spoken() {
        check(
            Language::Italian,
            "**Ecco** gli orari:\n1. Alle 9. \n2. Alle 10.\n---\n",
            &["Ecco gli orari:", "1. Alle 9.", "2. Alle 10."],
        );
    }

    #[test]
    fn endless_words_are_cut_at_a_space() {
        let mut clauses = Clauses::new(Language::Italian);
        clauses.push(&"parola ".repeat(100));
        let clause = clauses.next().expect("a clause is bounded");
        assert!(clause.chars().count() <= CLAUSE_CHARS_MAX && clause.ends_with("parola"));
    }
}
