//! The ears: one side of a call that lives at Vapi, on its way through the tenant's recogniser. Pure: the sound of the side
//! goes in, and out comes what the recogniser is fed and what the platform is told.
//!
//! A recogniser that finishes only when it is asked is asked in every pause, after the silence that the tenant has for it
//! (`call.endpointing.commit_ms`), as in a call. Whether the customer has finished is the platform's decision: what we add to
//! that silence would be added to its own.

use std::time::{Duration, Instant};

use super::transcriber::{Channel, Sure, response};
use crate::{
    audio::{Codec, CodecError, Ear, Format, Line, Rate, VadSettings},
    call::SttEvent,
};

/// A stream that stands still is no silence at once: the network may have stalled.
const STALL: Duration = Duration::from_millis(400);

/// Listens to one side.
#[derive(Debug)]
pub struct Listener {
    channel: Channel,
    ear: Ear,
    /// Bytes looked at in one go, so that a pause in the middle of a long message is one.
    step: usize,
    /// The sound of one step, for the recogniser; reused.
    samples: Vec<i16>,
    /// The silence after which the recogniser is asked to finish; none for one that does so by itself.
    pause: Option<Duration>,
    /// There was speech that the recogniser has not been asked to finish.
    open: bool,
    /// The last time it was asked, while it has not answered.
    unanswered: Option<u32>,
    /// Times it was asked.
    commits: u32,
    /// When the last sound came.
    heard_at: Option<Instant>,
    /// The text told last that is not final; empty where there is none.
    partial: String,
}

/// What the recogniser is fed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fed<'a> {
    /// Samples at 16 kHz.
    Sound(&'a [i16]),
    /// Finish what there is, and answer with this number.
    Commit(u32),
}

impl Listener {
    /// For one side of a call. `pause`: see the [module](self).
    pub fn new(channel: Channel, rate: Rate, vad: &VadSettings, pause: Option<Duration>) -> Result<Self, CodecError> {
        Ok(Self {
            channel,
            ear: Ear::new(Format { codec: Codec::Pcm, rate }, vad)?,
            step: 2 * rate.samples(Line::FRAME),
            samples: Vec::new(),
            pause,
            open: false,
            unanswered: None,
            commits: 0,
            heard_at: None,
            partial: String::new(),
        })
    }

    /// Hears whole samples of the side.
    pub fn hear(&mut self, now: Instant, bytes: &[u8], mut feed: impl FnMut(Fed<'_>)) {
        if bytes.is_empty() {
            return;
        }
        self.heard_at = Some(now);
        for step in bytes.chunks(self.step) {
            self.samples.clear();
            self.ear.hear(step, None, None, &mut self.samples, &mut |_| {});
            feed(Fed::Sound(&self.samples));
            self.open |= self.ear.speaking();
            let silence = Rate::WIDE.duration(self.ear.silence());
            if self.pause.is_some_and(|pause| silence >= pause) && !self.ear.speaking() {
                self.commit().into_iter().for_each(|commit| feed(Fed::Commit(commit)));
            }
        }
    }

    /// When [`stalled`](Self::stalled) is to be called, if nothing comes before.
    pub fn wake(&self) -> Option<Instant> {
        let at = self.heard_at.zip(self.pause).map(|(at, pause)| at + pause + STALL);
        at.filter(|_| self.open)
    }

    /// Sound that does not come is silence by now: a platform may send none where there is none.
    pub fn stalled(&mut self, now: Instant) -> Option<u32> {
        if self.wake().is_some_and(|at| at <= now) { self.commit() } else { None }
    }

    /// No more sound will come: asks for what the recogniser still holds.
    pub fn end(&mut self) -> Option<u32> {
        self.pause.and_then(|_| self.commit())
    }

    /// The recogniser said something: what the platform is told of it.
    pub fn recognised(&mut self, event: SttEvent) -> Option<String> {
        match event {
            SttEvent::Partial { text } => {
                let text = text.trim();
                if text == self.partial {
                    return None;
                }
                text.clone_into(&mut self.partial);
                // There is no message that takes words back; the next text replaces them.
                (!text.is_empty()).then(|| response(self.channel, Sure::Partial, text))
            }
            SttEvent::Final { text } => self.sure(text.trim()),
            SttEvent::End => {
                let text = std::mem::take(&mut self.partial);
                self.sure(&text)
            }
            SttEvent::Committed { commit } => {
                self.unanswered.take_if(|unanswered| *unanswered <= commit);
                None
            }
            SttEvent::SpeechStarted | SttEvent::EagerEnd | SttEvent::Resumed => None,
        }
    }

    /// The recogniser is gone, and with it its answer: the next one is asked anew.
    pub fn lose(&mut self) {
        self.open |= self.unanswered.take().is_some();
        self.partial.clear();
    }

    fn sure(&mut self, text: &str) -> Option<String> {
        self.partial.clear();
        (!text.is_empty()).then(|| response(self.channel, Sure::Final, text))
    }

    /// Once for each stretch of speech.
    fn commit(&mut self) -> Option<u32> {
        if !std::mem::take(&mut self.open) {
            return None;
        }
        let commit = self.commits;
        self.commits += 1;
        self.unanswered = Some(commit);
        Some(commit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{Detector, signal};

    const PAUSE: Duration = Duration::from_millis(260);

    fn listener(pause: Option<Duration>) -> Listener {
        let vad = VadSettings { detector: Detector::Energy, noise_suppression: false, ..VadSettings::default() };
        Listener::new(Channel::Customer, Rate::PHONE, &vad, pause).unwrap()
    }

    fn bytes(samples: &[i16]) -> Vec<u8> {
        samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
    }

    /// A second of voice at 8 kHz between stretches of silence of this length.
    fn said(silence: usize) -> Vec<u8> {
        let voice = signal::sine(300.0, Rate::PHONE, 8_000.0, 0, 8_000);
        bytes(&[vec![0; silence], voice, vec![0; silence]].concat())
    }

    /// Commits, and the samples of sound before each.
    fn hear(listener: &mut Listener, sound: &[u8], size: usize) -> (Vec<(u32, usize)>, usize) {
        let (mut commits, mut samples) = (Vec::new(), 0);
        for piece in sound.chunks(size) {
            listener.hear(now(), piece, |fed| match fed {
                Fed::Sound(sound) => samples += sound.len(),
                Fed::Commit(commit) => commits.push((commit, samples)),
            });
        }
        (commits, samples)
    }

    #[expect(clippy::disallowed_methods, reason = "a test needs one real instant to count from")]
    fn now() -> Instant {
        Instant::now()
    }

    #[test]
    fn it_asks_once_in_each_pause_whatever_the_messages() {
        let twice = [said(8_000), said(8_000)].concat();
        let (expected, samples) = hear(&mut listener(Some(PAUSE)), &twice, 320);
        assert_eq!(expected.iter().map(|(commit, _)| *commit).collect::<Vec<_>>(), [0, 1]);
        // The first second of voice ends after two seconds, 32 000 samples.
        assert!(expected[0].1.abs_diff(32_000 + 4_160) <= 640, "{expected:?}");
        assert!(samples > 95_000);
        for size in [2, 100, 5_000, twice.len()] {
            let (commits, _) = hear(&mut listener(Some(PAUSE)), &twice, size);
            assert_eq!(commits.len(), 2, "messages of {size}");
            for (one, other) in commits.iter().zip(&expected) {
                assert!(one.1.abs_diff(other.1) <= 640, "messages of {size}: {commits:?}");
            }
        }
        assert!(hear(&mut listener(None), &twice, 320).0.is_empty(), "one that finishes by itself is not asked");
        assert!(hear(&mut listener(Some(PAUSE)), &bytes(&[0; 16_000]), 320).0.is_empty(), "nobody spoke");
    }

    #[test]
    fn a_stream_that_stands_still_is_a_pause_after_a_while() {
        let mut listener = listener(Some(PAUSE));
        assert_eq!(listener.wake(), None);
        let begun = now();
        let voice = said(4_000);
        listener.hear(begun, &voice[..16_000], |_| {});
        let wake = listener.wake().unwrap();
        assert_eq!(wake, begun + PAUSE + STALL);
        assert_eq!(listener.stalled(wake - Duration::from_millis(1)), None);
        assert_eq!(listener.stalled(wake), Some(0));
        assert_eq!((listener.stalled(wake), listener.wake(), listener.end()), (None, None, None), "once");
    }

    #[test]
    fn partials_are_told_when_they_change_and_finals_once() {
        let mut listener = listener(Some(PAUSE));
        let mut told = |event| {
            listener.recognised(event).map(|json| {
                let json: serde_json::Value = serde_json::from_str(&json).unwrap();
                format!("{} {}", json["transcriptType"].as_str().unwrap(), json["transcription"].as_str().unwrap())
            })
        };
        let partial = |text: &str| SttEvent::Partial { text: text.into() };
        let last = |text: &str| SttEvent::Final { text: text.into() };
        assert_eq!(told(partial("vorrei")).as_deref(), Some("partial vorrei"));
        assert_eq!(told(partial("vorrei ")), None, "the same");
        assert_eq!(told(partial("vorrei spostare")).as_deref(), Some("partial vorrei spostare"));
        assert_eq!(told(last(" Vorrei spostare. ")).as_deref(), Some("final Vorrei spostare."));
        assert_eq!(told(SttEvent::End), None, "it has been said");
        assert_eq!(told(last("  ")), None);
        assert_eq!(told(partial("")), None);
        assert_eq!(told(partial("vorrei spostare")).as_deref(), Some("partial vorrei spostare"), "said once more");
        assert_eq!(told(SttEvent::End).as_deref(), Some("final vorrei spostare"), "what was open when the turn ended");
    }

    #[test]
    fn what_a_lost_recogniser_did_not_answer_is_asked_again() {
        let mut listener = listener(Some(PAUSE));
        assert_eq!(hear(&mut listener, &said(8_000), 320).0.len(), 1);
        listener.lose();
        assert_eq!(hear(&mut listener, &bytes(&[0; 320]), 640).0.len(), 1, "the next one is asked at once");
        listener.recognised(SttEvent::Committed { commit: 1 });
        listener.lose();
        assert!(hear(&mut listener, &bytes(&[0; 320]), 640).0.is_empty(), "it had answered");
    }
}
