//! Thousands of invented calls with every promise checked at each step. `PRONTO_WORLD` says how many, and
//! `PRONTO_SEED` plays a single one.

use pronto::sim::{story::tell, world};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn the_promises_hold_in_every_invented_call() {
    if let Some(seed) = number("PRONTO_SEED") {
        if let Err(broken) = world::play(seed) {
            panic!("seed {seed}: {}\n{}", broken.promise, tell(&broken.trace));
        }
        return;
    }
    let calls = number("PRONTO_WORLD").unwrap_or(2_000);
    let mut broken = Vec::new();
    for seed in 0..calls {
        let played = std::panic::catch_unwind(|| world::play(seed));
        match played {
            Ok(Ok(_)) => {}
            Ok(Err(failed)) => broken.push(format!("seed {seed}: {}", failed.promise)),
            Err(_) => broken.push(format!("seed {seed}: panic")),
        }
    }
    assert!(
        broken.is_empty(),
        "{} of {calls} calls broke a promise; play one with PRONTO_SEED=<seed>:\n{}",
        broken.len(),
        broken.join("\n")
    );
}
