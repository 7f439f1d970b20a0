//! What the caller says, from bytes of the wire to samples, speech and keys.
//!
//! The chain: order and holes ([`Jitter`]) -> decode -> 16 kHz -> keys in the sound -> noise suppression -> voice
//! activity. The recogniser gets the sound as it came, without noise suppression and without delay; only the detectors
//! listen to a cleaned copy.
//!
//! Positions count 16 kHz samples since the beginning.

use std::time::{Duration, Instant};

use super::{
    CodecError, Decoder, Format, Jitter, Key, Piece, Rate, Resampler, Troubles, VadSettings,
    dtmf::Dtmf,
    gate::Voice,
    level::db,
    ring::Ring,
    step::{STEP, Steps, mean_square},
    vad::Vad,
};

/// What was heard, with positions in 16 kHz samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// The caller began to speak.
    SpeechStarted {
        /// The first voiced sample, estimated.
        at: u64,
        /// Where it was decided.
        detected: u64,
    },
    /// The caller stopped speaking.
    SpeechStopped {
        /// The last voiced sample (T0), dated back.
        at: u64,
        /// Where it was decided.
        detected: u64,
    },
    /// A key was heard in the sound.
    Key(Key),
    /// Audio is missing and was made up.
    Hole {
        /// Where the hole begins.
        at: u64,
        /// How long it is.
        samples: u64,
    },
}

/// The inbound chain of one call.
///
/// ```
/// use pronto::audio::{Ear, Format, VadSettings};
/// let mut ear = Ear::new(Format::MULAW_PHONE, &VadSettings::default())?;
/// let mut samples = Vec::new();
/// ear.hear(&[0xFF; 160], None, None, &mut samples, &mut |heard| println!("{heard:?}"));
/// assert!(!ear.speaking());
/// # Ok::<(), pronto::audio::CodecError>(())
/// ```
#[derive(Debug)]
pub struct Ear {
    jitter: Jitter,
    chain: Chain,
}

/// Everything behind the jitter stage.
#[derive(Debug)]
struct Chain {
    decoder: Decoder,
    /// Samples at the wire's rate, of the piece in hand.
    native: Vec<i16>,
    resampler: Resampler,
    steps: Steps,
    dtmf: Dtmf,
    vad: Vad,
    /// Samples given so far.
    position: u64,
    /// Mean square of the sound, smoothed over about 100 ms.
    power: f32,
    /// The last samples given; zeros before the first.
    recent: Ring<RECENT>,
}

/// How much of the sound is remembered: what [`EchoGuard`](super::EchoGuard) compares.
const RECENT: usize = 2_048;

impl Ear {
    /// For a wire in this format.
    pub fn new(format: Format, vad: &VadSettings) -> Result<Self, CodecError> {
        Ok(Self {
            jitter: Jitter::new(format.rate),
            chain: Chain {
                decoder: Decoder::new(format)?,
                native: Vec::with_capacity(format.rate.hz() as usize / 50),
                resampler: Resampler::new(format.rate, Rate::WIDE),
                steps: Steps::new(),
                dtmf: Dtmf::new(),
                vad: Vad::new(vad),
                position: 0,
                power: 0.0,
                recent: Ring::new(),
            },
        })
    }

    /// Hears one payload of the wire: appends its sound at 16 kHz to `samples` and tells what was in it.
    pub fn hear(
        &mut self,
        payload: &[u8],
        media_time: Option<Duration>,
        sequence: Option<u32>,
        samples: &mut Vec<i16>,
        on: &mut impl FnMut(Heard),
    ) {
        self.jitter.push(payload, media_time, sequence, &mut |piece| self.chain.take(piece, samples, on));
    }

    /// The payload about to be heard arrived at this moment: watches for delivery gaps.
    pub fn arrived(&mut self, now: Instant) {
        self.jitter.arrived(now);
    }

    /// 16 kHz samples since the beginning.
    pub fn position(&self) -> u64 {
        self.chain.position
    }

    /// The caller is speaking.
    pub fn speaking(&self) -> bool {
        self.chain.vad.speaking()
    }

    /// How long the present speech has been going on, short gaps included; 0 in silence.
    pub fn voiced_run(&self) -> Duration {
        Rate::WIDE.duration(self.chain.vad.voiced_run())
    }

    /// How long the present speech has surely been speech: what holds our voice. A slam, a cough, a key leave it short.
    pub fn speech_run(&self) -> Duration {
        Rate::WIDE.duration(self.chain.vad.speech_run())
    }

    /// How long the caller has been silent: 16 kHz samples since the last voiced one.
    pub fn silence(&self) -> u64 {
        self.chain.position.saturating_sub(self.chain.vad.last_voiced())
    }

    /// How loud it is, over the last 100 ms or so.
    pub fn level_db(&self) -> f32 {
        db(self.chain.power)
    }

    /// The last 128 ms at 16 kHz, in two parts, the older first: for
    /// [`EchoGuard::likeness`](super::EchoGuard::likeness).
    pub fn recent(&self) -> [&[i16]; 2] {
        self.chain.recent.latest(RECENT)
    }

    /// Samples that were made up, at the wire's rate.
    pub fn concealed(&self) -> u64 {
        self.chain.decoder.concealed()
    }

    /// What went wrong on the way here.
    pub fn troubles(&self) -> Troubles {
        self.jitter.troubles()
    }
}

impl Chain {
    /// Takes one piece; answers how many samples it held at the wire's rate.
    fn take(&mut self, piece: Piece<'_>, samples: &mut Vec<i16>, on: &mut impl FnMut(Heard)) -> usize {
        self.native.clear();
        match piece {
            Piece::Packet(bytes) => self.decoder.decode(bytes, &mut self.native),
            Piece::Hole(missing) => {
                let from = u64::from(self.resampler.from().hz());
                let wide = missing as u64 * u64::from(Rate::WIDE.hz()) / from;
                on(Heard::Hole { at: self.position, samples: wide });
                self.decoder.conceal(missing, &mut self.native);
            }
        }
        let start = samples.len();
        self.resampler.process(&self.native, samples);
        let wide = &samples[start..];
        self.position += wide.len() as u64;
        self.recent.push(wide);
        let Self { steps, dtmf, vad, power, .. } = self;
        steps.feed(wide, |step| {
            let now = mean_square(step);
            *power += (now - *power) * (STEP as f32 / 1_600.0);
            dtmf.step(step, now, &mut |key| on(Heard::Key(key)));
            if dtmf.sounding() {
                vad.deny();
            }
            vad.step(step, now, &mut |voice| {
                on(match voice {
                    Voice::Started { at, detected } => Heard::SpeechStarted { at, detected },
                    Voice::Stopped { at, detected } => Heard::SpeechStopped { at, detected },
                });
            });
        });
        self.native.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{Codec, Detector, dtmf, signal};

    fn energy() -> VadSettings {
        VadSettings { detector: Detector::Energy, ..VadSettings::default() }
    }

    fn heard(ear: &mut Ear, packets: &[Vec<u8>]) -> (Vec<i16>, Vec<Heard>) {
        let (mut samples, mut events) = (Vec::new(), Vec::new());
        for packet in packets {
            ear.hear(packet, None, None, &mut samples, &mut |heard| events.push(heard));
        }
        (samples, events)
    }

    #[test]
    fn loud_sound_is_speech_to_the_energy_detector_and_dated() {
        let mut sound = vec![0; 8_000];
        sound.extend(signal::sine(300.0, Rate::PHONE, 8_000.0, 0, 4_000));
        sound.extend([0; 8_000]);
        let mut ear = Ear::new(Format::MULAW_PHONE, &energy()).expect("built");
        let packets = signal::packets(&sound, Rate::PHONE, Format::MULAW_PHONE).expect("built");
        let (samples, events) = heard(&mut ear, &packets);
        assert_eq!(ear.position(), samples.len() as u64);
        let [Heard::SpeechStarted { at, detected }, Heard::SpeechStopped { at: last, detected: decided }] = events[..]
        else {
            panic!("{events:?}");
        };
        assert!(at.abs_diff(16_000) <= 160 && detected <= 16_000 + 640, "{events:?}");
        assert!(last.abs_diff(24_000) <= 320 && decided <= 24_000 + 1_500, "{events:?}");
    }

    #[test]
    fn pieces_of_any_size_hear_the_same() {
        let mut sound = vec![0; 3_000];
        sound.extend(signal::Noise::new(1).white(5_000, -20.0));
        sound.extend([0; 5_000]);
        let format = Format { codec: Codec::Pcm, rate: Rate::VOICE };
        let bytes: Vec<u8> = signal::packets(&sound, Rate::VOICE, format).expect("built").concat();
        let whole = heard(&mut Ear::new(format, &energy()).expect("built"), std::slice::from_ref(&bytes));
        for size in [1, 3, 333, 4_001] {
            let pieces: Vec<Vec<u8>> = bytes.chunks(size).map(<[u8]>::to_vec).collect();
            assert_eq!(heard(&mut Ear::new(format, &energy()).expect("built"), &pieces), whole, "pieces of {size}");
        }
    }

    #[test]
    fn a_hole_keeps_time_true() {
        let mut ear = Ear::new(Format::MULAW_PHONE, &energy()).expect("built");
        let (mut samples, mut events) = (Vec::new(), Vec::new());
        for ms in [0, 20, 40, 460, 480] {
            let time = Some(Duration::from_millis(ms));
            ear.hear(&[0xFF; 160], time, None, &mut samples, &mut |heard| events.push(heard));
        }
        assert_eq!(events, [Heard::Hole { at: 928, samples: 6_400 }]);
        assert_eq!(ear.concealed(), 3_200);
        let behind = 8_000 - samples.len();
        assert!(behind <= 120, "only the filter's delay is missing: {behind}");
    }

    #[test]
    fn keys_are_heard() {
        let mut sound = vec![0; 1_600];
        for label in ['1', '9', '#'] {
            sound.extend(dtmf::tone(Key::new(label).expect("a key"), Rate::PHONE, Duration::from_millis(80)));
            sound.extend([0; 640]);
        }
        let packets = signal::packets(&sound, Rate::PHONE, Format::MULAW_PHONE).expect("built");
        let (_, events) = heard(&mut Ear::new(Format::MULAW_PHONE, &energy()).expect("built"), &packets);
        let keys: Vec<char> = events
            .iter()
            .filter_map(|heard| if let Heard::Key(key) = heard { Some(key.label()) } else { None })
            .collect();
        assert_eq!(keys, ['1', '9', '#']);
    }
}
