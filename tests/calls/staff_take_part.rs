//! Somebody with the right to steers the call while it runs.

use pronto::{
    call::{Control, Ending},
    sim::story::{ms, s, says, story},
};

const LONG: &str =
    "Il tagliando completo comprende il cambio dell'olio e dei filtri e il controllo dei freni e delle gomme.";

fn say(text: &str, now: bool) -> Control {
    Control::Say { text: text.into(), now, interruptible: true, then_end: false }
}

#[test]
fn a_sentence_now_cuts_ours() {
    story()
        .greeting(LONG)
        .control(2.0, say("Un avviso.", true))
        .expect("cut", |t| t.said().len() == 2 && t.said()[0].ends_with('|'))
        .expect("said", |t| t.said()[1] == "Un avviso.")
        .expect("soon", |t| t.spoken_at("Un avviso") == Some(s(2.0)))
        .play();
}

#[test]
fn a_sentence_later_waits_for_ours() {
    story()
        .greeting(LONG)
        .control(2.0, say("Un avviso.", false))
        .control(2.1, say("Un altro.", false))
        .until(14.0)
        .expect("in order", |t| t.said() == [LONG, "Un avviso.", "Un altro."])
        .play();
}

#[test]
fn a_sentence_may_end_the_call() {
    story()
        .control(
            1.0,
            Control::Say { text: "Chiudiamo per ferie.".into(), now: true, interruptible: false, then_end: true },
        )
        .expect("ended when it was heard", |t| {
            t.ending().is_some_and(|(at, why)| {
                why == Ending::AgentEnded
                    && t.heard().last().is_some_and(|last| last.to <= at && at <= last.to + ms(40))
            })
        })
        .play();
}

#[test]
fn a_note_is_read_with_the_next_ask() {
    story()
        .control(0.5, Control::Note { text: "Il cliente è noto.".into(), respond: false })
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .expect("one ask", |t| t.asks() == 1)
        .expect("with the note", |t| t.questions()[0].1.messages.len() == 2 && t.notes() == ["Il cliente è noto."])
        .play();
}

#[test]
fn or_at_once() {
    story()
        .control(0.5, Control::Note { text: "Il cliente è noto.".into(), respond: true })
        .model(says("Buongiorno signor Bianchi."))
        .expect("asked at once", |t| t.asked_after(0.5) == ms(0))
        .expect("said", |t| t.said() == ["Buongiorno signor Bianchi."])
        .play();
}

#[test]
fn words_can_be_put_into_the_callers_mouth() {
    story()
        .control(0.5, Control::Heard { text: "vorrei un preventivo".into(), respond: true })
        .model(says("Certo."))
        .expect("understood", |t| t.understood() == ["vorrei un preventivo"])
        .expect("answered", |t| t.said() == ["Certo."])
        .play();
}

#[test]
fn our_voice_is_muted_and_time_passes() {
    story()
        .greeting(LONG)
        .control(2.0, Control::MuteAgent(true))
        .control(3.0, Control::MuteAgent(false))
        .until(12.0)
        .expect("silent for a second", |t| {
            !t.sounds_at(2.2) && !t.sounds_at(2.9) && t.sounds_at(1.9) && t.sounds_at(3.2)
        })
        .expect("what nobody heard is not recorded", |t| t.said().concat().chars().count() * 60 < 2_100)
        .expect("and not said later", |t| t.voice() <= ms(LONG.chars().count() as u64 * 60) - ms(900))
        .play();
}

#[test]
fn the_caller_is_muted() {
    story()
        .control(0.5, Control::MuteCaller(true))
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .script(|script| script.ears.partials = None)
        .control(4.0, Control::MuteCaller(false))
        .expect("not heard", |t| t.asks() == 0)
        .play();
}

#[test]
fn the_greeting_can_be_said_again() {
    story()
        .greeting("Officina Rossi, buongiorno.")
        .control(5.0, Control::Greet)
        .expect("twice", |t| t.said() == ["Officina Rossi, buongiorno.", "Officina Rossi, buongiorno."])
        .play();
}

#[test]
fn the_caller_is_put_through() {
    for say in [None, Some("Le passo l'officina.".to_string())] {
        let words = say.clone().unwrap_or_else(|| "La passo subito".into());
        story()
            .greeting(LONG)
            .control(2.0, Control::Transfer { to: "+39061234567".into(), say })
            .expect("said first", move |t| t.said().last().is_some_and(|said| said.contains(&words)))
            .expect("then put through", |t| t.ending().is_some_and(|(_, why)| why == Ending::Transferred))
            .expect("to this number", |t| {
                t.actions().iter().any(|(_, action)| *action == pronto::call::Action::Transfer("+39061234567".into()))
            })
            .play();
    }
}

#[test]
fn the_call_is_ended_now() {
    story()
        .greeting(LONG)
        .control(2.0, Control::End)
        .expect("now", |t| t.ending() == Some((s(2.0), Ending::AgentEnded)))
        .play();
}

#[test]
fn a_call_that_is_taken_back_ends_now_and_says_why() {
    story()
        .greeting(LONG)
        .control(2.0, Control::Cancel)
        .expect("now", |t| t.ending() == Some((s(2.0), Ending::Cancelled)))
        .play();
}

#[test]
fn a_flood_of_sentences_is_bounded() {
    let mut flood = story();
    for at in 0..300 {
        flood = flood.control(1.0 + f64::from(at) * 0.001, say("Un avviso.", false));
    }
    flood.until(120.0).expect("bounded", |t| t.said().iter().filter(|said| *said == "Un avviso.").count() <= 65).play();
}
