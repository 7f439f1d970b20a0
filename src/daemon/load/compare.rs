//! `pronto load compare`: two reports side by side.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::Args;

use crate::{
    daemon::terminal::Terminal,
    load::report::{BYTES_MAX, Comparison, Report},
};

/// Shows two reports side by side
#[derive(Debug, Args)]
pub(super) struct Compare {
    /// The earlier report (`pronto load --json`)
    a: PathBuf,
    /// The later one
    b: PathBuf,
    /// Write the comparison as a page, too
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

impl Compare {
    pub(super) fn go(&self) -> anyhow::Result<ExitCode> {
        let (a, b) = (read(&self.a)?, read(&self.b)?);
        let names = [&self.a, &self.b].map(|path| path.display().to_string());
        let both = Comparison { a: (&names[0], &a), b: (&names[1], &b) };
        let mut terminal = Terminal::new();
        for line in both.table() {
            terminal.line(line);
        }
        if let Some(path) = &self.html {
            std::fs::write(path, both.page())
                .with_context(|| format!("--html: {} cannot be written", path.display()))?;
            terminal.line(format!("page: {}", path.display()));
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn read(path: &Path) -> anyhow::Result<Report> {
    let told = || format!("{} cannot be read", path.display());
    let bytes = std::fs::metadata(path).with_context(told)?.len();
    if bytes > BYTES_MAX {
        bail!("{} has {bytes} bytes: a report has at most {BYTES_MAX}", path.display());
    }
    Report::parse(&std::fs::read_to_string(path).with_context(told)?).with_context(|| path.display().to_string())
}
