//! The metrics page of a gateway, fetched.

use std::time::Duration;

use anyhow::{Context, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::load::report::exposition::{BYTES_MAX, Exposition};

/// How long a page may take.
const WAIT: Duration = Duration::from_secs(5);

/// Fetches and reads the page at `http://host:port/path`.
pub(super) async fn fetch(address: &str) -> anyhow::Result<Exposition> {
    let rest = address.strip_prefix("http://").context("--metrics: write http://host:port/metrics")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, "metrics"));
    let asking = async {
        let mut tcp = TcpStream::connect(host).await?;
        // HTTP/1.0: the answer ends with the connection, and is not in chunks.
        tcp.write_all(format!("GET /{path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes()).await?;
        let mut answer = Vec::new();
        tcp.take(BYTES_MAX as u64).read_to_end(&mut answer).await?;
        anyhow::Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let answer = timeout(WAIT, asking).await.with_context(|| format!("{address} does not answer"))??;
    let (head, body) = answer.split_once("\r\n\r\n").with_context(|| format!("{address} does not speak HTTP"))?;
    if head.split_ascii_whitespace().nth(1) != Some("200") {
        bail!("{address} answers `{}`", head.lines().next().unwrap_or_default());
    }
    Ok(Exposition::parse(body))
}

/// Where a gateway of ours at `ws://host:port/..` has its page; none behind TLS, where a proxy stands.
pub(super) fn beside(target: &str) -> Option<String> {
    let rest = target.strip_prefix("ws://")?;
    let host = rest.split('/').next().filter(|host| !host.is_empty())?;
    let port = if host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) { "" } else { ":80" };
    Some(format!("http://{host}{port}/metrics"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_beside_the_streams() {
        let check = |target: &str, page: Option<&str>| assert_eq!(beside(target).as_deref(), page);
        check("ws://127.0.0.1:18789/v1/stream/{tenant}", Some("http://127.0.0.1:18789/metrics"));
        check("ws://voice.local", Some("http://voice.local:80/metrics"));
        check("wss://voice.example.it", None);
        check("ws:///x", None);
    }
}
