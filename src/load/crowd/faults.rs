//! What goes wrong on a caller's line on its way to the target. Frames are held and let go; none is lost and their order
//! is kept, because they go over TCP. Pure.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use super::{phone::us, plan::Fault, sounds::Track};
use crate::load::chance::Chance;

/// The most frames that are held; with more, the oldest go out early.
const HELD_MAX: usize = 4_096;

/// A line with a fault.
#[derive(Debug)]
pub(super) struct Faulty {
    fault: Fault,
    /// When the call began.
    start: u64,
    chance: Chance,
    /// When each may go out, and what it is.
    held: VecDeque<(u64, Arc<Track>, usize, Duration)>,
}

impl Faulty {
    /// The fault of one caller, as often as their shares say.
    pub(super) fn choose(faults: &[Fault], chance: &mut Chance) -> Option<Fault> {
        let mut left = chance.fraction();
        faults.iter().copied().find(|fault| {
            left -= fault.share;
            left < 0.0
        })
    }

    pub(super) fn new(fault: Fault, start: u64, chance: Chance) -> Self {
        Self { fault, start, chance, held: VecDeque::new() }
    }

    /// A frame is to go out.
    pub(super) fn hold(&mut self, now: u64, track: Arc<Track>, at: usize, media: Duration) {
        let mut release = now;
        if let Some(jitter) = self.fault.jitter {
            release += (us(jitter) as f64 * self.chance.fraction()) as u64;
        }
        if let Some(stall) = self.fault.stall {
            // At the end of each period.
            let (every, lasts) = (us(stall.every).max(1), us(stall.lasts));
            let into = now.saturating_sub(self.start) % every;
            if into >= every - lasts.min(every) {
                release = release.max(now + every - into);
            }
        }
        if let Some((before, ..)) = self.held.back() {
            release = release.max(*before);
        }
        self.held.push_back((release, track, at, media));
    }

    /// Hands over what may go out.
    pub(super) fn flush(&mut self, now: u64, each: &mut dyn FnMut(&Track, usize, Duration)) {
        while self.next_release().is_some_and(|at| at <= now) || self.held.len() > HELD_MAX {
            for (_, track, at, media) in self.held.drain(..self.together().min(self.held.len())) {
                each(&track, at, media);
            }
        }
    }

    /// When the next frames may go out: the last of those that go together.
    pub(super) fn next_release(&self) -> Option<u64> {
        self.held.get(self.together() - 1).map(|(release, ..)| *release)
    }

    /// How many frames go out at a time.
    fn together(&self) -> usize {
        self.fault.burst.map_or(1, |burst| burst.max(1) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::crowd::plan::{LineKind, Stall};

    const NONE: Fault = Fault { share: 1.0, jitter: None, stall: None, burst: None, slow_reader: None, cut: None };

    /// When each of 500 frames leaves, in milliseconds.
    fn play(fault: Fault) -> Vec<u64> {
        let track = Arc::new(Track::new(&[], None, LineKind::Twilio).unwrap());
        let mut line = Faulty::new(fault, 0, Chance::new(3));
        let mut left = vec![];
        for ms in 0..10_000u64 {
            if ms % 20 == 0 {
                line.hold(ms * 1_000, track.clone(), 0, Duration::from_millis(ms));
            }
            if line.next_release().is_some_and(|at| at <= ms * 1_000) {
                line.flush(ms * 1_000, &mut |_, _, media| {
                    assert_eq!(media.as_millis() as usize, left.len() * 20, "in order");
                    left.push(ms);
                });
            }
        }
        left
    }

    #[test]
    fn jitter_delays_each_frame_and_keeps_the_order() {
        let left = play(Fault { jitter: Some(Duration::from_millis(50)), ..NONE });
        let late: Vec<u64> = left.iter().enumerate().map(|(at, ms)| ms - at as u64 * 20).collect();
        assert!(late.iter().all(|late| *late <= 51) && late.iter().any(|late| *late > 40), "{late:?}");
        assert!(left.len() > 490);
    }

    #[test]
    fn a_stall_ends_with_a_burst() {
        let stall = Stall { every: Duration::from_secs(2), lasts: Duration::from_millis(500) };
        let left = play(Fault { stall: Some(stall), ..NONE });
        assert!(left.iter().all(|ms| ms % 2_000 < 1_500 || *ms % 2_000 == 0));
        // The frames of half a second, and the one that is due anyway.
        assert_eq!(left.iter().filter(|ms| **ms == 2_000).count(), 26);
    }

    #[test]
    fn a_burst_is_so_many_frames_at_a_time() {
        let left = play(Fault { burst: Some(5), ..NONE });
        assert!(left.chunks(5).all(|burst| burst.iter().all(|ms| ms == &burst[0])));
        assert_eq!(left.len(), 500);
    }

    #[test]
    fn shares_choose_as_often_as_they_say() {
        let faults = [Fault { share: 0.2, ..NONE }, Fault { share: 0.3, burst: Some(2), ..NONE }];
        let mut chance = Chance::new(1);
        let chosen: Vec<_> = (0..10_000).map(|_| Faulty::choose(&faults, &mut chance)).collect();
        let count = |which: Option<Fault>| chosen.iter().filter(|fault| **fault == which).count();
        assert!(count(Some(faults[0])).abs_diff(2_000) < 200 && count(None).abs_diff(5_000) < 250);
    }
}
