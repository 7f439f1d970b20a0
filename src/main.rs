//! The command line of pronto: each subcommand is a module of [`pronto::daemon`] with its flags and a `run`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use pronto::daemon::{check::Check, health::Health, serve::Serve};

/// Answers the telephone of a small business: hears, understands, speaks, and books the appointment
#[derive(Debug, Parser)]
#[command(
    name = "pronto",
    version,
    propagate_version = true,
    after_help = "\
Examples:
  pronto check                 say everything that is wrong in the settings
  pronto serve                 take calls
  pronto health --ready        ask a running one whether it takes calls"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Serve),
    Check(Check),
    Health(Health),
}

fn main() -> ExitCode {
    let ended = match Cli::parse().command {
        Command::Serve(serve) => serve.run(),
        Command::Check(check) => check.run(),
        Command::Health(health) => health.run(),
    };
    ended.unwrap_or_else(|error| {
        #[expect(clippy::print_stderr, reason = "the answer to whoever started us on the command line")]
        {
            eprintln!("pronto: {error:#}");
        }
        ExitCode::FAILURE
    })
}
