//! The recogniser of a shop as the custom transcriber of an assistant that lives at Vapi, over loopback.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{SinkExt, StreamExt, stream, stream::BoxStream};
use pronto::{
    audio::{Detector, VadSettings},
    call::{Settings, SttEvent},
    gateway::DrainSettings,
    language::Language,
    providers::{Heard, Kind, ProviderError, Stt, SttCapabilities},
    tenant::{Profile, TenantId},
    vapi::{
        Vapi,
        auth::{Algorithm, Door, Hmac, HmacPlan},
    },
};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::{net::TcpStream, sync::Semaphore, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{self, Message, client::IntoClientRequest, protocol::frame::coding::CloseCode},
};

use super::{
    gateway_shop::Running,
    vapi_shop::{Shop, TOKEN, wait, with_engines},
};

const PATH: &str = "/vapi/rossi/transcriber";
const LONG: Duration = Duration::from_secs(20);

/// What the recogniser does when it is told to finish.
#[derive(Clone)]
enum Answer {
    Says(&'static str),
    Fails,
    /// It fails, and would again.
    Refuses,
}

/// A recogniser that writes down what it hears.
struct Recogniser {
    /// It waits to be told when to finish.
    commits: bool,
    /// What it says to each piece of sound, where that is anything.
    on_sound: Mutex<VecDeque<SttEvent>>,
    /// What it says when it is told to finish.
    on_commit: Mutex<VecDeque<Answer>>,
    /// It hears only when it may.
    gate: Option<Semaphore>,
    heard: Mutex<Vec<Heard>>,
    /// Times it was started, and times it was dropped before the sound had ended.
    started: Semaphore,
    dropped: Semaphore,
}

impl Default for Recogniser {
    fn default() -> Self {
        Self {
            commits: true,
            on_sound: Mutex::default(),
            on_commit: Mutex::default(),
            gate: None,
            heard: Mutex::default(),
            started: Semaphore::new(0),
            dropped: Semaphore::new(0),
        }
    }
}

struct Ears(Arc<Recogniser>);

struct Whole(Arc<Recogniser>, bool);

impl Whole {
    fn end(&mut self) {
        self.1 = true;
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        if !self.1 {
            self.0.dropped.add_permits(1);
        }
    }
}

impl Stt for Ears {
    fn capabilities(&self) -> SttCapabilities {
        SttCapabilities { name: "fake", partials: true, turns: false, commits: self.0.commits }
    }

    fn listen(
        &self,
        audio: BoxStream<'static, Heard>,
        _: Language,
    ) -> BoxStream<'static, Result<SttEvent, ProviderError>> {
        self.0.started.add_permits(1);
        let state = (audio, VecDeque::new(), Whole(Arc::clone(&self.0), false));
        stream::unfold(state, |(mut audio, mut says, mut whole)| async move {
            loop {
                if let Some(event) = says.pop_front() {
                    return Some((event, (audio, says, whole)));
                }
                if let Some(gate) = &whole.0.gate {
                    wait("the recogniser's leave", gate, 1).await;
                }
                let Some(heard) = audio.next().await else {
                    whole.end();
                    return None;
                };
                whole.0.heard.lock().unwrap().push(heard.clone());
                match heard {
                    Heard::Audio(_) => says.extend(whole.0.on_sound.lock().unwrap().pop_front().map(Ok)),
                    Heard::Commit(commit) => match whole.0.on_commit.lock().unwrap().pop_front() {
                        Some(Answer::Fails) => {
                            let error = ProviderError::upstream("fake", Kind::Cut, "on purpose");
                            says.push_back(Err(error));
                        }
                        Some(Answer::Refuses) => says.push_back(Err(ProviderError::refused("fake", "on purpose"))),
                        Some(Answer::Says(text)) => {
                            says.push_back(Ok(SttEvent::Final { text: text.into() }));
                            says.push_back(Ok(SttEvent::Committed { commit }));
                        }
                        None => says.push_back(Ok(SttEvent::Committed { commit })),
                    },
                }
            }
        })
        .boxed()
    }
}

impl Recogniser {
    fn saying(answers: &[Answer]) -> Self {
        Self { on_commit: Mutex::new(answers.iter().cloned().collect()), ..Self::default() }
    }

    fn sound(&self) -> Vec<i16> {
        let sound = |heard: &Heard| match heard {
            Heard::Audio(samples) => samples.clone(),
            Heard::Commit(_) => vec![],
        };
        self.heard.lock().unwrap().iter().flat_map(sound).collect()
    }
}

fn running_with(recogniser: Recogniser, vapi: Vapi, calls_max: usize) -> (Running, Arc<Recogniser>) {
    let recogniser = Arc::new(recogniser);
    let mut profile = Profile::new(TenantId::new("rossi").unwrap(), "Officina", &SecretString::from(TOKEN));
    profile.vapi = vapi;
    profile.calls_max = calls_max;
    profile.call = Arc::new(Settings {
        vad: VadSettings { detector: Detector::Energy, noise_suppression: false, ..VadSettings::default() },
        ..Settings::default()
    });
    let mute = Arc::new(crate::gateway_shop::Scripted(crate::gateway_shop::Script::new(&[], &[])));
    let tenant = with_engines(profile, &Arc::new(Shop::new(vec![])), Arc::new(Ears(Arc::clone(&recogniser))), mute);
    (Running::start([tenant], DrainSettings { finish_s: 0, goodbye_s: 20 }, 100), recogniser)
}

fn running(recogniser: Recogniser) -> (Running, Arc<Recogniser>) {
    running_with(recogniser, Vapi::default(), 20)
}

type Socket = WebSocketStream<TcpStream>;

async fn dial(gateway: &Running, headers: &[(&'static str, &str)]) -> Result<Socket, tungstenite::Error> {
    let mut request = format!("ws://{}{PATH}", gateway.address).into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let tcp = TcpStream::connect(gateway.address).await.unwrap();
    client_async(request, tcp).await.map(|(socket, _)| socket)
}

/// A connection as Vapi opens one.
async fn opened(gateway: &Running, rate: Value) -> Socket {
    let mut socket = dial(gateway, &[("x-vapi-secret", TOKEN)]).await.unwrap();
    let start = json!({"type": "start", "encoding": "linear16", "container": "raw", "sampleRate": rate, "channels": 2});
    socket.send(Message::text(start.to_string())).await.unwrap();
    socket
}

/// Interleaved: this many milliseconds of either side, loud or silent.
fn sides(hz: usize, ms: usize, customer: bool, assistant: bool) -> Vec<u8> {
    let loud = |on: bool, at: usize| if on { ((at as f32 * 1_500.0 / hz as f32).sin() * 9_000.0) as i16 } else { 0 };
    (0..hz * ms / 1_000).flat_map(|at| [loud(customer, at), loud(assistant, at)]).flat_map(i16::to_le_bytes).collect()
}

async fn send(socket: &mut Socket, sound: &[u8], size: usize) {
    for message in sound.chunks(size) {
        socket.send(Message::binary(message.to_vec())).await.unwrap();
    }
}

/// The next text; nothing when the connection has been closed.
async fn told(socket: &mut Socket) -> Option<Value> {
    loop {
        match timeout(LONG, socket.next()).await.expect("something comes") {
            Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap()),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
            Some(Ok(_)) => {}
        }
    }
}

/// What the connection was closed with.
async fn closed(socket: &mut Socket) -> (CloseCode, String) {
    loop {
        match timeout(LONG, socket.next()).await.expect("it is closed") {
            Some(Ok(Message::Close(Some(frame)))) => return (frame.code, frame.reason.to_string()),
            Some(Ok(_)) => {}
            other => panic!("closed without a word: {other:?}"),
        }
    }
}

fn text(kind: &str, channel: &str, words: &str) -> Value {
    json!({"type": "transcriber-response", "transcription": words, "channel": channel, "transcriptType": kind})
}

#[tokio::test]
async fn the_customer_is_heard_at_every_rate_and_the_assistant_is_not() {
    for (rate, size) in [(json!(8_000), 7), (json!(16_000.0), 1_280), (json!(24_000), 333), (json!(44_100), 1 << 20)] {
        let (gateway, recogniser) = running(Recogniser::saying(&[Answer::Says(" Vorrei spostare l'appuntamento. ")]));
        let hz = rate.as_f64().unwrap() as usize;
        let mut socket = opened(&gateway, rate).await;
        // The assistant talks all the time.
        let sound = [sides(hz, 600, true, true), sides(hz, 600, false, true)].concat();
        send(&mut socket, &sound, size).await;
        let expected = text("final", "customer", "Vorrei spostare l'appuntamento.");
        assert_eq!(told(&mut socket).await, Some(expected), "{hz}");
        let heard = recogniser.sound();
        let committed = 1_000 * heard.len() / 16_000;
        assert!((860..=1_210).contains(&committed), "{hz}: after 260 ms of silence, not {committed} ms of sound");
        let loud = heard.iter().filter(|sample| sample.abs() > 2_000).count();
        assert!(loud.abs_diff(9_600 * 6 / 7) < 1_400, "{hz}: {loud} samples of the customer");
        assert!(heard[10_500..].iter().all(|sample| sample.abs() < 50), "{hz}: nothing of the assistant");
        drop(socket);
        gateway.close().await;
    }
}

#[tokio::test]
async fn both_sides_are_told_where_the_tenant_wants_them() {
    let vapi = Vapi { transcribe_assistant: true, ..Vapi::default() };
    let (gateway, recogniser) =
        running_with(Recogniser::saying(&[Answer::Says("Pronto?"), Answer::Says("Buongiorno.")]), vapi, 20);
    let mut socket = opened(&gateway, json!(16_000)).await;
    send(&mut socket, &[sides(16_000, 600, true, false), sides(16_000, 600, false, false)].concat(), 1_280).await;
    assert_eq!(told(&mut socket).await, Some(text("final", "customer", "Pronto?")));
    send(&mut socket, &[sides(16_000, 600, false, true), sides(16_000, 600, false, false)].concat(), 1_280).await;
    assert_eq!(told(&mut socket).await, Some(text("final", "assistant", "Buongiorno.")));
    assert_eq!(recogniser.started.available_permits(), 2);
    drop(socket);
    gateway.close().await;
}

#[tokio::test]
async fn partials_are_told_as_they_change_and_a_recogniser_that_finishes_by_itself_is_not_asked_to() {
    let partial = |text: &str| SttEvent::Partial { text: text.into() };
    let says = [
        SttEvent::SpeechStarted,
        partial("vorrei"),
        partial("vorrei"),
        partial("vorrei spostare"),
        SttEvent::Final { text: "Vorrei spostare.".into() },
        SttEvent::End,
    ];
    let recogniser = Recogniser { commits: false, on_sound: Mutex::new(says.into()), ..Recogniser::default() };
    let (gateway, recogniser) = running(recogniser);
    let mut socket = opened(&gateway, json!(16_000)).await;
    send(&mut socket, &[sides(16_000, 600, true, false), sides(16_000, 600, false, false)].concat(), 1_280).await;
    for (kind, words) in [("partial", "vorrei"), ("partial", "vorrei spostare"), ("final", "Vorrei spostare.")] {
        assert_eq!(told(&mut socket).await, Some(text(kind, "customer", words)));
    }
    assert!(!recogniser.heard.lock().unwrap().iter().any(|heard| matches!(heard, Heard::Commit(_))));
    drop(socket);
    gateway.close().await;
}

#[tokio::test]
async fn what_cannot_be_heard_is_refused_with_the_reason() {
    let (gateway, recogniser) = running(Recogniser::default());
    let check = async |first: Message, code: CloseCode, reason: &str| {
        let mut socket = dial(&gateway, &[("authorization", "Bearer segreto")]).await.unwrap();
        // Of another kind: not for us, and no mistake.
        socket.send(Message::text(r#"{"type":"hello"}"#)).await.unwrap();
        socket.send(first.clone()).await.unwrap();
        let (closed, why) = closed(&mut socket).await;
        assert!(closed == code && why.contains(reason), "{first:?}: {closed:?} {why}");
    };
    check(Message::text(r#"{"type":"start","encoding":"mulaw"}"#), CloseCode::Unsupported, "linear16").await;
    check(Message::text(r#"{"type":"start","sampleRate":4000}"#), CloseCode::Unsupported, "8000 to 48000").await;
    check(Message::text(r#"{"type":"start","channels":3}"#), CloseCode::Unsupported, "customer and assistant").await;
    check(Message::text("start"), CloseCode::Policy, "JSON").await;
    check(Message::binary(vec![0; 1_280]), CloseCode::Policy, "before the start").await;
    assert_eq!(recogniser.started.available_permits(), 0, "no recogniser was asked for");
    gateway.close().await;
}

#[tokio::test]
async fn only_the_tenant_is_let_in_and_a_signature_is_none_of_a_connection() {
    let plan = HmacPlan {
        secret_key: SecretString::from("test-secret"),
        algorithm: Algorithm::Sha256,
        ..serde_json::from_str(r#"{"secretKey":"x","algorithm":"sha256"}"#).unwrap()
    };
    let vapi = Vapi { door: Door::signed(Hmac::new(&plan).unwrap(), ""), ..Vapi::default() };
    let (gateway, _) = running_with(Recogniser::default(), vapi, 1);
    let refused = async |headers: &[(&'static str, &str)]| match dial(&gateway, headers).await {
        Err(tungstenite::Error::Http(answer)) => answer.status().as_u16(),
        other => panic!("let in, or not answered: {other:?}"),
    };
    assert_eq!(refused(&[]).await, 401);
    assert_eq!(refused(&[("x-vapi-secret", "sbagliato")]).await, 401);
    assert_eq!(refused(&[("x-signature", "00"), ("x-timestamp", "1760000000")]).await, 401);
    let mut first = dial(&gateway, &[("authorization", "segreto")]).await.unwrap();
    assert_eq!(refused(&[("x-vapi-secret", TOKEN)]).await, 429, "the tenant's only line is taken");
    first.close(None).await.unwrap();
    while let Some(Ok(_)) = first.next().await {}
    // The line is free a moment after the goodbye.
    let end = tokio::time::Instant::now() + LONG;
    while dial(&gateway, &[("x-vapi-secret", TOKEN)]).await.is_err() {
        assert!(tokio::time::Instant::now() < end, "the line stays taken");
    }
    gateway.close().await;
}

#[tokio::test]
async fn a_connection_that_breaks_in_a_sentence_is_dialled_again_and_nothing_is_said_twice() {
    let (gateway, recogniser) =
        running(Recogniser::saying(&[Answer::Says("Vorrei un tagliando."), Answer::Says("Domani.")]));
    let mut first = opened(&gateway, json!(16_000)).await;
    send(&mut first, &[sides(16_000, 600, true, false), sides(16_000, 600, false, false)].concat(), 1_280).await;
    assert_eq!(told(&mut first).await, Some(text("final", "customer", "Vorrei un tagliando.")));
    send(&mut first, &sides(16_000, 400, true, false), 1_280).await;
    drop(first);
    wait("the first recogniser's end", &recogniser.dropped, 1).await;
    let mut second = opened(&gateway, json!(16_000)).await;
    send(&mut second, &[sides(16_000, 400, true, false), sides(16_000, 600, false, false)].concat(), 1_280).await;
    assert_eq!(told(&mut second).await, Some(text("final", "customer", "Domani.")));
    assert_eq!(recogniser.started.available_permits(), 2);
    second.close(None).await.unwrap();
    assert_eq!(told(&mut second).await, None, "and nothing more");
    gateway.close().await;
}

#[tokio::test]
async fn a_recogniser_that_breaks_is_replaced_and_asked_again() {
    let (gateway, recogniser) = running(Recogniser::saying(&[Answer::Fails, Answer::Says("Pronto?")]));
    let mut socket = opened(&gateway, json!(16_000)).await;
    send(&mut socket, &[sides(16_000, 600, true, false), sides(16_000, 600, false, false)].concat(), 1_280).await;
    wait("the second recogniser", &recogniser.started, 2).await;
    send(&mut socket, &sides(16_000, 100, false, false), 1_280).await;
    assert_eq!(told(&mut socket).await, Some(text("final", "customer", "Pronto?")));
    drop(socket);
    gateway.close().await;
}

#[tokio::test]
async fn a_recogniser_that_will_not_work_closes_the_connection_so_that_vapi_falls_back() {
    let (gateway, recogniser) = running(Recogniser::saying(&[Answer::Refuses]));
    let mut socket = opened(&gateway, json!(16_000)).await;
    send(&mut socket, &[sides(16_000, 600, true, false), sides(16_000, 600, false, false)].concat(), 1_280).await;
    let (code, reason) = closed(&mut socket).await;
    assert_eq!((code, reason.as_str()), (CloseCode::Error, "the recogniser failed"));
    assert_eq!(recogniser.started.available_permits(), 1, "it would refuse again");
    gateway.close().await;
}

#[tokio::test]
async fn a_shutdown_tells_the_rest_and_sends_the_peer_elsewhere() {
    let (mut gateway, recogniser) = running(Recogniser::saying(&[Answer::Says("Volevo dire")]));
    let mut socket = opened(&gateway, json!(16_000)).await;
    send(&mut socket, &sides(16_000, 600, true, false), 1_280).await;
    socket.send(Message::Ping(vec![].into())).await.unwrap();
    assert!(matches!(timeout(LONG, socket.next()).await, Ok(Some(Ok(Message::Pong(_))))), "all of it has come");
    gateway.stop();
    assert_eq!(told(&mut socket).await, Some(text("final", "customer", "Volevo dire")));
    assert_eq!(closed(&mut socket).await.0, CloseCode::Restart);
    assert_eq!(recogniser.dropped.available_permits(), 0, "it heard the end");
    gateway.close().await;
}

#[tokio::test]
async fn a_recogniser_that_is_too_slow_misses_the_oldest_sound_and_no_more() {
    let recogniser = Recogniser { gate: Some(Semaphore::new(0)), ..Recogniser::default() };
    let (gateway, recogniser) = running(recogniser);
    let mut socket = opened(&gateway, json!(8_000)).await;
    send(&mut socket, &sides(8_000, 40_000, false, false), 640).await;
    socket.send(Message::Ping(vec![].into())).await.unwrap();
    assert!(matches!(timeout(LONG, socket.next()).await, Ok(Some(Ok(Message::Pong(_))))), "all of it has come");
    recogniser.gate.as_ref().unwrap().add_permits(1 << 20);
    send(&mut socket, &[sides(8_000, 600, true, false), sides(8_000, 600, false, false)].concat(), 640).await;
    let is_asked = |recogniser: &Recogniser| recogniser.heard.lock().unwrap().contains(&Heard::Commit(0));
    while !is_asked(&recogniser) {
        tokio::task::yield_now().await;
    }
    let seconds = recogniser.sound().len() as f32 / 16_000.0;
    assert!((29.0..31.5).contains(&seconds), "{seconds} s of 41 were heard");
    drop(socket);
    gateway.close().await;
}
