//! The two languages we speak, and the sentences that are ours rather than a model's.
//!
//! What callers hear lives in `config/languages/*.toml`, not in code: each room asks for its sentences by key. The
//! files are compiled in, so a lone binary speaks; a test reads every key the code uses in both languages.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::{Deserialize, Serialize};

/// A language callers are served in. Italian comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "fuzz", derive(arbitrary::Arbitrary))]
pub enum Language {
    /// `it`
    #[default]
    #[serde(rename = "it")]
    Italian,
    /// `en`
    #[serde(rename = "en")]
    English,
}

impl Language {
    /// The ISO 639-1 code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Italian => "it",
            Self::English => "en",
        }
    }

    /// The sentences of this language.
    pub fn phrases(self) -> &'static Phrases {
        static ITALIAN: LazyLock<Phrases> =
            LazyLock::new(|| Phrases::parse(include_str!("../config/languages/it.toml")));
        static ENGLISH: LazyLock<Phrases> =
            LazyLock::new(|| Phrases::parse(include_str!("../config/languages/en.toml")));
        match self {
            Self::Italian => &ITALIAN,
            Self::English => &ENGLISH,
        }
    }
}

/// The sentences of one language, by section and key (`"call.filler"`).
#[derive(Debug)]
pub struct Phrases(BTreeMap<String, String>);

impl Phrases {
    /// Reads `[section] key = "sentence"` tables.
    fn parse(text: &str) -> Self {
        let sections: BTreeMap<String, BTreeMap<String, String>> =
            toml::from_str(text).expect("the compiled-in language files are tested");
        Self(
            sections
                .into_iter()
                .flat_map(|(section, keys)| keys.into_iter().map(move |(key, text)| (format!("{section}.{key}"), text)))
                .collect(),
        )
    }

    /// The sentence for a `section.key`. An unknown key is our bug and says itself aloud.
    pub fn text(&self, key: &'static str) -> &str {
        self.0.get(key).map_or(key, String::as_str)
    }

    /// The sentence with each `{name}` replaced by its value.
    pub fn fill(&self, key: &'static str, values: &[(&str, &str)]) -> String {
        values
            .iter()
            .fold(self.text(key).to_string(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }

    /// A list kept as one string with `|` between its items (backchannels, end phrases, names of months).
    pub fn list<'k>(&'k self, key: &'k str) -> impl Iterator<Item = &'k str> {
        self.0.get(key).map_or(key, String::as_str).split('|').map(str::trim).filter(|item| !item.is_empty())
    }

    /// Every `section.key` there is.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether the language has the key.
    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }
}
