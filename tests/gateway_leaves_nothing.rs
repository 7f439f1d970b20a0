//! Calls that end, however they end, leave nothing behind: no task, no socket, no file. One test in a process of its own,
//! because it counts everything that the process has.
#![cfg(all(feature = "gateway", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails loudly, and tells how long it took")]

mod gateway_shop;

use std::{sync::Arc, time::Duration};

use futures_util::SinkExt;
use gateway_shop::{Answer, Caller, Running, Script, TOKEN, tenant};
use pronto::gateway::DrainSettings;
use tokio::{
    io::AsyncWriteExt,
    runtime::Handle,
    time::{Instant, sleep},
};
use tokio_tungstenite::tungstenite::Message;

/// Of each kind.
const CALLS: usize = 5;
/// A machine that stands still may take longer than the 2 s we hold ourselves to; one that never comes back has a leak.
const LONGEST: Duration = Duration::from_secs(20);

/// Tasks that are alive, and files that are open.
fn held() -> (usize, usize) {
    (Handle::current().metrics().num_alive_tasks(), std::fs::read_dir("/proc/self/fd").unwrap().count())
}

/// Waits until no more is held than at the beginning.
async fn back_to(before: (usize, usize), ending: &str) {
    let since = Instant::now();
    loop {
        let now = held();
        if now.0 <= before.0 && now.1 <= before.1 {
            break println!("{ending}: {} ms", since.elapsed().as_millis());
        }
        assert!(since.elapsed() < LONGEST, "{ending}: {now:?} tasks and files are left, {before:?} were there before");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Callers who have been greeted.
async fn greeted(door: &Running) -> Vec<Caller> {
    let mut callers = Vec::new();
    for _ in 0..CALLS {
        let mut caller = door.call("rossi").await;
        caller.until("the greeting", |caller| caller.voiced > 3).await;
        callers.push(caller);
    }
    callers
}

#[tokio::test]
async fn nothing_is_left_of_a_call_however_it_ends() {
    let script: Arc<Script> = Script::new(&["pronto"], &[Answer::Panic]);
    let shop = tenant("rossi", "Officina Rossi, buongiorno. Come posso aiutarla oggi?", 50, &script);
    let door = Running::start([shop], DrainSettings { finish_s: 0, goodbye_s: 0 }, 100);
    // What the first call makes for all that follow.
    drop(greeted(&door).await);
    sleep(Duration::from_millis(500)).await;
    let before = held();

    for mut caller in greeted(&door).await {
        caller.socket.close(None).await.unwrap();
    }
    back_to(before, "the caller hangs up").await;

    drop(greeted(&door).await);
    back_to(before, "the line breaks").await;

    for mut caller in greeted(&door).await {
        caller.send(r#"{"type":"end-call"}"#).await;
        caller.hear_out().await;
    }
    back_to(before, "somebody with the right to ends the call").await;

    for mut caller in greeted(&door).await {
        caller.socket.get_mut().write_all(&[0xff; 64]).await.unwrap();
        caller.hear_out().await;
    }
    back_to(before, "bytes that are no WebSocket").await;

    for mut caller in greeted(&door).await {
        let _ = caller.socket.send(Message::Binary(vec![0; (4 << 20) + 1].into())).await;
    }
    back_to(before, "a message that is too long").await;

    let mut caller = door.call("rossi").await;
    caller.speak(600);
    caller.hear_out().await;
    drop(caller);
    back_to(before, "a bug of ours").await;

    for _ in 0..CALLS {
        assert!(door.dial("/v1/stream/rossi", Some("sbagliato")).await.is_err());
    }
    back_to(before, "a wrong token").await;

    let silent: Vec<_> = [door.dial("/twilio/rossi", Some(TOKEN)).await.unwrap()].into();
    drop(silent);
    back_to(before, "a stream that says nothing and goes").await;

    door.close().await;
}
