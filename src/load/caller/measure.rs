//! What a call was like, from the sound of its two sides alone: it asks neither the gateway nor its events.
//!
//! | measured | from | to |
//! |---|---|---|
//! | latency | the last voiced sample of the caller's line, when it was sent (T0) | the first voiced sample after it, when it came (A1) |
//! | cut | the first voiced sample of a line said into the agent's speech | the last voiced sample of the agent, when it was heard |
//! | hole | the end of what had come, in the middle of speech | the next that came |
//!
//! Pure: samples in, numbers out.

use std::{ops::Range, time::Duration};

use super::sink::Sink;
use crate::audio::{Rate, level_db};

/// When sound is a voice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Voicing {
    /// A stretch of 5 ms as loud as this is voiced.
    pub level_db: f32,
    /// A shorter pause does not end a stretch of speech.
    pub bridge: Duration,
    /// A shorter stretch is a click.
    pub least: Duration,
}

impl Voicing {
    /// A voice from a synthesiser on a clean line, word by word.
    pub const CLEAN: Self =
        Self { level_db: -45.0, bridge: Duration::from_millis(250), least: Duration::from_millis(30) };
}

/// The grain of the measure.
const GRAIN: Duration = Duration::from_millis(5);
/// The measure is finer than its grain: inside the first and the last, a sample of this size is voiced.
const SAMPLE: u16 = 60;
/// A hole is one when there is voice this close on both sides.
const NEAR: Duration = Duration::from_millis(100);
/// A longer pause is no hole in speech but the end of it.
const HOLE_MAX: Duration = Duration::from_secs(1);

/// The stretches of speech, in samples.
pub fn speech(samples: &[i16], rate: Rate, voicing: &Voicing) -> Vec<Range<usize>> {
    let grain = rate.samples(GRAIN);
    let (bridge, least) = (rate.samples(voicing.bridge), rate.samples(voicing.least));
    let mut stretches: Vec<Range<usize>> = Vec::new();
    for (at, piece) in samples.chunks(grain).enumerate() {
        if level_db(piece) < voicing.level_db {
            continue;
        }
        let loud = |sample: &i16| sample.unsigned_abs() >= SAMPLE;
        let from = at * grain + piece.iter().position(loud).unwrap_or(0);
        let to = at * grain + piece.iter().rposition(loud).map_or(piece.len(), |last| last + 1);
        match stretches.last_mut() {
            Some(last) if from - last.end < bridge => last.end = to,
            _ => stretches.push(from..to),
        }
    }
    stretches.retain(|stretch| stretch.len() >= least);
    stretches
}

/// One line of the caller: where it is in the caller's audio.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// What was said; empty for a recording.
    pub text: String,
    /// The samples of the line.
    pub samples: Range<usize>,
    /// Said into the agent's speech on purpose.
    pub cuts_in: bool,
}

/// How one line of the caller was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// What was said.
    pub text: String,
    /// The first voiced sample of the line.
    pub onset: Duration,
    /// T0: its last voiced sample.
    pub end: Duration,
    /// A1: the first voice of the agent that came after it, if any did before the caller's next line.
    pub answer: Option<Duration>,
    /// How long the agent went on speaking after the onset, where the line was said into its speech.
    pub cut: Option<Duration>,
}

impl Answered {
    /// From the end of the caller's speech to the answer.
    pub fn latency(&self) -> Option<Duration> {
        self.answer?.checked_sub(self.end)
    }
}

/// How each line was answered.
pub fn answers(caller: &[i16], agent: &Sink, said: &[Said], voicing: &Voicing) -> Vec<Answered> {
    let rate = agent.rate();
    let time = |samples: usize| rate.duration(samples as u64);
    let heard = speech(agent.samples(), rate, voicing);
    let mut answered = Vec::new();
    for (at, line) in said.iter().enumerate() {
        let from = line.samples.start.min(caller.len());
        let voiced = speech(&caller[from..line.samples.end.min(caller.len())], rate, voicing);
        let (Some(first), Some(last)) = (voiced.first(), voiced.last()) else { continue };
        let (onset, end) = (from + first.start, from + last.end);
        let next = said.get(at + 1).map_or(usize::MAX, |next| next.samples.start);
        let answer = heard.iter().find(|stretch| stretch.start >= end && stretch.start < next);
        let cut = heard.iter().find(|stretch| stretch.contains(&onset)).filter(|_| line.cuts_in);
        answered.push(Answered {
            text: line.text.clone(),
            onset: time(onset),
            end: time(end),
            answer: answer.map(|stretch| time(came(agent, stretch.start))),
            cut: cut.map(|stretch| time(stretch.end - onset)),
        });
    }
    answered
}

/// Holes in the agent's speech: nothing had come in time to be heard.
pub fn holes(agent: &Sink, voicing: &Voicing) -> Vec<Range<Duration>> {
    let rate = agent.rate();
    let near = rate.samples(NEAR);
    let samples = agent.samples();
    let voiced = |range: Range<usize>| {
        let grain = rate.samples(GRAIN);
        let piece = &samples[range.start..range.end.min(samples.len())];
        piece.chunks(grain).any(|grain| level_db(grain) >= voicing.level_db)
    };
    agent
        .pieces()
        .windows(2)
        .map(|pair| pair[0].at + pair[0].len..pair[1].at)
        .filter(|hole| !hole.is_empty() && hole.len() < rate.samples(HOLE_MAX))
        .filter(|hole| voiced(hole.start.saturating_sub(near)..hole.start) && voiced(hole.end..hole.end + near))
        .map(|hole| rate.duration(hole.start as u64)..rate.duration(hole.end as u64))
        .collect()
}

/// The value below which this share of the durations lies, and the highest for 1.
pub fn quantile(durations: &[Duration], share: f64) -> Option<Duration> {
    let mut sorted = durations.to_vec();
    sorted.sort_unstable();
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied()
}

/// When the sample that is heard here had come.
fn came(agent: &Sink, at: usize) -> usize {
    let pieces = agent.pieces();
    let after = pieces.partition_point(|piece| piece.at <= at);
    after.checked_sub(1).map_or(at, |index| pieces[index].came)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::signal::sine;

    const RATE: Rate = Rate::PHONE;

    fn tone(ms: u64) -> Vec<i16> {
        sine(440.0, RATE, 9_000.0, 3, RATE.samples(Duration::from_millis(ms)))
    }

    fn quiet(ms: u64) -> Vec<i16> {
        vec![0; RATE.samples(Duration::from_millis(ms))]
    }

    fn ms(ms: u64) -> usize {
        RATE.samples(Duration::from_millis(ms))
    }

    fn near(got: Duration, expected_ms: u64) {
        let off = got.abs_diff(Duration::from_millis(expected_ms));
        assert!(off <= Duration::from_millis(1), "{got:?} for {expected_ms} ms");
    }

    #[test]
    fn speech_is_found_to_the_sample_and_clicks_are_not_speech() {
        let sound = [quiet(101), tone(203), quiet(100), tone(50), quiet(400), tone(10), quiet(300), tone(60)].concat();
        let found = speech(&sound, RATE, &Voicing::CLEAN);
        assert_eq!(found.len(), 2, "{found:?}");
        near(RATE.duration(found[0].start as u64), 101);
        near(RATE.duration(found[0].end as u64), 454);
        near(RATE.duration(found[1].start as u64), 1_164);
    }

    #[test]
    fn noise_below_the_threshold_is_silence() {
        let hiss = sine(3_000.0, RATE, 100.0, 0, 8_000);
        assert!(speech(&hiss, RATE, &Voicing::CLEAN).is_empty());
    }

    #[test]
    fn the_latency_ends_when_the_answer_came_not_when_it_was_heard() {
        let caller = [quiet(500), tone(1_000), quiet(2_000)].concat();
        let mut agent = Sink::new(RATE);
        // 300 ms of silence are queued when the voice comes at 2 000 ms: it is heard later, but it came then.
        agent.audio(ms(1_980), &quiet(300));
        agent.audio(ms(2_000), &tone(700));
        let said = [Said { text: "sì".into(), samples: ms(400)..ms(1_600), cuts_in: false }];
        let answered = answers(&caller, &agent, &said, &Voicing::CLEAN);
        assert_eq!(answered.len(), 1);
        near(answered[0].onset, 500);
        near(answered[0].end, 1_500);
        near(answered[0].latency().unwrap(), 500);
        assert_eq!(answered[0].cut, None);
    }

    #[test]
    fn a_cut_lasts_until_the_last_voice_is_heard() {
        let caller = [quiet(1_000), tone(800), quiet(2_000)].concat();
        let mut agent = Sink::new(RATE);
        agent.audio(ms(500), &tone(680));
        agent.audio(ms(2_300), &tone(300));
        let said = [Said { text: "no aspetti".into(), samples: ms(990)..ms(1_900), cuts_in: true }];
        let answered = answers(&caller, &agent, &said, &Voicing::CLEAN);
        near(answered[0].cut.unwrap(), 200);
        near(answered[0].latency().unwrap(), 500);
    }

    #[test]
    fn an_answer_after_the_next_line_is_no_answer_to_this_one() {
        let caller = [tone(500), quiet(1_000), tone(500), quiet(1_000)].concat();
        let mut agent = Sink::new(RATE);
        agent.audio(ms(2_500), &tone(300));
        let said = [(0, 600), (1_500, 2_100)].map(|(from, to)| Said {
            text: String::new(),
            samples: ms(from)..ms(to),
            cuts_in: false,
        });
        let answered = answers(&caller, &agent, &said, &Voicing::CLEAN);
        assert_eq!(answered[0].answer, None);
        near(answered[1].latency().unwrap(), 500);
    }

    #[test]
    fn a_hole_is_in_the_middle_of_speech() {
        let mut agent = Sink::new(RATE);
        agent.audio(0, &tone(200));
        agent.audio(ms(300), &tone(200)); // 100 ms late and 20 ms of playout
        agent.audio(ms(520), &quiet(200));
        agent.audio(ms(900), &tone(200)); // after silence: nobody missed anything
        agent.audio(ms(4_000), &tone(200)); // another reply
        let holes = holes(&agent, &Voicing::CLEAN);
        assert_eq!(holes.len(), 1, "{holes:?}");
        near(holes[0].start, 200);
        near(holes[0].end, 320);
    }

    #[test]
    fn quantiles() {
        let durations: Vec<_> = (1..=20).rev().map(Duration::from_millis).collect();
        assert_eq!(quantile(&durations, 0.5), Some(Duration::from_millis(10)));
        assert_eq!(quantile(&durations, 0.95), Some(Duration::from_millis(19)));
        assert_eq!(quantile(&durations, 1.0), Some(Duration::from_millis(20)));
        assert_eq!(quantile(&[], 0.5), None);
    }
}
