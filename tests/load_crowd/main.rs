//! The crowd against a target that does exactly what it is told, and writes down when: the harness must report just
//! that.
//!
//! How exactly: the median of what is measured lies within 5 ms of the median of what the target did, on the same clock.
//! Both sides are stamped by processes that a busy machine may stop for a while, so what the crowd itself was late is
//! allowed on top. That nothing is measured too short holds always.
#![cfg(feature = "load")]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, has a clock, and tells what it measured"
)]

mod fake;
mod gateway;
#[path = "../gateway_shop/mod.rs"]
mod gateway_shop;
#[cfg(feature = "daemon")]
mod lab;

use std::{ops::ControlFlow, path::Path, time::Duration};

use pronto::load::{
    crowd::{CrowdError, Measure, Outcome, Plan, Sounds, Steering, Target, run},
    lab::speech::Speech,
};

/// A second of a tone, as a caller's line.
fn folder() -> std::path::PathBuf {
    use std::sync::Once;
    static WRITTEN: Once = Once::new();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("load_crowd_tone");
    WRITTEN.call_once(|| {
        std::fs::create_dir_all(&folder).unwrap();
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 8_000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut file = hound::WavWriter::create(folder.join("tone.wav"), spec).unwrap();
        for at in 0..4_005 {
            file.write_sample(if at % 20 < 10 { 7_000i16 } else { -7_000 }).unwrap();
        }
        file.finalize().unwrap();
    });
    folder
}

fn plan(wire: &str, tenant: &str, arrivals: &str, length_s: f64, behaviour: &str) -> Plan {
    let text = format!(
        r#"
        length_s = {length_s}
        wire = "{wire}"
        counted = {}
        tenants = {{ names = ["{tenant}"] }}
        arrivals = {{ {arrivals} }}
        redial_s = 100
        [[behaviours]]
        {behaviour}
        "#,
        matches!(tenant, "clean" | "loses" | "doubles"),
    );
    Plan::parse(&text, &folder()).unwrap()
}

async fn played(plan: &Plan, address: std::net::SocketAddr) -> Outcome {
    let mut target = Target::new(&format!("ws://{address}")).with_token("segreto");
    target.expected_waits = Some(Duration::from_millis(300));
    let sounds = Sounds::prepare(plan, &Speech::new().await.unwrap()).await.unwrap();
    let outcome = run(plan, &target, &sounds, &Steering::default(), &mut |_| ControlFlow::Continue(())).await.unwrap();
    println!("{:?}\n{:?}", outcome.tally.counts, outcome.generator);
    outcome
}

const ASKS: &str = r#"
    [behaviours.scenario]
    pause_ms = 200
    [[behaviours.scenario.steps]]
    wav = "tone.wav"
    [[behaviours.scenario.steps]]
    hang_up = true
"#;
const HANGS_ON: &str = "[[behaviours.scenario.steps]]\nafter_s = 100\nhang_up = true";

fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted[(sorted.len() - 1) / 2]
}

/// What was measured is what was done.
fn check_times(outcome: &Outcome, measure: Measure, done: &[Duration]) {
    assert!(!done.is_empty(), "the target did nothing: {:?}", outcome.tally.counts);
    assert_eq!(outcome.tally.of(measure).len(), done.len() as u64, "{measure:?}");
    let (measured, done) = (outcome.tally.quantile(measure, 0.5).unwrap(), median(done));
    let allowed = Duration::from_millis(5) + 2 * outcome.generator.late_max;
    println!("{measure:?}: measured {measured:?}, done {done:?}, allowed {allowed:?}");
    assert!(measured + Duration::from_millis(3) >= done, "{measure:?}: {measured:?} for {done:?}");
    assert!(measured <= done + allowed, "{measure:?}: {measured:?} for {done:?}, allowed {allowed:?}");
}

#[tokio::test]
async fn a_turn_is_as_long_as_the_target_made_it() {
    let (address, record) = fake::start();
    let plan = plan("vapi-mulaw", "answers", r#"kind = "constant", calls = 10, dials_per_s = 50"#, 3.0, ASKS);
    let outcome = played(&plan, address).await;
    let record = record.lock().unwrap();
    let counts = outcome.tally.counts;
    check_times(&outcome, Measure::Turn, &record.turns);
    let own: Vec<_> = record.turns.iter().map(|turn| turn.saturating_sub(Duration::from_millis(300))).collect();
    check_times(&outcome, Measure::Own, &own);
    assert_eq!((counts.asked, counts.unanswered), (record.turns.len() as u64, 0), "{counts:?}");
    assert!(counts.completed >= 10 && counts.answered >= counts.completed, "{counts:?}");
    assert_eq!(counts.calls_failed(), 0, "{counts:?}");
    assert_eq!(counts.offered, counts.completed + counts.unfinished, "{counts:?}");
    assert!(record.goodbyes as u64 >= counts.completed, "every caller says goodbye: {record:?}");
    // Every frame that was counted as sent has come, but those of the last moment.
    assert!(counts.sent_ms / 20 >= record.frames as u64 && counts.sent_ms / 20 - record.frames as u64 <= 20);
    let turns: u32 = outcome.tally.series.seconds().iter().map(|second| second.turns).sum();
    assert_eq!(turns as usize, record.turns.len());
}

#[tokio::test]
async fn an_interruption_lasts_until_the_target_is_silent() {
    let (address, record) = fake::start();
    let behaviour = r#"
        hangs_up_after_s = 2.5
        [[behaviours.scenario.steps]]
        while_agent_speaks_ms = 500
        wav = "tone.wav"
        [[behaviours.scenario.steps]]
        after_s = 100
        hang_up = true
    "#;
    let outcome =
        played(&plan("vapi-mulaw", "yields", r#"kind = "constant", calls = 6"#, 2.4, behaviour), address).await;
    check_times(&outcome, Measure::Cut, &record.lock().unwrap().cuts);
    assert_eq!(outcome.tally.counts.interruptions, 6);
}

#[tokio::test]
async fn a_hole_is_heard() {
    let (address, record) = fake::start();
    let plan = plan("vapi-mulaw", "hole", r#"kind = "constant", calls = 6"#, 1.5, HANGS_ON);
    let outcome = played(&plan, address).await;
    let (counts, holes) = (outcome.tally.counts, &record.lock().unwrap().holes);
    // A machine that stops for a moment makes holes of its own.
    assert!(counts.holes >= 6, "{counts:?}");
    let (heard, made) = (Duration::from_millis(counts.holes_ms), holes.iter().sum::<Duration>());
    println!("holes: heard {heard:?}, made {made:?}");
    assert!(heard + Duration::from_millis(6 * 6) >= made, "{heard:?} for {made:?}");
    assert!(outcome.tally.of(Measure::Gap).max() >= 190_000);
    assert_eq!(counts.unfinished, 6);
}

#[tokio::test]
async fn calls_that_are_not_let_in_or_dropped_are_told_by_code() {
    let (address, _) = fake::start();
    for (tenant, code) in [("refuses", 429), ("closes", 1013), ("cuts", 1006), ("rubbish", 1006)] {
        let plan = plan("vapi-pcm", tenant, r#"kind = "constant", calls = 4"#, 1.0, HANGS_ON);
        let outcome = played(&plan, address).await;
        let (counts, tally) = (outcome.tally.counts, &outcome.tally);
        if tenant == "refuses" {
            assert_eq!((counts.refused, tally.refused_by.get(&code)), (4, Some(&4)), "{counts:?}");
            assert_eq!((tally.of(Measure::Refused).len(), tally.of(Measure::Connect).len()), (4, 0));
        } else {
            assert_eq!((counts.dropped, tally.closed_by.get(&code)), (4, Some(&4)), "{tenant}: {counts:?}");
            assert_eq!((counts.connected, tally.of(Measure::Refused).len()), (4, 0));
        }
        assert_eq!(counts.calls_failed(), 4);
    }
    // Nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let outcome = played(&plan("twilio", "mute", r#"kind = "constant", calls = 3"#, 0.5, HANGS_ON), port).await;
    assert_eq!((outcome.tally.counts.failed, outcome.tally.counts.connected), (3, 0));
}

#[tokio::test]
async fn the_counted_voice_tells_what_was_lost_and_doubled() {
    let (address, _) = fake::start();
    for (tenant, expected) in [("clean", (0, 0)), ("loses", (1, 0)), ("doubles", (0, 1))] {
        let plan = plan("vapi-mulaw", tenant, r#"kind = "constant", calls = 3"#, 2.5, HANGS_ON);
        let counts = played(&plan, address).await.tally.counts;
        assert_eq!((counts.lost_frames / 3, counts.doubled_frames / 3), expected, "{tenant}: {counts:?}");
        assert!(counts.damaged_frames == 0 && counts.counted_frames > 3 * 90, "{tenant}: {counts:?}");
    }
}

#[tokio::test]
async fn a_carrier_speaks_as_twilio_does() {
    let (address, record) = fake::start();
    let plan = plan("twilio", "carrier", r#"kind = "constant", calls = 1"#, 1.2, HANGS_ON);
    let outcome = played(&plan, address).await;
    let record = record.lock().unwrap();
    let named = |name: &str| record.twilio.iter().filter(|message| message["event"] == name).collect::<Vec<_>>();
    assert_eq!(record.twilio[0]["event"], "connected");
    assert_eq!(record.twilio[1]["start"]["customParameters"]["token"], "segreto");
    let media = named("media");
    assert!(media.len() > 40, "{}", media.len());
    for (at, message) in media.iter().enumerate() {
        assert_eq!(message["media"]["chunk"], (at + 1).to_string());
        assert_eq!(message["media"]["timestamp"], (at * 20).to_string());
        assert_eq!(message["media"]["payload"].as_str().unwrap().len(), 216);
    }
    for (at, message) in record.twilio[1..].iter().enumerate() {
        assert_eq!(message["sequenceNumber"], (at + 1).to_string(), "{message}");
    }
    assert_eq!(named("mark")[0]["mark"]["name"], "half \"way\"", "cleared with the rest, and given back at once");
    assert_eq!(named("stop").len(), 1);
    let counts = outcome.tally.counts;
    assert_eq!((counts.heard_ms, counts.malformed, counts.unfinished), (400, 0, 1), "{counts:?}");
}

#[tokio::test]
async fn a_target_behind_tls_is_called_where_its_authority_is_trusted() {
    let (inside, record) = fake::start();
    let address = fake::behind_tls(inside);
    let authority = include_str!("../fixtures/tls/authority.pem");
    let plan = plan("vapi-mulaw", "clean", r#"kind = "constant", calls = 3"#, 2.5, HANGS_ON);
    let sounds = Sounds::prepare(&plan, &Speech::new().await.unwrap()).await.unwrap();
    let called = async |ca: Option<&str>| {
        let mut target = Target::new(&format!("wss://localhost:{}", address.port()));
        target.ca = ca.map(ToOwned::to_owned);
        let progress = &mut |_: &pronto::load::crowd::Snapshot<'_>| ControlFlow::Continue(());
        run(&plan, &target, &sounds, &Steering::default(), progress).await.unwrap().tally.counts
    };
    let counts = called(Some(authority)).await;
    assert_eq!((counts.connected, counts.calls_failed(), counts.unfinished), (3, 0, 3), "{counts:?}");
    assert_eq!((counts.lost_frames, counts.doubled_frames, counts.damaged_frames), (0, 0, 0), "{counts:?}");
    assert!(counts.counted_frames > 3 * 90 && record.lock().unwrap().frames > 3 * 90, "{counts:?}");
    let counts = called(None).await;
    assert_eq!((counts.connected, counts.failed, record.lock().unwrap().calls), (0, 3, 3), "{counts:?}");
}

#[tokio::test]
async fn strangers_come_by_the_clock_whatever_the_target_does() {
    let (address, record) = fake::start();
    let plan = plan("vapi-mulaw", "mute", r#"kind = "poisson", per_s = 20"#, 2.0, HANGS_ON);
    let outcome = played(&plan, address).await;
    let counts = outcome.tally.counts;
    assert_eq!(counts.offered, record.lock().unwrap().calls as u64);
    assert!((20..=65).contains(&counts.offered), "{counts:?}");
    // Nobody is answered, and nobody hangs up; one may have been let in at the very end.
    let most = u64::from(outcome.active_max);
    assert!(most <= counts.connected && most + 2 >= counts.connected, "{most}, {counts:?}");
}

/// Regression: a line that was free again counted its dial from when the last one was due, a dial's distance earlier.
#[tokio::test]
async fn a_line_that_is_free_again_is_dialled_from_then_on() {
    let (address, _) = fake::start();
    let short = "[[behaviours.scenario.steps]]\nafter_s = 1.7\nhang_up = true";
    let plan = plan("vapi-mulaw", "mute", r#"kind = "constant", calls = 1, dials_per_s = 1"#, 4.0, short);
    let outcome = played(&plan, address).await;
    assert!(outcome.tally.counts.connected >= 2, "{:?}", outcome.tally.counts);
    let longest = outcome.tally.quantile(Measure::Connect, 1.0).expect("somebody was let in");
    assert!(longest < Duration::from_millis(500) + outcome.generator.late_max, "{longest:?}");
}

#[tokio::test]
async fn the_number_of_calls_is_steered_while_it_runs() {
    let (address, _) = fake::start();
    let plan = plan("vapi-mulaw", "mute", r#"kind = "constant", calls = 3"#, 60.0, HANGS_ON);
    let sounds = Sounds::prepare(&plan, &Speech::new().await.unwrap()).await.unwrap();
    let (steering, mut step, mut seen) = (Steering::default(), 0, vec![]);
    let steered = steering.clone();
    let outcome = run(&plan, &Target::new(&format!("ws://{address}")), &sounds, &steering, &mut |now| {
        let wanted = [3, 20, 5][step];
        // What was measured comes a little after the fact.
        if (now.active, now.wanted) == (wanted, Some(wanted)) && now.window.counts.connected == [3, 17, 0][step] {
            seen.push((now.active, now.window.counts.connected));
            step += 1;
            match step {
                1 => steered.calls(20),
                2 => steered.calls(5),
                _ => return ControlFlow::Break(()),
            }
            steered.new_window();
        }
        ControlFlow::Continue(())
    })
    .await
    .unwrap();
    assert_eq!(seen, [(3, 3), (20, 17), (5, 0)]);
    assert!(outcome.stopped && outcome.lasted < Duration::from_secs(50));
    assert_eq!((outcome.active_max, outcome.tally.counts.unfinished), (20, 20));
}

#[tokio::test]
async fn a_caller_without_patience_gives_up_and_the_warm_up_is_not_measured() {
    let (address, _) = fake::start();
    let behaviour = "[behaviours.scenario]\npatience_s = 1\n[[behaviours.scenario.steps]]\nwav = \"tone.wav\"";
    let mut plan = plan("vapi-mulaw", "mute", r#"kind = "constant", calls = 3"#, 0.4, behaviour);
    plan.warm_up = Duration::from_millis(600);
    let outcome = played(&plan, address).await;
    assert_eq!((outcome.tally.counts.offered, outcome.tally.counts.gave_up), (0, 0), "all of it in the warm-up");
    plan.length = Duration::from_millis(900);
    let outcome = played(&plan, address).await;
    assert!(outcome.tally.counts.gave_up >= 3, "{:?}", outcome.tally.counts);
}

#[tokio::test]
async fn what_goes_wrong_on_a_line_goes_wrong() {
    let (address, record) = fake::start();
    let faulty = |fault: &str| format!("faults = [{{ {fault} }}]\n{HANGS_ON}");
    let plan_of = |fault: &str| plan("vapi-mulaw", "mute", r#"kind = "constant", calls = 2"#, 1.5, &faulty(fault));
    let outcome = played(&plan_of("cut = { after_s = 0.5, reconnect = true }"), address).await;
    let counts = outcome.tally.counts;
    assert!(counts.cut_off >= 4 && counts.reconnects == counts.cut_off, "{counts:?}");
    assert_eq!(counts.offered, 2 + counts.reconnects);
    assert_eq!(record.lock().unwrap().goodbyes as u64, counts.unfinished, "a cut has no goodbye");
    // What is on its way when a run ends still comes.
    let settled = async || {
        let all = async {
            while {
                let record = record.lock().unwrap();
                record.ended < record.calls
            } {
                tokio::time::sleep(fake::FRAME).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), all).await.expect("every call ends at both ends");
        record.lock().unwrap().frames
    };
    let before = settled().await;
    let outcome = played(&plan_of("burst = 10, jitter_ms = 40"), address).await;
    let came = settled().await - before;
    assert_eq!(came % 10, 0, "{came} frames, ten at a time");
    assert!(outcome.tally.counts.messages_out >= came as u64);
}

#[tokio::test]
async fn what_cannot_be_done_is_said() {
    let good = plan("vapi-mulaw", "mute", r#"kind = "constant", calls = 3"#, 1.0, HANGS_ON);
    let other = plan("vapi-mulaw", "mute", r#"kind = "constant", calls = 3"#, 1.0, ASKS);
    let sounds = Sounds::prepare(&good, &Speech::new().await.unwrap()).await.unwrap();
    let go = async |plan: &Plan, address: &str| {
        let progress = &mut |_: &pronto::load::crowd::Snapshot<'_>| ControlFlow::Continue(());
        run(plan, &Target::new(address), &sounds, &Steering::default(), progress).await.unwrap_err()
    };
    assert!(matches!(go(&other, "ws://127.0.0.1:1").await, CrowdError::OtherSounds));
    let told = go(&good, "http://127.0.0.1:1").await.to_string();
    assert!(told.contains("ws://127.0.0.1:18789"), "{told}");
    assert!(Plan::read(Path::new("/nowhere.toml")).unwrap_err().to_string().contains("/nowhere.toml"));
}
