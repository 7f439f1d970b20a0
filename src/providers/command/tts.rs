//! Speaks through a program.

use std::{sync::Arc, time::Duration};

use futures_util::stream::BoxStream;
use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout, timeout_at},
};

use super::{
    NAME,
    pool::{Pool, fill},
};
use crate::{
    audio::Rate,
    call::TtsEvent,
    providers::{
        Kind, ProviderError, Say, Tts, TtsCapabilities,
        flow::{Out, flow},
        wav,
    },
};

/// A program that speaks: it reads a clause from its input, or takes it as `{text}` among its arguments, and writes
/// 16-bit mono sound to its output.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandTtsSettings {
    /// The program: a name in the search path, or a path.
    pub program: String,
    /// Its arguments. `{language}` becomes `it` or `en`; `{text}` the clause, which is otherwise written to its input.
    /// Prefer the input: a clause that begins with a dash would be taken for an option.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// What it writes.
    #[serde(default)]
    pub output: Output,
    /// The rate of its samples.
    pub rate: Rate,
    /// Milliseconds of the silence at a clause's end that are kept. More makes every turn end late.
    #[serde(default = "tail_ms")]
    pub tail_ms: u64,
    /// Processes at once.
    #[serde(default = "processes_max")]
    pub processes_max: usize,
    /// Milliseconds to wait for a place.
    #[serde(default = "wait_ms")]
    pub wait_ms: u64,
    /// Milliseconds to the first sound.
    #[serde(default = "first_ms")]
    pub first_ms: u64,
    /// Write long numbers and plates apart, digit by digit, for voices that read them as millions.
    #[serde(default)]
    pub spell: bool,
}

/// What a speaking program writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// A WAV file. Its sizes are not believed; its rate must be the one in the settings.
    #[default]
    Wav,
    /// Samples without a header.
    Raw,
}

const fn tail_ms() -> u64 {
    120
}

const fn processes_max() -> usize {
    8
}

const fn wait_ms() -> u64 {
    1_000
}

const fn first_ms() -> u64 {
    2_000
}

/// espeak-ng: sounds like a machine, needs nothing, never fails. The voice of last resort and of tests.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EspeakSettings {
    /// The program.
    pub program: String,
    /// A voice as `espeak-ng --voices` lists it; without one, the language's own.
    pub voice: Option<String>,
    /// Words a minute.
    pub speed: u32,
    /// Processes at once.
    pub processes_max: usize,
}

impl Default for EspeakSettings {
    fn default() -> Self {
        Self { program: "espeak-ng".into(), voice: None, speed: 165, processes_max: processes_max() }
    }
}

impl From<EspeakSettings> for CommandTtsSettings {
    fn from(espeak: EspeakSettings) -> Self {
        let voice = espeak.voice.unwrap_or_else(|| "{language}".into());
        let arguments = ["-v", &voice, "-s", &espeak.speed.clamp(80, 450).to_string(), "--stdin", "--stdout"];
        Self {
            program: espeak.program,
            arguments: arguments.map(Into::into).into(),
            output: Output::Wav,
            rate: Rate::new(22_050).expect("22050 lies between 8000 and 48000"),
            tail_ms: tail_ms(),
            processes_max: espeak.processes_max,
            wait_ms: wait_ms(),
            first_ms: first_ms(),
            spell: true,
        }
    }
}

/// Piper: a neural voice in a file, fast enough for a call on a small machine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PiperSettings {
    /// The program.
    #[serde(default = "piper")]
    pub program: String,
    /// The voice's `.onnx` file; its `.onnx.json` stands beside it.
    pub model: String,
    /// The rate the voice's `.onnx.json` names.
    #[serde(default = "piper_rate")]
    pub rate: Rate,
    /// Processes at once.
    #[serde(default = "processes_max")]
    pub processes_max: usize,
    /// Milliseconds to the first sound: the voice is loaded anew for every clause.
    #[serde(default = "first_ms")]
    pub first_ms: u64,
}

fn piper() -> String {
    "piper".into()
}

fn piper_rate() -> Rate {
    Rate::new(22_050).expect("22050 lies between 8000 and 48000")
}

impl From<PiperSettings> for CommandTtsSettings {
    fn from(piper: PiperSettings) -> Self {
        Self {
            program: piper.program,
            arguments: vec!["-m".into(), piper.model, "--output-raw".into()],
            output: Output::Raw,
            rate: piper.rate,
            tail_ms: tail_ms(),
            processes_max: piper.processes_max,
            wait_ms: wait_ms(),
            first_ms: piper.first_ms,
            spell: false,
        }
    }
}

/// The longest sound of one clause.
const CLAUSE_MAX: Duration = Duration::from_secs(120);
/// The longest wait between two pieces of sound.
const STALL: Duration = Duration::from_secs(3);
/// Quieter samples are silence.
const SILENCE: u16 = 40;

/// A voice that is a program. Cheap to clone.
#[derive(Debug, Clone)]
pub struct CommandTts(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: CommandTtsSettings,
    pool: Pool,
}

impl CommandTts {
    /// A voice with these settings. The program is looked for when it speaks.
    pub fn new(settings: impl Into<CommandTtsSettings>) -> Self {
        let settings = settings.into();
        let pool = Pool::new(settings.processes_max, Duration::from_millis(settings.wait_ms));
        Self(Arc::new(Inner { settings, pool }))
    }
}

impl Tts for CommandTts {
    fn capabilities(&self) -> TtsCapabilities {
        TtsCapabilities { name: NAME, rate: self.0.settings.rate, alignment: false }
    }

    fn speak(&self, say: Say) -> BoxStream<'static, Result<TtsEvent, ProviderError>> {
        let inner = self.0.clone();
        flow(move |out| async move { inner.speak(&say, out).await })
    }
}

impl Inner {
    async fn speak(&self, say: &Say, out: Out<TtsEvent>) -> Result<(), ProviderError> {
        let settings = &self.settings;
        // A line break ends a clause for programs that read lines.
        let text = say.text.split_whitespace().collect::<Vec<_>>().join(" ");
        let text = if settings.spell { spelled(&text) } else { text };
        if text.is_empty() {
            out.put(TtsEvent::Done).await;
            return Ok(());
        }
        let among_arguments = settings.arguments.iter().any(|argument| argument.contains("{text}"));
        let arguments = fill(&settings.arguments, &[("text", &text), ("language", say.language.code())]);
        let mut running = self.pool.start(&settings.program, &arguments, !among_arguments).await?;
        let first = Instant::now() + Duration::from_millis(settings.first_ms);
        if let Some(mut input) = running.child.stdin.take() {
            // A clause fits into the pipe; a program that does not read it shows by writing nothing.
            let _ = timeout_at(first, input.write_all(format!("{text}\n").as_bytes())).await;
        }
        let Some(mut output) = running.child.stdout.take() else {
            return Err(ProviderError::refused(NAME, "the program's output cannot be read"));
        };
        let mut sound = Sound::new(settings);
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let until = if sound.samples == 0 { first } else { Instant::now() + STALL };
            let read = timeout_at(until, output.read(&mut buffer)).await.map_err(|_| {
                let kind = if sound.samples == 0 { Kind::FirstTimeout } else { Kind::Stalled };
                ProviderError::upstream(NAME, kind, format!("{} writes no sound", settings.program))
            })?;
            let count = read.map_err(|_| self.failed())?;
            let samples = sound.take(&buffer[..count]).map_err(|error| {
                ProviderError::upstream(NAME, Kind::Garbage, format!("{}: {error}", settings.program))
            })?;
            if sound.samples > settings.rate.samples(CLAUSE_MAX) {
                return Err(ProviderError::upstream(NAME, Kind::Garbage, "the sound of one clause does not end"));
            }
            if !samples.is_empty() {
                out.put(TtsEvent::Audio(samples)).await;
            }
            if count == 0 {
                break;
            }
        }
        let status = timeout(STALL, running.child.wait()).await.ok().and_then(Result::ok);
        if sound.samples == 0 || status.is_none_or(|status| !status.success()) {
            return Err(self.failed());
        }
        out.put(TtsEvent::Done).await;
        Ok(())
    }

    fn failed(&self) -> ProviderError {
        let detail = format!("{} failed: run it by hand with the same arguments", self.settings.program);
        ProviderError::upstream(NAME, Kind::Cut, detail)
    }
}

/// Bytes become samples, and the silence at the end is cut short.
struct Sound {
    decoder: wav::Decoder,
    /// Silence that is only given out when sound follows.
    silence: Vec<i16>,
    /// How much of the silence at the end is given out.
    tail: usize,
    /// Samples so far.
    samples: usize,
}

impl Sound {
    fn new(settings: &CommandTtsSettings) -> Self {
        Self {
            decoder: match settings.output {
                Output::Wav => wav::Decoder::new(settings.rate),
                Output::Raw => wav::Decoder::raw(settings.rate),
            },
            silence: Vec::new(),
            tail: settings.rate.samples(Duration::from_millis(settings.tail_ms)),
            samples: 0,
        }
    }

    /// Takes the next bytes; none at the end.
    fn take(&mut self, bytes: &[u8]) -> Result<Vec<i16>, wav::NotPcm> {
        let samples = if bytes.is_empty() { self.decoder.end() } else { self.decoder.take(bytes)? };
        self.samples += samples.len();
        let sound_ends = samples.iter().rposition(|sample| sample.unsigned_abs() > SILENCE).map_or(0, |at| at + 1);
        let mut out = Vec::new();
        if sound_ends > 0 {
            out.append(&mut self.silence);
            out.extend_from_slice(&samples[..sound_ends]);
        }
        self.silence.extend_from_slice(&samples[sound_ends..]);
        if bytes.is_empty() {
            self.silence.truncate(self.tail);
            out.append(&mut self.silence);
        }
        Ok(out)
    }
}

/// Numbers of five digits and more, and words of letters and digits such as plates, written apart.
fn spelled(text: &str) -> String {
    let spell_one = |word: &str| {
        let core = word.trim_matches(|c: char| !c.is_alphanumeric());
        let digits = core.chars().filter(char::is_ascii_digit).count();
        let letters = core.chars().filter(|c| c.is_alphabetic()).count();
        let plain = core.chars().all(char::is_alphanumeric);
        let apart =
            plain && (digits >= 5 && letters == 0 || digits >= 2 && letters >= 2 && core.to_uppercase() == core);
        if !apart {
            return word.to_string();
        }
        let spelled = core.chars().map(String::from).collect::<Vec<_>>().join(" ");
        word.replacen(core, &spelled, 1)
    };
    text.split(' ').map(spell_one).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_numbers_and_plates_are_read_digit_by_digit() {
        let check = |text: &str, expected: &str| assert_eq!(spelled(text), expected);
        check("La targa AB123CD, giusto?", "La targa A B 1 2 3 C D, giusto?");
        check("al 3331234567.", "al 3 3 3 1 2 3 4 5 6 7.");
        check("alle 15:30 del 24 nel 2026 per 1250 euro", "alle 15:30 del 24 nel 2026 per 1250 euro");
        check("una Fiat 500L", "una Fiat 500L");
    }

    #[test]
    fn the_silence_at_the_end_is_cut_and_no_other() {
        let mut settings = CommandTtsSettings::from(EspeakSettings::default());
        settings.output = Output::Raw;
        settings.rate = Rate::new(10_000).unwrap();
        settings.tail_ms = 1;
        let samples: Vec<i16> = [vec![900; 5], vec![0; 100], vec![-900; 5], vec![1; 500]].concat();
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        for piece in [1, 7, 64, 5_000] {
            let mut sound = Sound::new(&settings);
            let mut out = Vec::new();
            for piece in bytes.chunks(piece) {
                out.extend(sound.take(piece).unwrap());
            }
            out.extend(sound.take(&[]).unwrap());
            assert_eq!(out, samples[..120], "pieces of {piece}");
        }
    }
}
