//! A customer's server over loopback: it keeps what it was sent and answers as it is told to.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

/// A request.
#[derive(Debug, Clone)]
pub struct Got {
    pub path: String,
    /// By their names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Got {
    /// The message in the envelope.
    pub fn message(&self) -> Value {
        serde_json::from_slice::<Value>(&self.body).unwrap()["message"].take()
    }

    pub fn kind(&self) -> String {
        self.message()["type"].as_str().unwrap().to_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// A status and what follows it: headers, and then the body.
pub type Reply = (u16, &'static str, String);

type Answer = dyn Fn(usize, &Got) -> BoxFuture<'static, Reply> + Send + Sync;

/// What a server has seen.
#[derive(Default)]
struct Seen {
    got: Mutex<Vec<Got>>,
    open: AtomicUsize,
    most: AtomicUsize,
}

/// A server. It ends with the runtime of its test.
pub struct Server {
    pub url: String,
    /// Requests that were read.
    pub came: Arc<Semaphore>,
    seen: Arc<Seen>,
}

impl Server {
    /// A server that answers the request of this number (from 0) like this.
    pub async fn start(answer: impl Fn(usize, &Got) -> BoxFuture<'static, Reply> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (came, seen, answer) = (Arc::new(Semaphore::new(0)), Arc::<Seen>::default(), Arc::new(answer));
        let (told, kept) = (Arc::clone(&came), Arc::clone(&seen));
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(serve(tcp, Arc::clone(&told), Arc::clone(&kept), answer.clone()));
            }
        });
        Self { url, came, seen }
    }

    /// A server that answers everything with this.
    pub async fn saying(status: u16, body: &'static str) -> Self {
        Self::start(move |_, _| Box::pin(async move { (status, "", body.to_owned()) })).await
    }

    pub fn got(&self) -> Vec<Got> {
        self.seen.got.lock().unwrap().clone()
    }

    pub fn kinds(&self) -> Vec<String> {
        self.got().iter().map(Got::kind).collect()
    }

    /// The most requests that were open at once.
    pub fn most(&self) -> usize {
        self.seen.most.load(Ordering::SeqCst)
    }
}

async fn serve(tcp: TcpStream, came: Arc<Semaphore>, seen: Arc<Seen>, answer: Arc<Answer>) {
    let mut tcp = BufReader::new(tcp);
    while let Some(got) = read(&mut tcp).await {
        let reply = {
            let mut all = seen.got.lock().unwrap();
            let open = seen.open.fetch_add(1, Ordering::SeqCst) + 1;
            seen.most.fetch_max(open, Ordering::SeqCst);
            all.push(got.clone());
            answer(all.len() - 1, &got)
        };
        came.add_permits(1);
        let (status, headers, body) = reply.await;
        seen.open.fetch_sub(1, Ordering::SeqCst);
        let head = format!("HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\n\r\n", body.len());
        if tcp.write_all(head.as_bytes()).await.is_err() || tcp.write_all(body.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read(tcp: &mut BufReader<TcpStream>) -> Option<Got> {
    let mut line = async || {
        let mut line = String::new();
        (tcp.read_line(&mut line).await.ok()? > 0).then(|| line.trim_end().to_owned())
    };
    let path = line().await?.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let header = line().await?;
        let Some((name, value)) = header.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").expect("a body has its length").parse().unwrap();
    let mut body = vec![0; length];
    tcp.read_exact(&mut body).await.ok()?;
    Some(Got { path, headers, body })
}
