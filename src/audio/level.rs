//! How loud sound is, in decibels below full scale.

use super::step::mean_square;

/// What silence is called: quieter than the smallest sample.
pub const SILENCE_DB: f32 = -100.0;

/// The mean level of these samples in dBFS (a full-scale square wave is 0).
///
/// ```
/// assert_eq!(pronto::audio::level_db(&[0; 160]), -100.0);
/// assert!((pronto::audio::level_db(&[3277; 160]) + 20.0).abs() < 0.01);
/// ```
pub fn level_db(samples: &[i16]) -> f32 {
    db(mean_square(samples))
}

/// The highest sample in dBFS.
pub fn peak_db(samples: &[i16]) -> f32 {
    let peak = samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
    db(f32::from(peak) * f32::from(peak))
}

/// A mean square on the scale of `i16`, in dBFS.
pub(crate) fn db(mean_square: f32) -> f32 {
    const FULL: f32 = 32_768.0 * 32_768.0;
    if mean_square <= 0.0 { SILENCE_DB } else { (10.0 * (mean_square / FULL).log10()).max(SILENCE_DB) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loudest_samples_do_not_overflow() {
        assert!(level_db(&[i16::MIN; 48_000]).abs() < 0.01);
        assert!(peak_db(&[0, i16::MIN]).abs() < 0.01);
    }

    #[test]
    fn nothing_is_silence() {
        assert_eq!((level_db(&[]), peak_db(&[])), (SILENCE_DB, SILENCE_DB));
    }
}
