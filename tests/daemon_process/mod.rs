//! `pronto serve` as a process of its own, in a folder of its own.

#![allow(dead_code, reason = "each test needs a part of it")]

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// The tenant of the repository's example.
pub const EXAMPLE: &str = include_str!("../../config/tenants/officina-rossi.toml");

/// The program, with nothing of our environment but where programs are.
pub fn pronto() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pronto"));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// A folder for one test, with a settings file and one tenant's.
pub struct Place(pub PathBuf);

impl Place {
    /// A fresh one.
    pub fn new(name: &str, tenant: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("tenants")).unwrap();
        let place = Self(folder);
        place.write("pronto.toml", "listen = \"127.0.0.1:0\"\ndata = \"data\"\nreload_s = 1\n");
        place.write("tenants/officina-rossi.toml", tenant);
        place
    }

    /// Writes a file into it.
    pub fn write(&self, file: &str, text: &str) {
        fs::write(self.0.join(file), text).unwrap();
    }

    /// The settings file.
    pub fn config(&self) -> PathBuf {
        self.0.join("pronto.toml")
    }
}

/// A daemon under way; killed when it is dropped, so also when its test fails.
pub struct Daemon {
    pub child: Child,
    pub address: SocketAddr,
    /// What it logs. Read by a thread: a pipe that nobody empties would stop it.
    logged: Receiver<Value>,
}

impl Daemon {
    /// Starts one; it takes calls when this returns.
    pub fn start(config: &Path) -> Self {
        let mut command = pronto();
        command.args(["serve", "--log-format", "json", "--config"]).arg(config).stderr(Stdio::piped());
        let (log, logged) = channel();
        let address = "127.0.0.1:0".parse().unwrap();
        // Held from its first moment: whatever fails below, it is killed.
        let mut daemon = Self { child: command.spawn().unwrap(), address, logged };
        let lines = BufReader::new(daemon.child.stderr.take().unwrap()).lines();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = log.send(serde_json::from_str(&line).unwrap_or(Value::String(line)));
            }
        });
        daemon.address = daemon.line("taking calls")["address"].as_str().unwrap().parse().unwrap();
        daemon
    }

    /// The next log line with this message.
    pub fn line(&mut self, message: &str) -> Value {
        let end = Instant::now() + Duration::from_secs(20);
        let mut seen = Vec::new();
        while let Ok(line) = self.logged.recv_timeout(end.saturating_duration_since(Instant::now())) {
            if line["message"] == message {
                return line;
            }
            seen.push(line.to_string());
        }
        panic!("{message:?} was not logged:\n{}", seen.join("\n"));
    }

    /// SIGKILL: nothing of it runs any more when this returns.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
