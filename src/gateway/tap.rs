//! Both sides of a call for who listens: the caller on the left, ours on the right, 16 kHz, 20 ms at a time.
//!
//! The caller's sound is the clock: ours is laid beside it as it leaves, which is up to a tenth of a second before it is
//! heard. Where no sound of the caller comes any more, ours goes on beside silence. What a peer is told to drop again has
//! been listened to by then. It exists only while somebody listens, or the call is recorded.

use std::collections::VecDeque;

use bytes::Bytes;
use tokio::sync::mpsc::{self, error::TrySendError};

use super::vapi::recordings::Recorder;
use crate::audio::{CodecError, Decoder, Format, Line, Rate, Resampler};

/// Samples of one side in a piece.
const FRAME: usize = Rate::WIDE.samples(Line::FRAME);

/// So far ours may be ahead of the caller's sound before that is given up for the moment.
const AHEAD_MAX: usize = 10 * FRAME;

/// Pieces that wait for one listener: two seconds. One that is slower than that misses some.
pub(super) const PIECES_WAITING_MAX: usize = 100;

/// The most who listen to one call.
const LISTENERS_MAX: usize = 8;

/// Where one listener takes the pieces from.
pub(super) type Listener = mpsc::Sender<Bytes>;

/// What of the two sides is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sides {
    /// The caller on the left, ours on the right.
    Apart,
    /// Together, on one channel.
    Mixed,
    /// The caller alone.
    Caller,
    /// Ours alone.
    Ours,
}

impl Sides {
    /// Its channels.
    pub(super) const fn channels(self) -> u16 {
        match self {
            Self::Apart => 2,
            Self::Mixed | Self::Caller | Self::Ours => 1,
        }
    }

    /// That of a piece, or of any whole number of sample pairs.
    pub(super) fn of(self, piece: Bytes) -> Bytes {
        let pairs = piece.as_chunks::<4>().0.iter();
        match self {
            Self::Apart => piece,
            Self::Mixed => {
                let sample = |bytes: &[u8]| i16::from_le_bytes([bytes[0], bytes[1]]);
                pairs.flat_map(|pair| sample(&pair[..2]).saturating_add(sample(&pair[2..])).to_le_bytes()).collect()
            }
            Self::Caller => pairs.flat_map(|pair| [pair[0], pair[1]]).collect(),
            Self::Ours => pairs.flat_map(|pair| [pair[2], pair[3]]).collect(),
        }
    }
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Tap {
    listeners: Vec<Listener>,
    /// Takes all of it down, from the answer on.
    recorder: Option<Recorder>,
    caller: VecDeque<i16>,
    ours: VecDeque<i16>,
    decoder: Decoder,
    resampler: Resampler,
    /// Ours at the line's rate, and at 16 kHz; reused.
    native: Vec<i16>,
    wide: Vec<i16>,
}

impl Tap {
    /// For a call that speaks in this format.
    pub(super) fn new(speaks: Format) -> Result<Self, CodecError> {
        Ok(Self {
            listeners: Vec::new(),
            recorder: None,
            caller: VecDeque::new(),
            ours: VecDeque::new(),
            decoder: Decoder::new(speaks)?,
            resampler: Resampler::new(speaks.rate, Rate::WIDE),
            native: Vec::new(),
            wide: Vec::new(),
        })
    }

    /// One more listens; beyond the bound they hear nothing.
    pub(super) fn add(&mut self, listener: Listener) {
        if self.listeners.len() < LISTENERS_MAX {
            self.listeners.push(listener);
        }
    }

    /// The call is recorded from now on.
    pub(super) fn record(&mut self, recorder: Recorder) {
        self.recorder = Some(recorder);
    }

    /// Nobody listens any more.
    pub(super) fn is_idle(&self) -> bool {
        self.listeners.is_empty() && self.recorder.is_none()
    }

    /// Samples of the caller, at 16 kHz.
    pub(super) fn caller(&mut self, samples: &[i16]) {
        self.caller.extend(samples);
        self.give();
    }

    /// A frame of ours, as it leaves.
    pub(super) fn ours(&mut self, bytes: &[u8]) {
        self.native.clear();
        self.decoder.decode(bytes, &mut self.native);
        self.wide.clear();
        self.resampler.process(&self.native, &mut self.wide);
        self.ours.extend(&self.wide);
        self.give();
    }

    fn give(&mut self) {
        while self.caller.len() >= FRAME || self.ours.len() >= AHEAD_MAX {
            self.give_piece();
        }
    }

    fn give_piece(&mut self) {
        let mut piece = Vec::with_capacity(4 * FRAME);
        for _ in 0..FRAME {
            // What is not there yet is silence.
            let sides = [self.caller.pop_front().unwrap_or(0), self.ours.pop_front().unwrap_or(0)];
            piece.extend(sides.iter().flat_map(|sample| sample.to_le_bytes()));
        }
        self.recorder.take_if(|recorder| !recorder.put(&piece));
        if self.listeners.is_empty() {
            return;
        }
        let piece = Bytes::from(piece);
        self.listeners.retain(|listener| !matches!(listener.try_send(piece.clone()), Err(TrySendError::Closed(_))));
    }
}

/// The call is over: what had not met its other side yet is the end of it.
impl Drop for Tap {
    fn drop(&mut self) {
        while !(self.is_idle() || self.caller.is_empty() && self.ours.is_empty()) {
            self.give_piece();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Codec;

    fn sides(pieces: &mut mpsc::Receiver<Bytes>) -> [Vec<i16>; 2] {
        let mut sides = [Vec::new(), Vec::new()];
        while let Ok(piece) = pieces.try_recv() {
            assert_eq!(piece.len(), 4 * FRAME);
            for pair in piece.as_chunks::<4>().0 {
                sides[0].push(i16::from_le_bytes([pair[0], pair[1]]));
                sides[1].push(i16::from_le_bytes([pair[2], pair[3]]));
            }
        }
        sides
    }

    fn tapped() -> (Tap, mpsc::Receiver<Bytes>) {
        let (listener, pieces) = mpsc::channel(PIECES_WAITING_MAX);
        let mut tap = Tap::new(Format { codec: Codec::Pcm, rate: Rate::WIDE }).expect("built");
        tap.add(listener);
        (tap, pieces)
    }

    fn frame(level: i16) -> Vec<u8> {
        vec![level; FRAME].iter().flat_map(|sample| sample.to_le_bytes()).collect()
    }

    #[test]
    fn each_side_has_its_channel_and_nothing_is_lost_or_doubled() {
        let (mut tap, mut pieces) = tapped();
        for at in 1..=40i16 {
            tap.ours(&frame(-at));
            tap.caller(&[at; 200]);
            tap.caller(&[at; FRAME - 200]);
        }
        let [caller, ours] = sides(&mut pieces);
        assert_eq!((caller.len(), ours.len()), (40 * FRAME, 40 * FRAME));
        for (at, (caller, ours)) in caller.iter().zip(&ours).enumerate() {
            let level = (at / FRAME + 1) as i16;
            assert_eq!((*caller, *ours), (level, -level), "{at}");
        }
    }

    #[test]
    fn without_a_caller_ours_goes_on_and_nothing_grows() {
        let (mut tap, mut pieces) = tapped();
        for _ in 0..50 {
            tap.ours(&frame(7));
        }
        let [caller, ours] = sides(&mut pieces);
        assert!(caller.iter().all(|sample| *sample == 0) && ours.iter().all(|sample| *sample == 7));
        assert!(ours.len() >= 40 * FRAME && tap.ours.len() < AHEAD_MAX, "{}", ours.len());
    }

    #[test]
    fn a_slow_listener_misses_some_and_one_that_is_gone_is_forgotten() {
        let (mut tap, mut pieces) = tapped();
        for _ in 0..2 * PIECES_WAITING_MAX {
            tap.caller(&[1; FRAME]);
        }
        assert_eq!(sides(&mut pieces)[0].len(), PIECES_WAITING_MAX * FRAME);
        assert!(!tap.is_idle());
        drop(pieces);
        tap.caller(&[1; FRAME]);
        assert!(tap.is_idle());
    }

    #[test]
    fn the_last_words_are_given_when_the_call_is_over() {
        let (mut tap, mut pieces) = tapped();
        tap.ours(&frame(7));
        tap.ours(&frame(8));
        assert_eq!(sides(&mut pieces)[1].len(), 0, "they wait for the caller's sound");
        drop(tap);
        let [caller, ours] = sides(&mut pieces);
        assert!(caller.iter().all(|sample| *sample == 0));
        assert_eq!((ours.len(), ours[0], ours[2 * FRAME - 1]), (2 * FRAME, 7, 8));
    }

    #[test]
    fn of_two_sides_each_can_be_had() {
        let piece = Bytes::from_iter([100i16, -7, i16::MAX, 1].iter().flat_map(|sample| sample.to_le_bytes()));
        let check = |sides: Sides, expected: &[i16]| {
            let got = sides.of(piece.clone());
            let got: Vec<_> = got.as_chunks::<2>().0.iter().map(|sample| i16::from_le_bytes(*sample)).collect();
            assert_eq!(got, expected, "{sides:?}");
        };
        check(Sides::Apart, &[100, -7, i16::MAX, 1]);
        check(Sides::Mixed, &[93, i16::MAX]);
        check(Sides::Caller, &[100, i16::MAX]);
        check(Sides::Ours, &[-7, 1]);
    }
}
