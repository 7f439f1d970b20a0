//! A word to a colleague, away from the telephone, and a radio in the room: understood by the recogniser as well as any,
//! and not meant for us.

use std::sync::LazyLock;

use pronto::call::Message;

use crate::{
    LINES, LONG,
    stage::{CALLER_DB, Scene, s},
};

/// A long answer.
static ANSWER: LazyLock<String> = LazyLock::new(|| LONG[..2].join(" "));

/// The voice of a caller who has said one thing, so that we know how loud it is, and has been answered at length.
fn answered(line: pronto::audio::Line) -> Scene {
    let mut scene = Scene::new(line, 22.0);
    scene.answers = vec![ANSWER.as_str(), "Va bene."];
    scene.says(s(1.0), "Vorrei prenotare un tagliando", 0);
    scene
}

#[test]
fn what_is_said_to_somebody_else_does_not_cut_our_sentence() {
    for (name, line) in LINES {
        for (who, below, text) in [
            (0, 14.0, "Un attimo, arrivo"),
            (0, 18.0, "Lascia le chiavi sul banco"),
            (1, 22.0, "Traffico intenso in città"),
        ] {
            let mut scene = answered(line);
            scene.says_so(s(6.0), text, who, CALLER_DB - below);
            let played = scene.play();
            assert_eq!(played.cuts(), 0, "{name}: {text} {below} dB below");
            assert_eq!(played.understood(), ["Vorrei prenotare un tagliando"], "{name}: {text} {below} dB below");
            let whole = |message: &Message| matches!(message, Message::Agent { text, interrupted: false, .. } if *text == ANSWER[..]);
            assert!(played.history.iter().any(whole), "{name}: {text}: {:?}", played.history);
            assert_eq!(played.asks.len(), 1, "{name}: {text}");
        }
    }
}

#[test]
fn what_is_said_to_somebody_else_is_not_answered() {
    for (name, line) in LINES {
        let mut scene = answered(line);
        scene.answers = vec!["A che nome?", "Va bene."];
        scene.says_so(s(6.0), "Un attimo, arrivo", 0, CALLER_DB - 16.0);
        scene.says(s(9.5), "Mario Rossi", 0);
        let played = scene.play();
        assert_eq!(played.understood(), ["Vorrei prenotare un tagliando", "Mario Rossi"], "{name}");
        assert_eq!(played.asks.len(), 2, "{name}");
    }
}

#[test]
fn a_caller_who_has_become_soft_is_heard_the_second_time() {
    for (name, line) in LINES {
        let mut scene = answered(line);
        scene.answers = vec!["A che nome?", "Va bene."];
        scene.says_so(s(6.0), "Mario Rossi", 0, CALLER_DB - 14.0);
        scene.says_so(s(10.0), "Mi chiamo Mario Rossi", 0, CALLER_DB - 14.0);
        let played = scene.play();
        assert_eq!(played.understood().last(), Some(&"Mi chiamo Mario Rossi"), "{name}");
        assert_eq!(played.asks.len(), 2, "{name}");
    }
}

#[test]
fn a_caller_who_speaks_a_little_softer_cuts_in_all_the_same() {
    for (name, line) in LINES {
        let mut scene = answered(line);
        scene.says_so(s(6.0), "Anzi no, facciamo alle undici", 0, CALLER_DB - 7.0);
        let played = scene.play();
        assert_eq!(played.cuts(), 1, "{name}");
        assert_eq!(played.understood().last(), Some(&"Anzi no, facciamo alle undici"), "{name}");
    }
}
