//! What one call was like: from the sound of its two sides, from the books, and for whether a voice was cut off or had
//! said what it wanted from the gateway itself.

use std::{ops::Range, time::Duration};

use serde::Serialize;

use super::{
    plan::Heard,
    play::{Line, Played},
    witness::What,
};
use crate::load::caller::{
    How,
    measure::{self, Voicing},
};

/// What was said into the agent's speech counts against it for so long behind its end.
const BEHIND: Duration = Duration::from_millis(1_600);
/// An interruption that took longer was none.
const CUT_MAX: Duration = Duration::from_secs(1);
/// An answer this soon after an aside began was under way already.
const UNDER_WAY: Duration = Duration::from_millis(150);

/// What one call was like.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Measured {
    /// From the end of each line to the answer.
    pub latencies: Vec<Duration>,
    /// Lines said into the agent's speech that silenced it: after how long.
    pub cuts: Vec<Duration>,
    /// Lines said into the agent's speech that did not.
    pub not_cut: usize,
    /// Nods said into the agent's speech, and those that did not cut it.
    pub nods: Share,
    /// Speech for others, and that which neither cut nor was answered.
    pub others: Share,
    /// Plates and numbers dictated, and those into which the agent spoke.
    pub dictations: Share,
    /// Appointments read back, and those that were right at once.
    pub read_back: Share,
    /// How much the agent's voice paused for nods.
    pub paused: Vec<Duration>,
    /// Breaks in the agent's voice that nobody caused.
    pub holes: usize,
}

/// So many of so many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// How many there were.
    pub all: usize,
    /// How many of them were so.
    pub so: usize,
}

impl Share {
    /// One more.
    pub fn add(&mut self, so: bool) {
        self.all += 1;
        self.so += usize::from(so);
    }

    /// Others too.
    pub fn join(&mut self, other: Self) {
        self.all += other.all;
        self.so += other.so;
    }

    /// Of 1; none where there were none.
    pub fn share(self) -> Option<f64> {
        (self.all > 0).then(|| self.so as f64 / self.all as f64)
    }
}

impl Measured {
    /// Measures one call.
    pub fn of(played: &Played) -> Self {
        let recording = &played.conversation.recording;
        let rate = recording.rate();
        let time = |samples: usize| rate.duration(samples as u64);
        let cut_at: Vec<Duration> = noted(played, |what| *what == What::Interrupted).collect();
        let cut_in = |from: Duration, to: Duration| cut_at.iter().find(|at| **at >= from && **at <= to).copied();
        let answers = measure::answers(&played.room.dry, &recording.agent, &recording.said, &Voicing::CLEAN);
        let voices = measure::speech(recording.agent.samples(), rate, &Voicing::CLEAN);
        let begins_in = |range: Range<Duration>| voices.iter().any(|voice| range.contains(&time(voice.start)));

        let mut measured = Self { read_back: played.room.read_back, ..Self::default() };
        for (answered, said) in answers.iter().zip(&recording.said) {
            let silenced = answered.cut.filter(|cut| *cut <= CUT_MAX);
            match (answered.cut, silenced) {
                // Without an interruption the agent had said all it wanted to say.
                (_, Some(cut)) if cut_in(answered.onset, answered.onset + cut + BEHIND).is_some() => {
                    measured.cuts.push(cut);
                }
                (Some(_), None) => measured.not_cut += 1,
                (Some(_), Some(_)) | (None, _) => {}
            }
            measured.latencies.extend(answered.latency());
            let Some(line) = played.lines.iter().find(|line| line.text == answered.text) else { continue };
            let at = said.samples.start;
            if let Some(Range { start, end }) = line.dictated.clone() {
                measured.dictations.add(begins_in(time(at + start)..time(at + end)));
            }
            if let Some((aside, line)) = &line.aside {
                measured.others.add(!begins_in(time(at + aside.start) + UNDER_WAY..time(at + *line)));
            }
        }
        let own = |at: Duration| answers.iter().any(|line| line.onset <= at && at <= line.onset + BEHIND);
        for besides in &played.room.heard {
            let (from, to) = (time(besides.samples.start), time(besides.samples.end));
            let cut = cut_in(from, to + BEHIND).is_some_and(|at| !own(at));
            match besides.kind {
                Heard::Nod => measured.nods.add(!cut),
                Heard::Other => measured.others.add(!cut),
            }
            if !cut {
                // The longest silence of the agent's from there on, which a pause between sentences is too.
                let around: Vec<_> =
                    voices.iter().filter(|voice| time(voice.end) > from && time(voice.start) < to + BEHIND).collect();
                let pause = around.windows(2).map(|pair| time(pair[1].start - pair[0].end)).max();
                measured.paused.extend(pause);
            }
        }
        measured.holes = measure::holes(&recording.agent, &Voicing::CLEAN).len();
        measured
    }
}

/// When the gateway noted such a thing, from the beginning of the call.
fn noted<'a>(played: &'a Played, such: impl Fn(&What) -> bool + 'a) -> impl Iterator<Item = Duration> + 'a {
    let dialled = played.conversation.dialled;
    played.notes.iter().filter(move |note| such(&note.what)).map(move |note| note.at.saturating_duration_since(dialled))
}

/// The call as it went, for whoever reads why: what the caller did, what the agent said, what it understood.
pub fn dialogue(played: &Played) -> Vec<String> {
    use crate::load::caller::Happened;

    let mut lines: Vec<(Duration, String)> = Vec::new();
    for moment in &played.moments {
        let what = match &moment.what {
            Happened::Says { text, cuts_in: false } => format!("caller  {text}"),
            Happened::Says { text, cuts_in: true } => format!("caller  (cutting in) {text}"),
            Happened::Over(how) => format!("--      {}", ending(how)),
            Happened::Connected
            | Happened::Pressed(_)
            | Happened::AgentSpeaks(_)
            | Happened::Words { .. }
            | Happened::Interrupted
            | Happened::Status { .. } => continue,
        };
        lines.push((moment.at, what));
    }
    for note in &played.notes {
        let what = match &note.what {
            What::Said(text) => format!("agent   {text}"),
            What::Understood(text) => format!("        (understood: {text})"),
            What::Tool(tool) => format!("tool    {tool}"),
            What::Interrupted => "--      the agent was interrupted".into(),
            What::Held => "--      the agent pauses".into(),
            What::WentOn => "--      the agent goes on".into(),
        };
        lines.push((note.at.saturating_duration_since(played.conversation.dialled), what));
    }
    let rate = played.conversation.recording.rate();
    for besides in &played.room.heard {
        let who = match besides.kind {
            Heard::Nod => "nods",
            Heard::Other => "for others",
        };
        lines.push((rate.duration(besides.samples.start as u64), format!("({who}) {}", besides.text)));
    }
    for (said, line) in played.conversation.recording.said.iter().filter_map(|said| {
        played.lines.iter().find(|line: &&Line| line.text == said.text && line.aside.is_some()).map(|line| (said, line))
    }) {
        let begins = line.aside.as_ref().map_or(0, |(_, begins)| *begins);
        lines.push((rate.duration((said.samples.start + begins) as u64), "caller  (after an aside, the line)".into()));
    }
    lines.sort_by_key(|(at, _)| *at);
    lines.into_iter().map(|(at, line)| format!("{:6.1} s  {line}", at.as_secs_f64())).collect()
}

/// How a call ended, in a few words.
pub fn ending(how: &How) -> String {
    match how {
        How::HungUp => "the caller hung up".into(),
        How::AgentHungUp { code, reason } => format!("the agent hung up ({code} {reason})"),
        How::GaveUp(heard) if heard.is_empty() => "the caller gave up: the agent said nothing".into(),
        How::GaveUp(heard) => format!("the caller gave up: no line answers `{heard}`"),
        How::TooLong => "the call was too long".into(),
        How::Broke(why) => format!("the line broke: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_nothing_is_none() {
        let mut share = Share::default();
        assert_eq!(share.share(), None);
        share.add(true);
        share.add(false);
        share.join(Share { all: 2, so: 2 });
        assert_eq!(share.share(), Some(0.75));
    }
}
