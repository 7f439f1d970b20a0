//! What was measured: histograms, counters, and how it went second by second. Tallies of shards and of processes are
//! merged without loss.

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;

use super::series::Series;

/// What is measured, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Measure {
    /// From when the dial was due to the open stream.
    Connect,
    /// From when the dial was due to the door's answer that this call may not come in, with an HTTP status.
    Refused,
    /// From when the dial was due to the first voice of the agent.
    Answer,
    /// From the caller's last voiced sample, when it was due, to the answer's first, when it came: A1-T0.
    Turn,
    /// The same to the first voice of a filler: F1-T0. Where the line tells what is said and the plan says what is a
    /// filler.
    Filler,
    /// The turn without the waits that are expected: the target's own share.
    Own,
    /// From the first voiced sample of an interruption to the last of the agent's that is heard.
    Cut,
    /// Between the arrivals of the agent's frames, while it speaks.
    Gap,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Connect, Self::Refused, Self::Answer, Self::Turn, Self::Filler, Self::Own, Self::Cut, Self::Gap];

    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Refused => "refused",
            Self::Answer => "answer",
            Self::Turn => "turn",
            Self::Filler => "filler",
            Self::Own => "own",
            Self::Cut => "cut",
            Self::Gap => "gap",
        }
    }
}

/// The longest time a histogram holds; a longer one is counted as this.
const LONGEST_US: u64 = 1_200_000_000;

/// What was counted. Calls are counted when it happens, so a call that began in the warm-up may end in the measure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls dialled.
    pub offered: u64,
    /// Calls that were let in.
    pub connected: u64,
    /// Calls in which the agent was heard.
    pub answered: u64,
    /// Calls that ended as their callers meant them to.
    pub completed: u64,
    /// Calls that were not let in, with an HTTP status.
    pub refused: u64,
    /// Dials that came to nothing otherwise: nobody listened, no answer, an answer that is no WebSocket.
    pub failed: u64,
    /// Calls whose line broke, or that the target closed with a code that is not 1000, 1001 or 1005.
    pub dropped: u64,
    /// Calls that the target ended in order (1000, 1001 or 1005) before the caller had finished.
    pub ended_by_target: u64,
    /// Calls whose caller heard nothing, or nothing that fits, for longer than its patience.
    pub gave_up: u64,
    /// Calls that ended as meant, but without the words the caller must hear.
    pub wrong: u64,
    /// Calls that were hung up because the run was over, or fewer were wanted.
    pub unfinished: u64,
    /// Calls cut on purpose.
    pub cut_off: u64,
    /// Dials after such a cut.
    pub reconnects: u64,
    /// Lines said that wait for an answer.
    pub asked: u64,
    /// Lines that were never answered.
    pub unanswered: u64,
    /// Lines said into the agent's speech.
    pub interruptions: u64,
    /// Backchannels said into the agent's speech.
    pub backchannels: u64,
    /// Backchannels after which the agent fell silent.
    pub backchannels_yielded: u64,
    /// Keys pressed.
    pub keys: u64,
    /// Times nothing had come in the middle of the agent's speech.
    pub holes: u64,
    /// How long these were together.
    pub holes_ms: u64,
    /// Audio of the callers sent.
    pub sent_ms: u64,
    /// Audio of the agent that came.
    pub heard_ms: u64,
    /// Of which it was a voice.
    pub voiced_ms: u64,
    /// Audio that came too far ahead for a telephone to keep.
    pub overflow_ms: u64,
    /// Messages sent.
    pub messages_out: u64,
    /// Messages read.
    pub messages_in: u64,
    /// Bytes read, frames and all.
    pub bytes_in: u64,
    /// Messages that are not of the dialect.
    pub malformed: u64,
    /// Frames of the counted voice that were checked.
    pub counted_frames: u64,
    /// Frames of the counted voice that never came.
    pub lost_frames: u64,
    /// Frames of the counted voice that came twice.
    pub doubled_frames: u64,
    /// Frames of the counted voice that are not what was said.
    pub damaged_frames: u64,
    /// Strangers that were not dialled: the plan's limit of a tenant, or the process's, was reached.
    pub held_back: u64,
}

impl Counts {
    /// Calls that were not what they should be.
    pub const fn calls_failed(&self) -> u64 {
        self.refused + self.failed + self.dropped + self.ended_by_target + self.gave_up + self.wrong
    }

    fn merge(&mut self, other: &Self) {
        let Self {
            offered,
            connected,
            answered,
            completed,
            refused,
            failed,
            dropped,
            ended_by_target,
            gave_up,
            wrong,
            unfinished,
            cut_off,
            reconnects,
            asked,
            unanswered,
            interruptions,
            backchannels,
            backchannels_yielded,
            keys,
            holes,
            holes_ms,
            sent_ms,
            heard_ms,
            voiced_ms,
            overflow_ms,
            messages_out,
            messages_in,
            bytes_in,
            malformed,
            counted_frames,
            lost_frames,
            doubled_frames,
            damaged_frames,
            held_back,
        } = other;
        self.offered += offered;
        self.connected += connected;
        self.answered += answered;
        self.completed += completed;
        self.refused += refused;
        self.failed += failed;
        self.dropped += dropped;
        self.ended_by_target += ended_by_target;
        self.gave_up += gave_up;
        self.wrong += wrong;
        self.unfinished += unfinished;
        self.cut_off += cut_off;
        self.reconnects += reconnects;
        self.asked += asked;
        self.unanswered += unanswered;
        self.interruptions += interruptions;
        self.backchannels += backchannels;
        self.backchannels_yielded += backchannels_yielded;
        self.keys += keys;
        self.holes += holes;
        self.holes_ms += holes_ms;
        self.sent_ms += sent_ms;
        self.heard_ms += heard_ms;
        self.voiced_ms += voiced_ms;
        self.overflow_ms += overflow_ms;
        self.messages_out += messages_out;
        self.messages_in += messages_in;
        self.bytes_in += bytes_in;
        self.malformed += malformed;
        self.counted_frames += counted_frames;
        self.lost_frames += lost_frames;
        self.doubled_frames += doubled_frames;
        self.damaged_frames += damaged_frames;
        self.held_back += held_back;
    }
}

/// Everything measured in a run, or in a part of one.
#[derive(Debug, Clone)]
pub struct Tally {
    /// One for each [`Measure`], in microseconds to three digits.
    histograms: Vec<Histogram<u64>>,
    /// What was counted.
    pub counts: Counts,
    /// Calls refused, by HTTP status.
    pub refused_by: BTreeMap<u16, u64>,
    /// Calls the target ended before the caller had finished, by close code; 1006 where the line broke without one.
    pub closed_by: BTreeMap<u16, u64>,
    /// Second by second.
    pub series: Series,
}

/// Whether a target that closes with this code says goodbye.
pub(super) const fn in_order(code: u16) -> bool {
    matches!(code, 1000 | 1001 | 1005)
}

impl Default for Tally {
    fn default() -> Self {
        Self::new()
    }
}

impl Tally {
    /// Nothing measured yet.
    pub fn new() -> Self {
        let empty = || Histogram::new_with_bounds(1, LONGEST_US, 3).expect("bounds and digits are legal");
        Self {
            histograms: Measure::ALL.iter().map(|_| empty()).collect(),
            counts: Counts::default(),
            refused_by: BTreeMap::new(),
            closed_by: BTreeMap::new(),
            series: Series::default(),
        }
    }

    /// The histogram of a measure, in microseconds.
    pub fn of(&self, measure: Measure) -> &Histogram<u64> {
        &self.histograms[measure as usize]
    }

    /// The value below which this share of a measure lies; none where nothing was measured.
    pub fn quantile(&self, measure: Measure, share: f64) -> Option<Duration> {
        let histogram = self.of(measure);
        (!histogram.is_empty()).then(|| Duration::from_micros(histogram.value_at_quantile(share)))
    }

    /// The calls of `closed_by` that were dropped, and not ended in order.
    pub fn dropped_by(&self) -> impl Iterator<Item = (u16, u64)> {
        self.closed_by.iter().filter(|(code, _)| !in_order(**code)).map(|(code, times)| (*code, *times))
    }

    /// Adds a time.
    pub fn record(&mut self, measure: Measure, us: u64) {
        self.histograms[measure as usize].saturating_record(us.clamp(1, LONGEST_US));
    }

    /// Adds another tally of the same run.
    pub fn merge(&mut self, other: &Self) {
        for (own, other) in self.histograms.iter_mut().zip(&other.histograms) {
            if !other.is_empty() {
                own.add(other).expect("both have the same bounds");
            }
        }
        self.counts.merge(&other.counts);
        for (own, other) in [(&mut self.refused_by, &other.refused_by), (&mut self.closed_by, &other.closed_by)] {
            for (code, count) in other {
                *own.entry(*code).or_default() += count;
            }
        }
        self.series.merge(&other.series);
    }

    /// Forgets everything, and keeps the memory.
    pub fn clear(&mut self) {
        for histogram in &mut self.histograms {
            if !histogram.is_empty() {
                histogram.reset();
            }
        }
        self.counts = Counts::default();
        self.refused_by.clear();
        self.closed_by.clear();
        self.series = Series::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_tallies_are_one() {
        let (mut a, mut b) = (Tally::new(), Tally::new());
        for us in 1..=1_000 {
            a.record(Measure::Turn, us * 1_000);
            b.record(Measure::Turn, (us + 1_000) * 1_000);
        }
        b.record(Measure::Cut, u64::MAX);
        (a.counts.offered, b.counts.offered) = (3, 4);
        b.refused_by.insert(429, 2);
        a.merge(&b);
        assert_eq!(a.of(Measure::Turn).len(), 2_000);
        let p50 = a.quantile(Measure::Turn, 0.5).unwrap();
        assert!(p50.abs_diff(Duration::from_millis(1_000)) < Duration::from_millis(2), "{p50:?}");
        assert!(a.quantile(Measure::Cut, 1.0).unwrap() >= Duration::from_secs(1_199), "the longest is kept");
        assert_eq!((a.counts.offered, a.refused_by[&429]), (7, 2));
        assert_eq!(a.quantile(Measure::Filler, 0.5), None);
        a.clear();
        assert_eq!((a.of(Measure::Turn).len(), a.counts), (0, Counts::default()));
    }

    #[test]
    fn each_measure_has_its_place() {
        for measure in Measure::ALL {
            assert_eq!(Measure::ALL[measure as usize], measure);
        }
    }
}
