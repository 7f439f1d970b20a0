//! Vapi's doors: [`platform`] in its place, for programs written for it; [`peer`] for assistants that live there; and
//! [`dialling`], where we call it. What a message says is the business of [`crate::vapi`].

pub(super) mod answering;
pub(super) mod created;
pub mod dialling;
mod ears;
mod listen;
pub(super) mod minutes;
mod peer;
mod platform;
pub(super) mod recordings;

use std::sync::Arc;

use hyper::{Method, Request, body::Incoming};

use self::platform::Asked;
use super::{
    Shared,
    accept::Connection,
    answer::Answer,
    route::{METHOD, NO_ROUTE},
};

/// Answers a request under `/vapi/{tenant}`.
pub(super) async fn route(
    shared: Arc<Shared>,
    request: Request<Incoming>,
    connection: Arc<Connection>,
    tenant: &str,
    parts: &[&str],
) -> Answer {
    let (get, post) = (request.method() == Method::GET, request.method() == Method::POST);
    match parts {
        ["call"] => platform::rest(shared, tenant, Asked::Calls, request).await,
        ["call", id] => platform::rest(shared, tenant, Asked::Call(id), request).await,
        ["call", id, artifact] if get => platform::rest(shared, tenant, Asked::Artifact(id, artifact), request).await,
        ["assistant"] => platform::rest(shared, tenant, Asked::Assistants, request).await,
        ["assistant", id] => platform::rest(shared, tenant, Asked::Assistant(id), request).await,
        [call, "transport"] if get => platform::transport(shared, request, connection, tenant, call),
        [call, "listen"] if get => platform::listener(shared, request, connection, tenant, call),
        [call, "control"] if post => platform::control(shared, request, tenant, call).await,
        [call, "recording"] if get => {
            recordings::serve(&shared, tenant, call, request.uri().query().unwrap_or("")).await
        }
        ["voice"] if post => peer::mouth(shared, tenant, request).await,
        ["transcriber"] if get => peer::ears(shared, tenant, request, connection),
        ["tools"] if post => peer::hands(shared, tenant, request).await,
        ["chat", "completions"] | ["chat", "completions", "chat", "completions"] if post => {
            peer::brain(shared, tenant, request).await
        }
        ["tools" | "voice" | "transcriber"] | ["chat", "completions", ..] => METHOD.answer(),
        _ => NO_ROUTE.answer(),
    }
}
