//! When calls come: a number of them kept up, or a stream of strangers. Pure: time in, numbers out.
//!
//! `constant`, `ramp`, `spike` and `soak` say how many calls there are at a moment: whoever ends is followed by another.
//! `poisson` says how many begin: they come whether those before them have ended or not, and a target that becomes
//! slow gets more of them at once, as it would from the street.

use std::time::Duration;

use serde::Deserialize;

use super::plan::{CALLS_MAX, PlanError, field};
use crate::load::chance::Chance;

/// When the calls come. Times count from the beginning of the run, the warm-up included.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Arrivals {
    /// So many calls at any time.
    Constant {
        /// How many.
        #[serde(default)]
        calls: u32,
        /// At most so many begin in a second.
        dials_per_s: Option<f64>,
    },
    /// The same, for a long time.
    Soak {
        /// How many.
        #[serde(default)]
        calls: u32,
        /// At most so many begin in a second.
        dials_per_s: Option<f64>,
    },
    /// From one number to another, evenly; then it stays.
    Ramp {
        /// How many at the beginning.
        #[serde(default)]
        from: u32,
        /// How many in the end.
        to: u32,
        /// How long it takes.
        over_s: f64,
    },
    /// A number of calls, and for a while many more.
    Spike {
        /// How many there are otherwise.
        base: u32,
        /// How many there are in the spike.
        peak: u32,
        /// When it begins.
        at_s: f64,
        /// How long it lasts.
        for_s: f64,
    },
    /// Strangers: so many begin in a second, on average.
    Poisson {
        /// How many.
        per_s: f64,
    },
}

/// How many calls a second begin where a number is kept up and nothing else is said.
const DIALS_PER_S: f64 = 200.0;

impl Arrivals {
    /// The most calls there will be at once, where the plan says.
    pub fn calls_max(&self) -> Option<u32> {
        match *self {
            Self::Constant { calls, .. } | Self::Soak { calls, .. } => Some(calls),
            Self::Ramp { from, to, .. } => Some(from.max(to)),
            Self::Spike { base, peak, .. } => Some(base.max(peak)),
            Self::Poisson { .. } => None,
        }
    }

    /// How many calls there should be; none where they come by themselves.
    pub fn wanted(&self, at: Duration) -> Option<u32> {
        let at = at.as_secs_f64();
        match *self {
            Self::Constant { calls, .. } | Self::Soak { calls, .. } => Some(calls),
            Self::Ramp { from, to, over_s } => {
                let share = (at / over_s.max(1e-9)).clamp(0.0, 1.0);
                Some((f64::from(from) + (f64::from(to) - f64::from(from)) * share).round() as u32)
            }
            Self::Spike { base, peak, at_s, for_s } => Some(if at >= at_s && at < at_s + for_s { peak } else { base }),
            Self::Poisson { .. } => None,
        }
    }

    /// How many may begin in a second.
    pub fn dials_per_s(&self) -> f64 {
        match *self {
            Self::Constant { dials_per_s, .. } | Self::Soak { dials_per_s, .. } => dials_per_s.unwrap_or(DIALS_PER_S),
            Self::Ramp { .. } | Self::Spike { .. } | Self::Poisson { .. } => f64::INFINITY,
        }
    }

    /// How long after a stranger the next one comes.
    pub(super) fn next_after(&self, chance: &mut Chance) -> Option<Duration> {
        match *self {
            Self::Poisson { per_s } => Some(Duration::from_secs_f64((chance.exponential() / per_s).min(3_600.0))),
            Self::Constant { .. } | Self::Soak { .. } | Self::Ramp { .. } | Self::Spike { .. } => None,
        }
    }

    /// Where the number of calls is left out, it is what the tenants make.
    pub(super) fn filled(mut self, by_tenants: Option<u32>) -> Self {
        if let (Self::Constant { calls, .. } | Self::Soak { calls, .. }, Some(number)) = (&mut self, by_tenants)
            && *calls == 0
        {
            *calls = number;
        }
        self
    }

    pub(super) fn check(&self) -> Result<(), PlanError> {
        let most = self.calls_max();
        field("arrivals.calls", most == Some(0), || ("no calls".into(), "write how many, or tenants.calls_each"))?;
        field("arrivals", most.is_some_and(|most| most > CALLS_MAX), || {
            (
                format!("{} calls are more than the {CALLS_MAX} of one process", most.unwrap_or(0)),
                "run several processes with a part each",
            )
        })?;
        let time = |s: f64| (0.0..=1e6).contains(&s);
        let (name, good) = match *self {
            Self::Constant { dials_per_s, .. } | Self::Soak { dials_per_s, .. } => {
                ("arrivals.dials_per_s", dials_per_s.is_none_or(|rate| rate.is_finite() && rate > 0.0))
            }
            Self::Ramp { over_s, .. } => ("arrivals.over_s", time(over_s)),
            Self::Spike { at_s, for_s, .. } => ("arrivals.at_s and for_s", time(at_s) && time(for_s)),
            Self::Poisson { per_s } => ("arrivals.per_s", per_s > 0.0 && per_s <= 10_000.0),
        };
        field(name, !good, || ("out of range".into(), "write a number above 0 (a rate at most 10000)"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: f64) -> Duration {
        Duration::from_secs_f64(s)
    }

    #[test]
    fn a_ramp_rises_evenly_and_stays() {
        let ramp = Arrivals::Ramp { from: 10, to: 110, over_s: 10.0 };
        let seen: Vec<_> = [0.0, 5.0, 10.0, 100.0].into_iter().filter_map(|s| ramp.wanted(at(s))).collect();
        assert_eq!(seen, [10, 60, 110, 110]);
    }

    #[test]
    fn a_spike_comes_and_goes() {
        let spike = Arrivals::Spike { base: 5, peak: 50, at_s: 10.0, for_s: 2.0 };
        let seen: Vec<_> = [9.99, 10.0, 11.99, 12.0].into_iter().filter_map(|s| spike.wanted(at(s))).collect();
        assert_eq!(seen, [5, 50, 50, 5]);
    }

    #[test]
    fn strangers_come_as_often_as_the_plan_says() {
        let poisson = Arrivals::Poisson { per_s: 20.0 };
        let mut chance = Chance::new(1);
        let waits: Vec<f64> =
            (0..20_000).filter_map(|_| poisson.next_after(&mut chance)).map(|wait| wait.as_secs_f64()).collect();
        let mean = waits.iter().sum::<f64>() / waits.len() as f64;
        assert!((mean - 0.05).abs() < 0.002, "{mean}");
        // A memoryless wait is longer than its mean in 1/e of the cases.
        let long = waits.iter().filter(|wait| **wait > 0.05).count() as f64 / waits.len() as f64;
        assert!((long - 0.368).abs() < 0.02, "{long}");
    }
}
