//! A simulated caller: somebody who telephones a gateway over a real WebSocket, in real time, and listens.
//!
//! It speaks either dialect from the other end, sends a frame of 20 ms every 20 ms whether it has something to say or
//! not, hears what comes as a telephone would play it, and keeps both sides on one clock, so that what the call was
//! like is [measured](measure) from the sound.
//!
//! ```no_run
//! use pronto::{
//!     audio::Format,
//!     load::caller::{Lines, Placement, Scenario, Wire, call},
//! };
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let placement = Placement {
//!     address: "ws://127.0.0.1:18789/v1/stream/officina-rossi".into(),
//!     given: false,
//!     token: Some("officina-rossi-demo-token".into()),
//!     from: Some("+393331234567".into()),
//!     wire: Wire::Vapi(Format::PCM_WIDE),
//! };
//! let scenario = Scenario::parse("[[steps]]\nsay = \"a che ora aprite\"\n[[steps]]\nhang_up = true")?;
//! let lines = Lines::follow(scenario, placement.format().rate).await?;
//! let conversation = call(&placement, lines, &mut |moment| println!("{moment:?}"), std::future::pending()).await?;
//! for answered in conversation.recording.answers() {
//!     println!("{} -> {:?}", answered.text, answered.latency());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! What it does not do: it recognises no speech. Which of its lines fits, it learns from the transcripts of the wire
//! where the dialect has them (Vapi), and goes through them in order where it has none (Twilio).

mod around;
mod dial;
mod line;
mod lines;
pub mod measure;
mod recording;
mod scenario;
mod script;
mod sink;
mod talk;

use std::{io, path::PathBuf, time::Duration};

use tokio_tungstenite::tungstenite;

pub use around::{Around, Now};
pub use lines::{Lines, Spoken};
pub use recording::{Recording, WriteError};
pub use scenario::{Scenario, Step, Turn, When};
pub(in crate::load) use script::{Next, Script};
pub use sink::{PLAYOUT, Piece, QUEUE_MAX, Sink};
pub use talk::{Conversation, Happened, How, Moment, call, call_from};

use crate::{
    audio::{CodecError, Format},
    load::lab::speech::SpeechError,
    transport::TransportError,
};

/// How long a gateway may take to let a call in.
pub const ANSWER_WAIT: Duration = Duration::from_secs(10);

/// The longest call a caller makes: it keeps all of it.
pub const CALL_MAX: Duration = Duration::from_secs(3_600);

/// Whom to call, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// `ws://` or `wss://`, host and path.
    pub address: String,
    /// The address was given out for this one call: it is dialled as it is.
    pub given: bool,
    /// What opens the door.
    pub token: Option<String>,
    /// The caller's number.
    pub from: Option<String>,
    /// The dialect.
    pub wire: Wire,
}

/// A dialect and what it carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// Vapi's WebSocket transport, in this format.
    Vapi(Format),
    /// Twilio Media Streams.
    Twilio,
}

impl Wire {
    /// What the line carries, both ways.
    pub const fn format(self) -> Format {
        match self {
            Self::Vapi(format) => format,
            Self::Twilio => Format::MULAW_PHONE,
        }
    }
}

impl Placement {
    /// What the line carries, both ways.
    pub const fn format(&self) -> Format {
        self.wire.format()
    }
}

/// Why a call did not come about, or broke.
#[derive(Debug, thiserror::Error)]
pub enum CallerError {
    /// The address is wrong.
    #[error("the address cannot be dialled: {0}")]
    Address(&'static str),
    /// Nobody listens there.
    #[error("nobody answers at {host}:{port} ({error}): is the gateway running? start it with `pronto serve`")]
    Unreachable {
        /// Where.
        host: String,
        /// Where.
        port: u16,
        /// Why not.
        error: io::Error,
    },
    /// The gateway does not let us in.
    #[error("the gateway refused the call ({status}): {why}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// In the gateway's words.
        why: String,
    },
    /// The connection broke or is no WebSocket.
    #[error("the line broke: {0}")]
    Broken(#[source] Box<tungstenite::Error>),
    /// The gateway sends what the dialect does not have.
    #[error("the gateway does not speak this dialect: {0}; choose another with --dialect")]
    Dialect(#[from] TransportError),
    /// The gateway does not take our audio any more.
    #[error("the gateway has stopped reading: nothing could be sent for {} s", talk::SEND_WAIT.as_secs())]
    Stuck,
    /// A format we cannot speak.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The caller has no voice.
    #[error(transparent)]
    Speech(#[from] SpeechError),
    /// A recording to be played cannot be read.
    #[error("{path} cannot be played ({why}): it must be a 16-bit PCM WAV")]
    Wav {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// A scenario that cannot be followed.
    #[error("the scenario {0}")]
    Scenario(String),
}
