//! The requests of assistants that live at Vapi: who sends them, and what is read and answered over HTTP. What is done is
//! the business of [`vapi`](crate::vapi); the connection of a transcriber, once it is open, that of [`ears`](super::ears).

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream, stream::BoxStream};
use hyper::{Request, StatusCode, body::Incoming, header::HeaderMap};

use super::ears;
use crate::{
    gateway::{
        Shared,
        accept::Connection,
        answer::{Answer, Refused, streamed, typed},
        body, clock,
        drain::Step,
        limits,
        metrics::{self, Engine, Refusal},
        route::{BUSY, DRAINING, FULL, TOKEN, find, text, upgradable, upgrade},
        streams::complain,
    },
    providers::{Kind, ProviderError},
    tenant::Tenant,
    vapi::{
        auth::Knock,
        peer::{
            brain::{self, Part},
            chunks::{self, Finish, PlatformCall},
            hands::{self, Now},
            mouth::{self, Piece},
            question::{self, END_CALL, TRANSFER_CALL},
            tool_calls::{self, Matter},
            voice_request::{self, NoVoiceRequest},
        },
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

/// The type of raw samples.
const PCM: &str = "application/octet-stream";

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
        let pieces = written(answer, parts.boxed()).map(Bytes::from).inspect(move |_| {
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

/// A text to be spoken: raw samples, as the voice gives them.
pub(super) async fn mouth(shared: Arc<Shared>, tenant: &str, request: Request<Incoming>) -> Answer {
    let (tenant, _, body) = match let_in(&shared, tenant, request).await {
        Ok(entered) => entered,
        Err(refused) => return refused.answer(),
    };
    let request = match voice_request::read(&body) {
        Ok(request) => request,
        Err(error) => return unspeakable(error).answer(),
    };
    // A shutdown waits for what is being spoken as for a call.
    let under_way = shared.calls.begin(tenant.id(), None);
    let mut pieces = mouth::speak(&tenant, request);
    let first = match pieces.next().await {
        Some(Piece::Sound(first)) => first,
        Some(Piece::Failed(error)) => {
            complain(Engine::Tts, &error);
            return mute(&error).answer();
        }
        Some(Piece::Panicked) => {
            mouth_panicked();
            return MUTE.answer();
        }
        // There is nothing to say.
        None => return streamed(PCM, stream::empty().boxed()),
    };
    let rest = pieces.filter_map(move |piece| {
        let _ = &under_way;
        let sound = match piece {
            Piece::Sound(sound) => Some(sound),
            // Too late for a refusal: what was heard stays, and the rest is missing.
            Piece::Failed(error) => {
                complain(Engine::Tts, &error);
                None
            }
            Piece::Panicked => {
                mouth_panicked();
                None
            }
        };
        async move { sound }
    });
    streamed(PCM, stream::iter([first]).chain(rest).boxed())
}

fn mouth_panicked() {
    metrics::panicked();
    tracing::error!("a voice panicked: the platform falls back on another");
}

/// What cannot be spoken, and how to mend it.
const fn unspeakable(error: NoVoiceRequest) -> Refused {
    let (field, message, fix) = match error {
        NoVoiceRequest::Json | NoVoiceRequest::Type => (
            "message",
            "this is no voice request of Vapi's",
            "send JSON: {\"message\":{\"type\":\"voice-request\",\"text\":...,\"sampleRate\":...}}",
        ),
        NoVoiceRequest::Text => ("message.text", "the text is missing or no string", "send the words as a string"),
        NoVoiceRequest::TooLong => {
            ("message.text", "the text is too long", "send at most 4000 characters: set a chunkPlan for the voice")
        }
        NoVoiceRequest::Rate => (
            "message.sampleRate",
            "the rate is missing or none of those we speak at",
            "ask for 8000, 16000, 22050, 24000 or 44100",
        ),
    };
    Refused { why: Refusal::BadRequest, field, message, fix }
}

/// The voice failed before its first sound: the platform has another one to ask.
const MUTE: Refused = Refused {
    why: Refusal::EngineFailed,
    field: "voice",
    message: "the voice failed before its first sound",
    fix: "see the log of pronto; at Vapi, set a fallbackPlan for the voice",
};

const fn mute(error: &ProviderError) -> Refused {
    match error.kind {
        Kind::Unreachable | Kind::FirstTimeout | Kind::Stalled | Kind::RateLimited | Kind::Busy => {
            Refused { why: Refusal::EngineAway, message: "the voice cannot be reached, or has no time", ..MUTE }
        }
        Kind::Status(_) | Kind::Cut | Kind::Garbage | Kind::Refused => MUTE,
    }
}

/// The transcriber of a call: a WebSocket that takes one of the tenant's lines.
pub(super) fn ears(
    shared: Arc<Shared>,
    tenant: &str,
    request: Request<Incoming>,
    connection: Arc<Connection>,
) -> Answer {
    let tenant = match knock(&shared, tenant, request.headers()) {
        Ok((tenant, Knock::Open)) => tenant,
        // There is no body that could be signed.
        Ok((_, Knock::Signed | Knock::Shut)) => return TOKEN.answer(),
        Err(refused) => return refused.answer(),
    };
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
    let Some(permit) = tenant.admit() else { return FULL.answer() };
    upgrade(request, connection, &key, move |socket| ears::run(shared, socket, tenant, permit))
}

/// Who is there, by the headers alone.
fn knock(shared: &Shared, tenant: &str, headers: &HeaderMap) -> Result<(Arc<Tenant>, Knock), Refused> {
    let header = |name: &str| text(headers, name);
    let known = find(shared, tenant);
    let knock = match &known {
        Ok(tenant) => tenant.profile().vapi.door.knock(&tenant.profile().tokens, header),
        // A tenant that does not exist takes as long as one that does.
        Err(_) => crate::vapi::auth::Door::default().knock(&shared.nobody, header),
    };
    Ok((known?, knock))
}

/// Reads a request of somebody who may come in.
async fn let_in(
    shared: &Shared,
    tenant: &str,
    request: Request<Incoming>,
) -> Result<(Arc<Tenant>, HeaderMap, Bytes), Refused> {
    let (parts, incoming) = request.into_parts();
    let (tenant, knock) = knock(shared, tenant, &parts.headers)?;
    if knock == Knock::Shut {
        return Err(TOKEN);
    }
    let body = body::whole(incoming, limits::VAPI_BODY_MAX, UNREADABLE).await?;
    if knock == Knock::Signed {
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let now_s = clock::epoch_ms() / 1_000;
        let header = |name: &str| text(&parts.headers, name);
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
