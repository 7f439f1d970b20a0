//! The program itself: its command line, its settings, its signals.
#![cfg(feature = "daemon")]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test fails loudly, and watches the real clock")]

mod daemon_process;

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::Command,
};

use daemon_process::{Daemon, EXAMPLE, Place, pronto};

fn get(daemon: &Daemon, path: &str) -> String {
    let mut tcp = TcpStream::connect(daemon.address).unwrap();
    write!(tcp, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).unwrap();
    answer
}

fn signal(daemon: &Daemon, name: &str) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(daemon.child.id().to_string()).status().unwrap();
    assert!(status.success());
}

#[test]
fn help_has_examples() {
    for arguments in [
        &["--help"][..],
        &["serve", "--help"],
        &["check", "--help"],
        &["health", "--help"],
        &["vapi", "--help"],
        &["vapi", "assistant", "--help"],
    ] {
        let output = pronto().args(arguments).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains("Examples:"), "{arguments:?}: {text}");
    }
}

#[test]
fn the_examples_of_the_repository_have_no_mistake() {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/pronto.toml");
    let output = pronto().arg("check").arg("--config").arg(config).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn check_says_every_mistake_with_its_file_line_and_fix() {
    let place = Place::new("check", EXAMPLE);
    place.write("tenants/b.toml", &EXAMPLE.replace("silence_s = 10", "silense_s = 10").replace("id = ", "idd = "));
    let output = pronto().arg("check").arg("--config").arg(place.config()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    for expected in ["b.toml: line", "call.silense_s: no such setting; did you mean silence_s?", "idd: no such setting"]
    {
        assert!(said.contains(expected), "{expected} is missing in:\n{said}");
    }
    assert!(String::from_utf8(output.stdout).unwrap().contains("officina-rossi is fine"));

    place.write("pronto.toml", "listen = \"nowhere\"\n");
    let said =
        String::from_utf8(pronto().arg("check").arg("--config").arg(place.config()).output().unwrap().stderr).unwrap();
    assert!(said.contains("pronto.toml: line 1: listen:"), "{said}");
}

#[test]
fn serve_refuses_a_wrong_setting_before_it_opens_anything() {
    let place = Place::new("refuse", EXAMPLE);
    place.write("pronto.toml", "data = \"data\"\nlisten = \"127.0.0.1:0\"\nthreds = 2\n");
    let output = pronto().arg("serve").arg("--config").arg(place.config()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("threds: no such setting; did you mean threads?"));
    assert!(!place.0.join("data").exists());
}

#[test]
fn a_daemon_answers_reloads_and_ends() {
    let place = Place::new("serve", EXAMPLE);
    let mut daemon = Daemon::start(&place.config());
    assert!(get(&daemon, "/healthz").contains(r#""step":"accepting""#));
    assert!(get(&daemon, "/readyz").starts_with("HTTP/1.1 200"));
    assert!(get(&daemon, "/v1/stream/bianchi").starts_with("HTTP/1.1 404"));
    assert!(
        get(&daemon, "/metrics").contains(r#"pronto_refused_total{reason="no_tenant"} 1"#),
        "{}",
        get(&daemon, "/metrics")
    );
    assert!(place.0.join("data/officina-rossi.sqlite").exists());

    // A new tenant is taken in, one with a mistake is not, and one that is gone takes no calls.
    place.write("tenants/bianchi.toml", &EXAMPLE.replace("id = \"officina-rossi\"", "id = \"bianchi\""));
    assert_eq!(daemon.line("a tenant takes calls")["tenant"], "bianchi");
    assert!(get(&daemon, "/v1/stream/bianchi").starts_with("HTTP/1.1 401"));
    place.write("tenants/bianchi.toml", "id = \"bianchi\"\ntoken = 3\n");
    signal(&daemon, "HUP");
    let line = daemon.line("a tenant's file has a mistake: it stays as it was");
    assert!(line["file"].as_str().unwrap().ends_with("bianchi.toml"));
    assert!(get(&daemon, "/v1/stream/bianchi").starts_with("HTTP/1.1 401"), "the old settings hold");
    fs::remove_file(place.0.join("tenants/bianchi.toml")).unwrap();
    assert_eq!(daemon.line("its file is gone: no new calls are taken for it")["tenant"], "bianchi");
    assert!(get(&daemon, "/v1/stream/bianchi").starts_with("HTTP/1.1 404"));

    let address = daemon.address.to_string();
    let health = pronto().args(["health", "--ready", "--address", &address]).output().unwrap();
    assert!(health.status.success() && String::from_utf8(health.stdout).unwrap().contains(r#""ready":true"#));

    signal(&daemon, "TERM");
    assert!(daemon.child.wait().unwrap().success());
    let health = pronto().args(["health", "--address", &address]).output().unwrap();
    assert!(!health.status.success() && String::from_utf8(health.stderr).unwrap().contains("is the daemon running?"));
}
