//! The tools that one call has running. They run on tasks of their own: a write belongs to the tenant and outlives the
//! call that asked for it, a lookup ends with it.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    task::{Context, Poll},
};

use tokio::{
    sync::mpsc,
    task::AbortHandle,
    time::{sleep, timeout},
};

use super::limits;
use crate::{
    call::{Outcome, ToolAsk, ToolKind},
    language::Language,
    privacy::Pii,
    tenant::{Tenant, ToolEnd, ToolRun, running},
};

/// The tools of one call.
pub(super) struct ToolRuns {
    /// On whose desk.
    tenant: Arc<Tenant>,
    /// Who calls.
    caller: Caller,
    /// Those whose outcome is awaited. A lookup has a handle to drop it with; a write has none, because nobody may
    /// stop it.
    awaited: HashMap<u32, Option<AbortHandle>>,
    /// The outcomes of those that were not run at all.
    refused: VecDeque<(u32, Outcome)>,
    /// Where the others report. Kept here, so the channel is never closed.
    report: mpsc::Sender<(u32, Outcome)>,
    /// Their outcomes.
    outcomes: mpsc::Receiver<(u32, Outcome)>,
}

/// Who calls: what a tool needs to know of the call.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// Our id of the call.
    pub(super) call: Arc<str>,
    /// The number, where the line told it.
    pub(super) number: Option<Pii<String>>,
    /// The language of the conversation.
    pub(super) language: Language,
}

impl ToolRuns {
    /// None yet.
    pub(super) fn new(tenant: Arc<Tenant>, caller: Caller) -> Self {
        let (report, outcomes) = mpsc::channel(limits::TOOLS_MAX);
        Self { tenant, caller, awaited: HashMap::new(), refused: VecDeque::new(), report, outcomes }
    }

    /// Runs one. Its outcome comes back once.
    pub(super) fn run(&mut self, tool: u32, kind: ToolKind, ask: ToolAsk) {
        if self.awaited.len() >= limits::TOOLS_MAX {
            self.refused.push_back((tool, running::refused("too many tools at once: wait for the others")));
            return;
        }
        let now = jiff::Zoned::now().with_time_zone(self.tenant.profile().zone.clone());
        let run = ToolRun {
            id: ask.id,
            name: ask.name,
            arguments: ask.arguments,
            caller: self.caller.number.clone(),
            call: self.caller.call.to_string(),
            now,
        };
        let running = running::run(Arc::clone(self.tenant.tools()), run);
        let report = self.report.clone();
        let handle = match kind {
            ToolKind::Read | ToolKind::Call => {
                let lookup = tokio::spawn(async move {
                    let ran = timeout(limits::TOOL_WAIT, running).await;
                    let outcome = ran.map_or_else(|_late| running::late(), |ran| ran.outcome());
                    let _ = report.send((tool, outcome)).await;
                });
                Some(lookup.abort_handle())
            }
            ToolKind::Write => {
                let write = self.tenant.write();
                tokio::spawn(async move {
                    let mut running = std::pin::pin!(running);
                    let outcome = tokio::select! {
                        ran = &mut running => ran.outcome(),
                        () = sleep(limits::TOOL_WAIT) => {
                            let _ = report.send((tool, running::late())).await;
                            // The call knows as much as it can; the write itself still runs to its end.
                            let _ = running.await;
                            return;
                        }
                    };
                    drop(write);
                    let _ = report.send((tool, outcome)).await;
                });
                None
            }
        };
        self.awaited.insert(tool, handle);
    }

    /// Nobody waits for this lookup any more.
    pub(super) fn drop_lookup(&mut self, tool: u32) {
        if let Some(lookup) = self.awaited.get(&tool).and_then(Option::as_ref) {
            lookup.abort();
            self.awaited.remove(&tool);
            ToolEnd::Dropped.count();
        }
    }

    /// The next outcome.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(u32, Outcome)> {
        if let Some(refused) = self.refused.pop_front() {
            return Poll::Ready(refused);
        }
        while let Poll::Ready(Some((tool, outcome))) = self.outcomes.poll_recv(cx) {
            // A lookup may have ended just before it was dropped: nobody waits for that.
            if self.awaited.remove(&tool).is_some() {
                return Poll::Ready((tool, outcome));
            }
        }
        Poll::Pending
    }
}

impl Drop for ToolRuns {
    /// Lookups end with their call; writes go on.
    fn drop(&mut self) {
        for lookup in self.awaited.values().flatten() {
            lookup.abort();
        }
    }
}
