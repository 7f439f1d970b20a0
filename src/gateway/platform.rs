//! In Vapi's place: its REST interface under `/vapi/{tenant}`, the WebSocket of a call that was created there, and the
//! address that controls it. What is kept is the [`Switchboard`](crate::vapi::Switchboard)'s affair.
//!
//! | request | what |
//! |---|---|
//! | `POST`, `GET /call` | create a call; list calls |
//! | `GET`, `PATCH`, `DELETE /call/{id}` | show, rename, end and forget one |
//! | `POST`, `GET /assistant` and `GET`, `PATCH`, `DELETE /assistant/{id}` | stored assistants |
//! | `GET /{call}/transport?t=` | the client's WebSocket |
//! | `POST /{call}/control?t=` | live control |
//! | `GET /{call}/listen?t=` | a WebSocket with both sides as stereo; `&channels=1`: mixed |
//!
//! A refusal has Vapi's shape and words, because its official clients read them; it is never a 5xx, which they would take
//! for a reason to create the call again.

use std::sync::Arc;

use hyper::{
    Method, Request, StatusCode,
    body::Incoming,
    header::{AUTHORIZATION, HOST, HeaderMap, HeaderValue, RETRY_AFTER},
};
use jiff::Timestamp;
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::SecretString;
use serde::Serialize;
use tokio::{sync::mpsc, time::sleep};

use super::{
    Shared, Step,
    accept::Connection,
    answer::{Answer, Refused, typed},
    body,
    calls::Errand,
    clock, driver, limits,
    listen::{self, Sides},
    metrics::{self, Refusal as Why},
    minutes::MinuteTaker,
    query,
    route::{bearer, find, text, upgradable, upgrade},
    session::{self, Arrival},
    tap::PIECES_WAITING_MAX,
};
use crate::{
    call::Control,
    tenant::Tenant,
    transport::{Transport, VapiServer, vapi::parse_control},
    vapi::{
        assistant::{Assistant, Fitted, Monitoring, Shop},
        assistant_tools::AssistantTools,
        call::{CallObject, CreateCall, DeleteCall, ListCalls, Refusal, Status, UpdateCall},
        server_message::{Body, Envelope},
        switchboard::{Addresses, CONNECT_WAIT, Connecting, New},
        webhooks::Customer,
    },
};

const UNREADABLE: Refused = Refused {
    why: Why::BadRequest,
    field: "body",
    message: "the body is longer than 2 MiB, or broke off",
    fix: "send a smaller assistant",
};
const NO_CALL: Refused = Refused {
    why: Why::NoRoute,
    field: "call",
    message: "no such call, or it is over, or the address is not complete",
    fix: "use the address that was given out when the call was created, with its query, while the call lasts",
};
const NO_CONTROL: Refused = Refused {
    why: Why::BadRequest,
    field: "type",
    message: "this is nothing that can be asked of a call",
    fix: "send one of say, add-message, control, end-call, transfer as a JSON object",
};
const FLOODED: Refused = Refused {
    why: Why::Busy,
    field: "call",
    message: "too many controls wait for this call, or it has just ended",
    fix: "send them one after the other",
};

/// What is asked of the REST interface.
pub(super) enum Asked<'a> {
    /// `/call`
    Calls,
    /// `/call/{id}`
    Call(&'a str),
    /// `/call/{id}/{artifact}`
    Artifact(&'a str),
    /// `/assistant`
    Assistants,
    /// `/assistant/{id}`
    Assistant(&'a str),
}

/// Answers a request of the REST interface.
pub(super) async fn rest(shared: Arc<Shared>, tenant: &str, asked: Asked<'_>, request: Request<Incoming>) -> Answer {
    let known = find(&shared, tenant).ok();
    let guess = bearer(request.headers()).or_else(|| text(request.headers(), AUTHORIZATION.as_str())).unwrap_or("");
    // A tenant that does not exist takes as long as one that does, and is not told apart.
    let open = known.as_ref().map_or(&shared.nobody, |tenant| &tenant.profile().tokens).hold(guess);
    let Some(tenant) = known.filter(|_| open) else { return refused(&Refusal::unauthorised()) };
    let (parts, incoming) = request.into_parts();
    let body = match body::whole(incoming, limits::VAPI_BODY_MAX, UNREADABLE).await {
        Ok(body) => body,
        Err(refused) => return refused.answer(),
    };
    let Ok(body) = std::str::from_utf8(&body) else { return refused(&Refusal::new(400, "the body must be UTF-8")) };
    let rest = Rest { shared: &shared, tenant: &tenant, headers: &parts.headers, body, now: Timestamp::now() };
    let pairs = query::pairs(parts.uri.query().unwrap_or(""));
    rest.answer(&parts.method, asked, &pairs).unwrap_or_else(|refusal| refused(&refusal))
}

/// A call, and what of its assistant has no effect: clients that do not know the field pass over it.
#[derive(Serialize)]
struct Created {
    #[serde(flatten)]
    call: CallObject,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

/// One request, of somebody who may ask.
struct Rest<'a> {
    shared: &'a Arc<Shared>,
    tenant: &'a Arc<Tenant>,
    headers: &'a HeaderMap,
    body: &'a str,
    now: Timestamp,
}

impl Rest<'_> {
    fn answer(&self, method: &Method, asked: Asked<'_>, pairs: &[(String, String)]) -> Result<Answer, Refusal> {
        let (board, org) = (self.tenant.switchboard(), self.tenant.id().as_str());
        let listed = || ListCalls::parse(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let ok = StatusCode::OK;
        Ok(match (asked, method.as_str()) {
            (Asked::Calls, "POST") => {
                let (call, warnings) = self.create()?;
                said(StatusCode::CREATED, &Created { call, warnings })
            }
            (Asked::Calls, "GET") => said(ok, &board.list_calls(&listed()?)),
            (Asked::Call("web"), "POST") => {
                return Err(Refusal::new(400, "web calls need a room of Daily's: create a call for vapi.websocket"));
            }
            (Asked::Call(id), "GET") => said(ok, &board.call(id)?),
            (Asked::Call(id), "PATCH") => said(ok, &board.update_call(id, UpdateCall::parse(self.body)?, self.now)?),
            (Asked::Call(id), "DELETE") => said(ok, &self.delete(id)?),
            (Asked::Artifact(id), "GET") => {
                board.call(id)?;
                return Err(Refusal::not_found("Artifact"));
            }
            (Asked::Assistants, "POST") => {
                let assistant = Assistant::parse(self.body)?;
                said(StatusCode::CREATED, &board.create_assistant(org, &new_id(), assistant, self.now)?)
            }
            (Asked::Assistants, "GET") => said(ok, &board.list_assistants(org, &listed()?)),
            (Asked::Assistant(id), "GET") => said(ok, &board.assistant(org, id)?),
            (Asked::Assistant(id), "PATCH") => {
                said(ok, &board.update_assistant(org, id, &Assistant::parse(self.body)?, self.now)?)
            }
            (Asked::Assistant(id), "DELETE") => said(ok, &board.delete_assistant(org, id)?),
            (_, other) => return Err(Refusal::new(405, format!("Cannot {other} this address"))),
        })
    }

    /// Creates a call, if there is a line for it.
    fn create(&self) -> Result<(CallObject, Vec<String>), Refusal> {
        let wanted = CreateCall::parse(self.body)?;
        if self.shared.drain.step() > Step::Accepting || !self.shared.pulse.admit() {
            return Err(Refusal::busy());
        }
        let profile = self.tenant.profile();
        let permit = self.tenant.admit().ok_or_else(|| Refusal::over_concurrency(profile.calls_max))?;
        let (id, key) = (new_id(), new_key());
        let shop = Shop { call: &profile.call, greeting: &profile.greeting, instructions: &profile.instructions };
        let new = New {
            org: self.tenant.id().as_str(),
            id: id.clone(),
            permit,
            addresses: self.addresses(&id, &key),
            key: SecretString::from(key),
            now: self.now.to_zoned(profile.zone.clone()),
            lines: (profile.calls_max, self.tenant.calls()),
        };
        let created = self.tenant.switchboard().create_call(wanted, &shop, new)?;
        self.expire_later(id);
        Ok(created)
    }

    /// Whoever does not connect in time leaves the line to others.
    fn expire_later(&self, id: String) {
        let (shared, board) = (Arc::clone(self.shared), Arc::clone(self.tenant.switchboard()));
        tokio::spawn(async move {
            tokio::select! {
                () = sleep(CONNECT_WAIT) => {}
                () = shared.drain.reached(Step::Telling) => {}
            }
            board.expire(&id, Timestamp::now());
        });
    }

    /// Where a call is reached: at the address that the tenant made known, or as this request has reached us.
    fn addresses(&self, id: &str, key: &str) -> Addresses {
        let host = text(self.headers, HOST.as_str()).unwrap_or("localhost");
        let secure = text(self.headers, "x-forwarded-proto").is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
        let here = || format!("{}://{host}", if secure { "https" } else { "http" });
        let http = self.tenant.profile().vapi.public_url.clone().unwrap_or_else(here);
        let ws = http.replacen("http", "ws", 1);
        let path = |door: &str| format!("/vapi/{}/{id}/{door}?t={key}", self.tenant.id());
        Addresses {
            transport: format!("{ws}{}", path("transport")),
            listen: format!("{ws}{}", path("listen")),
            control: format!("{http}{}", path("control")),
        }
    }

    /// Forgets calls; one that is under way ends. Shows the one in the path.
    fn delete(&self, id: &str) -> Result<CallObject, Refusal> {
        let board = self.tenant.switchboard();
        let ids = DeleteCall::parse(self.body)?.ids.unwrap_or_else(|| vec![id.to_owned()]);
        let mut shown = None;
        for id in &ids {
            let Ok(call) = board.delete_call(id) else { continue };
            if call.status == Status::InProgress {
                self.shared.calls.tell(self.tenant.id(), id, Errand::Control(Control::End));
            }
            shown = shown.or(Some(call));
        }
        shown.ok_or_else(|| Refusal::not_found("Call"))
    }
}

/// The client of a call that was created.
pub(super) fn transport(
    shared: Arc<Shared>,
    request: Request<Incoming>,
    connection: Arc<Connection>,
    tenant: &str,
    call: &str,
) -> Answer {
    let pairs = query::pairs(request.uri().query().unwrap_or(""));
    let Ok(tenant) = find(&shared, tenant) else { return NO_CALL.answer() };
    let key = match upgradable(&request) {
        Ok(key) => key,
        Err(refused) => return refused.answer(),
    };
    let guess = query::value(&pairs, "t").unwrap_or("");
    let Some(connecting) = tenant.switchboard().connect(call, guess, Timestamp::now()) else { return NO_CALL.answer() };
    let (fitted, format, permit, from) = match connecting {
        Connecting::First { fitted, permit, format, number } => (fitted, format, Some(permit), number),
        Connecting::Again { format, fitted } => (fitted, format, None, None),
    };
    let customer = customer(&tenant, call, &fitted);
    let hand = {
        let (shared, id, call) = (Arc::clone(&shared), tenant.id().clone(), call.to_owned());
        Arc::new(move |control| {
            shared.calls.tell(&id, &call, Errand::Control(control));
        })
    };
    let tools = AssistantTools::new(fitted.tools.clone(), customer.clone(), Arc::clone(tenant.tools()), hand);
    let minutes = permit.is_some().then(|| MinuteTaker::new(&tenant, call, &fitted, customer));
    let (greeting, instructions) = (Arc::clone(&fitted.greeting), Arc::clone(&fitted.instructions));
    let arrival = Arrival {
        tenant: Arc::new(tenant.for_call(fitted.call.clone(), greeting, instructions, Arc::new(tools))),
        transport: Transport::Vapi(VapiServer::new(format, call).telling(fitted.clients)),
        trusted: true,
        permit,
        from,
        exclusive: true,
        created: minutes.map(|minutes| Arc::new(minutes) as _),
    };
    upgrade(request, connection, &key, move |socket| session::run(shared, socket, arrival))
}

/// The way to the server of a call's customer. Every message says how the call stands.
fn customer(tenant: &Arc<Tenant>, call: &str, fitted: &Fitted) -> Customer {
    let (board, id) = (Arc::clone(tenant.switchboard()), call.to_owned());
    let wrap = move |body: &Body<'_>| {
        let call = board.call(&id).ok();
        let customer = call.as_ref().and_then(|call| call.customer.as_ref());
        let assistant = call.as_ref().and_then(|call| call.assistant.as_ref());
        let (call, timestamp) = (call.as_ref(), clock::epoch_ms());
        Envelope { timestamp, call, assistant, customer, ..Envelope::default() }.write(body)
    };
    Customer::new(Arc::clone(tenant), call, fitted.server.clone(), fitted.servers, Arc::new(wrap))
}

/// Somebody who listens to a call under way.
pub(super) fn listener(
    shared: Arc<Shared>,
    request: Request<Incoming>,
    connection: Arc<Connection>,
    tenant: &str,
    call: &str,
) -> Answer {
    let may = |monitoring: Monitoring| (monitoring.listen, monitoring.listen_authenticated);
    let tenant = match monitored(&shared, &request, tenant, call, may) {
        Ok(tenant) => tenant,
        Err(answer) => return *answer,
    };
    let key = match upgradable(&request) {
        Ok(key) => key,
        Err(refused) => return refused.answer(),
    };
    let pairs = query::pairs(request.uri().query().unwrap_or(""));
    let sides = if query::value(&pairs, "channels") == Some("1") { Sides::Mixed } else { Sides::Apart };
    let (sender, heard) = mpsc::channel(PIECES_WAITING_MAX);
    if !shared.calls.tell(tenant.id(), call, Errand::Listen(sender)) {
        return FLOODED.answer();
    }
    upgrade(request, connection, &key, move |socket| listen::run(shared, socket, heard, sides))
}

/// The tenant of a call under way, for who has its address, and a key where the assistant wants one.
fn monitored(
    shared: &Shared,
    request: &Request<Incoming>,
    tenant: &str,
    call: &str,
    may: impl FnOnce(Monitoring) -> (bool, bool),
) -> Result<Arc<Tenant>, Box<Answer>> {
    let pairs = query::pairs(request.uri().query().unwrap_or(""));
    let tenant = find(shared, tenant).map_err(|_| Box::new(NO_CALL.answer()))?;
    let open = query::value(&pairs, "t").and_then(|guess| tenant.switchboard().monitored(call, guess));
    let (allowed, authenticated) = open.map_or((false, false), |fitted| may(fitted.monitoring));
    if !allowed {
        return Err(Box::new(NO_CALL.answer()));
    }
    if authenticated && !bearer(request.headers()).is_some_and(|guess| tenant.profile().tokens.hold(guess)) {
        return Err(Box::new(refused(&Refusal::unauthorised())));
    }
    Ok(tenant)
}

/// Live control of a call under way.
pub(super) async fn control(shared: Arc<Shared>, request: Request<Incoming>, tenant: &str, call: &str) -> Answer {
    let may = |monitoring: Monitoring| (monitoring.control, monitoring.control_authenticated);
    let tenant = match monitored(&shared, &request, tenant, call, may) {
        Ok(tenant) => tenant,
        Err(answer) => return *answer,
    };
    let body = match body::whole(request.into_body(), crate::transport::TEXT_BYTES_MAX, UNREADABLE).await {
        Ok(body) => body,
        Err(refused) => return refused.answer(),
    };
    let Some(control) = std::str::from_utf8(&body).ok().and_then(|json| parse_control(json).ok()) else {
        return NO_CONTROL.answer();
    };
    if shared.calls.tell(tenant.id(), call, Errand::Control(driver::control(control))) {
        typed(StatusCode::OK, "application/json", "{}".to_owned())
    } else {
        FLOODED.answer()
    }
}

fn said(status: StatusCode, what: &impl Serialize) -> Answer {
    match serde_json::to_string(what) {
        Ok(body) => typed(status, "application/json", body),
        Err(_) => refused(&Refusal::new(400, "what was stored cannot be shown")),
    }
}

fn refused(refusal: &Refusal) -> Answer {
    metrics::refused(match refusal.status {
        401 => Why::Unauthorised,
        404 => Why::NoRoute,
        429 => Why::Full,
        _ => Why::BadRequest,
    });
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
    let mut answer = typed(status, "application/json", refusal.body().to_string());
    if let Some(seconds) = refusal.retry_after_s {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer
}

fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// 128 bits that nobody guesses: whoever has the address may come in.
fn new_key() -> String {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).expect("the system has randomness");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
