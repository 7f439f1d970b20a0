//! The store of a shop: one SQLite file, which may hold several tenants.
//!
//! Write-ahead log with full synchronisation: when a write answers, it is on the disk. One connection writes, in
//! immediate transactions, so that writers queue in here and not at the file's lock; a few others read. A dropped future
//! rolls its transaction back.

mod books;
mod documents;
mod fault;
mod reports;
mod rows;

use std::{path::Path, time::Duration};

use futures_util::FutureExt;
use jiff::Timestamp;
use sqlx::{
    ConnectOptions, SqlitePool,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::time::{Instant, sleep};

use self::fault::File;
use super::{Answer, CallRecord, Change, Document, DocumentKind, Documents, Owed, Owing, Reports, Store, StoreError};
use crate::booking::{
    Appointment, Cancel, Kept, Key, Message, Move, Note, Order, OutboxEntry, Query, Refusal, Taken, TenantId,
};

/// How long a statement waits for another process to let go of the file; then it is `Locked`.
const BUSY_WAIT: Duration = Duration::from_secs(3);
/// Between two attempts to open a file that is being opened elsewhere.
const BUSY_PAUSE: Duration = Duration::from_millis(20);
/// How long a task waits for its turn to write or read; then it is `Locked`.
const QUEUE_WAIT: Duration = Duration::from_secs(10);
/// How long the record of a call that has ended waits for its turn; a thousand may end in the same second.
const RECORD_WAIT: Duration = Duration::from_secs(60);
/// What each connection keeps of the file, in (negative) KiB: a shop's open week is a few dozen pages. The file itself is
/// in the system's memory, which gives way when somebody else needs it; SQLite's own 2 MiB a connection does not.
const PAGES_KEPT: &str = "-256";
/// Connections that read.
const READERS: u32 = 3;

/// The tables, in the order in which they came to be.
static MIGRATIONS: Migrator = sqlx::migrate!("src/store/migrations");

/// Books in a SQLite file.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    /// The one connection that writes.
    writer: SqlitePool,
    /// The connections that read; they see what is committed.
    readers: SqlitePool,
    /// The file's name, for errors.
    file: File,
}

impl SqliteStore {
    /// Opens the file, creating it where it is missing (its folder must exist), checks it, and brings its tables up to
    /// date.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        // SQLite refuses at once, without the busy timeout, where a wait could end in a deadlock: two processes that
        // both turn a new file to write-ahead logging, and the first reader of a log (sqlite.org/wal.html, section 2.1).
        // One of the two has what it needs a moment later, so asking again is enough.
        patiently(BUSY_WAIT, || Self::open_once(path.as_ref())).await
    }

    async fn open_once(path: &Path) -> Result<Self, StoreError> {
        let file = File::new(path);
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_WAIT)
            .foreign_keys(true)
            .pragma("cache_size", PAGES_KEPT)
            // What is erased or replaced is overwritten in the file: people were told that it is gone.
            .pragma("secure_delete", "on")
            .disable_statement_logging();
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(QUEUE_WAIT)
            .connect_with(options.clone())
            .await
            .map_err(|error| file.opening(&error))?;
        let check: String = sqlx::query_scalar("pragma quick_check(1)")
            .fetch_one(&writer)
            .await
            .map_err(|error| file.opening(&error))?;
        if check != "ok" {
            return Err(StoreError::Damaged { file: file.name(), why: check });
        }
        // In one immediate transaction: another process that opens the file now waits, and then finds the tables.
        let mut migrating = writer.begin_with("begin immediate").await.map_err(|error| file.opening(&error))?;
        // `run` asks of its connection what the compiler cannot prove of a borrowed one; this is what it calls.
        MIGRATIONS.run_direct(None, &mut *migrating, false).await.map_err(|error| file.migrating(&error))?;
        migrating.commit().await.map_err(|error| file.opening(&error))?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .min_connections(0)
            .acquire_timeout(QUEUE_WAIT)
            .connect_lazy_with(options.create_if_missing(false));
        Ok(Self { writer, readers, file })
    }

    /// Closes the file after what is being written; afterwards every question fails.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Asks again while the file is locked, for so long.
async fn patiently<T, F>(wait: Duration, mut attempt: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let until = Instant::now() + wait;
    loop {
        match attempt().await {
            Err(StoreError::Locked { .. }) if Instant::now() < until => sleep(BUSY_PAUSE).await,
            answer => return answer,
        }
    }
}

impl Store for SqliteStore {
    fn book<'a>(&'a self, tenant: &'a TenantId, order: &'a Order) -> Answer<'a, Result<Kept, Refusal>> {
        books::book(&self.writer, &self.file, tenant, order).boxed()
    }

    fn move_to<'a>(&'a self, tenant: &'a TenantId, wish: &'a Move) -> Answer<'a, Result<Kept, Refusal>> {
        books::move_to(&self.writer, &self.file, tenant, wish).boxed()
    }

    fn cancel<'a>(&'a self, tenant: &'a TenantId, wish: &'a Cancel) -> Answer<'a, Result<Kept, Refusal>> {
        books::cancel(&self.writer, &self.file, tenant, wish).boxed()
    }

    fn settled<'a>(&'a self, tenant: &'a TenantId, key: &'a Key) -> Answer<'a, Option<Appointment>> {
        async move {
            let mut reader = self.readers.acquire().await.map_err(|error| self.file.using(&error))?;
            books::settled(&mut reader, &self.file, tenant, key).await
        }
        .boxed()
    }

    fn find<'a>(&'a self, tenant: &'a TenantId, query: &'a Query) -> Answer<'a, Vec<Appointment>> {
        rows::find(&self.readers, &self.file, tenant, query).boxed()
    }

    fn taken<'a>(&'a self, tenant: &'a TenantId, from: Timestamp, until: Timestamp) -> Answer<'a, Vec<Taken>> {
        rows::taken(&self.readers, &self.file, tenant, from, until).boxed()
    }

    fn take_message<'a>(&'a self, tenant: &'a TenantId, note: &'a Note) -> Answer<'a, bool> {
        rows::take_message(&self.writer, &self.file, tenant, note).boxed()
    }

    fn messages<'a>(&'a self, tenant: &'a TenantId, limit: usize) -> Answer<'a, Vec<Message>> {
        rows::messages(&self.readers, &self.file, tenant, limit).boxed()
    }

    fn outbox<'a>(&'a self, tenant: &'a TenantId, limit: usize) -> Answer<'a, Vec<OutboxEntry>> {
        rows::outbox(&self.readers, &self.file, tenant, limit).boxed()
    }

    fn sent<'a>(&'a self, tenant: &'a TenantId, number: i64, at: Timestamp) -> Answer<'a, bool> {
        rows::sent(&self.writer, &self.file, tenant, number, at).boxed()
    }

    fn keep_call<'a>(&'a self, tenant: &'a TenantId, call: &'a CallRecord) -> Answer<'a, ()> {
        // Nobody waits for the record of a call that is over, and it is the last that is heard of it. One of a call under way
        // is not insisted on: it must not come after the last one.
        let wait = if call.ended.is_some() { RECORD_WAIT } else { Duration::ZERO };
        patiently(wait, move || rows::keep_call(&self.writer, &self.file, tenant, call)).boxed()
    }

    fn calls<'a>(&'a self, tenant: &'a TenantId, limit: usize) -> Answer<'a, Vec<CallRecord>> {
        rows::calls(&self.readers, &self.file, tenant, limit).boxed()
    }

    fn ping(&self) -> Answer<'_, ()> {
        async move {
            // An immediate transaction takes the write lock: a full disk or a lock held elsewhere shows here.
            let writing = self.writer.begin_with("begin immediate").await.map_err(|error| self.file.using(&error))?;
            writing.rollback().await.map_err(|error| self.file.using(&error))
        }
        .boxed()
    }
}

impl Reports for SqliteStore {
    fn owe<'a>(&'a self, tenant: &'a TenantId, report: &'a Owed) -> Answer<'a, Owing> {
        // Many calls may end in the same second, and it is the last that is heard of them.
        patiently(RECORD_WAIT, move || reports::owe(&self.writer, &self.file, tenant, report)).boxed()
    }

    fn owed<'a>(&'a self, tenant: &'a TenantId, limit: usize) -> Answer<'a, Vec<Owed>> {
        reports::owed(&self.readers, &self.file, tenant, limit).boxed()
    }

    fn claim<'a>(&'a self, tenant: &'a TenantId, call: &'a str, attempt: u32, next: Timestamp) -> Answer<'a, bool> {
        reports::claim(&self.writer, &self.file, tenant, call, attempt, next).boxed()
    }

    fn settle<'a>(&'a self, tenant: &'a TenantId, call: &'a str, at: Timestamp) -> Answer<'a, bool> {
        patiently(RECORD_WAIT, move || reports::settle(&self.writer, &self.file, tenant, call, at)).boxed()
    }
}

impl Documents for SqliteStore {
    fn change<'a>(&'a self, tenant: &'a TenantId, changes: &'a [Change]) -> Answer<'a, ()> {
        documents::change(&self.writer, &self.file, tenant, changes).boxed()
    }

    fn documents<'a>(&'a self, tenant: &'a TenantId, kind: DocumentKind, limit: usize) -> Answer<'a, Vec<Document>> {
        documents::documents(&self.readers, &self.file, tenant, kind, limit).boxed()
    }

    fn erase_before<'a>(&'a self, tenant: &'a TenantId, kind: DocumentKind, created: Timestamp) -> Answer<'a, u64> {
        documents::erase_before(&self.writer, &self.file, tenant, kind, created).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_commit_is_on_the_disk_when_it_answers() {
        let path = std::env::temp_dir().join(format!("pronto-pragmas-{}.db", std::process::id()));
        let store = SqliteStore::open(&path).await.expect("a new file");
        for pool in [&store.writer, &store.readers] {
            let journal: String = sqlx::query_scalar("pragma journal_mode").fetch_one(pool).await.expect("a pragma");
            let synchronous: i64 = sqlx::query_scalar("pragma synchronous").fetch_one(pool).await.expect("a pragma");
            let foreign_keys: bool = sqlx::query_scalar("pragma foreign_keys").fetch_one(pool).await.expect("a pragma");
            assert_eq!((journal.as_str(), synchronous, foreign_keys), ("wal", 2, true));
        }
        store.close().await;
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", path.display()));
        }
    }
}
