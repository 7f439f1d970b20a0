//! What a call tells, for those who watch it: the peer's program, the log, the metrics, an embedder. Observers watch,
//! they do not take part.

use std::sync::Arc;

use super::{metrics, vapi::minutes::Conversation, wire::Wire};
use crate::{
    call::{Call, Ending, Event, Message, Role},
    privacy::Pii,
    tenant::{CallRecord, TenantId},
    transport::{Json, Told, vapi::EndedReason},
};

/// Watches every call of a gateway: a terminal, a dashboard, a test. Called on the call's own task: be quick, and never
/// wait.
pub trait Watch: Send + Sync {
    /// A call was answered.
    fn answered(&self, call: &CallName) {
        let _ = call;
    }

    /// Something happened in it. Holds what callers say: mind where it goes.
    fn event(&self, call: &CallName, event: &Event) {
        let _ = (call, event);
    }

    /// Its history has changed: this is all of it.
    fn history(&self, call: &CallName, history: &mut dyn Iterator<Item = &Message>) {
        let _ = (call, history);
    }

    /// It is over.
    fn ended(&self, record: &CallRecord) {
        let _ = record;
    }
}

/// Which call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CallName {
    /// Our id.
    pub id: Arc<str>,
    /// Whose call it is.
    pub tenant: TenantId,
    /// The wire dialect.
    pub transport: &'static str,
}

/// The observer of one call.
pub(super) struct Observer {
    /// Which call.
    pub(super) name: CallName,
    /// Who else watches.
    pub(super) watches: Vec<Arc<dyn Watch>>,
    /// What the peer's program is told of the conversation, where it wants to know.
    pub(super) conversation: Option<Box<Conversation>>,
}

impl Observer {
    /// Tells those who watch that the call is over, where the call itself cannot.
    pub(super) fn over(&self, ending: Ending) {
        for watch in &self.watches {
            watch.event(&self.name, &Event::Ended(ending));
        }
    }

    /// Passes one event on.
    pub(super) fn event(&self, event: &Event, call: &Call, wire: &mut Wire) {
        note(event);
        for watch in &self.watches {
            watch.event(&self.name, event);
            if matches!(event, Event::HistoryChanged) {
                watch.history(&self.name, &mut call.history());
            }
        }
        if let Some(conversation) = &self.conversation {
            conversation.event(event);
        }
        if wire.tells() {
            tell(event, call, wire, self.conversation.as_deref());
        }
    }
}

/// For the log and the metrics. Words of callers are named, never printed above DEBUG.
fn note(event: &Event) {
    match event {
        Event::TurnEnded(turn) => {
            metrics::turn(turn);
            tracing::info!(
                turn = turn.turn.0,
                latency_ms = turn.latency().map(|it| it.as_millis() as u64),
                own_ms = turn.own().map(|it| it.as_millis() as u64),
                model_ms = turn.model_wait().as_millis() as u64,
                voice_ms = turn.voice_wait().as_millis() as u64,
                interrupted = turn.interruption.is_some(),
                "a turn ended"
            );
        }
        Event::Transcript { role, last: true, text } => {
            tracing::debug!(who = who(*role), text = %Pii::new(text), "words were heard");
        }
        Event::ToolStarted(ask) => tracing::info!(tool = ask.name, "a tool was asked for"),
        Event::ToolEnded { name, .. } => tracing::info!(tool = name, "a tool has its outcome"),
        Event::Interrupted(turn) => tracing::debug!(turn = turn.0, "the caller cut in"),
        Event::FalseAlarm(turn) => tracing::debug!(turn = turn.0, "a false alarm"),
        Event::Late(turn) => tracing::debug!(turn = turn.0, "the answer is late"),
        Event::Ended(_)
        | Event::SpeechStarted(..)
        | Event::SpeechStopped(..)
        | Event::Transcript { last: false, .. }
        | Event::HistoryChanged
        | Event::ModelSaid { .. }
        | Event::VoiceAsked { .. }
        | Event::Held(_)
        | Event::Keys(_) => {}
    }
}

/// For the peer's program.
fn tell(event: &Event, call: &Call, wire: &mut Wire, conversation: Option<&Conversation>) {
    let told = match event {
        Event::SpeechStarted(role, turn) => Told::Speech { agent: *role == Role::Agent, started: true, turn: turn.0 },
        Event::SpeechStopped(role, turn) => Told::Speech { agent: *role == Role::Agent, started: false, turn: turn.0 },
        Event::Transcript { role, last, text } => Told::Transcript { agent: *role == Role::Agent, last: *last, text },
        Event::HistoryChanged => {
            let Some((formatted, messages)) = conversation.and_then(|it| it.written(call.history())) else { return };
            let (formatted, messages) = (Json::new(&formatted), Some(Json::new(&messages)));
            return wire.tell(Told::Conversation { formatted, messages });
        }
        Event::ModelSaid { turn, text } => Told::ModelOutput { text, turn: turn.0 },
        Event::VoiceAsked { turn, text } => Told::VoiceInput { text, turn: turn.0 },
        Event::Interrupted(turn) => Told::Interrupted { turn: turn.0 },
        Event::ToolStarted(ask) => Told::ToolCall { id: &ask.id, name: &ask.name, arguments: &ask.arguments },
        Event::ToolEnded { id, name, content } => Told::ToolResult { id, name, result: content },
        Event::Late(_) => Told::Late,
        Event::Ended(ending) => Told::Ended { reason: reason(*ending).as_str() },
        Event::Held(_) | Event::FalseAlarm(_) | Event::Keys(_) | Event::TurnEnded(_) => return,
    };
    wire.tell(told);
}

/// The ending in the words of the wire.
pub(super) const fn reason(ending: Ending) -> EndedReason {
    match ending {
        Ending::CallerHungUp => EndedReason::CustomerEnded,
        Ending::LineLost => EndedReason::LineLost,
        Ending::AgentEnded => EndedReason::AssistantEnded,
        Ending::EndPhrase => EndedReason::EndPhrase,
        Ending::SilenceTimedOut => EndedReason::Silence,
        Ending::TooLong => EndedReason::TooLong,
        Ending::NoAudio => EndedReason::NoAudio,
        Ending::Transferred => EndedReason::Forwarded,
        Ending::Cancelled => EndedReason::Cancelled,
        Ending::Shutdown => EndedReason::Shutdown,
        Ending::EnginesFailed => EndedReason::EnginesFailed,
        Ending::Panicked => EndedReason::Panicked,
    }
}

const fn who(role: Role) -> &'static str {
    match role {
        Role::Caller => "caller",
        Role::Agent => "agent",
    }
}
