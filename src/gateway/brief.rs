//! What must be remembered for a minute and no longer: single-use tokens, and where a caller is to be put through to.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use ring::digest;

/// A bounded memory whose entries are taken out once, or expire. The oldest make room for new ones.
#[derive(Debug)]
pub(super) struct Brief<V> {
    /// The entries and their order.
    inner: Mutex<Inner<V>>,
    /// How long an entry lives.
    life: Duration,
    /// How many there may be.
    max: usize,
}

/// Secrets are looked up by their digest: how long that takes says nothing about them.
type Digest = [u8; 32];

#[derive(Debug)]
struct Inner<V> {
    entries: HashMap<Digest, V>,
    /// Oldest first; also those that have been taken out since.
    order: VecDeque<(Instant, Digest)>,
}

impl<V> Brief<V> {
    pub(super) fn new(life: Duration, max: usize) -> Self {
        Self { inner: Mutex::new(Inner { entries: HashMap::new(), order: VecDeque::new() }), life, max }
    }

    /// Remembers a value under a key; one that was there is forgotten.
    pub(super) fn put(&self, now: Instant, key: &str, value: V) {
        let key = digest(key);
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        while inner.order.front().is_some_and(|(born, _)| now >= *born + self.life) || inner.order.len() >= self.max {
            if let Some((_, oldest)) = inner.order.pop_front() {
                inner.entries.remove(&oldest);
            }
        }
        inner.order.retain(|(_, other)| *other != key);
        inner.order.push_back((now, key));
        inner.entries.insert(key, value);
    }

    /// Takes a value out, if it is still there and young enough.
    pub(super) fn take(&self, now: Instant, key: &str) -> Option<V> {
        let key = digest(key);
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let at = inner.order.iter().position(|(_, other)| *other == key)?;
        let (born, _) = inner.order.remove(at)?;
        inner.entries.remove(&key).filter(|_| now < born + self.life)
    }
}

fn digest(key: &str) -> Digest {
    let mut digest = [0; 32];
    digest.copy_from_slice(digest::digest(&digest::SHA256, key.as_bytes()).as_ref());
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_opens_once_and_only_while_it_is_young() {
        let start = super::super::clock::now();
        let brief = Brief::new(Duration::from_secs(60), 10);
        brief.put(start, "a", 1);
        brief.put(start, "b", 2);
        assert_eq!(brief.take(start, "a"), Some(1));
        assert_eq!(brief.take(start, "a"), None);
        assert_eq!(brief.take(start + Duration::from_secs(60), "b"), None);
    }

    #[test]
    fn the_oldest_make_room() {
        let start = super::super::clock::now();
        let brief = Brief::new(Duration::from_secs(60), 2);
        for (key, value) in [("a", 1), ("b", 2), ("c", 3)] {
            brief.put(start, key, value);
        }
        assert_eq!(brief.take(start, "a"), None);
        assert_eq!(brief.take(start, "c"), Some(3));
    }
}
