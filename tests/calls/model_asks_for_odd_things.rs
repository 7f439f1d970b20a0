//! Models repeat themselves, invent tools, and go round in circles.

use pronto::{
    call::{Finish, ToolKind, limits::TOOL_ROUNDS_MAX},
    sim::{
        script::Ends,
        story::{asks_as, done, ms, says, story},
    },
};

#[test]
fn a_repeated_id_runs_once() {
    story()
        .caller(0.5..2.0, "mi prenoti per martedì")
        .write("book_appointment", ms(300), done())
        .model(asks_as("one", "book_appointment", "{}"))
        .model(asks_as("one", "book_appointment", "{}"))
        .model(says("Fatto."))
        .expect("written once", |t| t.writes("book_appointment") == 1)
        .expect("one outcome", |t| t.tool_outcomes("book_appointment") == 1)
        .expect("counted", |t| t.report().late_inputs == 1)
        .expect("answered", |t| t.said() == ["Fatto."])
        .play();
}

#[test]
fn a_repeated_id_in_one_answer_runs_once() {
    story()
        .caller(0.5..2.0, "mi prenoti per martedì")
        .write("book_appointment", ms(300), done())
        .model({
            let mut answer = asks_as("one", "book_appointment", "{}");
            answer.tools.push(answer.tools[0].clone());
            answer
        })
        .model(says("Fatto."))
        .expect("written once", |t| t.writes("book_appointment") == 1)
        .expect("answered", |t| t.said() == ["Fatto."])
        .play();
}

#[test]
fn an_unknown_tool_is_refused_and_the_model_reads_why() {
    story()
        .caller(0.5..2.0, "mi prenoti per martedì")
        .model(asks_as("one", "order_pizza", "{}"))
        .model(says("Non posso."))
        .expect("refused", |t| t.outcome("one").is_some_and(|text| text.contains("unknown_tool")))
        .expect("nothing ran", |t| t.tool_outcomes("order_pizza") == 0)
        .expect("answered", |t| t.said() == ["Non posso."])
        .play();
}

#[test]
fn arguments_without_end_are_refused() {
    story()
        .caller(0.5..2.0, "mi prenoti per martedì")
        .write("book_appointment", ms(300), done())
        .model(asks_as("one", "book_appointment", &"x".repeat(20_000)))
        .model(says("Non posso."))
        .expect("refused", |t| t.outcome("one").is_some_and(|text| text.contains("bad_arguments")))
        .expect("nothing was written", |t| t.writes("book_appointment") == 0)
        .play();
}

#[test]
fn too_many_rounds_of_tools_end_in_words() {
    let mut story = story().caller(0.5..2.0, "mi prenoti per martedì").read("find_slots", ms(100), done());
    for round in 0..20 {
        story = story.model(asks_as(&format!("ask-{round}"), "find_slots", "{}"));
    }
    story
        .until(20.0)
        .expect("bounded", |t| t.asks() as u32 <= TOOL_ROUNDS_MAX + 1)
        .expect("the caller is told", |t| t.said().iter().any(|said| said.contains("difficoltà")))
        .play();
}

#[test]
fn two_tools_at_once_are_both_waited_for() {
    story()
        .caller(0.5..2.0, "mi prenoti per martedì")
        .read("find_slots", ms(200), done())
        .read("find_customer", ms(900), done())
        .model({
            let mut answer = asks_as("one", "find_slots", "{}");
            answer.tools.push(("two".into(), "find_customer".into(), "{}".into()));
            answer
        })
        .model(says("Ecco."))
        .expect("asked twice", |t| t.asks() == 2)
        .expect("both outcomes were read", |t| {
            let messages = &t.questions()[1].1.messages;
            messages.iter().filter(|m| matches!(m, pronto::call::Message::Outcome { content: Some(_), .. })).count()
                == 2
        })
        .play();
}

#[test]
fn a_model_that_says_stop_after_asking_is_given_the_outcome_all_the_same() {
    story()
        .caller(0.5..2.0, "mi prenoti per martedì")
        .write("book_appointment", ms(300), done())
        .model(asks_as("one", "book_appointment", "{}").ending(Ends::Done(Finish::Said)))
        .model(says("Fatto."))
        .expect("answered", |t| t.said() == ["Fatto."])
        .play();
}

#[test]
fn a_model_that_waits_for_tools_it_never_asked_for_is_asked_again_or_apologised_for() {
    story()
        .caller(0.5..2.0, "mi prenoti per martedì")
        .model(says("").ending(Ends::Done(Finish::Tools)))
        .model(says("Mi dica."))
        .expect("something is said", |t| !t.said().is_empty() && t.silence_after(2.0) < ms(2_500))
        .play();
}

#[test]
fn words_after_a_tool_come_in_their_place() {
    story()
        .caller(0.5..2.0, "mi prenoti per martedì")
        .tool("lookup", ToolKind::Read, ms(100), done())
        .model({
            let mut answer = asks_as("one", "lookup", "{}");
            answer.text = "Guardo subito. ".into();
            answer
        })
        .model(says("Martedì va bene."))
        .expect("in order", |t| t.said() == ["Guardo subito.", "Martedì va bene."])
        .play();
}
