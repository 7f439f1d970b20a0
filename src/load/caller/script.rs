//! Which line comes next: a scenario followed against what the agent does. Pure: sound and words in, steps out.

use std::time::Duration;

use super::scenario::{Scenario, Step, Turn, When};

/// Silence of the agent shorter than this is inside its speech.
const BREATH: Duration = Duration::from_millis(400);
/// How often one line is said again because the agent did not understand.
const REPEATS_MAX: u32 = 2;

/// Where a caller is in its scenario.
#[derive(Debug)]
pub(in crate::load) struct Script {
    /// The steps, and how often each has been taken.
    steps: Vec<(Step, u32)>,
    /// See [`Scenario`].
    pause: Duration,
    /// See [`Scenario`].
    patience: Duration,
    /// See [`Scenario`], in small letters.
    repeat_on: Vec<String>,
    /// The line tells what the agent says.
    tells: bool,
    /// When the caller's last line ended.
    since: Duration,
    /// The line said last, and how often it may be said again.
    last: Option<(usize, u32)>,
    /// When the agent began the speech it is in, or was in last.
    onset: Option<Duration>,
    /// When the agent was last heard.
    voiced: Option<Duration>,
    /// What the agent has said since the caller's last line, in small letters; the words that are final.
    words: String,
    /// The words that may still change.
    partial: String,
}

/// What the caller does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::load) enum Next {
    /// The step of this number.
    Step(usize),
    /// There is nothing left: hang up.
    Over,
    /// The agent says nothing, or nothing that fits.
    GiveUp,
}

impl Script {
    pub(in crate::load) fn new(scenario: &Scenario, tells: bool) -> Self {
        let small = |words: &[String]| words.iter().map(|word| word.to_lowercase()).collect::<Vec<_>>();
        let steps = scenario.steps.iter().map(|step| (Step { expect: small(&step.expect), ..step.clone() }, 0));
        Self {
            steps: steps.collect(),
            pause: Duration::from_millis(scenario.pause_ms),
            patience: Duration::from_secs(scenario.patience_s),
            repeat_on: small(&scenario.repeat_on),
            tells,
            since: Duration::ZERO,
            last: None,
            onset: None,
            voiced: None,
            words: String::new(),
            partial: String::new(),
        }
    }

    /// What is heard of the agent at this moment. Returns whether it has just begun or stopped speaking.
    pub(in crate::load) fn hear(&mut self, now: Duration, voiced: bool) -> Option<bool> {
        let was = self.voiced.filter(|last| now.saturating_sub(*last) < BREATH).is_some();
        if voiced {
            self.voiced = Some(now);
            if !was {
                self.onset = Some(now);
                return Some(true);
            }
            return None;
        }
        // Said once: in the frame in which the breath becomes a silence.
        let ended = self.voiced.is_some_and(|last| now.saturating_sub(last) >= BREATH) && self.onset.is_some();
        if ended && !was { self.onset.take().map(|_| false) } else { None }
    }

    /// Words of the agent.
    pub(in crate::load) fn words(&mut self, text: &str, last: bool) {
        self.partial = text.to_lowercase();
        if last {
            self.words.push(' ');
            self.words.push_str(&std::mem::take(&mut self.partial));
        }
    }

    /// The caller's line is over, or its act done.
    pub(in crate::load) fn done(&mut self, now: Duration) {
        self.since = now;
        self.words.clear();
        self.partial.clear();
    }

    /// What comes next, if anything does now. Asked when the caller is silent.
    pub(in crate::load) fn next(&mut self, now: Duration) -> Option<Next> {
        if let Some(again) = self.again(now) {
            return Some(Next::Step(again));
        }
        for at in 0..self.steps.len() {
            let (step, taken) = &self.steps[at];
            if *taken > if self.tells { step.again } else { 0 } {
                continue;
            }
            let open = !step.expect.is_empty() && self.tells;
            let waits = !open && self.steps[..at].iter().any(|(_, taken)| *taken == 0);
            if !waits && self.is_due(now, step.when) && self.fits(step) {
                self.steps[at].1 += 1;
                if matches!(self.steps[at].0.turn, Turn::Say(_)) {
                    self.last = Some((at, REPEATS_MAX));
                }
                return Some(Next::Step(at));
            }
            if !open {
                break;
            }
        }
        if self.is_due(now, When::AgentDone) && self.steps.iter().all(|(_, taken)| *taken > 0) {
            return Some(Next::Over);
        }
        self.fed_up(now)
    }

    /// The agent is in the middle of its speech.
    pub(in crate::load) fn is_agent_speaking(&self, now: Duration) -> bool {
        self.voiced.is_some_and(|voiced| now.saturating_sub(voiced) < BREATH / 4)
    }

    /// Everything was said: what is left is to hang up.
    pub(in crate::load) fn is_done(&self) -> bool {
        self.steps.iter().all(|(step, taken)| *taken > 0 || step.turn == Turn::HangUp)
    }

    /// What the agent has said since the caller's last line.
    pub(in crate::load) fn heard(&self) -> &str {
        self.words.trim()
    }

    /// The agent did not understand: the line to be said again.
    fn again(&mut self, now: Duration) -> Option<usize> {
        let asked = self.tells && self.is_due(now, When::AgentDone) && self.said_one_of(&self.repeat_on);
        let (at, left) = self.last.as_mut().filter(|(_, left)| asked && *left > 0)?;
        *left -= 1;
        Some(*at)
    }

    fn is_due(&self, now: Duration, when: When) -> bool {
        let spoke = self.voiced.filter(|voiced| *voiced > self.since);
        match when {
            When::AgentDone => spoke.is_some_and(|voiced| now.saturating_sub(voiced) >= self.pause),
            When::After(wait) => now.saturating_sub(self.since) >= wait,
            When::AgentSpeaks(wait) => {
                self.is_agent_speaking(now)
                    && self.onset.is_some_and(|onset| onset >= self.since && now - onset >= wait)
            }
        }
    }

    fn fits(&self, step: &Step) -> bool {
        !self.tells || step.expect.is_empty() || self.said_one_of(&step.expect)
    }

    fn said_one_of(&self, words: &[String]) -> bool {
        words.iter().any(|word| self.words.contains(word.as_str()) || self.partial.contains(word.as_str()))
    }

    fn fed_up(&self, now: Duration) -> Option<Next> {
        let quiet = now.saturating_sub(self.voiced.map_or(self.since, |voiced| voiced.max(self.since)));
        (quiet >= self.patience).then_some(Next::GiveUp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A script, and the agent's half of the call in steps of 20 ms.
    struct Play {
        script: Script,
        now: Duration,
    }

    const FRAME: Duration = Duration::from_millis(20);

    impl Play {
        fn new(scenario: &str, tells: bool) -> Self {
            let scenario = Scenario::parse(scenario).unwrap();
            Self { script: Script::new(&scenario, tells), now: Duration::ZERO }
        }

        /// The agent speaks or is silent for a while: what the caller does meanwhile, and after how many ms.
        fn agent(&mut self, voiced: bool, ms: u64) -> Option<(Next, u64)> {
            let from = self.now;
            while self.now - from < Duration::from_millis(ms) {
                self.now += FRAME;
                self.script.hear(self.now, voiced);
                if let Some(next) = self.script.next(self.now) {
                    self.script.done(self.now);
                    return Some((next, (self.now - from).as_millis() as u64));
                }
            }
            None
        }

        fn says(&mut self, words: &str) -> Option<Next> {
            assert_eq!(self.agent(true, 1_000), None);
            self.script.words(words, true);
            self.agent(false, 2_000).map(|(next, _)| next)
        }
    }

    const ASKED: &str = r#"
        repeat_on = ["non ho capito"]
        [[steps]]
        say = "vorrei prenotare"
        [[steps]]
        expect = ["targa"]
        again = 1
        say = "A B uno due tre C D"
        [[steps]]
        expect = ["che nome"]
        say = "Mario Rossi"
        [[steps]]
        expect = ["arrivederci"]
        hang_up = true
    "#;

    #[test]
    fn a_line_comes_when_the_agent_has_finished() {
        let mut play = Play::new(ASKED, true);
        assert_eq!(play.agent(false, 3_000), None, "before the greeting");
        assert_eq!(play.agent(true, 1_000), None);
        assert_eq!(play.agent(false, 500), None, "a breath");
        assert_eq!(play.agent(true, 1_000), None);
        assert_eq!(play.agent(false, 2_000), Some((Next::Step(0), 900)));
    }

    #[test]
    fn lines_follow_the_agents_questions() {
        let mut play = Play::new(ASKED, true);
        assert_eq!(play.says("Buongiorno!"), Some(Next::Step(0)));
        assert_eq!(play.says("Un attimo, controllo."), None);
        assert_eq!(play.says("A CHE NOME?"), Some(Next::Step(2)));
        assert_eq!(play.says("Qual è la targa?"), Some(Next::Step(1)));
        assert_eq!(play.says("Non ho capito, può ripetere?"), Some(Next::Step(1)));
        assert_eq!(play.says("La targa è giusta?"), Some(Next::Step(1)), "again = 1");
        assert_eq!(play.says("Fatto, arrivederci."), Some(Next::Step(3)));
        assert_eq!(play.says("Ancora lì?"), Some(Next::Over));
    }

    #[test]
    fn without_words_the_lines_follow_in_order() {
        let mut play = Play::new(ASKED, false);
        let taken: Vec<_> = (0..5).map(|_| play.says("").unwrap()).collect();
        assert_eq!(taken, [Next::Step(0), Next::Step(1), Next::Step(2), Next::Step(3), Next::Over]);
    }

    #[test]
    fn a_caller_cuts_in_only_while_the_agent_speaks() {
        let mut play = Play::new("[[steps]]\nwhile_agent_speaks_ms = 600\nsay = \"no\"", true);
        assert_eq!(play.agent(true, 300), None);
        assert_eq!(play.agent(false, 600), None, "the agent stopped too early");
        assert_eq!(play.agent(true, 900), Some((Next::Step(0), 620)));
    }

    #[test]
    fn a_line_that_expects_nothing_waits_for_those_before_it() {
        let mut play = Play::new(
            "[[steps]]\nexpect = [\"targa\"]\nsay = \"A B\"\n[[steps]]\nwhile_agent_speaks_ms = 600\nsay = \"no\"",
            true,
        );
        assert_eq!(play.agent(true, 5_000), None, "the plate has not been said");
        play.script.words("La targa?", true);
        assert_eq!(play.agent(false, 2_000), Some((Next::Step(0), 900)));
        assert_eq!(play.agent(true, 5_000), Some((Next::Step(1), 620)));
    }

    #[test]
    fn a_caller_does_not_wait_for_ever() {
        let mut play = Play::new(ASKED, true);
        assert_eq!(play.agent(false, 20_000), Some((Next::GiveUp, 12_000)));
        let mut play = Play::new(ASKED, true);
        assert_eq!(play.says("Buongiorno!"), Some(Next::Step(0)));
        assert_eq!(play.says("Bla bla."), None);
        assert_eq!(play.script.heard(), "bla bla.");
        assert!(matches!(play.agent(false, 20_000), Some((Next::GiveUp, _))));
    }
}
