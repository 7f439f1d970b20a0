//! One tool of a shop, run to its outcome: whatever happens in there, there is one, and it is counted.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;

use super::{ToolRun, Tools};
use crate::call::{Outcome, Then};

/// Tools, by how they ended.
pub const TOOLS: &str = "pronto_tools_total";

/// How a tool ended, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolEnd {
    /// With an outcome of its own.
    Done,
    /// It did not answer in time.
    Late,
    /// Its turn was given up; only lookups are.
    Dropped,
    /// There were too many at once.
    Refused,
    /// A bug.
    Panicked,
}

impl ToolEnd {
    /// Counts one.
    pub fn count(self) {
        let end = match self {
            Self::Done => "done",
            Self::Late => "late",
            Self::Dropped => "dropped",
            Self::Refused => "refused",
            Self::Panicked => "panicked",
        };
        metrics::counter!(TOOLS, "end" => end).increment(1);
    }
}

/// What a tool came to, not yet counted: nobody may be waiting any more.
#[derive(Debug)]
pub(crate) struct Ran(Option<Outcome>);

impl Ran {
    /// The outcome, counted.
    pub(crate) fn outcome(self) -> Outcome {
        match self.0 {
            Some(outcome) => {
                ToolEnd::Done.count();
                outcome
            }
            None => {
                ToolEnd::Panicked.count();
                tracing::error!("a tool panicked");
                failed("internal error: do not try again, offer that the shop calls back")
            }
        }
    }
}

/// Runs one tool. A panic in there is an outcome too.
pub(crate) async fn run(tools: Arc<dyn Tools>, run: ToolRun) -> Ran {
    Ran(AssertUnwindSafe(async move { tools.run(run).await }).catch_unwind().await.ok())
}

/// What a model is told of a tool that did not answer in time.
pub(crate) const LATE: &str =
    "no answer in time; it may still be done: do not try again, offer that the shop calls back";

/// The outcome of a tool that is not waited for any longer; counted.
pub(crate) fn late() -> Outcome {
    ToolEnd::Late.count();
    tracing::warn!("a tool is late");
    failed(LATE)
}

/// The outcome of a tool that was not run; counted.
pub(crate) fn refused(why: &str) -> Outcome {
    ToolEnd::Refused.count();
    failed(why)
}

fn failed(why: &str) -> Outcome {
    Outcome { content: serde_json::json!({ "error": why }).to_string(), then: Then::GoOn }
}
