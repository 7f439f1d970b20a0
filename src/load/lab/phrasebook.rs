//! What the simulated callers may say, and how it is pronounced.
//!
//! The books are `config/lab/phrasebook.*.toml`, compiled in. Callers with something else to say add it when the
//! [`Ears`](super::ears::Ears) are made.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Deserialize;

use crate::language::Language;

/// The phrases of one language.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phrasebook {
    /// Recognised whole, one after the other.
    phrases: Vec<String>,
    /// Short pieces that may be strung together: digits, letters.
    units: Vec<String>,
    /// How a word is spoken where the synthesiser would misread it.
    pronounce: BTreeMap<String, String>,
}

/// One thing that may be said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phrase {
    /// As it is written in a transcript.
    pub text: String,
    /// A short piece, less likely by itself than a whole phrase.
    pub unit: bool,
}

impl Phrasebook {
    /// The book of a language.
    pub fn of(language: Language) -> &'static Self {
        static ITALIAN: LazyLock<Phrasebook> =
            LazyLock::new(|| Phrasebook::parse(include_str!("../../../config/lab/phrasebook.it.toml")));
        static ENGLISH: LazyLock<Phrasebook> =
            LazyLock::new(|| Phrasebook::parse(include_str!("../../../config/lab/phrasebook.en.toml")));
        match language {
            Language::Italian => &ITALIAN,
            Language::English => &ENGLISH,
        }
    }

    fn parse(text: &str) -> Self {
        toml::from_str(text).expect("the compiled-in phrasebooks are tested")
    }

    /// Whole phrases as they are written in the book.
    pub fn phrases(&self) -> impl Iterator<Item = &str> {
        self.phrases.iter().map(String::as_str)
    }

    /// The short pieces.
    pub fn units(&self) -> impl Iterator<Item = &str> {
        self.units.iter().map(String::as_str)
    }

    /// Everything to recognise, each once: phrases, their parts between commas, extra phrases, units.
    pub fn all(&self, extra: &[String]) -> Vec<Phrase> {
        let mut all: BTreeMap<String, Phrase> = BTreeMap::new();
        let mut add = |text: &str, unit: bool| {
            let normal = normal(text);
            if !normal.is_empty() {
                all.entry(normal).or_insert_with(|| Phrase { text: text.to_string(), unit });
            }
        };
        for phrase in self.phrases.iter().chain(extra) {
            let phrase = phrase.trim().trim_end_matches(['.', '!', '?']);
            add(phrase, false);
            phrase.split([',', '.', ';', ':', '!', '?']).for_each(|part| add(part.trim(), false));
        }
        self.units.iter().for_each(|unit| add(unit, true));
        all.into_values().collect()
    }

    /// Whole lines only, each once: those of the book and the extra ones.
    pub fn whole(&self, extra: impl IntoIterator<Item = String>) -> Vec<String> {
        let lines = self.phrases.iter().cloned().chain(extra).map(|line| (normal(&line), line));
        lines.filter(|(normal, _)| !normal.is_empty()).collect::<BTreeMap<_, _>>().into_values().collect()
    }

    /// The text as the synthesiser should read it.
    pub fn pronounced(&self, text: &str) -> String {
        let words: Vec<String> = text
            .split_whitespace()
            .map(|word| {
                let bare = word.trim_matches([',', '.', ';', ':', '!', '?']);
                match self.pronounce.get(bare) {
                    Some(spoken) if !bare.is_empty() => word.replacen(bare, spoken, 1),
                    Some(_) | None => word.to_string(),
                }
            })
            .collect();
        words.join(" ")
    }
}

/// A text without case and punctuation, for comparing what was said with what was heard.
pub fn normal(text: &str) -> String {
    let bare: String = text
        .chars()
        .map(|letter| if letter.is_alphanumeric() || letter == '\'' { letter } else { ' ' })
        .flat_map(char::to_lowercase)
        .collect();
    bare.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_books_can_be_read_and_have_enough_to_say() {
        for language in [Language::Italian, Language::English] {
            let all = Phrasebook::of(language).all(&[]);
            assert!(all.len() > 120, "{language:?} has {} phrases", all.len());
            assert!(all.iter().any(|phrase| phrase.unit) && all.iter().any(|phrase| !phrase.unit));
        }
    }

    #[test]
    fn parts_between_commas_stand_alone_and_nothing_is_there_twice() {
        let all =
            Phrasebook::of(Language::Italian).all(&["Ecco, Sì!".to_string(), "Vorrei un'auto di cortesia".into()]);
        let has = |text: &str| all.iter().filter(|phrase| normal(&phrase.text) == text).count();
        assert_eq!(has("anzi no facciamo alle undici"), 1);
        assert_eq!(has("facciamo alle undici"), 1);
        assert_eq!((has("ecco"), has("sì"), has("vorrei un'auto di cortesia")), (1, 1, 1));
    }

    #[test]
    fn letters_are_spelled() {
        assert_eq!(Phrasebook::of(Language::Italian).pronounced("la targa è A B, uno"), "la targa è a bi, uno");
    }
}
