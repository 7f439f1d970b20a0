//! What SQLite says, in words that name the file and the fix.

use std::{path::Path, sync::Arc};

use sqlx::migrate::MigrateError;

use crate::store::StoreError;

/// The file's name, for errors.
#[derive(Debug, Clone)]
pub(super) struct File(Arc<str>);

impl File {
    pub(super) fn new(path: &Path) -> Self {
        Self(path.display().to_string().into())
    }

    pub(super) fn name(&self) -> String {
        self.0.to_string()
    }

    /// A failure to open the file.
    pub(super) fn opening(&self, error: &sqlx::Error) -> StoreError {
        match self.using(error) {
            StoreError::Failed { file, why } => StoreError::Unopenable { file, why },
            named @ (StoreError::Unopenable { .. }
            | StoreError::Locked { .. }
            | StoreError::Damaged { .. }
            | StoreError::OtherVersion { .. }
            | StoreError::Unwritable { .. }
            | StoreError::Unreadable { .. }) => named,
        }
    }

    /// A failure to bring the tables up to date.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is open, and its other reasons are about folders")]
    pub(super) fn migrating(&self, error: &MigrateError) -> StoreError {
        match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => self.using(error),
            MigrateError::VersionMissing(_)
            | MigrateError::VersionMismatch(_)
            | MigrateError::VersionTooNew(..)
            | MigrateError::Dirty(_) => StoreError::OtherVersion { file: self.name(), why: error.to_string() },
            other => StoreError::Failed { file: self.name(), why: other.to_string() },
        }
    }

    /// A failure while the file is in use.
    pub(super) fn using(&self, error: &sqlx::Error) -> StoreError {
        let file = self.name();
        if matches!(error, sqlx::Error::PoolTimedOut) {
            return StoreError::Locked { file };
        }
        let why = error.to_string();
        // The low byte is the primary result code of SQLite.
        match primary_code(error) {
            Some(5 | 6) => StoreError::Locked { file },
            Some(8 | 10 | 13) => StoreError::Unwritable { file, why },
            Some(11 | 26) => StoreError::Damaged { file, why },
            Some(14) => StoreError::Unopenable { file, why },
            Some(_) | None => StoreError::Failed { file, why },
        }
    }

    /// A row that is not what we write.
    pub(super) fn unreadable(&self, table: &'static str, why: impl ToString) -> StoreError {
        StoreError::Unreadable { file: self.name(), table, why: why.to_string() }
    }
}

/// Whether a unit of a resource was already given away: the constraint that forbids double bookings has spoken.
pub(super) fn is_taken(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

fn primary_code(error: &sqlx::Error) -> Option<u32> {
    let code: u32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}
