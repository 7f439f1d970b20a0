//! How much silence is enough, by what was said and by what we asked. Each time is counted from the caller's last
//! voiced sample to the question to the model.

use std::time::Duration;

use pronto::{
    call::EndpointingPolicy,
    sim::story::{ms, says, story},
};

/// The caller says this (the last thing we said being `ours`) and we wait for so long.
fn check(ours: &str, text: &str, expected: Duration) {
    let start = 2.0 + ours.chars().count() as f64 * 0.06;
    let start = (start * 50.0).ceil() / 50.0;
    let end = start + 1.0;
    story()
        .greeting(ours)
        .caller(start..end, text)
        .expect("not before", move |t| t.asked_after(end) >= expected)
        // A frame that was being filled, and the detector's step.
        .expect("not later", move |t| t.asked_after(end) <= expected + ms(30))
        .play();
}

#[test]
fn a_short_whole_answer_is_answered_after_half_a_second() {
    for text in ["sì", "no grazie", "va bene", "a che ora aprite?"] {
        check("", text, ms(500));
    }
}

#[test]
fn a_sentence_that_could_be_whole_after_700_ms() {
    check("", "vorrei prenotare un tagliando", ms(700));
}

#[test]
fn a_phrase_that_hangs_in_the_air_is_waited_for() {
    for text in ["vorrei prenotare un tagliando per", "mi chiamo", "domani mattina, ma"] {
        check("", text, ms(1_400));
    }
}

#[test]
fn a_number_being_dictated_is_waited_for() {
    check("", "il numero è 3 3 3", ms(1_600));
    check("Mi dice la targa?", "A B 1 2", ms(1_600));
    check("Mi lascia un recapito?", "3 3 3 1 2", ms(1_600));
    check("A che nome?", "Mario", ms(1_600));
}

#[test]
fn and_is_finished_early_when_it_is_whole() {
    check("Mi dice la targa?", "A B 1 2 3 C D", ms(500));
    check("Mi lascia un recapito?", "3 3 3 1 2 3 4 5 6 7", ms(500));
    check("A che nome?", "Mario Rossi", ms(500));
}

#[test]
fn a_short_answer_to_such_a_question_is_no_dictation() {
    check("Mi dice la targa?", "no", ms(700));
}

#[test]
fn the_policy_that_only_counts_silence_reads_nothing() {
    for text in ["sì", "vorrei prenotare un tagliando per", "A B 1 2"] {
        story()
            .settings(|settings| settings.endpointing.policy = EndpointingPolicy::Silence)
            .caller(1.0..2.0, text)
            .expect("700 ms", |t| t.asked_after(2.0) >= ms(700) && t.asked_after(2.0) <= ms(730))
            .play();
    }
}

#[test]
fn a_silence_the_shop_sets_is_kept() {
    story()
        .settings(|settings| settings.endpointing.silence_ms = 1_000)
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .expect("1 s", |t| t.asked_after(2.0) >= ms(1_000) && t.asked_after(2.0) <= ms(1_030))
        .play();
}

#[test]
fn the_engines_own_end_of_turn_is_believed() {
    story()
        .engine_ends_turns(ms(470))
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .model(says("Certo."))
        .expect("as soon as it says so", |t| t.asked_after(2.0) >= ms(470) && t.asked_after(2.0) <= ms(500))
        .play();
}

#[test]
fn but_never_inside_a_pause_that_speech_may_have() {
    story()
        .engine_ends_turns(ms(150))
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .model(says("Certo."))
        .expect("450 ms all the same", |t| t.asked_after(2.0) >= ms(450) && t.asked_after(2.0) <= ms(480))
        .play();
}

#[test]
fn an_engine_that_is_not_trusted_is_not_believed() {
    story()
        .settings(|settings| settings.endpointing.trust_engine = false)
        .engine_ends_turns(ms(150))
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .expect("700 ms", |t| t.asked_after(2.0) >= ms(700) && t.asked_after(2.0) <= ms(730))
        .play();
}
