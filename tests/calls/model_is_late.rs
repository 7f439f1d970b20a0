//! The model takes its time, hangs, or fails: nobody is left in silence.

use pronto::{
    call::Ending,
    sim::story::{fails, hangs, ms, s, says, story},
};

#[test]
fn a_late_word_gets_a_filler_when_the_shop_says() {
    story()
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .model(says("Certo.").after(ms(4_000)))
        .expect("1.8 s after the caller's last word", |t| {
            t.spoken_at("Un attimo").is_some_and(|at| at >= ms(3_800) && at <= ms(3_830))
        })
        .expect("heard within the limit", |t| t.silence_after(2.0) < ms(2_500))
        .expect("then the answer", |t| t.said() == ["Certo."])
        .play();
}

#[test]
fn a_word_in_time_gets_none() {
    story()
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .model(says("Certo.").after(ms(900)))
        .expect("no filler", |t| t.spoken() == ["Certo."])
        .play();
}

#[test]
fn a_model_that_hangs_is_given_up_with_an_apology() {
    story()
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .model(hangs())
        .model(says("Certo."))
        .until(20.0)
        .expect("a filler in time", |t| t.silence_after(2.0) < ms(2_500))
        .expect("then the apology", |t| t.said().iter().any(|said| said.contains("Può ripetere?")))
        .expect("never silent for long", |t| {
            t.heard().windows(2).take(4).all(|pair| pair[1].from.saturating_sub(pair[0].to) <= ms(2_500))
        })
        .expect("9 s after the ask at the latest", |t| {
            t.spoken_at("difficoltà").is_some_and(|at| at <= s(2.7 + 9.1 + 2.0))
        })
        .play();
}

#[test]
fn a_model_that_fails_is_apologised_for_at_once_and_the_caller_tries_again() {
    story()
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .model(fails())
        .caller(8.0..9.0, "vorrei prenotare un tagliando")
        .model(says("Certo."))
        .expect("the apology in time", |t| t.silence_after(2.0) < ms(2_500))
        .expect("both are said", |t| {
            t.said().iter().any(|said| said.contains("Può ripetere?"))
                && t.said().last().is_some_and(|said| said == "Certo.")
        })
        .expect("the call goes on", |t| t.ending().is_none())
        .play();
}

#[test]
fn a_model_that_breaks_off_is_heard_as_far_as_it_came() {
    story()
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .model(says("Certo, per che giorno?").ending(pronto::sim::script::Ends::Failed(pronto::call::Failed::Broken)))
        .expect("what it said is said", |t| t.said() == ["Certo, per che giorno?"])
        .play();
}

#[test]
fn a_model_without_a_word_is_a_failure() {
    story()
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .model(says(""))
        .expect("apologised", |t| t.said().iter().any(|said| said.contains("Può ripetere?")))
        .play();
}

#[test]
fn three_failures_in_a_row_end_the_call_with_an_apology() {
    story()
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .caller(8.0..9.0, "vorrei prenotare un tagliando")
        .caller(15.0..16.0, "vorrei prenotare un tagliando")
        .model(fails())
        .until(30.0)
        .expect("the third time another sentence", |t| {
            t.said().last().is_some_and(|said| said.contains("La richiamiamo appena possibile."))
        })
        .expect("heard whole before the close", |t| {
            t.ending().is_some_and(|(at, why)| {
                why == Ending::EnginesFailed && t.heard().last().is_some_and(|last| last.to <= at)
            })
        })
        .play();
}

#[test]
fn an_answer_in_between_is_a_new_beginning() {
    story()
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .caller(8.0..9.0, "vorrei prenotare un tagliando")
        .caller(15.0..16.0, "vorrei prenotare un tagliando")
        .caller(20.0..21.0, "vorrei prenotare un tagliando")
        .model(fails())
        .model(fails())
        .model(says("Certo."))
        .model(fails())
        .expect("still here", |t| t.ending().is_none())
        .play();
}

#[test]
fn a_model_that_breaks_off_in_the_middle_of_a_sentence_leaves_nobody_waiting_for_the_rest() {
    story()
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .model(
            says("Allora: tagliando, lunedì").ending(pronto::sim::script::Ends::Failed(pronto::call::Failed::Broken)),
        )
        .caller(12.0..13.0, "vorrei prenotare un tagliando")
        .model(says("Certo, per che giorno?"))
        .until(20.0)
        .expect("the half and an apology in one breath", |t| {
            t.said()[0].starts_with("Allora: tagliando, lunedì") && t.said()[0].ends_with("Può ripetere?")
        })
        .expect("no hole between them", |t| t.silence_after(2.0) < ms(2_500) && t.heard()[0].to > s(5.0))
        .expect("then the answer", |t| t.said().last().is_some_and(|said| said == "Certo, per che giorno?"))
        .play();
}
