//! The gateway inside a tokio program of your own, with engines of your own behind the traits.
//!
//! `cargo run --no-default-features --features gateway --example embed` calls itself once and ends;
//! with `-- --stay` it takes calls until Ctrl-C: `ws://127.0.0.1:18789/v1/stream/eco`, token `segreto`.
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::{error::Error, sync::Arc, time::Duration};

use futures_util::{
    FutureExt, SinkExt, StreamExt,
    future::{self, BoxFuture},
    stream::{self, BoxStream},
};
use pronto::{
    audio::{Rate, signal},
    call::{Ask, Finish, LlmEvent, Message as Said, Outcome, SttEvent, Then, ToolSpec, TtsEvent},
    gateway::{self, Gateway},
    language::Language,
    providers::{Heard, Llm, ProviderError, Say, Stt, SttCapabilities, Tts, TtsCapabilities},
    tenant::{CallRecord, Directory, Engines, Profile, Tenant, TenantId, ToolRun, Tools},
};
use tokio::{net::TcpStream, time};
use tokio_tungstenite::{
    client_async,
    tungstenite::{Message, client::IntoClientRequest},
};

type Events<T> = BoxStream<'static, Result<T, ProviderError>>;

/// Every engine in one: it hears nothing in particular, repeats it, and speaks in tones.
struct Echo;

impl Stt for Echo {
    fn capabilities(&self) -> SttCapabilities {
        SttCapabilities { name: "echo", partials: false, turns: false, commits: true }
    }

    fn listen(&self, audio: BoxStream<'static, Heard>, _: Language) -> Events<SttEvent> {
        let events = |heard| match heard {
            Heard::Audio(_) => vec![],
            Heard::Commit(commit) => {
                let text = String::from("c'è qualcuno in officina?");
                vec![Ok(SttEvent::Final { text }), Ok(SttEvent::Committed { commit })]
            }
        };
        audio.flat_map(move |heard| stream::iter(events(heard))).boxed()
    }
}

impl Llm for Echo {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn reply(&self, ask: Ask) -> Events<LlmEvent> {
        let said =
            ask.messages.iter().rev().find_map(|one| if let Said::Caller { text } = one { Some(text) } else { None });
        let words = LlmEvent::Words(format!("Lei ha detto: {}", said.map_or("niente", String::as_str)));
        stream::iter([Ok(words), Ok(LlmEvent::Done(Finish::Said))]).boxed()
    }
}

impl Tts for Echo {
    fn capabilities(&self) -> TtsCapabilities {
        TtsCapabilities { name: "echo", rate: Rate::WIDE, alignment: false }
    }

    fn speak(&self, say: Say) -> Events<TtsEvent> {
        let letter = |letter: char| {
            let hz = 180.0 + f64::from(u32::from(letter) % 32) * 10.0;
            Ok(TtsEvent::Audio(signal::sine(hz, Rate::WIDE, 8_000.0, 0, 480)))
        };
        stream::iter(say.text.chars().map(letter).chain([Ok(TtsEvent::Done)]).collect::<Vec<_>>()).boxed()
    }
}

impl Tools for Echo {
    fn specs(&self) -> Arc<[ToolSpec]> {
        Arc::new([])
    }

    fn run(&self, _: ToolRun) -> BoxFuture<'static, Outcome> {
        future::ready(Outcome { content: "{}".into(), then: Then::GoOn }).boxed()
    }

    fn keep(&self, record: CallRecord) -> BoxFuture<'static, ()> {
        if let Some(end) = record.end {
            println!("the call ended: {:?}, {} turns", end.ending, end.report.turns.len());
            end.history.reveal().iter().for_each(|message| println!("  {message:?}"));
        }
        future::ready(()).boxed()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let echo = Arc::new(Echo);
    let engines = Engines { stt: echo.clone(), llm: echo.clone(), tts: echo.clone() };
    let profile = Profile::new(TenantId::new("eco")?, "Officina Eco", &"segreto".into());
    let tenants = Arc::new(Directory::new());
    tenants.put(Arc::new(Tenant::new(profile, engines, echo)));

    let stay = std::env::args().any(|argument| argument == "--stay");
    let listener = gateway::listen(if stay { "127.0.0.1:18789" } else { "127.0.0.1:0" }.parse()?)?;
    let address = listener.local_addr()?;
    println!("ws://{address}/v1/stream/eco");
    let until = async move {
        if stay {
            let _ = tokio::signal::ctrl_c().await;
        } else if let Err(error) = call(address).await {
            println!("the call failed: {error}");
        }
    };
    Gateway::new(tenants, gateway::Settings::default()).run(listener, until).await;
    Ok(())
}

/// Calls, hears the greeting out, speaks for a second and a half, and hangs up after the answer.
async fn call(address: std::net::SocketAddr) -> Result<(), Box<dyn Error>> {
    let mut request = format!("ws://{address}/v1/stream/eco?from=%2B393331234567").into_client_request()?;
    request.headers_mut().insert("authorization", "Bearer segreto".parse()?);
    let (mut line, _) = client_async(request, TcpStream::connect(address).await?).await?;
    let speech: Vec<u8> = voice().iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let mut speech = speech.chunks(640).map(<[u8]>::to_vec).collect::<Vec<_>>().into_iter();
    let (mut pace, mut answers, mut quiet) = (time::interval(Duration::from_millis(20)), 0, 0);
    while answers < 2 {
        tokio::select! {
            _ = pace.tick() => {
                let frame = if answers == 1 { speech.next() } else { None };
                line.send(Message::Binary(frame.unwrap_or_else(|| vec![0; 640]).into())).await?;
            }
            message = line.next() => match message.ok_or("hung up on us")?? {
                // The greeting and the answer each end with half a second of silence.
                Message::Binary(sound) if sound.iter().any(|byte| *byte != 0) => quiet = 1,
                Message::Binary(_) if quiet > 0 => {
                    quiet += 1;
                    if quiet > 25 {
                        (answers, quiet) = (answers + 1, 0);
                    }
                }
                Message::Text(event) => println!("  {event}"),
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => {}
            },
        }
    }
    line.close(None).await?;
    Ok(())
}

/// A voice: harmonics in syllables.
fn voice() -> Vec<i16> {
    let mut sound = vec![0; 24_000];
    for syllable in 0..6 {
        for harmonic in 1..=10 {
            let hz = (120.0 + f64::from(syllable) * 7.0) * f64::from(harmonic);
            let part = signal::sine(hz, Rate::WIDE, 5_000.0 / f64::from(harmonic), 0, 3_200);
            signal::add(&mut sound, &part, syllable as usize * 4_000);
        }
    }
    sound
}
