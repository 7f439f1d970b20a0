//! What a call has under way, against engines that write down what was asked of them.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::stream;
use secrecy::SecretString;

use super::*;
use crate::{
    audio::Rate,
    call::{Outcome, SttEvent, Then, ToolSpec},
    providers::{Heard, Llm, Stt, SttCapabilities, TtsCapabilities},
    tenant::{CallRecord, Engines, Profile, TenantId, ToolRun, Tools},
};

/// Engines that write down what was asked of them.
#[derive(Default)]
pub(in crate::gateway) struct Fake {
    /// Recognisers that were started; each breaks at the first commit.
    recognisers: AtomicUsize,
    /// The audio each of them heard.
    heard: Arc<Mutex<Vec<Heard>>>,
    /// The clauses that were spoken.
    spoken: Mutex<Vec<String>>,
    /// How often one was told that a call begins.
    warmed: Arc<AtomicUsize>,
    /// How long it takes to keep a record.
    keeping: Duration,
    /// Records that were kept.
    pub(in crate::gateway) kept: Arc<AtomicUsize>,
}

impl Fake {
    /// Whose records take so long.
    pub(in crate::gateway) fn that_keeps_for(keeping: Duration) -> Self {
        Self { keeping, ..Self::default() }
    }

    fn warmed(&self) -> BoxFuture<'static, ()> {
        let warmed = Arc::clone(&self.warmed);
        async move {
            warmed.fetch_add(1, Ordering::SeqCst);
        }
        .boxed()
    }
}

impl Stt for Fake {
    fn capabilities(&self) -> SttCapabilities {
        SttCapabilities { name: "fake", partials: false, turns: false, commits: true }
    }

    fn listen(&self, audio: BoxStream<'static, Heard>, _: Language) -> Answers<SttEvent> {
        self.recognisers.fetch_add(1, Ordering::SeqCst);
        let heard = Arc::clone(&self.heard);
        audio
            .filter_map(move |piece| {
                let breaks = matches!(piece, Heard::Commit(_));
                heard.lock().expect("no test panics in here").push(piece);
                async move { breaks.then(|| Err(cut("fake"))) }
            })
            .boxed()
    }

    fn warm(&self) -> BoxFuture<'static, ()> {
        self.warmed()
    }
}

impl Llm for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn reply(&self, _: Ask) -> Answers<LlmEvent> {
        stream::iter([Ok(LlmEvent::Words("sì".into()))]).boxed()
    }

    fn warm(&self) -> BoxFuture<'static, ()> {
        self.warmed()
    }
}

impl Tts for Fake {
    fn capabilities(&self) -> TtsCapabilities {
        TtsCapabilities { name: "fake", rate: Rate::WIDE, alignment: false }
    }

    fn speak(&self, say: Say) -> Answers<TtsEvent> {
        self.spoken.lock().expect("no test panics in here").push(say.text);
        stream::iter([Ok(TtsEvent::Done)]).boxed()
    }

    fn warm(&self) -> BoxFuture<'static, ()> {
        self.warmed()
    }
}

impl Tools for Fake {
    fn specs(&self) -> Arc<[ToolSpec]> {
        Arc::new([])
    }

    fn run(&self, run: ToolRun) -> BoxFuture<'static, Outcome> {
        async move {
            match run.name.as_str() {
                "panics" => panic!("a bug on purpose"),
                "hangs" => std::future::pending().await,
                _ => Outcome { content: run.name, then: Then::GoOn },
            }
        }
        .boxed()
    }

    fn keep(&self, _: CallRecord) -> BoxFuture<'static, ()> {
        let (keeping, kept) = (self.keeping, Arc::clone(&self.kept));
        async move {
            tokio::time::sleep(keeping).await;
            kept.fetch_add(1, Ordering::SeqCst);
        }
        .boxed()
    }
}

pub(in crate::gateway) fn tenant(fake: &Arc<Fake>) -> Arc<Tenant> {
    let id = TenantId::new("rossi").expect("a good id");
    let profile = Profile::new(id, "Officina", &SecretString::from("x"));
    let engines = Engines { stt: fake.clone(), llm: fake.clone(), tts: fake.clone() };
    Arc::new(Tenant::new(profile, engines, fake.clone()))
}

fn streams() -> (Arc<Fake>, Streams) {
    let fake = Arc::new(Fake::default());
    let tenant = tenant(&fake);
    let caller = Caller { call: "c1".into(), number: None, language: Language::Italian };
    (fake, Streams::new(tenant, caller))
}

fn ask(name: &str) -> ToolAsk {
    ToolAsk { id: "t".into(), name: name.into(), arguments: "{}".into() }
}

fn now() -> Instant {
    crate::gateway::clock::now()
}

#[tokio::test]
async fn a_recogniser_that_breaks_is_replaced_and_the_next_hears_the_rest() {
    let (fake, mut streams) = streams();
    streams.hear(&[1]);
    streams.commit(1);
    assert_eq!(streams.next(true, now()).await, Input::SttFailed { why: Failed::Broken, restarts: true });
    streams.hear(&[2; limits::FEED_GATHERED]);
    let due = streams.deadline().expect("the next one is due");
    streams.tick(due);
    assert_eq!(fake.recognisers.load(Ordering::SeqCst), 2);
    assert!(streams.next(true, now()).now_or_never().is_none());
    let heard = fake.heard.lock().expect("no test panics in here");
    assert_eq!(*heard, [Heard::Audio(vec![1]), Heard::Commit(1), Heard::Audio(vec![2; limits::FEED_GATHERED])]);
}

#[tokio::test]
async fn a_recogniser_is_replaced_so_many_times_and_no_more() {
    let (fake, mut streams) = streams();
    let mut failures = 0;
    for commit in 0.. {
        streams.commit(commit);
        if streams.next(true, now()).now_or_never().is_none() {
            break;
        }
        failures += 1;
        if let Some(due) = streams.deadline() {
            streams.tick(due);
        }
    }
    assert_eq!(failures, 1 + limits::RECOGNISERS_MAX);
    assert_eq!(fake.recognisers.load(Ordering::SeqCst) as u32, 1 + limits::RECOGNISERS_MAX);
}

#[tokio::test]
async fn a_full_playout_leaves_the_voice_alone_but_not_a_filler() {
    let (fake, mut streams) = streams();
    let turn = Turn(1);
    streams.speak(turn, ClauseId(0), "uno".into(), false);
    streams.speak(turn, ClauseId(1), "due".into(), false);
    assert!(streams.next(false, now()).now_or_never().is_none());
    streams.speak(turn, ClauseId(100), "un attimo".into(), true);
    assert_eq!(streams.next(false, now()).await, Input::Tts(turn, ClauseId(100), TtsEvent::Done));
    assert_eq!(*fake.spoken.lock().expect("no test panics in here"), ["uno", "un attimo"], "one clause at a time");
    assert_eq!(streams.next(true, now()).await, Input::Tts(turn, ClauseId(0), TtsEvent::Done));
    assert_eq!(streams.next(true, now()).await, Input::Tts(turn, ClauseId(1), TtsEvent::Done));
}

#[tokio::test]
async fn a_stop_drops_its_turns_and_no_later_one() {
    let (_, mut streams) = streams();
    for turn in [1, 2] {
        streams.speak(Turn(turn), ClauseId(0), "parole".into(), false);
    }
    streams.stop(Turn(1));
    assert_eq!(streams.next(true, now()).await, Input::Tts(Turn(2), ClauseId(0), TtsEvent::Done));
    assert!(streams.next(true, now()).now_or_never().is_none());
}

#[tokio::test]
async fn every_tool_has_one_outcome_whatever_happens_to_it() {
    let (_, mut streams) = streams();
    streams.run_tool(1, ToolKind::Write, ask("works"));
    assert_eq!(
        streams.next(true, now()).await,
        Input::ToolDone(1, Outcome { content: "works".into(), then: Then::GoOn })
    );
    for kind in [ToolKind::Write, ToolKind::Read] {
        streams.run_tool(2, kind, ask("panics"));
        let Input::ToolDone(2, outcome) = streams.next(true, now()).await else { panic!("no outcome") };
        assert!(outcome.content.contains("internal error"), "{}", outcome.content);
    }
    for tool in 0..limits::TOOLS_MAX as u32 {
        streams.run_tool(tool, ToolKind::Read, ask("hangs"));
    }
    streams.run_tool(99, ToolKind::Write, ask("works"));
    let Input::ToolDone(99, outcome) = streams.next(true, now()).await else { panic!("no outcome") };
    assert!(outcome.content.contains("too many"), "{}", outcome.content);
    streams.drop_tool(0);
    streams.run_tool(100, ToolKind::Write, ask("works"));
    assert!(matches!(streams.next(true, now()).await, Input::ToolDone(100, _)), "there is room again");
}

#[tokio::test]
async fn a_lookup_that_had_just_ended_when_it_was_dropped_is_not_reported() {
    let (_, mut streams) = streams();
    streams.run_tool(1, ToolKind::Read, ask("works"));
    tokio::task::yield_now().await;
    streams.drop_tool(1);
    streams.run_tool(2, ToolKind::Read, ask("works"));
    assert!(matches!(streams.next(true, now()).await, Input::ToolDone(2, _)));
    assert!(streams.next(true, now()).now_or_never().is_none());
}

#[tokio::test]
async fn the_engines_are_warmed_when_a_call_begins() {
    let (fake, mut streams) = streams();
    assert!(streams.next(true, now()).now_or_never().is_none());
    assert_eq!(fake.warmed.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_model_that_stops_without_a_last_word_has_failed() {
    let (_, mut streams) = streams();
    let ask = Ask {
        turn: Turn(3),
        instructions: "".into(),
        messages: vec![],
        tools: Arc::new([]),
        now: jiff::Zoned::now(),
        language: Language::Italian,
        caller: None,
    };
    streams.think(ask);
    assert_eq!(streams.next(true, now()).await, Input::Llm(Turn(3), LlmEvent::Words("sì".into())));
    assert_eq!(streams.next(true, now()).await, Input::LlmFailed(Turn(3), Failed::Broken));
}
