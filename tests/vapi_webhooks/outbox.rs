//! The report of a call is owed until its server has it: also by the process after this one.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use futures_util::{FutureExt, future::pending};
use jiff::{SignedDuration, Timestamp};
use pronto::{
    booking,
    store::{Answer, MemoryStore, Owed, Owing, REPORTS_MAX, Reports, SqliteStore},
    tenant::{Directory, Tenant},
    transport::vapi::EndedReason,
    vapi::{
        call::{Artifact, Status},
        server_message::Report,
        webhooks::deliver,
    },
};
use tokio::sync::Semaphore;

use super::{at, customer, here, server::Server, status, vapi_shop::wait};

/// A store for which the second attempt is due at once, and that tells what is done with.
#[derive(Debug)]
struct Hurried {
    store: Arc<dyn Reports>,
    settled: Semaphore,
}

impl Hurried {
    fn new(store: impl Reports + 'static) -> Arc<Self> {
        Self::of(Arc::new(store))
    }

    fn of(store: Arc<dyn Reports>) -> Arc<Self> {
        Arc::new(Self { store, settled: Semaphore::new(0) })
    }
}

impl Reports for Hurried {
    fn owe<'a>(&'a self, tenant: &'a booking::TenantId, report: &'a Owed) -> Answer<'a, Owing> {
        self.store.owe(tenant, report)
    }
    fn owed<'a>(&'a self, tenant: &'a booking::TenantId, limit: usize) -> Answer<'a, Vec<Owed>> {
        let owed = self.store.owed(tenant, limit);
        async move {
            let mut owed = owed.await?;
            // The attempt after the call's own; what comes after that waits as it would.
            owed.iter_mut().filter(|owed| owed.attempts == 1).for_each(|owed| owed.next = Timestamp::UNIX_EPOCH);
            owed.sort_by_key(|owed| owed.next);
            Ok(owed)
        }
        .boxed()
    }
    fn claim<'a>(
        &'a self,
        tenant: &'a booking::TenantId,
        call: &'a str,
        attempt: u32,
        next: Timestamp,
    ) -> Answer<'a, bool> {
        self.store.claim(tenant, call, attempt, next)
    }
    fn settle<'a>(&'a self, tenant: &'a booking::TenantId, call: &'a str, at: Timestamp) -> Answer<'a, bool> {
        let settled = self.store.settle(tenant, call, at);
        async move {
            let answer = settled.await;
            self.settled.add_permits(1);
            answer
        }
        .boxed()
    }
}

fn owing(store: Arc<dyn Reports>) -> Arc<Tenant> {
    let tenant = Arc::into_inner(super::tenant(here())).unwrap();
    Arc::new(tenant.owing(store))
}

fn rossi() -> booking::TenantId {
    booking::TenantId::new("rossi")
}

fn artifact() -> Artifact {
    Artifact { transcript: Some("AI: arrivederci\n".into()), ..Artifact::default() }
}

async fn report(tenant: &Arc<Tenant>, server: &Server) {
    let (customer, artifact) = (customer(tenant, Some(at(server))), artifact());
    customer.tell(&status(Status::Ended));
    customer.report(Report::new(EndedReason::CustomerEnded, None, None, &artifact)).await;
}

fn worker(tenant: &Arc<Tenant>) -> tokio::task::JoinHandle<()> {
    let directory = Arc::new(Directory::new());
    directory.put(Arc::clone(tenant));
    tokio::spawn(deliver(directory, tenant.id().clone(), pending()))
}

#[tokio::test]
async fn a_report_is_kept_before_it_is_sent_and_forgotten_when_it_was_taken() {
    let (kept, seen) = (Arc::new(MemoryStore::new()), Arc::new(Mutex::new(0)));
    let (looked, count) = (Arc::clone(&kept), Arc::clone(&seen));
    let server = Server::start(move |_, got| {
        let (looked, count, report) = (Arc::clone(&looked), Arc::clone(&count), got.kind() == "end-of-call-report");
        Box::pin(async move {
            if report {
                *count.lock().unwrap() = looked.owed(&rossi(), 9).await.unwrap().len();
            }
            (200, "", "{}".into())
        })
    })
    .await;
    let store = Hurried::of(kept);
    let tenant = owing(Arc::clone(&store) as Arc<dyn Reports>);
    report(&tenant, &server).await;
    wait("the end of the matter", &store.settled, 1).await;
    assert_eq!(*seen.lock().unwrap(), 1, "it was owed when it came");
    assert_eq!(server.kinds(), ["status-update", "end-of-call-report"]);
    assert!(store.owed(&rossi(), 9).await.unwrap().is_empty());
    report(&tenant, &server).await;
    wait("another status", &server.came, 3).await;
    assert_eq!(server.kinds().iter().filter(|kind| *kind == "end-of-call-report").count(), 1, "one for each call");
}

#[tokio::test]
async fn a_server_that_was_down_gets_its_report_from_the_next_process() {
    let file = std::env::temp_dir().join(format!("pronto-reports-{}.sqlite", std::process::id()));
    let up = Arc::new(AtomicBool::new(false));
    let works = Arc::clone(&up);
    let server = Server::start(move |_, _| {
        let status = if works.load(Ordering::SeqCst) { 200 } else { 503 };
        Box::pin(async move { (status, "", String::new()) })
    })
    .await;
    let store = SqliteStore::open(&file).await.unwrap();
    let tenant = owing(Arc::new(store.clone()));
    report(&tenant, &server).await;
    wait("the status and the first attempt", &server.came, 2).await;
    tenant.written().await;
    drop(tenant);
    store.close().await;

    up.store(true, Ordering::SeqCst);
    let store = SqliteStore::open(&file).await.unwrap();
    let hurried = Hurried::new(store.clone());
    let tenant = owing(Arc::clone(&hurried) as Arc<dyn Reports>);
    let workers = [worker(&tenant), worker(&tenant)];
    wait("the end of the matter", &hurried.settled, 1).await;
    assert_eq!(
        server.kinds(),
        ["status-update", "end-of-call-report", "end-of-call-report"],
        "once, whoever else tries"
    );
    let bodies: Vec<_> = server.got().into_iter().map(|got| got.body).collect();
    assert_eq!(bodies[1], bodies[2]);
    assert!(hurried.owed(&rossi(), 9).await.unwrap().is_empty());
    workers.iter().for_each(tokio::task::JoinHandle::abort);
    store.close().await;
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", file.display()));
    }
}

#[tokio::test]
async fn a_report_that_is_too_old_is_given_up() {
    let server = Server::saying(200, "{}").await;
    let hurried = Hurried::new(MemoryStore::new());
    let written = Timestamp::now() - SignedDuration::from_hours(73);
    let old = owed("c", written, &format!("{{\"url\":\"{}\"}}", server.url));
    assert_eq!(hurried.owe(&rossi(), &old).await, Ok(Owing::New));
    let worker = worker(&owing(Arc::clone(&hurried) as Arc<dyn Reports>));
    wait("the end of the matter", &hurried.settled, 1).await;
    assert_eq!(server.got().len(), 0);
    worker.abort();
}

#[tokio::test]
async fn a_worker_ends_with_its_tenant_or_when_it_is_told() {
    let tenant = owing(Arc::new(MemoryStore::new()));
    deliver(Arc::new(Directory::new()), tenant.id().clone(), pending()).await;
    let directory = Arc::new(Directory::new());
    directory.put(Arc::clone(&tenant));
    deliver(directory, tenant.id().clone(), async {}).await;
}

fn owed(call: &str, written: Timestamp, server: &str) -> Owed {
    let (server, body) = (server.to_owned().into(), "{}".to_owned().into());
    Owed { call: call.into(), server, body, written, next: written, attempts: 0 }
}

/// Both stores keep reports alike.
#[tokio::test]
async fn what_is_owed_is_owed_once_and_each_attempt_is_somebodys() {
    let file = std::env::temp_dir().join(format!("pronto-owed-{}.sqlite", std::process::id()));
    let sqlite = SqliteStore::open(&file).await.unwrap();
    for store in [&MemoryStore::new() as &dyn Reports, &sqlite] {
        let (rossi, bianchi) = (rossi(), booking::TenantId::new("bianchi"));
        let at = |second: i64| Timestamp::from_second(1_000_000_000 + second).unwrap();
        for (call, second, owing) in [("b", 2, Owing::New), ("a", 1, Owing::New), ("b", 3, Owing::Known)] {
            assert_eq!(store.owe(&rossi, &owed(call, at(second), "{}")).await, Ok(owing));
        }
        let calls = async |limit| -> Vec<String> {
            store.owed(&rossi, limit).await.unwrap().into_iter().map(|owed| owed.call).collect()
        };
        assert_eq!((calls(1).await, calls(9).await), (vec!["a".into()], vec!["a".into(), "b".into()]));
        assert!(store.owed(&bianchi, 9).await.unwrap().is_empty());
        let claims = [("a", 0, true), ("a", 0, false), ("a", 1, true), ("a", 1, false), ("c", 0, false)];
        for (call, attempt, ours) in claims {
            assert_eq!(store.claim(&rossi, call, attempt, at(9)).await, Ok(ours), "{call} {attempt}");
        }
        assert_eq!(store.claim(&bianchi, "b", 0, at(9)).await, Ok(false));
        assert_eq!(calls(9).await, ["b", "a"]);
        assert_eq!(
            (store.settle(&bianchi, "a", at(9)).await, store.settle(&rossi, "a", at(9)).await),
            (Ok(false), Ok(true))
        );
        assert_eq!(
            (store.settle(&rossi, "a", at(9)).await, store.claim(&rossi, "a", 2, at(9)).await),
            (Ok(false), Ok(false))
        );
        assert_eq!(store.owe(&rossi, &owed("a", at(10), "{}")).await, Ok(Owing::Known), "it was taken");
        let later = at(10) + SignedDuration::from_hours(8 * 24);
        assert_eq!(store.owe(&rossi, &owed("a", later, "{}")).await, Ok(Owing::New), "forgotten after a week");
        for number in 2..REPORTS_MAX {
            assert_eq!(store.owe(&rossi, &owed(&number.to_string(), later, "{}")).await, Ok(Owing::New));
        }
        assert_eq!(store.owe(&rossi, &owed("one more", later, "{}")).await, Ok(Owing::Full));
        assert_eq!(store.owe(&bianchi, &owed("one", later, "{}")).await, Ok(Owing::New));
    }
    sqlite.close().await;
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", file.display()));
    }
}
