//! The machine of a run: numbers without it mean nothing, and two runs on different ones are not compared in silence.

use std::fs;

use serde::{Deserialize, Serialize};

/// The machine, and how busy it was.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Machine {
    /// The processor, as it calls itself.
    pub cpu: String,
    /// Cores that may be used.
    pub cores: u64,
    /// Memory, in MiB.
    pub memory_mib: u64,
    /// The system and its version.
    pub kernel: String,
    /// Runnable tasks (1-minute mean) before the run.
    pub load_before: Option<f64>,
    /// And after it.
    pub load_after: Option<f64>,
}

impl Machine {
    /// This one, now.
    pub fn here() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let kernel = format!("{} {}", std::env::consts::OS, read("/proc/sys/kernel/osrelease").trim());
        Self {
            cpu: field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64),
            memory_mib: field(&read("/proc/meminfo"), "MemTotal").and_then(|it| kib(&it)).unwrap_or(0) / 1_024,
            kernel: kernel.trim().to_owned(),
            load_before: load(),
            load_after: None,
        }
    }

    /// The same machine after the run.
    pub fn ended(&mut self) {
        self.load_after = load();
    }

    /// Numbers of these two may be compared.
    pub fn is_like(&self, other: &Self) -> bool {
        (&self.cpu, self.cores, &self.kernel) == (&other.cpu, other.cores, &other.kernel)
    }

    /// In a line.
    pub fn told(&self) -> String {
        let load = [self.load_before, self.load_after].map(super::told::figure_or_none).join(" to ");
        format!("{} cores, {}, {} MiB, {}, load {load}", self.cores, self.cpu, self.memory_mib, self.kernel)
    }
}

/// Runnable tasks, the mean of the last minute.
fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_ascii_whitespace().next()?.parse().ok()
}

/// The first value under a name in the kernel's `name : value` lines.
fn field(page: &str, name: &str) -> Option<String> {
    page.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}

fn kib(value: &str) -> Option<u64> {
    value.strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lines_are_read() {
        assert_eq!(field("a : 1\nmodel name\t: Big Iron 9\n", "model name").as_deref(), Some("Big Iron 9"));
        assert_eq!(kib("24684092 kB"), Some(24_684_092));
        assert_eq!(kib("many"), None);
    }

    #[test]
    fn this_machine_has_a_core() {
        let here = Machine::here();
        assert!(here.cores > 0 && here.is_like(&here.clone()));
    }
}
