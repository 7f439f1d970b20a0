//! The writing end of an emulated WebSocket: messages leave in order, each no sooner than its time, through the gate
//! of faults.

use std::{sync::Arc, time::Duration};

use futures_util::{SinkExt, stream::SplitSink};
use serde_json::Value;
use tokio::{sync::mpsc, time::Instant};
use tokio_tungstenite::tungstenite::{
    Message, Utf8Bytes,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use super::{
    faults::{Gate, Harm, Pass},
    journal::Endpoint,
    server::{House, Socket},
};

/// Messages that may wait to be sent; a client that does not read them has the reader wait too.
const WAITING: usize = 256;

/// Messages to a client.
#[derive(Debug, Clone)]
pub struct Outbox(mpsc::Sender<(Instant, Message)>);

/// The client has left, or a fault ended the connection.
#[derive(Debug)]
pub struct Gone;

impl Outbox {
    /// Opens an outbox. The future writes until the box is dropped, a close was sent or the client is gone.
    pub fn open(
        house: Arc<House>,
        endpoint: Endpoint,
        harm: Option<Harm>,
        mut sink: SplitSink<Socket, Message>,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (sender, mut waiting) = mpsc::channel::<(Instant, Message)>(WAITING);
        let writing = async move {
            let mut gate = Gate::new(endpoint, harm);
            while let Some((due, message)) = waiting.recv().await {
                tokio::time::sleep_until(due).await;
                let last = matches!(message, Message::Close(_));
                let pass = gate.pass(&house.faults).await;
                let message = match pass {
                    Pass::Go => message,
                    Pass::Garbage => Message::text("{\"type\":\"Results\",\"channel\":{\"alternat"),
                    Pass::Error => closing(1011, "NET-0000"),
                    Pass::Truncate => closing(1000, ""),
                    Pass::Cut => return,
                };
                if sink.send(message).await.is_err() || last || matches!(pass, Pass::Error | Pass::Truncate) {
                    break;
                }
            }
            let _ = sink.close().await;
        };
        (Self(sender), writing)
    }

    /// Sends a JSON text after a wait.
    pub async fn json(&self, value: &Value, wait: Duration) -> Result<(), Gone> {
        self.message(Message::text(value.to_string()), wait).await
    }

    /// Sends a message after a wait.
    pub async fn message(&self, message: Message, wait: Duration) -> Result<(), Gone> {
        self.0.send((Instant::now() + wait, message)).await.map_err(|_| Gone)
    }

    /// Closes the connection behind what was sent.
    pub async fn close(&self, code: u16, reason: &'static str) {
        let _ = self.message(closing(code, reason), Duration::ZERO).await;
    }
}

fn closing(code: u16, reason: &'static str) -> Message {
    Message::Close(Some(CloseFrame { code: CloseCode::from(code), reason: Utf8Bytes::from_static(reason) }))
}
