//! What is still to be heard by the caller: samples at the line's rate that wait to leave, and where we are in them.
//!
//! Positions count samples since the call began. [`pushed`](Playout::pushed) is the position after the last waiting
//! sample and [`position`](Playout::position) that of the next one to leave, so that
//! `pushed() == position() + waiting` always holds; whoever wants to know when a clause begins or ends notes
//! `pushed()` around pushing it.
//!
//! What it does not do: it has no clock ([`Pace`](super::Pace) has) and knows neither clauses nor turns.

use std::{collections::VecDeque, time::Duration};

use super::{Line, Rate};

/// The most that waits: what a voice says beyond is refused and counted.
pub const PLAYOUT_MAX: Duration = Duration::from_secs(45);
/// The most of what has left that can be put back, on a line with a long lead.
pub const REWIND_MAX: Duration = Duration::from_secs(1);
/// How long holding fades out and releasing fades in.
const FADE: Duration = Duration::from_millis(5);
/// How long ducking takes to arrive.
const RAMP: Duration = Duration::from_millis(10);
/// How loud a ducked voice is: 15 dB softer.
const DUCKED: f32 = 0.177_827_94;
/// Memory is asked for in steps of this: doubling would cost a call as much again as what waits.
const STEP: Duration = Duration::from_millis(125);
/// Memory kept when everything has been heard, besides what may come back: a voice in short pieces allocates nothing.
const KEPT: Duration = Duration::from_millis(250);

/// Samples on their way to the caller.
///
/// ```
/// use pronto::audio::{Line, Playout};
/// let mut playout = Playout::new(&Line::twilio());
/// playout.push(&[7; 200]);
/// let mut frame = Vec::new();
/// assert_eq!(playout.pull(160, &mut frame), 160);
/// assert_eq!(playout.pull(160, &mut frame), 40);
/// assert_eq!(frame.len(), 320, "the last frame is filled with silence");
/// assert_eq!(playout.position(), playout.pushed());
/// ```
#[derive(Debug)]
pub struct Playout {
    rate: Rate,
    /// First what has left and may come back, then what waits.
    samples: VecDeque<i16>,
    /// How many of `samples` have left.
    left: usize,
    /// The most of them that are kept.
    left_max: usize,
    /// Samples that have left, less those put back.
    position: u64,
    /// Samples that found no room.
    refused: u64,
    /// What became of a wish to hold.
    hold: Hold,
    /// How loud the voice is now; it moves towards `target` a little with each sample.
    gain: f32,
    /// How loud it is to be.
    target: f32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    /// Flowing. `heard` says that the last frame ended with the voice, so that silence after it needs a fade.
    No { heard: bool },
    /// To be held: the next frame fades out.
    Fading,
    /// Silent.
    Held,
    /// Flowing again: so many samples are still to be faded in.
    Back(usize),
}

impl Playout {
    /// An empty one, at the rate we speak on this line.
    pub fn new(line: &Line) -> Self {
        let rate = line.speaks.rate;
        // Only a peer that can drop what it has makes us take something back, and never more than it is ahead.
        let ahead_max = (line.lead.max(Line::FRAME) + Line::FRAME).min(REWIND_MAX);
        let left_max = if line.clears { rate.samples(ahead_max) } else { 0 };
        Self {
            rate,
            samples: VecDeque::new(),
            left: 0,
            left_max,
            position: 0,
            refused: 0,
            hold: Hold::No { heard: false },
            gain: 1.0,
            target: 1.0,
        }
    }

    /// Adds samples at the line's rate. Returns how many found room; the rest is refused and counted.
    pub fn push(&mut self, samples: &[i16]) -> usize {
        let taken = samples.len().min(self.rate.samples(PLAYOUT_MAX) - self.waiting());
        let (step, wanted) = (self.rate.samples(STEP), self.samples.len() + taken);
        if wanted > self.samples.capacity() {
            self.samples.reserve_exact(wanted.next_multiple_of(step) - self.samples.len());
        }
        self.samples.extend(&samples[..taken]);
        self.refused += (samples.len() - taken) as u64;
        taken
    }

    /// Appends one frame and returns how many of its samples are the voice's; the rest of the frame is silence.
    ///
    /// Nothing is appended, and 0 returned, when nothing waits or the voice is held. The frame in which a hold begins
    /// is an exception: it carries a fade of 5 ms that does not count as heard, and is said again on release.
    pub fn pull(&mut self, frame_samples: usize, out: &mut Vec<i16>) -> usize {
        let given = frame_samples.min(self.waiting());
        if given == 0 || self.hold == Hold::Held {
            if self.hold == Hold::Fading {
                self.hold = Hold::Held;
            }
            return 0;
        }
        let start = out.len();
        let fade = self.rate.samples(FADE);
        if self.hold == Hold::Fading {
            self.hold = Hold::Held;
            let given = given.min(fade);
            self.copy(given, out);
            self.shape(&mut out[start..]);
            for (at, sample) in out[start..].iter_mut().enumerate() {
                *sample = scaled(*sample, (given - at) as f32 / (given + 1) as f32);
            }
            out.resize(start + frame_samples, 0);
            return given;
        }
        self.copy(given, out);
        self.shape(&mut out[start..]);
        let faded = if let Hold::Back(faded) = self.hold { faded } else { fade };
        for (at, sample) in out[start..].iter_mut().take(fade - faded).enumerate() {
            *sample = scaled(*sample, (faded + at + 1) as f32 / (fade + 1) as f32);
        }
        let faded = faded + given;
        self.hold = if faded < fade { Hold::Back(faded) } else { Hold::No { heard: given == frame_samples } };
        self.advance(given);
        out.resize(start + frame_samples, 0);
        given
    }

    /// Stops the voice at once, with a fade, and remembers where.
    pub fn hold(&mut self) {
        self.hold = match self.hold {
            Hold::No { heard: true } | Hold::Back(_) => Hold::Fading,
            Hold::No { heard: false } | Hold::Held => Hold::Held,
            Hold::Fading => Hold::Fading,
        };
    }

    /// Lets the voice go on where it was held, with a fade in.
    pub fn release(&mut self) {
        self.hold = match self.hold {
            Hold::Held => Hold::Back(0),
            // Nothing was faded yet: as if it had never been held.
            Hold::Fading => Hold::No { heard: true },
            flowing @ (Hold::No { .. } | Hold::Back(_)) => flowing,
        };
    }

    /// Speaks softer (15 dB), or as before.
    pub fn duck(&mut self, on: bool) {
        self.target = if on { DUCKED } else { 1.0 };
    }

    /// Puts the last samples that left back in front, for a peer that dropped them. At most the line's lead (and
    /// [`REWIND_MAX`]), and only on lines that can clear. Returns how many came back.
    pub fn rewind(&mut self, samples: usize) -> usize {
        let back = samples.min(self.left);
        self.left -= back;
        self.position -= back as u64;
        back
    }

    /// Drops everything that waits. The position stays where it is; a hold ends.
    pub fn cut(&mut self) {
        self.samples.clear();
        self.left = 0;
        self.hold = Hold::No { heard: false };
        self.give_back();
    }

    /// How long what waits will last.
    pub fn queued(&self) -> Duration {
        self.rate.duration(self.waiting() as u64)
    }

    /// How much more would be taken.
    pub fn room(&self) -> Duration {
        PLAYOUT_MAX.saturating_sub(self.queued())
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting() == 0
    }

    /// Is, or is about to be, held.
    pub fn is_held(&self) -> bool {
        matches!(self.hold, Hold::Fading | Hold::Held)
    }

    /// Samples that have left since the call began, less those put back.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The position after the last sample that waits.
    pub fn pushed(&self) -> u64 {
        self.position + self.waiting() as u64
    }

    /// Samples that found no room since the call began.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// The rate of everything here.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// The memory it holds, in bytes.
    pub fn memory(&self) -> usize {
        size_of::<Self>() + self.samples.capacity() * size_of::<i16>()
    }

    fn waiting(&self) -> usize {
        self.samples.len() - self.left
    }

    fn copy(&self, samples: usize, out: &mut Vec<i16>) {
        let (front, back) = self.samples.as_slices();
        let end = self.left + samples;
        let cut = front.len();
        out.extend_from_slice(&front[self.left.min(cut)..end.min(cut)]);
        out.extend_from_slice(&back[self.left.saturating_sub(cut)..end.saturating_sub(cut)]);
    }

    fn advance(&mut self, samples: usize) {
        self.position += samples as u64;
        self.left += samples;
        let over = self.left.saturating_sub(self.left_max);
        self.samples.drain(..over);
        self.left -= over;
        if self.waiting() == 0 {
            self.give_back();
        }
    }

    /// A long answer leaves a long buffer behind: between answers is the time to return it.
    fn give_back(&mut self) {
        self.samples.shrink_to(self.left_max + self.rate.samples(KEPT));
    }

    /// Applies the gain, moving it.
    fn shape(&mut self, samples: &mut [i16]) {
        let (gain, target) = (self.gain, self.target);
        if gain == target {
            if gain < 1.0 {
                samples.iter_mut().for_each(|sample| *sample = scaled(*sample, gain));
            }
            return;
        }
        let step = (1.0 - DUCKED) / self.rate.samples(RAMP) as f32;
        for sample in samples {
            self.gain =
                if self.gain < target { (self.gain + step).min(target) } else { (self.gain - step).max(target) };
            *sample = scaled(*sample, self.gain);
        }
    }
}

fn scaled(sample: i16, gain: f32) -> i16 {
    (f32::from(sample) * gain) as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn playout() -> Playout {
        Playout::new(&Line::twilio())
    }

    fn ramp(from: i16, count: i16) -> Vec<i16> {
        (from..from + count).collect()
    }

    fn pulled(playout: &mut Playout, samples: usize) -> Vec<i16> {
        let mut out = Vec::new();
        playout.pull(samples, &mut out);
        out
    }

    #[test]
    fn an_empty_one_gives_nothing() {
        assert!(pulled(&mut playout(), 160).is_empty());
    }

    #[test]
    fn what_goes_in_comes_out_in_order() {
        let mut playout = playout();
        playout.push(&ramp(0, 200));
        playout.push(&ramp(200, 120));
        let mut out = pulled(&mut playout, 160);
        out.extend(pulled(&mut playout, 160));
        assert_eq!(out, ramp(0, 320));
        assert!(playout.is_empty());
    }

    #[test]
    fn beyond_the_bound_is_refused_and_counted() {
        let mut playout = playout();
        let second = [1; 8_000];
        for _ in 0..45 {
            assert_eq!(playout.push(&second), 8_000);
        }
        assert_eq!(playout.push(&second), 0);
        assert_eq!((playout.refused(), playout.room()), (8_000, Duration::ZERO));
        pulled(&mut playout, 160);
        assert_eq!(playout.push(&second), 160);
    }

    #[test]
    fn a_hold_fades_and_a_release_goes_on_at_the_same_sample() {
        let mut playout = playout();
        playout.push(&[1_000; 800]);
        pulled(&mut playout, 160);
        playout.hold();
        assert!(playout.is_held());
        let fade = pulled(&mut playout, 160);
        assert_eq!(fade.len(), 160);
        assert!(fade.windows(2).all(|pair| pair[0] >= pair[1]), "only softer");
        assert!(fade[0] > 900 && fade[40..].iter().all(|sample| *sample == 0));
        assert!(pulled(&mut playout, 160).is_empty());
        assert_eq!(playout.position(), 160, "the fade was not heard");
        playout.release();
        let back = pulled(&mut playout, 160);
        assert!(back[0] < 100 && back[..40].windows(2).all(|pair| pair[0] <= pair[1]));
        assert!(back[40..].iter().all(|sample| *sample == 1_000));
        assert_eq!(playout.position(), 320, "no sample lost");
    }

    #[test]
    fn a_hold_taken_back_before_the_next_frame_is_not_heard() {
        let mut playout = playout();
        playout.push(&[1_000; 800]);
        pulled(&mut playout, 160);
        playout.hold();
        playout.release();
        assert_eq!(pulled(&mut playout, 160), [1_000; 160]);
    }

    #[test]
    fn a_hold_before_the_first_word_is_silent_at_once() {
        let mut playout = playout();
        playout.push(&[1_000; 800]);
        playout.hold();
        assert!(pulled(&mut playout, 160).is_empty());
    }

    #[test]
    fn ducking_moves_in_ten_milliseconds_and_without_a_step() {
        let mut playout = playout();
        playout.push(&[10_000; 800]);
        pulled(&mut playout, 160);
        playout.duck(true);
        let soft = pulled(&mut playout, 160);
        assert!(soft.windows(2).all(|pair| (0..=150).contains(&(pair[0] - pair[1]))));
        assert!(soft[81..].iter().all(|sample| *sample == 1_778));
        playout.duck(false);
        assert_eq!(pulled(&mut playout, 160)[90..], [10_000; 70]);
    }

    #[test]
    fn what_the_peer_dropped_is_said_again() {
        let mut playout = playout();
        playout.push(&ramp(0, 800));
        for _ in 0..3 {
            pulled(&mut playout, 160);
        }
        assert_eq!(playout.rewind(200), 200);
        assert_eq!(playout.position(), 280);
        assert_eq!(pulled(&mut playout, 160), ramp(280, 160));
        assert_eq!(playout.rewind(100_000), 440, "no more than has left");
    }

    #[test]
    fn a_line_that_cannot_clear_keeps_nothing_behind() {
        let mut playout = Playout::new(&Line::vapi(crate::audio::Format::MULAW_PHONE));
        playout.push(&ramp(0, 800));
        pulled(&mut playout, 160);
        assert_eq!(playout.rewind(100), 0);
    }

    #[test]
    fn a_cut_drops_everything_and_positions_go_on() {
        let mut playout = playout();
        playout.push(&[1; 1_000]);
        pulled(&mut playout, 160);
        playout.hold();
        playout.cut();
        assert!(playout.is_empty() && !playout.is_held());
        assert_eq!((playout.position(), playout.pushed(), playout.rewind(160)), (160, 160, 0));
        playout.push(&[2; 10]);
        assert_eq!(playout.pushed(), 170);
        assert_eq!(pulled(&mut playout, 20), [[2; 10], [0; 10]].concat());
    }

    #[test]
    fn memory_of_a_long_answer_is_given_back() {
        let mut playout = playout();
        playout.push(&vec![1; 40 * 8_000]);
        playout.cut();
        assert!(playout.memory() <= 2 * 2 * 8_000 + size_of::<Playout>());
        playout.push(&vec![1; 40 * 8_000]);
        while !playout.is_empty() {
            pulled(&mut playout, 160);
        }
        assert!(playout.memory() <= 2 * 2 * 8_000 + size_of::<Playout>(), "{}", playout.memory());
    }

    #[derive(Debug, Clone)]
    enum Step {
        Push(usize),
        Pull(usize),
        Hold,
        Release,
        Rewind(usize),
        Cut,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0usize..2_000).prop_map(Step::Push),
            8 => (0usize..400).prop_map(Step::Pull),
            1 => Just(Step::Hold),
            1 => Just(Step::Release),
            1 => (0usize..500).prop_map(Step::Rewind),
            1 => Just(Step::Cut),
        ]
    }

    proptest! {
        /// A model of what is heard: every sample carries its own position, and is heard in its place.
        #[test]
        fn every_sample_is_heard_in_its_place(steps in proptest::collection::vec(step(), 1..200)) {
            let mut playout = playout();
            for step in steps {
                let position = playout.position();
                match step {
                    Step::Push(count) => {
                        let from = playout.pushed();
                        let samples: Vec<i16> = (0..count as u64).map(|at| (from + at) as i16).collect();
                        prop_assert_eq!(playout.push(&samples), count);
                    }
                    Step::Pull(count) => {
                        let held = playout.is_held();
                        let mut out = Vec::new();
                        let given = playout.pull(count, &mut out);
                        prop_assert!(out.len() == count || (given == 0 && out.is_empty()));
                        if held {
                            prop_assert_eq!(playout.position(), position);
                        } else {
                            prop_assert_eq!(playout.position(), position + given as u64);
                            // A fade in changes the first 5 ms after a release; behind it samples are themselves.
                            for (at, sample) in out[..given].iter().enumerate().skip(40) {
                                prop_assert_eq!(*sample, (position + at as u64) as i16);
                            }
                        }
                    }
                    Step::Hold => playout.hold(),
                    Step::Release => playout.release(),
                    Step::Rewind(count) => {
                        let back = playout.rewind(count);
                        prop_assert_eq!(playout.position() + back as u64, position);
                    }
                    Step::Cut => playout.cut(),
                }
            }
        }
    }
}
