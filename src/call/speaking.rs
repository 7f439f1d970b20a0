//! Our side of a call: asking the model, speaking its words, running its tools, and stopping.

use std::time::Instant;

use super::{
    Action, Actions, Ask, Call, ClauseId, Control, Ending, Event, Finish, LlmEvent, Message, Opening, Outcome, Role,
    Script, Settings, Then, ToolAsk, TtsEvent, Turn,
    limits::{FAILURES_MAX, TOOL_ROUNDS_MAX, TURNS_MAX},
    mouth::Sent,
    reply::{Reply, Source},
    tool_calls::{Asked, Settled, refusal},
    words::ends_with,
};

impl Call {
    /// The line is open.
    pub(super) fn answer(&mut self, now: Instant, actions: &mut Actions) {
        if self.answered.is_some() {
            return;
        }
        self.answered = Some(now);
        self.quiet_since = Some(now);
        match self.setup.settings.opening {
            Opening::Greeting => self.greet(now, actions),
            Opening::Model => self.owed = true,
            Opening::Caller => {}
        }
    }

    fn greet(&mut self, now: Instant, actions: &mut Actions) {
        let greeting = self.setup.greeting.to_string();
        self.say(now, greeting, self.setup.settings.greeting_interruptible, None, false, actions);
    }

    /// Says a text without the model: at once, or behind what is being said.
    pub(super) fn say(
        &mut self,
        now: Instant,
        text: String,
        interruptible: bool,
        then_end: Option<Ending>,
        at_once: bool,
        actions: &mut Actions,
    ) {
        if text.trim().is_empty() && then_end.is_none() {
            return;
        }
        if at_once {
            self.cut(now, actions);
            self.queue.clear();
        }
        // More than a few sentences waiting is a peer that floods us.
        if self.queue.len() < super::limits::CLAUSES_MAX {
            self.queue.push_back(Script { text, interruptible, then_end });
        }
        self.speak_queue(now);
    }

    /// Begins the next sentence of the queue, if nothing is being said. A caller who speaks would cut it at once, and the
    /// next one too: what may be interrupted waits until they have finished.
    pub(super) fn speak_queue(&mut self, now: Instant) -> bool {
        let caller_speaks = self.listen.utterance.is_some() && self.closing.is_none();
        let waits = caller_speaks && self.queue.front().is_some_and(|script| script.interruptible);
        if self.reply.is_some() || waits || self.is_away() {
            return false;
        }
        let Some(script) = self.queue.pop_front() else { return false };
        self.turn.0 += 1;
        let mut reply = Reply::script(self.turn, &script.text, self.setup.settings.language, now);
        reply.interruptible = script.interruptible;
        reply.then_end = script.then_end;
        reply.report.asked = Some(self.since_answer(now));
        reply.report.first_clause = reply.report.asked;
        self.reply = Some(reply);
        true
    }

    /// Asks the model for a reply. `since` is when the caller began to wait.
    pub(super) fn think(&mut self, now: Instant, since: Instant, actions: &mut Actions) {
        // Who has heard nothing of the last reply still waits for it.
        let since = self.reply.as_ref().filter(|reply| !reply.audible).map_or(since, |reply| since.min(reply.since));
        self.cut(now, actions);
        self.forget_ahead(actions);
        self.owed = false;
        self.turn.0 += 1;
        let mut reply = Reply::new(self.turn, Source::Model { since: now }, self.setup.settings.language, since);
        reply.report.asked = Some(self.since_answer(now));
        self.reply = Some(reply);
        self.ask_model(now, actions);
    }

    fn ask_model(&mut self, now: Instant, actions: &mut Actions) {
        let Some(reply) = &self.reply else { return };
        let ask = self.ask(now, reply.turn, self.history.for_model(&reply.planned()));
        actions.push(Action::Think(Box::new(ask)));
    }

    /// A question to the model.
    pub(super) fn ask(&self, now: Instant, turn: Turn, messages: Vec<Message>) -> Ask {
        let elapsed = self.since_answer(now);
        let clock = jiff::SignedDuration::try_from(elapsed)
            .ok()
            .and_then(|elapsed| self.setup.clock.checked_add(elapsed).ok())
            .unwrap_or_else(|| self.setup.clock.clone());
        Ask {
            turn,
            instructions: self.setup.instructions.clone(),
            messages,
            tools: self.setup.tools.clone(),
            now: clock,
            language: self.setup.settings.language,
            caller: self.setup.caller.clone(),
        }
    }

    /// The model said something in the turn we are in.
    pub(super) fn model(&mut self, now: Instant, event: LlmEvent, actions: &mut Actions) {
        let at = self.since_answer(now);
        let Some(reply) = &mut self.reply else { return };
        match event {
            LlmEvent::Words(text) => {
                if !matches!(reply.source, Source::Model { .. }) {
                    self.late += 1;
                    return;
                }
                reply.source = Source::Model { since: now };
                reply.report.first_word.get_or_insert(at);
                reply.words(&text);
                if !reply.is_wordless() {
                    reply.report.first_clause.get_or_insert(at);
                }
                actions.push(Action::Tell(Event::ModelSaid { turn: reply.turn, text }));
            }
            LlmEvent::Tool { id, name, arguments } => {
                if matches!(reply.source, Source::Model { .. }) {
                    self.tool(now, ToolAsk { id, name, arguments }, actions);
                } else {
                    self.late += 1;
                }
            }
            LlmEvent::Done(finish) => {
                reply.end_words();
                if !reply.is_wordless() {
                    reply.report.first_clause.get_or_insert(at);
                }
                reply.source = match finish {
                    Finish::Tools => Source::Tools,
                    Finish::Said | Finish::Length | Finish::Refused => Source::Complete,
                };
                let waits = self.tools.waiting_since(reply.turn).is_some();
                if reply.source == Source::Complete && waits {
                    // Servers that say "stop" after tool calls exist; what was asked still wants its answer.
                    reply.source = Source::Tools;
                }
                if reply.source == Source::Complete && reply.is_wordless() && self.closing.is_none() {
                    self.model_failed(now, actions);
                }
            }
        }
    }

    /// The model asks for a tool.
    fn tool(&mut self, now: Instant, ask: ToolAsk, actions: &mut Actions) {
        let Some(reply) = &mut self.reply else { return };
        match self.tools.ask(now, reply.turn, &ask, &self.setup.tools) {
            Asked::Run(tool, kind) => {
                self.history.asked(reply.part(), &ask);
                actions.push(Action::Tell(Event::ToolStarted(ask.clone())));
                actions.push(Action::RunTool { tool, kind, ask });
            }
            Asked::Repeated => self.late += 1,
            Asked::Refused(outcome) => {
                self.history.asked(reply.part(), &ask);
                self.history.outcome(&ask.id, outcome.content);
            }
        }
    }

    /// A tool has its outcome.
    pub(super) fn tool_done(&mut self, now: Instant, tool: u32, outcome: Outcome, actions: &mut Actions) {
        let waited = self.reply.as_ref().and_then(|reply| self.tools.waiting_since(reply.turn));
        let (ask, turn) = match self.tools.settle(tool) {
            Settled::Now { ask, turn } => (ask, turn),
            Settled::Late => {
                self.late += 1;
                return;
            }
        };
        self.history.outcome(&ask.id, outcome.content.clone());
        actions.push(Action::Tell(Event::ToolEnded { id: ask.id, name: ask.name, content: outcome.content }));
        actions.push(Action::Tell(Event::HistoryChanged));
        let waited = waited.filter(|_| self.tools.waiting_since(turn).is_none());
        match &mut self.reply {
            Some(reply) if reply.turn == turn => {
                reply.report.tool_wait +=
                    waited.map_or_else(Default::default, |since| now.saturating_duration_since(since));
            }
            Some(_) | None => self.owed = true,
        }
        match outcome.then {
            Then::GoOn => {}
            Then::EndCall => self.close_after_reply(now, Ending::AgentEnded, None, "call.goodbye"),
            Then::Transfer(to) => self.close_after_reply(now, Ending::Transferred, Some(to), "call.transfer"),
        }
    }

    /// The model gave nothing, or broke off, and so did its fallbacks: say so, and the caller tries again.
    pub(super) fn model_failed(&mut self, now: Instant, actions: &mut Actions) {
        let Some(reply) = &mut self.reply else { return };
        reply.end_words();
        reply.source = Source::Complete;
        if reply.is_wordless() {
            return self.give_up(now, actions);
        }
        // Who hears half a sentence waits for the rest of it; who was asked something can answer.
        if !reply.text().ends_with('?') && self.closing.is_none() {
            reply.broken = true;
            self.failures += 1;
            if self.failures >= FAILURES_MAX {
                return self.tell_failure(now, actions);
            }
            reply.script_on(self.phrases.text("call.trouble"));
        }
    }

    /// The reply cannot be given: the caller is told, and after too many of these the call ends.
    pub(super) fn give_up(&mut self, now: Instant, actions: &mut Actions) {
        self.failures += 1;
        self.tell_failure(now, actions);
    }

    /// Tells the caller at once that something has failed.
    fn tell_failure(&mut self, now: Instant, actions: &mut Actions) {
        if self.failures > FAILURES_MAX {
            // Not even the apology could be said.
            return self.finish(now, Ending::EnginesFailed, None, actions);
        }
        self.cut(now, actions);
        let (key, ending) = match self.failures {
            FAILURES_MAX => ("call.apology", Some(Ending::EnginesFailed)),
            _ => ("call.trouble", None),
        };
        self.say(now, self.phrases.text(key).to_string(), ending.is_none(), ending, true, actions);
    }

    /// The voice said something in the turn we are in.
    pub(super) fn voice(&mut self, now: Instant, clause: ClauseId, event: TtsEvent) {
        let (at, pushed) = (self.since_answer(now), self.mouth.pushed());
        let Some(reply) = &mut self.reply else { return };
        let Some(spoken) = reply.clause(clause).filter(|clause| clause.end.is_none()) else {
            self.late += 1;
            return;
        };
        match event {
            TtsEvent::Audio(samples) => {
                spoken.start.get_or_insert(pushed);
                let aside = spoken.aside;
                if !aside && reply.report.first_audio.is_none() {
                    reply.report.first_audio = Some(at);
                    let unheard = self.mouth.unheard(now);
                    let filler = reply.report.filler_frame.is_some() && !unheard.is_zero();
                    reply.report.filler_heard = filler.then(|| at + unheard);
                }
                self.mouth.voice(&samples, self.setup.voice);
                if !aside {
                    reply.unsaid = false;
                    reply.drop_silent_asides(pushed);
                }
            }
            TtsEvent::Words(words) => spoken.words.extend(words),
            TtsEvent::Done => {
                self.mouth.end_clause();
                spoken.end = Some(self.mouth.pushed());
            }
        }
    }

    /// The voice cannot say this clause, and neither can its fallbacks.
    pub(super) fn voice_failed(&mut self, now: Instant, clause: ClauseId, actions: &mut Actions) {
        let pushed = self.mouth.pushed();
        let Some(reply) = &mut self.reply else { return };
        if let Some(spoken) = reply.clause(clause).filter(|clause| clause.end.is_none()) {
            spoken.end = Some(pushed);
            let aside = spoken.aside;
            reply.unsaid |= !aside;
        }
        reply.broken = true;
        self.failures += 1;
        if self.failures >= FAILURES_MAX {
            self.tell_failure(now, actions);
        }
    }

    /// Gives the voice its next clause and the wire what is due.
    pub(super) fn settle_voice(&mut self, now: Instant, actions: &mut Actions) {
        if let Some(reply) = &mut self.reply
            && let Some((clause, text)) = reply.next_clause()
        {
            let turn = reply.turn;
            actions.push(Action::Tell(Event::VoiceAsked { turn, text: text.clone() }));
            actions.push(Action::Speak { turn, clause, text, aside: false });
        }
        let turn = self.reply.as_ref().map(|reply| reply.turn);
        let sent = self.mouth.pump(now, self.may_wait(now), turn, actions);
        let at = self.since_answer(now);
        if sent == Sent::Voice
            && let Some(reply) = &mut self.reply
        {
            if !reply.audible {
                reply.audible = true;
                actions.push(Action::Tell(Event::SpeechStarted(Role::Agent, reply.turn)));
            }
            if reply.report.first_frame.is_none() {
                let answered = reply.has_answered(self.mouth.position());
                let report = &mut reply.report;
                (if answered { &mut report.first_frame } else { &mut report.filler_frame }).get_or_insert(at);
            }
        }
    }

    /// Goes on after tools, and ends a reply that has been heard.
    pub(super) fn settle_reply(&mut self, now: Instant, actions: &mut Actions) -> bool {
        let Some(reply) = &mut self.reply else { return self.speak_queue(now) };
        if reply.source == Source::Tools && self.tools.waiting_since(reply.turn).is_none() {
            return self.after_tools(now, actions);
        }
        if reply.is_voiced() && reply.unsaid && reply.then_end.is_none() && self.closing.is_none() {
            // The caller would wait for what the voice could not say.
            reply.unsaid = false;
            reply.script_on(self.phrases.text("call.trouble"));
            return true;
        }
        if !reply.is_voiced() || self.mouth.has_voice() || self.cut_in.is_some_and(|cut_in| cut_in.held.is_some()) {
            return false;
        }
        if !reply.marked {
            reply.marked = true;
            self.mouth.mark(now, actions);
        }
        if !self.mouth.is_drained(now) {
            return false;
        }
        // The voice failed in every clause of it: the caller waits for an answer and is told.
        let mute = !reply.scripted && reply.report.first_audio.is_none() && self.closing.is_none();
        self.end_reply(now, false, actions);
        self.quiet_since = Some(now);
        if mute {
            self.say(now, self.phrases.text("call.trouble").to_string(), true, None, false, actions);
        }
        true
    }

    /// When the reply will have been heard.
    pub(super) fn reply_wake(&self, now: Instant) -> Option<(Instant, super::Deadline)> {
        let reply = self.reply.as_ref()?;
        let held = self.cut_in.is_some_and(|cut_in| cut_in.held.is_some());
        if !reply.is_voiced() || held {
            return None;
        }
        self.mouth.drained_at(now).map(|at| (at, super::Deadline::Heard))
    }

    /// Every tool of the round has its outcome: the model goes on, or the call ends.
    fn after_tools(&mut self, now: Instant, actions: &mut Actions) -> bool {
        let Some(reply) = &mut self.reply else { return false };
        if let Some(closing) = &self.closing {
            reply.source = Source::Complete;
            if reply.is_wordless() {
                let own = self.setup.settings.sayings.goodbye.clone();
                let own = own.filter(|_| closing.ending == Ending::AgentEnded);
                let text = own.unwrap_or_else(|| self.phrases.text(closing.goodbye).to_string());
                reply.words(&text);
                reply.end_words();
            }
            return true;
        }
        reply.rounds += 1;
        if reply.rounds > TOOL_ROUNDS_MAX {
            self.model_failed(now, actions);
            return true;
        }
        reply.next_part();
        reply.source = Source::Model { since: now };
        self.ask_model(now, actions);
        true
    }

    /// Ends the reply now: what has not been heard never will be.
    pub(super) fn cut(&mut self, now: Instant, actions: &mut Actions) {
        self.cut_in = None;
        if self.reply.is_none() {
            return;
        }
        self.mouth.cut(now, actions);
        self.end_reply(now, true, actions);
        self.turn.0 += 1;
    }

    /// The reply is over: history keeps what was heard of it.
    fn end_reply(&mut self, now: Instant, cut: bool, actions: &mut Actions) {
        let Some(reply) = self.reply.take() else { return };
        let (position, lost, rate) = (self.mouth.position(), self.mouth.take_lost(), self.mouth.rate());
        let mut said = String::new();
        for (part, text, missing, estimated) in reply.heard(position, &lost, rate) {
            self.history.agent(part, &text, cut && missing, estimated);
            if !said.is_empty() && !text.is_empty() {
                said.push(' ');
            }
            said.push_str(&text);
        }
        if cut {
            actions.push(Action::Stop(reply.turn));
            for (tool, ask) in self.tools.give_up(reply.turn) {
                self.history
                    .outcome(&ask.id, refusal("cancelled", "the caller spoke before the look-up was done").content);
                actions.push(Action::DropTool(tool));
            }
        }
        if reply.audible {
            actions.push(Action::Tell(Event::SpeechStopped(Role::Agent, reply.turn)));
            actions.push(Action::Tell(Event::Transcript { role: Role::Agent, last: true, text: said.clone() }));
            if reply.report.interruption.is_some() {
                actions.push(Action::Tell(Event::Interrupted(reply.turn)));
            }
            actions.push(Action::Tell(Event::HistoryChanged));
        }
        if !reply.scripted && !reply.broken && !cut && reply.report.first_audio.is_some() {
            self.failures = 0;
        }
        if self.turns.len() >= TURNS_MAX {
            self.turns.pop_front();
        }
        actions.push(Action::Tell(Event::TurnEnded(Box::new(reply.report.clone()))));
        self.turns.push_back(reply.report);
        let own = |phrase: &String| !phrase.is_empty() && said.to_lowercase().contains(&phrase.to_lowercase());
        let farewell = self.setup.settings.end_phrases && ends_with(&said, self.phrases, "call.end_phrases")
            || self.setup.settings.sayings.end_phrases.iter().any(own);
        match reply.then_end {
            Some(ending) if !cut => self.close_now(now, ending),
            None if !cut && farewell && self.closing.is_none() => self.close_now(now, Ending::EndPhrase),
            Some(_) | None => {}
        }
    }

    /// Somebody with the right to asks for something.
    pub(super) fn control(&mut self, now: Instant, control: Control, actions: &mut Actions) {
        match control {
            Control::Say { text, now: at_once, interruptible, then_end } => {
                self.say(now, text, interruptible, then_end.then_some(Ending::AgentEnded), at_once, actions);
            }
            Control::Aside(text) => self.aside(now, text, actions),
            Control::Note { text, respond } => {
                self.history.note(&text);
                self.owed |= respond;
            }
            Control::Heard { text, respond } => {
                self.history.caller(&text);
                self.owed |= respond;
            }
            Control::MuteAgent(on) => self.mouth.mute(on),
            Control::MuteCaller(on) => self.listen.muted = on,
            Control::Greet => self.greet(now, actions),
            Control::Transfer { to, say } => {
                let text = say.unwrap_or_else(|| self.phrases.text("call.transfer").to_string());
                self.say(now, text, false, None, true, actions);
                self.close_after_reply(now, Ending::Transferred, Some(to), "call.transfer");
            }
            Control::End => self.finish(now, Ending::AgentEnded, None, actions),
            Control::Cancel => self.finish(now, Ending::Cancelled, None, actions),
        }
    }

    /// The number of the turn, for observers.
    pub const fn turn(&self) -> Turn {
        self.turn
    }

    /// How long the model may be silent, from its ask.
    pub(super) fn answer_limit(&self) -> std::time::Duration {
        Settings::ms(self.setup.settings.answer_ms)
    }
}
