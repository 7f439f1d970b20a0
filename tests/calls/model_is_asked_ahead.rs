//! The model is asked while the caller may still go on. Nobody hears of it unless they have finished.

use pronto::call::Action;
use pronto::sim::story::{Story, asks, done, fails, ms, s, says, story};

/// Asked ahead after 250 ms of silence; partial texts come 200 ms after the word.
fn ahead() -> Story {
    story().settings(|settings| settings.endpointing.ahead_ms = 250)
}

#[test]
fn the_answer_comes_sooner_by_what_the_pause_had_left() {
    let told = |story: Story| {
        let trace = story.caller(1.0..2.0, "vorrei prenotare un tagliando").model(says("Certo.")).play();
        let ask = trace.questions().first().map(|(at, _)| *at);
        let turn = trace.report().turns.iter().find(|turn| turn.speech_end.is_some()).cloned();
        (ask, turn.and_then(|turn| turn.latency()), trace.asks())
    };
    let (ask, latency, asks) = told(ahead());
    let (later, waits, one) = told(story());
    assert_eq!((asks, one), (1, 1), "one question, either way");
    let sooner = later.zip(ask).map(|(later, ask)| later - ask);
    assert!(sooner.is_some_and(|sooner| sooner >= ms(350)), "{sooner:?}");
    let gained = waits.zip(latency).map(|(waits, latency)| waits - latency);
    assert!(gained.is_some_and(|gained| gained >= ms(280)), "{gained:?}");
}

#[test]
fn a_caller_who_goes_on_is_answered_once_and_to_all_of_it() {
    ahead()
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .caller(2.5..3.5, "anzi no, facciamo giovedì")
        .model(says("Quello di prima."))
        .model(says("Certo, giovedì."))
        .expect("the first answer is thrown away unread", |t| t.said() == ["Certo, giovedì."])
        .expect("nothing of it was given to the voice", |t| t.spoken() == ["Certo, giovedì."])
        .expect("what was said was understood whole", |t| {
            t.understood() == ["vorrei prenotare un tagliando anzi no, facciamo giovedì"]
        })
        .expect("counted", |t| t.report().asked_ahead.wasted == 1 && t.report().asked_ahead.used == 1)
        .play();
}

#[test]
fn no_tool_runs_before_the_caller_has_finished() {
    ahead()
        .caller(1.0..2.0, "confermo tutto grazie")
        .caller(2.4..3.4, "anzi no, aspetti un momento")
        .write("book_appointment", ms(50), done())
        .model(asks("book_appointment").after(ms(20)))
        .model(says("Va bene, aspetto."))
        .expect("nothing was booked", |t| t.writes("book_appointment") == 0)
        .expect("nor recorded", |t| t.said() == ["Va bene, aspetto."])
        .play();
}

#[test]
fn a_tool_asked_for_ahead_runs_once_when_they_have() {
    ahead()
        .caller(1.0..2.0, "confermo tutto grazie")
        .write("book_appointment", ms(50), done())
        .model(asks("book_appointment").after(ms(20)))
        .model(says("Fatto."))
        .expect("booked once", |t| t.writes("book_appointment") == 1)
        .expect("and said", |t| t.said() == ["Fatto."])
        .play();
}

#[test]
fn a_model_that_fails_ahead_is_asked_again_and_nobody_hears_of_it() {
    ahead()
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .model(fails())
        .model(says("Certo."))
        .expect("the answer, and no apology", |t| t.said() == ["Certo."])
        .play();
}

#[test]
fn a_plate_being_dictated_is_not_asked_about_ahead() {
    ahead()
        .greeting("Mi dice la targa?")
        .caller(3.0..4.0, "A B uno")
        .caller(5.0..6.0, "due tre C D")
        .model(says("Grazie."))
        .until(9.0)
        .expect("one question, when it is whole or the pause is long", |t| {
            t.questions().iter().all(|(at, _)| *at > s(6.2))
        })
        .play();
}

#[test]
fn a_caller_who_hangs_up_meanwhile_leaves_nothing_behind() {
    ahead()
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .hangs_up(2.4)
        .model(says("Certo."))
        .expect("it is stopped", |t| {
            t.actions().iter().any(|(at, action)| *at == ms(2_400) && matches!(action, Action::Stop(_)))
        })
        .expect("and counted", |t| t.report().asked_ahead.wasted == 1)
        .play();
}
