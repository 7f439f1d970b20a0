//! `pronto load`: what callers would measure.

pub mod shop;

use std::process::ExitCode;

use clap::{Args, Subcommand};

/// Calls a gateway as its callers would, and measures what that was like
#[derive(Debug, Args)]
pub struct Load {
    /// What is measured.
    #[command(subcommand)]
    pub what: What,
}

/// What can be measured.
#[derive(Debug, Subcommand)]
pub enum What {
    /// A day in a shop.
    Shop(shop::Shop),
}

impl Load {
    /// Measures it.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.what {
            What::Shop(shop) => shop.run(),
        }
    }
}
