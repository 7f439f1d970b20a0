//! Bytes of the wire to samples and back.
//!
//! A decoder takes pieces of any length: an odd byte of PCM waits for its other half. It remembers the last 20 ms to
//! bridge a hole. What it does not do: it knows no packets but Opus's, and no time.

use super::{Codec, Format, Rate, g711};

/// A format that cannot be carried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// This build has no Opus.
    #[error("codec `opus` is not in this build: build with the feature `opus`, or use mulaw, alaw or pcm_s16le")]
    OpusNotBuilt,
    /// Opus has five rates.
    #[error("rate: Opus does not run at {0}: use 8000, 12000, 16000, 24000 or 48000")]
    OpusRate(Rate),
    /// The library refused.
    #[error("codec `opus` could not start: {0}: check the installed libopus")]
    Opus(String),
}

/// Bytes to samples.
///
/// ```
/// use pronto::audio::{Codec, Decoder, Format, Rate};
/// let mut decoder = Decoder::new(Format { codec: Codec::Pcm, rate: Rate::WIDE })?;
/// let mut out = Vec::new();
/// decoder.decode(&[1, 0, 2], &mut out);
/// decoder.decode(&[0], &mut out);
/// assert_eq!(out, [1, 2]);
/// # Ok::<(), pronto::audio::CodecError>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    /// How bytes become samples.
    coding: Decoding,
    /// The last samples given, at most 20 ms: what a hole is bridged with.
    tail: Vec<i16>,
    /// The most `tail` holds.
    tail_max: usize,
    /// Samples already bridged since the last real one.
    bridged: usize,
    /// Samples that were made up.
    concealed: u64,
    /// Opus packets that could not be read.
    bad: u64,
}

#[derive(Debug)]
enum Decoding {
    /// The byte that waits for its other half.
    Pcm(Option<u8>),
    Mulaw,
    Alaw,
    #[cfg(feature = "opus")]
    Opus(super::opus::Decoder),
}

impl Decoder {
    /// A decoder for a format.
    pub fn new(format: Format) -> Result<Self, CodecError> {
        let coding = match format.codec {
            Codec::Pcm => Decoding::Pcm(None),
            Codec::Mulaw => Decoding::Mulaw,
            Codec::Alaw => Decoding::Alaw,
            #[cfg(feature = "opus")]
            Codec::Opus => Decoding::Opus(super::opus::Decoder::new(format.rate)?),
            #[cfg(not(feature = "opus"))]
            Codec::Opus => return Err(CodecError::OpusNotBuilt),
        };
        let tail_max = format.rate.hz() as usize / 50;
        Ok(Self { coding, tail: Vec::with_capacity(tail_max), tail_max, bridged: 0, concealed: 0, bad: 0 })
    }

    /// Appends the samples of these bytes. Opus: one packet a call; a packet that cannot be read is concealed.
    pub fn decode(&mut self, bytes: &[u8], out: &mut Vec<i16>) {
        let start = out.len();
        match &mut self.coding {
            Decoding::Pcm(odd) => pcm(bytes, odd, out),
            Decoding::Mulaw => out.extend(bytes.iter().map(|code| g711::MULAW[usize::from(*code)])),
            Decoding::Alaw => out.extend(bytes.iter().map(|code| g711::ALAW[usize::from(*code)])),
            #[cfg(feature = "opus")]
            Decoding::Opus(decoder) => {
                if !bytes.is_empty() && !decoder.decode(bytes, out) {
                    self.bad += 1;
                    self.concealed += (out.len() - start) as u64;
                }
            }
        }
        self.remember(&out[start..]);
    }

    /// Appends this many made-up samples, for a hole: the last 20 ms mirrored and faded out, then silence. Opus has
    /// its own way.
    pub fn conceal(&mut self, samples: usize, out: &mut Vec<i16>) {
        self.concealed += samples as u64;
        match &mut self.coding {
            // The byte that waited belongs to the other side of the hole.
            Decoding::Pcm(odd) => *odd = None,
            Decoding::Mulaw | Decoding::Alaw => {}
            #[cfg(feature = "opus")]
            Decoding::Opus(decoder) => return decoder.conceal(samples, out),
        }
        let fade = self.tail.len();
        let bridge = fade.saturating_sub(self.bridged).min(samples);
        out.extend((self.bridged..self.bridged + bridge).map(|at| {
            let left = (fade - at) as i64;
            (i64::from(self.tail[fade - 1 - at]) * left / (fade as i64 + 1)) as i16
        }));
        out.resize(out.len() + samples - bridge, 0);
        self.bridged += bridge;
    }

    /// Samples that were made up so far.
    pub fn concealed(&self) -> u64 {
        self.concealed
    }

    /// Opus packets that could not be read so far.
    pub fn bad(&self) -> u64 {
        self.bad
    }

    fn remember(&mut self, given: &[i16]) {
        if given.is_empty() {
            return;
        }
        self.bridged = 0;
        let given = &given[given.len().saturating_sub(self.tail_max)..];
        let over = (self.tail.len() + given.len()).saturating_sub(self.tail_max);
        self.tail.drain(..over);
        self.tail.extend_from_slice(given);
    }
}

fn pcm(bytes: &[u8], odd: &mut Option<u8>, out: &mut Vec<i16>) {
    let bytes = match (odd.take(), bytes) {
        (Some(low), [high, rest @ ..]) => {
            out.push(i16::from_le_bytes([low, *high]));
            rest
        }
        (waiting, bytes) => {
            *odd = waiting;
            bytes
        }
    };
    let (pairs, rest) = bytes.as_chunks::<2>();
    out.extend(pairs.iter().map(|pair| i16::from_le_bytes(*pair)));
    if let [low] = rest {
        *odd = Some(*low);
    }
}

/// Samples to bytes.
///
/// ```
/// use pronto::audio::{Encoder, Format};
/// let mut encoder = Encoder::new(Format::MULAW_PHONE)?;
/// let mut out = Vec::new();
/// encoder.encode(&[0; 160], &mut out);
/// assert_eq!(out, [0xFF; 160]);
/// # Ok::<(), pronto::audio::CodecError>(())
/// ```
#[derive(Debug)]
pub struct Encoder {
    /// How samples become bytes.
    coding: Encoding,
}

#[derive(Debug)]
enum Encoding {
    Pcm,
    Mulaw,
    Alaw,
    #[cfg(feature = "opus")]
    Opus(super::opus::Encoder),
}

impl Encoder {
    /// An encoder for a format.
    pub fn new(format: Format) -> Result<Self, CodecError> {
        let coding = match format.codec {
            Codec::Pcm => Encoding::Pcm,
            Codec::Mulaw => Encoding::Mulaw,
            Codec::Alaw => Encoding::Alaw,
            #[cfg(feature = "opus")]
            Codec::Opus => Encoding::Opus(super::opus::Encoder::new(format.rate)?),
            #[cfg(not(feature = "opus"))]
            Codec::Opus => return Err(CodecError::OpusNotBuilt),
        };
        Ok(Self { coding })
    }

    /// Appends the bytes of these samples. Opus: one packet a call, of up to 60 ms; an odd length is padded with
    /// silence to the next of 2.5, 5, 10, 20, 40 or 60 ms.
    pub fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        match &mut self.coding {
            Encoding::Pcm => out.extend(samples.iter().flat_map(|sample| sample.to_le_bytes())),
            Encoding::Mulaw => out.extend(samples.iter().map(|sample| g711::mulaw(*sample))),
            Encoding::Alaw => out.extend(samples.iter().map(|sample| g711::alaw(*sample))),
            #[cfg(feature = "opus")]
            Encoding::Opus(encoder) => encoder.encode(samples, out),
        }
    }

    /// Appends this many samples of silence. Opus: one packet, as for [`encode`](Self::encode).
    pub fn silence(&mut self, samples: usize, out: &mut Vec<u8>) {
        match &mut self.coding {
            Encoding::Pcm => out.resize(out.len() + 2 * samples, 0),
            Encoding::Mulaw => out.resize(out.len() + samples, g711::MULAW_SILENCE),
            Encoding::Alaw => out.resize(out.len() + samples, g711::ALAW_SILENCE),
            #[cfg(feature = "opus")]
            Encoding::Opus(encoder) => encoder.silence(samples, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(codec: Codec) -> Format {
        Format { codec, rate: Rate::PHONE }
    }

    #[test]
    fn bytes_split_anywhere_give_the_same_samples() {
        let bytes: Vec<u8> = (0..=255).cycle().take(2_001).collect();
        for codec in [Codec::Pcm, Codec::Mulaw, Codec::Alaw] {
            let mut whole = Vec::new();
            Decoder::new(format(codec)).expect("built").decode(&bytes, &mut whole);
            for size in [1, 2, 3, 7, 160, 1_001] {
                let mut decoder = Decoder::new(format(codec)).expect("built");
                let mut pieces = Vec::new();
                bytes.chunks(size).for_each(|piece| decoder.decode(piece, &mut pieces));
                decoder.decode(&[], &mut pieces);
                assert_eq!(pieces, whole, "{codec:?} in pieces of {size}");
            }
        }
    }

    #[test]
    fn silence_decodes_to_silence() {
        for codec in [Codec::Pcm, Codec::Mulaw, Codec::Alaw] {
            let (mut bytes, mut samples) = (Vec::new(), Vec::new());
            Encoder::new(format(codec)).expect("built").silence(160, &mut bytes);
            Decoder::new(format(codec)).expect("built").decode(&bytes, &mut samples);
            assert_eq!(samples.len(), 160);
            assert!(samples.iter().all(|sample| sample.abs() <= 8), "{codec:?}");
        }
    }

    #[test]
    fn a_hole_is_bridged_without_a_step_and_fades() {
        let mut decoder = Decoder::new(format(Codec::Pcm)).expect("built");
        let tone: Vec<u8> = (0..400)
            .flat_map(|at| {
                ((f64::from(at) * 0.2).sin() * 10_000.0) as i16..=((f64::from(at) * 0.2).sin() * 10_000.0) as i16
            })
            .flat_map(i16::to_le_bytes)
            .collect();
        let mut out = Vec::new();
        decoder.decode(&tone, &mut out);
        let last = out[399];
        out.clear();
        decoder.conceal(100, &mut out);
        decoder.conceal(300, &mut out);
        assert_eq!(out.len(), 400);
        assert!((i32::from(out[0]) - i32::from(last)).abs() < 2_100, "a step from {last} to {}", out[0]);
        for pair in out.windows(2) {
            assert!((i32::from(pair[0]) - i32::from(pair[1])).abs() < 2_100, "a step inside the bridge");
        }
        assert!(out[160..].iter().all(|sample| *sample == 0), "silence after 20 ms");
        assert_eq!(decoder.concealed(), 400);
    }

    #[cfg(not(feature = "opus"))]
    #[test]
    fn opus_that_was_not_built_names_the_fix() {
        let error = Decoder::new(format(Codec::Opus)).expect_err("not built");
        assert!(error.to_string().contains("feature `opus`"), "{error}");
    }

    #[cfg(feature = "opus")]
    #[test]
    fn opus_speaks_and_bridges_bad_packets() {
        use crate::audio::signal::{purity_db, sine};
        for hz in [8_000, 16_000, 24_000, 48_000] {
            let format = Format { codec: Codec::Opus, rate: Rate::new(hz).expect("a rate") };
            let (mut encoder, mut decoder) =
                (Encoder::new(format).expect("libopus"), Decoder::new(format).expect("libopus"));
            let (frame, mut out) = (hz as usize / 50, Vec::new());
            for at in 0..100 {
                let mut packet = Vec::new();
                encoder.encode(&sine(400.0, format.rate, 9_000.0, at * frame, frame), &mut packet);
                assert!(!packet.is_empty() && packet.len() < 400);
                decoder.decode(&packet, &mut out);
            }
            assert_eq!(out.len(), 100 * frame);
            assert!(purity_db(&out[50 * frame..], 400.0, format.rate) > 15.0, "{hz}");
            for bad in [&[][..], &[0xFF], &[3, 0xFF, 1], &[0xFF; 5_000]] {
                decoder.decode(bad, &mut out);
            }
            assert_eq!((out.len(), decoder.bad()), (103 * frame, 3), "a bad packet lasts as long as the one before");
            decoder.conceal(frame + 1, &mut out);
            assert_eq!(out.len(), 104 * frame + 1);
            let mut packet = Vec::new();
            for _ in 0..10 {
                packet.clear();
                encoder.silence(frame, &mut packet);
            }
            assert!((1..80).contains(&packet.len()), "silence is cheap: {}", packet.len());
            packet.clear();
            encoder.encode(&[1; 100], &mut packet);
            assert!(!packet.is_empty(), "an odd length is padded");
        }
    }

    #[cfg(feature = "opus")]
    #[test]
    fn opus_at_a_rate_it_does_not_have_names_the_ones_it_has() {
        let format = Format { codec: Codec::Opus, rate: Rate::new(22_050).expect("a rate") };
        assert!(Encoder::new(format).expect_err("no such rate").to_string().contains("24000"));
    }
}
