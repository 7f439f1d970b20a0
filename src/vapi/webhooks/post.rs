//! One request to a customer's server, and a tenant's means to make it: connections, credentials, the rule about the inside.

use std::{collections::BTreeMap, sync::OnceLock, time::Duration};

use bytes::Bytes;
use reqwest::{
    RequestBuilder, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::timeout;

use super::{
    inside,
    shown::{Kept, Shown, now_s},
};
use crate::{
    providers::tls,
    vapi::{
        assistant::Server,
        auth::{Credential, Request},
        server_message::{ANSWER_BYTES_MAX, ArgumentsForm},
    },
};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// How long an unused connection is kept: less than the five seconds after which servers in common use close theirs, or
/// requests would meet a closed one.
const IDLE: Duration = Duration::from_secs(4);

/// Unused connections to one server that are kept.
const IDLE_MAX: usize = 8;

/// What a request says is its own: no header of a customer's replaces it.
const OURS: [&str; 6] = ["host", "content-length", "transfer-encoding", "connection", "content-type", "upgrade"];

/// What a server answered, whatever it thinks of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    /// A caller's words may be in it.
    pub(super) body: String,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not in time.
    #[error("the server did not answer in time: answer sooner, or raise its timeoutSeconds")]
    Late,
    /// No connection, or it broke.
    #[error("the server cannot be reached: check its address and that it is up")]
    Unreachable,
    /// The address is one of the inside.
    #[error("the server's address is inside our network: allow it with vapi.allow_private, or give it a public one")]
    Inside,
    /// More than is read.
    #[error("the server's answer is longer than 1 MiB")]
    TooLong,
    /// The address is none.
    #[error("the server's address cannot be used: write https:// and the host")]
    BadAddress,
    /// There is no credential of that name.
    #[error("the server's credentialId is not in vapi.credentials of the tenant's settings")]
    NoCredential,
    /// The token endpoint gave none.
    #[error("the token endpoint of the server's credential gave no token: check its url, client_id and client_secret")]
    NoToken,
}

impl Fault {
    /// As a label.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::Unreachable => "unreachable",
            Self::Inside => "inside",
            Self::TooLong => "too_long",
            Self::BadAddress => "bad_address",
            Self::NoCredential => "no_credential",
            Self::NoToken => "no_token",
        }
    }

    /// Whether another attempt could go better.
    pub(super) const fn may_pass(self) -> bool {
        match self {
            Self::Late | Self::Unreachable | Self::NoToken | Self::TooLong => true,
            Self::Inside | Self::BadAddress | Self::NoCredential => false,
        }
    }
}

/// A tenant's means to reach servers.
#[derive(Debug, Default)]
pub struct Webhooks {
    /// Where messages go that no assistant has a server for.
    server: Option<Server>,
    credentials: BTreeMap<String, Shown>,
    allow_private: bool,
    arguments: ArgumentsForm,
    /// Made when it is needed: most tenants never do.
    client: OnceLock<Option<Client>>,
}

impl Webhooks {
    /// Messages go here that no assistant has a server for.
    #[must_use]
    pub fn to(self, server: Server) -> Self {
        Self { server: Some(server), ..self }
    }

    /// Servers that name this credential are shown it.
    #[must_use]
    pub fn showing(mut self, name: impl Into<String>, credential: Credential) -> Self {
        self.credentials.insert(name.into(), Shown::new(credential));
        self
    }

    /// Tools' arguments are written like this.
    #[must_use]
    pub fn writing(self, arguments: ArgumentsForm) -> Self {
        Self { arguments, ..self }
    }

    /// Servers may be in our own network. Only where all who write assistants may see what is there.
    #[must_use]
    pub fn reaching_inside(self) -> Self {
        Self { allow_private: true, ..self }
    }

    /// The server of the tenant itself.
    pub fn server(&self) -> Option<&Server> {
        self.server.as_ref()
    }

    /// How tools' arguments are written.
    pub const fn arguments(&self) -> ArgumentsForm {
        self.arguments
    }

    /// Whether there is a credential of this name.
    pub fn knows(&self, credential: &str) -> bool {
        self.credentials.contains_key(credential)
    }

    /// Sends a body and reads the answer, all of it within this time.
    pub(super) async fn post(
        &self,
        server: &Server,
        call: &str,
        body: Bytes,
        within: Duration,
    ) -> Result<Reply, Fault> {
        timeout(within, self.exchange(server, call, body)).await.unwrap_or(Err(Fault::Late))
    }

    async fn exchange(&self, server: &Server, call: &str, body: Bytes) -> Result<Reply, Fault> {
        let client = self.client.get_or_init(|| Client::new(self.allow_private)).as_ref().ok_or(Fault::Unreachable)?;
        let shown = match &server.credential {
            Some(name) => Some(self.credentials.get(name).ok_or(Fault::NoCredential)?),
            None => None,
        };
        let token = match shown {
            Some(shown) => shown.token(client, None).await?,
            None => None,
        };
        let reply = client.send(server, call, body.clone(), shown, token.as_ref()).await?;
        match (shown, token) {
            // It was taken back before its time: once more with another one.
            (Some(shown), Some(refused)) if reply.status == 401 => {
                let token = shown.token(client, Some(&refused)).await?;
                client.send(server, call, body, Some(shown), token.as_ref()).await
            }
            (Some(_) | None, _) => Ok(reply),
        }
    }
}

/// Connections of one tenant.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    allow_private: bool,
}

impl Client {
    fn new(allow_private: bool) -> Option<Self> {
        reqwest::Client::builder()
            .tls_backend_preconfigured(tls::config(&[b"http/1.1"]))
            .dns_resolver(inside::Resolver { private: allow_private })
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .http1_only()
            .tcp_nodelay(true)
            .connect_timeout(CONNECT)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_MAX)
            .user_agent(concat!("pronto/", env!("CARGO_PKG_VERSION")))
            .build()
            .inspect_err(|_| tracing::error!("no HTTP client could be made: servers of customers are not reached"))
            .map(|http| Self { http, allow_private })
            .ok()
    }

    async fn send(
        &self,
        server: &Server,
        call: &str,
        body: Bytes,
        shown: Option<&Shown>,
        token: Option<&Kept>,
    ) -> Result<Reply, Fault> {
        let secret = || server.secret.as_ref().map(|secret| Credential::Secret(secret.reveal().as_str().into()));
        let old = if shown.is_none() { secret() } else { None };
        let credential = shown.map(Shown::credential).or(old.as_ref()).unwrap_or(&Credential::None);
        // Each attempt has an id of its own where the signature covers one.
        let id = matches!(credential, Credential::Hmac(_)).then(|| uuid::Uuid::now_v7().to_string());
        let request = Request { method: "POST", url: &server.url, body: &body, id: id.as_deref() };
        let signed =
            credential.headers(now_s(), &request, token.map(|kept| &kept.token)).map_err(|_| Fault::NoToken)?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        put(&mut headers, "x-call-id", call, false);
        for (name, value) in &signed {
            put(&mut headers, name, value.expose_secret(), true);
        }
        for (name, value) in &server.headers {
            if !OURS.contains(&name.to_ascii_lowercase().as_str()) {
                put(&mut headers, name, value.reveal(), true);
            }
        }
        let url = self.address(&server.url)?;
        answered(self.http.post(url).headers(headers).body(body)).await
    }

    /// Asks a token endpoint.
    pub(super) async fn fetch_token(&self, url: &str, form: SecretString) -> Result<Vec<u8>, Fault> {
        let url = self.address(url)?;
        let request = self.http.post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let reply = answered(request.body(form.expose_secret().to_owned())).await?;
        if (200..300).contains(&reply.status) { Ok(reply.body.into_bytes()) } else { Err(Fault::NoToken) }
    }

    fn address(&self, url: &str) -> Result<Url, Fault> {
        let url: Url = url.parse().map_err(|_| Fault::BadAddress)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Fault::BadAddress);
        }
        inside::check(&url, self.allow_private).map_err(|_| Fault::Inside)?;
        Ok(url)
    }
}

/// Sends a request and reads the answer, as much of it as is ever read.
async fn answered(request: RequestBuilder) -> Result<Reply, Fault> {
    let broken = |error: reqwest::Error| if inside::is_cause(&error) { Fault::Inside } else { Fault::Unreachable };
    let mut response = request.send().await.map_err(broken)?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(broken)? {
        if body.len() + piece.len() > ANSWER_BYTES_MAX {
            return Err(Fault::TooLong);
        }
        body.extend_from_slice(&piece);
    }
    Ok(Reply { status, body: String::from_utf8_lossy(&body).into_owned() })
}

/// Sets a header. What cannot stand in one was refused where it was read; an id of a peer's may still be anything.
fn put(headers: &mut HeaderMap, name: &str, value: &str, secret: bool) {
    if let (Ok(name), Ok(mut value)) = (HeaderName::try_from(name), HeaderValue::from_bytes(value.as_bytes())) {
        value.set_sensitive(secret);
        headers.insert(name, value);
    }
}
