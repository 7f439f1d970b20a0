//! The door: TCP connections, each with a bounded HTTP/1.1 conversation that may turn into a WebSocket.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    time::{sleep, timeout},
};

use super::{
    Shared,
    drain::Step,
    limits,
    metrics::{self, Refusal},
    route,
    stall::Watched,
};

/// Opens the port, with a small send buffer on every connection: what the kernel keeps unsent, a caller who has stopped
/// reading hides from us.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(limits::SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(1024)
}

/// One connection, as long as it or its call lives.
#[derive(Debug)]
pub(super) struct Connection(Arc<Shared>);

impl Connection {
    /// `None` when there are already `max`.
    fn admit(shared: &Arc<Shared>, max: usize) -> Option<Arc<Self>> {
        shared
            .connections
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |open| (open < max).then_some(open + 1))
            .ok()?;
        metrics::connection(true);
        Some(Arc::new(Self(Arc::clone(shared))))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::AcqRel);
        metrics::connection(false);
    }
}

/// Takes connections until the shutdown is done.
pub(super) async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = shared.drain.reached(Step::Done) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((tcp, _)) => {
                let _ = tcp.set_nodelay(true);
                let max = shared.settings.connections_max;
                if let Some(connection) = Connection::admit(&shared, max) {
                    tokio::spawn(serve(Arc::clone(&shared), tcp, connection));
                } else {
                    metrics::refused(Refusal::Connections);
                    // Of too many, a few are told why; the rest is dropped.
                    if let Some(connection) = Connection::admit(&shared, max + limits::TURNED_AWAY_MAX) {
                        tokio::spawn(turn_away(tcp, connection));
                    }
                }
            }
            Err(error) => {
                // Out of file descriptors, or a connection that was gone before it was taken: both pass.
                tracing::warn!(%error, "a connection could not be taken");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// One connection's HTTP.
async fn serve(shared: Arc<Shared>, tcp: TcpStream, connection: Arc<Connection>) {
    let service = service_fn(|request| {
        let (shared, connection) = (Arc::clone(&shared), Arc::clone(&connection));
        async move {
            // What waits in there has a bound of its own: a body, the tools of an assistant elsewhere.
            Ok::<_, Infallible>(route::route(shared, request, connection).await)
        }
    });
    let conversation = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEADER_WAIT)
        .max_buf_size(limits::HEADER_MAX)
        .max_headers(limits::HEADERS_MAX)
        .serve_connection(TokioIo::new(Watched::new(tcp)), service)
        .with_upgrades();
    tokio::select! {
        ended = conversation => {
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended early");
            }
        }
        () = shared.drain.reached(Step::Done) => {}
    }
}

/// Says why without reading the request; what the peer sends is drained, or it would see a reset instead.
async fn turn_away(mut tcp: TcpStream, _connection: Arc<Connection>) {
    let answer = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let told = async {
        tcp.write_all(answer).await?;
        tcp.shutdown().await?;
        let mut waste = [0; 1024];
        while tcp.read(&mut waste).await? > 0 {}
        Ok::<(), io::Error>(())
    };
    let _ = timeout(Duration::from_millis(200), told).await;
}
