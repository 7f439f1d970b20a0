//! TLS towards providers: one trust store for HTTP and WebSocket, compiled in, so that an image without certificates
//! works and no process-wide default has to be installed first.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

/// A client's TLS that offers these protocols.
pub(crate) fn config(alpn: &[&[u8]]) -> ClientConfig {
    trusting(roots(), alpn)
}

/// The public authorities.
pub(crate) fn roots() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

/// The same for a client that trusts these authorities.
pub(crate) fn trusting(roots: RootCertStore, alpn: &[&[u8]]) -> ClientConfig {
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring supports the default protocol versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config
}
