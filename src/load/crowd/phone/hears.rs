//! What comes from the agent: bytes to messages, sound to what was heard of it, words to what they are for.

use super::{Fate, OPENING_MAX, Phone, WORDS_MAX, YIELDS_US};
use crate::{
    load::crowd::{
        desk::Desk,
        frame::{self, Kind, NotWebSocket},
        listener::{BRIDGE_US, Heard},
        tally::{Measure, in_order},
        wire::FromAgent,
    },
    transport::PeerEvent,
};

impl Phone {
    /// Bytes came.
    pub(in crate::load::crowd) fn received(&mut self, now: u64, bytes: &[u8], desk: &mut Desk) {
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

    /// What was heard up to this moment; tells whether the agent is heard now.
    pub(super) fn hear(&mut self, to: u64, desk: &mut Desk) -> bool {
        let mut told = std::mem::take(&mut desk.heard);
        let voice = self.listener.advance(to, &mut told);
        for heard in told.drain(..) {
            self.heard(heard, desk);
        }
        desk.heard = told;
        voice
    }

    pub(super) fn heard(&mut self, heard: Heard, desk: &mut Desk) {
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
                } else if self.cut.is_some_and(|onset| onset >= end && onset < end + BRIDGE_US) {
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
        if in_order(code) && self.script.is_done() {
            // It hung up first, after everything was said.
            self.end(Fate::Completed, desk);
        } else {
            self.end(Fate::Closed(code), desk);
        }
    }
}
