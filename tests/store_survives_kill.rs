//! A process is killed after a booking was committed and before anybody was told. After the restart the booking is there
//! once, and the same wish finds it.
//!
//! The test runs itself again as the process that is killed: the two functions that do nothing without
//! `PRONTO_KILLED_BOOKS` are those processes.
#![cfg(feature = "sqlite")]

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use jiff::Timestamp;
use pronto::{
    booking::{Query, Shop, TenantId},
    language::Language,
    store::{SqliteStore, Store},
    tenant::{Desk, ToolRun},
};
use serde_json::{Value, json};

const BOOKS: &str = "PRONTO_KILLED_BOOKS";

async fn desk(path: &Path) -> (Desk, Arc<SqliteStore>) {
    let store = Arc::new(SqliteStore::open(path).await.expect("the file can be opened"));
    let desk = Desk::new(
        Arc::new(Shop::example()),
        Arc::clone(&store) as Arc<dyn Store>,
        TenantId::new("rossi"),
        Language::Italian,
    );
    (desk, store)
}

async fn book(desk: &Desk, call: &str, start: &str, plate: &str) -> Value {
    let run = ToolRun {
        id: String::new(),
        name: "book_appointment".into(),
        arguments: json!({"service": "diagnosi", "start": start, "name": "Mario Rossi", "plate": plate}).to_string(),
        caller: None,
        call: call.into(),
        now: "2026-04-13T10:00[Europe/Rome]".parse().expect("a Monday"),
    };
    serde_json::from_str(&desk.run(run).await.content).expect("JSON")
}

/// Starts one of the processes below.
fn start(process: &str, books: &Path) -> Child {
    Command::new(std::env::current_exe().expect("a test has a file"))
        .args(["--exact", process, "--nocapture", "--test-threads=1"])
        .env(BOOKS, books)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a test can be run again")
}

/// What the process says after a word of ours, line by line.
fn said(process: &mut Child) -> impl Iterator<Item = String> + use<> {
    let lines = BufReader::new(process.stdout.take().expect("piped")).lines();
    lines.map_while(Result::ok).filter_map(|line| line.split_once("booked ").map(|(_, rest)| rest.to_string()))
}

fn books_given() -> Option<PathBuf> {
    std::env::var_os(BOOKS).map(PathBuf::from)
}

fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\nbooked {text}").and_then(|()| out.flush()).expect("the parent listens");
}

fn fresh(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("pronto-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder for temporary files");
    folder.join("books.db")
}

/// Books once, then waits to be killed with the answer in its hands.
#[tokio::test]
async fn process_that_books_and_waits() {
    let Some(path) = books_given() else { return };
    let (desk, _store) = desk(&path).await;
    let answer = book(&desk, "first call", "2026-04-14T09:00", "AB123CD").await;
    say(answer["id"].as_str().expect("it was free"));
    std::future::pending::<()>().await;
}

/// Books as fast as it can, and says each one once it has its answer.
#[tokio::test]
async fn process_that_books_and_books() {
    let Some(path) = books_given() else { return };
    let (desk, _store) = desk(&path).await;
    for number in 0..100_000_u32 {
        let (day, half_hour) = (14 + number / 6 % 4, number % 6);
        let start = format!("2026-04-{day}T{:02}:{:02}", 9 + half_hour / 2, half_hour % 2 * 30);
        let plate = format!("AB{:03}CD", number % 900);
        let answer = book(&desk, "a call", &start, &plate).await;
        if answer["ok"] == true {
            say(&format!("{} {start} {plate}", answer["id"].as_str().expect("an id")));
        } else {
            // Full: make room, which is a write too.
            let cancel = ToolRun {
                id: String::new(),
                name: "cancel_appointment".into(),
                arguments: json!({"plate": format!("AB{:03}CD", (number + 450) % 900)}).to_string(),
                caller: None,
                call: "a call".into(),
                now: "2026-04-13T10:00[Europe/Rome]".parse().expect("a Monday"),
            };
            desk.run(cancel).await;
        }
    }
}

#[tokio::test]
async fn a_booking_that_was_committed_survives_and_is_found_by_its_key() {
    if books_given().is_some() {
        return;
    }
    let path = fresh("killed");
    let mut process = start("process_that_books_and_waits", &path);
    let id = said(&mut process).next().expect("it books");
    // SIGKILL: no destructor, no flush, no goodbye.
    process.kill().expect("it is ours");
    process.wait().expect("it is ours");

    let (desk, store) = desk(&path).await;
    let again = book(&desk, "another call", "2026-04-14T09:00", "AB123CD").await;
    assert_eq!((again["ok"].clone(), again["id"].as_str()), (json!(true), Some(id.as_str())));
    let all = Query { limit: 100, cancelled: true, ..Query::default() };
    assert_eq!(store.find(desk.tenant(), &all).await.expect("readable").len(), 1);
    assert_eq!(store.outbox(desk.tenant(), 10).await.expect("readable").len(), 1, "its confirmation too, once");
    store.close().await;
    std::fs::remove_dir_all(path.parent().expect("a folder")).expect("ours");
}

#[tokio::test]
async fn whatever_was_told_is_there_whenever_the_process_is_killed() {
    if books_given().is_some() {
        return;
    }
    let path = fresh("killed-amid");
    for round in 0..4 {
        let mut process = start("process_that_books_and_books", &path);
        // Killed while it goes on, after another number of bookings each time.
        let told: Vec<String> = said(&mut process).take(3 + round * 2).collect();
        process.kill().expect("it is ours");
        process.wait().expect("it is ours");

        let (desk, store) = desk(&path).await;
        let kept = store
            .find(desk.tenant(), &Query { limit: 10_000, cancelled: true, ..Query::default() })
            .await
            .expect("readable");
        assert!(!told.is_empty(), "round {round}");
        for line in &told {
            let id = line.split(' ').next().expect("an id");
            assert_eq!(kept.iter().filter(|one| one.id.to_string() == id).count(), 1, "round {round}: {line}");
        }
        let mut taken = store.taken(desk.tenant(), Timestamp::MIN, Timestamp::MAX).await.expect("readable");
        taken.sort_by(|one, other| (&one.technician, one.start).cmp(&(&other.technician, other.start)));
        for two in taken.windows(2) {
            assert!(
                two[0].technician != two[1].technician || two[0].end <= two[1].start,
                "round {round}: booked twice"
            );
        }
        // Each appointment and its confirmation were one step.
        assert!(store.outbox(desk.tenant(), 100_000).await.expect("readable").len() >= kept.len());
        store.close().await;
    }
    std::fs::remove_dir_all(path.parent().expect("a folder")).expect("ours");
}
