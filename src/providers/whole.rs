//! Recognisers that take a whole utterance at a time: the caller's audio is cut at the commits.
//!
//! Between two commits the audio is kept, without the silence in front of it. At a commit it goes to the recogniser,
//! and what comes back is a final, then the answer to the commit. Several may be under way at once; they are told in
//! order. Too little voice is not sent at all: recognisers make up sentences for noise.

use std::time::Duration;

use futures_util::{
    StreamExt,
    stream::{BoxStream, FuturesOrdered},
};

use super::{
    Heard, ProviderError,
    flow::{Out, flow},
};
use crate::{audio::Rate, call::SttEvent, language::Language};

/// The longest utterance; of a longer one the beginning is dropped.
const UTTERANCE_MAX: Duration = Duration::from_secs(60);
/// Kept in front of the first voiced frame: the consonant that begins a word is soft.
const PRE_ROLL: Duration = Duration::from_millis(200);
/// Less voice than this is a click or a breath.
const VOICED_MIN: Duration = Duration::from_millis(100);
/// Voiced frames are louder than this (-44 dB of full scale).
const VOICED_RMS: i64 = 200;
/// Utterances under way at once; while so many are, no more audio is read.
const UNDER_WAY_MAX: usize = 4;
/// Samples of a frame of 20 ms.
const FRAME: usize = Rate::WIDE.samples(Duration::from_millis(20));

/// Listens with a recogniser of whole utterances.
pub(super) fn listen<F>(
    audio: BoxStream<'static, Heard>,
    language: Language,
    transcribe: impl Fn(Vec<i16>) -> F + Send + 'static,
) -> BoxStream<'static, Result<SttEvent, ProviderError>>
where
    F: Future<Output = Result<String, ProviderError>> + Send + 'static,
{
    flow(move |out| run(audio, language, transcribe, out))
}

async fn run<F>(
    mut audio: BoxStream<'static, Heard>,
    language: Language,
    transcribe: impl Fn(Vec<i16>) -> F + Send + 'static,
    out: Out<SttEvent>,
) -> Result<(), ProviderError>
where
    F: Future<Output = Result<String, ProviderError>> + Send + 'static,
{
    let mut utterance = Utterance::default();
    let mut under_way = FuturesOrdered::new();
    let mut hearing = true;
    while hearing || !under_way.is_empty() {
        tokio::select! {
            biased;
            Some((commit, text)) = under_way.next(), if !under_way.is_empty() => {
                let text: Option<String> = text?;
                if let Some(text) = text.as_deref().map(str::trim).filter(|text| is_speech(text, language)) {
                    out.put(SttEvent::Final { text: text.to_string() }).await;
                }
                if let Some(commit) = commit {
                    out.put(SttEvent::Committed { commit }).await;
                }
            }
            heard = audio.next(), if hearing && under_way.len() < UNDER_WAY_MAX => {
                let commit = match heard {
                    Some(Heard::Audio(samples)) => {
                        utterance.hear(&samples);
                        continue;
                    }
                    Some(Heard::Commit(commit)) => Some(commit),
                    // What was not committed when the line closed is still what the caller said.
                    None => {
                        hearing = false;
                        None
                    }
                };
                let transcript = utterance.take().map(&transcribe);
                under_way.push_back(async move {
                    match transcript {
                        Some(transcript) => (commit, transcript.await.map(Some)),
                        None => (commit, Ok(None)),
                    }
                });
            }
        }
    }
    Ok(())
}

/// Not empty, not a mark like `[BLANK_AUDIO]` or `(musica)`, and not one of the sentences that recognisers make up.
fn is_speech(text: &str, language: Language) -> bool {
    let marked = |open: char, close: char| text.starts_with(open) && text.ends_with(close);
    let bare = text.trim_end_matches(['.', '!', ' ']).to_lowercase();
    text.chars().any(char::is_alphanumeric)
        && !marked('[', ']')
        && !marked('(', ')')
        && !marked('*', '*')
        && language.phrases().list("providers.hallucinations").all(|made_up| made_up != bare)
}

/// What the caller said since the last commit.
#[derive(Debug, Default)]
struct Utterance {
    /// From the pre-roll of the first voiced frame on; before there is one, the pre-roll alone.
    samples: Vec<i16>,
    /// How much of it was looked at for voice.
    looked: usize,
    /// Voiced samples.
    voiced: usize,
}

impl Utterance {
    fn hear(&mut self, samples: &[i16]) {
        // What is kept of a long silence needs no more room than it takes.
        if self.voiced == 0 {
            self.samples.reserve_exact(samples.len());
        }
        self.samples.extend_from_slice(samples);
        while let Some(frame) = self.samples.get(self.looked..self.looked + FRAME) {
            let power: i64 = frame.iter().map(|sample| i64::from(*sample) * i64::from(*sample)).sum();
            if power > VOICED_RMS * VOICED_RMS * FRAME as i64 {
                self.voiced += FRAME;
            }
            self.looked += FRAME;
        }
        let keep = if self.voiced == 0 {
            Rate::WIDE.samples(PRE_ROLL) + (self.samples.len() - self.looked)
        } else {
            Rate::WIDE.samples(UTTERANCE_MAX)
        };
        // In steps, so that a long silence is not moved about with every frame.
        if self.samples.len() > keep + Rate::WIDE.samples(PRE_ROLL) / 2 {
            let drop = self.samples.len() - keep;
            self.samples.drain(..drop);
            self.looked = self.looked.saturating_sub(drop);
        }
    }

    /// The utterance, if there was one; the next one begins.
    fn take(&mut self) -> Option<Vec<i16>> {
        let heard = std::mem::take(self);
        (heard.voiced >= Rate::WIDE.samples(VOICED_MIN)).then_some(heard.samples)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use tokio::time::sleep;

    use super::*;
    use crate::providers::Kind;

    fn voice(ms: u64) -> Heard {
        let samples = Rate::WIDE.samples(Duration::from_millis(ms));
        Heard::Audio((0..samples).map(|n| if n % 40 < 20 { 3_000 } else { -3_000 }).collect())
    }

    fn silence(ms: u64) -> Heard {
        Heard::Audio(vec![3; Rate::WIDE.samples(Duration::from_millis(ms))])
    }

    fn final_(text: &str) -> Result<SttEvent, ProviderError> {
        Ok(SttEvent::Final { text: text.into() })
    }

    fn committed(commit: u32) -> Result<SttEvent, ProviderError> {
        Ok(SttEvent::Committed { commit })
    }

    fn ms(samples: &[i16]) -> u128 {
        Rate::WIDE.duration(samples.len() as u64).as_millis()
    }

    #[tokio::test(start_paused = true)]
    async fn commits_that_overlap_are_answered_in_order() {
        let audio =
            [voice(2_000), Heard::Commit(1), voice(500), Heard::Commit(2), voice(90), Heard::Commit(3), voice(300)];
        let events = listen(stream::iter(audio).boxed(), Language::Italian, |samples| async move {
            // The longer one takes longer.
            sleep(Duration::from_millis(ms(&samples) as u64)).await;
            Ok(format!(" {} \n", ms(&samples)))
        });
        let events: Vec<_> = events.collect().await;
        assert_eq!(
            events,
            [final_("2000"), committed(1), final_("500"), committed(2), committed(3), final_("300")],
            "too short a voice is committed without text, and the end of the line commits what is left"
        );
    }

    #[tokio::test]
    async fn silence_in_front_is_left_out_and_bounded() {
        let mut utterance = Utterance::default();
        for _ in 0..5_000 {
            if let Heard::Audio(samples) = silence(7) {
                utterance.hear(&samples);
            }
        }
        assert!(ms(&utterance.samples) <= 420, "{}", ms(&utterance.samples));
        assert_eq!(utterance.take(), None);
        for heard in [silence(3_000), voice(400)] {
            if let Heard::Audio(samples) = heard {
                utterance.hear(&samples);
            }
        }
        let taken = ms(&utterance.take().unwrap());
        assert!((600..=820).contains(&taken), "{taken}");
        if let Heard::Audio(samples) = voice(70_000) {
            utterance.hear(&samples);
        }
        assert!(ms(&utterance.samples) <= 60_200);
    }

    #[tokio::test]
    async fn a_failure_is_the_last_word() {
        let audio = stream::iter([voice(300), Heard::Commit(1)]).chain(stream::pending()).boxed();
        let events = listen(audio, Language::Italian, |_| async {
            Err(ProviderError::upstream("test", Kind::Unreachable, "down"))
        });
        let events: Vec<_> = events.collect().await;
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].as_ref().unwrap_err().kind, Kind::Unreachable);
    }

    #[test]
    fn noise_is_no_speech() {
        for (text, speech) in [
            ("Sì.", true),
            ("[BLANK_AUDIO]", false),
            ("(musica)", false),
            ("...", false),
            ("", false),
            ("Sottotitoli creati dalla comunità Amara.org", false),
            ("Grazie per la visione!", false),
            ("Grazie per la visione, vorrei un tagliando", true),
        ] {
            assert_eq!(is_speech(text, Language::Italian), speech, "{text}");
        }
    }
}
