//! Where a customer's server is and how it wants to be asked: the `server` of an assistant or of a tool.

use std::time::Duration;

use serde_json::{Map, json};

use crate::{
    privacy::Pii,
    vapi::read::{Reader, Wrong},
};

/// A `Server`. Default: 20 s, no retry.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// `https://...`
    pub url: String,
    /// The old way to authenticate: sent as `x-vapi-secret`, verbatim.
    pub secret: Option<Pii<String>>,
    /// The credential that signs requests.
    pub credential: Option<String>,
    /// Sent with every request; an `Authorization` among them wins over the credential.
    pub headers: Vec<(String, Pii<String>)>,
    /// How long a request may take, body and all.
    pub timeout: Duration,
    /// When to ask again.
    pub backoff: Option<Backoff>,
}

/// When a request that failed is sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backoff {
    /// The wait doubles each time.
    pub exponential: bool,
    /// How often at most.
    pub retries_max: u32,
    /// The first wait.
    pub base: Duration,
    /// Answers with these statuses are final.
    pub excluded: Vec<u16>,
}

/// The time a server has by default.
pub const TIMEOUT: Duration = Duration::from_secs(20);

const URL_CHARS_MAX: usize = 2_048;
const HEADERS_MAX: usize = 32;
const HEADER_CHARS_MAX: usize = 8_192;
const EXCLUDED_MAX: usize = 64;

impl Server {
    /// Reads a `server` object; `None` where it is absent or has no address (Vapi then sends nothing).
    pub(in crate::vapi) fn read(written: &Reader<'_>) -> Option<Self> {
        let url = written.text("url", 0, URL_CHARS_MAX).filter(|url| !url.is_empty());
        if url.is_some_and(|url| !is_address(url)) {
            written.must("url", "must be a URL address that begins with https:// or http://");
        }
        if written.value("encryptedPaths").and_then(|paths| paths.as_array()).is_some_and(|paths| !paths.is_empty()) {
            written.must("encryptedPaths", "must be empty: encryption of single fields is not supported");
        }
        let server = Self {
            secret: written.text("secret", 0, HEADER_CHARS_MAX).map(|secret| Pii::new(secret.to_owned())),
            credential: written.text("credentialId", 0, 100).map(ToOwned::to_owned),
            headers: headers(written),
            timeout: written.number("timeoutSeconds", 1.0, 300.0).map_or(TIMEOUT, Duration::from_secs_f64),
            backoff: Backoff::read(&written.object("backoffPlan")),
            url: url.unwrap_or_default().to_owned(),
        };
        url.map(|_| server)
    }
}

impl Server {
    /// At this address, without anything of its own. `None` where it is none.
    pub fn at(url: &str) -> Option<Self> {
        is_address(url).then(|| Self {
            url: url.to_owned(),
            secret: None,
            credential: None,
            headers: Vec::new(),
            timeout: TIMEOUT,
            backoff: None,
        })
    }

    /// To be kept beside what it is owed, with its secrets. When it is asked again is not its own affair then.
    pub fn stored(&self) -> String {
        let headers: Map<_, _> =
            self.headers.iter().map(|(name, value)| (name.clone(), value.reveal().as_str().into())).collect();
        json!({
            "url": self.url, "secret": self.secret.as_ref().map(Pii::reveal), "credentialId": self.credential,
            "headers": headers, "timeoutSeconds": self.timeout.as_secs_f64(),
        })
        .to_string()
    }

    /// What was kept.
    pub fn from_stored(stored: &str) -> Option<Self> {
        let (written, wrong) = (serde_json::from_str::<Map<_, _>>(stored).ok()?, Wrong::default());
        let server = Self::read(&Reader::new(&written, "server.", &wrong));
        wrong.or(server).ok()?
    }
}

impl Backoff {
    fn read(written: &Reader<'_>) -> Option<Self> {
        if !written.exists() {
            return None;
        }
        let kind = written.word("type", &["fixed", "exponential"]);
        let excluded = written.value("excludedStatusCodes").and_then(|codes| codes.as_array());
        let excluded = excluded.into_iter().flatten().take(EXCLUDED_MAX).filter_map(|code| code.as_f64());
        Some(Self {
            exponential: kind == Some("exponential"),
            retries_max: written.whole("maxRetries", 0, 10).unwrap_or(0),
            base: written.number("baseDelaySeconds", 0.0, 10.0).map_or(Duration::ZERO, Duration::from_secs_f64),
            // A number that is no status excludes nothing.
            excluded: excluded.filter(|code| (100.0..600.0).contains(code)).map(|code| code as u16).collect(),
        })
    }

    /// How long to wait before the retry of this number (from 0) after an answer, or `None` when it is final. No status:
    /// there was no answer.
    pub fn wait(&self, retry: u32, status: Option<u16>) -> Option<Duration> {
        let fine = status.is_some_and(|status| (200..300).contains(&status) || self.excluded.contains(&status));
        if fine || retry >= self.retries_max {
            return None;
        }
        let times = if self.exponential { 1 << retry.min(10) } else { 1 };
        Some(self.base * times)
    }
}

fn is_address(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        !host.is_empty() && !rest.contains(|c: char| c.is_whitespace() || c.is_control())
    })
}

fn headers(written: &Reader<'_>) -> Vec<(String, Pii<String>)> {
    let headers = written.object("headers");
    let Some(fields) = headers.written() else { return Vec::new() };
    if fields.len() > HEADERS_MAX {
        written.must("headers", format_args!("must contain no more than {HEADERS_MAX} headers"));
        return Vec::new();
    }
    let mut read = Vec::new();
    for (name, value) in fields {
        let token = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
        let text = value.as_str().filter(|text| text.len() <= HEADER_CHARS_MAX && !text.contains(['\r', '\n', '\0']));
        match text {
            Some(text) if !name.is_empty() && name.len() <= 200 && name.bytes().all(token) => {
                read.push((name.clone(), Pii::new(text.to_owned())));
            }
            Some(_) | None if value.is_null() => {}
            Some(_) | None => written.must("headers", "must hold names and values of HTTP headers"),
        }
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vapi::Violations;

    fn read(written: serde_json::Value) -> Result<Option<Server>, Violations> {
        let wrong = Wrong::default();
        let server = Server::read(&Reader::new(written.as_object().unwrap(), "server.", &wrong));
        wrong.or(server)
    }

    #[test]
    fn a_server_of_the_contract() {
        let server = read(json!({
            "url": "https://shop.example.test/vapi", "timeoutSeconds": 20.0, "headers": {"x-shop": "rossi"}, "secret": "s",
            "backoffPlan": {"type": "exponential", "maxRetries": 3, "baseDelaySeconds": 1, "excludedStatusCodes": [401, 403.0]},
        }));
        let server = server.unwrap().unwrap();
        assert_eq!((server.timeout, server.headers.len()), (TIMEOUT, 1));
        let backoff = server.backoff.unwrap();
        let waits: Vec<_> = (0..4).map(|retry| backoff.wait(retry, Some(503)).map(|wait| wait.as_secs())).collect();
        assert_eq!(waits, [Some(1), Some(2), Some(4), None]);
        assert_eq!((backoff.wait(0, Some(403)), backoff.wait(0, Some(204))), (None, None));
        assert_eq!(backoff.wait(0, None), Some(Duration::from_secs(1)));
    }

    #[test]
    fn what_is_kept_of_a_server_is_what_reaches_it() {
        let server = json!({"url": "https://s", "secret": "x", "credentialId": "c", "headers": {"a": "b"}, "timeoutSeconds": 2.5});
        let server = read(server).unwrap().unwrap();
        assert_eq!(Server::from_stored(&server.stored()), Some(server));
        let bare = Server::at("http://s").unwrap();
        assert_eq!(Server::from_stored(&bare.stored()), Some(bare));
        assert_eq!((Server::from_stored(""), Server::at("ftp://s")), (None, None));
    }

    #[test]
    fn without_an_address_there_is_no_server() {
        assert_eq!(read(json!({"timeoutSeconds": 5})), Ok(None));
        assert_eq!(read(json!({"url": ""})), Ok(None));
    }

    #[test]
    fn what_cannot_be_asked_is_told() {
        let told = |written| read(written).unwrap_err().into_messages();
        let address = "server.url must be a URL address that begins with https:// or http://";
        for url in ["ftp://x", "https://", "https://a b", "shop"] {
            assert_eq!(told(json!({"url": url})), [address], "{url}");
        }
        let headers = "server.headers must hold names and values of HTTP headers";
        assert_eq!(told(json!({"url": "https://x", "headers": {"a b": "c"}})), [headers]);
        assert_eq!(told(json!({"url": "https://x", "headers": {"a": "c\r\nd: e"}})), [headers]);
        assert_eq!(
            told(json!({"url": "https://x", "timeoutSeconds": 500})),
            ["server.timeoutSeconds must not be greater than 300"]
        );
    }
}
