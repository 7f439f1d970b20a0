//! The voice of a shop as the custom voice of an assistant that lives at Vapi, over loopback.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, stream, stream::BoxStream};
use pronto::{
    audio::Rate,
    call::TtsEvent,
    gateway::DrainSettings,
    providers::{Kind, ProviderError, Say, Tts, TtsCapabilities},
    tenant::{Profile, TenantId},
};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    sync::Semaphore,
    time::timeout,
};

use super::{
    gateway_shop::Running,
    vapi_shop::{Shop, TOKEN, post, send, wait, with_engines},
};

const PATH: &str = "/vapi/rossi/voice";
const BEARER: [(&str, &str); 1] = [("authorization", "Bearer segreto")];
const LONG: Duration = Duration::from_secs(20);

/// What a voice does.
#[derive(Clone)]
enum Sound {
    /// So many samples of a tone.
    Tone(usize),
    /// Waits until it may go on.
    Wait,
    Fails(ProviderError),
    Panics,
    /// A second of tone, again and again.
    Endless,
}

/// A voice that follows a script, a list for each clause; then it says nothing more.
#[derive(Default)]
struct Script {
    sounds: Mutex<VecDeque<Vec<Sound>>>,
    spoken: Mutex<Vec<String>>,
    /// Samples it was asked for.
    given: AtomicUsize,
    may_go_on: Semaphore0,
    /// Clauses that were dropped before their end.
    dropped: Semaphore0,
}

/// A semaphore with nothing in it.
struct Semaphore0(Semaphore);

impl Default for Semaphore0 {
    fn default() -> Self {
        Self(Semaphore::new(0))
    }
}

struct Voice(Arc<Script>);

struct Whole(Arc<Script>, bool);

impl Drop for Whole {
    fn drop(&mut self) {
        if !self.1 {
            self.0.dropped.0.add_permits(1);
        }
    }
}

impl Tts for Voice {
    fn capabilities(&self) -> TtsCapabilities {
        TtsCapabilities { name: "fake", rate: Rate::VOICE, alignment: false }
    }

    fn speak(&self, say: Say) -> BoxStream<'static, Result<TtsEvent, ProviderError>> {
        let script = Arc::clone(&self.0);
        script.spoken.lock().unwrap().push(say.text);
        let sounds = script.sounds.lock().unwrap().pop_front().unwrap_or_default();
        let whole = Whole(script, false);
        stream::unfold((VecDeque::from(sounds), whole), |(mut sounds, mut whole)| async move {
            loop {
                let samples = match sounds.pop_front() {
                    Some(Sound::Tone(samples)) => samples,
                    Some(Sound::Endless) => {
                        sounds.push_front(Sound::Endless);
                        24_000
                    }
                    Some(Sound::Wait) => {
                        wait("the voice's leave", &whole.0.may_go_on.0, 1).await;
                        continue;
                    }
                    Some(Sound::Fails(error)) => return Some((Err(error), (sounds, whole))),
                    Some(Sound::Panics) => panic!("a bug on purpose"),
                    None if whole.1 => return None,
                    None => {
                        whole.1 = true;
                        return Some((Ok(TtsEvent::Done), (sounds, whole)));
                    }
                };
                whole.0.given.fetch_add(samples, Ordering::SeqCst);
                return Some((Ok(TtsEvent::Audio(crate::gateway_shop::tone(samples))), (sounds, whole)));
            }
        })
        .boxed()
    }
}

fn running(sounds: Vec<Vec<Sound>>) -> (Running, Arc<Script>) {
    let script = Arc::new(Script { sounds: Mutex::new(sounds.into()), ..Script::default() });
    let profile = Profile::new(TenantId::new("rossi").unwrap(), "Officina", &SecretString::from(TOKEN));
    let deaf = Arc::new(crate::gateway_shop::Scripted(crate::gateway_shop::Script::new(&[], &[])));
    let tenant = with_engines(profile, &Arc::new(Shop::new(vec![])), deaf, Arc::new(Voice(Arc::clone(&script))));
    (Running::start([tenant], DrainSettings { finish_s: 20, goodbye_s: 0 }, 100), script)
}

fn request(text: &str, rate: Value) -> String {
    json!({"message": {"type": "voice-request", "text": text, "sampleRate": rate, "call": {"id": "c1"}}}).to_string()
}

/// Reads at least so many bytes; all there are where it ends before.
async fn read_at_least(tcp: &mut TcpStream, read: &mut Vec<u8>, bytes: usize) {
    let mut buffer = [0; 4_096];
    while read.len() < bytes {
        let got = timeout(LONG, tcp.read(&mut buffer)).await.expect("it goes on").unwrap();
        if got == 0 {
            return;
        }
        read.extend_from_slice(&buffer[..got]);
    }
}

/// The head, and the body with its chunks put together.
fn whole(read: &[u8]) -> (String, Vec<u8>) {
    let end = read.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(read[..end].to_vec()).unwrap();
    let mut rest = &read[end + 4..];
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|two| two == b"\r\n").expect("the body has its end");
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        if length == 0 {
            return (head, body);
        }
        assert_eq!(length % 2, 0, "whole samples in each chunk");
        body.extend_from_slice(&rest[line + 2..line + 2 + length]);
        rest = &rest[line + 4 + length..];
    }
}

async fn spoken(gateway: &Running, body: &str) -> Vec<i16> {
    let mut tcp = send(gateway.address, PATH, &BEARER, body).await;
    let mut read = Vec::new();
    read_at_least(&mut tcp, &mut read, usize::MAX).await;
    let (head, body) = whole(&read);
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("content-type: application/octet-stream"), "{head}");
    body.as_chunks::<2>().0.iter().map(|pair| i16::from_le_bytes(*pair)).collect()
}

#[tokio::test]
async fn each_rate_is_spoken_as_it_was_asked_for() {
    let rates = [json!(8_000), json!(16_000.0), json!(22_050), json!(24_000), json!(44_100)];
    let (gateway, _) = running(vec![vec![Sound::Tone(2_400); 10]; rates.len()]);
    for rate in rates {
        let sound = spoken(&gateway, &request("Certo.", rate.clone())).await;
        let hz = rate.as_f64().unwrap() as usize;
        let (voice, silence) = (hz, hz / 50);
        assert!(sound.len().abs_diff(voice + silence) <= 1, "{hz}: {}", sound.len());
        assert!(sound[sound.len() - silence..].iter().all(|sample| *sample == 0), "{hz}: padded");
        assert!(sound[..voice].iter().filter(|sample| sample.abs() > 4_000).count() > voice / 2, "{hz}: loud");
        assert!(sound[0].abs() < 500 && sound[voice - 1].abs() < 500, "{hz}: faded");
    }
    gateway.close().await;
}

#[tokio::test]
async fn the_first_sound_leaves_while_the_voice_is_still_busy() {
    let (gateway, script) = running(vec![vec![Sound::Tone(2_400), Sound::Wait, Sound::Tone(2_400)]]);
    let mut tcp = send(gateway.address, PATH, &BEARER, &request("Certo.", json!(24_000))).await;
    let mut read = Vec::new();
    // All but the 5 ms that may have to be faded.
    read_at_least(&mut tcp, &mut read, 2 * (2_400 - 120)).await;
    script.may_go_on.0.add_permits(1);
    read_at_least(&mut tcp, &mut read, usize::MAX).await;
    assert_eq!(whole(&read).1.len(), 2 * (4_800 + 480));
    gateway.close().await;
}

#[tokio::test]
async fn words_are_spoken_clause_by_clause_without_what_is_not_meant_for_a_voice() {
    let (gateway, script) = running(vec![vec![Sound::Tone(240)]; 2]);
    let sound = spoken(&gateway, &request("Certo, **giovedì**.<flush /> Alle nove va bene?", json!(24_000))).await;
    assert_eq!(*script.spoken.lock().unwrap(), ["Certo, giovedì.", "Alle nove va bene?"]);
    assert_eq!(sound.len(), 480 + 480, "one sound, one silence behind it");
    for nothing in ["", " <flush/> ", "**"] {
        assert!(spoken(&gateway, &request(nothing, json!(24_000))).await.is_empty(), "{nothing:?}");
    }
    assert_eq!(script.spoken.lock().unwrap().len(), 2, "nobody was asked to say nothing");
    gateway.close().await;
}

#[tokio::test]
async fn whoever_reads_slowly_holds_up_the_voice() {
    // What the kernel keeps for both ends, and one piece of the voice in between.
    const AHEAD_MAX: usize = 1 << 20;
    let (gateway, script) = running(vec![vec![Sound::Endless]]);
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut tcp = socket.connect(gateway.address).await.unwrap();
    let body = request("Un discorso senza fine.", json!(24_000));
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    tcp.write_all((head + &body).as_bytes()).await.unwrap();
    let mut read = Vec::new();
    for _ in 0..400 {
        let more = read.len() + 10_000;
        read_at_least(&mut tcp, &mut read, more).await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let ahead = 2 * script.given.load(Ordering::SeqCst) - read.len().min(2 * script.given.load(Ordering::SeqCst));
        assert!(ahead < AHEAD_MAX, "{ahead} bytes are waiting for whoever does not read");
    }
    assert!(read.len() > 3 * AHEAD_MAX, "the voice went on");
    drop(tcp);
    wait("the end of the voice", &script.dropped.0, 1).await;
    gateway.close().await;
}

#[tokio::test]
async fn a_peer_that_goes_takes_the_voice_along() {
    let (gateway, script) = running(vec![vec![Sound::Tone(2_400), Sound::Wait], vec![Sound::Wait]]);
    let body = request("Certo.", json!(24_000));
    let mut tcp = send(gateway.address, PATH, &BEARER, &body).await;
    read_at_least(&mut tcp, &mut Vec::new(), 1_000).await;
    drop(tcp);
    wait("the end of the voice", &script.dropped.0, 1).await;
    // Before the first sound as well.
    let tcp = send(gateway.address, PATH, &BEARER, &body).await;
    while script.spoken.lock().unwrap().len() < 2 {
        tokio::task::yield_now().await;
    }
    drop(tcp);
    wait("the end of the voice", &script.dropped.0, 1).await;
    gateway.close().await;
}

#[tokio::test]
async fn a_voice_that_fails_is_refused_before_its_first_sound_and_cut_after_it() {
    let error = |kind| Sound::Fails(ProviderError::upstream("fake", kind, "on purpose"));
    let (gateway, script) = running(vec![
        vec![error(Kind::Garbage)],
        vec![error(Kind::Unreachable)],
        vec![Sound::Panics],
        vec![Sound::Tone(2_400), error(Kind::Cut)],
        vec![Sound::Tone(2_400), Sound::Panics],
    ]);
    let body = request("Certo.", json!(24_000));
    for expected in [502, 503, 502] {
        let (status, answer) = post(gateway.address, PATH, &BEARER, &body).await;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!((status, &answer["field"]), (expected, &json!("voice")), "{answer}");
    }
    let cut = spoken(&gateway, &body).await;
    assert_eq!(cut.len(), 2_400 + 480, "what was said ends softly");
    let panicked = spoken(&gateway, &body).await;
    assert_eq!(panicked.len(), 2_400 - 120, "what had been given");
    assert_eq!(script.spoken.lock().unwrap().len(), 5);
    gateway.close().await;
}

#[tokio::test]
async fn what_cannot_be_spoken_names_the_field_and_the_fix() {
    let (gateway, script) = running(vec![]);
    let check = async |body: &str, field: &str, fix: &str| {
        let (status, answer) = post(gateway.address, PATH, &BEARER, body).await;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!((status, answer["field"].as_str().unwrap()), (400, field), "{body}");
        assert!(answer["fix"].as_str().unwrap().contains(fix), "{answer}");
    };
    check("{}", "message", "voice-request").await;
    check("ciao", "message", "voice-request").await;
    check(r#"{"message":{"type":"voice-request","sampleRate":8000}}"#, "message.text", "string").await;
    check(&request("Ciao", json!(11_025)), "message.sampleRate", "8000, 16000, 22050, 24000 or 44100").await;
    check(&request(&"a".repeat(4_001), json!(8_000)), "message.text", "4000").await;
    assert!(script.spoken.lock().unwrap().is_empty());
    gateway.close().await;
}

#[tokio::test]
async fn only_the_tenant_is_let_in() {
    let (gateway, script) = running(vec![vec![Sound::Tone(240)]]);
    let body = request("Certo.", json!(24_000));
    for headers in [&[][..], &[("authorization", "Bearer sbagliato")], &[("x-vapi-secret", "sbagliato")]] {
        assert_eq!(post(gateway.address, PATH, headers, &body).await.0, 401, "{headers:?}");
    }
    assert_eq!(post(gateway.address, "/vapi/bianchi/voice", &BEARER, &body).await.0, 404);
    assert_eq!(post(gateway.address, "/vapi/rossi/transcriber", &BEARER, &body).await.0, 400, "another method");
    assert!(script.spoken.lock().unwrap().is_empty());
    let mut tcp = send(gateway.address, PATH, &[("x-vapi-secret", TOKEN)], &body).await;
    let mut read = Vec::new();
    read_at_least(&mut tcp, &mut read, usize::MAX).await;
    assert!(read.starts_with(b"HTTP/1.1 200"));
    gateway.close().await;
}

#[tokio::test]
async fn a_shutdown_waits_for_what_is_being_spoken() {
    let (mut gateway, script) = running(vec![vec![Sound::Tone(2_400), Sound::Wait, Sound::Tone(2_400)]]);
    let mut tcp = send(gateway.address, PATH, &BEARER, &request("Certo.", json!(24_000))).await;
    let mut read = Vec::new();
    read_at_least(&mut tcp, &mut read, 1_000).await;
    gateway.stop();
    script.may_go_on.0.add_permits(1);
    read_at_least(&mut tcp, &mut read, usize::MAX).await;
    assert_eq!(whole(&read).1.len(), 2 * (4_800 + 480));
    gateway.close().await;
}
