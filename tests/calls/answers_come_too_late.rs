//! What was asked in a turn that is over comes all the same: it is counted and dropped.

use pronto::sim::story::{ms, says, story};

const LONG: &str =
    "Il tagliando completo comprende il cambio dell'olio e dei filtri e il controllo dei freni e delle gomme.";

#[test]
fn late_voice_is_counted_and_not_heard() {
    story()
        .greeting(LONG)
        // Slow enough that half of the clause is still to come when it is cut.
        .script(|script| {
            script.voice.speed = 2;
            script.voice.late = 100;
        })
        .caller(1.5..2.5, "no aspetti un attimo")
        .model(says("Mi dica."))
        .expect("counted", |t| t.report().late_inputs >= 10)
        .expect("not heard", |t| {
            t.heard().iter().filter(|stretch| stretch.turn.0 == 1).all(|stretch| stretch.to < ms(1_800))
        })
        .play();
}

#[test]
fn nothing_is_late_in_a_plain_call() {
    story()
        .greeting("Buongiorno.")
        .caller(2.0..3.0, "vorrei prenotare un tagliando")
        .expect("none", |t| t.report().late_inputs == 0)
        .play();
}
