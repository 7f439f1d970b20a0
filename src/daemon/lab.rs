//! `pronto lab`: emulators of the providers on this machine, for whoever has no key yet.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::Args;

use super::terminal::Terminal;
use crate::load::lab;

/// Emulates OpenAI and Deepgram on this machine, until it is stopped: no key, no internet
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pronto lab                         on port 18790, with waits like those of the real engines
  pronto lab --instant               without any wait
  pronto lab --settings lab.toml     other waits, faults, phrases

It understands only what stands in its phrasebook, spoken by a voice of `pronto call`. It listens on 127.0.0.1 only.")]
pub struct Lab {
    /// The port on 127.0.0.1; 0 for any free one [default: that of the settings, or 18790]
    #[arg(short, long)]
    pub port: Option<u16>,
    /// Answer without any wait
    #[arg(long)]
    pub instant: bool,
    /// A file with waits, faults and phrases
    #[arg(short, long, value_name = "FILE")]
    pub settings: Option<PathBuf>,
    /// End when standard input does: for whoever starts us as a part of itself
    #[arg(long, hide = true)]
    pub with_parent: bool,
}

/// The port where nobody names one.
const PORT: u16 = 18_790;

impl Lab {
    /// Runs until Ctrl-C.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        if self.with_parent {
            super::with_parent::end_with_standard_input()?;
        }
        let runtime = tokio::runtime::Runtime::new().context("the runtime cannot be started")?;
        runtime.block_on(self.emulate())
    }

    async fn emulate(self) -> anyhow::Result<ExitCode> {
        let mut settings = match &self.settings {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("--settings: {} cannot be read", path.display()))?;
                toml::from_str(&text).with_context(|| format!("--settings: {} has a mistake", path.display()))?
            }
            None => lab::LabSettings { port: PORT, ..lab::LabSettings::default() },
        };
        settings.port = self.port.unwrap_or(settings.port);
        if self.instant {
            settings.latency = lab::Latencies::none();
        }
        let mut terminal = Terminal::new();
        terminal.wait("the lab learns what callers say ...");
        let lab = lab::Lab::start(settings).await?;
        terminal
            .line(format!("The lab runs at {}. Put this into a tenant's file, then `pronto serve`:\n", lab.address()));
        terminal.line(lab.providers_toml());
        terminal.line("Ctrl-C ends it.");
        tokio::signal::ctrl_c().await.context("Ctrl-C cannot be listened to")?;
        lab.stop().await;
        Ok(ExitCode::SUCCESS)
    }
}
