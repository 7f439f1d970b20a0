//! The name of a tenant, as it stands in addresses, file names and logs.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// Lower-case letters, digits and hyphens, 1 to 63 of them: good as a DNS label, a file name and a path.
///
/// ```
/// use pronto::tenant::TenantId;
/// assert_eq!(TenantId::new("officina-rossi").unwrap().as_str(), "officina-rossi");
/// assert!(TenantId::new("../etc").is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantId(Arc<str>);

/// A name that is no tenant's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a tenant's id has 1 to 63 of a-z, 0-9 and -, and begins and ends with a letter or digit")]
pub struct TenantIdError;

impl TenantId {
    /// Checks a name.
    pub fn new(id: &str) -> Result<Self, TenantIdError> {
        let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let bytes = id.as_bytes();
        let ends = bytes.first().copied().is_some_and(inside) && bytes.last().copied().is_some_and(inside);
        if bytes.len() <= 63 && ends && bytes.iter().all(|byte| inside(*byte) || *byte == b'-') {
            Ok(Self(id.into()))
        } else {
            Err(TenantIdError)
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for TenantId {
    type Error = TenantIdError;

    fn try_from(id: String) -> Result<Self, TenantIdError> {
        Self::new(&id)
    }
}

impl From<TenantId> for String {
    fn from(id: TenantId) -> String {
        id.0.to_string()
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
