//! The control of the experiment: what the lab's ears understand of a caller straight from the caller's telephone, with
//! no gateway in between.
//!
//! They are made of templates and do not tell all letters from one another, least of all in a car. A plate that they do
//! not understand even so would be counted against the gateway, which only carries it: such a caller gets another plate.

use std::time::Duration;

use super::{
    noise::{by, loudness},
    persona::NoiseKind,
    plan::{Dictation, Plan},
    play::Noises,
    room::Room,
};
use crate::{
    audio::{Decoder, Encoder, Format, Line, Rate, Resampler},
    language::Language,
    load::{
        caller::{Around, CallerError, Now},
        chance::Chance,
        lab::{ears::Ears, phrasebook::normal, speech::Speech},
    },
};

/// How often a caller gets another plate.
const TRIES: usize = 12;

/// A frame of the ears begins anywhere in the sound: they have to understand it wherever, so many milliseconds later.
const SHIFTS_MS: [u64; 3] = [0, 5, 11];

/// Gives plates and numbers that can be understood to those who dictate them.
///
/// # Errors
/// When espeak-ng fails.
pub async fn understandable(
    plans: &mut [Plan],
    ears: &Ears,
    speech: &Speech,
    noises: &Noises,
    format: Format,
) -> Result<(), CallerError> {
    for plan in plans {
        let mut chance = Chance::new(plan.seed ^ 0xC0);
        let dictated = if plan.from.is_none() { 0..2 } else { 0..1 };
        for which in dictated {
            for _ in 0..TRIES {
                if is_understood(plan, &plan.dictations[which], ears, speech, noises, format).await? {
                    break;
                }
                plan.redraw(which, &mut chance);
            }
        }
    }
    Ok(())
}

async fn is_understood(
    plan: &Plan,
    dictation: &Dictation,
    ears: &Ears,
    speech: &Speech,
    noises: &Noises,
    format: Format,
) -> Result<bool, CallerError> {
    for shift_ms in SHIFTS_MS {
        let shift = format.rate.samples(Duration::from_millis(shift_ms));
        let heard = heard(plan, dictation, shift, ears, speech, noises, format).await?;
        if !same(&heard, &dictation.line) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The same letters and digits; "a" and "ah" are one sound.
fn same(heard: &str, said: &str) -> bool {
    let plain =
        |text: &str| normal(text).split_whitespace().map(|word| word.trim_end_matches('h').to_owned()).collect();
    let (heard, said): (Vec<String>, Vec<String>) = (plain(heard), plain(said));
    heard == said
}

/// What the ears understand of it.
async fn heard(
    plan: &Plan,
    dictation: &Dictation,
    shift: usize,
    ears: &Ears,
    speech: &Speech,
    noises: &Noises,
    format: Format,
) -> Result<String, CallerError> {
    let rate = format.rate;
    let silence = vec![0; rate.hz() as usize / 2];
    let later = vec![0; shift];
    // Ears that have heard the caller before, as they have by then in a call.
    let before = speech.say(plan.wish.name, &plan.voice, rate).await?;
    let mut said = Vec::new();
    for (piece, pause) in &dictation.pieces {
        said.extend_from_slice(&speech.say(piece, &plan.voice, rate).await?);
        said.resize(said.len() + rate.samples(*pause), 0);
    }
    let voice = loudness([said.as_slice()].into_iter(), rate);
    let begins = [&later[..], &silence, &before, &silence, &silence].concat();
    let begins_at = (begins.len() * Rate::WIDE.hz() as usize / rate.hz() as usize).saturating_sub(320);
    let sound = [&begins[..], &said, &silence, &silence].concat();
    let sent = in_the_room(plan, sound, voice, noises, rate);
    let sent = over_the_wire(&sent, format)?;
    let mut listener = ears.listen(Language::Italian).await?;
    let (mut text, mut noticed) = (String::new(), Vec::new());
    for (at, piece) in sent.chunks(320).enumerate() {
        listener.hear(piece, &mut noticed);
        noticed.clear();
        // As an engine does: what stands before a pause is said.
        if listener.speaking() && listener.quiet() >= Duration::from_millis(300) {
            let guess = listener.finish().filter(|_| at * 320 >= begins_at);
            push(&mut text, guess.map(|guess| guess.text()));
        }
    }
    push(&mut text, listener.finish().map(|guess| guess.text()));
    Ok(text)
}

fn push(text: &mut String, more: Option<String>) {
    if let Some(more) = more {
        text.push(' ');
        text.push_str(&more);
    }
}

/// The sound with what is around the caller.
fn in_the_room(plan: &Plan, mut sound: Vec<i16>, voice: f32, noises: &Noises, rate: Rate) -> Vec<i16> {
    let (_nobody, words) = tokio::sync::mpsc::channel(1);
    let mut room = Room::new(rate, words, false);
    if let Some((kind, below_db)) = plan.noise {
        room = room.with_noise(noises.of(kind), voice * by(below_db), plan.seed as usize);
        if kind == NoiseKind::Car {
            room = room.in_a_car(Duration::from_millis(120));
        }
    }
    let now = Now { at: Duration::ZERO, sample: 0, heard: &[], agent_speaks: false, speaks: true };
    sound.chunks_mut(rate.samples(Line::FRAME)).for_each(|frame| room.frame(now, frame));
    sound
}

/// The sound as the gateway would hand it to an engine: at 16 kHz, whatever the wire carries.
fn over_the_wire(sound: &[i16], format: Format) -> Result<Vec<i16>, CallerError> {
    let (mut bytes, mut back, mut wide) = (Vec::new(), Vec::new(), Vec::new());
    Encoder::new(format)?.encode(sound, &mut bytes);
    Decoder::new(format)?.decode(&bytes, &mut back);
    if format.rate == Rate::WIDE {
        return Ok(back);
    }
    let mut resampler = Resampler::new(format.rate, Rate::WIDE);
    resampler.process(&back, &mut wide);
    resampler.flush(&mut wide);
    Ok(wide)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_and_its_sound_are_the_same() {
        assert!(same("J ah. Zero zero sei. R C.", "J A, zero zero sei, R C"));
        assert!(!same("G N. Zero tre sei. P R.", "G N, zero tre sei, T R"));
        assert!(!same("R K. Zero alle due. H.", "R K, zero due due, C H"));
    }
}
