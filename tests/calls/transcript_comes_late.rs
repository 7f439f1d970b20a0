//! The recogniser is slow, or says nothing at all.

use pronto::sim::story::{Story, ms, s, says, story};

#[test]
fn the_answer_waits_for_the_text() {
    story()
        .no_partials()
        .transcript_after(ms(900))
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        // 260 ms until the commit, 900 until the text.
        .expect("asked with the text", |t| t.asked_after(2.0) >= ms(1_160) && t.asked_after(2.0) <= ms(1_200))
        .expect("the text is whole", |t| t.understood() == ["vorrei prenotare un tagliando"])
        .play();
}

#[test]
fn what_partials_said_is_used_when_the_final_text_does_not_come() {
    story()
        .transcript_after(s(20.0))
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .expect("not for ever", |t| t.silence_after(2.0) < ms(2_500))
        .expect("the partial text", |t| t.understood() == ["vorrei prenotare un tagliando"])
        .play();
}

#[test]
fn a_text_that_comes_after_its_utterance_was_taken_is_no_new_one() {
    story()
        .transcript_after(ms(1_900))
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .model(says("Certo, le prenoto subito un tagliando completo. Per che giorno le farebbe comodo?"))
        .expect("understood once", |t| t.understood() == ["vorrei prenotare un tagliando"])
        .expect("asked once", |t| t.asks() == 1)
        .expect("not cut", |t| t.interruptions() == 0)
        .play();
}

#[test]
fn long_speech_without_a_text_is_asked_for_again() {
    story()
        // Loud enough, long enough, and nothing was understood.
        .noise(1.0..2.5)
        .expect("nothing understood", |t| t.understood().is_empty() && t.asks() == 0)
        .expect("asked to repeat", |t| t.said().iter().any(|said| said.contains("Può ripetere?")))
        .expect("soon", |t| t.silence_after(2.5) < ms(2_500))
        .play();
}

#[test]
fn a_recogniser_without_commits_is_given_a_moment_for_its_final_text() {
    story()
        .script(|script| script.ears.commits = false)
        .transcript_after(ms(800))
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .expect("the final text", |t| t.understood() == ["vorrei prenotare un tagliando"])
        .expect("asked when it came", |t| t.asked_after(2.0) >= ms(800) && t.asked_after(2.0) <= ms(830))
        .play();
}

/// How late the text of a short word comes: before the caller is asked to repeat it, meanwhile, and after.
const LATE: [u64; 3] = [1_200, 1_700, 2_400];

fn short_word(late: u64) -> Story {
    story().no_partials().transcript_after(ms(late)).caller(1.0..1.4, "domani").model(says("Va bene, domani."))
}

/// Regression: a word too short to be missed was taken for a noise before its text came, and its text for an old one. Where
/// the caller was being asked to repeat it, the text cuts that short.
#[test]
fn a_short_word_whose_text_comes_late_is_answered() {
    for late in LATE {
        short_word(late)
            .expect("understood", |t| t.understood() == ["domani"])
            .expect("answered", |t| t.said().last().is_some_and(|said| said == "Va bene, domani."))
            .expect("asked once", |t| t.asks() == 1)
            .play();
    }
}

/// Regression: by then the caller is silent, and words without sound were taken for somebody far away.
#[test]
fn words_that_come_after_the_apology_are_the_callers_own() {
    for late in LATE {
        short_word(late)
            .caller(12.0..12.4, "grazie")
            .model(says("Prego."))
            .until(20.0)
            .expect("both understood", |t| t.understood() == ["domani", "grazie"])
            .play();
    }
}

/// Regression: taken before it was committed, a sentence came a second time with the text of the next one.
#[test]
fn what_was_taken_before_the_commit_is_not_heard_again_with_the_next() {
    story()
        .settings(|settings| {
            settings.endpointing.commit_ms = 1_500;
            settings.endpointing.transcript_ms_max = 50;
        })
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .caller(7.0..8.0, "domani alle nove")
        .expect("each once", |t| t.understood() == ["vorrei prenotare un tagliando", "domani alle nove"])
        .play();
}
