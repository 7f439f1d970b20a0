//! The requests of assistants that live at Vapi: who sends them, and what is read and answered over HTTP. What is done is
//! the business of [`vapi`](crate::vapi).

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream, stream::BoxStream};
use hyper::{Request, StatusCode, body::Incoming, header::HeaderMap};

use super::{
    Shared,
    answer::{Answer, Refused, streamed, typed},
    body, clock, limits,
    metrics::{self, Engine, Refusal},
    route::{TOKEN, find, text},
    streams::complain,
};
use crate::{
    tenant::Tenant,
    vapi::{
        auth::Knock,
        brain::{self, Part},
        chunks::{self, Finish, PlatformCall},
        hands::{self, Now},
        question::{self, END_CALL, TRANSFER_CALL},
        tool_calls::{self, Matter},
    },
};

const UNREADABLE: Refused = Refused {
    why: Refusal::BadRequest,
    field: "body",
    message: "the body is longer than 2 MiB, or broke off",
    fix: "send less of the conversation's artifacts",
};
const UNSIGNED: Refused = Refused {
    why: Refusal::Unauthorised,
    field: "vapi.hmac",
    message: "the signature is wrong, stale or was used before",
    fix: "check that vapi.hmac in the tenant's settings has the fields of the credential at Vapi, and both clocks",
};
const NO_MESSAGE: Refused = Refused {
    why: Refusal::BadRequest,
    field: "message",
    message: "this is no server message of Vapi's",
    fix: "send JSON: {\"message\":{\"type\":\"tool-calls\",...}}",
};
const NO_QUESTION: Refused = Refused {
    why: Refusal::BadRequest,
    field: "messages",
    message: "this is no request for a chat completion",
    fix: "send JSON with a list of messages",
};

/// The header in which Vapi says the id of the call as well.
const CALL_HEADER: &str = "x-call-id";

/// A server message: runs the tools it asks for. Every other message is answered with nothing.
pub(super) async fn hands(shared: Arc<Shared>, tenant: &str, request: Request<Incoming>) -> Answer {
    let (tenant, headers, body) = match let_in(&shared, tenant, request).await {
        Ok(entered) => entered,
        Err(refused) => return refused.answer(),
    };
    let Ok(mut message) = tool_calls::read(&body) else { return NO_MESSAGE.answer() };
    if message.call.is_none() {
        message.call = text(&headers, CALL_HEADER).filter(|id| id.len() <= tool_calls::ID_MAX).map(Box::from);
    }
    if let Matter::Other(kind) = &message.matter {
        metrics::ignored("server message that is not about tools");
        tracing::debug!(%kind, "a server message that is not about tools");
    }
    let answer = hands::answer(&tenant, message, now(&tenant)).await;
    typed(StatusCode::OK, "application/json", answer.unwrap_or_else(|| "{}".to_owned()))
}

/// A question to the model.
pub(super) async fn brain(shared: Arc<Shared>, tenant: &str, request: Request<Incoming>) -> Answer {
    let (tenant, _, body) = match let_in(&shared, tenant, request).await {
        Ok(entered) => entered,
        Err(refused) => return refused.answer(),
    };
    let Ok(question) = question::read(&body) else { return NO_QUESTION.answer() };
    let id = uuid::Uuid::now_v7();
    let answer = chunks::Answer {
        id: format!("chatcmpl-{id}"),
        created_s: clock::epoch_ms() / 1_000,
        model: question.model.clone(),
    };
    let stream = question.stream;
    let parts = brain::answer(&tenant, question, now(&tenant)).filter_map(move |part| {
        let part = counted(part, id);
        async move { part }
    });
    // A shutdown waits for an answer under way as for a call.
    let under_way = shared.calls.begin(tenant.id(), None);
    if stream {
        let pieces = written(answer, parts.boxed()).inspect(move |_| {
            let _ = &under_way;
        });
        return streamed("text/event-stream", pieces.boxed());
    }
    let mut parts = parts.boxed();
    let (mut words, mut call) = (String::new(), None);
    while let Some(part) = parts.next().await {
        match part {
            Written::Words(text) => words.push_str(&text),
            Written::Call(last) => call = Some(last),
        }
    }
    drop(under_way);
    typed(StatusCode::OK, "application/json", answer.whole(&words, call.as_ref()))
}

/// What goes on the wire.
enum Written {
    Words(String),
    Call(PlatformCall),
}

/// What of a part goes on the wire; failures are counted and stay here.
fn counted(part: Part, id: uuid::Uuid) -> Option<Written> {
    let call = |name, arguments| Written::Call(PlatformCall { id: format!("call_{}", id.simple()), name, arguments });
    match part {
        Part::Words(text) => Some(Written::Words(text)),
        Part::End => Some(call(END_CALL, "{}".to_owned())),
        Part::Transfer(to) => Some(call(TRANSFER_CALL, serde_json::json!({ "destination": to }).to_string())),
        Part::Failed(error) => {
            complain(Engine::Llm, &error);
            None
        }
        Part::Panicked => {
            metrics::panicked();
            tracing::error!("an answer panicked: the caller hears an apology");
            None
        }
    }
}

/// The answer as server-sent events: who speaks at once, the words as they come, and an end whatever came before.
fn written(
    answer: chunks::Answer,
    parts: BoxStream<'static, Written>,
) -> impl futures_util::Stream<Item = String> + Send {
    let first = answer.role();
    let rest = stream::unfold(Some((answer, parts, Finish::Stop)), |state| async move {
        let (answer, mut parts, finish) = state?;
        Some(match parts.next().await {
            Some(Written::Words(text)) => (answer.words(&text), Some((answer, parts, finish))),
            Some(Written::Call(call)) => (answer.call(&call), Some((answer, parts, Finish::ToolCalls))),
            None => (answer.finish(finish), None),
        })
    });
    stream::iter([first]).chain(rest)
}

/// Reads a request of somebody who may come in.
async fn let_in(
    shared: &Shared,
    tenant: &str,
    request: Request<Incoming>,
) -> Result<(Arc<Tenant>, HeaderMap, Bytes), Refused> {
    let (parts, incoming) = request.into_parts();
    let header = |name: &str| text(&parts.headers, name);
    let known = find(shared, tenant);
    let knock = match &known {
        Ok(tenant) => tenant.profile().vapi.door.knock(&tenant.profile().tokens, header),
        // A tenant that does not exist takes as long as one that does.
        Err(_) => crate::vapi::auth::Door::default().knock(&shared.nobody, header),
    };
    let tenant = known?;
    if knock == Knock::Shut {
        return Err(TOKEN);
    }
    let body = body::whole(incoming, limits::VAPI_BODY_MAX, UNREADABLE).await?;
    if knock == Knock::Signed {
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let now_s = clock::epoch_ms() / 1_000;
        let checked = tenant.profile().vapi.door.check(now_s, parts.method.as_str(), path, &body, header);
        if let Err(error) = checked {
            tracing::debug!(tenant = %tenant.id(), %error, "a signature does not hold");
            return Err(UNSIGNED);
        }
    }
    Ok((tenant, parts.headers, body))
}

fn now(tenant: &Tenant) -> Now {
    let zoned = jiff::Zoned::now().with_time_zone(tenant.profile().zone.clone());
    Now { instant: clock::now(), zoned }
}
