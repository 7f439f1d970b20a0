//! The times of a turn are consistent, and what is ours of them is small.

use pronto::sim::story::{asks, done, ms, says, story};

#[test]
fn they_come_in_their_order() {
    story()
        .caller(0.5..2.0, "vorrei prenotare un tagliando")
        .model(says("Certo. Per che giorno?"))
        .expect("one turn", |t| t.report().turns.len() == 1)
        .expect("in order", |t| {
            let turn = &t.report().turns[0];
            let times = [
                turn.speech_end,
                turn.endpoint,
                turn.asked,
                turn.first_word,
                turn.first_clause,
                turn.first_audio,
                turn.first_frame,
            ];
            times.iter().all(Option::is_some) && times.is_sorted()
        })
        .expect("exact", |t| {
            let turn = &t.report().turns[0];
            turn.speech_end.is_some_and(|at| at.abs_diff(ms(2_000)) <= ms(10))
                && turn.endpoint_silence == ms(700)
                && turn.first_word.zip(turn.asked).is_some_and(|(word, asked)| word - asked == ms(300))
                && turn.first_audio.zip(turn.first_clause).is_some_and(|(audio, clause)| audio - clause == ms(100))
        })
        .expect("what is ours is small", |t| t.report().turns[0].own().is_some_and(|own| own <= ms(40)))
        .expect("what the caller measures is what we report", |t| {
            t.report().turns[0].latency().is_some_and(|latency| latency.abs_diff(t.silence_after(2.0)) <= ms(40))
        })
        .play();
}

#[test]
fn a_late_transcript_is_not_ours() {
    story()
        .no_partials()
        .transcript_after(ms(900))
        .caller(0.5..2.0, "vorrei prenotare un tagliando")
        .expect("waited for", |t| t.report().turns[0].transcript_wait() >= ms(400))
        .expect("ours is small", |t| t.report().turns[0].own().is_some_and(|own| own <= ms(40)))
        .play();
}

#[test]
fn a_tool_is_not_ours() {
    story()
        .caller(0.5..2.0, "vorrei prenotare un tagliando")
        .read("find_slots", ms(800), done())
        .model(asks("find_slots"))
        .model(says("Martedì alle nove?"))
        .expect("waited for", |t| t.report().turns[0].tool_wait == ms(800))
        .expect("ours is small", |t| t.report().turns[0].own().is_some_and(|own| own <= ms(40)))
        .play();
}

#[test]
fn a_filler_is_not_the_answer() {
    story()
        .caller(0.5..2.0, "vorrei prenotare un tagliando")
        .model(says("Certo.").after(ms(3_000)))
        .expect("both are there", |t| {
            let turn = &t.report().turns[0];
            turn.filler_frame.zip(turn.first_frame).is_some_and(|(filler, answer)| filler < answer)
        })
        .expect("the filler comes within the limit", |t| {
            let turn = &t.report().turns[0];
            turn.filler_frame.zip(turn.speech_end).is_some_and(|(filler, end)| filler - end < ms(2_500))
        })
        .play();
}

/// Regression: a demo whose answer came while its filler was being said told of 49 ms of the gateway's own, and of an answer
/// that began with the filler's last frames.
#[test]
fn an_answer_that_waits_for_the_end_of_a_filler_is_neither_early_nor_ours() {
    let mut waited = 0;
    for after in (1_200..2_800).step_by(50) {
        let told = story()
            .caller(0.5..2.0, "vorrei prenotare un tagliando")
            .model(says("Certo.").after(ms(after)))
            .expect("a filler", |t| t.report().turns[0].filler_frame.is_some())
            .expect("ours is small", |t| t.report().turns[0].own().is_some_and(|own| own <= ms(20)))
            .play();
        let turn = &told.report().turns[0];
        if let (Some(heard), Some(frame)) = (turn.filler_heard, turn.first_frame) {
            assert!(
                frame + ms(70) >= heard,
                "{after}: the answer leaves at {frame:?}, the filler is heard until {heard:?}"
            );
            waited += usize::from(turn.filler_wait() > ms(20));
        }
    }
    assert!(waited >= 3, "{waited} answers came during the filler");
}
