//! What was taken as complete, and answered: a recogniser's late texts may still belong to it, and are not new words.

use std::time::Instant;

use super::{
    limits::STALE_TEXT,
    loudness::Loudness,
    words::{contains, words},
};

/// The last utterance that was taken as complete.
#[derive(Debug)]
pub(crate) struct Taken {
    /// What was understood.
    pub(crate) text: String,
    /// When it was taken.
    pub(crate) at: Instant,
    /// The commit that the recogniser has not answered.
    pub(crate) pending: Option<u32>,
    /// Nothing was understood, and so nothing answered: should words come after all, they are heard.
    pub(crate) silent: bool,
    /// How loud it was: words that come so late are as loud as it.
    pub(crate) loudness: Loudness,
}

impl Taken {
    /// A text that comes now still belongs to this utterance, and not to the next one (`another`: there is one).
    pub(crate) fn owns(&self, now: Instant, text: &str, another: bool) -> bool {
        if self.silent || now >= self.at + STALE_TEXT {
            return false;
        }
        // Finals come before the answer to their commit, so with that answer still out this text is an old one.
        self.pending.is_some()
            || !another && !self.text.is_empty() && (contains(&self.text, text) || contains(text, &self.text))
    }

    /// The answer to a commit may say more than what was taken before it came: the caller had gone on by then. The rest
    /// of it is new.
    pub(crate) fn more_in(&self, text: &str) -> Option<String> {
        if self.pending.is_none() || self.text.is_empty() {
            return None;
        }
        let (tokens, known) = (text.split_whitespace().collect::<Vec<_>>(), words(&self.text));
        let same = (1..tokens.len()).find(|count| words(&tokens[..*count].join(" ")) == known)?;
        Some(tokens[same..].join(" "))
    }
}
