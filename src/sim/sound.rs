//! The sound of simulated people: noise of a known size. Cheap, because hours of it are made in seconds: stretches of two
//! tables, one for callers and one for our voice, that are never alike.

use std::{ops::Range, sync::LazyLock, time::Duration};

use super::random::Random;
use crate::audio::Rate;

/// How loud a caller speaks.
const CALLER: i16 = 5_000;

/// Samples of a table: two seconds at 16 kHz, longer than any echo.
const TABLE: usize = 1 << 15;

/// Ups and downs of a caller.
static CALLERS: LazyLock<Vec<i16>> = LazyLock::new(|| signs(1).map(|sign| sign * CALLER).collect());

/// Ups and downs of our voice.
static OURS: LazyLock<Vec<i16>> = LazyLock::new(|| signs(2).collect());

fn signs(seed: u64) -> impl Iterator<Item = i16> {
    let mut random = Random::new(seed);
    (0..TABLE / 64).flat_map(move |_| {
        let bits = random.next();
        (0..64).map(move |bit| if bits >> bit & 1 == 0 { 1 } else { -1 })
    })
}

/// A caller's sound.
#[derive(Debug)]
pub(crate) struct Caller {
    rate: Rate,
    /// Where there is sound, in samples.
    sounds: Vec<Range<usize>>,
    /// One frame, reused.
    frame: Vec<i16>,
}

impl Caller {
    /// One who sounds at these times.
    pub(crate) fn new(rate: Rate, sounds: impl Iterator<Item = Range<Duration>>) -> Self {
        let sounds = sounds.map(|at| rate.samples(at.start)..rate.samples(at.end)).collect();
        Self { rate, sounds, frame: Vec::new() }
    }

    /// The sound of these samples; none where there is silence. The frame may be added to.
    pub(crate) fn frame(&mut self, at: Range<usize>) -> Option<&mut [i16]> {
        let Self { sounds, frame, .. } = self;
        let mut heard = sounds.iter().filter(|sound| sound.start < at.end && sound.end > at.start).peekable();
        heard.peek()?;
        frame.clear();
        frame.resize(at.len(), 0);
        for sound in heard {
            let (from, to) = (sound.start.max(at.start), sound.end.min(at.end));
            stretch(&CALLERS, from, &mut frame[from - at.start..to - at.start]);
        }
        Some(frame)
    }

    /// Silence of this length, to add to.
    pub(crate) fn silence(&mut self, samples: usize) -> &mut [i16] {
        self.frame.clear();
        self.frame.resize(samples, 0);
        &mut self.frame
    }

    /// Samples of a time.
    pub(crate) const fn samples(&self, time: Duration) -> usize {
        self.rate.samples(time)
    }
}

/// Our voice: these samples of a clause, each of this size.
pub(crate) fn voice(size: i16, at: Range<usize>) -> Vec<i16> {
    let mut samples = vec![0; at.len()];
    stretch(&OURS, at.start, &mut samples);
    samples.iter_mut().for_each(|sample| *sample *= size);
    samples
}

fn stretch(table: &[i16], from: usize, out: &mut [i16]) {
    let mut at = from % TABLE;
    let mut out = out;
    while !out.is_empty() {
        let (now, later) = out.split_at_mut((TABLE - at).min(out.len()));
        now.copy_from_slice(&table[at..at + now.len()]);
        (out, at) = (later, 0);
    }
}
