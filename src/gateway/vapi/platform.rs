//! In Vapi's place: its REST interface under `/vapi/{tenant}`, the WebSocket of a call that was created there, and the
//! address that controls it. What is kept is the [`Switchboard`](crate::vapi::Switchboard)'s affair.
//!
//! | request | what |
//! |---|---|
//! | `POST`, `GET /call` | create a call; list calls |
//! | `GET`, `PATCH`, `DELETE /call/{id}` | show, rename, end and forget one |
//! | `GET /call/{id}/mono-recording` (`stereo-`, `customer-`, `assistant-`) | 302 to its sound |
//! | `POST`, `GET /assistant` and `GET`, `PATCH`, `DELETE /assistant/{id}` | stored assistants |
//! | `GET /{call}/transport?t=` | the client's WebSocket |
//! | `POST /{call}/control?t=` | live control |
//! | `GET /{call}/listen?t=` | a WebSocket with both sides as stereo; `&channels=1`: mixed |
//! | `GET /{call}/recording?t=` | the sound of a call that is over, for [five minutes](super::recordings) |
//!
//! A refusal has Vapi's shape and words, because its official clients read them. Where a call is created it is never a 5xx,
//! which they would take for a reason to create it again; 503 says that the store could not be written to, and that asking
//! again does no harm.

use std::sync::Arc;

use hyper::{
    Method, Request, StatusCode,
    body::Incoming,
    header::{AUTHORIZATION, HOST, HeaderMap, HeaderValue, RETRY_AFTER},
};
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::mpsc;

use super::{
    answering,
    created::{self, Joining, Reached, new_id},
    listen, recordings,
};
use crate::{
    gateway::{
        Shared, Step,
        accept::Connection,
        answer::{Answer, Refused, typed},
        body,
        calls::Errand,
        driver, limits,
        metrics::{self, Refusal as Why},
        query,
        route::{bearer, find, text, upgradable, upgrade},
        session::{self, Arrival},
        tap::{PIECES_WAITING_MAX, Sides},
    },
    privacy::Pii,
    tenant::Tenant,
    transport::{Transport, VapiServer, vapi::parse_control},
    vapi::{
        assistant::{Assistant, Monitoring},
        call::{CallObject, CreateCall, DeleteCall, Kind, ListCalls, Refusal, Status, UpdateCall, Who},
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
    Artifact(&'a str, &'a str),
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
    rest.answer(&parts.method, asked, &pairs).await.unwrap_or_else(|refusal| refused(&refusal))
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
    async fn answer(&self, method: &Method, asked: Asked<'_>, pairs: &[(String, String)]) -> Result<Answer, Refusal> {
        let (board, org) = (self.tenant.switchboard(), self.tenant.id().as_str());
        let listed = || ListCalls::parse(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let ok = StatusCode::OK;
        Ok(match (asked, method.as_str()) {
            (Asked::Calls, "POST") => {
                let (call, warnings) = self.create().await?;
                said(StatusCode::CREATED, &Created { call, warnings })
            }
            (Asked::Calls, "GET") => said(ok, &board.list_calls(&listed()?)),
            (Asked::Call("web"), "POST") => {
                return Err(Refusal::new(400, "web calls need a room of Daily's: create a call for vapi.websocket"));
            }
            (Asked::Call(id), "GET") => said(ok, &self.presigned(board.call(id)?)),
            (Asked::Call(id), "PATCH") => said(ok, &board.update_call(id, UpdateCall::parse(self.body)?, self.now)?),
            (Asked::Call(id), "DELETE") => said(ok, &self.delete(id).await?),
            (Asked::Artifact(id, artifact), "GET") => self.recording(id, artifact).await?,
            (Asked::Assistants, "POST") => {
                let assistant = Assistant::parse(self.body)?;
                said(StatusCode::CREATED, &board.create_assistant(org, &new_id(), assistant, self.now).await?)
            }
            (Asked::Assistants, "GET") => said(ok, &board.list_assistants(org, &listed()?)),
            (Asked::Assistant(id), "GET") => said(ok, &board.assistant(org, id)?),
            (Asked::Assistant(id), "PATCH") => {
                said(ok, &board.update_assistant(org, id, &Assistant::parse(self.body)?, self.now).await?)
            }
            (Asked::Assistant(id), "DELETE") => said(ok, &board.delete_assistant(org, id).await?),
            (_, other) => return Err(Refusal::new(405, format!("Cannot {other} this address"))),
        })
    }

    /// Creates a call, if there is a line for it. Where it names nobody who answers, the tenant's server may be asked; a call
    /// that nobody answers then is created and over.
    async fn create(&self) -> Result<(CallObject, Vec<String>), Refusal> {
        let mut wanted = CreateCall::parse(self.body)?;
        if let Some(Who::Stored(id)) = &wanted.who {
            // What is wrong is told also when there is no line: trying again would not help.
            self.tenant.switchboard().assistant(self.tenant.id().as_str(), id)?;
        }
        if self.shared.drain.step() > Step::Accepting || !self.shared.pulse.admit() {
            return Err(Refusal::busy());
        }
        let profile = self.tenant.profile();
        let permit = self.tenant.admit().ok_or_else(|| Refusal::over_concurrency(profile.calls_max))?;
        let reached = Reached::at(base(self.tenant, self.headers));
        let mut nobody = None;
        if wanted.who.is_none() && profile.vapi.assistant_request {
            nobody = answering::name(self.tenant, &reached.id, &mut wanted, self.now).await.err();
        }
        let (call, warnings) =
            created::create(self.tenant, Kind::WebSocket, &reached, permit, wanted, Timestamp::now())?;
        let Some(why) = nobody else {
            created::expire_later(self.shared, self.tenant, reached.id);
            return Ok((call, warnings));
        };
        created::call_off(self.tenant, &reached.id, why);
        let over = self.tenant.switchboard().call(&reached.id)?;
        Ok((CallObject { subscription_limits: call.subscription_limits, ..over }, warnings))
    }

    /// The way to the sound of a call that is over. A call that is known no more may still have a recording.
    async fn recording(&self, id: &str, artifact: &str) -> Result<Answer, Refusal> {
        let over = self.tenant.switchboard().call(id).map(|call| call.status == Status::Ended);
        let there = match recordings::sides(artifact).filter(|_| !matches!(over, Ok(false))) {
            Some(sides) => self.shared.recordings.has(self.tenant, id).await.then_some(sides),
            None => None,
        };
        let Some(sides) = there else {
            return Err(over.err().unwrap_or_else(|| Refusal::not_found("Artifact")));
        };
        let (base, tenant) = (base(self.tenant, self.headers), self.tenant.id());
        let address = self.shared.recordings.address(&base, tenant, id, sides, self.now);
        recordings::redirected(&address).ok_or_else(|| Refusal::new(400, "the host of the request is no address"))
    }

    /// A call with addresses of its recordings that open by themselves.
    fn presigned(&self, mut call: CallObject) -> CallObject {
        if let Some(artifact) = call.artifact.take().map(Pii::into_inner) {
            let shown = if artifact.recording.is_some() {
                let (base, tenant) = (base(self.tenant, self.headers), self.tenant.id());
                artifact.presigned(self.shared.recordings.presigned(&base, tenant, &call.id, self.now))
            } else {
                artifact
            };
            call.artifact = Some(Pii::new(shown));
        }
        call
    }

    /// Forgets calls, and waits until the store has; one that is under way ends. Shows the one in the path.
    async fn delete(&self, id: &str) -> Result<CallObject, Refusal> {
        let board = self.tenant.switchboard();
        let ids = DeleteCall::parse(self.body)?.ids.unwrap_or_else(|| vec![id.to_owned()]);
        let (mut shown, mut stuck) = (None, false);
        for id in &ids {
            // First its sound: a call whose recording cannot be erased is not forgotten. Of a call that is known no more
            // there may be one, too.
            if self.shared.recordings.erase(self.tenant, id).await.is_err() {
                stuck = true;
                continue;
            }
            let call = match board.delete_call(id) {
                Ok(call) => call,
                Err(refusal) if refusal.status == 404 => continue,
                Err(refusal) => return Err(refusal),
            };
            if call.status == Status::InProgress {
                self.shared.calls.cancel(self.tenant.id(), id);
            }
            shown = shown.or(Some(call));
        }
        // Of those that are not here, too: they may have been deleted when the store could not be written to.
        board.erased(&ids).await?;
        if stuck {
            return Err(Refusal::unwritable("a recording could not be erased: its call stays, try again later"));
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
    let base = base(&tenant, request.headers());
    let Some(joining) = created::join(&shared, &tenant, Kind::WebSocket, call, guess, &base) else {
        return NO_CALL.answer();
    };
    let Joining { tenant, created, permit, recorder, from, format, clients } = joining;
    let arrival = Arrival {
        tenant,
        transport: Transport::Vapi(VapiServer::new(format, call).telling(clients)),
        trusted: true,
        permit,
        from,
        exclusive: true,
        created,
        recorder,
    };
    upgrade(request, connection, &key, move |socket| session::run(shared, socket, Box::new(arrival)))
}

/// What addresses begin with: as the tenant made it known, or as this request has reached us.
fn base(tenant: &Tenant, headers: &HeaderMap) -> String {
    let host = text(headers, HOST.as_str()).unwrap_or("localhost");
    let secure = text(headers, "x-forwarded-proto").is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
    let here = || format!("{}://{host}", if secure { "https" } else { "http" });
    tenant.profile().vapi.public_url.clone().unwrap_or_else(here)
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
        503 => Why::Busy,
        _ => Why::BadRequest,
    });
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
    let mut answer = typed(status, "application/json", refusal.body().to_string());
    if let Some(seconds) = refusal.retry_after_s {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer
}
