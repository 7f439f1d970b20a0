//! Keys the caller presses become an entry: ended by its end key, by a pause, or by its length.

use std::time::{Duration, Instant};

use super::limits::KEYS_MAX;
use crate::audio::Key;

/// The keys of one entry.
#[derive(Debug, Default)]
pub(crate) struct Keypad {
    /// Pressed so far.
    keys: String,
    /// The last one came then.
    last: Option<Instant>,
    /// The transport reports keys itself: keys heard in the sound would be the same ones again.
    reported: bool,
}

impl Keypad {
    /// A key reported by the transport. Returns the entry if it is complete.
    pub(crate) fn press(&mut self, now: Instant, key: Key, ends: &str) -> Option<String> {
        self.reported = true;
        self.add(now, key, ends)
    }

    /// A key heard in the sound; only believed on lines that report none.
    pub(crate) fn hear(&mut self, now: Instant, key: Key, ends: &str) -> Option<String> {
        if self.reported { None } else { self.add(now, key, ends) }
    }

    /// No entry has begun.
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    fn add(&mut self, now: Instant, key: Key, ends: &str) -> Option<String> {
        self.last = Some(now);
        if ends.contains(key.label()) {
            return self.take();
        }
        self.keys.push(key.label());
        if self.keys.len() >= KEYS_MAX { self.take() } else { None }
    }

    /// The entry, if the pause after the last key is over.
    pub(crate) fn due(&mut self, now: Instant, pause: Duration) -> Option<String> {
        if self.wake(pause)? > now { None } else { self.take() }
    }

    /// When the pause is over.
    pub(crate) fn wake(&self, pause: Duration) -> Option<Instant> {
        Some(self.last? + pause)
    }

    fn take(&mut self) -> Option<String> {
        self.last = None;
        Some(std::mem::take(&mut self.keys)).filter(|keys| !keys.is_empty())
    }
}
