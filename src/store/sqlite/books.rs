//! The writes that must be one step: an appointment, what it occupies, its key and its confirmation, in one immediate
//! transaction. The rules are those of [`Ledger`](crate::booking::Ledger), and a test runs both side by side.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sqlx::{Sqlite, SqliteConnection, SqlitePool, Transaction, query::Query, sqlite::SqliteArguments};
use uuid::Uuid;

use super::{
    fault::{File, is_taken},
    rows,
};
use crate::{
    booking::{
        Appointment, Cancel, Confirmation, Kept, Key, Move, Order, OutboxKind, Refusal, Status, TenantId,
        capacity::{Assigned, Candidates, Resource, units},
        limits::UNIT_SECONDS,
        words::fold,
    },
    privacy::Pii,
    store::StoreError,
};

/// What the books say, or what is wrong with the database.
type Answer = Result<Result<Kept, Refusal>, StoreError>;

pub(super) async fn book(pool: &SqlitePool, file: &File, tenant: &TenantId, order: &Order) -> Answer {
    let mut page = Page::open(pool, file, tenant).await?;
    let answer = page.book(order).await?;
    page.close(answer).await
}

pub(super) async fn move_to(pool: &SqlitePool, file: &File, tenant: &TenantId, wish: &Move) -> Answer {
    let mut page = Page::open(pool, file, tenant).await?;
    let answer = page.move_to(wish).await?;
    page.close(answer).await
}

pub(super) async fn cancel(pool: &SqlitePool, file: &File, tenant: &TenantId, wish: &Cancel) -> Answer {
    let mut page = Page::open(pool, file, tenant).await?;
    let answer = page.cancel(wish).await?;
    page.close(answer).await
}

/// The appointment that a key made or changed.
pub(super) async fn settled(
    connection: &mut SqliteConnection,
    file: &File,
    tenant: &TenantId,
    key: &Key,
) -> Result<Option<Appointment>, StoreError> {
    let statement = sqlx::query(
        "select a.* from keys k join appointments a on a.tenant = k.tenant and a.id = k.appointment
         where k.tenant = ?1 and k.key = ?2",
    )
    .bind(tenant.as_str())
    .bind(key.as_str());
    found(statement, connection, file).await
}

type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;

/// The appointment that a statement selects.
async fn found(
    statement: Statement<'_>,
    connection: &mut SqliteConnection,
    file: &File,
) -> Result<Option<Appointment>, StoreError> {
    let row = statement.fetch_optional(connection).await.map_err(|error| file.using(&error))?;
    row.map(|row| rows::appointment(&row, file)).transpose()
}

/// One transaction on one tenant's books. Dropped without [`close`](Self::close), it never was.
struct Page<'a> {
    /// It holds the file's only write lock.
    transaction: Transaction<'static, Sqlite>,
    /// For errors.
    file: &'a File,
    /// Whose books; every statement names it.
    tenant: &'a TenantId,
}

impl<'a> Page<'a> {
    async fn open(pool: &SqlitePool, file: &'a File, tenant: &'a TenantId) -> Result<Self, StoreError> {
        let transaction = pool.begin_with("begin immediate").await.map_err(|error| file.using(&error))?;
        Ok(Self { transaction, file, tenant })
    }

    /// Commits what was changed; rolls back what was refused, or was so already.
    async fn close(self, answer: Result<Kept, Refusal>) -> Answer {
        // Even an answer of "again" may have noted another key of the same appointment.
        let ended = match &answer {
            Ok(_) => self.transaction.commit().await,
            Err(_) => self.transaction.rollback().await,
        };
        ended.map(|()| answer).map_err(|error| self.file.using(&error))
    }

    async fn book(&mut self, order: &Order) -> Answer {
        let standing = settled(&mut self.transaction, self.file, self.tenant, &order.key).await?;
        if let Some(appointment) = standing.filter(|one| one.status == Status::Booked) {
            return Ok(Ok(Kept { appointment, again: true }));
        }
        if let Some(other) = self.of_the_car(&order.plate, order.start, order.end, None).await? {
            if other.start == order.start && other.service == order.service {
                self.note_key(&order.key, other.id).await?;
                return Ok(Ok(Kept { appointment: other, again: true }));
            }
            return Ok(Err(Refusal::CarTaken(other.local)));
        }
        if self.appointment(order.id).await?.is_some() {
            return Ok(Err(Refusal::IdTaken));
        }
        let Some(assigned) = self.assign(&order.candidates, order.start, order.end, None).await? else {
            return Ok(Err(Refusal::SlotTaken));
        };
        let appointment = order.appointment(assigned);
        self.insert(&appointment, order.asked).await?;
        if !self.occupy(&appointment).await? {
            return Ok(Err(Refusal::SlotTaken));
        }
        self.settle(&order.key, order.id, OutboxKind::Booked, &order.confirmation, order.asked).await?;
        self.let_go_of_the_past(order.asked).await?;
        Ok(Ok(Kept { appointment, again: false }))
    }

    async fn move_to(&mut self, wish: &Move) -> Answer {
        let Some(standing) = self.appointment(wish.id).await?.filter(|one| stands(one, wish.asked)) else {
            return Ok(Err(Refusal::NotFound));
        };
        if standing.start == wish.start {
            return Ok(Ok(Kept { appointment: standing, again: true }));
        }
        if let Some(other) = self.of_the_car(&standing.plate, wish.start, wish.end, Some(wish.id)).await? {
            return Ok(Err(Refusal::CarTaken(other.local)));
        }
        let Some(assigned) = self.assign(&wish.candidates, wish.start, wish.end, Some(wish.id)).await? else {
            return Ok(Err(Refusal::SlotTaken));
        };
        let appointment = wish.appointment(standing, assigned);
        self.vacate(wish.id).await?;
        self.update(&appointment, wish.asked).await?;
        if !self.occupy(&appointment).await? {
            return Ok(Err(Refusal::SlotTaken));
        }
        self.settle(&wish.key, wish.id, OutboxKind::Moved, &wish.confirmation, wish.asked).await?;
        Ok(Ok(Kept { appointment, again: false }))
    }

    async fn cancel(&mut self, wish: &Cancel) -> Answer {
        let Some(found) = self.appointment(wish.id).await? else { return Ok(Err(Refusal::NotFound)) };
        if found.status == Status::Cancelled {
            return Ok(Ok(Kept { appointment: found, again: true }));
        }
        if !stands(&found, wish.asked) {
            return Ok(Err(Refusal::NotFound));
        }
        let appointment = Appointment { status: Status::Cancelled, ..found };
        self.vacate(wish.id).await?;
        self.update(&appointment, wish.asked).await?;
        self.settle(&wish.key, wish.id, OutboxKind::Cancelled, &wish.confirmation, wish.asked).await?;
        Ok(Ok(Kept { appointment, again: false }))
    }

    async fn appointment(&mut self, id: Uuid) -> Result<Option<Appointment>, StoreError> {
        let statement = sqlx::query("select * from appointments where tenant = ?1 and id = ?2")
            .bind(self.tenant.as_str())
            .bind(id.to_string());
        found(statement, &mut self.transaction, self.file).await
    }

    /// The appointment that the car has in the interval, besides `but`.
    async fn of_the_car(
        &mut self,
        plate: &Pii<String>,
        start: Timestamp,
        end: Timestamp,
        but: Option<Uuid>,
    ) -> Result<Option<Appointment>, StoreError> {
        let units = units(start, end);
        let statement = sqlx::query(
            "select a.* from occupied o join appointments a on a.tenant = o.tenant and a.id = o.appointment
             where o.tenant = ?1 and o.resource = ?2 and o.unit >= ?3 and o.unit < ?4 and o.appointment <> ?5
             order by o.unit limit 1",
        )
        .bind(self.tenant.as_str())
        .bind(Resource::Car(plate.clone()).written())
        .bind(units.start)
        .bind(units.end)
        .bind(but.map(|id| id.to_string()).unwrap_or_default());
        found(statement, &mut self.transaction, self.file).await
    }

    /// The first bay and technician that are free in the interval, not counting what `but` has.
    async fn assign(
        &mut self,
        candidates: &Candidates,
        start: Timestamp,
        end: Timestamp,
        but: Option<Uuid>,
    ) -> Result<Option<Assigned>, StoreError> {
        let units = units(start, end);
        let taken: BTreeSet<String> = sqlx::query_scalar(
            "select distinct resource from occupied
             where tenant = ?1 and unit >= ?2 and unit < ?3 and appointment <> ?4",
        )
        .bind(self.tenant.as_str())
        .bind(units.start)
        .bind(units.end)
        .bind(but.map(|id| id.to_string()).unwrap_or_default())
        .fetch_all(&mut *self.transaction)
        .await
        .map_err(|error| self.file.using(&error))?
        .into_iter()
        .collect();
        Ok(candidates.pick(
            |bay| !taken.contains(&Resource::Bay(bay.to_string()).written()),
            |technician| !taken.contains(&Resource::Technician(technician.to_string()).written()),
        ))
    }

    /// Carries out a statement that changes the books.
    async fn write(&mut self, statement: Statement<'_>) -> Result<(), StoreError> {
        statement.execute(&mut *self.transaction).await.map(drop).map_err(|error| self.file.using(&error))
    }

    async fn insert(&mut self, one: &Appointment, now: Timestamp) -> Result<(), StoreError> {
        let statement = sqlx::query(
            "insert into appointments (tenant, id, service, local_start, starts_at, ends_at, bay, technician, name,
                 name_folded, plate, phone, notes, status, asked_at, changed_at)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?15)",
        )
        .bind(self.tenant.as_str())
        .bind(one.id.to_string())
        .bind(&one.service)
        .bind(one.local.to_string())
        .bind(one.start.as_second())
        .bind(one.end.as_second())
        .bind(&one.bay)
        .bind(&one.technician)
        .bind(one.name.reveal())
        .bind(fold(one.name.reveal()))
        .bind(one.plate.reveal())
        .bind(one.phone.as_ref().map(Pii::reveal))
        .bind(one.notes.as_ref().map(Pii::reveal))
        .bind(one.status.as_str())
        .bind(now.as_second());
        self.write(statement).await
    }

    /// Writes what a move or a cancellation changes.
    async fn update(&mut self, one: &Appointment, now: Timestamp) -> Result<(), StoreError> {
        let statement = sqlx::query(
            "update appointments set local_start = ?3, starts_at = ?4, ends_at = ?5, bay = ?6, technician = ?7,
                 status = ?8, changed_at = ?9
             where tenant = ?1 and id = ?2",
        )
        .bind(self.tenant.as_str())
        .bind(one.id.to_string())
        .bind(one.local.to_string())
        .bind(one.start.as_second())
        .bind(one.end.as_second())
        .bind(&one.bay)
        .bind(&one.technician)
        .bind(one.status.as_str())
        .bind(now.as_second());
        self.write(statement).await
    }

    /// Takes each unit of each resource. Says whether it could: where not, the whole transaction is to be rolled back.
    async fn occupy(&mut self, one: &Appointment) -> Result<bool, StoreError> {
        let units = units(one.start, one.end);
        for resource in Resource::of(one) {
            let written = sqlx::query(
                "insert into occupied (tenant, resource, unit, appointment)
                 with recursive units (unit) as (select ?3 union all select unit + 1 from units where unit + 1 < ?4)
                 select ?1, ?2, unit, ?5 from units",
            )
            .bind(self.tenant.as_str())
            .bind(resource.written())
            .bind(units.start)
            .bind(units.end)
            .bind(one.id.to_string())
            .execute(&mut *self.transaction)
            .await;
            match written {
                Ok(_) => {}
                Err(error) if is_taken(&error) => return Ok(false),
                Err(error) => return Err(self.file.using(&error)),
            }
        }
        Ok(true)
    }

    async fn vacate(&mut self, id: Uuid) -> Result<(), StoreError> {
        let statement = sqlx::query("delete from occupied where tenant = ?1 and appointment = ?2")
            .bind(self.tenant.as_str())
            .bind(id.to_string());
        self.write(statement).await
    }

    /// Units that are past cannot be booked any more: they go, so that the table stays as small as the horizon.
    async fn let_go_of_the_past(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let statement = sqlx::query("delete from occupied where tenant = ?1 and unit < ?2")
            .bind(self.tenant.as_str())
            .bind(units(now, now).start - UNITS_OF_A_DAY);
        self.write(statement).await
    }

    async fn note_key(&mut self, key: &Key, id: Uuid) -> Result<(), StoreError> {
        let statement = sqlx::query(
            "insert into keys (tenant, key, appointment) values (?1, ?2, ?3)
             on conflict (tenant, key) do update set appointment = excluded.appointment",
        )
        .bind(self.tenant.as_str())
        .bind(key.as_str())
        .bind(id.to_string());
        self.write(statement).await
    }

    async fn settle(
        &mut self,
        key: &Key,
        id: Uuid,
        kind: OutboxKind,
        confirmation: &Confirmation,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.note_key(key, id).await?;
        let statement = sqlx::query(
            "insert into outbox (tenant, number, kind, appointment, recipient, body, written_at)
             values (?1, (select coalesce(max(number), 0) + 1 from outbox where tenant = ?1), ?2, ?3, ?4, ?5, ?6)",
        )
        .bind(self.tenant.as_str())
        .bind(kind.as_str())
        .bind(id.to_string())
        .bind(confirmation.to.as_ref().map(Pii::reveal))
        .bind(confirmation.text.reveal())
        .bind(now.as_second());
        self.write(statement).await
    }
}

/// How long units that are past are kept.
const UNITS_OF_A_DAY: i64 = 24 * 3600 / UNIT_SECONDS;

/// It is booked, and not over.
fn stands(one: &Appointment, now: Timestamp) -> bool {
    one.status == Status::Booked && one.end > now
}
