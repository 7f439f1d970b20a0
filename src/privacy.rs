//! Caller data that must not be seen by accident.
//!
//! A [`Pii`] prints as `***` wherever a log line, an error or a panic message formats it. Whoever really needs the
//! value says so with [`Pii::reveal`], which is easy to find in a review.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A phone number, name, plate or transcript: printed as `***`, revealed only on purpose.
///
/// ```
/// use pronto::privacy::Pii;
/// let phone = Pii::new("+393331234567".to_string());
/// assert_eq!(format!("{phone} {phone:?}"), "*** ***");
/// assert_eq!(phone.reveal(), "+393331234567");
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "fuzz", derive(arbitrary::Arbitrary))]
#[serde(transparent)]
pub struct Pii<T>(T);

impl<T> Pii<T> {
    /// Wraps a value that identifies a caller.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself: for the store, the wire and the model; never for a log above DEBUG, a label or an error.
    pub const fn reveal(&self) -> &T {
        &self.0
    }

    /// Unwraps the value.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> From<T> for Pii<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> fmt::Debug for Pii<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<T> fmt::Display for Pii<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
