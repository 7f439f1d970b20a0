//! Plain answers over HTTP. What is refused says which field is wrong and how to mend it.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{StreamExt, stream::BoxStream};
use http_body_util::{Either, Full, StreamBody};
use hyper::{
    Response, StatusCode,
    body::Frame,
    header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER},
};

use super::metrics::{self, Refusal};

/// What the gateway answers with.
pub type Answer = Response<Body>;

/// A whole document, or one that is written piece by piece.
pub type Body = Either<Full<Bytes>, StreamBody<Pieces>>;

/// Each piece leaves as it comes. Dropped when the peer is gone.
type Pieces = BoxStream<'static, Result<Frame<Bytes>, Infallible>>;

/// A refusal: counted by its reason, explained to whoever asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refused {
    /// The reason, for the counter.
    pub(super) why: Refusal,
    /// Where the mistake is.
    pub(super) field: &'static str,
    /// What is wrong.
    pub(super) message: &'static str,
    /// What to do.
    pub(super) fix: &'static str,
}

impl Refused {
    const fn status(&self) -> StatusCode {
        match self.why {
            Refusal::NoRoute | Refusal::NoTenant => StatusCode::NOT_FOUND,
            Refusal::Unauthorised => StatusCode::UNAUTHORIZED,
            // Never 5xx: platforms take that for a call to be created again.
            Refusal::Full | Refusal::Connections | Refusal::Busy | Refusal::Draining => StatusCode::TOO_MANY_REQUESTS,
            Refusal::BadRequest | Refusal::NeverStarted => StatusCode::BAD_REQUEST,
            Refusal::Taken => StatusCode::CONFLICT,
            // No call is created here: whoever asked has somebody else to ask.
            Refusal::EngineFailed => StatusCode::BAD_GATEWAY,
            Refusal::EngineAway => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The answer; counts it.
    pub(super) fn answer(self) -> Answer {
        metrics::refused(self.why);
        let status = self.status();
        tracing::debug!(status = status.as_u16(), field = self.field, "refused");
        let body = serde_json::json!({
            "statusCode": status.as_u16(),
            "error": status.canonical_reason(),
            "message": self.message,
            "field": self.field,
            "fix": self.fix,
        });
        let mut answer = json(status, &body);
        match self.why {
            Refusal::Full | Refusal::Connections | Refusal::Busy | Refusal::Draining | Refusal::EngineAway => {
                answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
            }
            Refusal::Unauthorised => {
                let scheme = HeaderValue::from_static("Bearer");
                answer.headers_mut().insert(HeaderName::from_static("www-authenticate"), scheme);
            }
            Refusal::NoRoute
            | Refusal::NoTenant
            | Refusal::BadRequest
            | Refusal::NeverStarted
            | Refusal::Taken
            | Refusal::EngineFailed => {}
        }
        answer
    }
}

/// A JSON document.
pub(super) fn json(status: StatusCode, body: &serde_json::Value) -> Answer {
    typed(status, "application/json", body.to_string())
}

/// A document of some type. Nothing we say is to be kept by anybody on the way.
pub(super) fn typed(status: StatusCode, kind: &'static str, body: String) -> Answer {
    written(status, kind, Either::Left(Full::new(Bytes::from(body))))
}

/// A document that is still being written.
pub(super) fn streamed(kind: &'static str, pieces: BoxStream<'static, Bytes>) -> Answer {
    let pieces = pieces.map(|piece| Ok(Frame::data(piece))).boxed();
    let mut answer = written(StatusCode::OK, kind, Either::Right(StreamBody::new(pieces)));
    // Proxies of nginx's kind would gather the pieces.
    answer.headers_mut().insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    answer
}

fn written(status: StatusCode, kind: &'static str, body: Body) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
