//! Silence: we ask twice, say goodbye, and hang up when it has been heard.

use pronto::{
    call::{Ending, InterruptingPolicy},
    sim::story::{ms, s, says, story},
};

#[test]
fn we_ask_twice_and_say_goodbye() {
    story()
        .greeting("Officina Rossi, buongiorno.")
        .until(60.0)
        .expect("twice", |t| t.said().iter().filter(|said| said.contains("È ancora in linea?")).count() == 2)
        .expect("ten seconds after our last word", |t| {
            let greeted = t.heard()[0].to;
            t.spoken_at("È ancora").is_some_and(|at| at >= greeted + s(10.0) && at <= greeted + s(10.05))
        })
        .expect("goodbye", |t| t.said().last().is_some_and(|said| said.contains("Non la sento più")))
        .expect("heard whole before the close", |t| {
            t.ending().is_some_and(|(at, why)| {
                why == Ending::SilenceTimedOut && t.heard().last().is_some_and(|last| last.to <= at)
            })
        })
        .expect("and the model was never asked", |t| t.asks() == 0)
        .play();
}

#[test]
fn an_answer_makes_us_count_anew() {
    story()
        .greeting("Officina Rossi, buongiorno.")
        .caller(14.0..15.0, "sì sono qui")
        .until(24.0)
        .expect("answered", |t| t.understood() == ["sì sono qui"])
        .expect("asked once", |t| t.said().iter().filter(|said| said.contains("È ancora in linea?")).count() == 1)
        .play();
}

#[test]
fn the_goodbye_may_be_interrupted_and_then_the_call_goes_on() {
    let goodbye = story().greeting("Buongiorno.").until(60.0).play().spoken_at("Non la sento").expect("said");
    let at = (goodbye.as_secs_f64() * 10.0).ceil() / 10.0 + 1.0;
    story()
        .greeting("Buongiorno.")
        .caller(at..at + 1.0, "no no sono qui mi scusi")
        .model(says("Mi dica."))
        .expect("the call goes on", |t| t.ending().is_none())
        .expect("answered", |t| t.said().last().is_some_and(|said| said == "Mi dica."))
        .play();
}

#[test]
fn silence_counts_after_an_interrupted_sentence_too() {
    story()
        .greeting("Il tagliando completo comprende il cambio dell'olio e dei filtri e il controllo dei freni.")
        .noise(2.0..3.0)
        .until(60.0)
        .expect("the call does not hang", |t| t.ending().is_some())
        .play();
}

#[test]
fn the_longest_call_is_ended_with_a_sentence() {
    story()
        .settings(|settings| settings.duration_max_s = 20)
        .caller(18.0..19.0, "vorrei prenotare un tagliando")
        .until(60.0)
        .expect("ended", |t| {
            t.ending().is_some_and(|(at, why)| why == Ending::TooLong && at >= s(20.0) && at < s(26.0))
        })
        .expect("with a sentence", |t| t.said().last().is_some_and(|said| said.contains("Devo chiudere")))
        .expect("heard whole before the close", |t| {
            t.ending().is_some_and(|(at, _)| t.heard().last().is_some_and(|last| last.to <= at))
        })
        .play();
}

#[test]
fn whatever_the_policy_of_interruption_the_silence_is_counted() {
    for policy in [InterruptingPolicy::Words, InterruptingPolicy::Speech, InterruptingPolicy::Never] {
        story()
            .settings(|settings| settings.interruption.policy = policy)
            .greeting("Buongiorno.")
            .noise(0.3..0.7)
            .until(60.0)
            .expect("ended", |t| t.ending().is_some_and(|(_, why)| why == Ending::SilenceTimedOut))
            .play();
    }
}

#[test]
fn a_caller_who_only_breathes_is_silent() {
    let mut breathing = story().greeting("Buongiorno.").until(60.0);
    for breath in 1..14 {
        let at = f64::from(breath) * 4.0;
        breathing = breathing.noise(at..at + 0.1);
    }
    breathing.expect("asked", |t| t.spoken_at("È ancora").is_some_and(|at| at < ms(25_000))).play();
}
