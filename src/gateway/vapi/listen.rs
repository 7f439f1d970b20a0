//! One who listens to a call under way, over a WebSocket: first what the sound is, then the sound, then the end.

use std::sync::Arc;

use bytes::Bytes;
use tokio::{net::TcpStream, select, sync::mpsc, time::sleep_until};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::{
    gateway::{
        Shared, Step, clock,
        socket::{Received, Socket},
        tap::Sides,
    },
    transport::Message,
};

/// Sends what is heard until the call is over, or the listener goes.
pub(super) async fn run(
    shared: Arc<Shared>,
    mut socket: Socket<TcpStream>,
    mut heard: mpsc::Receiver<Bytes>,
    sides: Sides,
) {
    let start = serde_json::json!({
        "type": "start", "encoding": "linear16", "container": "raw", "sampleRate": 16_000, "channels": sides.channels(),
    });
    socket.control(Message::Text(&start.to_string()));
    let (code, why) = loop {
        let now = clock::now();
        if socket.tick(now).is_err() {
            return;
        }
        let due = socket.deadline();
        select! {
            biased;
            () = shared.drain.reached(Step::Done) => break (CloseCode::Restart, "the gateway is shutting down"),
            received = socket.next(now, false) => match received {
                // Who listens has nothing to say.
                Received::Text(_) | Received::Binary(_) => {}
                Received::Closed { .. } | Received::Fault(_) => return,
            },
            piece = heard.recv() => match piece {
                Some(piece) => {
                    if socket.audio(None, Message::Binary(&sides.of(piece))).is_err() {
                        return;
                    }
                }
                None => break (CloseCode::Normal, "the call is over"),
            },
            () = sleep_until(due.into()) => {}
        }
    };
    socket.close(code, why).await;
}
