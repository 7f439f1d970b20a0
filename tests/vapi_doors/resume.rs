//! A call whose connection breaks goes on with another one, over real sockets.

use pronto::gateway::DrainSettings;
use tokio_tungstenite::tungstenite::{
    Error,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use super::gateway_shop::{Answer, Caller, Running, Script, TOKEN, tenant};

const QUICK: DrainSettings = DrainSettings { finish_s: 0, goodbye_s: 0 };
const CALL: &str = "/v1/stream/rossi/019b-una-chiamata/transport";

async fn caller(shop: &Running, path: &str) -> Caller {
    Caller::new(shop.dial(path, Some(TOKEN)).await.unwrap())
}

/// The network goes away without a word.
fn breaks(caller: Caller) {
    drop(caller);
}

/// Dials until there is a line: the gateway notices in its own time that somebody is gone.
async fn again(shop: &Running) -> Caller {
    let dialling = async {
        loop {
            match shop.dial(CALL, Some(TOKEN)).await {
                Ok(socket) => {
                    let mut caller = Caller::new(socket);
                    while caller.closed.is_none() && caller.events.is_empty() {
                        caller.round().await;
                    }
                    if caller.closed.is_none() {
                        return caller;
                    }
                }
                Err(Error::Http(refused)) if refused.status() == 429 => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), dialling).await.expect("a line")
}

#[tokio::test]
async fn a_caller_who_comes_back_hears_the_rest_and_is_still_the_same_call() {
    let words =
        "Le spiego con calma. Il tagliando costa centoventi euro. Lo facciamo in mattinata. Le va bene martedì?";
    let script = Script::new(&["quanto costa il tagliando"], &[Answer::Words(words.into())]);
    // One line: the one who comes back has it already.
    let shop = Running::start([tenant("rossi", "", 1, &script)], QUICK, 100);
    let mut first = caller(&shop, CALL).await;
    first.speak(800);
    first.until("the answer", |c| c.voiced > 40).await;
    breaks(first);

    let mut second = again(&shop).await;
    assert_eq!(second.events[0]["status"], "in-progress");
    second.until("the rest", |c| c.text("voice-input").contains("Le va bene martedì?")).await;
    second.until("its voice", |c| c.voiced > 20).await;
    second.send(r#"{"type":"end-call"}"#).await;
    assert_eq!(second.hear_out().await.0, CloseCode::Normal);
    shop.close().await;
    assert_eq!(script.records.lock().unwrap().len(), 1, "one call");
}

#[tokio::test]
async fn who_says_goodbye_does_not_come_back_and_nobody_takes_a_call_that_has_its_line() {
    let script = Script::new(&[], &[]);
    let shop = Running::start([tenant("rossi", "Pronto, officina.", 2, &script)], QUICK, 100);
    let mut first = caller(&shop, CALL).await;
    first.until("the greeting", |c| c.voiced > 5).await;
    let mut stranger = caller(&shop, CALL).await;
    let (code, why) = stranger.hear_out().await;
    assert_eq!((code, why.contains("has a connection already")), (CloseCode::Policy, true), "{why}");

    let goodbye = CloseFrame { code: CloseCode::Normal, reason: "".into() };
    first.socket.close(Some(goodbye)).await.unwrap();
    first.hear_out().await;
    let mut next = again(&shop).await;
    next.until("another greeting", |c| c.voiced > 5).await;
    next.socket.close(None).await.unwrap();
    next.hear_out().await;
    shop.close().await;
    assert_eq!(script.records.lock().unwrap().len(), 2, "two calls");
}

#[tokio::test]
async fn another_format_is_another_call() {
    let script = Script::new(&[], &[]);
    let shop = Running::start([tenant("rossi", "Pronto, officina.", 2, &script)], QUICK, 100);
    let mut first = caller(&shop, CALL).await;
    first.until("the greeting", |c| c.voiced > 5).await;
    breaks(first);
    let other = format!("{CALL}?format=mulaw&rate=8000");
    let (code, _) = caller(&shop, &other).await.hear_out().await;
    assert_eq!(code, CloseCode::Policy);
    shop.close().await;
}
