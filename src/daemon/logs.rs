//! Log lines: for people or for machines, always on standard error.

use std::{
    io::{self, IsTerminal},
    panic::Location,
};

use tracing_subscriber::EnvFilter;

use super::{Log, LogFormat};

/// Reads a filter. On a mistake: which.
pub(super) fn filter(text: &str) -> Result<EnvFilter, String> {
    EnvFilter::builder().parse(text).map_err(|error| error.to_string())
}

/// Begins to log. What was begun before (an embedder's, a test's) stays.
pub(super) fn begin(log: &Log) {
    let filter = filter(&log.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let begun = match log.format {
        LogFormat::Pretty => lines.with_ansi(io::stderr().is_terminal()).with_target(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init(),
    };
    if begun.is_err() {
        tracing::debug!("somebody else logs already");
    }
    std::panic::set_hook(Box::new(|panic| tell(panic.location(), panic.payload_as_str())));
}

/// A panic's message may quote what a caller said (a slice in the middle of a letter does): only its place is told
/// above DEBUG.
fn tell(location: Option<&Location<'_>>, message: Option<&str>) {
    let place = location.map(ToString::to_string).unwrap_or_default();
    tracing::error!(place, "a bug: panicked");
    tracing::debug!(place, message, "what the panic said");
}
