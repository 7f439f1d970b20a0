//! Which request is what: health, metrics, and the streams of the tenants.
//!
//! | request | what |
//! |---|---|
//! | `GET /healthz` | the process lives; says where a shutdown stands |
//! | `GET /readyz` | it takes calls |
//! | `GET /metrics` | for Prometheus |
//! | `GET /v1/stream/{tenant}` | a call in Vapi's dialect; `?format=`, `?rate=`, `?from=`, bearer token or `?token=` |
//! | `GET /v1/stream/{tenant}/{call}/transport` | the same, with the peer's id of the call; within ten seconds of a break it goes on |
//! | `GET /twilio/{tenant}` | a Twilio media stream |
//! | `POST /twilio/{tenant}/voice` | Twilio's webhook for a call: answers which stream to open |
//! | `POST /twilio/{tenant}/after` | Twilio asks what to do when the stream has ended |
//! | `/vapi/{tenant}/call`, `/vapi/{tenant}/assistant` and below | [Vapi's REST interface](super::platform), with us as the platform |
//! | `POST /vapi/{tenant}/chat/completions` | the custom LLM of an assistant at Vapi; the path may stand there twice |
//! | `POST /vapi/{tenant}/tools` | the server messages of an assistant at Vapi: our tools for it |
//! | `GET /vapi/{tenant}/transcriber` | the custom transcriber of an assistant at Vapi: a WebSocket |
//! | `POST /vapi/{tenant}/voice` | the custom voice of an assistant at Vapi |

use std::sync::Arc;

use http_body_util::{Either, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{
        AUTHORIZATION, CONNECTION, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
        SEC_WEBSOCKET_VERSION, UPGRADE,
    },
    upgrade::Parts,
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{handshake::derive_accept_key, protocol::Role},
};

use super::{
    Shared,
    accept::Connection,
    answer::{Answer, Refused, json, typed},
    clock,
    drain::Step,
    limits,
    metrics::Refusal,
    query,
    session::{self, Arrival},
    socket::Socket,
    stall::Watched,
    twilio, vapi,
};
use crate::{
    privacy::Pii,
    tenant::{Tenant, TenantId},
    transport::{
        Transport, TwilioServer, VapiServer,
        twilio_signature::{SETTINGS_HEADER, SIGNATURE_HEADER},
        vapi::parse_format_pairs,
    },
};

pub(super) const NO_ROUTE: Refused = Refused {
    why: Refusal::NoRoute,
    field: "path",
    message: "nothing is here",
    fix: "calls come in at /v1/stream/{tenant} and /twilio/{tenant}, requests of Vapi at /vapi/{tenant}",
};
pub(super) const METHOD: Refused = Refused {
    why: Refusal::BadRequest,
    field: "method",
    message: "this path does not take this method",
    fix: "streams are opened with GET, webhooks sent with POST",
};
const NO_TENANT: Refused = Refused {
    why: Refusal::NoTenant,
    field: "tenant",
    message: "no such tenant",
    fix: "use the id that stands in the tenant's settings file",
};
pub(super) const TOKEN: Refused = Refused {
    why: Refusal::Unauthorised,
    field: "authorization",
    message: "token missing or wrong",
    fix: "send the header `Authorization: Bearer <token>`, or `?token=<token>`, with the token of the tenant's settings",
};
const SIGNATURE: Refused = Refused {
    why: Refusal::Unauthorised,
    field: "x-twilio-signature",
    message: "signature missing or wrong",
    fix: "check twilio.auth_token and twilio.public_url in the tenant's settings: scheme, host and path are signed",
};
pub(super) const FULL: Refused = Refused {
    why: Refusal::Full,
    field: "tenant",
    message: "all lines of this tenant are taken",
    fix: "try again later, or raise limits.calls_max in the tenant's settings",
};
pub(super) const BUSY: Refused = Refused {
    why: Refusal::Busy,
    field: "gateway",
    message: "the gateway is busy: one more call would spoil those under way",
    fix: "try again in a few seconds, or give it more processors",
};
pub(super) const DRAINING: Refused = Refused {
    why: Refusal::Draining,
    field: "gateway",
    message: "the gateway is shutting down",
    fix: "try again: another one answers",
};
const FORMAT: Refused = Refused {
    why: Refusal::BadRequest,
    field: "format",
    message: "this audio format is not supported",
    fix: "format is pcm_s16le or mulaw, rate a whole number from 8000 to 48000",
};
const NOT_UPGRADE: Refused = Refused {
    why: Refusal::BadRequest,
    field: "upgrade",
    message: "this path takes WebSocket connections only",
    fix: "send Upgrade: websocket, Connection: Upgrade, Sec-WebSocket-Version: 13 and a Sec-WebSocket-Key",
};
const NO_TWILIO: Refused = Refused {
    why: Refusal::NoRoute,
    field: "twilio",
    message: "this tenant does not take calls from Twilio's webhook",
    fix: "add [twilio] with auth_token and public_url to the tenant's settings",
};

/// Answers one request.
pub(super) async fn route(shared: Arc<Shared>, request: Request<Incoming>, connection: Arc<Connection>) -> Answer {
    let path = request.uri().path().to_owned();
    let parts: Vec<_> = path.split('/').skip(1).collect();
    let (get, post) = (request.method() == Method::GET, request.method() == Method::POST);
    match parts.as_slice() {
        ["healthz"] => health(&shared),
        ["readyz"] => ready(&shared),
        ["metrics"] => measured(&shared),
        ["v1", "stream", tenant] if get => stream(shared, request, connection, tenant, None),
        ["v1", "stream", tenant, call, "transport"] if get => stream(shared, request, connection, tenant, Some(call)),
        ["twilio", tenant] if get => media(shared, request, connection, tenant),
        ["twilio", tenant, hook @ ("voice" | "after")] if post => {
            let tenant = match find(&shared, tenant) {
                Ok(tenant) => tenant,
                Err(refused) => return refused.answer(),
            };
            match &tenant.profile().twilio {
                Some(account) => twilio::hook(&shared, &tenant, account, hook, request).await,
                None => NO_TWILIO.answer(),
            }
        }
        ["vapi", tenant, parts @ ..] => vapi::route(shared, request, connection, tenant, parts).await,
        ["v1", "stream", ..] | ["twilio", ..] if parts.len() < 4 => METHOD.answer(),
        _ => NO_ROUTE.answer(),
    }
}

/// The process lives, whatever it is doing.
fn health(shared: &Shared) -> Answer {
    let body = serde_json::json!({
        "status": "ok",
        "step": shared.drain.step(),
        "version": env!("CARGO_PKG_VERSION"),
        "calls": shared.calls.active(),
        "tenants": shared.directory.len(),
    });
    json(StatusCode::OK, &body)
}

/// It takes calls: there is a tenant, and no shutdown.
fn ready(shared: &Shared) -> Answer {
    let step = shared.drain.step();
    let why = match (step, shared.directory.is_empty()) {
        (Step::Accepting, false) => None,
        (Step::Accepting, true) => Some("no tenant: add a file to the tenants' folder"),
        _ => Some("shutting down"),
    };
    let status = if why.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(status, &serde_json::json!({ "ready": why.is_none(), "step": step, "why": why }))
}

fn measured(shared: &Shared) -> Answer {
    match &shared.exposition {
        Some(exposition) => typed(StatusCode::OK, "text/plain; version=0.0.4", exposition()),
        None => NO_ROUTE.answer(),
    }
}

/// A call in Vapi's dialect.
fn stream(
    shared: Arc<Shared>,
    request: Request<Incoming>,
    connection: Arc<Connection>,
    tenant: &str,
    call: Option<&str>,
) -> Answer {
    let pairs = query::pairs(request.uri().query().unwrap_or(""));
    let known = find(&shared, tenant);
    let guess = bearer(request.headers()).or_else(|| query::value(&pairs, "token")).unwrap_or("");
    // A tenant that does not exist takes as long as one that does.
    let open = known.as_ref().map_or(&shared.nobody, |tenant| &tenant.profile().tokens).hold(guess);
    let tenant = match known {
        Err(refused) => return refused.answer(),
        Ok(_) if !open => return TOKEN.answer(),
        Ok(tenant) => tenant,
    };
    let named = pairs.iter().map(|(name, value)| match name.as_str() {
        "rate" => ("sampleRate", value.as_str()),
        name => (name, value.as_str()),
    });
    let Ok(format) = parse_format_pairs(named) else { return FORMAT.answer() };
    let key = match upgradable(&request) {
        Ok(key) => key,
        Err(refused) => return refused.answer(),
    };
    if shared.drain.step() > Step::Accepting {
        return DRAINING.answer();
    }
    // Who comes back to a call has a line of it already.
    let back = call.is_some_and(|call| shared.calls.is_lost(tenant.id(), call));
    if !back && !shared.pulse.admit() {
        return BUSY.answer();
    }
    let permit = if back { None } else { tenant.admit() };
    if permit.is_none() && !back {
        return FULL.answer();
    }
    let id = call.map_or_else(|| uuid::Uuid::now_v7().to_string(), ToOwned::to_owned);
    let arrival = Arrival {
        tenant,
        transport: Transport::Vapi(VapiServer::new(format, id)),
        trusted: true,
        permit,
        from: query::value(&pairs, "from").and_then(number),
        exclusive: call.is_some(),
        created: None,
        recorder: None,
    };
    upgrade(request, connection, &key, move |socket| session::run(shared, socket, Box::new(arrival)))
}

/// A Twilio media stream. Who it is may be told by the upgrade's signature, a bearer token, or inside the stream.
fn media(shared: Arc<Shared>, request: Request<Incoming>, connection: Arc<Connection>, tenant: &str) -> Answer {
    let tenant = match find(&shared, tenant) {
        Ok(tenant) => tenant,
        Err(refused) => return refused.answer(),
    };
    let mut trusted = false;
    if let (Some(account), Some(signature)) = (&tenant.profile().twilio, text(request.headers(), SIGNATURE_HEADER)) {
        let settings = text(request.headers(), SETTINGS_HEADER);
        if !account.signed_stream(request.uri(), signature, settings) {
            return SIGNATURE.answer();
        }
        trusted = true;
    }
    if let Some(guess) = bearer(request.headers()) {
        if !tenant.profile().tokens.hold(guess) {
            return TOKEN.answer();
        }
        trusted = true;
    }
    let key = match upgradable(&request) {
        Ok(key) => key,
        Err(refused) => return refused.answer(),
    };
    if shared.drain.step() > Step::Accepting {
        return DRAINING.answer();
    }
    if !shared.pulse.admit() {
        return BUSY.answer();
    }
    // A stranger takes no place before the stream has said who it is. A call that rang while it was decided who answers has
    // one already, and says so in the stream, too.
    let early = trusted && !tenant.profile().vapi.assistant_request;
    let permit = if early { tenant.admit() } else { None };
    if early && permit.is_none() {
        return FULL.answer();
    }
    let transport = Transport::Twilio(TwilioServer::new());
    let arrival =
        Arrival { tenant, transport, trusted, permit, from: None, exclusive: true, created: None, recorder: None };
    upgrade(request, connection, &key, move |socket| session::run(shared, socket, Box::new(arrival)))
}

pub(super) fn find(shared: &Shared, id: &str) -> Result<Arc<Tenant>, Refused> {
    TenantId::new(id).ok().and_then(|id| shared.directory.get(&id)).ok_or(NO_TENANT)
}

/// Checks what hyper does not: the request is a WebSocket's. Answers its key.
pub(super) fn upgradable(request: &Request<Incoming>) -> Result<HeaderValue, Refused> {
    let headers = request.headers();
    let lists = |name, word: &str| {
        text(headers, name).is_some_and(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(word)))
    };
    let websocket = lists(UPGRADE.as_str(), "websocket") && lists(CONNECTION.as_str(), "upgrade");
    let version = text(headers, SEC_WEBSOCKET_VERSION.as_str()) == Some("13");
    match headers.get(SEC_WEBSOCKET_KEY) {
        Some(key) if websocket && version && key.len() == 24 => Ok(key.clone()),
        _ => Err(NOT_UPGRADE),
    }
}

/// Answers 101 and hands the bare socket to whoever runs it. Compression is never agreed to: audio does not compress.
pub(super) fn upgrade<F: Future<Output = ()> + Send>(
    mut request: Request<Incoming>,
    connection: Arc<Connection>,
    key: &HeaderValue,
    run: impl FnOnce(Socket<TcpStream>) -> F + Send + 'static,
) -> Answer {
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgraded.await else { return };
        let Ok(parts) = upgraded.downcast::<TokioIo<Watched<TcpStream>>>() else { return };
        // Taken apart: the buffer it was read into is 8 KiB, and would live as long as the call.
        let Parts { io, read_buf, .. } = parts;
        let (tcp, early) = (io.into_inner().into_inner(), read_buf.to_vec());
        drop(read_buf);
        let wire = WebSocketStream::from_partially_read(tcp, early, Role::Server, Some(limits::websocket())).await;
        run(Socket::new(wire, clock::now())).await;
        drop(connection);
    });
    let mut answer = Response::new(Either::Left(Full::default()));
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    let accept = derive_accept_key(key.as_bytes());
    if let Ok(accept) = HeaderValue::from_str(&accept) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    answer
}

/// The token of an `Authorization: Bearer` header.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = text(headers, AUTHORIZATION.as_str())?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// A caller's number from an address. A `+` that was not escaped has become a space.
fn number(text: &str) -> Option<Pii<String>> {
    let text = text.strip_prefix(' ').map_or_else(|| text.to_owned(), |rest| format!("+{rest}"));
    let fits = !text.is_empty() && text.len() <= 64;
    fits.then(|| Pii::new(text))
}
