//! The hands: a tenant's tools for an assistant that lives at Vapi.
//!
//! Vapi posts what its model asks for and waits for the results. A request that is repeated joins the first or gets its
//! answer; a write goes on when nobody waits any more. What is not done within the tenant's deadline is answered with a
//! sentence that says so, and its outcome is there when Vapi asks again.

use std::{sync::Arc, time::Instant};

use tokio::time::timeout_at;

use super::{
    runs::{Caller, Running},
    tool_calls::{Answered, Asked, Matter, ServerMessage, result, results},
};
use crate::{
    call::{ToolAsk, ToolKind},
    tenant::Tenant,
};

/// Requests for tools that were answered before the tool had ended.
pub const PENDING: &str = "pronto_vapi_tools_pending_total";

/// The time at which a request came in.
#[derive(Debug, Clone)]
pub struct Now {
    /// The instant.
    pub instant: Instant,
    /// The wall clock of the shop.
    pub zoned: jiff::Zoned,
}

/// Does what a message asks for. The body to answer with; none where there is nothing to say.
pub async fn answer(tenant: &Arc<Tenant>, message: ServerMessage, now: Now) -> Option<String> {
    let ServerMessage { call, caller, matter } = message;
    match matter {
        Matter::ToolCalls(asked) => {
            let caller = Caller { call, number: caller, now: now.zoned };
            let answers = done(tenant, &caller, &asked, now.instant).await;
            Some(results(asked.iter().map(|asked| &asked.ask).zip(&answers)))
        }
        Matter::FunctionCall(asked) => {
            let caller = Caller { call, number: caller, now: now.zoned };
            let asked = [asked];
            done(tenant, &caller, &asked, now.instant).await.first().map(result)
        }
        Matter::EndOfCall => {
            if let Some(call) = call {
                tenant.at_vapi().forget(&call);
            }
            None
        }
        Matter::Other(_) => None,
    }
}

/// Starts everything, then waits for everything, no longer than the deadline.
async fn done(tenant: &Arc<Tenant>, caller: &Caller, asked: &[Asked], now: Instant) -> Vec<Answered> {
    let running: Vec<Result<Running, &str>> = {
        let call = tenant.at_vapi().call(now, caller.call.as_deref());
        let mut runs = call.runs();
        asked
            .iter()
            .map(|Asked { ask, wrong }| {
                let kind = wrong.map_or_else(|| kind(tenant, ask), Err)?;
                Ok(runs.run(tenant, caller, kind, ask))
            })
            .collect()
    };
    let deadline = tokio::time::Instant::from_std(now) + tenant.profile().vapi.tools_wait;
    let mut answers = Vec::with_capacity(running.len());
    for running in running {
        answers.push(match running {
            Ok(running) => waited(tenant, running, deadline).await,
            Err(why) => Answered::Error(why.to_owned()),
        });
    }
    answers
}

/// What kind of tool this is, if it can be run from outside.
fn kind(tenant: &Tenant, ask: &ToolAsk) -> Result<ToolKind, &'static str> {
    match tenant.tools().specs().iter().find(|spec| spec.name == ask.name).map(|spec| spec.kind) {
        Some(ToolKind::Call) => Err("this tool is for calls of our own: use endCall or transferCall"),
        Some(kind @ (ToolKind::Read | ToolKind::Write)) => Ok(kind),
        None => Err("there is no tool of this name"),
    }
}

async fn waited(tenant: &Tenant, mut running: Running, deadline: tokio::time::Instant) -> Answered {
    match timeout_at(deadline, running.ended()).await {
        // What the trade forbids is a result too: the model is to read what can be done instead.
        Ok(outcome) => Answered::Result(outcome.content),
        Err(_late) => {
            metrics::counter!(PENDING).increment(1);
            let phrases = tenant.profile().call.language.phrases();
            Answered::Result(phrases.text("vapi.pending").to_owned())
        }
    }
}
