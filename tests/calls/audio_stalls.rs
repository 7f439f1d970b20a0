//! The caller's audio does not come: late, in bursts, not in silence, or never.

use pronto::{
    call::Ending,
    sim::story::{ms, s, says, story},
};

#[test]
fn a_stall_in_mid_utterance_is_no_end_of_it() {
    for length in [0.3, 0.6, 1.0] {
        story()
            .caller(1.0..3.0, "vorrei prenotare un tagliando completo per martedì")
            .network_stalls(2.0..2.0 + length)
            .expect("one utterance", |t| t.understood() == ["vorrei prenotare un tagliando completo per martedì"])
            .expect("asked once", |t| t.asks() == 1)
            .play();
    }
}

#[test]
fn a_line_that_sends_nothing_in_silence_is_answered_all_the_same() {
    story()
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .line_is_mute(2.0..20.0)
        .model(says("Certo."))
        .expect("answered", |t| t.said() == ["Certo."])
        .expect("within the limit", |t| t.silence_after(2.0) < ms(2_500))
        .play();
}

#[test]
fn silence_before_the_line_goes_mute_counts_too() {
    story()
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .line_is_mute(2.2..20.0)
        .model(says("Certo."))
        .expect("answered", |t| t.said() == ["Certo."])
        .expect("within the limit", |t| t.silence_after(2.0) < ms(2_500))
        .play();
}

#[test]
fn a_mute_line_while_we_speak_does_not_stop_us() {
    story()
        .greeting("Il tagliando completo comprende il cambio dell'olio e dei filtri.")
        .line_is_mute(1.0..9.0)
        .until(9.0)
        .expect("all of it heard", |t| t.said().len() == 1 && !t.said()[0].ends_with('|'))
        .play();
}

#[test]
fn a_caller_who_vanishes_in_mid_word_does_not_leave_the_call_hanging() {
    story()
        .caller(1.0..4.0, "vorrei prenotare un tagliando completo per martedì")
        .line_is_mute(2.0..120.0)
        .until(120.0)
        .expect("ended", |t| t.ending().is_some_and(|(_, why)| why == Ending::SilenceTimedOut))
        .play();
}

#[test]
fn without_any_audio_the_call_ends() {
    story()
        .greeting("Buongiorno.")
        .line_is_mute(0.0..120.0)
        .until(120.0)
        .expect("after 30 s", |t| t.ending() == Some((s(30.0), Ending::NoAudio)))
        .play();
}

/// Regression: a stall over a second and a half ended what was said, and what came after it belonged to no utterance.
#[test]
fn a_sentence_that_a_long_stall_cuts_in_two_is_answered() {
    for length in [1.6, 2.0, 3.0] {
        for partials in [None, Some(ms(200))] {
            story()
                .caller(1.0..4.0, "vorrei prenotare un tagliando completo per martedì mattina presto")
                .network_stalls(1.3..1.3 + length)
                .script(|script| script.ears.partials = partials)
                .expect("all of it is understood", |t| t.understood().join(" ").ends_with("mattina presto"))
                .expect("answered", move |t| t.silence_after(1.3 + length.max(2.7)) < ms(2_500))
                .play();
        }
    }
}
