//! Nobody is left to understand the caller: keys still work, and the caller is told.

use pronto::sim::story::{ms, says, story};

#[test]
fn the_caller_is_told() {
    story()
        .recogniser_dies(1.0)
        .until(9.0)
        .expect("told", |t| t.said().iter().any(|said| said.contains("tastiera")))
        .expect("at once", |t| t.silence_after(1.0) < ms(300))
        .play();
}

#[test]
fn keys_are_an_answer() {
    story()
        .recogniser_dies(1.0)
        .key(8.0, '3')
        .key(8.3, '4')
        .key(8.6, '#')
        .model(says("Grazie, la richiamiamo."))
        .expect("understood", |t| t.understood() == ["34"])
        .expect("answered", |t| t.said().last().is_some_and(|said| said == "Grazie, la richiamiamo."))
        .play();
}

#[test]
fn who_is_never_understood_is_asked_for_keys() {
    story()
        .caller(1.0..2.0, "")
        .caller(8.0..9.0, "")
        .caller(15.0..16.0, "")
        .until(24.0)
        .expect("asked to repeat twice, then for keys", |t| {
            let keys: Vec<_> = t.said().iter().map(|said| said.contains("tastiera")).collect();
            keys == [false, false, true]
        })
        .play();
}

#[test]
fn a_short_answer_that_the_recogniser_does_not_answer_is_no_noise() {
    story()
        .no_partials()
        .transcript_after(ms(20_000))
        .caller(1.0..1.3, "sì")
        .until(9.0)
        .expect("told", |t| t.said().iter().any(|said| said.contains("Può ripetere?")))
        .expect("in time", |t| t.silence_after(1.3) < ms(2_500))
        .play();
}
