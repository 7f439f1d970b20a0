//! Once a call is under way no frame allocates, in either direction; and what a call's sound holds in memory is bounded.

#![expect(clippy::print_stdout, reason = "the memory of a call is a number to be read")]

use std::time::Duration;

use allocation_counter::measure;
use pronto::audio::{
    Codec, Ear, EchoGuard, Encoder, Format, Key, Line, Pace, Playout, Rate, Resampler, Stride, VadSettings, dtmf,
    signal,
};

/// Every codec this build has, at the rates that lines use.
fn formats() -> Vec<Format> {
    let mut formats = Vec::new();
    for (codec, rates) in [
        (Codec::Mulaw, &[8_000][..]),
        (Codec::Alaw, &[8_000]),
        (Codec::Pcm, &[8_000, 16_000, 22_050, 24_000, 44_100, 48_000]),
        #[cfg(feature = "opus")]
        (Codec::Opus, &[8_000, 16_000, 48_000]),
    ] {
        formats.extend(rates.iter().map(|hz| Format { codec, rate: Rate::new(*hz).expect("a rate") }));
    }
    formats
}

/// A minute with everything in it: silence, a voice's pitch, noise, slams, keys.
fn minute() -> Vec<i16> {
    let mut sound = signal::Noise::new(1).white(60 * 16_000, -60.0);
    for second in 0..60 {
        let from = second * 16_000;
        match second % 4 {
            0 => {
                let voice =
                    [1.0, 2.0, 3.0].map(|harmonic| signal::sine(140.0 * harmonic, Rate::WIDE, 3_000.0, 0, 9_000));
                voice.iter().for_each(|part| signal::add(&mut sound, part, from));
            }
            1 => signal::add(&mut sound, &signal::slam(second as u64, Rate::WIDE, 100.0, -6.0), from),
            2 => {
                let key = Key::new(Key::ALL[second % 16]).expect("a key");
                signal::add(&mut sound, &dtmf::tone(key, Rate::WIDE, Duration::from_millis(90)), from);
            }
            _ => {}
        }
    }
    sound
}

#[test]
fn a_minute_of_hearing_allocates_nothing() {
    let sound = minute();
    for format in formats() {
        let packets = signal::packets(&sound, Rate::WIDE, format).expect("built");
        let mut ear = Ear::new(format, &VadSettings::default()).expect("built");
        let (mut samples, mut events) = (Vec::with_capacity(16_000), 0);
        let mut hear = |at: usize, packet: &[u8]| {
            samples.clear();
            // Each tenth packet comes before the one it follows.
            let sequence = match at % 10 {
                8 => at + 1,
                9 => at - 1,
                _ => at,
            };
            let time = (format.codec != Codec::Opus).then(|| Line::FRAME * sequence as u32);
            ear.hear(packet, time, Some(sequence as u32), &mut samples, &mut |_| events += 1);
        };
        packets[..100].iter().enumerate().for_each(|(at, packet)| hear(at, packet));
        let counted = measure(|| packets.iter().enumerate().skip(100).for_each(|(at, packet)| hear(at, packet)));
        assert_eq!(counted.count_total, 0, "{format:?}");
        assert!(events > 10, "{format:?}: {events} events");
    }
}

#[test]
fn a_minute_of_speaking_allocates_nothing() {
    let sound = minute();
    for format in formats() {
        let line = Line { speaks: format, ..Line::twilio() };
        let (mut playout, mut pace) = (Playout::new(&line), Pace::new(&line));
        let mut encoder = Encoder::new(format).expect("built");
        let mut down = Resampler::new(Rate::WIDE, format.rate);
        let mut guard = EchoGuard::new();
        let (mut at_rate, mut frame, mut packet) =
            (Vec::with_capacity(9_600), Vec::with_capacity(960), Vec::with_capacity(4_000));
        #[expect(clippy::disallowed_methods, reason = "a moment to begin with")]
        let mut now = std::time::Instant::now();
        let (length, voice) = (format.rate.samples(Line::FRAME), Stride::voice(line.lead));
        let mut speak = |piece: &[i16]| {
            at_rate.clear();
            down.process(piece, &mut at_rate);
            playout.push(&at_rate);
            for _ in 0..piece.len() / 320 {
                for _ in 0..pace.due(now, voice) {
                    frame.clear();
                    packet.clear();
                    if playout.pull(length, &mut frame) > 0 {
                        guard.played(&frame, format.rate);
                        encoder.encode(&frame, &mut packet);
                        pace.sent(now, 1, voice);
                    }
                }
                now += Line::FRAME;
            }
        };
        let pieces: Vec<&[i16]> = sound.chunks(1_600).collect();
        pieces[..40].iter().for_each(|piece| speak(piece));
        let counted = measure(|| pieces[40..].iter().for_each(|piece| speak(piece)));
        assert_eq!(counted.count_total, 0, "{format:?}");
    }
}

#[test]
fn the_memory_of_a_call_is_within_its_budget() {
    for format in formats() {
        // libopus keeps its state outside of what is counted here; these are its own numbers.
        let opus = |bytes: u64| if format.codec == Codec::Opus { bytes } else { 0 };
        let sound = minute();
        let packets = signal::packets(&sound[..160_000], Rate::WIDE, format).expect("built");
        let mut parts = Vec::new();
        let mut held = None;
        parts.push((
            "ear",
            opus(18_300),
            measure(|| {
                let mut ear = Ear::new(format, &VadSettings::default()).expect("built");
                let mut samples = Vec::new();
                for packet in &packets {
                    samples.clear();
                    ear.hear(packet, None, None, &mut samples, &mut |_| ());
                }
                held = Some((ear, samples));
            }),
        ));
        let line = Line { speaks: format, ..Line::twilio() };
        let mut spoken = None;
        parts.push((
            "playout, 2 s ahead",
            0,
            measure(|| {
                let mut playout = Playout::new(&line);
                playout.push(&vec![1; 2 * format.rate.hz() as usize]);
                spoken = Some(playout);
            }),
        ));
        let mut rest = None;
        parts.push((
            "voice to line, encoder, echo guard",
            opus(43_700),
            measure(|| {
                let resampler = Resampler::new(Rate::VOICE, format.rate);
                rest = Some((resampler, Encoder::new(format).expect("built"), EchoGuard::new()));
            }),
        ));
        let inline = size_of::<Ear>() + size_of::<Playout>() + size_of::<Resampler>() + size_of::<Encoder>();
        let total: u64 = parts.iter().map(|(_, more, counted)| more + counted.bytes_current as u64).sum();
        let total = total + inline as u64;
        for (name, more, counted) in &parts {
            println!("{:?} at {}: {name}: {} bytes", format.codec, format.rate, more + counted.bytes_current as u64);
        }
        println!("{:?} at {}: {total} bytes in all, {inline} of them inside the call", format.codec, format.rate);
        let budget = if format.codec == Codec::Opus { 250 } else { 150 };
        if format.rate <= Rate::WIDE {
            assert!(total <= budget * 1_024, "{format:?}: {total}");
        }
        drop((held, spoken, rest));
    }
}
