//! The lab's ears: they recognise the callers' phrasebook from the sound, and from nothing else.
//!
//! There is no side channel from the simulated caller: what reaches [`Listener::hear`] is what the gateway sent, and a
//! path that drops, swaps, clips or speeds up the sound is heard as wrong words or none. They know only the phrases of
//! the [`phrasebook`](super::phrasebook) in the voices of the callers, strung together in any order.

use std::{sync::Arc, time::Duration};

use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use tokio::{sync::OnceCell, task::spawn_blocking};

use super::{
    careful::Careful,
    mfcc::HOP,
    phrasebook::Phrasebook,
    quick::{Envelopes, Quick},
    speech::{Speech, SpeechError, Voice},
    templates::{self, Templates},
};
use crate::{audio::Rate, language::Language};

/// Guesses less sure than this are not words.
pub(super) const SURE: f32 = 0.35;

/// What can be recognised. A language is learned, in about half a second, when it is first asked for.
#[derive(Debug)]
pub struct Ears {
    /// How they hear.
    kind: Kind,
    /// Who speaks the templates.
    speech: Arc<Speech>,
    /// What is said besides the phrasebooks.
    extra: Vec<(Language, String)>,
    italian: OnceCell<Arc<Templates>>,
    english: OnceCell<Arc<Templates>>,
    /// What the quick ones have learned, Italian and English.
    envelopes: [OnceCell<Arc<Envelopes>>; 2],
}

/// How ears hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Word by word, from the sound alone; a damaged line is heard as damage. One second of speech costs tens of
    /// milliseconds.
    #[default]
    Careful,
    /// Which of the known lines it was, by its loudness over time. Next to free, for thousands of callers who say whole
    /// lines.
    Quick,
}

/// A word and when it was said, in seconds from the first sample heard.
#[derive(Debug, Clone, PartialEq)]
pub struct Word {
    /// As it is in the phrasebook.
    pub text: String,
    /// When it begins.
    pub from: f64,
    /// When it ends.
    pub to: f64,
    /// 0 to 1.
    pub confidence: f32,
}

/// What was understood.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Guess {
    /// The words, in order; none when nothing was understood.
    pub words: Vec<Word>,
    /// 0 to 1: how sure, as the mean over the time spoken.
    pub confidence: f32,
}

impl Guess {
    /// The words as one text.
    pub fn text(&self) -> String {
        self.words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ")
    }
}

impl Ears {
    /// Careful ears for the phrasebooks and some phrases more, in the callers' voices.
    pub const fn new(speech: Arc<Speech>, extra: Vec<(Language, String)>) -> Self {
        Self::of(Kind::Careful, speech, extra)
    }

    /// Ears of a kind.
    pub const fn of(kind: Kind, speech: Arc<Speech>, extra: Vec<(Language, String)>) -> Self {
        Self {
            kind,
            speech,
            extra,
            italian: OnceCell::const_new(),
            english: OnceCell::const_new(),
            envelopes: [const { OnceCell::const_new() }; 2],
        }
    }

    /// Learns a language, unless it was learned before.
    ///
    /// # Errors
    /// When espeak-ng fails.
    pub async fn learn(&self, language: Language) -> Result<(), SpeechError> {
        match self.kind {
            Kind::Careful => self.templates(language).await.map(|_| ()),
            Kind::Quick => self.envelopes(language).await.map(|_| ()),
        }
    }

    async fn envelopes(&self, language: Language) -> Result<&Arc<Envelopes>, SpeechError> {
        let learned = match language {
            Language::Italian => &self.envelopes[0],
            Language::English => &self.envelopes[1],
        };
        let extra = || self.extra.iter().filter(|(of, _)| *of == language).map(|(_, phrase)| phrase.clone());
        learned
            .get_or_try_init(|| async {
                let phrases = Phrasebook::of(language).whole(extra());
                Envelopes::learn(&self.speech, language, phrases).await.map(Arc::new)
            })
            .await
    }

    async fn templates(&self, language: Language) -> Result<&Arc<Templates>, SpeechError> {
        let learned = match language {
            Language::Italian => &self.italian,
            Language::English => &self.english,
        };
        learned.get_or_try_init(|| learn(&self.speech, language, &self.extra)).await
    }

    /// Listens to a stream.
    ///
    /// # Errors
    /// When the language was not learned yet and espeak-ng fails.
    pub async fn listen(&self, language: Language) -> Result<Listener, SpeechError> {
        Ok(match self.kind {
            Kind::Careful => Listener::Careful(Box::new(Careful::new(self.templates(language).await?.clone()))),
            Kind::Quick => Listener::Quick(Box::new(Quick::new(self.envelopes(language).await?.clone()))),
        })
    }

    /// Recognises a whole clip at 16 kHz.
    ///
    /// # Errors
    /// When the language was not learned yet and espeak-ng fails.
    pub async fn recognise(&self, language: Language, pcm: Vec<i16>) -> Result<Guess, SpeechError> {
        if self.kind == Kind::Quick {
            return Ok(Quick::new(self.envelopes(language).await?.clone()).clip(&pcm));
        }
        let careful = Careful::new(self.templates(language).await?.clone());
        // A long clip is many milliseconds of work: not on the thread that serves the others.
        let recognised = spawn_blocking(move || careful.clip(&pcm));
        Ok(recognised.await.expect("recognising does not panic"))
    }
}

/// Ears on one stream of 16 kHz sound.
pub enum Listener {
    /// Hears every word, and damage.
    Careful(Box<Careful>),
    /// Hears which line was said.
    Quick(Box<Quick>),
}

impl Listener {
    /// Hears some samples; tells what it noticed.
    pub fn hear(&mut self, pcm: &[i16], noticed: &mut Vec<Noticed>) {
        match self {
            Self::Careful(ears) => ears.hear(pcm, noticed),
            Self::Quick(ears) => ears.hear(pcm, noticed),
        }
    }

    /// Somebody is speaking, or paused within an utterance that was not finished.
    pub fn speaking(&self) -> bool {
        match self {
            Self::Careful(ears) => ears.speaking(),
            Self::Quick(ears) => ears.speaking(),
        }
    }

    /// How long it has been quiet.
    pub fn quiet(&self) -> Duration {
        match self {
            Self::Careful(ears) => ears.quiet(),
            Self::Quick(ears) => ears.quiet(),
        }
    }

    /// How much was heard.
    pub fn heard(&self) -> Duration {
        match self {
            Self::Careful(ears) => ears.heard(),
            Self::Quick(ears) => ears.heard(),
        }
    }

    /// What has been said so far in this utterance, were it to end now.
    pub fn guess(&self) -> Option<Guess> {
        match self {
            Self::Careful(ears) => ears.guess(),
            Self::Quick(ears) => ears.guess(),
        }
    }

    /// Ends the utterance: what was said in it. `None` when there was no utterance.
    pub fn finish(&mut self) -> Option<Guess> {
        match self {
            Self::Careful(ears) => ears.finish(),
            Self::Quick(ears) => ears.finish(),
        }
    }
}

/// How long some frames last.
pub(super) fn frames(count: u64) -> Duration {
    Rate::WIDE.duration(count * HOP as u64)
}

/// Synthesises and learns one language. Without extra phrases all ears of a process share what was learned.
async fn learn(
    speech: &Speech,
    language: Language,
    extra: &[(Language, String)],
) -> Result<Arc<Templates>, SpeechError> {
    static ITALIAN: OnceCell<Arc<Templates>> = OnceCell::const_new();
    static ENGLISH: OnceCell<Arc<Templates>> = OnceCell::const_new();
    let extra: Vec<String> = extra.iter().filter(|(of, _)| *of == language).map(|(_, phrase)| phrase.clone()).collect();
    if !extra.is_empty() {
        return learn_afresh(speech, language, &extra).await;
    }
    let shared = match language {
        Language::Italian => &ITALIAN,
        Language::English => &ENGLISH,
    };
    shared.get_or_try_init(|| learn_afresh(speech, language, &[])).await.cloned()
}

async fn learn_afresh(speech: &Speech, language: Language, extra: &[String]) -> Result<Arc<Templates>, SpeechError> {
    let phrases = Phrasebook::of(language).all(extra);
    let units = || phrases.iter().enumerate().filter(|(_, phrase)| phrase.unit);
    let texts: Vec<&str> = phrases.iter().map(|phrase| phrase.text.as_str()).collect();
    let pieces: Vec<&str> = units().map(|(_, unit)| unit.text.as_str()).collect();
    let voices = Voice::callers(language);
    let studied = try_join_all(voices.iter().map(async |voice| {
        let (whole, going) = tokio::try_join!(
            speech.say_all(&texts, voice, true),
            // In a dictated number all digits but the last go on.
            speech.say_all(&pieces, voice, false),
        )?;
        let going = units().map(|(index, _)| index).zip(going);
        let clips = whole.into_iter().enumerate().chain(going).collect();
        let studied = spawn_blocking(move || templates::studied(clips, Speech::rate()));
        Ok::<_, SpeechError>(studied.await.expect("studying does not panic"))
    }))
    .await?;
    Ok(Arc::new(Templates::learn(&phrases, studied)))
}

/// What a listener noticed.
#[derive(Debug, Clone, PartialEq)]
pub enum Noticed {
    /// Speech began, at so many seconds.
    Started(f64),
    /// What has been said so far in this utterance.
    Partial(Guess),
}
