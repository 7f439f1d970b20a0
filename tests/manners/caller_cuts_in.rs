//! The caller speaks while we do: how long until we are silent, in samples at the far end.

use std::time::Duration;

use pronto::call::Turn;

use crate::{
    LINES, LONG,
    stage::{CALLER_DB, Scene, s},
};

const SENTENCES: [&str; 14] = [
    "Anzi no, facciamo alle undici",
    "Scusi, aspetti un attimo",
    "No no, volevo dire giovedì",
    "Ma quanto costa il tagliando",
    "Senta, posso venire domani mattina",
    "Fermi, ho sbagliato giorno",
    "Un momento, cerco il libretto",
    "Però io lavoro fino alle sei",
    "Guardi, la macchina è una Panda",
    "Ecco, il numero della targa",
    "Mi scusi, non ho capito bene",
    "Va bene, allora facciamo martedì",
    "Posso parlare con il meccanico",
    "Eh, ma sabato siete aperti",
];

const P50: Duration = Duration::from_millis(180);
const P95: Duration = Duration::from_millis(250);

#[test]
fn silence_follows_within_a_quarter_of_a_second() {
    let (mut all, mut worst) = (Vec::new(), Vec::new());
    for (name, line) in LINES {
        for (around, noise) in
            [("quiet", -70.0), ("noise 20 dB below", CALLER_DB - 20.0), ("noise 10 dB below", CALLER_DB - 10.0)]
        {
            let mut delays = Vec::new();
            for (number, text) in SENTENCES.into_iter().enumerate() {
                let who = [0, 1, 3, 4][number % 4];
                // Anywhere in a frame, and anywhere in our sentence.
                let onset = Duration::from_millis(1_000 + 171 * number as u64);
                let mut scene = Scene::new(line, 7.5).greeting(&LONG[..3].join(" ")).noise(noise);
                scene.says(onset, text, who);
                let played = scene.play();
                assert_eq!(played.cuts(), 1, "{name}, {around}: {text}");
                assert_eq!(played.understood(), [text], "{name}, {around}");
                delays.push((played.silent_after(Turn(1)).saturating_sub(onset), text));
            }
            delays.sort_unstable();
            let (p50, p95) = (part(&delays, 50), part(&delays, 95));
            println!("{name:22} {around:18} p50 {:>4}, p95 {:>4} ms ({})", p50.0.as_millis(), p95.0.as_millis(), p95.1);
            // In loud noise the first consonants of a caller cannot be heard by anybody.
            if p50.0 > P50 || noise < CALLER_DB - 15.0 && p95.0 > P95 {
                worst.push((name, around, p50, p95));
            }
            all.extend(delays);
        }
    }
    all.sort_unstable();
    let (p50, p95) = (part(&all, 50), part(&all, 95));
    println!("{} cut-ins: p50 {} ms, p95 {} ms", all.len(), p50.0.as_millis(), p95.0.as_millis());
    assert!(worst.is_empty() && p50.0 <= P50 && p95.0 <= P95, "too slow: {worst:#?}, {p50:?}, {p95:?}");
}

/// So many of a hundred are at most this.
fn part<T: Copy>(sorted: &[T], of_hundred: usize) -> T {
    sorted[(sorted.len() * of_hundred).div_ceil(100) - 1]
}

#[test]
fn a_caller_as_soft_as_a_shy_one_is_heard_too() {
    for (name, line) in LINES {
        let mut scene = Scene::new(line, 7.5).greeting(&LONG[..3].join(" "));
        scene.says(s(2.5), "Scusi, aspetti un attimo", 3);
        scene.sound = pronto::audio::signal::gain(&scene.sound, -12.0);
        let played = scene.play();
        assert_eq!(played.cuts(), 1, "{name}");
    }
}
