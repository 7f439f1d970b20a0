//! Numbers by chance, the same for the same seed, everywhere (SplitMix64; Steele, Lea and Flood 2014). The crowd, the shop
//! and the lab have theirs from here.

use std::time::Duration;

/// The source of everything left to chance.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// From a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1, not included.
    pub fn fraction(&mut self) -> f64 {
        (self.roll() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Between two numbers.
    pub fn between(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * self.fraction()
    }

    /// Between two times, in milliseconds.
    pub fn ms(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.roll() % (to - from + 1))
    }

    /// One of them; there is one.
    pub fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[(self.roll() % of.len() as u64) as usize].clone()
    }

    /// The wait for something memoryless that comes once in 1 on average.
    pub fn exponential(&mut self) -> f64 {
        -(1.0 - self.fraction()).ln()
    }

    /// The number of one of these, as often as its weight says; 0 where none has a weight.
    pub fn weighted(&mut self, weights: impl Iterator<Item = u32> + Clone) -> usize {
        let total: u64 = weights.clone().map(u64::from).sum();
        let mut left = self.roll() % total.max(1);
        for (at, weight) in weights.enumerate() {
            if left < u64::from(weight) {
                return at;
            }
            left -= u64::from(weight);
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_has_the_same_chances() {
        let rolls = |seed| {
            let mut chance = Chance::new(seed);
            (0..20).map(|_| chance.roll()).collect::<Vec<_>>()
        };
        assert_eq!(rolls(7), rolls(7));
        assert_ne!(rolls(7), rolls(8));
    }

    #[test]
    fn everything_stays_within_its_bounds() {
        let mut chance = Chance::new(1);
        for _ in 0..1_000 {
            assert!((2.0..3.0).contains(&chance.between(2.0, 3.0)));
            let ms = chance.ms(5, 7).as_millis();
            assert!((5..=7).contains(&ms));
            assert!([1, 2].contains(&chance.pick(&[1, 2])));
        }
    }
}
