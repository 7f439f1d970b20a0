//! Opening the WebSocket of a call that was created at Vapi.

use std::{io, time::Duration};

use tokio::time::timeout;
use tokio_tungstenite::{
    client_async_with_config,
    tungstenite::{
        self,
        client::IntoClientRequest,
        http::{HeaderValue, header::USER_AGENT},
    },
};

use crate::{
    audio::CodecError,
    gateway::{clock, limits, socket::Socket},
    providers::duplex::{self, Duplex},
    vapi::peer::account::{AGENT, CreateError, VapiAccount},
};

/// Name, TCP, TLS and upgrade together.
const OPEN_WAIT: Duration = Duration::from_secs(3);

/// The connection of a call.
pub(super) type Dialled = Socket<Box<dyn Duplex>>;

/// Why there is no call. Holds no caller data, no address and no key.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// None was created.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// The audio cannot be carried.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// No connection, or it broke.
    #[error("the call's WebSocket cannot be reached: check the network")]
    Unreachable,
    /// Not in time.
    #[error("the call's WebSocket did not open in time: check the network")]
    Late,
    /// The address of the call was refused.
    #[error("the call's WebSocket was refused with status {0}")]
    Refused(u16),
    /// The address of the call cannot be dialled.
    #[error("the call's WebSocket has no address that can be dialled: is base_url the address of Vapi's API?")]
    BadAddress,
}

impl DialError {
    /// As a label.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Create(error) => error.name(),
            Self::Codec(_) => "format",
            Self::Unreachable => "unreachable",
            Self::Late => "late",
            Self::Refused(_) => "refused",
            Self::BadAddress => "bad_address",
        }
    }

    /// Whether another attempt to open the same call could go better.
    pub(super) const fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable | Self::Late => true,
            // 409: the connection that broke has not been missed yet.
            Self::Refused(status) => *status >= 500 || matches!(*status, 409 | 429),
            Self::Create(_) | Self::Codec(_) | Self::BadAddress => false,
        }
    }
}

/// Opens the WebSocket of a call. The key is not shown there: the address alone opens it.
pub(super) async fn open(account: &VapiAccount, address: &str) -> Result<Dialled, DialError> {
    timeout(OPEN_WAIT, connect(account, address)).await.map_err(|_late| DialError::Late)?
}

async fn connect(account: &VapiAccount, address: &str) -> Result<Dialled, DialError> {
    let mut request = address.into_client_request().map_err(|_| DialError::BadAddress)?;
    request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(AGENT));
    let encrypted = request.uri().scheme_str() == Some("wss");
    if !encrypted && account.is_encrypted() {
        return Err(DialError::BadAddress);
    }
    let host = request.uri().host().ok_or(DialError::BadAddress)?.trim_matches(['[', ']']).to_owned();
    let port = request.uri().port_u16().unwrap_or(if encrypted { 443 } else { 80 });
    let stream = duplex::connect(&host, port, encrypted.then(|| account.tls())).await;
    let unusable = |error: io::Error| error.kind() == io::ErrorKind::InvalidInput;
    let stream =
        stream.map_err(|error| if unusable(error) { DialError::BadAddress } else { DialError::Unreachable })?;
    match client_async_with_config(request, stream, Some(limits::websocket())).await {
        Ok((wire, _)) => Ok(Socket::new(wire, clock::now())),
        Err(tungstenite::Error::Http(answer)) => Err(DialError::Refused(answer.status().as_u16())),
        Err(_) => Err(DialError::Unreachable),
    }
}
