//! What is said on the lines, and how each wire writes it.

use std::{
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use pronto::{
    audio::{Codec, Encoder, Format, Line, Rate, Resampler, signal},
    call::{Action, Actions, AudioIn, Call, Input, InterruptingPolicy, Settings, Setup, TtsEvent},
};
use tokio_tungstenite::tungstenite::Message;

use super::{Result, State, cost::Cost};

/// A wire that both servers speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    VapiPcm,
    VapiMulaw,
    Twilio,
}

impl Wire {
    pub const ALL: [Self; 3] = [Self::VapiPcm, Self::VapiMulaw, Self::Twilio];

    pub const fn name(self) -> &'static str {
        match self {
            Self::VapiPcm => "Vapi PCM",
            Self::VapiMulaw => "Vapi mu-law",
            Self::Twilio => "Twilio",
        }
    }

    pub const fn format(self) -> Format {
        match self {
            Self::VapiPcm => Format::PCM_WIDE,
            Self::VapiMulaw | Self::Twilio => Format::MULAW_PHONE,
        }
    }

    /// The gateway sends silence when it says nothing.
    pub const fn is_continuous(self) -> bool {
        matches!(self, Self::VapiPcm | Self::VapiMulaw)
    }

    /// Where a call to this tenant goes.
    pub fn path(self, tenant: &str) -> String {
        match self {
            Self::VapiPcm => format!("/v1/stream/{tenant}?format=pcm_s16le&rate=16000"),
            Self::VapiMulaw => format!("/v1/stream/{tenant}?format=mulaw&rate=8000"),
            Self::Twilio => format!("/twilio/{tenant}"),
        }
    }

    /// A frame of silence from the server, as one message.
    pub fn silence(self) -> Message {
        let mut bytes = Vec::new();
        if let Ok(mut encoder) = Encoder::new(self.format()) {
            encoder.silence(self.format().rate.samples(Line::FRAME), &mut bytes);
        }
        match self {
            Self::VapiPcm | Self::VapiMulaw => Message::Binary(bytes.into()),
            Self::Twilio => {
                let payload = STANDARD.encode(bytes);
                let stream = stream_name(0);
                Message::Text(
                    format!(r#"{{"event":"media","streamSid":"{stream}","media":{{"payload":"{payload}"}}}}"#).into(),
                )
            }
        }
    }
}

/// As long as a real one.
pub fn stream_name(call: usize) -> String {
    format!("MZ{call:032x}")
}

/// The caller's side of every line, at 16 kHz.
pub struct Track {
    /// Half a minute of speech in a quiet room.
    speech: Vec<i16>,
    /// The quiet room.
    room: Vec<i16>,
    /// Whose speech it is.
    pub voice: &'static str,
}

impl Track {
    pub fn new() -> Result<Self> {
        let (mut speech, voice) = voice(Who::Caller, Rate::WIDE);
        let room = signal::Noise::new(1).white(speech.len(), -65.0);
        signal::add(&mut speech, &room, 0);
        Ok(Self { speech, room, voice })
    }

    /// The payloads of 20 ms each.
    pub fn packets(&self, state: State, format: Format) -> Result<Vec<Vec<u8>>> {
        Ok(signal::packets(if state.caller { &self.speech } else { &self.room }, Rate::WIDE, format)?)
    }
}

/// Who speaks: two people, who do not say the same. With one voice the search for our own would find it everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Caller,
    Agent,
}

impl Who {
    const fn voice(self) -> &'static str {
        match self {
            Self::Caller => "it",
            Self::Agent => "it+f3",
        }
    }

    const fn sentences(self) -> &'static str {
        match self {
            Self::Caller => CALLER,
            Self::Agent => AGENT,
        }
    }
}

const CALLER: &str = "Buongiorno, vorrei prenotare un tagliando per la mia Panda. La macchina fa un rumore strano quando \
        giro a destra, e si è accesa la spia del motore. Mi chiamo Giovanni Esposito, il numero è tre tre tre, uno due \
        tre, quattro cinque sei sette. Va bene martedì alle nove? No, aspetti, preferisco nel pomeriggio. Quanto costa \
        il cambio delle gomme invernali? Ecco, allora facciamo giovedì mattina, così lascio la macchina e passo a \
        riprenderla la sera.";

const AGENT: &str = "Officina Rossi, buongiorno. Certo, per la revisione abbiamo posto lunedì mattina alle otto e mezza, \
    oppure mercoledì dopo pranzo. Per la spia accesa conviene una diagnosi, che richiede circa un'ora. Mi lascia la \
    targa, per favore? Perfetto, le confermo l'appuntamento e le mando un messaggio con tutti i dettagli. Se dovesse \
    fare tardi ci chiami pure, siamo aperti fino alle sei e mezza. Le serve un'auto sostitutiva nel frattempo?";

/// What somebody says in Italian, with the pauses between sentences that a person makes; and how it was made.
pub fn voice(who: Who, rate: Rate) -> (Vec<i16>, &'static str) {
    let spoken = Command::new("espeak-ng").args(["-v", who.voice(), "--stdout", who.sentences()]).output();
    let wav = spoken.ok().filter(|spoken| spoken.status.success()).map(|spoken| spoken.stdout).unwrap_or_default();
    let mut sound = Vec::new();
    if let (Some(header), Some(samples)) = (wav.get(..44), wav.get(44..)) {
        let hz = u32::from_le_bytes([header[24], header[25], header[26], header[27]]);
        let samples: Vec<i16> = samples.as_chunks::<2>().0.iter().map(|pair| i16::from_le_bytes(*pair)).collect();
        let mut resampler = Resampler::new(Rate::new(hz).unwrap_or(Rate::WIDE), rate);
        resampler.process(&samples, &mut sound);
        resampler.flush(&mut sound);
        return (sound, "espeak-ng, Italian");
    }
    // Syllables with a pitch.
    sound = vec![0; rate.samples(Duration::from_secs(30))];
    let (syllable, rest) = (rate.samples(Duration::from_millis(200)), rate.samples(Duration::from_millis(260)));
    for at in 0..sound.len() / rest {
        for harmonic in 1..=12 {
            let base = if who == Who::Caller { 120.0 } else { 190.0 };
            let hz = (base + (at % 5) as f64 * 8.0) * f64::from(harmonic);
            let part = signal::sine(hz, rate, 5_000.0 / f64::from(harmonic), 0, syllable);
            signal::add(&mut sound, &part, at * rest);
        }
    }
    (sound, "harmonics (espeak-ng is not installed)")
}

/// The lines a call can be embedded on.
pub fn lines() -> Vec<(&'static str, Line)> {
    vec![
        ("PCM 16k", Line::vapi(Format::PCM_WIDE)),
        ("mu-law 8k", Line::vapi(Format::MULAW_PHONE)),
        ("Twilio", Line::twilio()),
        #[cfg(feature = "opus")]
        ("Opus 16k", Line::vapi(Format { codec: Codec::Opus, rate: Rate::WIDE })),
        #[cfg(feature = "opus")]
        ("Opus 48k", Line::vapi(Format { codec: Codec::Opus, rate: Rate::FULL })),
    ]
}

#[cfg(not(feature = "opus"))]
const _: Codec = Codec::Opus;

/// CPU-ms for each second of a call that somebody embeds: the caller's packets in, frames out, nothing else.
pub fn embedded(track: &Track, line: Line, state: State) -> Result<f64> {
    let settings = Settings {
        interruption: pronto::call::Interrupting { policy: InterruptingPolicy::Never, ..Default::default() },
        silence_s: 1_000_000,
        duration_max_s: 1_000_000,
        ..Settings::default()
    };
    let packets = track.packets(state, line.hears)?;
    let sound = voice(Who::Agent, Rate::VOICE).0;
    let mut call = Call::new(Setup {
        line,
        clock: jiff::civil::date(2026, 4, 13).at(10, 0, 0, 0).in_tz("Europe/Rome")?,
        caller: None,
        settings: Arc::new(settings),
        instructions: "".into(),
        greeting: if state.agent { "Buongiorno.".into() } else { "".into() },
        tools: Arc::new([]),
        stt_partials: true,
        stt_commits: true,
        voice: Rate::VOICE,
        complete: |_, _, _| false,
    })?;
    let (start, mut actions) = (Instant::now(), Actions::new());
    let mut pieces = sound.chunks(2_400).cycle();
    let (mut clause, mut wake) = (None, call.handle(start, Input::Answered, &mut actions));
    let seconds = super::number("PRONTO_PLAIN_SECONDS", 30) as u32;
    let before = Cost::of(std::process::id())?;
    for frame in 0..seconds * 50 {
        let until = start + Line::FRAME * frame;
        while let Some(at) = wake.map(|wake| wake.at).filter(|at| *at < until) {
            wake = call.handle(at, Input::Wake, &mut actions);
            actions.clear();
        }
        wake = call.handle(until, Input::Audio(AudioIn::plain(&packets[frame as usize % packets.len()])), &mut actions);
        for action in actions.list() {
            if let Action::Speak { turn, clause: of, .. } = action {
                clause = Some((*turn, *of));
            }
        }
        actions.clear();
        if frame == 0 && state.agent && clause.is_none() {
            clause = Some((pronto::call::Turn(1), pronto::call::ClauseId(0)));
        }
        if let Some((turn, clause)) = clause.filter(|_| call.is_hungry()) {
            let piece = TtsEvent::Audio(pieces.next().unwrap_or_default().to_vec());
            wake = call.handle(until, Input::Tts(turn, clause, piece), &mut actions);
            actions.clear();
        }
    }
    let spent = Cost::of(std::process::id())?.since(&before);
    Ok(spent / f64::from(seconds))
}
