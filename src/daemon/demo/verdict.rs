//! What was promised of the demo's call, and whether it was kept.

use std::time::Duration;

use super::Played;
use crate::{
    booking::Status,
    call::{Message, TurnReport},
    load::caller::{How, measure},
};

/// The longest the agent may go on speaking when the caller cuts in.
pub const CUT_MAX: Duration = Duration::from_millis(250);
/// The most that the gateway itself may add to a turn.
pub const OWN_MAX: Duration = Duration::from_millis(25);
/// How far the two ends may differ about when the caller stopped speaking and still mean the same moment.
const SAME: Duration = Duration::from_millis(600);

/// What was kept, and what was not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// A sentence for each promise that was kept.
    pub kept: Vec<String>,
    /// A sentence for each that was not.
    pub broken: Vec<String>,
}

/// One turn from both ends.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    /// As the gateway reports it.
    pub(super) report: &'a TurnReport,
    /// As it was measured from the sound.
    pub(super) measured: Option<measure::Answered>,
}

impl Played {
    /// Judges the call.
    pub fn verdict(&self) -> Verdict {
        let mut verdict = Verdict::default();
        verdict.judge(self.is_over(), "the call came to its end");
        verdict.judge(self.is_served(), "the engines answered over the wire, and nothing stood in for them");
        verdict.judge(self.is_booked(), "the appointment is in the books, with the hour the caller changed to");
        verdict.judge(self.is_cut(), "the agent was silent at once when the caller cut in");
        verdict.judge(self.is_true(), "the history holds only what was heard");
        verdict.judge(self.is_quick(), "the gateway added next to nothing to each turn");
        verdict
    }

    /// The turns that answer the caller.
    pub(super) fn turns(&self) -> Vec<Turn<'_>> {
        let end = self.record.as_ref().and_then(|record| record.end.as_ref());
        let answers = self.conversation.recording.answers();
        let shift = self.answered.map(|at| at.saturating_duration_since(self.conversation.dialled)).unwrap_or_default();
        let measured = |report: &TurnReport| {
            let end = report.speech_end? + shift;
            let nearest = answers.iter().min_by_key(|answer| answer.end.abs_diff(end))?;
            (nearest.end.abs_diff(end) < SAME).then(|| nearest.clone())
        };
        let reports = end.map(|end| end.report.turns.as_slice()).unwrap_or_default();
        reports
            .iter()
            .filter(|report| report.latency().is_some())
            .map(|report| Turn { report, measured: measured(report) })
            .collect()
    }

    fn is_over(&self) -> Result<(), String> {
        match &self.conversation.how {
            How::HungUp | How::AgentHungUp { code: 1000 | 1005, .. } => Ok(()),
            How::AgentHungUp { code, reason } => Err(format!("the gateway ended the call with {code}: {reason}")),
            How::GaveUp(heard) => Err(format!("the caller gave up; what the agent had said last: `{heard}`")),
            How::TooLong => Err("the call did not end".into()),
            How::Broke(why) => Err(format!("the line broke: {why}")),
        }
    }

    /// Hearing, thinking and speaking were the lab's: a built-in engine that stood in would hide what is broken.
    fn is_served(&self) -> Result<(), String> {
        let lab = &self.lab;
        let refused = lab.endpoints.iter().find(|(_, counts)| counts.refused > 0);
        if let Some((endpoint, counts)) = refused {
            return Err(format!("the lab refused {} requests to {endpoint:?}", counts.refused));
        }
        let served = [("heard", lab.heard.len()), ("answered", lab.answered.len()), ("spoke", lab.spoken.len())];
        if let Some((did, _)) = served.iter().find(|(_, times)| *times == 0) {
            return Err(format!("the lab never {did}: something else stood in for it"));
        }
        Ok(())
    }

    fn is_booked(&self) -> Result<(), String> {
        let standing: Vec<_> = self.appointments.iter().filter(|it| it.status == Status::Booked).collect();
        let (plate, at) = &self.expected;
        match standing.as_slice() {
            [] => Err(format!("no appointment is in {}", self.books.display())),
            [one] if one.local != *at => Err(format!("the appointment is on {} instead of {at}", one.local)),
            [one] if one.plate.reveal() != plate => Err("the appointment has another plate than the caller's".into()),
            [_] => Ok(()),
            more => Err(format!("{} appointments are in {} instead of one", more.len(), self.books.display())),
        }
    }

    fn is_cut(&self) -> Result<(), String> {
        let answers = self.conversation.recording.answers();
        let cuts: Vec<_> = answers.iter().filter_map(|answer| answer.cut).collect();
        match cuts.iter().max() {
            None => Err("the caller never spoke into the agent's speech: there was no barge-in".into()),
            Some(cut) if *cut > CUT_MAX => Err(format!(
                "the agent spoke on for {} ms when the caller cut in: at most {} are allowed",
                cut.as_millis(),
                CUT_MAX.as_millis()
            )),
            Some(_) => Ok(()),
        }
    }

    fn is_true(&self) -> Result<(), String> {
        let Some(end) = self.record.as_ref().and_then(|record| record.end.as_ref()) else {
            return Err("the gateway kept no record of the call".into());
        };
        let cut =
            end.history.reveal().iter().any(|message| matches!(message, Message::Agent { interrupted: true, .. }));
        if cut { Ok(()) } else { Err("the history does not know that the agent was cut off".into()) }
    }

    fn is_quick(&self) -> Result<(), String> {
        let own: Vec<_> = self.turns().iter().filter_map(|turn| turn.report.own()).collect();
        match measure::quantile(&own, 0.95) {
            None => Err("no turn was answered".into()),
            Some(own) if own > OWN_MAX => Err(format!(
                "the gateway itself added {} ms to a turn (p95): at most {} are allowed; is this machine busy?",
                own.as_millis(),
                OWN_MAX.as_millis()
            )),
            Some(_) => Ok(()),
        }
    }
}

impl Verdict {
    fn judge(&mut self, judged: Result<(), String>, promise: &str) {
        match judged {
            Ok(()) => self.kept.push(promise.to_owned()),
            Err(why) => self.broken.push(why),
        }
    }
}
