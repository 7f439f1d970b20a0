//! The names of Vapi's messages, and sets of them: what a connected client gets (`assistant.clientMessages`) and what
//! a server URL gets (`assistant.serverMessages`) are chosen from the same words.

use super::Told;

macro_rules! kinds {
    ($($kind:ident $name:literal),+ $(,)?) => {
        /// A type of message, to a client or to a server URL.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind {
            $(#[doc = concat!("`", $name, "`")] $kind,)+
        }

        impl Kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// The name on the wire.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name),+ }
            }
        }
    };
}

kinds! {
    StatusUpdate "status-update",
    SpeechUpdate "speech-update",
    Transcript "transcript",
    FinalTranscript "transcript[transcriptType=\"final\"]",
    ConversationUpdate "conversation-update",
    ModelOutput "model-output",
    VoiceInput "voice-input",
    UserInterrupted "user-interrupted",
    ToolCalls "tool-calls",
    ToolCallsResult "tool-calls-result",
    Hang "hang",
    AssistantStarted "assistant.started",
    SpeechStarted "assistant.speechStarted",
    TransferUpdate "transfer-update",
    LanguageChangeDetected "language-change-detected",
    EndOfCallReport "end-of-call-report",
    AssistantRequest "assistant-request",
    TransferDestinationRequest "transfer-destination-request",
    EndpointingRequest "call.endpointing.request",
    PhoneCallControl "phone-call-control",
    CallDeleted "call.deleted",
    CallDeleteFailed "call.delete.failed",
}

impl Kind {
    /// The type of this name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

/// A set of types of messages. The default is what Vapi sends to a client that does not choose.
///
/// ```
/// use pronto::transport::{Told, vapi::Wanted};
/// let wanted = Wanted::only(["status-update", "transcript", "metadata"]);
/// assert!(wanted.has(&Told::InProgress) && !wanted.has(&Told::Late));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted(u32);

impl Wanted {
    /// What Vapi sends to a connected client by default.
    pub const CLIENT: Self = Self::these(&[
        Kind::ConversationUpdate,
        Kind::Hang,
        Kind::ModelOutput,
        Kind::SpeechUpdate,
        Kind::StatusUpdate,
        Kind::TransferUpdate,
        Kind::Transcript,
        Kind::ToolCalls,
        Kind::UserInterrupted,
        Kind::VoiceInput,
        Kind::AssistantStarted,
    ]);

    /// What Vapi sends to a server URL by default.
    pub const SERVER: Self = Self::these(&[
        Kind::ConversationUpdate,
        Kind::EndOfCallReport,
        Kind::Hang,
        Kind::SpeechUpdate,
        Kind::StatusUpdate,
        Kind::ToolCalls,
        Kind::TransferDestinationRequest,
        Kind::UserInterrupted,
        Kind::AssistantStarted,
    ]);

    const fn these(kinds: &[Kind]) -> Self {
        let (mut set, mut at) = (0, 0);
        while at < kinds.len() {
            set |= 1 << kinds[at] as u32;
            at += 1;
        }
        Self(set)
    }

    /// The messages of these names; names of messages we do not have are not an error.
    pub fn only<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Self {
        let kinds: Vec<_> = names.into_iter().filter_map(|name| Kind::of(name.as_ref())).collect();
        Self::these(&kinds)
    }

    /// Whether messages of this type are wanted.
    pub const fn has_kind(self, kind: Kind) -> bool {
        self.0 & 1 << kind as u32 != 0
    }

    /// Whether this event is wanted. A last transcript has two names.
    pub fn has(self, told: &Told<'_>) -> bool {
        let last = matches!(told, Told::Transcript { last: true, .. });
        self.has_kind(Kind::from(told)) || last && self.has_kind(Kind::FinalTranscript)
    }
}

impl Default for Wanted {
    fn default() -> Self {
        Self::CLIENT
    }
}

impl From<&Told<'_>> for Kind {
    fn from(told: &Told<'_>) -> Self {
        match told {
            Told::InProgress | Told::Ended { .. } => Self::StatusUpdate,
            Told::Speech { .. } => Self::SpeechUpdate,
            Told::Transcript { .. } => Self::Transcript,
            Told::Conversation { .. } => Self::ConversationUpdate,
            Told::AssistantStarted { .. } => Self::AssistantStarted,
            Told::ModelOutput { .. } => Self::ModelOutput,
            Told::VoiceInput { .. } => Self::VoiceInput,
            Told::Interrupted { .. } => Self::UserInterrupted,
            Told::ToolCall { .. } => Self::ToolCalls,
            Told::ToolResult { .. } => Self::ToolCallsResult,
            Told::Transfer { .. } => Self::TransferUpdate,
            Told::Late => Self::Hang,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_kinds_are_one() {
        for kind in Kind::ALL {
            assert_eq!(Kind::of(kind.name()), Some(*kind));
        }
        assert!(Kind::ALL.len() <= 32, "a set is 32 bits");
        assert_eq!(Kind::of("hangup"), None);
    }

    #[test]
    fn who_wants_final_transcripts_gets_no_partial_ones() {
        let wanted = Wanted::only(["transcript[transcriptType=\"final\"]"]);
        assert!(wanted.has(&Told::Transcript { agent: true, last: true, text: "" }));
        assert!(!wanted.has(&Told::Transcript { agent: true, last: false, text: "" }));
    }

    #[test]
    fn a_server_is_not_told_what_only_a_client_is() {
        assert!(Wanted::CLIENT.has_kind(Kind::Transcript) && !Wanted::SERVER.has_kind(Kind::Transcript));
        assert!(Wanted::SERVER.has_kind(Kind::EndOfCallReport) && !Wanted::CLIENT.has_kind(Kind::EndOfCallReport));
    }
}
