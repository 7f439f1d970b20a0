//! How far the gateway is from the floor: a bare WebSocket server that receives the same frames and sends back the same
//! number, with no sound in it at all. Same runtime, same socket settings, same callers, same moment.
//!
//! `cargo bench --no-default-features --features gateway --bench echo_floor` (`gateway,opus` for the line of Opus);
//! `PRONTO_CALLS` (100) says how many calls each of the two has, `PRONTO_SECONDS` (6) how long each is watched,
//! `PRONTO_ONLY=Twilio/idle` picks rows; `PRONTO_PLAIN_SECONDS` (30) says how long the embedded calls are, so that the
//! difference of two lengths under callgrind is the instructions of a call-second.
//!
//! This program starts itself twice more, once as the floor and once as the gateway, and calls both at once: a caller of
//! the floor and a caller of the gateway say the same in the same millisecond. What is compared is the CPU time of the two
//! processes. The engines are in the gateway's process, behind its traits, and do next to nothing: the recogniser takes
//! what it is given, the voice hands out a recording that was made before. So no engine's own cost is in the figures, and
//! no engine's socket either; what it costs to feed one through the gateway's queues is.
//!
//! Frames come evenly spread over time, as those of strangers do: nothing is saved by handling many at a time.
#![expect(clippy::print_stdout, reason = "a report")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

mod callers;
mod cost;
mod servers;
mod track;

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use callers::Callers;
use cost::{Cost, Instructions};
use track::{Track, Wire};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    name: &'static str,
    caller: bool,
    agent: bool,
}

const STATES: [State; 4] = [
    State { name: "both speak", caller: true, agent: true },
    State { name: "agent speaks", caller: false, agent: true },
    State { name: "caller speaks", caller: true, agent: false },
    State { name: "idle", caller: false, agent: false },
];

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("floor") => return servers::floor(),
        Some("gateway") => return servers::gateway(),
        _ => {}
    }
    // `cargo test --benches` runs this too.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let calls = number("PRONTO_CALLS", 100);
    let seconds = number("PRONTO_SECONDS", 6);
    let only = std::env::var("PRONTO_ONLY").unwrap_or_default();
    let track = Track::new()?;
    println!("{calls} calls each; the caller's voice: {}", track.voice);
    println!("instructions: {}\n", Instructions::availability());
    println!(
        "{:<14}{:<15}{:>9}{:>9}{:>7}{:>12}{:>12}{:>9}{:>9}{:>10}",
        "wire", "state", "floor", "gateway", "ratio", "frames in", "frames out", "KiB", "KiB", "wakes"
    );
    println!(
        "{:<14}{:<15}{:>9}{:>9}{:>7}{:>12}{:>12}{:>9}{:>9}{:>10}",
        "", "", "CPU-ms/s", "CPU-ms/s", "", "per call-s", "floor/gw", "floor", "gateway", "floor/gw"
    );
    for wire in Wire::ALL {
        for state in STATES {
            if format!("{}/{}", wire.name(), state.name).contains(&only) {
                row(&track, wire, state, calls, seconds)?;
            }
        }
    }
    plain(&track, &only)?;
    Ok(())
}

/// Calls both, and compares.
fn row(track: &Track, wire: Wire, state: State, calls: usize, seconds: usize) -> Result<()> {
    let (floor, gateway) = (Server::start("floor")?, Server::start("gateway")?);
    // The first call of a process pays for what is made once.
    for server in [&floor, &gateway] {
        let mut first = Callers::dial(track, wire, state, 1, &[server.address])?;
        first.talk(Duration::from_millis(600))?;
        drop(first);
    }
    let mut callers = Callers::dial(track, wire, state, 0, &[])?;
    callers.talk(Duration::from_millis(500))?;
    let quiet = [floor.cost()?, gateway.cost()?];
    let mut callers = Callers::dial(track, wire, state, calls, &[floor.address, gateway.address])?;
    callers.talk(Duration::from_millis(2_500))?;
    let (mut spent, mut heard) = (Vec::new(), [0; 2]);
    let (mut before, from) = ([floor.cost()?, gateway.cost()?], callers.heard());
    let mut wakes = [0.0; 2];
    let instructions = [Instructions::count(floor.process.id()), Instructions::count(gateway.process.id())];
    for _ in 0..seconds {
        callers.talk(Duration::from_secs(1))?;
        let now = [floor.cost()?, gateway.cost()?];
        spent.push([now[0].since(&before[0]), now[1].since(&before[1])]);
        for at in 0..2 {
            wakes[at] += (now[at].switches - before[at].switches) as f64 / (seconds * calls) as f64;
        }
        before = now;
    }
    for (at, heard) in heard.iter_mut().enumerate() {
        *heard = callers.heard()[at] - from[at];
    }
    let each = |at: usize| median(spent.iter().map(|cost| cost[at] / calls as f64).collect());
    let kib = |at: usize| (before[at].resident.saturating_sub(quiet[at].resident)) as f64 / 1_024.0 / calls as f64;
    let out = |at: usize| heard[at] as f64 / (calls * seconds) as f64;
    println!(
        "{:<14}{:<15}{:>9.3}{:>9.3}{:>7.2}{:>12}{:>6.1}/{:<5.1}{:>9.0}{:>9.0}{:>6.0}/{:<4.0}{}",
        wire.name(),
        state.name,
        each(0),
        each(1),
        each(1) / each(0),
        50,
        out(0),
        out(1),
        kib(0),
        kib(1),
        wakes[0],
        wakes[1],
        Instructions::ratio(instructions, calls * seconds),
    );
    Ok(())
}

/// The call alone, without a socket, a task or a clock.
fn plain(track: &Track, only: &str) -> Result<()> {
    println!("\n{:<29}{:>9}", "the call alone, embedded", "CPU-ms/s");
    for (name, line) in track::lines() {
        for state in STATES {
            if format!("plain {name}/{}", state.name).contains(only) {
                let spent = track::embedded(track, line, state)?;
                println!("plain {name:<9}{:<15}{spent:>8.3}", state.name);
            }
        }
    }
    Ok(())
}

/// One of the two, as a process of its own.
struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    fn start(role: &str) -> Result<Self> {
        // Something may be put in front of it, such as valgrind.
        let wrap = std::env::var("PRONTO_WRAP").unwrap_or_default();
        let program = std::env::current_exe()?;
        let mut words = wrap.split_whitespace().map(std::ffi::OsString::from).chain([program.into(), role.into()]);
        let mut process = Command::new(words.next().unwrap_or_default()).args(words).stdout(Stdio::piped()).spawn()?;
        // What was put in front of it may speak first.
        let mut lines = BufReader::new(process.stdout.take().ok_or("no output")?).lines();
        let address = lines.find_map(|line| line.ok()?.trim().parse().ok()).ok_or("it did not start")?;
        Ok(Self { process, address })
    }

    fn cost(&self) -> Result<Cost> {
        Cost::of(self.process.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn number(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(usual)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
