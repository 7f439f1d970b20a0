//! Places for processes, and the processes in them.

use std::{io, process::Stdio, sync::Arc, time::Duration};

use tokio::{
    process::{Child, Command},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::NAME;
use crate::providers::{Fault, Kind, ProviderError, Retry};

/// A bounded number of places.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    places: Arc<Semaphore>,
    /// The longest wait for one.
    wait: Duration,
}

/// A process in its place. Dropping it kills the process and frees the place.
pub(super) struct Running {
    pub(super) child: Child,
    _place: OwnedSemaphorePermit,
}

impl Pool {
    pub(super) fn new(processes_max: usize, wait: Duration) -> Self {
        // More than this no machine speaks at once.
        Self { places: Arc::new(Semaphore::new(processes_max.clamp(1, 1_024))), wait }
    }

    /// Starts a program when there is a place for it.
    pub(super) async fn start(
        &self,
        program: &str,
        arguments: &[String],
        input: bool,
    ) -> Result<Running, ProviderError> {
        let place = timeout(self.wait, self.places.clone().acquire_owned()).await.ok().and_then(Result::ok);
        let place = place.ok_or_else(|| ProviderError {
            provider: NAME,
            kind: Kind::Busy,
            fault: Fault::Ours,
            retry: Retry::Now,
            detail: format!("all places for {program} are taken: raise processes_max"),
        })?;
        #[expect(clippy::wildcard_enum_match_arm, reason = "the kinds of the system's errors are many, and grow")]
        let child = Command::new(program)
            .args(arguments)
            .stdin(if input { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => {
                    ProviderError::refused(NAME, format!("there is no program {program}: install it, or set program"))
                }
                io::ErrorKind::PermissionDenied => {
                    ProviderError::refused(NAME, format!("the program {program} may not be run: check its rights"))
                }
                _ => ProviderError::upstream(NAME, Kind::Unreachable, format!("{program} could not be started")),
            })?;
        Ok(Running { child, _place: place })
    }
}

/// A program's arguments with each `{name}` replaced.
pub(super) fn fill(arguments: &[String], values: &[(&str, &str)]) -> Vec<String> {
    // One pass over each argument: a value is never searched for names again.
    let fill_one = |argument: &String| {
        let mut filled = String::with_capacity(argument.len());
        let mut rest = argument.as_str();
        while let Some(at) = rest.find('{') {
            let (before, after) = rest.split_at(at);
            filled.push_str(before);
            let found = values
                .iter()
                .find_map(|(name, value)| after[1..].strip_prefix(name)?.strip_prefix('}').map(|after| (value, after)));
            match found {
                Some((value, after)) => {
                    filled.push_str(value);
                    rest = after;
                }
                None => {
                    filled.push('{');
                    rest = &after[1..];
                }
            }
        }
        filled + rest
    };
    arguments.iter().map(fill_one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_filled_once() {
        let arguments: Vec<String> = ["-v", "{language}", "a{text}b{", "{other}"].map(Into::into).into();
        assert_eq!(
            fill(&arguments, &[("text", "{language}"), ("language", "it")]),
            ["-v", "it", "a{language}b{", "{other}"]
        );
    }
}
