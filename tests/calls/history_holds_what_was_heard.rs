//! What the model reads of our own sentences is what the caller heard, to the word.

use pronto::{
    call::Message,
    sim::{
        script::CHAR,
        story::{clearing, ms, says, story},
        trace::Trace,
    },
};

const LONG: &str =
    "Il tagliando completo comprende il cambio dell'olio e dei filtri e il controllo dei freni e delle gomme.";

/// The words of `LONG` that had been said when the caller heard us stop.
fn words_heard(t: &Trace) -> (usize, String, bool) {
    let Some(Message::Agent { text, interrupted: true, estimated }) = t.history().first() else {
        panic!("the first entry is what was cut: {:?}", t.history());
    };
    let heard = (t.voice_of(pronto::call::Turn(1)).as_millis() / CHAR.as_millis()) as usize;
    (heard, text.clone(), *estimated)
}

#[test]
fn with_alignment_the_cut_is_exact() {
    for line in [clearing(), pronto::audio::Line::vapi(pronto::audio::Format::PCM_WIDE)] {
        for start in [1.1, 1.6, 2.3, 3.05, 4.4] {
            story()
                .greeting(LONG)
                .line(line)
                .aligned()
                .caller(start..start + 1.0, "no aspetti un attimo")
                .expect("not estimated", |t| !words_heard(t).2)
                .expect("whole words", |t| {
                    let (_, text, _) = words_heard(t);
                    LONG.starts_with(&text) && LONG[text.len()..].starts_with(' ')
                })
                .expect("no word that was not heard, and at most one fewer", |t| {
                    let (heard, text, _) = words_heard(t);
                    let said = text.chars().count();
                    let next = LONG[text.len()..].trim_start().split(' ').next().map_or(0, |word| word.chars().count());
                    said <= heard && heard <= said + 1 + next + 1
                })
                .play();
        }
    }
}

#[test]
fn without_alignment_it_is_estimated_and_says_so() {
    for start in [1.1, 1.6, 2.3, 3.05, 4.4] {
        story()
            .greeting(LONG)
            .caller(start..start + 1.0, "no aspetti un attimo")
            .expect("estimated", |t| words_heard(t).2)
            .expect("whole words, none too many", |t| {
                let (heard, text, _) = words_heard(t);
                LONG.starts_with(&text) && text.chars().count() <= heard + 1
            })
            .play();
    }
}

#[test]
fn a_reply_of_which_nothing_was_heard_is_not_in_it() {
    story()
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .caller(2.9..3.6, "e le gomme")
        .model(says("Questo non lo sente nessuno."))
        .model(says("Va bene."))
        .expect("only the second", |t| t.said() == ["Va bene."])
        .play();
}

#[test]
fn the_model_reads_where_it_was_cut() {
    story()
        .greeting(LONG)
        .caller(2.0..3.0, "no aspetti un attimo")
        .expect("in the ask", |t| {
            let questions = t.questions();
            matches!(&questions[0].1.messages[..],
                [Message::Agent { interrupted: true, text, .. }, Message::Caller { .. }] if LONG.starts_with(text.as_str()))
        })
        .play();
}

#[test]
fn a_filler_passes_the_time_and_is_not_in_it() {
    story()
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .model(says("Certo.").after(ms(2_500)))
        .expect("a filler was spoken", |t| t.spoken().len() == 2)
        .expect("only the answer is recorded", |t| t.said() == ["Certo."])
        .play();
}

#[test]
fn a_hang_up_in_mid_sentence_leaves_what_was_heard() {
    story()
        .greeting(LONG)
        .aligned()
        .hangs_up(2.0)
        .expect("cut there", |t| {
            let (heard, text, _) = words_heard(t);
            !text.is_empty() && text.chars().count() <= heard
        })
        .play();
}
