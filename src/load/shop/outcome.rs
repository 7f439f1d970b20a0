//! What became of a run: the calls, the books, and the gates.

use std::time::Duration;

use serde::Serialize;

use super::measured::{Measured, Share};
use crate::{
    booking::{Appointment, Status},
    load::caller::measure::quantile,
};

/// Of the callers, so many get what they called for.
pub const SUCCESS_MIN: f64 = 0.95;
/// Of the bookings that were possible, so many are made.
pub const YIELD_MIN: f64 = 0.95;
/// Of the nods, so many do not cut the agent off.
pub const NODS_MIN: f64 = 0.9;
/// Of the interruptions, so many do.
pub const CUTS_MIN: f64 = 0.9;
/// Of the speech for others, so much is ignored.
pub const OTHERS_MIN: f64 = 0.7;
/// Of the dictations, into so few the agent speaks.
pub const DICTATIONS_MAX: f64 = 0.01;

/// One call and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Call {
    /// With which it is made again.
    pub seed: u64,
    /// Who called.
    pub persona: String,
    /// It wanted a new appointment that could be had.
    pub books: bool,
    /// What was wrong, if anything.
    pub wrong: Option<String>,
    /// How long it lasted.
    pub lasted: Duration,
    /// How late the caller's own frames left at worst.
    pub late: Duration,
    /// What it was like.
    pub measured: Measured,
    /// How it went.
    pub dialogue: Vec<String>,
}

/// Everything.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Outcome {
    /// The calls, in the order of their seeds.
    pub calls: Vec<Call>,
    /// Pairs of appointments that share a bay, a technician or a car at one time.
    pub double_bookings: Vec<String>,
}

/// A promise and whether it was kept.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gate {
    /// What was promised.
    pub promise: String,
    /// What was measured.
    pub measured: String,
    /// It was kept.
    pub kept: bool,
}

impl Outcome {
    /// Callers who got what they called for.
    pub fn success(&self) -> Share {
        shared(self.calls.iter(), |call| call.wrong.is_none())
    }

    /// Bookings made, of those that were possible.
    pub fn bookings(&self) -> Share {
        shared(self.calls.iter().filter(|call| call.books), |call| call.wrong.is_none())
    }

    /// By persona, in the order in which they first called: the calls, and those that got what they called for.
    pub fn by_persona(&self) -> Vec<(String, Share)> {
        let mut personas: Vec<(String, Share)> = Vec::new();
        for call in &self.calls {
            let at = personas.iter().position(|(name, _)| *name == call.persona).unwrap_or_else(|| {
                personas.push((call.persona.clone(), Share::default()));
                personas.len() - 1
            });
            personas[at].1.add(call.wrong.is_none());
        }
        personas
    }

    /// The same of what was measured, over all calls.
    pub fn sum(&self) -> Measured {
        let mut sum = Measured::default();
        for call in &self.calls {
            let one = &call.measured;
            sum.latencies.extend(&one.latencies);
            sum.cuts.extend(&one.cuts);
            sum.paused.extend(&one.paused);
            sum.not_cut += one.not_cut;
            sum.holes += one.holes;
            sum.nods.join(one.nods);
            sum.others.join(one.others);
            sum.dictations.join(one.dictations);
            sum.read_back.join(one.read_back);
        }
        sum
    }

    /// What was promised. What nobody did is not judged.
    pub fn gates(&self) -> Vec<Gate> {
        let sum = self.sum();
        let cuts = Share { all: sum.cuts.len() + sum.not_cut, so: sum.cuts.len() };
        let least = [
            ("callers get what they called for", self.success(), SUCCESS_MIN),
            ("bookings are made that are possible", self.bookings(), YIELD_MIN),
            ("nods do not cut the agent off", sum.nods, NODS_MIN),
            ("interruptions do", cuts, CUTS_MIN),
            ("speech for others is ignored", sum.others, OTHERS_MIN),
        ];
        let mut gates: Vec<Gate> = least
            .into_iter()
            .filter_map(|(promise, share, least)| {
                Some(Gate {
                    promise: format!("{promise}: at least {}", percent(least)),
                    measured: written(share),
                    kept: share.share()? >= least,
                })
            })
            .collect();
        if let Some(into) = sum.dictations.share() {
            gates.push(Gate {
                promise: format!(
                    "the agent speaks into dictated plates and numbers: at most {}",
                    percent(DICTATIONS_MAX)
                ),
                measured: written(sum.dictations),
                kept: into <= DICTATIONS_MAX,
            });
        }
        gates.push(Gate {
            promise: "double bookings: none".into(),
            measured: self.double_bookings.len().to_string(),
            kept: self.double_bookings.is_empty(),
        });
        gates
    }

    /// Every promise was kept.
    pub fn is_kept(&self) -> bool {
        self.gates().iter().all(|gate| gate.kept)
    }
}

fn shared<'a>(calls: impl Iterator<Item = &'a Call>, so: impl Fn(&Call) -> bool) -> Share {
    let mut share = Share::default();
    calls.for_each(|call| share.add(so(call)));
    share
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// So many of so many, in words.
pub fn written(share: Share) -> String {
    match share.share() {
        Some(part) => format!("{} of {} ({:.1} %)", share.so, share.all, part * 100.0),
        None => "-".into(),
    }
}

/// p50, p90, p95 and the most of some durations, in ms.
pub fn percentiles(durations: &[Duration]) -> String {
    let ms = |share| quantile(durations, share).map_or("-".into(), |it| it.as_millis().to_string());
    format!("p50 {} p90 {} p95 {} max {} ms (n {})", ms(0.5), ms(0.9), ms(0.95), ms(1.0), durations.len())
}

/// Pairs of standing appointments that share a bay, a technician or a car at one time. Says nothing of who they are.
pub fn double_bookings(appointments: &[Appointment]) -> Vec<String> {
    let standing: Vec<_> = appointments.iter().filter(|one| one.status == Status::Booked).collect();
    let mut double = Vec::new();
    for (at, one) in standing.iter().enumerate() {
        for other in &standing[at + 1..] {
            if !one.taken().overlaps(other.start, other.end) {
                continue;
            }
            let bay = one.bay.is_some() && one.bay == other.bay;
            let shared =
                [(bay, "bay"), (one.technician == other.technician, "technician"), (one.plate == other.plate, "car")];
            if let Some((_, what)) = shared.into_iter().find(|(shared, _)| *shared) {
                double.push(format!("one {what} at {} and {}: {} and {}", one.local, other.local, one.id, other.id));
            }
        }
    }
    double
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(persona: &str, wrong: Option<&str>, measured: Measured) -> Call {
        Call {
            seed: 1,
            persona: persona.into(),
            books: true,
            wrong: wrong.map(Into::into),
            lasted: Duration::ZERO,
            late: Duration::ZERO,
            measured,
            dialogue: vec![],
        }
    }

    #[test]
    fn gates_say_what_was_not_kept() {
        let good =
            || Measured { nods: Share { all: 10, so: 10 }, dictations: Share { all: 1, so: 0 }, ..Measured::default() };
        let mut outcome = Outcome { calls: (0..20).map(|_| call("a", None, good())).collect(), ..Outcome::default() };
        assert!(outcome.is_kept(), "{:?}", outcome.gates());
        outcome.calls[0].wrong = Some("no booking".into());
        assert!(outcome.is_kept(), "one of twenty");
        outcome.calls[1].wrong = Some("no booking".into());
        let broken = outcome.gates().into_iter().filter(|gate| !gate.kept).count();
        assert_eq!(broken, 2, "success and yield");
        assert_eq!(outcome.by_persona(), [("a".to_owned(), Share { all: 20, so: 18 })]);
        outcome.calls.truncate(0);
        outcome.double_bookings.push("x".into());
        assert!(!outcome.is_kept());
    }

    #[test]
    fn one_dictation_in_a_hundred_may_be_spoken_into() {
        let measured = |so| Measured { dictations: Share { all: 100, so }, ..Measured::default() };
        assert!(Outcome { calls: vec![call("a", None, measured(1))], ..Outcome::default() }.is_kept());
        assert!(!Outcome { calls: vec![call("a", None, measured(2))], ..Outcome::default() }.is_kept());
    }
}
