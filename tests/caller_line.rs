//! The simulated caller against a small agent that speaks the dialects: what it sends, hears and measures.
#![cfg(feature = "load")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::{SinkExt, StreamExt};
use pronto::{
    audio::{Format, Rate, g711, signal::sine},
    load::caller::{Conversation, Happened, How, Lines, Placement, Scenario, Spoken, Turn, Wire, call},
};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{Instant, interval, sleep},
};
use tokio_tungstenite::{WebSocketStream, accept_async, tungstenite::Message};

type Socket = WebSocketStream<TcpStream>;

/// Somebody who takes one call with `agent`, and what a caller with this scenario makes of it.
async fn conversation<F: Future<Output = Heard> + Send + 'static>(
    wire: Wire,
    scenario: &str,
    agent: impl FnOnce(Socket) -> F + Send + 'static,
) -> (Conversation, Heard, Vec<Happened>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("ws://{}/v1/stream/rossi", listener.local_addr().unwrap());
    let agent = tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        tcp.set_nodelay(true).unwrap();
        agent(accept_async(tcp).await.unwrap()).await
    });
    let placement = Placement { address, given: false, token: None, from: Some("+393331234567".into()), wire };
    let rate = placement.format().rate;
    let scenario = Scenario::parse(scenario).unwrap();
    let sound = |turn: &Turn| match turn {
        Turn::Say(text) => Some(Spoken { text: text.clone(), samples: tone(rate, 600).into() }),
        Turn::Wav(_) | Turn::Keys(_) | Turn::HangUp => None,
    };
    let spoken = scenario.steps.iter().map(|step| sound(&step.turn)).collect();
    let mut happened = Vec::new();
    let lines = Lines::Scenario(scenario, spoken);
    let conversation =
        call(&placement, lines, &mut |moment| happened.push(moment.what), std::future::pending()).await.unwrap();
    (conversation, agent.await.unwrap(), happened)
}

/// What the agent heard.
#[derive(Default)]
struct Heard {
    /// The caller's samples.
    samples: Vec<i16>,
    /// Messages that are no audio.
    messages: Vec<Value>,
    /// The code the caller closed with.
    closed: Option<u16>,
}

impl Heard {
    fn take(&mut self, message: Message) {
        match message {
            Message::Binary(bytes) => {
                let (pairs, odd) = bytes.as_chunks::<2>();
                assert!(odd.is_empty());
                self.samples.extend(pairs.iter().map(|pair| i16::from_le_bytes(*pair)));
            }
            Message::Text(text) => {
                let message: Value = serde_json::from_str(&text).unwrap();
                match message["media"]["payload"].as_str() {
                    Some(payload) => {
                        let bytes = STANDARD.decode(payload).unwrap();
                        self.samples.extend(bytes.iter().map(|code| g711::MULAW[usize::from(*code)]));
                    }
                    None => self.messages.push(message),
                }
            }
            Message::Close(frame) => self.closed = frame.map(|frame| frame.code.into()),
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }

    fn voiced(&self) -> bool {
        let tail = self.samples.len().saturating_sub(320);
        self.samples[tail..].iter().any(|sample| sample.unsigned_abs() > 1_000)
    }
}

fn tone(rate: Rate, ms: u64) -> Vec<i16> {
    sine(330.0, rate, 9_000.0, 3, rate.samples(Duration::from_millis(ms)))
}

fn bytes(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

async fn says(socket: &mut Socket, text: &str) {
    let told = json!({"type": "transcript", "role": "assistant", "transcriptType": "final", "transcript": text});
    socket.send(Message::text(told.to_string())).await.unwrap();
}

/// An agent of Vapi's kind: speaks in frames of 20 ms in real time, `reply` after `wait` of silence, stops when it is
/// cut.
async fn vapi(mut socket: Socket, replies: Vec<(&'static str, u64)>) -> Heard {
    let mut heard = Heard::default();
    let mut pace = interval(Duration::from_millis(20));
    let mut replies = replies.into_iter();
    let mut saying: Vec<i16> = Vec::new();
    let mut spoken_to = true;
    let mut quiet_since = Instant::now();
    loop {
        tokio::select! {
            _ = pace.tick() => {
                if heard.voiced() {
                    (quiet_since, spoken_to) = (Instant::now(), true);
                    saying.clear();
                }
                if spoken_to && quiet_since.elapsed() > Duration::from_millis(300) {
                    spoken_to = false;
                    if let Some((text, ms)) = replies.next() {
                        saying = tone(Rate::WIDE, ms);
                        says(&mut socket, text).await;
                    }
                }
                let mut frame: Vec<i16> = saying.drain(..saying.len().min(320)).collect();
                frame.resize(320, 0);
                if socket.send(Message::binary(bytes(&frame))).await.is_err() {
                    return heard;
                }
            }
            message = socket.next() => match message {
                Some(Ok(message)) => heard.take(message),
                Some(Err(_)) | None => return heard,
            }
        }
    }
}

#[tokio::test]
async fn a_vapi_call_follows_the_agents_words_and_measures_itself() {
    let scenario = r#"
        pause_ms = 500
        [[steps]]
        say = "vorrei prenotare"
        [[steps]]
        while_agent_speaks_ms = 400
        say = "anzi no"
        [[steps]]
        expect = ["targa"]
        say = "A B"
        [[steps]]
        expect = ["nome"]
        keys = "1#"
        [[steps]]
        expect = ["arrivederci"]
        hang_up = true
    "#;
    let replies = vec![
        ("Pronto!", 400),
        ("Una frase lunga lunga.", 5_000),
        ("Il nome?", 400),
        ("La targa?", 400),
        ("Grazie, arrivederci.", 400),
    ];
    let (talk, heard, happened) =
        conversation(Wire::Vapi(Format::PCM_WIDE), scenario, |socket| vapi(socket, replies)).await;
    assert_eq!(talk.how, How::HungUp, "{happened:?}");
    assert_eq!(heard.closed, Some(1000));

    let said: Vec<_> = talk.recording.said.iter().map(|said| said.text.as_str()).collect();
    assert_eq!(said, ["vorrei prenotare", "anzi no", "A B"]);
    let pressed = happened.iter().filter(|what| matches!(what, Happened::Pressed(_))).count();
    assert_eq!(pressed, 2);

    // Every sample that was recorded was sent, and none twice.
    assert_eq!(heard.samples.len(), talk.recording.caller.len());
    assert_eq!(heard.samples, talk.recording.caller);

    let answers = talk.recording.answers();
    assert_eq!(answers.len(), 3);
    // The agent is silent for 300 ms after it has heard us, in its own real time: what is measured is not shorter, nor
    // much longer.
    for answer in [&answers[0], &answers[1], &answers[2]] {
        let ms = answer.latency().unwrap().as_millis();
        assert!((280..1_000).contains(&ms), "{ms} ms: {answer:?}");
    }
    assert_eq!((answers[0].cut, answers[2].cut), (None, None));
    assert!(answers[1].cut.unwrap() < Duration::from_millis(500), "{:?}", answers[1].cut);
}

#[tokio::test]
async fn a_caller_nobody_speaks_to_gives_up() {
    let scenario = "patience_s = 1\n[[steps]]\nsay = \"pronto\"";
    let (talk, heard, _) =
        conversation(Wire::Vapi(Format { rate: Rate::PHONE, ..Format::PCM_WIDE }), scenario, |socket| {
            vapi(socket, vec![])
        })
        .await;
    assert_eq!(talk.how, How::GaveUp(String::new()));
    assert_eq!(heard.closed, Some(1000));
    // It was silent, and never stopped sending.
    assert!(heard.samples.len() >= 7_500 && heard.samples.iter().all(|sample| *sample == 0));
}

#[tokio::test]
async fn a_twilio_call_gives_marks_back_when_they_are_heard_and_drops_what_is_cleared() {
    let scenario = "pause_ms = 200\n[[steps]]\nsay = \"pronto\"\n[[steps]]\nkeys = \"5\"\n[[steps]]\nhang_up = true";
    let (talk, heard, _) = conversation(Wire::Twilio, scenario, |mut socket| async move {
        let mut heard = Heard::default();
        while heard.messages.len() < 2 {
            heard.take(socket.next().await.unwrap().unwrap());
        }
        let stream = heard.messages[1]["streamSid"].as_str().unwrap().to_owned();
        let media = |ms| {
            let codes: Vec<u8> = tone(Rate::PHONE, ms).into_iter().map(g711::mulaw).collect();
            let payload = STANDARD.encode(codes);
            Message::text(json!({"event": "media", "streamSid": stream, "media": {"payload": payload}}).to_string())
        };
        let mark =
            |name| Message::text(json!({"event": "mark", "streamSid": stream, "mark": {"name": name}}).to_string());
        let clear = Message::text(json!({"event": "clear", "streamSid": stream}).to_string());
        // Faster than real time, as Twilio allows: 300 ms that are heard, then 30 s of which little is.
        socket.send(media(300)).await.unwrap();
        socket.send(mark("first")).await.unwrap();
        socket.send(media(30_000)).await.unwrap();
        socket.send(mark("second")).await.unwrap();
        let mut clear = Some(clear);
        let begun = Instant::now();
        while let Some(Ok(message)) = socket.next().await {
            let before = heard.messages.len();
            heard.take(message);
            if heard.messages.len() > before && heard.messages[before]["mark"]["name"] == "first" {
                assert!(begun.elapsed() >= Duration::from_millis(290), "heard in real time");
                sleep(Duration::from_millis(300)).await;
                socket.send(clear.take().unwrap()).await.unwrap();
            }
            if heard.messages.len() > before && heard.messages[before]["event"] == "dtmf" {
                socket.send(media(300)).await.unwrap();
            }
            if heard.voiced() && heard.samples.len() % 1_600 == 0 {
                socket.send(media(200)).await.unwrap();
            }
        }
        heard
    })
    .await;
    assert_eq!(talk.how, How::HungUp);
    let events: Vec<_> = heard
        .messages
        .iter()
        .map(|message| match (message["event"].as_str().unwrap(), message["mark"]["name"].as_str()) {
            (_, Some(mark)) => mark.to_owned(),
            (event, None) => event.to_owned(),
        })
        .collect();
    assert_eq!(events, ["connected", "start", "first", "second", "dtmf", "stop"]);
    assert_eq!(heard.messages[1]["start"]["customParameters"]["from"], "+393331234567");
    // Of the 30 seconds hardly one was heard.
    let heard_of_it = talk.recording.agent.samples().len();
    assert!(heard_of_it < 8_000 * 6, "{heard_of_it}");
}

#[tokio::test]
async fn an_agent_that_hangs_up_tells_why() {
    let (talk, ..) =
        conversation(Wire::Vapi(Format::PCM_WIDE), "[[steps]]\nsay = \"pronto\"", |mut socket| async move {
            use tokio_tungstenite::tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};
            socket.send(Message::binary(bytes(&tone(Rate::WIDE, 100)))).await.unwrap();
            socket.close(Some(CloseFrame { code: CloseCode::Again, reason: "full".into() })).await.unwrap();
            while let Some(Ok(_)) = socket.next().await {}
            Heard::default()
        })
        .await;
    assert_eq!(talk.how, How::AgentHungUp { code: 1013, reason: "full".into() });
}

#[tokio::test]
async fn lines_that_come_while_the_call_runs_are_said_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("ws://{}/v1/stream/rossi", listener.local_addr().unwrap());
    let agent = tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        vapi(accept_async(tcp).await.unwrap(), vec![("Pronto!", 3_000), ("Sì.", 300)]).await
    });
    let placement = Placement { address, given: false, token: None, from: None, wire: Wire::Vapi(Format::PCM_WIDE) };
    let (send, lines) = tokio::sync::mpsc::channel(4);
    let samples: Arc<[i16]> = tone(Rate::WIDE, 500).into();
    tokio::spawn(async move {
        sleep(Duration::from_millis(1_000)).await;
        send.send(Spoken { text: "ehi".into(), samples }).await.unwrap();
    });
    let talk = call(&placement, Lines::Live(lines), &mut |_| {}, std::future::pending()).await.unwrap();
    agent.await.unwrap();
    assert_eq!(talk.how, How::HungUp, "after the agent's last words");
    let answers = talk.recording.answers();
    assert!(answers[0].cut.unwrap() < Duration::from_millis(500), "{answers:?}");
    assert!(answers[0].latency().is_some());
}
