//! What clients of Vapi send, byte for byte as it was recorded by a stand-in on loopback, with only the ids put in.
//! Each request must be answered with the status and the fields that its client needs.

use std::time::Duration;

use pronto::gateway::DrainSettings;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

use super::gateway_shop::{Running, Script, TOKEN, tenant};

const QUICK: DrainSettings = DrainSettings { finish_s: 0, goodbye_s: 0 };

/// How a client writes a request: `{what}` is method and path. The lines that describe a body stand together, as
/// `{more}`, or the first of them apart, as `{kind}`.
#[derive(Clone, Copy)]
pub struct Manner {
    head: &'static str,
    kind: &'static str,
    more: &'static str,
}

/// `@vapi-ai/server-sdk` 2.0.1 on Node 20.
const TYPESCRIPT: Manner = Manner {
    head: "{what} HTTP/1.1\r\nhost: {host}\r\nconnection: keep-alive\r\nAccept: */*\r\n\
           {kind}authorization: Bearer {token}\r\nx-fern-language: JavaScript\r\n\
           x-fern-sdk-name: @vapi-ai/server-sdk\r\nx-fern-sdk-version: 2.0.1\r\n\
           user-agent: @vapi-ai/server-sdk/2.0.1\r\nx-fern-runtime: node\r\nx-fern-runtime-version: 20.20.2\r\n\
           accept-language: *\r\nsec-fetch-mode: cors\r\naccept-encoding: gzip, deflate\r\n{more}\r\n",
    kind: "Content-Type: application/json\r\n",
    more: "content-length: {length}\r\n",
};

/// `vapi_server_sdk` 3.0.0 on Python 3.11, over httpx.
const PYTHON: Manner = Manner {
    head: "{what} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\nAccept-Encoding: gzip, deflate\r\n\
           Connection: keep-alive\r\nUser-Agent: vapi_server_sdk/3.0.0\r\nX-Fern-Language: Python\r\n\
           X-Fern-Runtime: python/3.11.7\r\nX-Fern-Platform: linux/6.1.0\r\nX-Fern-SDK-Name: vapi_server_sdk\r\n\
           X-Fern-SDK-Version: 3.0.0\r\nAuthorization: Bearer {token}\r\n{more}\r\n",
    kind: "",
    more: "content-type: application/json\r\nContent-Length: {length}\r\n",
};

/// The crate `vapi-client` 0.4.2, over reqwest.
const CRATE: Manner = Manner {
    head: "{what} HTTP/1.1\r\nuser-agent: OpenAPI-Generator/1.0/rust\r\nauthorization: Bearer {token}\r\n{more}\
           accept: */*\r\nhost: {host}\r\n\r\n",
    kind: "",
    more: "content-type: application/json\r\ncontent-length: {length}\r\n",
};

/// The official WebSocket tester's own server, on Node 20.
pub const TESTER: Manner = Manner {
    head: "{what} HTTP/1.1\r\nhost: {host}\r\nconnection: keep-alive\r\nauthorization: Bearer {token}\r\n{more}\
           accept: */*\r\naccept-language: *\r\nsec-fetch-mode: cors\r\nuser-agent: node\r\n\
           accept-encoding: gzip, deflate\r\n\r\n",
    kind: "",
    more: "content-type: application/json\r\ncontent-length: {length}\r\n",
};

/// One connection that is kept, as all of them keep theirs.
pub struct Kept {
    tcp: BufReader<TcpStream>,
    manner: Manner,
    host: String,
}

impl Kept {
    pub async fn open(shop: &Running, manner: Manner) -> Self {
        let tcp = TcpStream::connect(shop.address).await.unwrap();
        Self { tcp: BufReader::new(tcp), manner, host: shop.address.to_string() }
    }

    /// Sends one request and reads the answer: status and document.
    pub async fn ask(&mut self, method: &str, path: &str, body: Option<&str>) -> (u16, Value) {
        let Manner { head, kind, more } = self.manner;
        let length = body.map_or_else(String::new, |body| body.len().to_string());
        let (kind, more) = if body.is_some() { (kind, more) } else { ("", "") };
        let head = head.replace("{kind}", kind).replace("{more}", more).replace("{length}", &length);
        let head = head.replace("{host}", &self.host).replace("{token}", TOKEN);
        let head = head.replace("{what}", &format!("{method} /vapi/rossi{path}"));
        self.tcp.write_all(format!("{head}{}", body.unwrap_or("")).as_bytes()).await.unwrap();
        timeout(Duration::from_secs(20), self.answer()).await.unwrap_or_else(|_| panic!("no answer to {method} {path}"))
    }

    async fn answer(&mut self) -> (u16, Value) {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(self.tcp.read_line(&mut head).await.unwrap() > 0, "the connection was closed: {head}");
        }
        let head = head.to_lowercase();
        assert!(head.contains("content-type: application/json\r\n"), "every client asks for JSON: {head}");
        assert!(!head.contains("content-encoding"), "nothing is compressed: {head}");
        let (_, length) = head.split_once("content-length: ").unwrap_or_else(|| panic!("a length: {head}"));
        let mut body = vec![0; length.split("\r\n").next().unwrap().parse().unwrap()];
        self.tcp.read_exact(&mut body).await.unwrap();
        (head[9..12].parse().unwrap(), serde_json::from_slice(&body).unwrap())
    }

    /// The same where the status is known.
    async fn told(&mut self, method: &str, path: &str, body: Option<&str>, status: u16) -> Value {
        let (found, document) = self.ask(method, path, body).await;
        assert_eq!(found, status, "{method} {path}: {document}");
        document
    }

    /// An assistant to create calls for. Answers its id.
    async fn assistant(&mut self) -> String {
        let body = r#"{"name":"A","firstMessage":"Buongiorno"}"#;
        let made = self.told("POST", "/assistant", Some(body), 201).await;
        assert_eq!((&made["name"], &made["firstMessage"]), (&json!("A"), &json!("Buongiorno")));
        made["id"].as_str().unwrap().to_owned()
    }
}

fn shop(lines: usize) -> Running {
    Running::start([tenant("rossi", "Il saluto.", lines, &Script::new(&[], &[]))], QUICK, 100)
}

/// What every client needs to see a call at all, and what it needs to connect. Answers the id.
fn queued(call: &Value, rate: u32) -> &str {
    for time in [&call["createdAt"], &call["updatedAt"]] {
        let time = time.as_str().unwrap_or_else(|| panic!("a time: {call}"));
        assert!(time.len() == "2026-09-01T08:30:00.000Z".len() && time.ends_with('Z'), "{time}");
    }
    assert!(call["orgId"].is_string(), "{call}");
    assert_eq!((&call["status"], &call["type"]), (&json!("queued"), &json!("vapi.websocketCall")));
    assert_eq!(call["transport"]["audioFormat"]["sampleRate"].to_string(), rate.to_string(), "whole, never a float");
    assert!(call["transport"]["websocketCallUrl"].as_str().unwrap().starts_with("ws://"), "{call}");
    assert!(call["monitor"]["controlUrl"].as_str().unwrap().starts_with("http://"), "{call}");
    call["id"].as_str().unwrap()
}

fn ids(calls: &Value) -> Vec<&str> {
    calls.as_array().expect("a bare list").iter().map(|call| call["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn what_the_typescript_client_sent_is_answered_as_it_needs() {
    let shop = shop(10);
    let mut client = Kept::open(&shop, TYPESCRIPT).await;
    let assistant = client.assistant().await;
    let wanted = r#"{"assistantId":"…","assistantOverrides":{"variableValues":{"x":1},"server":{"url":"http://127.0.0.1:1/h"}},"transport":{"provider":"vapi.websocket","audioFormat":{"format":"pcm_s16le","container":"raw","sampleRate":16000}}}"#;
    let call = client.told("POST", "/call", Some(&wanted.replace('…', &assistant)), 201).await;
    let id = queued(&call, 16_000);
    let variables = &call["assistantOverrides"]["variableValues"];
    assert_eq!((&call["assistantId"], variables), (&json!(assistant), &json!({"x": 1})));
    let query = format!("/call?assistantId={assistant}&limit=10&createdAtGt=2026-01-01T00%3A00%3A00Z");
    assert_eq!(ids(&client.told("GET", &query, None, 200).await), [id]);
    let one = format!("/call/{id}");
    assert_eq!(queued(&client.told("GET", &one, None, 200).await, 16_000), id);
    assert_eq!(client.told("PATCH", &one, Some(r#"{"name":"n2"}"#), 200).await["name"], "n2");
    assert_eq!(client.told("DELETE", &one, Some("{}"), 200).await["id"], id);
    assert_eq!(client.told("GET", &one, None, 404).await["statusCode"], 404);

    // Any 5xx, and this would be sent twice more.
    let refusal = client.told("POST", "/call", Some(r#"{"assistantId":"a"}"#), 400).await;
    assert_eq!((&refusal["error"], &refusal["statusCode"]), (&json!("Bad Request"), &json!(400)));
    assert!(refusal["message"].to_string().contains("Couldn't Get Phone Number."), "{refusal}");
    assert_eq!(client.told("GET", "/call", None, 200).await, json!([]));

    let one = format!("/assistant/{assistant}");
    assert_eq!(ids(&client.told("GET", "/assistant?limit=5", None, 200).await), [assistant.as_str()]);
    assert_eq!(client.told("GET", &one, None, 200).await["id"], assistant.as_str());
    let changed = client.told("PATCH", &one, Some(r#"{"firstMessage":"ciao"}"#), 200).await;
    assert_eq!((&changed["firstMessage"], &changed["name"]), (&json!("ciao"), &json!("A")));
    assert_eq!(client.told("DELETE", &one, None, 200).await["id"], assistant.as_str());
    client.told("GET", &one, None, 404).await;
    drop(client);
    shop.close().await;
}

#[tokio::test]
async fn what_the_python_client_sent_is_answered_as_it_needs_floats_and_all() {
    let shop = shop(10);
    let mut client = Kept::open(&shop, PYTHON).await;
    let assistant = client.assistant().await;
    let from_dict = r#"{"transport":{"provider":"vapi.websocket","audioFormat":{"format":"pcm_s16le","container":"raw","sampleRate":16000}},"assistantId":"…"}"#;
    let typed = r#"{"transport":{"provider":"vapi.websocket","audioFormat":{"sampleRate":16000.0,"format":"pcm_s16le","container":"raw"}},"assistantId":"…"}"#;
    let first = client.told("POST", "/call", Some(&from_dict.replace('…', &assistant)), 201).await;
    let second = client.told("POST", "/call", Some(&typed.replace('…', &assistant)), 201).await;
    let (first, second) = (queued(&first, 16_000), queued(&second, 16_000));
    assert_eq!(ids(&client.told("GET", "/call?limit=10", None, 200).await), [second, first]);
    assert_eq!(ids(&client.told("GET", "/call?limit=1.0", None, 200).await), [second]);
    let one = format!("/call/{first}");
    assert_eq!(queued(&client.told("GET", &one, None, 200).await, 16_000), first);
    assert_eq!(client.told("PATCH", &one, Some(r#"{"name":"n2"}"#), 200).await["name"], "n2");
    // The list counts, and not the path.
    let gone = client.told("DELETE", &one, Some(r#"{"ids":["…"]}"#.replace('…', second).as_str()), 200).await;
    assert_eq!(gone["id"], second);
    assert_eq!(ids(&client.told("GET", "/call?limit=10", None, 200).await), [first]);
    assert_eq!(client.told("DELETE", &one, Some("{}"), 200).await["id"], first);
    assert_eq!(client.told("GET", "/call?limit=10", None, 200).await, json!([]));
    drop(client);
    shop.close().await;
}

#[tokio::test]
async fn what_the_strict_crate_sent_is_answered_with_everything_it_requires() {
    let shop = shop(10);
    let mut client = Kept::open(&shop, CRATE).await;
    let assistant = client.assistant().await;
    let wanted = r#"{"transport":{"audioFormat":{"container":"raw","format":"pcm_s16le","sampleRate":16000},"provider":"vapi.websocket"},"assistantId":"…"}"#;
    let call = client.told("POST", "/call", Some(&wanted.replace('…', &assistant)), 201).await;
    let id = queued(&call, 16_000);
    for shown in [&call, &client.told("GET", &format!("/call/{id}"), None, 200).await] {
        for required in ["id", "orgId", "createdAt", "updatedAt"] {
            assert!(shown[required].is_string(), "{required} is required: {shown}");
        }
        let nulls: Vec<_> = shown.as_object().unwrap().iter().filter(|(_, value)| value.is_null()).collect();
        assert!(nulls.is_empty(), "what is not there is left out: {nulls:?}");
    }
    // It sends no body with DELETE.
    assert_eq!(client.told("DELETE", &format!("/call/{id}"), None, 200).await["id"], id);
    assert_eq!(client.told("GET", "/call", None, 200).await, json!([]));
    drop(client);
    shop.close().await;
}
