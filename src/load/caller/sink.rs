//! What the caller hears: the agent's audio laid on the line's own clock, as a telephone would play it.
//!
//! Audio that arrives is played after what is queued; when nothing is queued, after a small wait that swallows the
//! jitter of arrival. Nothing is played before it has come, nothing is skipped to catch up: who sends too early makes
//! a queue, who sends too late makes a hole, and both can be measured afterwards. Times are samples since the call was
//! dialled.

use std::{collections::VecDeque, time::Duration};

use crate::audio::Rate;

/// What a telephone queues at most; what is sent beyond it is refused and counted.
pub const QUEUE_MAX: Duration = Duration::from_secs(120);

/// How long the first audio after a pause waits for more.
pub const PLAYOUT: Duration = Duration::from_millis(20);

/// The agent's side of a call.
#[derive(Debug)]
pub struct Sink {
    /// The line's.
    rate: Rate,
    /// Everything played and queued, from the beginning of the call; its end is the end of the queue.
    samples: Vec<i16>,
    /// Where pieces of audio were laid, and when they had come.
    pieces: Vec<Piece>,
    /// Marks not given back yet: the position behind which they stand.
    marks: VecDeque<(usize, String)>,
    /// Samples refused: the agent sent more than [`QUEUE_MAX`] ahead.
    refused: u64,
    /// The longest the queue ever was.
    ahead_max: usize,
}

/// One piece of audio as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Where it is heard.
    pub at: usize,
    /// How long it is.
    pub len: usize,
    /// When it came.
    pub came: usize,
}

impl Sink {
    /// Nothing heard yet.
    pub fn new(rate: Rate) -> Self {
        Self { rate, samples: Vec::new(), pieces: Vec::new(), marks: VecDeque::new(), refused: 0, ahead_max: 0 }
    }

    /// Audio came at `now`.
    pub fn audio(&mut self, now: usize, samples: &[i16]) {
        if self.samples.len() < now {
            self.samples.resize(now + self.rate.samples(PLAYOUT), 0);
        }
        let room = (now + self.rate.samples(QUEUE_MAX)).saturating_sub(self.samples.len());
        let taken = &samples[..samples.len().min(room)];
        self.refused += (samples.len() - taken.len()) as u64;
        if taken.is_empty() {
            return;
        }
        self.pieces.push(Piece { at: self.samples.len(), len: taken.len(), came: now });
        self.samples.extend_from_slice(taken);
        self.ahead_max = self.ahead_max.max(self.samples.len() - now);
    }

    /// Drops what is queued. Every mark is due at once.
    pub fn clear(&mut self, now: usize) {
        self.samples.truncate(now);
        while let Some(last) = self.pieces.last_mut() {
            if last.at >= now {
                self.pieces.pop();
            } else {
                last.len = last.len.min(now - last.at);
                break;
            }
        }
        for (at, _) in &mut self.marks {
            *at = (*at).min(now);
        }
    }

    /// A mark to be given back when everything so far has been heard.
    pub fn mark(&mut self, name: String) {
        self.marks.push_back((self.samples.len(), name));
    }

    /// The next mark that is due.
    pub fn due(&mut self, now: usize) -> Option<String> {
        let due = self.marks.front().is_some_and(|(at, _)| *at <= now);
        if due { self.marks.pop_front().map(|(_, name)| name) } else { None }
    }

    /// What is heard in this stretch; shorter where nothing is queued.
    pub fn heard(&self, from: usize, to: usize) -> &[i16] {
        let end = to.min(self.samples.len());
        &self.samples[from.min(end)..end]
    }

    /// The line's rate.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Everything, from the beginning of the call.
    pub fn samples(&self) -> &[i16] {
        &self.samples
    }

    /// The pieces as they came, in order.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Samples that found no room.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// How far ahead of what is heard the agent ever sent.
    pub fn ahead_max(&self) -> Duration {
        self.rate.duration(self.ahead_max as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audio_is_heard_in_real_time_whenever_it_comes() {
        let mut sink = Sink::new(Rate::PHONE);
        sink.audio(800, &[1; 160]);
        sink.audio(810, &[2; 160]);
        assert_eq!(sink.heard(0, 960), [0; 960]);
        assert_eq!(sink.heard(960, 1_120), [1; 160]);
        assert_eq!(sink.heard(1_120, 9_999), [2; 160]);
        sink.audio(2_000, &[3; 10]);
        assert_eq!(sink.pieces()[2], Piece { at: 2_160, len: 10, came: 2_000 });
        assert_eq!(sink.ahead_max(), Rate::PHONE.duration(470));
    }

    #[test]
    fn what_is_cleared_is_never_heard_and_its_marks_come_back() {
        let mut sink = Sink::new(Rate::PHONE);
        sink.audio(0, &[1; 1_600]);
        sink.mark("a".into());
        sink.audio(0, &[2; 1_600]);
        sink.mark("b".into());
        assert_eq!(sink.due(1_599), None);
        assert_eq!(sink.due(1_600).as_deref(), Some("a"));
        sink.clear(2_000);
        assert_eq!(sink.due(2_000).as_deref(), Some("b"));
        assert_eq!(sink.samples().len(), 2_000);
        assert_eq!(sink.pieces()[1], Piece { at: 1_600, len: 400, came: 0 });
        sink.clear(1_000);
        assert_eq!(sink.pieces().len(), 1, "a piece that is not heard is no piece");
    }

    #[test]
    fn an_agent_that_sends_without_end_is_bounded() {
        let mut sink = Sink::new(Rate::PHONE);
        for _ in 0..200 {
            sink.audio(0, &[1; 8_000]);
        }
        assert_eq!(sink.samples().len(), 120 * 8_000);
        assert_eq!(sink.refused(), 80 * 8_000);
    }
}
