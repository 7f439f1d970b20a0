//! Where a provider lives: the base address of its API, parsed once at the door.

use std::fmt;

use serde::Deserialize;

/// `scheme://host[:port][/path]` with the schemes `http`, `https`, `ws` or `wss`, and nothing behind the path.
///
/// ```
/// use pronto::providers::Address;
/// let address: Address = "https://api.openai.com/v1/".to_string().try_into().unwrap();
/// assert_eq!(address.http(), "https://api.openai.com:443/v1");
/// assert!(Address::try_from("api.openai.com".to_string()).is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Address {
    /// `https` and `wss`.
    tls: bool,
    /// A name or an address, without brackets.
    host: String,
    /// Always known: the scheme's default when none was written.
    port: u16,
    /// Empty, or begins with a slash and does not end with one.
    path: String,
}

/// An address that cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("base_url: {0}; write it like https://api.example.com/v1")]
pub struct AddressError(&'static str);

impl Address {
    /// The address for HTTP requests, without a slash at the end.
    pub fn http(&self) -> String {
        format!("{}://{}{}", if self.tls { "https" } else { "http" }, self.authority(), self.path)
    }

    /// The address for WebSockets, without a slash at the end.
    pub fn ws(&self) -> String {
        format!("{}://{}{}", if self.tls { "wss" } else { "ws" }, self.authority(), self.path)
    }

    /// Encrypted.
    pub const fn tls(&self) -> bool {
        self.tls
    }

    /// The host, without brackets or port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        let (scheme, rest) = text.split_once("://").ok_or(AddressError("the scheme is missing"))?;
        let (tls, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "https" | "wss" => (true, 443),
            "http" | "ws" => (false, 80),
            _ => return Err(AddressError("the scheme must be http, https, ws or wss")),
        };
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let (host, port) = match authority.strip_prefix('[') {
            Some(v6) => v6.split_once(']').ok_or(AddressError("the bracket of the IPv6 address is not closed"))?,
            None => authority.find(':').map_or((authority, ""), |at| authority.split_at(at)),
        };
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => default_port,
            Some(port) => port
                .parse()
                .ok()
                .filter(|port| *port > 0)
                .ok_or(AddressError("the port must be a number from 1 to 65535"))?,
            None => return Err(AddressError("there is something between the host and the path")),
        };
        let host_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        let good_host = if authority.starts_with('[') {
            host.parse::<std::net::Ipv6Addr>().is_ok()
        } else {
            !host.is_empty() && host.bytes().all(host_byte)
        };
        if !good_host {
            return Err(AddressError("the host must be a plain name or address, without user or password"));
        }
        let path_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%@:+,=".contains(&byte);
        if !path.bytes().all(path_byte) {
            return Err(AddressError("the path must be plain, without query or fragment"));
        }
        Ok(Self { tls, host: host.to_string(), port, path: path.trim_end_matches('/').to_string() })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.http())
    }
}

/// Writes a value so that it can stand in a query.
#[cfg(any(feature = "deepgram", feature = "load", test))]
pub(crate) fn escape(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(&str, &str)>) {
        let got = Address::try_from(text.to_string()).ok().map(|address| (address.http(), address.ws()));
        assert_eq!(got, expected.map(|(http, ws)| (http.into(), ws.into())), "{text}");
    }

    #[test]
    fn addresses() {
        check("https://api.openai.com/v1", Some(("https://api.openai.com:443/v1", "wss://api.openai.com:443/v1")));
        check("http://127.0.0.1:8080", Some(("http://127.0.0.1:8080", "ws://127.0.0.1:8080")));
        check("ws://[::1]:9/", Some(("http://[::1]:9", "ws://[::1]:9")));
        check("WSS://api.deepgram.com", Some(("https://api.deepgram.com:443", "wss://api.deepgram.com:443")));
        for bad in [
            "",
            "api.openai.com",
            "ftp://x",
            "https://",
            "https://:80",
            "https://user:pass@host/",
            "http://h:0",
            "http://h:99999",
            "http://h/?q=1",
            "http://h/#f",
            "http://h/a b",
            "http://[zz]/",
            "http://[::1",
            "http://h\r\n/",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn escapes_what_a_query_does_not_take() {
        assert_eq!(escape("città & co"), "citt%C3%A0%20%26%20co");
    }
}
