//! Thousands of invented calls with every promise checked at each step. `PRONTO_WORLD` says how many (from
//! `PRONTO_FROM`), and `PRONTO_SEED` plays a single one and tells it when it goes wrong.
//!
//! What goes wrong here becomes a story in `tests/calls`, named after the fault: a seed is another call as soon as the
//! inventor of calls changes.

use std::{
    panic::catch_unwind,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use pronto::sim::{story::tell, world};

/// Played by `make test`.
const CALLS: u64 = 2_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// What went wrong in the call of this seed, if anything.
fn wrong(seed: u64) -> Option<String> {
    match catch_unwind(|| world::play(seed)) {
        Ok(Ok(_)) => None,
        Ok(Err(broken)) => Some(format!("seed {seed}: {}", broken.promise)),
        Err(_) => Some(format!("seed {seed}: panic")),
    }
}

#[test]
fn the_promises_hold_in_every_invented_call() {
    if let Some(seed) = number("PRONTO_SEED") {
        if let Err(broken) = world::play(seed) {
            panic!("seed {seed}: {}\n{:#?}\n{}", broken.promise, world::invent(seed), tell(&broken.trace));
        }
        return;
    }
    let from = number("PRONTO_FROM").unwrap_or(0);
    let calls = number("PRONTO_WORLD").unwrap_or(CALLS);
    let next = AtomicU64::new(from);
    let broken = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + calls {
                        return;
                    }
                    if let Some(wrong) = wrong(seed) {
                        broken.lock().expect("nobody panics with the list").push(wrong);
                    }
                }
            });
        }
    });
    let broken = broken.into_inner().expect("nobody panics with the list");
    assert!(
        broken.is_empty(),
        "{} of {calls} calls broke a promise; play one with PRONTO_SEED=<seed>:\n{}",
        broken.len(),
        broken.join("\n")
    );
}
