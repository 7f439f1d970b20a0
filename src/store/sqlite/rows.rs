//! Questions of one statement, and rows read into values. Every statement names the tenant.

use jiff::{Timestamp, civil::DateTime};
use sqlx::{Row, SqlitePool, sqlite::SqliteRow};
use uuid::Uuid;

use super::fault::File;
use crate::{
    booking::{
        Appointment, Confirmation, Message, Note, OutboxEntry, OutboxKind, Query, Status, Taken, TenantId, words::fold,
    },
    privacy::Pii,
    store::{CallRecord, StoreError},
};

pub(super) async fn find(
    pool: &SqlitePool,
    file: &File,
    tenant: &TenantId,
    query: &Query,
) -> Result<Vec<Appointment>, StoreError> {
    let rows = sqlx::query(
        "select * from appointments
         where tenant = ?1 and ends_at > ?2 and starts_at < ?3
           and (?4 is null or id = ?4) and (?5 is null or plate = ?5) and (?6 is null or phone = ?6)
           and (?7 is null or name_folded = ?7) and (?8 or status = 'booked')
         order by starts_at, id limit ?9",
    )
    .bind(tenant.as_str())
    .bind(query.from.map_or(i64::MIN, Timestamp::as_second))
    .bind(query.until.map_or(i64::MAX, Timestamp::as_second))
    .bind(query.id.map(|id| id.to_string()))
    .bind(query.plate.as_ref().map(Pii::reveal))
    .bind(query.phone.as_ref().map(Pii::reveal))
    .bind(query.name.as_ref().map(|name| fold(name.reveal())))
    .bind(query.cancelled)
    .bind(limited(query.limit))
    .fetch_all(pool)
    .await
    .map_err(|error| file.using(&error))?;
    rows.iter().map(|row| appointment(row, file)).collect()
}

pub(super) async fn taken(
    pool: &SqlitePool,
    file: &File,
    tenant: &TenantId,
    from: Timestamp,
    until: Timestamp,
) -> Result<Vec<Taken>, StoreError> {
    let rows = sqlx::query(
        "select starts_at, ends_at, bay, technician from appointments
         where tenant = ?1 and ends_at > ?2 and starts_at < ?3 and status = 'booked' order by starts_at, id",
    )
    .bind(tenant.as_str())
    .bind(from.as_second())
    .bind(until.as_second())
    .fetch_all(pool)
    .await
    .map_err(|error| file.using(&error))?;
    let read = Reader { file, table: "appointments" };
    rows.iter()
        .map(|row| {
            Ok(Taken {
                start: read.time(row, "starts_at")?,
                end: read.time(row, "ends_at")?,
                bay: read.get(row, "bay")?,
                technician: read.get(row, "technician")?,
            })
        })
        .collect()
}

pub(super) async fn take_message(
    pool: &SqlitePool,
    file: &File,
    tenant: &TenantId,
    note: &Note,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "insert into messages (tenant, number, key, left_at, name, phone, body)
         values (?1, (select coalesce(max(number), 0) + 1 from messages where tenant = ?1), ?2, ?3, ?4, ?5, ?6)
         on conflict (tenant, key) do nothing",
    )
    .bind(tenant.as_str())
    .bind(note.key.as_str())
    .bind(note.at.as_second())
    .bind(note.name.as_ref().map(Pii::reveal))
    .bind(note.phone.as_ref().map(Pii::reveal))
    .bind(note.text.reveal())
    .execute(pool)
    .await
    .map_err(|error| file.using(&error))?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn messages(
    pool: &SqlitePool,
    file: &File,
    tenant: &TenantId,
    limit: usize,
) -> Result<Vec<Message>, StoreError> {
    let rows = sqlx::query("select * from messages where tenant = ?1 order by number desc limit ?2")
        .bind(tenant.as_str())
        .bind(limited(limit))
        .fetch_all(pool)
        .await
        .map_err(|error| file.using(&error))?;
    let read = Reader { file, table: "messages" };
    rows.iter()
        .map(|row| {
            Ok(Message {
                number: read.get(row, "number")?,
                at: read.time(row, "left_at")?,
                name: read.pii(row, "name")?,
                phone: read.pii(row, "phone")?,
                text: Pii::new(read.get(row, "body")?),
            })
        })
        .collect()
}

pub(super) async fn outbox(
    pool: &SqlitePool,
    file: &File,
    tenant: &TenantId,
    limit: usize,
) -> Result<Vec<OutboxEntry>, StoreError> {
    let rows = sqlx::query("select * from outbox where tenant = ?1 and sent_at is null order by number limit ?2")
        .bind(tenant.as_str())
        .bind(limited(limit))
        .fetch_all(pool)
        .await
        .map_err(|error| file.using(&error))?;
    let read = Reader { file, table: "outbox" };
    rows.iter()
        .map(|row| {
            let kind: String = read.get(row, "kind")?;
            Ok(OutboxEntry {
                number: read.get(row, "number")?,
                kind: [OutboxKind::Booked, OutboxKind::Moved, OutboxKind::Cancelled]
                    .into_iter()
                    .find(|known| known.as_str() == kind)
                    .ok_or_else(|| file.unreadable("outbox", "kind"))?,
                appointment: read.id(row, "appointment")?,
                confirmation: Confirmation { to: read.pii(row, "recipient")?, text: Pii::new(read.get(row, "body")?) },
                written: read.time(row, "written_at")?,
                sent: read.time_if(row, "sent_at")?,
            })
        })
        .collect()
}

pub(super) async fn sent(
    pool: &SqlitePool,
    file: &File,
    tenant: &TenantId,
    number: i64,
    at: Timestamp,
) -> Result<bool, StoreError> {
    sqlx::query("update outbox set sent_at = ?3 where tenant = ?1 and number = ?2 and sent_at is null")
        .bind(tenant.as_str())
        .bind(number)
        .bind(at.as_second())
        .execute(pool)
        .await
        .map(|done| done.rows_affected() == 1)
        .map_err(|error| file.using(&error))
}

pub(super) async fn keep_call(
    pool: &SqlitePool,
    file: &File,
    tenant: &TenantId,
    call: &CallRecord,
) -> Result<(), StoreError> {
    sqlx::query(
        "insert into calls (tenant, id, caller, started_at, ended_at, ending, report)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         on conflict (tenant, id) do update set caller = excluded.caller, started_at = excluded.started_at,
             ended_at = excluded.ended_at, ending = excluded.ending, report = excluded.report",
    )
    .bind(tenant.as_str())
    .bind(&call.id)
    .bind(call.caller.as_ref().map(Pii::reveal))
    .bind(call.started.as_second())
    .bind(call.ended.map(Timestamp::as_second))
    .bind(&call.ending)
    .bind(&call.report)
    .execute(pool)
    .await
    .map(drop)
    .map_err(|error| file.using(&error))
}

pub(super) async fn calls(
    pool: &SqlitePool,
    file: &File,
    tenant: &TenantId,
    limit: usize,
) -> Result<Vec<CallRecord>, StoreError> {
    let rows = sqlx::query("select * from calls where tenant = ?1 order by started_at desc, id desc limit ?2")
        .bind(tenant.as_str())
        .bind(limited(limit))
        .fetch_all(pool)
        .await
        .map_err(|error| file.using(&error))?;
    let read = Reader { file, table: "calls" };
    rows.iter()
        .map(|row| {
            Ok(CallRecord {
                id: read.get(row, "id")?,
                caller: read.pii(row, "caller")?,
                started: read.time(row, "started_at")?,
                ended: read.time_if(row, "ended_at")?,
                ending: read.get(row, "ending")?,
                report: read.get(row, "report")?,
            })
        })
        .collect()
}

/// A row of `appointments`, every column of it.
pub(super) fn appointment(row: &SqliteRow, file: &File) -> Result<Appointment, StoreError> {
    let read = Reader { file, table: "appointments" };
    let local: String = read.get(row, "local_start")?;
    let status: String = read.get(row, "status")?;
    Ok(Appointment {
        id: read.id(row, "id")?,
        service: read.get(row, "service")?,
        local: local.parse::<DateTime>().map_err(|_| file.unreadable("appointments", "local_start"))?,
        start: read.time(row, "starts_at")?,
        end: read.time(row, "ends_at")?,
        bay: read.get(row, "bay")?,
        technician: read.get(row, "technician")?,
        name: Pii::new(read.get(row, "name")?),
        plate: Pii::new(read.get(row, "plate")?),
        phone: read.pii(row, "phone")?,
        notes: read.pii(row, "notes")?,
        status: [Status::Booked, Status::Cancelled]
            .into_iter()
            .find(|known| known.as_str() == status)
            .ok_or_else(|| file.unreadable("appointments", "status"))?,
    })
}

/// Reads columns of one table; what is wrong is named by its column, never by its value.
pub(super) struct Reader<'a> {
    pub(super) file: &'a File,
    pub(super) table: &'static str,
}

impl Reader<'_> {
    pub(super) fn get<'r, T>(&self, row: &'r SqliteRow, column: &'static str) -> Result<T, StoreError>
    where
        T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
    {
        row.try_get(column).map_err(|_| self.file.unreadable(self.table, column))
    }

    fn pii(&self, row: &SqliteRow, column: &'static str) -> Result<Option<Pii<String>>, StoreError> {
        Ok(self.get::<Option<String>>(row, column)?.map(Pii::new))
    }

    fn id(&self, row: &SqliteRow, column: &'static str) -> Result<Uuid, StoreError> {
        let text: String = self.get(row, column)?;
        Uuid::try_parse(&text).map_err(|_| self.file.unreadable(self.table, column))
    }

    pub(super) fn time(&self, row: &SqliteRow, column: &'static str) -> Result<Timestamp, StoreError> {
        Timestamp::from_second(self.get(row, column)?).map_err(|_| self.file.unreadable(self.table, column))
    }

    /// A time that is kept in milliseconds.
    pub(super) fn time_ms(&self, row: &SqliteRow, column: &'static str) -> Result<Timestamp, StoreError> {
        Timestamp::from_millisecond(self.get(row, column)?).map_err(|_| self.file.unreadable(self.table, column))
    }

    fn time_if(&self, row: &SqliteRow, column: &'static str) -> Result<Option<Timestamp>, StoreError> {
        let second: Option<i64> = self.get(row, column)?;
        second
            .map(|second| Timestamp::from_second(second).map_err(|_| self.file.unreadable(self.table, column)))
            .transpose()
    }
}

pub(super) fn limited(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
