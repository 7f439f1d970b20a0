//! Servers that play a part on each connection, or refuse all of them.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, future::BoxFuture};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async,
    tungstenite::handshake::server::{Request, Response},
};

pub(crate) type Peer = WebSocketStream<TcpStream>;
type Play = Arc<dyn Fn(usize, Peer) -> BoxFuture<'static, ()> + Send + Sync>;

pub(crate) struct Server {
    pub(crate) address: String,
    connections: Arc<AtomicUsize>,
    /// Path and authorization of each connection.
    pub(crate) asked: Arc<Mutex<Vec<(String, String)>>>,
}

impl Server {
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// A server that plays a part on each connection, told its number from 0.
pub(crate) async fn server<F>(play: impl Fn(usize, Peer) -> F + Send + Sync + 'static) -> Server
where
    F: Future<Output = ()> + Send + 'static,
{
    let play: Play = Arc::new(move |at, peer| Box::pin(play(at, peer)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("ws://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (count, list) = (connections.clone(), asked.clone());
    tokio::spawn(async move {
        while let Ok(Ok((socket, _))) = timeout(Duration::from_secs(20), listener.accept()).await {
            let at = count.fetch_add(1, Ordering::SeqCst);
            let (play, list) = (play.clone(), list.clone());
            tokio::spawn(async move {
                #[expect(clippy::result_large_err, reason = "the library's own signature")]
                let note = |request: &Request, response: Response| {
                    let header = |name: &str| request.headers()[name].to_str().unwrap().to_string();
                    list.lock().unwrap().push((request.uri().to_string(), header("authorization")));
                    Ok(response)
                };
                if let Ok(peer) = accept_hdr_async(socket, note).await {
                    let _ = timeout(Duration::from_secs(20), play(at, peer)).await;
                }
            });
        }
    });
    Server { address, connections, asked }
}

/// Refuses every upgrade with this answer.
pub(crate) async fn refusing(answer: &'static str) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("ws://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    tokio::spawn(async move {
        while let Ok(Ok((mut socket, _))) = timeout(Duration::from_secs(20), listener.accept()).await {
            count.fetch_add(1, Ordering::SeqCst);
            let mut request = [0; 4096];
            let _ = socket.read(&mut request).await;
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    Server { address, connections, asked: Arc::default() }
}

pub(crate) async fn all<T>(stream: impl futures_util::Stream<Item = T>) -> Vec<T> {
    timeout(Duration::from_secs(15), stream.collect()).await.expect("the stream does not end")
}
