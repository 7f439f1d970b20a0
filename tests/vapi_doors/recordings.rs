//! Recordings of calls that were created over REST, over loopback: who said what on which side and when, who can have it,
//! and that it is gone when it was deleted.

use std::{
    io::Cursor,
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use pronto::{gateway::DrainSettings, tenant::Profile, vapi::RecordingPlan};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Interval, interval, timeout},
};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

use super::{
    gateway_shop::{Running, Script, TOKEN, profile, run_by, tone},
    platform::{ask, path, valid, wanted},
};

const QUICK: DrainSettings = DrainSettings { finish_s: 0, goodbye_s: 0 };

/// Nothing in here takes so long.
const LONG: Duration = Duration::from_secs(20);

/// Samples of 20 ms.
const FRAME: usize = 320;

/// 40 ms: how far the caller's sound may be from where it was said.
const NEAR: usize = 2 * FRAME;

/// A tenth of a second: so far our voice may be ahead of the caller's ear.
const AHEAD: usize = 5 * FRAME;

/// A folder of a test's own, gone with it.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("pronto-recorded-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        Self(folder)
    }

    fn file(&self, call: &str) -> PathBuf {
        self.0.join(format!("{call}.wav"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A gateway with one shop that records its calls here.
fn running(folder: &Path, hears: &[&'static str]) -> Running {
    let mut profile: Profile = profile("rossi", "", 1);
    profile.vapi.recordings = Some(RecordingPlan { keep_days: 30, bytes_max: 1_000_000_000 });
    let shop = run_by(profile, &Script::new(hears, &[])).recording_in(folder.to_owned());
    Running::start([shop], QUICK, 100)
}

/// A caller whose own sound is the clock: positions are samples that were sent.
struct Line {
    socket: WebSocketStream<TcpStream>,
    pace: Interval,
    sent: usize,
    /// What was received is heard up to here, if it is played as it comes.
    heard: usize,
    /// Our voice, from its first sound to its last.
    voice: Option<Range<usize>>,
    over: bool,
}

impl Line {
    async fn new(shop: &Running, call: &Value) -> Self {
        let socket = shop.dial(path(&call["transport"]["websocketCallUrl"]), None).await.unwrap();
        let pace = interval(Duration::from_millis(20));
        Self { socket, pace, sent: 0, heard: 0, voice: None, over: false }
    }

    /// Says so many frames, silence or a tone, and listens meanwhile. Answers where they were said.
    async fn say(&mut self, frames: usize, loud: bool) -> Range<usize> {
        let from = self.sent;
        for _ in 0..frames {
            loop {
                tokio::select! {
                    _ = self.pace.tick() => break,
                    message = self.socket.next(), if !self.over => self.hear(message),
                }
            }
            let samples = if loud { tone(FRAME) } else { vec![0; FRAME] };
            let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
            // The gateway may close meanwhile: that is seen on the reading side.
            let _ = self.socket.send(Message::Binary(bytes.into())).await;
            self.sent += FRAME;
        }
        from..self.sent
    }

    fn hear(&mut self, message: Option<Result<Message, tokio_tungstenite::tungstenite::Error>>) {
        match message {
            Some(Ok(Message::Binary(bytes))) => {
                let from = self.heard.max(self.sent);
                self.heard = from + bytes.len() / 2;
                if bytes.iter().any(|byte| *byte != 0) {
                    self.voice.get_or_insert(from..from).end = self.heard;
                }
            }
            Some(Ok(Message::Close(_))) | Some(Err(_)) | None => self.over = true,
            Some(Ok(_)) => {}
        }
    }

    /// Stays silent until we have spoken, and have been silent for 600 ms. Answers where we did.
    async fn listen(&mut self) -> Range<usize> {
        let listening = async {
            loop {
                self.say(1, false).await;
                assert!(!self.over, "the call ended before we spoke");
                if let Some(voice) = self.voice.take_if(|voice| voice.end + 30 * FRAME < self.heard) {
                    return voice;
                }
            }
        };
        timeout(LONG, listening).await.expect("our voice")
    }

    /// Ends the call and waits until it is over.
    async fn end(mut self) {
        // It may be over already.
        let _ = self.socket.send(Message::Text(r#"{"type":"end-call"}"#.into())).await;
        let ending = async {
            while !self.over {
                self.say(1, false).await;
            }
        };
        timeout(LONG, ending).await.expect("the end");
    }
}

/// What remains of a call, once it does.
async fn remains(shop: &Running, id: &str) -> Value {
    let shown = async {
        loop {
            let shown = ask(shop, "GET", &format!("/call/{id}"), &Value::Null).await.body;
            if shown.get("artifact").is_some() {
                return shown;
            }
        }
    };
    timeout(LONG, shown).await.expect("the artifact")
}

/// An answer that need not be text.
struct Fetched {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Fetched {
    fn header(&self, name: &str) -> &str {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(": "));
        headers.find(|(header, _)| header.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }

    /// The samples of a WAV file, side by side.
    fn sound(&self) -> Vec<Vec<i16>> {
        assert_eq!((self.status, self.header("content-type")), (200, "audio/wav"), "{}", self.head);
        assert_eq!(self.header("content-length"), self.body.len().to_string());
        let wav = hound::WavReader::new(Cursor::new(&self.body)).unwrap();
        let spec = wav.spec();
        assert_eq!((spec.sample_rate, spec.bits_per_sample), (16_000, 16));
        let samples: Vec<i16> = wav.into_samples().map(Result::unwrap).collect();
        let channels = usize::from(spec.channels);
        (0..channels).map(|side| samples.iter().skip(side).step_by(channels).copied().collect()).collect()
    }
}

/// Fetches an address, with a key or without.
async fn fetch(shop: &Running, address: &str, key: Option<&str>) -> Fetched {
    let at = if address.starts_with('/') { 0 } else { address.match_indices('/').nth(2).unwrap().0 };
    let key = key.map(|key| format!("authorization: Bearer {key}\r\n")).unwrap_or_default();
    let request =
        format!("GET {} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{key}\r\n", &address[at..], shop.address);
    let mut tcp = TcpStream::connect(shop.address).await.unwrap();
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut read = Vec::new();
    timeout(LONG, tcp.read_to_end(&mut read)).await.expect("an answer").unwrap();
    let end = read.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8(read[..end].to_vec()).unwrap();
    Fetched { status: head[9..12].parse().unwrap(), head, body: read[end + 4..].to_vec() }
}

/// Where a side is loud; pauses of less than 300 ms are not seen.
fn loud(side: &[i16]) -> Vec<Range<usize>> {
    let mut spans: Vec<Range<usize>> = Vec::new();
    for (at, _) in side.iter().enumerate().filter(|(_, sample)| sample.unsigned_abs() > 2_000) {
        match spans.last_mut().filter(|span| at < span.end + 15 * FRAME) {
            Some(span) => span.end = at + 1,
            None => spans.push(at..at + 1),
        }
    }
    spans
}

fn near(found: usize, expected: usize, tolerance: usize, what: &str) {
    assert!(found.abs_diff(expected) <= tolerance, "{what}: at {found} and not at {expected}");
}

#[tokio::test]
async fn each_side_of_a_call_is_recorded_can_be_had_for_a_while_and_is_gone_when_it_is_deleted() {
    let place = Place::new("whole");
    let shop = running(&place.0, &["vorrei prenotare"]);
    let made = ask(&shop, "POST", "/call", &wanted(json!({}))).await.body;
    let id = made["id"].as_str().unwrap();
    let stereo = format!("/vapi/rossi/call/{id}/stereo-recording");
    let mut line = Line::new(&shop, &made).await;
    let greeting = line.listen().await;
    assert_eq!(fetch(&shop, &stereo, Some(TOKEN)).await.status, 404, "it is still being made");
    let said = line.say(30, true).await;
    let answer = line.listen().await;
    line.end().await;

    let over = remains(&shop, id).await;
    valid("Call", &over);
    let artifact = &over["artifact"];
    assert_eq!(artifact["stereoRecordingUrl"], format!("http://{}{stereo}", shop.address));
    assert_eq!(artifact["recordingUrl"], artifact["recording"]["mono"]["combinedUrl"]);

    // With the key the way is shown; the way itself wants none.
    assert_eq!(fetch(&shop, &stereo, None).await.status, 401);
    let way = fetch(&shop, &stereo, Some(TOKEN)).await;
    assert_eq!(way.status, 302, "{}", way.head);
    let address = way.header("location").to_owned();
    let sides = fetch(&shop, &address, None).await.sound();
    let [caller, ours] = sides.as_slice() else { panic!("{} sides", sides.len()) };
    let (heard, spoken) = (loud(caller), loud(ours));
    assert_eq!(heard.len(), 1, "{heard:?}");
    near(heard[0].start, said.start, NEAR, "the caller begins");
    near(heard[0].end, said.end, NEAR, "the caller ends");
    near(spoken[0].start, greeting.start, AHEAD, "the greeting");
    let answered = spoken.iter().find(|span| span.start > said.start).expect("an answer");
    near(answered.start, answer.start, AHEAD, "the answer");
    assert!(spoken.iter().all(|span| span.end < said.start || span.start > said.end), "they take turns: {spoken:?}");

    // One side alone, and both together, with the addresses that the call shows.
    for (name, expected) in [("presignedCustomerUrl", caller), ("presignedAssistantUrl", ours)] {
        let alone = fetch(&shop, artifact[name].as_str().unwrap(), None).await.sound();
        assert_eq!((alone.len(), &alone[0] == expected), (1, true), "{name}");
    }
    let mixed = fetch(&shop, artifact["presignedMonoUrl"].as_str().unwrap(), None).await.sound();
    let sum: Vec<_> = caller.iter().zip(ours).map(|(one, other)| one.saturating_add(*other)).collect();
    assert!(mixed == [sum]);

    for (from, to) in [("side=stereo", "side=mono"), ("expires=1", "expires=2"), (id, "x"), ("/rossi/", "/bianchi/")] {
        assert!(address.contains(from), "{address}");
        assert_eq!(fetch(&shop, &address.replace(from, to), None).await.status, 404, "{to}");
    }
    for missing in ["video-recording", "pcap", "call-logs"] {
        let answer = fetch(&shop, &format!("/vapi/rossi/call/{id}/{missing}"), Some(TOKEN)).await;
        assert_eq!(answer.status, 404);
        assert!(String::from_utf8_lossy(&answer.body).contains("Artifact not found"));
    }

    assert!(place.file(id).exists());
    assert_eq!(ask(&shop, "DELETE", &format!("/call/{id}"), &json!({})).await.status, 200);
    assert!(!place.file(id).exists());
    assert_eq!(fetch(&shop, &address, None).await.status, 404);
    assert_eq!(fetch(&shop, &stereo, Some(TOKEN)).await.status, 404);
    shop.close().await;
}

#[tokio::test]
async fn a_call_whose_recording_cannot_be_erased_is_not_deleted() {
    let place = Place::new("stuck");
    let shop = running(&place.0, &[]);
    let made = ask(&shop, "POST", "/call", &wanted(json!({}))).await.body;
    let id = made["id"].as_str().unwrap();
    let mut line = Line::new(&shop, &made).await;
    line.listen().await;
    line.end().await;
    remains(&shop, id).await;
    // It is whole when it can be had.
    assert_eq!(fetch(&shop, &format!("/vapi/rossi/call/{id}/mono-recording"), Some(TOKEN)).await.status, 302);
    // A folder with something in it cannot be removed as a file can.
    std::fs::remove_file(place.file(id)).unwrap();
    std::fs::create_dir_all(place.file(id).join("inside")).unwrap();
    let refused = ask(&shop, "DELETE", &format!("/call/{id}"), &json!({})).await;
    assert_eq!((refused.status, &refused.body["error"]), (503, &"Service Unavailable".into()), "{}", refused.body);
    assert_eq!(ask(&shop, "GET", &format!("/call/{id}"), &Value::Null).await.status, 200);
    std::fs::remove_dir_all(place.file(id)).unwrap();
    assert_eq!(ask(&shop, "DELETE", &format!("/call/{id}"), &json!({})).await.status, 200);
    shop.close().await;
}

#[tokio::test]
async fn a_call_that_is_deleted_while_it_is_recorded_leaves_no_recording() {
    let place = Place::new("early");
    let shop = running(&place.0, &[]);
    let made = ask(&shop, "POST", "/call", &wanted(json!({}))).await.body;
    let id = made["id"].as_str().unwrap();
    let mut line = Line::new(&shop, &made).await;
    line.listen().await;
    assert!(place.file(id).exists());
    assert_eq!(ask(&shop, "DELETE", &format!("/call/{id}"), &json!({})).await.status, 200);
    assert!(!place.file(id).exists());
    line.end().await;
    shop.close().await;
    assert!(!place.file(id).exists(), "what was said until the end is not written either");
}

#[tokio::test]
async fn an_assistant_that_wants_no_recording_has_none() {
    let place = Place::new("none");
    let shop = running(&place.0, &[]);
    let quiet = json!({"firstMessage": "Pronto.", "artifactPlan": {"recordingEnabled": false}});
    let made = ask(&shop, "POST", "/call", &wanted(json!({"assistant": quiet}))).await.body;
    let id = made["id"].as_str().unwrap();
    let mut line = Line::new(&shop, &made).await;
    line.listen().await;
    line.end().await;
    let artifact = &remains(&shop, id).await["artifact"];
    assert!(artifact.get("recordingUrl").is_none() && artifact.get("presignedMonoUrl").is_none(), "{artifact}");
    assert_eq!(fetch(&shop, &format!("/vapi/rossi/call/{id}/mono-recording"), Some(TOKEN)).await.status, 404);
    shop.close().await;
    assert!(!place.0.exists(), "there was nothing to make a folder for");
}

#[tokio::test]
async fn a_call_that_comes_back_goes_on_in_the_same_recording() {
    let place = Place::new("back");
    let shop = running(&place.0, &[]);
    let made = ask(&shop, "POST", "/call", &wanted(json!({}))).await.body;
    let id = made["id"].as_str().unwrap();
    let mut first = Line::new(&shop, &made).await;
    first.listen().await;
    first.say(30, true).await;
    // What was sent in the last moment is lost with the connection.
    first.say(10, false).await;
    drop(first);
    // The gateway notices in its own time that somebody is gone; until then nobody takes their place.
    let back = async {
        loop {
            let mut line = Line::new(&shop, &made).await;
            line.say(50, false).await;
            if !line.over {
                return line;
            }
        }
    };
    let mut second = timeout(LONG, back).await.expect("the call waits");
    second.say(30, true).await;
    second.say(5, false).await;
    second.end().await;
    remains(&shop, id).await;
    let way = fetch(&shop, &format!("/vapi/rossi/call/{id}/customer-recording"), Some(TOKEN)).await;
    let sides = fetch(&shop, way.header("location"), None).await.sound();
    let heard = loud(&sides[0]);
    assert_eq!(heard.len(), 2, "{heard:?}");
    for span in heard {
        near(span.len(), 30 * FRAME, NEAR, "a tone of 600 ms");
    }
    shop.close().await;
}
