//! The line is gone, the booking is not.

use pronto::{
    call::{Action, Ending},
    sim::story::{asks, done, ms, s, story},
};

#[test]
fn the_outcome_is_recorded_after_the_end() {
    story()
        .caller(0.5..2.0, "mi prenoti per martedì")
        .write("book_appointment", ms(3_000), done())
        .model(asks("book_appointment"))
        .hangs_up(3.5)
        .expect("over at once", |t| t.ending() == Some((s(3.5), Ending::CallerHungUp)))
        .expect("written", |t| t.writes("book_appointment") == 1)
        .expect("not dropped", |t| !t.actions().iter().any(|(_, action)| matches!(action, Action::DropTool(_))))
        .expect("recorded", |t| t.outcome("ask-book_appointment") == Some(r#"{"ok":true}"#))
        .play();
}

#[test]
fn a_look_up_is_dropped_with_the_call() {
    story()
        .caller(0.5..2.0, "mi prenoti per martedì")
        .read("find_slots", ms(3_000), done())
        .model(asks("find_slots"))
        .hangs_up(3.5)
        .expect("dropped", |t| t.actions().iter().any(|(_, action)| matches!(action, Action::DropTool(_))))
        .expect("and has an outcome", |t| t.outcome("ask-find_slots").is_some_and(|text| text.contains("cancelled")))
        .play();
}
