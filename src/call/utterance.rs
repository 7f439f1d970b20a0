//! What the caller is saying: the text so far, and what of it is still open.

use std::time::Duration;

use super::{SttEvent, Turn, limits::UTTERANCE_CHARS_MAX, loudness::Loudness};

/// The end of an echo is too soft to be known as one: 200 ms.
const OURS_FADES: u64 = 3_200;

/// One utterance in progress. Positions count 16 kHz samples since the call began.
#[derive(Debug, Default)]
pub(crate) struct Utterance {
    /// The first voiced sample.
    pub(crate) start: u64,
    /// T0: the last voiced sample so far.
    pub(crate) end: u64,
    /// What will not change any more.
    fixed: String,
    /// What may.
    open: String,
    /// The last commit that was sent for it.
    pub(crate) commit: Option<u32>,
    /// The last commit that was answered.
    committed: Option<u32>,
    /// The position of the last commit: silence after it is committed already.
    pub(crate) committed_at: u64,
    /// The engine says that the turn has ended.
    pub(crate) engine_end: bool,
    /// Up to here it was our own voice coming back; 0 where none of it was.
    pub(crate) ours_until: u64,
    /// Where it was last compared with our own voice.
    pub(crate) compared_at: u64,
    /// The longest unbroken run of speech in it.
    pub(crate) run_max: Duration,
    /// How loud it is.
    pub(crate) loudness: Loudness,
    /// The last sample at which it was about as loud as the caller is.
    pub(crate) near_until: u64,
    /// The reply was cut because of it: it must not end in silence.
    pub(crate) cut: bool,
    /// How often the model was asked ahead for it.
    pub(crate) asked_ahead: u32,
    /// The silence that its text asks for, as weighed in this turn; a frame of silence changes neither.
    pub(crate) weighed: Option<(Turn, Duration)>,
}

impl Utterance {
    /// Speech began here.
    pub(crate) fn new(start: u64) -> Self {
        Self { start, end: start, near_until: start, ..Self::default() }
    }

    /// The caller went on after it had been taken as complete: the text it had.
    pub(crate) fn resume(&mut self, text: &str) {
        self.weighed = None;
        let rest = std::mem::take(&mut self.fixed);
        self.fixed = text.to_string();
        self.fix(&rest);
        self.open = self.open.chars().take(self.room()).collect();
    }

    /// The first voiced sample that was not our own voice coming back.
    pub(crate) fn onset(&self) -> u64 {
        self.start.max(self.ours_until)
    }

    /// All that was heard was our own voice coming back.
    pub(crate) const fn is_ours(&self) -> bool {
        self.ours_until > 0 && self.end <= self.ours_until + OURS_FADES
    }

    /// Something was recognised.
    pub(crate) fn hear(&mut self, event: &SttEvent) {
        self.weighed = None;
        match event {
            SttEvent::Partial { text } => {
                self.engine_end = false;
                self.open = text.chars().take(self.room()).collect();
            }
            SttEvent::Final { text } => {
                self.open.clear();
                self.fix(text);
            }
            SttEvent::Committed { commit } => self.committed = Some(*commit),
            SttEvent::End => self.engine_end = true,
            SttEvent::Resumed | SttEvent::SpeechStarted => self.engine_end = false,
            SttEvent::EagerEnd => {}
        }
    }

    /// The text so far.
    pub(crate) fn text(&self) -> String {
        let mut text = self.fixed.clone();
        join(&mut text, &self.open);
        text
    }

    /// Whether anything was recognised.
    pub(crate) fn is_empty(&self) -> bool {
        self.fixed.trim().is_empty() && self.open.trim().is_empty()
    }

    /// All that was said is in the text: the engine answered the last commit, ended the turn, or has nothing open.
    pub(crate) fn is_settled(&self, commits: bool) -> bool {
        if commits {
            self.commit.is_some() && self.committed == self.commit
        } else {
            self.engine_end || self.open.is_empty() && !self.fixed.is_empty()
        }
    }

    fn fix(&mut self, text: &str) {
        let text: String = text.chars().take(self.room()).collect();
        join(&mut self.fixed, &text);
    }

    /// How many more characters it may have.
    fn room(&self) -> usize {
        UTTERANCE_CHARS_MAX.saturating_sub(self.fixed.chars().count())
    }
}

fn join(text: &mut String, more: &str) {
    let more = more.trim();
    if !more.is_empty() {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(more);
    }
}
