//! A voice that counts: every 20 ms carry a tone with a number, so that lost, doubled and damaged frames can be told
//! at the sink.
//!
//! Piece `n` of a clause is a sine of `400 + 100 * (n mod 16)` Hz, 20 ms long: whole cycles, so that no step is heard
//! between two of them. A clause begins and ends with 20 ms of silence, by which the reader knows where one begins.
//!
//! The reader finds the grid of 20 ms at the onset of a stretch of sound, and again when it was lost. A piece counts
//! when one tone makes most of it; what lies between two that count is judged by how far their numbers are apart:
//! further than the pieces between them, and some were lost; less far, and some came twice; just as far, and what lies
//! between was damaged. Frames of the wire need not lie on that grid. What is not told: up to a whole clause that is
//! missing at its beginning or its end, and losses of 8 pieces (160 ms) and more at once, which look like smaller ones.

use crate::audio::Rate;

/// The tones.
const TONES: usize = 16;
/// How long a tone lasts, in milliseconds.
const PIECE_MS: usize = 20;
/// How loud it is.
const AMPLITUDE: f64 = 9_000.0;
/// A sample of this size begins a stretch of sound: more than a filter's ringing, less than the second sample of a tone.
const ONSET: u16 = 900;
/// A quarter of a piece softer than this mean square is silence.
const QUIET: f64 = 400.0 * 400.0;
/// A tone that makes this share of a piece's energy is what was said.
const PURE: f64 = 0.7;
/// A tone that makes less than this lies across the grid.
const LOOSE: f64 = 0.85;
/// So many pieces in a row that are no tone or lie across the grid, and the grid is looked for again.
const ASTRAY: usize = 3;

/// The frequency of a number.
fn hz(number: usize) -> f64 {
    400.0 + 100.0 * (number % TONES) as f64
}

/// So many samples of the counted voice, at a rate: a piece of silence, tones from number 0 on, a piece of silence.
///
/// ```
/// use pronto::{audio::Rate, load::crowd::counted};
/// let second = counted::voice(16_000, Rate::WIDE);
/// assert_eq!(second.len(), 16_000);
/// assert!(second[..320].iter().all(|sample| *sample == 0));
/// ```
pub fn voice(samples: usize, rate: Rate) -> Vec<i16> {
    let piece = piece(rate);
    let sounding = samples.saturating_sub(piece);
    (0..samples)
        .map(|at| {
            if at < piece || at >= sounding {
                return 0;
            }
            let (number, within) = ((at - piece) / piece, (at - piece) % piece);
            let phase = std::f64::consts::TAU * hz(number) * within as f64 / f64::from(rate.hz());
            (phase.sin() * AMPLITUDE).round() as i16
        })
        .collect()
}

/// What was found in the counted voice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Found {
    /// Pieces of 20 ms whose number was read.
    pub pieces: u64,
    /// Pieces that never came.
    pub lost: u64,
    /// Pieces that came twice.
    pub doubled: u64,
    /// Pieces that are not what was said.
    pub damaged: u64,
}

/// Reads the counted voice from pieces of any length.
///
/// ```
/// use pronto::{audio::Rate, load::crowd::counted};
/// let sound = counted::voice(8_000, Rate::PHONE);
/// let mut reader = counted::Reader::new(Rate::PHONE);
/// reader.hear(&sound[..3_200]);
/// reader.hear(&sound[3_360..]);
/// assert_eq!(reader.take().lost, 1);
/// ```
#[derive(Debug)]
pub struct Reader {
    /// Samples of a piece.
    piece: usize,
    /// The recurrence of each tone.
    turns: [f64; TONES],
    /// What is being looked at, and two pieces before.
    samples: Vec<i16>,
    /// Where the next piece begins in `samples`.
    at: usize,
    /// Inside a stretch of sound, on its grid.
    stretch: Option<Stretch>,
    /// Not taken yet.
    found: Found,
}

/// Where we are in a stretch of sound.
#[derive(Debug, Clone, Copy, Default)]
struct Stretch {
    /// The number read last.
    last: Option<usize>,
    /// Pieces since then that are no tone.
    unsure: usize,
    /// Pieces since the last that lay on the grid.
    astray: usize,
}

impl Reader {
    /// For a voice at this rate.
    pub fn new(rate: Rate) -> Self {
        let turn = |number| 2.0 * (std::f64::consts::TAU * hz(number) / f64::from(rate.hz())).cos();
        Self {
            piece: piece(rate),
            turns: std::array::from_fn(turn),
            samples: Vec::new(),
            at: 0,
            stretch: None,
            found: Found::default(),
        }
    }

    /// What was found since the last time.
    pub fn take(&mut self) -> Found {
        std::mem::take(&mut self.found)
    }

    /// Reads on.
    pub fn hear(&mut self, samples: &[i16]) {
        self.samples.extend_from_slice(samples);
        loop {
            let Some(mut stretch) = self.stretch.take() else {
                let onset = self.samples[self.at..].iter().position(|sample| sample.unsigned_abs() >= ONSET);
                let Some(onset) = onset else {
                    self.at = self.samples.len();
                    break;
                };
                // The first sample of a tone is 0.
                self.at = (self.at + onset).saturating_sub(1);
                self.stretch = Some(Stretch::default());
                continue;
            };
            let Some(piece) = self.samples.get(self.at..self.at + self.piece) else {
                self.stretch = Some(stretch);
                break;
            };
            let quarter = self.piece / 4;
            if let Some(quiet) = piece.chunks_exact(quarter).rposition(|part| mean_square(part) < QUIET) {
                // The clause is over, or nothing came in its middle. A piece that silence cuts in two is neither here
                // nor there.
                self.found.damaged += stretch.unsure.saturating_sub(1) as u64;
                self.at += (quiet + 1) * quarter;
                continue;
            }
            let (number, purity) = self.number(piece, stretch.last.map(|last| (last + 1) % TONES));
            // Where nothing was read yet, there is no grid to believe in.
            let enough = if stretch.last.is_some() { PURE } else { LOOSE };
            stretch.astray = if purity >= LOOSE { 0 } else { stretch.astray + 1 };
            if purity >= enough {
                let between = stretch.unsure as f64;
                self.read(&mut stretch, number, between);
            } else {
                stretch.unsure += 1;
            }
            if stretch.astray >= if stretch.last.is_some() { ASTRAY } else { 2 } {
                self.find_grid(&mut stretch);
            }
            self.stretch = Some(stretch);
            self.at += self.piece;
        }
        let keep = self.at.saturating_sub((ASTRAY - 1) * self.piece).min(self.samples.len());
        self.samples.drain(..keep);
        self.at -= keep;
    }

    /// A number is read, so many pieces after the last one.
    fn read(&mut self, stretch: &mut Stretch, number: usize, between: f64) {
        self.found.pieces += 1;
        if let Some(last) = stretch.last {
            let apart = ((number + TONES - last - 1) % TONES) as f64 - between;
            let tones = TONES as f64;
            let missing = (apart + tones / 2.0).rem_euclid(tones) - tones / 2.0;
            let whole = (missing.abs() + 0.1).floor();
            if missing > 0.0 {
                self.found.lost += whole as u64;
            } else {
                self.found.doubled += whole as u64;
            }
            if (missing.abs() - whole).abs() > 0.1 {
                // Part of a piece: the grid has moved.
                self.found.damaged += 1;
            } else if whole < 1.0 {
                self.found.damaged += stretch.unsure as u64;
            }
        }
        *stretch = Stretch { last: Some(number), unsure: 0, ..*stretch };
    }

    /// Looks for the grid in the last pieces: where a tone is purest, a piece begins.
    fn find_grid(&mut self, stretch: &mut Stretch) {
        let from = self.at.saturating_sub(self.piece);
        let step = (self.piece / 40).max(1);
        let purest = (from..=from + self.piece)
            .step_by(step)
            .filter_map(|at| {
                let (number, purity) = self.purest(self.samples.get(at..at + self.piece)?);
                Some((at, number, purity))
            })
            .max_by(|a, b| a.2.total_cmp(&b.2));
        stretch.astray = 0;
        let Some((at, number, _)) = purest.filter(|(.., purity)| *purity > 0.9) else { return };
        // Where the last piece that was read has ended, counted back from here.
        let end = (self.at + self.piece) as f64 - (stretch.unsure * self.piece) as f64;
        let between = (at as f64 - end) / self.piece as f64;
        // What lies across the grid is one piece of damage, however long it took to see.
        stretch.unsure = stretch.unsure.min(1);
        self.read(stretch, number, between);
        // The caller goes on one piece further.
        self.at = at;
    }

    /// The tone that makes most of a piece, and how much; the one that is due is tried first.
    fn number(&self, piece: &[i16], due: Option<usize>) -> (usize, f64) {
        if let Some(due) = due {
            let purity = self.purity(piece, due, mean_square(piece));
            if purity >= PURE {
                return (due, purity);
            }
        }
        self.purest(piece)
    }

    fn purest(&self, piece: &[i16]) -> (usize, f64) {
        let energy = mean_square(piece);
        let purities = (0..TONES).map(|number| (number, self.purity(piece, number, energy)));
        purities.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, 0.0))
    }

    /// The share of a tone in the energy of a piece (Goertzel).
    fn purity(&self, piece: &[i16], number: usize, energy: f64) -> f64 {
        let turn = self.turns[number];
        let (mut one, mut two) = (0.0f64, 0.0f64);
        for sample in piece {
            (one, two) = (f64::from(*sample) + turn * one - two, one);
        }
        let power = one * one + two * two - turn * one * two;
        let count = piece.len() as f64;
        if energy < QUIET { 0.0 } else { 2.0 * power / (count * count * energy) }
    }
}

fn piece(rate: Rate) -> usize {
    rate.hz() as usize * PIECE_MS / 1_000
}

fn mean_square(samples: &[i16]) -> f64 {
    let sum: i64 = samples.iter().map(|sample| i64::from(*sample) * i64::from(*sample)).sum();
    sum as f64 / samples.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{Codec, Format, Resampler, signal};

    fn found(sound: &[i16], rate: Rate, chunk: usize) -> Found {
        let mut reader = Reader::new(rate);
        for piece in sound.chunks(chunk) {
            reader.hear(piece);
        }
        reader.take()
    }

    /// Three clauses of odd lengths, with and without a pause between them.
    fn speech(rate: Rate) -> Vec<i16> {
        let hz = rate.hz() as usize;
        [voice(hz * 137 / 100 + 3, rate), voice(hz * 3, rate), vec![0; hz / 3 + 7], voice(hz * 2 + 11, rate)].concat()
    }

    #[test]
    fn a_clean_path_loses_nothing() {
        for from in [8_000, 16_000, 22_050, 24_000] {
            let from = Rate::new(from).unwrap();
            for format in [Format::MULAW_PHONE, Format::PCM_WIDE, Format { codec: Codec::Alaw, rate: Rate::PHONE }] {
                let sound = signal::through(&speech(from), from, format).unwrap();
                for offset in [0, 1, 37, 80, 159, 300] {
                    let found = found(&sound[offset..], format.rate, 160);
                    let clean = Found { pieces: found.pieces, ..Found::default() };
                    assert_eq!(found, clean, "{from} {format:?} {offset}");
                    assert!(found.pieces > 305, "{from} {format:?}: {found:?}");
                }
            }
        }
    }

    #[test]
    fn two_resamplings_and_a_codec_lose_nothing() {
        let mut wide = vec![];
        let mut resampler = Resampler::new(Rate::VOICE, Rate::WIDE);
        resampler.process(&speech(Rate::VOICE), &mut wide);
        resampler.flush(&mut wide);
        let sound = signal::through(&wide, Rate::WIDE, Format::MULAW_PHONE).unwrap();
        let found = found(&sound, Rate::PHONE, 160);
        assert_eq!(found, Found { pieces: found.pieces, ..Found::default() });
    }

    /// What is found when frames of the wire are changed, wherever they lie on the voice's grid.
    fn check(change: impl Fn(&mut Vec<Vec<i16>>), expected: impl Fn(Found) -> bool) {
        for format in [Format::MULAW_PHONE, Format::PCM_WIDE] {
            let frame = format.rate.hz() as usize / 50;
            let sound = signal::through(&voice(24_000 * 4, Rate::VOICE), Rate::VOICE, format).unwrap();
            for offset in (0..frame).step_by(frame / 16) {
                let mut frames: Vec<Vec<i16>> = sound[offset..].chunks(frame).map(<[i16]>::to_vec).collect();
                change(&mut frames);
                let found = found(&frames.concat(), format.rate, frame);
                assert!(expected(found), "{format:?}, {offset} of {frame}: {found:?}");
            }
        }
    }

    #[test]
    fn a_lost_frame_is_counted() {
        check(|frames| drop(frames.remove(40)), |found| (found.lost, found.doubled, found.damaged) == (1, 0, 0));
        check(
            |frames| {
                frames.drain(40..43);
                frames.remove(100);
            },
            |found| (found.lost, found.doubled, found.damaged) == (4, 0, 0),
        );
    }

    #[test]
    fn a_doubled_frame_is_counted() {
        check(
            |frames| frames.insert(40, frames[40].clone()),
            |found| (found.lost, found.doubled, found.damaged) == (0, 1, 0),
        );
    }

    #[test]
    fn a_damaged_frame_is_counted() {
        let hiss = |frames: &mut Vec<Vec<i16>>| {
            let samples = frames[40].len();
            frames[40] = signal::Noise::new(3).white(samples, -12.0);
        };
        check(hiss, |found| found.lost == 0 && found.doubled == 0 && (1..=2).contains(&found.damaged));
    }

    #[test]
    fn half_a_lost_frame_is_damage_and_the_grid_is_found_again() {
        check(
            |frames| {
                let half = frames[40].len() / 2;
                frames[40].truncate(half);
            },
            |found| found.lost == 0 && found.doubled == 0 && (1..=2).contains(&found.damaged) && found.pieces > 180,
        );
    }

    #[test]
    fn silence_in_the_middle_is_not_a_loss() {
        for silent in [1, 5, 50] {
            check(
                |frames| {
                    let frame = frames[40].len();
                    for _ in 0..silent {
                        frames.insert(41, vec![0; frame]);
                    }
                },
                |found| (found.lost, found.doubled) == (0, 0) && found.damaged <= 1,
            );
        }
    }

    #[test]
    fn what_is_cut_short_is_not_a_loss() {
        check(
            |frames| {
                let frame = frames[40].len();
                frames.truncate(40);
                frames.extend(vec![vec![0; frame]; 10]);
                let again = frames.clone();
                frames.extend(again);
            },
            |found| (found.lost, found.doubled, found.damaged) == (0, 0, 0),
        );
    }

    #[test]
    fn any_sound_is_read_without_a_panic() {
        let mut noise = signal::Noise::new(5);
        for level in [0.0, -20.0, -60.0] {
            found(&noise.white(40_000, level), Rate::PHONE, 33);
        }
        found(&[i16::MIN; 10_000], Rate::FULL, 10_000);
        found(&[], Rate::WIDE, 1);
    }
}
