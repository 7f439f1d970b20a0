//! In Vapi's place, and the process ends: what customers stored and created over REST is shown by the next one.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use pronto::{
    gateway::DrainSettings,
    store::{DocumentKind, Documents, SqliteStore},
    tenant::TenantId,
};
use serde_json::{Value, json};

use super::{
    gateway_shop::{Caller, Running, Script, tenant},
    platform::{ask, path, valid, wanted},
};

const QUICK: DrainSettings = DrainSettings { finish_s: 0, goodbye_s: 0 };

/// A file of its own for each test, removed when the test is over.
struct File(PathBuf);

impl File {
    fn new(test: &str) -> Self {
        Self(std::env::temp_dir().join(format!("pronto-lasting-{test}-{}.sqlite", std::process::id())))
    }
}

impl Drop for File {
    fn drop(&mut self) {
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", self.0.display()));
        }
    }
}

/// A process with this file.
async fn process(file: &Path) -> (Running, SqliteStore) {
    let store = SqliteStore::open(file).await.unwrap();
    let shop = tenant("rossi", "", 5, &Script::new(&["vorrei prenotare"], &[]));
    let shop = shop.lasting(Arc::new(store.clone())).await.unwrap();
    (Running::start([shop], QUICK, 100), store)
}

async fn connect(shop: &Running, call: &Value) -> Caller {
    let mut client = Caller::new(shop.dial(path(&call["transport"]["websocketCallUrl"]), None).await.unwrap());
    client.until("the first message", |c| c.voiced > 5).await;
    client
}

/// A call as the next process shows it: its addresses opened doors of this one.
fn without_addresses(call: &Value) -> Value {
    let mut call = call.clone();
    call.as_object_mut().unwrap().remove("monitor");
    call["transport"].as_object_mut().unwrap().remove("websocketCallUrl");
    call
}

#[tokio::test]
async fn assistants_and_calls_are_there_after_a_restart() {
    let file = File::new("restart");
    let (shop, store) = process(&file.0).await;
    let stored = ask(&shop, "POST", "/assistant", &json!({"name": "A", "firstMessage": "Mi dica.", "x": [1]})).await;
    assert_eq!(stored.status, 201, "{}", stored.body);
    let assistant = stored.body["id"].as_str().unwrap();
    let call = json!({"assistantId": assistant, "name": "collaudo", "transport": {"provider": "vapi.websocket"}});
    let made = ask(&shop, "POST", "/call", &call).await.body;
    let id = made["id"].as_str().unwrap();
    let mut client = connect(&shop, &made).await;
    client.send(r#"{"type":"hangup"}"#).await;
    client.hear_out().await;
    let over = loop {
        let shown = ask(&shop, "GET", &format!("/call/{id}"), &Value::Null).await.body;
        if shown.get("artifact").is_some() {
            break shown;
        }
    };
    let other = ask(&shop, "POST", "/call", &wanted(json!({}))).await.body;
    let other = other["id"].as_str().unwrap();
    assert_eq!(ask(&shop, "DELETE", &format!("/call/{other}"), &json!({})).await.status, 200);
    let rossi = pronto::booking::TenantId::new("rossi");
    let kept = store.documents(&rossi, DocumentKind::Call, 9).await.unwrap();
    assert!(kept.iter().all(|document| document.id != other), "it is answered when it is erased");
    shop.close().await;
    store.close().await;

    let (shop, store) = process(&file.0).await;
    assert_eq!(ask(&shop, "GET", &format!("/assistant/{assistant}"), &Value::Null).await.body, stored.body);
    let shown = ask(&shop, "GET", &format!("/call/{id}"), &Value::Null).await.body;
    assert_eq!(shown, without_addresses(&over));
    valid("Call", &shown);
    let listed = ask(&shop, "GET", "/call", &Value::Null).await.body;
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]), (1, &shown), "and the other one is gone");
    // What was stored answers once more.
    let again = ask(&shop, "POST", "/call", &call).await;
    assert_eq!(again.status, 201, "{}", again.body);
    let mut client = connect(&shop, &again.body).await;
    client.until("the first message", |c| c.text("voice-input").contains("Mi dica.")).await;
    client.send(r#"{"type":"hangup"}"#).await;
    client.hear_out().await;
    shop.close().await;
    store.close().await;
}

#[tokio::test]
async fn a_call_that_a_killed_process_leaves_is_over_in_the_next_one() {
    let file = File::new("killed");
    let (first, left) = process(&file.0).await;
    let made = ask(&first, "POST", "/call", &wanted(json!({}))).await.body;
    let id = made["id"].as_str().unwrap();
    let client = connect(&first, &made).await;
    let rossi = TenantId::new("rossi").unwrap();
    first.tenants.get(&rossi).unwrap().switchboard().written().await;

    // Killed just now, it would leave the file as it is.
    let (next, store) = process(&file.0).await;
    let shown = ask(&next, "GET", &format!("/call/{id}"), &Value::Null).await.body;
    assert_eq!((&shown["status"], &shown["endedReason"]), (&"ended".into(), &"worker-shutdown".into()), "{shown}");
    assert!(shown["startedAt"].is_string() && shown["endedAt"].is_string(), "{shown}");
    valid("Call", &shown);
    let joining = next.dial(path(&made["transport"]["websocketCallUrl"]), None).await;
    assert!(joining.is_err(), "its address opens nothing any more");
    next.close().await;
    store.close().await;
    drop(client);
    first.close().await;
    left.close().await;
}
