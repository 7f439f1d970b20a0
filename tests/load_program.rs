//! `pronto load` as a program: what it ends with, what it writes, and that it leaves nothing behind.
#![cfg(all(feature = "daemon", feature = "load"))]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test waits for processes")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use pronto::load::report::Report;

/// A folder for one test, in which the program keeps what is temporary.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("load-{name}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("tmp")).unwrap();
    folder
}

/// `pronto load` with nothing of our environment but where programs are.
fn load(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pronto"));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("TMPDIR", folder.join("tmp"));
    command.current_dir(folder).arg("load").args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// The processes that this one has started, by their ids.
fn children(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    processes
        .filter(|pid: &u32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let parent_of = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
            parent_of == Some(parent)
        })
        .collect()
}

/// Runs until both of its processes are there.
fn with_children(mut child: Child) -> (Child, Vec<u32>) {
    let end = Instant::now() + Duration::from_secs(60);
    while Instant::now() < end {
        let found = children(child.id());
        if found.len() == 2 {
            return (child, found);
        }
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        sleep(Duration::from_millis(50));
    }
    let _ = child.kill();
    panic!("the gateway and the lab were not started");
}

/// Dead, or about to be collected by whoever collects orphans here.
fn are_gone(processes: &[u32]) -> bool {
    let lives = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
    };
    let end = Instant::now() + Duration::from_secs(30);
    while processes.iter().any(lives) && Instant::now() < end {
        sleep(Duration::from_millis(50));
    }
    !processes.iter().any(lives)
}

fn leftovers(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder.join("tmp")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_run_is_kept_and_judged() {
    let folder = folder("run");
    let run =
        ["--calls", "3", "--for", "12", "--fail-if", "answered == 0", "--fail-if", "dropped > 0 or lost_frames > 0"];
    let plan = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config/load/mixed.toml")).unwrap();
    // Its own gates are for a longer run.
    let plan = plan.replace("warm_up_s = 10", "warm_up_s = 0").replace("\"turns < 100\"", "\"offered < 3\"");
    fs::write(folder.join("plan.toml"), plan).unwrap();
    let kept = ["--json", "out/report.json", "--html", "out/report.html"];
    let output = load(&folder, &[&["plan.toml"], &run[..], &kept[..]].concat()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert!(told(&output).contains("ok      fails if dropped > 0 or lost_frames > 0"), "{}", told(&output));

    let report = Report::parse(&fs::read_to_string(folder.join("out/report.json")).unwrap()).unwrap();
    assert!(report.verdict.passed && report.calls.answered >= 1 && report.calls.active_max == 3, "{:?}", report.calls);
    assert!(["target", "generator", "lab"].iter().all(|name| report.processes.contains_key(*name)));
    assert!(report.processes["target"].rss_max_mib > 1.0 && !report.seconds.is_empty());
    let page = fs::read_to_string(folder.join("out/report.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && !page.contains("<script"));
    assert_eq!(leftovers(&folder), Vec::<PathBuf>::new());

    let compared = load(&folder, &["compare", "out/report.json", "out/report.json"]).output().unwrap();
    assert!(compared.status.success() && told(&compared).contains("1.00"), "{}", told(&compared));
}

#[test]
fn a_gate_that_fails_ends_with_1_and_one_that_is_none_with_2() {
    let folder = folder("gates");
    fs::write(folder.join("empty.pem"), "").unwrap();
    let short = ["--calls", "1", "--for", "1"];
    let output = load(&folder, &[&short[..], &["--fail-if", "calls_max < 100"]].concat()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(told(&output).contains("FAILED  fails if calls_max < 100  (calls_max = 1)"), "{}", told(&output));
    for (arguments, wanted) in [
        (&["--fail-if", "p99.mine_ms > 25"][..], "`mine_ms`: nothing is measured under this name; known: turn_ms"),
        (&["none.toml"], "none.toml"),
        (&["compare", "a.json", "b.json"], "a.json cannot be read"),
        (&["--wire", "smoke"], "known: vapi-pcm"),
        (&["--target", "http://127.0.0.1:1"], "ws://"),
        (&["--target", "wss://127.0.0.1:1", "--ca", "none.pem"], "--ca: none.pem cannot be read"),
        (&["--target", "wss://127.0.0.1:1", "--ca", "tmp"], "--ca: tmp cannot be read"),
        (&["--target", "wss://127.0.0.1:1", "--ca", "empty.pem"], "has no certificate in it"),
        (&["--target", "ws://127.0.0.1:1", "--pid", "4294967294"], "--pid: there is no process"),
    ] {
        let output = load(&folder, arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", told(&output));
        assert!(told(&output).contains(wanted), "{arguments:?}: {}", told(&output));
    }
    assert_eq!(leftovers(&folder), Vec::<PathBuf>::new());
}

#[test]
fn whoever_stops_it_gets_what_was_measured_and_nothing_stays_behind() {
    let folder = folder("stopped");
    let running = load(&folder, &["--calls", "2", "--for", "600", "--json", "report.json"]).spawn().unwrap();
    let (running, processes) = with_children(running);
    sleep(Duration::from_secs(3));
    assert!(Command::new("kill").args(["-TERM", &running.id().to_string()]).status().unwrap().success());
    let output = running.wait_with_output().unwrap();
    // Its gates wanted a hundred turns.
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(Report::parse(&fs::read_to_string(folder.join("report.json")).unwrap()).unwrap().run.stopped_early);
    assert!(are_gone(&processes));
    assert_eq!(leftovers(&folder), Vec::<PathBuf>::new());
}

#[test]
fn what_it_started_ends_with_it_even_when_it_is_killed() {
    let folder = folder("killed");
    let (mut running, processes) = with_children(load(&folder, &["--calls", "1", "--for", "600"]).spawn().unwrap());
    running.kill().unwrap();
    running.wait().unwrap();
    assert!(are_gone(&processes));
    // It could not remove its folder: the next run does.
    assert_eq!(leftovers(&folder).len(), 1);
    load(&folder, &["--calls", "1", "--for", "1"]).output().unwrap();
    assert_eq!(leftovers(&folder), Vec::<PathBuf>::new());
}
