//! A call from Twilio: the signed webhook, the single-use token, the stream, and the hand-over to a person.
#![cfg(feature = "gateway")]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test fails loudly")]

mod gateway_shop;
#[path = "vapi_webhooks/server.rs"]
#[allow(dead_code, reason = "each test uses its own part")]
mod server;

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use futures_util::{SinkExt, StreamExt};
use gateway_shop::{Answer, Running, Script, TOKEN, profile, run_by, tenant_with};
use pronto::{
    call::{Ending, Message as Spoken, Then},
    gateway::DrainSettings,
    privacy::Pii,
    tenant::{Profile, Twilio},
    transport::{Message as Wire, Started, TwilioClient, twilio_client::FromServer, twilio_signature::Verifier},
    vapi::{Vapi, assistant::Server as At, webhooks::Webhooks},
};
use ring::hmac;
use serde_json::{Value, json};
use server::Server;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{interval, timeout},
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{self, Message, client::IntoClientRequest, protocol::frame::coding::CloseCode},
};

const AUTH: &str = "12345678901234567890123456789012";
const PUBLIC: &str = "https://voice.example.it";
const STREAM: &str = "MZ00112233445566778899aabbccddeeff";
const CALL: &str = "CA00112233445566778899aabbccddeeff";

fn shop(script: &Arc<Script>) -> Running {
    let account = Twilio { verifier: Verifier::new(AUTH.into()), public_url: PUBLIC.into() };
    let tenant = tenant_with("rossi", "Pronto, officina.", 2, Some(account), script);
    Running::start([tenant], DrainSettings { finish_s: 0, goodbye_s: 0 }, 100)
}

fn signed(address: &str, form: &[(&str, &str)]) -> String {
    let mut form = form.to_vec();
    form.sort_unstable();
    let text = form.iter().fold(address.to_owned(), |text, (name, value)| text + name + value);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, AUTH.as_bytes());
    BASE64.encode(hmac::sign(&key, text.as_bytes()))
}

/// A webhook of Twilio's.
async fn post(shop: &Running, path: &str, form: &[(&str, &str)], signature: &str) -> String {
    let body: Vec<_> = form.iter().map(|(name, value)| format!("{name}={}", value.replace('+', "%2B"))).collect();
    let body = body.join("&");
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Twilio-Signature: {signature}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut tcp = TcpStream::connect(shop.address).await.unwrap();
    tcp.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).await.unwrap();
    answer
}

/// The token of the answer to the voice webhook.
async fn rings(shop: &Running) -> String {
    let form = [("CallSid", CALL), ("From", "+393331234567"), ("To", "+390612345678")];
    let answer =
        post(shop, "/twilio/rossi/voice", &form, &signed(&format!("{PUBLIC}/twilio/rossi/voice"), &form)).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("text/xml"), "{answer}");
    assert!(answer.contains(r#"<Stream url="wss://voice.example.it/twilio/rossi">"#), "{answer}");
    let token = answer.split(r#"name="token" value=""#).nth(1).and_then(|rest| rest.split('"').next());
    token.expect("the answer has a token").to_owned()
}

/// Twilio's side of a stream.
struct Carrier {
    socket: WebSocketStream<TcpStream>,
    wire: TwilioClient,
    at: Duration,
    /// Pieces of loud audio still to be sent.
    speech: usize,
    /// Bytes of voice received.
    heard: usize,
    /// Told so often to drop what it has not played.
    cleared: usize,
}

impl Carrier {
    async fn open(shop: &Running, token: Option<&str>) -> Self {
        Self::open_at(shop, "/twilio/rossi", token).await
    }

    async fn open_at(shop: &Running, path: &str, token: Option<&str>) -> Self {
        let socket = shop.dial(path, None).await.unwrap();
        let mut carrier =
            Self { socket, wire: TwilioClient::new(STREAM, CALL), at: Duration::ZERO, speech: 0, heard: 0, cleared: 0 };
        let started = Started { token: token.map(|token| Pii::new(token.to_owned())), ..Started::default() };
        let first = owned(carrier.wire.connected());
        let second = owned(carrier.wire.start(&started));
        carrier.socket.send(first).await.unwrap();
        carrier.socket.send(second).await.unwrap();
        carrier
    }

    /// Sends audio and plays until the gateway closes or something is true.
    async fn until(&mut self, mut is_so: impl FnMut(&Self) -> bool) -> Option<CloseCode> {
        let mut pace = interval(Duration::from_millis(20));
        loop {
            if is_so(self) {
                return None;
            }
            tokio::select! {
                _ = pace.tick() => {
                    // A square wave of 500 Hz, or silence.
                    let loud: Vec<u8> = (0..160).map(|i| if i / 8 % 2 == 0 { 0x10 } else { 0x90 }).collect();
                    let audio = if self.speech > 0 { loud } else { vec![0xff; 160] };
                    self.speech = self.speech.saturating_sub(1);
                    let media = owned(self.wire.media(&audio, self.at));
                    self.at += Duration::from_millis(20);
                    let _ = self.socket.send(media).await;
                }
                message = self.socket.next() => {
                    let mut marks = Vec::new();
                    match message {
                        Some(Ok(Message::Text(text))) => match self.wire.receive(Wire::Text(&text)).unwrap() {
                            FromServer::Audio(audio) => self.heard += audio.len(),
                            FromServer::Mark(name) => marks.push(name.to_owned()),
                            FromServer::Clear => self.cleared += 1,
                        },
                        Some(Ok(Message::Close(frame))) => return Some(frame.map_or(CloseCode::Status, |it| it.code)),
                        Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                        Some(Err(_)) | None => return Some(CloseCode::Abnormal),
                    }
                    for name in marks {
                        let mark = owned(self.wire.mark(&name));
                        let _ = self.socket.send(mark).await;
                    }
                }
            }
        }
    }
}

fn owned(message: Wire<'_>) -> Message {
    match message {
        Wire::Text(text) => Message::Text(text.into()),
        Wire::Binary(bytes) => Message::Binary(bytes.to_vec().into()),
    }
}

#[tokio::test]
async fn a_webhook_that_is_not_twilios_is_refused() {
    let shop = shop(&Script::new(&[], &[]));
    let form = [("CallSid", CALL), ("From", "+393331234567")];
    let elsewhere = signed("https://evil.example.it/twilio/rossi/voice", &form);
    for signature in ["", "nonsense", &elsewhere] {
        let answer = post(&shop, "/twilio/rossi/voice", &form, signature).await;
        assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("public_url"), "{answer}");
    }
    shop.close().await;
}

#[tokio::test]
async fn a_token_opens_one_stream_and_the_caller_is_known() {
    let script = Script::new(&[], &[]);
    let shop = shop(&script);
    let token = rings(&shop).await;
    let mut carrier = Carrier::open(&shop, Some(&token)).await;
    let greeted = timeout(Duration::from_secs(20), carrier.until(|it| it.heard > 1_600)).await;
    assert_eq!(greeted, Ok(None), "the greeting is heard");
    let mut second = Carrier::open(&shop, Some(&token)).await;
    assert_eq!(second.until(|_| false).await, Some(CloseCode::Policy), "the token was used");
    let mut third = Carrier::open(&shop, None).await;
    assert_eq!(third.until(|_| false).await, Some(CloseCode::Policy), "no token");
    let stop = owned(carrier.wire.stop());
    carrier.socket.send(stop).await.unwrap();
    assert_eq!(carrier.until(|_| false).await, Some(CloseCode::Normal));
    shop.close().await;
    let records = script.records.lock().unwrap();
    assert_eq!(records[0].caller.as_ref().unwrap().reveal(), "+393331234567");
    assert_eq!(records[0].peer.as_deref(), Some(CALL));
    assert_eq!(records[0].end.as_ref().unwrap().ending, Ending::CallerHungUp);
}

#[tokio::test]
async fn what_twilio_has_not_played_is_dropped_when_the_caller_cuts_in() {
    let long = "Allora le spiego tutto quanto con molta calma e senza alcuna fretta di finire.".repeat(2);
    let script = Script::new(&["no aspetti un attimo"], &[]);
    let shop = Running::start(
        [tenant_with("rossi", &long, 2, None, &script)],
        DrainSettings { finish_s: 0, goodbye_s: 0 },
        100,
    );
    let mut carrier = Carrier::open(&shop, Some(TOKEN)).await;
    let greeted = timeout(Duration::from_secs(20), carrier.until(|it| it.heard > 8_000)).await;
    assert_eq!((greeted, carrier.cleared), (Ok(None), 0));
    carrier.speech = 60;
    let cleared = timeout(Duration::from_secs(20), carrier.until(|it| it.cleared > 0)).await;
    assert_eq!(cleared, Ok(None), "a clear");
    shop.close().await;
}

#[tokio::test]
async fn a_token_for_one_shop_opens_no_stream_of_another() {
    let script = Script::new(&[], &[]);
    let account = || Some(Twilio { verifier: Verifier::new(AUTH.into()), public_url: PUBLIC.into() });
    let tenants = ["rossi", "bianchi"].map(|id| tenant_with(id, "Pronto, officina.", 2, account(), &script));
    let shop = Running::start(tenants, DrainSettings { finish_s: 0, goodbye_s: 0 }, 100);
    let token = rings(&shop).await;
    let mut thief = Carrier::open_at(&shop, "/twilio/bianchi", Some(&token)).await;
    assert_eq!(thief.until(|c| c.heard > 0).await, Some(CloseCode::Policy));
    shop.close().await;
    assert!(script.records.lock().unwrap().is_empty(), "nobody was called");
}

#[tokio::test]
async fn a_signed_upgrade_needs_no_token_and_a_wrong_signature_is_refused() {
    let shop = shop(&Script::new(&[], &[]));
    let address = format!("wss{}/twilio/rossi", PUBLIC.strip_prefix("https").unwrap());
    for (signature, fits) in [(signed(&address, &[]), true), (signed(&format!("{PUBLIC}/twilio/rossi"), &[]), false)] {
        let mut request = format!("ws://{}/twilio/rossi", shop.address).into_client_request().unwrap();
        request.headers_mut().insert("x-twilio-signature", signature.parse().unwrap());
        let tcp = TcpStream::connect(shop.address).await.unwrap();
        match client_async(request, tcp).await {
            Ok(_) => assert!(fits),
            Err(tungstenite::Error::Http(answer)) => assert!(!fits && answer.status() == 401),
            Err(error) => panic!("{error}"),
        }
    }
    shop.close().await;
}

#[tokio::test]
async fn a_caller_who_asks_for_a_person_is_put_through() {
    let mut script = Script { then: Some(Then::Transfer("+390612345678".into())), ..Script::default() };
    script.hears.get_mut().unwrap().push_back("mi passi una persona");
    script.answers.get_mut().unwrap().push_back(Answer::Book);
    let script = Arc::new(script);
    let shop = shop(&script);
    let mut carrier = Carrier::open(&shop, Some(TOKEN)).await;
    assert_eq!(carrier.until(|it| it.heard > 3_200).await, None);
    carrier.speech = 40;
    let closed = timeout(Duration::from_secs(20), carrier.until(|_| false)).await;
    assert_eq!(closed, Ok(Some(CloseCode::Normal)));

    let form = [("CallSid", CALL)];
    let signature = signed(&format!("{PUBLIC}/twilio/rossi/after"), &form);
    let answer = post(&shop, "/twilio/rossi/after", &form, &signature).await;
    assert!(answer.contains("<Dial>+390612345678</Dial>"), "{answer}");
    let answer = post(&shop, "/twilio/rossi/after", &form, &signature).await;
    assert!(answer.contains("<Hangup/>"), "once: {answer}");
    shop.close().await;
    assert_eq!(script.records.lock().unwrap()[0].end.as_ref().unwrap().ending, Ending::Transferred);
}

/// A shop whose customer's server decides who answers.
fn deciding(server: &Server, calls_max: usize, script: &Arc<Script>) -> Running {
    let webhooks = Webhooks::default().reaching_inside().to(At::at(&server.url).unwrap());
    let vapi = Vapi { webhooks, assistant_request: true, ..Vapi::default() };
    let twilio = Some(Twilio { verifier: Verifier::new(AUTH.into()), public_url: PUBLIC.into() });
    let profile = Profile { vapi, twilio, ..profile("rossi", "Pronto, officina.", calls_max) };
    Running::start([run_by(profile, script)], DrainSettings { finish_s: 0, goodbye_s: 0 }, 100)
}

/// A server that answers a question with this, and everything else with nothing.
async fn saying(status: u16, decision: Value) -> Server {
    Server::start(move |_, got| {
        let asked = got.kind() == "assistant-request";
        let reply = if asked { (status, "", decision.to_string()) } else { (200, "", "{}".to_owned()) };
        Box::pin(async move { reply })
    })
    .await
}

/// What the voice webhook answers.
async fn voice(shop: &Running) -> String {
    let form = [("CallSid", CALL), ("From", "+393331234567"), ("To", "+390612345678")];
    post(shop, "/twilio/rossi/voice", &form, &signed(&format!("{PUBLIC}/twilio/rossi/voice"), &form)).await
}

/// A request to the platform's own door: the status and the document.
async fn rest(shop: &Running, method: &str, path: &str, body: &str) -> (u16, Value) {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {TOKEN}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut tcp = TcpStream::connect(shop.address).await.unwrap();
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut read = String::new();
    tcp.read_to_string(&mut read).await.unwrap();
    let (head, body) = read.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap_or(Value::Null))
}

/// Waits until the server has the report of the only call, and answers everything it was told.
async fn told(server: &Server) -> Vec<Value> {
    loop {
        let told: Vec<_> = server.got().iter().map(|got| got.message()).collect();
        if told.iter().any(|message| message["type"] == "end-of-call-report") {
            return told;
        }
        let came = timeout(Duration::from_secs(20), server.came.acquire()).await;
        came.expect("the report comes").unwrap().forget();
    }
}

/// Something of ours was heard to its end: the server knows of it.
fn is_said(server: &Server) -> bool {
    server.got().iter().any(|got| got.kind() == "conversation-update")
}

/// What we said in the only call of a shop, as its record has it.
fn said(script: &Script) -> String {
    let records = script.records.lock().unwrap();
    assert_eq!(records.len(), 1, "one call");
    let history = records[0].end.as_ref().unwrap().history.reveal();
    let said = history.iter().find_map(|message| match message {
        Spoken::Agent { text, .. } => Some(text.clone()),
        _ => None,
    });
    said.unwrap_or_default()
}

/// One line, which the call has from the moment it rings.
#[tokio::test]
async fn the_server_says_who_answers_the_telephone_and_the_call_is_like_any_other() {
    let decision = json!({
        "assistant": {"name": "B", "firstMessage": "Buongiorno {{customer.number}}."},
        "assistantOverrides": {"firstMessage": "Buongiorno, qui Rossi."},
    });
    let (server, script) = (saying(200, decision).await, Script::new(&[], &[]));
    let shop = deciding(&server, 1, &script);
    let answer = voice(&shop).await;
    let token = answer.split(r#"name="token" value=""#).nth(1).and_then(|rest| rest.split('"').next());
    let token = token.expect("a stream is opened").to_owned();
    let asked = server.got()[0].message();
    assert_eq!((&asked["type"], &asked["call"]["type"]), (&"assistant-request".into(), &"inboundPhoneCall".into()));
    assert_eq!((&asked["call"]["status"], &asked["customer"]["number"]), (&"ringing".into(), &"+393331234567".into()));
    assert_eq!(asked["phoneNumber"]["number"], "+390612345678");
    assert!(voice(&shop).await.contains("<Reject"), "the only line is taken");

    let id = asked["call"]["id"].as_str().unwrap();
    let mut carrier = Carrier::open(&shop, Some(&token)).await;
    let greeted = timeout(Duration::from_secs(20), carrier.until(|_| is_said(&server))).await;
    assert_eq!(greeted, Ok(None), "it is answered");
    let (status, shown) = rest(&shop, "GET", &format!("/vapi/rossi/call/{id}"), "").await;
    assert_eq!((status, &shown["status"], &shown["type"]), (200, &"in-progress".into(), &"inboundPhoneCall".into()));
    let monitor = |door: &str| shown["monitor"][door].as_str().unwrap().split_once(".it").unwrap().1.to_owned();
    let listen = shop.dial(&monitor("listenUrl"), None).await;
    assert!(listen.is_ok(), "it can be listened to");
    let stolen = shop.dial(&monitor("listenUrl").replace("/listen?", "/transport?"), None).await;
    assert!(stolen.is_err(), "who may listen does not take the caller's place");
    let (status, _) = rest(&shop, "POST", &monitor("controlUrl"), r#"{"type":"end-call"}"#).await;
    assert_eq!(status, 200);
    assert_eq!(carrier.until(|_| false).await, Some(CloseCode::Normal));

    let told = told(&server).await;
    let report = told.last().unwrap();
    assert_eq!((&report["endedReason"], &report["call"]["id"]), (&"assistant-ended-call".into(), &id.into()));
    assert!(report["artifact"]["transcript"].as_str().unwrap().starts_with("AI: Buongiorno, qui Rossi."), "{report}");
    shop.close().await;
    assert_eq!(said(&script), "Buongiorno, qui Rossi.");
    let records = script.records.lock().unwrap();
    assert_eq!((&*records[0].id, records[0].peer.as_deref()), (id, Some(CALL)), "known by both ids");
    assert_eq!(records[0].caller.as_ref().unwrap().reveal(), "+393331234567");
}

#[tokio::test]
async fn a_caller_is_not_lost_to_a_server_that_fails() {
    for (status, decision) in
        [(500, json!({})), (200, json!({})), (200, json!({"assistantId": "nessuno"})), (200, json!({"squadId": "s"}))]
    {
        let (server, script) = (saying(status, decision).await, Script::new(&[], &[]));
        let shop = deciding(&server, 1, &script);
        let token = rings(&shop).await;
        let id = server.got()[0].message()["call"]["id"].as_str().unwrap().to_owned();
        let mut carrier = Carrier::open(&shop, Some(&token)).await;
        let greeted = timeout(Duration::from_secs(20), carrier.until(|_| is_said(&server))).await;
        assert_eq!(greeted, Ok(None), "the shop's own receptionist answers");
        let (_, shown) = rest(&shop, "GET", &format!("/vapi/rossi/call/{id}"), "").await;
        assert_eq!((&shown["status"], &shown["type"]), (&"in-progress".into(), &"inboundPhoneCall".into()));
        let stop = owned(carrier.wire.stop());
        carrier.socket.send(stop).await.unwrap();
        carrier.until(|_| false).await;
        assert_eq!(told(&server).await.last().unwrap()["endedReason"], "customer-ended-call");
        shop.close().await;
        assert_eq!(said(&script), "Pronto, officina.");
    }
}

#[tokio::test]
async fn a_call_that_is_deleted_while_it_rings_is_answered_all_the_same() {
    let (server, script) = (saying(200, json!({})).await, Script::new(&[], &[]));
    let shop = deciding(&server, 1, &script);
    let token = rings(&shop).await;
    let id = server.got()[0].message()["call"]["id"].as_str().unwrap().to_owned();
    assert_eq!(rest(&shop, "DELETE", &format!("/vapi/rossi/call/{id}"), "{}").await.0, 200);
    // The carrier brings it all the same: a caller is there, and the shop's own receptionist answers.
    let mut carrier = Carrier::open(&shop, Some(&token)).await;
    let greeted = timeout(Duration::from_secs(20), carrier.until(|it| it.heard > 1_600)).await;
    assert_eq!(greeted, Ok(None));
    shop.close().await;
}

#[tokio::test]
async fn a_caller_hears_the_servers_error_or_is_put_through_where_it_says() {
    let error = json!({"error": "Siamo chiusi & torniamo lunedì."});
    let number = json!({"destination": {"type": "number", "number": "+39069", "message": "La passo."}});
    let sip = json!({"assistantId": "a", "destination": {"type": "sip", "sipUri": "sip:capo@example.it"}});
    for (decision, expected, why) in [
        (error, r#"<Say language="it-IT">Siamo chiusi &amp; torniamo lunedì.</Say><Hangup/>"#, "error"),
        (number, r#"<Say language="it-IT">La passo.</Say><Dial>+39069</Dial>"#, "forwarding-phone-number"),
        (sip, "<Response><Dial><Sip>sip:capo@example.it</Sip></Dial></Response>", "forwarding-phone-number"),
    ] {
        let (server, script) = (saying(200, decision).await, Script::new(&[], &[]));
        let shop = deciding(&server, 1, &script);
        for _ in 0..2 {
            let answer = voice(&shop).await;
            assert!(answer.contains(expected), "{answer}");
        }
        let told = told(&server).await;
        let report = told.iter().find(|message| message["type"] == "end-of-call-report").unwrap();
        assert_eq!(report["endedReason"], format!("assistant-request-returned-{why}"));
        let id = report["call"]["id"].as_str().unwrap();
        let (_, shown) = rest(&shop, "GET", &format!("/vapi/rossi/call/{id}"), "").await;
        assert_eq!((&shown["status"], &shown["type"]), (&"ended".into(), &"inboundPhoneCall".into()));
        shop.close().await;
        assert!(script.records.lock().unwrap().is_empty(), "nobody here talked");
    }
}
