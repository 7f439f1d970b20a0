//! How quickly and how surely the ear knows that a caller speaks: espeak-ng's Italian on 8 kHz mu-law, clean and in
//! noise, and the sounds that must not be taken for speech. A report, not a timing: `cargo bench --bench vad`.
#![expect(clippy::print_stdout, reason = "a report")]

#[path = "../tests/audio_voice/mod.rs"]
mod voice;

use std::time::Duration;

use pronto::audio::{Ear, Format, Heard, Key, Rate, VadSettings, dtmf, signal};
use voice::{SENTENCES, speak};

/// What the call holds its voice on.
const HOLD: Duration = Duration::from_millis(120);

fn main() {
    // `cargo test --benches` runs this too: one quick look is enough there.
    let voices = if std::env::args().any(|argument| argument == "--bench") { 4 } else { 1 };
    let spoken: Vec<Vec<i16>> = (0..voices)
        .flat_map(|who| SENTENCES.iter().enumerate().map(move |(at, text)| speak(text, who * 7 + at)))
        .map(|sound| signal::at_level(&sound, -24.0))
        .collect();
    let babble = babble(&spoken);
    println!("{} sentences, mu-law at 8 kHz, 20 ms packets; milliseconds as median/95 %\n", spoken.len());
    println!(
        "{:<16}{:>12}{:>12}{:>12}{:>14}{:>12}{:>8}{:>8}{:>8}",
        "noise", "first sign", "dated", "hold (120)", "T0 dated", "T0 decided", "missed", "split", "false/min"
    );
    for (name, noise, snr) in [
        ("none", None, 60.0),
        ("white 20 dB", Some(&[][..]), 20.0),
        ("white 10 dB", Some(&[][..]), 10.0),
        ("white 5 dB", Some(&[][..]), 5.0),
        ("babble 20 dB", Some(&babble[..]), 20.0),
        ("babble 10 dB", Some(&babble[..]), 10.0),
        ("babble 5 dB", Some(&babble[..]), 5.0),
    ] {
        let mut report = Report::default();
        // Calls of a dozen sentences, as calls are.
        for (seed, call) in spoken.chunks(12).enumerate() {
            report.hear(call, noise, snr, seed as u64 + 1);
        }
        report.print(name);
    }
    println!("\n{:<28}{:>10}{:>14}{:>16}", "not speech", "sounds", "first sign", "held (120 ms)");
    for (name, sounds) in nuisances() {
        let judged: Vec<(bool, Duration)> = sounds.iter().map(|sound| nuisance(sound)).collect();
        let signs = judged.iter().filter(|(sign, _)| *sign).count();
        let held = judged.iter().filter(|(_, run)| *run >= HOLD).count();
        println!("{name:<28}{:>10}{signs:>14}{held:>16}", judged.len());
    }
}

#[derive(Default)]
struct Report {
    sign: Vec<i64>,
    dated: Vec<i64>,
    hold: Vec<i64>,
    last: Vec<i64>,
    decided: Vec<i64>,
    missed: usize,
    split: usize,
    wrong: usize,
    samples: usize,
}

impl Report {
    fn hear(&mut self, call: &[Vec<i16>], noise: Option<&[i16]>, snr: f32, seed: u64) {
        let mut sound = vec![0; 16_000 + (seed as usize * 37) % 160];
        let mut truth = Vec::new();
        for sentence in call {
            truth.push((sound.len(), sound.len() + sentence.len()));
            sound.extend(sentence);
            sound.extend(vec![0; 19_200]);
        }
        let level = -24.0 - snr;
        match noise {
            None => {}
            Some([]) => signal::add(
                &mut sound,
                &signal::Noise::new(seed).white(truth.last().map_or(0, |t| t.1) + 19_200, level),
                0,
            ),
            Some(noise) => {
                let noise: Vec<i16> =
                    noise.iter().copied().cycle().skip(seed as usize * 9_999).take(sound.len()).collect();
                signal::add(&mut sound, &signal::at_level(&noise, level), 0);
            }
        }
        self.samples += sound.len();
        let (events, holds) = listen(&sound);
        let mut used = vec![false; events.len()];
        for (first, last) in truth {
            let inside = |at: u64| at as usize + 3_200 >= first && at as usize <= last + 1_600;
            let starts: Vec<usize> = (0..events.len())
                .filter(
                    |at| matches!(events[*at], Heard::SpeechStarted { at, detected } if inside(at) || inside(detected)),
                )
                .collect();
            starts.iter().for_each(|at| used[*at] = true);
            let hold = holds.iter().find(|at| **at + 1_600 >= first && **at <= last + 3_200);
            let (Some(start), Some(hold)) = (starts.first(), hold) else {
                self.missed += 1;
                continue;
            };
            self.split += starts.len() - 1;
            if let Heard::SpeechStarted { at, detected } = events[*start] {
                self.sign.push(detected as i64 - first as i64);
                self.dated.push(at as i64 - first as i64);
            }
            self.hold.push(*hold as i64 - first as i64);
            let stop =
                events[starts[starts.len() - 1]..].iter().find(|heard| matches!(heard, Heard::SpeechStopped { .. }));
            if let Some(Heard::SpeechStopped { at, detected }) = stop {
                self.last.push(*at as i64 - last as i64);
                self.decided.push(*detected as i64 - last as i64);
            }
        }
        let starts =
            events.iter().zip(&used).filter(|(heard, used)| matches!(heard, Heard::SpeechStarted { .. }) && !**used);
        self.wrong += starts.count();
    }

    fn print(&mut self, name: &str) {
        let minutes = self.samples as f64 / 16_000.0 / 60.0;
        println!(
            "{name:<16}{:>12}{:>12}{:>12}{:>14}{:>12}{:>8}{:>8}{:>8.1}",
            quantiles(&mut self.sign),
            quantiles(&mut self.dated),
            quantiles(&mut self.hold),
            quantiles(&mut self.last),
            quantiles(&mut self.decided),
            self.missed,
            self.split,
            self.wrong as f64 / minutes
        );
    }
}

/// What the ear tells, and where each run of 120 ms was known (in samples that had arrived by then).
fn listen(sound: &[i16]) -> (Vec<Heard>, Vec<usize>) {
    let mut ear = Ear::new(Format::MULAW_PHONE, &VadSettings::default()).expect("mu-law is built in");
    let packets = signal::packets(sound, Rate::WIDE, Format::MULAW_PHONE).expect("mu-law is built in");
    let (mut samples, mut events, mut holds, mut held) = (Vec::new(), Vec::new(), Vec::new(), false);
    for (at, packet) in packets.iter().enumerate() {
        samples.clear();
        ear.hear(packet, None, None, &mut samples, &mut |heard| events.push(heard));
        let now = ear.speech_run() >= HOLD;
        if now && !held {
            holds.push((at + 1) * 320);
        }
        held = now;
    }
    (events, holds)
}

fn nuisance(sound: &[i16]) -> (bool, Duration) {
    let mut call = signal::Noise::new(9).white(48_000, -60.0);
    signal::add(&mut call, sound, 20_000);
    let mut ear = Ear::new(Format::MULAW_PHONE, &VadSettings::default()).expect("mu-law is built in");
    let packets = signal::packets(&call, Rate::WIDE, Format::MULAW_PHONE).expect("mu-law is built in");
    let (mut samples, mut sign, mut run) = (Vec::new(), false, Duration::ZERO);
    for packet in packets {
        samples.clear();
        ear.hear(&packet, None, None, &mut samples, &mut |heard| sign |= matches!(heard, Heard::SpeechStarted { .. }));
        run = run.max(ear.speech_run());
    }
    (sign, run)
}

/// Sounds a call must not stop for.
fn nuisances() -> Vec<(String, Vec<Vec<i16>>)> {
    let mut all = Vec::new();
    for decay in [20.0, 50.0, 100.0, 200.0] {
        let sounds = [-3.0, -10.0, -20.0, -30.0].into_iter().flat_map(|peak| (1..=10).map(move |seed| (seed, peak)));
        all.push((
            format!("slam, {decay} ms"),
            sounds.map(|(seed, peak)| signal::slam(seed, Rate::WIDE, decay, peak)).collect(),
        ));
    }
    for decay in [50.0, 100.0, 200.0] {
        let sounds = [120.0, 200.0, 330.0, 500.0].into_iter().flat_map(|hz| [-6.0, -20.0].map(|peak| (hz, peak)));
        all.push((
            format!("thud, {decay} ms"),
            sounds.map(|(hz, peak)| signal::thud(3, Rate::WIDE, hz, decay, peak)).collect(),
        ));
    }
    let levels = || [-6.0, -15.0, -25.0].into_iter().flat_map(|peak| (1..=10).map(move |seed| (seed, peak)));
    all.push(("cough".into(), levels().map(|(seed, peak)| signal::cough(seed, Rate::WIDE, peak)).collect()));
    all.push(("click".into(), levels().map(|(seed, peak)| signal::click(seed, Rate::WIDE, peak)).collect()));
    let typing = |seed| {
        let mut sound = vec![0; 20_000];
        (0u64..9)
            .for_each(|at| signal::add(&mut sound, &signal::click(seed + at, Rate::WIDE, -15.0), at as usize * 2_100));
        sound
    };
    all.push(("typing".into(), (1..=10).map(typing).collect()));
    let keys = Key::ALL.into_iter().filter_map(Key::new).flat_map(|key| [60, 120, 250].map(|ms| (key, ms)));
    all.push((
        "telephone key".into(),
        keys.map(|(key, ms)| dtmf::tone(key, Rate::WIDE, Duration::from_millis(ms))).collect(),
    ));
    all
}

/// Eight voices at once.
fn babble(spoken: &[Vec<i16>]) -> Vec<i16> {
    let mut sound = vec![0i16; 16_000 * 20];
    for (voice, chunk) in spoken.iter().cycle().take(48).enumerate() {
        let from = (voice * 7_919 * 5) % (sound.len() - 32_000);
        signal::add(&mut sound, &signal::gain(chunk, -9.0), from);
    }
    sound
}

fn quantiles(samples: &mut [i64]) -> String {
    samples.sort_unstable();
    let at = |part: f64| {
        samples.get(((samples.len() as f64 * part) as usize).min(samples.len().saturating_sub(1))).map_or(0, |s| s / 16)
    };
    format!("{}/{}", at(0.5), at(0.95))
}
