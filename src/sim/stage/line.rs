//! The caller's line: frames that come in time, late, in bursts, in another order, in odd pieces, or not at all.

use std::time::Duration;

use super::{Due, Stage};
use crate::call::{AudioIn, Input};

impl Stage {
    /// The caller's line delivers a frame, or does not.
    pub(super) fn caller_frame(&mut self, number: u64) -> Result<(), String> {
        let length = self.script.frame;
        let from = length * number as u32;
        if !self.call.is_over() {
            self.later(from + length * 2, Due::Frame(number + 1));
        }
        if self.lost || self.script.mute.iter().any(|mute| mute.contains(&from)) {
            return Ok(());
        }
        if self.random.percent(self.script.jumbled.unwrap_or(0)) {
            if self.random.percent(50) {
                self.later(self.now + length + Duration::from_millis(1), Due::Late(number));
            }
            return Ok(());
        }
        if let Some(stall) = self.script.stalls.iter().find(|stall| stall.contains(&from)) {
            self.stalled_until = self.stalled_until.max(stall.end);
        }
        if self.now < self.stalled_until {
            // Delivered in a burst when the network is back.
            self.later(self.stalled_until, Due::Late(number));
            return Ok(());
        }
        self.deliver(number)
    }

    /// The network delivers a frame: it is read now, or when somebody looks.
    pub(super) fn deliver(&mut self, number: u64) -> Result<(), String> {
        if self.lost {
            return Ok(());
        }
        self.unheard.push(number);
        if self.wait().is_some() { Ok(()) } else { self.look() }
    }

    /// Reads what has come.
    pub(super) fn look(&mut self) -> Result<(), String> {
        self.looked = self.now;
        std::mem::take(&mut self.unheard).into_iter().try_for_each(|number| self.hear(number))
    }

    fn hear(&mut self, number: u64) -> Result<(), String> {
        let length = self.script.frame;
        let from = self.caller.samples(length * number as u32);
        let at = from..self.caller.samples(length * (number as u32 + 1));
        let mut bytes = std::mem::take(&mut self.bytes);
        let echo = self
            .script
            .echo
            .map(|(decibels, delay)| (10f64.powf(f64::from(decibels) / 20.0), self.caller.samples(delay)));
        let sound = match self.caller.frame(at.clone()) {
            None if echo.is_some() => Some(self.caller.silence(at.len())),
            sound => sound,
        };
        match (sound, echo) {
            (Some(sound), Some((gain, delay))) => {
                for (sample, at) in sound.iter_mut().zip(from..) {
                    let ours = at.checked_sub(delay).and_then(|ago| self.played.get(ago)).copied().unwrap_or(0);
                    *sample = sample.saturating_add((f64::from(ours) * gain) as i16);
                }
                self.encoder.encode(sound, &mut bytes);
            }
            (Some(sound), None) => self.encoder.encode(sound, &mut bytes),
            (None, _) => self.encoder.silence(at.len(), &mut bytes),
        }
        // Every second piece lacks its last byte, which comes with the next one.
        let whole = if self.script.odd_pieces && number.is_multiple_of(2) { bytes.len() - 1 } else { bytes.len() };
        let numbered = self.script.jumbled.is_some();
        let audio = AudioIn {
            payload: &bytes[..whole],
            sequence: numbered.then_some(number as u32),
            media_time: numbered.then_some(length * number as u32),
        };
        let result = self.step_audio(audio);
        bytes.drain(..whole);
        self.bytes = bytes;
        result
    }

    fn step_audio(&mut self, audio: AudioIn<'_>) -> Result<(), String> {
        let now = self.instant();
        self.audio_at = self.now;
        self.actions.clear();
        self.wake = self.call.handle(now, Input::Audio(audio), &mut self.actions);
        self.act(false)
    }
}
