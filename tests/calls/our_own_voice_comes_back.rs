//! Networks and loudspeakers echo. Our own voice is no caller; a caller who speaks over it is.

use pronto::sim::story::{ms, s, says, story};

const LONG: &str =
    "Il tagliando completo comprende il cambio dell'olio e dei filtri e il controllo dei freni e delle gomme.";

#[test]
fn an_echo_is_no_interruption() {
    for decibels in [-10, -20, -30] {
        for delay in [20, 120, 300, 500] {
            story()
                .greeting(LONG)
                .echo(decibels, ms(delay))
                .until(12.0)
                .expect("not cut", |t| t.interruptions() == 0)
                .expect("all of it heard", |t| t.said() == [LONG])
                .expect("no turn was made of it", |t| t.asks() == 0 && t.understood().is_empty())
                .play();
        }
    }
}

#[test]
fn an_echo_does_not_make_the_voice_stutter() {
    for delay in [20, 120, 300] {
        story().greeting(LONG).echo(-20, ms(delay)).until(12.0).expect("never held", |t| t.false_alarms() == 0).play();
    }
}

#[test]
fn a_caller_who_speaks_over_the_echo_is_heard() {
    for decibels in [-10, -20, -30] {
        story()
            .greeting(LONG)
            .echo(decibels, ms(120))
            .caller(2.0..3.2, "no aspetti un attimo solo")
            .model(says("Mi dica."))
            .expect("cut", |t| t.interruptions() == 1)
            .expect("understood", |t| t.understood() == ["no aspetti un attimo solo"])
            .expect("answered", |t| t.said().last().is_some_and(|said| said == "Mi dica."))
            .play();
    }
}

#[test]
fn our_own_words_recognised_are_no_interruption() {
    story()
        .greeting(LONG)
        .caller(2.0..3.0, "il cambio dell'olio e dei filtri")
        .until(14.0)
        .expect("not cut", |t| t.interruptions() == 0)
        .expect("all of it heard", |t| t.said() == [LONG])
        .play();
}

#[test]
fn after_our_sentence_the_caller_is_answered_in_spite_of_the_echo() {
    story()
        .greeting("Officina Rossi, buongiorno.")
        .echo(-20, ms(200))
        .caller(4.0..5.0, "vorrei prenotare un tagliando")
        .model(says("Certo."))
        .expect("answered", |t| t.said().last().is_some_and(|said| said == "Certo."))
        .expect("in time", |t| t.silence_after(5.0) < s(1.3))
        .play();
}

/// Regression: a sentence that begins with a word we are just saying was taken for our own voice with that word, and the
/// rest of it was nobody's.
#[test]
fn a_sentence_that_begins_with_a_word_of_ours_is_the_callers() {
    story()
        .greeting("Un attimo, controllo subito l'agenda per lei.")
        .caller(1.0..3.2, "un momento che cerco la targa")
        .until(14.0)
        .expect("not talked over", |t| t.false_alarms() == 0)
        .expect("understood", |t| t.understood() == ["un momento che cerco la targa"])
        .expect("answered", |t| t.asks() == 1 && t.silence_after(3.2) < ms(2_500))
        .play();
}
