//! What a second of a call costs: fifty frames heard (bytes to samples, keys and speech) or spoken (playout to bytes).
//! The voice speaks for 600 ms of each second.

use divan::{Bencher, counter::ItemsCount};
use pronto::audio::{Codec, Detector, Ear, EchoGuard, Encoder, Format, Line, Playout, Rate, VadSettings, signal};

fn main() {
    divan::main();
}

/// A second with a voice, with its pitch, in noise of this level.
fn voice(noise_db: f32) -> Vec<i16> {
    let mut sound = signal::Noise::new(1).white(16_000, noise_db);
    for harmonic in 1..=12 {
        let part = signal::sine(130.0 * f64::from(harmonic), Rate::WIDE, 4_000.0 / f64::from(harmonic), 0, 9_600);
        signal::add(&mut sound, &part, 0);
    }
    sound
}

fn format(name: &str) -> Format {
    let (codec, hz) = match name {
        "mulaw 8k" => (Codec::Mulaw, 8_000),
        "alaw 8k" => (Codec::Alaw, 8_000),
        "pcm 16k" => (Codec::Pcm, 16_000),
        "pcm 24k" => (Codec::Pcm, 24_000),
        _ => (Codec::Opus, 48_000),
    };
    Format { codec, rate: Rate::new(hz).expect("a rate") }
}

#[cfg(not(feature = "opus"))]
const FORMATS: [&str; 4] = ["mulaw 8k", "alaw 8k", "pcm 16k", "pcm 24k"];
#[cfg(feature = "opus")]
const FORMATS: [&str; 5] = ["mulaw 8k", "alaw 8k", "pcm 16k", "pcm 24k", "opus 48k"];

fn hear(bencher: Bencher<'_, '_>, format: Format, settings: &VadSettings, sound: &[i16]) {
    let packets = signal::packets(sound, Rate::WIDE, format).expect("built");
    let mut ear = Ear::new(format, settings).expect("built");
    let mut samples = Vec::with_capacity(1_000);
    let mut second = || {
        for packet in &packets {
            samples.clear();
            ear.hear(packet, None, None, &mut samples, &mut |heard| {
                divan::black_box(heard);
            });
        }
    };
    // The detectors take a few seconds to know the line.
    (0..5).for_each(|_| second());
    bencher.counter(ItemsCount::new(packets.len())).bench_local(second);
}

#[divan::bench(args = FORMATS)]
fn hear_a_voice(bencher: Bencher<'_, '_>, name: &str) {
    hear(bencher, format(name), &VadSettings::default(), &voice(-65.0));
}

#[divan::bench(args = FORMATS)]
fn hear_silence(bencher: Bencher<'_, '_>, name: &str) {
    hear(bencher, format(name), &VadSettings::default(), &[0; 16_000]);
}

#[divan::bench(args = FORMATS)]
fn hear_a_voice_in_noise(bencher: Bencher<'_, '_>, name: &str) {
    hear(bencher, format(name), &VadSettings::default(), &voice(-45.0));
}

#[divan::bench(args = FORMATS)]
fn hear_a_voice_by_its_energy(bencher: Bencher<'_, '_>, name: &str) {
    hear(bencher, format(name), &VadSettings { detector: Detector::Energy, ..VadSettings::default() }, &voice(-65.0));
}

#[divan::bench(args = FORMATS)]
fn hear_silence_by_its_energy(bencher: Bencher<'_, '_>, name: &str) {
    hear(bencher, format(name), &VadSettings { detector: Detector::Energy, ..VadSettings::default() }, &[0; 16_000]);
}

#[divan::bench(args = FORMATS)]
fn speak(bencher: Bencher<'_, '_>, name: &str) {
    let format = format(name);
    let line = Line { speaks: format, ..Line::twilio() };
    let sound: Vec<i16> = voice(-65.0).into_iter().cycle().take(format.rate.hz() as usize).collect();
    let mut playout = Playout::new(&line);
    let mut encoder = Encoder::new(format).expect("built");
    let length = format.rate.samples(Line::FRAME);
    let (mut frame, mut packet) = (Vec::with_capacity(length), Vec::with_capacity(4_000));
    bencher.counter(ItemsCount::new(50u32)).bench_local(|| {
        playout.push(&sound);
        while !playout.is_empty() {
            frame.clear();
            packet.clear();
            playout.pull(length, &mut frame);
            encoder.encode(&frame, &mut packet);
        }
        packet.len()
    });
}

/// Asked once, when a caller seems to cut in.
#[divan::bench]
fn likeness_to_our_echo(bencher: Bencher<'_, '_>) {
    let sound = signal::Noise::new(1).white(16_000, -20.0);
    let mut guard = EchoGuard::new();
    guard.played(&sound, Rate::WIDE);
    bencher.bench_local(|| guard.likeness([&sound[4_000..6_048], &[]]));
}

/// What leaves is remembered, frame by frame.
#[divan::bench]
fn remember_what_leaves(bencher: Bencher<'_, '_>) {
    let sound = signal::Noise::new(1).white(160, -20.0);
    let mut guard = EchoGuard::new();
    bencher.bench_local(|| guard.played(&sound, Rate::PHONE));
}

/// A call begins.
#[divan::bench(args = FORMATS)]
fn a_new_ear(name: &str) -> Ear {
    Ear::new(format(name), &VadSettings::default()).expect("built")
}
