//! The tools of an assistant in one call: what its model reads of them, and what its call is asked to do.

use std::sync::{Arc, Mutex};

use futures_util::future::pending;
use pronto::{
    call::{Control, Outcome, Then, ToolKind},
    tenant::{ToolRun, Tools},
    vapi::{assistant_tools::AssistantTools, webhooks::Webhooks},
};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{
    at, customer, done, function, here,
    server::Server,
    tenant, tools,
    vapi_shop::{Fake, Shop, wait},
};

/// The tools of a call, and what they asked it to do.
struct Hands {
    tools: AssistantTools,
    asked: Arc<Mutex<Vec<Control>>>,
    came: Arc<Semaphore>,
}

fn hands(written: Value, webhooks: Webhooks, shop: &Arc<Shop>) -> Hands {
    let (asked, came) = (Arc::<Mutex<Vec<Control>>>::default(), Arc::new(Semaphore::new(0)));
    let (ask, comes) = (Arc::clone(&asked), Arc::clone(&came));
    let hand = Arc::new(move |control| {
        ask.lock().unwrap().push(control);
        comes.add_permits(1);
    });
    let customer = customer(&tenant(webhooks), None);
    let tools = AssistantTools::new(tools(written), customer, Arc::new(Fake(Arc::clone(shop))), hand);
    Hands { tools, asked, came }
}

impl Hands {
    async fn run(&self, name: &str, arguments: Value) -> Outcome {
        let run = ToolRun {
            id: "call_7".into(),
            name: name.into(),
            arguments: arguments.to_string(),
            caller: None,
            call: "c".into(),
            now: "2026-09-01T10:30[Europe/Rome]".parse().unwrap(),
        };
        self.tools.run(run).await
    }

    fn asked(&self) -> Vec<Control> {
        self.asked.lock().unwrap().clone()
    }
}

fn shop() -> Arc<Shop> {
    Arc::new(Shop::new(vec![]))
}

fn go_on(content: Value) -> Outcome {
    Outcome { content: content.to_string(), then: Then::GoOn }
}

fn end_with(text: &str) -> Control {
    Control::Say { text: text.into(), now: true, interruptible: false, then_end: true }
}

#[tokio::test]
async fn an_assistant_without_tools_has_the_shops() {
    let shop = shop();
    let hands = hands(json!([]), here(), &shop);
    assert!(hands.tools.specs().iter().any(|spec| spec.name == "book"));
    hands.run("book", json!({})).await;
    assert_eq!(shop.ran(), ["book"]);
}

#[tokio::test]
async fn an_assistant_with_tools_has_no_others() {
    let shop = shop();
    let hands = hands(json!([function("prenota"), {"type": "endCall"}]), here(), &shop);
    let kinds: Vec<_> = hands.tools.specs().iter().map(|spec| (spec.name.clone(), spec.kind)).collect();
    assert_eq!(kinds, [("prenota".into(), ToolKind::Write), ("endCall".into(), ToolKind::Call)]);
    assert_eq!(hands.run("book", json!({})).await, go_on(json!({"error": "there is no tool of this name"})));
    assert!(shop.ran().is_empty());
}

#[tokio::test]
async fn a_server_is_asked_under_the_models_id() {
    let server = Server::start(|_, got| {
        let reply = done(got);
        Box::pin(async move { reply })
    })
    .await;
    let hands = hands(json!([function("prenota")]), here().to(at(&server)), &shop());
    let outcome = hands.run("prenota", json!({"targa": "AB123CD"})).await;
    assert_eq!(outcome, go_on(json!({"result": "\"call_7\" fatto"})));
    let asked = &server.got()[0].message()["toolCallList"][0];
    assert_eq!((&asked["id"], &asked["function"]["arguments"]), (&json!("call_7"), &json!({"targa": "AB123CD"})));
    assert_eq!(hands.asked(), []);
}

#[tokio::test]
async fn without_a_server_nothing_is_waited_for() {
    let hands = hands(json!([function("mostra")]), here(), &shop());
    let outcome = hands.run("mostra", json!({})).await;
    assert_eq!(outcome, go_on(json!({"result": "The client was told. It sends no result."})));
}

#[tokio::test]
async fn what_need_not_be_waited_for_is_not() {
    let server = Server::start(|_, _| Box::pin(pending())).await;
    let mut tool = function("avvisa");
    tool["async"] = true.into();
    tool["messages"] = json!([{"type": "request-complete", "content": "Ho avvisato."}]);
    let hands = hands(json!([tool]), here().to(at(&server)), &shop());
    let outcome = hands.run("avvisa", json!({})).await;
    assert_eq!(outcome, go_on(json!({"result": "Success.", "say_exactly_this_to_the_caller": "Ho avvisato."})));
    wait("the ask", &server.came, 1).await;
}

#[tokio::test]
async fn something_is_said_while_a_server_takes_its_time() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let server = Server::start(move |_, _| {
        let held = Arc::clone(&held);
        Box::pin(async move {
            wait("the server's leave", &held, 1).await;
            (500, "", String::new())
        })
    })
    .await;
    let mut tool = function("prenota");
    tool["messages"] = json!([
        {"type": "request-start", "content": "Controllo subito."},
        {"type": "request-response-delayed", "content": "Ci sono quasi.", "timingMilliseconds": 100},
        {"type": "request-response-delayed", "content": "Quasi.", "timingMilliseconds": 100},
        {"type": "request-complete", "content": "Fatto."},
        {"type": "request-failed", "content": "L'agenda non risponde."},
    ]);
    let hands = hands(json!([tool]), here().to(at(&server)), &shop());
    let (outcome, ()) = tokio::join!(hands.run("prenota", json!({})), async {
        wait("both sentences", &hands.came, 2).await;
        gate.add_permits(1);
    });
    let aside = |text: &str| Control::Aside(text.into());
    assert_eq!(hands.asked(), [aside("Controllo subito."), aside("Ci sono quasi.")]);
    let failed = json!({"error": "No result returned", "say_exactly_this_to_the_caller": "L'agenda non risponde."});
    assert_eq!(outcome, go_on(failed));
}

/// The clock stands still until there is nothing else to do.
#[tokio::test(start_paused = true)]
async fn no_tool_is_waited_for_longer_than_its_call_would() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut tool = function("prenota");
    let url = format!("http://{}", listener.local_addr().unwrap());
    tool["server"] = json!({"url": url, "timeoutSeconds": 300});
    let (hands, since) = (hands(json!([tool]), here(), &shop()), tokio::time::Instant::now());
    let outcome = hands.run("prenota", json!({})).await;
    assert!(outcome.content.contains("no answer in time"), "{outcome:?}");
    assert_eq!(since.elapsed().as_secs(), 28);
}

#[tokio::test]
async fn words_of_a_result_go_before_the_tools_own_and_may_end_the_call() {
    let answer = |message: &'static str| {
        Server::start(move |_, _| {
            let body = format!(r#"{{"results":[{{"toolCallId":"call_7","result":"ok","message":{message}}}]}}"#);
            Box::pin(async move { (200, "", body) })
        })
    };
    let mut tool = function("prenota");
    tool["messages"] = json!([{"type": "request-complete", "content": "Fatto."}]);
    let server = answer(r#"{"content":"Prenotato!"}"#).await;
    let said = hands(json!([tool]), here().to(at(&server)), &shop()).run("prenota", json!({})).await;
    assert_eq!(said, go_on(json!({"result": "ok", "say_exactly_this_to_the_caller": "Prenotato!"})));

    let server = answer(r#"{"content":"Offri il caffè.","role":"system"}"#).await;
    let hinted = hands(json!([tool]), here().to(at(&server)), &shop()).run("prenota", json!({})).await;
    assert_eq!(hinted, go_on(json!({"result": "ok", "note": "Offri il caffè."})));

    let server = answer(r#"{"content":"A domani!","endCallAfterSpokenEnabled":true}"#).await;
    let hands = hands(json!([tool]), here().to(at(&server)), &shop());
    assert_eq!(hands.run("prenota", json!({})).await, go_on(json!({"result": "ok"})));
    assert_eq!(hands.asked(), [end_with("A domani!")]);
}

#[tokio::test]
async fn the_call_ends_with_its_own_words_or_the_goodbye() {
    let plain = hands(json!([{"type": "endCall"}]), here(), &shop());
    assert_eq!(plain.run("endCall", json!({})).await.then, Then::EndCall);
    let messages = json!([{"type": "request-start", "content": "Buon viaggio."}]);
    let spoken = hands(json!([{"type": "endCall", "messages": messages}]), here(), &shop());
    assert_eq!(spoken.run("endCall", json!({})).await.then, Then::GoOn);
    assert_eq!(spoken.asked(), [end_with("Buon viaggio.")]);
}

#[tokio::test]
async fn a_caller_is_put_through_to_a_number_of_the_list_only() {
    let to = |numbers: &[&str]| {
        let destinations: Vec<_> = numbers.iter().map(|number| json!({"type": "number", "number": number})).collect();
        hands(json!([{"type": "transferCall", "destinations": destinations}]), here(), &shop())
    };
    let then = Then::Transfer("+39061".into());
    assert_eq!(to(&["+39061"]).run("transferCall", json!({})).await.then, then);
    let two = to(&["+39061", "+39062"]);
    assert_eq!(two.run("transferCall", json!({"destination": "+39061"})).await.then, then);
    for wish in [json!({"destination": "+39900"}), json!({}), json!("+39061")] {
        let error = go_on(json!({"error": "destination must be one of those in the list"}));
        assert_eq!(two.run("transferCall", wish).await, error);
    }
}

#[tokio::test]
async fn without_a_list_the_server_says_to_whom() {
    let transfer = json!([{"type": "transferCall"}]);
    let answer = r#"{"destination":{"type":"number","number":"+39069"},"message":{"content":"Le passo Carlo."}}"#;
    let server = Server::saying(200, answer).await;
    let hands = hands(transfer.clone(), here().to(at(&server)), &shop());
    let outcome = hands.run("transferCall", json!({"destination": "+39900"})).await;
    assert_eq!(outcome.then, Then::GoOn);
    assert_eq!(hands.asked(), [Control::Transfer { to: "+39069".into(), say: Some("Le passo Carlo.".into()) }]);
    assert_eq!(server.kinds(), ["transfer-destination-request"]);

    let server = Server::saying(404, r#"{"error":"Nessuno."}"#).await;
    let hands = self::hands(transfer, here().to(at(&server)), &shop());
    assert_eq!(hands.run("transferCall", json!({})).await, go_on(json!({"error": "Nessuno."})));
}
