//! What happens when nothing happens: late answers, silent callers, and the end of the call.

use std::time::{Duration, Instant};

use super::{
    Action, Actions, Call, Deadline, Ending, Event, Input, InterruptingPolicy, Settings,
    limits::{CLAUSES_MAX, FILLERS_AFTER_FAILURE, FILLERS_MAX, GOODBYE_MAX, LULL, NO_AUDIO, WAIT_LULL, WAIT_SPEAKING},
    reply::{Reply, Source},
};

/// An aside that has begun and does not go on is given up after this.
const ASIDE_MAX: Duration = Duration::from_secs(6);

/// Sooner than this nobody is impatient, whatever the settings say: fillers would follow one another in the same moment.
const PATIENCE_MIN: Duration = Duration::from_millis(100);

/// The call is ending.
#[derive(Debug)]
pub(crate) struct Closing {
    /// Why.
    pub(crate) ending: Ending,
    /// Whom the caller is put through to.
    transfer: Option<String>,
    /// What to say if nothing else was said.
    pub(crate) goodbye: &'static str,
    /// The goodbye may take until then.
    pub(crate) until: Instant,
}

impl Call {
    /// How long what the caller sends may wait before it is read; `None` where each frame is wanted at once.
    ///
    /// Speech is counted in samples, so nothing is lost by it but the time; and what is read together costs less. In a lull
    /// there is nothing to be late for; while we speak, the caller's first sound may come a frame later, and the next ones
    /// are wanted at once.
    pub fn may_wait(&self, now: Instant) -> Option<Duration> {
        if self.is_lull(now) {
            return Some(WAIT_LULL);
        }
        let reply = self.reply.as_ref()?;
        if !reply.audible || self.cut_in.is_some() || self.mouth.queued() < 2 * WAIT_LULL {
            return None;
        }
        if !reply.interruptible || self.setup.settings.interruption.policy == InterruptingPolicy::Never {
            return Some(WAIT_LULL);
        }
        self.listen.utterance.is_none().then_some(WAIT_SPEAKING)
    }

    /// Nobody has said anything for a while, and nothing is under way that could make us speak.
    fn is_lull(&self, now: Instant) -> bool {
        self.reply.is_none()
            && self.listen.utterance.is_none()
            && self.closing.is_none()
            && self.queue.is_empty()
            && !self.owed
            && self.keypad.is_empty()
            && self.mouth.is_quiet(now, LULL)
            && self.listen.is_quiet(LULL)
    }

    /// A late answer: a filler, and in the end an apology.
    pub(super) fn settle_patience(&mut self, now: Instant, actions: &mut Actions) {
        let Some((at, why)) = self.patience_wake() else { return };
        if at > now {
            return;
        }
        if why == Deadline::Answer {
            // Whatever comes now comes too late: from the model, from a tool, or from a voice that hangs.
            return self.give_up(now, actions);
        }
        let pushed = self.mouth.pushed();
        let Some(reply) = &mut self.reply else { return };
        if reply.in_aside() {
            reply.end_asides(pushed);
            // The caller has waited for all of it: what else is due is due now.
            return self.settle_patience(now, actions);
        }
        let fillers: Vec<&str> = self.phrases.list("call.fillers").collect();
        let Some(text) = fillers.get(reply.fillers as usize % fillers.len().max(1)) else { return };
        let text = text.to_string();
        reply.fillers += 1;
        actions.push(Action::Tell(Event::Late(reply.turn)));
        self.say_aside(now, text, actions);
    }

    /// Somebody else has something to say in place of a late answer. Where that, or something in its place, can be heard
    /// already, nobody misses it. The fillers of our own are not fewer for it.
    pub(super) fn aside(&mut self, now: Instant, text: String, actions: &mut Actions) {
        let silent = |reply: &Reply| !reply.in_aside() && reply.asides() < CLAUSES_MAX;
        let waits = self.patience_wake().is_some() && self.reply.as_ref().is_some_and(silent);
        if waits && self.closing.is_none() && !text.trim().is_empty() {
            self.say_aside(now, text, actions);
        }
    }

    /// Says something in place of an answer that is awaited.
    fn say_aside(&mut self, now: Instant, text: String, actions: &mut Actions) {
        let pushed = self.mouth.pushed();
        let Some(reply) = &mut self.reply else { return };
        reply.end_asides(pushed);
        let (turn, clause) = (reply.turn, reply.aside(&text));
        reply.patience_from = Some(now);
        actions.push(Action::Speak { turn, clause, text, aside: true });
    }

    /// When the caller has waited long enough for something to be said.
    pub(super) fn patience_wake(&self) -> Option<(Instant, Deadline)> {
        let reply = self.reply.as_ref()?;
        if reply.is_voiced() || self.mouth.has_voice() || self.cut_in.is_some_and(|cut_in| cut_in.held.is_some()) {
            return None;
        }
        let settings = &self.setup.settings;
        let heard_until = self.mouth.voiced_until().filter(|until| *until > reply.since).unwrap_or(reply.since);
        let from = reply.patience_from.map_or(heard_until, |from| from.max(heard_until));
        let filler = (from + Settings::ms(settings.filler_ms).max(PATIENCE_MIN), Deadline::Filler);
        if reply.in_aside() {
            return Some((from + ASIDE_MAX, Deadline::Filler));
        }
        let fillers_max = if self.failures == 0 { FILLERS_MAX } else { FILLERS_AFTER_FAILURE };
        if reply.fillers >= fillers_max {
            // Nobody believes one more.
            return Some((filler.0, Deadline::Answer));
        }
        let patience = self.tools.waiting_since(reply.turn).map(|since| {
            let waits = since.max(from) + Settings::ms(settings.patience_ms).max(PATIENCE_MIN);
            (waits, Deadline::Patience)
        });
        let answer = match reply.source {
            Source::Model { since } => Some((since + self.answer_limit(), Deadline::Answer)),
            Source::Tools | Source::Complete => None,
        };
        [Some(filler), patience, answer].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// A silent caller is asked, and in the end wished well; a call has a longest duration.
    pub(super) fn settle_silence(&mut self, now: Instant, actions: &mut Actions) -> bool {
        let Some(answered) = self.answered else { return false };
        if self.closing.is_some() {
            return false;
        }
        if self.owed && self.reply.is_none() && self.listen.utterance.is_none() {
            self.think(now, now, actions);
            return true;
        }
        let Some((at, why)) = self.silence_wake(answered).filter(|(at, _)| *at <= now) else { return false };
        let _ = at;
        if why == Deadline::NoAudio {
            self.finish(now, Ending::NoAudio, None, actions);
        } else if why == Deadline::Longest {
            let text = self.phrases.text("call.goodbye_time").to_string();
            self.say(now, text, false, Some(Ending::TooLong), true, actions);
            self.close_after_reply(now, Ending::TooLong, None, "call.goodbye_time");
        } else if self.reprompts < self.setup.settings.reprompts {
            self.reprompts += 1;
            self.quiet_since = None;
            let own = &self.setup.settings.sayings.still_there;
            let text = match own.get((self.reprompts as usize - 1) % own.len().max(1)) {
                Some(own) => own.clone(),
                None => self.phrases.text("call.still_there").to_string(),
            };
            self.say(now, text, true, None, false, actions);
        } else {
            self.quiet_since = None;
            let own = self.setup.settings.sayings.goodbye_silence.clone();
            let text = own.unwrap_or_else(|| self.phrases.text("call.goodbye_silence").to_string());
            self.say(now, text, true, Some(Ending::SilenceTimedOut), false, actions);
        }
        true
    }

    /// When the caller's silence, or the call, has lasted long enough.
    pub(super) fn silence_wake(&self, answered: Instant) -> Option<(Instant, Deadline)> {
        if self.closing.is_some() {
            return None;
        }
        let settings = &self.setup.settings;
        let longest = (answered + Duration::from_secs(settings.duration_max_s), Deadline::Longest);
        let no_audio = (!self.listen.has_audio()).then_some((answered + NO_AUDIO, Deadline::NoAudio));
        let nobody_speaks = self.reply.is_none() && self.listen.utterance.is_none();
        let asked_enough = self.reprompts >= settings.reprompts;
        let patience_s = settings.goodbye_s.filter(|_| asked_enough).unwrap_or(settings.silence_s);
        let silence = self
            .quiet_since
            .filter(|_| nobody_speaks && self.listen.has_audio())
            .map(|since| (since + Duration::from_secs(patience_s), Deadline::Silence));
        [Some(longest), no_audio, silence].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// The call ends when what is being said has been heard.
    pub(super) fn close_after_reply(
        &mut self,
        now: Instant,
        ending: Ending,
        transfer: Option<String>,
        goodbye: &'static str,
    ) {
        let until = now + GOODBYE_MAX;
        self.closing.get_or_insert(Closing { ending, transfer, goodbye, until });
    }

    /// Everything has been said: the call ends.
    pub(super) fn close_now(&mut self, now: Instant, ending: Ending) {
        self.close_after_reply(now, ending, None, "call.goodbye");
        if let Some(closing) = &mut self.closing {
            closing.ending = ending;
        }
    }

    /// Ends the call when the goodbye has been heard, or takes too long.
    pub(super) fn settle_ending(&mut self, now: Instant, actions: &mut Actions) -> bool {
        let heard = self.reply.is_none() && self.queue.is_empty();
        let Some(closing) = self.closing.take_if(|closing| heard || closing.until <= now) else { return false };
        self.finish(now, closing.ending, closing.transfer, actions);
        true
    }

    /// The process is shutting down: the caller hears a sentence, if there is time for one.
    pub(super) fn shut_down(&mut self, now: Instant, within: Duration, actions: &mut Actions) {
        if self.is_away() {
            return self.finish(now, Ending::Shutdown, None, actions);
        }
        if self.closing.is_none() {
            let text = self.phrases.text("call.shutdown").to_string();
            self.say(now, text, false, Some(Ending::Shutdown), true, actions);
            self.close_after_reply(now, Ending::Shutdown, None, "call.shutdown");
        }
        if let Some(closing) = &mut self.closing {
            let within = within.clamp(Duration::from_millis(1), GOODBYE_MAX);
            closing.until = closing.until.min(now + within);
        }
    }

    /// The call is over, now.
    pub(super) fn finish(&mut self, now: Instant, ending: Ending, transfer: Option<String>, actions: &mut Actions) {
        if self.over.is_some() {
            return;
        }
        self.queue.clear();
        self.closing = None;
        self.cut(now, actions);
        self.forget_ahead(actions);
        self.over = Some(ending);
        // Whoever watches hears whither before it hears that it is over.
        if let Some(to) = transfer {
            actions.push(Action::Transfer(to));
        }
        actions.push(Action::Tell(Event::Ended(ending)));
        actions.push(Action::Close(ending));
    }

    /// Outcomes of writes that ran on are still recorded; everything else comes too late.
    pub(super) fn after_the_end(&mut self, input: Input<'_>) {
        match input {
            Input::ToolDone(tool, outcome) => match self.tools.settle(tool) {
                super::tool_calls::Settled::Now { ask, .. } => {
                    self.history.outcome(&ask.id, outcome.content);
                }
                super::tool_calls::Settled::Late => self.late += 1,
            },
            Input::Stt(_) | Input::Llm(..) | Input::Tts(..) => self.late += 1,
            Input::Answered
            | Input::Audio(_)
            | Input::Key(_)
            | Input::Mark(_)
            | Input::SttFailed { .. }
            | Input::LlmFailed(..)
            | Input::TtsFailed(..)
            | Input::Control(_)
            | Input::LineLost
            | Input::LineBack
            | Input::Closed { .. }
            | Input::Shutdown(_)
            | Input::Wake => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        audio::{Format, Line, Rate},
        call::{ClauseId, Control, Setup, TtsEvent, Turn},
    };

    #[test]
    #[expect(clippy::disallowed_methods, reason = "virtual time needs one real instant to count from")]
    fn a_filler_whose_voice_hangs_after_its_first_sound_is_followed_by_another() {
        let setup = Setup {
            line: Line::vapi(Format::PCM_WIDE),
            clock: "2026-04-13T10:10[Europe/Rome]".parse().unwrap(),
            caller: None,
            settings: Arc::new(Settings { answer_ms: 60_000, ..Settings::default() }),
            instructions: "".into(),
            greeting: "".into(),
            tools: Arc::new([]),
            stt_partials: false,
            stt_commits: true,
            voice: Rate::WIDE,
            complete: |_, _, _| false,
        };
        let (mut call, mut actions, mut now) = (Call::new(setup).unwrap(), Actions::new(), Instant::now());
        let until = now + Duration::from_secs(20);
        let mut due =
            vec![Input::Answered, Input::Control(Control::Heard { text: "vorrei un tagliando".into(), respond: true })];
        let mut fillers: Vec<(Turn, ClauseId)> = Vec::new();
        while now < until && !call.is_over() {
            let input = if due.is_empty() { Input::Wake } else { due.remove(0) };
            let wake = call.handle(now, input, &mut actions);
            for action in actions.drain() {
                if let Action::Speak { turn, clause, aside: true, .. } = action {
                    fillers.push((turn, clause));
                    due.push(Input::Tts(turn, clause, TtsEvent::Audio(vec![4_000; 1_600])));
                }
            }
            actions.clear();
            if due.is_empty() {
                now = wake.unwrap().at;
            }
        }
        assert!(fillers.len() > 1, "{fillers:?}");
    }
}
