//! The tools of a shop for an assistant that lives at Vapi, over loopback.

use std::{
    fs,
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use pronto::{
    booking,
    gateway::DrainSettings,
    language::Language,
    store::{MemoryStore, Store},
    tenant::{Desk, Profile, Tenant, TenantId},
    vapi::{
        Vapi,
        auth::{Door, Hmac, Request},
    },
};
use serde_json::{Value, json};

use super::{
    gateway_shop::Running,
    vapi_shop::{Shop, TOKEN, post, running, send, wait},
};

const PATH: &str = "/vapi/rossi/tools";
const SECRET: [(&str, &str); 1] = [("x-vapi-secret", TOKEN)];

/// A `tool-calls` of one call.
fn tool_calls(call: &str, tools: &[(&str, &str, Value)]) -> String {
    let list: Vec<_> = tools
        .iter()
        .map(|(id, name, arguments)| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}))
        .collect();
    let call = json!({"id": call, "customer": {"number": "+393331234567"}});
    json!({"message": {"type": "tool-calls", "toolCallList": list, "call": call}}).to_string()
}

async fn results(shop: &Running, body: &str) -> Vec<Value> {
    let (status, answer) = post(shop.address, PATH, &SECRET, body).await;
    assert_eq!(status, 200, "{answer}");
    assert!(!answer.contains('\n') && !answer.contains("\\n"), "one line: {answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    valid(&answer);
    answer["results"].as_array().unwrap().clone()
}

/// Holds an answer against the published schema, where that lies beside the checkout.
#[expect(clippy::print_stdout, reason = "whoever runs the test is told what it could not see")]
fn valid(answer: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/protocols/vapi-schemas.json");
    let Ok(schemas) = fs::read_to_string(path) else {
        println!("vapi-schemas.json is not here: answers are not held against it");
        return;
    };
    let mut schema: Value = serde_json::from_str(&schemas).unwrap();
    schema["$ref"] = "#/$defs/ServerMessageResponseToolCalls".into();
    let validator = jsonschema::validator_for(&schema).unwrap();
    assert!(
        validator.is_valid(answer),
        "{:?}",
        validator.iter_errors(answer).map(|it| it.to_string()).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn each_tool_has_its_line_in_order() {
    let shop = Arc::new(Shop::new(vec![]));
    let gateway = running(Vapi::default(), &shop);
    let asked = tool_calls(
        "c1",
        &[
            ("1", "find", json!({"a": 1})),
            ("2", "nothing", json!({})),
            ("3", "book", json!("{\"b\":2}")),
            ("4", "end_call", json!({})),
            ("5", "bug", json!({})),
            ("6", "find", json!(7)),
        ],
    );
    let lines = results(&gateway, &asked).await;
    let ids: Vec<_> = lines.iter().map(|line| line["toolCallId"].as_str().unwrap()).collect();
    assert_eq!(ids, ["1", "2", "3", "4", "5", "6"]);
    assert!(lines[0]["result"].as_str().unwrap().contains("find") && lines[0]["name"] == "find", "{lines:?}");
    assert!(lines[1]["error"].as_str().unwrap().contains("no tool of this name"));
    assert!(lines[2]["result"].as_str().unwrap().contains("book"));
    assert!(lines[3]["error"].as_str().unwrap().contains("endCall"), "the call is not ours to end");
    assert!(lines[4]["result"].as_str().unwrap().contains("internal error"));
    assert!(lines[5]["error"].as_str().unwrap().contains("object"));
    let ran = shop.ran.lock().unwrap().clone();
    let book = ran.iter().find(|run| run.name == "book").unwrap();
    assert_eq!(book.arguments, "{\"b\":2}");
    assert_eq!(book.caller.as_ref().unwrap().reveal(), "+393331234567");
    assert_eq!(book.call, "c1");
    gateway.close().await;
}

#[tokio::test]
async fn a_result_that_was_lost_is_asked_for_again_and_there_is_one_booking() {
    let shop = Arc::new(Shop::gated(vec![]));
    let gateway = running(Vapi::default(), &shop);
    let asked = tool_calls("c1", &[("t1", "book", json!({"plate": "AB123CD"}))]);
    // The connection goes while the tool runs.
    let lost = send(gateway.address, PATH, &SECRET, &asked).await;
    wait("the booking's begin", &shop.begun, 1).await;
    drop(lost);
    // Vapi asks again while it still runs, and joins it.
    let mut again = send(gateway.address, PATH, &SECRET, &asked).await;
    shop.may_end.add_permits(1);
    let mut joined = String::new();
    crate::vapi_shop::read_until(&mut again, &mut joined, "\0").await;
    assert!(joined.contains(r#"\"book\":1"#), "{joined}");
    // And once more after that: the same answer.
    let lines = results(&gateway, &asked).await;
    assert!(lines[0]["result"].as_str().unwrap().contains(r#""book":1"#), "{lines:?}");
    assert_eq!(shop.ran(), ["book"]);
    // The same id for something else, or in another call, is something else.
    shop.may_end.add_permits(2);
    let other = results(&gateway, &tool_calls("c1", &[("t1", "book", json!({"plate": "ZZ999ZZ"}))])).await;
    assert!(other[0]["result"].as_str().unwrap().contains(r#""book":2"#), "{other:?}");
    let other = results(&gateway, &tool_calls("c2", &[("t1", "book", json!({"plate": "AB123CD"}))])).await;
    assert!(other[0]["result"].as_str().unwrap().contains(r#""book":3"#), "{other:?}");
    gateway.close().await;
}

/// What is kept in the process is gone with it; the books know the booking by its own key.
#[tokio::test]
async fn a_booking_asked_for_again_after_the_process_died_is_the_same_one() {
    let books: Arc<MemoryStore> = Arc::default();
    let start = async || {
        let shop = Arc::new(Shop::new(vec![]));
        let fake = crate::vapi_shop::tenant("rossi", Vapi::default(), &shop);
        let mut profile = Profile::new(TenantId::new("rossi").unwrap(), "Officina", &TOKEN.into());
        profile.vapi = Vapi::default();
        let name = booking::TenantId::new("rossi");
        let store = Arc::clone(&books) as Arc<dyn Store>;
        let desk = Desk::new(Arc::new(booking::Shop::example()), store, name, Language::Italian);
        let tenant = Tenant::new(profile, fake.engines().clone(), Arc::new(Arc::new(desk)));
        Running::start([tenant], DrainSettings { finish_s: 0, goodbye_s: 0 }, 100)
    };
    let told = |lines: &[Value]| -> Value { serde_json::from_str(lines[0]["result"].as_str().unwrap()).unwrap() };
    let gateway = start().await;
    let found = results(&gateway, &tool_calls("c1", &[("1", "find_slots", json!({"service": "tagliando"}))])).await;
    let start_at = told(&found)["slots"][0]["start"].clone();
    let wish = json!({"service": "tagliando", "start": start_at, "name": "Mario Rossi", "plate": "AB123CD"});
    let asked = tool_calls("c1", &[("2", "book_appointment", wish)]);
    let booked = told(&results(&gateway, &asked).await);
    assert_eq!(booked["ok"], true, "{booked}");
    gateway.close().await;

    let gateway = start().await;
    assert_eq!(told(&results(&gateway, &asked).await)["id"], booked["id"]);
    let of_the_caller = results(&gateway, &tool_calls("c1", &[("3", "find_appointments", json!({}))])).await;
    assert_eq!(told(&of_the_caller)["appointments"].as_array().unwrap().len(), 1);
    gateway.close().await;
}

#[tokio::test]
async fn the_calls_of_one_shop_are_nothing_to_another() {
    let shop = Arc::new(Shop::new(vec![]));
    let tenants = ["rossi", "bianchi"].map(|id| crate::vapi_shop::tenant(id, Vapi::default(), &shop));
    let gateway = Running::start(tenants, DrainSettings { finish_s: 0, goodbye_s: 0 }, 100);
    let asked = tool_calls("c1", &[("1", "book", json!({}))]);
    for tenant in ["rossi", "bianchi", "rossi"] {
        let path = format!("/vapi/{tenant}/tools");
        assert_eq!(post(gateway.address, &path, &SECRET, &asked).await.0, 200);
    }
    assert_eq!(shop.ran(), ["book", "book"], "once in each");
    gateway.close().await;
}

#[tokio::test]
async fn what_is_not_done_in_time_is_answered_when_it_is_asked_for_again() {
    let shop = Arc::new(Shop::gated(vec![]));
    let gateway = running(Vapi { tools_wait: Duration::ZERO, ..Vapi::default() }, &shop);
    let asked = tool_calls("c1", &[("t1", "book", json!({"plate": "AB123CD"}))]);
    let lines = results(&gateway, &asked).await;
    let pending = lines[0]["result"].as_str().unwrap().to_owned();
    assert!(pending.starts_with("La richiesta è ancora in corso"), "{pending}");
    // A model that was told to ask again does so under an id of its own.
    let once_more = tool_calls("c1", &[("t2", "book", json!({"plate": "AB123CD"}))]);
    assert_eq!(results(&gateway, &once_more).await[0]["result"], pending);
    shop.may_end.add_permits(1);
    let mut answer = pending.clone();
    for _ in 0..10_000 {
        answer = results(&gateway, &asked).await[0]["result"].as_str().unwrap().to_owned();
        if answer != pending {
            break;
        }
    }
    assert!(answer.contains(r#""book":1"#), "{answer}");
    assert_eq!(shop.ran(), ["book"]);
    gateway.close().await;
}

#[tokio::test]
async fn look_ups_run_side_by_side_and_writes_one_after_the_other() {
    let shop = Arc::new(Shop::gated(vec![]));
    let gateway = running(Vapi::default(), &shop);
    let reads: Vec<_> = ["1", "2", "3"].map(|id| (id, "find", json!({"id": id}))).into();
    let body = tool_calls("c1", &reads);
    let reading = tokio::spawn({
        let address = gateway.address;
        async move { post(address, PATH, &SECRET, &body).await }
    });
    wait("all three at once", &shop.begun, 3).await;
    shop.may_end.add_permits(3);
    assert_eq!(reading.await.unwrap().0, 200);
    assert_eq!(shop.most.swap(0, Ordering::SeqCst), 3);

    let writes: Vec<_> = ["4", "5", "6"].map(|id| (id, "book", json!({"id": id}))).into();
    let body = tool_calls("c1", &writes);
    let writing = tokio::spawn({
        let address = gateway.address;
        async move { post(address, PATH, &SECRET, &body).await }
    });
    for _ in &writes {
        wait("the next write's begin", &shop.begun, 1).await;
        assert_eq!(shop.begun.available_permits(), 0, "one at a time");
        shop.may_end.add_permits(1);
    }
    assert_eq!(writing.await.unwrap().0, 200);
    assert_eq!(shop.most.load(Ordering::SeqCst), 1);
    let order: Vec<_> = shop.ran.lock().unwrap()[3..].iter().map(|run| run.arguments.clone()).collect();
    assert_eq!(order, [r#"{"id":"4"}"#, r#"{"id":"5"}"#, r#"{"id":"6"}"#]);
    gateway.close().await;
}

#[tokio::test]
async fn other_messages_are_answered_with_nothing_and_the_report_ends_what_is_kept() {
    let shop = Arc::new(Shop::new(vec![]));
    let gateway = running(Vapi::default(), &shop);
    let kept = || gateway.tenants.get(&TenantId::new("rossi").unwrap()).unwrap().at_vapi().len();
    results(&gateway, &tool_calls("c1", &[("1", "find", json!({}))])).await;
    assert_eq!(kept(), 1);
    for kind in ["status-update", "conversation-update", "speech-update", "hang", "something.new"] {
        let message = json!({"message": {"type": kind, "call": {"id": "c1"}}}).to_string();
        assert_eq!(post(gateway.address, PATH, &SECRET, &message).await, (200, "{}".to_owned()), "{kind}");
    }
    assert_eq!(kept(), 1);
    let report =
        json!({"message": {"type": "end-of-call-report", "endedReason": "customer-ended-call", "call": {"id": "c1"}}});
    assert_eq!(post(gateway.address, PATH, &SECRET, &report.to_string()).await, (200, "{}".to_owned()));
    assert_eq!(kept(), 0);
    let old = json!({"message": {"type": "function-call", "functionCall": {"name": "find", "parameters": {}}}});
    let (status, answer) = post(gateway.address, PATH, &SECRET, &old.to_string()).await;
    assert_eq!((status, answer.as_str()), (200, r#"{"result":"{\"ok\":true, \"find\":2}"}"#));
    for bad in ["", "{", "[]", r#"{"message":{}}"#] {
        let (status, answer) = post(gateway.address, PATH, &SECRET, bad).await;
        assert!(status == 400 && answer.contains("tool-calls"), "{bad}: {status} {answer}");
    }
    gateway.close().await;
}

#[tokio::test]
async fn only_a_token_or_a_signature_opens() {
    let plan =
        r#"{"secretKey":"firma-segreta","algorithm":"sha256","payloadFormat":"{method}.{url}.{timestamp}.{body}"}"#;
    let hmac = Hmac::new(&serde_json::from_str(plan).unwrap()).unwrap();
    let shop = Arc::new(Shop::new(vec![]));
    let door = Door::signed(hmac.clone(), "https://voice.example.it");
    let gateway = running(Vapi { door, ..Vapi::default() }, &shop);
    let body = tool_calls("c1", &[("1", "find", json!({}))]);
    let status = async |headers: &[(&str, &str)], body: &str| post(gateway.address, PATH, headers, body).await.0;
    assert_eq!(status(&[("authorization", "Bearer segreto")], &body).await, 200);
    assert_eq!(status(&[("authorization", "segreto")], &body).await, 200);
    assert_eq!(status(&SECRET, &body).await, 200);
    assert_eq!(status(&[], &body).await, 401);
    assert_eq!(status(&[("authorization", "Bearer sbagliato")], &body).await, 401);
    assert_eq!(status(&[("x-vapi-secret", "")], &body).await, 401);

    let now_s = jiff::Timestamp::now().as_second();
    let url = format!("https://voice.example.it{PATH}");
    let request = Request { method: "POST", url: &url, body: body.as_bytes(), id: None };
    let headers = hmac.headers(now_s, &request);
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(status(&headers, &body).await, 200);
    assert_eq!(status(&headers, &body).await, 401, "replayed");
    let headers = hmac.headers(now_s + 1, &request);
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(status(&headers, &body.replace("find", "book")).await, 401, "another body");
    let (status, _) = post(gateway.address, "/vapi/bianchi/tools", &SECRET, &body).await;
    assert_eq!(status, 404);
    gateway.close().await;
    assert_eq!(shop.ran(), ["find"], "the same request runs once, whoever repeats it");
}
