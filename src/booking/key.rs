//! The key of a write: the same request twice has the same key, whatever its tool-call id.
//!
//! It is made of the tenant, the caller, the tool and the normalised arguments, so that a model that asks again after a
//! barge-in, a peer that sends a webhook twice and a caller who rings again after a crash all find the first result.

use std::{fmt, sync::Arc};

use ring::digest;
use serde::{Deserialize, Serialize};

/// One shop, wherever several share a database. Every row of the books carries it and every query names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TenantId(Arc<str>);

impl TenantId {
    /// The tenant of that name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A digest, in hexadecimal: it may be logged, the arguments cannot be read from it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(String);

impl Key {
    /// The key of a write. `arguments` are in their normal form and in a fixed order.
    pub fn new(tenant: &TenantId, caller: Option<&str>, tool: &str, arguments: &[&str]) -> Self {
        let mut hash = digest::Context::new(&digest::SHA256);
        let fields = [tenant.as_str(), caller.unwrap_or_default(), tool];
        for field in fields.iter().chain(arguments) {
            // With its length before it, so that no two lists of fields run into one.
            hash.update(&u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(field.as_bytes());
        }
        Self(hash.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Its sixty-four hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_makes_a_difference_and_nothing_else_does() {
        let (rossi, bianchi) = (TenantId::new("rossi"), TenantId::new("bianchi"));
        let key = Key::new(&rossi, Some("+391"), "book", &["tagliando", "2026-04-14T09:00", "AB123CD"]);
        assert_eq!(key, Key::new(&rossi, Some("+391"), "book", &["tagliando", "2026-04-14T09:00", "AB123CD"]));
        assert_eq!(key.as_str().len(), 64);
        for other in [
            Key::new(&bianchi, Some("+391"), "book", &["tagliando", "2026-04-14T09:00", "AB123CD"]),
            Key::new(&rossi, Some("+392"), "book", &["tagliando", "2026-04-14T09:00", "AB123CD"]),
            Key::new(&rossi, None, "book", &["tagliando", "2026-04-14T09:00", "AB123CD"]),
            Key::new(&rossi, Some("+391"), "move", &["tagliando", "2026-04-14T09:00", "AB123CD"]),
            Key::new(&rossi, Some("+391"), "book", &["tagliando", "2026-04-14T09:30", "AB123CD"]),
            Key::new(&rossi, Some("+391"), "book", &["tagliando2026-04-14T09:00", "", "AB123CD"]),
        ] {
            assert_ne!(key, other);
        }
    }
}
