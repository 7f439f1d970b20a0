//! An account at Vapi, or at a gateway in its place: calls are created there over REST, and ended.

use std::{sync::Arc, time::Duration};

use rustls::ClientConfig;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::timeout;

use super::dialling::{ANSWER_BYTES_MAX, Created, NewCall, NoSuchFormat, NotCreated};
use crate::providers::{Address, tls};

/// How long creating a call may take. It is not tried again: what was not answered may have been done.
const CREATE_WAIT: Duration = Duration::from_secs(10);

/// How long a connection may take.
const CONNECT_WAIT: Duration = Duration::from_secs(3);

/// How long a broken connection is tried to be opened again, unless another time is set. The window of a gateway of ours in
/// Vapi's place is ten seconds.
const RECONNECT_FOR: Duration = Duration::from_secs(8);

/// Who we are: Vapi's edge turns away requests that do not say.
pub const AGENT: &str = concat!("pronto/", env!("CARGO_PKG_VERSION"));

/// See the [module](self). Cheap to clone.
#[derive(Clone)]
pub struct VapiAccount {
    inner: Arc<Inner>,
    reconnect_for: Duration,
}

struct Inner {
    base: Address,
    key: SecretString,
    tls: Arc<ClientConfig>,
    http: reqwest::Client,
}

/// Why no call was created. Holds no caller data, no address and no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// Vapi created none.
    #[error(transparent)]
    NotCreated(#[from] NotCreated),
    /// The audio cannot be carried.
    #[error(transparent)]
    NoSuchFormat(#[from] NoSuchFormat),
    /// No connection, or it broke.
    #[error("Vapi cannot be reached: check base_url and the network")]
    Unreachable,
    /// Not in time.
    #[error("Vapi did not answer in time: check its status page and the network")]
    Late,
}

impl CreateError {
    /// As a label.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NotCreated(NotCreated::Blocked) => "blocked",
            Self::NotCreated(NotCreated::Refused { .. } | NotCreated::Garbage(_)) => "not_created",
            Self::NoSuchFormat(_) => "format",
            Self::Unreachable => "unreachable",
            Self::Late => "late",
        }
    }
}

/// There can be no HTTP client on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no HTTP client could be made: check the machine's memory and file limits")]
pub struct NoClient;

impl VapiAccount {
    /// At `https://api.vapi.ai`, `https://api.eu.vapi.ai` or a gateway's `https://host/vapi/tenant`, with a private key.
    pub fn new(base: Address, key: SecretString) -> Result<Self, NoClient> {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::config(&[b"http/1.1"]))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .http1_only()
            .tcp_nodelay(true)
            .connect_timeout(CONNECT_WAIT)
            .user_agent(AGENT)
            .build()
            .map_err(|_| NoClient)?;
        let tls = Arc::new(tls::config(&[]));
        Ok(Self { inner: Arc::new(Inner { base, key, tls, http }), reconnect_for: RECONNECT_FOR })
    }

    /// The same, with another time for which a broken connection is tried to be opened again.
    #[must_use]
    pub fn reconnecting_for(self, reconnect_for: Duration) -> Self {
        Self { reconnect_for, ..self }
    }

    /// For how long a broken connection is tried to be opened again.
    pub const fn reconnect_for(&self) -> Duration {
        self.reconnect_for
    }

    /// Creates a call; nobody is connected yet.
    pub async fn create(&self, new: &NewCall) -> Result<Created, CreateError> {
        let body = new.body()?.to_string();
        let request = self.inner.http.post(format!("{}/call", self.inner.base.http()));
        let request = request.bearer_auth(self.inner.key.expose_secret()).header("content-type", "application/json");
        let answering = async {
            let mut answer = request.body(body).send().await.map_err(|_| CreateError::Unreachable)?;
            let mut read = Vec::new();
            while let Some(piece) = answer.chunk().await.map_err(|_| CreateError::Unreachable)? {
                read.extend_from_slice(&piece);
                if read.len() > ANSWER_BYTES_MAX {
                    return Err(NotCreated::Garbage("end").into());
                }
            }
            Ok(Created::read(answer.status().as_u16(), &String::from_utf8_lossy(&read))?)
        };
        timeout(CREATE_WAIT, answering).await.map_err(|_late| CreateError::Late)?
    }

    /// Ends a call that was created, whether anybody is connected or not, if it can be controlled.
    pub async fn end(&self, created: &Created) {
        let Some(control) = &created.control else { return };
        let request = self.inner.http.post(control.reveal()).header("content-type", "application/json");
        let asked = timeout(CREATE_WAIT, request.body(r#"{"type":"end-call"}"#).send()).await;
        if !matches!(asked, Ok(Ok(answer)) if answer.status().is_success()) {
            tracing::debug!("a call at Vapi could not be ended by its control address: it ends by itself");
        }
    }

    /// What is asked for over TLS is dialled over TLS.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.inner.base.tls()
    }

    /// TLS for the connections of its calls.
    pub(crate) fn tls(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.inner.tls)
    }
}

impl std::fmt::Debug for VapiAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VapiAccount({})", self.inner.base)
    }
}
