//! What a caller waits for an answer, with each of the means against waiting switched on and off, in virtual time: the real
//! [`Call`](pronto::call::Call) with engines that wait as the field's published percentiles say.
//!
//! `cargo bench --no-default-features --features sim --bench feel`; `PRONTO_TURNS` says how many turns each.
//!
//! Waits are lognormal: the model's first word p50 540 ms / p95 1,770 ms, then 20 ms a word; a final text p50 250 / p95 400
//! after the commit; the voice's first sound p50 200 / p95 350. One caller in five takes a breath of half a second in the
//! middle of the sentence. What the call does not do itself is emulated in the waits, and says so: the hedged question is
//! the sooner of two draws, the second begun at the 80th percentile; a frequent sentence (three answers in ten) is kept as
//! sound; without clauses the voice waits for the model's last word.

use std::time::Duration;

use pronto::sim::{
    random::Random,
    script::{Answer, Ears, Script, Utterance, Voice},
    stage::Stage,
};

/// What is switched on.
#[derive(Clone, Copy)]
struct Means {
    clauses: bool,
    ahead: bool,
    hedge: bool,
    kept: bool,
    filler: bool,
}

const ALL: Means = Means { clauses: true, ahead: true, hedge: true, kept: true, filler: true };
const NONE: Means = Means { clauses: false, ahead: false, hedge: false, kept: false, filler: false };

/// The model's 80th percentile: exp(0.8416 sigma) of the median.
const P80_MS: f64 = 540.0 * 1.836;

#[expect(clippy::print_stdout, reason = "a benchmark prints")]
fn main() {
    let turns = std::env::var("PRONTO_TURNS").ok().and_then(|value| value.parse().ok()).unwrap_or(4_000u64);
    println!(
        "{turns} turns each, milliseconds; answer: A1-T0; first sound: the answer or a filler, whichever is sooner"
    );
    println!("| | answer p50 | p90 | p95 | p99 | first sound p50 | p95 | max | asked ahead: used, wasted |");
    println!("|---|---|---|---|---|---|---|---|---|");
    let rows = [
        ("nothing", NONE),
        ("+ first clause at once", Means { clauses: true, ..NONE }),
        ("+ asked ahead", Means { clauses: true, ahead: true, ..NONE }),
        ("+ hedged", Means { clauses: true, ahead: true, hedge: true, ..NONE }),
        ("+ frequent sentences kept", Means { filler: false, ..ALL }),
        ("+ filler: all of it", ALL),
        ("all but the clause", Means { clauses: false, ..ALL }),
        ("all but asking ahead", Means { ahead: false, ..ALL }),
        ("all but the hedge", Means { hedge: false, ..ALL }),
        ("all but what is kept", Means { kept: false, ..ALL }),
    ];
    for (name, means) in rows {
        let (mut answers, mut sounds, mut used, mut wasted) = (Vec::new(), Vec::new(), 0, 0);
        for seed in 0..turns {
            let trace = Stage::new(turn(seed, means), seed).play().map_err(|broken| broken.promise);
            let trace = trace.unwrap_or_else(|promise| panic!("turn {seed}: {promise}"));
            let report = trace.report();
            (used, wasted) = (used + report.asked_ahead.used, wasted + report.asked_ahead.wasted);
            for turn in &report.turns {
                let Some(latency) = turn.latency() else { continue };
                let filler = turn.filler_frame.zip(turn.speech_end).and_then(|(at, end)| at.checked_sub(end));
                answers.push(latency);
                sounds.push(filler.map_or(latency, |filler| filler.min(latency)));
            }
        }
        answers.sort_unstable();
        sounds.sort_unstable();
        let at = |of: &[Duration], share: f64| of[((of.len() - 1) as f64 * share) as usize].as_millis();
        println!(
            "| {name} | {} | {} | {} | {} | {} | {} | {} | {used}, {wasted} |",
            at(&answers, 0.5),
            at(&answers, 0.9),
            at(&answers, 0.95),
            at(&answers, 0.99),
            at(&sounds, 0.5),
            at(&sounds, 0.95),
            at(&sounds, 1.0),
        );
    }
}

/// One turn: the same for the same seed, whatever is switched on.
fn turn(seed: u64, means: Means) -> Script {
    let random = &mut Random::new(seed);
    let (model, second) = (around(random, 540.0, 1_770.0), around(random, 540.0, 1_770.0));
    let (finals, voice) = (around(random, 250.0, 400.0), around(random, 200.0, 350.0));
    let (breath, frequent) = (random.percent(20), random.percent(30));
    let first = if means.hedge { model.min(P80_MS + second) } else { model };
    let text = "Certo, controllo subito l'agenda. Per che giorno le farebbe comodo?";
    let word = Duration::from_millis(20);
    let words = text.split_whitespace().count() as u32;
    let answer = Answer { gap: if means.clauses { word } else { Duration::ZERO }, ..Answer::says(text) };
    let waits = if means.clauses { Duration::ZERO } else { word * words };
    let (a, b) = (Duration::from_millis(1_000), Duration::from_millis(2_000));
    let mut utterances = vec![Utterance { at: a..b, text: "vorrei prenotare un tagliando".into() }];
    if breath {
        let again = b + Duration::from_millis(500);
        utterances.push(Utterance { at: again..again + (b - a), text: "facciamo giovedì mattina".into() });
    }
    let mut script = Script {
        utterances,
        model: vec![answer.after(ms(first) + waits)],
        ears: Ears { finals: ms(finals), partials: Some(ms(250.0)), ..Script::default().ears },
        voice: Voice { first: if means.kept && frequent { ms(2.0) } else { ms(voice) }, ..Script::default().voice },
        until: Duration::from_secs(12),
        ..Script::default()
    };
    script.settings.endpointing.ahead_ms = if means.ahead { 250 } else { 0 };
    if !means.filler {
        script.settings.filler_ms = 60_000;
    }
    script
}

fn ms(value: f64) -> Duration {
    Duration::from_secs_f64(value / 1_000.0)
}

/// A lognormal draw with this median and this 95th percentile, in milliseconds.
fn around(random: &mut Random, p50: f64, p95: f64) -> f64 {
    let mut even = || (random.below(1 << 24) as f64 + 1.0) / (1 << 24) as f64;
    let normal = (-2.0 * even().ln()).sqrt() * (std::f64::consts::TAU * even()).cos();
    p50 * ((p95 / p50).ln() / 1.645 * normal).exp()
}
