//! `pronto load`: calls a gateway from many telephones at once, and tells what callers heard.
//!
//! | ends with | when |
//! |---|---|
//! | 0 | the run was done, and no gate failed |
//! | 1 | a gate failed, or a promise was broken |
//! | 2 | the run could not be done |

mod capacity;
mod compare;
mod folder;
mod live;
mod metrics;
mod offer;
mod overload;
mod rig;
pub mod shop;
mod watch;

use std::{future::Future, process::ExitCode};

use anyhow::Context;
use clap::{Args, Subcommand};

use self::{capacity::Search, compare::Compare, offer::Run, overload::Rush, shop::Shop};

/// Calls a gateway from many telephones at once, and measures what callers hear
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  pronto load                                     a gateway and a lab of its own, 40 callers of all kinds
  pronto load config/load/busy.toml --calls 200 --html report.html
  pronto load --target wss://voice.example.it --token ... --calls 5 --for 60
  pronto load --fail-if 'p99.own_ms > 25' --fail-if 'refused > 0 or dropped > 0'
  pronto load capacity                            how many calls it carries
  pronto load overload --limit 50                 what happens when three times as many call
  pronto load shop                                a day of Italian callers, judged by what is in the books
  pronto load compare before.json after.json

Ends with 0 when no gate failed, with 1 when one did, and with 2 when the run could not be done."
)]
pub struct Load {
    /// What to do; a run if nothing is named.
    #[command(subcommand)]
    what: Option<What>,
    /// The run.
    #[command(flatten)]
    run: Run,
}

#[derive(Debug, Subcommand)]
enum What {
    Run(Run),
    Capacity(Search),
    Overload(Rush),
    Shop(Shop),
    Compare(Compare),
}

/// The run could not be done.
const COULD_NOT: u8 = 2;

impl Load {
    /// Does it. What could not be done is told here: it is no failed gate.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        Ok(self.done().unwrap_or_else(|error| {
            #[expect(clippy::print_stderr, reason = "the answer to whoever started us on the command line")]
            {
                eprintln!("pronto load: {error:#}");
            }
            ExitCode::from(COULD_NOT)
        }))
    }

    fn done(self) -> anyhow::Result<ExitCode> {
        match self.what {
            None => calling(self.run.go()),
            Some(What::Run(run)) => calling(run.go()),
            Some(What::Capacity(search)) => calling(search.go()),
            Some(What::Overload(rush)) => calling(rush.go()),
            Some(What::Shop(shop)) => shop.run(),
            Some(What::Compare(compare)) => compare.go(),
        }
    }
}

/// Calls, on a runtime of one thread: what costs is on threads of its own.
fn calling(done: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    // Callers of wss:// hold TLS clients.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    let done = runtime.block_on(done);
    runtime.shutdown_background();
    done
}
