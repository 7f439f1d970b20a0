//! A server that plays one script a request, and the pieces of HTTP that scripts are made of.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{sleep, timeout},
};

use self::Step::{Close, Drip, Hang, Send, Wait};

/// One thing the server does.
#[derive(Clone)]
pub(crate) enum Step {
    Send(Vec<u8>),
    /// Byte by byte, each in a packet of its own.
    Drip(Vec<u8>),
    Wait(u64),
    /// Says nothing until the peer leaves.
    Hang,
    /// Hangs up.
    Close,
}

pub(crate) struct Server {
    pub(crate) address: String,
    pub(crate) connections: Arc<AtomicUsize>,
    /// The bodies of the requests, in order.
    pub(crate) requests: mpsc::Receiver<(String, Vec<u8>)>,
    /// The peer closed a connection in the middle of a script.
    pub(crate) closed: mpsc::Receiver<()>,
}

/// Plays one script a request, in order; the last one again for all further requests.
pub(crate) async fn server(scripts: Vec<Vec<Step>>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/v1", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let (asked, requests) = mpsc::channel(64);
    let (gone, closed) = mpsc::channel(64);
    let count = connections.clone();
    tokio::spawn(async move {
        let turn = Arc::new(AtomicUsize::new(0));
        while let Ok(Ok((socket, _))) = timeout(Duration::from_secs(20), listener.accept()).await {
            count.fetch_add(1, Ordering::SeqCst);
            let (scripts, turn, asked, gone) = (scripts.clone(), turn.clone(), asked.clone(), gone.clone());
            tokio::spawn(async move {
                let mut socket = socket;
                socket.set_nodelay(true).unwrap();
                while let Some((head, body)) = read_request(&mut socket).await {
                    if head.starts_with("HEAD") {
                        socket.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await.unwrap();
                        continue;
                    }
                    let _ = asked.try_send((head, body));
                    let at = turn.fetch_add(1, Ordering::SeqCst).min(scripts.len() - 1);
                    if !play(&mut socket, &scripts[at]).await {
                        let _ = gone.try_send(());
                        return;
                    }
                }
            });
        }
    });
    Server { address, connections, requests, closed }
}

async fn play(socket: &mut TcpStream, script: &[Step]) -> bool {
    for step in script {
        let sent = match step {
            Send(bytes) => socket.write_all(bytes).await,
            Drip(bytes) => {
                for byte in bytes {
                    if socket.write_all(&[*byte]).await.is_err() {
                        return false;
                    }
                    tokio::task::yield_now().await;
                }
                Ok(())
            }
            Wait(ms) => {
                sleep(Duration::from_millis(*ms)).await;
                Ok(())
            }
            Hang => {
                let mut byte = [0];
                let _ = timeout(Duration::from_secs(20), socket.read(&mut byte)).await;
                return false;
            }
            Close => return false,
        };
        if sent.is_err() {
            return false;
        }
    }
    true
}

async fn read_request(socket: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        match timeout(Duration::from_secs(20), socket.read(&mut piece)).await {
            Ok(Ok(count)) if count > 0 => bytes.extend_from_slice(&piece[..count]),
            _ => return None,
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let length = head
        .lines()
        .find_map(|line| {
            line.to_ascii_lowercase().strip_prefix("content-length:").map(|n| n.trim().parse::<usize>().unwrap())
        })
        .unwrap_or(0);
    while bytes.len() < head_end + length {
        match socket.read(&mut piece).await {
            Ok(count) if count > 0 => bytes.extend_from_slice(&piece[..count]),
            _ => return None,
        }
    }
    Some((head, bytes.split_off(head_end)))
}

pub(crate) fn head(status: &str, kind: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n").into_bytes()
}

pub(crate) fn chunk(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

pub(crate) fn sse_head() -> Vec<u8> {
    head("200 OK", "text/event-stream")
}

pub(crate) const LAST: &[u8] = b"0\r\n\r\n";

pub(crate) fn json(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}

/// Everything of one stream; fails when it takes absurdly long.
pub(crate) async fn all<T>(stream: impl futures_util::Stream<Item = T>) -> Vec<T> {
    timeout(Duration::from_secs(15), stream.collect()).await.expect("the stream does not end")
}
