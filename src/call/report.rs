//! The times of each turn, read off the call; the call does not know who reads them.

use std::time::Duration;

use serde::Serialize;

use super::{AskedAhead, Ending, Turn};

/// When things happened in one turn, each counted from the moment the call was answered.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct TurnReport {
    /// Which turn.
    pub turn: Turn,
    /// T0: the last voiced sample of the caller, where the turn answers speech.
    pub speech_end: Option<Duration>,
    /// The silence that the endpointing policy asked for.
    pub endpoint_silence: Duration,
    /// The caller was taken to have finished.
    pub endpoint: Option<Duration>,
    /// The last text of the utterance came.
    pub transcript: Option<Duration>,
    /// The model was asked.
    pub asked: Option<Duration>,
    /// The model had been asked this long before, ahead of the endpoint.
    pub ahead: Option<Duration>,
    /// The model's first word came.
    pub first_word: Option<Duration>,
    /// The first clause was complete and given to the voice.
    pub first_clause: Option<Duration>,
    /// The voice's first sample came.
    pub first_audio: Option<Duration>,
    /// A1: the first voiced frame of the answer was handed to the wire.
    pub first_frame: Option<Duration>,
    /// F1: the first voiced frame of a filler was handed to the wire.
    pub filler_frame: Option<Duration>,
    /// The voice's first sample came while the caller still had a filler to hear: until then.
    pub filler_heard: Option<Duration>,
    /// Time this turn waited for tools.
    pub tool_wait: Duration,
    /// The caller cut in: onset of the speech that did, and when our voice stopped leaving.
    pub interruption: Option<Interruption>,
    /// How often the voice was held and went on again.
    pub false_alarms: u32,
}

/// A cut-in, from the call's point of view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Interruption {
    /// The first voiced sample of the caller.
    pub onset: Duration,
    /// Our voice stopped leaving (held).
    pub silent: Duration,
    /// It was decided that this is an interruption.
    pub decided: Duration,
}

impl TurnReport {
    /// From the end of the caller's speech to the first voiced frame of the answer (A1-T0).
    pub fn latency(&self) -> Option<Duration> {
        self.first_frame?.checked_sub(self.speech_end?)
    }

    /// What of the latency is the gateway's own: the rest is the configured silence, waiting for providers and tools, and
    /// the end of a filler, which the caller listens to.
    pub fn own(&self) -> Option<Duration> {
        let waits =
            self.transcript_wait() + self.model_wait() + self.voice_wait() + self.tool_wait + self.filler_wait();
        Some(self.latency()?.saturating_sub(self.endpoint_silence).saturating_sub(waits))
    }

    /// Waiting for the recogniser after the configured silence had passed.
    pub fn transcript_wait(&self) -> Duration {
        match (self.speech_end, self.transcript) {
            (Some(end), Some(text)) => text.saturating_sub(end + self.endpoint_silence),
            _ => Duration::ZERO,
        }
    }

    /// Waiting for the model: from the ask to the first whole clause.
    pub fn model_wait(&self) -> Duration {
        between(self.asked, self.first_clause).saturating_sub(self.tool_wait)
    }

    /// Waiting for the voice: from the first clause to its first sample.
    pub fn voice_wait(&self) -> Duration {
        between(self.first_clause, self.first_audio)
    }

    /// Waiting for the end of a filler, with an answer that has come.
    pub fn filler_wait(&self) -> Duration {
        between(self.first_audio, self.filler_heard.min(self.first_frame))
    }
}

fn between(from: Option<Duration>, to: Option<Duration>) -> Duration {
    match (from, to) {
        (Some(from), Some(to)) => to.saturating_sub(from),
        _ => Duration::ZERO,
    }
}

/// The whole call, once it is over.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct CallReport {
    /// How long it lasted.
    pub duration: Duration,
    /// Why it ended.
    pub ending: Option<Ending>,
    /// Every turn, in order (the last [`TURNS_MAX`](super::limits::TURNS_MAX)).
    pub turns: Vec<TurnReport>,
    /// Provider answers that came for a turn that was over.
    pub late_inputs: u64,
    /// Questions to the model before the caller was known to have finished.
    pub asked_ahead: AskedAhead,
    /// Samples of the caller received.
    pub samples_in: u64,
    /// Holes filled in the caller's audio.
    pub concealed: Duration,
    /// Frames of our voice sent.
    pub frames_out: u64,
}
