//! The clock: the only place below the daemon where time is read.

use std::time::Instant;

/// Now. Follows tokio's clock, so that tests may pause it.
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Milliseconds of the wall clock since 1970.
pub fn epoch_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
