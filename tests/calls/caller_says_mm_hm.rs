//! Backchannels say "go on": our sentence is not ended by them, and no word of it is lost.

use pronto::{
    call::Turn,
    sim::{
        script::CHAR,
        story::{clearing, ms, story},
    },
};

const LONG: &str =
    "Il tagliando completo comprende il cambio dell'olio e dei filtri e il controllo dei freni e delle gomme.";

#[test]
fn a_backchannel_does_not_end_our_sentence() {
    for text in ["sì", "ok", "mm-hm", "certo", "va bene", "ho capito"] {
        for length in [0.1, 0.3, 0.5] {
            story()
                .greeting(LONG)
                .caller(2.0..2.0 + length, text)
                .until(12.0)
                .expect("not cut", |t| t.interruptions() == 0)
                .expect("all of it heard", |t| t.said() == [LONG])
                .expect("no question to the model", |t| t.asks() == 0)
                .play();
        }
    }
}

#[test]
fn the_sentence_goes_on_within_a_second_and_no_sample_is_lost() {
    for line in [clearing(), pronto::audio::Line::vapi(pronto::audio::Format::PCM_WIDE)] {
        story()
            .greeting(LONG)
            .line(line)
            .caller(2.0..2.3, "mm-hm")
            .until(14.0)
            .expect("held once", |t| t.false_alarms() == 1)
            .expect("goes on within a second", |t| {
                let pause = t.heard().windows(2).map(|pair| pair[1].from.saturating_sub(pair[0].to)).max();
                pause.is_some_and(|pause| pause > ms(100) && pause <= ms(1_000))
            })
            .expect("as long as without it", |t| {
                let whole = CHAR * LONG.chars().count() as u32;
                // The fade of a hold is said again; the last frame is filled up with silence.
                t.voice_of(Turn(1)) >= whole && t.voice_of(Turn(1)) <= whole + ms(100)
            })
            .play();
    }
}

#[test]
fn while_nothing_of_ours_is_heard_it_is_an_answer() {
    story()
        .caller(1.0..1.4, "sì")
        .expect("answered", |t| t.understood() == ["sì"] && t.asks() == 1 && t.said() == ["Va bene."])
        .play();
}

#[test]
fn a_backchannel_and_then_words_are_an_interruption() {
    story()
        .greeting(LONG)
        .caller(2.0..2.3, "sì")
        .caller(2.6..3.4, "ma quanto costa")
        .expect("cut", |t| t.interruptions() == 1)
        .expect("what was said is there", |t| t.understood().iter().any(|text| text.ends_with("ma quanto costa")))
        .play();
}
