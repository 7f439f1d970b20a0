//! What a model is asked: the conversation so far, the tools it has, and the day it is.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Turn;
use crate::{language::Language, privacy::Pii};

/// One question to a language model.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// The turn this is for; answers carry it back.
    pub turn: Turn,
    /// The system prompt.
    pub instructions: Arc<str>,
    /// The conversation, oldest first; holds only what was heard.
    pub messages: Vec<Message>,
    /// The tools the model may ask for.
    pub tools: Arc<[ToolSpec]>,
    /// The wall clock of the shop, with its zone: "tomorrow" needs today.
    pub now: jiff::Zoned,
    /// The language of the conversation.
    pub language: Language,
    /// The caller's number, where the line told it.
    pub caller: Option<Pii<String>>,
}

/// One entry of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "role")]
pub enum Message {
    /// What the caller said.
    Caller {
        /// The transcript.
        text: String,
    },
    /// What the caller heard us say.
    Agent {
        /// The words that left, and no more.
        text: String,
        /// The caller cut in: the sentence is not finished.
        interrupted: bool,
        /// Where it was cut is an estimate, because the voice gives no alignment.
        estimated: bool,
    },
    /// The model asked for tools.
    Asked {
        /// Each ask, in order.
        tools: Vec<ToolAsk>,
    },
    /// A tool's outcome, or that it is still pending.
    Outcome {
        /// The id of the ask it answers.
        id: String,
        /// What the model reads; `None` while the tool still runs.
        content: Option<String>,
    },
    /// A note of ours (keys pressed, a control message).
    Note {
        /// The text.
        text: String,
    },
}

/// A tool as the model asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolAsk {
    /// The model's id.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// JSON arguments as the model wrote them.
    pub arguments: String,
}

/// A tool as the model sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// The name it is asked for by.
    pub name: String,
    /// When to use it, for the model.
    pub description: String,
    /// JSON Schema of the arguments object.
    pub parameters: serde_json::Value,
    /// Whether it changes anything.
    pub kind: ToolKind,
}

/// Whether a tool changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolKind {
    /// Looks something up; may be cancelled with its turn.
    Read,
    /// Changes the world: runs to its end whatever the caller does.
    Write,
    /// Ends or hands over the call itself.
    Call,
}
