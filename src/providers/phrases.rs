//! Sentences that are said often, kept as sound: they are spoken at once, whatever the voice behind them does.
//!
//! The house's own sentences (fillers, apologies, goodbyes) are fetched when a tenant starts, so that a caller hears
//! something even when the voice is dead. Short clauses of the model are kept as they come. The memory has a bound; what
//! was not said for longest is forgotten first, the house's own sentences never.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::{
    StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};

use super::{ProviderError, Say, Tts, TtsCapabilities};
use crate::{
    call::{TtsEvent, clauses},
    language::Language,
};

/// Clauses longer than this are said once.
const CHARS_MAX: usize = 48;

/// Samples handed over at a time: 100 ms at 24 kHz, so that nothing waits for a whole sentence.
const CHUNK: usize = 2_400;

/// The sentences of the call room that must be at hand, besides its fillers.
const OWN: [&str; 8] = [
    "call.trouble",
    "call.apology",
    "call.deaf",
    "call.still_there",
    "call.goodbye",
    "call.goodbye_silence",
    "call.goodbye_time",
    "call.shutdown",
];

/// The house's own sentences in this language: what [`Tts::prepare`] is given when a tenant starts.
pub fn own(language: Language) -> Vec<Say> {
    let phrases = language.phrases();
    // Fillers are spoken whole, everything else clause by clause.
    let fillers = phrases.list("call.fillers").map(str::to_string);
    let clauses = OWN.iter().flat_map(|key| clauses(phrases.text(key), language));
    fillers.chain(clauses).map(|text| Say { text, language }).collect()
}

/// A voice that remembers.
pub struct PhraseCache {
    inner: Arc<dyn Tts>,
    kept: Arc<Mutex<Kept>>,
}

impl PhraseCache {
    /// Remembers up to this many bytes of sound in front of a voice.
    pub fn new(inner: Arc<dyn Tts>, bytes_max: usize) -> Self {
        Self { inner, kept: Arc::new(Mutex::new(Kept { sounds: VecDeque::new(), bytes: 0, bytes_max })) }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        lock(&self.kept)
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The whole sound of a sentence, if it can be had.
async fn fetch(voice: &dyn Tts, say: Say) -> Option<Vec<i16>> {
    let mut stream = voice.speak(say);
    let mut sound = Vec::new();
    while let Some(event) = stream.next().await {
        match event.ok()? {
            TtsEvent::Audio(samples) => sound.extend(samples),
            TtsEvent::Words(_) => {}
            TtsEvent::Done => return Some(sound),
        }
    }
    None
}

impl Tts for PhraseCache {
    fn capabilities(&self) -> TtsCapabilities {
        self.inner.capabilities()
    }

    fn warm(&self) -> BoxFuture<'static, ()> {
        self.inner.warm()
    }

    fn prepare(&self, sentences: Vec<Say>) -> BoxFuture<'static, usize> {
        let (inner, kept) = (self.inner.clone(), self.kept.clone());
        Box::pin(async move {
            let mut missing = 0;
            for say in sentences {
                if lock(&kept).has(&say) {
                    continue;
                }
                match fetch(&*inner, say.clone()).await {
                    Some(sound) => lock(&kept).keep(say, sound.into(), true),
                    None => missing += 1,
                }
            }
            missing
        })
    }

    fn speak(&self, say: Say) -> BoxStream<'static, Result<TtsEvent, ProviderError>> {
        if let Some(sound) = self.lock().find(&say) {
            let chunks = (0..sound.len()).step_by(CHUNK);
            let audio = chunks.map(move |from| {
                let to = sound.len().min(from + CHUNK);
                Ok(TtsEvent::Audio(sound[from..to].to_vec()))
            });
            return stream::iter(audio.chain([Ok(TtsEvent::Done)])).boxed();
        }
        if say.text.chars().count() > CHARS_MAX {
            return self.inner.speak(say);
        }
        let (kept, mut sound) = (self.kept.clone(), Vec::new());
        self.inner
            .speak(say.clone())
            .inspect(move |event| match event {
                Ok(TtsEvent::Audio(samples)) => sound.extend_from_slice(samples),
                Ok(TtsEvent::Done) => {
                    let sound = std::mem::take(&mut sound);
                    lock(&kept).keep(say.clone(), sound.into(), false);
                }
                Ok(TtsEvent::Words(_)) | Err(_) => {}
            })
            .boxed()
    }
}

/// What is remembered, the latest said at the back.
struct Kept {
    sounds: VecDeque<Sound>,
    bytes: usize,
    bytes_max: usize,
}

struct Sound {
    say: Say,
    samples: Arc<[i16]>,
    /// One of the house's own: never forgotten.
    own: bool,
}

impl Kept {
    fn has(&self, say: &Say) -> bool {
        self.sounds.iter().any(|sound| sound.say == *say)
    }

    fn find(&mut self, say: &Say) -> Option<Arc<[i16]>> {
        let at = self.sounds.iter().position(|sound| sound.say == *say)?;
        let sound = self.sounds.remove(at)?;
        let samples = sound.samples.clone();
        self.sounds.push_back(sound);
        Some(samples)
    }

    fn keep(&mut self, say: Say, samples: Arc<[i16]>, own: bool) {
        if samples.is_empty() || self.has(&say) {
            return;
        }
        self.bytes += samples.len() * 2;
        self.sounds.push_back(Sound { say, samples, own });
        while self.bytes > self.bytes_max {
            let Some(oldest) = self.sounds.iter().position(|sound| !sound.own) else { break };
            if let Some(sound) = self.sounds.remove(oldest) {
                self.bytes -= sound.samples.len() * 2;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::FutureExt;

    use super::*;
    use crate::{audio::Rate, providers::Kind};

    /// Speaks one sample a character, and counts; dead when told.
    struct Voice {
        spoken: AtomicUsize,
        dies_after: usize,
    }

    impl Tts for Voice {
        fn capabilities(&self) -> TtsCapabilities {
            TtsCapabilities { name: "test", rate: Rate::VOICE, alignment: false }
        }

        fn speak(&self, say: Say) -> BoxStream<'static, Result<TtsEvent, ProviderError>> {
            if self.spoken.fetch_add(1, Ordering::Relaxed) >= self.dies_after {
                return stream::iter([Err(ProviderError::upstream("test", Kind::Unreachable, "dead"))]).boxed();
            }
            let sound = vec![7; say.text.chars().count()];
            stream::iter([Ok(TtsEvent::Audio(sound)), Ok(TtsEvent::Done)]).boxed()
        }
    }

    fn say(text: &str) -> Say {
        Say { text: text.into(), language: Language::Italian }
    }

    fn hear(voice: &dyn Tts, text: &str) -> Option<usize> {
        let events: Vec<_> = voice.speak(say(text)).collect().now_or_never().expect("nothing waits here");
        let mut samples = 0;
        for event in events {
            match event.ok()? {
                TtsEvent::Audio(sound) => samples += sound.len(),
                TtsEvent::Words(_) | TtsEvent::Done => {}
            }
        }
        Some(samples)
    }

    #[test]
    fn the_house_s_own_sentences_outlive_the_voice() {
        let voice = Arc::new(Voice { spoken: AtomicUsize::new(0), dies_after: 30 });
        let cache = PhraseCache::new(voice.clone(), 1 << 20);
        let sentences = own(Language::Italian).into_iter().chain([say("Buongiorno.")]).collect();
        assert_eq!(cache.prepare(sentences).now_or_never(), Some(0));
        voice.spoken.store(100, Ordering::Relaxed);
        assert_eq!(hear(&cache, "Buongiorno."), Some(11));
        let filler = Language::Italian.phrases().list("call.fillers").next().expect("there is a filler");
        assert_eq!(hear(&cache, filler), Some(filler.chars().count()));
        assert_eq!(hear(&cache, "Altro."), None);
    }

    #[test]
    fn short_clauses_are_synthesised_once_and_memory_has_a_bound() {
        let voice = Arc::new(Voice { spoken: AtomicUsize::new(0), dies_after: usize::MAX });
        let cache = PhraseCache::new(voice.clone(), 40);
        for _ in 0..3 {
            assert_eq!(hear(&cache, "Certo."), Some(6));
        }
        assert_eq!(voice.spoken.load(Ordering::Relaxed), 1);
        assert_eq!(hear(&cache, "Un'altra frase."), Some(15));
        assert!(cache.lock().bytes <= 40);
        assert_eq!(hear(&cache, "Certo."), Some(6));
        assert_eq!(voice.spoken.load(Ordering::Relaxed), 3, "the older one was forgotten");
    }
}
