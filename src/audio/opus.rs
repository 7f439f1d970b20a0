//! Opus through libopus: one packet a frame. Only in builds with the feature `opus`.

use std::fmt;

use audiopus::{
    Application, Bitrate, Channels, MutSignals, SampleRate,
    coder::{Decoder as Reader, Encoder as Writer},
    packet::Packet,
};

use super::{CodecError, Rate};

/// The longest packet the standard allows.
const PACKET_MAX_MS: usize = 120;
/// Room for one encoded packet; libopus keeps within what it is given.
const BYTES_MAX: usize = 1_275;
/// What speech on a telephone is worth: half of libopus's most thorough search costs a third of the time.
const COMPLEXITY: u8 = 5;

/// Packets to samples.
pub struct Decoder {
    reader: Reader,
    /// Samples in a millisecond.
    per_ms: usize,
    /// Samples of the last packet: how long a bad one probably was.
    last: usize,
}

impl Decoder {
    pub(super) fn new(rate: Rate) -> Result<Self, CodecError> {
        let reader = Reader::new(sample_rate(rate)?, Channels::Mono).map_err(refused)?;
        let per_ms = rate.hz() as usize / 1_000;
        Ok(Self { reader, per_ms, last: 20 * per_ms })
    }

    /// Whether the packet could be read; if not it was concealed.
    pub(super) fn decode(&mut self, bytes: &[u8], out: &mut Vec<i16>) -> bool {
        let start = out.len();
        let length = Packet::try_from(bytes).and_then(|packet| self.reader.nb_samples(packet));
        if let Ok(length) = length
            && length <= PACKET_MAX_MS * self.per_ms
        {
            out.resize(start + length, 0);
            let given = Packet::try_from(bytes).and_then(|packet| self.read(Some(packet), &mut out[start..]));
            if let Ok(given) = given {
                out.truncate(start + given);
                self.last = given;
                return true;
            }
            out.truncate(start);
        }
        self.conceal(self.last, out);
        false
    }

    /// Appends what libopus guesses. It guesses in steps of 2.5 ms; the rest is silence.
    pub(super) fn conceal(&mut self, samples: usize, out: &mut Vec<i16>) {
        let end = out.len() + samples;
        let step = self.per_ms * 5 / 2;
        while out.len() < end {
            let start = out.len();
            let piece = (end - start).min(20 * self.per_ms) / step * step;
            out.resize(start + piece, 0);
            if piece == 0 || self.read(None, &mut out[start..]).is_err() {
                break;
            }
        }
        out.resize(end, 0);
    }

    fn read(&mut self, packet: Option<Packet<'_>>, out: &mut [i16]) -> audiopus::Result<usize> {
        self.reader.decode(packet, MutSignals::try_from(out)?, false)
    }
}

/// Samples to packets.
pub struct Encoder {
    writer: Writer,
    /// Samples in a millisecond.
    per_ms: usize,
    /// A piece that had to be padded.
    padded: Vec<i16>,
}

impl Encoder {
    pub(super) fn new(rate: Rate) -> Result<Self, CodecError> {
        let mut writer = Writer::new(sample_rate(rate)?, Channels::Mono, Application::Voip).map_err(refused)?;
        writer.set_complexity(COMPLEXITY).map_err(refused)?;
        let bits = if rate <= Rate::WIDE { 20_000 } else { 28_000 };
        writer.set_bitrate(Bitrate::BitsPerSecond(bits)).map_err(refused)?;
        let per_ms = rate.hz() as usize / 1_000;
        Ok(Self { writer, per_ms, padded: Vec::with_capacity(60 * per_ms) })
    }

    pub(super) fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        let lengths = [5, 10, 20, 40, 80, 120].map(|halves| halves * self.per_ms / 2);
        let length = lengths.into_iter().find(|length| samples.len() <= *length).unwrap_or(60 * self.per_ms);
        let start = out.len();
        out.resize(start + BYTES_MAX, 0);
        let written = if samples.len() == length {
            self.writer.encode(samples, &mut out[start..])
        } else {
            self.padded.clear();
            self.padded.extend_from_slice(&samples[..samples.len().min(length)]);
            self.padded.resize(length, 0);
            self.writer.encode(&self.padded, &mut out[start..])
        };
        // It can only fail for a length that is not in the list above.
        out.truncate(start + written.unwrap_or(0));
    }

    pub(super) fn silence(&mut self, samples: usize, out: &mut Vec<u8>) {
        self.padded.clear();
        self.padded.resize(samples.min(60 * self.per_ms), 0);
        let silence = std::mem::take(&mut self.padded);
        self.encode(&silence, out);
        self.padded = silence;
    }
}

fn sample_rate(rate: Rate) -> Result<SampleRate, CodecError> {
    match rate.hz() {
        8_000 => Ok(SampleRate::Hz8000),
        12_000 => Ok(SampleRate::Hz12000),
        16_000 => Ok(SampleRate::Hz16000),
        24_000 => Ok(SampleRate::Hz24000),
        48_000 => Ok(SampleRate::Hz48000),
        _ => Err(CodecError::OpusRate(rate)),
    }
}

fn refused(error: audiopus::Error) -> CodecError {
    CodecError::Opus(error.to_string())
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("opus::Decoder").field("per_ms", &self.per_ms).finish_non_exhaustive()
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("opus::Encoder").field("per_ms", &self.per_ms).finish_non_exhaustive()
    }
}
