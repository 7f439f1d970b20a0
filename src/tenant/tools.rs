//! What runs a shop's tools and keeps its calls.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::{
    call::{CallReport, Ending, Message, Outcome, ToolAsk, ToolKind, ToolSpec},
    language::Language,
    privacy::Pii,
};

use super::TenantId;

/// Runs the tools of one shop, and keeps what its calls leave behind. A desk does; so may an embedder's own system.
pub trait Tools: Send + Sync {
    /// The tools as the model sees them.
    fn specs(&self) -> Arc<[ToolSpec]>;

    /// Runs one tool. The future of a write is always driven to its end, whatever the caller does; that of a lookup
    /// may be dropped.
    fn run(&self, run: ToolRun) -> BoxFuture<'static, Outcome>;

    /// Keeps the record of a call that has ended.
    fn keep(&self, record: CallRecord) -> BoxFuture<'static, ()>;
}

/// One tool that is to run.
#[derive(Debug, Clone)]
pub struct ToolRun {
    /// The call it belongs to.
    pub call: Arc<str>,
    /// Whether it changes anything.
    pub kind: ToolKind,
    /// What the model asked.
    pub ask: ToolAsk,
    /// The caller's number, where the line told it.
    pub caller: Option<Pii<String>>,
    /// The language of the conversation.
    pub language: Language,
    /// The wall clock, in the shop's zone.
    pub now: jiff::Zoned,
}

/// What a call leaves behind.
#[derive(Debug, Clone)]
pub struct CallRecord {
    /// Our id of the call.
    pub id: Arc<str>,
    /// The peer's id of the call, where it told one.
    pub peer: Option<String>,
    /// Whose call it was.
    pub tenant: TenantId,
    /// The wire dialect.
    pub transport: &'static str,
    /// The caller's number, where the line told it.
    pub caller: Option<Pii<String>>,
    /// When it was answered.
    pub answered: jiff::Timestamp,
    /// Why it ended.
    pub ending: Ending,
    /// The conversation; holds only what was heard.
    pub history: Pii<Vec<Message>>,
    /// The times of each turn.
    pub report: CallReport,
}
