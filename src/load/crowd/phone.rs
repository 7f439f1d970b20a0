//! One caller: what it says, when, and what it makes of what comes back. Pure: the time and bytes in, bytes out; times
//! are microseconds since the run began.
//!
//! A frame of 20 ms is sent when it would have been spoken to its end, as a telephone does: the sample at position `n`
//! of the caller's side is due `n` samples after the call began, and leaves up to 20 ms later.

use std::{sync::Arc, time::Duration};

use super::{
    chance::Chance,
    counted,
    desk::Desk,
    faults::Faulty,
    frame::{self, Kind, NotWebSocket},
    listener::{Heard, Listener},
    plan::{Behaviour, LineKind},
    sounds::{Said, Track},
    tally::Measure,
    wire::{FromAgent, Wire},
};
use crate::{
    audio::Rate,
    load::caller::{Next, Script, Turn, When},
    transport::PeerEvent,
};

/// A frame, in microseconds.
pub(super) const FRAME_US: u64 = 20_000;
/// The words of an agent that are looked at for a filler, in bytes.
const OPENING_MAX: usize = 200;
/// The words of an agent that are kept for the script between two lines of the caller.
const WORDS_MAX: usize = 16 << 10;
/// An agent that falls silent this soon after a backchannel has yielded to it.
const YIELDS_US: u64 = 700_000;

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// As the caller meant it to.
    Completed,
    /// The caller heard nothing, or nothing that fits.
    GaveUp,
    /// The target hung up, with this code.
    Closed(u16),
    /// The line broke, or carried what is no WebSocket.
    Broke,
    /// The run was over, or fewer calls were wanted.
    Unfinished,
    /// On purpose, without a goodbye.
    CutOff { reconnect: bool },
}

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
            bed: (chance.next() % said.bed.len() as u64) as usize,
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

    /// Bytes came.
    pub(super) fn received(&mut self, now: u64, bytes: &[u8], desk: &mut Desk) {
        desk.tally.counts.bytes_in += bytes.len() as u64;
        let mut reader = std::mem::take(&mut self.reader);
        let read = reader.read(bytes, &mut |frame| {
            desk.tally.counts.messages_in += 1;
            match frame.kind {
                Kind::Text | Kind::Binary => self.message(now, &frame, desk),
                Kind::Ping => frame::write(Kind::Pong, frame.payload, &mut desk.out),
                Kind::Pong => {}
                Kind::Close => self.closed(now, frame.payload, desk),
            }
            self.fate.is_none()
        });
        self.reader = reader;
        if read == Err(NotWebSocket) && self.fate.is_none() {
            desk.tally.counts.malformed += 1;
            frame::write_close(1002, "", &mut desk.out);
            self.end(Fate::Broke, desk);
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

    fn hear(&mut self, to: u64, desk: &mut Desk) -> bool {
        let mut told = std::mem::take(&mut desk.heard);
        let voice = self.listener.advance(to, &mut told);
        for heard in told.drain(..) {
            self.heard(heard, desk);
        }
        desk.heard = told;
        voice
    }

    fn heard(&mut self, heard: Heard, desk: &mut Desk) {
        match heard {
            Heard::Began { start, came } => {
                if !self.answered {
                    self.answered = true;
                    desk.tally.counts.answered += 1;
                    desk.record(Measure::Answer, came.saturating_sub(self.due));
                }
                let filled = desk.fillers && self.tells;
                let Some(question) = self.question.as_mut().filter(|question| start >= question.end) else { return };
                if filled {
                    match question.first {
                        None => question.first = Some(came),
                        Some(_) => question.second = question.second.or(Some(came)),
                    }
                } else if let Some(question) = self.question.take() {
                    // What came before the end of the caller's words is no answer to them, and yet they were answered.
                    desk.turned(came, came.checked_sub(question.end));
                }
            }
            Heard::Ended { start, end } => {
                if let Some(onset) = self.cut.filter(|onset| *onset < end)
                    && start <= onset
                {
                    desk.record(Measure::Cut, end - onset);
                    self.cut = None;
                } else if self.cut.is_some_and(|onset| onset >= end && onset < end + super::listener::BRIDGE_US) {
                    // It had finished by itself.
                    self.cut = None;
                }
                if let Some(onset) = self.nod.filter(|onset| *onset < end) {
                    desk.tally.counts.backchannels_yielded += u64::from(start <= onset && end - onset < YIELDS_US);
                    self.nod = None;
                }
            }
        }
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

    fn message(&mut self, now: u64, message: &frame::Frame<'_>, desk: &mut Desk) {
        let Self { wire, listener, script, counted, .. } = self;
        match wire.read(message, &mut desk.bytes, &mut desk.samples) {
            Ok(FromAgent::Audio(sound)) => {
                if let Some(reader) = counted {
                    desk.wide.clear();
                    desk.wide.extend((0..sound.len()).map(|at| sound.sample(at)));
                    reader.hear(&desk.wide);
                    let found = reader.take();
                    let counts = &mut desk.tally.counts;
                    counts.counted_frames += found.pieces;
                    counts.lost_frames += found.lost;
                    counts.doubled_frames += found.doubled;
                    counts.damaged_frames += found.damaged;
                }
                let came = listener.audio(now, sound);
                let counts = &mut desk.tally.counts;
                if came.overflow {
                    counts.overflow_ms += came.length / 1_000;
                }
                for (rest, (length, count)) in self
                    .rest
                    .iter_mut()
                    .zip([(came.length, &mut counts.heard_ms), (came.voiced, &mut counts.voiced_ms)])
                {
                    *rest += length;
                    *count += *rest / 1_000;
                    *rest %= 1_000;
                }
                if let Some(hole) = came.hole {
                    counts.holes += 1;
                    counts.holes_ms += hole / 1_000;
                }
                if let Some(gap) = came.gap {
                    desk.record(Measure::Gap, gap);
                    desk.tally.series.at(now).gap(gap);
                }
            }
            Ok(FromAgent::Mark(name)) => listener.mark(name),
            Ok(FromAgent::Clear) => {
                listener.clear(now);
                while let Some(name) = self.listener.due(now) {
                    self.wire.mark(&name, &mut desk.out);
                    desk.tally.counts.messages_out += 1;
                }
            }
            Ok(FromAgent::Event(PeerEvent::Transcript { ours: false, last, text })) => {
                if script.heard().len() < WORDS_MAX && text.len() < WORDS_MAX {
                    script.words(&text, last);
                }
                self.words(&text, desk);
            }
            Ok(FromAgent::Event(_) | FromAgent::Nothing) => {}
            Err(_) => desk.tally.counts.malformed += 1,
        }
    }

    /// Words of the agent, for the fillers and for what must be heard.
    fn words(&mut self, text: &str, desk: &Desk) {
        let question = self.question.as_mut().filter(|question| desk.fillers && question.opening.is_empty());
        if question.is_none() && self.does.must_hear.is_empty() {
            return;
        }
        let small = text.to_lowercase();
        for (at, words) in self.does.must_hear.iter().take(64).enumerate() {
            if small.contains(words.as_str()) {
                self.words_heard |= 1 << at;
            }
        }
        if let Some(question) = question {
            question.opening = small.chars().take(OPENING_MAX).collect();
        }
    }

    /// The target says goodbye.
    fn closed(&mut self, now: u64, payload: &[u8], desk: &mut Desk) {
        let code = frame::close_code(payload);
        self.hear(now, desk);
        frame::write_close(if code == 1005 { 1000 } else { code }, "", &mut desk.out);
        let in_order = matches!(code, 1000 | 1001 | 1005);
        if in_order && self.script.is_done() {
            // It hung up first, after everything was said.
            self.end(Fate::Completed, desk);
        } else {
            self.end(Fate::Closed(code), desk);
        }
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
        let counts = &mut desk.tally.counts;
        match fate {
            Fate::Completed => {
                let must = self.does.must_hear.len().min(64);
                let all = if must == 64 { u64::MAX } else { (1 << must) - 1 };
                let early = self.does.hangs_up_after.is_some();
                if self.tells && !early && self.words_heard & all != all {
                    counts.wrong += 1;
                } else {
                    counts.completed += 1;
                }
            }
            Fate::GaveUp => counts.gave_up += 1,
            Fate::Closed(code @ (1000 | 1001 | 1005)) => {
                counts.ended_by_target += 1;
                *desk.tally.closed_by.entry(code).or_default() += 1;
            }
            Fate::Closed(code) => {
                counts.dropped += 1;
                *desk.tally.closed_by.entry(code).or_default() += 1;
            }
            Fate::Broke => {
                counts.dropped += 1;
                *desk.tally.closed_by.entry(1006).or_default() += 1;
            }
            Fate::Unfinished => counts.unfinished += 1,
            Fate::CutOff { .. } => counts.cut_off += 1,
        }
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

#[cfg(test)]
mod tests {
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
}
