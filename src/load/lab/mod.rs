//! The lab: local emulators of the OpenAI and Deepgram endpoints we use, over real HTTP and WebSocket.
//!
//! Nothing in it is a recording. Its voice is [`speech`] (espeak-ng), its [`ears`] recognise what the simulated callers
//! say from the sound itself, so that a damaged audio path shows as recognition errors, and its mind is the built-in
//! receptionist. It waits like the real engines do and fails when it is told to ([`faults`]). It never leaves the
//! loopback interface, and it is not a provider: a shop that runs on it talks to a synthesiser.
//!
//! ```no_run
//! # async fn demo() -> Result<(), pronto::load::lab::LabError> {
//! use pronto::load::lab::{Lab, LabSettings};
//! let lab = Lab::start(LabSettings::default()).await?;
//! println!("OPENAI_BASE_URL={} DEEPGRAM_URL={}", lab.openai_url(), lab.deepgram_url());
//! lab.stop().await;
//! # Ok(()) }
//! ```

use std::{fmt, io, net::SocketAddr, sync::Arc};

use tokio::{net::TcpListener, task::AbortHandle};

mod aura;
mod careful;
mod chat;
mod deepgram;
pub mod ears;
pub mod faults;
mod flux;
pub mod journal;
pub mod latency;
mod mfcc;
mod mind;
mod multipart;
mod nova;
mod openai;
mod outbox;
pub mod phrasebook;
mod quick;
mod search;
mod server;
mod settings;
mod sound;
pub mod speech;
mod templates;

pub use settings::{ExtraPhrase, LabSettings, Latencies, Latency};

use self::{
    ears::Ears,
    faults::Faults,
    journal::{Journal, Page},
    server::House,
    speech::{Speech, SpeechError},
};
use crate::language::Language;

/// Why there is no lab.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// It has no voice.
    #[error(transparent)]
    Speech(#[from] SpeechError),
    /// The port is taken, or may not be opened.
    #[error("127.0.0.1:{port} cannot be opened ({error}): set `port` to another, or to 0 for a free one")]
    Port {
        /// The port.
        port: u16,
        /// What the system says.
        error: io::Error,
    },
}

/// A running lab. Dropping it ends it too, without waiting.
pub struct Lab {
    /// Where it listens.
    address: SocketAddr,
    /// Everything its endpoints share.
    house: Arc<House>,
    /// The task that accepts connections.
    accepting: AbortHandle,
}

impl Lab {
    /// Learns the phrases and opens the port.
    ///
    /// # Errors
    /// When espeak-ng is missing or the port is taken.
    pub async fn start(settings: LabSettings) -> Result<Self, LabError> {
        let speech = Arc::new(Speech::new().await?);
        let extra = settings.phrases.iter().map(|phrase| (phrase.language, phrase.text.clone())).collect();
        let ears = Ears::of(settings.ears, speech.clone(), extra);
        for language in &settings.languages {
            ears.learn(*language).await?;
        }
        let port = settings.port;
        let bound = TcpListener::bind(("127.0.0.1", port)).await;
        let listener = bound.map_err(|error| LabError::Port { port, error })?;
        let address = listener.local_addr().map_err(|error| LabError::Port { port, error })?;
        let house = Arc::new(House::new(settings, speech, ears));
        let accepting = tokio::spawn(server::accept(house.clone(), listener)).abort_handle();
        Ok(Self { address, house, accepting })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL for OpenAI clients, with `/v1`.
    pub fn openai_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The base URL for Deepgram clients, without a version.
    pub fn deepgram_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The `[providers]` section with which a gateway hears, thinks and speaks here.
    pub fn providers_toml(&self) -> String {
        let key = self.house.settings.key.as_deref().unwrap_or("lab");
        include_str!("../../../config/lab/providers.toml")
            .replace("{openai}", &self.openai_url())
            .replace("{deepgram}", &self.deepgram_url())
            .replace("{key}", key)
    }

    /// What goes wrong, and when: may be changed at any time.
    pub fn faults(&self) -> &Faults {
        &self.house.faults
    }

    /// What happened so far.
    pub fn journal(&self) -> Page {
        self.house.journal.page()
    }

    /// The journal itself, to make it forget.
    pub fn book(&self) -> &Journal {
        &self.house.journal
    }

    /// The voice, for callers who speak to the gateway.
    pub fn speech(&self) -> &Arc<Speech> {
        &self.house.speech
    }

    /// The ears, for callers who listen to the gateway.
    pub fn ears(&self) -> &Ears {
        &self.house.ears
    }

    /// Learns a language now rather than when it is first heard.
    ///
    /// # Errors
    /// When espeak-ng fails.
    pub async fn learn(&self, language: Language) -> Result<(), LabError> {
        Ok(self.house.ears.learn(language).await?)
    }

    /// Ends every connection and task, and waits until they are gone.
    pub async fn stop(self) {
        self.accepting.abort();
        let mut tasks = self.house.shut();
        while tasks.join_next().await.is_some() {}
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.accepting.abort();
        drop(self.house.shut());
    }
}

impl fmt::Debug for Lab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lab").field("address", &self.address).finish_non_exhaustive()
    }
}
