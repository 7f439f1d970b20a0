//! What a turn costs: how much of the time between the caller's last sample and our first is the gateway's own, and what
//! its decisions cost in CPU. The first in virtual time, exact; the second on this machine, with the real detector.
//!
//! `cargo bench --no-default-features --features sim --bench turn`
#![expect(clippy::print_stdout, reason = "a report")]

mod talk;

use std::time::{Duration, Instant};

use pronto::{
    audio::{Format, Line},
    call::{Action, Actions, Call, Input, Wake},
    sim::story::{ms, says, story},
};
use talk::{Conversation, Packets, ROUND};

fn main() {
    // `cargo test --benches` runs this too: one quick look is enough there.
    let many = std::env::args().any(|argument| argument == "--bench");
    shares(if many { 300 } else { 3 });
    costs(if many { 60 } else { 2 });
}

/// Turns with engines of every speed, and of none: A1 - T0, and what of it is neither the configured silence nor an engine.
fn shares(turns: u32) {
    let (mut whole, mut own) = (Vec::new(), Vec::new());
    for number in 0..turns {
        // The caller begins and ends anywhere within a frame; engines answer after anything from 0 to 900 ms.
        let (from, engine) = (1.0 + f64::from(number) * 0.0071, |step: u32| u64::from(number * step % 900));
        let trace = story()
            .caller(from..from + 1.5, "vorrei prenotare un tagliando")
            .transcript_after(ms(engine(37) / 3))
            .model(says("Certo. Per che giorno?"))
            .script(|script| {
                script.voice.first = ms(engine(53));
                script.model.iter_mut().for_each(|answer| answer.first = ms(engine(71)));
            })
            .until(8.0)
            .play();
        for turn in &trace.report().turns {
            whole.extend(turn.latency());
            own.extend(turn.own());
        }
    }
    println!("virtual time, {} answers           p50      p95      max", own.len());
    for (name, times) in [("A1 - T0, everything", &mut whole), ("the gateway's own share", &mut own)] {
        println!("{name:<32}{}", quantiles(times));
    }
}

/// The CPU of the decisions of a turn, hearing the frame that brought them about included.
fn costs(rounds: u32) {
    let line = Line::vapi(Format::PCM_WIDE);
    let packets = Packets::new(&line).expect("PCM is built in");
    let mut call = Conversation::new(line, &packets).expect("PCM is built in");
    let (mut ends, mut clauses, mut sounds, mut frames) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut timed = |call: &mut Call, now: Instant, input: Input<'_>, actions: &mut Actions| -> Option<Wake> {
        let (audio, voice) = (matches!(input, Input::Audio(_)), matches!(input, Input::Tts(..)));
        #[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
        let begin = Instant::now();
        let wake = call.handle(now, input, actions);
        let took = begin.elapsed();
        let has = |is: fn(&Action) -> bool| actions.list().iter().any(is);
        if has(|action| matches!(action, Action::Think(_))) {
            ends.push(took);
        } else if has(|action| matches!(action, Action::Speak { .. })) {
            clauses.push(took);
        } else if voice && has(|action| matches!(action, Action::Send { turn: Some(_), .. })) {
            sounds.push(took);
        } else if audio {
            frames.push(took);
        }
        wake
    };
    call.play(ROUND * rounds, &mut timed);
    println!("\nthis machine, {rounds} turns             p50      p95      max");
    for (name, times) in [
        ("a frame of 20 ms", &mut frames),
        ("the end of speech -> the ask", &mut ends),
        ("a word -> a clause to the voice", &mut clauses),
        ("the first sound -> the wire", &mut sounds),
    ] {
        println!("{name:<32}{}", quantiles(times));
    }
}

fn quantiles(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |part: f64| times.get(((times.len() as f64 * part) as usize).min(times.len().saturating_sub(1)));
    [0.5, 0.95, 1.0]
        .into_iter()
        .map(|part| at(part).map_or(f64::NAN, |time| time.as_secs_f64() * 1_000.0))
        .map(|time| if time < 10.0 { format!("{time:>6.3} ms") } else { format!("{time:>6.0} ms") })
        .collect()
}
