//! A gateway on a port of this machine that was free, while it runs.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use tokio::{sync::oneshot, task::JoinHandle};

use crate::{
    gateway::{self, DrainSettings, Gateway, Watch},
    tenant::Directory,
};

/// How long it may take to stop: longer than its calls have to end.
const STOP_WAIT: Duration = Duration::from_secs(30);

/// The gateway while it runs. Dropped without [`stop`](Self::stop), it stops by itself, and nobody waits for it.
#[derive(Debug)]
pub struct Running {
    /// Where it is.
    address: SocketAddr,
    /// Tells it to stop.
    stop: oneshot::Sender<()>,
    /// Until it has.
    done: JoinHandle<()>,
}

impl Running {
    /// Starts it in front of these tenants.
    pub fn start(directory: Arc<Directory>, watch: Option<Arc<dyn Watch>>) -> anyhow::Result<Self> {
        let listener = gateway::listen(([127, 0, 0, 1], 0).into()).context("no free port on 127.0.0.1")?;
        let address = listener.local_addr().context("the gateway's port cannot be read")?;
        let (stop, stopped) = oneshot::channel::<()>();
        let drain = DrainSettings { finish_s: 5, goodbye_s: 1 };
        let mut gateway = Gateway::new(directory, gateway::Settings { drain, ..gateway::Settings::default() });
        if let Some(watch) = watch {
            gateway = gateway.watched_by(watch);
        }
        let done = tokio::spawn(gateway.run(listener, async { drop(stopped.await) }));
        Ok(Self { address, stop, done })
    }

    /// Where it is, as callers write it: `ws://host:port`.
    pub fn address(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Stops it. When this returns, everything its calls leave behind is kept.
    pub async fn stop(self) -> anyhow::Result<()> {
        let _ = self.stop.send(());
        let ended = tokio::time::timeout(STOP_WAIT, self.done).await;
        ended.context("the gateway does not stop")?.context("the gateway panicked")
    }
}
