//! Deciding that the caller cuts in. Sound alone is never enough to end our sentence: it holds the voice, and words
//! (or a long run of speech) decide.

use std::time::{Duration, Instant};

use super::{Interrupting, InterruptingPolicy, Settings};

/// The caller may be cutting in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CutIn {
    /// The first voiced sample (16 kHz, since the call began).
    pub(crate) onset: u64,
    /// The voice has been held since then.
    pub(crate) held: Option<Instant>,
}

/// What speaks for and against a cut-in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Evidence {
    /// How long the caller has been speaking without a break, for sure: a noise, however long, counts nothing.
    pub(crate) sure: Duration,
    /// The caller is speaking.
    pub(crate) speaking: bool,
    /// How long the caller has been silent.
    pub(crate) silence: Duration,
    /// Words recognised that count (backchannels do not, while we are heard).
    pub(crate) words: u32,
    /// A word was recognised that always cuts.
    pub(crate) stop: bool,
    /// Nothing more will be recognised of what was said so far.
    pub(crate) settled: bool,
    /// What we hear is our own voice.
    pub(crate) echo: bool,
    /// The voice is held.
    pub(crate) held: bool,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing yet.
    Wait,
    /// Speak softer.
    Duck,
    /// Stop sounding, keep the place.
    Hold,
    /// It was nothing: go on where we stopped.
    Resume,
    /// The reply is over.
    Cut,
}

impl Interrupting {
    /// Weighs the evidence.
    pub(crate) fn judge(&self, evidence: &Evidence) -> Verdict {
        let hold = evidence.speaking && evidence.sure >= Settings::ms(self.hold_ms);
        match self.policy {
            InterruptingPolicy::Never => Verdict::Wait,
            _ if evidence.stop => Verdict::Cut,
            _ if evidence.echo => Verdict::Resume,
            InterruptingPolicy::Speech => {
                if hold {
                    Verdict::Cut
                } else {
                    self.soften(evidence)
                }
            }
            InterruptingPolicy::Words => {
                if evidence.words >= self.words_min.max(1) || evidence.sure >= Settings::ms(self.cut_ms) {
                    Verdict::Cut
                } else if !evidence.held {
                    if hold { Verdict::Hold } else { self.soften(evidence) }
                } else if !evidence.speaking && (evidence.settled || evidence.silence >= Settings::ms(self.resume_ms)) {
                    Verdict::Resume
                } else {
                    Verdict::Wait
                }
            }
        }
    }

    fn soften(&self, evidence: &Evidence) -> Verdict {
        match (self.duck, evidence.speaking) {
            (true, true) => Verdict::Duck,
            (_, false) => Verdict::Resume,
            (false, true) => Verdict::Wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Evidence = Evidence {
        sure: Duration::ZERO,
        speaking: false,
        silence: Duration::ZERO,
        words: 0,
        stop: false,
        settled: false,
        echo: false,
        held: false,
    };

    fn check(evidence: Evidence, expected: Verdict) {
        assert_eq!(Interrupting::default().judge(&evidence), expected, "{evidence:?}");
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn sound_holds_and_words_cut() {
        check(Evidence { speaking: true, ..NOTHING }, Verdict::Duck);
        check(Evidence { speaking: true, sure: ms(80), ..NOTHING }, Verdict::Hold);
        check(Evidence { speaking: true, sure: ms(300), held: true, ..NOTHING }, Verdict::Wait);
        check(Evidence { speaking: true, sure: ms(300), held: true, words: 1, ..NOTHING }, Verdict::Cut);
        check(Evidence { speaking: true, sure: ms(700), held: true, ..NOTHING }, Verdict::Cut);
    }

    #[test]
    fn a_false_alarm_goes_on() {
        check(Evidence { held: true, silence: ms(200), ..NOTHING }, Verdict::Wait);
        check(Evidence { held: true, silence: ms(200), settled: true, ..NOTHING }, Verdict::Resume);
        check(Evidence { held: true, silence: ms(600), ..NOTHING }, Verdict::Resume);
    }

    #[test]
    fn a_word_that_always_cuts_needs_no_others() {
        let four = Interrupting { words_min: 4, ..Interrupting::default() };
        let one = Evidence { speaking: true, held: true, words: 1, ..NOTHING };
        assert_eq!(four.judge(&one), Verdict::Wait);
        assert_eq!(four.judge(&Evidence { stop: true, ..one }), Verdict::Cut);
    }

    #[test]
    fn an_echo_is_never_a_cut_in() {
        check(Evidence { speaking: true, sure: ms(900), echo: true, words: 3, ..NOTHING }, Verdict::Resume);
    }
}
