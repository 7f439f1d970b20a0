//! Every metric, with its unit and meaning. Labels are closed sets; no tenant, call or caller is ever one.

use std::time::Duration;

pub use crate::tenant::TOOLS;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::{
    call::{CallReport, Ending, TurnReport},
    providers::{Kind, hedge::HEDGES},
    tenant::ending_name,
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

/// An engine, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Speech to text.
    Stt,
    /// The language model.
    Llm,
    /// Text to speech.
    Tts,
}

impl Engine {
    /// The label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stt => "stt",
            Self::Llm => "llm",
            Self::Tts => "tts",
        }
    }
}

/// Why a request was refused, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No such path.
    NoRoute,
    /// No such tenant.
    NoTenant,
    /// A wrong or missing token or signature.
    Unauthorised,
    /// Every line of the tenant is taken.
    Full,
    /// The gateway has as many connections as it may.
    Connections,
    /// The processor is not enough for one more call.
    Busy,
    /// The gateway is shutting down.
    Draining,
    /// The request cannot be read.
    BadRequest,
    /// The stream was never described.
    NeverStarted,
    /// The id of the call is in use.
    Taken,
    /// The engine that was asked for failed.
    EngineFailed,
    /// It cannot be reached, or has no time.
    EngineAway,
}

impl Refusal {
    /// The label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoRoute => "no_route",
            Self::NoTenant => "no_tenant",
            Self::Unauthorised => "unauthorised",
            Self::Full => "full",
            Self::Connections => "connections",
            Self::Busy => "busy",
            Self::Draining => "draining",
            Self::BadRequest => "bad_request",
            Self::NeverStarted => "never_started",
            Self::Taken => "taken",
            Self::EngineFailed => "engine_failed",
            Self::EngineAway => "engine_away",
        }
    }
}

/// What became of a recording, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recording {
    /// It is there.
    Kept,
    /// Nothing was heard, and nothing is left.
    Empty,
    /// The file could not be made.
    Failed,
}

/// Why recordings were erased, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Erasure {
    /// Somebody with the right to asked for it.
    Asked,
    /// They were as old as they may become.
    Old,
    /// There was no room for all of them.
    Over,
}

/// How a settings file fared, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// The new settings hold.
    Changed,
    /// They are wrong; the old ones hold.
    Rejected,
    /// The tenant is gone.
    Removed,
}

/// A call has lost its connection, or has it back.
pub(super) fn line(back: bool) {
    counter!(LINES_LOST, "back" => if back { "yes" } else { "no" }).increment(1);
}

/// A caller was to be put through to an assistant at Vapi.
pub(super) fn dialled(outcome: &'static str) {
    counter!(DIALLED, "outcome" => outcome).increment(1);
}

/// Sound of a caller that did not reach Vapi.
pub(super) fn dialled_dropped(frames: u64) {
    count(DIALLED_DROPPED, frames);
}

/// A recording is over.
pub(super) fn recorded(outcome: Recording) {
    let outcome = match outcome {
        Recording::Kept => "kept",
        Recording::Empty => "empty",
        Recording::Failed => "failed",
    };
    counter!(RECORDINGS, "outcome" => outcome).increment(1);
}

/// So many samples are missing in a recording.
pub(super) fn recording_lost(samples: u64) {
    count_time(RECORDINGS_LOST, crate::audio::Rate::WIDE.duration(samples));
}

/// So many recordings were erased.
pub(super) fn recordings_erased(why: Erasure, recordings: u64) {
    let why = match why {
        Erasure::Asked => "asked",
        Erasure::Old => "old",
        Erasure::Over => "over",
    };
    if recordings > 0 {
        counter!(RECORDINGS_ERASED, "why" => why).increment(recordings);
    }
}

/// A customer's server was asked who answers a call.
pub(super) fn assistant_asked(said: &'static str) {
    counter!(ASSISTANT_ANSWERS, "said" => said).increment(1);
}

/// One more connection, or one less (`false`).
pub(super) fn connection(opened: bool) {
    gauge!(CONNECTIONS).increment(if opened { 1.0 } else { -1.0 });
}

/// One more call at Vapi that we hear, or one less (`false`).
pub(super) fn transcriber(opened: bool) {
    gauge!(TRANSCRIBERS).increment(if opened { 1.0 } else { -1.0 });
}

/// How late tasks come to run.
pub(super) fn late(by: Duration) {
    gauge!(LATE).set(by);
}

pub(super) fn refused(why: Refusal) {
    counter!(REFUSED, "reason" => why.name()).increment(1);
}

pub(super) fn call_started(transport: &'static str) {
    counter!(CALLS_STARTED, "transport" => transport).increment(1);
    gauge!(CALLS_ACTIVE).increment(1.0);
}

pub(super) fn call_ended(ending: Ending, report: &CallReport) {
    gauge!(CALLS_ACTIVE).decrement(1.0);
    counter!(CALLS_ENDED, "ending" => ending_name(ending)).increment(1);
    histogram!(CALL_DURATION).record(report.duration);
    count(LATE_INPUTS, report.late_inputs);
    for (outcome, questions) in [("used", report.asked_ahead.used), ("wasted", report.asked_ahead.wasted)] {
        if questions > 0 {
            counter!(ASKED_AHEAD, "outcome" => outcome).increment(u64::from(questions));
        }
    }
    count_time(CONCEALED, report.concealed);
}

pub(super) fn turn(report: &TurnReport) {
    if let Some(latency) = report.latency() {
        histogram!(TURN_LATENCY).record(latency);
        for (engine, wait) in [
            (Engine::Stt, report.transcript_wait()),
            (Engine::Llm, report.model_wait()),
            (Engine::Tts, report.voice_wait()),
        ] {
            histogram!(ENGINE_WAIT, "engine" => engine.name()).record(wait);
        }
    }
    if let Some(own) = report.own() {
        histogram!(TURN_OWN).record(own);
    }
    if let Some(filler) = report.filler_frame.zip(report.speech_end).and_then(|(at, end)| at.checked_sub(end)) {
        histogram!(FILLER_LATENCY).record(filler);
    }
    if let Some(cut) = &report.interruption {
        histogram!(INTERRUPTION).record(cut.silent.saturating_sub(cut.onset));
    }
    count(FALSE_ALARMS, u64::from(report.false_alarms));
}

pub(super) fn panicked() {
    counter!(PANICS).increment(1);
}

pub(super) fn socket_fault(kind: &'static str) {
    counter!(SOCKET_FAULTS, "kind" => kind).increment(1);
}

pub(super) fn ignored(reason: &'static str) {
    counter!(IGNORED, "reason" => reason).increment(1);
}

pub(super) fn events_dropped(events: u64) {
    count(EVENTS_DROPPED, events);
}

pub(super) fn stt_dropped(samples: u64) {
    count_time(STT_DROPPED, crate::audio::Rate::WIDE.duration(samples));
}

pub(super) fn provider_failed(engine: Engine, kind: Kind) {
    let kind = match kind {
        Kind::Unreachable => "unreachable",
        Kind::FirstTimeout => "first_timeout",
        Kind::Stalled => "stalled",
        Kind::Status(_) => "status",
        Kind::Cut => "cut",
        Kind::Garbage => "garbage",
        Kind::Refused => "refused",
        Kind::RateLimited => "rate_limited",
        Kind::Busy => "busy",
    };
    counter!(ENGINE_FAILURES, "engine" => engine.name(), "kind" => kind).increment(1);
}

/// A settings file was read again.
pub fn reloaded(outcome: Reload) {
    let outcome = match outcome {
        Reload::Changed => "changed",
        Reload::Rejected => "rejected",
        Reload::Removed => "removed",
    };
    counter!(RELOADS, "outcome" => outcome).increment(1);
}

fn count(name: &'static str, by: u64) {
    if by > 0 {
        counter!(name).increment(by);
    }
}

/// Counters are whole numbers, hence milliseconds.
fn count_time(name: &'static str, by: Duration) {
    count(name, by.as_millis() as u64);
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
