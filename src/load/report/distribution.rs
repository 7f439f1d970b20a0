//! A distribution as it is kept: the figures people ask for, and enough points of its curve to draw it.

use serde::{Deserialize, Serialize};

/// A distribution, in milliseconds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Distribution {
    /// How many were measured.
    pub n: u64,
    /// The least.
    pub min: f64,
    /// The mean.
    pub mean: f64,
    /// Half are at most this.
    pub p50: f64,
    /// Nine of ten are.
    pub p90: f64,
    /// 19 of 20 are.
    pub p95: f64,
    /// 99 of 100 are.
    pub p99: f64,
    /// 999 of 1,000 are.
    #[serde(rename = "p99.9")]
    pub p999: f64,
    /// The most.
    pub max: f64,
    /// The curve: this many milliseconds, this share of all at most so long. Ascending.
    pub curve: Vec<[f64; 2]>,
}

/// The shares at which the curve is kept; where fewer were measured than a share tells apart, it is left out.
pub const QUANTILES: [f64; 41] = [
    0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9,
    0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99, 0.992, 0.994, 0.996, 0.998, 0.999, 0.9992, 0.9994, 0.9996, 0.9998,
    0.9999, 0.99995, 0.99999,
];

impl Distribution {
    /// From whatever can tell its quantiles, in milliseconds. `None` where nothing was measured.
    pub fn of(n: u64, mean: f64, quantile: impl Fn(f64) -> f64) -> Option<Self> {
        if n == 0 {
            return None;
        }
        let at = |share| tidy(quantile(share));
        let told = |share: &&f64| (1.0 - **share) * n as f64 >= 1.0;
        let mut curve: Vec<[f64; 2]> = QUANTILES.iter().filter(told).map(|share| [at(*share), *share]).collect();
        curve.push([at(1.0), 1.0]);
        Some(Self {
            n,
            min: at(0.0),
            mean: tidy(mean),
            p50: at(0.5),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
            p999: at(0.999),
            max: at(1.0),
            curve,
        })
    }

    /// From all that was measured, in milliseconds.
    pub fn of_samples(mut samples: Vec<f64>) -> Option<Self> {
        samples.retain(|sample| sample.is_finite());
        samples.sort_by(f64::total_cmp);
        let last = samples.len().checked_sub(1)?;
        let mean = samples.iter().sum::<f64>() / samples.len() as f64;
        // The smallest of which at least this share is as small.
        let quantile =
            |share: f64| samples[((share * samples.len() as f64).ceil() as usize).saturating_sub(1).min(last)];
        Self::of(samples.len() as u64, mean, quantile)
    }

    /// One of its figures, by its name in gates.
    pub fn figure(&self, stat: Stat) -> f64 {
        match stat {
            Stat::Min => self.min,
            Stat::P50 => self.p50,
            Stat::P90 => self.p90,
            Stat::P95 => self.p95,
            Stat::P99 => self.p99,
            Stat::P999 => self.p999,
            Stat::Max => self.max,
            Stat::Mean => self.mean,
            Stat::Count => self.n as f64,
        }
    }
}

/// A figure of a distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stat {
    /// The least.
    Min,
    /// The median.
    P50,
    /// The 90th percentile.
    P90,
    /// The 95th percentile.
    P95,
    /// The 99th percentile.
    P99,
    /// The 99.9th percentile.
    P999,
    /// The most.
    Max,
    /// The mean.
    Mean,
    /// How many.
    Count,
}

/// The figures, as gates name them.
pub const STATS: [(&str, Stat); 9] = [
    ("p50", Stat::P50),
    ("p90", Stat::P90),
    ("p95", Stat::P95),
    ("p99", Stat::P99),
    ("p99.9", Stat::P999),
    ("max", Stat::Max),
    ("min", Stat::Min),
    ("mean", Stat::Mean),
    ("count", Stat::Count),
];

impl Stat {
    /// Its name in gates.
    pub fn name(self) -> &'static str {
        STATS.iter().find(|(_, stat)| *stat == self).map_or("count", |(name, _)| name)
    }
}

/// To a microsecond: more digits are noise in the file.
pub(super) fn tidy(ms: f64) -> f64 {
    if ms.is_finite() { (ms * 1_000.0).round() / 1_000.0 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_the_samples() {
        let of = Distribution::of_samples((1..=1_000).map(f64::from).collect()).unwrap();
        assert_eq!(
            (of.n, of.min, of.p50, of.p95, of.p99, of.p999, of.max),
            (1_000, 1.0, 500.0, 950.0, 990.0, 999.0, 1_000.0)
        );
        assert!((of.mean - 500.5).abs() < 1e-9);
        assert_eq!(of.curve.first(), Some(&[1.0, 0.0]));
        assert_eq!(of.curve.last(), Some(&[1_000.0, 1.0]));
        assert!(of.curve.windows(2).all(|two| two[0][0] <= two[1][0] && two[0][1] < two[1][1]));
    }

    #[test]
    fn twenty_samples_say_nothing_of_the_thousandth() {
        let of = Distribution::of_samples((1..=20).map(f64::from).collect()).unwrap();
        let shares: Vec<_> = of.curve.iter().map(|point| point[1]).filter(|share| *share > 0.9).collect();
        assert_eq!(shares, [0.92, 0.94, 0.95, 1.0]);
    }

    #[test]
    fn nothing_measured_is_no_distribution() {
        assert_eq!(Distribution::of_samples(vec![]), None);
        assert_eq!(Distribution::of_samples(vec![f64::NAN]), None);
    }

    #[test]
    fn it_comes_back_from_json() {
        let of = Distribution::of_samples(vec![1.5, 2.25, 3.0]).unwrap();
        let json = serde_json::to_string(&of).unwrap();
        assert!(json.contains("\"p99.9\":3.0"), "{json}");
        assert_eq!(serde_json::from_str::<Distribution>(&json).unwrap(), of);
    }
}
