//! The careful ears: a search through every phrase in every voice, frame by frame. They hear damage; a caller costs them
//! tens of milliseconds of computing for each second of speech.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use super::{
    ears::{Guess, Noticed, SURE, Word, frames},
    mfcc::{BANDS, Bands, Cepstrum, HOP, Moment, Spectrum, WINDOW, loudness, moment},
    search::{Found, Search},
    templates::{Templates, framed, loudest},
};
use crate::audio::Rate;

/// Frames kept from before speech is noticed.
const BEFORE: usize = 10;
/// Loud frames in a row that begin speech.
const ONSET: usize = 3;
/// What stands out of the noise by this much may be speech (5 dB).
const ABOVE_NOISE: f32 = 3.0;
/// Below this loudness nothing is speech (about -58 dBFS).
const INAUDIBLE: f32 = 2e-4;
/// The first frames of a line are its noise, unless they are as loud as speech.
const FIRST: u64 = 6;
/// No line is as noisy as this (about -30 dBFS).
const LOUD_LINE: f32 = 0.1;
/// Frames in which speech has certainly paused somewhere, so that the quietest is noise.
const BLOCK: usize = 64;
/// A new partial at most every so many frames (240 ms).
const PARTIAL: usize = 15;
/// Frames in an utterance (30 s): a longer one is cut there.
const LONGEST: usize = 1_875;
/// Careful ears on one stream of 16 kHz sound.
pub struct Careful {
    /// The phrases.
    templates: Arc<Templates>,
    /// Samples to cepstra.
    spectrum: Spectrum,
    /// Samples that do not fill a window yet.
    samples: VecDeque<i16>,
    /// Frames taken from the stream.
    frames: u64,
    /// The noise under everything.
    noise: Bands,
    /// The quietest frame of the current block, and how many frames the block has.
    quietest: (Bands, usize),
    /// How loud the loud parts are.
    loud: f32,
    /// The last frames, for the beginning of the next utterance.
    recent: VecDeque<Bands>,
    /// How many of the last frames were loud, up to now without a pause.
    loud_run: usize,
    /// Frames since the last loud one.
    quiet: usize,
    /// The utterance under way.
    utterance: Option<Utterance>,
}

/// An utterance that has not been finished.
struct Utterance {
    /// The paths through it.
    search: Search,
    /// The number of its first frame.
    first: u64,
    /// The last five frames and how much they cost as silence: a slope needs its neighbours.
    around: VecDeque<(Cepstrum, f32)>,
    /// The frame count at the last partial.
    told: usize,
    /// The words of the last partial.
    words: usize,
}

impl Careful {
    /// Ears for these phrases.
    pub fn new(templates: Arc<Templates>) -> Self {
        Self {
            templates,
            spectrum: Spectrum::new(Rate::WIDE),
            samples: VecDeque::new(),
            frames: 0,
            noise: [0.0; BANDS],
            quietest: ([f32::INFINITY; BANDS], 0),
            loud: INAUDIBLE,
            recent: VecDeque::with_capacity(BEFORE),
            loud_run: 0,
            quiet: 0,
            utterance: None,
        }
    }

    /// Hears some samples; tells what it noticed.
    pub fn hear(&mut self, pcm: &[i16], noticed: &mut Vec<Noticed>) {
        self.samples.extend(pcm);
        while self.samples.len() >= WINDOW {
            let mut window = [0; WINDOW];
            self.samples.iter().zip(&mut window).for_each(|(from, to)| *to = *from);
            self.samples.drain(..HOP);
            let bands = self.spectrum.bands(&window);
            self.frame(bands, noticed);
        }
    }

    /// Recognises a whole clip.
    pub fn clip(mut self, pcm: &[i16]) -> Guess {
        let frames = framed(&mut self.spectrum, pcm);
        self.tune(&frames);
        self.begin(VecDeque::from(frames));
        self.finish().unwrap_or_default()
    }

    /// Somebody is speaking, or paused within an utterance that was not finished.
    pub fn speaking(&self) -> bool {
        self.utterance.is_some()
    }

    /// How long it has been quiet.
    pub fn quiet(&self) -> Duration {
        frames(self.quiet as u64)
    }

    /// How much was heard.
    pub fn heard(&self) -> Duration {
        frames(self.frames)
    }

    /// What has been said so far in this utterance, were it to end now.
    pub fn guess(&self) -> Option<Guess> {
        let utterance = self.utterance.as_ref()?;
        Some(sure(guess(&self.templates, &utterance.search.found(true), utterance.first)))
    }

    /// Ends the utterance: what was said in it. `None` when there was no utterance.
    pub fn finish(&mut self) -> Option<Guess> {
        let mut utterance = self.utterance.take()?;
        utterance.end(&self.templates);
        self.loud_run = 0;
        self.recent.clear();
        Some(sure(guess(&self.templates, &utterance.search.found(true), utterance.first)))
    }

    /// One frame of the stream.
    fn frame(&mut self, bands: Bands, noticed: &mut Vec<Noticed>) {
        self.frames += 1;
        let loud = self.frames > FIRST && self.is_loud(&bands);
        self.learn_noise(&bands, loud);
        self.loud_run = if loud { self.loud_run + 1 } else { 0 };
        self.quiet = if loud { 0 } else { self.quiet + 1 };
        if let Some(utterance) = &mut self.utterance {
            self.loud = self.loud.max(loudness(&bands) * 0.8);
            utterance.hear(&self.templates, &self.spectrum, &bands, &self.noise, self.loud);
            let frames = utterance.search.frames();
            if frames >= utterance.told + PARTIAL {
                utterance.told = frames;
                let guess = guess(&self.templates, &utterance.search.found(false), utterance.first);
                if guess.confidence >= SURE && !guess.words.is_empty() && guess.words.len() != utterance.words {
                    utterance.words = guess.words.len();
                    noticed.push(Noticed::Partial(guess));
                }
            }
            return;
        }
        if self.recent.len() == BEFORE {
            self.recent.pop_front();
        }
        self.recent.push_back(bands);
        if self.loud_run >= ONSET {
            // The last utterance tells how loud this caller is, but not for ever.
            self.loud = (self.loud * 0.5).max(loudest(self.recent.make_contiguous()));
            let recent = std::mem::take(&mut self.recent);
            let at = self.frames - ONSET as u64;
            self.begin(recent);
            noticed.push(Noticed::Started(frames(at).as_secs_f64()));
        }
    }

    /// Begins an utterance with these frames, the last of which is the current one.
    fn begin(&mut self, bands: VecDeque<Bands>) {
        let first = self.frames.saturating_sub(bands.len() as u64);
        let mut utterance = Utterance::new(self.templates.clone(), first);
        for bands in &bands {
            utterance.hear(&self.templates, &self.spectrum, bands, &self.noise, self.loud);
        }
        self.utterance = Some(utterance);
    }

    fn is_loud(&self, bands: &Bands) -> bool {
        loudness(bands) > INAUDIBLE && above(bands, &self.noise) > ABOVE_NOISE
    }

    /// Noise is what a line begins with, and what is there between words; where there is no between, the quietest of a
    /// second.
    fn learn_noise(&mut self, bands: &Bands, loud: bool) {
        if self.frames <= FIRST {
            let most = (LOUD_LINE / loudness(bands).max(1e-12)).min(1.0);
            if self.frames == 1 || loudness(bands) < loudness(&self.noise) {
                self.noise = bands.map(|band| band * most);
            }
        }
        let (quietest, count) = &mut self.quietest;
        if loudness(bands) < loudness(quietest) {
            *quietest = *bands;
        }
        *count += 1;
        if *count >= BLOCK {
            if loudness(quietest) > loudness(&self.noise) {
                self.noise = *quietest;
            }
            self.quietest = ([f32::INFINITY; BANDS], 0);
        }
        if !loud && self.utterance.is_none() {
            for (noise, band) in self.noise.iter_mut().zip(bands) {
                *noise += (band - *noise) * 0.1;
            }
        }
    }

    /// Takes noise and loudness from a whole clip.
    fn tune(&mut self, bands: &[Bands]) {
        self.loud = loudest(bands);
        let mut sorted: Vec<&Bands> = bands.iter().collect();
        sorted.sort_by(|a, b| loudness(a).total_cmp(&loudness(b)));
        let quiet = &sorted[..sorted.len().div_ceil(10)];
        let mean: Bands = std::array::from_fn(|k| quiet.iter().map(|bands| bands[k]).sum::<f32>() / quiet.len() as f32);
        // A clip without a pause shows no noise, only its quietest sound.
        let most = 0.1 * self.loud / loudness(&mean).max(1e-12);
        self.noise = mean.map(|band| band * most.min(1.0));
    }
}

impl Utterance {
    fn new(templates: Arc<Templates>, first: u64) -> Self {
        Self { search: Search::new(templates), first, around: VecDeque::with_capacity(5), told: 0, words: 0 }
    }

    fn hear(&mut self, templates: &Templates, spectrum: &Spectrum, bands: &Bands, noise: &Bands, loud: f32) {
        let frame = (spectrum.cepstrum(bands, noise, loud), silence(bands, noise, loud));
        if self.around.is_empty() {
            self.around.extend([frame; 2]);
        }
        self.push(templates, frame);
    }

    fn push(&mut self, templates: &Templates, frame: (Cepstrum, f32)) {
        self.around.push_back(frame);
        if self.around.len() > 5 {
            self.around.pop_front();
        }
        if self.around.len() == 5 && self.search.frames() < LONGEST {
            let at = |n: usize| &self.around[n].0;
            let moment: Moment = templates.scaled(&moment([at(0), at(1), at(2), at(3), at(4)]));
            self.search.hear(&moment, self.around[2].1);
        }
    }

    /// The last frames get the neighbours they lack.
    fn end(&mut self, templates: &Templates) {
        if let Some(last) = self.around.back().copied() {
            self.push(templates, last);
            self.push(templates, last);
        }
    }
}

/// How much a frame stands out of the noise, band by band: a dark vowel is seen under a bright noise.
fn above(bands: &Bands, noise: &Bands) -> f32 {
    let over = bands.iter().zip(noise).map(|(band, noise)| (band / noise.max(1e-12)).min(50.0));
    over.sum::<f32>() / BANDS as f32
}

/// What it costs to call a frame silence: little at the level of the noise, much when it is loud.
fn silence(bands: &Bands, noise: &Bands, loud: f32) -> f32 {
    let over = above(bands, noise) / 2.0;
    let decibels = 10.0 * over.min(loudness(bands) / (0.003 * loud)).max(0.1).log10();
    if decibels <= 0.0 { 0.1 } else { (0.1 + decibels * 0.2).min(2.5) }
}

/// A guess that is not sure is no words at all; its confidence stays to be seen.
fn sure(guess: Guess) -> Guess {
    if guess.words.is_empty() {
        Guess::default()
    } else if guess.confidence < SURE {
        Guess { words: Vec::new(), ..guess }
    } else {
        guess
    }
}

/// A guess from phrases; `frame` is the number of the first frame of the utterance.
fn guess(templates: &Templates, found: &[Found], frame: u64) -> Guess {
    let seconds = |at: f32| (frame as f64 + f64::from(at)) * HOP as f64 / f64::from(Rate::WIDE.hz());
    let mut guess = Guess::default();
    let (mut sure, mut long) = (0.0, 0.0);
    for piece in found {
        let confidence = confidence(piece.distance);
        let length = (piece.to - piece.from) as f32;
        sure += confidence * length;
        long += length;
        let mut from = 0.0;
        for (text, to) in templates.words(piece.phrase) {
            if *to > piece.heard + 0.01 {
                break;
            }
            let at = |part: f32| seconds(piece.from as f32 + length * (part / piece.heard).min(1.0));
            guess.words.push(Word { text: text.clone(), from: at(from), to: at(*to), confidence });
            from = *to;
        }
    }
    guess.confidence = if long > 0.0 { sure / long } else { 0.0 };
    guess
}

/// How sure a match is, from the mean distance of its frames: clean speech has 0.1, another rate or codec 0.7 and more.
fn confidence(distance: f32) -> f32 {
    1.0 / (1.0 + (distance / 0.5).powi(2))
}
