//! Documents that customers of a tenant keep with us over REST: assistants, and calls with what remains of them.
//!
//! What it does not do: read them, or decide how many there may be and how long. Whoever writes them does, sees to it that
//! none is longer than [`DOCUMENT_BYTES_MAX`], and erases what is not to be kept.

use jiff::Timestamp;

use super::Answer;
use crate::{booking::TenantId, privacy::Pii};

/// The longest document, in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 4 << 20;

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DocumentKind {
    /// An assistant.
    Assistant,
    /// A call.
    Call,
}

impl DocumentKind {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Assistant => "assistant",
            Self::Call => "call",
        }
    }
}

/// A document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// What it is.
    pub kind: DocumentKind,
    /// Its id, unique among those of its kind in the tenant.
    pub id: String,
    /// The text, in the words of whoever writes it: callers' names and words, and secrets of servers.
    pub body: Pii<String>,
    /// When it was created, to the millisecond.
    pub created: Timestamp,
    /// When it was changed last, to the millisecond.
    pub updated: Timestamp,
}

/// One thing to be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Keeps a document, in the place of its former self.
    Put(Document),
    /// Erases the document of this kind and id, if there is one.
    Erase(DocumentKind, String),
}

/// Where documents are kept. A write that has answered is durable, as in the rest of the [`Store`](super::Store).
pub trait Documents: std::fmt::Debug + Send + Sync {
    /// Makes these changes in their order: all of them, or none.
    fn change<'a>(&'a self, tenant: &'a TenantId, changes: &'a [Change]) -> Answer<'a, ()>;

    /// The documents of a kind by their creation, the oldest first: of more than `limit` the newest.
    fn documents<'a>(&'a self, tenant: &'a TenantId, kind: DocumentKind, limit: usize) -> Answer<'a, Vec<Document>>;

    /// Erases the documents of a kind that were created before. How many there were.
    fn erase_before<'a>(&'a self, tenant: &'a TenantId, kind: DocumentKind, created: Timestamp) -> Answer<'a, u64>;
}
