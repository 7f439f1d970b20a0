//! The two that are compared. Each prints its address and takes calls until it is killed.

use std::{
    net::SocketAddr,
    sync::{Arc, LazyLock},
};

use futures_util::{
    FutureExt, SinkExt, StreamExt,
    future::{self, BoxFuture},
    stream::{self, BoxStream},
};
use pronto::{
    audio::Rate,
    call::{Ask, InterruptingPolicy, LlmEvent, Outcome, SttEvent, Then, ToolSpec, TtsEvent},
    gateway::{self, Gateway, limits},
    language::Language,
    providers::{Heard, Llm, ProviderError, Say, Stt, SttCapabilities, Tts, TtsCapabilities},
    tenant::{CallRecord, Directory, Engines, Profile, Tenant, TenantId, ToolRun, Tools},
};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Message, handshake::server};

use super::{
    Result,
    track::{self, Wire},
};

/// What opens the gateway's door.
pub const TOKEN: &str = "segreto-per-misurare";

/// As the daemon's.
fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_stack_size(512 << 10)
        .enable_all()
        .build()?)
}

#[expect(clippy::print_stdout, reason = "how the one who started us learns it")]
fn tell(address: SocketAddr) {
    println!("{address}");
}

/// Sends a frame back for each that comes, made once; or nothing, where the gateway would be silent too.
pub fn floor() -> Result<()> {
    runtime()?.block_on(async {
        let listener = gateway::listen("127.0.0.1:0".parse()?)?;
        tell(listener.local_addr()?);
        loop {
            let (tcp, _) = listener.accept().await?;
            tcp.set_nodelay(true)?;
            tokio::spawn(echo(tcp));
        }
    })
}

async fn echo(tcp: TcpStream) {
    let mut asked = String::new();
    #[allow(clippy::result_large_err, reason = "the library's own type; not every clippy looks into closures")]
    let read = |request: &server::Request, response: server::Response| {
        asked = request.uri().to_string();
        Ok(response)
    };
    let upgraded = tokio_tungstenite::accept_hdr_async_with_config(tcp, read, Some(limits::websocket())).await;
    let Ok(mut line) = upgraded else { return };
    let wire = Wire::ALL.into_iter().find(|wire| asked.starts_with(&wire.path("parla"))).map(|wire| (wire, true));
    let wire = wire.or_else(|| {
        Wire::ALL
            .into_iter()
            .find(|wire| asked.starts_with(&wire.path("tace")))
            .map(|wire| (wire, wire.is_continuous()))
    });
    let Some((wire, answers)) = wire else { return };
    let frame = wire.silence();
    while let Some(Ok(message)) = line.next().await {
        if matches!(message, Message::Close(_)) {
            return;
        }
        if answers && line.send(frame.clone()).await.is_err() {
            return;
        }
    }
}

/// The gateway as it is, with two tenants: one whose agent speaks without end, one whose agent says nothing.
pub fn gateway() -> Result<()> {
    runtime()?.block_on(async {
        // What it says is made before anybody calls.
        let _made = VOICE.len();
        let tenants = Arc::new(Directory::new());
        for (id, greeting) in [("parla", "Buongiorno."), ("tace", "")] {
            let engines = Arc::new(Cheap);
            let mut profile = Profile::new(TenantId::new(id)?, "Officina", &TOKEN.into());
            profile.greeting = greeting.into();
            profile.calls_max = 20_000;
            let mut settings = (*profile.call).clone();
            settings.interruption.policy = InterruptingPolicy::Never;
            settings.silence_s = 100_000;
            settings.duration_max_s = 100_000;
            profile.call = settings.into();
            let all = Engines { stt: engines.clone(), llm: engines.clone(), tts: engines.clone() };
            tenants.put(Arc::new(Tenant::new(profile, all, engines)));
        }
        let listener = gateway::listen("127.0.0.1:0".parse()?)?;
        tell(listener.local_addr()?);
        // Its callers come all at once, which a gateway that feels its pulse spreads over time.
        let settings = gateway::Settings { connections_max: 20_000, late_ms_max: 0, ..gateway::Settings::default() };
        Gateway::new(tenants, settings).run(listener, future::pending()).await;
        Ok(())
    })
}

/// Every engine in one, as cheap as an engine can be.
struct Cheap;

type Events<T> = BoxStream<'static, std::result::Result<T, ProviderError>>;

/// Half a minute of Italian at 24 kHz, in pieces of 100 ms.
static VOICE: LazyLock<Vec<Vec<i16>>> = LazyLock::new(|| {
    let sound = track::voice(track::Who::Agent, Rate::VOICE).0;
    sound.chunks(2_400).map(<[i16]>::to_vec).collect()
});

impl Stt for Cheap {
    fn capabilities(&self) -> SttCapabilities {
        SttCapabilities { name: "cheap", partials: true, turns: false, commits: true }
    }

    fn listen(&self, audio: BoxStream<'static, Heard>, _: Language) -> Events<SttEvent> {
        let answer = |heard| {
            future::ready(match heard {
                Heard::Audio(_) => None,
                Heard::Commit(commit) => Some(Ok(SttEvent::Committed { commit })),
            })
        };
        audio.filter_map(answer).boxed()
    }
}

impl Llm for Cheap {
    fn name(&self) -> &'static str {
        "cheap"
    }

    fn reply(&self, _: Ask) -> Events<LlmEvent> {
        stream::pending().boxed()
    }
}

impl Tts for Cheap {
    fn capabilities(&self) -> TtsCapabilities {
        TtsCapabilities { name: "cheap", rate: Rate::VOICE, alignment: false }
    }

    fn speak(&self, _: Say) -> Events<TtsEvent> {
        stream::iter(VOICE.iter().cycle().map(|piece| Ok(TtsEvent::Audio(piece.clone())))).boxed()
    }
}

impl Tools for Cheap {
    fn specs(&self) -> Arc<[ToolSpec]> {
        Arc::new([])
    }

    fn run(&self, _: ToolRun) -> BoxFuture<'static, Outcome> {
        future::ready(Outcome { content: "{}".into(), then: Then::GoOn }).boxed()
    }

    fn keep(&self, _: CallRecord) -> BoxFuture<'static, ()> {
        future::ready(()).boxed()
    }
}
