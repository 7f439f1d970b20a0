//! The lab's voice: espeak-ng, one process a clause, from a bounded pool behind a bounded cache.
//!
//! The agent and the callers have voices of their own (variant, pitch, speed), so that nobody is recognised by the
//! ears by speaking like somebody else.

use std::{
    collections::HashMap,
    io,
    process::Stdio,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};
use tokio::{io::AsyncWriteExt, process::Command, sync::Semaphore};

use super::phrasebook::Phrasebook;
use crate::{
    audio::{Rate, Resampler},
    language::Language,
};

/// The rate espeak-ng speaks at.
const SPOKEN: u32 = 22_050;
/// The header of a piped WAV; its sizes are not true, so it is skipped and the rest read to the end.
const WAV_HEADER: usize = 44;
/// A sample of at most this size is silence: espeak-ng's silence is exact, its decay is not.
const SILENT: u16 = 40;
/// Silence left at the end of a clause. espeak-ng leaves 300 ms, and each turn would end so much late.
const TAIL_MS: usize = 40;
/// The pause that separates phrases synthesised together; spoken it is about 730 ms.
const BREAK_MS: usize = 1_000;
/// Shorter pauses are inside a phrase.
const GAP_MS: usize = 550;
/// Where the pauses are is looked for in every so many samples: a build without optimisation learns phrases too.
const STRIDE: usize = 8;

/// Who speaks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Voice {
    /// A name for scripts and logs.
    pub name: &'static str,
    /// The language spoken.
    pub language: Language,
    /// The espeak-ng voice and variant (`it+f2`).
    pub variant: &'static str,
    /// 0 to 99.
    pub pitch: u8,
    /// Words a minute, 80 to 450.
    pub speed: u16,
}

impl Voice {
    /// The agent's voice in a language.
    pub const fn agent(language: Language) -> Self {
        match language {
            Language::Italian => Self { name: "agent", language, variant: "it+f4", pitch: 62, speed: 170 },
            Language::English => Self { name: "agent", language, variant: "en-gb+f4", pitch: 62, speed: 170 },
        }
    }

    /// The voices of the simulated callers, the ones the ears are trained on.
    pub const fn callers(language: Language) -> [Self; 3] {
        match language {
            Language::Italian => [
                Self { name: "giulia", language, variant: "it+f2", pitch: 50, speed: 165 },
                Self { name: "marco", language, variant: "it+m3", pitch: 42, speed: 175 },
                Self { name: "franco", language, variant: "it+m7", pitch: 30, speed: 150 },
            ],
            Language::English => [
                Self { name: "alice", language, variant: "en-gb+f2", pitch: 50, speed: 165 },
                Self { name: "mark", language, variant: "en-gb+m3", pitch: 42, speed: 175 },
                Self { name: "frank", language, variant: "en-us+m7", pitch: 30, speed: 150 },
            ],
        }
    }
}

/// What the agent's voice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A synthesiser.
    #[default]
    EspeakNg,
    /// Tones that number each 20 ms: a listener can tell what was lost, doubled or damaged. See
    /// [`counted`](crate::load::crowd::counted).
    Counted,
}

/// Why there is no speech.
#[derive(Debug, thiserror::Error)]
pub enum SpeechError {
    /// The program is not installed.
    #[error(
        "espeak-ng is not installed: install the package `espeak-ng` (apt-get install espeak-ng, brew install espeak-ng)"
    )]
    Missing,
    /// The program could not be run.
    #[error("espeak-ng could not be run: {0}")]
    Io(#[from] io::Error),
    /// The program ran and failed.
    #[error("espeak-ng failed ({0}): does it have the voice?")]
    Failed(std::process::ExitStatus),
    /// More text than one clause may have.
    #[error("a text of {0} bytes is too long to be spoken: the limit is {limit}", limit = Speech::MAX_TEXT)]
    TooLong(usize),
    /// The pool was closed: the lab is stopping.
    #[error("the lab is stopping")]
    Stopped,
}

/// A pool of espeak-ng processes and the clauses already spoken.
#[derive(Debug)]
pub struct Speech {
    /// How many processes may run at once.
    pool: Semaphore,
    /// What was said lately.
    said: Mutex<Said>,
}

/// Clause to samples; emptied when it is full.
#[derive(Debug, Default)]
struct Said {
    /// By voice, text and rate.
    clauses: HashMap<(Voice, String, Rate), Arc<[i16]>>,
    /// How many samples are held.
    samples: usize,
}

impl Speech {
    /// Processes at once.
    pub const PROCESSES: usize = 4;
    /// Samples kept in the cache (32 MiB).
    pub const CACHED: usize = 16 << 20;
    /// Bytes in one text.
    pub const MAX_TEXT: usize = 4_096;

    /// A voice, if espeak-ng is installed.
    pub async fn new() -> Result<Self, SpeechError> {
        let ran = Command::new("espeak-ng").arg("--version").stdin(Stdio::null()).output().await;
        match ran {
            Ok(output) if output.status.success() => {
                Ok(Self { pool: Semaphore::new(Self::PROCESSES), said: Mutex::default() })
            }
            Ok(output) => Err(SpeechError::Failed(output.status)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(SpeechError::Missing),
            Err(error) => Err(error.into()),
        }
    }

    /// Says a text at a rate. Dropping the future kills the process.
    pub async fn say(&self, text: &str, voice: &Voice, rate: Rate) -> Result<Arc<[i16]>, SpeechError> {
        if text.len() > Self::MAX_TEXT {
            return Err(SpeechError::TooLong(text.len()));
        }
        let key = (voice.clone(), text.to_string(), rate);
        if let Some(clause) = self.said().clauses.get(&key) {
            return Ok(clause.clone());
        }
        let spoken = Phrasebook::of(voice.language).pronounced(text);
        let pcm = self.run(&escaped(&spoken), voice).await?;
        let clause: Arc<[i16]> = converted(trimmed(&pcm), rate).into();
        self.said().keep(key, clause.clone());
        Ok(clause)
    }

    /// The rate at which phrases are said.
    pub fn rate() -> Rate {
        Rate::new(SPOKEN).expect("a rate within the limits")
    }

    /// Says many phrases in one process (a process costs more than a phrase), each trimmed, at [`rate`](Self::rate).
    /// Each is `ending` like a sentence, its last vowel long, or going on as before a comma.
    pub async fn say_all(&self, texts: &[&str], voice: &Voice, ending: bool) -> Result<Vec<Vec<i16>>, SpeechError> {
        let book = Phrasebook::of(voice.language);
        let pause = format!("<break time=\"{BREAK_MS}ms\"/>\n");
        let together: Vec<String> = texts
            .iter()
            .map(|text| escaped(&book.pronounced(text)))
            .map(|text| if ending { format!("<s>{text}</s>") } else { text })
            .collect();
        let pcm = self.run(&together.join(&pause), voice).await?;
        let phrases = split(&pcm);
        if phrases.len() == texts.len() {
            return Ok(phrases.into_iter().map(<[i16]>::to_vec).collect());
        }
        // A phrase with a long pause of its own, or one that is not heard at all: one by one, then.
        let mut apart = Vec::with_capacity(texts.len());
        for text in texts {
            apart.push(self.say(text, voice, Self::rate()).await?.to_vec());
        }
        Ok(apart)
    }

    /// Runs one process and reads its samples.
    async fn run(&self, ssml: &str, voice: &Voice) -> Result<Vec<i16>, SpeechError> {
        let _turn = self.pool.acquire().await.map_err(|_| SpeechError::Stopped)?;
        let mut child = Command::new("espeak-ng")
            .args(["-v", voice.variant, "-p", &voice.pitch.to_string(), "-s", &voice.speed.to_string()])
            .args(["-m", "--stdin", "--stdout"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(
                |error| if error.kind() == io::ErrorKind::NotFound { SpeechError::Missing } else { error.into() },
            )?;
        if let Some(mut stdin) = child.stdin.take() {
            // espeak-ng reads all of its input before it speaks: this cannot wait for us to read.
            stdin.write_all(ssml.as_bytes()).await?;
        }
        let output = child.wait_with_output().await?;
        if !output.status.success() {
            return Err(SpeechError::Failed(output.status));
        }
        let bytes = output.stdout.get(WAV_HEADER..).unwrap_or_default();
        Ok(bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect())
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Said {
    fn keep(&mut self, key: (Voice, String, Rate), clause: Arc<[i16]>) {
        if self.samples + clause.len() > Speech::CACHED {
            self.clauses.clear();
            self.samples = 0;
        }
        self.samples += clause.len();
        self.clauses.insert(key, clause);
    }
}

/// A clip at another rate than it was spoken at.
fn converted(pcm: &[i16], rate: Rate) -> Vec<i16> {
    let mut out = Vec::with_capacity(pcm.len() * rate.hz() as usize / SPOKEN as usize + 1);
    let mut resampler = Resampler::new(Speech::rate(), rate);
    resampler.process(pcm, &mut out);
    resampler.flush(&mut out);
    out
}

/// Text as SSML text: what a model writes must not be markup.
fn escaped(text: &str) -> String {
    text.replace('&', " ").replace(['<', '>'], " ")
}

/// Without the silence around it, but for a short tail.
fn trimmed(pcm: &[i16]) -> &[i16] {
    let loud = |sample: &i16| sample.unsigned_abs() > SILENT;
    let from = pcm.iter().position(loud).unwrap_or(pcm.len());
    let to = pcm.iter().rposition(loud).map_or(from, |at| at + 1 + TAIL_MS * SPOKEN as usize / 1_000);
    &pcm[from..to.min(pcm.len())]
}

/// The phrases between the long pauses.
fn split(pcm: &[i16]) -> Vec<&[i16]> {
    let gap = GAP_MS * SPOKEN as usize / 1_000;
    let mut phrases = Vec::new();
    let mut phrase: Option<(usize, usize)> = None;
    for (at, sample) in pcm.iter().enumerate().step_by(STRIDE) {
        if sample.unsigned_abs() <= SILENT {
            continue;
        }
        phrase = match phrase {
            Some((from, to)) if at - to > gap => {
                phrases.push((from, to));
                Some((at, at))
            }
            Some((from, _)) => Some((from, at)),
            None => Some((at, at)),
        };
    }
    phrases.extend(phrase);
    phrases.into_iter().map(|(from, to)| &pcm[from.saturating_sub(STRIDE)..(to + STRIDE).min(pcm.len())]).collect()
}
