//! Dialling: the address, the door, and what is said there.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{CrowdError, plan::LineKind};
use crate::{
    audio::Codec,
    load::{caller::ANSWER_WAIT, chance::Chance},
    providers::{escape, tls},
};

/// The most that stands before a stream.
const HEAD_MAX: usize = 16 << 10;

/// Where the target is.
#[derive(Debug, Clone)]
pub(super) struct Address {
    /// Encrypted.
    tls: Option<Arc<rustls::ClientConfig>>,
    host: String,
    port: u16,
    /// With `{tenant}` in it; our gateway's where there is none.
    path: Option<String>,
    /// Looked up once.
    sockets: Vec<SocketAddr>,
}

/// A connection.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Why a call was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotIn {
    /// With an HTTP status.
    Refused(u16),
    /// Nobody there, no answer, or one that makes no sense.
    Failed,
}

/// Who calls.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) kind: LineKind,
    pub(super) tenant: &'a str,
    pub(super) token: Option<&'a str>,
    /// The caller's number.
    pub(super) from: &'a str,
    /// The socket keeps little for a caller who does not read.
    pub(super) small: bool,
}

impl Address {
    /// Reads an address and looks it up. Who is trusted there besides the public authorities is told as PEM.
    pub(super) async fn find(text: &str, ca: Option<&str>) -> Result<Self, CrowdError> {
        let (tls, rest) = match (text.strip_prefix("ws://"), text.strip_prefix("wss://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            (None, None) => return Err(CrowdError::Address("does not begin with ws:// or wss://")),
        };
        let (authority, path) = match rest.find('/') {
            Some(at) => (&rest[..at], Some(&rest[at..]).filter(|path| *path != "/")),
            None => (rest, None),
        };
        if text.bytes().any(|byte| byte <= b' ' || byte == 0x7F) {
            return Err(CrowdError::Address("has characters that cannot be sent"));
        }
        let port_at = authority.rfind(':').filter(|at| !authority[*at..].contains(']'));
        let (host, port) = match port_at {
            Some(at) => {
                let port =
                    authority[at + 1..].parse().map_err(|_| CrowdError::Address("has no port behind its `:`"))?;
                (&authority[..at], port)
            }
            None => (authority, if tls { 443 } else { 80 }),
        };
        let host = host.trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return Err(CrowdError::Address("has no host"));
        }
        let found = tokio::net::lookup_host((host.as_str(), port)).await;
        let sockets: Vec<_> = found.map_err(|_| CrowdError::Address("has a host that is not known"))?.collect();
        let tls = tls.then(|| trusting(ca)).transpose()?.map(Arc::new);
        Ok(Self { tls, host, port, path: path.map(ToOwned::to_owned), sockets })
    }

    /// What is asked for.
    fn path(&self, request: &Request<'_>) -> String {
        let own = if request.kind == LineKind::Twilio { "/twilio/{tenant}" } else { "/v1/stream/{tenant}" };
        let mut path = self.path.as_deref().unwrap_or(own).replace("{tenant}", request.tenant);
        let format = request.kind.format();
        let codec = match format.codec {
            Codec::Pcm => "pcm_s16le",
            Codec::Mulaw => "mulaw",
            Codec::Alaw => "alaw",
            Codec::Opus => "opus",
        };
        if request.kind != LineKind::Twilio {
            path.push(if path.contains('?') { '&' } else { '?' });
            let rate = format.rate.hz();
            path.push_str(&format!("format={codec}&rate={rate}&from={}", escape(request.from)));
        }
        path
    }

    /// Opens a stream. What came behind the answer is the beginning of it.
    pub(super) async fn dial(&self, request: &Request<'_>, chance: &mut Chance) -> Result<(Stream, Vec<u8>), NotIn> {
        let opening = async {
            let tcp = self.connect(request.small).await.ok_or(NotIn::Failed)?;
            let key: Vec<u8> = [chance.roll(), chance.roll()].into_iter().flat_map(u64::to_be_bytes).collect();
            let key = STANDARD.encode(key);
            let head = self.head(request, &key);
            match &self.tls {
                None => {
                    let mut tcp = tcp;
                    let rest = shake(&mut tcp, &head, &key).await?;
                    Ok((Stream::Plain(tcp), rest))
                }
                Some(config) => {
                    let name = ServerName::try_from(self.host.clone());
                    let name = name.map_err(|_| NotIn::Failed)?;
                    let tls = TlsConnector::from(config.clone()).connect(name, tcp).await;
                    let mut tls = tls.map_err(|_| NotIn::Failed)?;
                    let rest = shake(&mut tls, &head, &key).await?;
                    Ok((Stream::Tls(Box::new(tls)), rest))
                }
            }
        };
        timeout(ANSWER_WAIT, opening).await.unwrap_or(Err(NotIn::Failed))
    }

    async fn connect(&self, small: bool) -> Option<TcpStream> {
        for address in &self.sockets {
            let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
            let Ok(socket) = socket else { continue };
            if small {
                // What the kernel would keep for us is not read by us: the target must feel that.
                let _ = socket.set_recv_buffer_size(4 << 10);
            }
            if let Ok(tcp) = socket.connect(*address).await {
                let _ = tcp.set_nodelay(true);
                return Some(tcp);
            }
        }
        None
    }

    fn head(&self, request: &Request<'_>, key: &str) -> String {
        let path = self.path(request);
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let bearer = request.token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        format!(
            "GET {path} HTTP/1.1\r\nHost: {host}:{}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{bearer}\r\n",
            self.port,
        )
    }
}

/// TLS that trusts the public authorities and these.
fn trusting(ca: Option<&str>) -> Result<rustls::ClientConfig, CrowdError> {
    let mut roots = tls::roots();
    let public = roots.len();
    for certificate in CertificateDer::pem_slice_iter(ca.unwrap_or_default().as_bytes()) {
        let certificate = certificate.map_err(|_| CrowdError::Authority("is no PEM"))?;
        roots.add(certificate).map_err(|_| CrowdError::Authority("has a certificate that cannot be read"))?;
    }
    if ca.is_some() && roots.len() == public {
        return Err(CrowdError::Authority("has no certificate in it"));
    }
    Ok(tls::trusting(roots, &[]))
}

/// Asks, and reads the answer.
async fn shake<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, head: &str, key: &str) -> Result<Vec<u8>, NotIn> {
    stream.write_all(head.as_bytes()).await.map_err(|_| NotIn::Failed)?;
    let mut answer = Vec::with_capacity(512);
    loop {
        if stream.read_buf(&mut answer).await.unwrap_or(0) == 0 {
            return Err(NotIn::Failed);
        }
        if let Some(behind) = accepted(&answer, key)? {
            return Ok(answer.split_off(behind));
        }
        if answer.len() > HEAD_MAX {
            return Err(NotIn::Failed);
        }
    }
}

/// Where the stream begins behind an answer; none while the answer has not wholly come.
pub(super) fn accepted(answer: &[u8], key: &str) -> Result<Option<usize>, NotIn> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&answer[..end]).map_err(|_| NotIn::Failed)?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse::<u16>().ok());
    match status {
        Some(101) => {
            let expected = derive_accept_key(key.as_bytes());
            let answered = lines
                .filter_map(|line| line.split_once(':'))
                .any(|(name, value)| name.eq_ignore_ascii_case("sec-websocket-accept") && value.trim() == expected);
            if answered { Ok(Some(end + 4)) } else { Err(NotIn::Failed) }
        }
        Some(status @ 200..=599) => Err(NotIn::Refused(status)),
        Some(_) | None => Err(NotIn::Failed),
    }
}

/// How long somebody who has hung up waits for the other end's goodbye.
pub(super) const CLOSE_WAIT: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    fn request(kind: LineKind) -> Request<'static> {
        Request { kind, tenant: "rossi", token: Some("segreto"), from: "+393331234567", small: false }
    }

    #[tokio::test]
    async fn the_path_is_the_gateways_or_the_one_that_is_given() {
        let own = Address::find("ws://127.0.0.1:9", None).await.unwrap();
        assert_eq!(
            own.path(&request(LineKind::VapiMulaw)),
            "/v1/stream/rossi?format=mulaw&rate=8000&from=%2B393331234567"
        );
        assert_eq!(own.path(&request(LineKind::Twilio)), "/twilio/rossi");
        let given = Address::find("ws://[::1]:9/x/{tenant}/y?a=b", None).await.unwrap();
        assert_eq!(given.path(&request(LineKind::Twilio)), "/x/rossi/y?a=b");
        assert!(given.path(&request(LineKind::VapiPcm)).starts_with("/x/rossi/y?a=b&format=pcm_s16le"));
        assert!(given.head(&request(LineKind::Twilio), "k").contains("Host: [::1]:9\r\n"));
    }

    #[tokio::test]
    async fn an_address_that_cannot_be_dialled_says_so() {
        for bad in ["", "http://h/", "ws://", "ws://h:x/", "ws://h h/", "ws://h\r\nx: y/"] {
            let told = Address::find(bad, None).await.unwrap_err().to_string();
            assert!(told.contains("ws://127.0.0.1:18789"), "{bad}: {told}");
        }
    }

    #[tokio::test]
    async fn an_authority_that_is_none_says_so() {
        for (bad, wrong) in [
            ("", "no certificate"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "cannot be read"),
            ("-----BEGIN CERTIFICATE-----\nA A\n", "no PEM"),
        ] {
            let told = Address::find("wss://127.0.0.1:9", Some(bad)).await.unwrap_err().to_string();
            assert!(told.contains(wrong) && told.contains("BEGIN CERTIFICATE"), "{bad}: {told}");
        }
        let ca = include_str!("../../../tests/fixtures/tls/authority.pem");
        assert!(Address::find("wss://127.0.0.1:9", Some(ca)).await.unwrap().tls.is_some());
    }

    #[test]
    fn only_a_websocket_is_let_in() {
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        let good = "HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        assert_eq!(accepted(good.as_bytes(), key), Ok(Some(good.len())));
        assert_eq!(accepted(&good.as_bytes()[..good.len() - 1], key), Ok(None));
        assert_eq!(accepted(good.as_bytes(), "other"), Err(NotIn::Failed));
        assert_eq!(accepted(b"HTTP/1.1 429 Too Many\r\n\r\n{}", key), Err(NotIn::Refused(429)));
        assert_eq!(accepted(b"SSH-2.0\r\n\r\n", key), Err(NotIn::Failed));
    }
}
