//! A call that brings its own opening and its own sentences, as an assistant written for another platform does.

use std::time::Duration;

use pronto::{
    call::{Ending, Opening, ToolKind},
    sim::story::{asks, ends_call, ms, s, says, story},
};

const GREETING: &str = "Officina Rossi, buongiorno, come posso aiutarla?";

#[test]
fn the_model_speaks_first() {
    story()
        .settings(|settings| settings.opening = Opening::Model)
        .greeting(GREETING)
        .model(says("Buongiorno, sono Rossi."))
        .until(6.0)
        .expect("asked at once, and only once", |t| t.asks() == 1)
        .expect("its words are the greeting", |t| t.said() == ["Buongiorno, sono Rossi."])
        .play();
}

#[test]
fn the_caller_speaks_first() {
    story()
        .settings(|settings| settings.opening = Opening::Caller)
        .greeting(GREETING)
        .caller(2.0..3.0, "pronto chi parla")
        .model(says("Officina Rossi."))
        .until(8.0)
        .expect("no greeting", |t| t.said() == ["Officina Rossi."])
        .play();
}

#[test]
fn a_greeting_may_be_heard_whole_whatever_the_caller_says() {
    let said = |interruptible: bool| {
        let trace = story()
            .settings(move |settings| settings.greeting_interruptible = interruptible)
            .greeting(GREETING)
            .caller(0.8..1.8, "vorrei prenotare un tagliando")
            .model(says("Certo."))
            .until(9.0)
            .play();
        trace.said()[0].clone()
    };
    assert_eq!(said(false), GREETING);
    assert_ne!(said(true), GREETING, "the story shows something");
}

#[test]
fn a_silent_caller_hears_our_sentences_in_turn_and_then_the_goodbye() {
    story()
        .settings(|settings| {
            (settings.silence_s, settings.reprompts, settings.goodbye_s) = (5, 2, Some(3));
            settings.sayings.still_there = vec!["È ancora lì?".into(), "Pronto?".into()];
            settings.sayings.goodbye_silence = Some("Richiami quando vuole.".into());
        })
        .caller(1.0..2.0, "buongiorno")
        .model(says("Mi dica."))
        .until(40.0)
        .expect("in turn", |t| t.said() == ["Mi dica.", "È ancora lì?", "Pronto?", "Richiami quando vuole."])
        .expect("ended", |t| t.ending().is_some_and(|(_, why)| why == Ending::SilenceTimedOut))
        .expect("the last silence is the short one", |t| {
            let heard = t.heard();
            let gap = |at: usize| heard[at].from.saturating_sub(heard[at - 1].to);
            let last = heard.len() - 1;
            gap(last) < gap(last - 1) && gap(last).abs_diff(s(3.0)) < Duration::from_millis(400)
        })
        .play();
}

#[test]
fn our_own_end_phrase_ends_the_call_wherever_it_stands() {
    let ends = |phrase: &str| {
        let phrase = phrase.to_owned();
        let trace = story()
            .settings(move |settings| {
                settings.end_phrases = false;
                settings.sayings.end_phrases = vec![phrase];
            })
            .caller(1.0..2.0, "basta così grazie")
            .model(says("Perfetto, a risentirci presto da Rossi."))
            .play();
        trace.ending().map(|(_, why)| why)
    };
    assert_eq!(ends("A Risentirci"), Some(Ending::EndPhrase));
    assert_eq!(ends("alla prossima"), None);
    assert_eq!(ends(""), None, "nothing is no phrase");
}

#[test]
fn a_goodbye_of_our_own_is_said_where_the_model_says_none() {
    story()
        .settings(|settings| settings.sayings.goodbye = Some("Buon viaggio da Rossi.".into()))
        .caller(1.0..2.0, "basta così grazie")
        .tool("end_call", ToolKind::Call, ms(5), ends_call())
        .model(asks("end_call"))
        .expect("said", |t| t.said().last().is_some_and(|said| said == "Buon viaggio da Rossi."))
        .play();
}

#[test]
fn a_word_that_always_stops_us_stops_us_alone() {
    let cut = |stops: &[&str]| {
        let stops: Vec<String> = stops.iter().map(ToString::to_string).collect();
        let trace = story()
            .settings(move |settings| {
                (settings.interruption.words_min, settings.interruption.cut_ms) = (4, 60_000);
                settings.sayings.stops = stops;
            })
            .caller(1.0..2.0, "che orari fate")
            .model(says("Siamo aperti dal lunedì al venerdì dalle otto alle dodici e dalle quattordici alle diciotto."))
            .caller(4.5..5.1, "aspetti")
            .model(says("Mi dica."))
            .until(16.0)
            .play();
        trace.said()[0].ends_with('|')
    };
    assert!(cut(&["aspetti"]));
    assert!(!cut(&[]), "one word of four is not enough");
}

#[test]
fn who_has_cut_us_is_given_time() {
    let answered = |backoff_ms: u64| {
        let trace = story()
            .settings(move |settings| settings.interruption.backoff_ms = backoff_ms)
            .caller(1.0..2.0, "che orari fate")
            .model(says("Siamo aperti dal lunedì al venerdì dalle otto alle dodici e dalle quattordici alle diciotto."))
            .caller(4.5..5.5, "no vorrei prenotare un tagliando")
            .model(says("Certo."))
            .until(16.0)
            .play();
        trace.heard().last().expect("we answered").from
    };
    let (soon, later) = (answered(0), answered(1_600));
    assert!(later > soon + ms(500), "{soon:?} {later:?}");
}
