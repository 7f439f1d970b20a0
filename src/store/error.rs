//! What can go wrong with a store: each names the file and the fix, none names a caller.

/// The store failed, which is never the caller's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It cannot be opened.
    #[error("{file}: cannot be opened ({why}); check that its folder exists and that this user may write there")]
    Unopenable {
        /// The database.
        file: String,
        /// What the system says.
        why: String,
    },
    /// Somebody else holds it.
    #[error("{file}: locked by another process; stop the other one that has it open, or give this one its own file")]
    Locked {
        /// The database.
        file: String,
    },
    /// It is damaged, or no database at all.
    #[error(
        "{file}: damaged, or not a database ({why}); restore it from a backup, or move it away to begin with empty books"
    )]
    Damaged {
        /// The database.
        file: String,
        /// What the database says.
        why: String,
    },
    /// It was written by another version of this program.
    #[error("{file}: its tables are of another version ({why}); run the version that wrote it, or a newer one")]
    OtherVersion {
        /// The database.
        file: String,
        /// Which migration.
        why: String,
    },
    /// The disk is full or read-only.
    #[error("{file}: cannot be written ({why}); free some space on its disk and check that it is not read-only")]
    Unwritable {
        /// The database.
        file: String,
        /// What the database says.
        why: String,
    },
    /// A row is not what this program writes.
    #[error("{file}: a row of {table} cannot be read ({why}); it was changed by hand, or by another program")]
    Unreadable {
        /// The database.
        file: String,
        /// The table.
        table: &'static str,
        /// Which column.
        why: String,
    },
    /// Anything else that the database says.
    #[error("{file}: {why}; look at the database's own log")]
    Failed {
        /// The database.
        file: String,
        /// What it says.
        why: String,
    },
}
