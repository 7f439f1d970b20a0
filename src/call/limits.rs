//! Every bound of a call, and what happens when it is reached.

/// Turns kept in the report; older ones are dropped (their times are in the metrics by then).
pub const TURNS_MAX: usize = 400;
