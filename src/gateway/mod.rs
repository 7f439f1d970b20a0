//! Sockets, tasks and the clock: one port that takes calls for every tenant.
//!
//! ```no_run
//! use std::sync::Arc;
//! use pronto::{gateway::{self, Gateway}, tenant::Directory};
//!
//! # async fn run() -> std::io::Result<()> {
//! let tenants = Arc::new(Directory::new()); // put a tenant::Tenant in there
//! let gateway = Gateway::new(tenants, gateway::Settings::default());
//! let listener = gateway::listen("127.0.0.1:18789".parse().unwrap())?;
//! gateway.run(listener, async { tokio::signal::ctrl_c().await.unwrap_or(()) }).await;
//! # Ok(())
//! # }
//! ```
//!
//! What it does not do: it terminates no TLS (a proxy in front does), keeps no audio unless the shop records its calls,
//! and decides nothing about a conversation.

mod accept;
mod answer;
mod body;
mod brief;
mod calls;
mod clock;
mod drain;
mod driver;
mod feed;
pub mod limits;
pub mod metrics;
mod observe;
mod pulse;
mod query;
mod recogniser;
mod route;
mod session;
mod socket;
mod stall;
mod streams;
mod tap;
mod tool_runs;
mod twilio;
mod vapi;
mod wire;

use std::{
    fmt,
    future::Future,
    sync::{Arc, atomic::AtomicUsize},
};

use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

pub use accept::listen;
pub use drain::{Drain, DrainSettings, Step};
pub use observe::{CallName, Watch};
#[cfg(feature = "fuzz")]
pub use query::fuzz as fuzz_query;
pub use vapi::dialling;

use crate::{
    privacy::Pii,
    tenant::{Directory, Tokens},
};

/// How the gateway is bounded: `[gateway]` in the daemon's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The most connections at once, calls included. More are answered 429.
    pub connections_max: usize,
    /// How late the gateway's tasks may come to run before new calls are answered 429, in milliseconds (the latest
    /// tenth of half a second): the processor is not enough for one more. 0 takes them all.
    pub late_ms_max: u32,
    /// How long a shutdown may take.
    pub drain: DrainSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self { connections_max: 4_096, late_ms_max: 20, drain: DrainSettings::default() }
    }
}

/// Writes the metrics down for `/metrics`.
pub type Exposition = Arc<dyn Fn() -> String + Send + Sync>;

/// A gateway that is about to run. See the [module](self).
pub struct Gateway(Shared);

/// What every connection of a gateway has in common.
pub(crate) struct Shared {
    /// The tenants.
    directory: Arc<Directory>,
    /// Our bounds.
    settings: Settings,
    /// Where a shutdown stands.
    drain: Drain,
    /// The calls under way.
    calls: Arc<calls::Calls>,
    /// Whether there is processor time for one more call.
    pulse: pulse::Pulse,
    /// Connections open.
    connections: AtomicUsize,
    /// Single-use tokens that were given out.
    passes: brief::Brief<session::Pass>,
    /// Where callers are to be put through to when their stream has ended, by the carrier's id of the call.
    transfers: brief::Brief<Pii<String>>,
    /// Tokens of nobody: a tenant that does not exist takes as long to refuse as one that does.
    nobody: Tokens,
    /// Who watches the calls.
    watch: Option<Arc<dyn Watch>>,
    /// What `/metrics` says.
    exposition: Option<Exposition>,
    /// The recordings that are being made, and the way to those that are.
    recordings: Arc<vapi::recordings::Recordings>,
}

impl Gateway {
    /// A gateway for these tenants.
    pub fn new(directory: Arc<Directory>, settings: Settings) -> Self {
        Self(Shared {
            directory,
            settings,
            drain: Drain::default(),
            calls: Arc::default(),
            pulse: pulse::Pulse::new(settings.late_ms_max),
            connections: AtomicUsize::new(0),
            passes: brief::Brief::new(limits::PASS_LIFE, limits::PASSES_MAX),
            transfers: brief::Brief::new(limits::PASS_LIFE, limits::PASSES_MAX),
            nobody: Tokens::new([&secrecy::SecretString::from("nobody")]),
            watch: None,
            exposition: None,
            recordings: Arc::default(),
        })
    }

    /// Somebody watches every call.
    #[must_use]
    pub fn watched_by(mut self, watch: Arc<dyn Watch>) -> Self {
        self.0.watch = Some(watch);
        self
    }

    /// `/metrics` says this; without it there is no such page.
    #[must_use]
    pub fn measured_by(mut self, exposition: Exposition) -> Self {
        self.0.exposition = Some(exposition);
        self
    }

    /// The shutdown of this gateway, to be watched.
    pub fn drain(&self) -> Drain {
        self.0.drain.clone()
    }

    /// Takes calls until `shutdown` is ready, then lets those under way come to their end within the bounds of
    /// [`DrainSettings`].
    pub async fn run(self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let shared = Arc::new(self.0);
        let door = tokio::spawn(accept::accept(Arc::clone(&shared), listener));
        let beating = Arc::clone(&shared);
        tokio::spawn(async move { pulse::beat(&beating).await });
        let tidying = Arc::clone(&shared);
        tokio::spawn(async move { vapi::recordings::keep_tidy(&tidying).await });
        shutdown.await;
        shared
            .drain
            .run(shared.settings.drain, || async {
                shared.calls.quiet().await;
                for id in shared.directory.ids() {
                    if let Some(tenant) = shared.directory.get(&id) {
                        tenant.written().await;
                    }
                }
            })
            .await;
        if door.await.is_err() {
            tracing::error!("the accept loop panicked");
        }
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway")
            .field("tenants", &self.directory.len())
            .field("calls", &self.calls.active())
            .field("step", &self.drain.step())
            .finish_non_exhaustive()
    }
}
