//! The fakes in the place of engines and tools: what the script has them answer, and when.

use std::time::Duration;

use super::{
    super::{
        random::Random,
        script::{CHAR, Ends},
        sound,
    },
    Due, Stage, stamp,
};
use crate::call::{ClauseId, Failed, LlmEvent, SttEvent, ToolAsk, ToolKind, TtsEvent, Turn, WordTiming};

impl Stage {
    pub(super) fn think(&mut self, turn: Turn) {
        self.asks += 1;
        let answer = self.script.model[self.answered.min(self.script.model.len() - 1)].clone();
        self.answered += 1;
        let mut at = self.now + answer.first;
        for word in answer.text.split_inclusive(' ') {
            self.later(at, Due::Llm(turn, self.asks, LlmEvent::Words(word.to_string())));
            at += answer.gap;
        }
        for (id, name, arguments) in answer.tools {
            self.later(at, Due::Llm(turn, self.asks, LlmEvent::Tool { id, name, arguments }));
        }
        match answer.ends {
            Ends::Done(finish) => self.later(at, Due::Llm(turn, self.asks, LlmEvent::Done(finish))),
            Ends::Failed(why) => self.later(at, Due::LlmFails(turn, self.asks, why)),
            Ends::Hangs => {}
        }
    }

    pub(super) fn speak(&mut self, turn: Turn, clause: ClauseId, text: &str, aside: bool) {
        let voice = self.script.voice;
        // Asides come from the phrase cache: at once, whatever the engine does.
        let mut at = if aside { self.now } else { self.now + voice.first };
        let failing = !aside && voice.failing.checked_shr(self.clauses).unwrap_or(0) & 1 == 1;
        self.clauses += u32::from(!aside);
        if failing || !aside && self.random.percent(voice.fails) {
            if !voice.hangs {
                self.later(at, Due::TtsFails(turn, clause, Failed::Broken));
            }
            return;
        }
        if voice.alignment {
            let words = alignment(text);
            self.later(at, Due::Tts(turn, clause, TtsEvent::Words(words)));
        }
        let rate = self.script.voice_rate.unwrap_or(self.script.line.speaks.rate);
        let samples = rate.samples(CHAR * text.chars().count() as u32);
        let chunk = rate.samples(Duration::from_millis(100));
        for from in (0..samples).step_by(chunk) {
            let audio = sound::voice(stamp(turn), from..samples.min(from + chunk));
            self.later(at, Due::Tts(turn, clause, TtsEvent::Audio(audio)));
            at += Duration::from_millis(100) / voice.speed.max(1);
        }
        self.later(at, Due::Tts(turn, clause, TtsEvent::Done));
    }

    pub(super) fn run(&mut self, number: u32, kind: ToolKind, ask: &ToolAsk) {
        let Some(tool) = self.script.tools.iter().find(|tool| tool.spec.name == ask.name) else { return };
        let (takes, outcome) = (tool.takes, tool.answers.clone());
        if kind == ToolKind::Write {
            self.trace.effect(&ask.name, &ask.arguments);
        }
        if let Some(again) = tool.again {
            self.later(self.now + takes + again, Due::Tool(number, outcome.clone()));
        }
        self.later(self.now + takes, Due::Tool(number, outcome));
    }
}

/// What no recogniser should say then.
pub(super) fn nonsense(random: &mut Random) -> SttEvent {
    match random.below(8) {
        0 => SttEvent::Committed { commit: random.below(50) as u32 },
        1 => SttEvent::Committed { commit: u32::MAX },
        2 => SttEvent::Partial { text: String::new() },
        3 => SttEvent::Final { text: "   ".into() },
        4 => SttEvent::Final { text: "eh ".repeat(3_000) },
        5 => SttEvent::EagerEnd,
        6 => SttEvent::Resumed,
        _ => SttEvent::SpeechStarted,
    }
}

/// When each word of a clause ends, at the speed the fake voice speaks.
fn alignment(text: &str) -> Vec<WordTiming> {
    let mut chars = 0;
    text.split_inclusive(' ')
        .map(|word| {
            chars += word.chars().count() as u32;
            let spoken = chars - u32::from(word.ends_with(' '));
            WordTiming { chars: spoken, end_ms: spoken * CHAR.as_millis() as u32 }
        })
        .collect()
}
