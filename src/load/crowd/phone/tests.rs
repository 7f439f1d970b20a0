//! Callers in virtual time.

use super::*;
use crate::{
    audio::{Rate, g711, signal},
    load::caller::Scenario,
};

/// A call in virtual time: the agent's half is played, the caller does what it does.
struct Play {
    phone: Phone,
    desk: Desk,
    now: u64,
}

impl Play {
    fn new(scenario: &str, change: impl FnOnce(&mut Behaviour)) -> Self {
        let kind = LineKind::VapiMulaw;
        let mut does = Behaviour::new("any", Scenario::parse(scenario).unwrap());
        change(&mut does);
        // Every line is 200 ms of a voice.
        let line: Arc<[i16]> = signal::sine(300.0, Rate::PHONE, 8_000.0, 0, 1_600).into();
        let spoken: Vec<_> = does.scenario.steps.iter().map(|_| Some(line.clone())).collect();
        let said = Said::new(&does, &spoken, &[0; 160], kind).unwrap();
        let mut desk = Desk::new(None, &["un attimo".to_owned()]);
        let (does, said, chance) = (Arc::new(does), Arc::new(said), Chance::new(1));
        let (token, from) = (None, String::new());
        let setup = Setup { kind, does, said, due: 0, start: 0, token, from, counted: false, chance };
        let phone = Phone::new(setup, &mut desk).unwrap();
        Self { phone, desk, now: 0 }
    }

    /// The agent speaks or is silent for so long.
    fn agent(&mut self, speaks: bool, ms: u64) -> &mut Self {
        for _ in 0..ms / 20 {
            if speaks {
                let tone = (0..160).map(|at| g711::mulaw(if at % 16 < 8 { 6_000 } else { -6_000 }));
                let frame: Vec<u8> = [0x82, 126, 0, 160].into_iter().chain(tone).collect();
                self.phone.received(self.now + 5_000, &frame, &mut self.desk);
            }
            self.now += FRAME_US;
            self.phone.tick(self.now, &mut self.desk);
        }
        self
    }

    fn words(&mut self, text: &str) -> &mut Self {
        let event = format!(r#"{{"type":"transcript","role":"assistant","transcript":"{text}"}}"#);
        let frame = [&[0x81, event.len() as u8][..], event.as_bytes()].concat();
        self.phone.received(self.now, &frame, &mut self.desk);
        self
    }

    fn check(&self, measure: Measure, expected_ms: u64) {
        let measured = self.desk.tally.quantile(measure, 1.0).expect("nothing was measured");
        let off = measured.abs_diff(Duration::from_millis(expected_ms));
        assert!(off <= Duration::from_millis(1), "{measure:?}: {measured:?} for {expected_ms} ms");
    }
}

#[test]
fn a_filler_is_no_answer() {
    let mut play = Play::new("pause_ms = 400\n[[steps]]\nsay = \"a\"\n[[steps]]\nhang_up = true", |_| {});
    // Greeted until 420; 400 ms later the caller says its line, until 1 020.
    play.agent(true, 400).agent(false, 1_000);
    play.words("Un attimo, controllo.").agent(true, 300).agent(false, 300).words("Alle nove.").agent(true, 300);
    assert_eq!(play.phone.fate(), None);
    play.agent(false, 1_000);
    assert_eq!(play.phone.fate(), Some(Fate::Completed));
    let (filler, turn) = (play.desk.tally.of(Measure::Filler).max(), play.desk.tally.of(Measure::Turn).max());
    assert!((turn - filler).abs_diff(600_000) < 2_000, "{filler} {turn}");
    play.check(Measure::Answer, 5);
    assert_eq!((play.desk.tally.counts.asked, play.desk.tally.counts.completed), (1, 1));
}

#[test]
fn a_line_that_nobody_answers_is_counted() {
    let mut play = Play::new("patience_s = 2\n[[steps]]\nsay = \"a\"\n[[steps]]\nsay = \"b\"", |_| {});
    play.agent(true, 400).agent(false, 5_000);
    assert_eq!(play.phone.fate(), Some(Fate::GaveUp));
    let counts = &play.desk.tally.counts;
    assert_eq!((counts.asked, counts.unanswered, counts.gave_up, counts.completed), (1, 1, 1, 0));
}

#[test]
fn a_pause_of_the_callers_own_is_no_missing_answer() {
    let steps = "[[steps]]\nsay = \"a\"\n[[steps]]\nafter_s = 0.3\nsay = \"b\"\n[[steps]]\nhang_up = true";
    let mut play = Play::new(steps, |_| {});
    play.agent(true, 400).agent(false, 2_500).agent(true, 300).agent(false, 2_000);
    let counts = &play.desk.tally.counts;
    assert_eq!((counts.asked, counts.unanswered, counts.completed), (1, 0, 1));
}

#[test]
fn an_interruption_is_measured_and_a_backchannel_is_not_one() {
    let cuts = "[[steps]]\nwhile_agent_speaks_ms = 500\nsay = \"no\"\n[[steps]]\nafter_s = 9\nhang_up = true";
    let mut play = Play::new(cuts, |_| {});
    play.agent(true, 1_000).agent(false, 1_000);
    let cut = play.desk.tally.of(Measure::Cut).max();
    // It began about half a second in, and the agent spoke for a second.
    assert!((430_000..530_000).contains(&cut), "{cut}");
    let nods = cuts.replace("say = \"no\"", "say = \"mm\"\nbackchannel = true");
    for (spoken, yielded) in [(1_000, 1), (2_000, 0)] {
        let mut play = Play::new(&nods, |_| {});
        play.agent(true, spoken).agent(false, 1_000);
        let counts = &play.desk.tally.counts;
        assert_eq!((counts.backchannels, counts.backchannels_yielded), (1, yielded), "{spoken}");
        assert_eq!((counts.interruptions, play.desk.tally.of(Measure::Cut).len()), (0, 0));
    }
}

#[test]
fn a_call_without_the_words_it_is_about_is_wrong() {
    let steps = "[[steps]]\nsay = \"a\"\n[[steps]]\nhang_up = true";
    for (words, wrong) in [("Ho FISSATO per martedì", 0), ("Non ho capito", 1)] {
        let mut play = Play::new(steps, |does| does.must_hear = vec!["fissato".into()]);
        play.agent(true, 400).agent(false, 1_500).words(words).agent(true, 300).agent(false, 1_500);
        let counts = &play.desk.tally.counts;
        assert_eq!((counts.wrong, counts.completed), (wrong, 1 - wrong), "{words}");
    }
}

#[test]
fn a_caller_on_hold_is_silent_and_one_in_a_hurry_is_gone() {
    let steps = "[[steps]]\nsay = \"a\"\n[[steps]]\nsay = \"b\"\n[[steps]]\nhang_up = true";
    let mut play = Play::new(steps, |does| does.holds = Some(Duration::from_secs(20)));
    play.agent(true, 400).agent(false, 2_000).agent(true, 300).agent(false, 15_000);
    assert_eq!((play.phone.fate(), play.desk.tally.counts.asked), (None, 0), "it neither speaks nor gives up");
    let mut play = Play::new(steps, |does| does.hangs_up_after = Some(Duration::from_millis(700)));
    play.agent(true, 2_000);
    assert_eq!((play.phone.fate(), play.desk.tally.counts.completed), (Some(Fate::Completed), 1));
    assert_eq!(play.phone.frames, 35);
}
