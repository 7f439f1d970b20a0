//! More of everything than a call is for: each bound has its consequence, and the call goes on.

use pronto::{
    call::{
        Control, Event, Message,
        limits::{CLAUSES_MAX, HISTORY_MAX, TOOLS_MAX, TURNS_MAX, UTTERANCE_CHARS_MAX},
    },
    sim::story::{asks_as, done, ms, s, says, story},
};

#[test]
fn the_oldest_of_a_long_history_is_left_out_of_what_the_model_sees() {
    let mut story = story();
    for number in 0..HISTORY_MAX + 100 {
        let note = Control::Note { text: format!("nota {number}"), respond: false };
        story = story.control(0.5 + number as f64 / 1_000.0, note);
    }
    story
        .caller(2.0..3.0, "vorrei prenotare un tagliando")
        .expect("bounded", |t| t.history().len() <= HISTORY_MAX)
        .expect("the model sees the newest", |t| {
            let messages = &t.questions()[0].1.messages;
            messages.len() <= HISTORY_MAX
                && messages.contains(&Message::Note { text: format!("nota {}", HISTORY_MAX + 99) })
        })
        .play();
}

#[test]
fn the_hundred_and_first_tool_of_a_call_is_refused_and_the_model_reads_why() {
    let mut many = asks_as("tool-0", "find_slots", "{}");
    for number in 1..TOOLS_MAX + 10 {
        many.tools.push((format!("tool-{number}"), "find_slots".into(), "{}".into()));
    }
    story()
        .caller(0.5..2.0, "mi prenoti per martedì")
        .read("find_slots", ms(100), done())
        .model(many)
        .model(says("Ecco."))
        .expect("so many ran", |t| t.tool_outcomes("find_slots") == TOOLS_MAX)
        .expect("the others are refused", |t| {
            t.outcome(&format!("tool-{TOOLS_MAX}")).is_some_and(|text| text.contains("too many tools"))
        })
        .expect("answered", |t| t.said() == ["Ecco."])
        .play();
}

#[test]
fn a_model_that_does_not_stop_talking_is_not_spoken_to_its_end() {
    story()
        .caller(0.5..2.0, "vorrei un preventivo")
        .model(says(&"Sì. ".repeat(CLAUSES_MAX + 40)))
        .until(16.0)
        .expect("so many clauses", |t| t.spoken().len() == CLAUSES_MAX)
        .play();
}

#[test]
fn the_report_of_a_long_call_keeps_the_newest_turns() {
    let mut story = story().model(says("Sì."));
    for number in 0..TURNS_MAX + 20 {
        let at = 1.0 + number as f64 * 1.5;
        story = story.key(at, '1').key(at + 0.01, '#');
    }
    story.expect("bounded", |t| t.report().turns.len() == TURNS_MAX).play();
}

#[test]
fn an_utterance_without_end_is_cut() {
    for partials in [None, Some(ms(100))] {
        story()
            .caller(1.0..3.0, &"parola ".repeat(2_000))
            .script(|script| {
                script.ears.partials = partials;
                // Not all of it can be understood: with numbered frames that is not asked for.
                script.jumbled = Some(0);
            })
            .expect("bounded", |t| t.understood().iter().all(|text| text.chars().count() <= UTTERANCE_CHARS_MAX + 2))
            .expect("told so far is bounded too", |t| {
                t.events().all(|(_, event)| {
                    !matches!(event, Event::Transcript { text, .. } if text.chars().count() > UTTERANCE_CHARS_MAX + 2)
                })
            })
            .expect("answered", |t| t.asks() == 1 && t.silence_after(3.0) < s(2.5))
            .play();
    }
}
