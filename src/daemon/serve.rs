//! `pronto serve`: takes calls. The composition root: here the rooms are put together, and nowhere else.

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context;
use clap::Args;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    time::{MissedTickBehavior, interval},
};

use super::{
    Given, Settings,
    check::complain,
    logs,
    tenants::{Folder, Mistakes},
    tide::Tide,
};
use crate::{
    gateway::{self, Gateway, metrics},
    tenant::Directory,
};

/// Takes calls for every tenant in the folder, until it is told to stop
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pronto serve                                        with config/pronto.toml
  pronto serve --listen 0.0.0.0:18789 --log-format json
  PRONTO_TENANTS=/etc/pronto/tenants pronto serve --config /etc/pronto/pronto.toml

SIGHUP reads the tenants' files again. SIGTERM and Ctrl-C let calls come to their end first; a second one does not.")]
pub struct Serve {
    /// Where and how.
    #[command(flatten)]
    pub given: Given,
    /// End when standard input does: for whoever starts us as a part of itself.
    #[arg(long, hide = true)]
    pub with_parent: bool,
}

/// The stack of a thread. Calls live on the heap; the rest is shallow.
const STACK: usize = 512 << 10;

/// Between two tidyings of metrics and memory: without them histograms keep every sample until somebody reads them, and
/// the allocator what ended calls have left.
const UPKEEP: Duration = Duration::from_secs(5);

impl Serve {
    /// Runs until the shutdown is done. `give_back` returns unused memory to the system, where the program can; it is
    /// called after many calls have ended, and told whether nobody is here any more.
    pub fn run(self, give_back: fn(bool)) -> anyhow::Result<ExitCode> {
        let settings = match Settings::read(&self.given) {
            Ok(settings) => settings,
            Err(mistakes) => {
                complain(&[mistakes]);
                return Ok(ExitCode::FAILURE);
            }
        };
        logs::begin(&settings.log);
        if self.with_parent {
            super::with_parent::end_with_standard_input()?;
        }
        // Whoever embeds us may have chosen one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let measured = measure()?;
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(settings.threads)
            .thread_stack_size(STACK)
            .enable_all()
            .build()
            .context("the runtime cannot be started")?
            .block_on(serve(settings, measured, give_back))
    }
}

async fn serve(settings: Settings, measured: PrometheusHandle, give_back: fn(bool)) -> anyhow::Result<ExitCode> {
    let tenants = Arc::new(Directory::new());
    let (stop, stopped) = watch::channel(false);
    let mut folder = Folder::new(settings.tenants.clone(), settings.data.clone(), Arc::clone(&tenants), stopped);
    let mistakes = folder.refresh(true).await?;
    if tenants.is_empty() {
        complain(&mistakes);
        let folder = settings.tenants.display();
        tracing::error!("no tenant can be served: mend or add a file in {folder}, `pronto check` says what is wrong");
        return Ok(ExitCode::FAILURE);
    }
    tell(&mistakes);

    let mut stops = [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?];
    let hangups = signal(SignalKind::hangup())?;
    let listener = gateway::listen(settings.listen)
        .with_context(|| format!("listen: {} cannot be opened; is another one running?", settings.listen))?;
    let address = listener.local_addr()?;
    tracing::info!(%address, tenants = tenants.len(), "taking calls");
    for id in tenants.ids() {
        tracing::info!("ws://{address}/v1/stream/{id}");
    }

    tokio::spawn(watch(folder, hangups, settings.reload_s));
    let page = measured.clone();
    let tide = Arc::new(Tide::new());
    let gateway = Gateway::new(tenants, settings.gateway)
        .measured_by(Arc::new(move || page.render()))
        .watched_by(Arc::<Tide>::clone(&tide));
    tokio::spawn(async move {
        let mut upkeep = interval(UPKEEP);
        // The first one comes at once: there is nothing to tidy yet.
        upkeep.tick().await;
        loop {
            upkeep.tick().await;
            measured.run_upkeep();
            if tide.has_ebbed() {
                give_back(tide.is_out());
            }
        }
    });

    let stopping = async {
        let [terminate, interrupt] = &mut stops;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.send_replace(true);
    };
    tokio::select! {
        biased;
        code = async {
            gateway.run(listener, stopping).await;
            ExitCode::SUCCESS
        } => Ok(code),
        code = impatience() => Ok(code),
    }
}

/// The second signal: whoever sent it does not want to wait.
async fn impatience() -> ExitCode {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    for _ in 0..2 {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
    tracing::warn!("stopping at once: calls are cut off");
    ExitCode::from(130)
}

/// Reads the tenants' files again when they change, and on SIGHUP.
async fn watch(mut folder: Folder, mut hangups: Signal, every_s: u64) {
    let mut look = interval(Duration::from_secs(every_s.max(1)));
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let all = tokio::select! {
            _ = hangups.recv() => true,
            _ = look.tick(), if every_s > 0 => false,
        };
        match folder.refresh(all).await {
            Ok(mistakes) => tell(&mistakes),
            Err(error) => tracing::error!("{error:#}"),
        }
    }
}

fn tell(mistakes: &[Mistakes]) {
    for (path, problems) in mistakes {
        for problem in problems {
            tracing::error!(file = %path.display(), %problem, "a tenant's file has a mistake: it stays as it was");
        }
    }
}

/// Begins to measure.
fn measure() -> anyhow::Result<PrometheusHandle> {
    let builder = metrics::BUCKETS.iter().try_fold(PrometheusBuilder::new(), |builder, (name, buckets)| {
        builder.set_buckets_for_metric(Matcher::Full((*name).to_owned()), buckets)
    })?;
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    // Whoever embeds us may measure already; then our page stays empty.
    if ::metrics::set_global_recorder(recorder).is_err() {
        tracing::debug!("somebody else measures already");
    }
    metrics::describe();
    Ok(handle)
}
