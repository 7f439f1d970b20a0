//! One WebSocket to Deepgram: opening it in time, and what its errors mean.

use std::{sync::Arc, time::Duration};

use futures_util::SinkExt;
use rustls::ClientConfig;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::timeout;
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest,
        http::{HeaderValue, Response, header::AUTHORIZATION},
        protocol::{CloseFrame, WebSocketConfig, frame::coding::CloseCode},
    },
};

use super::NAME;
use crate::providers::{
    Address, Fault, Key, KeyError, Kind, ProviderError, Retry,
    duplex::{self, Duplex},
    tls,
};

/// Name, TCP, TLS and upgrade together.
const CONNECT: Duration = Duration::from_millis(1_500);
/// The longest wait for the socket to take a message.
const SEND: Duration = Duration::from_secs(1);
/// The longest message that is read: a second of sound at 48 kHz, or the words of a long turn.
const MESSAGE_BYTES_MAX: usize = 512 * 1024;

/// Bytes read at a time, and kept for it: two connections for each call.
const READ_BUFFER: usize = 4 * 1024;

pub(super) type Socket = WebSocketStream<Box<dyn Duplex>>;

/// Who we are to Deepgram, and where it is.
pub(super) struct Account {
    address: Address,
    key: SecretString,
    tls: Arc<ClientConfig>,
}

impl Account {
    pub(super) fn new(address: &Address, key: &Key) -> Result<Self, KeyError> {
        Ok(Self { address: address.clone(), key: key.resolve()?, tls: Arc::new(tls::config(&[])) })
    }

    /// Opens a WebSocket at this path and query.
    pub(super) async fn open(&self, path: &str) -> Result<Socket, ProviderError> {
        let late = |_| {
            ProviderError::upstream(NAME, Kind::Unreachable, "no connection in time: check base_url and the network")
        };
        timeout(CONNECT, self.connect(path)).await.map_err(late)?
    }

    async fn connect(&self, path: &str) -> Result<Socket, ProviderError> {
        let unreachable =
            |_| ProviderError::upstream(NAME, Kind::Unreachable, "no connection: check base_url and the network");
        let unusable = || ProviderError::refused(NAME, "the request cannot be built: check base_url, model and key");
        let tls = self.address.tls().then(|| Arc::clone(&self.tls));
        let socket = duplex::connect(self.address.host(), self.address.port(), tls).await.map_err(unreachable)?;
        let mut request = format!("{}{path}", self.address.ws()).into_client_request().map_err(|_| unusable())?;
        let mut token = HeaderValue::try_from(format!("Token {}", self.key.expose_secret())).map_err(|_| unusable())?;
        token.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, token);
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_write_buffer_size(256 * 1024)
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        match client_async_with_config(request, socket, Some(config)).await {
            Ok((socket, _)) => Ok(socket),
            Err(Error::Http(response)) => Err(refusal(&response)),
            Err(_) => Err(ProviderError::upstream(NAME, Kind::Cut, "the connection broke off before it was open")),
        }
    }
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Account({})", self.address)
    }
}

/// Sends one message, if the socket takes it soon.
pub(super) async fn send(socket: &mut Socket, message: Message) -> Result<(), ProviderError> {
    match timeout(SEND, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(cut()),
        Err(_) => Err(ProviderError::upstream(NAME, Kind::Stalled, "the connection takes nothing any more")),
    }
}

pub(super) fn cut() -> ProviderError {
    ProviderError::upstream(NAME, Kind::Cut, "the connection broke off")
}

/// Why the server closed the connection.
pub(super) fn closed(frame: Option<&CloseFrame>) -> ProviderError {
    match frame.map(|frame| frame.code) {
        Some(CloseCode::Policy) => {
            ProviderError::refused(NAME, "it does not accept what it was sent (close code 1008): check the settings")
        }
        _ => cut(),
    }
}

/// What a refused upgrade means.
fn refusal(response: &Response<Option<Vec<u8>>>) -> ProviderError {
    let status = response.status().as_u16();
    let code = response.headers().get("dg-error").and_then(|value| value.to_str().ok()).unwrap_or_default();
    // A code is a short word; a sentence is not repeated.
    let is_word =
        !code.is_empty() && code.len() <= 48 && code.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    let said = if is_word { format!("status {status}, {code}") } else { format!("status {status}") };
    let error = |kind, fault, retry, advice: &str| ProviderError {
        provider: NAME,
        kind,
        fault,
        retry,
        detail: format!("{said}: {advice}"),
    };
    let never = |advice| error(Kind::Refused, Fault::Ours, Retry::Never, advice);
    match status {
        401 => never("the key is not accepted: check key"),
        402 => never("the account has no credit left: check billing"),
        403 => never("the key may not use this model: check model and the plan"),
        429 => error(
            Kind::RateLimited,
            Fault::Upstream,
            Retry::After(Duration::from_secs(1)),
            "too many streams at once: raise the plan's limit or add a fallback",
        ),
        408 => error(Kind::Status(status), Fault::Upstream, Retry::Now, "it asks to try again"),
        300..=499 => never("it does not accept the request: check base_url, model and language"),
        _ => error(Kind::Status(status), Fault::Upstream, Retry::Now, "it has trouble of its own"),
    }
}
