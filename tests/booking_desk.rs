//! Each tool, as a model asks for it and reads its answer, in Italian and in English.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures_util::FutureExt;
use jiff::{Timestamp, Zoned};
use pronto::{
    booking::{
        Appointment, Cancel, Kept, Key, Message, Move, Note, Order, OutboxEntry, Query, Refusal, Shop, Taken, TenantId,
    },
    call::Then,
    language::Language,
    privacy::Pii,
    store::{
        Answer, CallRecord, Change, Document, DocumentKind, Documents, MemoryStore, Owed, Owing, Reports, Store,
        StoreError,
    },
    tenant::{Desk, ToolRun},
};
use serde_json::{Value, json};

fn monday() -> Zoned {
    "2026-04-13T10:00[Europe/Rome]".parse().expect("a Monday")
}

fn desk(language: Language) -> Desk {
    Desk::new(Arc::new(Shop::example()), Arc::new(MemoryStore::new()), TenantId::new("rossi"), language)
}

fn run_at(desk: &Desk, now: Zoned, name: &str, arguments: Value) -> (Value, Then) {
    let run = ToolRun {
        id: String::new(),
        name: name.into(),
        arguments: arguments.to_string(),
        caller: Some(Pii::new("+393471234567".into())),
        call: "call".into(),
        now,
    };
    let outcome = desk.run(run).now_or_never().expect("the memory store never waits");
    (serde_json::from_str(&outcome.content).expect("an outcome is JSON"), outcome.then)
}

fn run(desk: &Desk, name: &str, arguments: Value) -> Value {
    let (content, then) = run_at(desk, monday(), name, arguments);
    assert_eq!(then, Then::GoOn);
    content
}

fn booking(start: &str, plate: &str) -> Value {
    json!({"service": "tagliando", "start": start, "name": "Mario Rossi", "plate": plate})
}

#[test]
fn slots_are_found() {
    let asked = json!({"service": "Tagliando", "date": "2026-04-14", "time": "09:00"});
    let italian = run(&desk(Language::Italian), "find_slots", asked.clone());
    assert_eq!(
        (&italian["ok"], &italian["service"], &italian["minutes"]),
        (&json!(true), &json!("tagliando"), &json!(90))
    );
    assert_eq!(italian["slots"][0], json!({"start": "2026-04-14T09:00", "say": "martedì 14 aprile alle 9"}));
    let english = run(&desk(Language::English), "find_slots", asked);
    assert_eq!(english["slots"][0]["say"], "Tuesday 14 April at 9 am");
}

#[test]
fn an_appointment_is_booked_found_moved_and_cancelled() {
    for (language, said, moved) in [
        (Language::Italian, "martedì 14 aprile alle 9 e 30", "mercoledì 15 aprile alle 15"),
        (Language::English, "Tuesday 14 April at 9:30 am", "Wednesday 15 April at 3 pm"),
    ] {
        let desk = desk(language);
        let booked = run(&desk, "book_appointment", booking("2026-04-14T09:30", "ab 123 cd"));
        let id = booked["id"].clone();
        assert_eq!(
            booked,
            json!({"ok": true, "id": id, "start": "2026-04-14T09:30", "service": "tagliando", "say": said})
        );
        let found = run(&desk, "find_appointments", json!({}));
        assert_eq!(
            found["appointments"],
            json!([{"id": id, "start": "2026-04-14T09:30", "service": "tagliando", "say": said}]),
            "found by the number of the line"
        );
        let answer = run(&desk, "move_appointment", json!({"plate": "AB123CD", "start": "2026-04-15T15:00"}));
        assert_eq!((&answer["ok"], &answer["id"], &answer["say"]), (&json!(true), &id, &json!(moved)));
        let answer = run(&desk, "cancel_appointment", json!({"id": id}));
        assert_eq!((&answer["ok"], &answer["start"]), (&json!(true), &json!("2026-04-15T15:00")));
        assert_eq!(run(&desk, "find_appointments", json!({"plate": "AB123CD"}))["appointments"], json!([]));

        let outbox = desk.store().outbox(desk.tenant(), 10).now_or_never().expect("ready").expect("memory");
        let texts: Vec<&str> = outbox.iter().map(|entry| entry.confirmation.text.reveal().as_str()).collect();
        assert_eq!(texts.len(), 3);
        assert!(texts[0].contains(said) && texts[1].contains(moved) && texts[2].contains(moved), "{texts:?}");
        assert!(texts.iter().all(|text| text.starts_with("Officina Rossi") && text.contains("AB123CD")));
        assert!(outbox.iter().all(|entry| entry.confirmation.to == Some(Pii::new("+393471234567".into()))));
    }
}

#[test]
fn the_same_wish_twice_changes_nothing_twice() {
    let desk = desk(Language::Italian);
    let first = run(&desk, "book_appointment", booking("2026-04-14T09:30", "AB123CD"));
    // Another spelling, another name for the service: the same wish.
    let again =
        json!({"service": "cambio olio", "start": "2026-04-14 09:30:00", "name": "Rossi", "plate": "ab-123-cd"});
    assert_eq!(run(&desk, "book_appointment", again), first);
    // From a number that is withheld.
    let anonymous = ToolRun {
        id: String::new(),
        name: "book_appointment".into(),
        arguments: booking("2026-04-14T09:30", "AB123CD").to_string(),
        caller: Some(Pii::new("anonymous".into())),
        call: "another call".into(),
        now: monday(),
    };
    let outcome = desk.run(anonymous).now_or_never().expect("memory");
    assert_eq!(serde_json::from_str::<Value>(&outcome.content).expect("JSON")["id"], first["id"]);

    for (tool, arguments) in [
        ("move_appointment", json!({"plate": "AB123CD", "start": "2026-04-15T15:00"})),
        ("cancel_appointment", json!({"plate": "AB123CD"})),
    ] {
        let once = run(&desk, tool, arguments.clone());
        assert_eq!(once["ok"], true, "{tool}");
        assert_eq!(run(&desk, tool, arguments), once, "{tool}");
    }
    let outbox = desk.store().outbox(desk.tenant(), 10).now_or_never().expect("ready").expect("memory");
    assert_eq!(outbox.len(), 3);
}

#[test]
fn a_repeat_after_the_notice_ran_out_still_has_its_first_result() {
    let desk = desk(Language::Italian);
    let first = run(&desk, "book_appointment", booking("2026-04-13T11:00", "AB123CD"));
    assert_eq!(first["ok"], true);
    let later = "2026-04-13T10:01[Europe/Rome]".parse().expect("a minute later");
    let (again, _) = run_at(&desk, later, "book_appointment", booking("2026-04-13T11:00", "AB123CD"));
    assert_eq!(again, first);
    let later = "2026-04-13T10:01[Europe/Rome]".parse().expect("a minute later");
    let (other, _) = run_at(&desk, later, "book_appointment", booking("2026-04-13T11:00", "ZZ999ZZ"));
    assert_eq!((&other["error"], &other["field"]), (&json!("too_soon"), &json!("start")));
    assert_eq!(other["alternatives"][0]["start"], "2026-04-13T14:00");
}

#[test]
fn refusals_say_what_else_is_free() {
    let desk = desk(Language::Italian);
    for plate in ["AA111AA", "BB222BB"] {
        assert_eq!(run(&desk, "book_appointment", booking("2026-04-14T09:00", plate))["ok"], true);
    }
    let taken = run(&desk, "book_appointment", booking("2026-04-14T09:00", "CC333CC"));
    assert_eq!(
        taken,
        json!({"ok": false, "error": "slot_taken", "field": "start",
            "say": "Mi dispiace, martedì 14 aprile alle 9 non è più libero.",
            "alternatives": [
                {"start": "2026-04-13T17:00", "say": "lunedì 13 aprile alle 17"},
                {"start": "2026-04-14T10:30", "say": "martedì 14 aprile alle 10 e 30"},
                {"start": "2026-04-14T11:00", "say": "martedì 14 aprile alle 11"}]})
    );
    let same_car = run(&desk, "book_appointment", booking("2026-04-14T10:00", "AA111AA"));
    assert_eq!(same_car["say"], "Per questa auto c'è già un appuntamento martedì 14 aprile alle 9.");
    for (start, error) in [
        ("2026-05-01T09:00", "holiday"),
        ("2026-04-12T09:00", "past"),
        ("2026-04-19T09:00", "closed"),
        ("2026-04-14T13:00", "closed"),
        ("2026-04-13T10:30", "too_soon"),
        ("2027-01-11T09:00", "too_far"),
    ] {
        let refused = run(&desk, "book_appointment", booking(start, "DD444DD"));
        assert_eq!((&refused["ok"], &refused["error"]), (&json!(false), &json!(error)), "{start}");
        assert!(!refused["say"].as_str().expect("words").is_empty());
        let alternatives = refused["alternatives"].as_array().expect("a list").len();
        assert_eq!(alternatives, if matches!(error, "past" | "too_far") { 0 } else { 3 }, "{start}");
    }
    let refused = run(
        &desk,
        "book_appointment",
        json!({"service": "tagliando", "start": "2026-04-14T15:00", "name": "M", "plate": "DD444DD", "weekday": "mercoledì"}),
    );
    assert_eq!(refused["say"], "Il giorno non torna: la data è martedì 14 aprile, non mercoledì. Quale preferisce?");
}

#[test]
fn every_refusal_has_words_in_both_languages() {
    for language in [Language::Italian, Language::English] {
        let desk = desk(language);
        for (tool, arguments, error) in [
            ("find_slots", json!({"service": "lavaggio"}), "unknown_service"),
            ("book_appointment", booking("2026-04-14T09:00", "??"), "bad_plate"),
            ("find_appointments", json!({"phone": "12"}), "bad_phone"),
            ("cancel_appointment", json!({"plate": "AB123CD"}), "not_found"),
            ("move_appointment", json!({"plate": "AB123CD"}), "bad_arguments"),
            ("sing", json!({}), "bad_arguments"),
        ] {
            let refused = run(&desk, tool, arguments);
            assert_eq!(refused["error"], error);
            let say = refused["say"].as_str().expect("words");
            assert!(say.contains(' ') && !say.contains("booking.") && !say.contains('{'), "{error}: {say}");
        }
    }
}

#[test]
fn several_appointments_are_a_question() {
    let desk = desk(Language::English);
    for start in ["2026-04-14T09:00", "2026-04-15T09:00"] {
        assert_eq!(run(&desk, "book_appointment", booking(start, "AB123CD"))["ok"], true);
    }
    let refused = run(&desk, "cancel_appointment", json!({"plate": "AB123CD"}));
    assert_eq!(refused["error"], "ambiguous");
    let id = refused["alternatives"][1]["id"].clone();
    assert_eq!(run(&desk, "cancel_appointment", json!({"id": id}))["start"], "2026-04-15T09:00");
}

#[test]
fn messages_transfers_and_goodbyes() {
    let desk = desk(Language::Italian);
    let message = json!({"name": "Mario", "text": "Vorrei un preventivo per la carrozzeria."});
    assert_eq!(run(&desk, "take_message", message.clone()), json!({"ok": true}));
    assert_eq!(run(&desk, "take_message", message), json!({"ok": true}));
    let kept = desk.store().messages(desk.tenant(), 10).now_or_never().expect("ready").expect("memory");
    assert_eq!(kept.len(), 1, "the same message is kept once");
    assert_eq!(kept[0].phone, Some(Pii::new("+393471234567".into())));

    let (content, then) = run_at(&desk, monday(), "transfer_to_human", json!({"reason": "insiste"}));
    assert_eq!((content, then), (json!({"ok": true, "to": "+390612345678"}), Then::Transfer("+390612345678".into())));
    let (content, then) = run_at(&desk, monday(), "end_call", json!({}));
    assert_eq!((content, then), (json!({"ok": true}), Then::EndCall));

    let shop = Shop { transfer_to: None, ..Shop::example() };
    let desk = Desk::new(Arc::new(shop), Arc::new(MemoryStore::new()), TenantId::new("rossi"), Language::Italian);
    assert!(desk.tools().iter().all(|tool| tool.name != "transfer_to_human"));
    assert_eq!(run(&desk, "transfer_to_human", json!({}))["error"], "unavailable");
}

#[test]
fn one_tenant_never_sees_another() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let desk = |tenant: &str| {
        Desk::new(Arc::new(Shop::example()), Arc::clone(&store), TenantId::new(tenant), Language::Italian)
    };
    let (rossi, bianchi) = (desk("rossi"), desk("bianchi"));
    let booked = run(&rossi, "book_appointment", booking("2026-04-14T09:00", "AB123CD"));
    assert_eq!(run(&bianchi, "find_appointments", json!({"plate": "AB123CD"}))["appointments"], json!([]));
    assert_eq!(run(&bianchi, "cancel_appointment", json!({"id": booked["id"]}))["error"], "not_found");
    assert_ne!(run(&bianchi, "book_appointment", booking("2026-04-14T09:00", "AB123CD"))["id"], booked["id"]);
    assert_eq!(run(&rossi, "find_appointments", json!({}))["appointments"].as_array().expect("a list").len(), 1);
}

/// A store that can be switched off.
#[derive(Debug, Default)]
struct Fragile {
    books: MemoryStore,
    broken: AtomicBool,
}

impl Fragile {
    fn or<'a, T: Send + 'a>(&self, answer: Answer<'a, T>) -> Answer<'a, T> {
        if self.broken.load(Ordering::Relaxed) {
            let error = StoreError::Locked { file: "test.db".into() };
            return async move { Err(error) }.boxed();
        }
        answer
    }
}

impl Reports for Fragile {
    fn owe<'a>(&'a self, tenant: &'a TenantId, report: &'a Owed) -> Answer<'a, Owing> {
        self.books.owe(tenant, report)
    }
    fn owed<'a>(&'a self, tenant: &'a TenantId, limit: usize) -> Answer<'a, Vec<Owed>> {
        self.books.owed(tenant, limit)
    }
    fn claim<'a>(&'a self, tenant: &'a TenantId, call: &'a str, attempt: u32, next: Timestamp) -> Answer<'a, bool> {
        self.books.claim(tenant, call, attempt, next)
    }
    fn settle<'a>(&'a self, tenant: &'a TenantId, call: &'a str, at: Timestamp) -> Answer<'a, bool> {
        self.books.settle(tenant, call, at)
    }
}

impl Documents for Fragile {
    fn change<'a>(&'a self, tenant: &'a TenantId, changes: &'a [Change]) -> Answer<'a, ()> {
        self.books.change(tenant, changes)
    }
    fn documents<'a>(&'a self, tenant: &'a TenantId, kind: DocumentKind, limit: usize) -> Answer<'a, Vec<Document>> {
        self.books.documents(tenant, kind, limit)
    }
    fn erase_before<'a>(&'a self, tenant: &'a TenantId, kind: DocumentKind, created: Timestamp) -> Answer<'a, u64> {
        self.books.erase_before(tenant, kind, created)
    }
}

impl Store for Fragile {
    fn book<'a>(&'a self, tenant: &'a TenantId, order: &'a Order) -> Answer<'a, Result<Kept, Refusal>> {
        self.or(self.books.book(tenant, order))
    }
    fn move_to<'a>(&'a self, tenant: &'a TenantId, wish: &'a Move) -> Answer<'a, Result<Kept, Refusal>> {
        self.or(self.books.move_to(tenant, wish))
    }
    fn cancel<'a>(&'a self, tenant: &'a TenantId, wish: &'a Cancel) -> Answer<'a, Result<Kept, Refusal>> {
        self.or(self.books.cancel(tenant, wish))
    }
    fn settled<'a>(&'a self, tenant: &'a TenantId, key: &'a Key) -> Answer<'a, Option<Appointment>> {
        self.or(self.books.settled(tenant, key))
    }
    fn find<'a>(&'a self, tenant: &'a TenantId, query: &'a Query) -> Answer<'a, Vec<Appointment>> {
        self.or(self.books.find(tenant, query))
    }
    fn taken<'a>(&'a self, tenant: &'a TenantId, from: Timestamp, until: Timestamp) -> Answer<'a, Vec<Taken>> {
        self.or(self.books.taken(tenant, from, until))
    }
    fn take_message<'a>(&'a self, tenant: &'a TenantId, note: &'a Note) -> Answer<'a, bool> {
        if self.broken.load(Ordering::Relaxed) {
            return async { Err(StoreError::Locked { file: "test.db".into() }) }.boxed();
        }
        self.books.take_message(tenant, note)
    }
    fn messages<'a>(&'a self, tenant: &'a TenantId, limit: usize) -> Answer<'a, Vec<Message>> {
        self.books.messages(tenant, limit)
    }
    fn outbox<'a>(&'a self, tenant: &'a TenantId, limit: usize) -> Answer<'a, Vec<OutboxEntry>> {
        self.books.outbox(tenant, limit)
    }
    fn sent<'a>(&'a self, tenant: &'a TenantId, number: i64, at: Timestamp) -> Answer<'a, bool> {
        self.books.sent(tenant, number, at)
    }
    fn keep_call<'a>(&'a self, tenant: &'a TenantId, call: &'a CallRecord) -> Answer<'a, ()> {
        self.books.keep_call(tenant, call)
    }
    fn calls<'a>(&'a self, tenant: &'a TenantId, limit: usize) -> Answer<'a, Vec<CallRecord>> {
        self.books.calls(tenant, limit)
    }
    fn ping(&self) -> Answer<'_, ()> {
        self.books.ping()
    }
}

#[test]
fn a_request_that_the_books_cannot_take_reaches_the_staff_later() {
    let store = Arc::new(Fragile::default());
    store.broken.store(true, Ordering::Relaxed);
    let desk = Desk::new(
        Arc::new(Shop::example()),
        Arc::clone(&store) as Arc<dyn Store>,
        TenantId::new("rossi"),
        Language::Italian,
    );
    for _ in 0..2 {
        let refused = run(&desk, "find_slots", json!({"service": "freni"}));
        assert_eq!((&refused["ok"], &refused["error"]), (&json!(false), &json!("unavailable")));
        assert!(refused["say"].as_str().expect("words").starts_with("Mi scusi"));
    }
    assert_eq!(desk.waiting(), 1, "the same request waits once");
    // However many come, what waits is bounded.
    for minute in 0..200 {
        run(&desk, "take_message", json!({"text": format!("messaggio {minute}")}));
    }
    assert_eq!(desk.waiting(), 50);
    store.broken.store(false, Ordering::Relaxed);
    for _ in 0..13 {
        assert_eq!(run(&desk, "find_slots", json!({"service": "freni"}))["ok"], true);
    }
    assert_eq!(desk.waiting(), 0);
    let kept = store.books.messages(desk.tenant(), 100).now_or_never().expect("ready").expect("memory");
    assert_eq!(kept.len(), 50);
    assert!(kept[0].text.reveal().contains("messaggio 199"));
    assert_eq!(kept[0].phone, Some(Pii::new("+393471234567".into())));
}

#[test]
fn nothing_of_the_caller_is_in_what_is_printed() {
    let desk = desk(Language::Italian);
    run(&desk, "book_appointment", booking("2026-04-14T09:00", "AB123CD"));
    let run = ToolRun {
        id: String::new(),
        name: "book_appointment".into(),
        arguments: booking("2026-04-14T09:00", "AB123CD").to_string(),
        caller: Some(Pii::new("+393471234567".into())),
        call: "call".into(),
        now: monday(),
    };
    let printed = format!("{desk:?} {run:?}");
    for secret in ["AB123CD", "3471234567", "Mario"] {
        assert!(!printed.contains(secret), "{secret}");
    }
}
