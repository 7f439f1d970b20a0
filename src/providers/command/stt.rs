//! Hears whole utterances through a program.

use std::{fs, io::Write, path::PathBuf, sync::Arc, time::Duration};

use futures_util::stream::BoxStream;
use serde::Deserialize;
use tokio::{io::AsyncReadExt, time::timeout};

use super::{
    NAME,
    pool::{Pool, fill},
};
use crate::{
    audio::Rate,
    call::SttEvent,
    language::Language,
    providers::{Heard, Kind, ProviderError, Stt, SttCapabilities, wav, whole},
};

/// A program that reads the WAV file (16 kHz, 16 bits, mono) named `{file}` and writes what was said.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandSttSettings {
    /// The program: a name in the search path, or a path.
    pub program: String,
    /// Its arguments. `{file}` becomes the path of the utterance, `{language}` `it` or `en`.
    pub arguments: Vec<String>,
    /// Processes at once.
    #[serde(default = "processes_max")]
    pub processes_max: usize,
    /// Milliseconds for one utterance, waiting for a place included.
    #[serde(default = "answer_ms")]
    pub answer_ms: u64,
}

const fn processes_max() -> usize {
    2
}

const fn answer_ms() -> u64 {
    6_000
}

/// whisper.cpp's `whisper-cli`. It takes seconds on a small machine; its server behind
/// `/v1/audio/transcriptions` spares the loading of the model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WhisperSettings {
    /// The program.
    #[serde(default = "whisper")]
    pub program: String,
    /// The model's file.
    pub model: String,
    /// Threads of one process.
    #[serde(default = "threads")]
    pub threads: u32,
    /// Processes at once.
    #[serde(default = "processes_max")]
    pub processes_max: usize,
    /// Milliseconds for one utterance.
    #[serde(default = "answer_ms")]
    pub answer_ms: u64,
}

fn whisper() -> String {
    "whisper-cli".into()
}

const fn threads() -> u32 {
    4
}

impl From<WhisperSettings> for CommandSttSettings {
    fn from(whisper: WhisperSettings) -> Self {
        let threads = whisper.threads.to_string();
        let arguments = ["-m", &whisper.model, "-l", "{language}", "-t", &threads, "-f", "{file}", "-nt", "-np"];
        Self {
            program: whisper.program,
            arguments: arguments.map(Into::into).into(),
            processes_max: whisper.processes_max,
            answer_ms: whisper.answer_ms,
        }
    }
}

/// The longest transcript that is read.
const TEXT_BYTES_MAX: u64 = 64 * 1024;

/// A recogniser that is a program: gives no partial texts, answers commits. Cheap to clone.
#[derive(Debug, Clone)]
pub struct CommandStt(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: CommandSttSettings,
    pool: Pool,
}

impl CommandStt {
    /// A recogniser with these settings. The program is looked for when somebody speaks.
    pub fn new(settings: impl Into<CommandSttSettings>) -> Self {
        let settings = settings.into();
        let pool = Pool::new(settings.processes_max, Duration::from_millis(settings.answer_ms));
        Self(Arc::new(Inner { settings, pool }))
    }
}

impl Stt for CommandStt {
    fn capabilities(&self) -> SttCapabilities {
        SttCapabilities { name: NAME, partials: false, turns: false, commits: true }
    }

    fn listen(
        &self,
        audio: BoxStream<'static, Heard>,
        language: Language,
    ) -> BoxStream<'static, Result<SttEvent, ProviderError>> {
        let inner = self.0.clone();
        whole::listen(audio, language, move |samples| {
            let inner = inner.clone();
            async move {
                timeout(Duration::from_millis(inner.settings.answer_ms), inner.transcribe(samples, language))
                    .await
                    .unwrap_or_else(|_| {
                        let detail = format!("{} takes too long: take a smaller model", inner.settings.program);
                        Err(ProviderError::upstream(NAME, Kind::FirstTimeout, detail))
                    })
            }
        })
    }
}

impl Inner {
    async fn transcribe(&self, samples: Vec<i16>, language: Language) -> Result<String, ProviderError> {
        let program = &self.settings.program;
        let written = tokio::task::spawn_blocking(move || Utterance::write(&samples)).await;
        let utterance = written.ok().and_then(Result::ok).ok_or_else(|| {
            ProviderError::refused(NAME, "the utterance cannot be written: check the folder for temporary files")
        })?;
        let path = utterance.0.to_string_lossy();
        let arguments = fill(&self.settings.arguments, &[("file", &path), ("language", language.code())]);
        let mut running = self.pool.start(program, &arguments, false).await?;
        let mut text = Vec::new();
        if let Some(output) = running.child.stdout.take() {
            let _ = output.take(TEXT_BYTES_MAX).read_to_end(&mut text).await;
        }
        match running.child.wait().await {
            Ok(status) if status.success() => {
                Ok(String::from_utf8_lossy(&text).split_whitespace().collect::<Vec<_>>().join(" "))
            }
            _ => {
                let detail = format!("{program} failed: run it by hand with the same arguments");
                Err(ProviderError::upstream(NAME, Kind::Cut, detail))
            }
        }
    }
}

/// An utterance in a file that only we can read, removed when it has been heard.
struct Utterance(PathBuf);

impl Utterance {
    fn write(samples: &[i16]) -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("pronto-{}.wav", uuid::Uuid::now_v7().simple()));
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&path)?;
        let utterance = Self(path);
        file.write_all(&wav::write(samples, Rate::WIDE))?;
        Ok(utterance)
    }
}

impl Drop for Utterance {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
