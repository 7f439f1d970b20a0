//! The caller speaks while a booking is being written: the write runs to its end, has one outcome, and the model reads
//! it before it answers.

use pronto::{
    call::{Action, Message},
    sim::story::{asks, done, ms, says, says_and_asks, story},
};

#[test]
fn the_write_is_not_cancelled_and_the_next_ask_has_its_outcome() {
    story()
        .caller(0.5..2.5, "vorrei prenotare un tagliando")
        .write("book_appointment", ms(3_000), done())
        .model(says_and_asks("Certo, la prenoto subito per martedì alle nove, un attimo solo.", "book_appointment"))
        .caller(4.5..5.5, "anzi no aspetti")
        .model(says("È già prenotato. Vuole disdire?"))
        .expect("one outcome", |t| t.tool_outcomes("book_appointment") == 1)
        .expect("written once", |t| t.writes("book_appointment") == 1)
        .expect("never dropped", |t| !t.actions().iter().any(|(_, action)| matches!(action, Action::DropTool(_))))
        .expect("the caller cut in", |t| t.interruptions() == 1)
        .expect("the model is asked again, and reads the outcome", |t| {
            let questions = t.questions();
            let last = &questions.last().expect("the model was asked").1.messages;
            last.iter().any(|message| matches!(message, Message::Outcome { content: Some(_), .. }))
        })
        .expect("answered", |t| t.said().last().is_some_and(|said| said == "È già prenotato. Vuole disdire?"))
        .play();
}

#[test]
fn an_outcome_that_comes_after_the_next_ask_is_told_in_another_one() {
    story()
        .caller(0.5..2.5, "vorrei prenotare un tagliando")
        .write("book_appointment", ms(6_000), done())
        .model(asks("book_appointment"))
        .caller(4.0..5.0, "anzi no aspetti")
        .model(says("Un momento."))
        .model(says("È prenotato."))
        .until(16.0)
        .expect("the second ask has it pending", |t| {
            t.questions()[1].1.messages.iter().any(|m| matches!(m, Message::Outcome { content: None, .. }))
        })
        .expect("the third has it", |t| {
            t.questions()[2].1.messages.iter().any(|m| matches!(m, Message::Outcome { content: Some(_), .. }))
        })
        .expect("in order", |t| t.said() == ["Un momento.", "È prenotato."])
        .expect("one outcome", |t| t.tool_outcomes("book_appointment") == 1)
        .play();
}

#[test]
fn a_look_up_is_dropped_and_says_so() {
    story()
        .caller(0.5..2.5, "vorrei prenotare un tagliando")
        .read("find_slots", ms(4_000), done())
        .model(asks("find_slots"))
        .caller(4.0..5.0, "anzi no lasci stare")
        .model(says("Va bene, mi dica."))
        .expect("dropped", |t| t.actions().iter().any(|(_, action)| matches!(action, Action::DropTool(_))))
        .expect("its outcome says so", |t| t.outcome("ask-find_slots").is_some_and(|text| text.contains("cancelled")))
        .expect("answered", |t| t.said().last().is_some_and(|said| said == "Va bene, mi dica."))
        .play();
}
