//! What a caller hears, measured as it comes: the agent's audio laid on the line's clock as a telephone would play it,
//! and nothing of it kept but where it is voiced. The online form of [`Sink`](crate::load::caller::Sink) and
//! [`measure`](crate::load::caller::measure), with the same rules. Pure: time in, events out; times are microseconds.

use std::collections::VecDeque;

use crate::audio::g711;

/// A stretch of 5 ms with this mean square is voiced: -45 dBFS.
const VOICED: u64 = 33_955;
/// Inside the first and the last such stretch, a sample of this size is voiced.
const SAMPLE: u16 = 60;
/// A shorter pause does not end a stretch of speech.
pub(super) const BRIDGE_US: u64 = 250_000;
/// A shorter stretch is a click.
const LEAST_US: u64 = 30_000;
/// How long the first audio after a pause waits for more.
const PLAYOUT_US: u64 = 20_000;
/// What a telephone queues at most.
const QUEUE_MAX_US: u64 = 120_000_000;
/// There is a hole where there is voice this close on both sides.
const NEAR_US: u64 = 100_000;
/// A longer pause is no hole in speech but the end of it.
const HOLE_MAX_US: u64 = 1_000_000;
/// Voiced runs that wait to be heard; with more, the last grows longer than it is.
const RUNS_MAX: usize = 1_024;
/// Marks that wait to be given back; with more, the oldest is forgotten.
const MARKS_MAX: usize = 1_024;

/// Sound as it comes from the wire.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sound<'a> {
    /// 16-bit little-endian.
    Pcm(&'a [u8]),
    /// G.711.
    Mulaw(&'a [u8]),
    /// Decoded.
    Samples(&'a [i16]),
}

/// What was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// The agent began to speak: when that is heard, and when it had come.
    Began { start: u64, came: u64 },
    /// The agent is silent: the stretch of speech that is over.
    Ended { start: u64, end: u64 },
}

/// What was noticed when audio came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Came {
    /// How long it is.
    pub(super) length: u64,
    /// How much of it is voiced.
    pub(super) voiced: u64,
    /// Since the audio before, where the agent is speaking.
    pub(super) gap: Option<u64>,
    /// A hole in its speech that this shows, however long ago.
    pub(super) hole: Option<u64>,
    /// There was no room for it.
    pub(super) overflow: bool,
}

/// A stretch of voiced grains that has not been wholly heard.
#[derive(Debug, Clone, Copy)]
struct Run {
    from: u64,
    to: u64,
    came: u64,
}

/// The speech that is heard.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    start: u64,
    came: u64,
    end: u64,
    /// It is longer than a click.
    told: bool,
}

/// The agent's side of a call.
#[derive(Debug)]
pub(super) struct Listener {
    /// Samples a second.
    hz: u64,
    /// When everything that came will have been heard.
    end: u64,
    /// Voice that waits to be heard.
    runs: VecDeque<Run>,
    /// The end of the last of them that ever was.
    voiced_end: u64,
    /// When audio came last.
    came: u64,
    /// The speech that is heard.
    stretch: Option<Stretch>,
    /// Nothing had come: from and to. A hole, if there is voice behind it.
    dry: Option<(u64, u64)>,
    /// Names to be given back, and when.
    marks: VecDeque<(u64, String)>,
}

impl Listener {
    pub(super) fn new(hz: u32) -> Self {
        Self {
            hz: u64::from(hz),
            end: 0,
            runs: VecDeque::new(),
            voiced_end: 0,
            came: 0,
            stretch: None,
            dry: None,
            marks: VecDeque::new(),
        }
    }

    /// Audio came.
    pub(super) fn audio(&mut self, now: u64, sound: Sound<'_>) -> Came {
        let mut told = Came { length: sound.len() as u64 * 1_000_000 / self.hz, ..Came::default() };
        if told.length == 0 {
            return told;
        }
        if self.end.saturating_sub(now) + told.length > QUEUE_MAX_US {
            told.overflow = true;
            return told;
        }
        // Speech was going on where this piece joins.
        let speaking = self.voiced_end > 0 && self.voiced_end + NEAR_US >= self.end;
        let mut joins = speaking;
        if self.end < now {
            let begins = now + PLAYOUT_US;
            joins = speaking && begins - self.end < HOLE_MAX_US;
            self.dry = joins.then_some((self.end, begins));
            self.end = begins;
        }
        let (from, since) = (self.end, now.saturating_sub(self.came));
        let mut voiced = 0;
        let mut first = None;
        runs(sound, self.hz, &mut |start, end| {
            let run = Run { from: from + start * 1_000_000 / self.hz, to: from + end * 1_000_000 / self.hz, came: now };
            voiced += run.to - run.from;
            first = first.or(Some(run.from));
            self.voiced(run);
        });
        self.end += told.length;
        self.came = now;
        told.voiced = voiced;
        told.gap = (joins && first.is_some_and(|first| first < from + NEAR_US)).then_some(since);
        if let Some((from, to)) = self.dry {
            if first.is_some_and(|first| first < to + NEAR_US) {
                told.hole = Some(to - from);
                self.dry = None;
            } else if self.end >= to + NEAR_US {
                self.dry = None;
            }
        }
        told
    }

    /// Time passes: what is heard until then. Tells whether any of it is voice.
    pub(super) fn advance(&mut self, to: u64, told: &mut Vec<Heard>) -> bool {
        let mut voice = false;
        while let Some(run) = self.runs.front_mut().filter(|run| run.from < to) {
            voice = true;
            let end = run.to.min(to);
            let stretch = match &mut self.stretch {
                Some(stretch) if run.from.saturating_sub(stretch.end) < BRIDGE_US => stretch,
                over => {
                    end_of(over.take(), told);
                    over.insert(Stretch { start: run.from, came: run.came, end, told: false })
                }
            };
            stretch.end = stretch.end.max(end);
            if !stretch.told && stretch.end - stretch.start >= LEAST_US {
                stretch.told = true;
                told.push(Heard::Began { start: stretch.start, came: stretch.came });
            }
            if run.to > to {
                run.from = to;
                break;
            }
            self.runs.pop_front();
        }
        if self.stretch.is_some_and(|stretch| to >= stretch.end + BRIDGE_US) {
            end_of(self.stretch.take(), told);
        }
        voice
    }

    /// The call is over.
    pub(super) fn over(&mut self, told: &mut Vec<Heard>) {
        end_of(self.stretch.take(), told);
    }

    /// Drops what waits to be heard. Every mark is due at once.
    pub(super) fn clear(&mut self, now: u64) {
        self.end = self.end.min(now);
        while self.runs.back().is_some_and(|run| run.from >= now) {
            self.runs.pop_back();
        }
        if let Some(last) = self.runs.back_mut() {
            last.to = last.to.min(now);
        }
        // The agent stopped on purpose: what comes next is another speech.
        self.voiced_end = 0;
        self.dry = None;
        for (at, _) in &mut self.marks {
            *at = (*at).min(now);
        }
    }

    /// A name to be given back when everything so far has been heard.
    pub(super) fn mark(&mut self, name: String) {
        if self.marks.len() == MARKS_MAX {
            self.marks.pop_front();
        }
        self.marks.push_back((self.end, name));
    }

    /// The next name that is due.
    pub(super) fn due(&mut self, now: u64) -> Option<String> {
        let due = self.marks.front().is_some_and(|(at, _)| *at <= now);
        if due { self.marks.pop_front().map(|(_, name)| name) } else { None }
    }

    fn voiced(&mut self, run: Run) {
        self.voiced_end = run.to;
        let full = self.runs.len() >= RUNS_MAX;
        match self.runs.back_mut() {
            // The edges of a grain are finer than the grain.
            Some(last) if run.from <= last.to + 5_000 || full => last.to = run.to,
            _ => self.runs.push_back(run),
        }
    }
}

fn end_of(stretch: Option<Stretch>, told: &mut Vec<Heard>) {
    if let Some(stretch) = stretch.filter(|stretch| stretch.told) {
        told.push(Heard::Ended { start: stretch.start, end: stretch.end });
    }
}

/// The voiced runs of a sound, in samples.
fn runs(sound: Sound<'_>, hz: u64, each: &mut dyn FnMut(u64, u64)) {
    let (grain, len) = ((hz / 200) as usize, sound.len());
    let mut open: Option<(usize, usize)> = None;
    let mut at = 0;
    while at < len {
        let end = (at + grain).min(len);
        if sound.energy(at, end) >= VOICED * (end - at) as u64 {
            let from = open.map_or_else(|| sound.loud(at, end).unwrap_or(at), |(from, _)| from);
            open = Some((from, at));
        } else if let Some((from, last)) = open.take() {
            each(from as u64, sound.loud_to(last, at) as u64);
        }
        at = end;
    }
    if let Some((from, last)) = open {
        each(from as u64, sound.loud_to(last, len) as u64);
    }
}

/// The square of each mu-law code.
static SQUARES: [u32; 256] = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        let sample = g711::MULAW[code] as i32;
        table[code] = (sample * sample) as u32;
        code += 1;
    }
    table
};

impl Sound<'_> {
    /// In samples.
    pub(super) const fn len(&self) -> usize {
        match self {
            Self::Pcm(bytes) => bytes.len() / 2,
            Self::Mulaw(bytes) => bytes.len(),
            Self::Samples(samples) => samples.len(),
        }
    }

    /// The sum of the squares.
    fn energy(&self, from: usize, to: usize) -> u64 {
        let square = |sample: i16| u64::from((i32::from(sample) * i32::from(sample)) as u32);
        match self {
            Self::Pcm(bytes) => {
                let (pairs, _) = bytes[2 * from..2 * to].as_chunks::<2>();
                pairs.iter().map(|pair| square(i16::from_le_bytes(*pair))).sum()
            }
            Self::Mulaw(bytes) => bytes[from..to].iter().map(|code| u64::from(SQUARES[usize::from(*code)])).sum(),
            Self::Samples(samples) => samples[from..to].iter().map(|sample| square(*sample)).sum(),
        }
    }

    pub(super) fn sample(&self, at: usize) -> i16 {
        match self {
            Self::Pcm(bytes) => i16::from_le_bytes([bytes[2 * at], bytes[2 * at + 1]]),
            Self::Mulaw(bytes) => g711::MULAW[usize::from(bytes[at])],
            Self::Samples(samples) => samples[at],
        }
    }

    /// The first loud sample.
    fn loud(&self, from: usize, to: usize) -> Option<usize> {
        (from..to).find(|at| self.sample(*at).unsigned_abs() >= SAMPLE)
    }

    /// Behind the last loud sample.
    fn loud_to(&self, from: usize, to: usize) -> usize {
        (from..to).rfind(|at| self.sample(*at).unsigned_abs() >= SAMPLE).map_or(to, |at| at + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        audio::{Rate, signal::sine},
        load::caller::{
            Sink,
            measure::{Voicing, speech},
        },
    };

    const RATE: Rate = Rate::PHONE;

    fn tone(ms: usize) -> Vec<i16> {
        sine(440.0, RATE, 9_000.0, 3, ms * 8)
    }

    fn ms(ms: u64) -> u64 {
        ms * 1_000
    }

    /// Audio that comes at certain times, in pieces, and what is told of it until 5 s.
    fn listen(pieces: &[(u64, Vec<i16>)]) -> (Vec<Heard>, Vec<Came>) {
        let mut listener = Listener::new(8_000);
        let (mut told, mut came): (Vec<Heard>, Vec<Came>) = (vec![], vec![]);
        let mut pieces = pieces.iter().peekable();
        for at in 1..250 {
            let now = ms(at * 20);
            while let Some((then, samples)) = pieces.next_if(|(then, _)| *then <= now) {
                came.push(listener.audio(*then, Sound::Samples(samples)));
            }
            listener.advance(now, &mut told);
        }
        (told, came)
    }

    #[test]
    fn it_hears_what_the_recording_shows() {
        // Words with pauses, a click, and a reply that comes faster than it is spoken.
        let pieces = [
            (ms(103), tone(200)),
            (ms(290), [vec![0; 640], tone(333), vec![0; 800]].concat()),
            (ms(1_500), tone(10)),
            (ms(2_001), [tone(100), vec![0; 1_600], tone(400), vec![0; 4_000], tone(57)].concat()),
        ];
        let mut sink = Sink::new(RATE);
        for (at, samples) in &pieces {
            sink.audio((*at * 8 / 1_000) as usize, samples);
        }
        let expected = speech(sink.samples(), RATE, &Voicing::CLEAN);
        let (told, _) = listen(&pieces);
        let ended = told.iter().filter_map(|heard| match heard {
            Heard::Ended { start, end } => Some((*start, *end)),
            Heard::Began { .. } => None,
        });
        let ended: Vec<_> = ended.collect();
        assert_eq!(ended.len(), expected.len(), "{told:?}, {expected:?}");
        for ((start, end), range) in ended.iter().zip(&expected) {
            let (from, to) = (range.start as u64 * 125, range.end as u64 * 125);
            assert!(start.abs_diff(from) < 1_000 && end.abs_diff(to) < 1_000, "{told:?}, {expected:?}");
        }
        assert_eq!(told.len(), 2 * expected.len());
        assert!(matches!(told[0], Heard::Began { start: 123_000..124_000, came: 103_000 }), "{told:?}");
    }

    #[test]
    fn bytes_are_measured_as_samples_are() {
        let samples = [vec![0; 100], sine(700.0, RATE, 3_000.0, 0, 333), vec![20; 99], tone(20)].concat();
        let pcm: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let mulaw: Vec<u8> = samples.iter().map(|sample| g711::mulaw(*sample)).collect();
        let all = |sound| {
            let mut found = vec![];
            runs(sound, 8_000, &mut |from, to| found.push((from, to)));
            found
        };
        let expected = all(Sound::Samples(&samples));
        assert_eq!(expected.len(), 2);
        assert_eq!(all(Sound::Pcm(&pcm)), expected);
        for (got, expected) in all(Sound::Mulaw(&mulaw)).iter().zip(&expected) {
            assert!(got.0.abs_diff(expected.0) < 3 && got.1.abs_diff(expected.1) < 3, "{got:?} {expected:?}");
        }
    }

    #[test]
    fn holes_and_gaps_are_in_the_middle_of_speech() {
        let pieces: Vec<_> = [0, 20, 40, 60, 200, 220, 2_000, 2_020].map(|at| (ms(1_000 + at), tone(20))).to_vec();
        let (_, came) = listen(&pieces);
        let gaps: Vec<u64> = came.iter().filter_map(|came| came.gap).collect();
        assert_eq!(gaps, [20, 20, 20, 140, 20, 20].map(ms));
        let holes: Vec<u64> = came.iter().filter_map(|came| came.hole).collect();
        // Heard until 1 100 ms; the next came at 1 200 and waits 20.
        assert_eq!(holes, [ms(120)]);
        assert_eq!(came.iter().map(|came| came.voiced).max(), Some(ms(20)));
    }

    #[test]
    fn what_is_cleared_is_not_heard() {
        let mut listener = Listener::new(8_000);
        let mut told = vec![];
        listener.audio(0, Sound::Samples(&tone(1_000)));
        listener.mark("a".into());
        for at in 1..20 {
            listener.advance(ms(at * 20), &mut told);
        }
        assert_eq!(listener.due(ms(380)), None);
        listener.clear(ms(390));
        assert_eq!(listener.due(ms(390)).as_deref(), Some("a"));
        for at in 20..60 {
            listener.advance(ms(at * 20), &mut told);
        }
        assert!(matches!(told[..], [Heard::Began { .. }, Heard::Ended { end: 390_000, .. }]), "{told:?}");
        assert_eq!(listener.audio(ms(1_300), Sound::Samples(&tone(20))).hole, None);
    }

    #[test]
    fn an_agent_that_sends_without_end_is_bounded() {
        let mut listener = Listener::new(8_000);
        let short: Vec<i16> = [tone(20), vec![0; 160]].concat();
        let over = (0..10_000).filter(|_| listener.audio(0, Sound::Samples(&short)).overflow).count();
        assert_eq!(over, 7_000, "120 s are 3000 pieces");
        assert!(listener.runs.len() <= RUNS_MAX);
    }
}
