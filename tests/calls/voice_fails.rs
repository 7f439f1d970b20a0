//! The voice cannot speak.

use pronto::{
    call::Ending,
    sim::story::{ms, s, says, story},
};

#[test]
fn a_voice_that_fails_every_clause_ends_the_call() {
    story()
        .voice_fails()
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .model(says("Certo. Per che giorno? Le va bene martedì? Oppure mercoledì?"))
        .until(40.0)
        .expect("ended", |t| t.ending().is_some_and(|(at, why)| why == Ending::EnginesFailed && at < s(12.0)))
        .play();
}

#[test]
fn a_voice_that_hangs_is_covered_by_fillers_and_given_up() {
    story()
        .voice_hangs()
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .model(says("Certo. Per che giorno?"))
        .until(60.0)
        .expect("a filler in time", |t| t.silence_after(2.0) < ms(2_500))
        .expect("ended in the end", |t| t.ending().is_some_and(|(_, why)| why == Ending::EnginesFailed))
        .play();
}

#[test]
fn one_clause_that_fails_is_left_out() {
    story()
        .voice_fails_at(&[0])
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .model(says("Certo. Per che giorno? Mi dica pure."))
        .expect("the others are heard", |t| !t.voice().is_zero())
        .expect("history has no more than was heard", |t| {
            t.said().iter().map(|said| said.chars().count() as u32).sum::<u32>() * 60
                <= t.voice().as_millis() as u32 + 200
        })
        .expect("the call goes on", |t| t.ending().is_none())
        .play();
}

/// Regression: an answer of one clause, whose voice failed, ended without a sound: the caller waited for what was over.
#[test]
fn an_answer_without_a_voice_is_apologised_for() {
    story()
        .voice_fails_at(&[0])
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .model(says("Certo."))
        .expect("told", |t| t.said().iter().any(|said| said.contains("Può ripetere?")))
        .expect("in time", |t| t.silence_after(2.0) < ms(2_500))
        .play();
}

#[test]
fn a_question_that_could_not_be_spoken_is_not_waited_for() {
    story()
        .voice_fails_at(&[0, 1])
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .model(says("Certo. Per che giorno?"))
        .expect("the caller is told", |t| t.said() == ["Mi scusi, sto avendo una difficoltà. Può ripetere?"])
        .expect("in time", |t| t.silence_after(2.0) < ms(2_500))
        .expect("the call goes on", |t| t.ending().is_none())
        .play();
}

#[test]
fn a_voice_that_has_failed_too_often_apologises_before_it_hangs_up() {
    story()
        .voice_fails_at(&[0, 1, 3])
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .model(says("Certo. Per che giorno?"))
        .until(30.0)
        .expect("an apology", |t| {
            t.said().last().is_some_and(|said| said.ends_with("La richiamiamo appena possibile."))
        })
        .expect("heard whole before the close", |t| {
            t.ending().is_some_and(|(at, why)| {
                why == Ending::EnginesFailed && t.heard().last().is_some_and(|last| last.to <= at)
            })
        })
        .play();
}

#[test]
fn a_goodbye_that_is_never_said_is_not_waited_for_without_end() {
    story()
        .voice_hangs()
        .settings(|settings| settings.duration_max_s = 5)
        .until(80.0)
        .expect("twelve seconds after it was due", |t| t.ending() == Some((s(17.0), Ending::TooLong)))
        .play();
}
