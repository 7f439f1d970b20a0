//! What the phrases sound like: each phrase in each caller's voice, as moments to compare the line with.

use super::{
    mfcc::{BANDS, Bands, Cepstrum, DIMS, Moment, Spectrum, loudness, moment, weights},
    phrasebook::Phrase,
};
use crate::audio::Rate;

/// Frames this far below the loud ones are silence at a template's edges (-35 dB).
const EDGE: f32 = 3e-4;

/// The phrases of one language in every voice.
#[derive(Debug)]
pub struct Templates {
    /// The words of each phrase and where in it they end, as fractions of its length.
    words: Vec<Vec<(String, f32)>>,
    /// The moments of all templates, one after the other, scaled by `scale`.
    pub(super) moments: Vec<Moment>,
    /// The templates.
    pub(super) spans: Vec<Span>,
    /// Makes the numbers of a moment comparable.
    scale: Scale,
}

/// One phrase in one voice.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    /// Which phrase.
    pub phrase: usize,
    /// Its first moment.
    pub first: usize,
    /// How many it has.
    pub len: usize,
    /// See [`Phrase::unit`].
    pub unit: bool,
}

/// The mean of each number over all templates, and what to multiply the difference by.
#[derive(Debug)]
struct Scale {
    mean: Moment,
    by: Moment,
}

impl Scale {
    fn of(moments: &[Moment]) -> Self {
        let count = moments.len().max(1) as f32;
        let mean: Moment = std::array::from_fn(|k| moments.iter().map(|m| m[k]).sum::<f32>() / count);
        let weights = weights();
        let by = std::array::from_fn(|k| {
            let variance = moments.iter().map(|m| (m[k] - mean[k]).powi(2)).sum::<f32>() / count;
            (weights[k] / (variance.max(1e-6) * DIMS as f32)).sqrt()
        });
        Self { mean, by }
    }

    fn apply(&self, moment: &Moment) -> Moment {
        std::array::from_fn(|k| (moment[k] - self.mean[k]) * self.by[k])
    }
}

impl Templates {
    /// Learns the phrases from what was [`studied`], voice by voice.
    pub fn learn(phrases: &[Phrase], voices: Vec<Vec<(usize, Vec<Moment>)>>) -> Self {
        let mut moments = Vec::new();
        let mut spans = Vec::new();
        for (phrase, clip) in voices.into_iter().flatten() {
            // Anything shorter was not spoken.
            if clip.len() >= 3 {
                spans.push(Span { phrase, first: moments.len(), len: clip.len(), unit: phrases[phrase].unit });
                moments.extend(clip);
            }
        }
        let scale = Scale::of(&moments);
        moments.iter_mut().for_each(|moment| *moment = scale.apply(moment));
        let words = phrases.iter().map(|phrase| words(&phrase.text)).collect();
        Self { words, moments, spans, scale }
    }

    /// A moment of the line, comparable with those of the templates.
    pub fn scaled(&self, moment: &Moment) -> Moment {
        self.scale.apply(moment)
    }

    /// The words of a phrase and where each ends, as a fraction.
    pub fn words(&self, phrase: usize) -> &[(String, f32)] {
        &self.words[phrase]
    }

    /// How many moments there are to compare each frame with.
    pub fn count(&self) -> usize {
        self.moments.len()
    }
}

/// The moments of clips, each with the index of its phrase.
pub fn studied(clips: Vec<(usize, Vec<i16>)>, rate: Rate) -> Vec<(usize, Vec<Moment>)> {
    let mut spectrum = Spectrum::new(rate);
    clips.into_iter().map(|(phrase, pcm)| (phrase, listened(&mut spectrum, &pcm))).collect()
}

/// The moments of a clip, without the silence at its edges.
fn listened(spectrum: &mut Spectrum, pcm: &[i16]) -> Vec<Moment> {
    let bands = framed(spectrum, pcm);
    let loud = loudest(&bands);
    let heard = |bands: &Bands| loudness(bands) > EDGE * loud;
    let Some(from) = bands.iter().position(heard) else { return Vec::new() };
    let to = bands.iter().rposition(heard).unwrap_or(from);
    let cepstra: Vec<Cepstrum> =
        bands[from..=to].iter().map(|bands| spectrum.cepstrum(bands, &[0.0; BANDS], loud)).collect();
    let at = |n: usize, by: isize| &cepstra[n.saturating_add_signed(by).min(cepstra.len() - 1)];
    (0..cepstra.len()).map(|n| moment([at(n, -2), at(n, -1), at(n, 0), at(n, 1), at(n, 2)])).collect()
}

/// The bands of every frame of a clip, with half a window of silence around it.
pub(super) fn framed(spectrum: &mut Spectrum, pcm: &[i16]) -> Vec<Bands> {
    let (window, hop) = (spectrum.window(), spectrum.hop());
    let mut padded = vec![0; window / 2];
    padded.extend_from_slice(pcm);
    padded.resize(padded.len() + window, 0);
    padded.windows(window).step_by(hop).map(|window| spectrum.bands(window)).collect()
}

/// The loudness of the loud parts: the loudest three frames in a row.
pub(super) fn loudest(bands: &[Bands]) -> f32 {
    let loud: Vec<f32> = bands.iter().map(loudness).collect();
    loud.windows(3).map(|three| three.iter().sum::<f32>() / 3.0).fold(1e-9, f32::max)
}

/// The words of a text and where each ends, by counting letters.
fn words(text: &str) -> Vec<(String, f32)> {
    let letters = |word: &str| word.chars().filter(|letter| letter.is_alphanumeric()).count().max(1);
    let all: usize = text.split_whitespace().map(letters).sum();
    let mut heard = 0;
    text.split_whitespace()
        .map(|word| {
            heard += letters(word);
            (word.to_string(), heard as f32 / all.max(1) as f32)
        })
        .collect()
}
