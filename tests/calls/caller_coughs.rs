//! Sound without words is no turn.

use pronto::sim::story::{ms, says, story};

#[test]
fn a_cough_makes_no_turn() {
    story()
        .noise(1.0..1.3)
        .expect("nothing happens", |t| t.asks() == 0 && t.voice().is_zero() && t.history().is_empty())
        .play();
}

#[test]
fn a_cough_before_the_question_does_not_delay_it() {
    story()
        .noise(1.0..1.2)
        .caller(1.6..2.6, "vorrei prenotare un tagliando")
        .expect("700 ms", |t| t.asked_after(2.6) >= ms(700) && t.asked_after(2.6) <= ms(730))
        .play();
}

#[test]
fn a_cough_after_the_question_does_not_lose_it() {
    story()
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .noise(2.4..2.55)
        .model(says("Certo."))
        .expect("asked once", |t| t.asks() == 1)
        .expect("understood", |t| t.understood() == ["vorrei prenotare un tagliando"])
        .expect("answered", |t| t.said() == ["Certo."])
        .play();
}

#[test]
fn an_empty_end_of_turn_of_the_engine_makes_no_turn() {
    story()
        .engine_ends_turns(ms(300))
        .caller(1.0..1.3, "")
        .expect("nothing happens", |t| t.asks() == 0 && t.voice().is_zero())
        .play();
}
