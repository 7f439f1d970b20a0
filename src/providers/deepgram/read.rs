//! What Deepgram's recognisers say, in our words. Pure: text in, events out.

use serde::Deserialize;

use crate::call::SttEvent;

/// What one message says.
#[derive(Debug, Default, PartialEq)]
pub struct Reading {
    /// In order.
    pub events: Vec<SttEvent>,
    /// Everything up to this second of the connection's audio will not change any more.
    pub settled_s: Option<f64>,
    /// It answers a `Finalize`.
    pub finalized: bool,
    /// The connection is of no use any more.
    pub failed: bool,
}

#[derive(Debug, Deserialize)]
struct Message {
    #[serde(default, rename = "type")]
    kind: String,
    // Nova
    #[serde(default)]
    start: f64,
    #[serde(default)]
    duration: f64,
    #[serde(default)]
    is_final: bool,
    #[serde(default)]
    speech_final: bool,
    #[serde(default)]
    from_finalize: bool,
    #[serde(default)]
    channel: Option<Channel>,
    // Flux
    #[serde(default)]
    event: String,
    #[serde(default)]
    turn_index: Option<u64>,
    #[serde(default)]
    audio_window_end: f64,
    #[serde(default)]
    transcript: String,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Channel {
    Heard {
        #[serde(default)]
        alternatives: Vec<Alternative>,
    },
    // Other messages number the channel under the same name.
    Other(serde::de::IgnoredAny),
}

#[derive(Debug, Deserialize)]
struct Alternative {
    #[serde(default)]
    transcript: String,
}

/// The longest transcript of one message that is believed.
const TEXT_BYTES_MAX: usize = 32 * 1024;

fn parse(text: &str) -> Option<Message> {
    let mut message: Message = serde_json::from_str(text).ok()?;
    if message.transcript.len() > TEXT_BYTES_MAX {
        message.transcript.clear();
    }
    Some(message)
}

/// Nova: pieces of text, each final in its turn.
#[derive(Debug)]
pub struct Nova {
    /// Whether its pauses count as ends of turns.
    turns: bool,
    /// Text has become final since the last end.
    open: bool,
    /// A partial text stands that no final has replaced.
    partial: bool,
    /// The second up to which this connection has given finals.
    settled_s: f64,
}

impl Nova {
    /// A conversation that begins. With `turns`, a pause as Nova sees it ends the turn.
    pub const fn new(turns: bool) -> Self {
        Self { turns, open: false, partial: false, settled_s: 0.0 }
    }

    /// The connection is a new one: its clock begins at 0 again.
    pub const fn reconnected(&mut self) {
        self.settled_s = 0.0;
    }

    /// Nothing is under way: no partial text, and no end of turn to wait for.
    pub const fn idle(&self) -> bool {
        !self.partial
    }

    /// Reads a message.
    pub fn read(&mut self, text: &str) -> Reading {
        let mut reading = Reading::default();
        let Some(message) = parse(text) else { return reading };
        match message.kind.as_str() {
            "SpeechStarted" => reading.events.push(SttEvent::SpeechStarted),
            "Results" => self.results(message, &mut reading),
            "UtteranceEnd" => self.end(&mut reading),
            "Error" => reading.failed = true,
            _ => {}
        }
        reading
    }

    fn results(&mut self, message: Message, reading: &mut Reading) {
        let said = match message.channel {
            Some(Channel::Heard { alternatives }) => alternatives.into_iter().next().map(|best| best.transcript),
            Some(Channel::Other(_)) | None => None,
        };
        let text = said.unwrap_or_default().trim().to_string();
        let until = message.start + message.duration;
        let timed = message.duration > 0.0 && until.is_finite();
        if !message.is_final {
            if !text.is_empty() {
                self.partial = true;
                reading.events.push(SttEvent::Partial { text });
            }
            return;
        }
        // A final for audio that has one already says nothing new.
        let repeated = timed && until <= self.settled_s + 0.001;
        if !text.is_empty() && !repeated {
            (self.open, self.partial) = (true, false);
            reading.events.push(SttEvent::Final { text });
        } else if self.partial && !repeated {
            // What it thought to hear was nothing after all.
            self.partial = false;
            reading.events.push(SttEvent::Partial { text: String::new() });
        }
        if timed && !repeated {
            self.settled_s = until;
            reading.settled_s = Some(until);
        }
        reading.finalized = message.from_finalize;
        if message.speech_final {
            self.end(reading);
        }
    }

    /// A pause. The wire tells of it in two ways, and often in both.
    fn end(&mut self, reading: &mut Reading) {
        if self.turns && self.open {
            reading.events.push(SttEvent::End);
        }
        self.open = false;
    }
}

/// Flux: whole turns, each text from the turn's beginning.
#[derive(Debug, Default)]
pub struct Flux {
    /// The last partial text, so that the same one is not told twice.
    partial: String,
    /// A turn has begun and not ended.
    open: bool,
    /// The guess that the turn has ended stands.
    eager: bool,
    /// The last turn of this connection that has ended.
    ended: Option<u64>,
}

impl Flux {
    /// A conversation that begins.
    pub fn new() -> Self {
        Self::default()
    }

    /// The connection is a new one: it counts turns from 0 again, and begins the open one anew.
    pub fn reconnected(&mut self) {
        self.ended = None;
    }

    /// No turn is under way.
    pub const fn idle(&self) -> bool {
        !self.open
    }

    /// Reads a message.
    pub fn read(&mut self, text: &str) -> Reading {
        let mut reading = Reading::default();
        let Some(message) = parse(text) else { return reading };
        match message.kind.as_str() {
            "TurnInfo" => self.turn(message, &mut reading),
            "Error" => reading.failed = true,
            _ => {}
        }
        reading
    }

    fn turn(&mut self, message: Message, reading: &mut Reading) {
        if message.turn_index.is_some() && message.turn_index <= self.ended {
            return; // a repetition, or late news of a turn that is over
        }
        let text = message.transcript.trim().to_string();
        match message.event.as_str() {
            "StartOfTurn" => {
                self.open = true;
                reading.events.push(SttEvent::SpeechStarted);
                self.heard(text, reading);
            }
            "Update" => self.heard(text, reading),
            "EagerEndOfTurn" => {
                self.heard(text, reading);
                if !self.eager {
                    self.eager = true;
                    reading.events.push(SttEvent::EagerEnd);
                }
            }
            "TurnResumed" => {
                if std::mem::take(&mut self.eager) {
                    reading.events.push(SttEvent::Resumed);
                }
                self.heard(text, reading);
            }
            "EndOfTurn" => {
                self.ended = message.turn_index;
                (self.open, self.eager) = (false, false);
                let partial = std::mem::take(&mut self.partial);
                if !text.is_empty() {
                    reading.events.push(SttEvent::Final { text });
                } else if !partial.is_empty() {
                    reading.events.push(SttEvent::Partial { text });
                }
                reading.events.push(SttEvent::End);
                if message.audio_window_end > 0.0 && message.audio_window_end.is_finite() {
                    reading.settled_s = Some(message.audio_window_end);
                }
            }
            _ => {}
        }
    }

    /// The turn's text so far.
    fn heard(&mut self, text: String, reading: &mut Reading) {
        if text != self.partial {
            self.open = true;
            self.partial.clone_from(&text);
            reading.events.push(SttEvent::Partial { text });
        }
    }
}

#[cfg(test)]
mod tests {
    use SttEvent::{EagerEnd, End, Resumed, SpeechStarted};

    use super::*;

    fn final_(text: &str) -> SttEvent {
        SttEvent::Final { text: text.into() }
    }

    fn partial(text: &str) -> SttEvent {
        SttEvent::Partial { text: text.into() }
    }

    fn results(start: f64, duration: f64, text: &str, flags: &str) -> String {
        format!(
            r#"{{"type":"Results","channel_index":[0,1],"start":{start},"duration":{duration},{flags}"channel":{{"alternatives":[{{"transcript":"{text}"}}]}}}}"#
        )
    }

    const FINAL: &str = r#""is_final":true,"#;
    const SPEECH_FINAL: &str = r#""is_final":true,"speech_final":true,"#;

    fn nova(turns: bool, messages: &[String]) -> Vec<SttEvent> {
        let mut nova = Nova::new(turns);
        messages.iter().flat_map(|message| nova.read(message).events).collect()
    }

    #[test]
    fn nova_says_each_piece_once_and_ends_a_turn_once() {
        let pause = r#"{"type":"UtteranceEnd","channel":[0,1],"last_word_end":2.4}"#.to_string();
        let messages = [
            r#"{"type":"SpeechStarted","channel":[0,1],"timestamp":0.2}"#.to_string(),
            results(0.0, 1.0, "Vorrei", ""),
            results(0.0, 1.5, "Vorrei prenotare", FINAL),
            results(0.0, 1.5, "Vorrei prenotare", FINAL),
            results(1.5, 0.9, "un tagliando.", SPEECH_FINAL),
            pause.clone(),
            results(2.4, 1.0, "", SPEECH_FINAL),
            pause.clone(),
            results(3.4, 1.0, "forse", ""),
            results(3.4, 1.0, "", FINAL),
            results(4.4, 1.0, "Sì", FINAL),
            pause,
            "not json".into(),
            r#"{"type":"SomethingNew","channel":7}"#.into(),
        ];
        let words = [
            SpeechStarted,
            partial("Vorrei"),
            final_("Vorrei prenotare"),
            final_("un tagliando."),
            End,
            partial("forse"),
            partial(""),
            final_("Sì"),
            End,
        ];
        assert_eq!(nova(true, &messages), words);
        assert_eq!(nova(false, &messages), words.iter().filter(|event| **event != End).cloned().collect::<Vec<_>>());
    }

    #[test]
    fn nova_tells_what_is_settled_and_what_answers_a_commit() {
        let mut nova = Nova::new(false);
        let reading = nova.read(&results(1.0, 0.5, "sì", r#""is_final":true,"from_finalize":true,"#));
        assert_eq!((reading.settled_s, reading.finalized), (Some(1.5), true));
        let reading = nova.read(&results(1.5, 0.0, "", r#""is_final":true,"from_finalize":true,"#));
        assert_eq!((reading.settled_s, reading.finalized), (None, true));
        assert!(nova.read(r#"{"type":"Error","variant":"SchemaError"}"#).failed);
    }

    #[test]
    fn flux_tells_turns() {
        let turn = |event: &str, index: u64, text: &str| {
            format!(
                r#"{{"type":"TurnInfo","event":"{event}","turn_index":{index},"audio_window_end":1.92,"transcript":"{text}"}}"#
            )
        };
        let mut flux = Flux::new();
        let mut check = |event: &str, index: u64, text: &str, expected: &[SttEvent]| {
            assert_eq!(flux.read(&turn(event, index, text)).events, expected, "{event} {index} {text}");
        };
        check("StartOfTurn", 0, "", &[SpeechStarted]);
        check("Update", 0, "Vorrei", &[partial("Vorrei")]);
        check("Update", 0, "Vorrei", &[]);
        check("EagerEndOfTurn", 0, "Vorrei prenotare", &[partial("Vorrei prenotare"), EagerEnd]);
        check("TurnResumed", 0, "Vorrei prenotare", &[Resumed]);
        check(
            "EagerEndOfTurn",
            0,
            "Vorrei prenotare un tagliando",
            &[partial("Vorrei prenotare un tagliando"), EagerEnd],
        );
        check("EndOfTurn", 0, "Vorrei prenotare un tagliando.", &[final_("Vorrei prenotare un tagliando."), End]);
        check("EndOfTurn", 0, "Vorrei prenotare un tagliando.", &[]);
        check("StartOfTurn", 1, "", &[SpeechStarted]);
        check("EndOfTurn", 1, "", &[End]);
        check("SomethingNew", 2, "", &[]);
        assert!(flux.idle());
    }
}
