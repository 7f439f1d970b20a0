//! How a call ended, and what that counts as.

use crate::load::crowd::tally::{Tally, in_order};

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::load::crowd) enum Fate {
    /// As the caller meant it to.
    Completed,
    /// The caller heard nothing, or nothing that fits.
    GaveUp,
    /// The target hung up, with this code.
    Closed(u16),
    /// The line broke, or carried what is no WebSocket.
    Broke,
    /// The run was over, or fewer calls were wanted.
    Unfinished,
    /// On purpose, without a goodbye.
    CutOff { reconnect: bool },
}

impl Fate {
    /// Counts it; `right` where the agent has said what it must have said.
    pub(super) fn count(self, right: bool, tally: &mut Tally) {
        let counts = &mut tally.counts;
        match self {
            Self::Completed if right => counts.completed += 1,
            Self::Completed => counts.wrong += 1,
            Self::GaveUp => counts.gave_up += 1,
            Self::Closed(code) if in_order(code) => {
                counts.ended_by_target += 1;
                *tally.closed_by.entry(code).or_default() += 1;
            }
            Self::Closed(code) => {
                counts.dropped += 1;
                *tally.closed_by.entry(code).or_default() += 1;
            }
            Self::Broke => {
                counts.dropped += 1;
                *tally.closed_by.entry(1006).or_default() += 1;
            }
            Self::Unfinished => counts.unfinished += 1,
            Self::CutOff { .. } => counts.cut_off += 1,
        }
    }
}
