//! Our own process is late: the machine is overloaded, and wakes come long after they were due.

use pronto::{
    call::{Event, Role},
    sim::story::{asks, done, hangs, ms, s, says, story},
};

/// Regression: a filler and an answer that were both due after a freeze, while the last word was still leaving, was a
/// deadline that nobody handled, and a panic.
#[test]
fn several_deadlines_passed_at_once_are_all_handled() {
    for end in [2.9, 3.5, 4.4, 6.0, 13.0, 20.0] {
        story()
            .caller(0.5..2.0, "vorrei prenotare un tagliando")
            .model(says("Un attimo.").ending(pronto::sim::script::Ends::Hangs))
            .model(hangs())
            .script(|script| script.freezes.push(s(2.8)..s(end)))
            .until(30.0)
            .expect("the caller hears something", |t| t.voice() > ms(500))
            .play();
    }
}

/// Regression: woken after a freeze, the call took the audio it had not read yet for silence, what was being said for a
/// noise, and its text for an old one.
#[test]
fn what_the_caller_said_meanwhile_is_answered() {
    for end in [2.5, 3.0, 3.3, 5.0] {
        story()
            .caller(1.0..3.0, "vorrei prenotare un tagliando")
            .script(|script| script.freezes.push(s(1.2)..s(end)))
            .expect("one utterance", |t| {
                let began = |event: &Event| matches!(event, Event::SpeechStarted(Role::Caller, _));
                t.events().filter(|(_, event)| began(event)).count() == 1
            })
            .expect("understood", |t| t.understood() == ["vorrei prenotare un tagliando"])
            .expect("answered", move |t| t.silence_after(end.max(3.0)) < ms(2_500))
            .play();
    }
}

/// Regression: a filler was given up, and with it the whole answer was due: nobody looked again.
#[test]
fn what_becomes_due_by_what_was_done_is_done_at_once() {
    for end in [3.0, 4.5, 6.0, 9.0, 12.0, 14.0] {
        for patience in [0, 1_200, 3_000] {
            story()
                .caller(0.5..2.0, "vorrei prenotare un tagliando")
                .write("book_appointment", s(30.0), done())
                .model(asks("book_appointment"))
                .model(hangs())
                .settings(|settings| settings.patience_ms = patience)
                .script(|script| script.freezes.push(s(2.8)..s(end)))
                .until(40.0)
                .expect("the caller hears something", |t| t.voice() > ms(500))
                .play();
        }
    }
}

/// Regression: what the recogniser said of the next words in its answer to the commit of the last ones was dropped with it.
#[test]
fn the_first_words_of_who_goes_on_are_not_lost_with_an_old_text() {
    for end in [4.3, 4.434, 4.6, 5.0] {
        story()
            .greeting("")
            .caller(1.0..1.14, "sì")
            .caller(4.16..6.26, "la targa è A B uno due tre C D")
            .script(|script| {
                script.ears.finals = ms(413);
                script.freezes.push(s(1.004)..s(end));
            })
            .expect("every word, in order", |t| t.understood().join(" ") == "sì la targa è A B uno due tre C D")
            .play();
    }
}
