//! We took the caller to have finished, and were wrong: what we were about to say is dropped before a sound of it is
//! heard, and both parts are one utterance.

use pronto::{
    call::{Action, Message},
    sim::story::{ms, s, says, story},
};

#[test]
fn the_reply_being_prepared_is_cancelled_and_the_text_is_one() {
    story()
        .caller(1.0..2.5, "vorrei prenotare un tagliando")
        .caller(3.3..4.3, "e cambiare le gomme")
        .model(says("Certo, per che giorno?"))
        .model(says("Tagliando e gomme, va bene."))
        .expect("asked twice", |t| t.asks() == 2)
        .expect("the first ask was stopped", |t| t.actions().iter().any(|(_, a)| matches!(a, Action::Stop(_))))
        .expect("nothing was heard in between", |t| t.silence_after(2.5) > s(2.0))
        .expect("one utterance", |t| t.understood() == ["vorrei prenotare un tagliando e cambiare le gomme"])
        .expect("one answer", |t| t.said() == ["Tagliando e gomme, va bene."])
        .expect("the second ask has it whole, once", |t| {
            let (_, ask) = &t.questions()[1];
            ask.messages == [Message::Caller { text: "vorrei prenotare un tagliando e cambiare le gomme".into() }]
        })
        .play();
}

#[test]
fn three_pieces_are_one_utterance_too() {
    story()
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .caller(2.8..3.8, "e cambiare le gomme")
        .caller(4.6..5.6, "e guardare i freni")
        .expect("one utterance", |t| {
            t.understood() == ["vorrei prenotare un tagliando e cambiare le gomme e guardare i freni"]
        })
        .expect("one answer", |t| t.said() == ["Va bene."])
        .play();
}

#[test]
fn once_our_voice_is_heard_it_is_an_interruption_and_a_new_utterance() {
    story()
        .caller(1.0..2.5, "vorrei prenotare un tagliando")
        .caller(4.5..5.5, "anzi no, le gomme")
        .model(says("Certo, le prenoto subito un tagliando completo. Per che giorno le farebbe comodo?"))
        .model(says("Le gomme, va bene."))
        .expect("two utterances", |t| t.understood() == ["vorrei prenotare un tagliando", "anzi no, le gomme"])
        .expect("cut", |t| t.interruptions() == 1)
        .play();
}

#[test]
fn a_noise_while_we_prepare_costs_nothing() {
    story()
        .caller(1.0..2.5, "vorrei prenotare un tagliando")
        .noise(3.3..3.4)
        .model(says("Certo."))
        .expect("asked once", |t| t.asks() == 1)
        .expect("answered in time", |t| t.silence_after(2.5) < ms(1_800))
        .play();
}
