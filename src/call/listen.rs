//! Hearing the caller: sound in, and the utterance it becomes. Speech is measured in samples received; only a stall of
//! the network is measured by the clock.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{
    Action, Actions, AudioIn, SttEvent, VadSettings,
    limits::{STALL, STALL_MAX},
    taken::Taken,
    utterance::Utterance,
};
use crate::audio::{CodecError, Ear, Heard, Key, Line, Rate, SILENCE_DB, level_db};

/// Speech that may be our own voice coming back is compared with it every 40 ms, and speech that was not every 80.
const COMPARE_EVERY: u64 = 640;

/// How loud the line was is remembered for so long, in pieces of a frame: a recogniser may hear words a while after they
/// were said, and nobody has noticed any speech.
const LEVELS: usize = 75;

/// Speech begins before it is noticed, by less than this.
const BEFORE_NOTICED: usize = 20;

/// Who is so much softer than the caller was is somebody else, or the caller turned away from the telephone: dB.
const FAR: f32 = 12.0;

/// How much of a new level is believed.
const BELIEVED: f32 = 0.4;

/// Speech that for so long was never near its own loudness is the room, not the caller: who speaks has a loud vowel in
/// every second.
const FADED: Duration = Duration::from_millis(1_000);

/// The ears of one call.
#[derive(Debug)]
pub(crate) struct Listen {
    /// Decodes, resamples and detects.
    ear: Ear,
    /// What is being said, if anything.
    pub(crate) utterance: Option<Utterance>,
    /// When the last audio came.
    last_audio: Option<Instant>,
    /// When something was last recognised.
    pub(crate) text_at: Option<Instant>,
    /// The position at which it was.
    text_position: u64,
    /// Commits sent.
    commits: u32,
    /// The last complete utterance: late texts may still belong to it.
    taken: Option<Taken>,
    /// When anything last happened in the call.
    looked_at: Option<Instant>,
    /// The last piece of audio was like our own voice.
    alike: bool,
    /// The caller is muted by a control.
    pub(crate) muted: bool,
    /// Detections of one piece of audio, reused.
    found: Vec<Heard>,
    /// How loud the last frames were, in dBFS, the oldest first.
    levels: VecDeque<f32>,
    /// How loud the caller is, over the utterances that were answered; none before the first.
    voice: Option<f32>,
    /// Samples of the caller received, at 16 kHz.
    pub(crate) samples_in: u64,
}

/// What a piece of audio brought.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// An utterance began.
    pub(crate) started: bool,
    /// Keys heard in the sound; more than a few at once cannot be.
    pub(crate) keys: [Option<Key>; 4],
}

impl Listen {
    pub(crate) fn new(line: Line, vad: &VadSettings) -> Result<Self, CodecError> {
        Ok(Self {
            ear: Ear::new(line.hears, vad)?,
            utterance: None,
            last_audio: None,
            text_at: None,
            text_position: 0,
            commits: 0,
            taken: None,
            looked_at: None,
            alike: false,
            muted: false,
            found: Vec::with_capacity(8),
            levels: VecDeque::with_capacity(LEVELS),
            voice: None,
            samples_in: 0,
        })
    }

    /// A piece of the caller's audio.
    pub(crate) fn audio(&mut self, now: Instant, audio: AudioIn<'_>, actions: &mut Actions) -> News {
        self.last_audio = Some(now);
        let mut news = News::default();
        if self.muted {
            return news;
        }
        let (ear, found, levels) = (&mut self.ear, &mut self.found, &mut self.levels);
        ear.arrived(now);
        found.clear();
        let mut samples_in = 0;
        actions.hear(|samples| {
            let from = samples.len();
            ear.hear(audio.payload, audio.media_time, audio.sequence, samples, &mut |heard| {
                if found.len() < found.capacity() {
                    found.push(heard);
                }
            });
            samples_in = samples.len() - from;
            for frame in samples[from..].chunks(Rate::WIDE.samples(Line::FRAME)) {
                if levels.len() == LEVELS {
                    levels.pop_front();
                }
                levels.push_back(level_db(frame));
            }
        });
        self.samples_in += samples_in as u64;
        for at in 0..self.found.len() {
            match &self.found[at] {
                Heard::SpeechStarted { at, .. } => {
                    news.started |= self.utterance.is_none();
                    let at = *at;
                    let levels = &self.levels;
                    self.utterance.get_or_insert_with(|| begun(at, levels, BEFORE_NOTICED));
                }
                Heard::SpeechStopped { at, .. } => {
                    let at = *at;
                    if let Some(utterance) = &mut self.utterance {
                        utterance.end = utterance.end.max(at);
                    }
                }
                Heard::Key(key) => {
                    if let Some(free) = news.keys.iter_mut().find(|slot| slot.is_none()) {
                        *free = Some(*key);
                    }
                }
                Heard::Hole { .. } => {}
            }
        }
        let (run, position, speaking) = (self.ear.voiced_run(), self.ear.position(), self.ear.speaking());
        let frames = samples_in.div_ceil(Rate::WIDE.samples(Line::FRAME));
        let loudest = self.levels.iter().rev().take(frames).copied().fold(SILENCE_DB, f32::max);
        let near = self.voice.is_none_or(|voice| loudest >= voice - FAR);
        if speaking && near && self.utterance.as_ref().is_none_or(|utterance| utterance.is_empty() && self.is_far()) {
            // What was said before a stall was taken as complete in it, and goes on; or the caller speaks up in a room
            // full of people.
            news.started |= self.utterance.is_none();
            self.utterance = Some(Utterance::new(position - samples_in as u64));
        }
        let (faded, quiet) = (self.has_faded(), self.ear.silence());
        if let Some(utterance) = &mut self.utterance {
            utterance.run_max = utterance.run_max.max(run);
            self.levels.iter().rev().take(frames).for_each(|level| utterance.loudness.add(*level));
            if loudest >= self.voice.unwrap_or_else(|| utterance.loudness.level()) - FAR {
                utterance.near_until = position;
            }
            if speaking && !faded {
                utterance.end = utterance.end.max(position.saturating_sub(quiet));
            }
        }
        if !faded && self.has_faded() {
            // T0 is where the caller was heard last.
            if let Some(utterance) = &mut self.utterance {
                utterance.end = utterance.near_until.max(utterance.start);
            }
        }
        news
    }

    /// The recogniser said something. Returns whether an utterance began with it.
    pub(crate) fn recognised(&mut self, now: Instant, event: &SttEvent) -> bool {
        let mut began = false;
        let text = match event {
            SttEvent::Partial { text } | SttEvent::Final { text } => text.trim(),
            SttEvent::SpeechStarted
            | SttEvent::EagerEnd
            | SttEvent::Resumed
            | SttEvent::End
            | SttEvent::Committed { .. } => "",
        };
        if !text.is_empty() {
            self.text_at = Some(now);
            self.text_position = self.ear.position();
            if let Some(taken) = &self.taken
                && taken.owns(now, text, self.utterance.is_some())
            {
                let Some(more) = taken.more_in(text) else { return false };
                return self.recognised_more(event, more);
            }
            began = self.utterance.is_none();
            // Words without detected speech: a soft voice. They count from now.
            let (position, levels) = (self.ear.position(), &self.levels);
            let silent = self.taken.as_ref().filter(|taken| taken.silent).map(|taken| taken.loudness);
            self.utterance.get_or_insert_with(|| {
                let mut utterance = begun(position, levels, LEVELS);
                utterance.loudness = silent.unwrap_or(utterance.loudness);
                utterance
            });
        }
        if let SttEvent::Committed { commit } = event
            && let Some(taken) = &mut self.taken
            && taken.pending == Some(*commit)
        {
            taken.pending = None;
            return began;
        }
        if let Some(utterance) = &mut self.utterance {
            utterance.hear(event);
        }
        began
    }

    fn recognised_more(&mut self, event: &SttEvent, more: String) -> bool {
        let Some(utterance) = &mut self.utterance else { return false };
        match event {
            SttEvent::Final { .. } => utterance.hear(&SttEvent::Final { text: more }),
            SttEvent::Partial { .. } => utterance.hear(&SttEvent::Partial { text: more }),
            SttEvent::SpeechStarted
            | SttEvent::EagerEnd
            | SttEvent::Resumed
            | SttEvent::End
            | SttEvent::Committed { .. } => {}
        }
        false
    }

    /// Asks the recogniser to finish, once in each pause.
    pub(crate) fn commit(&mut self, actions: &mut Actions) {
        let position = self.ear.position();
        if let Some(utterance) = &mut self.utterance
            && utterance.committed_at <= utterance.end
        {
            utterance.committed_at = position;
            utterance.commit = Some(self.commits);
            actions.push(Action::Commit(self.commits));
            self.commits += 1;
        }
    }

    /// The utterance is complete, or it was nothing: the next words are a new one. Returns whether there was one.
    pub(crate) fn take(&mut self, now: Instant, commits: bool, actions: &mut Actions) -> bool {
        if commits {
            // What the recogniser still holds of it must not come with the next one.
            self.commit(actions);
        }
        let Some(utterance) = self.utterance.take() else { return false };
        let pending = utterance.commit.filter(|_| commits && !utterance.is_settled(commits));
        self.taken =
            Some(Taken { text: utterance.text(), at: now, pending, silent: false, loudness: utterance.loudness });
        true
    }

    /// The present utterance is much softer than the caller was: it is not meant for us.
    pub(crate) fn is_far(&self) -> bool {
        let Some((utterance, voice)) = self.utterance.as_ref().zip(self.voice) else { return false };
        utterance.loudness.level() < voice - FAR && !utterance.cut
    }

    /// What the detectors still take for speech has not been near for so long that it is the room.
    fn has_faded(&self) -> bool {
        let room = |utterance: &Utterance| self.since(utterance.near_until) >= FADED;
        self.ear.speaking() && self.utterance.as_ref().is_some_and(room)
    }

    /// This is how loud the caller is: the present utterance is answered.
    pub(crate) fn know_voice(&mut self) {
        if let Some(utterance) = &self.utterance {
            let level = utterance.loudness.level();
            let voice = self.voice.unwrap_or(level);
            self.voice = Some(voice + BELIEVED * (level - voice));
        }
    }

    /// Nothing was understood of what was taken.
    pub(crate) fn was_silent(&mut self) {
        if let Some(taken) = &mut self.taken {
            taken.silent = true;
        }
    }

    /// Something happens in the call. When that is long after we wanted to be woken, our own process stood still: what
    /// the caller said meanwhile has not been read yet, and is no silence.
    pub(crate) fn looked(&mut self, now: Instant) {
        let gap = self.looked_at.replace(now).map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        if gap > STALL + STALL / 4
            && self.utterance.is_some()
            && let Some(last) = &mut self.last_audio
        {
            *last += gap;
        }
    }

    /// The line is back: what did not come meanwhile was no silence.
    pub(crate) fn line_back(&mut self, now: Instant) {
        self.last_audio = self.last_audio.map(|_| now);
    }

    /// The recogniser is gone: it will not answer its commits, the next one will be asked anew.
    pub(crate) fn lose_text(&mut self) {
        if let Some(utterance) = &mut self.utterance {
            utterance.commit = None;
            utterance.committed_at = utterance.start;
        }
        if let Some(taken) = &mut self.taken {
            taken.pending = None;
        }
    }

    /// The caller is speaking, as far as audio has arrived.
    pub(crate) fn is_speaking(&self, now: Instant) -> bool {
        self.ear.speaking() && !self.has_faded() && self.missing(now) < STALL_MAX
    }

    /// The caller has said nothing for so long, in samples received.
    pub(crate) fn is_quiet(&self, long: Duration) -> bool {
        !self.ear.speaking() && self.ear.silence() >= Rate::WIDE.samples(long) as u64
    }

    /// How long the caller has been speaking without a break.
    pub(crate) fn run(&self, now: Instant) -> Duration {
        if self.is_speaking(now) { self.ear.voiced_run() } else { Duration::ZERO }
    }

    /// How much of that has surely been speech: a slam, a cough, a key leave it short.
    pub(crate) fn sure_run(&self, now: Instant) -> Duration {
        if self.is_speaking(now) { self.ear.speech_run() } else { Duration::ZERO }
    }

    /// The present utterance has not been compared with our own voice for a while. Asked, it counts as compared.
    pub(crate) fn is_time_to_compare(&mut self) -> bool {
        let position = self.ear.position();
        let Some(utterance) = &mut self.utterance else { return false };
        let young = position < utterance.onset() + 4 * COMPARE_EVERY;
        let due = position >= utterance.compared_at + if young { COMPARE_EVERY } else { 2 * COMPARE_EVERY };
        if due {
            utterance.compared_at = position;
        }
        due
    }

    /// The sound just heard is like our own voice, or is not. Two vowels of one pitch can be alike for a moment: to give
    /// way to a caller a moment later does no harm, but a caller we stopped for (`held`) is talked over only when the
    /// likeness lasts.
    pub(crate) fn is_ours(&mut self, alike: bool, held: bool) {
        let position = self.ear.position();
        if let Some(utterance) = self.utterance.as_mut().filter(|_| alike && (self.alike || !held)) {
            utterance.ours_until = position;
        }
        self.alike = alike;
    }

    /// How long ago the sound was last our own voice coming back; 0 without an utterance, for ever without an echo.
    pub(crate) fn since_ours(&self) -> Duration {
        match &self.utterance {
            Some(utterance) if utterance.ours_until > 0 => self.since(utterance.ours_until),
            Some(_) => Duration::MAX,
            None => Duration::ZERO,
        }
    }

    /// How long the present utterance is, without what was our own voice coming back.
    pub(crate) fn since_onset(&self) -> Duration {
        self.utterance.as_ref().map_or(Duration::ZERO, |utterance| self.since(utterance.onset()))
    }

    /// How long of the present utterance the caller was about as loud as usual, from its onset to the last such moment.
    pub(crate) fn near(&self) -> Duration {
        let near = |utterance: &Utterance| utterance.near_until.saturating_sub(utterance.onset());
        self.utterance.as_ref().map_or(Duration::ZERO, |utterance| Rate::WIDE.duration(near(utterance)))
    }

    fn since(&self, sample: u64) -> Duration {
        Rate::WIDE.duration(self.ear.position().saturating_sub(sample))
    }

    /// For how long the text has stood still, in samples received.
    pub(crate) fn still(&self) -> Duration {
        self.since(self.text_position)
    }

    /// How long the caller has been silent: in samples received, and in audio that does not come any more.
    pub(crate) fn silence(&self, now: Instant) -> Duration {
        let end = self.utterance.as_ref().map_or(0, |utterance| utterance.end);
        let heard = Rate::WIDE.duration(self.ear.position().saturating_sub(end));
        let missing = self.missing(now);
        if missing > STALL { heard + missing } else { heard }
    }

    /// How long ago the last audio came.
    fn missing(&self, now: Instant) -> Duration {
        let last = self.last_audio.or(self.text_at);
        last.map_or(Duration::ZERO, |last| now.saturating_duration_since(last))
    }

    /// When the missing audio begins to count, and then every 50 ms.
    pub(crate) fn wake(&self, now: Instant) -> Option<Instant> {
        self.utterance.as_ref()?;
        let stalled = self.last_audio.or(self.text_at)? + STALL;
        Some(if stalled > now { stalled } else { now + Duration::from_millis(50) })
    }

    /// The moment a sample was heard.
    pub(crate) fn moment(&self, sample: u64) -> Option<Instant> {
        let ago = Rate::WIDE.duration(self.ear.position().saturating_sub(sample));
        self.last_audio.or(self.text_at)?.checked_sub(ago)
    }

    /// The latest sound, to look for our own voice in it.
    pub(crate) fn recent(&self) -> [&[i16]; 2] {
        self.ear.recent()
    }

    /// Audio of the caller has come.
    pub(crate) const fn has_audio(&self) -> bool {
        self.last_audio.is_some()
    }

    /// Time of holes that were filled.
    pub(crate) fn concealed(&self) -> Duration {
        Rate::WIDE.duration(self.ear.concealed())
    }
}

/// An utterance that began a while ago: so many frames have been heard of it, and what was before it.
fn begun(at: u64, levels: &VecDeque<f32>, frames: usize) -> Utterance {
    let mut utterance = Utterance::new(at);
    levels.iter().rev().take(frames).for_each(|level| utterance.loudness.add(*level));
    utterance
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{Detector, Format, signal::sine};

    /// Regression: by then the line is silent, and words without sound were taken for somebody far away.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "virtual time needs one real instant to count from")]
    fn words_that_come_after_the_apology_are_as_loud_as_what_was_said() {
        let vad = VadSettings { detector: Detector::Energy, noise_suppression: false, ..VadSettings::default() };
        let mut listen = Listen::new(Line::vapi(Format::PCM_WIDE), &vad).unwrap();
        let (mut actions, mut now) = (Actions::new(), Instant::now());
        let frame = Duration::from_millis(20);
        let mut hear = |listen: &mut Listen, now: &mut Instant, size: f32, frames: u32| {
            let sound: Vec<u8> =
                sine(300.0, Rate::WIDE, size.into(), 0, 320).iter().flat_map(|s| s.to_le_bytes()).collect();
            for _ in 0..frames {
                listen.audio(*now, AudioIn { payload: &sound, media_time: None, sequence: None }, &mut actions);
                actions.clear();
                *now += frame;
            }
        };
        let text = |text: &str| SttEvent::Final { text: text.into() };

        hear(&mut listen, &mut now, 8_000.0, 50);
        listen.recognised(now, &text("vorrei un tagliando"));
        listen.know_voice();
        listen.take(now, false, &mut Actions::new());
        hear(&mut listen, &mut now, 0.0, 50);

        hear(&mut listen, &mut now, 8_000.0, 50);
        hear(&mut listen, &mut now, 0.0, 100);
        listen.take(now, false, &mut Actions::new());
        listen.was_silent();
        hear(&mut listen, &mut now, 0.0, 50);
        assert!(listen.recognised(now, &text("Mario Rossi")));
        assert!(!listen.is_far());
    }
}
