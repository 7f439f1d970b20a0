//! What happened in the lab: requests, open and abandoned streams, and the texts that were heard.
//!
//! The callers of a lab are simulated, so their words may be read here: `GET /lab/journal`.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};

/// Texts and bodies kept; the oldest go.
pub const KEPT: usize = 256;

/// What the lab emulates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// OpenAI `/v1/chat/completions`.
    Chat,
    /// OpenAI `/v1/audio/transcriptions`.
    Transcriptions,
    /// OpenAI `/v1/audio/speech`.
    Speech,
    /// OpenAI `/v1/models`.
    Models,
    /// Deepgram `/v1/listen`.
    Nova,
    /// Deepgram `/v2/listen`.
    Flux,
    /// Deepgram `/v1/speak`.
    Aura,
}

/// What happened so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// TCP connections accepted.
    pub connections: u64,
    /// By endpoint.
    pub endpoints: BTreeMap<Endpoint, Counts>,
    /// The last texts that were recognised.
    pub heard: VecDeque<Entry>,
    /// The last texts that were spoken.
    pub spoken: VecDeque<Entry>,
    /// The last questions to the model, as they came.
    pub asked: VecDeque<serde_json::Value>,
    /// The last answers of the model.
    pub answered: VecDeque<String>,
}

/// A text and where it came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Which engine.
    pub endpoint: Endpoint,
    /// What was recognised or spoken.
    pub text: String,
    /// How sure the ears were; 1 for what was spoken.
    pub confidence: f32,
}

/// The counts of one endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Requests that got as far as being answered.
    pub requests: u64,
    /// Refused by us: key, model, fields.
    pub refused: u64,
    /// Hit by a fault.
    pub harmed: u64,
    /// Streams under way.
    pub open: u64,
    /// Streams that came to their end.
    pub finished: u64,
    /// Streams the client left before the end.
    pub cancelled: u64,
    /// Commits asked for (`Finalize`, `ForceEndTurn`).
    pub commits: u64,
}

/// Writes down what happens. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Journal(Arc<Mutex<Page>>);

impl Journal {
    /// What happened so far.
    pub fn page(&self) -> Page {
        self.lock().clone()
    }

    /// Forgets everything but the streams that are open.
    pub fn forget(&self) {
        let mut page = self.lock();
        let open = page.endpoints.iter().map(|(endpoint, counts)| (*endpoint, counts.open));
        let endpoints = open.map(|(endpoint, open)| (endpoint, Counts { open, ..Counts::default() })).collect();
        *page = Page { endpoints, ..Page::default() };
    }

    /// A connection was accepted.
    pub fn connection(&self) {
        self.lock().connections += 1;
    }

    /// Something to be counted at an endpoint.
    pub fn count(&self, endpoint: Endpoint, count: impl FnOnce(&mut Counts)) {
        count(self.lock().endpoints.entry(endpoint).or_default());
    }

    /// A text was recognised.
    pub fn heard(&self, endpoint: Endpoint, text: &str, confidence: f32) {
        keep(&mut self.lock().heard, Entry { endpoint, text: text.to_string(), confidence });
    }

    /// A text was spoken.
    pub fn spoke(&self, endpoint: Endpoint, text: &str) {
        keep(&mut self.lock().spoken, Entry { endpoint, text: text.to_string(), confidence: 1.0 });
    }

    /// The model was asked, and will answer.
    pub fn thought(&self, asked: serde_json::Value, answered: String) {
        let mut page = self.lock();
        keep(&mut page.asked, asked);
        keep(&mut page.answered, answered);
    }

    /// A stream begins. It is over when the guard is dropped: cancelled, unless it said that it finished.
    pub fn stream(&self, endpoint: Endpoint) -> Stream {
        self.count(endpoint, |counts| counts.open += 1);
        Stream { journal: self.clone(), endpoint, finished: false }
    }

    fn lock(&self) -> MutexGuard<'_, Page> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn keep<T>(list: &mut VecDeque<T>, item: T) {
    if list.len() == KEPT {
        list.pop_front();
    }
    list.push_back(item);
}

/// A stream under way.
#[derive(Debug)]
pub struct Stream {
    journal: Journal,
    endpoint: Endpoint,
    finished: bool,
}

impl Stream {
    /// It came to its end.
    pub fn finished(mut self) {
        self.finished = true;
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let finished = self.finished;
        self.journal.count(self.endpoint, |counts| {
            counts.open = counts.open.saturating_sub(1);
            *(if finished { &mut counts.finished } else { &mut counts.cancelled }) += 1;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_stream_is_a_cancelled_one() {
        let journal = Journal::default();
        let (one, two) = (journal.stream(Endpoint::Chat), journal.stream(Endpoint::Chat));
        one.finished();
        let counts = |journal: &Journal| journal.page().endpoints[&Endpoint::Chat];
        assert_eq!((counts(&journal).finished, counts(&journal).open), (1, 1));
        journal.forget();
        drop(two);
        assert_eq!((counts(&journal).cancelled, counts(&journal).open), (1, 0));
    }
}
