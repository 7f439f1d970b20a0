//! The gateway's pulse: how late its tasks come to run. When the processor is not enough for the calls under way, one
//! more would spoil all of them; it is turned away at the door, before anything was done for it.
//!
//! A beat is due every 20 ms, and its lateness is what any task waits for a worker. What the latest tenth of the beats
//! of half a second have in common decides: a machine that stands still for a moment is late once and is not busy, one
//! that is late again and again is. The later, the fewer calls may begin between two looks at it, so that a crowd at
//! the door is not let in before its weight is felt.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use tokio::time::{Instant, sleep, sleep_until};

use super::{Shared, drain::Step, metrics};

/// Between beats.
const BEAT: Duration = Duration::from_millis(20);
/// Beats that are looked at.
const BEATS: usize = 25;
/// Of those in order, the one that counts: three as late or later are no accident.
const TELLING: usize = BEATS - 3;
/// Beats between two looks at it.
const LOOK: usize = 5;
/// With fewer calls nothing is late for long, and a gateway at rest is not to be woken.
const FROM: usize = 16;
/// Calls that may begin between two looks when nothing is late; of many calls a part more.
const AT_ONCE: u32 = 32;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Pulse {
    /// The lateness that is too much, in microseconds; 0 for none.
    max_us: u32,
    /// Calls that may still begin before the next look.
    room: AtomicU32,
}

impl Pulse {
    /// Turns calls away from this lateness on; 0 never does.
    pub(super) fn new(late_ms_max: u32) -> Self {
        Self { max_us: late_ms_max.saturating_mul(1_000), room: AtomicU32::new(AT_ONCE) }
    }

    /// Whether one more call may begin now; counts it.
    pub(super) fn admit(&self) -> bool {
        self.max_us == 0
            || self.room.fetch_update(Ordering::AcqRel, Ordering::Acquire, |room| room.checked_sub(1)).is_ok()
    }

    /// Whether one more could begin now.
    pub(super) fn has_room(&self) -> bool {
        self.max_us == 0 || self.room.load(Ordering::Acquire) > 0
    }

    /// A look at the last beats: how late they were, and how many calls may begin until the next.
    fn look(&self, late: &mut [Duration; BEATS], active: usize) -> Duration {
        late.sort_unstable();
        let late_us = u32::try_from(late[TELLING].as_micros()).unwrap_or(u32::MAX);
        self.room.store(room(late_us, self.max_us, active), Ordering::Release);
        late[TELLING]
    }
}

/// How many calls may begin until the next look: many when nothing is late, a few when something is, none from the most
/// on.
fn room(late_us: u32, max_us: u32, active: usize) -> u32 {
    if active < FROM || late_us < max_us / 4 {
        return AT_ONCE + active as u32 / 32;
    }
    if late_us >= max_us { 0 } else { 1 + active as u32 / 64 }
}

/// Feels the pulse until the shutdown is done.
pub(super) async fn beat(shared: &Shared) {
    if shared.pulse.max_us == 0 {
        return;
    }
    let (mut late, mut beats) = ([Duration::ZERO; BEATS], 0_usize);
    let done = shared.drain.reached(Step::Done);
    let beating = async {
        loop {
            let active = shared.calls.active();
            if active < FROM {
                late = [Duration::ZERO; BEATS];
                metrics::late(shared.pulse.look(&mut late.clone(), active));
                sleep(BEAT * LOOK as u32).await;
                continue;
            }
            let due = Instant::now() + BEAT;
            sleep_until(due).await;
            late[beats % BEATS] = due.elapsed();
            beats += 1;
            if beats.is_multiple_of(LOOK) {
                metrics::late(shared.pulse.look(&mut late.clone(), active));
            }
        }
    };
    tokio::select! {
        () = done => {}
        () = beating => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked(late_ms: u64, beats: usize, active: usize) -> Pulse {
        let pulse = Pulse::new(20);
        let mut late = [Duration::ZERO; BEATS];
        late[..beats].fill(Duration::from_millis(late_ms));
        pulse.look(&mut late, active);
        pulse
    }

    fn admitted(pulse: &Pulse) -> usize {
        (0..10_000).take_while(|_| pulse.admit()).count()
    }

    #[test]
    fn the_later_the_fewer_may_begin() {
        assert_eq!(admitted(&looked(0, BEATS, 320)), 42);
        assert_eq!(admitted(&looked(0, BEATS, 1_600)), 82);
        assert_eq!(admitted(&looked(10, BEATS, 640)), 11);
        assert_eq!(admitted(&looked(20, BEATS, 640)), 0);
    }

    #[test]
    fn a_moment_of_standing_still_is_not_busy() {
        assert_eq!(admitted(&looked(900, 2, 320)), 42);
        assert_eq!(admitted(&looked(900, 3, 320)), 0);
    }

    #[test]
    fn a_few_calls_are_always_taken() {
        assert_eq!(admitted(&looked(900, BEATS, FROM - 1)), 32);
    }

    #[test]
    fn without_a_limit_nobody_is_turned_away() {
        let pulse = Pulse::new(0);
        pulse.look(&mut [Duration::from_secs(1); BEATS], 1_000);
        assert_eq!(admitted(&pulse), 10_000);
    }
}
