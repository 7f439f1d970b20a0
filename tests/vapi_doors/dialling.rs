//! We dial Vapi, over loopback: a caller of a shop is put through to an assistant that lives there, and an embedder talks to
//! one. Vapi is emulated by a gateway of ours in its place; between the two stands a network that can be cut.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use pronto::{
    audio::Format,
    call::{Ending, Message as Said, Then},
    gateway::{
        DrainSettings,
        dialling::{CallOver, FromVapi, VapiCall},
    },
    tenant::{CallRecord, Tenant},
    transport::{Control, PeerEvent},
    vapi::peer::{
        Dialling,
        account::VapiAccount,
        dialling::{Answerer, NewCall},
    },
};
use serde_json::{Value, json};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    select,
    sync::{Notify, Semaphore},
    task::JoinHandle,
    time::timeout,
};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::{
    gateway_shop::{Answer, Caller, Running, Script, TOKEN, profile, run_by, tenant, tone},
    vapi_shop::post,
};

const QUICK: DrainSettings = DrainSettings { finish_s: 0, goodbye_s: 0 };
const OWN: &str = "Il saluto della bottega.";
const THEIRS: &str = "Buongiorno, sono qui per lei.";

/// Nothing in here takes so long.
const LONG: Duration = Duration::from_secs(20);

/// The network on the way to Vapi.
struct Network {
    address: SocketAddr,
    /// Told when every connection is to break.
    cut: Arc<Notify>,
    /// Nobody is connected any more.
    down: Arc<AtomicBool>,
    /// Connections are let through one for each, where it is slow.
    may_pass: Arc<Semaphore>,
    task: JoinHandle<()>,
}

impl Network {
    async fn to(vapi: SocketAddr, slow: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (cut, down) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
        let may_pass = Arc::new(Semaphore::new(if slow { 0 } else { 1_000 }));
        let (cuts, is_down, passes) = (Arc::clone(&cut), Arc::clone(&down), Arc::clone(&may_pass));
        let task = tokio::spawn(async move {
            loop {
                let Ok((mut near, _)) = listener.accept().await else { return };
                if is_down.load(Ordering::SeqCst) {
                    continue;
                }
                let (cuts, passes) = (Arc::clone(&cuts), Arc::clone(&passes));
                tokio::spawn(async move {
                    let cut = cuts.notified();
                    passes.acquire().await.unwrap().forget();
                    let mut far = TcpStream::connect(vapi).await.unwrap();
                    select! {
                        () = cut => {}
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                    }
                });
            }
        });
        Self { address, cut, down, may_pass, task }
    }

    fn cut(&self) {
        self.cut.notify_waiters();
    }

    fn goes_down(&self) {
        self.down.store(true, Ordering::SeqCst);
        self.cut();
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Vapi, with one assistant; its id.
async fn vapi(script: &Arc<Script>) -> (Running, String) {
    let vapi = Running::start([tenant("vapi", "", 5, script)], QUICK, 100);
    let assistant = json!({"firstMessage": THEIRS, "silenceTimeoutSeconds": 60}).to_string();
    let key = format!("Bearer {TOKEN}");
    let (status, made) = post(vapi.address, "/vapi/vapi/assistant", &[("authorization", &key)], &assistant).await;
    assert_eq!(status, 201, "{made}");
    let made: Value = serde_json::from_str(&made).unwrap();
    (vapi, made["id"].as_str().unwrap().to_owned())
}

fn account(address: SocketAddr) -> VapiAccount {
    let base = format!("http://{address}/vapi/vapi").try_into().unwrap();
    VapiAccount::new(base, TOKEN.into()).unwrap().reconnecting_for(Duration::from_secs(2))
}

/// A shop whose callers are put through.
fn shop(at: SocketAddr, assistant: &str, script: &Arc<Script>) -> Running {
    Running::start([put_through(at, assistant, script)], QUICK, 100)
}

fn put_through(at: SocketAddr, assistant: &str, script: &Arc<Script>) -> Tenant {
    let mut profile = profile("rossi", OWN, 5);
    profile.vapi.dialling = Some(Dialling { account: account(at), answerer: Answerer::Stored(assistant.into()) });
    run_by(profile, script)
}

fn says(caller: &Caller, kind: &str, words: &str) -> bool {
    caller.text(kind).contains(words)
}

/// The only record of a shop that has closed.
fn record(script: &Script) -> CallRecord {
    let records = script.records.lock().unwrap();
    assert_eq!(records.len(), 1, "one call");
    records[0].clone()
}

fn said(record: &CallRecord) -> String {
    let texts = record.end.as_ref().unwrap().history.reveal().iter().map(|message| match message {
        Said::Caller { text } => format!("C: {text}"),
        Said::Agent { text, .. } => format!("A: {text}"),
        _ => String::new(),
    });
    texts.collect::<Vec<_>>().join("|")
}

#[tokio::test]
async fn a_caller_and_an_assistant_at_vapi_hear_each_other() {
    let (theirs, ours) = (Script::new(&["vorrei prenotare"], &[]), Script::new(&[], &[]));
    let (vapi, assistant) = vapi(&theirs).await;
    let shop = shop(vapi.address, &assistant, &ours);
    let mut caller = shop.call("rossi").await;
    caller.until("their greeting", |c| says(c, "transcript", "sono qui per lei") && c.voiced > 10).await;
    caller.until("its end", |c| c.silent > 10).await;
    caller.speak(900);
    caller.until("their answer", |c| says(c, "transcript", "Lei ha detto: vorrei prenotare.")).await;
    caller.until("its end", |c| c.silent > 25).await;
    caller.socket.close(None).await.unwrap();
    caller.hear_out().await;
    shop.close().await;

    let record = record(&ours);
    assert_eq!(record.end.as_ref().unwrap().ending, Ending::CallerHungUp);
    let said = said(&record);
    assert!(said.contains("C: vorrei prenotare|A: Lei ha detto: vorrei prenotare."), "{said}");
    // At Vapi it is over, too, and the assistant knew who called.
    let listed = calls_at(vapi.address).await;
    assert_eq!((&listed[0]["status"], &listed[0]["endedReason"]), (&"ended".into(), &"customer-ended-call".into()));
    assert_eq!(listed[0]["assistantOverrides"]["variableValues"]["callerNumber"], "+393331234567");
    vapi.close().await;
}

/// The calls that Vapi lists.
async fn calls_at(address: SocketAddr) -> Value {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let request = format!(
        "GET /vapi/vapi/call HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    );
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut read = String::new();
    timeout(LONG, tcp.read_to_string(&mut read)).await.expect("an answer").unwrap();
    serde_json::from_str(read.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[tokio::test]
async fn the_assistant_ends_the_call() {
    let theirs = Arc::new(Script {
        hears: std::sync::Mutex::new(["basta così grazie"].into()),
        answers: std::sync::Mutex::new([Answer::Book, Answer::Words("Arrivederci.".into())].into()),
        then: Some(Then::EndCall),
        ..Script::default()
    });
    let ours = Script::new(&[], &[]);
    let (vapi, assistant) = vapi(&theirs).await;
    let shop = shop(vapi.address, &assistant, &ours);
    let mut caller = shop.call("rossi").await;
    caller.until("their greeting", |c| c.voiced > 10 && c.silent > 10).await;
    caller.speak(900);
    assert_eq!(caller.hear_out().await.0, CloseCode::Normal);
    let last = caller.events.last().unwrap();
    assert_eq!((&last["status"], &last["endedReason"]), (&"ended".into(), &"assistant-ended-call".into()));
    shop.close().await;
    assert_eq!(record(&ours).end.unwrap().ending, Ending::AgentEnded);
    vapi.close().await;
}

#[tokio::test]
async fn the_assistant_puts_the_caller_through_to_a_person() {
    let theirs = Arc::new(Script {
        hears: std::sync::Mutex::new(["mi passi il titolare"].into()),
        answers: std::sync::Mutex::new([Answer::Book, Answer::Words("La passo.".into())].into()),
        then: Some(Then::Transfer("+390698765432".into())),
        ..Script::default()
    });
    let ours = Script::new(&[], &[]);
    let (vapi, assistant) = vapi(&theirs).await;
    let shop = shop(vapi.address, &assistant, &ours);
    let mut caller = shop.call("rossi").await;
    caller.until("their greeting", |c| c.voiced > 10 && c.silent > 10).await;
    caller.speak(900);
    assert_eq!(caller.hear_out().await.0, CloseCode::Normal);
    assert!(says(&caller, "transfer-update", "+390698765432"), "{:?}", caller.kinds());
    let last = caller.events.last().unwrap();
    assert_eq!((&last["status"], &last["endedReason"]), (&"ended".into(), &"assistant-forwarded-call".into()));
    shop.close().await;
    assert_eq!(record(&ours).end.unwrap().ending, Ending::Transferred);
    vapi.close().await;
}

#[tokio::test]
async fn a_connection_to_vapi_that_breaks_is_opened_again_and_the_call_goes_on() {
    let (theirs, ours) = (Script::new(&["vorrei prenotare"], &[]), Script::new(&[], &[]));
    let (vapi, assistant) = vapi(&theirs).await;
    let network = Network::to(vapi.address, false).await;
    let shop = shop(network.address, &assistant, &ours);
    let mut caller = shop.call("rossi").await;
    caller.until("their greeting", |c| c.voiced > 10 && c.silent > 10).await;
    network.cut();
    let before = caller.silent;
    caller.until("silence from there again", |c| c.silent > before + 50).await;
    caller.speak(900);
    caller.until("their answer", |c| says(c, "transcript", "Lei ha detto: vorrei prenotare.")).await;
    caller.socket.close(None).await.unwrap();
    caller.hear_out().await;
    shop.close().await;
    assert!(!said(&record(&ours)).contains("bottega"), "the shop's own receptionist was not needed");
    vapi.close().await;
    assert_eq!(theirs.records.lock().unwrap().len(), 1, "one call at Vapi");
}

#[tokio::test]
async fn whoever_cannot_be_put_through_is_answered_by_the_shop() {
    let ours = Script::new(&["vorrei prenotare"], &[]);
    // A port that was free a moment ago.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let unreachable = shop(nobody, "a1", &ours);
    let mut caller = unreachable.call("rossi").await;
    caller.until("the shop's own greeting", |c| says(c, "voice-input", OWN) && c.voiced > 10).await;
    caller.until("its end", |c| c.silent > 10).await;
    caller.speak(900);
    caller.until("an answer", |c| says(c, "voice-input", "Lei ha detto")).await;
    caller.send(r#"{"type":"end-call"}"#).await;
    caller.hear_out().await;
    unreachable.close().await;

    // An assistant that is not there.
    let ours = Script::new(&[], &[]);
    let (vapi, _) = vapi(&Script::new(&[], &[])).await;
    let refused = shop(vapi.address, "another", &ours);
    let mut caller = refused.call("rossi").await;
    caller.until("the shop's own greeting", |c| says(c, "voice-input", OWN)).await;
    caller.send(r#"{"type":"end-call"}"#).await;
    caller.hear_out().await;
    refused.close().await;
    vapi.close().await;
}

#[tokio::test]
async fn a_call_that_vapi_has_ready_too_late_is_ended_there() {
    let (theirs, ours) = (Script::new(&[], &[]), Script::new(&[], &[]));
    let (vapi, assistant) = vapi(&theirs).await;
    let network = Network::to(vapi.address, true).await;
    let shop = shop(network.address, &assistant, &ours);
    let mut caller = shop.call("rossi").await;
    caller.until("the shop's own greeting", |c| says(c, "voice-input", OWN)).await;
    network.may_pass.add_permits(1_000);
    let ended = async {
        loop {
            let listed = calls_at(vapi.address).await;
            if listed[0]["status"] == "ended" {
                return;
            }
            caller.round().await;
        }
    };
    timeout(LONG, ended).await.expect("nobody is on that call: it ends");
    caller.send(r#"{"type":"end-call"}"#).await;
    caller.hear_out().await;
    shop.close().await;
    vapi.close().await;
}

#[tokio::test]
async fn who_loses_the_assistant_is_not_alone() {
    let (theirs, ours) = (Script::new(&[], &[]), Script::new(&[], &[]));
    let (vapi, assistant) = vapi(&theirs).await;
    let network = Network::to(vapi.address, false).await;
    let shop = shop(network.address, &assistant, &ours);
    let mut caller = shop.call("rossi").await;
    caller.until("their greeting", |c| says(c, "transcript", "sono qui per lei") && c.voiced > 10).await;
    network.goes_down();
    caller.until("the shop's own greeting", |c| says(c, "voice-input", OWN)).await;
    let before = caller.voiced;
    caller.until("its voice", |c| c.voiced > before + 10 && c.silent > 10).await;
    caller.send(r#"{"type":"end-call"}"#).await;
    assert_eq!(caller.hear_out().await.0, CloseCode::Normal);
    shop.close().await;
    let said = said(&record(&ours));
    assert!(said.contains("sono qui per lei") && said.contains("bottega"), "one record has both: {said}");
    vapi.close().await;
}

#[tokio::test]
async fn an_embedder_talks_to_an_assistant_at_vapi() {
    let theirs = Script::new(&["vorrei prenotare"], &[]);
    let (vapi, assistant) = vapi(&theirs).await;
    let new = NewCall::to(Answerer::Stored(assistant), Format::PCM_WIDE).named("collaudo");
    let mut call = VapiCall::place(&account(vapi.address), &new).await.unwrap();
    let (mut bytes, mut voiced, mut spoken) = (0, 0, false);
    let talk = async {
        loop {
            match call.next().await {
                FromVapi::Audio(sound) => {
                    bytes += sound.len();
                    voiced += usize::from(sound.iter().any(|byte| *byte != 0));
                    if voiced > 10 && !spoken {
                        spoken = true;
                        call.hear(&tone(14_400));
                    }
                }
                FromVapi::Event(PeerEvent::Transcript { ours: false, text, .. }) if text.contains("Lei ha detto") => {
                    assert!(call.control(&Control::End));
                }
                FromVapi::Event(_) => {}
                FromVapi::Over(over) => return over,
            }
        }
    };
    let over = timeout(LONG, talk).await.expect("the call ends");
    assert!(matches!(over, CallOver::Ended(Some(reason)) if reason == "assistant-ended-call"));
    assert!(bytes > 32_000 && call.dropped() == 0, "{bytes} bytes");
    call.hang_up().await;
    vapi.close().await;
    assert!(said(&record(&theirs)).contains("C: vorrei prenotare"));
}
