//! Assistants that were stored.

use std::{collections::HashMap, mem};

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{NOT_ERASED, NOT_KEPT, Switchboard, document};
use crate::{
    store::{DOCUMENT_BYTES_MAX, Document, DocumentKind},
    vapi::{
        assistant::Assistant,
        call::{ListCalls, Refusal, iso_text},
    },
};

/// Assistants of one tenant. One more is refused.
pub const ASSISTANTS_MAX: usize = 1_000;

/// By their ids.
pub(super) type Assistants = HashMap<String, Stored>;

/// One of them.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) assistant: Assistant,
    created: Timestamp,
    updated: Timestamp,
}

impl Stored {
    /// As it was kept, if it can be read.
    pub(super) fn of(document: &Document) -> Option<Self> {
        let assistant = Assistant::new(serde_json::from_str(document.body.reveal()).ok()?).ok()?;
        Some(Self { assistant, created: document.created, updated: document.updated })
    }

    /// As it is kept: what was written, secrets of its servers too. `None`: it is too long.
    pub(super) fn document(&self, id: &str) -> Option<Document> {
        let body = serde_json::to_string(self.assistant.written()).ok()?;
        document(DocumentKind::Assistant, id, body, self.created, self.updated)
    }

    /// As it is shown: what was written, and what we know of it.
    fn shown(&self, id: &str, org: &str) -> Map<String, Value> {
        let mut shown = self.assistant.shown();
        for (name, value) in [
            ("id", id.to_owned()),
            ("orgId", org.to_owned()),
            ("createdAt", iso_text(self.created)),
            ("updatedAt", iso_text(self.updated)),
        ] {
            shown.insert(name.to_owned(), value.into());
        }
        shown
    }
}

const KIND: &str = "Assistant";

impl Switchboard {
    /// Stores an assistant under this id. It is in the store when it is shown.
    pub async fn create_assistant(
        &self,
        org: &str,
        id: &str,
        assistant: Assistant,
        now: Timestamp,
    ) -> Result<Map<String, Value>, Refusal> {
        if !self.has_room() {
            return Err(Refusal::unwritable(NOT_KEPT));
        }
        let shown = {
            let mut assistants = self.assistants();
            if assistants.len() >= ASSISTANTS_MAX {
                return Err(Refusal::new(403, format!("{ASSISTANTS_MAX} assistants are stored: delete one first")));
            }
            let stored = Stored { assistant, created: now, updated: now };
            let shown = stored.shown(id, org);
            assistants.insert(id.to_owned(), stored);
            shown
        };
        if self.assistant_in_store(id).await {
            return Ok(shown);
        }
        self.assistants().remove(id);
        self.changed([(DocumentKind::Assistant, id.to_owned())]);
        Err(Refusal::unwritable(NOT_KEPT))
    }

    /// One assistant.
    pub fn assistant(&self, org: &str, id: &str) -> Result<Map<String, Value>, Refusal> {
        self.assistants().get(id).map(|stored| stored.shown(id, org)).ok_or_else(|| Refusal::not_found(KIND))
    }

    /// The assistants that are asked for, newest first.
    pub fn list_assistants(&self, org: &str, which: &ListCalls) -> Vec<Map<String, Value>> {
        let assistants = self.assistants();
        let mut found: Vec<_> = assistants
            .iter()
            .filter(|(_, stored)| which.created.has(stored.created) && which.updated.has(stored.updated))
            .collect();
        found.sort_by(|(one, a), (other, b)| (b.created, other).cmp(&(a.created, one)));
        found.iter().take(which.limit).map(|(id, stored)| stored.shown(id, org)).collect()
    }

    /// Replaces fields of an assistant, each as a whole.
    pub async fn update_assistant(
        &self,
        org: &str,
        id: &str,
        patch: &Assistant,
        now: Timestamp,
    ) -> Result<Map<String, Value>, Refusal> {
        if !self.has_room() {
            return Err(Refusal::unwritable(NOT_KEPT));
        }
        let (shown, former) = {
            let mut assistants = self.assistants();
            let stored = assistants.get_mut(id).ok_or_else(|| Refusal::not_found(KIND))?;
            let assistant = stored.assistant.patched(patch)?;
            let patched = Stored { assistant, created: stored.created, updated: now };
            // Each patch is short, and what they add up to need not be.
            if patched.document(id).is_none() {
                let most = format!("the assistant must not be longer than {DOCUMENT_BYTES_MAX} bytes");
                return Err(Refusal::new(400, most));
            }
            let former = mem::replace(stored, patched);
            (stored.shown(id, org), former)
        };
        if self.assistant_in_store(id).await {
            return Ok(shown);
        }
        if let Some(stored) = self.assistants().get_mut(id)
            && stored.updated == now
        {
            *stored = former;
        }
        self.changed([(DocumentKind::Assistant, id.to_owned())]);
        Err(Refusal::unwritable(NOT_KEPT))
    }

    /// Forgets an assistant; shows it once more. Calls that it answers go on.
    pub async fn delete_assistant(&self, org: &str, id: &str) -> Result<Map<String, Value>, Refusal> {
        if !self.has_room() {
            return Err(Refusal::unwritable(NOT_KEPT));
        }
        let stored = self.assistants().remove(id);
        // Also where there is none: who asks for the second time may be asking whether it was erased.
        let key = (DocumentKind::Assistant, id.to_owned());
        if stored.is_some() {
            self.changed([key.clone()]);
        }
        if !self.in_store(&[key]).await {
            return Err(Refusal::unwritable(NOT_ERASED));
        }
        stored.map(|stored| stored.shown(id, org)).ok_or_else(|| Refusal::not_found(KIND))
    }

    /// Writes an assistant as it is now. Whether the store has it so.
    async fn assistant_in_store(&self, id: &str) -> bool {
        let key = (DocumentKind::Assistant, id.to_owned());
        self.changed([key.clone()]);
        self.in_store(&[key]).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_788_251_400 + second).expect("a time")
    }

    fn assistant(json: &str) -> Assistant {
        Assistant::parse(json).expect("right")
    }

    #[tokio::test]
    async fn what_was_written_is_shown_until_it_is_deleted() {
        let board = Switchboard::default();
        let made = assistant(r#"{"name":"A","firstMessage":"Buongiorno","field of tomorrow":[1]}"#);
        let shown = board.create_assistant("rossi", "a1", made, at(0)).await.expect("room");
        assert_eq!((&shown["id"], &shown["orgId"]), (&"a1".into(), &"rossi".into()));
        assert_eq!(shown["createdAt"], "2026-09-01T08:30:00.000Z");
        let patched = board.update_assistant("rossi", "a1", &assistant(r#"{"firstMessage":"ciao"}"#), at(5)).await;
        assert_eq!(patched.expect("it is there")["firstMessage"], "ciao");
        let shown = board.assistant("rossi", "a1").expect("it is there");
        assert_eq!((&shown["name"], &shown["field of tomorrow"]), (&"A".into(), &serde_json::json!([1])));
        assert_eq!(shown["updatedAt"], "2026-09-01T08:30:05.000Z");
        assert!(board.delete_assistant("rossi", "a1").await.is_ok());
        for gone in [board.assistant("rossi", "a1"), board.delete_assistant("rossi", "a1").await] {
            assert_eq!(gone.expect_err("gone").status, 404);
        }
    }

    #[tokio::test]
    async fn the_newest_comes_first_and_there_is_an_end() {
        let board = Switchboard::default();
        for number in 0..ASSISTANTS_MAX {
            let (id, second) = (format!("a{number}"), at(number as i64));
            board.create_assistant("o", &id, assistant("{}"), second).await.expect("room");
        }
        assert_eq!(board.create_assistant("o", "more", assistant("{}"), at(0)).await.expect_err("full").status, 403);
        let which = ListCalls::parse([("limit", "2"), ("createdAtLt", "2026-09-01T08:30:10Z")]).expect("right");
        let ids: Vec<_> = board.list_assistants("o", &which).iter().map(|shown| shown["id"].clone()).collect();
        assert_eq!(ids, ["a9", "a8"]);
    }
}
