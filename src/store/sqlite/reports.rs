//! Reports that are owed, in SQLite. Every statement names the tenant.

use jiff::Timestamp;
use sqlx::SqlitePool;

use super::{
    fault::File,
    rows::{Reader, limited},
};
use crate::{
    booking::TenantId,
    privacy::Pii,
    store::{
        StoreError,
        reports::{Owed, Owing, REMEMBERED, REPORTS_MAX},
    },
};

pub(super) async fn owe(pool: &SqlitePool, file: &File, tenant: &TenantId, report: &Owed) -> Result<Owing, StoreError> {
    let failed = |error: sqlx::Error| file.using(&error);
    let mut writing = pool.begin_with("begin immediate").await.map_err(failed)?;
    let forgotten = report.written.as_second().saturating_sub(REMEMBERED.as_secs());
    sqlx::query("delete from reports where tenant = ?1 and done_at < ?2")
        .bind(tenant.as_str())
        .bind(forgotten)
        .execute(&mut *writing)
        .await
        .map_err(failed)?;
    let known: bool = sqlx::query_scalar("select exists (select 1 from reports where tenant = ?1 and call = ?2)")
        .bind(tenant.as_str())
        .bind(&report.call)
        .fetch_one(&mut *writing)
        .await
        .map_err(failed)?;
    let owed: i64 = sqlx::query_scalar("select count(*) from reports where tenant = ?1 and done_at is null")
        .bind(tenant.as_str())
        .fetch_one(&mut *writing)
        .await
        .map_err(failed)?;
    if known || owed >= limited(REPORTS_MAX) {
        return Ok(if known { Owing::Known } else { Owing::Full });
    }
    sqlx::query(
        "insert into reports (tenant, call, server, body, written_at, next_at, attempts) values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )
    .bind(tenant.as_str())
    .bind(&report.call)
    .bind(report.server.reveal())
    .bind(report.body.reveal())
    .bind(report.written.as_second())
    .bind(report.next.as_second())
    .bind(report.attempts)
    .execute(&mut *writing)
    .await
    .map_err(failed)?;
    writing.commit().await.map_err(failed)?;
    Ok(Owing::New)
}

pub(super) async fn owed(
    pool: &SqlitePool,
    file: &File,
    tenant: &TenantId,
    limit: usize,
) -> Result<Vec<Owed>, StoreError> {
    let rows = sqlx::query(
        "select * from reports where tenant = ?1 and done_at is null order by next_at, written_at, call limit ?2",
    )
    .bind(tenant.as_str())
    .bind(limited(limit))
    .fetch_all(pool)
    .await
    .map_err(|error| file.using(&error))?;
    let read = Reader { file, table: "reports" };
    rows.iter()
        .map(|row| {
            Ok(Owed {
                call: read.get(row, "call")?,
                server: Pii::new(read.get(row, "server")?),
                body: Pii::new(read.get(row, "body")?),
                written: read.time(row, "written_at")?,
                next: read.time(row, "next_at")?,
                attempts: read.get(row, "attempts")?,
            })
        })
        .collect()
}

pub(super) async fn claim(
    pool: &SqlitePool,
    file: &File,
    tenant: &TenantId,
    call: &str,
    attempt: u32,
    next: Timestamp,
) -> Result<bool, StoreError> {
    sqlx::query(
        "update reports set attempts = attempts + 1, next_at = ?4
         where tenant = ?1 and call = ?2 and attempts = ?3 and done_at is null",
    )
    .bind(tenant.as_str())
    .bind(call)
    .bind(attempt)
    .bind(next.as_second())
    .execute(pool)
    .await
    .map(|done| done.rows_affected() == 1)
    .map_err(|error| file.using(&error))
}

pub(super) async fn settle(
    pool: &SqlitePool,
    file: &File,
    tenant: &TenantId,
    call: &str,
    at: Timestamp,
) -> Result<bool, StoreError> {
    sqlx::query(
        "update reports set done_at = ?3, server = '', body = '' where tenant = ?1 and call = ?2 and done_at is null",
    )
    .bind(tenant.as_str())
    .bind(call)
    .bind(at.as_second())
    .execute(pool)
    .await
    .map(|done| done.rows_affected() == 1)
    .map_err(|error| file.using(&error))
}
