//! Cutting in: from the first sample of a caller who speaks over us to silence at the sink, and what the decision costs.
//! The first in virtual time with the policies there are; the second on this machine, with the real detector. How long
//! that detector takes to be sure of real speech, and what it does not stop for, is in `benches/vad.rs`.
//!
//! `cargo bench --no-default-features --features sim --bench interruption`
#![expect(clippy::print_stdout, reason = "a report")]

mod talk;

use std::time::{Duration, Instant};

use pronto::{
    audio::{Format, Line},
    call::{Action, Actions, Call, Event, Input, InterruptingPolicy, Wake},
    sim::story::{clearing, story},
};
use talk::{Conversation, Packets, ROUND};

const GREETING: &str =
    "Officina Rossi, buongiorno. Sono l'assistente automatico. Mi dica pure come posso aiutarla oggi.";

fn main() {
    // `cargo test --benches` runs this too: one quick look is enough there.
    let many = std::env::args().any(|argument| argument == "--bench");
    silences(if many { 100 } else { 3 });
    costs(if many { 40 } else { 2 });
}

fn silences(cuts: u32) {
    let vapi = Line::vapi(Format::PCM_WIDE);
    println!("virtual time, {cuts} cuts each            silence at the sink        decided");
    println!("line and policy                      p50      p95      max      p50      p95      max");
    for (name, line, policy) in [
        ("no clear, 60 ms ahead, words", vapi, InterruptingPolicy::Words),
        ("no clear, 60 ms ahead, speech", vapi, InterruptingPolicy::Speech),
        ("clear, 200 ms ahead, words", clearing(), InterruptingPolicy::Words),
        ("clear, 200 ms ahead, speech", clearing(), InterruptingPolicy::Speech),
    ] {
        let (mut silent, mut decided) = (Vec::new(), Vec::new());
        for cut in 0..cuts {
            let from = 2.0 + f64::from(cut) * 0.0073;
            let trace = story()
                .line(line)
                .greeting(GREETING)
                .settings(|settings| settings.interruption.policy = policy)
                .caller(from..from + 1.2, "no aspetti un momento")
                .until(from + 2.0)
                .play();
            let onset = Duration::from_secs_f64(from);
            let sounding = trace.heard().iter().find(|stretch| stretch.from <= onset && stretch.to > onset);
            silent.extend(sounding.map(|stretch| stretch.to - onset));
            let cut = trace.events().find(|(_, event)| matches!(event, Event::Interrupted(_)));
            decided.extend(cut.map(|(at, _)| at.saturating_sub(onset)));
        }
        println!("{name:<32}{}{}", quantiles(&mut silent), quantiles(&mut decided));
    }
    let mut stops = 0;
    for slam in 0..cuts {
        let from = 2.0 + f64::from(slam) * 0.0073;
        let trace = story().greeting(GREETING).noise(from..from + 0.08).until(from + 2.0).play();
        stops += trace.interruptions() + trace.false_alarms();
    }
    println!("a slam of 80 ms                 stops our voice {stops} times in {cuts}");
}

/// The CPU of holding and of cutting, hearing the frame that brought it about included.
fn costs(rounds: u32) {
    println!("\nthis machine, {rounds} cuts each                 p50      p95      max");
    for (name, line) in [("mu-law 8k, clear", Line::twilio()), ("PCM 16k, no clear", Line::vapi(Format::PCM_WIDE))] {
        let packets = Packets::new(&line).expect("built in");
        let mut call = Conversation::new(line, &packets).expect("built in");
        call.cuts_in = true;
        let (mut holds, mut cuts) = (Vec::new(), Vec::new());
        let mut timed = |call: &mut Call, now: Instant, input: Input<'_>, actions: &mut Actions| -> Option<Wake> {
            #[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
            let begin = Instant::now();
            let wake = call.handle(now, input, actions);
            let took = begin.elapsed();
            let told = |is: fn(&Action) -> bool| actions.list().iter().any(is);
            if told(|action| matches!(action, Action::Tell(Event::Held(_)))) {
                holds.push(took);
            } else if told(|action| matches!(action, Action::Tell(Event::Interrupted(_)))) {
                cuts.push(took);
            }
            wake
        };
        call.play(ROUND * rounds, &mut timed);
        println!("{:<40}{}", format!("{name}: the hold ({})", holds.len()), quantiles(&mut holds));
        println!("{:<40}{}", format!("{name}: the cut ({})", cuts.len()), quantiles(&mut cuts));
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
