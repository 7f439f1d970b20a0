//! Networks and loudspeakers return what we say. Our own voice is no caller.

use std::time::Duration;

use crate::{
    LINES, LONG,
    slams_coughs_and_keys::whole,
    stage::{CALLER_DB, Scene, s},
};

#[test]
fn half_a_minute_of_our_own_echo_neither_holds_nor_cuts() {
    let text = LONG.join(" ");
    let mut stopped = Vec::new();
    for (name, line) in LINES {
        for (db, delay) in [(-10.0, 60), (-10.0, 300), (-20.0, 180), (-30.0, 120)] {
            let mut scene = Scene::new(line, 34.0).greeting(&text);
            scene.echo = Some((db, Duration::from_millis(delay)));
            let played = scene.play();
            println!("{name}, echo {db} dB after {delay} ms: {} holds, {} cuts", played.holds(), played.cuts());
            if played.holds() + played.cuts() > 0 || !played.asks.is_empty() {
                let when: Vec<_> = played
                    .events
                    .iter()
                    .filter(|(_, event)| matches!(event, pronto::call::Event::Held(_)))
                    .map(|(at, _)| *at)
                    .collect();
                stopped.push((name, db, delay, played.cuts(), when));
                continue;
            }
            whole(name, line, &played, &text);
        }
    }
    assert!(stopped.is_empty(), "{stopped:#?}");
}

#[test]
fn a_caller_is_heard_over_it() {
    for (name, line) in LINES {
        for (db, delay) in [(-10.0, 120), (-20.0, 60), (-30.0, 300)] {
            let mut scene = Scene::new(line, 9.0).greeting(&LONG[..3].join(" ")).noise(CALLER_DB - 25.0);
            scene.echo = Some((db, Duration::from_millis(delay)));
            scene.says(s(2.5), "Anzi no, facciamo alle undici", 1);
            let played = scene.play();
            assert_eq!(played.cuts(), 1, "{name}, echo {db} dB after {delay} ms");
            assert_eq!(played.understood(), ["Anzi no, facciamo alle undici"], "{name}");
        }
    }
}
