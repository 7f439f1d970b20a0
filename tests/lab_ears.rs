//! The lab's ears hear what the simulated callers say, and a damaged line is heard as damage.
#![cfg(feature = "load")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that cannot go on has failed; rates are printed")]

use std::sync::Arc;

use pronto::{
    audio::{Decoder, Encoder, Format, Rate, Resampler},
    language::Language,
    load::lab::{
        ears::{Ears, Guess, Kind, Noticed},
        phrasebook::{Phrasebook, normal},
        speech::{Speech, Voice},
    },
};
use tokio::sync::OnceCell;

/// Every phrase once, the voices taking turns.
async fn said(speech: &Speech, language: Language, rate: Rate) -> Vec<(String, Vec<i16>)> {
    let phrases: Vec<&str> = Phrasebook::of(language).phrases().collect();
    let mut said = Vec::new();
    for (turn, voice) in Voice::callers(language).iter().enumerate() {
        for phrase in phrases.iter().skip(turn).step_by(3) {
            said.push((phrase.to_string(), speech.say(phrase, voice, rate).await.unwrap().to_vec()));
        }
    }
    said
}

/// A clip as a stream, in 20 ms pieces: the final guess and the partial texts.
async fn streamed(ears: &Ears, language: Language, pcm: &[i16]) -> (Guess, Vec<String>) {
    let mut listener = ears.listen(language).await.unwrap();
    let mut noticed = Vec::new();
    pcm.chunks(320).for_each(|piece| listener.hear(piece, &mut noticed));
    let partials = noticed
        .into_iter()
        .filter_map(|noticed| match noticed {
            Noticed::Partial(guess) => Some(guess.text()),
            Noticed::Started(_) => None,
        })
        .collect();
    (listener.finish().unwrap_or_default(), partials)
}

/// With 400 ms of silence before and after.
fn padded(pcm: &[i16]) -> Vec<i16> {
    let quiet = vec![0; 6_400];
    [&quiet[..], pcm, &quiet[..]].concat()
}

/// With white noise, so many decibels below the speech.
fn noisy(pcm: &[i16], db: f64, seed: u64) -> Vec<i16> {
    let speech: f64 = pcm.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>()
        / pcm.iter().filter(|s| s.unsigned_abs() > 40).count().max(1) as f64;
    let level = (speech / 10f64.powf(db / 10.0)).sqrt();
    let mut state = seed | 1;
    pcm.iter()
        .map(|sample| {
            // The sum of four uniform numbers is noise enough.
            let mut sum = 0.0;
            for _ in 0..4 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                sum += (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5;
            }
            (f64::from(*sample) + sum * level * 3f64.sqrt()).clamp(-32_768.0, 32_767.0) as i16
        })
        .collect()
}

/// How often it is wrong, and how sure it is.
#[derive(Debug, Default)]
struct Score {
    said: usize,
    wrong: usize,
    sure: f32,
    examples: Vec<String>,
}

impl Score {
    fn add(&mut self, text: &str, guess: &Guess) {
        self.said += 1;
        self.sure += guess.confidence;
        if normal(&guess.text()) != normal(text) {
            self.wrong += 1;
            self.examples.push(format!("{text:?} -> {:?} ({:.2})", guess.text(), guess.confidence));
        }
    }
    fn rate(&self) -> f32 {
        self.wrong as f32 / self.said as f32
    }
    fn confidence(&self) -> f32 {
        self.sure / self.said as f32
    }
}

/// Says each phrase, changes the sound, and listens to every `step`th.
async fn score(ears: &Ears, said: &[(String, Vec<i16>)], step: usize, change: impl Fn(&[i16]) -> Vec<i16>) -> Score {
    let mut score = Score::default();
    for (text, pcm) in said.iter().step_by(step) {
        score.add(text, &streamed(ears, Language::Italian, &change(&padded(pcm))).await.0);
    }
    score
}

/// To 8 kHz mu-law and back.
fn telephone(pcm: &[i16]) -> Vec<i16> {
    let mut narrow = Vec::new();
    let mut wide = Vec::new();
    let mut down = Resampler::new(Rate::WIDE, Rate::PHONE);
    let mut up = Resampler::new(Rate::PHONE, Rate::WIDE);
    down.process(pcm, &mut narrow);
    let mut bytes = Vec::new();
    Encoder::new(Format::MULAW_PHONE).unwrap().encode(&narrow, &mut bytes);
    narrow.clear();
    Decoder::new(Format::MULAW_PHONE).unwrap().decode(&bytes, &mut narrow);
    up.process(&narrow, &mut wide);
    wide
}

/// Without optimisation listening is twenty times slower: then every eighth phrase has to do.
const STEP: usize = if cfg!(debug_assertions) { 8 } else { 1 };

/// What was said, and its sound.
type Said = Vec<(String, Vec<i16>)>;

/// Ears take a second to learn: once is enough for all tests.
async fn ready() -> (&'static Ears, &'static [(String, Vec<i16>)]) {
    static READY: OnceCell<(Ears, Said)> = OnceCell::const_new();
    let (ears, said) = READY
        .get_or_init(async || {
            let speech = Arc::new(Speech::new().await.expect("espeak-ng is installed"));
            let extra = (Language::Italian, "vorrei un'auto sostitutiva".to_string());
            let ears = Ears::new(speech.clone(), vec![extra]);
            ears.learn(Language::Italian).await.unwrap();
            (ears, said(&speech, Language::Italian, Rate::WIDE).await)
        })
        .await;
    (ears, said)
}

#[tokio::test]
async fn every_phrase_is_recognised_from_a_clean_line() {
    let (ears, said) = ready().await;
    let score = score(ears, said, STEP, <[i16]>::to_vec).await;
    assert_eq!(score.wrong, 0, "{:#?}", score.examples);
    assert!(score.confidence() > 0.9, "{score:?}");
}

#[tokio::test]
async fn every_phrase_is_recognised_through_the_telephone() {
    let (ears, said) = ready().await;
    let score = score(ears, said, STEP, telephone).await;
    assert_eq!(score.wrong, 0, "{:#?}", score.examples);
    assert!(score.confidence() > 0.9, "{score:?}");
}

#[tokio::test]
async fn noise_is_borne_down_to_10_decibels() {
    let (ears, said) = ready().await;
    for (db, most) in [(20.0, 0.02), (10.0, 0.06)] {
        let score = score(ears, said, STEP, |pcm| noisy(pcm, db, 7)).await;
        println!("{db} dB: {:.1} % of phrases wrong, confidence {:.2}", 100.0 * score.rate(), score.confidence());
        assert!(score.rate() <= most, "at {db} dB: {:#?}", score.examples);
    }
}

#[tokio::test]
async fn a_damaged_line_is_heard_as_damage() {
    let (ears, said) = ready().await;
    let clean = score(ears, said, STEP + 3, <[i16]>::to_vec).await;
    let lost = score(ears, said, STEP + 3, |pcm| {
        pcm.chunks(320).enumerate().filter(|(frame, _)| frame % 20 != 13).flat_map(|(_, pcm)| pcm.to_vec()).collect()
    })
    .await;
    let fast = score(ears, said, STEP + 3, |pcm| pcm.iter().step_by(2).copied().collect()).await;
    let swapped = score(ears, said, STEP + 3, |pcm| pcm.iter().map(|sample| sample.swap_bytes()).collect()).await;
    let clipped = score(ears, said, STEP + 3, |pcm| pcm.iter().map(|sample| sample.saturating_mul(8)).collect()).await;
    for (what, score) in
        [("clean", &clean), ("5 % lost", &lost), ("twice as fast", &fast), ("swapped", &swapped), ("clipped", &clipped)]
    {
        println!("{what}: {:.1} % of phrases wrong, confidence {:.2}", 100.0 * score.rate(), score.confidence());
    }
    assert!(lost.confidence() < clean.confidence() - 0.03, "lost frames go unnoticed");
    assert!(clipped.confidence() < clean.confidence() - 0.2, "clipping goes unnoticed");
    for broken in [fast, swapped] {
        assert!(broken.rate() > 0.95 && broken.confidence() < 0.4, "a broken line is understood");
    }
}

#[tokio::test]
async fn partials_grow_into_the_phrase() {
    let (ears, said) = ready().await;
    let text = "vorrei prenotare un appuntamento";
    let (_, pcm) = said.iter().find(|(said, _)| said == text).unwrap();
    let (guess, partials) = streamed(ears, Language::Italian, &padded(pcm)).await;
    assert_eq!(guess.text(), text);
    assert!(partials.len() >= 3, "{partials:?}");
    assert!(partials.iter().all(|partial| text.starts_with(partial.as_str())), "{partials:?}");
    let (first, last) = (&guess.words[0], &guess.words[3]);
    assert!((0.3..0.6).contains(&first.from), "{first:?}");
    assert!(last.to > first.to && last.to < pcm.len() as f64 / 16_000.0 + 0.6, "{last:?}");
}

#[tokio::test]
async fn phrases_may_be_strung_together_and_a_pause_does_not_matter() {
    let speech = Speech::new().await.unwrap();
    let (ears, _) = ready().await;
    let voice = &Voice::callers(Language::Italian)[1];
    for said in ["sì grazie, domani alle nove", "vorrei un'auto sostitutiva", "tre quattro otto zero nove"] {
        let pcm = speech.say(said, voice, Rate::WIDE).await.unwrap();
        let (guess, _) = streamed(ears, Language::Italian, &padded(&pcm)).await;
        assert_eq!(normal(&guess.text()), normal(said));
        // A whole clip, trimmed, as a file transcription gets it.
        assert_eq!(normal(&ears.recognise(Language::Italian, pcm.to_vec()).await.unwrap().text()), normal(said));
    }
}

#[tokio::test]
async fn english_is_understood_too() {
    let (ears, _) = ready().await;
    let speech = Speech::new().await.unwrap();
    let mut score = Score::default();
    for (text, pcm) in said(&speech, Language::English, Rate::WIDE).await.iter().step_by(STEP) {
        score.add(text, &streamed(ears, Language::English, &padded(pcm)).await.0);
    }
    assert_eq!(score.wrong, 0, "{:#?}", score.examples);
}

#[tokio::test]
async fn silence_and_noise_are_no_words() {
    let (ears, _) = ready().await;
    let hiss = noisy(&[vec![0; 16_000], vec![400; 16_000]].concat(), 20.0, 3);
    for pcm in [vec![0; 32_000], hiss] {
        let (guess, partials) = streamed(ears, Language::Italian, &pcm).await;
        assert_eq!((guess.text(), partials.len()), (String::new(), 0));
    }
}

#[tokio::test]
async fn the_quick_ears_tell_every_line_from_the_others() {
    let speech = Arc::new(Speech::new().await.unwrap());
    let ears = Ears::of(Kind::Quick, speech.clone(), vec![]);
    let (mut right, mut all) = (0, 0);
    for (phrase, pcm) in said(&speech, Language::Italian, Rate::WIDE).await {
        for heard in [padded(&pcm), telephone(&padded(&pcm)), noisy(&padded(&pcm), 20.0, 7)] {
            let (guess, _) = streamed(&ears, Language::Italian, &heard).await;
            right += u32::from(normal(&guess.text()) == normal(&phrase));
            all += 1;
        }
    }
    println!("{right} of {all} lines");
    assert!(f64::from(right) / f64::from(all) > 0.95, "{right} of {all}");
}
