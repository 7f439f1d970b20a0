//! HTTP as a phone call needs it: warm connections, no retries behind our back, no redirects, short deadlines, and
//! errors that say whose fault it was without repeating what the caller said.

use std::time::Duration;

use reqwest::{
    StatusCode,
    header::{HeaderMap, RETRY_AFTER},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::providers::{Address, Fault, Key, KeyError, Kind, ProviderError, Retry, tls};

/// The brand in logs.
pub(super) const NAME: &str = "openai";

/// Longer than a handshake to the next continent; a caller does not wait for more.
const CONNECT: Duration = Duration::from_millis(1_500);
/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(120);
/// Unused connections that are kept to one server: more than a thousand callers need at the same moment, unless they all
/// began at the same moment.
const IDLE_MAX: usize = 64;
/// How much of an error's body is read, and for how long.
const ERROR_BYTES_MAX: usize = 16 * 1024;
const ERROR_BODY: Duration = Duration::from_millis(500);

/// Connections to HTTP engines, kept warm and shared by every engine made with them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Connections(reqwest::Client);

impl Connections {
    /// A pool of its own.
    ///
    /// # Errors
    /// When the system's name resolver or proxy settings cannot be read.
    pub fn new() -> Result<Self, ProviderError> {
        reqwest::Client::builder()
            .tls_backend_preconfigured(tls::config(&[b"h2", b"http/1.1"]))
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .tcp_keepalive(Duration::from_secs(15))
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_MAX)
            .http2_adaptive_window(true)
            .http2_keep_alive_interval(Duration::from_secs(20))
            .http2_keep_alive_timeout(Duration::from_secs(5))
            .http2_keep_alive_while_idle(true)
            // A redirect would carry the key and the caller's words to another host.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .user_agent(concat!("pronto/", env!("CARGO_PKG_VERSION")))
            .build()
            .map(Self)
            .map_err(|_| ProviderError::refused(NAME, "no HTTP client could be made: check the proxy variables"))
    }

    /// Opens a connection to the address, so that the next request finds it open. Failures do not matter.
    pub(super) async fn warm(&self, base: &Address) {
        // HEAD has no body, so the connection is free again at once, whatever the answer.
        let _ = tokio::time::timeout(CONNECT, self.0.head(base.http()).send()).await;
    }

    pub(super) const fn client(&self) -> &reqwest::Client {
        &self.0
    }

    /// Sends a request and gives the answer's head; an error status is an error. Sent once more when a connection that
    /// was kept warm turned out to be closed by the other side.
    pub(super) async fn send(&self, request: reqwest::Request) -> Result<reqwest::Response, ProviderError> {
        let again = request.try_clone();
        let response = match self.0.execute(request).await {
            Err(error) if closed_while_idle(&error) => match again {
                Some(request) => self.0.execute(request).await,
                None => Err(error),
            },
            response => response,
        };
        let response = response.map_err(|error| broken(&error))?;
        if response.status().is_success() { Ok(response) } else { Err(refusal(response).await) }
    }
}

/// A server of this API: where it is, with which key, over which connections.
#[derive(Debug)]
pub(super) struct Account {
    /// Where.
    pub(super) base: Address,
    /// Local servers need none.
    pub(super) key: Option<SecretString>,
    /// How.
    pub(super) connections: Connections,
}

impl Account {
    /// Looks the key up.
    ///
    /// # Errors
    /// When it is not where the settings say.
    pub(super) fn new(base: &Address, key: Option<&Key>, connections: Connections) -> Result<Self, KeyError> {
        Ok(Self { base: base.clone(), key: key.map(Key::resolve).transpose()?, connections })
    }

    /// Opens a connection, so that the next request finds it open.
    pub(super) async fn warm(&self) {
        self.connections.warm(&self.base).await;
    }

    /// A request to a path of the API, with the key.
    pub(super) fn post(&self, path: &str) -> reqwest::RequestBuilder {
        let request = self.connections.0.post(format!("{}{path}", self.base.http()));
        match &self.key {
            Some(key) => request.bearer_auth(key.expose_secret()),
            None => request,
        }
    }

    /// Sends it and gives the answer's head; an error status is an error.
    pub(super) async fn send(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response, ProviderError> {
        self.connections.send(request.build().map_err(|error| broken(&error))?).await
    }
}

/// The request was written on a connection whose other end had been closed meanwhile.
fn closed_while_idle(error: &reqwest::Error) -> bool {
    error.is_request() && !error.is_connect() && !error.is_timeout()
}

/// What a failed exchange means. The text of the library's error is not repeated: it may hold the address with a key.
pub(super) fn broken(error: &reqwest::Error) -> ProviderError {
    if error.is_connect() {
        ProviderError::upstream(NAME, Kind::Unreachable, "no connection: check base_url and the network")
    } else if error.is_timeout() {
        ProviderError::upstream(NAME, Kind::Stalled, "the connection fell silent")
    } else if error.is_builder() {
        ProviderError::refused(NAME, "the request cannot be built: check base_url and key")
    } else {
        ProviderError::upstream(NAME, Kind::Cut, "the connection broke off")
    }
}

/// What an error status means.
async fn refusal(mut response: reqwest::Response) -> ProviderError {
    let status = response.status();
    let headers = std::mem::take(response.headers_mut());
    let mut body = Vec::new();
    // Read what comes quickly; a body that hangs must not hold the call.
    let _ = tokio::time::timeout(ERROR_BODY, async {
        while let Ok(Some(piece)) = response.chunk().await {
            body.extend_from_slice(&piece);
            if body.len() > ERROR_BYTES_MAX {
                break;
            }
        }
    })
    .await;
    judge(status, &headers, &body)
}

/// The table of error answers: whose fault, and whether to try again.
pub(super) fn judge(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> ProviderError {
    let code = code(body);
    let number = status.as_u16();
    let said = if code.is_empty() { format!("status {number}") } else { format!("status {number}, {code}") };
    let never = |kind, advice: &str| ProviderError {
        provider: NAME,
        kind,
        fault: Fault::Ours,
        retry: Retry::Never,
        detail: format!("{said}: {advice}"),
    };
    let theirs = |kind, retry, advice: &str| ProviderError {
        provider: NAME,
        kind,
        fault: Fault::Upstream,
        retry,
        detail: format!("{said}: {advice}"),
    };
    let out_of_money = ["insufficient_quota", "credit_balance_exhausted", "billing_hard_limit_reached"];
    let wait = retry_after(headers);
    match number {
        429 if out_of_money.iter().any(|word| code.contains(word)) => {
            never(Kind::Refused, "the account's quota is used up: check the plan and billing")
        }
        429 => theirs(
            Kind::RateLimited,
            Retry::After(wait.unwrap_or(Duration::from_secs(1))),
            "too many requests: raise the account's limits or add a fallback",
        ),
        401 => never(Kind::Refused, "the key is not accepted: check key"),
        403 => never(Kind::Refused, "access is denied: check the key's rights and the region"),
        404 => never(Kind::Refused, "there is no such model or path: check model and base_url"),
        300..=399 => never(Kind::Refused, "it redirects: set base_url to where it lives now"),
        408 | 409 => theirs(Kind::Status(number), Retry::Now, "it asks to try again"),
        400..=499 => never(Kind::Refused, "it does not accept the request: check model and the other settings"),
        _ => theirs(Kind::Status(number), wait.map_or(Retry::Now, Retry::After), "it has trouble of its own"),
    }
}

/// The code or type of an error body, in whichever of the known shapes, and nothing else of it.
fn code(body: &[u8]) -> String {
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return String::new() };
    let error = body.get("error").or_else(|| body.get("detail")).unwrap_or(&body);
    ["code", "type"]
        .iter()
        .filter_map(|name| error.get(name)?.as_str())
        // A code is a short word. Anything else may be a sentence with what the caller said in it.
        .filter(|text| text.len() <= 48 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b)))
        .collect::<Vec<&str>>()
        .join(" ")
}

/// How long the server asks us to wait; dates are not read, because the wait would be useless to a call anyway.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let seconds = number("retry-after-ms").map(|ms| ms / 1000.0).or_else(|| number(RETRY_AFTER.as_str()))?;
    (0.0..=86_400.0).contains(&seconds).then(|| Duration::from_secs_f64(seconds))
}

/// An error inside a stream or an answer whose status was good.
pub(super) fn inner_error(error: &Value) -> ProviderError {
    let code = code(error.to_string().as_bytes());
    let code = if code.is_empty() { "no code".to_string() } else { code };
    if code.contains("rate_limit") {
        return ProviderError {
            provider: NAME,
            kind: Kind::RateLimited,
            fault: Fault::Upstream,
            retry: Retry::After(Duration::from_secs(1)),
            detail: format!("it stopped in the middle ({code}): too many requests"),
        };
    }
    ProviderError::upstream(NAME, Kind::Cut, format!("it stopped in the middle with an error of its own ({code})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, headers: &[(&'static str, &str)], body: &str, kind: Kind, retry: Retry) {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let error = judge(StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes());
        assert_eq!((error.kind, error.retry), (kind, retry), "{status} {body}");
    }

    #[test]
    fn every_error_says_whether_to_try_again() {
        let openai = |code: &str, kind: &str| {
            format!(r#"{{"error":{{"message":"secret words","type":"{kind}","param":null,"code":"{code}"}}}}"#)
        };
        let after = |ms| Retry::After(Duration::from_millis(ms));
        check(400, &[], &openai("x", "invalid_request_error"), Kind::Refused, Retry::Never);
        check(401, &[], &openai("invalid_api_key", "x"), Kind::Refused, Retry::Never);
        check(404, &[], &openai("model_not_found", "x"), Kind::Refused, Retry::Never);
        check(408, &[], "", Kind::Status(408), Retry::Now);
        check(409, &[], "<html>", Kind::Status(409), Retry::Now);
        check(
            429,
            &[("retry-after", "30")],
            &openai("rate_limit_exceeded", "tokens"),
            Kind::RateLimited,
            after(30_000),
        );
        check(429, &[("retry-after", "0.25")], "{}", Kind::RateLimited, after(250));
        check(429, &[("retry-after-ms", "150"), ("retry-after", "9")], "{}", Kind::RateLimited, after(150));
        check(429, &[("retry-after", "Fri, 20 Nov 2026 10:00:00 GMT")], "<html>", Kind::RateLimited, after(1_000));
        check(429, &[("retry-after", "-3")], "", Kind::RateLimited, after(1_000));
        check(429, &[], &openai("insufficient_quota", "insufficient_quota"), Kind::Refused, Retry::Never);
        check(429, &[], &openai("credit_balance_exhausted", "x"), Kind::Refused, Retry::Never);
        check(500, &[], r#"{"error":"text"}"#, Kind::Status(500), Retry::Now);
        check(503, &[], r#"{"error":{"code":503,"message":"Loading model"}}"#, Kind::Status(503), Retry::Now);
        check(302, &[], "", Kind::Refused, Retry::Never);
    }

    #[test]
    fn an_error_repeats_nothing_of_the_body_but_its_code() {
        let body = br#"{"error":{"message":"mario rossi AB123CD","type":"tokens","code":"for mario rossi"}}"#;
        let error = judge(StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new(), body);
        assert_eq!(error.detail, "status 429, tokens: too many requests: raise the account's limits or add a fallback");
    }
}
