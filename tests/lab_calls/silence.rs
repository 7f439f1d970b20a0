//! How long a call was silent, from the sound of its two sides alone.

use std::{ops::Range, time::Duration};

use pronto::load::caller::{
    Conversation, Recording,
    measure::{Voicing, speech},
};

/// Nobody who called is left in silence for longer: design, promise 7.
pub const BUDGET: Duration = Duration::from_millis(2_500);

/// How exactly silence is measured: a frame of the caller's is sent up to 20 ms after it was said, what comes is heard
/// up to 20 ms after it came, and a voice begins and ends somewhere in a grain of 5 ms.
pub const TOLERANCE: Duration = Duration::from_millis(45);

/// What one call may be silent: the budget, and what its caller's own clock was late.
pub fn allowed(conversation: &Conversation) -> Duration {
    BUDGET + TOLERANCE + conversation.late_max
}

/// Every stretch in which neither side was heard, from the dialling to the end. Our callers answer whatever they
/// understand within a second, so whatever is longer is a caller who waits.
pub fn silences(recording: &Recording) -> Vec<Range<Duration>> {
    let rate = recording.rate();
    let mut voiced = speech(&recording.caller, rate, &Voicing::CLEAN);
    let end = recording.caller.len();
    voiced.extend(speech(recording.agent.samples(), rate, &Voicing::CLEAN));
    voiced.sort_unstable_by_key(|stretch| stretch.start);
    voiced.push(end..end);
    let time = |sample: usize| rate.duration(sample as u64);
    let mut silences = Vec::new();
    let mut heard = 0;
    for stretch in voiced {
        if stretch.start > heard {
            silences.push(time(heard)..time(stretch.start));
        }
        heard = heard.max(stretch.end);
    }
    silences
}

/// The longest of them.
pub fn longest(silences: &[Range<Duration>]) -> Range<Duration> {
    let length = |silence: &&Range<Duration>| silence.end - silence.start;
    silences.iter().max_by_key(length).cloned().unwrap_or_default()
}

#[test]
fn a_silence_is_where_neither_side_speaks() {
    let rate = pronto::audio::Rate::PHONE;
    let ms = |ms: u64| rate.samples(Duration::from_millis(ms));
    let tone = |ms_: u64| (0..ms(ms_)).map(|n| if n % 16 < 8 { 6_000 } else { -6_000 }).collect::<Vec<i16>>();
    let mut recording = Recording::new(rate);
    recording.caller = [vec![0; ms(1_000)], tone(1_000), vec![0; ms(6_000)]].concat();
    recording.agent.audio(ms(1_480), &tone(1_000));
    recording.agent.audio(ms(5_980), &tone(500));
    let silences = silences(&recording);
    let expected = [(0, 1_000), (2_500, 6_000), (6_500, 8_000)];
    assert_eq!(silences.len(), expected.len(), "{silences:?}");
    for (silence, (from, to)) in silences.iter().zip(expected) {
        assert!(silence.start.abs_diff(Duration::from_millis(from)) < TOLERANCE, "{silence:?} for {from}..{to}");
        assert!(silence.end.abs_diff(Duration::from_millis(to)) < TOLERANCE, "{silence:?} for {from}..{to}");
    }
    let longest = longest(&silences);
    assert!(longest.end - longest.start > BUDGET + TOLERANCE, "a silence that breaks the promise is found");
}
