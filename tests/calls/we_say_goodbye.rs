//! The end of the call: what we say last is heard whole, and then the line is closed.

use std::time::Duration;

use pronto::{
    call::{Ending, ToolKind},
    sim::{
        story::{asks, clearing, done, ends_call, ms, puts_through, says, says_and_asks, story},
        trace::Trace,
    },
};

/// How long after our last sound the line is closed, if it was all heard.
fn closed_after_voice(t: &Trace) -> Option<Duration> {
    t.ending().and_then(|(at, _)| at.checked_sub(t.heard().last()?.to))
}

#[test]
fn an_end_phrase_ends_the_call() {
    for line in [clearing(), pronto::audio::Line::vapi(pronto::audio::Format::PCM_WIDE)] {
        story()
            .line(line)
            .caller(1.0..2.0, "basta così grazie")
            .model(says("Grazie a lei, arrivederci."))
            .expect("ended", |t| t.ending().is_some_and(|(_, why)| why == Ending::EndPhrase))
            .expect("heard whole, then closed", |t| closed_after_voice(t).is_some_and(|after| after <= ms(40)))
            .expect("and is recorded", |t| t.said() == ["Grazie a lei, arrivederci."])
            .play();
    }
}

#[test]
fn a_shop_may_not_want_that() {
    story()
        .settings(|settings| settings.end_phrases = false)
        .caller(1.0..2.0, "basta così grazie")
        .model(says("Grazie a lei, arrivederci."))
        .expect("not ended", |t| t.ending().is_none())
        .play();
}

#[test]
fn an_end_phrase_that_was_cut_ends_nothing() {
    story()
        .caller(1.0..2.0, "basta così grazie")
        .model(says("Grazie a lei e buon lavoro e buona giornata, arrivederci."))
        .caller(4.5..5.5, "no aspetti una cosa")
        .model(says("Mi dica."))
        .expect("not ended", |t| t.ending().is_none())
        .expect("answered", |t| t.said().last().is_some_and(|said| said == "Mi dica."))
        .play();
}

#[test]
fn the_model_ends_the_call_and_its_goodbye_is_heard() {
    story()
        .caller(1.0..2.0, "basta così grazie")
        .tool("end_call", ToolKind::Call, ms(5), ends_call())
        .model(says_and_asks("Perfetto, allora a martedì, le auguro una buona serata.", "end_call"))
        .expect("ended", |t| t.ending().is_some_and(|(_, why)| why == Ending::AgentEnded))
        .expect("heard whole, then closed", |t| closed_after_voice(t).is_some_and(|after| after <= ms(40)))
        .expect("recorded", |t| t.said() == ["Perfetto, allora a martedì, le auguro una buona serata."])
        .expect("nothing more is asked", |t| t.asks() == 1)
        .play();
}

#[test]
fn a_model_that_ends_the_call_without_a_word_says_the_goodbye_of_the_house() {
    story()
        .caller(1.0..2.0, "basta così grazie")
        .tool("end_call", ToolKind::Call, ms(5), ends_call())
        .model(asks("end_call"))
        .expect("ended", |t| t.ending().is_some_and(|(_, why)| why == Ending::AgentEnded))
        .expect("with a goodbye", |t| t.said().last().is_some_and(|said| said.contains("arrivederci")))
        .expect("heard whole, then closed", |t| closed_after_voice(t).is_some_and(|after| after <= ms(40)))
        .play();
}

#[test]
fn words_of_the_caller_do_not_cut_the_goodbye() {
    story()
        .caller(1.0..2.0, "basta così grazie")
        .tool("end_call", ToolKind::Call, ms(5), ends_call())
        .model(says_and_asks("Perfetto, allora a martedì, le auguro una buona serata.", "end_call"))
        .caller(4.5..5.3, "anche a lei grazie")
        .expect("heard whole", |t| t.said()[0] == "Perfetto, allora a martedì, le auguro una buona serata.")
        .expect("ended", |t| t.ending().is_some_and(|(_, why)| why == Ending::AgentEnded))
        .play();
}

#[test]
fn a_caller_is_put_through_when_the_sentence_has_been_heard() {
    story()
        .caller(1.0..2.0, "mi passa il titolare")
        .tool("transfer_to_human", ToolKind::Call, ms(5), puts_through("+39061234567"))
        .model(says_and_asks("Certo, la passo subito al titolare.", "transfer_to_human"))
        .expect("put through, then closed", |t| {
            let at = t
                .actions()
                .iter()
                .position(|(_, action)| *action == pronto::call::Action::Transfer("+39061234567".into()));
            at.is_some_and(|at| matches!(t.actions()[at + 2].1, pronto::call::Action::Close(Ending::Transferred)))
        })
        .expect("heard whole", |t| closed_after_voice(t).is_some_and(|after| after <= ms(40)))
        .play();
}

#[test]
fn a_transfer_without_a_word_says_so_first() {
    story()
        .caller(1.0..2.0, "mi passa il titolare")
        .tool("transfer_to_human", ToolKind::Call, ms(5), puts_through("+39061234567"))
        .model(asks("transfer_to_human"))
        .expect("said", |t| t.said().last().is_some_and(|said| said.contains("La passo subito")))
        .expect("put through", |t| t.ending().is_some_and(|(_, why)| why == Ending::Transferred))
        .play();
}

#[test]
fn a_booking_that_runs_when_the_call_ends_is_recorded() {
    story()
        .caller(1.0..2.0, "mi prenoti e arrivederci")
        .write("book_appointment", ms(6_000), done())
        .tool("end_call", ToolKind::Call, ms(5), ends_call())
        .model({
            let mut answer = asks("book_appointment");
            answer.tools.push(("two".into(), "end_call".into(), "{}".into()));
            answer.text = "Va bene, a presto.".into();
            answer
        })
        .until(25.0)
        .expect("recorded", |t| t.outcome("ask-book_appointment") == Some(r#"{"ok":true}"#))
        .expect("ended", |t| t.ending().is_some())
        .play();
}
