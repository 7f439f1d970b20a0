//! Our voice on its way out: resampled to the line, laid in the playout, encoded and sent frame by frame, never further
//! ahead than the line allows. "Speaking" is read off here: it means that audio is leaving.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use super::{
    Action, Actions, Turn,
    limits::{BUFFER_KEPT, FRAMES_BURST, LOST_MAX, MARK_LATE, VOICE_AHEAD, VOICE_AHEAD_SAMPLES},
};
use crate::audio::{CodecError, EchoGuard, Encoder, Line, Pace, Playout, Rate, Resampler, Stride};

/// The way out of one call.
#[derive(Debug)]
pub(crate) struct Mouth {
    /// What the line can do.
    line: Line,
    /// What is still to be heard.
    playout: Playout,
    /// When the next frame may go.
    pace: Pace,
    encoder: Encoder,
    /// From the voice's rate to the line's; kept while the voice keeps its rate.
    resampler: Option<(Rate, Resampler)>,
    /// Knows what we said, to recognise it when it comes back.
    echo: EchoGuard,
    /// One frame, reused.
    frame: Vec<i16>,
    /// Resampled voice, reused.
    resampled: Vec<i16>,
    /// Our voice is muted by a control: time passes, silence leaves.
    muted: bool,
    /// What passed unheard meanwhile: positions in the playout, since the last reply ended.
    lost: Vec<Range<u64>>,
    /// Until when the sink has voice of ours to play.
    voiced_until: Option<Instant>,
    /// The last mark sent, and when.
    mark: Option<(u32, Instant)>,
    /// Marks sent so far: the number of the next one.
    marks: u32,
    /// Frames of voice sent.
    pub(crate) frames_out: u64,
}

/// What a [`Mouth::pump`] sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    Nothing,
    Silence,
    /// At least one frame of voice.
    Voice,
}

impl Mouth {
    pub(crate) fn new(line: Line) -> Result<Self, CodecError> {
        Ok(Self {
            line,
            playout: Playout::new(&line),
            pace: Pace::new(&line),
            encoder: Encoder::new(line.speaks)?,
            resampler: None,
            echo: EchoGuard::new(),
            frame: Vec::with_capacity(line.speaks.rate.samples(Line::FRAME)),
            resampled: Vec::new(),
            muted: false,
            lost: Vec::new(),
            voiced_until: None,
            mark: None,
            marks: 0,
            frames_out: 0,
        })
    }

    /// Takes samples of a voice.
    pub(crate) fn voice(&mut self, samples: &[i16], rate: Rate) {
        if rate == self.line.speaks.rate {
            self.playout.push(samples);
            return;
        }
        if self.resampler.as_ref().is_none_or(|(of, _)| *of != rate) {
            self.resampler = Some((rate, Resampler::new(rate, self.line.speaks.rate)));
        }
        if let Some((_, resampler)) = &mut self.resampler {
            self.resampled.clear();
            resampler.process(samples, &mut self.resampled);
            self.playout.push(&self.resampled);
        }
    }

    /// The clause is complete: what the resampler still holds belongs to it.
    pub(crate) fn end_clause(&mut self) {
        if let Some((_, resampler)) = &mut self.resampler {
            self.resampled.clear();
            resampler.flush(&mut self.resampled);
            self.playout.push(&self.resampled);
            self.resampled.clear();
            self.resampled.shrink_to(BUFFER_KEPT);
        }
    }

    /// Sends what is due: as many frames at a time as are read of the caller's, if these [may wait](Call::may_wait).
    pub(crate) fn pump(
        &mut self,
        now: Instant,
        wait: Option<Duration>,
        turn: Option<Turn>,
        actions: &mut Actions,
    ) -> Sent {
        let mut sent = Sent::Nothing;
        // What is left of a bundle that was begun.
        let mut bundle = 0;
        for _ in 0..FRAMES_BURST {
            // A voice that was just held fades out in one more frame.
            let speaks = !self.playout.is_empty();
            let stride = self.stride(wait);
            if !speaks && !self.line.continuous || bundle == 0 && self.pace.due(now, stride) == 0 {
                break;
            }
            bundle = if bundle == 0 { stride.frames() - 1 } else { bundle - 1 };
            self.frame.clear();
            let before = self.playout.position();
            let voiced = speaks && self.playout.pull(self.samples_per_frame(), &mut self.frame) > 0;
            if !voiced && !self.line.continuous {
                break;
            }
            self.frame.resize(self.samples_per_frame(), 0);
            self.echo.played(&self.frame, self.line.speaks.rate);
            let (encoder, frame) = (&mut self.encoder, &self.frame);
            if voiced && !self.muted {
                actions.send(turn, |bytes| encoder.encode(frame, bytes));
                self.frames_out += 1;
                sent = Sent::Voice;
            } else {
                if voiced {
                    lose(&mut self.lost, before..self.playout.position());
                }
                let samples = frame.len();
                actions.send(None, |bytes| encoder.silence(samples, bytes));
                sent = if sent == Sent::Voice { sent } else { Sent::Silence };
            }
            self.pace.sent(now, 1, stride);
            if voiced {
                self.voiced_until = Some(now + self.pace.ahead(now));
            }
        }
        sent
    }

    /// A frame of the caller has come: what is due soon leaves with it.
    pub(crate) fn accompanied(&mut self, now: Instant) {
        self.pace.accompanied(now);
    }

    /// Stops sounding and keeps the place: what the peer can still drop is taken back.
    pub(crate) fn hold(&mut self, now: Instant, actions: &mut Actions) {
        self.take_back(now, actions);
        self.playout.hold();
        self.voiced_until = self.voiced_until.map(|until| until.min(now + self.pace.ahead(now)));
    }

    /// Goes on where it stopped.
    pub(crate) fn release(&mut self) {
        self.playout.release();
    }

    /// Speaks softer, or not any more.
    pub(crate) fn duck(&mut self, on: bool) {
        self.playout.duck(on);
    }

    /// Drops everything that has not been heard. The position stays.
    pub(crate) fn cut(&mut self, now: Instant, actions: &mut Actions) {
        self.take_back(now, actions);
        self.playout.cut();
        self.playout.release();
        self.playout.duck(false);
        self.voiced_until = self.voiced_until.map(|until| until.min(now + self.pace.ahead(now)));
        if let Some((_, resampler)) = &mut self.resampler {
            resampler.reset();
        }
    }

    /// On a line that can drop what it has: makes it drop, and puts it back in front of the playout.
    fn take_back(&mut self, now: Instant, actions: &mut Actions) {
        if !self.line.clears {
            return;
        }
        let ahead = self.pace.ahead(now);
        if !ahead.is_zero() {
            actions.push(Action::Clear);
            self.playout.rewind(self.pace.unheard(now));
            self.pace.cleared();
            // The peer returns marks of what it dropped.
            self.mark = None;
        }
    }

    /// The peer is gone, with what it had not played.
    pub(crate) fn line_lost(&mut self) {
        self.pace.cleared();
        self.mark = None;
    }

    /// Asks the peer to tell when it has played what was sent, where it can.
    pub(crate) fn mark(&mut self, now: Instant, actions: &mut Actions) {
        if self.line.marks {
            self.mark = Some((self.marks, now + self.pace.ahead(now)));
            actions.push(Action::Mark(self.marks));
            self.marks += 1;
        }
    }

    /// A mark came back; one that was never sent says nothing.
    pub(crate) fn marked(&mut self, number: u32) {
        if number < self.marks && self.mark.is_some_and(|(last, _)| number >= last) {
            self.mark = None;
        }
    }

    /// Sends silence instead of the voice.
    pub(crate) fn mute(&mut self, on: bool) {
        self.muted = on;
    }

    /// The stretches of the playout that passed unheard since this was last asked.
    pub(crate) fn take_lost(&mut self) -> Vec<Range<u64>> {
        std::mem::take(&mut self.lost)
    }

    /// Everything that was to be heard has been heard, as far as can be known.
    pub(crate) fn is_drained(&self, now: Instant) -> bool {
        self.drained_at(now).is_some_and(|at| at <= now)
    }

    /// When everything will have been heard, if nothing is left to send.
    pub(crate) fn drained_at(&self, now: Instant) -> Option<Instant> {
        if !self.playout.is_empty() {
            return None;
        }
        let played = self.voiced_until.unwrap_or(now);
        Some(self.mark.map_or(played, |(_, due)| played.max(due + MARK_LATE)))
    }

    /// Voice is waiting and may leave.
    pub(crate) fn has_voice(&self) -> bool {
        !self.playout.is_empty() && !self.playout.is_held()
    }

    /// We have said nothing for so long, nor are about to.
    pub(crate) fn is_quiet(&self, now: Instant, long: Duration) -> bool {
        self.playout.is_empty() && self.voiced_until.is_none_or(|until| now.saturating_duration_since(until) >= long)
    }

    /// Since when (or until when) the caller hears nothing of us; `None` if we never spoke.
    pub(crate) const fn voiced_until(&self) -> Option<Instant> {
        self.voiced_until
    }

    /// How much voice waits.
    pub(crate) fn queued(&self) -> Duration {
        self.playout.queued()
    }

    /// How much of our voice the caller has still to hear.
    pub(crate) fn unheard(&self, now: Instant) -> Duration {
        if !self.playout.is_empty() {
            return self.pace.ahead(now) + self.queued();
        }
        self.voiced_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// There is room for more voice.
    pub(crate) fn is_hungry(&self) -> bool {
        self.queued() < VOICE_AHEAD.min(self.rate().duration(VOICE_AHEAD_SAMPLES as u64))
    }

    /// Where the sink will be when it has played what was sent.
    pub(crate) fn position(&self) -> u64 {
        self.playout.position()
    }

    /// Where the next sample of voice will lie.
    pub(crate) fn pushed(&self) -> u64 {
        self.playout.pushed()
    }

    /// The line's rate: what positions count.
    pub(crate) const fn rate(&self) -> Rate {
        self.line.speaks.rate
    }

    /// How much of our own voice is in these samples (16 kHz).
    pub(crate) fn likeness(&self, heard: [&[i16]; 2]) -> f32 {
        self.echo.likeness(heard)
    }

    /// When the next frame is due, if there is one to send.
    pub(crate) fn wake(&self, now: Instant, wait: Option<Duration>) -> Option<Instant> {
        (self.line.continuous || self.has_voice()).then(|| self.pace.next(now, self.stride(wait)))
    }

    fn stride(&self, wait: Option<Duration>) -> Stride {
        match (self.has_voice(), wait) {
            (true, Some(wait)) => Stride::voice_together(self.line.lead, wait.div_duration_f32(Line::FRAME) as usize),
            (true, None) => Stride::voice(self.line.lead),
            (false, Some(_)) => Stride::LULL,
            (false, None) => Stride::SILENCE,
        }
    }

    fn samples_per_frame(&self) -> usize {
        self.line.speaks.rate.samples(Line::FRAME)
    }
}

/// Notes a stretch that was lost, joined to the last one where they touch (or where there are too many).
fn lose(lost: &mut Vec<Range<u64>>, stretch: Range<u64>) {
    let full = lost.len() >= LOST_MAX;
    match lost.last_mut() {
        Some(last) if full || last.end == stretch.start => last.end = stretch.end,
        Some(_) | None => lost.push(stretch),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Format;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "virtual time needs one real instant to count from")]
    fn what_the_resampler_held_of_a_cut_voice_does_not_leave_with_the_next_one() {
        let (mut mouth, mut actions, now) =
            (Mouth::new(Line::vapi(Format::PCM_WIDE)).unwrap(), Actions::new(), Instant::now());
        mouth.voice(&[9_000; 2_400], Rate::VOICE);
        mouth.cut(now, &mut actions);
        mouth.voice(&[0; 2_400], Rate::VOICE);
        mouth.end_clause();
        actions.clear();
        mouth.pump(now, None, Some(Turn(2)), &mut actions);
        let mut sent = 0;
        for action in actions.list() {
            if let Action::Send { bytes, .. } = action {
                sent += 1;
                assert!(actions.bytes(bytes).iter().all(|byte| *byte == 0), "a sound of the cut voice");
            }
        }
        assert!(sent > 0);
    }
}
