//! A short noise while we speak: we speak softer or pause for a moment, and go on. No word is lost.

use pronto::{
    call::Turn,
    sim::{
        script::CHAR,
        story::{clearing, ms, says, story},
    },
};

const LONG: &str =
    "Il tagliando completo comprende il cambio dell'olio e dei filtri e il controllo dei freni e delle gomme.";

#[test]
fn it_does_not_end_our_sentence_and_no_sample_is_lost() {
    let whole = CHAR * LONG.chars().count() as u32;
    for line in [clearing(), pronto::audio::Line::vapi(pronto::audio::Format::PCM_WIDE)] {
        for length in [20, 50, 80, 120, 200, 350, 500] {
            let to = 2.0 + f64::from(length) / 1_000.0;
            story()
                .greeting(LONG)
                .line(line)
                .noise(2.0..to)
                .until(12.0)
                .expect("not cut", |t| t.interruptions() == 0)
                .expect("all of it heard", |t| t.said() == [LONG])
                .expect("no sample lost", move |t| {
                    t.voice_of(Turn(1)) >= whole && t.voice_of(Turn(1)) <= whole + ms(100)
                })
                .expect("goes on within a second of the end of the noise", move |t| {
                    let resumed = t.heard().iter().map(|stretch| stretch.from).find(|from| *from > ms(2_000));
                    resumed.is_none_or(|from| from.as_secs_f64() <= to + 1.0)
                })
                .expect("nobody was asked", |t| t.asks() == 0)
                .play();
        }
    }
}

#[test]
fn a_slam_does_not_even_pause_it() {
    for length in [0.02, 0.05, 0.08] {
        story()
            .greeting(LONG)
            .noise(2.0..2.0 + length)
            .until(12.0)
            .expect("no pause", |t| t.heard().len() == 1 && t.false_alarms() == 0)
            .play();
    }
}

#[test]
fn many_slams_in_a_row_are_no_caller_either() {
    story()
        .greeting(LONG)
        .noise(1.0..1.06)
        .noise(1.5..1.56)
        .noise(2.0..2.06)
        .noise(2.5..2.56)
        .noise(3.0..3.06)
        .until(12.0)
        .expect("all of it heard", |t| t.said() == [LONG] && t.interruptions() == 0)
        .play();
}

#[test]
fn a_slam_before_the_answer_does_not_cost_the_answer() {
    story()
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .noise(2.75..2.85)
        .model(says("Certo, per che giorno?"))
        .expect("asked once", |t| t.asks() == 1)
        .expect("answered in time", |t| t.silence_after(2.0) <= ms(1_200))
        .play();
}

#[test]
fn a_sentence_that_may_not_be_interrupted_is_not_even_held() {
    story()
        .control(
            0.5,
            pronto::call::Control::Say { text: LONG.into(), now: true, interruptible: false, then_end: false },
        )
        .caller(2.0..3.0, "no aspetti un attimo")
        .until(16.0)
        .expect("all of it heard", |t| t.said()[0] == LONG && t.false_alarms() == 0)
        .expect("the caller is answered behind it", |t| t.said().len() == 2)
        .play();
}
