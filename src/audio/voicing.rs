//! Is there a pitch? Vowels repeat themselves 70 to 400 times a second; slams, coughs, clicks and wind do not. That is
//! what tells the first 50 ms of a word from the first 50 ms of a slamming door, when a network cannot yet.

/// 10 ms at 4 kHz.
const STEP: usize = 40;
/// What is compared with its own past: 20 ms.
const WINDOW: usize = 80;
/// The shortest and the longest period: 400 Hz and 70 Hz.
const PERIODS: std::ops::RangeInclusive<usize> = 10..=57;
const KEPT: usize = WINDOW + 57;

/// The last 34 ms at 4 kHz.
#[derive(Debug, Clone)]
pub(super) struct Voicing {
    past: [f32; KEPT],
}

impl Voicing {
    pub(super) fn new() -> Self {
        Self { past: [0.0; KEPT] }
    }

    /// Takes 10 ms at 16 kHz.
    pub(super) fn push(&mut self, frame: &[f32; 160]) {
        self.past.copy_within(STEP.., 0);
        for (sample, four) in self.past[KEPT - STEP..].iter_mut().zip(frame.as_chunks::<4>().0) {
            *sample = four.iter().sum::<f32>() / 4.0;
        }
    }

    /// How well the last 20 ms repeat what was a period before, from 0 to 1. Takes about a microsecond.
    pub(super) fn strength(&self) -> f32 {
        let now = &self.past[KEPT - WINDOW..];
        let energy = dot(now, now);
        if energy < 1.0 {
            return 0.0;
        }
        // The energy of the past window, moved along one sample at a time.
        let first = KEPT - WINDOW - PERIODS.start();
        let mut before_energy = dot(&self.past[first..first + WINDOW], &self.past[first..first + WINDOW]);
        let mut best = 0.0f32;
        for period in PERIODS {
            let from = KEPT - WINDOW - period;
            let before = &self.past[from..from + WINDOW];
            // A much softer past is no period but a beginning or an end.
            let scale = (energy * before_energy).sqrt().max(0.25 * energy).max(0.25 * before_energy);
            best = best.max(dot(now, before) / scale);
            if from > 0 {
                let (enters, leaves) = (self.past[from - 1], self.past[from + WINDOW - 1]);
                before_energy = (before_energy + enters * enters - leaves * leaves).max(0.0);
            }
        }
        best
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    for (a, b) in a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0) {
        for at in 0..8 {
            sums[at] += a[at] * b[at];
        }
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{
        Rate,
        signal::{Noise, sine},
    };

    fn strength(sound: &[i16]) -> f32 {
        let mut voicing = Voicing::new();
        for frame in sound.as_chunks::<160>().0 {
            voicing.push(&frame.map(f32::from));
        }
        voicing.strength()
    }

    #[test]
    fn a_voice_has_a_pitch_and_noise_has_none() {
        for hz in [90.0, 150.0, 300.0] {
            assert!(strength(&sine(hz, Rate::WIDE, 5_000.0, 0, 1_600)) > 0.95, "{hz} Hz");
        }
        for seed in 0..50 {
            assert!(strength(&Noise::new(seed).white(1_600, -20.0)) < 0.6, "seed {seed}");
        }
        assert_eq!(strength(&[0; 1_600]), 0.0);
    }
}
