//! The sound of a call that is put through, one way and the other. No socket and no clock: `now` is an argument.
//!
//! Neither way is delayed on purpose. What a stall has delayed is caught up in the pauses: frames of silence are left out
//! until the sound is in time again.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::audio::{CodecError, Decoder, Encoder, Format, Line, Pace, Playout, Rate, Resampler, Stride, level_db};

/// After so long without a frame of the caller's there is one of silence: Vapi's wire never stops.
const GRACE: Duration = Duration::from_millis(60);

/// More than this ahead of its time, silence is left out.
const LATE: Duration = Duration::from_millis(60);

/// No more than this is sent ahead of its time: the rest waits here.
const AHEAD_MAX: Duration = Duration::from_millis(400);

/// What has been missing for longer is not made up for.
const LATE_MAX: Duration = Duration::from_millis(800);

/// What is softer than this is silence.
const QUIET_DB: f32 = -50.0;

/// The caller's sound that waits: as much as one sentence.
const WAITING_MAX: Duration = Duration::from_secs(30);

/// What of it is still of use after a connection broke.
const KEPT: Duration = Duration::from_secs(1);

/// How far ahead of the caller's ear the assistant's voice is passed on. Little: Vapi sends it in real time, and cannot
/// take it back.
const AHEAD: Duration = Duration::from_millis(60);

/// Less than a frame that nothing follows is sent after this time: longer than any message of a sender in real time lasts.
const TAIL: Duration = Duration::from_millis(100);

/// The caller's sound on its way to Vapi: frames of 20 ms, without a pause.
#[derive(Debug)]
pub(super) struct ToVapi {
    encoder: Encoder,
    rate: Rate,
    waiting: VecDeque<i16>,
    /// When the first frame left; none before it.
    started: Option<Instant>,
    /// Frames since then.
    frames: u32,
    samples: Vec<i16>,
    bytes: Vec<u8>,
    /// Frames that were left out though they were no silence.
    lost: u64,
}

impl ToVapi {
    pub(super) fn new(format: Format) -> Result<Self, CodecError> {
        Ok(Self {
            encoder: Encoder::new(format)?,
            rate: format.rate,
            waiting: VecDeque::new(),
            started: None,
            frames: 0,
            samples: Vec::new(),
            bytes: Vec::new(),
            lost: 0,
        })
    }

    /// Sound of the caller, at the wire's rate. Of too much the oldest is dropped.
    pub(super) fn hear(&mut self, samples: &[i16]) {
        self.waiting.extend(samples);
        self.keep(WAITING_MAX);
    }

    /// Drops the oldest beyond this.
    fn keep(&mut self, most: Duration) {
        let over = self.waiting.len().saturating_sub(self.rate.samples(most));
        if over > 0 {
            self.waiting.drain(..over);
            self.lost += over.div_ceil(self.frame()) as u64;
        }
    }

    /// The next frame, if one is to leave now. Ask until there is none.
    pub(super) fn due(&mut self, now: Instant) -> Option<&[u8]> {
        let end = match self.end() {
            // What was missed is not made up for by a burst.
            Some(end) if now.saturating_duration_since(end) < LATE_MAX => end,
            Some(_) | None => {
                (self.started, self.frames) = (Some(now), 0);
                now
            }
        };
        let ahead = end.saturating_duration_since(now);
        while self.waiting.len() >= self.frame() {
            if ahead > AHEAD_MAX {
                return None;
            }
            self.samples.clear();
            self.samples.extend(self.waiting.drain(..self.rate.samples(Line::FRAME)));
            if ahead > LATE && level_db(&self.samples) < QUIET_DB {
                continue;
            }
            self.bytes.clear();
            self.encoder.encode(&self.samples, &mut self.bytes);
            self.frames += 1;
            return Some(&self.bytes);
        }
        if end + GRACE <= now {
            self.bytes.clear();
            self.encoder.silence(self.rate.samples(Line::FRAME), &mut self.bytes);
            self.frames += 1;
            return Some(&self.bytes);
        }
        None
    }

    /// When one is due at the latest.
    pub(super) fn next(&self, now: Instant) -> Instant {
        match self.end() {
            // Later than the moment at which it is not too far ahead any more.
            Some(end) if self.waiting.len() >= self.frame() => end.checked_sub(AHEAD_MAX).map_or(now, |at| at.max(now)),
            Some(end) => end + GRACE,
            None => now,
        }
    }

    /// The connection is another one.
    pub(super) fn reconnected(&mut self) {
        self.started = None;
        self.keep(KEPT);
    }

    /// Frames that were left out though they were no silence.
    pub(super) const fn lost(&self) -> u64 {
        self.lost
    }

    fn end(&self) -> Option<Instant> {
        self.started.map(|started| started + Line::FRAME * self.frames)
    }

    const fn frame(&self) -> usize {
        self.rate.samples(Line::FRAME)
    }
}

/// The assistant's sound on its way to the caller.
#[derive(Debug)]
pub(super) struct ToCaller {
    decoder: Decoder,
    resampler: Resampler,
    encoder: Encoder,
    playout: Playout,
    pace: Pace,
    /// The caller's wire wants silence, too.
    continuous: bool,
    frame: usize,
    /// When the assistant's last sound came.
    heard: Option<Instant>,
    native: Vec<i16>,
    samples: Vec<i16>,
    bytes: Vec<u8>,
}

impl ToCaller {
    /// From Vapi's format to that of the caller's line.
    pub(super) fn new(from: Format, line: &Line) -> Result<Self, CodecError> {
        Ok(Self {
            decoder: Decoder::new(from)?,
            resampler: Resampler::new(from.rate, line.speaks.rate),
            encoder: Encoder::new(line.speaks)?,
            playout: Playout::new(line),
            pace: Pace::new(line),
            continuous: line.continuous,
            frame: line.speaks.rate.samples(Line::FRAME),
            heard: None,
            native: Vec::new(),
            samples: Vec::new(),
            bytes: Vec::new(),
        })
    }

    /// Sound of the assistant, as it came.
    pub(super) fn say(&mut self, now: Instant, bytes: &[u8]) {
        self.native.clear();
        self.decoder.decode(bytes, &mut self.native);
        self.samples.clear();
        self.resampler.process(&self.native, &mut self.samples);
        self.heard = Some(now);
        for piece in self.samples.chunks(self.frame) {
            let late = self.playout.queued() > LATE && level_db(piece) < QUIET_DB;
            if !late {
                self.playout.push(piece);
            }
        }
    }

    /// The caller has cut in: what waits is not said any more.
    pub(super) fn cut(&mut self) {
        self.playout.cut();
    }

    /// The caller's peer has dropped what it had.
    pub(super) fn cleared(&mut self) {
        self.pace.cleared();
    }

    /// The caller's own frames come: ours may leave with them.
    pub(super) fn accompanied(&mut self, now: Instant) {
        self.pace.accompanied(now);
    }

    /// The next frame, if one is to leave now. Ask until there is none.
    pub(super) fn due(&mut self, now: Instant) -> Option<&[u8]> {
        let voice = self.speaks(now);
        if !voice && !self.continuous {
            return None;
        }
        let stride = if voice { Stride::voice(AHEAD) } else { Stride::SILENCE };
        if self.pace.due(now, stride) == 0 {
            return None;
        }
        self.pace.sent(now, 1, stride);
        self.bytes.clear();
        self.samples.clear();
        if voice && self.playout.pull(self.frame, &mut self.samples) > 0 {
            self.encoder.encode(&self.samples, &mut self.bytes);
        } else {
            self.encoder.silence(self.frame, &mut self.bytes);
        }
        Some(&self.bytes)
    }

    /// When one is due at the latest; none as long as nothing is said on a wire that may be silent.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        let tail = || self.heard.filter(|_| !self.playout.is_empty()).map(|heard| heard + TAIL);
        match (self.speaks(now), self.continuous) {
            (true, _) => Some(self.pace.next(now, Stride::voice(AHEAD))),
            (false, true) => Some(self.pace.next(now, Stride::SILENCE)),
            (false, false) => tail(),
        }
    }

    /// A whole frame is there, or the rest of what was said.
    fn speaks(&self, now: Instant) -> bool {
        let whole = self.playout.queued() >= Line::FRAME;
        let last = self.heard.is_none_or(|heard| now.saturating_duration_since(heard) >= TAIL);
        whole || last && !self.playout.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::signal::sine;

    #[expect(clippy::disallowed_methods, reason = "a test needs a moment to begin with")]
    fn start() -> Instant {
        Instant::now()
    }

    const fn ms(value: u64) -> Duration {
        Duration::from_millis(value)
    }

    fn voice(samples: usize) -> Vec<i16> {
        sine(440.0, Rate::PHONE, 8_000.0, 0, samples)
    }

    /// Frames that leave at this moment: `true` for those with a voice.
    fn leave(leg: &mut ToVapi, now: Instant) -> Vec<bool> {
        let mut left = Vec::new();
        while let Some(bytes) = leg.due(now) {
            assert_eq!(bytes.len(), 160);
            left.push(bytes.iter().any(|byte| *byte != 0xff));
        }
        left
    }

    #[test]
    fn a_caller_in_time_is_passed_on_at_once_and_silence_fills_what_is_missing() {
        let (now, mut leg) = (start(), ToVapi::new(Format::MULAW_PHONE).expect("built"));
        assert!(leave(&mut leg, now).is_empty());
        for at in 0..5 {
            leg.hear(&voice(160));
            assert_eq!(leave(&mut leg, now + ms(20 * at)), [true]);
        }
        assert_eq!(leg.next(now + ms(80)), now + ms(100) + GRACE);
        assert!(leave(&mut leg, now + ms(159)).is_empty());
        assert_eq!(leave(&mut leg, now + ms(160)), [false]);
        // Frames of any length.
        leg.hear(&voice(100));
        assert!(leave(&mut leg, now + ms(161)).is_empty());
        leg.hear(&voice(220));
        assert_eq!(leave(&mut leg, now + ms(162)), [true, true]);
    }

    #[test]
    fn what_a_stall_delayed_is_not_lost_and_is_caught_up_in_the_next_pause() {
        let (now, mut leg) = (start(), ToVapi::new(Format::MULAW_PHONE).expect("built"));
        let mut sent = Vec::new();
        for at in 0..=25 {
            sent.extend(leave(&mut leg, now + ms(20 * at)));
        }
        assert!(sent.iter().all(|voiced| !voiced) && sent.len() >= 22, "{sent:?}");
        // Half a second of words comes at once.
        leg.hear(&voice(25 * 160));
        let mut words = leave(&mut leg, now + ms(500));
        // And a second of silence after it, frame by frame.
        for at in 1..=50 {
            leg.hear(&[0; 160]);
            words.extend(leave(&mut leg, now + ms(500 + 20 * at)));
        }
        assert_eq!(words.iter().filter(|voiced| **voiced).count(), 25);
        let delay = 20 * (sent.len() + words.len()) as i64 - 1_500;
        assert!((0..=80).contains(&delay), "{delay} ms late");
        assert_eq!(leg.lost(), 0);
    }

    #[test]
    fn nothing_grows_without_bound() {
        let (now, mut leg) = (start(), ToVapi::new(Format::MULAW_PHONE).expect("built"));
        leg.hear(&voice(60 * 8_000));
        let sent = leave(&mut leg, now).len();
        assert_eq!((sent, leg.lost()), (21, 30 * 50));
        leg.reconnected();
        assert_eq!(leg.lost(), 59 * 50 - 21);
        leg.waiting.clear();
        assert!(leave(&mut leg, now + ms(60_000)).len() <= 1, "a minute is not made up for");
    }

    #[test]
    fn a_whole_sentence_at_once_is_said_in_its_time_and_not_lost() {
        let (now, mut leg) = (start(), ToVapi::new(Format::MULAW_PHONE).expect("built"));
        leg.hear(&voice(100 * 160));
        let (mut at, mut sent) = (now, leave(&mut leg, now).len());
        while sent < 100 {
            at = leg.next(at).max(at + ms(1));
            sent += leave(&mut leg, at).iter().filter(|voiced| **voiced).count();
        }
        let took = at.duration_since(now);
        assert!(took >= ms(2_000) - AHEAD_MAX - ms(40) && took < ms(2_000), "{took:?}");
        assert_eq!(leg.lost(), 0);
    }

    /// Frames and when they left: `true` for those with a voice.
    fn pass(leg: &mut ToCaller, now: Instant) -> Vec<bool> {
        let mut left = Vec::new();
        while let Some(bytes) = leg.due(now) {
            assert_eq!(bytes.len(), 160);
            left.push(bytes.iter().any(|byte| byte & 0x7f < 0x70));
        }
        left
    }

    fn mulaw(samples: &[i16]) -> Vec<u8> {
        let mut bytes = Vec::new();
        Encoder::new(Format::MULAW_PHONE).expect("built").encode(samples, &mut bytes);
        bytes
    }

    #[test]
    fn the_assistant_is_passed_on_in_real_time_however_it_comes() {
        let now = start();
        let mut leg = ToCaller::new(Format::MULAW_PHONE, &Line::twilio()).expect("built");
        assert_eq!((pass(&mut leg, now), leg.next(now)), (vec![], None));
        // A second in one piece, and 50 frames later it is over.
        leg.say(now, &mulaw(&voice(8_000)));
        let mut left = Vec::new();
        let mut at = now;
        while let Some(next) = {
            left.extend(pass(&mut leg, at));
            leg.next(at)
        } {
            at = next;
        }
        assert_eq!(left, vec![true; 50]);
        let took = at.duration_since(now);
        assert!(took >= ms(1_000) - AHEAD - ms(30) && took < ms(1_000), "{took:?}");
    }

    #[test]
    fn frames_of_odd_lengths_make_no_holes_and_the_tail_is_heard() {
        let now = start();
        let mut leg = ToCaller::new(Format::PCM_WIDE, &Line::twilio()).expect("built");
        let sound = sine(440.0, Rate::WIDE, 8_000.0, 0, 16_000);
        let mut left = Vec::new();
        for (at, piece) in sound.chunks(1_024).enumerate() {
            let bytes: Vec<_> = piece.iter().flat_map(|sample| sample.to_le_bytes()).collect();
            let at = now + ms(64 * at as u64);
            leg.say(at, &bytes);
            (0..64).step_by(8).for_each(|later| left.extend(pass(&mut leg, at + ms(later))));
        }
        let end = now + ms(64 * 16);
        (0..20).for_each(|later| left.extend(pass(&mut leg, end + ms(20 * later))));
        assert!((50..=51).contains(&left.len()), "{}", left.len());
    }

    #[test]
    fn a_cut_voice_is_not_heard_on_and_a_late_one_catches_up_in_its_pauses() {
        let now = start();
        let mut leg = ToCaller::new(Format::MULAW_PHONE, &Line::twilio()).expect("built");
        leg.say(now, &mulaw(&voice(8_000)));
        let first = pass(&mut leg, now).len();
        assert!(first <= 4, "{first}");
        leg.cut();
        assert!(pass(&mut leg, now + ms(500)).is_empty());
        leg.say(now + ms(500), &mulaw(&voice(4_000)));
        leg.say(now + ms(500), &mulaw(&[0; 8_000]));
        assert!(leg.playout.queued() <= ms(500), "{:?}", leg.playout.queued());
    }

    #[test]
    fn a_wire_that_is_never_silent_has_silence_before_the_first_word() {
        let now = start();
        let mut leg = ToCaller::new(Format::MULAW_PHONE, &Line::vapi(Format::MULAW_PHONE)).expect("built");
        assert_eq!(pass(&mut leg, now), [false]);
        assert!(leg.next(now).is_some_and(|next| next > now && next <= now + ms(80)));
    }
}
