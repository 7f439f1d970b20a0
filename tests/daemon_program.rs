//! The program itself: its command line, its settings, its signals.
#![cfg(feature = "daemon")]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test fails loudly, and watches the real clock")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

const EXAMPLE: &str = include_str!("../config/tenants/officina-rossi.toml");

fn pronto() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pronto"));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// A folder of its own for one test, with a settings file and the example's tenant.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&place);
        fs::create_dir_all(place.join("tenants")).unwrap();
        let place = Self(place);
        place.write("pronto.toml", "listen = \"127.0.0.1:0\"\ndata = \"data\"\nreload_s = 1\n");
        place.write("tenants/officina-rossi.toml", EXAMPLE);
        place
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.0.join(file), text).unwrap();
    }

    fn config(&self) -> PathBuf {
        self.0.join("pronto.toml")
    }

    fn check(&self) -> Output {
        pronto().arg("check").arg("--config").arg(self.config()).output().unwrap()
    }
}

/// A daemon under way; killed when the test fails.
struct Daemon {
    child: Child,
    lines: BufReader<std::process::ChildStderr>,
    address: SocketAddr,
}

impl Daemon {
    fn start(config: &Path) -> Self {
        let mut child = pronto()
            .args(["serve", "--log-format", "json", "--config"])
            .arg(config)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap());
        let mut daemon = Self { child, lines, address: "127.0.0.1:0".parse().unwrap() };
        let line = daemon.line("taking calls");
        daemon.address = line["address"].as_str().unwrap().parse().unwrap();
        daemon
    }

    /// The next log line with this message.
    fn line(&mut self, message: &str) -> serde_json::Value {
        let end = Instant::now() + Duration::from_secs(20);
        let mut seen = String::new();
        loop {
            let mut line = String::new();
            let read = self.lines.read_line(&mut line).unwrap();
            assert!(read > 0 && Instant::now() < end, "{message:?} was not logged:\n{seen}");
            let json: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            if json["message"] == message {
                return json;
            }
            seen.push_str(&line);
        }
    }

    fn get(&self, path: &str) -> String {
        let mut tcp = TcpStream::connect(self.address).unwrap();
        write!(tcp, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        tcp.read_to_string(&mut answer).unwrap();
        answer
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn help_has_examples() {
    for arguments in [&["--help"][..], &["serve", "--help"], &["check", "--help"], &["health", "--help"]] {
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
    let place = Place::new("check");
    place.write("tenants/b.toml", &EXAMPLE.replace("silence_s = 10", "silense_s = 10").replace("id = ", "idd = "));
    let output = place.check();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    for expected in ["b.toml: line", "call.silense_s: no such setting; did you mean silence_s?", "idd: no such setting"]
    {
        assert!(said.contains(expected), "{expected} is missing in:\n{said}");
    }
    assert!(String::from_utf8(output.stdout).unwrap().contains("officina-rossi is fine"));

    place.write("pronto.toml", "listen = \"nowhere\"\n");
    let said = String::from_utf8(place.check().stderr).unwrap();
    assert!(said.contains("pronto.toml: line 1: listen:"), "{said}");
}

#[test]
fn serve_refuses_a_wrong_setting_before_it_opens_anything() {
    let place = Place::new("refuse");
    place.write("pronto.toml", "data = \"data\"\nlisten = \"127.0.0.1:0\"\nthreds = 2\n");
    let output = pronto().arg("serve").arg("--config").arg(place.config()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("threds: no such setting; did you mean threads?"));
    assert!(!place.0.join("data").exists());
}

#[test]
fn a_daemon_answers_reloads_and_ends() {
    let place = Place::new("serve");
    let mut daemon = Daemon::start(&place.config());
    assert!(daemon.get("/healthz").contains(r#""step":"accepting""#));
    assert!(daemon.get("/readyz").starts_with("HTTP/1.1 200"));
    assert!(daemon.get("/v1/stream/bianchi").starts_with("HTTP/1.1 404"));
    assert!(
        daemon.get("/metrics").contains(r#"pronto_refused_total{reason="no_tenant"} 1"#),
        "{}",
        daemon.get("/metrics")
    );
    assert!(place.0.join("data/officina-rossi.sqlite").exists());

    // A new tenant is taken in, one with a mistake is not, and one that is gone takes no calls.
    place.write("tenants/bianchi.toml", &EXAMPLE.replace("id = \"officina-rossi\"", "id = \"bianchi\""));
    assert_eq!(daemon.line("a tenant takes calls")["tenant"], "bianchi");
    assert!(daemon.get("/v1/stream/bianchi").starts_with("HTTP/1.1 401"));
    place.write("tenants/bianchi.toml", "id = \"bianchi\"\ntoken = 3\n");
    daemon.signal("HUP");
    let line = daemon.line("a tenant's file has a mistake: it stays as it was");
    assert!(line["file"].as_str().unwrap().ends_with("bianchi.toml"));
    assert!(daemon.get("/v1/stream/bianchi").starts_with("HTTP/1.1 401"), "the old settings hold");
    fs::remove_file(place.0.join("tenants/bianchi.toml")).unwrap();
    assert_eq!(daemon.line("its file is gone: no new calls are taken for it")["tenant"], "bianchi");
    assert!(daemon.get("/v1/stream/bianchi").starts_with("HTTP/1.1 404"));

    let address = daemon.address.to_string();
    let health = pronto().args(["health", "--ready", "--address", &address]).output().unwrap();
    assert!(health.status.success() && String::from_utf8(health.stdout).unwrap().contains(r#""ready":true"#));

    daemon.signal("TERM");
    assert!(daemon.child.wait().unwrap().success());
    let health = pronto().args(["health", "--address", &address]).output().unwrap();
    assert!(!health.status.success() && String::from_utf8(health.stderr).unwrap().contains("is the daemon running?"));
}
