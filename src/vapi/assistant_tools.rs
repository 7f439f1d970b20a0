//! The tools of an assistant in one call: what its customer wrote into `model.tools`, run as tools of ours.
//!
//! | tool | what happens |
//! |---|---|
//! | `endCall`, `transferCall` | the call's own business; a transfer goes to a number or address of the tool's list, or where the server says |
//! | `function` | its server is asked, with the model's id for the ask, and has its own deadline |
//! | `function`, `async` | its server is asked, and the model is told at once that it was done |
//! | `function` without any server | the connected client is told with the call's events, and nothing is waited for |
//!
//! An assistant that names no tools has the shop's own. Records of calls are kept by the shop in any case.
//!
//! What it does not do: wait until a `request-start` that blocks has been heard, or speak for the model. A sentence that is to
//! follow a result is handed to the model, which says it; one that ends the call is said by the call itself.

use std::{future::pending, sync::Arc, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep_until, timeout};

use super::{
    assistant::{Does, Tool, When},
    server_message::{Spoken, ToolResult, TransferAnswer},
    webhooks::{Customer, Late, ToolAnswer},
};
use crate::{
    call::{Control, Outcome, Then, ToolAsk, ToolSpec},
    tenant::{CallRecord, ToolRun, Tools, running},
};

/// Hands something to the call that the tools are of. Does not wait.
pub type Hand = Arc<dyn Fn(Control) + Send + Sync>;

/// The longest that a result is waited for: a call waits no longer than half a minute for any tool, and what comes after that
/// would be lost. So it becomes a note.
const WAIT_MAX: Duration = Duration::from_secs(28);

/// Between two sentences about a tool that is late.
const DELAYED_APART: Duration = Duration::from_millis(2_500);

/// The tools of one call.
pub struct AssistantTools(Arc<Inner>);

struct Inner {
    tools: Vec<Tool>,
    specs: Arc<[ToolSpec]>,
    customer: Customer,
    shop: Arc<dyn Tools>,
    hand: Hand,
}

impl AssistantTools {
    /// The tools of an assistant, or the shop's where there are none.
    pub fn new(tools: Vec<Tool>, customer: Customer, shop: Arc<dyn Tools>, hand: Hand) -> Self {
        let specs = if tools.is_empty() { shop.specs() } else { tools.iter().map(|tool| tool.spec.clone()).collect() };
        Self(Arc::new(Inner { tools, specs, customer, shop, hand }))
    }
}

impl Tools for AssistantTools {
    fn specs(&self) -> Arc<[ToolSpec]> {
        Arc::clone(&self.0.specs)
    }

    fn run(&self, run: ToolRun) -> BoxFuture<'static, Outcome> {
        let inner = Arc::clone(&self.0);
        match inner.tools.iter().position(|tool| tool.spec.name == run.name) {
            None if inner.tools.is_empty() => inner.shop.run(run),
            None => async { told("error", "there is no tool of this name") }.boxed(),
            Some(at) => async move { inner.run(at, run).await }.boxed(),
        }
    }

    fn keep(&self, record: CallRecord) -> BoxFuture<'static, ()> {
        self.0.shop.keep(record)
    }
}

impl Inner {
    async fn run(self: Arc<Self>, at: usize, run: ToolRun) -> Outcome {
        let tool = &self.tools[at];
        match &tool.does {
            Does::End => self.end(tool),
            Does::Transfer(to) => self.transfer(tool, to, &run.arguments).await,
            Does::Ask(_) => {
                let ask = ToolAsk { id: run.id, name: run.name, arguments: run.arguments };
                if !tool.background {
                    return self.ask(tool, ask).await;
                }
                let (asking, late) = (Arc::clone(&self), self.late());
                tokio::spawn(async move {
                    asking.customer.tool_calls(&[(&ask, &asking.tools[at])], &late).await;
                });
                self.outcome(tool, "result", "Success.", None)
            }
        }
    }

    /// The call ends, after the tool's own words or else the goodbye.
    fn end(&self, tool: &Tool) -> Outcome {
        let words = said(tool, |when| matches!(when, When::Start { .. })).filter(|words| !words.is_empty());
        let then = match words {
            Some(words) => {
                self.say_and_end(words);
                Then::GoOn
            }
            None => Then::EndCall,
        };
        Outcome { then, ..told("result", "Success.") }
    }

    async fn transfer(&self, tool: &Tool, to: &[String], arguments: &str) -> Outcome {
        #[derive(Deserialize)]
        struct Arguments {
            destination: Option<String>,
        }
        let wish = serde_json::from_str::<Arguments>(arguments).ok().and_then(|arguments| arguments.destination);
        let own_words = said(tool, |when| matches!(when, When::Start { .. })).map(ToOwned::to_owned);
        let (address, words) = match (to, wish) {
            ([], _) => match self.customer.transfer().await {
                TransferAnswer::To(destination, spoken) => {
                    let spoken = spoken.filter(|spoken| !spoken.hint).map(|spoken| spoken.text.into_inner());
                    let words = spoken.or_else(|| destination.message().map(ToOwned::to_owned)).or(own_words);
                    (destination.address().reveal().clone(), words)
                }
                TransferAnswer::Failed(why) => return told("error", why.reveal()),
            },
            ([only], None) => (only.clone(), own_words),
            (_, Some(wish)) if to.contains(&wish) => (wish, own_words),
            (_, Some(_) | None) => return told("error", "destination must be one of those in the list"),
        };
        let then = match words {
            // Words of its own, or none at all: the call's own sentence is left out.
            Some(words) => {
                (self.hand)(Control::Transfer { to: address, say: Some(words) });
                Then::GoOn
            }
            None => Then::Transfer(address),
        };
        Outcome { then, ..told("result", "Transfer initiated.") }
    }

    /// Asks the server, and says something while it does not answer.
    async fn ask(&self, tool: &Tool, ask: ToolAsk) -> Outcome {
        if let Some(words) = said(tool, |when| matches!(when, When::Start { .. })) {
            (self.hand)(Control::Aside(words.to_owned()));
        }
        let (asks, late) = ([(&ask, tool)], self.late());
        let answer = tokio::select! {
            biased;
            answers = timeout(WAIT_MAX, self.customer.tool_calls(&asks, &late)) => {
                answers.map_or(ToolAnswer::Late, |mut answers| answers.pop().unwrap_or(ToolAnswer::NoServer))
            }
            never = self.say_that_it_is_late(tool) => match never {},
        };
        match answer {
            ToolAnswer::Result(ToolResult { text, failed, say, .. }) => {
                self.outcome(tool, if failed { "error" } else { "result" }, text.reveal(), say)
            }
            ToolAnswer::Late => self.outcome(tool, "error", running::LATE, None),
            ToolAnswer::NoServer => told("result", "The client was told. It sends no result."),
        }
    }

    async fn say_that_it_is_late(&self, tool: &Tool) -> std::convert::Infallible {
        let mut delayed: Vec<_> = tool
            .messages
            .iter()
            .filter_map(|message| match message.when {
                When::Delayed(after) => Some((after, &message.text)),
                When::Start { .. } | When::Complete | When::Hint | When::Failed => None,
            })
            .collect();
        // Those of the same moment are alternatives: the first is said.
        delayed.sort_by_key(|(after, _)| *after);
        delayed.dedup_by_key(|(after, _)| *after);
        let (begun, mut free) = (Instant::now(), Duration::ZERO);
        for (after, words) in delayed {
            let at = after.max(free);
            sleep_until(begun + at).await;
            (self.hand)(Control::Aside(words.clone()));
            free = at + DELAYED_APART;
        }
        pending().await
    }

    /// What the model is told, with what is to be said: the result's own words before the tool's.
    fn outcome(&self, tool: &Tool, name: &str, text: &str, say: Option<Spoken>) -> Outcome {
        let failed = name == "error";
        let own = tool.messages.iter().find(|message| match message.when {
            When::Complete | When::Hint => !failed,
            When::Failed => failed,
            When::Start { .. } | When::Delayed(_) => false,
        });
        let spoken = say
            .map(|say| (say.text.into_inner(), say.hint, say.then_end))
            .or_else(|| own.map(|message| (message.text.clone(), message.when == When::Hint, message.then_end)));
        let mut content = Map::from_iter([(name.to_owned(), Value::from(text))]);
        match spoken {
            Some((words, false, true)) => self.say_and_end(&words),
            Some((words, hint, _)) if !words.is_empty() => {
                let name = if hint { "note" } else { "say_exactly_this_to_the_caller" };
                content.insert(name.into(), words.into());
            }
            Some(_) | None => {}
        }
        Outcome { content: Value::Object(content).to_string(), then: Then::GoOn }
    }

    /// The call says this at once, and ends when it has been heard.
    fn say_and_end(&self, words: &str) {
        (self.hand)(Control::Say { text: words.to_owned(), now: true, interruptible: false, then_end: true });
    }

    /// What comes after its deadline is told to the model, for when it speaks next.
    fn late(&self) -> Late {
        let hand = Arc::clone(&self.hand);
        Arc::new(move |ask, result| {
            let text =
                format!("The tool {} ({}) answered after its deadline: {}", ask.name, ask.id, result.text.reveal());
            hand(Control::Note { text, respond: false });
        })
    }
}

/// What a tool says at some moment.
fn said(tool: &Tool, when: impl Fn(When) -> bool) -> Option<&str> {
    tool.messages.iter().find(|message| when(message.when)).map(|message| message.text.as_str())
}

/// What the model is told, and nothing else.
fn told(name: &str, text: &str) -> Outcome {
    Outcome { content: json!({ name: text }).to_string(), then: Then::GoOn }
}
