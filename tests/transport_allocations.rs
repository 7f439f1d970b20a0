//! A frame in either direction of a stream that is under way costs no allocation.
//!
//! `allocation-counter` counts per thread through its own global allocator; this crate forbids `unsafe`, so it cannot
//! have one of its own.

use std::time::Duration;

use allocation_counter::measure;
use pronto::{
    audio::Format,
    transport::{
        Dialect, Incoming, Message, Outgoing, Started, Transport, TwilioClient, TwilioServer, VapiClient, VapiServer,
        twilio_client::FromServer,
    },
};

/// Allocations of the hundredth frame and those after it.
fn steady(mut frame: impl FnMut(u32)) -> u64 {
    for n in 0..100 {
        frame(n);
    }
    measure(|| (100..1_100).for_each(frame)).count_total
}

/// A stream with one second of messages of the carrier, written beforehand.
fn twilio() -> (Transport, Vec<String>) {
    let mut carrier = TwilioClient::new("MZ0f1e2d3c4b5a69788796a5b4c3d2e1f0", "CA00112233445566778899aabbccddeeff");
    let mut server = Transport::from(TwilioServer::new());
    assert!(matches!(server.receive(carrier.start(&Started::default())), Ok(Incoming::Started(_))));
    let media = (0..50u8).map(|n| match carrier.media(&[n; 160], Duration::from_millis(20) * u32::from(n)) {
        Message::Text(text) => text.to_owned(),
        Message::Binary(_) => unreachable!("Twilio sends only text"),
    });
    let media = media.collect();
    (server, media)
}

#[test]
fn twilio_audio_is_read_without_allocating() {
    let (mut server, media) = twilio();
    let allocations = steady(|n| {
        let n = n as usize % media.len();
        match server.receive(Message::Text(&media[n])) {
            Ok(Incoming::Audio { payload, media_time, .. }) => {
                assert!(payload == [n as u8; 160] && media_time == Some(Duration::from_millis(20 * n as u64)));
            }
            _ => unreachable!("audio"),
        }
    });
    assert_eq!(allocations, 0);
}

#[test]
fn twilio_audio_marks_and_clears_are_written_without_allocating() {
    let (mut server, _) = twilio();
    let mut back = String::new();
    let allocations = steady(|n| {
        assert!(server.send(Outgoing::Audio(&[n as u8; 160]), 0).is_some());
        assert!(server.send(Outgoing::Clear, 0).is_some());
        let Some(Message::Text(mark)) = server.send(Outgoing::Mark(n), 0) else { unreachable!("a mark") };
        // What we write and what comes back have the same fields.
        back.clear();
        back.push_str(mark);
        assert_eq!(server.receive(Message::Text(&back)), Ok(Incoming::Mark(n)));
    });
    assert_eq!(allocations, 0);
}

#[test]
fn the_carriers_end_does_not_allocate_for_audio_either() {
    let mut carrier = TwilioClient::new("MZ1", "CA1");
    let answer = r#"{"event":"media","streamSid":"MZ1","media":{"payload":"//////////8="}}"#;
    let allocations = steady(|n| {
        assert!(matches!(carrier.media(&[1; 160], Duration::from_millis(20) * n), Message::Text(_)));
        assert_eq!(carrier.receive(Message::Text(answer)), Ok(FromServer::Audio(&[255; 8])));
    });
    assert_eq!(allocations, 0);
}

#[test]
fn vapi_audio_is_read_and_written_without_allocating() {
    let mut server = Transport::from(VapiServer::new(Format::PCM_WIDE, "c1"));
    let mut client = Transport::from(VapiClient::new(Format::PCM_WIDE, "c1"));
    let audio = [5; 640];
    let allocations = steady(|_| {
        let up = client.send(Outgoing::Audio(&audio), 0).map(|message| server.receive(message).is_ok());
        let down = server.send(Outgoing::Audio(&audio), 0).map(|message| client.receive(message).is_ok());
        assert_eq!((up, down), (Some(true), Some(true)));
    });
    assert_eq!(allocations, 0);
}

#[test]
fn what_one_long_message_needed_is_given_back() {
    let (mut server, media) = twilio();
    let long = vec![7; 500_000];
    let kept = |server: &mut Transport| {
        // Freed by the next, short message.
        let freed = measure(|| {
            assert!(server.send(Outgoing::Audio(&[1; 160]), 0).is_some());
            assert!(server.receive(Message::Text(&media[0])).is_ok());
        });
        -freed.bytes_current
    };
    let text = match server.send(Outgoing::Audio(&long), 0) {
        Some(Message::Text(text)) => text.to_owned(),
        _ => unreachable!("audio"),
    };
    assert!(matches!(server.receive(Message::Text(&text)), Ok(Incoming::Audio { payload, .. }) if payload == long));
    assert!(kept(&mut server) > 1_000_000, "both buffers shrink");
}
