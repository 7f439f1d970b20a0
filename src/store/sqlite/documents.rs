//! Documents, in SQLite. Every statement names the tenant.

use jiff::Timestamp;
use sqlx::{Sqlite, SqlitePool, query::Query, sqlite::SqliteArguments};

use super::{
    fault::File,
    rows::{Reader, limited},
};
use crate::{
    booking::TenantId,
    privacy::Pii,
    store::{
        StoreError,
        documents::{Change, Document, DocumentKind},
    },
};

pub(super) async fn change(
    pool: &SqlitePool,
    file: &File,
    tenant: &TenantId,
    changes: &[Change],
) -> Result<(), StoreError> {
    let failed = |error: sqlx::Error| file.using(&error);
    let mut writing = pool.begin_with("begin immediate").await.map_err(failed)?;
    for change in changes {
        statement(tenant, change).execute(&mut *writing).await.map_err(failed)?;
    }
    writing.commit().await.map_err(failed)
}

fn statement<'q>(tenant: &'q TenantId, change: &'q Change) -> Query<'q, Sqlite, SqliteArguments> {
    match change {
        Change::Put(document) => sqlx::query(
            "insert into documents (tenant, kind, id, body, created_ms, updated_ms) values (?1, ?2, ?3, ?4, ?5, ?6)
             on conflict (tenant, kind, id) do update set body = excluded.body, created_ms = excluded.created_ms,
                 updated_ms = excluded.updated_ms",
        )
        .bind(tenant.as_str())
        .bind(document.kind.as_str())
        .bind(&document.id)
        .bind(document.body.reveal())
        .bind(document.created.as_millisecond())
        .bind(document.updated.as_millisecond()),
        Change::Erase(kind, id) => sqlx::query("delete from documents where tenant = ?1 and kind = ?2 and id = ?3")
            .bind(tenant.as_str())
            .bind(kind.as_str())
            .bind(id),
    }
}

pub(super) async fn documents(
    pool: &SqlitePool,
    file: &File,
    tenant: &TenantId,
    kind: DocumentKind,
    limit: usize,
) -> Result<Vec<Document>, StoreError> {
    let rows = sqlx::query(
        "select * from documents where tenant = ?1 and kind = ?2 order by created_ms desc, id desc limit ?3",
    )
    .bind(tenant.as_str())
    .bind(kind.as_str())
    .bind(limited(limit))
    .fetch_all(pool)
    .await
    .map_err(|error| file.using(&error))?;
    let read = Reader { file, table: "documents" };
    rows.iter()
        .rev()
        .map(|row| {
            Ok(Document {
                kind,
                id: read.get(row, "id")?,
                body: Pii::new(read.get(row, "body")?),
                created: read.time_ms(row, "created_ms")?,
                updated: read.time_ms(row, "updated_ms")?,
            })
        })
        .collect()
}

pub(super) async fn erase_before(
    pool: &SqlitePool,
    file: &File,
    tenant: &TenantId,
    kind: DocumentKind,
    created: Timestamp,
) -> Result<u64, StoreError> {
    sqlx::query("delete from documents where tenant = ?1 and kind = ?2 and created_ms < ?3")
        .bind(tenant.as_str())
        .bind(kind.as_str())
        .bind(created.as_millisecond())
        .execute(pool)
        .await
        .map(|done| done.rows_affected())
        .map_err(|error| file.using(&error))
}
