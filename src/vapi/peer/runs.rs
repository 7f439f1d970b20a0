//! The tools of one call that lives at Vapi: each request is run once, however often it is asked for.
//!
//! A request is known by Vapi's id for it together with what is asked: models that count their ids from one again do not
//! get the answer to another question. A repeat while the first still runs joins it, a repeat afterwards gets the same
//! answer. A write runs on a task of its own to its end, whoever waits for it, and after the writes before it.

use std::{sync::Arc, time::Duration};

use ring::digest;
use tokio::{sync::watch, time::timeout};

use crate::{
    call::{Outcome, ToolAsk, ToolKind, limits::TOOLS_MAX},
    privacy::Pii,
    tenant::{Tenant, ToolRun, running},
};

/// How long a look-up may take altogether, and how long a write waits for the one before it.
const TOOL_MAX: Duration = Duration::from_secs(30);

/// What a tool needs to know of a call besides what is asked.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// Vapi's id of the call.
    pub(crate) call: Option<Box<str>>,
    /// The number, where it was told.
    pub(crate) number: Option<Pii<String>>,
    /// The wall clock of the shop.
    pub(crate) now: jiff::Zoned,
}

impl Caller {
    pub(super) fn run(&self, ask: &ToolAsk) -> ToolRun {
        ToolRun {
            id: ask.id.clone(),
            name: ask.name.clone(),
            arguments: ask.arguments.clone(),
            caller: self.number.clone(),
            call: self.call.as_deref().unwrap_or("without an id").to_owned(),
            now: self.now.clone(),
        }
    }
}

/// A tool that runs, or has run.
#[derive(Debug, Clone)]
pub(crate) struct Running(watch::Receiver<Option<Outcome>>);

impl Running {
    /// Its outcome, if it has one.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        self.0.borrow().clone()
    }

    /// Waits for its outcome.
    pub(super) async fn ended(&mut self) -> Outcome {
        match self.0.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().expect("it was waited for"),
            // The runtime is going away with the task in it.
            Err(_) => running::refused("shutting down"),
        }
    }
}

/// The tools of one call.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    /// In the order they were asked for.
    known: Vec<Known>,
    /// The write that the next one waits for.
    last_write: Option<Running>,
}

#[derive(Debug)]
struct Known {
    /// Vapi's id for the request.
    id: Box<str>,
    /// What was asked.
    deed: Deed,
    kind: ToolKind,
    running: Running,
}

/// A digest of a tool's name and arguments, in whatever order and spacing they were written.
type Deed = [u8; 32];

impl Runs {
    /// Runs a tool, or joins the run that is known.
    pub(crate) fn run(&mut self, tenant: &Arc<Tenant>, caller: &Caller, kind: ToolKind, ask: &ToolAsk) -> Running {
        let deed = deed(ask);
        let known = self.known.iter().rev().find(|known| {
            let same = known.deed == deed && *known.id == *ask.id;
            // The old form has no ids: the same look-up later is another one.
            let repeat = same && (!ask.id.is_empty() || known.kind == ToolKind::Write);
            // A model that was told to wait asks again under another id.
            let joins = known.deed == deed && known.kind == ToolKind::Write && known.running.outcome().is_none();
            repeat || joins
        });
        if let Some(known) = known {
            return known.running.clone();
        }
        if self.known.len() >= TOOLS_MAX {
            let refused = running::refused("too many tools in this call: answer with what you have");
            return Running(watch::channel(Some(refused)).1);
        }
        let running = self.start(tenant, caller.run(ask), kind);
        self.known.push(Known { id: ask.id.as_str().into(), deed, kind, running: running.clone() });
        running
    }

    fn start(&mut self, tenant: &Arc<Tenant>, run: ToolRun, kind: ToolKind) -> Running {
        let (done, running) = watch::channel(None);
        let running = Running(running);
        let tools = Arc::clone(tenant.tools());
        match kind {
            ToolKind::Read | ToolKind::Call => {
                tokio::spawn(async move {
                    let ran = timeout(TOOL_MAX, running::run(tools, run)).await;
                    done.send_replace(Some(ran.map_or_else(|_late| running::late(), |ran| ran.outcome())));
                });
            }
            ToolKind::Write => {
                let write = tenant.write();
                let before = self.last_write.replace(running.clone());
                tokio::spawn(async move {
                    if let Some(mut before) = before {
                        let _ = timeout(TOOL_MAX, before.ended()).await;
                    }
                    done.send_replace(Some(running::run(tools, run).await.outcome()));
                    drop(write);
                });
            }
        }
        running
    }
}

fn deed(ask: &ToolAsk) -> Deed {
    // Arguments that are no JSON are the same only letter by letter.
    let arguments = serde_json::from_str::<serde_json::Value>(&ask.arguments).map_or_else(
        |_| ask.arguments.clone(),
        |mut value| {
            value.sort_all_objects();
            value.to_string()
        },
    );
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(&(ask.name.len() as u64).to_be_bytes());
    hash.update(ask.name.as_bytes());
    hash.update(arguments.as_bytes());
    let mut deed = [0; 32];
    deed.copy_from_slice(hash.finish().as_ref());
    deed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_deed_however_it_is_written() {
        let deed = |name: &str, arguments: &str| {
            super::deed(&ToolAsk { id: String::new(), name: name.into(), arguments: arguments.into() })
        };
        let one = deed("book", r#"{"a":1,"b":{"c":2,"d":[1,2]}}"#);
        assert_eq!(one, deed("book", "{ \"b\": {\"d\":[1,2],\"c\":2},\n\"a\":1 }"));
        for (name, arguments) in [("boo", "k{}"), ("book", r#"{"a":1}"#), ("move", r#"{"a":1,"b":{"c":2,"d":[1,2]}}"#)]
        {
            assert_ne!(one, deed(name, arguments));
        }
        assert_ne!(deed("book", "{"), deed("book", "{ "), "no JSON");
    }
}
