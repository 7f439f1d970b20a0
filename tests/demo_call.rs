//! The demo end to end over loopback: lab, gateway and caller, in both dialects. Nothing here is timed.
#![cfg(all(feature = "daemon", feature = "load"))]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking, and tells the dialogue then")]

use std::{fs, path::PathBuf};

use pronto::{
    booking::Status,
    call::Message,
    daemon::{
        call::Dialect,
        demo::{Line, Play, Played},
    },
    load::{caller::Scenario, lab::LabSettings},
};

/// The demo's call, shortened: the caller does not wait for the end of the greeting either.
const SHORT: &str = r#"
    voice = "marco"
    patience_s = 30
    repeat_on = ["non ho capito", "può ripetere"]
    [[steps]]
    while_agent_speaks_ms = 1_500
    say = "vorrei prenotare un tagliando"
    [[steps]]
    expect = ["per quando"]
    say = "{day} alle nove"
    [[steps]]
    expect = ["a che nome"]
    say = "Mario Rossi"
    [[steps]]
    expect = ["targa"]
    say = "A B uno due tre C D"
    [[steps]]
    while_agent_speaks_ms = 2_200
    say = "non alle nove, alle dieci"
    [[steps]]
    expect = ["confermo"]
    say = "sì confermo"
    [[steps]]
    expect = ["fissato"]
    hang_up = true
"#;

async fn play(dialect: Dialect, name: &str) -> (Played, PathBuf) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = std::env::temp_dir().join(format!("pronto-demo-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (lines, mut told) = tokio::sync::mpsc::channel(1_000);
    let scenario = Some(Scenario::parse(SHORT).unwrap());
    let play = Play { dialect, folder: folder.clone(), lab: LabSettings::instant(), scenario };
    let played = play.run(lines).await.unwrap();
    while let Ok(line) = told.try_recv() {
        match line {
            Line::Wait(_) => {}
            Line::Caller(_) | Line::Words(..) | Line::Tool(_) | Line::Interrupted => eprintln!("{line:?}"),
        }
    }
    (played, folder)
}

fn check(played: &Played, folder: PathBuf) {
    // The row in the file: the hour the caller changed to, and once.
    let rows: Vec<_> =
        played.appointments.iter().map(|row| (row.status, row.local, row.plate.reveal().as_str())).collect();
    assert_eq!(rows, [(Status::Booked, played.expected.1, "AB123CD")]);
    assert_eq!(played.appointments[0].service, "tagliando");

    // Both cuts reached silence at the caller's ear.
    let answers = played.conversation.recording.answers();
    let cuts: Vec<_> =
        answers.iter().filter(|answer| answer.cut.is_some()).map(|answer| answer.text.as_str()).collect();
    assert_eq!(cuts, ["vorrei prenotare un tagliando", "non alle nove, alle dieci"]);
    assert!(answers.iter().all(|answer| answer.latency().is_some()), "every line was answered: {answers:?}");

    // The history holds of the cut sentences only their beginnings, and of the others all that was said.
    let end = played.record.as_ref().unwrap().end.as_ref().unwrap();
    let heard: Vec<_> = end
        .history
        .reveal()
        .iter()
        .filter_map(|message| match message {
            Message::Agent { text, interrupted, .. } => Some((text.trim(), *interrupted)),
            Message::Caller { .. } | Message::Asked { .. } | Message::Outcome { .. } | Message::Note { .. } => None,
        })
        .collect();
    let cut: Vec<_> = heard.iter().filter(|(_, interrupted)| *interrupted).map(|(text, _)| *text).collect();
    assert_eq!(cut.len(), 2, "{heard:?}");
    let greeting = "Officina Rossi, buongiorno. Sono l'assistente automatico. Come posso aiutarla?";
    assert!(greeting.starts_with(cut[0]) && cut[0].len() < greeting.len(), "{cut:?}");
    let answered: Vec<_> = played.lab.answered.iter().map(|answer| answer.trim()).collect();
    assert!(
        answered.iter().any(|answer| answer.starts_with(cut[1]) && cut[1].len() < answer.len()),
        "{cut:?} is no beginning of what the model said: {answered:?}"
    );
    assert!(!cut[1].contains("Confermo"), "the question was not heard: {cut:?}");

    // A recording of both sides, as long as the call.
    let wav = hound::WavReader::open(&played.wav).unwrap();
    assert_eq!(wav.spec().channels, 2);
    assert!(wav.duration() as usize >= played.conversation.recording.caller.len());

    // What is said of it agrees; how quick it was depends on the machine and is not tested.
    let timed = |broken: &&String| !broken.contains("ms ");
    let broken: Vec<_> = played.verdict().broken;
    assert_eq!(broken.iter().filter(timed).count(), 0, "{broken:?}");
    fs::remove_dir_all(folder).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_booking_as_from_vapi() {
    let (played, folder) = play(Dialect::Vapi, "vapi").await;
    check(&played, folder);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_booking_as_from_twilio() {
    let (played, folder) = play(Dialect::Twilio, "twilio").await;
    check(&played, folder);
}
