//! How far ahead of the caller's ear we are, and when the next frame may leave.
//!
//! The clock starts with the first frame and runs as long as frames follow in time. When it runs out (nothing was sent
//! and everything has been heard) it starts anew with the next frame: a gap is never made up for by a burst.

use std::time::{Duration, Instant};

use super::{Line, Rate};

/// The most frames that are due at once.
pub const BURST_MAX: usize = 10;

/// The pace of one line. It never reads a clock: `now` is an argument.
///
/// ```
/// use pronto::audio::{Line, Pace};
/// use std::time::{Duration, Instant};
/// # #[expect(clippy::disallowed_methods, reason = "an example needs a moment")]
/// let now = Instant::now();
/// let lead = Duration::from_millis(60);
/// let mut pace = Pace::new(&Line::twilio());
/// assert_eq!(pace.due(now, lead), 3);
/// pace.sent(now, 3);
/// assert_eq!(pace.due(now, lead), 0);
/// assert_eq!(pace.next(now, lead), now + Line::FRAME);
/// ```
#[derive(Debug, Clone)]
pub struct Pace {
    rate: Rate,
    /// When the first frame of this run left; none before it, or after the peer dropped what it had.
    started: Option<Instant>,
    /// Frames of this run. Counted rather than added up, so that nothing is rounded twice.
    frames: u64,
}

impl Pace {
    /// For a line.
    pub fn new(line: &Line) -> Self {
        Self { rate: line.speaks.rate, started: None, frames: 0 }
    }

    /// How many frames may leave now, so that the peer has at most `lead` (and at least one frame); at most
    /// [`BURST_MAX`].
    pub fn due(&self, now: Instant, lead: Duration) -> usize {
        let room = lead.max(Line::FRAME).saturating_sub(self.ahead(now));
        ((room.as_nanos() / Line::FRAME.as_nanos()) as usize).min(BURST_MAX)
    }

    /// Frames have left.
    pub fn sent(&mut self, now: Instant, frames: usize) {
        if frames == 0 {
            return;
        }
        if self.ahead(now).is_zero() {
            self.started = Some(now);
            self.frames = 0;
        }
        self.frames += frames as u64;
    }

    /// The peer dropped what it had not played.
    pub fn cleared(&mut self) {
        self.started = None;
    }

    /// How much of what has left the caller has probably not heard yet.
    pub fn ahead(&self, now: Instant) -> Duration {
        self.end().map_or(Duration::ZERO, |end| end.saturating_duration_since(now))
    }

    /// The same in samples at the line's rate: how much to [rewind](super::Playout::rewind) when the peer drops it.
    pub fn unheard(&self, now: Instant) -> usize {
        self.rate.samples(self.ahead(now))
    }

    /// When what has left will have been heard; none before the first frame.
    pub fn end(&self) -> Option<Instant> {
        let frame = Line::FRAME.as_nanos() as u64;
        self.started.map(|started| started + Duration::from_nanos(frame.saturating_mul(self.frames)))
    }

    /// When the next frame is due, if `due` ones have been sent: always after `now`.
    pub fn next(&self, now: Instant, lead: Duration) -> Instant {
        let soon = now + Duration::from_millis(1);
        let spare = lead.max(Line::FRAME) - Line::FRAME;
        match self.end() {
            Some(end) => end.checked_sub(spare).unwrap_or(end).max(soon),
            None => soon,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[expect(clippy::disallowed_methods, reason = "a test needs a moment to begin with")]
    fn start() -> Instant {
        Instant::now()
    }

    const fn ms(value: u64) -> Duration {
        Duration::from_millis(value)
    }

    #[test]
    fn a_gap_is_not_made_up_for() {
        let (now, mut pace) = (start(), Pace::new(&Line::twilio()));
        pace.sent(now, pace.due(now, ms(60)));
        let later = now + ms(10_000);
        assert_eq!((pace.due(later, ms(60)), pace.ahead(later)), (3, ms(0)));
        pace.sent(later, 3);
        assert_eq!((pace.due(later, ms(60)), pace.ahead(later)), (0, ms(60)));
    }

    #[test]
    fn a_long_lead_is_filled_in_bounded_bursts() {
        let (now, mut pace) = (start(), Pace::new(&Line::twilio()));
        let mut bursts = Vec::new();
        while pace.due(now, ms(500)) > 0 {
            bursts.push(pace.due(now, ms(500)));
            pace.sent(now, pace.due(now, ms(500)));
        }
        assert_eq!(bursts, [10, 10, 5]);
    }

    #[test]
    fn no_lead_at_all_still_sends() {
        let (now, mut pace) = (start(), Pace::new(&Line::twilio()));
        assert_eq!(pace.due(now, ms(0)), 1);
        pace.sent(now, 1);
        assert_eq!(pace.next(now, ms(0)), now + ms(20));
        assert_eq!(pace.due(now + ms(20), ms(0)), 1);
    }

    #[test]
    fn what_the_peer_dropped_is_not_ahead() {
        let (now, mut pace) = (start(), Pace::new(&Line::twilio()));
        pace.sent(now, 10);
        assert_eq!(pace.unheard(now + ms(50)), 150 * 8);
        pace.cleared();
        assert_eq!((pace.ahead(now), pace.due(now, ms(60))), (ms(0), 3));
    }

    proptest! {
        /// Ten minutes of a driver that wakes when told to, up to 10 ms late: the peer never runs dry, is never more
        /// than the lead ahead, and after all of it not a frame too many or too few has left.
        #[test]
        fn the_peer_neither_starves_nor_drowns(lead in 30u64..400, late in proptest::collection::vec(0u64..10_000, 64)) {
            let (lead, begin) = (ms(lead), start());
            let mut pace = Pace::new(&Line::twilio());
            let (mut now, mut frames) = (begin, 0);
            for turn in 0..30_000 {
                while pace.due(now, lead) > 0 {
                    prop_assert!(frames == 0 || !pace.ahead(now).is_zero(), "starved at {turn}");
                    let due = pace.due(now, lead);
                    prop_assert!(due <= BURST_MAX);
                    pace.sent(now, due);
                    frames += due;
                }
                prop_assert!(pace.ahead(now) <= lead + Line::FRAME);
                let next = pace.next(now, lead);
                prop_assert!(next > now);
                prop_assert!(pace.due(next, lead) > 0, "woken for nothing");
                now = next + Duration::from_micros(late[turn % late.len()]);
            }
            let heard = now - begin;
            prop_assert!(Line::FRAME * frames as u32 + ms(20) >= heard);
            prop_assert!(Line::FRAME * frames as u32 <= heard + lead + Line::FRAME);
        }
    }
}
