//! A call from Twilio: the signed webhook, the single-use token, the stream, and the hand-over to a person.
#![cfg(feature = "gateway")]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test fails loudly")]

mod gateway_shop;

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use futures_util::{SinkExt, StreamExt};
use gateway_shop::{Answer, Running, Script, TOKEN, tenant_with};
use pronto::{
    call::{Ending, Then},
    gateway::DrainSettings,
    privacy::Pii,
    tenant::Twilio,
    transport::{Message as Wire, Started, TwilioClient, twilio_client::FromServer, twilio_signature::Verifier},
};
use ring::hmac;
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
