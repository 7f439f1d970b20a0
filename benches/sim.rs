//! How fast virtual time is: thousands of invented calls on one core, against the time they would have taken.
//!
//! `cargo bench --no-default-features --features sim --bench sim`; `PRONTO_WORLD` says how many calls.

use std::time::{Duration, Instant};

use pronto::sim::world;

#[expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a benchmark reads the clock and prints")]
fn main() {
    let calls = std::env::var("PRONTO_WORLD").ok().and_then(|calls| calls.parse().ok()).unwrap_or(1_000u64);
    let started = Instant::now();
    let mut played = Duration::ZERO;
    let mut broken = 0;
    for seed in 0..calls {
        match world::play(seed) {
            Ok(trace) => played += trace.end(),
            Err(failed) => {
                broken += 1;
                println!("seed {seed}: {}", failed.promise);
            }
        }
    }
    let took = started.elapsed();
    println!(
        "{calls} calls, {:.1} virtual hours in {:.2} s: {:.0} x real time on one core; {broken} broke a promise",
        played.as_secs_f64() / 3_600.0,
        took.as_secs_f64(),
        played.as_secs_f64() / took.as_secs_f64(),
    );
}
