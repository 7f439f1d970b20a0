//! In Vapi's place, seen from the customer's server: what it is told of a call that nobody came for or that was taken back,
//! and what it decides where a call names nobody who answers.

use std::sync::Arc;

use pronto::{
    call::Ending,
    gateway::DrainSettings,
    tenant::{Profile, Tenant},
    vapi::{Vapi, assistant::Server as At, webhooks::Webhooks},
};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Error, protocol::frame::coding::CloseCode};

use super::{
    gateway_shop::{Answer, Caller, Running, Script, TOKEN, profile, run_by},
    platform::{ask, path, valid},
    server::Server,
    vapi_shop::wait,
};

const QUICK: DrainSettings = DrainSettings { finish_s: 0, goodbye_s: 0 };

/// A shop whose customer has this server; it may be asked who answers.
fn tenant(server: &Server, assistant_request: bool, calls_max: usize, script: &Arc<Script>) -> Tenant {
    let webhooks = Webhooks::default().reaching_inside().to(At::at(&server.url).unwrap());
    let vapi = Vapi { webhooks, assistant_request, ..Vapi::default() };
    run_by(Profile { vapi, ..profile("rossi", "Il saluto della bottega.", calls_max) }, script)
}

fn call(more: Value) -> Value {
    let mut call = json!({"transport": {"provider": "vapi.websocket"}});
    call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    call
}

async fn connect(shop: &Running, call: &Value) -> Caller {
    Caller::new(shop.dial(path(&call["transport"]["websocketCallUrl"]), None).await.unwrap())
}

/// What the server was told of one call, once it has the report of it.
async fn told_of(server: &Server, id: &str) -> Vec<Value> {
    loop {
        let of = |message: &Value| message["call"]["id"] == id;
        let told: Vec<_> = server.got().iter().map(|got| got.message()).filter(of).collect();
        if told.iter().any(|message| message["type"] == "end-of-call-report") {
            return told;
        }
        wait("a message to the customer's server", &server.came, 1).await;
    }
}

/// Where a call stands, in the order in which its server heard of it.
fn stands(told: &[Value]) -> Vec<(String, String)> {
    let of = |message: &Value, field: &str| message[field].as_str().unwrap_or("").to_owned();
    let updates = told.iter().filter(|message| message["type"] == "status-update");
    updates.map(|message| (of(message, "status"), of(message, "endedReason"))).collect()
}

fn ended(why: &str) -> (String, String) {
    ("ended".into(), why.into())
}

#[tokio::test]
async fn of_a_call_that_nobody_connects_to_its_server_hears_the_end_and_gets_the_report() {
    let (server, script) = (Server::saying(200, "{}").await, Script::new(&[], &[]));
    let mut shop = Running::start([tenant(&server, false, 3, &script)], QUICK, 100);
    let busy = ask(&shop, "POST", "/call", &call(json!({}))).await.body;
    let mut client = connect(&shop, &busy).await;
    client.until("the line", |c| !c.events.is_empty()).await;
    let waiting = ask(&shop, "POST", "/call", &call(json!({"metadata": {"x": 1}}))).await.body;
    let deleted = ask(&shop, "POST", "/call", &call(json!({}))).await.body;
    let gone = deleted["id"].as_str().unwrap();
    assert_eq!(ask(&shop, "DELETE", &format!("/call/{gone}"), &json!({})).await.status, 200);

    // Nobody waits a minute in here: a shutdown gives up on who has not come, too.
    shop.stop();
    let told = told_of(&server, waiting["id"].as_str().unwrap()).await;
    let never = "call.in-progress.error-vapifault-transport-never-connected";
    assert_eq!(stands(&told), [ended(never)]);
    let report = told.last().unwrap();
    assert_eq!((&report["type"], &report["endedReason"]), (&"end-of-call-report".into(), &never.into()));
    assert_eq!((&report["durationMs"], &report["artifact"]["messages"]), (&0.into(), &json!([])));
    assert_eq!((&report["call"]["status"], &report["call"]["metadata"]), (&"ended".into(), &json!({"x": 1})));
    valid("ServerMessageEndOfCallReport", report);
    told_of(&server, busy["id"].as_str().unwrap()).await;
    client.hear_out().await;
    shop.close().await;
    let of_deleted = server.got().iter().filter(|got| got.message()["call"]["id"] == gone).count();
    assert_eq!(of_deleted, 0, "nothing more is told of a call that was deleted before anybody came");
}

#[tokio::test]
async fn a_call_under_way_that_is_deleted_ends_as_cancelled_for_everybody() {
    let (server, script) = (Server::saying(200, "{}").await, Script::new(&[], &[]));
    let shop = Running::start([tenant(&server, false, 1, &script)], QUICK, 100);
    let made = ask(&shop, "POST", "/call", &call(json!({"customer": {"number": "+390612345678"}}))).await.body;
    let id = made["id"].as_str().unwrap();
    let mut client = connect(&shop, &made).await;
    client.until("the greeting and its end", |c| c.voiced > 5 && c.silent > 10).await;
    let shown = ask(&shop, "DELETE", &format!("/call/{id}"), &json!({})).await;
    assert_eq!((shown.status, &shown.body["id"]), (200, &made["id"]));
    assert_eq!(client.hear_out().await.0, CloseCode::Normal);
    let last = client.events.last().unwrap();
    assert_eq!((&last["status"], &last["endedReason"]), (&"ended".into(), &"manually-canceled".into()));
    assert_eq!(ask(&shop, "GET", &format!("/call/{id}"), &Value::Null).await.status, 404);

    let told = told_of(&server, id).await;
    assert_eq!(stands(&told), [("in-progress".into(), String::new()), ended("manually-canceled")]);
    let report = told.last().unwrap();
    assert_eq!((&report["endedReason"], &report["call"]["status"]), (&"manually-canceled".into(), &"ended".into()));
    assert_eq!(report["customer"]["number"], "+390612345678", "whose call it was is still known");
    assert!(report["artifact"]["transcript"].as_str().unwrap().starts_with("AI: Il saluto"), "{report}");
    valid("ServerMessageEndOfCallReport", report);
    shop.close().await;
    assert_eq!(script.records.lock().unwrap()[0].end.as_ref().unwrap().ending, Ending::Cancelled);
}

/// Regression: the apology was a call of its own to whoever watched: it had ended for another reason than the report said, and
/// its words stood in the place of all that had been said before.
#[tokio::test]
async fn after_a_bug_of_ours_everybody_is_told_the_same_end_and_what_was_said_before_it() {
    let (server, script) = (Server::saying(200, "{}").await, Script::new(&["Buongiorno."], &[Answer::Panic]));
    let shop = Running::start([tenant(&server, false, 1, &script)], QUICK, 100);
    let made = ask(&shop, "POST", "/call", &call(json!({}))).await.body;
    let id = made["id"].as_str().unwrap();
    let mut client = connect(&shop, &made).await;
    client.until("the greeting and its end", |c| c.voiced > 5 && c.silent > 10).await;
    client.speak(600);
    assert_eq!(client.hear_out().await.0, CloseCode::Error);

    let died = "call.in-progress.error-vapifault-worker-died";
    let told = told_of(&server, id).await;
    assert_eq!(stands(&told), [("in-progress".into(), String::new()), ended(died)]);
    let report = told.last().unwrap();
    let shown = ask(&shop, "GET", &format!("/call/{id}"), &Value::Null).await.body;
    for kept in [report, &shown] {
        let transcript = kept["artifact"]["transcript"].as_str().unwrap();
        assert_eq!(kept["endedReason"], died);
        assert!(transcript.starts_with("AI: Il saluto") && transcript.contains("Buongiorno."), "{transcript}");
    }
    shop.close().await;
}

#[tokio::test]
async fn a_client_is_told_who_answers_and_the_conversation_with_its_times() {
    let (server, script) = (Server::saying(200, "{}").await, Script::new(&["vorrei prenotare"], &[]));
    let shop = Running::start([tenant(&server, false, 2, &script)], QUICK, 100);
    let assistant = json!({"name": "A", "firstMessage": "Pronto.", "server": {"url": server.url, "secret": "geheim"}});
    let overrides = json!({"firstMessage": "Mi dica.", "variableValues": {"x": 1}});
    let made = call(json!({"assistant": assistant, "assistantOverrides": overrides}));
    let made = ask(&shop, "POST", "/call", &made).await.body;
    let mut client = connect(&shop, &made).await;
    client.until("the first message", |c| c.voiced > 5 && c.silent > 10).await;
    client.speak(800);
    client.until("the question", |c| c.text("conversation-update").contains("vorrei prenotare")).await;
    let first = (&client.events[0]["status"], &client.events[1]["type"]);
    assert_eq!(first, (&"in-progress".into(), &"assistant.started".into()));
    assert_eq!(client.count("assistant.started"), 1);
    let started = &client.events[1]["newAssistant"];
    assert_eq!((&started["name"], &started["firstMessage"]), (&"A".into(), &"Mi dica.".into()), "{started}");
    assert!(!started.to_string().contains("geheim"), "secrets of servers stay here");
    valid("ClientMessageAssistantStarted", &client.events[1]);

    let update = client.events.iter().rfind(|event| event["type"] == "conversation-update").unwrap().clone();
    valid("ClientMessageConversationUpdate", &update);
    assert_eq!(update["conversation"], update["messagesOpenAIFormatted"]);
    let roles = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|entry| entry["role"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(roles(&update["conversation"]), ["system", "assistant", "user"]);
    assert_eq!(roles(&update["messages"]), ["system", "bot", "user"]);
    let said = &update["messages"][2];
    assert_eq!(said["message"], "vorrei prenotare");
    assert!(said["endTime"].as_i64().unwrap() > said["time"].as_i64().unwrap(), "{said}");
    assert!(said["secondsFromStart"].as_f64().unwrap() > 0.2, "{said}");
    client.send(r#"{"type":"end-call"}"#).await;
    client.hear_out().await;

    let told = told_of(&server, made["id"].as_str().unwrap()).await;
    let kinds: Vec<_> = told.iter().map(|message| message["type"].as_str().unwrap()).collect();
    assert_eq!(kinds[..2], ["status-update", "assistant.started"], "{kinds:?}");
    assert_eq!(told[1]["newAssistant"]["firstMessage"], "Mi dica.");
    let metrics = &told.last().unwrap()["artifact"]["performanceMetrics"];
    assert_eq!((&metrics["numUserInterrupted"], &metrics["numAssistantInterrupted"]), (&0.into(), &0.into()));

    // Who talks to the shop's own receptionist has the conversation likewise, but not what the shop has written for it.
    let mut bare = shop.call("rossi").await;
    bare.until("the greeting in the history", |c| c.text("conversation-update").contains("Il saluto")).await;
    let update = bare.events.iter().rfind(|event| event["type"] == "conversation-update").unwrap();
    assert_eq!(roles(&update["conversation"]), ["assistant"]);
    assert_eq!(roles(&update["messages"]), ["bot"]);
    assert_eq!(bare.count("assistant.started"), 0, "no assistant of Vapi's");
    bare.send(r#"{"type":"end-call"}"#).await;
    bare.hear_out().await;
    shop.close().await;
}

/// A server that answers a question with this, and everything else with nothing.
async fn deciding(status: u16, decision: Value) -> Server {
    Server::start(move |_, got| {
        let asked = got.kind() == "assistant-request";
        let reply = if asked { (status, "", decision.to_string()) } else { (200, "", "{}".to_owned()) };
        Box::pin(async move { reply })
    })
    .await
}

#[tokio::test]
async fn a_call_that_names_nobody_is_answered_by_whom_the_server_names() {
    let decision = json!({
        "assistant": {"name": "B", "firstMessage": "Buongiorno {{nome}}, qui {{bottega}}."},
        "assistantOverrides": {"variableValues": {"nome": "Bianchi"}},
    });
    let (server, script) = (deciding(200, decision).await, Script::new(&[], &[]));
    let shop = Running::start([tenant(&server, true, 1, &script)], QUICK, 100);
    let wanted = json!({
        "customer": {"number": "+390612345678"}, "metadata": {"x": 1},
        "assistantOverrides": {"variableValues": {"bottega": "Rossi"}},
    });
    let made = ask(&shop, "POST", "/call", &call(wanted)).await;
    assert_eq!((made.status, &made.body["status"]), (201, &"queued".into()), "{}", made.body);
    let asked = server.got()[0].message();
    valid("ServerMessageAssistantRequest", &asked);
    assert_eq!((&asked["type"], &asked["call"]["id"]), (&"assistant-request".into(), &made.body["id"]));
    assert_eq!((&asked["customer"]["number"], &asked["call"]["metadata"]["x"]), (&"+390612345678".into(), &1.into()));
    let mut client = connect(&shop, &made.body).await;
    let greeted =
        |c: &Caller| c.text("voice-input").contains("Bianchi") && c.text("voice-input").contains("qui Rossi.");
    client.until("the variables of both", greeted).await;
    client.send(r#"{"type":"end-call"}"#).await;
    client.hear_out().await;
    shop.close().await;
}

#[tokio::test]
async fn whoever_is_named_is_not_asked_for() {
    let (server, script) = (deciding(500, json!({})).await, Script::new(&[], &[]));
    let shop = Running::start([tenant(&server, true, 1, &script)], QUICK, 100);
    let made = ask(&shop, "POST", "/call", &call(json!({"assistant": {"firstMessage": "Pronto."}}))).await;
    assert_eq!((made.status, &made.body["status"]), (201, &"queued".into()));
    assert!(server.got().is_empty());
    shop.close().await;
}

#[tokio::test]
async fn where_the_server_names_nobody_the_call_is_created_and_over_and_its_line_is_free() {
    for (status, decision, why) in [
        (200, json!({}), "assistant-request-returned-no-assistant"),
        (200, json!({"error": "Siamo chiusi."}), "assistant-request-returned-error"),
        (200, json!({"destination": "+39069"}), "assistant-request-returned-forwarding-phone-number"),
        (200, json!({"assistantId": "nessuno"}), "assistant-not-found"),
        (200, json!({"assistant": {"maxDurationSeconds": 1}}), "assistant-request-returned-invalid-assistant"),
        (500, json!({"assistant": {}}), "assistant-request-failed"),
    ] {
        let (server, script) = (deciding(status, decision).await, Script::new(&[], &[]));
        let shop = Running::start([tenant(&server, true, 1, &script)], QUICK, 100);
        for _ in 0..2 {
            let made = ask(&shop, "POST", "/call", &call(json!({}))).await;
            assert_eq!((made.status, &made.body["status"]), (201, &"ended".into()), "{}", made.body);
            assert_eq!(made.body["endedReason"], why);
            assert_eq!(made.body["subscriptionLimits"]["concurrencyLimit"], 1);
            valid("Call", &made.body);
            let refused = shop.dial(path(&made.body["transport"]["websocketCallUrl"]), Some(TOKEN)).await;
            assert!(matches!(refused, Err(Error::Http(refused)) if refused.status() == 404));
            let told = told_of(&server, made.body["id"].as_str().unwrap()).await;
            assert_eq!(stands(&told), [ended(why)]);
            assert_eq!(told.last().unwrap()["endedReason"], why);
        }
        shop.close().await;
    }
}
