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
