//! What happened in a simulated call, and the questions a story asks of it. Times count from the answer.

use std::{collections::BTreeMap, time::Duration};

use super::{
    script::{Script, Utterance},
    sink::{Sink, Stretch},
};
use crate::call::{Action, Ask, Call, CallReport, Ending, Event, Input, Message, SttEvent, Turn};

/// Everything that happened.
#[derive(Debug)]
pub struct Trace {
    /// What the caller said.
    utterances: Vec<Utterance>,
    /// Noises that sound like speech.
    noises: Vec<std::ops::Range<Duration>>,
    /// Each action but frames of audio.
    actions: Vec<(Duration, Action)>,
    /// What was heard at the far end.
    heard: Vec<Stretch>,
    /// Writes, by name and arguments: how often each was carried out.
    effects: BTreeMap<(String, String), u32>,
    /// The conversation in the end.
    history: Vec<Message>,
    /// The call's own report.
    report: Option<CallReport>,
    /// When the simulation ended.
    end: Duration,
    /// The longest the far end was ahead.
    pub ahead_max: Duration,
    /// How long our voice was soft.
    pub softened: Duration,
    /// When keys were pressed or controls came: they are answered like speech.
    pub prompted: Vec<Duration>,
    /// What the recogniser said, and when.
    recognised: Vec<(Duration, String)>,
}

impl Trace {
    pub(crate) fn new(script: &Script) -> Self {
        Self {
            utterances: script.utterances.clone(),
            noises: script.noises.clone(),
            actions: Vec::new(),
            heard: Vec::new(),
            effects: BTreeMap::new(),
            history: Vec::new(),
            report: None,
            end: Duration::ZERO,
            ahead_max: Duration::ZERO,
            softened: Duration::ZERO,
            prompted: Vec::new(),
            recognised: Vec::new(),
        }
    }

    pub(crate) fn input(&mut self, at: Duration, input: &Input<'_>) {
        if matches!(input, Input::Key(_) | Input::Control(_)) {
            self.prompted.push(at);
        }
        if let Input::Stt(SttEvent::Partial { text } | SttEvent::Final { text }) = input {
            self.recognised.push((at, text.clone()));
        }
    }

    pub(crate) fn action(&mut self, at: Duration, action: &Action) {
        if !matches!(action, Action::Send { .. } | Action::Hear(_)) {
            self.actions.push((at, action.clone()));
        }
    }

    pub(crate) fn effect(&mut self, name: &str, arguments: &str) {
        *self.effects.entry((name.to_string(), arguments.to_string())).or_default() += 1;
    }

    pub(crate) fn close(&mut self, call: &Call, now: std::time::Instant, sink: &Sink, end: Duration) {
        self.heard = sink.heard().to_vec();
        self.ahead_max = sink.ahead_max;
        self.softened = sink.softened;
        self.history = call.history().cloned().collect();
        self.report = Some(call.report(now));
        self.end = end;
    }

    /// What was heard of us, in order.
    pub fn heard(&self) -> &[Stretch] {
        &self.heard
    }

    /// When our voice begins to sound for the first time after this.
    pub fn voice_after(&self, at: Duration) -> Option<Duration> {
        self.heard.iter().map(|stretch| stretch.from).find(|from| *from >= at)
    }

    /// How long the caller hears nothing of us after this; for ever, if we never speak again.
    pub fn silence_after(&self, seconds: f64) -> Duration {
        let at = Duration::from_secs_f64(seconds);
        if self.heard.iter().any(|stretch| stretch.from <= at && stretch.to > at) {
            return Duration::ZERO;
        }
        self.voice_after(at).map_or(Duration::MAX, |from| from - at)
    }

    /// How long we go on sounding after this: how long an interruption takes.
    pub fn voice_goes_on_after(&self, seconds: f64) -> Duration {
        let at = Duration::from_secs_f64(seconds);
        self.heard
            .iter()
            .find(|stretch| stretch.from <= at && stretch.to > at)
            .map_or(Duration::ZERO, |stretch| stretch.to - at)
    }

    /// We are heard at this moment.
    pub fn sounds_at(&self, seconds: f64) -> bool {
        let at = Duration::from_secs_f64(seconds);
        self.heard.iter().any(|stretch| stretch.from <= at && stretch.to > at)
    }

    /// How long we are heard in all.
    pub fn voice(&self) -> Duration {
        self.heard.iter().map(|stretch| stretch.to - stretch.from).sum()
    }

    /// Events that were told, with their times.
    pub fn events(&self) -> impl Iterator<Item = (Duration, &Event)> {
        self.actions
            .iter()
            .filter_map(|(at, action)| if let Action::Tell(event) = action { Some((*at, event)) } else { None })
    }

    /// Every action but frames of audio.
    pub fn actions(&self) -> &[(Duration, Action)] {
        &self.actions
    }

    /// What the caller was taken to have said, utterance by utterance.
    pub fn understood(&self) -> Vec<&str> {
        self.history
            .iter()
            .filter_map(|message| if let Message::Caller { text } = message { Some(text.as_str()) } else { None })
            .collect()
    }

    /// What was given to the voice, clause by clause.
    pub fn spoken(&self) -> Vec<&str> {
        self.actions
            .iter()
            .filter_map(|(_, action)| if let Action::Speak { text, .. } = action { Some(text.as_str()) } else { None })
            .collect()
    }

    /// How often the model was asked.
    pub fn asks(&self) -> usize {
        self.actions.iter().filter(|(_, action)| matches!(action, Action::Think(_))).count()
    }

    /// What the model was asked, ask by ask.
    pub fn questions(&self) -> Vec<(Duration, &Ask)> {
        self.actions
            .iter()
            .filter_map(|(at, action)| if let Action::Think(ask) = action { Some((*at, ask.as_ref())) } else { None })
            .collect()
    }

    /// How long after this the model is asked for the first time; for ever, if it is not.
    pub fn asked_after(&self, seconds: f64) -> Duration {
        let from = Duration::from_secs_f64(seconds);
        self.questions().iter().map(|(at, _)| *at).find(|at| *at >= from).map_or(Duration::MAX, |at| at - from)
    }

    /// When the voice was first given a clause with these words.
    pub fn spoken_at(&self, words: &str) -> Option<Duration> {
        let spoken = |action: &Action| matches!(action, Action::Speak { text, .. } if text.contains(words));
        self.actions.iter().find(|(_, action)| spoken(action)).map(|(at, _)| *at)
    }

    /// What the model read as the outcome of this ask, in the end.
    pub fn outcome(&self, ask: &str) -> Option<&str> {
        self.history.iter().find_map(|message| {
            if let Message::Outcome { id, content } = message
                && id == ask
            {
                content.as_deref()
            } else {
                None
            }
        })
    }

    /// The notes in the history.
    pub fn notes(&self) -> Vec<&str> {
        self.history
            .iter()
            .filter_map(|message| if let Message::Note { text } = message { Some(text.as_str()) } else { None })
            .collect()
    }

    /// How long this turn is heard in all.
    pub fn voice_of(&self, turn: Turn) -> Duration {
        self.heard.iter().filter(|stretch| stretch.turn == turn).map(|stretch| stretch.to - stretch.from).sum()
    }

    /// How many outcomes of this tool were told.
    pub fn tool_outcomes(&self, tool: &str) -> usize {
        self.events().filter(|(_, event)| matches!(event, Event::ToolEnded { name, .. } if name == tool)).count()
    }

    /// How often a write was carried out, the most of any arguments.
    pub fn writes(&self, tool: &str) -> u32 {
        self.effects.iter().filter(|((name, _), _)| name == tool).map(|(_, times)| *times).max().unwrap_or(0)
    }

    /// The reply was cut by the caller this often.
    pub fn interruptions(&self) -> usize {
        self.events().filter(|(_, event)| matches!(event, Event::Interrupted(_))).count()
    }

    /// The voice was held and went on this often.
    pub fn false_alarms(&self) -> usize {
        self.events().filter(|(_, event)| matches!(event, Event::FalseAlarm(_))).count()
    }

    /// Why the call ended, and when.
    pub fn ending(&self) -> Option<(Duration, Ending)> {
        self.actions
            .iter()
            .find_map(|(at, action)| if let Action::Close(ending) = action { Some((*at, *ending)) } else { None })
    }

    /// The conversation in the end.
    pub fn history(&self) -> &[Message] {
        &self.history
    }

    /// What the history says that we said, with `|` where we were cut.
    pub fn said(&self) -> Vec<String> {
        self.history
            .iter()
            .filter_map(|message| match message {
                Message::Agent { text, interrupted, .. } => {
                    Some(if *interrupted { format!("{text}|") } else { text.clone() })
                }
                Message::Caller { .. } | Message::Asked { .. } | Message::Outcome { .. } | Message::Note { .. } => None,
            })
            .collect()
    }

    /// The call's own report.
    pub fn report(&self) -> &CallReport {
        self.report.as_ref().expect("a trace is closed before anybody sees it")
    }

    /// What the caller said, and when.
    pub fn utterances(&self) -> &[Utterance] {
        &self.utterances
    }

    /// The caller does something between these moments that we would wait for: speaks, makes a noise, presses a key.
    pub fn is_busy_between(&self, from: Duration, to: Duration) -> bool {
        let speech = self.utterances.iter().map(|utterance| &utterance.at);
        speech.chain(&self.noises).any(|sound| sound.start < to && sound.end > from)
            || self.prompted.iter().any(|at| (from..to).contains(at))
    }

    /// The recogniser had given a word of it by then.
    pub fn was_recognised(&self, utterance: &Utterance, by: Duration) -> bool {
        let word =
            |text: &str| text.split_whitespace().any(|word| utterance.text.split_whitespace().any(|w| w == word));
        self.recognised.iter().any(|(at, text)| (utterance.at.start..=by).contains(at) && word(text))
    }

    /// How many clauses of a turn were given to the voice.
    pub fn clauses(&self, turn: Turn) -> usize {
        self.actions
            .iter()
            .filter(|(_, action)| matches!(action, Action::Speak { turn: of, aside: false, .. } if *of == turn))
            .count()
    }

    /// When the simulation ended.
    pub const fn end(&self) -> Duration {
        self.end
    }

    /// The clauses given to the voice for a turn, without asides.
    pub fn planned(&self, turn: Turn) -> String {
        let clauses: Vec<&str> = self
            .actions
            .iter()
            .filter_map(|(_, action)| {
                if let Action::Speak { turn: of, text, aside: false, .. } = action
                    && *of == turn
                {
                    Some(text.as_str())
                } else {
                    None
                }
            })
            .collect();
        clauses.join(" ")
    }
}
