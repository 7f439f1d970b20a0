//! From the upgrade to the end of one call: who is it, is there room, run it, keep its record.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use tokio::{net::TcpStream, task::JoinHandle, time::timeout};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tracing::Instrument;

use super::{
    Shared,
    calls::Active,
    clock,
    driver::{Driver, Leave, goodbye},
    limits,
    metrics::{self, Refusal},
    observe::{CallName, Observer, Watch, reason},
    socket::{Received, Socket},
    streams::Streams,
    tool_runs::Caller,
    vapi::{
        created::{self, Joining},
        dialling::{Through, put_through},
        minutes::Conversation,
        recordings::Recorder,
    },
    wire::Wire,
};
use crate::{
    call::{Call, CallReport, Control, Ending, Message as Said, Setup},
    privacy::Pii,
    tenant::{CallEnd, CallRecord, Permit, Tenant, complete, ending_name},
    transport::{Dialect, Incoming, Message, Started, Told, Transport, vapi::Kind},
    vapi::call::Kind as CallKind,
};

/// A connection that has been upgraded and carries, or will carry, a call.
pub(super) struct Arrival {
    /// Whose call.
    pub(super) tenant: Arc<Tenant>,
    /// Its dialect.
    pub(super) transport: Transport,
    /// It has shown who it is; otherwise it must do so in the description of the stream.
    pub(super) trusted: bool,
    /// Its place, where it was given one before the upgrade.
    pub(super) permit: Option<Permit>,
    /// The caller's number, where the address told it.
    pub(super) from: Option<Pii<String>>,
    /// The peer's id of the call was part of the address: one connection for it.
    pub(super) exclusive: bool,
    /// The call was created before.
    pub(super) created: Option<Created>,
    /// Who records it.
    pub(super) recorder: Option<Recorder>,
}

/// A call that was created before somebody came for it.
pub(super) struct Created {
    /// Its id: ours, by which its customer reaches it.
    pub(super) id: Arc<str>,
    /// Who keeps its minutes.
    pub(super) minutes: Arc<dyn Watch>,
    /// Who answers, as the peer's program may see it.
    pub(super) assistant: Arc<Map<String, Value>>,
}

/// A single-use token for a stream that is about to be opened.
#[derive(Debug)]
pub(super) struct Pass {
    /// For whom.
    pub(super) tenant: crate::tenant::TenantId,
    /// Who calls.
    pub(super) from: Option<Pii<String>>,
    /// It has been decided who answers.
    pub(super) called: Option<Called>,
}

/// A call that rings, on its tenant's switchboard.
#[derive(Debug)]
pub(super) struct Called {
    /// Its id.
    pub(super) id: String,
    /// The secret part of its addresses.
    pub(super) key: SecretString,
    /// What its addresses begin with.
    pub(super) base: String,
}

/// A refusal after the upgrade: the reason, and what the socket is closed with.
struct TurnedAway(Refusal, CloseCode, &'static str);

impl TurnedAway {
    const SILENT: Self = Self(Refusal::NeverStarted, CloseCode::Policy, "the stream was not described in time");
    const STRANGER: Self = Self(
        Refusal::Unauthorised,
        CloseCode::Policy,
        "token missing or wrong: put it into the custom parameter token of the stream",
    );
    const FULL: Self = Self(Refusal::Full, CloseCode::Again, "all lines of this shop are taken: try again later");
    const TAKEN: Self = Self(Refusal::Taken, CloseCode::Policy, "this call has a connection already");
    const DRAINING: Self = Self(Refusal::Draining, CloseCode::Restart, "the gateway is shutting down");
}

/// Runs one connection to its end.
pub(super) async fn run(shared: Arc<Shared>, socket: Socket<TcpStream>, arrival: Box<Arrival>) {
    // Apart: what coming in needs is no part of the call's task.
    let Some(Entered { mut wire, tenant, created, started, permit: _permit, active }) =
        enter(&shared, socket, *arrival).await
    else {
        return;
    };
    let id = match &created {
        Some(created) => Arc::clone(&created.id),
        None => uuid::Uuid::now_v7().to_string().into(),
    };
    if created.is_some() && tenant.switchboard().call(&id).is_err() {
        // It was deleted before it could be found here.
        shared.calls.cancel(tenant.id(), &id);
    }
    let name = CallName { id, tenant: tenant.id().clone(), transport: wire.name() };
    let span = tracing::info_span!("call", id = %name.id, tenant = %name.tenant, transport = name.transport);
    converse(&shared, &tenant, &mut wire, started, name, active, created).instrument(span).await;
}

/// A connection whose call begins.
struct Entered {
    wire: Wire,
    tenant: Arc<Tenant>,
    created: Option<Created>,
    started: Started,
    permit: Permit,
    active: Active,
}

/// Lets a connection in, unless it comes back to its call, or is turned away.
async fn enter(shared: &Arc<Shared>, mut socket: Socket<TcpStream>, arrival: Arrival) -> Option<Entered> {
    let Arrival { tenant, transport, trusted, permit, from, exclusive, created, recorder } = arrival;
    if exclusive && let Some(started) = transport.start() {
        let format = transport.line().hears;
        match shared.calls.rejoin(tenant.id(), &started.call, format, Box::new(socket)) {
            Ok(()) => return None,
            Err(stranger) => socket = *stranger,
        }
    }
    let mut wire = Wire::new(socket, transport);
    match admit(shared, &tenant, &mut wire, trusted, permit, from, exclusive).await {
        Ok(Admitted { started, permit, mut active, joining }) => {
            let (tenant, created, recorder) = match joining {
                Some(Joining { tenant, created, recorder, .. }) => (tenant, created, recorder),
                None => (tenant, created, recorder),
            };
            if let Some(recorder) = recorder {
                active.record(recorder);
            }
            Some(Entered { wire, tenant, created, started, permit, active })
        }
        Err(TurnedAway(why, code, reason)) => {
            metrics::refused(why);
            tracing::info!(tenant = %tenant.id(), why = why.name(), "a stream was turned away");
            wire.socket.close(code, reason).await;
            None
        }
    }
}

/// Who may come in.
struct Admitted {
    started: Started,
    permit: Permit,
    active: Active,
    /// The call that was decided on when it rang.
    joining: Option<Joining>,
}

/// Who is it, and is there room?
async fn admit(
    shared: &Arc<Shared>,
    tenant: &Arc<Tenant>,
    wire: &mut Wire,
    trusted: bool,
    permit: Option<Permit>,
    from: Option<Pii<String>>,
    exclusive: bool,
) -> Result<Admitted, TurnedAway> {
    let mut started = match wire.transport.start() {
        Some(started) => started,
        None => timeout(limits::START_WAIT, described(wire)).await.map_err(|_late| TurnedAway::SILENT)??,
    };
    let token = started.token.take();
    let pass = token.as_ref().and_then(|token| shared.passes.take(clock::now(), token.reveal()));
    let pass = pass.filter(|pass| pass.tenant == *tenant.id());
    let known = token.is_some_and(|token| tenant.profile().tokens.hold(token.reveal()));
    if !trusted && pass.is_none() && !known {
        return Err(TurnedAway::STRANGER);
    }
    let (passed, called) = pass.map_or((None, None), |pass| (pass.from, pass.called));
    started.from = passed.or(started.from).or(from);
    // One that is gone meanwhile is answered all the same, by the shop's own receptionist.
    let mut joining = called.and_then(|Called { id, key, base }| {
        created::join(shared, tenant, CallKind::Inbound, &id, key.expose_secret(), &base)
    });
    if shared.drain.step() > super::Step::Accepting {
        return Err(TurnedAway::DRAINING);
    }
    let own = joining.as_mut().and_then(|joining| joining.permit.take());
    let permit = own.or(permit).or_else(|| tenant.admit()).ok_or(TurnedAway::FULL)?;
    let created = joining.as_ref().and_then(|joining| joining.created.as_ref());
    let id = match created {
        Some(created) => Some(&*created.id),
        None => exclusive.then_some(started.call.as_str()),
    };
    let id = id.map(|id| (id, wire.transport.line().hears));
    let active = shared.calls.begin(tenant.id(), id).ok_or(TurnedAway::TAKEN)?;
    Ok(Admitted { started, permit, active, joining })
}

/// Waits until the peer has described the stream.
async fn described(wire: &mut Wire) -> Result<Started, TurnedAway> {
    loop {
        let received = wire.socket.next(clock::now(), false).await;
        let message = match &received {
            Received::Text(text) => Message::Text(text),
            Received::Binary(bytes) => Message::Binary(bytes),
            Received::Closed { .. } => return Err(TurnedAway::SILENT),
            Received::Fault(fault) => {
                metrics::socket_fault(fault.name());
                let (code, reason) = fault.close();
                return Err(TurnedAway(Refusal::NeverStarted, code, reason));
            }
        };
        match wire.transport.receive(message) {
            Ok(Incoming::Started(started)) => return Ok(started),
            Ok(Incoming::Stopped) => return Err(TurnedAway::SILENT),
            Ok(
                Incoming::Ignored(_)
                | Incoming::Audio { .. }
                | Incoming::Key(_)
                | Incoming::Mark(_)
                | Incoming::Control(_)
                | Incoming::Event(_),
            ) => {}
            Err(error) => {
                let (name, code) = super::driver::fault_of(&error);
                metrics::socket_fault(name);
                return Err(TurnedAway(Refusal::NeverStarted, code, "the stream was not described as it should be"));
            }
        }
    }
}

/// The conversation itself, and what remains of it.
async fn converse(
    shared: &Arc<Shared>,
    tenant: &Arc<Tenant>,
    wire: &mut Wire,
    started: Started,
    name: CallName,
    mut active: Active,
    created: Option<Created>,
) {
    // On the heap before anything waits: the task would have room for it besides.
    let call = match Call::new(setup(tenant, wire, &started, true)).map(Box::new) {
        Ok(call) => call,
        Err(error) => {
            metrics::call_started(name.transport);
            metrics::call_ended(Ending::LineLost, &CallReport::default());
            tracing::warn!(%error, "the line's format cannot be carried");
            wire.ended(reason(Ending::LineLost));
            return wire.socket.close(CloseCode::Unsupported, "this audio format cannot be carried").await;
        }
    };
    let record = CallRecord {
        id: Arc::clone(&name.id),
        peer: (!started.call.is_empty()).then(|| started.call.clone()),
        tenant: tenant.id().clone(),
        transport: name.transport,
        caller: started.from.clone(),
        answered: jiff::Timestamp::now(),
        end: None,
    };
    let begun = keep(tenant, record.clone(), None);
    let minutes = created.as_ref().map(|created| Arc::clone(&created.minutes));
    // What the shop has written is not for everybody who may call it.
    let instructions = created.as_ref().map_or_else(|| "".into(), |_| Arc::clone(&tenant.profile().instructions));
    let conversation = wire.wants(Kind::ConversationUpdate).then(|| Box::new(Conversation::new(instructions)));
    let observer = Observer { name, watches: shared.watch.iter().cloned().chain(minutes).collect(), conversation };
    metrics::call_started(observer.name.transport);
    tracing::info!("a call was answered");
    for watch in &observer.watches {
        watch.answered(&observer.name);
    }
    wire.tell(Told::InProgress);
    if let Some(Created { assistant, .. }) = &created {
        wire.tell(Told::AssistantStarted { assistant });
    }

    let put = match &tenant.profile().vapi.dialling {
        // Boxed: most calls are answered here, and would have room for it in their task.
        Some(dialling) => Box::pin(put_through(dialling, wire, &started, &observer, &shared.drain)).await,
        None => Through::Alone(Vec::new()),
    };
    let (leave, history, report) = match put {
        Through::Over(leave, history) => {
            let duration = record.answered.duration_until(jiff::Timestamp::now()).unsigned_abs();
            (leave, history, CallReport { duration, ..CallReport::default() })
        }
        Through::Alone(mut history) => {
            // Who was put through and lost has talked for a while: it may be another day.
            let call = match history.is_empty() {
                true => call,
                false => Call::new(setup(tenant, wire, &started, true)).map_or(call, Box::new),
            };
            let (leave, ours, report) = talk(shared, tenant, wire, &started, call, &observer, &mut active).await;
            history.extend(ours);
            (leave, history, report)
        }
    };
    if let Some(to) = &leave.transfer {
        shared.transfers.put(clock::now(), &started.call, Pii::new(to.clone()));
    }
    wire.ended(reason(leave.ending));
    metrics::call_ended(leave.ending, &report);
    metrics::events_dropped(wire.socket.dropped());
    tracing::info!(
        ending = ending_name(leave.ending),
        seconds = report.duration.as_secs(),
        turns = report.turns.len(),
        "a call ended"
    );
    let report = CallReport { ending: Some(leave.ending), ..report };
    let end = CallEnd { at: jiff::Timestamp::now(), ending: leave.ending, history: Pii::new(history), report };
    let record = CallRecord { end: Some(end), ..record };
    for watch in &observer.watches {
        watch.ended(&record);
    }
    keep(tenant, record, Some(begun));
    wire.socket.close(leave.code, &leave.reason).await;
}

/// The shop's own receptionist and the caller.
async fn talk(
    shared: &Arc<Shared>,
    tenant: &Arc<Tenant>,
    wire: &mut Wire,
    started: &Started,
    call: Box<Call>,
    observer: &Observer,
    active: &mut Active,
) -> (Leave, Vec<Said>, CallReport) {
    let caller = Caller {
        call: Arc::clone(&observer.name.id),
        number: started.from.clone(),
        language: tenant.profile().call.language,
    };
    let streams = Streams::new(Arc::clone(tenant), caller.clone());
    let mut driver = Driver::new(call, wire, streams, observer, active);
    let goodbye_wait = Duration::from_secs(shared.settings.drain.goodbye_s);
    let left = AssertUnwindSafe(driver.run(&shared.drain, goodbye_wait, None)).catch_unwind().await;
    // A call that panicked may panic again when it is read.
    let read = std::panic::catch_unwind(AssertUnwindSafe(|| {
        (driver.call.history().cloned().collect::<Vec<_>>(), driver.call.report(clock::now()))
    }));
    let (history, report) = read.unwrap_or_default();
    metrics::stt_dropped(driver.streams.unheard());
    drop(driver);

    let leave = match left {
        Ok(leave) => leave,
        Err(_panic) => {
            metrics::panicked();
            tracing::error!("the call panicked: the caller hears an apology");
            // Boxed: room for a second driver would be part of every call's task.
            Box::pin(apologise(shared, tenant, wire, started, caller, observer, active)).await
        }
    };
    (leave, history, report)
}

/// A fresh call on the same line says that something broke, and ends.
async fn apologise(
    shared: &Arc<Shared>,
    tenant: &Arc<Tenant>,
    wire: &mut Wire,
    started: &Started,
    caller: Caller,
    observer: &Observer,
    active: &mut Active,
) -> Leave {
    wire.socket.cut(crate::call::Turn(u32::MAX));
    wire.clear();
    // Nobody hears of more events after this one; the caller still hears the apology.
    wire.ended(reason(Ending::Panicked));
    observer.over(Ending::Panicked);
    let unseen = Observer { name: observer.name.clone(), watches: Vec::new(), conversation: None };
    let text = caller.language.phrases().text("call.apology").to_owned();
    let say = Control::Say { text, now: true, interruptible: false, then_end: true };
    if let Ok(call) = Call::new(setup(tenant, wire, started, false)) {
        let mut driver = Driver::new(Box::new(call), wire, Streams::new(Arc::clone(tenant), caller), &unseen, active);
        let wait = Duration::from_secs(shared.settings.drain.goodbye_s);
        let said = AssertUnwindSafe(driver.run(&shared.drain, wait, Some(say))).catch_unwind();
        let _ = timeout(limits::APOLOGY_WAIT, said).await;
    }
    let (code, reason) = goodbye(Ending::Panicked);
    Leave { ending: Ending::Panicked, code, reason: reason.to_owned(), transfer: None }
}

fn setup(tenant: &Tenant, wire: &Wire, started: &Started, greets: bool) -> Setup {
    let profile = tenant.profile();
    let clock = jiff::Zoned::now().with_time_zone(profile.zone.clone());
    let hears = tenant.engines().stt.capabilities();
    Setup {
        line: wire.transport.line(),
        caller: started.from.clone(),
        settings: Arc::clone(&profile.call),
        instructions: Arc::clone(&profile.instructions),
        greeting: if greets { Arc::clone(&profile.greeting) } else { "".into() },
        tools: tenant.tools().specs(),
        stt_partials: hears.partials,
        stt_commits: hears.commits,
        voice: tenant.engines().tts.capabilities().rate,
        complete,
        clock,
    }
}

/// Keeps a record, after the one before. It is kept even if the process is told to stop meanwhile: a shutdown waits for
/// it as for a booking.
fn keep(tenant: &Tenant, record: CallRecord, before: Option<JoinHandle<()>>) -> JoinHandle<()> {
    let write = tenant.write();
    let tools = Arc::clone(tenant.tools());
    let keeping = async move {
        if let Some(before) = before {
            let _ = before.await;
        }
        if timeout(limits::RECORD_WAIT, tools.keep(record)).await.is_err() {
            tracing::error!("the record of a call was not kept in time");
        }
        drop(write);
    };
    tokio::spawn(keeping.in_current_span())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::gateway::streams::tests::{Fake, tenant};

    /// Regression: a store that had thousands of records to keep was given as long for one as a tool for an answer.
    #[tokio::test(start_paused = true)]
    async fn a_record_outwaits_a_store_that_is_busy_with_others() {
        let fake = Arc::new(Fake::that_keeps_for(Duration::from_secs(70)));
        let tenant = tenant(&fake);
        let record = CallRecord {
            id: "c1".into(),
            peer: None,
            tenant: tenant.id().clone(),
            transport: "vapi",
            caller: None,
            answered: jiff::Timestamp::UNIX_EPOCH,
            end: None,
        };
        let begun = keep(&tenant, record.clone(), None);
        keep(&tenant, record, Some(begun)).await.expect("no panic");
        assert_eq!(fake.kept.load(Ordering::SeqCst), 2);
    }
}
