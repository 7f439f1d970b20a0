//! The quick ears: which of the known lines was said, by its loudness over time. They cost next to nothing, so that
//! thousands of callers can be heard on the machine whose gateway is measured. They know whole lines only, and a damaged
//! line may sound right to them: what is damaged is told by the careful ones.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use super::{
    ears::{Guess, Noticed, Word, frames},
    mfcc::HOP,
    speech::{Speech, SpeechError, Voice},
};
use crate::{audio::Rate, language::Language};

/// Loud frames in a row that begin speech.
const ONSET: usize = 3;
/// What is this much louder than the noise is speech.
const ABOVE_NOISE_DB: f32 = 9.0;
/// Nothing below this is speech.
const INAUDIBLE_DB: f32 = -55.0;
/// No line is as noisy as this.
const LOUD_LINE_DB: f32 = -30.0;
/// Quieter parts of a line than this, below its loudest, are all the same.
const DEPTH_DB: f32 = 30.0;
/// A new partial every so many frames (half a second).
const PARTIAL: usize = 31;
/// Frames in an utterance (30 s): what comes after is not kept.
const LONGEST: usize = 1_875;
/// How far a line may be shifted against its template, in frames: where it began is not known exactly.
const SHIFT: usize = 3;
/// How much longer or shorter a line may be than its template, in frames.
const STRETCH: usize = 12;
/// What is this close to the noise is noise as much as speech.
const CLEAR_DB: f32 = 3.0;
/// A mean difference of so many decibels is no likeness any more.
const UNLIKE_DB: f32 = 5.0;

/// The lines of one language in every voice.
#[derive(Debug)]
pub struct Envelopes {
    lines: Vec<String>,
    /// Which line, and its loudness frame by frame.
    known: Vec<(usize, Vec<f32>)>,
}

impl Envelopes {
    /// Has each line spoken by each of the callers.
    pub async fn learn(speech: &Speech, language: Language, lines: Vec<String>) -> Result<Self, SpeechError> {
        let texts: Vec<&str> = lines.iter().map(String::as_str).collect();
        let mut known = Vec::new();
        for voice in &Voice::callers(language) {
            let spoken = speech.say_all(&texts, voice, true).await?;
            known.extend(spoken.iter().enumerate().map(|(line, pcm)| (line, shaped(&envelope(pcm, Speech::rate())))));
        }
        known.retain(|(_, envelope)| envelope.len() > ONSET);
        Ok(Self { lines, known })
    }

    /// The line that is most like this, as far as it stands out of the noise (`depth` below its loudest); of `whole` ones,
    /// or of the beginnings.
    fn nearest(&self, heard: &[f32], depth: f32, whole: bool) -> Option<(usize, f32)> {
        let fits =
            |known: &[f32]| known.len() + STRETCH >= heard.len() && (!whole || known.len() <= heard.len() + STRETCH);
        let likeness = self.known.iter().filter(|(_, known)| fits(known)).map(|(line, known)| {
            let unlike = (0..=SHIFT).flat_map(|by| [unlike(heard, known, by, depth), unlike(known, heard, by, depth)]);
            (*line, unlike.fold(f32::INFINITY, f32::min))
        });
        likeness.min_by(|a, b| a.1.total_cmp(&b.1)).filter(|(_, unlike)| *unlike < UNLIKE_DB)
    }
}

/// The mean difference, one of them begun `by` frames later.
fn unlike(late: &[f32], other: &[f32], by: usize, depth: f32) -> f32 {
    let late = late.get(by..).unwrap_or_default();
    let count = late.len().min(other.len()).max(1) as f32;
    late.iter().zip(other).map(|(a, b)| (a.max(-depth) - b.max(-depth)).abs()).sum::<f32>() / count
}

/// Loudness of each frame in decibels.
fn envelope(pcm: &[i16], rate: Rate) -> Vec<f32> {
    let hop = HOP * rate.hz() as usize / Rate::WIDE.hz() as usize;
    pcm.chunks(hop.max(1)).map(decibels).collect()
}

fn decibels(pcm: &[i16]) -> f32 {
    let sum: i64 = pcm.iter().map(|sample| i64::from(*sample).pow(2)).sum();
    10.0 * ((sum as f32 / pcm.len().max(1) as f32).max(1.0) / (32_768.0 * 32_768.0)).log10()
}

/// Against its own loudest frame, so that it does not matter how loud the caller is.
fn shaped(envelope: &[f32]) -> Vec<f32> {
    let top = envelope.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let loud = |level: &f32| *level > top - DEPTH_DB;
    let from = envelope.iter().position(loud).unwrap_or(0);
    let to = envelope.iter().rposition(loud).map_or(from, |last| last + 1);
    envelope[from..to].iter().map(|level| (level - top).max(-DEPTH_DB)).collect()
}

/// Quick ears on one stream of 16 kHz sound.
pub struct Quick {
    lines: Arc<Envelopes>,
    /// Samples that do not fill a frame yet.
    samples: VecDeque<i16>,
    /// Frames taken from the stream.
    frames: u64,
    /// How loud the line is when nobody speaks.
    noise: f32,
    /// Loud frames in a row.
    loud_run: usize,
    /// Frames since the last loud one.
    quiet: usize,
    /// The number of the first frame of the utterance under way, and its loudness.
    utterance: Option<(u64, Vec<f32>)>,
    /// Loudness of the frames that may begin the next one.
    recent: VecDeque<f32>,
}

impl Quick {
    /// Ears for these lines.
    pub fn new(lines: Arc<Envelopes>) -> Self {
        Self {
            lines,
            samples: VecDeque::with_capacity(2 * HOP),
            frames: 0,
            noise: LOUD_LINE_DB,
            loud_run: 0,
            quiet: 0,
            utterance: None,
            recent: VecDeque::with_capacity(ONSET),
        }
    }

    /// Hears some samples; tells what it noticed.
    pub fn hear(&mut self, pcm: &[i16], noticed: &mut Vec<Noticed>) {
        self.samples.extend(pcm);
        while self.samples.len() >= HOP {
            let level = decibels(&self.samples.make_contiguous()[..HOP]);
            self.samples.drain(..HOP);
            self.frame(level, noticed);
        }
    }

    /// Recognises a whole clip.
    pub fn clip(mut self, pcm: &[i16]) -> Guess {
        self.hear(pcm, &mut Vec::new());
        self.finish().unwrap_or_default()
    }

    /// Somebody is speaking, or paused within an utterance that was not finished.
    pub const fn speaking(&self) -> bool {
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
        let (first, heard) = self.utterance.as_ref()?;
        Some(self.read(*first, heard, true))
    }

    /// Ends the utterance: what was said in it. `None` when there was no utterance.
    pub fn finish(&mut self) -> Option<Guess> {
        let (first, heard) = self.utterance.take()?;
        self.loud_run = 0;
        self.recent.clear();
        Some(self.read(first, &heard, true))
    }

    fn frame(&mut self, level: f32, noticed: &mut Vec<Noticed>) {
        self.frames += 1;
        let loud = level > INAUDIBLE_DB && level > self.noise + ABOVE_NOISE_DB;
        // The noise is what is there between words: it is believed at once where it is lower, slowly where it is higher.
        if level < self.noise {
            self.noise = level.max(INAUDIBLE_DB - ABOVE_NOISE_DB);
        } else if !loud {
            self.noise = (self.noise + (level - self.noise) * 0.05).min(LOUD_LINE_DB);
        }
        self.loud_run = if loud { self.loud_run + 1 } else { 0 };
        self.quiet = if loud { 0 } else { self.quiet + 1 };
        if let Some((first, heard)) = &mut self.utterance {
            if heard.len() < LONGEST {
                heard.push(level);
            }
            if loud && heard.len().is_multiple_of(PARTIAL) {
                let (first, heard) = (*first, std::mem::take(heard));
                let guess = self.read(first, &heard, false);
                self.utterance = Some((first, heard));
                if !guess.words.is_empty() {
                    noticed.push(Noticed::Partial(guess));
                }
            }
            return;
        }
        if self.recent.len() == ONSET {
            self.recent.pop_front();
        }
        self.recent.push_back(level);
        if self.loud_run >= ONSET {
            let first = self.frames - ONSET as u64;
            self.utterance = Some((first, self.recent.drain(..).collect()));
            noticed.push(Noticed::Started(frames(first).as_secs_f64()));
        }
    }

    /// The words of what was heard, up to where it was heard.
    fn read(&self, first: u64, heard: &[f32], whole: bool) -> Guess {
        let heard = &heard[..heard.len().saturating_sub(self.quiet)];
        let top = heard.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let depth = (top - self.noise - CLEAR_DB).clamp(0.0, DEPTH_DB);
        let shaped = shaped(heard);
        let Some((line, unlike)) = self.lines.nearest(&shaped, depth, whole) else { return Guess::default() };
        let known = self.lines.known.iter().find(|(of, _)| *of == line).map_or(1, |(_, known)| known.len());
        let confidence = 1.0 - unlike / (2.0 * UNLIKE_DB);
        let words: Vec<&str> = self.lines.lines[line].split_whitespace().collect();
        let share = if whole { 1.0 } else { (shaped.len() as f64 / known as f64).min(1.0) };
        let spoken = ((words.len() as f64 * share).round() as usize).clamp(1, words.len().max(1));
        let at = |word: usize| {
            frames(first).as_secs_f64() + frames(heard.len() as u64).as_secs_f64() * word as f64 / spoken as f64
        };
        let timed = words.iter().take(spoken).enumerate();
        let words = timed.map(|(n, text)| Word { text: (*text).into(), from: at(n), to: at(n + 1), confidence });
        Guess { words: words.collect(), confidence }
    }
}
