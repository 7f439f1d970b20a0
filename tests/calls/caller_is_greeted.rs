//! The call begins with our greeting, unless the shop wants none.

use pronto::{
    call::Message,
    language::Language,
    sim::story::{ms, s, says, story},
};

const GREETING: &str = "Officina Rossi, buongiorno. Sono l'assistente automatico. Come posso aiutarla?";

#[test]
fn the_greeting_is_heard_whole_and_at_once() {
    story()
        .greeting(GREETING)
        .until(9.0)
        // 100 ms of the voice, and the frame of silence that was on its way.
        .expect("at once", |t| t.silence_after(0.0) <= ms(140))
        .expect("all of it heard", |t| t.said() == [GREETING])
        .expect("nobody was asked", |t| t.asks() == 0)
        .play();
}

#[test]
fn the_callers_words_after_it_are_answered() {
    story()
        .greeting(GREETING)
        .caller(6.0..7.2, "vorrei un tagliando")
        .model(says("Certo."))
        .expect("in this order", |t| {
            matches!(t.history(), [Message::Agent { .. }, Message::Caller { .. }, Message::Agent { .. }])
        })
        .play();
}

#[test]
fn a_caller_who_cuts_in_has_heard_a_part_of_it() {
    story()
        .greeting(GREETING)
        .caller(2.0..3.2, "vorrei un tagliando")
        .model(says("Certo."))
        .expect("cut once", |t| t.interruptions() == 1)
        .expect("the part that was heard, and the answer", |t| {
            let said = t.said();
            said.len() == 2 && said[0].ends_with('|') && GREETING.starts_with(said[0].trim_end_matches('|'))
        })
        .expect("understood", |t| t.understood() == ["vorrei un tagliando"])
        .play();
}

#[test]
fn without_a_greeting_the_caller_speaks_first() {
    story()
        .caller(2.0..3.2, "pronto, vorrei un tagliando")
        .expect("nothing was said before", |t| t.silence_after(0.0) > s(3.2))
        .expect("and then answered", |t| t.said() == ["Va bene."])
        .play();
}

#[test]
fn the_greeting_of_every_language_says_that_a_machine_speaks() {
    for language in [Language::Italian, Language::English] {
        let phrases = language.phrases();
        let (greeting, disclosure) = (phrases.text("call.greeting"), phrases.text("call.disclosure"));
        assert!(greeting.contains("{disclosure}") && !disclosure.is_empty(), "{language:?}");
        let greeting = greeting.replace("{shop}", "Officina Rossi").replace("{disclosure}", disclosure);
        let heard = greeting.clone();
        story()
            .settings(|settings| settings.language = language)
            .greeting(&greeting)
            .until(10.0)
            .expect("heard with the disclosure", move |t| t.said() == [heard.as_str()])
            .play();
    }
}
