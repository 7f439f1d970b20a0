//! What a process costs, from `/proc`: CPU time, memory, threads and open files. Linux only; elsewhere there is nothing
//! to be read, and the report says so by having no processes.

use std::{fs, io, time::Duration};

use serde::{Deserialize, Serialize};

/// The kernel counts CPU time in hundredths of a second, whatever it counts in itself (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// More samples than a day's, one a second; later ones only move the totals.
const SAMPLES_MAX: usize = 100_000;

/// A process at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sample {
    /// CPU time since it began, its own and the kernel's for it.
    pub cpu: Duration,
    /// Resident memory.
    pub rss_kib: u64,
    /// Threads.
    pub threads: u64,
    /// Open files, sockets included; 0 where we may not see them.
    pub files: u64,
}

/// What a process cost over the run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Use {
    /// CPU time while it was measured, in seconds.
    pub cpu_s: f64,
    /// The same in percent of one core.
    pub cpu_percent: f64,
    /// Resident memory before the first call, in MiB.
    pub rss_first_mib: f64,
    /// At most.
    pub rss_max_mib: f64,
    /// At the end.
    pub rss_last_mib: f64,
    /// Threads, at most.
    pub threads_max: u64,
    /// Open files, at most.
    pub files_max: u64,
}

/// A process that is looked at again and again.
#[derive(Debug)]
pub struct Watched {
    /// Its name in the report.
    name: String,
    /// Its id.
    pid: u32,
    /// What was seen, each with the time since the run began.
    samples: Vec<(Duration, Sample)>,
    /// The last one, also where there are too many to be kept.
    last: Option<(Duration, Sample)>,
}

impl Watched {
    /// Looks at it for the first time.
    ///
    /// # Errors
    /// When there is no such process, or no `/proc`.
    pub fn new(name: &str, pid: u32) -> io::Result<Self> {
        let first = (Duration::ZERO, sample(pid)?);
        Ok(Self { name: name.into(), pid, samples: vec![first], last: Some(first) })
    }

    /// Looks at it; `at` counts from the beginning of the run. Says whether it still lives.
    pub fn look(&mut self, at: Duration) -> bool {
        let Ok(sample) = sample(self.pid) else { return false };
        if self.samples.len() < SAMPLES_MAX {
            self.samples.push((at, sample));
        }
        self.last = Some((at, sample));
        true
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its memory now, in KiB.
    pub fn rss_kib(&self) -> u64 {
        self.last.map_or(0, |(_, sample)| sample.rss_kib)
    }

    /// Its CPU between two times, in percent of one core.
    pub fn cpu_percent(&self, from: Duration, to: Duration) -> Option<f64> {
        let time = to.saturating_sub(from).as_secs_f64();
        (time > 0.2).then_some(())?;
        Some((self.cpu_s(to)? - self.cpu_s(from)?).max(0.0) / time * 100.0)
    }

    /// CPU time used by then, as if it were used evenly between two looks.
    fn cpu_s(&self, at: Duration) -> Option<f64> {
        let after = self.samples.partition_point(|(then, _)| *then < at);
        let cpu = |(then, sample): &(Duration, Sample)| (then.as_secs_f64(), sample.cpu.as_secs_f64());
        let next = self.samples.get(after).map(cpu);
        let last = after.checked_sub(1).and_then(|before| self.samples.get(before)).map(cpu);
        match (last, next) {
            (Some((from, before)), Some((to, then))) if to > from => {
                Some(before + (then - before) * (at.as_secs_f64() - from) / (to - from))
            }
            (_, Some((_, cpu))) | (Some((_, cpu)), None) => Some(cpu),
            (None, None) => None,
        }
    }

    /// Its memory at a time, in MiB.
    pub fn rss_mib(&self, at: Duration) -> Option<f64> {
        self.nearest(at).map(|(_, sample)| mib(sample.rss_kib))
    }

    /// The whole of it, CPU from `from` on.
    pub fn usage(&self, from: Duration) -> Use {
        let (Some((_, first)), Some((end, last))) = (self.samples.first(), self.last) else { return Use::default() };
        let cpu = (last.cpu.as_secs_f64() - self.cpu_s(from).unwrap_or(0.0)).max(0.0);
        let time = end.saturating_sub(from).as_secs_f64();
        let most = |of: fn(&Sample) -> u64| self.samples.iter().map(|(_, sample)| of(sample)).max().unwrap_or(0);
        Use {
            cpu_s: cpu,
            cpu_percent: if time > 0.0 { cpu / time * 100.0 } else { 0.0 },
            rss_first_mib: mib(first.rss_kib),
            rss_max_mib: mib(most(|sample| sample.rss_kib)),
            rss_last_mib: mib(last.rss_kib),
            threads_max: most(|sample| sample.threads),
            files_max: most(|sample| sample.files),
        }
    }

    fn nearest(&self, at: Duration) -> Option<(Duration, Sample)> {
        let after = self.samples.partition_point(|(then, _)| *then < at);
        let around = [after.checked_sub(1), Some(after)].into_iter().flatten().filter_map(|at| self.samples.get(at));
        around.min_by_key(|(then, _)| then.abs_diff(at)).copied()
    }
}

/// The whole machine since a moment: what others use of it can be told from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cores {
    /// Hundredths of a second in which a core did something, and all there were, over all cores.
    ticks: (u64, u64),
    /// How many cores there are.
    cores: u64,
}

impl Cores {
    /// From now on.
    pub fn now() -> Option<Self> {
        Self::read(&fs::read_to_string("/proc/stat").ok()?)
    }

    /// How busy the machine was since, in percent of one core.
    pub fn busy_percent(&self) -> Option<f64> {
        let now = Self::now()?;
        let [busy, all] = [now.ticks.0.checked_sub(self.ticks.0)?, now.ticks.1.checked_sub(self.ticks.1)?];
        (all > 0).then(|| busy as f64 / all as f64 * self.cores as f64 * 100.0)
    }

    /// Reads the kernel's page about the machine.
    pub fn read(page: &str) -> Option<Self> {
        let mut lines = page.lines();
        let line = lines.next()?.strip_prefix("cpu ")?;
        // user nice system idle iowait irq softirq steal; guests are in user already.
        let ticks: Vec<u64> = line.split_ascii_whitespace().take(8).filter_map(|it| it.parse().ok()).collect();
        let all = ticks.iter().fold(0, |sum: u64, one| sum.saturating_add(*one));
        let idle = ticks.get(3)?.saturating_add(*ticks.get(4)?);
        let cores = lines.take_while(|line| line.starts_with("cpu")).count().max(1) as u64;
        Some(Self { ticks: (all.saturating_sub(idle), all), cores })
    }
}

/// Looks at a process.
///
/// # Errors
/// When there is none of this id, or no `/proc`.
pub fn sample(pid: u32) -> io::Result<Sample> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let files = fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |folder| folder.count() as u64);
    read(&stat, &status, files).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc is not as expected"))
}

/// Reads the kernel's two pages about a process.
pub fn read(stat: &str, status: &str, files: u64) -> Option<Sample> {
    // The name may hold spaces and parentheses; it ends with the last of these.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let mut number = || fields.next()?.parse::<u64>().ok();
    let ticks = number()?.saturating_add(number()?);
    let (_children, _theirs, _priority, _nice, threads) =
        (number()?, number()?, fields.next()?, fields.next()?, fields.next()?);
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let rss_kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok()).unwrap_or(0);
    let cpu = TICK.saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX));
    Some(Sample { cpu, rss_kib, threads: threads.parse().ok()?, files })
}

fn mib(kib: u64) -> f64 {
    super::distribution::tidy(kib as f64 / 1_024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str =
        "4242 (a (b) c) S 1 4242 4242 0 -1 4194560 5131 0 12 0 250 50 0 0 20 0 7 0 2360497 3133440 413 1";

    #[test]
    fn the_kernels_pages_are_read() {
        let status = "Name:\ta (b) c\nVmPeak:\t   99999 kB\nVmRSS:\t   20480 kB\nThreads:\t7\n";
        let read = read(STAT, status, 31).unwrap();
        assert_eq!(read, Sample { cpu: Duration::from_secs(3), rss_kib: 20_480, threads: 7, files: 31 });
    }

    #[test]
    fn a_page_that_is_cut_off_is_no_sample() {
        for end in 0..STAT.len() - 40 {
            assert!(super::read(&STAT[..end], "", 0).is_none_or(|sample| sample.rss_kib == 0));
        }
        assert_eq!(super::read("", "", 0), None);
    }

    #[test]
    fn what_it_cost_counts_from_the_end_of_the_warm_up() {
        let sample = |cpu_ms, rss_kib| Sample { cpu: Duration::from_millis(cpu_ms), rss_kib, threads: 3, files: 9 };
        let at = Duration::from_secs;
        let samples = vec![
            (at(0), sample(0, 1_024)),
            (at(1), sample(900, 2_048)),
            (at(2), sample(1_400, 4_096)),
            (at(3), sample(1_900, 3_072)),
        ];
        let watched = Watched { name: "target".into(), pid: 1, last: samples.last().copied(), samples };
        let usage = watched.usage(at(1));
        assert!((usage.cpu_s - 1.0).abs() < 1e-9 && (usage.cpu_percent - 50.0).abs() < 1e-9, "{usage:?}");
        assert_eq!((usage.rss_first_mib, usage.rss_max_mib, usage.rss_last_mib), (1.0, 4.0, 3.0));
        let percent = |from: f64, to: f64| {
            let times = [from, to].map(Duration::from_secs_f64);
            watched.cpu_percent(times[0], times[1]).map(|it| it.round())
        };
        assert_eq!((percent(0.0, 1.0), percent(0.5, 1.5), percent(0.0, 9.0)), (Some(90.0), Some(70.0), Some(21.0)));
        assert_eq!(watched.cpu_percent(at(1), at(1)), None);
    }

    #[test]
    fn the_whole_machine_is_read() {
        let page = "cpu  10 0 20 60 5 1 2 2 9 9\ncpu0 1 0\ncpu1 1 0\nintr 5\n";
        assert_eq!(Cores::read(page), Some(Cores { ticks: (35, 100), cores: 2 }));
        assert_eq!(Cores::read("cpu  1 2"), None);
        assert_eq!(Cores::read(""), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_can_be_looked_at() {
        let mut watched = Watched::new("generator", std::process::id()).unwrap();
        assert!(watched.look(Duration::from_secs(1)) && watched.rss_kib() > 0);
        assert!(Watched::new("target", u32::MAX).is_err());
    }
}
