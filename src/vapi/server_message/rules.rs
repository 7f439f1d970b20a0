//! What Vapi's customers rely on around the messages: which want an answer, how long it may take, and what may be dropped
//! when a server does not keep up.

use std::time::Duration;

use crate::transport::vapi::Kind;

/// How long a server may take to say who answers a call: fixed, whatever its own timeout is.
pub const ASSISTANT_REQUEST: Duration = Duration::from_millis(7_500);

/// How long we wait for a server to say when the caller has finished.
pub const ENDPOINTING: Duration = Duration::from_millis(250);

/// What is waited instead when it does not.
pub const ENDPOINTING_INSTEAD: Duration = Duration::from_millis(400);

/// The longest body that is sent: handlers have limits.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// How long to wait for the answer to a message, given the server's own timeout. `None`: no answer is wanted, nothing
/// waits for it.
pub const fn answer_within(kind: Kind, server: Duration) -> Option<Duration> {
    match kind {
        Kind::AssistantRequest => Some(ASSISTANT_REQUEST),
        Kind::EndpointingRequest => Some(ENDPOINTING),
        Kind::ToolCalls | Kind::TransferDestinationRequest => Some(server),
        Kind::StatusUpdate
        | Kind::SpeechUpdate
        | Kind::Transcript
        | Kind::FinalTranscript
        | Kind::ConversationUpdate
        | Kind::ModelOutput
        | Kind::VoiceInput
        | Kind::UserInterrupted
        | Kind::ToolCallsResult
        | Kind::Hang
        | Kind::AssistantStarted
        | Kind::SpeechStarted
        | Kind::TransferUpdate
        | Kind::LanguageChangeDetected
        | Kind::EndOfCallReport
        | Kind::PhoneCallControl
        | Kind::CallDeleted
        | Kind::CallDeleteFailed => None,
    }
}

/// What goes when the queue to a server is full: the least first, and of those the oldest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Goes first: words that will change anyway.
    Passing,
    /// Goes next: another one like it comes soon.
    Frequent,
    /// Goes last.
    Told,
    /// Never goes.
    Kept,
}

/// How much a message weighs. `partial`: it is a transcript that will change.
pub const fn weight(kind: Kind, partial: bool) -> Weight {
    match kind {
        Kind::Transcript if partial => Weight::Passing,
        Kind::SpeechUpdate | Kind::ModelOutput | Kind::VoiceInput | Kind::SpeechStarted => Weight::Frequent,
        Kind::Transcript
        | Kind::FinalTranscript
        | Kind::ConversationUpdate
        | Kind::UserInterrupted
        | Kind::Hang
        | Kind::AssistantStarted
        | Kind::TransferUpdate
        | Kind::LanguageChangeDetected
        | Kind::ToolCallsResult => Weight::Told,
        Kind::StatusUpdate
        | Kind::ToolCalls
        | Kind::EndOfCallReport
        | Kind::AssistantRequest
        | Kind::TransferDestinationRequest
        | Kind::EndpointingRequest
        | Kind::PhoneCallControl
        | Kind::CallDeleted
        | Kind::CallDeleteFailed => Weight::Kept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_answered_is_never_dropped() {
        let server = Duration::from_secs(20);
        for kind in Kind::ALL {
            if let Some(within) = answer_within(*kind, server) {
                assert!(weight(*kind, false) == Weight::Kept && within <= server, "{kind:?}");
            }
        }
        assert_eq!(answer_within(Kind::ToolCalls, server), Some(server));
        assert_eq!(answer_within(Kind::AssistantRequest, server), Some(ASSISTANT_REQUEST));
    }

    #[test]
    fn words_that_will_change_go_first() {
        let order = [
            weight(Kind::Transcript, true),
            weight(Kind::SpeechUpdate, false),
            weight(Kind::Transcript, false),
            weight(Kind::EndOfCallReport, false),
        ];
        assert!(order.is_sorted_by(|one, other| one < other), "{order:?}");
    }
}
