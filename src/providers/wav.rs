//! WAV at the edges: a header in front of what we send, and a header taken off what we are sent.

use crate::audio::Rate;

/// 16-bit mono samples as a WAV file.
pub fn write(samples: &[i16], rate: Rate) -> Vec<u8> {
    let data_bytes = (samples.len() * 2) as u32;
    let mut file = Vec::with_capacity(44 + samples.len() * 2);
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&(36 + data_bytes).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt ");
    file.extend_from_slice(&16_u32.to_le_bytes());
    file.extend_from_slice(&1_u16.to_le_bytes()); // PCM
    file.extend_from_slice(&1_u16.to_le_bytes()); // mono
    file.extend_from_slice(&rate.hz().to_le_bytes());
    file.extend_from_slice(&(rate.hz() * 2).to_le_bytes());
    file.extend_from_slice(&2_u16.to_le_bytes());
    file.extend_from_slice(&16_u16.to_le_bytes());
    file.extend_from_slice(b"data");
    file.extend_from_slice(&data_bytes.to_le_bytes());
    for sample in samples {
        file.extend_from_slice(&sample.to_le_bytes());
    }
    file
}

/// Bytes become samples: an odd byte waits for its other half, and a WAV header, where one is sent, is read and
/// dropped. The sizes in it are not believed: who streams a WAV does not know them.
#[derive(Debug)]
pub struct Decoder {
    /// What a header must say.
    rate: Rate,
    /// Bytes not yet decoded: the beginning until we know whether it is a header, then at most one odd byte.
    held: Vec<u8>,
    /// Past the beginning.
    begun: bool,
}

/// The bytes are not the sound we asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotPcm {
    /// A compressed format or a text.
    #[error("the voice sends {0} instead of 16-bit PCM")]
    Format(&'static str),
    /// Another rate than the settings name.
    #[error("the voice sends {got} Hz, the settings say {expected} Hz: set rate = {got}")]
    Rate {
        /// In the header.
        got: u32,
        /// In the settings.
        expected: u32,
    },
    /// Not 16 bits, not mono, not PCM.
    #[error(
        "the voice sends WAV with {channels} channels of {bits} bits in format {format}: only 16-bit mono PCM is read"
    )]
    Shape {
        /// Format tag.
        format: u16,
        /// Channels.
        channels: u16,
        /// Bits per sample.
        bits: u16,
    },
}

/// The longest header that is looked through for the beginning of the data.
const HEADER_BYTES_MAX: usize = 4096;

impl Decoder {
    /// For sound at this rate, with or without a header.
    pub const fn new(rate: Rate) -> Self {
        Self { rate, held: Vec::new(), begun: false }
    }

    /// For sound at this rate that surely has no header.
    pub const fn raw(rate: Rate) -> Self {
        Self { rate, held: Vec::new(), begun: true }
    }

    /// The samples these bytes complete.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Vec<i16>, NotPcm> {
        if self.begun && self.held.is_empty() {
            return Ok(self.samples(bytes));
        }
        self.held.extend_from_slice(bytes);
        if !self.begun {
            match data_start(&self.held, self.rate)? {
                Some(start) => {
                    self.begun = true;
                    self.held.drain(..start);
                }
                None => return Ok(Vec::new()),
            }
        }
        let held = std::mem::take(&mut self.held);
        Ok(self.samples(&held))
    }

    /// The stream is over: what was still held back because it could have been a header.
    pub fn end(&mut self) -> Vec<i16> {
        let held = std::mem::take(&mut self.held);
        let was_sound = self.begun || !held.starts_with(b"RIFF");
        self.begun = true;
        if was_sound { self.samples(&held) } else { Vec::new() }
    }

    fn samples(&mut self, bytes: &[u8]) -> Vec<i16> {
        let (pairs, odd) = bytes.as_chunks::<2>();
        self.held.extend_from_slice(odd);
        pairs.iter().map(|pair| i16::from_le_bytes(*pair)).collect()
    }
}

/// Where the sound begins, once it is known.
fn data_start(bytes: &[u8], rate: Rate) -> Result<Option<usize>, NotPcm> {
    if bytes.len() < 12 {
        return Ok(None);
    }
    for (magic, name) in [
        (&b"ID3"[..], "MP3"),
        (b"OggS", "Ogg"),
        (b"fLaC", "FLAC"),
        (b"\xff\xfb", "MP3"),
        (b"\xff\xf1", "AAC"),
        (b"{\"", "JSON"),
    ] {
        // A two-byte mark may well be two ordinary samples: only the long ones and JSON are believed at once.
        if bytes.starts_with(magic) && (magic.len() > 2 || name == "JSON" || bytes[2] & 0xf0 >= 0x50) {
            return Err(NotPcm::Format(name));
        }
    }
    if !bytes.starts_with(b"RIFF") || &bytes[8..12] != b"WAVE" {
        return Ok(Some(0));
    }
    let mut at = 12;
    while let Some(head) = bytes.get(at..at + 8) {
        let size = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        match &head[..4] {
            b"data" => return Ok(Some(at + 8)),
            b"fmt " => {
                let Some(format) = bytes.get(at + 8..at + 24) else { return Ok(None) };
                let word = |at: usize| u16::from_le_bytes([format[at], format[at + 1]]);
                let (tag, channels, bits) = (word(0), word(2), word(14));
                if !matches!(tag, 1 | 0xfffe) || channels != 1 || bits != 16 {
                    return Err(NotPcm::Shape { format: tag, channels, bits });
                }
                let got = u32::from_le_bytes([format[4], format[5], format[6], format[7]]);
                if got != rate.hz() {
                    return Err(NotPcm::Rate { got, expected: rate.hz() });
                }
            }
            _ => {}
        }
        at = at.saturating_add(8).saturating_add(size).saturating_add(size & 1);
        if at > HEADER_BYTES_MAX {
            return Err(NotPcm::Format("WAV with an endless header"));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate::VOICE;

    fn decode(bytes: &[u8], piece: usize) -> Result<Vec<i16>, NotPcm> {
        let mut decoder = Decoder::new(RATE);
        let mut samples = Vec::new();
        for piece in bytes.chunks(piece) {
            samples.extend(decoder.take(piece)?);
        }
        samples.extend(decoder.end());
        Ok(samples)
    }

    #[test]
    fn sound_is_the_same_however_it_is_cut() {
        let sound: Vec<i16> = (0..500).map(|n| n * 7 - 300).collect();
        let raw: Vec<u8> = sound.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let mut wav = write(&sound, RATE);
        wav[4..8].copy_from_slice(&0x7fff_f024_u32.to_le_bytes());
        wav[40..44].copy_from_slice(&0x7fff_f000_u32.to_le_bytes());
        for piece in [1, 2, 3, 7, 43, 44, 45, 1000, 5000] {
            assert_eq!(decode(&raw, piece).unwrap(), sound, "raw in pieces of {piece}");
            assert_eq!(decode(&wav, piece).unwrap(), sound, "wav in pieces of {piece}");
        }
        assert_eq!(decode(&raw[..5], 2).unwrap(), sound[..2], "the odd byte at the end is dropped");
    }

    #[test]
    fn what_is_no_sound_is_refused() {
        assert_eq!(decode(b"ID3\x04aaaaaaaaaaaaaaaa", 5).unwrap_err(), NotPcm::Format("MP3"));
        assert_eq!(decode(b"{\"error\":\"no such voice\"}", 5).unwrap_err(), NotPcm::Format("JSON"));
        let wide = write(&[1; 100], Rate::WIDE);
        assert_eq!(decode(&wide, 9).unwrap_err(), NotPcm::Rate { got: 16_000, expected: 24_000 });
        let mut stereo = write(&[1; 100], RATE);
        stereo[22] = 2;
        assert_eq!(decode(&stereo, 9).unwrap_err(), NotPcm::Shape { format: 1, channels: 2, bits: 16 });
    }
}
