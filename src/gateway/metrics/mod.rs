//! Every metric, with its unit and meaning. Labels are closed sets; no tenant, call or caller is ever one.

mod page;

use std::time::Duration;

use metrics::{counter, gauge, histogram};

pub use self::page::*;
pub use crate::tenant::TOOLS;
use crate::{
    call::{CallReport, Ending, TurnReport},
    providers::Kind,
    tenant::ending_name,
    vapi::webhooks::ASSISTANT_ANSWERS,
};

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
