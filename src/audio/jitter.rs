//! Order and time of what arrives.
//!
//! Inside one TCP connection nothing is lost or reordered, so audio passes **without any delay**. What is left to do:
//!
//! - where a wire may reorder, packets with sequence numbers are put in order, waiting at most 60 ms for a missing one;
//! - where the wire tells media time, a hole in it is filled, so that positions in the sound stay true;
//! - a *delivery gap* (nothing came for over a second) and *lost audio* (the media clock ran on without sound) are two
//!   different troubles with two different counters.
//!
//! What it does not do: smoothing. Nothing here waits for the sake of an even pace.

use std::time::{Duration, Instant};

use super::Rate;

/// How long out-of-order packets wait for a missing one.
pub const REORDER_MAX: Duration = Duration::from_millis(60);
/// The most of a hole that is filled; beyond it the clock is taken to have been set anew.
pub const HOLE_MAX: Duration = Duration::from_secs(2);
/// Media stamps may be this much off without meaning a hole.
const TOLERANCE: Duration = Duration::from_millis(15);
/// Nothing for so long is a delivery gap; a carrier's stalls of 250 ms are daily bread.
const GAP: Duration = Duration::from_secs(1);
/// Packets that wait at most, however short they are.
const WAITING_MAX: usize = 8;
/// A longer packet does not wait.
const WAITING_BYTES_MAX: usize = 8 * 1_024;
/// A step of the sequence beyond this is a new beginning.
const RESTART: i32 = 1_000;

/// What comes out, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Bytes as they came.
    Packet(&'a [u8]),
    /// So many samples, at the wire's rate, are missing.
    Hole(usize),
}

/// What went wrong on the way, counted since the call began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Troubles {
    /// Packets put back in order.
    pub reordered: u64,
    /// Packets that came twice, or when their place had been filled.
    pub late: u64,
    /// Packets that never came.
    pub lost: u64,
    /// Holes filled.
    pub holes: u64,
    /// How much was filled.
    pub filled: Duration,
    /// Jumps of the media clock or the sequence too wide to be a hole.
    pub restarts: u64,
    /// Times that nothing came for over a second.
    pub gaps: u64,
    /// The longest of them.
    pub gap_longest: Duration,
}

/// Puts packets in order and holes in their place.
#[derive(Debug)]
pub struct Jitter {
    rate: Rate,
    /// The sequence number that is next.
    next: Option<u32>,
    /// Packets ahead of their turn, in no order.
    waiting: Vec<Waiting>,
    /// Buffers of packets that waited, to be used again.
    spare: Vec<Vec<u8>>,
    /// The media time of sample 0 of `heard`.
    origin: Option<Duration>,
    /// Samples given since `origin`.
    heard: u64,
    /// Samples of the last packet.
    last: usize,
    /// When the last packet arrived, where the owner tells.
    arrived: Option<Instant>,
    troubles: Troubles,
}

#[derive(Debug)]
struct Waiting {
    sequence: u32,
    media_time: Option<Duration>,
    bytes: Vec<u8>,
}

impl Jitter {
    /// For a wire at this rate.
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            next: None,
            waiting: Vec::new(),
            spare: Vec::new(),
            origin: None,
            heard: 0,
            last: rate.hz() as usize / 50,
            arrived: None,
            troubles: Troubles::default(),
        }
    }

    /// Takes a packet and hands out what is ready. `take` answers how many samples a packet held.
    pub fn push(
        &mut self,
        payload: &[u8],
        media_time: Option<Duration>,
        sequence: Option<u32>,
        take: &mut impl FnMut(Piece<'_>) -> usize,
    ) {
        let Some(sequence) = sequence else {
            return self.give(payload, media_time, take);
        };
        let ahead = sequence.wrapping_sub(*self.next.get_or_insert(sequence)).cast_signed();
        if ahead.abs() > RESTART {
            self.troubles.restarts += 1;
            self.give_up(take, 0);
            self.origin = None;
        } else if ahead < 0 || self.waiting.iter().any(|waiting| waiting.sequence == sequence) {
            self.troubles.late += 1;
            return;
        } else if ahead > 0 && payload.len() <= WAITING_BYTES_MAX {
            // Room for the longest packet of a codec that varies, so that a buffer grows once.
            let mut bytes = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(payload.len().max(512)));
            bytes.clear();
            bytes.extend_from_slice(payload);
            self.waiting.push(Waiting { sequence, media_time, bytes });
            let packet = self.rate.duration(self.last.max(1) as u64).as_nanos();
            let most = REORDER_MAX.as_nanos().div_ceil(packet).min(WAITING_MAX as u128) as usize;
            return if self.waiting.len() >= most {
                self.give_up(take, most - 1)
            };
        } else if ahead > 0 {
            self.give_up(take, 0);
            self.miss(sequence, media_time, take);
        }
        self.next = Some(sequence.wrapping_add(1));
        self.give(payload, media_time, take);
        self.follow(take);
    }

    /// A packet arrived at this moment: watches for delivery gaps.
    pub fn arrived(&mut self, now: Instant) {
        let gap = self.arrived.map_or(Duration::ZERO, |before| now.saturating_duration_since(before));
        self.arrived = Some(now);
        if gap > GAP {
            self.troubles.gaps += 1;
            self.troubles.gap_longest = self.troubles.gap_longest.max(gap);
        }
    }

    /// What went wrong so far.
    pub fn troubles(&self) -> Troubles {
        self.troubles
    }

    /// Hands out what waits, taking what is missing for lost, until at most `keep` wait.
    fn give_up(&mut self, take: &mut impl FnMut(Piece<'_>) -> usize, keep: usize) {
        while self.waiting.len() > keep {
            let next = self.next.unwrap_or(0);
            let first = self.waiting.iter().min_by_key(|waiting| waiting.sequence.wrapping_sub(next));
            let Some((sequence, media_time)) = first.map(|waiting| (waiting.sequence, waiting.media_time)) else {
                return;
            };
            self.miss(sequence, media_time, take);
            self.next = Some(sequence);
            self.follow(take);
        }
    }

    /// Hands out what follows without a gap.
    fn follow(&mut self, take: &mut impl FnMut(Piece<'_>) -> usize) {
        while let Some(at) = self.waiting.iter().position(|waiting| Some(waiting.sequence) == self.next) {
            let Waiting { sequence, media_time, bytes } = self.waiting.swap_remove(at);
            self.next = Some(sequence.wrapping_add(1));
            self.troubles.reordered += 1;
            self.give(&bytes, media_time, take);
            self.spare.push(bytes);
        }
    }

    /// The packets before `sequence` are lost. Where media time is told it says how long they were.
    fn miss(&mut self, sequence: u32, media_time: Option<Duration>, take: &mut impl FnMut(Piece<'_>) -> usize) {
        let missing = sequence.wrapping_sub(self.next.unwrap_or(sequence));
        self.troubles.lost += u64::from(missing);
        if media_time.is_none() && missing > 0 {
            self.hole(missing as usize * self.last, take);
        }
    }

    fn give(&mut self, payload: &[u8], media_time: Option<Duration>, take: &mut impl FnMut(Piece<'_>) -> usize) {
        if let Some(time) = media_time {
            let origin = *self.origin.get_or_insert_with(|| {
                self.heard = 0;
                time
            });
            let expected = origin.saturating_add(self.rate.duration(self.heard));
            let (hole, back) = (time.saturating_sub(expected), expected.saturating_sub(time));
            if hole > HOLE_MAX || back > HOLE_MAX {
                self.troubles.restarts += 1;
                if hole > HOLE_MAX {
                    self.hole(self.rate.samples(HOLE_MAX), take);
                }
                (self.origin, self.heard) = (Some(time), 0);
            } else if hole >= TOLERANCE {
                self.hole(self.rate.samples(hole), take);
            }
        }
        let samples = take(Piece::Packet(payload));
        self.heard += samples as u64;
        if samples > 0 {
            self.last = samples;
        }
    }

    fn hole(&mut self, samples: usize, take: &mut impl FnMut(Piece<'_>) -> usize) {
        let samples = samples.min(self.rate.samples(HOLE_MAX));
        take(Piece::Hole(samples));
        self.heard += samples as u64;
        self.troubles.holes += 1;
        self.troubles.filled += self.rate.duration(samples as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What came out: the first byte of each packet, or minus the samples of a hole.
    fn heard(packets: &[(u8, Option<u64>, Option<u32>)]) -> (Vec<i32>, Troubles) {
        let mut jitter = Jitter::new(Rate::PHONE);
        let mut out = Vec::new();
        for (mark, ms, sequence) in packets {
            jitter.push(&[*mark; 160], ms.map(Duration::from_millis), *sequence, &mut |piece| match piece {
                Piece::Packet(bytes) => {
                    out.push(i32::from(bytes[0]));
                    bytes.len()
                }
                Piece::Hole(samples) => {
                    out.push(-(samples as i32));
                    0
                }
            });
        }
        (out, jitter.troubles())
    }

    fn sequenced(numbers: &[u32]) -> (Vec<i32>, Troubles) {
        heard(&numbers.iter().map(|number| (*number as u8, None, Some(*number))).collect::<Vec<_>>())
    }

    #[test]
    fn an_ordered_wire_is_not_delayed() {
        let (out, troubles) = heard(&[(1, Some(60), None), (2, Some(80), None), (3, None, None)]);
        assert_eq!((out, troubles), (vec![1, 2, 3], Troubles::default()));
    }

    #[test]
    fn reordered_packets_come_out_in_order() {
        let (out, troubles) = sequenced(&[1, 3, 2, 4, 6, 7, 5]);
        assert_eq!(out, [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!((troubles.lost, troubles.reordered), (0, 3));
    }

    #[test]
    fn a_missing_packet_is_waited_for_60_ms_and_then_filled() {
        let (out, troubles) = sequenced(&[1, 3, 4]);
        assert_eq!(out, [1]);
        assert_eq!(troubles.lost, 0);
        let (out, troubles) = sequenced(&[1, 3, 4, 5, 6]);
        assert_eq!(out, [1, -160, 3, 4, 5, 6]);
        assert_eq!((troubles.lost, troubles.holes, troubles.filled), (1, 1, Duration::from_millis(20)));
    }

    #[test]
    fn what_comes_twice_or_too_late_is_dropped() {
        let (out, troubles) = sequenced(&[1, 2, 2, 4, 4, 5, 6, 3, 7]);
        assert_eq!(out, [1, 2, -160, 4, 5, 6, 7]);
        assert_eq!(troubles.late, 3);
    }

    #[test]
    fn the_sequence_may_wrap_and_may_begin_anew() {
        assert_eq!(sequenced(&[u32::MAX, 0, 1]).0, [255, 0, 1]);
        let (out, troubles) = sequenced(&[5_000, 5_001, 1, 2]);
        assert_eq!((out.len(), troubles.restarts, troubles.late), (4, 1, 0));
    }

    #[test]
    fn a_media_time_at_the_end_of_all_time_is_no_overflow() {
        let mut jitter = Jitter::new(Rate::PHONE);
        for time in [Duration::MAX, Duration::ZERO, Duration::MAX, Duration::MAX] {
            jitter.push(&[0; 160], Some(time), None, &mut |_| 160);
        }
        assert_eq!(jitter.troubles().restarts, 2);
    }

    #[test]
    fn a_hole_in_media_time_is_filled() {
        let (out, troubles) = heard(&[(1, Some(60), None), (2, Some(500), None), (3, Some(520), None)]);
        assert_eq!(out, [1, -3_360, 2, 3]);
        assert_eq!((troubles.holes, troubles.filled), (1, Duration::from_millis(420)));
    }

    #[test]
    fn stamps_that_shake_do_not_make_holes_for_ever() {
        let stamps: Vec<_> = (0..500u64).map(|at| (1, Some(1_000 + at * 20 + (at * 7) % 13), None)).collect();
        let (_, troubles) = heard(&stamps);
        assert_eq!(troubles.holes, 0);
        let stamps: Vec<_> = (0..500u64).map(|at| (1, Some(1_000 + at * 20 + (at * 7) % 40), None)).collect();
        let (_, troubles) = heard(&stamps);
        assert!(troubles.filled <= Duration::from_millis(40), "{troubles:?}");
    }

    #[test]
    fn media_time_decides_how_long_lost_packets_were() {
        let packets: Vec<_> = [0u32, 1, 3, 4, 5].map(|at| (at as u8, Some(u64::from(at) * 20), Some(at))).into();
        let (out, troubles) = heard(&packets);
        assert_eq!(out, [0, 1, -160, 3, 4, 5]);
        assert_eq!((troubles.lost, troubles.holes), (1, 1));
    }

    #[test]
    fn a_clock_set_anew_is_not_a_hole_of_hours() {
        let hour = 3_600_000;
        let (out, troubles) =
            heard(&[(1, Some(0), None), (2, Some(hour), None), (3, Some(20), None), (4, Some(40), None)]);
        assert_eq!(out, [1, -16_000, 2, 3, 4]);
        assert_eq!(troubles.restarts, 2);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test needs a moment to begin with")]
    fn a_delivery_gap_is_not_lost_audio() {
        let mut jitter = Jitter::new(Rate::PHONE);
        let mut now = Instant::now();
        for (at, wait) in [0, 20, 1_500, 0, 250].into_iter().enumerate() {
            now += Duration::from_millis(wait);
            jitter.arrived(now);
            jitter.push(&[0; 160], Some(Duration::from_millis(20 * at as u64)), None, &mut |_| 160);
        }
        let troubles = jitter.troubles();
        assert_eq!((troubles.gaps, troubles.gap_longest), (1, Duration::from_millis(1_500)));
        assert_eq!((troubles.holes, troubles.lost), (0, 0));
    }

    proptest! {
        /// Whatever comes, what waits is bounded, packets come out at most once and in order, and none vanishes
        /// without being counted.
        #[test]
        fn any_order_is_survived(numbers in proptest::collection::vec(0u32..400, 1..300)) {
            let mut jitter = Jitter::new(Rate::PHONE);
            let mut out = Vec::new();
            for number in &numbers {
                jitter.push(&number.to_le_bytes().repeat(40), None, Some(*number), &mut |piece| match piece {
                    Piece::Packet(bytes) => {
                        out.push(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
                        bytes.len()
                    }
                    Piece::Hole(_) => 0,
                });
                prop_assert!(jitter.waiting.len() <= 3);
            }
            prop_assert!(out.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", out);
            let late = jitter.troubles().late as usize;
            prop_assert_eq!(out.len() + jitter.waiting.len() + late, numbers.len());
        }
    }
}
