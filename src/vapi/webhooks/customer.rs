//! A call's way to its customer's server: what is told goes one after the other, what is asked goes at once.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, timeout_at},
};

use super::{
    ASSISTANT_REQUEST, Webhooks, count,
    post::{Fault, Reply},
    queue::{Queue, Waiting},
};
use crate::{
    call::ToolAsk,
    store::Owing,
    tenant::Tenant,
    transport::vapi::{Kind, Wanted},
    vapi::{
        assistant::{Server, TIMEOUT, Tool},
        server_message::{
            self, AssistantAnswer, AssistantFault, Body, Report, ToolCalls, ToolResult, TransferAnswer,
            rules::{self, BODY_BYTES_MAX, Weight, answer_within},
            tool_results,
        },
    },
};

/// How long after its deadline an answer is still waited for. It is told to the model, and nobody else waits for it.
const LATE: Duration = Duration::from_secs(60);

/// Writes a body in the envelope of its call, as the call stands now.
pub type Wrap = Arc<dyn Fn(&Body<'_>) -> String + Send + Sync>;

/// Is told what came after the deadline.
pub type Late = Arc<dyn Fn(ToolAsk, ToolResult) + Send + Sync>;

/// What came of an ask of the model's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolAnswer {
    /// This.
    Result(ToolResult),
    /// Nothing in time. It may still be done.
    Late,
    /// Nobody was asked: there is no server.
    NoServer,
}

/// One call's customer. Cheap to clone: all of them are one.
///
/// Nothing is running while there is nothing to tell. What waits is told also after the last of them is gone.
#[derive(Clone)]
pub struct Customer(Arc<Inner>);

struct Inner {
    tenant: Arc<Tenant>,
    /// The id that servers know the call by.
    call: Box<str>,
    /// Whose messages these are: the assistant's, or the tenant's own.
    server: Option<Server>,
    wanted: Wanted,
    wrap: Wrap,
    waiting: Mutex<ToTell>,
    /// The report is kept, and whoever sends it claims it first.
    kept: AtomicBool,
}

/// What is to be told.
#[derive(Default)]
struct ToTell {
    queue: Queue,
    /// Somebody is at it.
    telling: bool,
}

impl Customer {
    /// Of a call, with the server of its assistant, if it has one, and what that wants to be told.
    pub fn new(tenant: Arc<Tenant>, call: &str, server: Option<Server>, wanted: Wanted, wrap: Wrap) -> Self {
        let server = server.or_else(|| tenant.profile().vapi.webhooks.server().cloned());
        Self(Arc::new(Inner {
            tenant,
            call: call.into(),
            server,
            wanted,
            wrap,
            waiting: Mutex::default(),
            kept: AtomicBool::new(false),
        }))
    }

    /// There is a server, and it wants to be told of this.
    pub fn wants(&self, kind: Kind) -> bool {
        self.0.server.is_some() && self.0.wanted.has_kind(kind)
    }

    /// Tells the server, if it wants to know: behind what was told before, and without waiting for it.
    pub fn tell(&self, body: &Body<'_>) {
        let inner = &self.0;
        let last;
        // Those who want last words only know them by another name.
        let body = if let Body::Transcript(words) = body
            && words.is_last()
            && !inner.wanted.has_kind(Kind::Transcript)
        {
            last = Body::FinalTranscript(*words);
            &last
        } else {
            body
        };
        if self.wants(body.kind()) {
            let written = (inner.wrap)(body);
            if written.len() > BODY_BYTES_MAX {
                return count(body.kind(), "too_long");
            }
            self.enqueue(body, written.into());
        }
    }

    /// Tells the server that the call is over, and what remains of it. When this ends the report is kept; it is sent behind
    /// what was told before, and, should that fail, again later.
    pub async fn report(&self, report: Report<'_>) {
        let (inner, body) = (&self.0, Body::EndOfCallReport(report));
        let Some(server) = inner.server.as_ref().filter(|_| inner.wanted.has_kind(Kind::EndOfCallReport)) else {
            return;
        };
        let written = Bytes::from((inner.wrap)(&body));
        let write = inner.tenant.write();
        let owing = inner.tenant.outbox().owe(&inner.call, server, &written).await;
        if owing != Owing::Known {
            inner.kept.store(owing == Owing::New, Ordering::Release);
            self.enqueue(&body, written);
        }
        drop(write);
    }

    /// Asks who is to answer this call. There is no assistant yet: it is the tenant's own server that is asked.
    pub async fn assistant(&self) -> Result<AssistantAnswer, AssistantFault> {
        let body = Body::AssistantRequest {};
        let since = Instant::now();
        let reply = self.ask(&body).await.map_err(|_| AssistantFault::Failed);
        metrics::histogram!(ASSISTANT_REQUEST).record(since.elapsed());
        let reply = reply?;
        server_message::assistant(reply.status, &reply.body)
    }

    /// Asks to whom the caller is to be put through.
    pub async fn transfer(&self) -> TransferAnswer {
        match self.ask(&Body::TransferDestinationRequest {}).await {
            Ok(reply) => server_message::transfer(reply.status, &reply.body),
            Err(_) => server_message::transfer(0, ""),
        }
    }

    /// Asks for what the model asked for: one request for each server, all at once, and the answers in the order of the asks.
    /// The requests go on when nobody waits any more; what comes after the deadline is told to `late`.
    pub async fn tool_calls(&self, asks: &[(&ToolAsk, &Tool)], late: &Late) -> Vec<ToolAnswer> {
        let mut groups: Vec<(Server, Vec<usize>)> = Vec::new();
        for (at, (_, tool)) in asks.iter().enumerate() {
            let Some(server) = tool.server().or(self.0.server.as_ref()) else { continue };
            match groups.iter_mut().find(|(known, _)| known == server) {
                Some((_, group)) => group.push(at),
                None => groups.push((server.clone(), vec![at])),
            }
        }
        let mut answers = vec![ToolAnswer::NoServer; asks.len()];
        let replies = groups.into_iter().map(|(server, group)| async move {
            let of = || group.iter().map(|at| asks[*at]);
            let form = self.0.tenant.profile().vapi.webhooks.arguments();
            let body = (self.0.wrap)(&Body::ToolCalls(ToolCalls::new(of(), form)));
            let asked = of().map(|(ask, _)| ask.clone()).collect();
            (self.results(server, body.into(), asked, Arc::clone(late)).await, group)
        });
        for (results, group) in join_all(replies).await {
            match results {
                Some(results) => {
                    for (at, result) in group.into_iter().zip(results) {
                        answers[at] = ToolAnswer::Result(result);
                    }
                }
                None => group.into_iter().for_each(|at| answers[at] = ToolAnswer::Late),
            }
        }
        answers
    }

    /// The results of one server, or `None` when they are not there in time.
    async fn results(&self, server: Server, body: Bytes, asks: Vec<ToolAsk>, late: Late) -> Option<Vec<ToolResult>> {
        let inner = Arc::clone(&self.0);
        let deadline = Instant::now() + server.timeout;
        let (done, results) = oneshot::channel();
        tokio::spawn(async move {
            let time = Time::Until { deadline, grace: LATE };
            let reply = attempts(&inner, &server, Kind::ToolCalls, body, time).await;
            let ids: Vec<_> = asks.iter().map(|ask| ask.id.as_str()).collect();
            let results = match &reply {
                Ok(reply) => tool_results(&ids, reply.status, &reply.body),
                Err(_) => tool_results(&ids, 0, ""),
            };
            if let Err(results) = done.send(results)
                && reply.is_ok()
            {
                asks.into_iter().zip(results).for_each(|(ask, result)| late(ask, result));
            }
        });
        timeout_at(deadline, results).await.ok()?.ok()
    }

    /// Asks the call's server, within the time that the question has.
    async fn ask(&self, body: &Body<'_>) -> Result<Reply, Fault> {
        let inner = &self.0;
        let server = inner.server.as_ref().ok_or(Fault::BadAddress)?;
        let within = answer_within(body.kind(), server.timeout).unwrap_or(TIMEOUT);
        let written = (inner.wrap)(body).into();
        let time = Time::Until { deadline: Instant::now() + within, grace: Duration::ZERO };
        attempts(inner, server, body.kind(), written, time).await
    }

    fn enqueue(&self, body: &Body<'_>, written: Bytes) {
        let mut to_tell = self.0.to_tell();
        let message = Waiting { kind: body.kind(), weight: body.weight(), body: written };
        for dropped in to_tell.queue.push(message) {
            count(dropped, "dropped");
        }
        if !to_tell.telling {
            to_tell.telling = true;
            tokio::spawn(tell(Arc::clone(&self.0)));
        }
    }
}

impl Inner {
    /// The lock is never held across an await.
    fn to_tell(&self) -> MutexGuard<'_, ToTell> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells what waits, one after the other, until nothing does.
async fn tell(inner: Arc<Inner>) {
    loop {
        let next = {
            let mut to_tell = inner.to_tell();
            let next = to_tell.queue.pop();
            to_tell.telling = next.is_some();
            next
        };
        let (Some(message), Some(server)) = (next, &inner.server) else { return };
        if message.kind == Kind::EndOfCallReport {
            let (_write, outbox) = (inner.tenant.write(), inner.tenant.outbox());
            if inner.kept.load(Ordering::Acquire) {
                outbox.first(&inner.tenant, &inner.call, server, message.body).await;
            } else {
                outbox.once(&inner.tenant, &inner.call, server, message.body).await;
            }
        } else {
            // Nobody waits for it; what went wrong is counted and logged where it did.
            let _ = attempts(&inner, server, message.kind, message.body, Time::Each(server.timeout)).await;
        }
    }
}

/// How long a message may take.
#[derive(Debug, Clone, Copy)]
enum Time {
    /// Each attempt so long.
    Each(Duration),
    /// No attempt begins after the deadline; the last one may go on for so long after it.
    Until { deadline: Instant, grace: Duration },
}

/// Sends a message, and again where the server's plan says so.
async fn attempts(inner: &Inner, server: &Server, kind: Kind, body: Bytes, time: Time) -> Result<Reply, Fault> {
    let webhooks = &inner.tenant.profile().vapi.webhooks;
    let mut retry = 0;
    loop {
        let within = match time {
            Time::Each(within) => within,
            Time::Until { deadline, grace } => deadline.saturating_duration_since(Instant::now()) + grace,
        };
        let reply = attempt(webhooks, &inner.call, server, kind, body.clone(), within).await;
        if reply.as_ref().is_err_and(|fault| !fault.may_pass()) {
            return reply;
        }
        let status = reply.as_ref().ok().map(|reply| reply.status);
        let wait = server.backoff.as_ref().and_then(|backoff| backoff.wait(retry, status));
        let in_time = |wait: &Duration| match time {
            Time::Each(_) => true,
            Time::Until { deadline, .. } => Instant::now() + *wait < deadline,
        };
        let Some(wait) = wait.filter(in_time) else { return reply };
        sleep(wait).await;
        retry += 1;
    }
}

/// Sends a message once, and counts what came of it.
pub(super) async fn attempt(
    webhooks: &Webhooks,
    call: &str,
    server: &Server,
    kind: Kind,
    body: Bytes,
    within: Duration,
) -> Result<Reply, Fault> {
    let reply = webhooks.post(server, call, body, within).await;
    let end = match &reply {
        Ok(reply) if (200..300).contains(&reply.status) => "answered",
        Ok(_) => "refused",
        Err(fault) => fault.name(),
    };
    count(kind, end);
    match &reply {
        Ok(reply) => tracing::debug!(call, kind = kind.name(), status = reply.status, "told a customer's server"),
        // Of what may be dropped there is much, and a server that is down has all of it fail.
        Err(fault) if rules::weight(kind, false) == Weight::Kept => {
            tracing::warn!(call, kind = kind.name(), %fault, "a customer's server was not reached");
        }
        Err(fault) => tracing::debug!(call, kind = kind.name(), %fault, "a customer's server was not reached"),
    }
    reply
}
