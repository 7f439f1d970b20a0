//! What a caller says, is called and drives is in no log at INFO or above and in no metric, whatever happens in a call.
#![cfg(feature = "daemon")]
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod gateway_shop;
#[path = "vapi_doors/vapi_shop.rs"]
mod vapi_shop;

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use gateway_shop::{Answer, Running, Script, tenant};
use metrics_exporter_prometheus::PrometheusBuilder;
use pronto::{
    booking::{Shop, TenantId},
    gateway::DrainSettings,
    language::Language,
    privacy::Pii,
    store::{SqliteStore, Store},
    tenant::{Desk, ToolRun},
};

/// Everything that was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn nothing_of_the_caller_is_in_the_logs_or_the_metrics() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_writer(move || writer.clone()).init();
    let metrics = PrometheusBuilder::new().install_recorder().unwrap();

    let said = "sono Ottavia Serafini e la targa è ZZ987YX";
    let thanks = Answer::Words("Grazie signora Serafini, targa ZZ987YX.".into());
    let script = Script::new(&[said, "prenoti pure"], &[thanks, Answer::Book]);
    let shop =
        Running::start([tenant("rossi", "Pronto.", 1, &script)], DrainSettings { finish_s: 0, goodbye_s: 0 }, 100);
    let mut caller = shop.call("rossi").await;
    caller.speak(1_000);
    caller.until("the answer", |c| c.text("voice-input").contains("Serafini")).await;
    let silent = caller.silent;
    caller.until("the end of it", |c| c.silent > silent + 20).await;
    caller.speak(1_000);
    caller.until("the booking", |c| c.count("tool-calls") == 1).await;
    // What breaks the dialect or is not understood must not be quoted either.
    caller.send(r#"{"type":"say","content":"per Ottavia Serafini","interruptAssistantEnabled":true}"#).await;
    caller.send(r#"{"Ottavia Serafini": "#).await;
    caller.send(r#"{"type":"Serafini"}"#).await;
    caller.send(r#"{"type":"end-call"}"#).await;
    caller.hear_out().await;
    // The same caller through an assistant at Vapi.
    let call = r#""call":{"id":"c1","customer":{"number":"+393331234567"}}"#;
    let book = r#"{"id":"1","name":"book","arguments":{"name":"Ottavia Serafini"}},{"id":"2","name":"Serafini"}"#;
    for (path, body, expected) in [
        ("tools", format!(r#"{{"message":{{"type":"tool-calls",{call},"toolCalls":[{book}]}}}}"#), 200),
        ("tools", r#"{"message":{"type":"Serafini"}}"#.into(), 200),
        ("tools", r#"{"message":{"Ottavia Serafini":"#.into(), 400),
        ("chat/completions", format!(r#"{{"messages":[{{"role":"user","content":"{said}"}}],{call}}}"#), 200),
        ("chat/completions", r#"{"messages":"Ottavia Serafini"}"#.into(), 400),
    ] {
        let path = format!("/vapi/rossi/{path}");
        let (status, _) = vapi_shop::post(shop.address, &path, &[("x-vapi-secret", gateway_shop::TOKEN)], &body).await;
        assert_eq!(status, expected, "{body}");
    }
    shop.close().await;

    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let measured = metrics.render();
    assert!(logged.contains("rossi"), "the call itself is logged: {logged}");
    assert!(measured.contains("pronto_"), "the call is measured: {measured}");
    for secret in ["Ottavia", "Serafini", "ZZ987YX", "3331234567"] {
        assert!(!logged.contains(secret), "{secret} is in the log:\n{logged}");
        assert!(!measured.contains(secret), "{secret} is in the metrics:\n{measured}");
    }
}

/// When the books cannot be reached, the log says so, and not for whom.
#[tokio::test]
async fn nothing_of_the_caller_is_in_the_log_when_the_books_are_gone() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_writer(move || writer.clone()).finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let file = std::env::temp_dir().join(format!("pronto-privacy-{}.db", std::process::id()));
    let store = Arc::new(SqliteStore::open(&file).await.unwrap());
    store.close().await;
    let books = Arc::clone(&store) as Arc<dyn Store>;
    let desk = Desk::new(Arc::new(Shop::example()), books, TenantId::new("rossi"), Language::Italian);
    let run = ToolRun {
        id: String::new(),
        name: "book_appointment".into(),
        arguments: r#"{"service":"tagliando","start":"2026-04-14T09:00","name":"Ottavia Serafini","plate":"ZZ987YX"}"#
            .into(),
        caller: Some(Pii::new("+393331234567".into())),
        call: "1".into(),
        now: "2026-04-13T10:00[Europe/Rome]".parse().unwrap(),
    };
    let outcome = desk.run(run).await;
    assert!(outcome.content.contains("unavailable"), "{}", outcome.content);
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("the books cannot be reached"), "{logged}");
    for secret in ["Ottavia", "Serafini", "ZZ987YX", "3331234567"] {
        assert!(!logged.contains(secret), "{secret} is in the log:\n{logged}");
    }
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", file.display()));
    }
}
