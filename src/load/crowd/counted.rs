//! A voice that counts: every 20 ms carry a tone with a number, so that lost, doubled and damaged frames can be told
//! at the sink.
//!
//! Piece `n` of a clause is a sine of `400 + 100 * (n mod 16)` Hz, 20 ms long: whole cycles, so that no step is heard
//! between two of them. A clause begins and ends with 20 ms of silence, by which the reader knows where one begins.

use crate::audio::Rate;

/// The tones.
pub(super) const TONES: usize = 16;
/// How long a tone lasts, in milliseconds.
pub(super) const PIECE_MS: usize = 20;
/// How loud it is.
const AMPLITUDE: f64 = 9_000.0;

/// The frequency of a number.
pub(super) fn hz(number: usize) -> f64 {
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
    let piece = rate.hz() as usize * PIECE_MS / 1_000;
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
