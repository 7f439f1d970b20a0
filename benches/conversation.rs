//! What a second of a whole call costs, from the bytes that arrive to the frames that leave: hearing with the real
//! detector, deciding, speaking. Engines are made beforehand and cost nothing.
//!
//! `cargo bench --no-default-features --bench conversation`; with `-- fixed <seconds>` it plays one call on PCM at 16 kHz and prints
//! nothing, for a profiler that counts instructions (`benches/instructions.sh`).

mod talk;

use std::time::Duration;

use divan::{Bencher, counter::ItemsCount};
use pronto::{
    audio::{Format, Line},
    call::{Actions, Call, Input, Wake},
};
use talk::{Conversation, Packets, ROUND};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "fixed") {
        let seconds = arguments.get(at + 1).and_then(|seconds| seconds.parse().ok()).unwrap_or(20);
        return begin(Line::vapi(Format::PCM_WIDE)).play(Duration::from_secs(seconds), &mut handle);
    }
    divan::main();
}

const LINES: [&str; 3] = ["mulaw 8k clears", "mulaw 8k", "pcm 16k"];

fn line(name: &str) -> Line {
    match name {
        "mulaw 8k clears" => Line::twilio(),
        "mulaw 8k" => Line::vapi(Format::MULAW_PHONE),
        _ => Line::vapi(Format::PCM_WIDE),
    }
}

fn begin(line: Line) -> Conversation {
    let packets = Packets::new(&line).expect("a line of every build");
    Conversation::new(line, &packets).expect("a line of every build")
}

fn handle(call: &mut Call, now: std::time::Instant, input: Input<'_>, actions: &mut Actions) -> Option<Wake> {
    call.handle(now, input, actions)
}

/// Ten seconds of conversation: the items are seconds.
#[divan::bench(args = LINES, sample_size = 1, sample_count = 30)]
fn ten_seconds(bencher: Bencher<'_, '_>, name: &str) {
    let mut call = begin(line(name));
    let mut until = ROUND;
    call.play(until, &mut handle);
    bencher.counter(ItemsCount::new(ROUND.as_secs())).bench_local(|| {
        until += ROUND;
        call.play(until, &mut handle);
        call.sent
    });
}
