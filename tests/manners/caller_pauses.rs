//! Pauses inside an utterance, short and long, between words of real speech.

use std::time::Duration;

use pronto::{audio::Line, call::Event};

use crate::{
    LINES,
    stage::{CALLER_DB, Ears, Played, Scene, s},
};

/// Two halves of one sentence.
const HALVES: [(&str, &str); 6] = [
    ("Vorrei prenotare un tagliando", "e cambiare le gomme"),
    ("La macchina fa un rumore strano", "quando giro a destra"),
    ("Buongiorno", "ho un problema con i freni"),
    ("Sì", "domani mattina alle nove"),
    ("Mi chiamo Giovanni", "Esposito"),
    ("Il meccanico mi ha detto giovedì", "oppure venerdì pomeriggio"),
];

/// Recognisers: one that answers commits, and one that ends turns by itself, too early.
const EARS: [(&str, Ears); 2] = [
    ("commits", Ears { partials: Some(Duration::from_millis(250)), ends: None }),
    ("whole utterances", Ears { partials: None, ends: None }),
];

fn paused(line: Line, ears: Ears, halves: (&str, &str), pause: Duration, who: usize, noise: f32) -> (Duration, Played) {
    let mut scene = Scene::new(line, 7.0).noise(noise);
    scene.ears = ears;
    let middle = scene.says(Duration::from_millis(700 + 7 * who as u64), halves.0, who);
    scene.says(middle + pause, halves.1, who);
    (middle, scene.play())
}

#[test]
fn pauses_up_to_450_ms_are_never_cut() {
    let (mut utterances, mut cut) = (0, Vec::new());
    for (line_name, line) in LINES {
        for (ears_name, ears) in EARS {
            for (around, noise) in [("quiet", -70.0), ("noise", CALLER_DB - 20.0)] {
                for (number, halves) in HALVES.into_iter().enumerate() {
                    // Every sentence with the longest pause, and with one of the shorter ones.
                    for pause in [150 + 50 * number as u64, 450] {
                        let who = [0, 1, 3, 4][number % 4];
                        let (_, played) = paused(line, ears, halves, Duration::from_millis(pause), who, noise);
                        utterances += 1;
                        let asked = played.asks.len();
                        let whole = format!("{} {}", halves.0, halves.1);
                        if asked != 1 || played.understood() != [whole.as_str()] {
                            cut.push(format!("{line_name}, {ears_name}, {around}, {pause} ms: {:?}", played.asks));
                        }
                    }
                }
            }
        }
    }
    println!("{utterances} utterances with a pause, {} cut", cut.len());
    assert!(cut.is_empty(), "{cut:#?}");
}

#[test]
fn a_caller_who_goes_on_after_a_longer_pause_cancels_the_reply() {
    for (line_name, line) in LINES {
        for (ears_name, ears) in EARS {
            for (number, halves) in HALVES.into_iter().enumerate() {
                let name = format!("{line_name}, {ears_name}: {halves:?}");
                let who = [0, 1, 3, 4][number % 4];
                let (middle, played) = paused(line, ears, halves, s(0.75), who, -70.0);
                let whole = format!("{} {}", halves.0, halves.1);
                assert_eq!(played.understood(), [whole.as_str()], "{name}");
                if played.asks.len() == 1 {
                    continue;
                }
                assert_eq!(played.asks.len(), 2, "{name}: {:?}", played.asks);
                assert_eq!(played.asks[1].1, [whole], "{name}");
                assert_eq!(played.stops.len(), 1, "{name}");
                let heard = played.stretches.first().expect("answered").from;
                let first = played.rate.duration(heard as u64);
                assert!(first > middle + s(0.75), "{name}: something of the cancelled reply was heard at {first:?}");
                assert_eq!(played.cuts(), 0, "{name}: nothing was heard that could be cut");
            }
        }
    }
}

#[test]
fn an_engine_that_ends_turns_too_early_does_not_cut_a_pause_of_450_ms() {
    let ears = Ears { partials: Some(s(0.1)), ends: Some(s(0.1)) };
    for (name, line) in LINES {
        for (number, halves) in HALVES.into_iter().enumerate() {
            let (_, played) = paused(line, ears, halves, s(0.45), [0, 1, 3, 4][number % 4], -70.0);
            assert_eq!(played.asks.len(), 1, "{name}: {halves:?}: {:?}", played.asks);
        }
    }
}

#[test]
fn real_sentences_are_taken_whole() {
    let (mut sentences, mut early) = (0, Vec::new());
    let mut delays = Vec::new();
    for (name, line) in LINES {
        for who in [1, 4] {
            for text in crate::audio_voice::SENTENCES {
                let mut scene = Scene::new(line, 7.0);
                let end = scene.says(s(0.6), text, who);
                let played = scene.play();
                sentences += 1;
                if played.asks.len() != 1 || played.understood() != [text] {
                    early.push(format!("{name}: {text}: {:?}", played.asks));
                }
                let stopped = played.events.iter().find(|(_, event)| matches!(event, Event::TurnEnded(_)));
                if let (Some((_, Event::TurnEnded(report))), [(asked, _)]) = (stopped, &played.asks[..]) {
                    let t0 = report.speech_end.expect("an answer to speech");
                    let error = t0.as_secs_f64() - end.as_secs_f64();
                    delays.push((error * 1_000.0, asked.saturating_sub(end).as_millis()));
                }
            }
        }
    }
    let (mut errors, mut waits): (Vec<f64>, Vec<u128>) = delays.into_iter().unzip();
    errors.sort_by(f64::total_cmp);
    waits.sort_unstable();
    let at = |part: usize| (errors.len() * part).div_ceil(100).max(1) - 1;
    println!(
        "T0 as estimated: p5 {:+.0}, p50 {:+.0}, p95 {:+.0} ms; the model is asked p50 {}, p95 {} ms after the last sound",
        errors[at(5)],
        errors[at(50)],
        errors[at(95)],
        waits[at(50)],
        waits[at(95)],
    );
    println!("{sentences} sentences, {} taken before their end", early.len());
    assert!(early.is_empty(), "{early:#?}");
}
