//! Real (synthesised) speech: what the ear makes of it, and what must not be taken for it.

mod audio_voice;

use std::time::Duration;

use audio_voice::{SENTENCES, speak};
use pronto::audio::{
    Codec, ECHO_LIKENESS, Ear, EchoGuard, Format, Heard, Key, Rate, VadSettings, dtmf, level_db, signal,
};

const ALAW: Format = Format { codec: Codec::Alaw, rate: Rate::PHONE };

fn samples(ms: u64) -> u64 {
    ms * 16
}

#[test]
fn speech_is_found_and_dated_within_bounds() {
    for format in [Format::MULAW_PHONE, ALAW, Format::PCM_WIDE] {
        for (who, text) in SENTENCES.iter().enumerate() {
            let speech = signal::at_level(&speak(text, who), -24.0);
            let mut sound = signal::Noise::new(who as u64).white(16_000 + speech.len() + 16_000, -60.0);
            signal::add(&mut sound, &speech, 16_000);
            let (first, last) = (16_000, 16_000 + speech.len() as u64);
            let mut ear = Ear::new(format, &VadSettings::default()).expect("built");
            let (mut wide, mut events, mut held) = (Vec::new(), Vec::new(), None);
            for packet in signal::packets(&sound, Rate::WIDE, format).expect("built") {
                ear.hear(&packet, None, None, &mut wide, &mut |heard| events.push(heard));
                if held.is_none() && ear.speech_run() >= Duration::from_millis(120) {
                    held = Some(ear.position());
                }
            }
            let Some(Heard::SpeechStarted { at, detected }) = events.first() else { panic!("{text}: {events:?}") };
            assert!(at.abs_diff(first) <= samples(100), "{text} in {format:?}: began at {at}");
            assert!(*detected <= first + samples(250), "{text} in {format:?}: detected at {detected}");
            let Some(Heard::SpeechStopped { at, detected }) = events.last() else { panic!("{text}: {events:?}") };
            assert!(at.abs_diff(last) <= samples(60), "{text} in {format:?}: T0 at {at}, not {last}");
            assert!(*detected <= last + samples(160), "{text} in {format:?}: over at {detected}");
            let held = held.expect("speech holds");
            assert!((first..=first + samples(300)).contains(&held), "{text} in {format:?}: held at {held}");
            assert!(!ear.speaking());
        }
    }
}

#[test]
fn slams_coughs_clicks_and_keys_hold_nothing() {
    let mut sounds: Vec<(String, Vec<i16>)> = Vec::new();
    for peak in [-3.0, -15.0, -30.0] {
        for seed in 1..=4 {
            for decay in [20.0, 50.0, 100.0, 200.0] {
                sounds.push((format!("slam {decay} ms"), signal::slam(seed, Rate::WIDE, decay, peak)));
            }
            sounds.push(("cough".into(), signal::cough(seed, Rate::WIDE, peak)));
            sounds.push(("click".into(), signal::click(seed, Rate::WIDE, peak)));
        }
        for hz in [120.0, 200.0, 330.0, 500.0] {
            sounds.push((format!("thud {hz} Hz"), signal::thud(1, Rate::WIDE, hz, 100.0, peak)));
        }
    }
    for key in Key::ALL.into_iter().filter_map(Key::new) {
        sounds.push((format!("key {}", key.label()), dtmf::tone(key, Rate::WIDE, Duration::from_millis(200))));
    }
    for (name, sound) in sounds {
        let mut call = signal::Noise::new(3).white(40_000, -60.0);
        signal::add(&mut call, &sound, 18_000);
        let mut ear = Ear::new(Format::MULAW_PHONE, &VadSettings::default()).expect("built");
        let mut wide = Vec::new();
        for packet in signal::packets(&call, Rate::WIDE, Format::MULAW_PHONE).expect("built") {
            ear.hear(&packet, None, None, &mut wide, &mut |_| ());
            assert!(ear.speech_run() < Duration::from_millis(120), "{name} was taken for speech");
        }
    }
}

#[test]
fn minutes_of_speech_hold_no_key() {
    let (mut listener, mut minutes) = (dtmf::Dtmf::new(), 0.0);
    for who in 0..5 {
        for text in SENTENCES {
            let speech = signal::through(&signal::at_level(&speak(text, who), -18.0), Rate::WIDE, ALAW).expect("built");
            let (mut wide, mut up) = (Vec::new(), pronto::audio::Resampler::new(Rate::PHONE, Rate::WIDE));
            up.process(&speech, &mut wide);
            listener.hear(&wide, &mut |key| panic!("the key {} in: {text}", key.label()));
            minutes += wide.len() as f64 / 16_000.0 / 60.0;
        }
    }
    assert!(minutes > 2.0, "only {minutes} minutes");
}

/// What the guard makes of a sound while we speak: where the sound ends and its likeness, every 100 ms in which
/// something is to be heard.
fn likenesses(ours: &[i16], heard: &[i16]) -> Vec<(usize, f32)> {
    let mut guard = EchoGuard::new();
    let mut ear = Ear::new(Format::MULAW_PHONE, &VadSettings::default()).expect("built");
    let (mut wide, mut found) = (Vec::new(), Vec::new());
    let packets = signal::packets(heard, Rate::WIDE, Format::MULAW_PHONE).expect("built");
    let phone = signal::through(ours, Rate::WIDE, Format::MULAW_PHONE).expect("built");
    for (at, (packet, leaving)) in packets.iter().zip(phone.chunks(160)).enumerate() {
        guard.played(leaving, Rate::PHONE);
        ear.hear(packet, None, None, &mut wide, &mut |_| ());
        // Only sound that fills the window: elsewhere the voice detector would not have spoken yet.
        if at % 5 == 0 && ear.recent().concat()[128..].chunks(480).all(|piece| level_db(piece) > -58.0) {
            found.push((ear.position() as usize, guard.likeness(ear.recent())));
        }
    }
    assert!(found.len() > 20, "only {} moments to judge", found.len());
    found
}

/// A room: a few reflections behind the direct sound.
fn in_a_room(sound: &[i16]) -> Vec<i16> {
    let mut heard = sound.to_vec();
    for (ms, db) in [(4, -9.0), (9, -12.0), (15, -15.0), (23, -18.0)] {
        signal::add(&mut heard, &signal::gain(sound, db), ms * 16);
    }
    heard
}

#[test]
fn our_echo_is_known_at_every_delay_and_level() {
    let ours = signal::at_level(&[0, 1, 2].map(|at| speak(SENTENCES[at], 0)).concat(), -20.0);
    for (delay_ms, loss) in [(0, -10.0), (120, -15.0), (300, -20.0), (500, -30.0)] {
        for (place, echo) in [("line", ours.clone()), ("room", in_a_room(&ours))] {
            let mut heard = signal::Noise::new(5).white(ours.len(), -70.0);
            signal::add(&mut heard, &signal::gain(&echo, loss), delay_ms * 16);
            let like = likenesses(&ours, &heard);
            let known = like.iter().filter(|(_, like)| *like >= ECHO_LIKENESS).count();
            assert!(known * 100 >= like.len() * 95, "{place}, {delay_ms} ms, {loss} dB: {known} of {}", like.len());
        }
    }
}

#[test]
fn a_caller_is_not_taken_for_our_echo() {
    let ours = signal::at_level(&[0, 1, 2].map(|at| speak(SENTENCES[at], 0)).concat(), -20.0);
    for who in [0, 1, 4] {
        // The first caller has the very voice we speak with.
        let caller = signal::at_level(&[8, 9, 10].map(|at| speak(SENTENCES[at], who)).concat(), -20.0);
        let mut heard = signal::Noise::new(5).white(ours.len(), -70.0);
        signal::add(&mut heard, &caller, 0);
        let alone = likenesses(&ours, &heard);
        let taken = alone.iter().filter(|(_, like)| *like >= ECHO_LIKENESS).count();
        assert!(taken * 100 <= alone.len() * 2, "caller {who} alone: {taken} of {}", alone.len());
        // Over our echo, 15 dB softer: wherever the caller is clearly louder than it.
        let mut echo = vec![0; ours.len()];
        signal::add(&mut echo, &signal::gain(&ours, -15.0), 120 * 16);
        signal::add(&mut heard, &echo, 0);
        let level = |sound: &[i16], end: usize| {
            level_db(&sound[end.saturating_sub(1_920).min(sound.len())..end.min(sound.len())])
        };
        let louder: Vec<f32> = likenesses(&ours, &heard)
            .into_iter()
            .filter(|(end, _)| level(&caller, *end) > level(&echo, *end) + 6.0)
            .map(|(_, like)| like)
            .collect();
        let taken = louder.iter().filter(|like| **like >= ECHO_LIKENESS).count();
        assert!(
            louder.len() > 20 && taken * 100 <= louder.len() * 3,
            "caller {who} over it: {taken} of {}",
            louder.len()
        );
    }
}
