//! What runs a shop's tools and keeps its calls.

use std::sync::Arc;

use futures_util::{FutureExt, future::BoxFuture};

use super::{Desk, TenantId, ToolRun};
use crate::{
    call::{CallReport, Ending, Message, Outcome, ToolSpec},
    privacy::Pii,
    store,
};

/// Runs the tools of one shop, and keeps what its calls leave behind. A [`Desk`] does; so may an embedder's own system.
pub trait Tools: Send + Sync {
    /// The tools as the model sees them.
    fn specs(&self) -> Arc<[ToolSpec]>;

    /// Runs one tool. The future of a write is always driven to its end, whatever the caller does; that of a lookup
    /// may be dropped.
    fn run(&self, run: ToolRun) -> BoxFuture<'static, Outcome>;

    /// Keeps the record of a call: once when it is answered, once more when it has ended.
    fn keep(&self, record: CallRecord) -> BoxFuture<'static, ()>;
}

/// What is to be kept of a call.
#[derive(Debug, Clone)]
pub struct CallRecord {
    /// Our id of the call.
    pub id: Arc<str>,
    /// The peer's id of the call, where it told one.
    pub peer: Option<String>,
    /// Whose call it is.
    pub tenant: TenantId,
    /// The wire dialect.
    pub transport: &'static str,
    /// The caller's number, where the line told it.
    pub caller: Option<Pii<String>>,
    /// When it was answered.
    pub answered: jiff::Timestamp,
    /// How it ended, once it has.
    pub end: Option<CallEnd>,
}

/// How a call ended.
#[derive(Debug, Clone)]
pub struct CallEnd {
    /// When.
    pub at: jiff::Timestamp,
    /// Why.
    pub ending: Ending,
    /// The conversation; holds only what was heard.
    pub history: Pii<Vec<Message>>,
    /// The times of each turn.
    pub report: CallReport,
}

/// The desk keeps of a call what the staff need; the conversation itself is not kept.
impl Tools for Arc<Desk> {
    fn specs(&self) -> Arc<[ToolSpec]> {
        self.tools()
    }

    fn run(&self, run: ToolRun) -> BoxFuture<'static, Outcome> {
        let desk = Arc::clone(self);
        async move { Desk::run(&desk, run).await }.boxed()
    }

    fn keep(&self, record: CallRecord) -> BoxFuture<'static, ()> {
        let desk = Arc::clone(self);
        async move {
            let end = record.end.as_ref();
            let kept = store::CallRecord {
                id: record.id.to_string(),
                caller: record.caller.clone(),
                started: record.answered,
                ended: end.map(|end| end.at),
                ending: end.map(|end| ending_name(end.ending).to_owned()),
                report: end.and_then(|end| serde_json::to_string(&end.report).ok()),
            };
            if let Err(error) = desk.store().keep_call(desk.tenant(), &kept).await {
                tracing::error!(call = %record.id, %error, "the record of a call was not kept");
            }
        }
        .boxed()
    }
}

/// An ending in one word, for records, labels and logs.
pub(crate) const fn ending_name(ending: Ending) -> &'static str {
    match ending {
        Ending::CallerHungUp => "caller_hung_up",
        Ending::LineLost => "line_lost",
        Ending::AgentEnded => "agent_ended",
        Ending::EndPhrase => "end_phrase",
        Ending::SilenceTimedOut => "silence_timed_out",
        Ending::TooLong => "too_long",
        Ending::NoAudio => "no_audio",
        Ending::Transferred => "transferred",
        Ending::Cancelled => "cancelled",
        Ending::Shutdown => "shutdown",
        Ending::EnginesFailed => "engines_failed",
        Ending::Panicked => "panicked",
    }
}
