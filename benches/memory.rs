//! What a call holds in memory at the worst moment, what it allocates while it goes on, and that it gives everything
//! back. Whole calls with the default settings and the real detector, in virtual time; the buffers that a driver keeps
//! for each call are counted with it.
//!
//! `cargo bench --no-default-features --features opus --bench memory`; `PRONTO_CALLS` says how many. The heap is counted
//! by the allocator, which does not see libopus; what the system sees is the change of resident memory.
#![expect(clippy::print_stdout, reason = "a report")]

mod talk;

use std::time::Duration;

use allocation_counter::{AllocationInfo, measure};
#[cfg(feature = "opus")]
use pronto::audio::{Codec, Rate};
use pronto::audio::{Format, Line};
use talk::{Conversation, Packets, ROUND};

/// The second answer waits to be heard and nothing of it has left: a second of voice in the playout, on a line that can
/// clear a second of what has left as well.
const WORST: Duration = Duration::from_millis(15_300);

fn main() {
    // `cargo test --benches` runs this too: a few calls are enough there.
    let usual = if std::env::args().any(|argument| argument == "--bench") { 300 } else { 2 };
    let calls = std::env::var("PRONTO_CALLS").ok().and_then(|calls| calls.parse().ok()).unwrap_or(usual);
    println!("{calls} calls of each kind; KiB for each call\n");
    println!(
        "{:<22}{:>10}{:>10}{:>10}{:>12}{:>10}{:>14}{:>14}",
        "line", "new", "worst", "peak", "worst, RSS", "left", "allocs/s", "allocs/s"
    );
    println!(
        "{:<22}{:>10}{:>10}{:>10}{:>12}{:>10}{:>14}{:>14}",
        "", "heap", "heap", "heap", "", "heap", "listening", "conversing"
    );
    for (name, line) in lines() {
        report(name, line, calls);
    }
}

fn lines() -> Vec<(&'static str, Line)> {
    vec![
        ("mu-law 8k, Twilio", Line::twilio()),
        ("mu-law 8k, Vapi", Line::vapi(Format::MULAW_PHONE)),
        ("PCM 16k, Vapi", Line::vapi(Format::PCM_WIDE)),
        ("PCM 16k, clears", Line { clears: true, marks: true, continuous: false, ..Line::vapi(Format::PCM_WIDE) }),
        #[cfg(feature = "opus")]
        ("Opus 16k", Line::vapi(Format { codec: Codec::Opus, rate: Rate::WIDE })),
        #[cfg(feature = "opus")]
        ("Opus 48k", Line::vapi(Format { codec: Codec::Opus, rate: Rate::FULL })),
    ]
}

fn report(name: &str, line: Line, calls: usize) {
    let packets = Packets::new(&line).expect("a line of this build");
    let make = || Conversation::new(line, &packets).expect("a line of this build");
    let mut handle = |call: &mut pronto::call::Call, now, input: pronto::call::Input<'_>, actions: &mut _| {
        call.handle(now, input, actions)
    };
    // What is made once for all calls is not a call's.
    make().play(ROUND, &mut handle);

    let new = measure(|| {
        let one = make().into_call();
        KEPT.set(size_of_val(&one));
        std::mem::forget(one);
    });
    let (mut peak, mut held) = (0, Vec::with_capacity(calls));
    let before = resident();
    let (mut worst, mut after) = (AllocationInfo::default(), 0);
    let all = measure(|| {
        worst = measure(|| {
            for _ in 0..calls {
                let one = measure(|| {
                    let mut one = make();
                    one.play(WORST, &mut handle);
                    held.push(one.into_call());
                });
                peak = peak.max(one.bytes_max);
            }
        });
        after = resident();
        held.clear();
    });

    let kib = |bytes: f64| bytes / 1_024.0;
    let stack = KEPT.get() as f64;
    println!(
        "{name:<22}{:>10.1}{:>10.1}{:>10.1}{:>12.1}{:>10.1}{:>14.2}{:>14.2}",
        kib(new.bytes_current as f64 + stack),
        kib(worst.bytes_current as f64 / calls as f64 + stack),
        kib(peak as f64 + stack),
        kib((after.saturating_sub(before)) as f64 / calls as f64),
        kib(all.bytes_current as f64 / calls as f64),
        allocations(make(), Duration::ZERO, Duration::from_millis(900)),
        allocations(make(), ROUND * 2, ROUND * 4),
    );
}

/// Allocations in [`Call::handle`](pronto::call::Call::handle) alone, for each second from one moment to another.
fn allocations(mut one: Conversation, from: Duration, until: Duration) -> f64 {
    let mut count = 0;
    let mut watched = |call: &mut pronto::call::Call, now, input: pronto::call::Input<'_>, actions: &mut _| {
        let (mut wake, mut input) = (None, Some(input));
        let info = measure(|| wake = input.take().and_then(|input| call.handle(now, input, actions)));
        count += info.count_total;
        wake
    };
    one.play(from + Duration::from_millis(200), &mut |call, now, input, actions| call.handle(now, input, actions));
    one.play(until, &mut watched);
    count as f64 / (until - from - Duration::from_millis(200)).as_secs_f64()
}

thread_local! {
    /// What of a call is not on the heap.
    static KEPT: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Resident memory of this process, in bytes.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4_096
}
