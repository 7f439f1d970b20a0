//! What stands on the page: every metric's name, unit, meaning and buckets.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

use crate::{
    providers::hedge::HEDGES,
    tenant::TOOLS,
    vapi::{
        peer::{brain::ANSWERS, hands::PENDING},
        switchboard::DOCUMENTS,
        webhooks::{ASSISTANT_ANSWERS, ASSISTANT_REQUEST, MESSAGES, REPORTS},
    },
};

/// End of the caller's speech to the first voiced frame of the answer.
pub const TURN_LATENCY: &str = "pronto_turn_latency_seconds";
/// What of that is the gateway's own.
pub const TURN_OWN: &str = "pronto_turn_own_seconds";
/// End of the caller's speech to the first voiced frame of a filler.
pub const FILLER_LATENCY: &str = "pronto_filler_latency_seconds";
/// Waiting for one engine in a turn.
pub const ENGINE_WAIT: &str = "pronto_engine_wait_seconds";
/// The caller's first voiced sample to our silence.
pub const INTERRUPTION: &str = "pronto_interruption_to_silence_seconds";
/// Times the voice was held and went on.
pub const FALSE_ALARMS: &str = "pronto_false_alarms_total";
/// Calls under way.
pub const CALLS_ACTIVE: &str = "pronto_calls_active";
/// Calls at Vapi that we hear for it.
pub const TRANSCRIBERS: &str = "pronto_transcribers_active";
/// How late tasks come to run: the latest tenth of half a second.
pub const LATE: &str = "pronto_scheduling_delay_seconds";
/// Calls answered.
pub const CALLS_STARTED: &str = "pronto_calls_started_total";
/// Calls that ended, by why.
pub const CALLS_ENDED: &str = "pronto_calls_ended_total";
/// How long calls lasted.
pub const CALL_DURATION: &str = "pronto_call_duration_seconds";
/// Requests that were refused, by why.
pub const REFUSED: &str = "pronto_refused_total";
/// Connections open, calls or not.
pub const CONNECTIONS: &str = "pronto_connections_active";
/// Provider answers that came too late for their turn.
pub const LATE_INPUTS: &str = "pronto_late_inputs_total";
/// Questions to the model before the caller was known to have finished, by what became of the answer.
pub const ASKED_AHEAD: &str = "pronto_asked_ahead_total";
/// Caller audio that the recogniser never heard.
pub const STT_DROPPED: &str = "pronto_stt_dropped_milliseconds_total";
/// Holes filled in callers' audio.
pub const CONCEALED: &str = "pronto_audio_concealed_milliseconds_total";
/// Events dropped because the peer is slow.
pub const EVENTS_DROPPED: &str = "pronto_events_dropped_total";
/// Sockets that ended in a fault, by kind.
pub const SOCKET_FAULTS: &str = "pronto_socket_faults_total";
/// Connections of calls that broke, and those that came back in time.
pub const LINES_LOST: &str = "pronto_lines_lost_total";
/// Callers put through to an assistant at Vapi, by what came of it.
pub const DIALLED: &str = "pronto_vapi_dialled_total";
/// Their sound that never left, in frames of 20 ms.
pub const DIALLED_DROPPED: &str = "pronto_vapi_dialled_dropped_frames_total";
/// Recordings of calls, by what became of them.
pub const RECORDINGS: &str = "pronto_recordings_total";
/// Sound that is missing in recordings.
pub const RECORDINGS_LOST: &str = "pronto_recordings_lost_milliseconds_total";
/// Recordings that were erased, by why.
pub const RECORDINGS_ERASED: &str = "pronto_recordings_erased_total";
/// Messages of peers that a dialect ignored.
pub const IGNORED: &str = "pronto_messages_ignored_total";
/// Failures of engines, by engine and kind.
pub const ENGINE_FAILURES: &str = "pronto_engine_failures_total";
/// Calls that panicked.
pub const PANICS: &str = "pronto_call_panics_total";
/// Settings files read again, by outcome.
pub const RELOADS: &str = "pronto_reloads_total";

/// Buckets for turns, in seconds: 20 ms wide where turns are, from 0.2 to 2 s. A percentile that is taken inside its
/// bucket is wrong by less than the width of it, so that this page, a call's own report and what callers measure from
/// outside can be held against one another to 20 ms (`tests/load_agreement.rs`). One histogram without labels: a hundred
/// lines of the page, no more.
pub const TURN_BUCKETS: &[f64] = &turn_buckets();

const fn turn_buckets() -> [f64; 99] {
    let mut buckets = [0.0; 99];
    let (below, above) = ([0.05, 0.1, 0.15], [2.5, 3.0, 4.0, 5.0, 10.0]);
    let mut at = 0;
    while at < buckets.len() {
        buckets[at] = match at {
            0..3 => below[at],
            3..94 => (200 + 20 * (at - 3)) as f64 / 1_000.0,
            _ => above[at - 94],
        };
        at += 1;
    }
    buckets
}

/// Buckets for what else callers wait for, in seconds.
pub const LATENCY_BUCKETS: &[f64] =
    &[0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 5.0, 10.0];
/// Buckets for our own share and for cuts, in seconds: at most 20 ms wide up to 0.3 s.
pub const OWN_BUCKETS: &[f64] = &[
    0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.06, 0.08, 0.1, 0.12, 0.14, 0.16, 0.18, 0.2, 0.22,
    0.24, 0.26, 0.28, 0.3, 0.4, 0.5, 0.7, 1.0, 2.5,
];
/// Buckets for whole calls, in seconds.
pub const CALL_BUCKETS: &[f64] = &[1.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 180.0, 300.0, 600.0, 900.0];

/// Which buckets each histogram has.
pub const BUCKETS: &[(&str, &[f64])] = &[
    (TURN_LATENCY, TURN_BUCKETS),
    (FILLER_LATENCY, TURN_BUCKETS),
    (ENGINE_WAIT, LATENCY_BUCKETS),
    (TURN_OWN, OWN_BUCKETS),
    (INTERRUPTION, OWN_BUCKETS),
    (CALL_DURATION, CALL_BUCKETS),
    (ASSISTANT_REQUEST, LATENCY_BUCKETS),
];

/// Tells the recorder what each of them means. Once, after it was installed.
pub fn describe() {
    describe_histogram!(
        TURN_LATENCY,
        Unit::Seconds,
        "End of the caller's speech to the first voiced frame of the answer"
    );
    describe_histogram!(
        TURN_OWN,
        Unit::Seconds,
        "The gateway's own share of the turn latency: without engines, tools and the configured silence"
    );
    describe_histogram!(
        FILLER_LATENCY,
        Unit::Seconds,
        "End of the caller's speech to the first voiced frame of a filler"
    );
    describe_histogram!(ENGINE_WAIT, Unit::Seconds, "Waiting for one engine in a turn");
    describe_histogram!(INTERRUPTION, Unit::Seconds, "First voiced sample of a caller who cuts in to our silence");
    describe_histogram!(CALL_DURATION, Unit::Seconds, "Length of calls");
    describe_gauge!(CALLS_ACTIVE, Unit::Count, "Calls under way");
    describe_gauge!(TRANSCRIBERS, Unit::Count, "Calls that live at Vapi and are heard here");
    describe_gauge!(LATE, Unit::Seconds, "How late tasks come to run: the latest tenth of half a second");
    describe_gauge!(CONNECTIONS, Unit::Count, "Connections open, calls or not");
    describe_counter!(CALLS_STARTED, Unit::Count, "Calls answered, by transport");
    describe_counter!(CALLS_ENDED, Unit::Count, "Calls that ended, by ending");
    describe_counter!(REFUSED, Unit::Count, "Requests refused, by reason");
    describe_counter!(FALSE_ALARMS, Unit::Count, "Times our voice was held and went on where it had stopped");
    describe_counter!(LATE_INPUTS, Unit::Count, "Answers of engines that came for a turn that was over");
    describe_counter!(ASKED_AHEAD, Unit::Count, "Questions asked before the caller had finished, by use");
    describe_counter!(STT_DROPPED, Unit::Milliseconds, "Audio of callers that the recogniser was too slow to hear");
    describe_counter!(CONCEALED, Unit::Milliseconds, "Holes filled in the audio of callers");
    describe_counter!(EVENTS_DROPPED, Unit::Count, "Events not sent because the peer is slow");
    describe_counter!(SOCKET_FAULTS, Unit::Count, "Sockets that ended in a fault, by kind");
    describe_counter!(LINES_LOST, Unit::Count, "Connections of calls that broke (back=no), and that came back (yes)");
    describe_counter!(
        DIALLED,
        Unit::Count,
        "Callers put through to an assistant at Vapi: ready, lost while they spoke, or why there was no call"
    );
    describe_counter!(
        DIALLED_DROPPED,
        Unit::Count,
        "Frames of 20 ms of callers' sound that did not reach the assistant at Vapi: the network is too slow"
    );
    describe_counter!(
        RECORDINGS,
        Unit::Count,
        "Recordings of calls: kept, empty (nothing was heard), or failed because the disk takes none"
    );
    describe_counter!(
        RECORDINGS_LOST,
        Unit::Milliseconds,
        "Sound that is missing in recordings: the disk is slow or full, or a recording has reached its bound"
    );
    describe_counter!(
        RECORDINGS_ERASED,
        Unit::Count,
        "Recordings that were erased: asked for, old (keep_days), or over (megabytes_max)"
    );
    describe_counter!(IGNORED, Unit::Count, "Messages of peers that meant nothing to us, by reason");
    describe_counter!(TOOLS, Unit::Count, "Tools that were run, by how they ended");
    describe_counter!(ENGINE_FAILURES, Unit::Count, "Failures of engines, by engine and kind");
    describe_counter!(
        HEDGES,
        Unit::Count,
        "Questions to slow models that were, or could not be, asked twice, by outcome"
    );
    describe_counter!(ANSWERS, Unit::Count, "Answers to the custom LLM of assistants at Vapi, by how they ended");
    describe_counter!(PENDING, Unit::Count, "Tools that assistants at Vapi were told to wait for");
    describe_counter!(MESSAGES, Unit::Count, "Messages to servers of customers, by type and by how they ended");
    describe_counter!(
        REPORTS,
        Unit::Count,
        "Reports of calls: delivered, to be sent again, given_up, or not_kept because too many are owed or the store fails"
    );
    describe_counter!(
        DOCUMENTS,
        Unit::Count,
        "Changes of stored assistants and created calls: written, to be written again because the store fails, or not_kept \
         because they are too long or too many wait"
    );
    describe_counter!(
        ASSISTANT_ANSWERS,
        Unit::Count,
        "Calls whose customer's server was asked who answers: assistant, forward, error, or why it named nobody"
    );
    describe_histogram!(
        ASSISTANT_REQUEST,
        Unit::Seconds,
        "How long servers of customers took to say who answers a call; 7.5 s is all they have"
    );
    describe_counter!(PANICS, Unit::Count, "Calls that ended in a bug of ours");
    describe_counter!(RELOADS, Unit::Count, "Settings files read again, by outcome");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_ascend_and_are_narrow_where_turns_are() {
        for (name, buckets) in BUCKETS {
            assert!(buckets.windows(2).all(|two| two[0] < two[1]), "{name}: {buckets:?}");
        }
        let narrow = |buckets: &[f64], from: f64, to: f64| {
            buckets.windows(2).filter(|two| two[0] >= from && two[1] <= to).all(|two| two[1] - two[0] < 0.020_001)
        };
        assert!(narrow(TURN_BUCKETS, 0.2, 2.0) && narrow(OWN_BUCKETS, 0.0, 0.3));
        assert_eq!((TURN_BUCKETS[3], TURN_BUCKETS[93], TURN_BUCKETS[98]), (0.2, 2.0, 10.0));
    }
}
