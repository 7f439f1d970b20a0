//! A few callers of the shop simulator, from the seed to the books: real sockets, in real time. What is asserted does not
//! hang on the clock of a busy machine: what is in the books, and that nobody has a bay twice.
#![cfg(all(feature = "daemon", feature = "load"))]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking, and tells the dialogue then")]

use std::time::Duration;

use pronto::{
    audio::Format,
    daemon::load::shop::{Calls, Folder, Rig},
    load::{
        caller::Wire,
        shop::{Run, outcome::Outcome, persona::personas},
    },
};
use tokio::time::timeout;

/// Longer than any of these calls, however busy the machine is: a test that hangs says so.
const AT_MOST: Duration = Duration::from_secs(240);

/// The run of seed 10 begins at the beginning of the list.
const SEED: u64 = 10;

/// Plays the callers with these names, the first of each.
async fn play(names: &[&str], wire: Wire) -> Outcome {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let at = |name: &&str| personas().iter().position(|one| one.name == **name).unwrap();
    let only: Vec<usize> = names.iter().map(at).collect();
    play_numbers(only, wire).await
}

async fn play_numbers(only: Vec<usize>, wire: Wire) -> Outcome {
    let callers = only.iter().max().unwrap() + 1;
    let calls = Calls { seed: SEED, callers, only: Some(only), at_once: 6, wire };
    let folder = Folder::new().unwrap();
    let rig = Rig::open(&calls, &folder).await.unwrap();
    let run = Run { seed: SEED, wire, at_once: 6, keep: None };
    let outcome = timeout(AT_MOST, rig.run(&run, |_| {})).await.expect("the calls end by themselves").unwrap();
    for call in &outcome.calls {
        eprintln!("#{} {} {:?} {:?}", call.seed, call.persona, call.wrong, call.measured);
        if call.wrong.is_some() {
            call.dialogue.iter().for_each(|line| eprintln!("    {line}"));
        }
    }
    outcome
}

fn all_right(outcome: &Outcome, calls: usize) {
    assert_eq!(outcome.calls.len(), calls);
    let wrong: Vec<_> = outcome.calls.iter().filter_map(|call| call.wrong.as_ref()).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(outcome.double_bookings.is_empty(), "{:?}", outcome.double_bookings);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_get_what_they_called_for() {
    let outcome =
        play(&["tranquillo", "sposta", "annulla", "data-domenica", "si-corregge"], Wire::Vapi(Format::PCM_WIDE));
    all_right(&outcome.await, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_wish_the_same_hour_both_get_one_through_the_telephone() {
    let first = personas().iter().position(|one| one.rival).unwrap();
    all_right(&play_numbers(vec![first, first + 1], Wire::Twilio).await, 2);
}
