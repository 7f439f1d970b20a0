//! The lab's emulators, over real HTTP and WebSocket: the vendors' shapes, faults on command, and nothing left behind.
#![cfg(feature = "load")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Response, StatusCode, body::Incoming};
use hyper_util::rt::TokioIo;
use pronto::{
    audio::{Encoder, Format, Rate},
    language::Language,
    load::lab::{Lab, LabSettings, journal::Endpoint, phrasebook::normal, speech::Voice},
};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Error, Message, client::IntoClientRequest},
};

/// Nothing in a lab without waits takes as long; a test that hangs fails here.
const SOON: Duration = Duration::from_secs(30);

async fn lab() -> Lab {
    Lab::start(LabSettings::instant()).await.expect("espeak-ng is installed")
}

/// One request on a connection of its own.
async fn send(
    lab: &Lab,
    method: Method,
    path: &str,
    key: &str,
    kind: &str,
    body: Vec<u8>,
) -> Option<Response<Incoming>> {
    let tcp = TcpStream::connect(lab.address()).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tcp)).await.unwrap();
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header("host", "lab").header("content-type", kind);
    if !key.is_empty() {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    sender.send_request(request.body(Full::new(Bytes::from(body))).unwrap()).await.ok()
}

async fn post(lab: &Lab, path: &str, body: Value) -> Response<Incoming> {
    send(lab, Method::POST, path, "k", "application/json", body.to_string().into_bytes()).await.expect("an answer")
}

async fn bytes(reply: Response<Incoming>) -> Vec<u8> {
    timeout(SOON, reply.into_body().collect()).await.unwrap().unwrap().to_bytes().to_vec()
}

async fn json_of(reply: Response<Incoming>) -> Value {
    serde_json::from_slice(&bytes(reply).await).unwrap()
}

/// The `data:` lines of an event stream.
fn events(body: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(body);
    text.lines().filter_map(|line| line.strip_prefix("data: ")).map(str::to_string).collect()
}

fn question(text: &str) -> Value {
    json!({ "model": "gpt-6-luna", "reasoning_effort": "none", "stream": true,
        "stream_options": { "include_usage": true, "include_obfuscation": false },
        "messages": [{ "role": "system", "content": "Sei la receptionist di un'officina." },
                     { "role": "user", "content": text }] })
}

async fn wav(lab: &Lab, text: &str, rate: Rate) -> Vec<u8> {
    let pcm = lab.speech().say(text, &Voice::callers(Language::Italian)[0], rate).await.unwrap();
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: rate.hz(),
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut file = std::io::Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut file, spec).unwrap();
    pcm.iter().for_each(|sample| writer.write_sample(*sample).unwrap());
    writer.finalize().unwrap();
    file.into_inner()
}

fn form(fields: &[(&str, &str)], file: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in fields {
        body.extend(format!("--edge\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").bytes());
    }
    body.extend(b"--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\n");
    body.extend(file);
    body.extend(b"\r\n--edge--\r\n");
    body
}

#[tokio::test]
async fn models_are_listed_with_the_day_they_go_and_keys_are_checked() {
    let lab = lab().await;
    let get = |key| send(&lab, Method::GET, "/v1/models", key, "", Vec::new());
    for (key, code) in [("", Value::Null), ("invalid-key", "invalid_api_key".into())] {
        let reply = get(key).await.unwrap();
        assert_eq!(reply.status(), StatusCode::UNAUTHORIZED);
        let error = json_of(reply).await["error"].clone();
        assert_eq!((&error["code"], &error["type"]), (&code, &json!("invalid_request_error")));
    }
    let list = json_of(get("k").await.unwrap()).await;
    let luna = list["data"].as_array().unwrap().iter().find(|model| model["id"] == "gpt-6-luna").unwrap();
    assert_eq!(luna["shutdown_date"], Value::Null);
    lab.stop().await;
}

#[tokio::test]
async fn a_chat_answer_is_the_same_in_events_and_whole() {
    let lab = lab().await;
    let reply = post(&lab, "/v1/chat/completions", question("buongiorno")).await;
    assert_eq!(reply.headers()["content-type"], "text/event-stream; charset=utf-8");
    assert!(reply.headers().contains_key("x-request-id"));
    let events = events(&bytes(reply).await);
    assert_eq!(events.last().map(String::as_str), Some("[DONE]"));
    let chunks: Vec<Value> =
        events[..events.len() - 1].iter().map(|event| serde_json::from_str(event).unwrap()).collect();
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    let [.., finish, usage] = &chunks[..] else { panic!("{chunks:?}") };
    assert_eq!(finish["choices"][0]["finish_reason"], "stop");
    assert!(usage["choices"].as_array().unwrap().is_empty() && usage["usage"]["total_tokens"].is_number());
    let words = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str());
    let streamed: String = words.collect();
    assert!(chunks.len() > 4 && !streamed.is_empty());

    let mut question = question("buongiorno");
    question.as_object_mut().unwrap().retain(|name, _| !name.starts_with("stream"));
    let whole = json_of(post(&lab, "/v1/chat/completions", question).await).await;
    assert_eq!(whole["choices"][0]["message"]["content"], streamed);
    assert_eq!(lab.journal().answered, [streamed.clone(), streamed]);
    lab.stop().await;
}

#[tokio::test]
async fn the_mind_asks_for_a_tool_in_fragments() {
    let lab = lab().await;
    let slot = json!({ "type": "object", "properties": {
        "service": { "type": "string", "enum": ["tagliando", "gomme"] }, "day": { "type": "string" } } });
    let tool = |name: &str| json!({ "type": "function", "function": { "name": name, "parameters": slot } });
    let mut question = question("vorrei prenotare un tagliando domani mattina");
    question["tools"] = json!([tool("find_slots"), tool("book_appointment")]);
    let mut assembled = (String::new(), String::new());
    for event in events(&bytes(post(&lab, "/v1/chat/completions", question).await).await) {
        let Ok(chunk) = serde_json::from_str::<Value>(&event) else { continue };
        let call = &chunk["choices"][0]["delta"]["tool_calls"][0];
        assembled.0.push_str(call["function"]["name"].as_str().unwrap_or_default());
        assembled.1.push_str(call["function"]["arguments"].as_str().unwrap_or_default());
        if let Some(reason) = chunk["choices"][0]["finish_reason"].as_str() {
            assert_eq!(reason, if assembled.0.is_empty() { "stop" } else { "tool_calls" });
        }
    }
    assert_eq!(assembled.0, "find_slots", "{:?}", lab.journal().answered);
    assert!(serde_json::from_str::<Value>(&assembled.1).unwrap().is_object());
    lab.stop().await;
}

#[tokio::test]
async fn a_file_is_transcribed_and_a_text_is_spoken() {
    let lab = lab().await;
    for rate in [Rate::WIDE, Rate::PHONE, Rate::VOICE] {
        let file = wav(&lab, "vorrei prenotare un tagliando", rate).await;
        let body = form(&[("model", "gpt-transcribe"), ("language", "it"), ("response_format", "json")], &file);
        let path = "/v1/audio/transcriptions";
        let reply = send(&lab, Method::POST, path, "k", "multipart/form-data; boundary=edge", body).await.unwrap();
        assert_eq!(reply.headers()["content-type"], "application/json");
        let reply = json_of(reply).await;
        assert_eq!(reply["text"], "vorrei prenotare un tagliando");
        assert_eq!(reply["usage"]["type"], "tokens");
    }
    let speech = |format: &str| {
        let body = json!({ "model": "gpt-4o-mini-tts", "voice": "coral", "input": "Buongiorno, officina Rossi.",
                           "response_format": format });
        async { bytes(post(&lab, "/v1/audio/speech", body).await).await }
    };
    let (pcm, wav) = (speech("pcm").await, speech("wav").await);
    assert!(pcm.len() > 24_000 && pcm.len() % 2 == 0);
    assert_eq!((&wav[..4], &wav[44..]), (&b"RIFF"[..], &pcm[..]));
    lab.stop().await;
}

#[tokio::test]
async fn faults_come_when_they_are_asked_for() {
    let lab = lab().await;
    let fault = |fault: Value| post(&lab, "/lab/faults", fault);
    let ask = || {
        send(&lab, Method::POST, "/v1/chat/completions", "k", "application/json", question("ciao").to_string().into())
    };
    fault(json!({ "endpoint": "chat", "kind": "status", "status": 429, "retry_after": "1.5", "times": 1 })).await;
    let reply = ask().await.unwrap();
    assert_eq!(
        (reply.status(), &reply.headers()["retry-after"]),
        (StatusCode::TOO_MANY_REQUESTS, &"1.5".parse().unwrap())
    );
    assert_eq!(json_of(reply).await["error"]["code"], "rate_limit_exceeded");

    fault(json!({ "endpoint": "chat", "kind": "refuse", "times": 1 })).await;
    assert!(ask().await.is_none(), "a refused connection was answered");

    fault(json!({ "endpoint": "chat", "kind": "cut", "after": 2, "times": 1 })).await;
    let cut = ask().await.unwrap().into_body().collect().await;
    assert!(cut.is_err(), "a cut stream ended well");

    fault(json!({ "endpoint": "chat", "kind": "truncate", "after": 2, "times": 1 })).await;
    let truncated = events(&bytes(ask().await.unwrap()).await);
    assert_eq!(truncated.len(), 2);

    fault(json!({ "endpoint": "chat", "kind": "error", "after": 1, "times": 1 })).await;
    let failed = events(&bytes(ask().await.unwrap()).await);
    assert!(failed.len() == 2 && failed[1].contains("server_error"), "{failed:?}");

    fault(json!({ "endpoint": "chat", "kind": "garbage", "after": 1, "times": 1 })).await;
    let garbled = events(&bytes(ask().await.unwrap()).await);
    assert!(serde_json::from_str::<Value>(&garbled[1]).is_err() && garbled.last().unwrap() == "[DONE]");

    let reply = fault(json!({ "endpoint": "chat", "kind": "explode" })).await;
    assert_eq!(reply.status(), StatusCode::BAD_REQUEST);
    assert_eq!(lab.journal().endpoints[&Endpoint::Chat].harmed, 6);
    lab.stop().await;
}

#[tokio::test]
async fn a_stall_ends_when_the_faults_are_cleared_and_a_client_that_leaves_is_noticed() {
    let lab = lab().await;
    post(&lab, "/lab/faults", json!({ "endpoint": "chat", "kind": "stall", "after": 1, "open": true })).await;
    let (stays, leaves) = (
        post(&lab, "/v1/chat/completions", question("ciao")).await,
        post(&lab, "/v1/chat/completions", question("ciao")).await,
    );
    let mut stays = stays.into_body();
    assert!(stays.frame().await.unwrap().is_ok());
    assert!(timeout(Duration::from_millis(100), stays.frame()).await.is_err(), "it did not stall");
    drop(leaves);
    let counts = || lab.journal().endpoints[&Endpoint::Chat];
    timeout(SOON, async {
        while counts().cancelled == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("a client that leaves a silent stream is noticed");
    send(&lab, Method::DELETE, "/lab/faults", "", "", Vec::new()).await;
    let rest = timeout(SOON, stays.collect()).await.unwrap().unwrap().to_bytes();
    assert!(rest.ends_with(b"[DONE]\n\n"));
    assert_eq!((counts().open, counts().finished), (0, 1));
    lab.stop().await;
}

type Socket = WebSocketStream<TcpStream>;

async fn open(lab: &Lab, path: &str, key: &str) -> Result<Socket, Error> {
    let mut request = format!("ws://{}{path}", lab.address()).into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Token {key}").parse().unwrap());
    let tcp = TcpStream::connect(lab.address()).await.unwrap();
    tokio_tungstenite::client_async(request, tcp).await.map(|(socket, _)| socket)
}

/// The next message: JSON, or the number of binary bytes, or the close code.
async fn next(socket: &mut Socket) -> Value {
    match timeout(SOON, socket.next()).await.expect("a message") {
        Some(Ok(Message::Text(text))) => serde_json::from_str(&text).unwrap(),
        Some(Ok(Message::Binary(bytes))) => json!({ "type": "Binary", "bytes": bytes.len() }),
        Some(Ok(Message::Close(frame))) => json!({ "type": "Close", "code": frame.map(|frame| u16::from(frame.code)) }),
        other => json!({ "type": "Gone", "how": format!("{other:?}") }),
    }
}

async fn until(socket: &mut Socket, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
    let mut messages = Vec::new();
    loop {
        let message = next(socket).await;
        let last = wanted(&message) || message["type"] == "Gone" || message["type"] == "Close";
        messages.push(message);
        if last {
            return messages;
        }
    }
}

/// A caller's phrase between silences, as 20 ms mu-law frames.
async fn said(lab: &Lab, text: &str, before_ms: usize, after_ms: usize) -> Vec<Vec<u8>> {
    let pcm = lab.speech().say(text, &Voice::callers(Language::Italian)[1], Rate::PHONE).await.unwrap();
    let mut line = vec![0; before_ms * 8];
    line.extend(pcm.iter());
    line.resize(line.len() + after_ms * 8, 0);
    let mut bytes = Vec::new();
    Encoder::new(Format::MULAW_PHONE).unwrap().encode(&line, &mut bytes);
    bytes.chunks(160).map(<[u8]>::to_vec).collect()
}

async fn play(socket: &mut Socket, frames: Vec<Vec<u8>>) {
    for frame in frames {
        socket.send(Message::binary(frame)).await.unwrap();
    }
}

async fn tell(socket: &mut Socket, kind: &str) {
    socket.send(Message::text(json!({ "type": kind }).to_string())).await.unwrap();
}

const NOVA: &str = "/v1/listen?model=nova-3&language=it&encoding=mulaw&sample_rate=8000&interim_results=true\
                    &endpointing=300&utterance_end_ms=1000&vad_events=true";

#[tokio::test]
async fn nova_hears_a_caller_over_the_telephone() {
    let lab = lab().await;
    let mut nova = open(&lab, NOVA, "k").await.unwrap();
    play(&mut nova, said(&lab, "vorrei prenotare un appuntamento", 300, 1_600).await).await;
    let messages = until(&mut nova, |message| message["type"] == "UtteranceEnd").await;
    assert_eq!(messages[0]["type"], "SpeechStarted");
    let transcript =
        |message: &Value| message["channel"]["alternatives"][0]["transcript"].as_str().unwrap_or_default().to_string();
    let interims: Vec<String> =
        messages.iter().filter(|message| message["is_final"] == false).map(&transcript).collect();
    assert!(interims.len() >= 2, "{messages:#?}");
    let last = messages.iter().find(|message| message["speech_final"] == true).expect("an end of speech");
    assert_eq!(transcript(last), "vorrei prenotare un appuntamento");
    assert_eq!(last["channel"]["alternatives"][0]["words"].as_array().unwrap().len(), 4);

    // Asked to finish in the middle of a phrase, it says what there is.
    let mut half = said(&lab, "vorrei prenotare un appuntamento", 200, 0).await;
    half.truncate(half.len() * 7 / 10);
    play(&mut nova, half).await;
    tell(&mut nova, "Finalize").await;
    let messages = until(&mut nova, |message| message["from_finalize"] == true).await;
    assert!(transcript(messages.last().unwrap()).starts_with("vorrei prenotare"), "{messages:#?}");
    tell(&mut nova, "CloseStream").await;
    let messages = until(&mut nova, |_| false).await;
    let [.., metadata, close] = &messages[..] else { panic!("{messages:?}") };
    assert_eq!((&metadata["type"], &close["code"]), (&json!("Metadata"), &json!(1000)));
    assert_eq!(normal(&lab.journal().heard[0].text), "vorrei prenotare un appuntamento");
    lab.stop().await;
}

#[tokio::test]
async fn nova_refuses_what_the_vendor_refuses() {
    let lab = lab().await;
    for (path, key, status) in [
        (NOVA, "invalid", 401),
        ("/v1/listen?model=nova-3&language=it&sample_rate=8000", "k", 400),
        ("/v1/listen?model=nova-3&encoding=mulaw&sample_rate=8000&utterance_end_ms=1000", "k", 400),
        ("/v1/listen?model=whisper&encoding=mulaw&sample_rate=8000", "k", 403),
        ("/v2/listen?model=flux-general-multi&encoding=mulaw&sample_rate=8000&eager_eot_threshold=0.9", "k", 400),
        ("/v1/speak?model=aura-2-livia-it&encoding=mulaw&sample_rate=48000", "k", 400),
    ] {
        let Err(Error::Http(reply)) = open(&lab, path, key).await else { panic!("{path} was accepted") };
        assert_eq!(reply.status().as_u16(), status, "{path}");
        assert!(reply.headers().contains_key("dg-error") && reply.headers().contains_key("dg-request-id"));
    }
    lab.stop().await;
}

#[tokio::test]
async fn flux_tells_turns_in_the_legal_order() {
    let lab = lab().await;
    let path = "/v2/listen?model=flux-general-multi&language_hint=it&encoding=mulaw&sample_rate=8000\
                &eager_eot_threshold=0.5&eot_threshold=0.9";
    let mut flux = open(&lab, path, "k").await.unwrap();
    assert_eq!(next(&mut flux).await["type"], "Connected");
    // A pause long enough to be guessed an end, and too short to be one.
    let mut line = said(&lab, "domani mattina", 300, 350).await;
    line.extend(said(&lab, "alle nove", 0, 1_000).await);
    play(&mut flux, line).await;
    let messages = until(&mut flux, |message| message["event"] == "EndOfTurn").await;
    let mut order: Vec<&str> = messages.iter().map(|message| message["event"].as_str().unwrap_or("?")).collect();
    order.dedup();
    order.retain(|event| *event != "Update");
    assert_eq!(order, ["StartOfTurn", "EagerEndOfTurn", "TurnResumed", "EagerEndOfTurn", "EndOfTurn"], "{messages:#?}");
    let end = messages.last().unwrap();
    assert_eq!((&end["trigger"], &end["turn_index"]), (&json!("model"), &json!(0)));
    assert_eq!(normal(end["transcript"].as_str().unwrap()), "domani mattina alle nove");
    let eager = messages.iter().find(|message| message["event"] == "EagerEndOfTurn").unwrap();
    assert_eq!(normal(eager["transcript"].as_str().unwrap()), "domani mattina");
    let sequence: Vec<u64> = messages.iter().map(|message| message["sequence_id"].as_u64().unwrap()).collect();
    assert!(sequence.is_sorted_by(|a, b| a < b));

    let mut line = said(&lab, "va bene", 200, 0).await;
    line.truncate(line.len() - 1);
    play(&mut flux, line).await;
    tell(&mut flux, "ForceEndTurn").await;
    let messages = until(&mut flux, |message| message["event"] == "EndOfTurn").await;
    assert_eq!(messages.last().unwrap()["trigger"], "manual");
    tell(&mut flux, "CloseStream").await;
    assert_eq!(until(&mut flux, |_| false).await.last().unwrap()["code"], 1000);
    lab.stop().await;
}

#[tokio::test]
async fn aura_speaks_at_a_flush_and_is_silent_after_a_clear() {
    let mut settings = LabSettings::instant();
    // Real time enough to be interrupted: a tenth of a second of sound every 20 ms.
    settings.latency.aura = serde_json::from_value(json!({ "first": 5, "next": 20 })).unwrap();
    let lab = Lab::start(settings).await.unwrap();
    let mut aura = open(&lab, "/v1/speak?model=aura-2-livia-it&encoding=mulaw&sample_rate=8000", "k").await.unwrap();
    assert_eq!(next(&mut aura).await["type"], "Metadata");
    let speak = |text: &str| Message::text(json!({ "type": "Speak", "text": text }).to_string());
    aura.send(speak("Buongiorno, ")).await.unwrap();
    aura.send(speak("officina Rossi.")).await.unwrap();
    tell(&mut aura, "Flush").await;
    let messages = until(&mut aura, |message| message["type"] == "Flushed").await;
    let bytes: u64 = messages.iter().filter_map(|message| message["bytes"].as_u64()).sum();
    assert!((8_000..32_000).contains(&bytes), "{bytes} bytes for two seconds of mu-law");

    aura.send(speak("Il suo appuntamento è martedì ventiquattro novembre alle nove, la aspettiamo.")).await.unwrap();
    tell(&mut aura, "Flush").await;
    assert_eq!(next(&mut aura).await["type"], "Binary");
    tell(&mut aura, "Clear").await;
    let messages = until(&mut aura, |message| message["type"] == "Cleared").await;
    assert!(messages.len() < 20, "it spoke to the end");
    tell(&mut aura, "Close").await;
    let messages = until(&mut aura, |_| false).await;
    assert_eq!(messages, [json!({ "type": "Close", "code": 1000 })]);
    assert_eq!(lab.journal().endpoints[&Endpoint::Aura].cancelled, 1);
    lab.stop().await;
}

#[tokio::test]
async fn an_engine_dies_in_the_middle_of_a_call() {
    let lab = lab().await;
    let mut nova = open(&lab, NOVA, "k").await.unwrap();
    play(&mut nova, said(&lab, "sì", 300, 0).await).await;
    assert_eq!(next(&mut nova).await["type"], "SpeechStarted");
    lab.faults().add(serde_json::from_value(json!({ "endpoint": "nova", "kind": "cut", "open": true })).unwrap());
    play(&mut nova, said(&lab, "va bene", 0, 600).await).await;
    assert_eq!(until(&mut nova, |_| false).await.last().unwrap()["type"], "Gone");
    // A new stream is cut too, until the engine is mended.
    let mut again = open(&lab, NOVA, "k").await.unwrap();
    tell(&mut again, "Finalize").await;
    assert_eq!(next(&mut again).await["type"], "Gone");
    lab.faults().clear();
    let mut mended = open(&lab, NOVA, "k").await.unwrap();
    tell(&mut mended, "Finalize").await;
    assert_eq!(next(&mut mended).await["from_finalize"], true);
    lab.stop().await;
}

#[tokio::test]
async fn a_stopped_lab_leaves_nothing_behind() {
    let lab = lab().await;
    let address = lab.address();
    let mut nova = open(&lab, NOVA, "k").await.unwrap();
    lab.stop().await;
    assert_eq!(next(&mut nova).await["type"], "Gone");
    assert!(TcpStream::connect(address).await.is_err(), "the port is still open");
}
