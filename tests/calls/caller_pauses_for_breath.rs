//! A pause of up to 450 ms is a part of speech, whatever was said before it and whatever an engine believes.

use pronto::sim::story::{Story, ms, story};

/// The caller says both parts with this pause between them: one utterance, one question.
fn check(story: Story, pause_ms: u64, before: &str, after: &str) {
    let whole = format!("{before} {after}");
    let from = 2.0 + pause_ms as f64 / 1_000.0;
    story
        .caller(1.0..2.0, before)
        .caller(from..from + 1.0, after)
        .expect("asked once", |t| t.asks() == 1)
        .expect("one utterance", move |t| t.understood() == [whole.as_str()])
        .play();
}

#[test]
fn no_pause_up_to_450_ms_cuts_an_utterance() {
    for pause in (20..=450).step_by(10) {
        check(story(), pause, "sì", "vorrei prenotare");
        check(story(), pause, "vorrei prenotare un tagliando", "e cambiare le gomme");
        check(story().no_partials(), pause, "va bene", "allora domani alle nove");
    }
}

#[test]
fn not_even_when_the_engine_says_that_the_turn_has_ended() {
    for pause in (20..=450).step_by(10) {
        for after in [0, 100, 300] {
            check(story().engine_ends_turns(ms(after)), pause, "sì", "vorrei prenotare");
        }
    }
}

#[test]
fn not_even_when_the_shop_wants_no_silence_at_all() {
    for pause in (20..=450).step_by(10) {
        let hasty = story().settings(|settings| {
            settings.endpointing.silence_ms = 0;
            settings.endpointing.complete_ms = 0;
            settings.endpointing.unfinished_ms = 0;
            settings.endpointing.dictation_ms = 0;
        });
        check(hasty, pause, "sì", "vorrei prenotare");
    }
}

#[test]
fn whatever_the_length_of_the_frames_of_the_line() {
    for frame in [10, 30, 60] {
        for pause in (330..=450).step_by(30) {
            check(story().script(|script| script.frame = ms(frame)), pause, "sì", "vorrei prenotare");
        }
    }
}
