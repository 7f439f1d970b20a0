//! What a process has cost so far, as the kernel counts it.

use std::{
    fs,
    process::{Child, Command, Stdio},
};

use super::Result;

/// Of one process, since it began.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// CPU time in milliseconds, the system's part included.
    pub cpu_ms: f64,
    /// Resident memory in bytes.
    pub resident: u64,
    /// Times one of its threads went to sleep.
    pub switches: u64,
}

impl Cost {
    /// Of this process.
    pub fn of(process: u32) -> Result<Self> {
        let (mut nanos, mut switches, mut exact) = (0, 0, true);
        for task in fs::read_dir(format!("/proc/{process}/task"))? {
            let task = task?.path();
            // Exact to the nanosecond, where the kernel was built to tell.
            match fs::read_to_string(task.join("schedstat")) {
                Ok(page) => {
                    nanos += page.split(' ').next().and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
                }
                Err(_) => exact = false,
            }
            let page = fs::read_to_string(task.join("status"))?;
            switches += line(&page, "voluntary_ctxt_switches").unwrap_or(0);
        }
        let cpu_ms = if exact && nanos > 0 { nanos as f64 / 1e6 } else { ticks(process)? as f64 * 10.0 };
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        Ok(Self { cpu_ms, resident: line(&status, "VmRSS").ok_or("no VmRSS")? * 1_024, switches })
    }

    /// CPU time since then, in milliseconds.
    pub fn since(&self, before: &Self) -> f64 {
        self.cpu_ms - before.cpu_ms
    }
}

/// Hundredths of a second.
fn ticks(process: u32) -> Result<u64> {
    let page = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields: Vec<&str> = page.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    Ok(fields.get(11..13).ok_or("a short line")?.iter().filter_map(|ticks| ticks.parse::<u64>().ok()).sum())
}

fn line(page: &str, name: &str) -> Option<u64> {
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// Instructions of a process, counted by `perf` while it is watched.
pub struct Instructions(Option<Child>);

impl Instructions {
    /// Whether this machine can count them. Virtual machines mostly cannot.
    pub fn availability() -> &'static str {
        if Self::can() { "counted by perf, user and kernel" } else { "perf counts none on this machine" }
    }

    fn can() -> bool {
        let tried = Command::new("perf").args(["stat", "-x", ",", "-e", "instructions", "true"]).output();
        tried.is_ok_and(|tried| tried.status.success() && !String::from_utf8_lossy(&tried.stderr).contains('<'))
    }

    /// Begins to count.
    pub fn count(process: u32) -> Self {
        if !Self::can() {
            return Self(None);
        }
        let perf = Command::new("perf")
            .args(["stat", "-x", ",", "-e", "instructions", "-p", &process.to_string()])
            .stderr(Stdio::piped())
            .spawn();
        Self(perf.ok())
    }

    /// Ends both counts: instructions for each call-second, the floor's and the gateway's; or nothing.
    pub fn ratio(both: [Self; 2], call_seconds: usize) -> String {
        let [floor, gateway] = both.map(|count| count.end().unwrap_or(0) / call_seconds as u64);
        if floor == 0 { String::new() } else { format!("  instructions {floor} / {gateway}") }
    }

    fn end(self) -> Option<u64> {
        let perf = self.0?;
        // perf tells what it has counted when it is interrupted.
        Command::new("kill").args(["-INT", &perf.id().to_string()]).status().ok()?;
        let told = perf.wait_with_output().ok()?;
        String::from_utf8_lossy(&told.stderr).split(',').next()?.trim().parse().ok()
    }
}
