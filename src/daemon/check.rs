//! `pronto check`: reads every settings file and says everything that is wrong, without opening anything.

use std::process::ExitCode;

use clap::Args;

use super::{
    Given, Settings,
    tenants::{self, Mistakes},
};

/// Checks the settings files: every mistake, with its field and the fix
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pronto check
  pronto check --config /etc/pronto/pronto.toml && systemctl reload pronto

Ends with 0 when there is no mistake, with 1 otherwise.")]
pub struct Check {
    /// Which files.
    #[command(flatten)]
    pub given: Given,
}

impl Check {
    /// Reads everything and tells.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let settings = match Settings::read(&self.given) {
            Ok(settings) => settings,
            Err(mistakes) => {
                complain(&[mistakes]);
                return Ok(ExitCode::FAILURE);
            }
        };
        // Engines may hold a TLS client.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let files = tenants::files(&settings.tenants)?;
        let mut mistakes = Vec::new();
        let mut good = Vec::new();
        for path in files {
            match tenants::read(&path) {
                Ok((tenant, engines)) => good.push((path, tenant.profile.id, engines)),
                Err(problems) => mistakes.push((path, problems)),
            }
        }
        complain(&mistakes);
        #[expect(clippy::print_stdout, reason = "the answer to whoever asked on the command line")]
        for (path, id, engines) in &good {
            println!("{}: {id} is fine: {engines:?}", path.display());
        }
        if good.is_empty() && mistakes.is_empty() {
            anyhow::bail!("no tenant's file in {}: add one, config/tenants has an example", settings.tenants.display());
        }
        Ok(if mistakes.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Tells mistakes to whoever sits at the terminal.
#[expect(clippy::print_stderr, reason = "the answer to whoever started us on the command line")]
pub(super) fn complain(mistakes: &[Mistakes]) {
    for (path, problems) in mistakes {
        for problem in problems {
            eprintln!("{}: {problem}", path.display());
        }
    }
}
