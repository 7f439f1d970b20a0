//! The caller speaks while we do. Sound holds our voice; words (or long speech) end the reply.

use std::time::Duration;

use pronto::{
    audio::{Codec, Format, Line, Rate},
    call::{Action, Event, InterruptingPolicy, Turn},
    sim::{
        story::{Story, clearing, ms, says, story},
        trace::Trace,
    },
};

const LONG: &str =
    "Il tagliando completo comprende il cambio dell'olio e dei filtri e il controllo dei freni e delle gomme.";

/// We are in the middle of a sentence of six seconds from 0.1 s on.
fn talking() -> Story {
    story().greeting(LONG).model(says("Mi dica."))
}

#[test]
fn words_end_the_reply() {
    talking()
        .caller(2.0..3.0, "no aspetti un attimo")
        .expect("cut once", |t| t.interruptions() == 1)
        .expect("understood", |t| t.understood() == ["no aspetti un attimo"])
        .expect("answered", |t| t.said().last().is_some_and(|said| said == "Mi dica."))
        .play();
}

#[test]
fn silence_follows_within_the_hold_and_the_lead_of_the_line() {
    talking()
        .caller(2.0..3.0, "no aspetti un attimo")
        // 120 ms of sure speech, 60 ms that the peer has already, the detector's step and a frame.
        .expect("180 ms and a frame", |t| t.voice_goes_on_after(2.0) <= ms(220))
        .play();
}

#[test]
fn on_a_line_that_can_clear_the_lead_does_not_count() {
    talking()
        .line(clearing())
        .caller(2.0..3.0, "no aspetti un attimo")
        .expect("cleared", |t| t.actions().iter().any(|(_, action)| *action == Action::Clear))
        .expect("120 ms and a frame", |t| t.voice_goes_on_after(2.0) <= ms(170))
        .play();
}

#[test]
fn nothing_of_the_cut_reply_is_heard_later() {
    for line in [clearing(), story_line()] {
        talking()
            .line(line)
            .caller(2.0..3.0, "no aspetti un attimo")
            .script(|script| script.voice.late = 100)
            .expect("silent until the answer", |t| {
                t.heard().iter().filter(|stretch| stretch.turn == Turn(1)).all(|stretch| stretch.to < ms(2_300))
            })
            .play();
    }
}

/// How long a reply is heard after this.
fn heard_after(t: &Trace, turn: Turn, at: Duration) -> Duration {
    let of = t.heard().iter().filter(|stretch| stretch.turn == turn);
    of.map(|stretch| stretch.to.saturating_sub(stretch.from.max(at))).sum()
}

/// The moment of the first event of this kind.
fn at(t: &Trace, is: impl Fn(&Event) -> bool) -> Duration {
    t.events().find(|(_, event)| is(event)).expect("it is told").0
}

/// Vapi's wire has no word to take audio back: what was sent is heard, so no more than a tenth of a second is sent ahead.
#[test]
fn on_a_line_that_cannot_clear_at_most_a_tenth_of_a_second_is_heard_after_the_decision() {
    let rate = |codec, hz| Format { codec, rate: Rate::new(hz).unwrap() };
    for format in [
        rate(Codec::Pcm, 8_000),
        rate(Codec::Mulaw, 8_000),
        rate(Codec::Pcm, 16_000),
        rate(Codec::Pcm, 24_000),
        rate(Codec::Pcm, 44_100),
        rate(Codec::Pcm, 48_000),
    ] {
        // Sound holds the voice, words decide: nothing of the reply is heard any more when they do.
        talking()
            .line(Line::vapi(format))
            .caller(2.0..3.0, "no aspetti un attimo")
            .expect("no clear", |t| t.actions().iter().all(|(_, action)| *action != Action::Clear))
            .expect("100 ms after the hold", |t| {
                let held = at(t, |event| matches!(event, Event::Held(_)));
                heard_after(t, Turn(1), held) <= ms(100)
            })
            .expect("nothing after the cut", |t| {
                let cut = at(t, |event| matches!(event, Event::Interrupted(_)));
                t.sounds_at(1.9) && heard_after(t, Turn(1), cut).is_zero()
            })
            .play();
        // Speech decides at once: the cut comes while our voice is heard.
        talking()
            .line(Line::vapi(format))
            .settings(|settings| settings.interruption.policy = InterruptingPolicy::Speech)
            .caller(2.0..3.0, "no aspetti un attimo")
            .expect("100 ms after the cut", |t| {
                let cut = at(t, |event| matches!(event, Event::Interrupted(_)));
                heard_after(t, Turn(1), cut) <= ms(100)
            })
            .play();
    }
}

fn story_line() -> pronto::audio::Line {
    pronto::audio::Line::vapi(pronto::audio::Format::PCM_WIDE)
}

#[test]
fn long_speech_ends_it_even_without_words() {
    talking()
        .noise(2.0..3.2)
        .expect("cut", |t| t.interruptions() == 1)
        .expect("and asked to repeat", |t| t.said().iter().any(|said| said.contains("Può ripetere?")))
        .play();
}

#[test]
fn a_recogniser_without_partial_texts_cuts_on_long_speech() {
    talking()
        .no_partials()
        .caller(2.0..3.5, "no aspetti un attimo solo")
        .expect("cut", |t| t.interruptions() == 1)
        .expect("understood", |t| t.understood() == ["no aspetti un attimo solo"])
        .play();
}

#[test]
fn the_policy_of_speech_cuts_without_waiting_for_words() {
    talking()
        .settings(|settings| settings.interruption.policy = InterruptingPolicy::Speech)
        .caller(2.0..3.0, "no aspetti un attimo")
        .expect("cut by 200 ms of speech", |t| {
            t.report().turns[0].interruption.is_some_and(|cut| cut.decided <= ms(2_200))
        })
        .play();
}

#[test]
fn the_policy_of_never_finishes_every_sentence() {
    talking()
        .settings(|settings| settings.interruption.policy = InterruptingPolicy::Never)
        .caller(2.0..3.0, "no aspetti un attimo")
        .until(14.0)
        .expect("not cut", |t| t.interruptions() == 0 && t.false_alarms() == 0)
        .expect("all of it heard", |t| t.said().first().is_some_and(|said| said == LONG))
        .expect("the caller was heard all the same", |t| t.understood() == ["no aspetti un attimo"])
        .expect("and answered", |t| t.said().last().is_some_and(|said| said == "Mi dica."))
        .play();
}

#[test]
fn more_words_can_be_asked_for() {
    let two = |text: &'static str| {
        talking().settings(|settings| settings.interruption.words_min = 3).caller(2.0..2.5, text).play()
    };
    assert_eq!(two("no aspetti").interruptions(), 0);
    assert_eq!(two("no aspetti un attimo").interruptions(), 1);
}

#[test]
fn the_report_says_when() {
    talking()
        .caller(2.0..3.0, "no aspetti un attimo")
        .expect("onset, silence, decision", |t| {
            let Some(cut) = t.report().turns[0].interruption else { return false };
            // The words came 200 ms after the first of them was said.
            cut.onset.abs_diff(ms(2_000)) <= ms(20)
                && cut.silent.abs_diff(ms(2_140)) <= ms(30)
                && cut.decided.abs_diff(ms(2_450)) <= ms(30)
        })
        .play();
}
