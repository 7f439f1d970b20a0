//! What a caller says, is called and drives is in no log at INFO or above and in no metric, whatever happens in a call.
#![cfg(feature = "daemon")]
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod gateway_shop;

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use gateway_shop::{Answer, Running, Script, tenant};
use metrics_exporter_prometheus::PrometheusBuilder;
use pronto::gateway::DrainSettings;

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
    let script = Script::new(&[said], &[Answer::Words("Grazie signora Serafini, targa ZZ987YX.".into())]);
    let shop =
        Running::start([tenant("rossi", "Pronto.", 1, &script)], DrainSettings { finish_s: 0, goodbye_s: 0 }, 100);
    let mut caller = shop.call("rossi").await;
    caller.speak(1_000);
    caller.until("the answer", |c| c.text("voice-input").contains("Serafini")).await;
    // What breaks the dialect or is not understood must not be quoted either.
    caller.send(r#"{"type":"say","content":"per Ottavia Serafini","interruptAssistantEnabled":true}"#).await;
    caller.send(r#"{"Ottavia Serafini": "#).await;
    caller.send(r#"{"type":"Serafini"}"#).await;
    caller.send(r#"{"type":"end-call"}"#).await;
    caller.hear_out().await;
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
