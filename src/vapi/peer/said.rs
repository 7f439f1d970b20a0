//! What has been said in one answer of the brain, and when a filler is due because nothing was for too long.

use std::{future::pending, pin::Pin, time::Duration};

use tokio::time::{Instant, Sleep, sleep};

use crate::language::Phrases;

/// How long a character takes to be heard, about.
const PER_CHARACTER: Duration = Duration::from_millis(60);

/// What has been said in this answer.
#[derive(Debug)]
pub(super) struct Said {
    /// Anything at all.
    spoke: bool,
    /// Words of the model.
    answered: bool,
    /// The next words do not belong to those before.
    apart: bool,
    /// The silence after which a filler is due.
    patience: Duration,
    /// When that is.
    silence: Pin<Box<Sleep>>,
    /// The next filler, while there are any.
    filler: Option<usize>,
}

impl Said {
    /// Nothing said yet. `fills`: somebody waits for the beginning of the answer.
    pub(super) fn new(patience: Duration, fills: bool) -> Self {
        let silence = Box::pin(sleep(patience));
        Self { spoke: false, answered: false, apart: false, patience, silence, filler: fills.then_some(0) }
    }

    /// The model has said something.
    pub(super) const fn has_answered(&self) -> bool {
        self.answered
    }

    /// What comes next is another sentence.
    pub(super) const fn pause(&mut self) {
        self.apart = true;
    }

    /// Words of the model, as they are to be given out.
    pub(super) fn answer(&mut self, text: String) -> String {
        self.answered |= !text.trim().is_empty();
        self.say(text)
    }

    /// Words, as they are to be given out.
    pub(super) fn say(&mut self, text: String) -> String {
        let gap = self.apart && self.spoke && !text.starts_with(char::is_whitespace);
        let spoken = PER_CHARACTER * u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        let quiet = Instant::now() + self.patience;
        // Words take time to be heard, behind those before them.
        let due = if self.spoke { self.silence.deadline().max(quiet) } else { quiet };
        self.silence.as_mut().reset(due + spoken);
        self.spoke = true;
        self.apart = false;
        if gap { format!(" {text}") } else { text }
    }

    /// Ready when a filler is due.
    pub(super) async fn silence(&mut self) {
        match self.filler {
            Some(_) => (&mut self.silence).await,
            None => pending().await,
        }
    }

    /// The filler that is due, if there is one left.
    pub(super) fn fill(&mut self, phrases: &Phrases) -> Option<String> {
        let text = self.filler.and_then(|at| phrases.list("call.fillers").nth(at)).map(ToOwned::to_owned);
        self.filler = self.filler.filter(|_| text.is_some()).map(|at| at + 1);
        self.pause();
        let said = self.say(text?);
        self.pause();
        Some(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;

    #[tokio::test(start_paused = true)]
    async fn a_filler_is_due_when_what_was_said_has_been_heard() {
        let phrases = Language::Italian.phrases();
        let begun = Instant::now();
        let mut mouth = Said::new(Duration::from_secs(1), true);
        assert_eq!(mouth.answer("Certo".into()), "Certo");
        assert_eq!(mouth.answer(", sì.".into()), ", sì.");
        mouth.silence().await;
        let waited = begun.elapsed().as_millis();
        assert!((1_600..=1_601).contains(&waited), "a second after ten characters: {waited}");
        assert_eq!(mouth.fill(phrases).as_deref(), Some(" Un attimo, controllo."));
        assert_eq!(mouth.answer("Ecco.".into()), " Ecco.");
        let left = std::iter::from_fn(|| mouth.fill(phrases)).count();
        assert_eq!(left, phrases.list("call.fillers").count() - 1, "each of them once");
        let never = tokio::time::timeout(Duration::from_secs(3_600), mouth.silence()).await;
        assert!(never.is_err(), "and then no more");
    }

    #[tokio::test(start_paused = true)]
    async fn only_words_of_the_model_are_an_answer() {
        let mut mouth = Said::new(Duration::from_secs(1), true);
        mouth.fill(Language::English.phrases());
        assert!(!mouth.has_answered());
        mouth.answer(" \n".into());
        assert!(!mouth.has_answered());
        mouth.answer("Yes.".into());
        assert!(mouth.has_answered());
    }
}
