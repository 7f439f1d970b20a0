//! Clients that were written for Vapi and know nothing of us, against a gateway in Vapi's place: the official ones for
//! TypeScript and Python, and a crate made from the published schema that refuses whatever is not in it.
//!
//! `make clients` installs them under `target`, as their lists pin them; `make test` does so first and lets none be
//! missing. Where one is not installed, a bare `cargo test` says so and passes.
#![cfg(feature = "gateway")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails loudly, and tells what it could not see"
)]

#[path = "../gateway_shop/mod.rs"]
mod gateway_shop;

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use pronto::{gateway::DrainSettings, tenant::TenantId};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
    time::{Instant, timeout},
};

use gateway_shop::{Caller, Running, Script, TOKEN, tenant};

/// The most a client may take. Ten seconds of it are its own patience: it tries three times to get a line.
const CLIENT_WAIT: Duration = Duration::from_secs(120);

/// The most a client may say, in bytes.
const SAID_MAX: u64 = 1 << 20;

/// Set to `required` where no client may be missing.
const REQUIRED: &str = "PRONTO_CLIENTS";

/// Whose settings would send a client elsewhere.
const PROXIES: [&str; 6] = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];

/// A client and the program that uses it.
struct Client {
    /// What people call it.
    name: &'static str,
    /// What runs.
    program: PathBuf,
    /// Before the address, the key and the call.
    script: Option<PathBuf>,
    /// After them.
    folder: Option<PathBuf>,
    /// A list of what is to be installed, and the copy of it that was left by who installed it.
    pinned: Option<(PathBuf, PathBuf)>,
}

impl Client {
    fn typescript() -> Self {
        let (here, there) = (ours("typescript"), installed("vapi-clients/typescript"));
        Self {
            name: "the official TypeScript client",
            program: "node".into(),
            script: Some(here.join("contract.mjs")),
            pinned: Some((here.join("package-lock.json"), there.join("installed"))),
            folder: Some(there),
        }
    }

    fn python() -> Self {
        let (here, there) = (ours("python"), installed("vapi-clients/python"));
        Self {
            name: "the official Python client",
            program: there.join("bin/python"),
            script: Some(here.join("contract.py")),
            pinned: Some((here.join("requirements.txt"), there.join("installed"))),
            folder: None,
        }
    }

    fn strict() -> Self {
        Self {
            name: "the strict client",
            program: installed("strict/debug/strict"),
            script: None,
            folder: None,
            pinned: None,
        }
    }

    /// Whether it can be run. Says so where it cannot, and fails where that must not be.
    fn is_installed(&self) -> bool {
        let read = |path: &Path| std::fs::read(path).ok();
        let is = match &self.pinned {
            Some((list, installed)) => read(list).is_some_and(|list| read(installed) == Some(list)),
            None => self.program.exists(),
        };
        if !is {
            let missing = format!("{} is not installed: make clients", self.name);
            assert!(std::env::var(REQUIRED).as_deref() != Ok("required"), "{missing}");
            println!("{missing}");
        }
        is
    }

    /// Runs it to its end, or until it has taken too long; then it is ended. It says `done` when everything was right.
    async fn agrees(&self, url: &str, ended: &str) {
        let mut command = Command::new(&self.program);
        command.args(&self.script).args([url, TOKEN, ended]).args(&self.folder);
        for proxy in PROXIES {
            command.env_remove(proxy);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{} cannot be run: {error}", self.name));
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (mut said, mut complained) = (Vec::new(), Vec::new());
        let all = async { tokio::join!(child.wait(), hear(stdout, &mut said), hear(stderr, &mut complained)).0 };
        let end = timeout(CLIENT_WAIT, all).await;
        let words = format!("{}{}", String::from_utf8_lossy(&said), String::from_utf8_lossy(&complained));
        let Ok(end) = end else {
            child.kill().await.unwrap();
            panic!("{} took more than {CLIENT_WAIT:?}:\n{words}", self.name);
        };
        let right = end.unwrap().success() && said.ends_with(b"done\n");
        assert!(right, "{} does not agree:\n{words}", self.name);
    }
}

/// Listens to a client until it says no more. What was heard is kept if nobody waits that long.
async fn hear(client: impl AsyncRead + Unpin, said: &mut Vec<u8>) {
    client.take(SAID_MAX).read_to_end(said).await.unwrap();
}

/// Where a client's own program lies.
fn ours(client: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vapi_clients").join(client)
}

/// Where `make clients` puts things.
fn installed(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join(path)
}

/// A shop with two lines and one call that is over; the client may do with it what it likes, and leaves nothing behind.
async fn holds(client: Client) {
    if !client.is_installed() {
        return;
    }
    let script = Script::new(&["vorrei prenotare il tagliando"], &[]);
    let quick = DrainSettings { finish_s: 0, goodbye_s: 0 };
    let shop = Running::start([tenant("rossi", "Il saluto della bottega.", 2, &script)], quick, 100);
    let ended = a_call_that_is_over(&shop).await;
    client.agrees(&format!("http://{}/vapi/rossi", shop.address), &ended).await;
    assert_eq!(lines_taken(&shop), 0, "every line is free again");
    let (_, listed) = ask(&shop, "GET", "/call", "").await;
    assert_eq!(listed, json!([]), "every call is forgotten");
    shop.close().await;
}

#[tokio::test]
async fn the_official_typescript_client_does_all_it_does_with_vapi() {
    holds(Client::typescript()).await;
}

#[tokio::test]
async fn the_official_python_client_does_all_it_does_with_vapi() {
    holds(Client::python()).await;
}

#[tokio::test]
async fn a_client_that_refuses_what_is_not_in_the_schema_refuses_nothing() {
    holds(Client::strict()).await;
}

fn lines_taken(shop: &Running) -> usize {
    shop.tenants.get(&TenantId::new("rossi").unwrap()).unwrap().calls()
}

/// A call with a turn of each side, held to its end. Answers its id when all that remains of it is shown, and its line
/// is free.
async fn a_call_that_is_over(shop: &Running) -> String {
    let wanted = json!({
        "assistant": {"firstMessage": "Officina Rossi, buongiorno."},
        "transport": {"provider": "vapi.websocket"},
    });
    let (status, call) = ask(shop, "POST", "/call", &wanted.to_string()).await;
    assert_eq!(status, 201, "{call}");
    let url = call["transport"]["websocketCallUrl"].as_str().unwrap();
    let path = &url[url.match_indices('/').nth(2).unwrap().0..];
    let mut caller = Caller::new(shop.dial(path, None).await.unwrap());
    caller.until("the first message", |c| c.voiced > 10 && c.silent > 10).await;
    let before = caller.voiced;
    caller.speak(900);
    caller.until("the answer", |c| c.voiced > before + 10 && c.silent > 10).await;
    caller.send(r#"{"type":"end-call"}"#).await;
    caller.hear_out().await;
    drop(caller);
    let id = call["id"].as_str().unwrap().to_owned();
    let end = Instant::now() + Duration::from_secs(20);
    while ask(shop, "GET", &format!("/call/{id}"), "").await.1.get("artifact").is_none() || lines_taken(shop) > 0 {
        assert!(Instant::now() < end, "what remains of the call did not come");
    }
    id
}

/// The status and the document that the REST interface answers with.
async fn ask(shop: &Running, method: &str, path: &str, body: &str) -> (u16, Value) {
    let mut tcp = TcpStream::connect(shop.address).await.unwrap();
    let request = format!(
        "{method} /vapi/rossi{path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\nauthorization: Bearer {TOKEN}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        shop.address,
        body.len()
    );
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut read = String::new();
    timeout(Duration::from_secs(20), tcp.read_to_string(&mut read)).await.expect("an answer").unwrap();
    let (head, body) = read.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap())
}
