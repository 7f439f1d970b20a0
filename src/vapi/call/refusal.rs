//! What a request is answered that is not granted: the body both official clients parse, with the texts they know.
//!
//! Both clients send `POST /call` again after 408, 429 and every 5xx: a refusal is a 4xx, and where trying again makes
//! sense a 429 that says when. A 5xx is for what failed and left nothing behind, so that it may be asked for again.

use serde_json::{Value, json};

use crate::vapi::Violations;

/// Vapi's words for a key that opens nothing.
pub const UNAUTHORISED: &str =
    "Invalid Key. Hot tip, you may be using the private key instead of the public key, or vice versa.";

/// A refusal: status, body, and when to come back.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// `Retry-After`, in seconds.
    pub retry_after_s: Option<u32>,
    /// `message`: a list where fields are wrong, a text otherwise.
    message: Value,
}

impl Refusal {
    /// A status with a sentence.
    pub fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, retry_after_s: None, message: Value::String(message.into()) }
    }

    /// Fields are wrong.
    pub fn invalid(violations: Violations) -> Self {
        Self { status: 400, retry_after_s: None, message: violations.into_messages().into() }
    }

    /// The key opens nothing.
    pub fn unauthorised() -> Self {
        Self::new(401, UNAUTHORISED)
    }

    /// There is nothing of this kind and id.
    pub fn not_found(what: &str) -> Self {
        Self::new(404, format!("{what} not found"))
    }

    /// The tenant's lines are all taken. Nothing was created: the clients may come back.
    pub fn over_concurrency(limit: usize) -> Self {
        let message = format!("Over Concurrency Limit. This organisation may have {limit} calls at once.");
        Self { retry_after_s: Some(5), ..Self::new(429, message) }
    }

    /// The gateway has no room, or is shutting down.
    pub fn busy() -> Self {
        Self { retry_after_s: Some(2), ..Self::new(429, "Rate limit exceeded") }
    }

    /// The store cannot be written to. Whoever asks again makes nothing twice.
    pub fn unwritable(message: &str) -> Self {
        Self { retry_after_s: Some(5), ..Self::new(503, message) }
    }

    /// The body.
    pub fn body(&self) -> Value {
        json!({"message": self.message, "error": phrase(self.status), "statusCode": self.status})
    }
}

impl From<Violations> for Refusal {
    fn from(violations: Violations) -> Self {
        Self::invalid(violations)
    }
}

fn phrase(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        413 => "Payload Too Large",
        429 => "Too Many Requests",
        503 => "Service Unavailable",
        _ if status < 500 => "Client Error",
        _ => "Internal Server Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_those_of_the_contract() {
        let violations = Violations::one("transport.audioFormat.sampleRate must not be greater than 192000");
        let expected = json!({
            "message": ["transport.audioFormat.sampleRate must not be greater than 192000"],
            "error": "Bad Request", "statusCode": 400,
        });
        assert_eq!(Refusal::from(violations).body(), expected);
        let unauthorised = json!({"message": UNAUTHORISED, "error": "Unauthorized", "statusCode": 401});
        assert_eq!(Refusal::unauthorised().body(), unauthorised);
    }

    #[test]
    fn who_may_come_back_is_told_when() {
        for refusal in [Refusal::over_concurrency(10), Refusal::busy()] {
            assert!(refusal.status == 429 && refusal.retry_after_s.is_some());
        }
        assert_eq!(Refusal::not_found("Call").retry_after_s, None);
    }
}
