//! We are the platform: what servers of customers are told, asked and owed, over loopback.
#![cfg(feature = "gateway")]
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

#[path = "../vapi_schemas/checker.rs"]
mod checker;
#[path = "../gateway_shop/mod.rs"]
mod gateway_shop;
mod outbox;
mod server;
mod tools;
#[path = "../vapi_doors/vapi_shop.rs"]
mod vapi_shop;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::pending;
use pronto::{
    audio::Format,
    call::{Settings, ToolAsk},
    tenant::Tenant,
    transport::vapi::{EndedReason, Wanted},
    vapi::{
        Vapi,
        assistant::{Assistant, Backoff, Server as At, Shop as House, Tool},
        auth::{Credential, Door, Plan},
        call::{Artifact, CallObject, Cost, Kind, Monitor, Status, TransportObject},
        server_message::{
            ArgumentsForm, AssistantAnswer, AssistantFault, Began, Body, Envelope, NO_RESULT, Report, Side, Transcript,
        },
        webhooks::{Customer, Late, ToolAnswer, Webhooks, Wrap},
    },
};
use serde_json::{Value, json};
use server::{Reply, Server};
use tokio::sync::Semaphore;
use vapi_shop::{Shop, wait};

const CALL: &str = "01993a1f-0d43-7aa0-8f5e-2a6f3c9f7b01";

fn tenant(webhooks: Webhooks) -> Arc<Tenant> {
    let vapi = Vapi { webhooks, ..Vapi::default() };
    Arc::new(vapi_shop::tenant("rossi", vapi, &Arc::new(Shop::new(vec![]))))
}

fn here() -> Webhooks {
    Webhooks::default().reaching_inside()
}

fn at(server: &Server) -> At {
    At::at(&server.url).unwrap()
}

fn everything() -> Wanted {
    Wanted::only(["status-update", "speech-update", "transcript", "end-of-call-report", "conversation-update"])
}

fn wrap() -> Wrap {
    let created = "2026-09-01T08:30:00Z".parse().unwrap();
    let call = CallObject {
        id: CALL.into(),
        org_id: "01990000-0000-7000-8000-000000000001".into(),
        kind: Kind::WebSocket,
        status: Status::InProgress,
        ended_reason: None,
        created_at: created,
        updated_at: created,
        started_at: None,
        ended_at: None,
        name: None,
        assistant_id: None,
        assistant: None,
        assistant_overrides: None,
        customer: None,
        metadata: None,
        transport: Some(TransportObject::websocket(Format::PCM_WIDE, None)),
        monitor: Monitor { listen_url: None, control_url: None },
        artifact: None,
        cost: Cost,
        subscription_limits: None,
    };
    Arc::new(move |body| Envelope { timestamp: 7, call: Some(&call), ..Envelope::default() }.write(body))
}

fn customer(tenant: &Arc<Tenant>, server: Option<At>) -> Customer {
    Customer::new(Arc::clone(tenant), CALL, server, everything(), wrap())
}

fn status(status: Status) -> Body<'static> {
    Body::StatusUpdate { status, ended_reason: None, destination: None }
}

fn speech(turn: u32) -> Body<'static> {
    Body::SpeechUpdate { status: Began::Started, role: Side::User, turn }
}

/// The tools of an assistant.
fn tools(tools: Value) -> Vec<Tool> {
    let assistant = Assistant::parse(&json!({"model": {"tools": tools}}).to_string()).unwrap();
    let variables = assistant.variables("2026-09-01T10:30[Europe/Rome]".parse().unwrap());
    assistant
        .fit(&House { call: &Settings::default(), greeting: "", instructions: "", records: false }, &variables)
        .tools
}

fn function(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name}})
}

fn ask(id: &str, name: &str) -> ToolAsk {
    ToolAsk { id: id.into(), name: name.into(), arguments: "{\"plate\":\"AB123CD\"}".into() }
}

fn nothing_is_late() -> Late {
    Arc::new(|ask, _| panic!("{ask:?} was answered late"))
}

/// What a tool came to.
fn said(answer: &ToolAnswer) -> (&str, bool) {
    match answer {
        ToolAnswer::Result(result) => (result.text.reveal(), result.failed),
        ToolAnswer::Late => ("late", true),
        ToolAnswer::NoServer => ("no server", true),
    }
}

/// The results that a server has for whatever it is asked.
fn done(got: &server::Got) -> Reply {
    let message = got.message();
    let results = message["toolCallList"].as_array().unwrap().iter().rev();
    let results: Vec<_> = results
        .map(|ask| json!({"toolCallId": ask["id"], "name": ask["name"], "result": format!("{}\nfatto", ask["id"])}))
        .collect();
    (200, "", json!({ "results": results }).to_string())
}

#[tokio::test]
async fn what_is_told_comes_in_order_one_at_a_time_and_says_who_it_is() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let server = Server::start(move |_, _| {
        let held = Arc::clone(&held);
        Box::pin(async move {
            wait("the server's leave", &held, 1).await;
            (200, "", "{}".into())
        })
    })
    .await;
    let mut address = at(&server);
    address.headers =
        vec![("X-Shop".into(), "rossi".to_owned().into()), ("Content-Length".into(), "1".to_owned().into())];
    address.secret = Some("segreto".to_owned().into());
    let customer = customer(&tenant(here()), Some(address));
    customer.tell(&status(Status::InProgress));
    customer.tell(&speech(0));
    customer.tell(&Body::Transcript(Transcript::new(Side::User, true, "perché no?")));
    customer.tell(&Body::Hang {});
    customer.tell(&status(Status::Ended));
    drop(customer);
    for _ in 0..4 {
        wait("a message", &server.came, 1).await;
        gate.add_permits(1);
    }
    assert_eq!(server.kinds(), ["status-update", "speech-update", "transcript", "status-update"], "hang is not wanted");
    assert_eq!(server.most(), 1);
    for got in server.got() {
        assert_eq!((got.header("content-type"), got.header("x-call-id")), (Some("application/json"), Some(CALL)));
        assert_eq!((got.header("x-shop"), got.header("x-vapi-secret")), (Some("rossi"), Some("segreto")));
        assert_eq!(got.header("transfer-encoding"), None);
        assert!(got.header("user-agent").is_some_and(|it| it.starts_with("pronto/")));
        assert_eq!(got.message()["call"]["id"], CALL);
    }
}

#[tokio::test]
async fn who_wants_last_words_only_gets_them_under_their_name() {
    let server = Server::saying(200, "{}").await;
    let wanted = Wanted::only(["transcript[transcriptType=\"final\"]"]);
    let customer = Customer::new(tenant(here().to(at(&server))), CALL, None, wanted, wrap());
    customer.tell(&Body::Transcript(Transcript::new(Side::User, false, "per")));
    customer.tell(&Body::Transcript(Transcript::new(Side::User, true, "perché")));
    wait("the words", &server.came, 1).await;
    assert_eq!(server.kinds(), ["transcript[transcriptType=\"final\"]"]);
}

#[tokio::test]
async fn a_tool_does_not_wait_behind_what_is_told() {
    let server = Server::start(|_, got| match got.kind().as_str() {
        "tool-calls" => {
            let reply = done(got);
            Box::pin(async move { reply })
        }
        _ => Box::pin(pending()),
    })
    .await;
    let customer = customer(&tenant(here().to(at(&server))), None);
    customer.tell(&status(Status::InProgress));
    customer.tell(&speech(0));
    wait("the first message", &server.came, 1).await;
    let tools = tools(json!([function("book"), function("find")]));
    let (one, two) = (ask("a", "book"), ask("b", "find"));
    let answers = customer.tool_calls(&[(&one, &tools[0]), (&two, &tools[1])], &nothing_is_late()).await;
    assert_eq!(answers.iter().map(said).collect::<Vec<_>>(), [("\"a\" fatto", false), ("\"b\" fatto", false)]);
    assert_eq!(server.kinds(), ["status-update", "tool-calls"], "one request for one server");
}

#[tokio::test]
async fn each_server_is_asked_for_its_own_tools() {
    let (own, others) = (
        Server::start(|_, got| {
            let reply = done(got);
            Box::pin(async move { reply })
        })
        .await,
        Server::saying(500, r#"{"error":"chiuso"}"#).await,
    );
    let customer = customer(&tenant(here()), Some(at(&others)));
    let mut first = function("book");
    first["server"] = json!({"url": own.url, "secret": "s"});
    let tools = tools(json!([first, function("find")]));
    let asks = [ask("1", "book"), ask("2", "find"), ask("3", "book")];
    let of = [(&asks[0], &tools[0]), (&asks[1], &tools[1]), (&asks[2], &tools[0])];
    let answers = customer.tool_calls(&of, &nothing_is_late()).await;
    let said: Vec<_> = answers.iter().map(said).collect();
    assert_eq!(said, [("\"1\" fatto", false), ("chiuso", true), ("\"3\" fatto", false)]);
    assert_eq!((own.got().len(), others.got().len()), (1, 1));
    assert!(!String::from_utf8_lossy(&own.got()[0].body).contains("secret"));
}

#[tokio::test]
async fn a_result_that_is_late_is_told_to_who_wants_to_know() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let server = Server::start(move |_, got| {
        let (held, reply) = (Arc::clone(&held), done(got));
        Box::pin(async move {
            wait("the server's leave", &held, 1).await;
            reply
        })
    })
    .await;
    let mut address = at(&server);
    address.timeout = Duration::from_millis(1);
    let customer = customer(&tenant(here()), Some(address));
    let (told, came) = (Arc::<Mutex<Vec<String>>>::default(), Arc::new(Semaphore::new(0)));
    let (tell, comes) = (Arc::clone(&told), Arc::clone(&came));
    let late: Late = Arc::new(move |ask, result| {
        tell.lock().unwrap().push(format!("{} {}", ask.id, result.text.reveal()));
        comes.add_permits(1);
    });
    let (ask, tools) = (ask("a", "book"), tools(json!([function("book")])));
    assert_eq!(customer.tool_calls(&[(&ask, &tools[0])], &late).await, [ToolAnswer::Late]);
    gate.add_permits(1);
    wait("the late result", &came, 1).await;
    assert_eq!(*told.lock().unwrap(), ["a \"a\" fatto"]);
}

/// The listener takes the connection and never reads: only the clock can end it, and the clock stands still until there is
/// nothing else to do.
#[tokio::test(start_paused = true)]
async fn who_answers_a_call_has_seven_and_a_half_seconds_whatever_its_server_says() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for timeout in [1, 60] {
        let mut server = At::at(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        server.timeout = Duration::from_secs(timeout);
        server.backoff = Some(Backoff { exponential: false, retries_max: 3, base: Duration::ZERO, excluded: vec![] });
        let since = tokio::time::Instant::now();
        let answer = customer(&tenant(here()), Some(server)).assistant().await;
        assert_eq!((answer, since.elapsed().as_millis() / 10), (Err(AssistantFault::Failed), 750));
    }
}

#[tokio::test]
async fn who_answers_a_call_is_read() {
    let server = Server::saying(200, r#"{"error":"Siamo chiusi."}"#).await;
    let answer = customer(&tenant(here().to(at(&server))), None).assistant().await;
    assert_eq!(answer, Ok(AssistantAnswer::Error("Siamo chiusi.".to_owned().into())));
    assert_eq!(server.kinds(), ["assistant-request"]);
}

/// What a server that answers so comes to, and how often it was asked.
async fn asked_of(server: &Server, address: At, webhooks: Webhooks) -> (String, usize) {
    let (ask, tools) = (ask("call_7", "book"), tools(json!([function("book")])));
    let customer = customer(&tenant(webhooks), Some(address));
    let answers = customer.tool_calls(&[(&ask, &tools[0])], &nothing_is_late()).await;
    (said(&answers[0]).0.to_owned(), server.got().len())
}

#[tokio::test]
async fn nothing_is_asked_again_unless_the_server_wants_it() {
    let failing = || {
        Server::start(|number, got| {
            let reply = if number < 2 { (503, "", String::new()) } else { done(got) };
            Box::pin(async move { reply })
        })
    };
    let server = failing().await;
    assert_eq!(asked_of(&server, at(&server), here()).await, (NO_RESULT.into(), 1));

    let server = failing().await;
    let mut address = at(&server);
    let backoff = Backoff { exponential: true, retries_max: 2, base: Duration::ZERO, excluded: vec![401] };
    address.backoff = Some(backoff);
    assert_eq!(asked_of(&server, address, here()).await, ("\"call_7\" fatto".into(), 3));
    let bodies: Vec<_> = server.got().into_iter().map(|got| got.body).collect();
    assert!(bodies.windows(2).all(|two| two[0] == two[1]), "the same ask under the same id");
}

#[tokio::test]
async fn a_server_leads_nowhere_else_and_is_read_no_further_than_a_mebibyte() {
    let elsewhere = Server::saying(200, r#"{"result":"altrove"}"#).await;
    let location: &'static str = Box::leak(format!("location: {}\r\n", elsewhere.url).into_boxed_str());
    let server = Server::start(move |_, _| Box::pin(async move { (302, location, String::new()) })).await;
    assert_eq!(asked_of(&server, at(&server), here()).await, (NO_RESULT.into(), 1));
    assert_eq!(elsewhere.got().len(), 0);

    let long = format!("{{\"result\":\"{}\"}}", "x".repeat(1 << 20));
    let server = Server::start(move |_, _| {
        let long = long.clone();
        Box::pin(async move { (200, "", long) })
    })
    .await;
    assert_eq!(asked_of(&server, at(&server), here()).await, (NO_RESULT.into(), 1));
}

#[tokio::test]
async fn the_inside_is_not_reached_unless_the_tenant_says_so() {
    let server = Server::saying(200, r#"{"result":"dentro"}"#).await;
    let named = At::at(&server.url.replace("127.0.0.1", "localhost")).unwrap();
    for address in [at(&server), named.clone()] {
        assert_eq!(asked_of(&server, address, Webhooks::default()).await, (NO_RESULT.into(), 0));
    }
    assert_eq!(asked_of(&server, named, here()).await, ("dentro".into(), 1));
}

fn plan(plan: Value) -> Credential {
    Credential::new(serde_json::from_value::<Plan>(plan).unwrap()).unwrap()
}

#[tokio::test]
async fn signatures_hold_for_the_bytes_that_were_sent() {
    let server = Server::saying(200, r#"{"result":"ok"}"#).await;
    let hmac = json!({"type": "hmac", "secretKey": "s", "algorithm": "sha512", "signatureEncoding": "base64",
        "payloadFormat": "{svix-id}.{timestamp}.{body}", "messageIdHeader": "webhook-id"});
    let Credential::Hmac(verifier) = plan(hmac.clone()) else { panic!("a signature") };
    let mut address = at(&server);
    address.credential = Some("rossi".into());
    assert_eq!(asked_of(&server, address.clone(), here().showing("rossi", plan(hmac))).await, ("ok".into(), 1));
    let door = Door::signed(*verifier, "");
    let got = server.got().remove(0);
    let now_s = got.header("x-timestamp").unwrap().parse().unwrap();
    assert_eq!(door.check(now_s, "POST", "/", &got.body, |name| got.header(name)), Ok(()));
    assert!(door.check(now_s, "POST", "/", b"{}", |name| got.header(name)).is_err());

    assert_eq!(asked_of(&server, address, here()).await, (NO_RESULT.into(), 1), "not sent without its credential");
}

#[tokio::test]
async fn a_token_is_fetched_once_for_all_and_once_more_when_it_is_refused() {
    let server = Server::start(|_, got| {
        let reply = match (got.path.as_str(), got.header("authorization")) {
            ("/token", _) => {
                assert!(got.body.starts_with(b"grant_type=client_credentials&client_id=c&client_secret=s"));
                (200, "", json!({"access_token": "t", "expires_in": 3600}).to_string())
            }
            (_, Some("Bearer t")) => done(got),
            _ => (400, "", String::new()),
        };
        Box::pin(async move { reply })
    })
    .await;
    let oauth2 = |url: &str| {
        plan(json!({"type": "oauth2", "url": format!("{url}/token"), "clientId": "c", "clientSecret": "s"}))
    };
    let mut address = at(&server);
    address.credential = Some("rossi".into());
    let customer = customer(&tenant(here().showing("rossi", oauth2(&server.url))), Some(address));
    let (asks, tools) = ([ask("a", "book"), ask("b", "book")], tools(json!([function("book")])));
    let of = |at: usize| [(&asks[at], &tools[0])];
    let (first, second, late) = (of(0), of(1), nothing_is_late());
    let (one, two) = tokio::join!(customer.tool_calls(&first, &late), customer.tool_calls(&second, &late));
    assert_eq!((said(&one[0]), said(&two[0])), (("\"a\" fatto", false), ("\"b\" fatto", false)));
    assert_eq!(server.got().iter().filter(|got| got.path == "/token").count(), 1);

    let fetches = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&fetches);
    let server = Server::start(move |_, got| {
        let mut fetches = counted.lock().unwrap();
        let reply = match (got.path.as_str(), got.header("authorization")) {
            ("/token", _) => {
                *fetches += 1;
                (200, "", json!({"access_token": format!("t{fetches}")}).to_string())
            }
            (_, Some("Bearer t2")) => done(got),
            _ => (401, "", String::new()),
        };
        Box::pin(async move { reply })
    })
    .await;
    let mut address = at(&server);
    address.credential = Some("rossi".into());
    let answer = asked_of(&server, address, here().showing("rossi", oauth2(&server.url))).await;
    assert_eq!((answer, *fetches.lock().unwrap()), (("\"call_7\" fatto".into(), 4), 2));
}

#[tokio::test]
async fn every_body_fits_the_schema() {
    let Some(root) = checker::schema() else { return };
    let server = Server::saying(200, "{}").await;
    let tenant = tenant(here().to(at(&server)).writing(ArgumentsForm::String));
    let customer = customer(&tenant, None);
    let _ = customer.assistant().await;
    let _ = customer.transfer().await;
    let (ask, tools) = (ask("a", "book"), tools(json!([function("book")])));
    customer.tool_calls(&[(&ask, &tools[0])], &nothing_is_late()).await;
    customer.tell(&status(Status::InProgress));
    customer.tell(&speech(0));
    customer.tell(&Body::Transcript(Transcript::new(Side::User, false, "per")));
    customer.tell(&Body::ConversationUpdate { messages: &[], formatted: &[] });
    let artifact = Artifact::default();
    customer.report(Report::new(EndedReason::CustomerEnded, None, None, &artifact)).await;
    wait("the messages", &server.came, 8).await;
    let mut checked = Vec::new();
    for got in server.got() {
        let name: String = got.kind().split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect();
        assert_eq!(checker::check(&root, &format!("ServerMessage{name}"), &got.message()), [], "{name}");
        checked.push(name);
    }
    assert_eq!(checked.len(), 8, "{checked:?}");
}
