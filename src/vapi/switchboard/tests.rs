//! A switchboard that is opened again over what the one before has left.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;
use secrecy::SecretString;

use super::*;
use crate::{
    call::{CallReport, Message, Settings, ToolAsk, TurnReport},
    store::{Answer, MemoryStore},
    tenant::Admission,
    transport::vapi::EndedReason,
    vapi::{
        assistant::{ArtifactPlan, Assistant, Shop},
        call::{
            Artifact, CreateCall, Kind, ListCalls, Monitor, Mono, Performance, Recording, Refusal, Stamp, Status,
            TransportObject,
        },
    },
};

const DAY: Duration = Duration::from_secs(24 * 3_600);
const KEY: &str = "0123456789abcdef";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_788_251_400 + second).expect("a time")
}

fn rossi() -> TenantId {
    TenantId::new("rossi")
}

async fn open(store: &Arc<MemoryStore>, now: Timestamp) -> Switchboard {
    Switchboard::open(store.clone(), rossi(), 30 * DAY, now).await.expect("it can be read")
}

/// The documents of a kind, by id.
async fn ids(store: &MemoryStore, kind: DocumentKind) -> Vec<String> {
    let documents = store.documents(&rossi(), kind, 9_999).await.expect("it can be read");
    documents.into_iter().map(|document| document.id).collect()
}

fn create(board: &Switchboard, id: &str, second: i64) {
    let wanted = r#"{"assistant": {"firstMessage": "Buongiorno"}, "customer": {"number": "+393331234567"},
        "assistantOverrides": {"variableValues": {"x": 1}}, "transport": {"provider": "vapi.websocket"}}"#;
    let settings = Settings::default();
    let address = |door: &str| format!("wss://v.test/{id}/{door}?t={KEY}");
    let new = New {
        org: "rossi",
        id: id.to_owned(),
        kind: Kind::WebSocket,
        permit: Admission::new().admit(1).expect("a line"),
        key: SecretString::from(KEY),
        addresses: Addresses {
            transport: address("transport"),
            listen: address("listen"),
            control: address("control"),
        },
        now: at(second).to_zoned(jiff::tz::TimeZone::UTC),
        lines: (1, 1),
    };
    let shop = Shop { call: &settings, greeting: "", instructions: "", records: false };
    board.create_call(CreateCall::parse(wanted).expect("right"), &shop, new).expect("right");
}

/// One with something of everything.
fn artifact() -> Artifact {
    let ask = ToolAsk { id: "call_7".into(), name: "book".into(), arguments: "{}".into() };
    let history = [
        Message::Agent { text: "Buongiorno!".into(), interrupted: false, estimated: true },
        Message::Caller { text: "Vorrei prenotare.".into() },
        Message::Asked { tools: vec![ask] },
        Message::Outcome { id: "call_7".into(), content: Some("Prenotato.".into()) },
    ];
    let ms = |ms| Some(Duration::from_millis(ms));
    let turn = TurnReport {
        speech_end: ms(1_000),
        endpoint_silence: Duration::from_millis(500),
        transcript: ms(1_600),
        asked: ms(1_600),
        first_clause: ms(2_000),
        first_audio: ms(2_200),
        first_frame: ms(2_220),
        ..TurnReport::default()
    };
    let stamp = Stamp { from: Duration::from_millis(4_120), until: Duration::from_millis(6_980) };
    Artifact::new(&ArtifactPlan::default(), "Sei la receptionist.", 7, history.iter().map(|message| (message, stamp)))
        .measured(Performance::of(&CallReport { turns: vec![turn], ..CallReport::default() }, 1))
        .recorded(Recording { stereo_url: Some("https://v.test/stereo".into()), mono: Mono::default() })
}

fn refused<T>(answer: Result<T, Refusal>) -> u16 {
    answer.map_or_else(|refusal| refusal.status, |_| 200)
}

#[tokio::test]
async fn what_a_customer_created_outlives_the_process_and_what_was_deleted_does_not() {
    let store = Arc::new(MemoryStore::new());
    let board = open(&store, at(0)).await;
    let written = r#"{"name": "A", "server": {"url": "https://a.test", "secret": "s"}, "field of tomorrow": [1]}"#;
    let assistant = Assistant::parse(written).expect("right");
    let stored = board.create_assistant("rossi", "a1", assistant.clone(), at(0)).await.expect("room");
    assert_eq!(ids(&store, DocumentKind::Assistant).await, ["a1"], "before it is answered");
    board.create_assistant("rossi", "a2", assistant.clone(), at(0)).await.expect("room");
    board.delete_assistant("rossi", "a2").await.expect("it is there");
    for (second, id) in [(1, "over"), (2, "talking"), (3, "waiting"), (4, "gone")] {
        create(&board, id, second);
    }
    for id in ["over", "talking"] {
        assert!(matches!(board.connect(id, KEY, at(5)), Some(Connecting::First { .. })));
    }
    board.ended("over", EndedReason::CustomerEnded, at(9));
    board.keep("over", artifact(), at(9));
    board.delete_call("gone").expect("it is there");
    board.erased(&["gone".to_owned()]).await.expect("erased");
    assert!(!ids(&store, DocumentKind::Call).await.contains(&"gone".to_owned()), "before it is answered");
    board.written().await;
    let over = board.call("over").expect("it is there");
    drop(board);
    for document in store.documents(&rossi(), DocumentKind::Call, 9).await.expect("it can be read") {
        assert!(!document.body.reveal().contains(KEY), "who has the file joins no call");
    }

    let board = open(&store, at(100)).await;
    assert_eq!(board.assistant("rossi", "a1"), Ok(stored));
    assert_eq!(board.assistants()["a1"].assistant, assistant, "the secrets that are not shown are there as well");
    assert_eq!(refused(board.assistant("rossi", "a2")), 404);
    let transport = over.transport.clone().map(TransportObject::without_address);
    assert_eq!(board.call("over"), Ok(CallObject { transport, monitor: Monitor::default(), ..over }));
    for (id, seen) in [("talking", 5), ("waiting", 3)] {
        let call = board.call(id).expect("it is there");
        assert_eq!((call.status, call.ended_reason), (Status::Ended, Some(EndedReason::Shutdown)), "{id}");
        assert_eq!((call.ended_at, call.updated_at), (Some(at(seen)), at(100)), "{id}");
        assert!(board.connect(id, KEY, at(101)).is_none(), "{id}");
    }
    assert_eq!(refused(board.call("gone")), 404);
    let newest: Vec<_> = board.list_calls(&ListCalls::default()).into_iter().map(|call| call.id).collect();
    assert_eq!(newest, ["waiting", "talking", "over"]);

    board.written().await;
    let board = open(&store, at(200)).await;
    assert_eq!(board.call("talking").expect("it is there").updated_at, at(100), "it was over already");
}

#[tokio::test]
async fn of_more_calls_than_are_kept_the_oldest_go_from_the_store_as_well() {
    let store = Arc::new(MemoryStore::new());
    let board = open(&store, at(0)).await;
    for number in 0..=CALLS_MAX {
        let id = format!("{number:04}");
        create(&board, &id, number as i64);
        board.ended(&id, EndedReason::CustomerEnded, at(number as i64));
    }
    board.written().await;
    let kept = ids(&store, DocumentKind::Call).await;
    assert_eq!((kept.len(), kept[0].as_str()), (CALLS_MAX, "0001"));
    drop(board);

    // A process that died before it had erased the oldest.
    let mut oldest = store.documents(&rossi(), DocumentKind::Call, CALLS_MAX).await.expect("it can be read").remove(0);
    (oldest.id, oldest.created) = ("0000".to_owned(), at(0));
    store.change(&rossi(), &[Change::Put(oldest)]).await.expect("it can be written");
    let board = open(&store, at(9_999)).await;
    assert_eq!(board.list_calls(&ListCalls { limit: 9_999, ..ListCalls::default() }).len(), CALLS_MAX);
    assert_eq!(ids(&store, DocumentKind::Call).await, kept);
}

#[tokio::test]
async fn old_calls_are_forgotten_and_those_under_way_are_not() {
    let store = Arc::new(MemoryStore::new());
    let board = open(&store, at(0)).await;
    for (second, id) in [(1, "old"), (2, "talking"), (60, "new")] {
        create(&board, id, second);
    }
    for id in ["old", "new"] {
        board.ended(id, EndedReason::NeverConnected, at(61));
    }
    board.written().await;
    board.forget_calls_before(at(50)).await;
    assert_eq!(["old", "talking", "new"].map(|id| refused(board.call(id))), [404, 200, 200]);
    board.ended("talking", EndedReason::NeverConnected, at(62));
    board.written().await;
    assert_eq!(ids(&store, DocumentKind::Call).await, ["talking", "new"]);

    let board = open(&store, at(50) + 30 * DAY).await;
    assert_eq!(["talking", "new"].map(|id| refused(board.call(id))), [404, 200]);
    assert_eq!(ids(&store, DocumentKind::Call).await, ["new"]);
}

#[tokio::test]
async fn what_cannot_be_read_is_passed_over_and_stays() {
    let store = Arc::new(MemoryStore::new());
    for (kind, id) in [(DocumentKind::Call, "c1"), (DocumentKind::Assistant, "a1")] {
        let document = document(kind, id, "{".into(), at(0), at(0)).expect("short");
        store.change(&rossi(), &[Change::Put(document)]).await.expect("it can be written");
    }
    let board = open(&store, at(1)).await;
    assert_eq!([refused(board.call("c1")), refused(board.assistant("rossi", "a1"))], [404, 404]);
    board.written().await;
    assert_eq!(ids(&store, DocumentKind::Call).await, ["c1"]);
    assert_eq!(ids(&store, DocumentKind::Assistant).await, ["a1"]);
}

#[tokio::test]
async fn of_a_call_that_is_too_long_everything_is_kept_but_what_was_said() {
    let store = Arc::new(MemoryStore::new());
    let board = open(&store, at(0)).await;
    create(&board, "c1", 1);
    let artifact = Artifact { transcript: Some("x".repeat(DOCUMENT_BYTES_MAX)), ..Artifact::default() };
    board.ended("c1", EndedReason::CustomerEnded, at(2));
    board.keep("c1", artifact, at(2));
    board.written().await;
    let call = open(&store, at(3)).await.call("c1").expect("it is there");
    assert_eq!((call.ended_reason, call.artifact), (Some(EndedReason::CustomerEnded), None));
}

/// A store that can be switched off.
#[derive(Debug, Default)]
struct Fragile {
    store: MemoryStore,
    broken: AtomicBool,
}

impl Documents for Fragile {
    fn change<'a>(&'a self, tenant: &'a TenantId, changes: &'a [Change]) -> Answer<'a, ()> {
        if self.broken.load(Ordering::SeqCst) {
            return async { Err(StoreError::Locked { file: "test.db".into() }) }.boxed();
        }
        self.store.change(tenant, changes)
    }

    fn documents<'a>(&'a self, tenant: &'a TenantId, kind: DocumentKind, limit: usize) -> Answer<'a, Vec<Document>> {
        self.store.documents(tenant, kind, limit)
    }

    fn erase_before<'a>(&'a self, tenant: &'a TenantId, kind: DocumentKind, created: Timestamp) -> Answer<'a, u64> {
        self.store.erase_before(tenant, kind, created)
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_told_to_who_must_know_and_gets_everything_later() {
    let store = Arc::new(Fragile::default());
    let board = Switchboard::open(store.clone(), rossi(), DAY, at(0)).await.expect("it can be read");
    let breaks = |broken| store.broken.store(broken, Ordering::SeqCst);
    let assistant = |json: &str| Assistant::parse(json).expect("right");
    board.create_assistant("rossi", "a1", assistant(r#"{"firstMessage":"Pronto"}"#), at(1)).await.expect("room");
    board.create_assistant("rossi", "a2", assistant("{}"), at(1)).await.expect("room");

    breaks(true);
    assert_eq!(refused(board.create_assistant("rossi", "a3", assistant("{}"), at(2)).await), 503);
    assert_eq!(refused(board.assistant("rossi", "a3")), 404, "nothing is there that was refused");
    let patch = assistant(r#"{"firstMessage":"Mi dica"}"#);
    assert_eq!(refused(board.update_assistant("rossi", "a1", &patch, at(3)).await), 503);
    assert_eq!(board.assistant("rossi", "a1").expect("it is there")["firstMessage"], "Pronto");
    // Calls do not wait for it.
    create(&board, "c1", 4);
    create(&board, "c2", 4);
    for _ in 0..2 {
        assert_eq!(refused(board.delete_assistant("rossi", "a2").await), 503);
        assert_eq!(refused(board.assistant("rossi", "a2")), 404, "not shown any more, not erased yet");
    }
    board.delete_call("c2").expect("it is there");
    assert_eq!(refused(board.erased(&["c2".to_owned()]).await), 503);

    breaks(false);
    board.written().await;
    assert_eq!(refused(board.delete_assistant("rossi", "a2").await), 404, "and now it is");
    assert_eq!(refused(board.erased(&["c2".to_owned()]).await), 200);
    assert_eq!(ids(&store.store, DocumentKind::Assistant).await, ["a1"]);
    assert_eq!(ids(&store.store, DocumentKind::Call).await, ["c1"]);
    let board = Switchboard::open(store, rossi(), DAY, at(9)).await.expect("it can be read");
    assert_eq!(board.assistant("rossi", "a1").expect("it is there")["firstMessage"], "Pronto");
}
