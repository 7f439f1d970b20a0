//! In Vapi's place, over loopback: a customer creates a call over REST, its client connects and talks, and what remains of
//! the call is shown. Shapes are held against Vapi's published schema where it lies beside the checkout.

use std::{net::SocketAddr, path::Path, time::Duration};

use futures_util::StreamExt;
use pronto::gateway::DrainSettings;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Error, Message, protocol::frame::coding::CloseCode},
};

use super::gateway_shop::{Caller, Running, Script, TOKEN, tenant};

const QUICK: DrainSettings = DrainSettings { finish_s: 0, goodbye_s: 0 };

/// An answer of the gateway.
pub struct Answered {
    pub status: u16,
    pub head: String,
    pub body: Value,
}

/// Asks the REST interface with a key.
async fn ask_as(key: &str, shop: SocketAddr, method: &str, path: &str, body: &str) -> Answered {
    let mut tcp = TcpStream::connect(shop).await.unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {shop}\r\nconnection: close\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut read = String::new();
    timeout(Duration::from_secs(20), tcp.read_to_string(&mut read)).await.expect("an answer").unwrap();
    let (head, body) = read.split_once("\r\n\r\n").unwrap();
    let body = serde_json::from_str(body).unwrap_or(Value::Null);
    Answered { status: head[9..12].parse().unwrap(), head: head.to_lowercase(), body }
}

pub async fn ask(shop: &Running, method: &str, path: &str, body: &Value) -> Answered {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    ask_as(TOKEN, shop.address, method, &format!("/vapi/rossi{path}"), &body).await
}

/// The path and query of an address that was given out.
pub fn path(address: &Value) -> &str {
    let address = address.as_str().unwrap();
    &address[address.match_indices('/').nth(2).unwrap().0..]
}

/// Holds a document against the published schema.
pub fn valid(name: &str, document: &Value) {
    let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/protocols/vapi-schemas.json");
    let Ok(text) = std::fs::read_to_string(schemas) else {
        return println!("vapi-schemas.json is not here: {name} is not held against it");
    };
    let mut schema: Value = serde_json::from_str(&text).unwrap();
    schema["$ref"] = format!("#/$defs/{name}").into();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let wrong: Vec<_> =
        validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(wrong.is_empty(), "{name}: {wrong:#?}");
}

pub fn wanted(more: Value) -> Value {
    let mut call = json!({
        "assistant": {"firstMessage": "Officina {{shop}}, buongiorno.", "name": "A"},
        "assistantOverrides": {"variableValues": {"shop": "Rossi"}},
        "transport": {
            "provider": "vapi.websocket",
            "audioFormat": {"format": "pcm_s16le", "container": "raw", "sampleRate": 16000.0}
        },
    });
    call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    call
}

async fn connect(shop: &Running, call: &Value) -> Caller {
    Caller::new(shop.dial(path(&call["transport"]["websocketCallUrl"]), None).await.unwrap())
}

#[tokio::test]
async fn a_call_is_created_held_and_remembered() {
    let script = Script::new(&["vorrei prenotare il tagliando"], &[]);
    let shop = Running::start([tenant("rossi", "Il saluto della bottega.", 3, &script)], QUICK, 100);
    let made = ask(&shop, "POST", "/call", &wanted(json!({"name": "collaudo", "metadata": {"x": 1}}))).await;
    assert_eq!(made.status, 201, "{}", made.body);
    valid("Call", &made.body);
    let (call, id) = (&made.body, made.body["id"].as_str().unwrap());
    assert_eq!((&call["status"], &call["type"]), (&"queued".into(), &"vapi.websocketCall".into()));
    assert_eq!(call["subscriptionLimits"]["remainingConcurrentCalls"], 2);
    assert!(call["warnings"][0].as_str().unwrap().starts_with("firstMessage is spoken as it is written"), "{call}");

    let mut client = connect(&shop, call).await;
    let greeted =
        |c: &Caller| c.text("voice-input").contains("Officina Rossi") && c.text("voice-input").contains("buongiorno.");
    client.until("the first message", greeted).await;
    client.until("its voice", |c| c.voiced > 10 && c.silent > 10).await;
    assert_eq!(ask(&shop, "GET", &format!("/call/{id}"), &Value::Null).await.body["status"], "in-progress");
    client.speak(900);
    client.until("the answer", |c| c.text("voice-input").contains("Lei ha detto")).await;

    // Whoever has the control address may speak.
    let control = path(&call["monitor"]["controlUrl"]);
    let say = json!({"type": "say", "content": "Un avviso del capofficina.", "endCallAfterSpoken": true}).to_string();
    let told = ask_as("nobody", shop.address, "POST", control, &say).await;
    assert_eq!((told.status, told.body), (200, json!({})));
    client.until("the notice", |c| c.text("voice-input").contains("capofficina.")).await;
    assert_eq!(client.hear_out().await.0, CloseCode::Normal);
    let last = client.events.last().unwrap();
    assert_eq!((&last["status"], &last["endedReason"]), (&"ended".into(), &"assistant-ended-call".into()));

    // Over at once; what remains of it a moment later, as clients that poll expect.
    let over = loop {
        let shown = ask(&shop, "GET", &format!("/call/{id}"), &Value::Null).await.body;
        assert_eq!((&shown["status"], &shown["endedReason"]), (&"ended".into(), &"assistant-ended-call".into()));
        if shown.get("artifact").is_some() {
            break shown;
        }
    };
    valid("Call", &over);
    let artifact = &over["artifact"];
    let transcript = artifact["transcript"].as_str().unwrap();
    assert!(
        transcript.starts_with("AI: Officina Rossi, buongiorno.\nUser: vorrei prenotare il tagliando\n"),
        "{transcript}"
    );
    assert!(artifact["performanceMetrics"]["turnLatencies"][0]["turnLatency"].as_f64().unwrap() >= 400.0, "{artifact}");
    let again = shop.dial(path(&call["transport"]["websocketCallUrl"]), None).await;
    assert!(matches!(again, Err(Error::Http(refused)) if refused.status() == 404), "nobody joins a call that is over");
    let late = ask_as("nobody", shop.address, "POST", control, &say).await;
    assert_eq!(late.status, 404);

    let listed = ask(&shop, "GET", "/call?limit=10", &Value::Null).await.body;
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["id"]), (1, &call["id"]));
    let renamed = ask(&shop, "PATCH", &format!("/call/{id}"), &json!({"name": "n2"})).await.body;
    assert_eq!(renamed["name"], "n2");
    assert_eq!(ask(&shop, "DELETE", &format!("/call/{id}"), &json!({})).await.status, 200);
    assert_eq!(ask(&shop, "GET", &format!("/call/{id}"), &Value::Null).await.status, 404);
    shop.close().await;
    let records = script.records.lock().unwrap();
    assert_eq!((records.len(), &*records[0].id), (1, id), "the record has the id that the customer knows");
}

#[tokio::test]
async fn what_is_refused_is_refused_in_vapi_s_words_and_creates_nothing() {
    let script = Script::new(&[], &[]);
    let shop = Running::start([tenant("rossi", "", 1, &script)], QUICK, 100);
    for (key, path) in [("wrong", "/vapi/rossi/call"), (TOKEN, "/vapi/nobody/call")] {
        let stranger = ask_as(key, shop.address, "GET", path, "").await;
        assert_eq!((stranger.status, &stranger.body["error"]), (401, &"Unauthorized".into()));
        assert!(stranger.body["message"].as_str().unwrap().starts_with("Invalid Key. Hot tip"));
    }
    let bad = ask(&shop, "POST", "/call", &wanted(json!({"squadId": "s", "name": "n".repeat(41)}))).await;
    assert_eq!((bad.status, bad.body["message"].as_array().unwrap().len()), (400, 2), "{}", bad.body);
    let alone = ask(&shop, "POST", "/call", &json!({"assistantId": "a"})).await;
    assert!(alone.body["message"].to_string().contains("Couldn't Get Phone Number"), "{}", alone.body);
    let nobody = json!({"assistantId": "a", "transport": {"provider": "vapi.websocket"}});
    assert_eq!(ask(&shop, "POST", "/call", &nobody).await.status, 404);

    // One line: the second call is refused with a time to come back, and is not there.
    let first = ask(&shop, "POST", "/call", &wanted(json!({}))).await;
    let second = ask(&shop, "POST", "/call", &wanted(json!({}))).await;
    assert_eq!((first.status, second.status), (201, 429), "{}", second.body);
    assert!(second.head.contains("retry-after: 5"), "{}", second.head);
    assert_eq!(ask(&shop, "GET", "/call", &Value::Null).await.body.as_array().unwrap().len(), 1);
    // Deleted before anybody has connected: its line is free again.
    let id = first.body["id"].as_str().unwrap();
    assert_eq!(ask(&shop, "DELETE", &format!("/call/{id}"), &json!({})).await.status, 200);
    let url = path(&first.body["transport"]["websocketCallUrl"]);
    assert!(matches!(shop.dial(url, None).await, Err(Error::Http(refused)) if refused.status() == 404));
    assert_eq!(ask(&shop, "POST", "/call", &wanted(json!({}))).await.status, 201);
    for (method, path) in [("PUT", "/call"), ("POST", "/call/x"), ("DELETE", "/assistant")] {
        assert_eq!(ask(&shop, method, path, &Value::Null).await.status, 405, "{method} {path}");
    }
    shop.close().await;
}

#[tokio::test]
async fn a_stored_assistant_answers_and_a_wrong_key_does_not_open_its_call() {
    let script = Script::new(&[], &[]);
    let shop = Running::start([tenant("rossi", "", 2, &script)], QUICK, 100);
    let stored = ask(&shop, "POST", "/assistant", &json!({"name": "A", "firstMessage": "Pronto, chi parla?"})).await;
    assert_eq!(stored.status, 201, "{}", stored.body);
    let assistant = stored.body["id"].as_str().unwrap();
    let patched = ask(&shop, "PATCH", &format!("/assistant/{assistant}"), &json!({"firstMessage": "Mi dica."})).await;
    assert_eq!(patched.body["firstMessage"], "Mi dica.");
    let call = json!({"assistantId": assistant, "transport": {"provider": "vapi.websocket", "audioFormat": {"format": "mulaw", "sampleRate": 8000}}});
    let made = ask(&shop, "POST", "/call", &call).await.body;
    let url = path(&made["transport"]["websocketCallUrl"]);
    let guessed = &url[..url.find("t=").unwrap() + 2];
    for key in ["", "00000000000000000000000000000000"] {
        let refused = shop.dial(&format!("{guessed}{key}"), None).await;
        assert!(matches!(refused, Err(Error::Http(refused)) if refused.status() == 404));
    }
    let mut client = connect(&shop, &made).await;
    client.until("the first message", |c| c.text("voice-input").contains("Mi dica.")).await;
    client.send(r#"{"type":"hangup"}"#).await;
    assert_eq!(client.hear_out().await.0, CloseCode::Normal);
    assert_eq!(ask(&shop, "GET", "/assistant?limit=5", &Value::Null).await.body.as_array().unwrap().len(), 1);
    assert_eq!(ask(&shop, "DELETE", &format!("/assistant/{assistant}"), &Value::Null).await.status, 200);
    shop.close().await;
}

#[tokio::test]
async fn who_listens_hears_both_sides_until_the_call_is_over() {
    let script = Script::new(&["vorrei prenotare"], &[]);
    let shop = Running::start([tenant("rossi", "", 1, &script)], QUICK, 100);
    let made = ask(&shop, "POST", "/call", &wanted(json!({}))).await.body;
    let listen = path(&made["monitor"]["listenUrl"]).to_owned();
    let early = shop.dial(&listen, None).await;
    assert!(matches!(early, Err(Error::Http(refused)) if refused.status() == 404), "nobody is connected yet");
    let mut client = connect(&shop, &made).await;
    client.until("the line", |c| !c.events.is_empty()).await;
    let mut stereo = shop.dial(&listen, None).await.unwrap();
    let mut mono = shop.dial(&format!("{listen}&channels=1"), None).await.unwrap();
    client.until("our voice", |c| c.voiced > 30 && c.silent > 30).await;
    client.speak(600);
    client.until("the answer", |c| c.text("voice-input").contains("Lei ha detto")).await;
    client.send(r#"{"type":"end-call"}"#).await;
    client.hear_out().await;

    let (start, sound, code) = hear_out(&mut stereo).await;
    assert_eq!(
        (&start["type"], &start["sampleRate"], &start["channels"]),
        (&"start".into(), &16_000.into(), &2.into())
    );
    assert_eq!(code, CloseCode::Normal);
    let loud = |side: usize| sound.chunks_exact(2).filter(|pair| pair[side].unsigned_abs() > 2_000).count();
    assert!(loud(0) > 4_000 && loud(1) > 4_000, "caller {}, ours {}", loud(0), loud(1));
    let both = sound.chunks_exact(2).filter(|pair| pair.iter().all(|sample| sample.unsigned_abs() > 2_000)).count();
    assert!(both < loud(0) / 2, "they take turns: {both}");
    let (start, mixed, _) = hear_out(&mut mono).await;
    assert_eq!(start["channels"], 1);
    assert!(mixed.iter().filter(|sample| sample.unsigned_abs() > 2_000).count() > 8_000);
    shop.close().await;
}

/// What one listener hears: the description, the samples, and how it ends.
async fn hear_out(socket: &mut WebSocketStream<TcpStream>) -> (Value, Vec<i16>, CloseCode) {
    let (mut start, mut sound) = (Value::Null, Vec::new());
    let hearing = async {
        while let Some(message) = socket.next().await {
            match message.unwrap() {
                Message::Text(text) => start = serde_json::from_str(&text).unwrap(),
                Message::Binary(bytes) => {
                    assert!(!start.is_null(), "first what the sound is");
                    sound.extend(bytes.as_chunks::<2>().0.iter().map(|pair| i16::from_le_bytes(*pair)));
                }
                Message::Close(frame) => return frame.unwrap().code,
                _ => {}
            }
        }
        CloseCode::Abnormal
    };
    let code = timeout(Duration::from_secs(20), hearing).await.expect("the end");
    (start, sound, code)
}

#[tokio::test]
async fn a_client_whose_connection_breaks_comes_back_to_its_call() {
    let script = Script::new(&[], &[]);
    let shop = Running::start([tenant("rossi", "", 1, &script)], QUICK, 100);
    let made = ask(&shop, "POST", "/call", &wanted(json!({}))).await.body;
    let mut client = connect(&shop, &made).await;
    client.until("the first message", |c| c.voiced > 5).await;
    drop(client);
    let back = async {
        loop {
            let mut client = connect(&shop, &made).await;
            while client.closed.is_none() && client.events.is_empty() {
                client.round().await;
            }
            if client.closed.is_none() {
                return client;
            }
        }
    };
    let mut client = timeout(Duration::from_secs(20), back).await.expect("the call waits");
    assert_eq!(client.events[0]["status"], "in-progress");
    client.until("the rest", |c| c.voiced > 5).await;
    client.send(r#"{"type":"end-call"}"#).await;
    client.hear_out().await;
    shop.close().await;
    assert_eq!(script.records.lock().unwrap().len(), 1, "one call");
}
