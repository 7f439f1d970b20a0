//! An outcome nobody waits for any more still wants to be told.

use pronto::sim::story::{asks, done, ms, s, says, story};

#[test]
fn it_triggers_an_answer() {
    story()
        .caller(0.5..2.0, "mi prenoti per martedì")
        .write("book_appointment", s(7.0), done())
        .model(asks("book_appointment"))
        .caller(4.2..4.8, "aspetti un attimo")
        .model(says("Certo, aspetto."))
        .model(says("È prenotato per martedì."))
        .until(16.0)
        .expect("told when it is done", |t| t.said() == ["Certo, aspetto.", "È prenotato per martedì."])
        .expect("soon", |t| t.spoken_at("È prenotato").is_some_and(|at| at > s(9.9) && at < s(10.8)))
        .play();
}

#[test]
fn while_the_caller_speaks_it_waits() {
    story()
        .caller(0.5..2.0, "mi prenoti per martedì")
        .write("book_appointment", s(4.0), done())
        .model(asks("book_appointment"))
        .caller(4.0..8.0, "e poi volevo chiedere se fate anche le gomme invernali")
        .model(says("Prenotato, e sì."))
        .until(16.0)
        .expect("one answer to both", |t| t.asks() == 2 && t.said() == ["Prenotato, e sì."])
        .expect("not into the caller's words", |t| t.asked_after(8.0) >= ms(450) && !t.sounds_at(7.5))
        .play();
}
