//! How long an engine makes us wait: distributions told by their median and 95th percentile, from a seed.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::load::chance::Chance;

/// A distribution of waiting times, in milliseconds.
///
/// In settings: `first = 350` or `first = { p50 = 350, p95 = 900 }`, with `shape = "normal"` where the tail is short.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Spread {
    /// Always the same.
    Fixed(f64),
    /// Half of the waits are below `p50`, all but one in twenty below `p95`.
    Around {
        /// The median.
        p50: f64,
        /// The 95th percentile.
        p95: f64,
        /// How the tail looks.
        #[serde(default)]
        shape: Shape,
    },
}

/// The tail of a distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Long to the right, as networks and models have it.
    #[default]
    Lognormal,
    /// Even on both sides.
    Normal,
}

/// No wait is longer than this, whatever the distribution says.
const LONGEST_MS: f64 = 120_000.0;
/// The 95th percentile of the normal distribution, in standard deviations.
const P95: f64 = 1.645;

impl Spread {
    /// One wait.
    pub fn sample(self, dice: &Dice) -> Duration {
        let ms = match self {
            Self::Fixed(ms) => ms,
            Self::Around { p50, p95, shape: Shape::Normal } => p50 + (p95 - p50) / P95 * dice.normal(),
            Self::Around { p50, p95, shape: Shape::Lognormal } => {
                let p50 = p50.max(1e-3);
                p50 * ((p95.max(p50) / p50).ln() / P95 * dice.normal()).exp()
            }
        };
        let ms = if ms.is_finite() { ms.clamp(0.0, LONGEST_MS) } else { 0.0 };
        Duration::from_secs_f64(ms / 1_000.0)
    }
}

/// Numbers by chance, the same for the same seed. Shared by all streams of a lab.
#[derive(Debug)]
pub struct Dice(Mutex<Chance>);

impl Dice {
    /// Dice that fall the same way each time for a seed.
    pub const fn new(seed: u64) -> Self {
        Self(Mutex::new(Chance::new(seed)))
    }

    /// Any number.
    pub fn roll(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).roll()
    }

    /// Between 0 and 1, never 0.
    fn fraction(&self) -> f64 {
        ((self.roll() >> 11) as f64 + 1.0) / (1u64 << 53) as f64
    }

    /// Mean 0, deviation 1.
    fn normal(&self) -> f64 {
        (-2.0 * self.fraction().ln()).sqrt() * (std::f64::consts::TAU * self.fraction()).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_what_was_asked_for() {
        for shape in [Shape::Lognormal, Shape::Normal] {
            let dice = Dice::new(7);
            let spread = Spread::Around { p50: 200.0, p95: 600.0, shape };
            let mut waits: Vec<f64> = (0..20_000).map(|_| spread.sample(&dice).as_secs_f64() * 1_000.0).collect();
            waits.sort_by(f64::total_cmp);
            assert!((waits[10_000] - 200.0).abs() < 12.0, "{shape:?} p50 {}", waits[10_000]);
            assert!((waits[19_000] - 600.0).abs() < 30.0, "{shape:?} p95 {}", waits[19_000]);
        }
    }

    #[test]
    fn the_same_seed_waits_the_same() {
        let waits = |seed| {
            let dice = Dice::new(seed);
            (0..5)
                .map(|_| Spread::Around { p50: 5.0, p95: 9.0, shape: Shape::Normal }.sample(&dice))
                .collect::<Vec<_>>()
        };
        assert_eq!(waits(1), waits(1));
        assert_ne!(waits(1), waits(2));
    }

    #[test]
    fn nonsense_does_not_wait_for_ever() {
        let dice = Dice::new(1);
        assert_eq!(Spread::Fixed(f64::NAN).sample(&dice), Duration::ZERO);
        assert_eq!(Spread::Fixed(-5.0).sample(&dice), Duration::ZERO);
        assert_eq!(Spread::Fixed(1e300).sample(&dice), Duration::from_secs(120));
    }
}
