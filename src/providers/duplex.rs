//! A connection to a peer, encrypted or (for emulators, and what stands behind a proxy) not.

use std::{io, sync::Arc};

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

/// What can be read from and written to.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// Connects; without `tls` in the clear. [`io::ErrorKind::InvalidInput`]: the host is no name that a certificate could have.
pub(crate) async fn connect(host: &str, port: u16, tls: Option<Arc<ClientConfig>>) -> io::Result<Box<dyn Duplex>> {
    let name = match &tls {
        Some(_) => Some(ServerName::try_from(host.to_owned()).map_err(|_| io::ErrorKind::InvalidInput)?),
        None => None,
    };
    let tcp = TcpStream::connect((host, port)).await?;
    // What is said in a call is small, and must not wait for more.
    tcp.set_nodelay(true)?;
    Ok(match tls.zip(name) {
        Some((tls, name)) => Box::new(TlsConnector::from(tls).connect(name, tcp).await?),
        None => Box::new(tcp),
    })
}
