//! How a run went, second by second.

use std::time::Duration;

/// The most turns of one second whose times are kept; further ones are counted and their times are not.
const KEPT_MAX: usize = 4_096;

/// The seconds of a run, from its beginning, the warm-up included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Series {
    /// Which second the first of them is.
    first: usize,
    /// Without gaps.
    seconds: Vec<Second>,
}

/// One second.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Second {
    /// The most calls at once.
    pub active: u32,
    /// Calls that were let in.
    pub started: u32,
    /// Calls that ended, however.
    pub ended: u32,
    /// Calls that were not what they should be.
    pub failed: u32,
    /// Turns that were answered.
    pub turns: u32,
    /// The longest time between frames of an agent that speaks.
    pub gap_max_us: u32,
    /// Times of the turns.
    turns_us: Vec<u32>,
    /// Times of the turns without the expected waits.
    own_us: Vec<u32>,
}

impl Second {
    /// The turn latency below which this share lies.
    pub fn turn(&self, share: f64) -> Option<Duration> {
        quantile(&self.turns_us, share)
    }

    /// The same for the own share.
    pub fn own(&self, share: f64) -> Option<Duration> {
        quantile(&self.own_us, share)
    }

    pub(super) fn turned(&mut self, us: u64, own_us: Option<u64>) {
        self.turns += 1;
        if self.turns_us.len() < KEPT_MAX {
            self.turns_us.push(short(us));
            self.own_us.extend(own_us.map(short));
        }
    }

    pub(super) fn gap(&mut self, us: u64) {
        self.gap_max_us = self.gap_max_us.max(short(us));
    }
}

impl Series {
    /// The seconds so far.
    pub fn seconds(&self) -> &[Second] {
        &self.seconds
    }

    /// Which second of the run the first of them is.
    pub fn first(&self) -> usize {
        self.first
    }

    /// The second in which a moment of the run lies.
    pub(super) fn at(&mut self, us: u64) -> &mut Second {
        let second = usize::try_from(us / 1_000_000).unwrap_or(usize::MAX).min(SECONDS_MAX - 1);
        self.reach(second, 1);
        &mut self.seconds[second - self.first]
    }

    /// Makes room for so many seconds from this one on.
    fn reach(&mut self, first: usize, count: usize) {
        if self.seconds.is_empty() {
            self.first = first;
        }
        if first < self.first {
            let missing = (first..self.first).map(|_| Second::default());
            self.seconds.splice(0..0, missing);
            self.first = first;
        }
        let end = first + count - self.first;
        if self.seconds.len() < end {
            self.seconds.resize_with(end, Second::default);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        if other.seconds.is_empty() {
            return;
        }
        self.reach(other.first, other.seconds.len());
        let from = other.first - self.first;
        for (own, other) in self.seconds[from..].iter_mut().zip(&other.seconds) {
            own.active += other.active;
            own.started += other.started;
            own.ended += other.ended;
            own.failed += other.failed;
            own.turns += other.turns;
            own.gap_max_us = own.gap_max_us.max(other.gap_max_us);
            for (own, other) in [(&mut own.turns_us, &other.turns_us), (&mut own.own_us, &other.own_us)] {
                let room = KEPT_MAX - own.len();
                own.extend(other.iter().take(room));
            }
        }
    }
}

/// A week and a day: the longest run, and its warm-up is put into the last second.
const SECONDS_MAX: usize = 8 * 24 * 3_600;

fn short(us: u64) -> u32 {
    u32::try_from(us).unwrap_or(u32::MAX)
}

fn quantile(times: &[u32], share: f64) -> Option<Duration> {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let rank = (share * sorted.len() as f64).ceil() as usize;
    let us = *sorted.get(rank.clamp(1, sorted.len().max(1)) - 1)?;
    Some(Duration::from_micros(u64::from(us)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_merged_one_by_one() {
        let (mut a, mut b) = (Series::default(), Series::default());
        a.at(2_500_000).turned(100_000, Some(10_000));
        b.at(2_900_000).turned(300_000, None);
        b.at(3_000_000).gap(70_000);
        a.merge(&b);
        assert_eq!((a.first(), a.seconds().len()), (2, 2));
        assert_eq!((a.seconds()[0].turns, a.seconds()[0].own(0.99)), (2, Some(Duration::from_millis(10))));
        assert_eq!(a.seconds()[0].turn(0.5), Some(Duration::from_millis(100)));
        assert_eq!(a.seconds()[0].turn(1.0), Some(Duration::from_millis(300)));
        assert_eq!((a.seconds()[1].gap_max_us, a.seconds()[1].turn(0.5)), (70_000, None));
        a.at(0).started = 1;
        assert_eq!((a.first(), a.seconds().len(), a.seconds()[2].turns), (0, 4, 2));
    }
}
