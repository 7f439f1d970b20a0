//! Keys become an entry, and an entry is an utterance.

use pronto::{
    call::Event,
    sim::story::{ms, s, says, story},
};

#[test]
fn an_entry_ends_with_its_key() {
    story()
        .key(1.0, '1')
        .key(1.4, '2')
        .key(1.8, '#')
        .model(says("Grazie."))
        .expect("at once", |t| t.asked_after(1.8) == ms(0))
        .expect("understood", |t| t.understood() == ["12"])
        .expect("told", |t| t.events().any(|(_, event)| *event == Event::Keys("12".into())))
        .play();
}

#[test]
fn or_with_a_pause() {
    story()
        .key(1.0, '1')
        .key(2.5, '2')
        .expect("two seconds after the last", |t| t.asked_after(2.5) == s(2.0))
        .expect("understood", |t| t.understood() == ["12"])
        .play();
}

#[test]
fn or_with_its_length() {
    let mut typing = story();
    for key in 0..32 {
        typing = typing.key(1.0 + f64::from(key) * 0.1, '7');
    }
    typing
        .expect("32 keys", |t| t.understood() == ["7".repeat(32)])
        .expect("with the last of them", |t| t.asked_after(4.0) <= ms(101))
        .play();
}

#[test]
fn a_key_stops_our_sentence() {
    story()
        .greeting("Digiti il suo numero di telefono e poi il tasto cancelletto, per favore, oppure dica il suo nome.")
        .key(2.0, '3')
        .key(2.3, '#')
        .model(says("Grazie."))
        .expect("silent within the lead of the line", |t| t.voice_goes_on_after(2.0) <= ms(80))
        .expect("answered", |t| t.said().last().is_some_and(|said| said == "Grazie."))
        .play();
}

#[test]
fn keys_that_only_end_an_entry_are_no_entry() {
    story().key(1.0, '#').key(1.5, '#').expect("nothing", |t| t.asks() == 0 && t.understood().is_empty()).play();
}

#[test]
fn while_keys_are_pressed_nobody_is_asked_whether_he_is_there() {
    let mut typing = story().settings(|settings| settings.keys_pause_ms = 4_000);
    for key in 0..8 {
        typing = typing.key(1.0 + f64::from(key) * 3.0, '7');
    }
    typing.expect("not asked", |t| t.spoken_at("È ancora").is_none()).play();
}

/// Regression: an entry that its pause ended while the answer was on its way began the caller's patience anew: of the two
/// and a half seconds came three and a half.
#[test]
fn who_pressed_a_key_does_not_wait_longer() {
    story()
        .key(1.6, '1')
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .model(says("Certo.").after(s(6.0)))
        .expect("both are understood", |t| t.understood() == ["vorrei prenotare un tagliando", "1"])
        .expect("a filler in time", |t| t.silence_after(2.0) < ms(2_500))
        .play();
}

/// Regression: an entry whose pause ended just after a sentence was answered without it.
#[test]
fn a_sentence_that_waits_for_its_end_is_answered_with_the_entry() {
    story()
        .key(1.6, '1')
        .caller(1.9..3.2, "e mi chiamo")
        .settings(|settings| settings.interruption.words_min = 4)
        .model(says("Grazie."))
        .expect("both", |t| t.questions()[0].1.messages.len() == 2 && t.understood() == ["e mi chiamo", "1"])
        .play();
}
