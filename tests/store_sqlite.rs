//! The SQLite file: tenants apart, damage named, migrations repeated, and nobody booked twice under a crowd.
#![cfg(feature = "sqlite")]

use std::{path::PathBuf, sync::Arc};

use jiff::{Timestamp, Zoned};
use pronto::{
    booking::{
        Cancel, Confirmation, Key, Move, Note, Order, Query, Refusal, Service, Shop, TenantId, capacity::Candidates,
    },
    language::Language,
    privacy::Pii,
    store::{CallRecord, Change, Document, DocumentKind, Documents, MemoryStore, SqliteStore, Store, StoreError},
    tenant::{Desk, ToolRun},
};
use serde_json::{Value, json};
use uuid::Uuid;

/// A folder of its own for each test, removed when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("pronto-{test}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a folder for temporary files");
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("books.db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn service(shop: &Shop) -> &Service {
    shop.service_by_id("tagliando").expect("a service of the example")
}

fn order(tenant: &TenantId, number: u128, minute: i64) -> Order {
    let shop = Shop::example();
    let start = Timestamp::from_second(1_776_150_000 + minute * 60).expect("in range");
    Order {
        key: Key::new(tenant, None, "book_appointment", &[&number.to_string()]),
        id: Uuid::from_u128(number),
        asked: Timestamp::from_second(1_776_000_000).expect("in range"),
        service: "tagliando".into(),
        local: start.to_zoned(shop.zone.rules().clone()).datetime(),
        start,
        end: Timestamp::from_second(start.as_second() + 90 * 60).expect("in range"),
        candidates: Candidates::of(&shop, service(&shop)),
        name: Pii::new("Mario Rossi".into()),
        plate: Pii::new(format!("AA{number:05}")),
        phone: Some(Pii::new("+393471234567".into())),
        notes: None,
        confirmation: Confirmation { to: None, text: Pii::new("Confermato.".into()) },
    }
}

/// A thousand callers ask for the last slot at once: one bay is open, one is left.
async fn a_crowd_wants_the_last_slot(store: Arc<dyn Store>) {
    let mut shop = Shop::example();
    shop.bays.truncate(1);
    let tenant = TenantId::new("rossi");
    let desk = Arc::new(Desk::new(Arc::new(shop), Arc::clone(&store), tenant.clone(), Language::Italian));
    let callers: Vec<_> = (0..1000)
        .map(|number: u32| {
            let desk = Arc::clone(&desk);
            tokio::spawn(async move {
                let run = ToolRun {
                    id: String::new(),
                    name: "book_appointment".into(),
                    arguments: json!({"service": "tagliando", "start": "2026-04-14T09:00", "name": "Mario Rossi",
                        "plate": format!("AB{number:03}CD")})
                    .to_string(),
                    caller: Some(Pii::new(format!("+39347{number:07}"))),
                    call: number.to_string(),
                    now: "2026-04-13T10:00[Europe/Rome]".parse().expect("a Monday"),
                };
                let outcome = desk.run(run).await;
                serde_json::from_str::<Value>(&outcome.content).expect("JSON")
            })
        })
        .collect();
    let (mut won, mut lost) = (0, 0);
    for caller in callers {
        let answer = caller.await.expect("no panic");
        if answer["ok"] == true {
            won += 1;
        } else {
            lost += 1;
            assert_eq!(answer["error"], "slot_taken", "{answer}");
            let alternatives = answer["alternatives"].as_array().expect("a list");
            assert_eq!(alternatives.len(), 3);
            assert!(alternatives.iter().all(|one| one["start"] != "2026-04-14T09:00"));
        }
    }
    assert_eq!((won, lost), (1, 999));
    assert_eq!(store.taken(&tenant, Timestamp::MIN, Timestamp::MAX).await.expect("readable").len(), 1);
    assert_eq!(store.outbox(&tenant, 10).await.expect("readable").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_a_thousand_gets_the_last_slot_in_memory() {
    a_crowd_wants_the_last_slot(Arc::new(MemoryStore::new())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_a_thousand_gets_the_last_slot_in_a_file() {
    let folder = Folder::new("crowd");
    let store = SqliteStore::open(folder.file()).await.expect("a new file");
    a_crowd_wants_the_last_slot(Arc::new(store)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_repeats_of_one_wish_make_one_appointment() {
    let folder = Folder::new("repeats");
    let store = Arc::new(SqliteStore::open(folder.file()).await.expect("a new file"));
    let tenant = TenantId::new("rossi");
    let repeats: Vec<_> = (0..1000)
        .map(|number| {
            let (store, tenant) = (Arc::clone(&store), tenant.clone());
            tokio::spawn(async move {
                // The same key with an id of its own each time, as a repeat of the model would have.
                let wish = Order { id: Uuid::from_u128(1000 + number), ..order(&tenant, 7, 0) };
                store.book(&tenant, &wish).await.expect("writable").expect("free, or kept")
            })
        })
        .collect();
    let mut ids = std::collections::BTreeSet::new();
    let mut new = 0;
    for repeat in repeats {
        let kept = repeat.await.expect("no panic");
        ids.insert(kept.appointment.id);
        new += u32::from(!kept.again);
    }
    assert_eq!((ids.len(), new), (1, 1));
    assert_eq!(store.outbox(&tenant, 10).await.expect("readable").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_on_one_file_do_not_book_twice() {
    // Two stores on one file have nothing in common but the file, as two processes would.
    let folder = Folder::new("two");
    let tenant = TenantId::new("rossi");
    let one = Arc::new(SqliteStore::open(folder.file()).await.expect("a new file"));
    let other = Arc::new(SqliteStore::open(folder.file()).await.expect("the same file"));
    let mut shop = Shop::example();
    shop.bays.truncate(1);
    let candidates = Candidates::of(&shop, service(&shop));
    let runs: Vec<_> = (0..200)
        .map(|number| {
            let store = Arc::clone(if number % 2 == 0 { &one } else { &other });
            let (tenant, candidates) = (tenant.clone(), candidates.clone());
            tokio::spawn(async move {
                let wish = Order {
                    candidates,
                    ..order(&tenant, 100 + number, i64::try_from(number % 4).expect("small") * 90)
                };
                store.book(&tenant, &wish).await.expect("writable")
            })
        })
        .collect();
    let mut won = 0;
    for run in runs {
        match run.await.expect("no panic") {
            Ok(_) => won += 1,
            Err(refusal) => assert_eq!(refusal, Refusal::SlotTaken),
        }
    }
    assert_eq!(won, 4, "four slots, one bay");
}

#[tokio::test]
async fn the_file_itself_refuses_a_second_owner_of_a_unit() {
    let folder = Folder::new("constraint");
    let tenant = TenantId::new("rossi");
    let store = SqliteStore::open(folder.file()).await.expect("a new file");
    store.book(&tenant, &order(&tenant, 1, 0)).await.expect("writable").expect("free");
    let pool = sqlx::SqlitePool::connect(&format!("sqlite:{}", folder.file().display())).await.expect("it is there");
    let rows: Vec<(String, i64)> = sqlx::query_as("select resource, unit from occupied order by resource, unit")
        .fetch_all(&pool)
        .await
        .expect("rows");
    assert_eq!(rows.len(), 3 * 90 / 5, "a bay, a technician and a car, in units of five minutes");
    for (resource, unit) in rows {
        let error =
            sqlx::query("insert into occupied (tenant, resource, unit, appointment) values ('rossi', ?1, ?2, ?3)")
                .bind(resource)
                .bind(unit)
                .bind(Uuid::from_u128(1).to_string())
                .execute(&pool)
                .await
                .expect_err("it has an owner");
        assert!(error.as_database_error().is_some_and(|error| error.is_unique_violation()), "{error}");
    }
}

#[tokio::test]
async fn an_attack_from_another_tenant_finds_nothing() {
    let folder = Folder::new("tenants");
    let store = SqliteStore::open(folder.file()).await.expect("a new file");
    let (rossi, bianchi) = (TenantId::new("rossi"), TenantId::new("bianchi"));
    let mine = order(&rossi, 1, 0);
    store.book(&rossi, &mine).await.expect("writable").expect("free");
    let note = Note {
        key: Key::new(&rossi, None, "take_message", &["x"]),
        at: mine.asked,
        name: None,
        phone: None,
        text: Pii::new("richiamatemi".into()),
    };
    assert!(store.take_message(&rossi, &note).await.expect("writable"));
    let call =
        CallRecord { id: "c1".into(), caller: None, started: mine.asked, ended: None, ending: None, report: None };
    store.keep_call(&rossi, &call).await.expect("writable");

    // Everything of Rossi's is known to the attacker: ids, keys, plates. Also names made to break out of a statement.
    for attacker in [
        bianchi.clone(),
        TenantId::new("' or '1'='1"),
        TenantId::new(""),
        TenantId::new("rossi\0"),
        TenantId::new("ROSSI"),
        TenantId::new("%"),
    ] {
        let all = Query { limit: 100, cancelled: true, ..Query::default() };
        assert!(store.find(&attacker, &all).await.expect("readable").is_empty());
        let by_id = Query { id: Some(mine.id), limit: 100, ..Query::default() };
        assert!(store.find(&attacker, &by_id).await.expect("readable").is_empty());
        assert!(store.taken(&attacker, Timestamp::MIN, Timestamp::MAX).await.expect("readable").is_empty());
        assert_eq!(store.settled(&attacker, &mine.key).await.expect("readable"), None);
        assert!(store.messages(&attacker, 100).await.expect("readable").is_empty());
        assert!(store.outbox(&attacker, 100).await.expect("readable").is_empty());
        assert!(!store.sent(&attacker, 1, mine.asked).await.expect("writable"));
        assert!(store.calls(&attacker, 100).await.expect("readable").is_empty());
        let gone =
            Cancel { key: mine.key.clone(), id: mine.id, asked: mine.asked, confirmation: mine.confirmation.clone() };
        assert_eq!(store.cancel(&attacker, &gone).await.expect("writable"), Err(Refusal::NotFound));
        let elsewhere = Move {
            key: mine.key.clone(),
            id: mine.id,
            asked: mine.asked,
            local: mine.local,
            start: Timestamp::from_second(mine.start.as_second() + 600).expect("in range"),
            end: Timestamp::from_second(mine.end.as_second() + 600).expect("in range"),
            candidates: mine.candidates.clone(),
            confirmation: mine.confirmation.clone(),
        };
        assert_eq!(store.move_to(&attacker, &elsewhere).await.expect("writable"), Err(Refusal::NotFound));
    }
    // The other shop's books are free at that time, under the very same id and key.
    let theirs = store.book(&bianchi, &mine).await.expect("writable").expect("free");
    assert!(!theirs.again);
    store.keep_call(&bianchi, &CallRecord { ending: Some("x".into()), ..call.clone() }).await.expect("writable");
    assert_eq!(store.calls(&rossi, 10).await.expect("readable"), [call]);
    assert_eq!(store.find(&rossi, &Query { limit: 10, ..Query::default() }).await.expect("readable").len(), 1);
}

#[tokio::test]
async fn what_one_shop_books_and_cancels_leaves_the_books_of_another_alone() {
    let folder = Folder::new("apart");
    let store = SqliteStore::open(folder.file()).await.expect("a new file");
    let (rossi, bianchi) = (TenantId::new("rossi"), TenantId::new("bianchi"));
    let mine = order(&rossi, 1, 0);
    let kept = store.book(&rossi, &mine).await.expect("writable").expect("free").appointment;
    // The same id, time and car, by a clock that is a year ahead.
    let ahead = Timestamp::from_second(mine.asked.as_second() + 366 * 24 * 3600).expect("in range");
    let wish = Order { asked: ahead, ..order(&rossi, 1, 0) };
    let theirs = store.book(&bianchi, &wish).await.expect("writable").expect("free").appointment;
    assert_eq!((&theirs.bay, &theirs.technician), (&kept.bay, &kept.technician), "nothing is taken there");
    assert_eq!(store.outbox(&bianchi, 10).await.expect("readable")[0].number, 1, "their first confirmation");
    for tenant in [&rossi, &bianchi] {
        let note = Note {
            key: Key::new(tenant, None, "take_message", &["x"]),
            at: mine.asked,
            name: None,
            phone: None,
            text: Pii::new("richiamatemi".into()),
        };
        assert!(store.take_message(tenant, &note).await.expect("writable"));
        assert_eq!(store.messages(tenant, 10).await.expect("readable")[0].number, 1, "their first message");
    }
    let gone = Cancel { key: wish.key, id: wish.id, asked: mine.asked, confirmation: wish.confirmation };
    assert!(store.cancel(&bianchi, &gone).await.expect("writable").is_ok());

    let standing = store.find(&rossi, &Query { limit: 10, ..Query::default() }).await.expect("readable");
    assert_eq!(standing, [kept], "it stands as it was");
    let second = Order { plate: mine.plate.clone(), ..order(&rossi, 2, 30) };
    let refused = store.book(&rossi, &second).await.expect("writable").expect_err("the car is there already");
    assert!(matches!(refused, Refusal::CarTaken(_)), "{refused:?}");
}

#[tokio::test]
async fn a_file_is_opened_again_with_everything_in_it() {
    let folder = Folder::new("again");
    let tenant = TenantId::new("rossi");
    let kept = {
        let store = SqliteStore::open(folder.file()).await.expect("a new file");
        let kept = store.book(&tenant, &order(&tenant, 1, 0)).await.expect("writable").expect("free");
        store.close().await;
        kept.appointment
    };
    for _ in 0..2 {
        let store = SqliteStore::open(folder.file()).await.expect("migrations are done once");
        store.ping().await.expect("writable");
        let found = store.find(&tenant, &Query { id: Some(kept.id), limit: 1, ..Query::default() }).await;
        assert_eq!(found.expect("readable"), std::slice::from_ref(&kept));
        let again = store.book(&tenant, &order(&tenant, 1, 0)).await.expect("writable").expect("kept");
        assert!(again.again);
        store.close().await;
    }
}

#[tokio::test]
async fn units_of_the_past_are_let_go_and_the_appointments_stay() {
    let folder = Folder::new("past");
    let tenant = TenantId::new("rossi");
    let store = SqliteStore::open(folder.file()).await.expect("a new file");
    store.book(&tenant, &order(&tenant, 1, 0)).await.expect("writable").expect("free");
    let days_later = 3 * 24 * 60;
    let later = order(&tenant, 2, days_later + 600);
    let later = Order { asked: Timestamp::from_second(1_776_150_000 + days_later * 60).expect("in range"), ..later };
    store.book(&tenant, &later).await.expect("writable").expect("free");
    let pool = sqlx::SqlitePool::connect(&format!("sqlite:{}", folder.file().display())).await.expect("it is there");
    let units: i64 = sqlx::query_scalar("select count(*) from occupied").fetch_one(&pool).await.expect("a number");
    assert_eq!(units, 3 * 90 / 5, "those of the second one");
    let all = Query { limit: 10, ..Query::default() };
    assert_eq!(store.find(&tenant, &all).await.expect("readable").len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_processes_may_open_a_new_file_at_once() {
    // Sixteen at once: with four the refusal of a lock that SQLite does not wait for showed once in some hundred runs.
    for round in 0..10 {
        let folder = Folder::new(&format!("at-once-{round}"));
        let opened: Vec<_> = (0..16).map(|_| tokio::spawn(SqliteStore::open(folder.file()))).collect();
        for store in opened {
            store.await.expect("no panic").expect("it is opened").ping().await.expect("writable");
        }
    }
}

/// Regression: a thousand calls that ended in the same second had to write in turn, and some of their records were lost.
#[tokio::test]
async fn the_last_record_of_a_call_outwaits_whoever_writes_before_it() {
    let folder = Folder::new("outwaits");
    let store = Arc::new(SqliteStore::open(folder.file()).await.expect("a new file"));
    let at = |second| Timestamp::from_second(second).expect("in range");
    let (id, started) = ("call-1".to_owned(), at(1_776_000_000));
    let over = CallRecord { id, caller: None, started, ended: Some(started), ending: None, report: None };
    let first = sqlx::SqlitePool::connect(&format!("sqlite:{}", folder.file().display())).await.expect("it is there");
    let lock = first.begin_with("begin immediate").await.expect("nobody else writes");

    let under_way = CallRecord { ended: None, ..over.clone() };
    let refused = store.keep_call(&TenantId::new("rossi"), &under_way).await;
    assert!(
        matches!(refused, Err(StoreError::Locked { .. })),
        "as long as a statement waits, and no longer: {refused:?}"
    );

    let patient = Arc::clone(&store);
    let keeping = tokio::spawn(async move { patient.keep_call(&TenantId::new("rossi"), &over).await });
    let refused = store.ping().await;
    assert!(matches!(refused, Err(StoreError::Locked { .. })), "by now a statement has given up: {refused:?}");
    lock.rollback().await.expect("let go");
    keeping.await.expect("no panic").expect("kept");
    assert_eq!(store.calls(&TenantId::new("rossi"), 9).await.expect("readable").len(), 1);
}

#[tokio::test]
async fn calls_are_kept_and_replaced_by_a_later_record() {
    let folder = Folder::new("calls");
    let store = SqliteStore::open(folder.file()).await.expect("a new file");
    let tenant = TenantId::new("rossi");
    let at = |second| Timestamp::from_second(second).expect("in range");
    for number in 0..3 {
        let begun = CallRecord {
            id: format!("call-{number}"),
            caller: Some(Pii::new("+393471234567".into())),
            started: at(1_776_000_000 + number),
            ended: None,
            ending: None,
            report: None,
        };
        store.keep_call(&tenant, &begun).await.expect("writable");
        let over = CallRecord {
            ended: Some(at(1_776_000_060)),
            ending: Some("caller_hung_up".into()),
            report: Some("{}".into()),
            ..begun
        };
        store.keep_call(&tenant, &over).await.expect("writable");
    }
    let calls = store.calls(&tenant, 2).await.expect("readable");
    assert_eq!(calls.iter().map(|call| call.id.as_str()).collect::<Vec<_>>(), ["call-2", "call-1"]);
    assert_eq!(calls[0].ending.as_deref(), Some("caller_hung_up"));
}

fn document(kind: DocumentKind, id: &str, created_ms: i64, body: &str) -> Document {
    let at = |ms| Timestamp::from_millisecond(1_776_000_000_000 + ms).expect("in range");
    let (id, body) = (id.to_owned(), Pii::new(body.to_owned()));
    Document { kind, id, body, created: at(created_ms), updated: at(created_ms + 1) }
}

/// Both stores keep documents alike.
#[tokio::test]
async fn documents_are_kept_replaced_and_erased_and_are_one_tenants_only() {
    let folder = Folder::new("documents");
    let sqlite = SqliteStore::open(folder.file()).await.expect("a new file");
    for store in [&MemoryStore::new() as &dyn Documents, &sqlite] {
        let (rossi, bianchi) = (TenantId::new("rossi"), TenantId::new("bianchi"));
        let (assistant, call) = (DocumentKind::Assistant, DocumentKind::Call);
        let ids = async |tenant: &TenantId, kind, limit| -> Vec<String> {
            let documents = store.documents(tenant, kind, limit).await.expect("readable");
            documents.into_iter().map(|document| document.id).collect()
        };
        // By when they were created, not by when they came; the last word on one of them holds.
        let second = document(call, "a", 2, "{\"name\":\"Perché no\"}");
        let changes = [
            Change::Put(document(call, "c", 3, "{}")),
            Change::Put(document(call, "a", 2, "")),
            Change::Put(document(call, "b", 2, "{}")),
            Change::Put(document(call, "gone", 1, "{}")),
            Change::Put(document(assistant, "a", 9, "{}")),
            Change::Put(second.clone()),
            Change::Erase(call, "gone".into()),
            Change::Erase(call, "never there".into()),
        ];
        store.change(&rossi, &changes).await.expect("writable");
        assert_eq!(ids(&rossi, call, 9).await, ["a", "b", "c"]);
        assert_eq!(ids(&rossi, call, 2).await, ["b", "c"], "of more the newest");
        assert_eq!(ids(&rossi, assistant, 9).await, ["a"]);
        assert_eq!(store.documents(&rossi, call, 9).await.expect("readable")[0], second);

        // Who knows the ids of another tenant's documents changes nothing with them.
        let attack = [Change::Erase(call, "a".into()), Change::Put(document(call, "b", 0, "theirs"))];
        store.change(&bianchi, &attack).await.expect("writable");
        let later = second.created + jiff::SignedDuration::from_hours(1);
        assert_eq!(store.erase_before(&bianchi, call, later).await, Ok(1), "their own");
        assert_eq!(ids(&bianchi, call, 9).await, Vec::<String>::new());
        assert_eq!(store.documents(&rossi, call, 9).await.expect("readable")[0], second);
        assert_eq!(ids(&rossi, call, 9).await, ["a", "b", "c"]);

        let third = document(call, "c", 3, "{}").created;
        assert_eq!(store.erase_before(&rossi, call, third).await, Ok(2));
        assert_eq!((ids(&rossi, call, 9).await, ids(&rossi, assistant, 9).await), (vec!["c".into()], vec!["a".into()]));
    }
    sqlite.close().await;
    let again = SqliteStore::open(folder.file()).await.expect("it is there");
    let kept = again.documents(&TenantId::new("rossi"), DocumentKind::Call, 9).await.expect("readable");
    assert_eq!(kept, [document(DocumentKind::Call, "c", 3, "{}")]);
}

/// Regression: what was erased stood in free pages of the file until they were needed again.
#[tokio::test]
async fn what_is_erased_is_nowhere_in_the_file() {
    let (folder, rossi) = (Folder::new("erased"), TenantId::new("rossi"));
    let store = SqliteStore::open(folder.file()).await.expect("a new file");
    // Short and long ones: they lie beside others on a page, and on pages of their own.
    let words = ["a plate", "a name ".repeat(2_000).as_str()].map(|words| format!("erased {words}"));
    let kept = document(DocumentKind::Call, "kept", 0, "this is kept");
    let mut changes = vec![Change::Put(kept.clone())];
    for (at, words) in words.iter().enumerate() {
        changes.push(Change::Put(document(DocumentKind::Call, &at.to_string(), 1, words)));
    }
    store.change(&rossi, &changes).await.expect("writable");
    for at in 0..words.len() {
        store.change(&rossi, &[Change::Erase(DocumentKind::Call, at.to_string())]).await.expect("writable");
    }
    store.close().await;
    let bytes = std::fs::read(folder.file()).expect("the file");
    let holds = |words: &str| bytes.windows(words.len()).any(|window| window == words.as_bytes());
    assert!(holds("this is kept") && !holds("erased a"));
    assert!(!folder.file().with_extension("db-wal").exists(), "what was written before is in no other file");
}

#[tokio::test]
async fn changes_of_documents_are_made_together_or_not_at_all() {
    let folder = Folder::new("together");
    let store = SqliteStore::open(folder.file()).await.expect("a new file");
    let pool = sqlx::SqlitePool::connect(&format!("sqlite:{}", folder.file().display())).await.expect("it is there");
    sqlx::query(
        "create trigger refuses before insert on documents when new.id = 'b'
         begin select raise(abort, 'not this one'); end",
    )
    .execute(&pool)
    .await
    .expect("writable");
    let tenant = TenantId::new("rossi");
    let put = |id| Change::Put(document(DocumentKind::Call, id, 1, "{}"));
    store.change(&tenant, &[put("a"), put("b"), put("c")]).await.expect_err("one of them is refused");
    assert!(store.documents(&tenant, DocumentKind::Call, 9).await.expect("readable").is_empty());
    store.change(&tenant, &[put("a"), put("c")]).await.expect("the next ones are not in its way");
    assert_eq!(store.documents(&tenant, DocumentKind::Call, 9).await.expect("readable").len(), 2);
}

async fn check_unusable(file: PathBuf, expected: fn(&StoreError) -> bool, fix: &str) {
    let error = SqliteStore::open(&file).await.expect_err("not usable");
    assert!(expected(&error), "{error:?}");
    let said = error.to_string();
    assert!(said.starts_with(&*file.to_string_lossy()) && said.contains(fix), "{said}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named() {
    let folder = Folder::new("text");
    std::fs::write(folder.file(), "these are not the books ".repeat(1000)).expect("writable");
    check_unusable(folder.file(), |error| matches!(error, StoreError::Damaged { .. }), "backup").await;
}

#[tokio::test]
async fn a_damaged_file_is_named() {
    let folder = Folder::new("damaged");
    let tenant = TenantId::new("rossi");
    let store = SqliteStore::open(folder.file()).await.expect("a new file");
    for number in 0..20 {
        let minute = i64::try_from(number).expect("small") * 90;
        store.book(&tenant, &order(&tenant, number, minute)).await.expect("writable").expect("free");
    }
    store.close().await;
    let mut bytes = std::fs::read(folder.file()).expect("readable");
    assert!(bytes.len() > 16 * 4096, "there is something to damage");
    for page in 3..bytes.len() / 4096 {
        bytes[page * 4096..page * 4096 + 512].fill(0xa5);
    }
    std::fs::write(folder.file(), bytes).expect("writable");
    check_unusable(folder.file(), |error| matches!(error, StoreError::Damaged { .. }), "backup").await;
}

#[tokio::test]
async fn a_missing_folder_is_named() {
    let folder = Folder::new("missing");
    let file = folder.0.join("nowhere").join("books.db");
    check_unusable(file, |error| matches!(error, StoreError::Unopenable { .. }), "folder exists").await;
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_named() {
    let folder = Folder::new("newer");
    SqliteStore::open(folder.file()).await.expect("a new file").close().await;
    let pool = sqlx::SqlitePool::connect(&format!("sqlite:{}", folder.file().display())).await.expect("it is there");
    sqlx::query("insert into _sqlx_migrations (version, description, success, checksum, execution_time) values (9999, 'later', true, x'00', 0)")
        .execute(&pool)
        .await
        .expect("writable");
    pool.close().await;
    check_unusable(folder.file(), |error| matches!(error, StoreError::OtherVersion { .. }), "newer").await;
}

#[tokio::test]
async fn a_locked_file_is_named_and_the_desk_says_so() {
    let folder = Folder::new("locked");
    let tenant = TenantId::new("rossi");
    let store = Arc::new(SqliteStore::open(folder.file()).await.expect("a new file"));
    let thief = sqlx::SqlitePool::connect(&format!("sqlite:{}", folder.file().display())).await.expect("it is there");
    let lock = thief.begin_with("begin immediate").await.expect("nobody else writes");

    let error = store.ping().await.expect_err("the write lock is held");
    assert!(matches!(error, StoreError::Locked { .. }), "{error:?}");
    assert!(error.to_string().contains("books.db") && error.to_string().contains("stop the other one"), "{error}");

    let desk =
        Desk::new(Arc::new(Shop::example()), Arc::clone(&store) as Arc<dyn Store>, tenant.clone(), Language::Italian);
    let run = ToolRun {
        id: String::new(),
        name: "book_appointment".into(),
        arguments:
            json!({"service": "tagliando", "start": "2026-04-14T09:00", "name": "Mario Rossi", "plate": "AB123CD"})
                .to_string(),
        caller: None,
        call: "call".into(),
        now: "2026-04-13T10:00[Europe/Rome]".parse::<Zoned>().expect("a Monday"),
    };
    let outcome = desk.run(run.clone()).await;
    assert!(outcome.content.contains("unavailable"), "{}", outcome.content);
    assert_eq!(desk.waiting(), 1);

    lock.rollback().await.expect("it lets go");
    let outcome = desk.run(run).await;
    assert!(outcome.content.contains("\"ok\":true"), "{}", outcome.content);
    assert_eq!(desk.waiting(), 0);
    assert_eq!(store.messages(&tenant, 10).await.expect("readable").len(), 1);
}
