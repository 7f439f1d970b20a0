//! The line is lost in the middle of a call and is there again: the call goes on where it was.

use pronto::{
    call::{Ending, ToolKind},
    sim::story::{asks, done, ends_call, ms, s, says, story},
};

const ANSWER: &str = "Certo, la metto in agenda. Le va bene martedì mattina alle nove? Le porto via mezz'ora.";

#[test]
fn what_was_not_heard_is_said_when_the_line_is_back_soon() {
    story()
        .caller(0.5..2.0, "vorrei prenotare un tagliando")
        .model(says(ANSWER))
        .script(|script| script.drops.push(s(4.6)..s(6.0)))
        .until(20.0)
        .expect("nothing is heard meanwhile", |t| t.heard().iter().all(|part| part.to <= s(4.6) || part.from >= s(6.0)))
        .expect("it goes on at once", |t| t.silence_after(6.0) < ms(700))
        .expect("the model was asked once", |t| t.asks() == 1)
        .expect("the last clause is heard", |t| t.said().last().is_some_and(|text| text.ends_with("mezz'ora.")))
        .play();
}

#[test]
fn after_a_while_the_caller_is_told_that_we_are_there() {
    story()
        .caller(0.5..2.0, "vorrei prenotare un tagliando")
        .model(says(ANSWER))
        .script(|script| script.drops.push(s(4.6)..s(9.0)))
        .until(20.0)
        .expect("heard at once", |t| t.silence_after(9.0) < ms(700))
        .expect("not the old sentence", |t| t.said().last().is_some_and(|text| text.contains("la linea era caduta")))
        .play();
}

#[test]
fn a_question_that_was_not_answered_yet_is_answered() {
    for end in [3.2, 9.0] {
        story()
            .caller(0.5..2.0, "vorrei prenotare un tagliando")
            .model(says(ANSWER))
            .model(says("Martedì alle nove?"))
            .script(|script| script.drops.push(s(2.85)..s(end)))
            .until(20.0)
            .expect("asked again", |t| t.asks() == 2)
            .expect("answered", move |t| t.silence_after(end) < ms(2_000))
            .play();
    }
}

#[test]
fn a_booking_goes_on_while_the_line_is_away_and_is_told_when_it_is_back() {
    story()
        .caller(0.5..2.0, "vorrei prenotare un tagliando")
        .write("book_appointment", s(2.0), done())
        .model(asks("book_appointment"))
        .model(says("Prenotato."))
        .script(|script| script.drops.push(s(3.4)..s(7.0)))
        .until(20.0)
        .expect("started once", |t| t.writes("book_appointment") == 1)
        .expect("told", |t| t.said().iter().any(|text| text == "Prenotato."))
        .play();
}

#[test]
fn nothing_is_due_while_the_line_is_away() {
    story()
        .caller(0.5..2.0, "arrivederci")
        .model(says("Un attimo."))
        .script(|script| {
            script.settings.silence_s = 4;
            script.drops.push(s(6.0)..s(15.0));
        })
        .until(16.0)
        .expect("nobody hangs up on who is not there", |t| t.ending().is_none())
        .play();
}

#[test]
fn a_goodbye_that_nobody_hears_ends_the_call() {
    story()
        .caller(0.5..2.0, "grazie arrivederci")
        .tool("end_call", ToolKind::Call, ms(10), ends_call())
        .model(asks("end_call"))
        .model(says("Grazie a lei, arrivederci e buona giornata."))
        .script(|script| script.drops.push(s(3.6)..s(5.0)))
        .until(20.0)
        .expect("over when the line is lost", |t| {
            t.ending().is_some_and(|(at, why)| why == Ending::AgentEnded && at == s(3.6))
        })
        .play();
}
