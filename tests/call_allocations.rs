//! The gate against a core that grows slower unseen: what a whole call allocates while it goes on, in numbers that are the
//! same on every machine. Ten seconds of conversation are three of the caller and four of ours.

#![expect(clippy::print_stdout, reason = "the numbers are there to be read")]

#[path = "../benches/talk/mod.rs"]
mod talk;

use std::time::Duration;

use allocation_counter::{AllocationInfo, measure};
use pronto::audio::{Format, Line};
use talk::{Conversation, Packets, ROUND};

/// Allocations inside the call alone, from one moment of a conversation to another.
fn spent(line: Line, from: Duration, until: Duration) -> AllocationInfo {
    let packets = Packets::new(&line).expect("a line of every build");
    let mut call = Conversation::new(line, &packets).expect("a line of every build");
    let mut all = AllocationInfo::default();
    call.play(from, &mut |call, now, input, actions| call.handle(now, input, actions));
    call.play(until, &mut |call, now, input, actions| {
        let (mut wake, mut input) = (None, Some(input));
        let info = measure(|| wake = input.take().and_then(|input| call.handle(now, input, actions)));
        all.count_total += info.count_total;
        all.bytes_total += info.bytes_total;
        wake
    });
    all
}

fn lines() -> [(&'static str, Line); 3] {
    [
        ("mu-law, Twilio", Line::twilio()),
        ("mu-law, Vapi", Line::vapi(Format::MULAW_PHONE)),
        ("PCM, Vapi", Line::vapi(Format::PCM_WIDE)),
    ]
}

#[test]
fn a_call_that_listens_allocates_nothing() {
    for (name, line) in lines() {
        let spent = spent(line, Duration::from_millis(200), Duration::from_millis(900));
        assert_eq!(spent.count_total, 0, "{name}");
    }
}

#[test]
fn a_turn_allocates_what_it_says_and_little_else() {
    for (name, line) in lines() {
        let spent = spent(line, 2 * ROUND, 6 * ROUND);
        let (count, bytes) = (spent.count_total / 4, spent.bytes_total / 4);
        println!("{name}: {count} allocations and {bytes} bytes a turn");
        assert!(count <= TURN_COUNT_MAX, "{name}: {count} allocations a turn, bound {TURN_COUNT_MAX}");
        assert!(bytes <= TURN_BYTES_MAX, "{name}: {bytes} bytes a turn, bound {TURN_BYTES_MAX}");
    }
}

/// A little above what it is: whoever needs more says in the commit what for.
const TURN_COUNT_MAX: u64 = 260;
const TURN_BYTES_MAX: u64 = 225_000;
