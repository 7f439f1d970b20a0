//! Whole calls through the gateway over loopback: real sockets, real time, engines that follow a script.
#![cfg(feature = "gateway")]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test fails loudly")]

mod gateway_shop;

use std::{sync::Arc, time::Duration};

use gateway_shop::{Answer, Running, Script, tenant};
use pronto::{call::Ending, gateway::DrainSettings};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

const QUICK: DrainSettings = DrainSettings { finish_s: 0, goodbye_s: 0 };

#[tokio::test]
async fn a_caller_is_greeted_heard_and_answered() {
    let script = Script::new(&["quanto costa il tagliando"], &[]);
    let shop = Running::start([tenant("rossi", "Pronto, officina.", 1, &script)], QUICK, 100);
    let mut caller = shop.call("rossi").await;
    caller.until("the greeting", |c| c.voiced > 20 && c.silent > 10).await;
    caller.speak(1_000);
    caller.until("the answer", |c| c.text("voice-input").contains("Lei ha detto: quanto costa il tagliando")).await;
    let voiced = caller.voiced;
    caller.until("its voice", |c| c.voiced > voiced + 50).await;
    caller.send(r#"{"type":"end-call"}"#).await;
    let (code, _) = caller.hear_out().await;
    assert_eq!(code, CloseCode::Normal);
    let first = &caller.events[0];
    assert_eq!((&first["type"], &first["status"]), (&"status-update".into(), &"in-progress".into()));
    let last = caller.events.last().unwrap();
    assert_eq!((&last["type"], &last["status"]), (&"status-update".into(), &"ended".into()));
    shop.close().await;

    let records = script.records.lock().unwrap();
    assert_eq!(records.len(), 1);
    let end = records[0].end.as_ref().unwrap();
    assert_eq!(end.ending, Ending::AgentEnded);
    assert_eq!(records[0].caller.as_ref().unwrap().reveal(), "+393331234567");
    assert!(end.history.reveal().len() >= 3, "{}", end.history.reveal().len());
}

#[tokio::test]
async fn a_caller_who_cuts_in_is_not_talked_over() {
    let long = Answer::Words("Allora le spiego tutto quanto con molta calma e senza alcuna fretta di finire".repeat(4));
    let script = Script::new(&["vorrei prenotare", "no aspetti un attimo"], &[long]);
    let shop = Running::start([tenant("rossi", "", 1, &script)], QUICK, 100);
    let mut caller = shop.call("rossi").await;
    caller.speak(800);
    caller.until("the long answer", |c| c.voiced > 50).await;
    caller.speak(1_500);
    caller.until("the cut", |c| c.count("user-interrupted") == 1).await;
    let (voiced, silent) = (caller.voiced, caller.silent);
    caller.until("silence", |c| c.silent > silent + 10).await;
    assert!(caller.voiced <= voiced + 4, "{} frames were heard after the cut", caller.voiced - voiced);
    shop.close().await;
}

#[tokio::test]
async fn an_answer_that_is_not_wanted_any_more_is_dropped() {
    let script = Script::new(&["vorrei prenotare"], &[Answer::Silence]);
    let shop = Running::start([tenant("rossi", "", 1, &script)], QUICK, 100);
    let mut caller = shop.call("rossi").await;
    caller.speak(800);
    caller.until("the question", |c| c.text("conversation-update").contains("vorrei prenotare")).await;
    caller.send(r#"{"type":"say","content":"Un avviso.","interruptAssistantEnabled":true}"#).await;
    caller.until("the notice", |c| c.text("voice-input").contains("Un avviso")).await;
    assert_eq!(script.dropped.load(std::sync::atomic::Ordering::SeqCst), 1, "while the call goes on");
    shop.close().await;
}

#[tokio::test]
async fn a_shutdown_says_so_and_closes_with_1012() {
    let script = Script::new(&[], &[]);
    let drain = DrainSettings { finish_s: 0, goodbye_s: 8 };
    let mut shop = Running::start([tenant("rossi", "Pronto.", 1, &script)], drain, 100);
    let mut caller = shop.call("rossi").await;
    caller.until("the greeting", |c| c.voiced > 5).await;
    shop.stop();
    let (code, _) = caller.hear_out().await;
    assert_eq!(code, CloseCode::Restart);
    assert!(caller.text("voice-input").contains("interrompere la chiamata"), "{}", caller.text("voice-input"));
    shop.close().await;
    assert_eq!(script.records.lock().unwrap()[0].end.as_ref().unwrap().ending, Ending::Shutdown);
}

#[tokio::test]
async fn a_tenant_whose_engines_hang_and_whose_lines_are_taken_holds_up_nobody_else() {
    let stuck = Script::new(&["pronto"], &[Answer::Silence, Answer::Silence]);
    let fine = Script::new(&["buongiorno"], &[]);
    let tenants = [tenant("stuck", "", 1, &stuck), tenant("fine", "", 1, &fine)];
    let shop = Running::start(tenants, QUICK, 100);
    let mut waiting = shop.call("stuck").await;
    waiting.speak(600);
    assert!(shop.dial("/v1/stream/stuck", Some(gateway_shop::TOKEN)).await.is_err(), "its line is taken");
    let mut caller = shop.call("fine").await;
    caller.speak(600);
    caller.until("an answer", |c| c.text("voice-input").contains("buongiorno")).await;
    shop.close().await;
    assert!(fine.records.lock().unwrap()[0].tenant.as_str() == "fine");
}

#[tokio::test]
async fn new_settings_are_for_new_calls() {
    let script = Script::new(&["prima", "dopo"], &[]);
    let shop = Running::start([tenant("rossi", "Vecchio saluto.", 2, &script)], QUICK, 100);
    let mut old = shop.call("rossi").await;
    old.until("the old greeting", |c| c.text("voice-input").contains("Vecchio saluto")).await;

    let former = shop.tenants.get(&pronto::tenant::TenantId::new("rossi").unwrap()).unwrap();
    let other = Script::new(&[], &[]);
    shop.tenants.put(Arc::new(tenant("rossi", "Nuovo saluto.", 2, &other).succeeding(&former)));
    let mut new = shop.call("rossi").await;
    new.until("the new greeting", |c| c.text("voice-input").contains("Nuovo saluto")).await;
    assert!(shop.dial("/v1/stream/rossi", Some(gateway_shop::TOKEN)).await.is_err(), "the old call still counts");

    old.until("the end of the greeting", |c| c.silent > 10).await;
    old.speak(800);
    old.until("an answer from the old engines", |c| c.text("voice-input").contains("Lei ha detto: prima")).await;
    shop.close().await;
}

#[tokio::test]
async fn a_booking_survives_the_caller_who_hangs_up() {
    let mut script = Script { tool_takes: Duration::from_millis(500), ..Script::default() };
    script.hears.get_mut().unwrap().push_back("prenoti pure");
    script.answers.get_mut().unwrap().push_back(Answer::Book);
    let script = Arc::new(script);
    let shop = Running::start([tenant("rossi", "", 1, &script)], DrainSettings { finish_s: 5, goodbye_s: 0 }, 100);
    let mut caller = shop.call("rossi").await;
    caller.speak(600);
    caller.until("the booking begins", |c| c.count("tool-calls") == 1).await;
    drop(caller);
    // The shutdown waits for the write as well.
    shop.close().await;
    assert_eq!(script.tools_done.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_bug_in_one_call_ends_that_call_with_an_apology() {
    let script = Script::new(&["ciao", "ciao"], &[Answer::Panic]);
    let shop = Running::start([tenant("rossi", "", 2, &script)], QUICK, 100);
    let mut unlucky = shop.call("rossi").await;
    let mut other = shop.call("rossi").await;
    unlucky.speak(600);
    let (code, reason) = unlucky.hear_out().await;
    assert_eq!((code, reason.as_str()), (CloseCode::Error, "internal error"));
    assert!(unlucky.voiced > 50, "the caller hears a sentence: {} frames", unlucky.voiced);
    assert_eq!(unlucky.events.last().unwrap()["status"], "ended");
    other.speak(600);
    other.until("the other call goes on", |c| c.text("voice-input").contains("ciao")).await;
    shop.close().await;
    let records = script.records.lock().unwrap();
    assert!(records.iter().any(|record| record.end.as_ref().unwrap().ending == Ending::Panicked));
}
