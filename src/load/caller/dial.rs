//! Dialling a gateway: its address, the door, and what is said when nobody answers.

use std::io;

use tokio::time::timeout;
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{self, client::IntoClientRequest, handshake::client::Request, protocol::WebSocketConfig},
};

use super::{ANSWER_WAIT, CallerError, Placement, Wire};
use crate::{
    audio::Codec,
    providers::{
        duplex::{self, Duplex},
        escape, tls,
    },
};

pub(super) type Socket = WebSocketStream<Box<dyn Duplex>>;

/// Opens the WebSocket of a call.
pub(super) async fn dial(placement: &Placement) -> Result<Socket, CallerError> {
    let request = request(placement)?;
    let encrypted = request.uri().scheme_str() == Some("wss");
    let host = request.uri().host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = request.uri().port_u16().unwrap_or(if encrypted { 443 } else { 80 });
    let unreachable = |error: io::Error| CallerError::Unreachable { host: host.clone(), port, error };
    let opening = async {
        let tls = encrypted.then(|| std::sync::Arc::new(tls::config(&[])));
        let stream = duplex::connect(&host, port, tls).await.map_err(|error| {
            if error.kind() == io::ErrorKind::InvalidInput {
                return CallerError::Address("the host is not a name a certificate could have");
            }
            unreachable(error)
        })?;
        let config = WebSocketConfig::default()
            .read_buffer_size(4 << 10)
            .write_buffer_size(0)
            .max_write_buffer_size(1 << 20)
            .max_message_size(Some(4 << 20))
            .max_frame_size(Some(4 << 20));
        let (socket, _) = client_async_with_config(request, stream, Some(config)).await.map_err(refused)?;
        Ok(socket)
    };
    timeout(ANSWER_WAIT, opening).await.map_err(|_late| {
        unreachable(io::Error::new(io::ErrorKind::TimedOut, format!("no answer in {} s", ANSWER_WAIT.as_secs())))
    })?
}

/// The request that opens the call: who calls, in what format, with which token.
fn request(placement: &Placement) -> Result<Request, CallerError> {
    let mut address = placement.address.clone();
    if let Wire::Vapi(format) = placement.wire
        && !placement.given
    {
        let codec = match format.codec {
            Codec::Pcm => "pcm_s16le",
            Codec::Mulaw => "mulaw",
            Codec::Alaw => "alaw",
            Codec::Opus => "opus",
        };
        let named = [
            ("format", Some(codec.to_owned())),
            ("rate", Some(format.rate.hz().to_string())),
            ("from", placement.from.clone()),
        ];
        for (name, value) in named {
            let Some(value) = value else { continue };
            address.push(if address.contains('?') { '&' } else { '?' });
            address.push_str(&format!("{name}={}", escape(&value)));
        }
    }
    let mut request = address
        .into_client_request()
        .map_err(|_| CallerError::Address("it must be like ws://127.0.0.1:18789/v1/stream/officina-rossi"))?;
    if !matches!(request.uri().scheme_str(), Some("ws" | "wss")) {
        return Err(CallerError::Address("it must begin with ws:// or wss://"));
    }
    if let Some(token) = &placement.token {
        let value = format!("Bearer {token}")
            .parse()
            .map_err(|_| CallerError::Address("the token has characters that cannot be sent"))?;
        request.headers_mut().insert("authorization", value);
    }
    Ok(request)
}

/// What the gateway says at the door, in its own words.
fn refused(error: tungstenite::Error) -> CallerError {
    let tungstenite::Error::Http(answer) = error else { return CallerError::Broken(Box::new(error)) };
    let body = answer.body().as_deref().unwrap_or_default();
    let said: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| said[name].as_str().map(ToOwned::to_owned);
    let why = match (text("message"), text("fix")) {
        (Some(message), Some(fix)) => format!("{message}; {fix}"),
        (Some(message), None) => message,
        _ => "is this the address of a gateway?".to_owned(),
    };
    CallerError::Refused { status: answer.status().as_u16(), why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Format;

    fn placement(address: &str) -> Placement {
        Placement {
            address: address.into(),
            given: false,
            token: Some("segreto".into()),
            from: Some("+393331234567".into()),
            wire: Wire::Vapi(Format::PCM_WIDE),
        }
    }

    #[test]
    fn the_request_says_who_calls_and_in_what_format() {
        let asked = request(&placement("ws://127.0.0.1:1/v1/stream/rossi")).unwrap();
        assert_eq!(
            asked.uri().to_string(),
            "ws://127.0.0.1:1/v1/stream/rossi?format=pcm_s16le&rate=16000&from=%2B393331234567"
        );
        assert_eq!(asked.headers()["authorization"], "Bearer segreto");
        let asked = request(&placement("ws://h/x?a=b")).unwrap();
        assert!(asked.uri().to_string().contains("?a=b&format="));
        let given = Placement { given: true, token: None, ..placement("ws://h/c/transport?t=1") };
        let asked = request(&given).unwrap();
        assert_eq!(asked.uri().to_string(), "ws://h/c/transport?t=1");
        assert!(!asked.headers().contains_key("authorization"));
    }

    #[test]
    fn an_address_that_cannot_be_dialled_says_so() {
        for bad in ["", "127.0.0.1:1", "http://h/", "ws//h"] {
            let told = request(&placement(bad)).unwrap_err().to_string();
            assert!(told.contains("address"), "{bad}: {told}");
        }
    }

    #[tokio::test]
    async fn nobody_there_names_the_address_and_the_cure() {
        // A port that was free a moment ago.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let dialled = dial(&placement(&format!("ws://127.0.0.1:{port}/v1/stream/rossi"))).await;
        let told = dialled.err().unwrap().to_string();
        assert!(told.contains(&port.to_string()) && told.contains("pronto serve"), "{told}");
    }
}
