//! How far ahead of the caller's ear we are, and when the next frame may leave.
//!
//! A frame need not leave at its moment, only before the peer runs dry. While the caller's own frames come in, ours leave
//! together with them, a little early or a little late: the process wakes once for both, and a timer is only there for
//! the caller's frames that fail to come. Where the line can hold much (and drop it again), several leave at once.
//!
//! The clock starts with the first frame and runs as long as frames follow in time. When it runs out (nothing was sent
//! and everything has been heard) it starts anew with the next frame: a gap is never made up for by a burst. Only silence that
//! is a few milliseconds late is made up for, so that a peer who counts it has as much as time has passed. More would wait at
//! the peer before the next word.

use std::time::{Duration, Instant};

use super::{Line, Rate};

/// The most frames that are due at once.
pub const BURST_MAX: usize = 10;

/// A frame may leave this much before its moment, when something else is done anyway.
const EARLY: Duration = Duration::from_millis(10);

/// The same where the peer has much already.
const LITTLE: Duration = Duration::from_millis(5);

/// While the caller's frames come, a frame of voice waits this much beyond its moment for one of them, ...
const LATE: Duration = Duration::from_millis(15);

/// ... always leaving the peer so much, ...
const LEFT: Duration = Duration::from_millis(20);

/// ... and silence this much: whatever the phase of the caller's frames, one of them comes before that, or has come a little
/// before the moment.
const SILENCE_LATE: Duration = Duration::from_millis(12);

/// Silence that is late by no more than this, because the process is busy, is made up for. Of what is made up for the peer has so
/// much more to play before the next word.
const OWED: Duration = LITTLE;

/// The caller's frames come as long as the last one is no older than this: in a lull they are looked for every 60 ms.
const COMPANY: Duration = Duration::from_millis(70);

/// They must also come about as often as ours leave: who sends long ones is not waited for.
const APART: Duration = Duration::from_millis(25);

/// Silence waits only for frames of which four came within this: on a line that shakes they are late half of the time.
const FOUR: Duration = Duration::from_millis(62);

/// How frames leave: how many at once, and how far ahead of the caller's ear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stride {
    /// As far ahead as is wanted.
    lead: Duration,
    /// Frames that leave together: each time costs as much as one frame alone.
    frames: usize,
    /// Frames may leave this much before their moment, when something else is done anyway.
    early: Duration,
    /// What is late by no more than this is made up for.
    owed: Duration,
}

impl Stride {
    /// Silence: it delays the next word by as much as it is ahead, so there is little of it, a frame at a time.
    pub const SILENCE: Self = Self { owed: OWED, ..Self::voice(Line::FRAME) };

    /// Silence when there will be no next word for a while, and the caller's frames are read three at a time. A little
    /// more of it may leave early: what is read every 60 ms is read every 61.
    pub const LULL: Self =
        Self { lead: Duration::from_millis(60), frames: 3, early: Line::FRAME, owed: Duration::ZERO };

    /// Voice, on a line with this lead: frame by frame with the caller's, or three at a time where there is room for it.
    pub const fn voice(lead: Duration) -> Self {
        Self { lead, frames: if lead.as_millis() < 150 { 1 } else { 3 }, early: EARLY, owed: Duration::ZERO }
    }

    /// The same while the caller's frames are read so many at a time. Three leave together only while nobody may cut in: the
    /// peer then has a frame more than else.
    pub const fn voice_together(lead: Duration, read: usize) -> Self {
        let alone = Self::voice(lead);
        match read {
            2 if alone.frames == 1 && lead.as_millis() >= 60 => Self { frames: 2, ..alone },
            3.. if alone.frames == 1 && lead.as_millis() >= 60 => Self {
                frames: 3,
                lead: Duration::from_millis(lead.as_millis() as u64 + 20),
                early: LITTLE,
                owed: Duration::ZERO,
            },
            _ => alone,
        }
    }

    /// How many frames leave together.
    pub const fn frames(self) -> usize {
        self.frames
    }

    /// What the peer has at most: the lead (at least a frame), and what leaves early.
    fn most(self) -> Duration {
        self.lead.max(Line::FRAME) + self.early
    }

    /// What the peer may still have when the next frames leave.
    fn spare(self) -> Duration {
        self.lead.saturating_sub(Line::FRAME * self.frames as u32)
    }
}

/// The pace of one line. It never reads a clock: `now` is an argument.
///
/// ```
/// use pronto::audio::{Line, Pace, Stride};
/// use std::time::{Duration, Instant};
/// # #[expect(clippy::disallowed_methods, reason = "an example needs a moment")]
/// let now = Instant::now();
/// let voice = Stride::voice(Duration::from_millis(60));
/// let mut pace = Pace::new(&Line::twilio());
/// assert_eq!(pace.due(now, voice), 3);
/// pace.sent(now, 3, voice);
/// assert_eq!(pace.due(now, voice), 0);
/// assert_eq!(pace.next(now, voice), now + Line::FRAME);
/// ```
#[derive(Debug, Clone)]
pub struct Pace {
    rate: Rate,
    /// When the first frame of this run left; none before it, or after the peer dropped what it had.
    started: Option<Instant>,
    /// Frames of this run. Counted rather than added up, so that nothing is rounded twice.
    frames: u64,
    /// The most by which silence of this run was late and made up for: a peer that plays what it gets is as much behind.
    behind: Duration,
    /// When the last frames of the caller came, the newest first.
    company: [Option<Instant>; 4],
}

impl Pace {
    /// For a line.
    pub fn new(line: &Line) -> Self {
        Self { rate: line.speaks.rate, started: None, frames: 0, behind: Duration::ZERO, company: [None; 4] }
    }

    /// A frame of the caller has come: what is due soon may leave with it.
    pub fn accompanied(&mut self, now: Instant) {
        self.company.rotate_right(1);
        self.company[0] = Some(now);
    }

    /// How many frames may leave now, so that the peer has no more than the stride allows; at most [`BURST_MAX`], and
    /// none where there are fewer than leave together.
    pub fn due(&self, now: Instant, stride: Stride) -> usize {
        let room = (stride.most() + self.owed(now, stride)).saturating_sub(self.ahead_in(now, stride));
        let frames = ((room.as_nanos() / Line::FRAME.as_nanos()) as usize).min(BURST_MAX);
        if frames < stride.frames { 0 } else { frames }
    }

    /// Frames have left, in this stride.
    pub fn sent(&mut self, now: Instant, frames: usize, stride: Stride) {
        if frames == 0 {
            return;
        }
        let owed = self.owed(now, stride);
        if self.ahead(now).is_zero() && owed.is_zero() {
            (self.started, self.frames, self.behind) = (Some(now), 0, Duration::ZERO);
        }
        self.behind = self.behind.max(owed);
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
        self.started.map(|started| started + Duration::from_nanos(frame.saturating_mul(self.frames)) + self.behind)
    }

    /// When frames are due at the latest, if `due` ones have been sent: always after `now`.
    pub fn next(&self, now: Instant, stride: Stride) -> Instant {
        let soon = now + Duration::from_millis(1);
        let Some(end) = self.end_in(stride) else { return soon };
        let spare = stride.spare();
        let late = match self.in_company(now) {
            true if !spare.is_zero() => spare.saturating_sub(LEFT).min(LATE),
            true if stride.frames > 1 || self.is_steady() => SILENCE_LATE,
            true | false => Duration::ZERO,
        };
        (end.checked_sub(spare).unwrap_or(end) + late).max(soon)
    }

    /// The caller's frames come, about as often as ours leave.
    fn in_company(&self, now: Instant) -> bool {
        let [Some(last), .., before] = self.company else { return false };
        let apart = before.map_or(Duration::ZERO, |before| last.saturating_duration_since(before));
        now.saturating_duration_since(last) < COMPANY && apart <= APART * (self.company.len() as u32 - 1)
    }

    /// The caller's frames came when they were due.
    fn is_steady(&self) -> bool {
        let [Some(last), .., Some(before)] = self.company else { return false };
        last.saturating_duration_since(before) <= FOUR
            && self
                .company
                .windows(2)
                .all(|two| two[0].zip(two[1]).is_some_and(|(later, before)| later - before <= APART))
    }

    /// How much of what should have left has not.
    fn owed(&self, now: Instant, stride: Stride) -> Duration {
        let late = self.end_in(stride).map_or(Duration::ZERO, |end| now.saturating_duration_since(end));
        if late <= stride.owed { late } else { Duration::ZERO }
    }

    /// Silence is counted by the clock, all else by what the peer still has.
    fn end_in(&self, stride: Stride) -> Option<Instant> {
        let end = self.end()?;
        if stride.owed.is_zero() { Some(end) } else { end.checked_sub(self.behind) }
    }

    fn ahead_in(&self, now: Instant, stride: Stride) -> Duration {
        self.end_in(stride).map_or(Duration::ZERO, |end| end.saturating_duration_since(now))
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
        let voice = Stride::voice(ms(60));
        pace.sent(now, pace.due(now, voice), voice);
        let later = now + ms(10_000);
        assert_eq!((pace.due(later, voice), pace.ahead(later)), (3, ms(0)));
        pace.sent(later, 3, voice);
        assert_eq!((pace.due(later, voice), pace.ahead(later)), (0, ms(60)));
    }

    #[test]
    fn a_long_lead_is_filled_in_bounded_bursts() {
        let (now, mut pace) = (start(), Pace::new(&Line::twilio()));
        let mut bursts = Vec::new();
        let voice = Stride::voice(ms(500));
        while pace.due(now, voice) > 0 {
            bursts.push(pace.due(now, voice));
            pace.sent(now, pace.due(now, voice), voice);
        }
        assert_eq!(bursts, [10, 10, 5]);
    }

    #[test]
    fn no_lead_at_all_still_sends() {
        let (now, mut pace) = (start(), Pace::new(&Line::twilio()));
        let voice = Stride::voice(ms(0));
        assert_eq!(pace.due(now, voice), 1);
        pace.sent(now, 1, voice);
        assert_eq!(pace.next(now, voice), now + ms(20));
        assert_eq!(pace.due(now + ms(20), voice), 1);
    }

    #[test]
    fn what_the_peer_dropped_is_not_ahead() {
        let (now, mut pace) = (start(), Pace::new(&Line::twilio()));
        pace.sent(now, 10, Stride::voice(ms(200)));
        assert_eq!(pace.unheard(now + ms(50)), 150 * 8);
        pace.cleared();
        assert_eq!((pace.ahead(now), pace.due(now, Stride::voice(ms(60)))), (ms(0), 3));
    }

    /// Ten seconds of a driver that looks for the caller's frames now and then, from this moment on. Tells how many frames
    /// left, how often a timer was needed, and the least and the most that the peer had.
    fn accompanied(stride: Stride, phase: u64, every: u64) -> (usize, usize, Duration, Duration) {
        let (begin, mut pace) = (start(), Pace::new(&Line::twilio()));
        let (mut sent, mut wakes, mut timer) = (0, 0, begin);
        let (mut least, mut most) = (Duration::MAX, Duration::ZERO);
        let mut send = |pace: &mut Pace, now, sent: &mut usize| {
            if *sent > 0 {
                least = least.min(pace.ahead(now));
            }
            let due = pace.due(now, stride);
            pace.sent(now, due, stride);
            *sent += due;
            most = most.max(pace.ahead(now));
            pace.next(now, stride)
        };
        for look in 0..10_000 / every {
            let now = begin + ms(phase + every * look);
            while timer <= now {
                wakes += 1;
                timer = send(&mut pace, timer, &mut sent);
            }
            // What is read together.
            (0..stride.frames()).for_each(|_| pace.accompanied(now));
            timer = send(&mut pace, now, &mut sent);
        }
        (sent, wakes, least, most)
    }

    #[test]
    fn silence_leaves_with_the_caller_s_frames_whatever_their_phase() {
        for (stride, every, off) in [(Stride::SILENCE, 20, 2), (Stride::LULL, 60, 3), (Stride::LULL, 61, 3)] {
            for phase in [0, 3, 9, 11, 19] {
                let (sent, wakes, _, most) = accompanied(stride, phase, every);
                assert!(sent.abs_diff(500) <= off && wakes <= 4, "{phase}: {sent} frames, {wakes} timers");
                assert!(most <= stride.most(), "{phase}: {most:?}");
            }
        }
    }

    /// Regression: a client whose frames last 32 ms had 62 ms of silence for a hundred.
    #[test]
    fn silence_fills_the_time_whatever_the_length_of_the_caller_s_frames() {
        for every in [5, 21, 23, 32, 40, 64] {
            for phase in [0, 7, 19] {
                let (sent, _, _, most) = accompanied(Stride::SILENCE, phase, every);
                // A little is missing of the first moments, in which nobody knows how often frames will come.
                assert!(sent.abs_diff(500) <= 12, "{every} {phase}: {sent} frames");
                assert!(most <= ms(35), "{every} {phase}: {most:?}");
            }
        }
    }

    /// Regression: on a line that shakes by 30 ms silence came late with the caller's frames and was made up for, so that each
    /// word after it waited at the peer for 20 ms more.
    #[test]
    fn silence_of_a_line_that_shakes_is_there_and_delays_the_next_word_no_more_than_on_another() {
        let (begin, mut pace) = (start(), Pace::new(&Line::twilio()));
        let mut shakes = crate::audio::signal::Noise::new(7);
        let mut came: Vec<u64> =
            (0..500).map(|frame| 20 * frame + u64::from(shakes.white(1, -10.0)[0].unsigned_abs() % 30)).collect();
        came.sort_unstable();
        let (mut sent, mut most) = (0, Duration::ZERO);
        let mut timer = begin;
        for came in came {
            let now = begin + ms(came);
            loop {
                let at = timer.min(now);
                if at == now {
                    pace.accompanied(now);
                }
                let due = pace.due(at, Stride::SILENCE);
                pace.sent(at, due, Stride::SILENCE);
                (sent, most) = (sent + due, most.max(pace.ahead(at)));
                timer = pace.next(at, Stride::SILENCE);
                if at == now {
                    break;
                }
            }
        }
        assert!(sent.abs_diff(500) <= 20, "{sent} frames");
        assert!(most <= ms(35), "{most:?}");
    }

    /// Regression: silence that was due at this very moment began a new run, and what the peer was behind was forgotten.
    #[test]
    fn what_a_peer_is_behind_is_counted_until_it_has_nothing_more() {
        let (now, mut pace) = (start(), Pace::new(&Line::twilio()));
        pace.sent(now, 1, Stride::SILENCE);
        pace.sent(now + ms(24), 1, Stride::SILENCE);
        assert_eq!(pace.ahead(now + ms(24)), ms(20), "late by 4, it plays from here on");
        pace.sent(now + ms(40), 1, Stride::SILENCE);
        assert_eq!(pace.ahead(now + ms(40)), ms(24));
        assert_eq!(pace.due(now + ms(40), Stride::voice(ms(60))), 2);
    }

    #[test]
    fn a_word_after_late_silence_is_no_less_ahead_for_it() {
        let (now, mut pace) = (start(), Pace::new(&Line::twilio()));
        pace.sent(now, 1, Stride::SILENCE);
        let later = now + ms(50);
        assert_eq!((pace.due(later, Stride::SILENCE), pace.due(later, Stride::voice(ms(60)))), (1, 3));
        let late = now + ms(24);
        assert_eq!((pace.due(late, Stride::SILENCE), pace.due(late, Stride::voice(ms(60)))), (1, 3));
        pace.sent(later, 3, Stride::voice(ms(60)));
        assert_eq!(pace.ahead(later), ms(60));
    }

    #[test]
    fn voice_leaves_with_the_caller_s_frames_and_the_peer_never_has_less_than_a_frame() {
        for (lead, phase) in [(60, 0), (60, 7), (60, 13), (60, 19), (200, 5)] {
            let (sent, wakes, least, most) = accompanied(Stride::voice(ms(lead)), phase, 20);
            assert!(sent.abs_diff(500) <= 10 && wakes <= 3, "{lead} {phase}: {sent} frames, {wakes} timers");
            assert!(least >= Line::FRAME && most <= ms(lead + 10), "{lead} {phase}: {least:?} to {most:?}");
        }
    }

    #[test]
    fn voice_leaves_together_with_what_is_read_together_and_is_hardly_further_ahead() {
        let cases = [
            (20, 2, 1, 30),
            (60, 2, 2, 70),
            (100, 2, 2, 110),
            (200, 2, 3, 210),
            (20, 3, 1, 30),
            (60, 3, 3, 85),
            (200, 3, 3, 210),
        ];
        for (lead, read, frames, most) in cases {
            let stride = Stride::voice_together(ms(lead), read);
            assert_eq!((stride.frames(), stride.most()), (frames, ms(most)));
            let (begin, mut pace) = (start(), Pace::new(&Line::twilio()));
            let (mut now, mut sent) = (begin, 0);
            for wakes in 0..500 {
                let due = pace.due(now, stride);
                assert!(wakes == 0 || due == frames || lead == 20, "{lead}: {due} at {wakes}");
                pace.sent(now, due, stride);
                sent += due;
                now = pace.next(now, stride);
                assert!(lead == 20 || pace.ahead(now) >= Line::FRAME, "{lead}: dry at {wakes}");
            }
            assert!((now - begin).as_millis().abs_diff(20 * sent as u128) <= u128::from(most), "{lead}");
        }
    }

    proptest! {
        /// Ten minutes of a driver that wakes when told to, up to 10 ms late: the peer never runs dry, is never more
        /// than the lead ahead, and after all of it not a frame too many or too few has left.
        #[test]
        fn the_peer_neither_starves_nor_drowns(lead in 30u64..400, late in proptest::collection::vec(0u64..10_000, 64)) {
            let (lead, voice, begin) = (ms(lead), Stride::voice(ms(lead)), start());
            let mut pace = Pace::new(&Line::twilio());
            let (mut now, mut frames) = (begin, 0);
            for turn in 0..30_000 {
                while pace.due(now, voice) > 0 {
                    prop_assert!(frames == 0 || !pace.ahead(now).is_zero(), "starved at {turn}");
                    let due = pace.due(now, voice);
                    prop_assert!(due <= BURST_MAX);
                    pace.sent(now, due, voice);
                    frames += due;
                }
                prop_assert!(pace.ahead(now) <= lead + Line::FRAME);
                let next = pace.next(now, voice);
                prop_assert!(next > now);
                prop_assert!(pace.due(next, voice) > 0, "woken for nothing");
                now = next + Duration::from_micros(late[turn % late.len()]);
            }
            let heard = now - begin;
            prop_assert!(Line::FRAME * frames as u32 + ms(20) >= heard);
            prop_assert!(Line::FRAME * frames as u32 <= heard + lead + Line::FRAME);
        }
    }
}
