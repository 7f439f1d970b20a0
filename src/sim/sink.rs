//! The far end of the line: plays what it is sent in real time, and remembers what was heard when.

use std::time::{Duration, Instant};

use crate::call::Turn;

/// A stretch of one turn's voice as the caller heard it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// The turn it belonged to.
    pub turn: Turn,
    /// When it began to sound.
    pub from: Duration,
    /// When it stopped.
    pub to: Duration,
}

/// The far end.
#[derive(Debug)]
pub struct Sink {
    /// Times count from here.
    origin: Instant,
    /// When everything received so far will have been played.
    end: Duration,
    /// What was heard, and what will be if nothing is dropped.
    heard: Vec<Stretch>,
    /// How much of it was softened.
    pub softened: Duration,
    /// The longest it was ever ahead.
    pub ahead_max: Duration,
}

impl Sink {
    /// Nothing has been played.
    pub const fn new(origin: Instant) -> Self {
        Self { origin, end: Duration::ZERO, heard: Vec::new(), softened: Duration::ZERO, ahead_max: Duration::ZERO }
    }

    /// A frame arrives.
    pub fn frame(&mut self, now: Instant, turn: Option<Turn>, length: Duration) {
        let now = now.saturating_duration_since(self.origin);
        let from = self.end.max(now);
        self.end = from + length;
        self.ahead_max = self.ahead_max.max(self.end - now);
        let Some(turn) = turn else { return };
        match self.heard.last_mut() {
            Some(last) if last.turn == turn && last.to == from => {
                last.to = self.end;
            }
            _ => self.heard.push(Stretch { turn, from, to: self.end }),
        }
    }

    /// What has not been played is dropped.
    pub fn clear(&mut self, now: Instant) {
        let now = now.saturating_duration_since(self.origin);
        self.end = self.end.min(now);
        self.heard.retain(|stretch| stretch.from < now);
        if let Some(last) = self.heard.last_mut() {
            last.to = last.to.min(now);
        }
    }

    /// When everything received so far will have been played.
    pub const fn end(&self) -> Duration {
        self.end
    }

    /// What is heard, in order.
    pub fn heard(&self) -> &[Stretch] {
        &self.heard
    }
}
