//! The process stops: the caller hears a sentence, and the line is closed in the time that is left.

use pronto::{
    call::Ending,
    sim::story::{asks, done, ms, s, story},
};

#[test]
fn with_time_enough_the_sentence_is_heard_whole() {
    story()
        .greeting("Il tagliando completo comprende il cambio dell'olio e dei filtri.")
        .shutdown(2.0, s(8.0))
        .expect("said", |t| {
            t.said().last().is_some_and(|said| said.contains("devo interrompere") && !said.ends_with('|'))
        })
        .expect("closed when it was heard", |t| {
            t.ending().is_some_and(|(at, why)| {
                why == Ending::Shutdown && t.heard().last().is_some_and(|last| last.to <= at && at <= last.to + ms(40))
            })
        })
        .play();
}

#[test]
fn with_little_time_it_is_closed_in_time_all_the_same() {
    for within in [1, 50, 500, 1_500] {
        story()
            .greeting("Buongiorno.")
            .shutdown(2.0, ms(within))
            .expect("in time", move |t| t.ending() == Some((ms(2_000 + within), Ending::Shutdown)))
            .play();
    }
}

#[test]
fn with_no_time_it_is_closed_at_once() {
    story().shutdown(2.0, ms(0)).expect("at once", |t| t.ending().is_some_and(|(at, _)| at <= ms(2_001))).play();
}

#[test]
fn a_booking_that_runs_is_recorded() {
    story()
        .caller(0.5..2.0, "mi prenoti per martedì")
        .write("book_appointment", s(6.0), done())
        .model(asks("book_appointment"))
        .shutdown(3.5, s(1.0))
        .until(20.0)
        .expect("recorded", |t| t.outcome("ask-book_appointment") == Some(r#"{"ok":true}"#))
        .play();
}
