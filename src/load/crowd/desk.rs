//! What the callers of one shard share: where their measurements go, and memory that is used for a moment.

use super::{
    listener::Heard,
    tally::{Measure, Tally},
};

/// A shard's desk.
#[derive(Debug)]
pub(super) struct Desk {
    /// What was measured since the last time it was handed in.
    pub(super) tally: Tally,
    /// What a turn waits for besides the target, in microseconds.
    pub(super) expected: Option<u64>,
    /// The plan knows fillers.
    pub(super) fillers: bool,
    /// What they begin with.
    pub(super) filler_words: Vec<String>,
    /// What the caller sends.
    pub(super) out: Vec<u8>,
    /// What it hears.
    pub(super) heard: Vec<Heard>,
    /// A payload out of its base64.
    pub(super) bytes: Vec<u8>,
    /// A payload out of its codec.
    pub(super) samples: Vec<i16>,
    /// The same for the counted voice.
    pub(super) wide: Vec<i16>,
}

impl Desk {
    pub(super) fn new(expected: Option<u64>, fillers: &[String]) -> Self {
        Self {
            tally: Tally::new(),
            expected,
            fillers: !fillers.is_empty(),
            filler_words: fillers.to_vec(),
            out: Vec::new(),
            heard: Vec::new(),
            bytes: Vec::new(),
            samples: Vec::new(),
            wide: Vec::new(),
        }
    }

    pub(super) fn record(&mut self, measure: Measure, us: u64) {
        self.tally.record(measure, us);
    }

    /// A line was answered, by what had come at this moment; so long after its end, if it was after.
    pub(super) fn turned(&mut self, came: u64, us: Option<u64>) {
        self.tally.counts.asked += 1;
        let Some(us) = us else { return };
        self.record(Measure::Turn, us);
        let own = self.expected.map(|expected| us.saturating_sub(expected));
        if let Some(own) = own {
            self.record(Measure::Own, own);
        }
        self.tally.series.at(came).turned(us, own);
    }

    pub(super) fn is_filler(&self, opening: &str) -> bool {
        self.filler_words.iter().any(|words| opening.trim_start().starts_with(words.as_str()))
    }
}
