//! On a line that tells when it has played a mark, a reply is over when the mark is back.

use pronto::{
    call::{Action, Event, Role, Turn},
    sim::{
        script::CHAR,
        story::{clearing, ms, s, says, story},
    },
};

#[test]
fn a_reply_is_over_when_its_mark_is_back() {
    story()
        .line(clearing())
        .greeting("Officina Rossi, buongiorno.")
        .until(5.0)
        .expect("one mark", |t| t.actions().iter().filter(|(_, action)| matches!(action, Action::Mark(_))).count() == 1)
        .expect("over when it was heard", |t| {
            let stopped = t.events().find(|(_, event)| **event == Event::SpeechStopped(Role::Agent, Turn(1)));
            stopped.is_some_and(|(at, _)| at == t.heard()[0].to)
        })
        .expect("as long as it takes", |t| t.voice() >= CHAR * 27 && t.voice() < CHAR * 27 + ms(20))
        .play();
}

#[test]
fn a_mark_that_never_comes_back_does_not_keep_the_call() {
    story()
        .line(clearing())
        .script(|script| script.marks_lost = true)
        .greeting("Officina Rossi, buongiorno.")
        .caller(6.0..7.0, "vorrei prenotare un tagliando")
        .model(says("Certo."))
        .expect("answered", |t| t.said() == ["Officina Rossi, buongiorno.", "Certo."])
        .expect("over two seconds after it must have been heard", |t| {
            let stopped = t.events().find(|(_, event)| **event == Event::SpeechStopped(Role::Agent, Turn(1)));
            stopped.is_some_and(|(at, _)| at >= t.heard()[0].to + s(1.9) && at <= t.heard()[0].to + s(2.1))
        })
        .play();
}

#[test]
fn a_line_without_marks_is_asked_for_none() {
    story()
        .greeting("Officina Rossi, buongiorno.")
        .until(5.0)
        .expect("none", |t| !t.actions().iter().any(|(_, action)| matches!(action, Action::Mark(_) | Action::Clear)))
        .play();
}
