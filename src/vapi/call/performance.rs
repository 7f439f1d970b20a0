//! `performanceMetrics`: how long each turn took and where the time went, in milliseconds.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::call::{CallReport, TurnReport};

/// The times of one turn, from the end of the caller's speech to the first sound of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TurnLatency {
    /// From the question to the model to the first whole clause, without tools.
    pub model_latency: u64,
    /// From the first clause to the voice's first sample.
    pub voice_latency: u64,
    /// Waiting for the recogniser after the silence was over.
    pub transcriber_latency: u64,
    /// The silence that ended the caller's turn.
    pub endpointing_latency: u64,
    /// The whole: measured in the sound, tools and our own share included.
    pub turn_latency: u64,
}

/// The times of a call. Averages are of the turns that answered speech; without any there are none.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Performance {
    /// Turn by turn.
    pub turn_latencies: Vec<TurnLatency>,
    /// Averages, in the order of the fields of a turn.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    averages: Option<Averages>,
    /// How often we began to speak while the caller was saying something.
    pub num_user_interrupted: usize,
    /// How often the caller cut in.
    pub num_assistant_interrupted: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Averages {
    model_latency_average: f64,
    voice_latency_average: f64,
    transcriber_latency_average: f64,
    endpointing_latency_average: f64,
    turn_latency_average: f64,
}

impl Performance {
    /// Reads a call's report. How often we spoke into the caller's words is not in it: the minutes have counted.
    pub fn of(report: &CallReport, num_user_interrupted: usize) -> Self {
        let turns: Vec<_> = report.turns.iter().filter_map(TurnLatency::of).collect();
        let average = |of: fn(&TurnLatency) -> u64| {
            let mean = turns.iter().map(|turn| of(turn) as f64).sum::<f64>() / turns.len() as f64;
            (mean * 10.0).round() / 10.0
        };
        let averages = (!turns.is_empty()).then(|| Averages {
            model_latency_average: average(|turn| turn.model_latency),
            voice_latency_average: average(|turn| turn.voice_latency),
            transcriber_latency_average: average(|turn| turn.transcriber_latency),
            endpointing_latency_average: average(|turn| turn.endpointing_latency),
            turn_latency_average: average(|turn| turn.turn_latency),
        });
        let num_assistant_interrupted = report.turns.iter().filter(|turn| turn.interruption.is_some()).count();
        Self { averages, num_user_interrupted, num_assistant_interrupted, turn_latencies: turns }
    }
}

impl TurnLatency {
    /// Of a turn that answered speech and was heard.
    fn of(turn: &TurnReport) -> Option<Self> {
        let ms = |time: Duration| time.as_millis() as u64;
        Some(Self {
            model_latency: ms(turn.model_wait()),
            voice_latency: ms(turn.voice_wait()),
            transcriber_latency: ms(turn.transcript_wait()),
            endpointing_latency: ms(turn.endpoint_silence),
            turn_latency: ms(turn.latency()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::call::Interruption;

    #[test]
    fn times_are_milliseconds_and_silent_turns_do_not_count() {
        let ms = |ms| Some(Duration::from_millis(ms));
        let cut = Interruption { onset: Duration::ZERO, silent: Duration::ZERO, decided: Duration::ZERO };
        let turn = |first_word: u64| TurnReport {
            speech_end: ms(1_000),
            endpoint_silence: Duration::from_millis(500),
            transcript: ms(1_600),
            asked: ms(1_600),
            first_clause: ms(first_word),
            first_audio: ms(first_word + 200),
            first_frame: ms(first_word + 220),
            ..TurnReport::default()
        };
        let turns = vec![TurnReport { interruption: Some(cut), ..TurnReport::default() }, turn(2_000), turn(2_101)];
        let report = CallReport { turns, ..CallReport::default() };
        let expected = json!({
            "turnLatencies": [
                {"modelLatency": 400, "voiceLatency": 200, "transcriberLatency": 100, "endpointingLatency": 500, "turnLatency": 1220},
                {"modelLatency": 501, "voiceLatency": 200, "transcriberLatency": 100, "endpointingLatency": 500, "turnLatency": 1321},
            ],
            "modelLatencyAverage": 450.5, "voiceLatencyAverage": 200.0, "transcriberLatencyAverage": 100.0,
            "endpointingLatencyAverage": 500.0, "turnLatencyAverage": 1270.5, "numUserInterrupted": 2, "numAssistantInterrupted": 1,
        });
        assert_eq!(serde_json::to_value(Performance::of(&report, 2)).unwrap(), expected);
    }

    #[test]
    fn a_call_without_turns_has_no_averages() {
        let performance = serde_json::to_value(Performance::of(&CallReport::default(), 0)).unwrap();
        assert_eq!(performance, json!({"turnLatencies": [], "numUserInterrupted": 0, "numAssistantInterrupted": 0}));
    }
}
