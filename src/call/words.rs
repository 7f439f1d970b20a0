//! Reads words the way the policies need them: lower case, without punctuation, and matched against the lists of the
//! language.

use crate::language::Phrases;

/// The words of a text, lower case, without punctuation; apostrophes and hyphens inside stay.
pub(crate) fn words(text: &str) -> Vec<String> {
    text.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | ':' | '!' | '?' | '…' | '"' | '(' | ')'))
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase())
        .filter(|word| !word.is_empty())
        .collect()
}

/// The words that are left when every phrase of a list is taken away, longest phrases first.
pub(crate) fn without<'a>(text: &str, list: impl Iterator<Item = &'a str>) -> Vec<String> {
    left(text, list, false)
}

/// The same while the text still grows: last words that may become a phrase of the list ("va", of "va bene") are not
/// counted yet.
pub(crate) fn without_so_far<'a>(text: &str, list: impl Iterator<Item = &'a str>) -> Vec<String> {
    left(text, list, true)
}

fn left<'a>(text: &str, list: impl Iterator<Item = &'a str>, grows: bool) -> Vec<String> {
    let spoken = words(text);
    if spoken.is_empty() {
        return spoken;
    }
    let mut known: Vec<Vec<String>> = list.map(words).collect();
    known.sort_by_key(|phrase| std::cmp::Reverse(phrase.len()));
    let mut left = Vec::new();
    let mut at = 0;
    while at < spoken.len() {
        if grows && known.iter().any(|phrase| phrase.starts_with(&spoken[at..])) {
            break;
        }
        match known.iter().find(|phrase| !phrase.is_empty() && spoken[at..].starts_with(phrase)) {
            Some(phrase) => at += phrase.len(),
            None => {
                left.push(spoken[at].clone());
                at += 1;
            }
        }
    }
    left
}

/// Whether the text ends with one of the phrases of a list.
pub(crate) fn ends_with(text: &str, phrases: &Phrases, list: &'static str) -> bool {
    let spoken = words(text);
    phrases.list(list).map(words).any(|phrase| !phrase.is_empty() && spoken.ends_with(&phrase))
}

/// Whether all the words of `part` stand in a row in `whole`: our own words coming back.
pub(crate) fn contains(whole: &str, part: &str) -> bool {
    let (whole, part) = (words(whole), words(part));
    !part.is_empty() && whole.windows(part.len()).any(|window| window == part)
}
