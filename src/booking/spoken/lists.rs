//! The word lists of the language files, made ready once: an utterance is compared with some eighty of them, and a
//! simulation hears thousands of utterances a second.
//!
//! An item is a phrase of one or more words; a star stands for any ending of a word ("prenot*"), and what follows `=`
//! is the item's value ("domani=1").

use std::{collections::HashMap, sync::LazyLock};

use super::words::{Word, fold};
use crate::language::Language;

/// The rooms whose lists are compared with words.
const SECTIONS: [&str; 2] = ["spoken.", "receptionist."];

/// One list. The map is only looked into, never walked, so its order does not matter.
#[derive(Debug, Default)]
pub(crate) struct List {
    /// Items by their first word.
    by_first: HashMap<String, Vec<Item>>,
    /// Items whose first word has a star.
    by_stem: Vec<Item>,
}

#[derive(Debug)]
struct Item {
    /// Its place in the list.
    place: usize,
    /// Its words, folded.
    parts: Vec<Part>,
    value: String,
}

#[derive(Debug)]
enum Part {
    Word(String),
    Stem(String),
}

/// A list by its key; one that does not exist is empty.
pub(crate) fn list(language: Language, key: &str) -> &'static List {
    static ITALIAN: LazyLock<HashMap<String, List>> = LazyLock::new(|| read(Language::Italian));
    static ENGLISH: LazyLock<HashMap<String, List>> = LazyLock::new(|| read(Language::English));
    static EMPTY: LazyLock<List> = LazyLock::new(List::default);
    let lists = match language {
        Language::Italian => &ITALIAN,
        Language::English => &ENGLISH,
    };
    lists.get(key).unwrap_or(&EMPTY)
}

fn read(language: Language) -> HashMap<String, List> {
    let phrases = language.phrases();
    let keys = phrases.keys().filter(|key| SECTIONS.iter().any(|section| key.starts_with(section)));
    keys.map(|key| (key.to_string(), List::read(phrases.list(key)))).collect()
}

impl List {
    fn read<'i>(items: impl Iterator<Item = &'i str>) -> Self {
        let mut list = Self::default();
        for (place, item) in items.enumerate() {
            let (phrase, value) = item.split_once('=').unwrap_or((item, ""));
            let parts: Vec<Part> = phrase
                .split(' ')
                .filter(|part| !part.is_empty())
                .map(|part| match part.strip_suffix('*') {
                    Some(stem) => Part::Stem(fold(stem)),
                    None => Part::Word(fold(part)),
                })
                .collect();
            let first = match parts.first() {
                Some(Part::Word(first)) => Some(first.clone()),
                Some(Part::Stem(_)) => None,
                None => continue,
            };
            let item = Item { place, parts, value: value.to_string() };
            match first {
                Some(first) => list.by_first.entry(first).or_default().push(item),
                None => list.by_stem.push(item),
            }
        }
        list
    }

    /// Whether a word is an item.
    pub fn has(&self, word: &str) -> bool {
        self.place(word).is_some()
    }

    /// The place of a word in the list.
    pub fn place(&self, word: &str) -> Option<usize> {
        let items = self.by_first.get(word).into_iter().flatten();
        items.filter(|item| item.parts.len() == 1).map(|item| item.place).min()
    }

    /// The value of an item of one word.
    pub fn value(&self, word: &str) -> Option<&str> {
        let mut items = self.by_first.get(word).into_iter().flatten();
        items.find(|item| item.parts.len() == 1).map(|item| item.value.as_str())
    }

    /// The longest item at the start of the words: how many words it takes, and its value.
    pub fn longest(&self, words: &[Word]) -> Option<(usize, &str)> {
        let first = &words.first()?.text;
        let items = self.by_first.get(first).into_iter().flatten().chain(&self.by_stem);
        items
            .filter(|item| item.stands_in(words))
            .max_by_key(|item| item.parts.len())
            .map(|item| (item.parts.len(), item.value.as_str()))
    }
}

impl Item {
    fn stands_in(&self, words: &[Word]) -> bool {
        words.len() >= self.parts.len()
            && self.parts.iter().zip(words).all(|(part, word)| match part {
                Part::Word(text) => *text == word.text,
                Part::Stem(stem) => word.text.starts_with(stem.as_str()),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::words::words, *};

    #[test]
    fn the_longest_item_counts() {
        let list = List::read("oggi=0|oggi a otto=7|prenot*=x|è già=y".split('|'));
        let check =
            |text: &str, expected| assert_eq!(list.longest(&words(text, Language::Italian)), expected, "{text}");
        check("oggi", Some((1, "0")));
        check("oggi a otto", Some((3, "7")));
        check("oggi a", Some((1, "0")));
        check("prenotare", Some((1, "x")));
        check("è già", Some((2, "y")));
        check("domani", None);
        check("", None);
        assert_eq!((list.place("oggi"), list.place("a")), (Some(0), None));
    }

    /// The word lists are compared with folded words: an apostrophe or comma in an item could never be found.
    #[test]
    fn every_item_can_be_said() {
        for language in [Language::Italian, Language::English] {
            let sentences = ["say_", "asks_", "hears_"];
            let phrases = language.phrases();
            for key in phrases.keys().filter(|key| key.starts_with("spoken.")) {
                if sentences.iter().any(|start| key["spoken.".len()..].starts_with(start)) {
                    continue;
                }
                for item in phrases.list(key) {
                    let phrase = item.split('=').next().unwrap_or_default().trim_end_matches('*');
                    let said: Vec<String> = words(phrase, language).into_iter().map(|word| word.text).collect();
                    assert_eq!(said.join(" "), fold(phrase), "{language:?} {key}: {item}");
                }
            }
        }
    }
}
