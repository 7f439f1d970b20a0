//! The caller's side of a call: sound, words, keys; cut-ins and the ends of utterances.

use std::time::{Duration, Instant};

use super::{
    Action, Actions, AudioIn, Call, Event, Interruption, Role, Settings, SttEvent,
    endpointing::Question,
    interruption::{CutIn, Evidence, Verdict},
    limits::{DEAD_AIR_MAX, PAUSE_KEPT, REPEATS_MAX},
    words::{contains, without, without_so_far},
};
use crate::audio::ECHO_LIKENESS;

/// A recogniser that answers no commits is given this long, after the silence, to make its partial text final.
const FINAL_GRACE: Duration = Duration::from_millis(250);

/// So many utterances in a row may be too soft to be meant for us.
const FAR_MAX: u32 = 1;

/// Speech of at least this length that gave no text was speech all the same: the caller is asked to repeat.
const SPEECH_SURE: Duration = Duration::from_millis(500);

/// An echo comes back within this; later there is nothing of ours to compare with.
const ECHO_DELAY_MAX: Duration = Duration::from_millis(800);

/// So many words in a row that we are just saying are our own voice, recognised.
const OWN_WORDS_SURE: usize = 3;

/// For so long speech may turn out to be an echo.
const ECHO_DOUBT: Duration = Duration::from_millis(500);

/// After the last sign of an echo the sound is still taken for one: until the next comparison.
const OURS_STILL: Duration = Duration::from_millis(60);

impl Call {
    /// A piece of the caller's audio.
    pub(super) fn hear(&mut self, now: Instant, audio: AudioIn<'_>, actions: &mut Actions) {
        self.mouth.accompanied(now);
        let news = self.listen.audio(now, audio, actions);
        if news.started {
            actions.push(Action::Tell(Event::SpeechStarted(Role::Caller, self.turn)));
        }
        self.know_our_voice(now);
        for key in news.keys.into_iter().flatten() {
            let entry = self.keypad.hear(now, key, &self.setup.settings.keys_end);
            self.key_pressed(now, entry, actions);
        }
    }

    /// Our own voice comes back for a while after it has left: as long as it may, speech is compared with it.
    fn know_our_voice(&mut self, now: Instant) {
        let in_the_air = self.mouth.voiced_until().is_some_and(|until| now < until + ECHO_DELAY_MAX);
        let hold = Settings::ms(self.setup.settings.interruption.hold_ms);
        let run = self.listen.run(now);
        if !in_the_air || run < hold / 2 {
            return self.listen.is_ours(false, false);
        }
        // Speech that was unlike us for so long is somebody else's; comparing costs more than all the rest of a frame.
        if run.min(self.listen.since_onset()) >= ECHO_DOUBT || !self.listen.is_time_to_compare() {
            return;
        }
        let alike = self.mouth.likeness(self.listen.recent()) >= ECHO_LIKENESS;
        let held = self.cut_in.is_some_and(|cut_in| cut_in.held.is_some());
        self.listen.is_ours(alike, held);
    }

    /// The recogniser said something.
    pub(super) fn recognised(&mut self, now: Instant, event: &SttEvent, actions: &mut Actions) {
        if self.listen.recognised(now, event) {
            actions.push(Action::Tell(Event::SpeechStarted(Role::Caller, self.turn)));
        }
        if let (SttEvent::Partial { .. } | SttEvent::Final { .. }, Some(utterance)) = (event, &self.listen.utterance) {
            let text = utterance.text();
            actions.push(Action::Tell(Event::Transcript { role: Role::Caller, last: false, text }));
        }
    }

    /// The recogniser failed. With none left the caller can still press keys, and is told.
    pub(super) fn recogniser_failed(&mut self, now: Instant, restarts: bool, actions: &mut Actions) {
        self.listen.lose_text();
        if restarts {
            return;
        }
        self.unheard = REPEATS_MAX;
        self.ask_again(now, actions);
    }

    /// The caller spoke and nothing was recognised: we ask to repeat, and where that does not help, for keys.
    fn ask_again(&mut self, now: Instant, actions: &mut Actions) {
        let key = if self.unheard < REPEATS_MAX { "call.trouble" } else { "call.deaf" };
        self.unheard = self.unheard.saturating_add(1);
        self.say(now, self.phrases.text(key).to_string(), true, None, false, actions);
    }

    /// A key was pressed: we listen, and a complete entry is an utterance.
    pub(super) fn key_pressed(&mut self, now: Instant, entry: Option<String>, actions: &mut Actions) {
        self.quiet_since = Some(now);
        self.reprompts = 0;
        if self.closing.is_none() && self.reply.as_ref().is_some_and(|reply| reply.interruptible) {
            self.cut(now, actions);
        }
        if let Some(entry) = entry {
            self.entered(now, &entry, actions);
        }
    }

    /// An entry ended by its pause.
    pub(super) fn settle_keys(&mut self, now: Instant, actions: &mut Actions) {
        if let Some(entry) = self.keypad.due(now, Settings::ms(self.setup.settings.keys_pause_ms)) {
            self.entered(now, &entry, actions);
        }
    }

    pub(super) fn keys_wake(&self) -> Option<Instant> {
        self.keypad.wake(Settings::ms(self.setup.settings.keys_pause_ms))
    }

    fn entered(&mut self, now: Instant, entry: &str, actions: &mut Actions) {
        actions.push(Action::Tell(Event::Keys(entry.to_string())));
        if self.closing.is_none() {
            let since = self.take_what_was_said(now, actions).unwrap_or(now);
            self.history.caller(entry);
            actions.push(Action::Tell(Event::HistoryChanged));
            self.think(now, since, actions);
        }
    }

    /// What the caller has said and nobody has answered yet is answered together with the entry. Returns when it ended.
    fn take_what_was_said(&mut self, now: Instant, actions: &mut Actions) -> Option<Instant> {
        let waits = self.reply.is_none() && !self.listen.is_speaking(now);
        let utterance = self.listen.utterance.as_ref().filter(|it| waits && !it.is_empty() && !it.is_ours())?;
        let (text, end) = (utterance.text(), utterance.end);
        let ended = self.listen.moment(end);
        self.take_utterance(now, actions);
        self.history.caller(&text);
        actions.push(Action::Tell(Event::Transcript { role: Role::Caller, last: true, text }));
        ended
    }

    /// Weighs whether the caller is cutting in.
    pub(super) fn settle_cut_in(&mut self, now: Instant, actions: &mut Actions) {
        self.commit_if_paused(now, actions);
        let Some(reply) = self.reply.as_ref().filter(|reply| reply.interruptible && self.closing.is_none()) else {
            if self.cut_in.take().is_some() {
                self.mouth.duck(false);
                self.mouth.release();
            }
            return;
        };
        let Some(utterance) = &self.listen.utterance else {
            return self.false_alarm(actions);
        };
        let (sure, speaking) = (self.listen.sure_run(now), self.listen.is_speaking(now));
        // Over our own voice somebody far away is not even weighed: who means us speaks up.
        let far = self.listen.is_far();
        let sure = if far { Duration::ZERO } else { sure };
        // What belonged to another utterance, or was our own voice coming back, speaks for nothing.
        let sure = sure.min(self.listen.since_onset());
        // Nor does a room that goes on talking when the caller has nodded: it holds, but it does not cut.
        let sure = sure.min(self.listen.near().max(Settings::ms(self.setup.settings.interruption.hold_ms)));
        let settled = utterance.is_settled(self.setup.stt_commits) && utterance.committed_at >= utterance.end;
        let text = utterance.text();
        let own_words = reply.audible && !text.is_empty() && contains(&reply.text(), &text);
        // One or two words of ours ("un momento") may be anybody's: they neither cut nor prove an echo.
        let own_sentence = own_words && super::words::words(&text).len() >= OWN_WORDS_SURE;
        let counted = match (reply.audible, settled) {
            (true, true) => without(&text, self.backchannels()),
            (true, false) => without_so_far(&text, self.backchannels()),
            (false, _) => super::words::words(&text),
        };
        let evidence = Evidence {
            sure,
            speaking,
            silence: self.listen.silence(now),
            words: if own_words || far { 0 } else { counted.len() as u32 },
            stop: !own_words && !far && self.setup.settings.sayings.stops.iter().any(|stop| contains(&text, stop)),
            settled,
            echo: own_sentence || counted.is_empty() && self.listen.since_ours() < OURS_STILL,
            held: self.cut_in.is_some_and(|cut_in| cut_in.held.is_some()),
        };
        let onset = utterance.onset();
        let verdict = self.setup.settings.interruption.judge(&evidence);
        match verdict {
            Verdict::Wait => {}
            Verdict::Duck => {
                self.mouth.duck(true);
                self.cut_in.get_or_insert(CutIn { onset, held: None });
            }
            Verdict::Hold => {
                self.mouth.hold(now, actions);
                self.cut_in = Some(CutIn { onset, held: Some(now) });
                actions.push(Action::Tell(Event::Held(self.turn)));
            }
            Verdict::Resume => self.false_alarm(actions),
            Verdict::Cut => {
                let cut_in = self.cut_in.unwrap_or(CutIn { onset, held: None });
                self.interrupt(now, cut_in, actions);
            }
        }
    }

    /// It was nothing, as far as we know: the voice goes on where it stopped. Words that come later still cut.
    fn false_alarm(&mut self, actions: &mut Actions) {
        let Some(cut_in) = self.cut_in.take() else { return };
        self.mouth.duck(false);
        if cut_in.held.is_some() {
            self.mouth.release();
            if let Some(reply) = &mut self.reply {
                reply.report.false_alarms += 1;
            }
            actions.push(Action::Tell(Event::FalseAlarm(self.turn)));
        }
    }

    /// The caller cut in: the reply is over, and what follows is a new utterance.
    fn interrupt(&mut self, now: Instant, cut_in: CutIn, actions: &mut Actions) {
        let onset = self.listen.moment(cut_in.onset).unwrap_or(now);
        let interruption = Interruption {
            onset: self.since_answer(onset),
            silent: self.since_answer(cut_in.held.unwrap_or(now)),
            decided: self.since_answer(now),
        };
        let was_heard = self.reply.as_ref().is_some_and(|reply| reply.audible);
        if let Some(reply) = &mut self.reply
            && was_heard
        {
            reply.report.interruption = Some(interruption);
        }
        self.cut(now, actions);
        let unheard = if was_heard { None } else { self.history.take_back_utterance() };
        if let Some(utterance) = &mut self.listen.utterance {
            utterance.cut = true;
            // Nothing was heard of the answer: the caller is still saying the same thing.
            if let Some(text) = unheard {
                utterance.resume(&text);
            }
        }
    }

    /// The silence that ends the present utterance, by what was said. Weighed once for each text: reading it costs more
    /// than hearing a frame.
    pub(super) fn wanted_silence(&mut self) -> Duration {
        let (settings, turn) = (&self.setup.settings, self.turn);
        let Some(utterance) = self.listen.utterance.as_mut().filter(|_| self.reply.is_none()) else {
            return PAUSE_KEPT;
        };
        if let Some((_, wanted)) = utterance.weighed.filter(|(at, _)| *at == turn) {
            return wanted;
        }
        let wanted = if settings.endpointing.trust_engine && utterance.engine_end {
            PAUSE_KEPT
        } else {
            let question = Question::of(self.history.last_agent_text(), self.phrases);
            let text = utterance.text();
            let silence = settings.endpointing.silence(&text, question, self.setup.complete, settings.language);
            let backoff = if utterance.cut { Settings::ms(settings.interruption.backoff_ms) } else { Duration::ZERO };
            silence.max(backoff).max(PAUSE_KEPT)
        };
        utterance.weighed = Some((turn, wanted));
        wanted
    }

    /// What callers say while they listen: the language's words, and the call's own.
    fn backchannels(&self) -> impl Iterator<Item = &str> {
        let own = self.setup.settings.sayings.backchannels.iter().map(String::as_str);
        self.phrases.list("call.backchannels").chain(own)
    }

    /// The utterance is complete, or it was nothing.
    fn take_utterance(&mut self, now: Instant, actions: &mut Actions) {
        if self.listen.take(now, self.setup.stt_commits, actions) {
            actions.push(Action::Tell(Event::SpeechStopped(Role::Caller, self.turn)));
        }
    }

    /// After a pause the recogniser is told to finish what it has: once, and soon.
    fn commit_if_paused(&mut self, now: Instant, actions: &mut Actions) {
        let pause = Settings::ms(self.setup.settings.endpointing.commit_ms);
        if self.listen.utterance.is_some() && !self.listen.is_speaking(now) && self.listen.silence(now) >= pause {
            self.listen.commit(actions);
        }
    }

    /// Weighs whether the caller has finished.
    pub(super) fn settle_utterance(&mut self, now: Instant, actions: &mut Actions) {
        if self.listen.utterance.is_none() || self.listen.is_speaking(now) {
            return;
        }
        let silence = self.listen.silence(now);
        if silence < PAUSE_KEPT {
            // Too short to be the end of anything.
            return;
        }
        let wanted = self.wanted_silence();
        let Some(utterance) = &self.listen.utterance else { return };
        if self.reply.is_none() && silence < wanted {
            return;
        }
        let (settings, commits) = (&self.setup.settings, self.setup.stt_commits);
        let settled = utterance.is_settled(commits) && (!commits || utterance.committed_at >= utterance.end);
        if let Some(reply) = &self.reply {
            // While we speak only words cut in, and those are weighed elsewhere: this was a backchannel or a noise.
            if !reply.interruptible || !settled && silence < DEAD_AIR_MAX {
                return;
            }
            let text = utterance.text();
            let words = without(&text, self.backchannels());
            let far = self.listen.is_far();
            if words.is_empty() || utterance.is_ours() || contains(&reply.text(), &text) || far {
                self.take_utterance(now, actions);
            }
            return;
        }
        if self.closing.is_some() || silence < PAUSE_KEPT {
            return;
        }
        let text = utterance.text();
        let patience =
            Settings::ms(settings.endpointing.transcript_ms_max).min(DEAD_AIR_MAX.saturating_sub(wanted) / 2);
        let late = silence >= wanted + patience;
        let usable = !commits && !utterance.is_empty() && silence >= wanted + FINAL_GRACE;
        if !(settled || usable || late) {
            return;
        }
        // A recogniser that answers knows a short word from a noise; one that does not answer heard neither.
        let unheard = utterance.run_max >= SPEECH_SURE || utterance.cut || commits && !settled;
        let (end, text_at) = (utterance.end, self.listen.text_at);
        let speech_end = self.listen.moment(end).unwrap_or(now);
        let ours = utterance.is_ours() && (text.is_empty() || contains(self.history.last_agent_text(), &text));
        if self.listen.is_far() && (text.trim().is_empty() || self.far < FAR_MAX) {
            // A word to somebody else. Who goes on like that is a caller who has become soft.
            self.far += u32::from(!text.trim().is_empty());
            self.take_utterance(now, actions);
            self.owed |= self.history.is_unanswered();
            return;
        }
        if !text.trim().is_empty() && !ours {
            self.far = 0;
            self.listen.know_voice();
        }
        self.take_utterance(now, actions);
        if text.trim().is_empty() || ours {
            if !ours {
                self.listen.was_silent();
            }
            if unheard && !ours {
                self.ask_again(now, actions);
            } else {
                // A noise, after which whatever was said before it still wants its answer.
                self.owed |= self.history.is_unanswered();
            }
            return;
        }
        self.quiet_since = None;
        (self.reprompts, self.unheard) = (0, 0);
        let ahead = self.take_ahead(&text);
        self.history.caller(&text);
        actions.push(Action::Tell(Event::Transcript { role: Role::Caller, last: true, text }));
        actions.push(Action::Tell(Event::HistoryChanged));
        match ahead {
            Some(ahead) => self.think_on(now, speech_end, ahead, actions),
            None => self.think(now, speech_end, actions),
        }
        let (endpoint, ended) = (self.since_answer(now), self.since_answer(speech_end));
        let transcript = text_at.map(|at| self.since_answer(at));
        if let Some(reply) = &mut self.reply {
            reply.report.speech_end = Some(ended);
            reply.report.endpoint_silence = wanted;
            reply.report.endpoint = Some(endpoint);
            reply.report.transcript = transcript;
        }
    }
}
