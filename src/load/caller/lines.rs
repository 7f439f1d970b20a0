//! What the caller has to say, as sound: a scenario spoken beforehand, or lines that come while the call runs.

use std::{path::Path, sync::Arc};

use tokio::sync::mpsc;

use super::{
    CallerError,
    scenario::{Scenario, Turn},
};
use crate::{
    audio::{Rate, Resampler},
    load::lab::speech::{Speech, Voice},
};

/// One line, ready to be sent.
#[derive(Debug, Clone)]
pub struct Spoken {
    /// What is said; the name of the file where it was recorded.
    pub text: String,
    /// At the line's rate.
    pub samples: Arc<[i16]>,
}

/// What a caller says in a call.
#[derive(Debug)]
pub enum Lines {
    /// A scenario, with the sound of each of its steps; silent for those that are not spoken.
    Scenario(Scenario, Vec<Option<Spoken>>),
    /// Lines as they come, each said at once. When the sender is dropped, the caller hangs up after the agent's last
    /// words.
    Live(mpsc::Receiver<Spoken>),
}

impl Lines {
    /// Speaks every line of a scenario beforehand, so that nothing has to be waited for in the call.
    pub async fn follow(scenario: Scenario, rate: Rate) -> Result<Self, CallerError> {
        Self::spoken_by(&Speech::new().await?, scenario, rate).await
    }

    /// The same, with a voice that is there already.
    pub async fn spoken_by(speech: &Speech, scenario: Scenario, rate: Rate) -> Result<Self, CallerError> {
        let voice = voice(&scenario)?;
        let mut spoken = Vec::with_capacity(scenario.steps.len());
        for step in &scenario.steps {
            spoken.push(match &step.turn {
                Turn::Say(text) => Some(Spoken { text: text.clone(), samples: speech.say(text, &voice, rate).await? }),
                Turn::Wav(path) => Some(wav(path, rate)?),
                Turn::Keys(_) | Turn::HangUp => None,
            });
        }
        Ok(Self::Scenario(scenario, spoken))
    }
}

/// The voice a scenario asks for.
fn voice(scenario: &Scenario) -> Result<Voice, CallerError> {
    let voices = Voice::callers(scenario.language);
    let Some(name) = &scenario.voice else { return Ok(voices[0].clone()) };
    voices.iter().find(|voice| voice.name == name).cloned().ok_or_else(|| {
        let known: Vec<_> = voices.iter().map(|voice| voice.name).collect();
        CallerError::Scenario(format!("has no voice `{name}`: known are {}", known.join(", ")))
    })
}

/// The first channel of a WAV, at the line's rate.
fn wav(path: &Path, rate: Rate) -> Result<Spoken, CallerError> {
    let failed = |why: String| CallerError::Wav { path: path.to_owned(), why };
    let mut file = hound::WavReader::open(path).map_err(|error| failed(error.to_string()))?;
    let spec = file.spec();
    let from = Rate::new(spec.sample_rate).map_err(|error| failed(error.to_string()))?;
    if spec.bits_per_sample != 16 || spec.sample_format != hound::SampleFormat::Int {
        return Err(failed(format!("it has {} bits", spec.bits_per_sample)));
    }
    let samples: Vec<i16> = file
        .samples::<i16>()
        .step_by(usize::from(spec.channels.max(1)))
        .collect::<Result<_, _>>()
        .map_err(|error| failed(error.to_string()))?;
    let mut resampler = Resampler::new(from, rate);
    let mut out = Vec::with_capacity(samples.len() * rate.hz() as usize / from.hz() as usize + 1);
    resampler.process(&samples, &mut out);
    resampler.flush(&mut out);
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    Ok(Spoken { text: name, samples: out.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voice_that_nobody_has_is_told() {
        let mut scenario = Scenario::parse("voice = \"marco\"\n[[steps]]\nhang_up = true").unwrap();
        assert_eq!(voice(&scenario).unwrap().name, "marco");
        scenario.voice = Some("pippo".into());
        let told = voice(&scenario).unwrap_err().to_string();
        assert!(told.contains("pippo") && told.contains("giulia"), "{told}");
    }

    #[test]
    fn a_recording_is_played_at_the_lines_rate() {
        let path = std::env::temp_dir().join(format!("pronto-line-{}.wav", std::process::id()));
        let spec = hound::WavSpec {
            channels: 2,
            sample_rate: 16_000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut file = hound::WavWriter::create(&path, spec).unwrap();
        for _ in 0..16_000 {
            file.write_sample(1_000_i16).unwrap();
            file.write_sample(-1_000_i16).unwrap();
        }
        file.finalize().unwrap();
        let spoken = wav(&path, Rate::PHONE).unwrap();
        assert_eq!(spoken.samples.len(), 8_000);
        assert!(spoken.samples[4_000] > 900);
        std::fs::write(&path, "not a wav").unwrap();
        let told = wav(&path, Rate::PHONE).unwrap_err().to_string();
        assert!(told.contains("pronto-line") && told.contains("16-bit PCM WAV"), "{told}");
        std::fs::remove_file(&path).unwrap();
    }
}
