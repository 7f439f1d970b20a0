//! What a call costs the crowd: CPU and memory of this process, which is nothing but the generator, and how late it is.
//!
//! `cargo bench --no-default-features --features load --bench crowd` (`load,opus` for the line of Opus); `PRONTO_CALLS`
//! picks one number of calls instead of 200 and 1,000, `PRONTO_SECONDS` (10) says how long they are watched, after 6
//! seconds that are not; `PRONTO_ONLY=twilio` picks lines.
//!
//! This program starts itself once more as the target, which sends back what it hears: a caller's speech is its agent's.
//! Half a second of speech, half a second of none.
#![expect(clippy::print_stdout, reason = "a report")]

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use futures_util::{SinkExt, StreamExt};
use pronto::load::{
    crowd::{LineKind, Measure, Plan, Sounds, Steering, Target, run},
    lab::speech::Speech,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Seconds until all are let in and the memory of each has grown to what it needs.
const WARM_UP_S: usize = 6;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if arguments.get(1).is_some_and(|role| role == "echo") {
        return runtime.block_on(echo());
    }
    // `cargo test --benches` runs this too.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return Ok(());
    }
    runtime.block_on(report())
}

async fn report() -> Result<()> {
    let only = std::env::var("PRONTO_ONLY").unwrap_or_default();
    let numbers = number("PRONTO_CALLS").map_or(vec![200, 1_000], |calls| vec![calls]);
    let seconds = number("PRONTO_SECONDS").unwrap_or(10);
    let (target, folder, speech) = (Echo::start()?, Folder::new()?, Speech::new().await?);
    println!(
        "{:<12}{:>7}{:>15}{:>10}{:>13}{:>11}{:>11}{:>9}  limit",
        "line", "calls", "CPU-ms/call-s", "KiB/call", "late p99 ms", "gap p50 ms", "gap p99 ms", "failed"
    );
    let built = |kind: &LineKind| cfg!(feature = "opus") || *kind != LineKind::VapiOpus;
    for kind in LineKind::ALL.into_iter().filter(built).filter(|kind| kind.to_string().contains(&only)) {
        for calls in &numbers {
            row(kind, *calls, seconds, &target, &folder.0, &speech).await?;
        }
    }
    Ok(())
}

/// Calls, and tells what it cost.
async fn row(
    kind: LineKind,
    calls: usize,
    seconds: usize,
    target: &Echo,
    folder: &Path,
    speech: &Speech,
) -> Result<()> {
    let step = "[[behaviours.scenario.steps]]\nafter_s = 0.5\nwav = \"tone.wav\"\n";
    let text = format!(
        "length_s = {seconds}\nwarm_up_s = {WARM_UP_S}\nwire = \"{kind}\"\ntenants = {{ count = 1 }}\n\
         arrivals = {{ kind = \"constant\", calls = {calls} }}\n[[behaviours]]\n{}",
        step.repeat(2 * (seconds + WARM_UP_S)),
    );
    let plan = Plan::parse(&text, folder)?;
    let sounds = Sounds::prepare(&plan, speech).await?;
    let target = Target::new(&format!("ws://{}", target.address));
    let (before, mut most) = (resident_kib(), 0);
    let (mut warm, mut last) = (None, (0.0, 0.0));
    let outcome = run(&plan, &target, &sounds, &Steering::default(), &mut |now| {
        most = most.max(resident_kib());
        last = (now.generator.cpu.as_secs_f64() * 1e3, now.generator.call_seconds);
        if now.measuring {
            warm.get_or_insert(last);
        }
        ControlFlow::Continue(())
    })
    .await?;
    let warm = warm.ok_or("the warm-up never ended")?;
    let ms = |time: Option<std::time::Duration>| time.map_or("-".into(), |it| format!("{:.1}", it.as_secs_f64() * 1e3));
    let gap = |share| ms(outcome.tally.quantile(Measure::Gap, share));
    println!(
        "{:<12}{calls:>7}{:>15.3}{:>10.1}{:>13}{:>11}{:>11}{:>9}  {}",
        kind.to_string(),
        (last.0 - warm.0) / (last.1 - warm.1),
        most.saturating_sub(before) as f64 / calls as f64,
        ms(Some(outcome.generator.late_p99)),
        gap(0.5),
        gap(0.99),
        outcome.tally.counts.calls_failed(),
        outcome.generator.limit.map_or("none".into(), |limit| format!("{limit:?}")),
    );
    Ok(())
}

/// The target, as a process of its own.
struct Echo {
    process: Child,
    address: SocketAddr,
}

impl Echo {
    fn start() -> Result<Self> {
        let mut process = Command::new(std::env::current_exe()?).arg("echo").stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        Ok(Self { process, address: line.trim().parse()? })
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What the target does until it is killed.
async fn echo() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (tcp, _) = listener.accept().await?;
        tcp.set_nodelay(true)?;
        tokio::spawn(send_back(tcp));
    }
}

async fn send_back(tcp: TcpStream) {
    let Ok(socket) = tokio_tungstenite::accept_async(tcp).await else { return };
    let (mut sink, mut source) = socket.split();
    let mut id = String::new();
    while let Some(Ok(message)) = source.next().await {
        let back = match &message {
            Message::Text(text) => {
                let Ok(read) = serde_json::from_str::<serde_json::Value>(text) else { return };
                if let Some(stream) = read["streamSid"].as_str() {
                    stream.clone_into(&mut id);
                }
                let Some(payload) = read["media"]["payload"].as_str() else { continue };
                Message::text(format!(r#"{{"event":"media","streamSid":"{id}","media":{{"payload":"{payload}"}}}}"#))
            }
            Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => message,
        };
        if sink.send(back).await.is_err() {
            return;
        }
    }
}

/// Half a second of a tone, in a folder that goes with this.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        let folder = Self(std::env::temp_dir().join(format!("pronto-crowd-bench-{}", std::process::id())));
        std::fs::create_dir_all(&folder.0)?;
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 8_000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut file = hound::WavWriter::create(folder.0.join("tone.wav"), spec)?;
        for at in 0..4_005 {
            file.write_sample(if at % 20 < 10 { 7_000i16 } else { -7_000 })?;
        }
        file.finalize()?;
        Ok(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse().ok()).unwrap_or(0)
}

fn number(name: &str) -> Option<usize> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}
