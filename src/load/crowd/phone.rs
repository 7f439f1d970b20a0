//! One caller: what it says, when, and what it makes of what comes back. Pure: the time and bytes in, bytes out; times
//! are microseconds since the run began.
//!
//! A frame of 20 ms is sent when it would have been spoken to its end, as a telephone does: the sample at position `n`
//! of the caller's side is due `n` samples after the call began, and leaves up to 20 ms later.

mod fate;
mod hears;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

pub(super) use self::fate::Fate;

use super::{
    counted,
    desk::Desk,
    faults::Faulty,
    frame,
    listener::Listener,
    plan::{Behaviour, LineKind},
    sounds::{Said, Track},
    tally::Measure,
    wire::Wire,
};
use crate::{
    audio::Rate,
    load::{
        caller::{Next, Script, Turn, When},
        chance::Chance,
    },
};

/// A frame, in microseconds.
pub(super) const FRAME_US: u64 = 20_000;
/// The words of an agent that are looked at for a filler, in bytes.
const OPENING_MAX: usize = 200;
/// The words of an agent that are kept for the script between two lines of the caller.
const WORDS_MAX: usize = 16 << 10;
/// An agent that falls silent this soon after a backchannel has yielded to it.
const YIELDS_US: u64 = 700_000;

/// One caller.
#[derive(Debug)]
pub(super) struct Phone {
    /// When it was to be dialled.
    due: u64,
    /// When its first frame began.
    start: u64,
    /// Frames of the caller's side so far.
    frames: u64,
    /// What it does.
    does: Arc<Behaviour>,
    /// What it says.
    said: Arc<Said>,
    /// Where it is in its scenario.
    script: Script,
    /// Its dialect.
    wire: Wire,
    /// The agent tells its words.
    tells: bool,
    /// Messages of the target that have not wholly come.
    reader: frame::Reader,
    /// The agent's side.
    listener: Listener,
    /// What is being said, and the next frame of it.
    saying: Option<(Arc<Track>, usize)>,
    /// The next frame of what is heard when nothing is said.
    bed: usize,
    /// A line that waits for an answer.
    question: Option<Question>,
    /// The onset of an interruption that the agent has not stopped for.
    cut: Option<u64>,
    /// The onset of a backchannel.
    nod: Option<u64>,
    /// The caller says nothing until then.
    holds_until: u64,
    /// It has said something.
    spoke: bool,
    /// The agent has been heard.
    answered: bool,
    /// Which of the words that must be heard have been, one bit each.
    words_heard: u64,
    /// Microseconds that make no whole millisecond yet: of the audio that came, and of the voice in it.
    rest: [u64; 2],
    /// What goes wrong on its line.
    faults: Option<Box<Faulty>>,
    /// When it is cut, and whether it dials again.
    cut_off: Option<(u64, bool)>,
    /// Reads the counted voice.
    counted: Option<Box<counted::Reader>>,
    /// It is over.
    fate: Option<Fate>,
}

/// A line that waits for an answer.
#[derive(Debug)]
struct Question {
    /// T0.
    end: u64,
    /// When the first speech after it had come, where that may be a filler.
    first: Option<u64>,
    /// When the second had come.
    second: Option<u64>,
    /// How the agent's words began.
    opening: String,
}

/// What a phone is made with.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) kind: LineKind,
    pub(super) does: Arc<Behaviour>,
    pub(super) said: Arc<Said>,
    /// When it was to be dialled.
    pub(super) due: u64,
    /// When its first frame begins.
    pub(super) start: u64,
    pub(super) token: Option<String>,
    /// The caller's number.
    pub(super) from: String,
    pub(super) counted: bool,
    pub(super) chance: Chance,
}

impl Phone {
    /// A caller whose call has just been let in; what is said first on the wire goes out.
    pub(super) fn new(setup: Setup, desk: &mut Desk) -> Result<Self, crate::audio::CodecError> {
        let Setup { kind, does, said, due, start, token, from, counted, mut chance } = setup;
        // First of all: whoever dialled has to know it too.
        let fault = Faulty::choose(&does.faults, &mut chance);
        let wire = Wire::new(kind, token, from, &mut chance, &mut desk.out)?;
        let hz = wire.hz();
        let cut = fault.and_then(|fault| fault.cut);
        let tells = kind != LineKind::Twilio;
        Ok(Self {
            due,
            start,
            frames: 0,
            script: Script::new(&does.scenario, tells),
            wire,
            tells,
            reader: frame::Reader::default(),
            listener: Listener::new(hz),
            saying: None,
            // Not everybody's noise is the same at the same time.
            bed: (chance.roll() % said.bed.len() as u64) as usize,
            question: None,
            cut: None,
            nod: None,
            holds_until: 0,
            spoke: false,
            answered: false,
            words_heard: 0,
            rest: [0; 2],
            faults: fault.map(|fault| Box::new(Faulty::new(fault, start, chance))),
            cut_off: cut.map(|cut| (start + us(cut.after), cut.reconnect)),
            counted: (counted && hz <= 48_000)
                .then(|| Rate::new(hz).ok().map(|rate| Box::new(counted::Reader::new(rate))))
                .flatten(),
            fate: None,
            does,
            said,
        })
    }

    /// When the next frame is due.
    pub(super) fn next_frame(&self) -> u64 {
        self.start + (self.frames + 1) * FRAME_US
    }

    /// When there is something to send besides the frames.
    pub(super) fn next_release(&self) -> Option<u64> {
        self.faults.as_ref().and_then(|faults| faults.next_release())
    }

    /// How it ended, if it did.
    pub(super) fn fate(&self) -> Option<Fate> {
        self.fate
    }

    /// Every 20 ms: what is heard, what that makes the caller do, what it says. `now` may be later than the frame was
    /// due; everything is counted from when it was due.
    pub(super) fn tick(&mut self, now: u64, desk: &mut Desk) {
        if self.fate.is_some() {
            return;
        }
        let to = self.next_frame();
        let from = to - FRAME_US;
        self.frames += 1;
        let voice = self.hear(to, desk);
        self.script.hear(self.since(to), voice);
        while let Some(name) = self.listener.due(to) {
            self.wire.mark(&name, &mut desk.out);
            desk.tally.counts.messages_out += 1;
        }
        if let Some((at, reconnect)) = self.cut_off
            && now >= at
        {
            return self.end(Fate::CutOff { reconnect }, desk);
        }
        if self.does.hangs_up_after.is_some_and(|after| to >= self.start + us(after)) {
            return self.end(Fate::Completed, desk);
        }
        if self.saying.is_none() && to >= self.holds_until {
            self.decide(from, to, desk);
            if self.fate.is_some() {
                return;
            }
        }
        self.speak(now, from, to, desk);
    }

    /// Sends what was held back until now.
    pub(super) fn release(&mut self, now: u64, desk: &mut Desk) {
        if let (Some(faults), None) = (&mut self.faults, self.fate) {
            faults.flush(now, &mut |track, at, media| {
                self.wire.audio(track.frame(at), media, &mut desk.out);
                desk.tally.counts.messages_out += 1;
            });
        }
    }

    /// The connection is gone.
    pub(super) fn broke(&mut self, desk: &mut Desk) {
        self.end(Fate::Broke, desk);
    }

    /// Hangs up because no more is wanted.
    pub(super) fn hang_up(&mut self, desk: &mut Desk) {
        self.end(Fate::Unfinished, desk);
    }

    fn since(&self, at: u64) -> Duration {
        Duration::from_micros(at.saturating_sub(self.start))
    }

    fn decide(&mut self, from: u64, to: u64, desk: &mut Desk) {
        let at = match self.script.next(self.since(to)) {
            None => return,
            Some(Next::Over) => return self.end(Fate::Completed, desk),
            Some(Next::GiveUp) => return self.end(Fate::GaveUp, desk),
            Some(Next::Step(at)) => at,
        };
        let does = self.does.clone();
        let step = &does.scenario.steps[at];
        match &step.turn {
            Turn::HangUp => self.end(Fate::Completed, desk),
            Turn::Keys(keys) => {
                desk.tally.counts.keys += keys.len() as u64;
                match self.said.steps[at].clone() {
                    Some(track) => self.saying = Some((track, 0)),
                    None => {
                        for key in keys {
                            self.wire.key(*key, &mut desk.out);
                            desk.tally.counts.messages_out += 1;
                        }
                        self.done(to);
                    }
                }
            }
            Turn::Say(_) | Turn::Wav(_) => {
                let Some(track) = self.said.steps[at].clone() else { return self.done(to) };
                if let Some((onset, end)) = track.voiced {
                    let over = matches!(step.when, When::AgentSpeaks(_));
                    if over && step.backchannel {
                        desk.tally.counts.backchannels += 1;
                        self.nod = Some(from + onset);
                    } else {
                        // A line that goes on after a pause of the caller's own is one with the line before.
                        self.asked_on(matches!(step.when, When::After(_)), desk);
                        if over {
                            desk.tally.counts.interruptions += 1;
                            self.cut = Some(from + onset);
                        }
                        let end = from + end;
                        self.question = Some(Question { end, first: None, second: None, opening: String::new() });
                    }
                }
                self.saying = Some((track, 0));
            }
        }
    }

    /// Sends the frame of this moment.
    fn speak(&mut self, now: u64, from: u64, to: u64, desk: &mut Desk) {
        let (track, at, over) = match &mut self.saying {
            Some((track, next)) => {
                let at = *next;
                *next += 1;
                (track.clone(), at, *next == track.len())
            }
            None => {
                let at = self.bed;
                self.bed = (at + 1) % self.said.bed.len();
                (self.said.bed.clone(), at, false)
            }
        };
        if over {
            self.saying = None;
            self.done(to);
        }
        desk.tally.counts.sent_ms += FRAME_US / 1_000;
        let media = self.since(from);
        match &mut self.faults {
            None => {
                self.wire.audio(track.frame(at), media, &mut desk.out);
                desk.tally.counts.messages_out += 1;
            }
            Some(faults) => {
                faults.hold(now, track, at, media);
                self.release(now, desk);
            }
        }
    }

    /// The caller's line or act is over.
    fn done(&mut self, to: u64) {
        self.script.done(self.since(to));
        if let (Some(holds), false) = (self.does.holds, self.spoke) {
            self.holds_until = to + us(holds);
        }
        self.spoke = true;
    }

    /// The line before this one is not answered any more; `on` where this one belongs to it.
    fn asked_on(&mut self, on: bool, desk: &mut Desk) {
        let Some(question) = self.question.take() else { return };
        let filler = desk.is_filler(&question.opening);
        let (filler, answer) = match question.first {
            Some(first) if filler => (Some(first), question.second),
            first => (None, first),
        };
        if let Some(came) = filler {
            desk.record(Measure::Filler, came.saturating_sub(question.end));
        }
        match answer {
            Some(came) => desk.turned(came, came.checked_sub(question.end)),
            None if on => {}
            None => {
                desk.tally.counts.asked += 1;
                desk.tally.counts.unanswered += 1;
            }
        }
    }

    /// The agent has not said what it must have said, where the line tells.
    fn is_wrong(&self) -> bool {
        let must = self.does.must_hear.len().min(64);
        let all = if must == 64 { u64::MAX } else { (1 << must) - 1 };
        let early = self.does.hangs_up_after.is_some();
        self.tells && !early && self.words_heard & all != all
    }

    fn end(&mut self, fate: Fate, desk: &mut Desk) {
        if self.fate.is_some() {
            return;
        }
        self.fate = Some(fate);
        let mut told = std::mem::take(&mut desk.heard);
        self.listener.over(&mut told);
        for heard in told.drain(..) {
            self.heard(heard, desk);
        }
        desk.heard = told;
        // Nobody waits for an answer to a line that was still being said, or that the run cut short.
        let waiting = matches!(fate, Fate::Completed | Fate::GaveUp) && self.saying.is_none();
        self.asked_on(!waiting, desk);
        fate.count(!self.is_wrong(), &mut desk.tally);
        match fate {
            Fate::Completed | Fate::GaveUp | Fate::Unfinished => {
                self.wire.goodbye(&mut desk.out);
                frame::write_close(1000, "the caller hung up", &mut desk.out);
            }
            Fate::Closed(_) | Fate::Broke | Fate::CutOff { .. } => {}
        }
    }
}

pub(super) fn us(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX / 2)
}
