//! The command line of pronto: each subcommand is a module of [`pronto::daemon`] with its flags and a `run`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
#[cfg(feature = "load")]
use pronto::daemon::{call::Call, demo::Demo, lab::Lab, load::Load};
use pronto::daemon::{check::Check, health::Health, serve::Serve, vapi::Vapi};

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
  pronto health --ready        ask a running one whether it takes calls
  pronto vapi assistant        what a shop's assistant at Vapi looks like
  pronto demo                  book an appointment on the telephone, here and now, with no key and no server
  pronto load                  call a gateway from many telephones at once, and measure what callers hear"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one of them, once; how large depends on the features")]
enum Command {
    Serve(Serve),
    Check(Check),
    Health(Health),
    Vapi(Vapi),
    #[cfg(feature = "load")]
    Demo(Demo),
    #[cfg(feature = "load")]
    Call(Call),
    #[cfg(feature = "load")]
    Lab(Lab),
    #[cfg(feature = "load")]
    Load(Load),
}

fn main() -> ExitCode {
    let ended = match Cli::parse().command {
        Command::Serve(serve) => serve.run(give_back),
        Command::Check(check) => check.run(),
        Command::Health(health) => health.run(),
        Command::Vapi(vapi) => vapi.run(),
        #[cfg(feature = "load")]
        Command::Demo(demo) => demo.run(),
        #[cfg(feature = "load")]
        Command::Call(call) => call.run(),
        #[cfg(feature = "load")]
        Command::Lab(lab) => lab.run(),
        #[cfg(feature = "load")]
        Command::Load(load) => load.run(),
    };
    ended.unwrap_or_else(|error| {
        #[expect(clippy::print_stderr, reason = "the answer to whoever started us on the command line")]
        {
            eprintln!("pronto: {error:#}");
        }
        ExitCode::FAILURE
    })
}

/// Gives the memory that ended calls have left behind to the system. glibc keeps it for later otherwise, and on a small
/// machine later is another tenant. Where nobody is here any more, what only the start or a call needs of the program goes
/// too: the next call reads it again, in a fraction of a millisecond.
fn give_back(nobody_is_here: bool) {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        let files = if nobody_is_here { pronto::daemon::pages::unchanged() } else { Vec::new() };
        #[expect(unsafe_code, reason = "the C library has no other way to be asked; the only such place in the house")]
        // SAFETY: the first takes the allocator's own locks and asks nothing of its caller. The second lets go of pages
        // of files that are mapped privately, cannot be written to and were never changed: whoever reads them next, finds
        // the same bytes.
        unsafe {
            libc::malloc_trim(0);
            for pages in files {
                libc::madvise(pages.start as *mut libc::c_void, pages.len(), libc::MADV_DONTNEED);
            }
        }
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let _ = nobody_is_here;
}
