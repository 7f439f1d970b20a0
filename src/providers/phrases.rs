//! Sentences that are said often, kept as sound: they are spoken at once, whatever the voice behind them does.
//!
//! The house's own sentences (fillers, apologies, goodbyes) are fetched when a tenant starts, so that a caller hears
//! something even when the voice is dead. Short clauses of the model are kept when they come a second time: most come
//! once. The memory has a bound, and what is in it is [packed](Packed); what was not said for longest is forgotten
//! first, the house's own sentences never.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::{
    StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};

use super::{ProviderError, Say, Tts, TtsCapabilities};
use crate::{
    audio::Packed,
    call::{TtsEvent, clauses},
    language::Language,
};

/// Clauses longer than this are said once.
const CHARS_MAX: usize = 48;

/// Samples handed over at a time: 100 ms at 24 kHz, so that nothing waits for a whole sentence.
const CHUNK: usize = 2_400;

/// Clauses remembered as said once.
const ONCE_MAX: usize = 256;

/// A clause that takes more of the memory than one part in so many is not kept.
const SHARE: usize = 8;

/// The sentences of the call room that must be at hand, besides its fillers.
const OWN: [&str; 9] = [
    "call.trouble",
    "call.apology",
    "call.deaf",
    "call.still_there",
    "call.line_back",
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
        Self { inner, kept: Arc::new(Mutex::new(Kept { bytes_max, ..Kept::default() })) }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        lock(&self.kept)
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Packs a piece of sound, in parts that are handed over one by one.
fn pack(samples: &[i16], packed: &mut Vec<Packed>) {
    packed.extend(samples.chunks(CHUNK).map(Packed::new));
}

/// The whole sound of a sentence, if it can be had.
async fn fetch(voice: &dyn Tts, say: Say) -> Option<Vec<Packed>> {
    let mut stream = voice.speak(say);
    let mut sound = Vec::new();
    while let Some(event) = stream.next().await {
        match event.ok()? {
            TtsEvent::Audio(samples) => pack(&samples, &mut sound),
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
                    Some(sound) => lock(&kept).keep(say, sound, true),
                    None => missing += 1,
                }
            }
            missing
        })
    }

    fn speak(&self, say: Say) -> BoxStream<'static, Result<TtsEvent, ProviderError>> {
        let mut kept = self.lock();
        if let Some(sound) = kept.find(&say) {
            let audio = (0..sound.len()).map(move |at| {
                let mut samples = Vec::new();
                sound[at].unpack(0..sound[at].len(), &mut samples);
                Ok(TtsEvent::Audio(samples))
            });
            return stream::iter(audio.chain([Ok(TtsEvent::Done)])).boxed();
        }
        if say.text.chars().count() > CHARS_MAX || !kept.wants(&say) {
            drop(kept);
            return self.inner.speak(say);
        }
        let bytes_max = kept.bytes_max / SHARE;
        drop(kept);
        let kept = self.kept.clone();
        let mut gathering = Gathering { kept, say: say.clone(), sound: Vec::new(), bytes: 0, bytes_max };
        self.inner.speak(say).inspect(move |event| gathering.hear(event)).boxed()
    }
}

/// A clause that is being spoken and will be kept. One at a time of each: a hundred callers may be told the same.
struct Gathering {
    kept: Arc<Mutex<Kept>>,
    say: Say,
    /// So far; none of it once it is too much.
    sound: Vec<Packed>,
    /// What has come takes so much.
    bytes: usize,
    bytes_max: usize,
}

impl Gathering {
    fn hear(&mut self, event: &Result<TtsEvent, ProviderError>) {
        match event {
            Ok(TtsEvent::Audio(samples)) => {
                self.bytes += samples.len();
                if self.bytes <= self.bytes_max {
                    pack(samples, &mut self.sound);
                } else {
                    self.sound = Vec::new();
                }
            }
            Ok(TtsEvent::Done) => {
                let sound = std::mem::take(&mut self.sound);
                lock(&self.kept).keep(self.say.clone(), sound, false);
            }
            Ok(TtsEvent::Words(_)) | Err(_) => {}
        }
    }
}

impl Drop for Gathering {
    fn drop(&mut self) {
        let number = number(&self.say);
        lock(&self.kept).gathered.retain(|of| *of != number);
    }
}

/// What a sentence is remembered by where its sound is not kept.
fn number(say: &Say) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&say.text, say.language.code()).hash(&mut hasher);
    hasher.finish()
}

/// What is remembered.
#[derive(Default)]
struct Kept {
    /// The latest said at the back.
    sounds: VecDeque<Sound>,
    /// What they take.
    bytes: usize,
    bytes_max: usize,
    /// Clauses that were said once, the oldest first.
    once: VecDeque<u64>,
    /// Clauses that are being gathered.
    gathered: Vec<u64>,
}

struct Sound {
    say: Say,
    parts: Arc<[Packed]>,
    /// One of the house's own: never forgotten.
    own: bool,
}

impl Sound {
    fn size(&self) -> usize {
        self.parts.iter().map(Packed::size).sum()
    }
}

impl Kept {
    /// This clause has been said before, and nobody is gathering its sound.
    fn wants(&mut self, say: &Say) -> bool {
        let number = number(say);
        if self.gathered.contains(&number) {
            return false;
        }
        let Some(at) = self.once.iter().position(|of| *of == number) else {
            self.once.push_back(number);
            if self.once.len() > ONCE_MAX {
                self.once.pop_front();
            }
            return false;
        };
        self.gathered.push(number);
        // At the back again: a sentence that is said every day is not new tomorrow.
        self.once.remove(at);
        self.once.push_back(number);
        true
    }

    fn has(&self, say: &Say) -> bool {
        self.sounds.iter().any(|sound| sound.say == *say)
    }

    fn find(&mut self, say: &Say) -> Option<Arc<[Packed]>> {
        let at = self.sounds.iter().position(|sound| sound.say == *say)?;
        let sound = self.sounds.remove(at)?;
        let parts = sound.parts.clone();
        self.sounds.push_back(sound);
        Some(parts)
    }

    fn keep(&mut self, say: Say, parts: Vec<Packed>, own: bool) {
        let sound = Sound { say, parts: parts.into(), own };
        let size = sound.size();
        if sound.parts.is_empty() || self.has(&sound.say) {
            return;
        }
        self.bytes += size;
        self.sounds.push_back(sound);
        while self.bytes > self.bytes_max {
            let Some(oldest) = self.sounds.iter().position(|sound| !sound.own) else { break };
            if let Some(sound) = self.sounds.remove(oldest) {
                self.bytes -= sound.size();
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
    fn short_clauses_are_kept_when_they_come_again_and_memory_has_a_bound() {
        let voice = Arc::new(Voice { spoken: AtomicUsize::new(0), dies_after: usize::MAX });
        let one = Packed::new(&[7; 6]).size();
        let cache = PhraseCache::new(voice.clone(), SHARE * one);
        for _ in 0..4 {
            assert_eq!(hear(&cache, "Certo."), Some(6));
        }
        assert_eq!(voice.spoken.load(Ordering::Relaxed), 2, "once for each of the first two");
        for clause in 0..2 * SHARE {
            assert_eq!(hear(&cache, &format!("E {clause:03}.")), Some(6));
            assert_eq!(hear(&cache, &format!("E {clause:03}.")), Some(6));
        }
        assert!((1..=SHARE * one).contains(&cache.lock().bytes));
        assert_eq!(hear(&cache, "Certo."), Some(6));
        assert_eq!(voice.spoken.load(Ordering::Relaxed), 2 + 4 * SHARE + 1, "the oldest was forgotten");
        assert_eq!(hear(&cache, "Certo."), Some(6));
        assert_eq!(voice.spoken.load(Ordering::Relaxed), 2 + 4 * SHARE + 1, "and is kept again at once");
    }

    #[test]
    fn what_is_said_once_or_is_long_or_breaks_off_leaves_nothing_behind() {
        let voice = Arc::new(Voice { spoken: AtomicUsize::new(0), dies_after: usize::MAX });
        let cache = PhraseCache::new(voice, SHARE * 32);
        for clause in 0..3 * ONCE_MAX {
            assert!(hear(&cache, &format!("Clausola {clause}.")).is_some());
        }
        for _ in 0..3 {
            assert_eq!(hear(&cache, "Questa frase prende troppo della memoria."), Some(41));
            // Cut off in the middle.
            drop(cache.speak(say("Interrotta.")));
        }
        let kept = cache.lock();
        assert_eq!((kept.sounds.len(), kept.bytes, kept.gathered.len(), kept.once.len()), (0, 0, 0, ONCE_MAX));
    }

    #[test]
    fn a_sentence_that_a_hundred_hear_at_once_is_gathered_once() {
        let voice = Arc::new(Voice { spoken: AtomicUsize::new(0), dies_after: usize::MAX });
        let cache = PhraseCache::new(voice, 1 << 20);
        let streams: Vec<_> = (0..100).map(|_| cache.speak(say("Certo."))).collect();
        assert_eq!(cache.lock().gathered.len(), 1);
        drop(streams);
        assert_eq!(cache.lock().gathered.len(), 0);
    }
}
