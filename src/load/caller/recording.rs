//! Both sides of a call on one clock, as a stereo WAV: the caller on the left, the agent on the right.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    measure::{self, Answered, Said, Voicing},
    sink::Sink,
};
use crate::audio::Rate;

/// What was sent and what was heard.
#[derive(Debug)]
pub struct Recording {
    /// The caller's side, from the beginning of the call: every sample stands where it was sent.
    pub caller: Vec<i16>,
    /// The agent's side: every sample stands where it was heard.
    pub agent: Sink,
    /// The caller's lines.
    pub said: Vec<Said>,
}

/// A recording that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("the recording {path} cannot be written: {why}; choose a folder that exists and is yours")]
pub struct WriteError {
    /// Where it was to be.
    path: PathBuf,
    /// Why not.
    why: String,
}

impl Recording {
    /// A call that begins.
    pub fn new(rate: Rate) -> Self {
        Self { caller: Vec::new(), agent: Sink::new(rate), said: Vec::new() }
    }

    /// The rate of both sides.
    pub fn rate(&self) -> Rate {
        self.agent.rate()
    }

    /// How each line of the caller was answered.
    pub fn answers(&self) -> Vec<Answered> {
        measure::answers(&self.caller, &self.agent, &self.said, &Voicing::CLEAN)
    }

    /// Writes the WAV, and the folder it stands in.
    pub fn write(&self, path: &Path) -> Result<(), WriteError> {
        let failed = |why: String| WriteError { path: path.to_owned(), why };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(|error: io::Error| failed(error.to_string()))?;
        }
        let spec = hound::WavSpec {
            channels: 2,
            sample_rate: self.rate().hz(),
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut file = hound::WavWriter::create(path, spec).map_err(|error| failed(error.to_string()))?;
        let agent = self.agent.samples();
        for at in 0..self.caller.len().max(agent.len()) {
            for side in [&self.caller[..], agent] {
                file.write_sample(side.get(at).copied().unwrap_or(0)).map_err(|error| failed(error.to_string()))?;
            }
        }
        file.finalize().map_err(|error| failed(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_is_left_and_the_agent_right() {
        let mut recording = Recording::new(Rate::PHONE);
        recording.caller = vec![1, 2, 3];
        recording.agent.audio(0, &[7, 8, 9, 10]);
        let folder = std::env::temp_dir().join(format!("pronto-recording-{}", std::process::id()));
        let path = folder.join("call.wav");
        recording.write(&path).unwrap();
        let mut read = hound::WavReader::open(&path).unwrap();
        let samples: Vec<i16> = read.samples().map(Result::unwrap).collect();
        assert_eq!((read.spec().channels, read.spec().sample_rate), (2, 8_000));
        assert_eq!(samples, [1, 7, 2, 8, 3, 9, 0, 10]);
        fs::remove_dir_all(folder).unwrap();
        let error = recording.write(Path::new("/proc/none/call.wav")).unwrap_err().to_string();
        assert!(error.contains("/proc/none/call.wav"), "{error}");
    }
}
