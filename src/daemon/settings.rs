//! The daemon's settings: flags before environment before file before defaults.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use serde::Deserialize;

use crate::{
    gateway,
    tenant::{Problem, problem},
};

/// The file that is read when none is named.
const USUAL: &str = "config/pronto.toml";

/// What the command line and the environment say; both go before the file.
#[derive(Debug, Clone, Default, Args)]
pub struct Given {
    /// The settings file [default: config/pronto.toml, if it is there]
    #[arg(short, long, env = "PRONTO_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where to take calls, such as 0.0.0.0:18789
    #[arg(short, long, env = "PRONTO_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// The folder with one file for each tenant
    #[arg(short, long, env = "PRONTO_TENANTS", value_name = "FOLDER")]
    pub tenants: Option<PathBuf>,
    /// The folder for the tenants' books
    #[arg(short, long, env = "PRONTO_DATA", value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// What to log: a level, or targets with levels (pronto=debug,warn)
    #[arg(long, env = "PRONTO_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// How to log
    #[arg(long, env = "PRONTO_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// Threads that carry calls
    #[arg(long, env = "PRONTO_THREADS", value_name = "N")]
    pub threads: Option<usize>,
}

/// Everything the daemon needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where calls are taken.
    pub listen: SocketAddr,
    /// The folder with one file for each tenant; counts from the file's own folder where it is relative.
    pub tenants: PathBuf,
    /// The folder for the tenants' books; likewise.
    pub data: PathBuf,
    /// Threads that carry calls. One carries hundreds, and cheapest: more of them wake each other for each frame.
    pub threads: usize,
    /// Seconds between looks at the tenants' files; 0 looks only on SIGHUP.
    pub reload_s: u64,
    /// What is logged, and how.
    pub log: Log,
    /// How the gateway is bounded.
    pub gateway: gateway::Settings,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// A level, or targets with levels.
    pub filter: String,
    /// For people or for machines.
    pub format: LogFormat,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One line for people.
    Pretty,
    /// One JSON object a line.
    Json,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 18_789),
            tenants: "tenants".into(),
            data: "../data".into(),
            threads: 1,
            reload_s: 5,
            log: Log::default(),
            gateway: gateway::Settings::default(),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".into(), format: LogFormat::Pretty }
    }
}

/// The most threads that may be asked for.
const THREADS_MAX: usize = 64;

/// The longest that each part of a shutdown may be asked to take, in seconds.
const DRAIN_MAX: u64 = 3_600;

impl Settings {
    /// Reads the file and what goes before it. On mistakes: all of them, and the file they are in.
    pub fn read(given: &Given) -> Result<Self, (PathBuf, Vec<Problem>)> {
        let path = given.config.clone().unwrap_or_else(|| USUAL.into());
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            // Nobody named a file, and the usual one is not there: the defaults and the flags are enough.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && given.config.is_none() => {
                let settings = Self::default().based(path.parent().unwrap_or(Path::new("")));
                return given.over(settings).map_err(|problems| (path, problems));
            }
            Err(error) => {
                let problem = Problem::new("--config", error.to_string(), "name a file that is there, or leave it out");
                return Err((path, vec![problem]));
            }
        };
        Self::parse(&text, path.parent().unwrap_or(Path::new("")))
            .and_then(|settings| given.over(settings))
            .map_err(|problems| (path, problems))
    }

    /// Reads a file's text; relative folders count from `base`.
    pub fn parse(text: &str, base: &Path) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let settings = match problem::document(text) {
            Ok(table) => problem::read::<Self>(table, "", &mut problems),
            Err(broken) => {
                problems.push(broken);
                None
            }
        };
        match settings {
            Some(settings) if problems.is_empty() => Ok(settings.based(base)),
            _ => Err(problem::sorted(text, problems)),
        }
    }

    /// Relative folders count from the file's.
    fn based(mut self, base: &Path) -> Self {
        for folder in [&mut self.tenants, &mut self.data] {
            // `config/../data` would need a folder `config`.
            *folder = match (folder.strip_prefix(".."), base.file_name()) {
                (Ok(beside), Some(_)) => base.with_file_name("").join(beside),
                _ => base.join(&folder),
            };
        }
        self
    }

    /// What serde cannot know.
    fn check(self) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        if !(1..=THREADS_MAX).contains(&self.threads) {
            problems.push(Problem::new(
                "threads",
                format!("{} is out of range", self.threads),
                format!("write 1 to {THREADS_MAX}; 2 carry hundreds of calls"),
            ));
        }
        if self.gateway.connections_max == 0 {
            problems.push(Problem::new("gateway.connections_max", "0 lets nobody in", "write 1 or more"));
        }
        let drain = self.gateway.drain;
        if drain.finish_s > DRAIN_MAX || drain.goodbye_s > DRAIN_MAX {
            let fix = format!("write at most {DRAIN_MAX}, and no more than whoever stops the process allows");
            problems.push(Problem::new("gateway.drain", "is too long", fix));
        }
        if let Err(error) = super::logs::filter(&self.log.filter) {
            let fix = "write a level (error, warn, info, debug, trace) or targets with levels (pronto=debug,warn)";
            problems.push(Problem::new("log.filter", error, fix));
        }
        if problems.is_empty() { Ok(self) } else { Err(problems) }
    }
}

impl Given {
    /// These before those of the file.
    fn over(&self, mut settings: Settings) -> Result<Settings, Vec<Problem>> {
        let given = self.clone();
        settings.listen = given.listen.unwrap_or(settings.listen);
        settings.tenants = given.tenants.unwrap_or(settings.tenants);
        settings.data = given.data.unwrap_or(settings.data);
        settings.threads = given.threads.unwrap_or(settings.threads);
        settings.log.filter = given.log.unwrap_or(settings.log.filter);
        settings.log.format = given.log_format.unwrap_or(settings.log.format);
        settings.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../config/pronto.toml");

    #[test]
    fn the_example_says_the_defaults() {
        let settings = Settings::parse(EXAMPLE, Path::new("config")).unwrap();
        assert_eq!(settings, Settings::default().based(Path::new("config")));
        assert_eq!((settings.tenants, settings.data), ("config/tenants".into(), "data".into()));
    }

    #[test]
    fn flags_go_before_the_file() {
        let given = Given { threads: Some(7), log: Some("pronto=trace".into()), ..Given::default() };
        let settings = given.over(Settings::parse(EXAMPLE, Path::new("")).unwrap()).unwrap();
        assert_eq!((settings.threads, settings.log.filter.as_str()), (7, "pronto=trace"));
    }

    #[test]
    fn every_mistake_is_told_with_the_fix() {
        let text = "thread = 2\n[gateway.drain]\nfinish = 3\n[log]\nformat = \"xml\"\n";
        let told: Vec<_> = Settings::parse(text, Path::new("")).unwrap_err().iter().map(Problem::to_string).collect();
        assert_eq!(
            told,
            [
                "line 1: thread: no such setting; did you mean threads?",
                "line 3: gateway.drain.finish: no such setting; did you mean finish_s?",
                "line 5: log.format: unknown variant `xml`; write `pretty` or `json`",
            ]
        );
        let wrong = Given { threads: Some(0), log: Some("pronto=loud".into()), ..Given::default() };
        let fields: Vec<_> = wrong.over(Settings::default()).unwrap_err().into_iter().map(|it| it.field).collect();
        assert_eq!(fields, ["threads", "log.filter"]);
    }
}
