//! What a call costs the crowd. Not a test of anything: numbers for a person to read, so ignored unless asked for:
//!
//! ```sh
//! cargo test --release --test load_crowd -- --ignored --nocapture --exact cost::of_a_call
//! ```

use std::{
    io::{BufRead, BufReader},
    ops::ControlFlow,
    process::{Command, Stdio},
};

use futures_util::{SinkExt, StreamExt};
use pronto::load::{
    crowd::{LineKind, Measure, Plan, Sounds, Steering, Target, run},
    lab::speech::Speech,
};
use tokio_tungstenite::tungstenite::Message;

/// Half a second of speech, half a second of none.
const TALKS: &str = r#"
    [[behaviours.scenario.steps]]
    after_s = 0.5
    wav = "tone.wav"
"#;

#[tokio::test]
#[ignore = "numbers for a person"]
async fn of_a_call() {
    let exe = std::env::current_exe().unwrap();
    let mut child = Command::new(exe)
        .args(["--ignored", "--nocapture", "--exact", "cost::echo"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = lines.find_map(|line| line.unwrap().strip_prefix("echo at ").map(ToOwned::to_owned)).unwrap();
    let speech = Speech::new().await.unwrap();
    for kind in LineKind::ALL.into_iter().filter(|kind| cfg!(feature = "opus") || *kind != LineKind::VapiOpus) {
        for calls in [200, 1_000] {
            let text = format!(
                "length_s = 10\nwarm_up_s = 6\nwire = \"{kind}\"\ntenants = {{ count = 1 }}\n\
                 arrivals = {{ kind = \"constant\", calls = {calls} }}\n[[behaviours]]\n{}",
                TALKS.repeat(30),
            );
            let plan = Plan::parse(&text, &super::folder()).unwrap();
            let sounds = Sounds::prepare(&plan, &speech).await.unwrap();
            let before = resident_kib();
            let mut after = 0;
            let target = Target::new(&format!("ws://{address}"));
            let mut at_warm = None;
            let mut last = (0.0, 0.0);
            let outcome = run(&plan, &target, &sounds, &Steering::default(), &mut |now| {
                after = resident_kib();
                last = (now.generator.cpu.as_secs_f64() * 1e3, now.generator.call_seconds);
                if now.measuring && at_warm.is_none() {
                    at_warm = Some(last);
                }
                ControlFlow::Continue(())
            })
            .await
            .unwrap();
            let warm = at_warm.unwrap();
            println!(
                "{kind} x {calls}: {:.3} CPU-ms per call-second, late p99 {:?}, {after} KiB in all, {:.1} more per call, gap p50 {:?} p99 {:?}, {:?}",
                (last.0 - warm.0) / (last.1 - warm.1),
                outcome.generator.late_p99,
                (after as f64 - before as f64) / f64::from(calls),
                outcome.tally.quantile(Measure::Gap, 0.5),
                outcome.tally.quantile(Measure::Gap, 0.99),
                outcome.generator.limit,
            );
            let counts = outcome.tally.counts;
            println!("  failed {}, heard {} of {} ms", counts.calls_failed(), counts.heard_ms, counts.sent_ms);
        }
    }
    child.kill().unwrap();
    let _ = child.wait();
}

/// The target, as a process of its own: sends back what it hears.
#[tokio::test]
#[ignore = "part of of_a_call"]
async fn echo() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("\necho at {}", listener.local_addr().unwrap());
    loop {
        let (tcp, _) = listener.accept().await.unwrap();
        tcp.set_nodelay(true).unwrap();
        tokio::spawn(async move {
            let Ok(socket) = tokio_tungstenite::accept_async(tcp).await else { return };
            let (mut sink, mut source) = socket.split();
            let mut id = String::new();
            while let Some(Ok(message)) = source.next().await {
                let back = match &message {
                    Message::Text(text) => {
                        let read: serde_json::Value = serde_json::from_str(text).unwrap();
                        if let Some(stream) = read["streamSid"].as_str() {
                            id = stream.to_owned();
                        }
                        let Some(payload) = read["media"]["payload"].as_str() else { continue };
                        Message::text(format!(
                            r#"{{"event":"media","streamSid":"{id}","media":{{"payload":"{payload}"}}}}"#
                        ))
                    }
                    _ => message,
                };
                if sink.send(back).await.is_err() {
                    return;
                }
            }
        });
    }
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}
