//! What the OpenAI endpoints have in common: keys, models, errors and headers.

use std::sync::Arc;

use bytes::Bytes;
use hyper::{StatusCode, header};
use serde_json::{Value, json};

use super::{
    chat,
    faults::Harm,
    journal::Endpoint,
    server::{Ask, Closed, House, Reply, add, door, json_reply, parsed, plain, read},
    sound,
};

/// The models, what they are for, and the day they go.
const MODELS: &[(&str, &[Endpoint], Option<&str>)] = &[
    ("gpt-6-luna", &[Endpoint::Chat], None),
    ("gpt-6-sol", &[Endpoint::Chat], None),
    ("gpt-6-astra", &[Endpoint::Chat], None),
    ("gpt-5.6-sol", &[Endpoint::Chat], None),
    ("gpt-5.6-terra", &[Endpoint::Chat], None),
    ("gpt-4o", &[Endpoint::Chat], Some("2027-01-14")),
    ("gpt-4o-mini", &[Endpoint::Chat], Some("2027-01-14")),
    ("gpt-4.1", &[Endpoint::Chat], Some("2027-01-14")),
    ("gpt-4.1-mini", &[Endpoint::Chat], Some("2027-01-14")),
    ("gpt-transcribe", &[Endpoint::Transcriptions], None),
    ("gpt-4o-transcribe", &[Endpoint::Transcriptions], Some("2027-02-26")),
    ("gpt-4o-mini-transcribe", &[Endpoint::Transcriptions], Some("2027-02-26")),
    ("whisper-1", &[Endpoint::Transcriptions], Some("2027-02-26")),
    ("gpt-4o-mini-tts", &[Endpoint::Speech], Some("2027-01-06")),
    ("tts-1", &[Endpoint::Speech], Some("2027-01-06")),
    ("tts-1-hd", &[Endpoint::Speech], Some("2027-01-06")),
];

/// An error as the vendor writes it.
pub fn error(status: StatusCode, message: &str, kind: &str, param: Option<&str>, code: Option<&str>) -> Reply {
    json_reply(status, &json!({ "error": { "message": message, "type": kind, "param": param, "code": code } }))
}

/// A request the vendor refuses.
#[derive(Debug, PartialEq)]
pub struct Refusal {
    status: StatusCode,
    message: String,
    param: Option<&'static str>,
    code: Option<&'static str>,
}

impl Refusal {
    /// A field that cannot be accepted.
    pub fn field(param: &'static str, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message: message.into(), param: Some(param), code: None }
    }

    /// The same with the vendor's code.
    pub fn coded(self, code: &'static str) -> Self {
        Self { code: Some(code), ..self }
    }

    fn reply(&self) -> Reply {
        error(self.status, &self.message, "invalid_request_error", self.param, self.code)
    }
}

/// Refuses a model that does not exist, or not here.
pub fn known(model: &Value, endpoint: Endpoint) -> Result<&str, Refusal> {
    let Some(model) = model.as_str().filter(|model| !model.is_empty()) else {
        return Err(Refusal { param: None, ..Refusal::field("model", "you must provide a model parameter") });
    };
    match MODELS.iter().find(|(name, ..)| *name == model) {
        Some((_, at, _)) if at.contains(&endpoint) => Ok(model),
        Some(_) => Err(Refusal {
            status: StatusCode::NOT_FOUND,
            ..Refusal::field("model", format!("This model ({model}) is not supported on this endpoint."))
        }),
        None => Err(Refusal {
            status: StatusCode::NOT_FOUND,
            param: None,
            ..Refusal::field("model", format!("The model `{model}` does not exist or you do not have access to it."))
                .coded("model_not_found")
        }),
    }
}

/// Refuses a request without the right key.
fn authorized(house: &House, request: &Ask) -> Result<(), Refusal> {
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let refused = |message: &str, code| Refusal {
        status: StatusCode::UNAUTHORIZED,
        message: message.to_string(),
        param: None,
        code,
    };
    match header.and_then(|header| header.strip_prefix("Bearer ")).map(str::trim) {
        None | Some("") => Err(refused(
            "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer \
             auth (i.e. Authorization: Bearer YOUR_KEY).",
            None,
        )),
        Some(key) if accepted(house, key) => Ok(()),
        Some(_) => Err(refused("Incorrect API key provided: ***.", Some("invalid_api_key"))),
    }
}

/// Whether the lab takes this key.
pub fn accepted(house: &House, key: &str) -> bool {
    house.settings.key.as_deref().map_or(!key.is_empty() && !key.starts_with("invalid"), |wanted| wanted == key)
}

/// A fault's error status, as the vendor writes it.
fn harmed(harm: &Harm) -> Option<Reply> {
    let Harm::Status { status, retry_after, code, html } = harm else { return None };
    let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let (kind, usual) = match status.as_u16() {
        401 => ("invalid_request_error", "invalid_api_key"),
        404 => ("invalid_request_error", "model_not_found"),
        429 => ("requests", "rate_limit_exceeded"),
        503 => ("service_unavailable_error", "server_is_overloaded"),
        500.. => ("server_error", "server_error"),
        _ => ("invalid_request_error", "invalid_value"),
    };
    let code = code.as_deref().unwrap_or(usual);
    let kind = if code == "insufficient_quota" { code } else { kind };
    let mut reply = if *html {
        let mut reply = plain(status, "<html><body><h1>Bad gateway</h1></body></html>");
        add(&mut reply, "content-type", "text/html");
        reply
    } else {
        error(status, "The lab was told to fail.", kind, None, Some(code))
    };
    if let Some(retry) = retry_after {
        add(&mut reply, "retry-after", retry);
    }
    Some(reply)
}

/// What every endpoint does around its own work: faults, key, body, headers, journal.
async fn around<F>(
    house: Arc<House>,
    endpoint: Endpoint,
    request: Ask,
    work: impl FnOnce(Arc<House>, Option<Harm>, hyper::http::request::Parts, Bytes) -> F,
) -> Result<Reply, Closed>
where
    F: Future<Output = Result<Reply, Refusal>>,
{
    let harm = door(&house, endpoint).await?;
    let refused = |reply: Reply| {
        house.journal.count(endpoint, |counts| counts.refused += 1);
        Ok(headed(&house, reply))
    };
    if let Some(reply) = harm.as_ref().and_then(harmed) {
        return Ok(headed(&house, reply));
    }
    if let Err(refusal) = authorized(&house, &request) {
        return refused(refusal.reply());
    }
    let (parts, body) = request.into_parts();
    let Some(body) = read(hyper::Request::new(body)).await else {
        return refused(error(StatusCode::PAYLOAD_TOO_LARGE, "too long", "invalid_request_error", None, None));
    };
    match work(house.clone(), harm, parts, body).await {
        Ok(reply) => {
            house.journal.count(endpoint, |counts| counts.requests += 1);
            Ok(headed(&house, reply))
        }
        Err(refusal) => refused(refusal.reply()),
    }
}

/// With the headers that clients read limits and ids from.
fn headed(house: &House, mut reply: Reply) -> Reply {
    for (name, value) in [
        ("x-request-id", house.id("req_").as_str()),
        ("openai-processing-ms", "12"),
        ("x-ratelimit-limit-requests", "10000"),
        ("x-ratelimit-remaining-requests", "9999"),
        ("x-ratelimit-reset-requests", "6ms"),
        ("x-ratelimit-limit-tokens", "2000000"),
        ("x-ratelimit-remaining-tokens", "1999000"),
        ("x-ratelimit-reset-tokens", "30ms"),
    ] {
        add(&mut reply, name, value);
    }
    reply
}

/// `POST /v1/chat/completions`
pub async fn chat(house: Arc<House>, request: Ask) -> Result<Reply, Closed> {
    around(house, Endpoint::Chat, request, async |house, harm, _, body| chat::answer(&house, harm, &json(&body)?).await)
        .await
}

/// `POST /v1/audio/speech`
pub async fn speech(house: Arc<House>, request: Ask) -> Result<Reply, Closed> {
    around(house, Endpoint::Speech, request, async |house, harm, _, body| {
        sound::speak(&house, harm, &json(&body)?).await
    })
    .await
}

/// `POST /v1/audio/transcriptions`
pub async fn transcriptions(house: Arc<House>, request: Ask) -> Result<Reply, Closed> {
    around(house, Endpoint::Transcriptions, request, async |house, harm, parts, body| {
        let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        sound::transcribe(&house, harm, kind.unwrap_or_default(), &body).await
    })
    .await
}

/// `GET /v1/models`
pub async fn models(house: &House, request: &Ask) -> Result<Reply, Closed> {
    let harm = door(house, Endpoint::Models).await?;
    if let Some(reply) = harm.as_ref().and_then(harmed) {
        return Ok(reply);
    }
    if let Err(refusal) = authorized(house, request) {
        return Ok(refusal.reply());
    }
    house.journal.count(Endpoint::Models, |counts| counts.requests += 1);
    let list: Vec<Value> = MODELS
        .iter()
        .map(|(id, _, gone)| {
            json!({ "id": id, "object": "model", "created": 1_763_625_600, "owned_by": "lab", "shutdown_date": gone })
        })
        .collect();
    Ok(json_reply(StatusCode::OK, &json!({ "object": "list", "data": list })))
}

fn json(body: &[u8]) -> Result<Value, Refusal> {
    let value = parsed(body);
    if value.is_object() {
        return Ok(value);
    }
    let message = "We could not parse the JSON body of your request. The API expects a JSON payload.";
    Err(Refusal { param: None, ..Refusal::field("body", message) })
}
