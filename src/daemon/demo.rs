//! `pronto demo`: a whole booking on this machine, with no key and no server.
//!
//! The lab stands in for the providers, an example shop takes calls behind a real gateway, and a simulated caller
//! telephones it over a real WebSocket in real time. What was promised is checked afterwards; what did not happen is
//! said, and the exit code says so too.

mod running;
pub mod shop;
mod tell;
mod verdict;
mod watch;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Instant,
};

use anyhow::Context;
use clap::Args;
use jiff::civil::DateTime;

pub use running::Running;
pub use verdict::{CUT_MAX, OWN_MAX, Verdict};
pub use watch::Line;

use self::watch::Watcher;
use super::{call::Dialect, terminal::Terminal};
use crate::{
    audio::Format,
    booking::{Appointment, Query},
    load::{
        caller::{Conversation, Lines, Placement, Scenario, Wire, call},
        lab::{Lab, LabSettings, journal::Page},
    },
    store::{SqliteStore, Store},
    tenant::{CallRecord, Directory},
};

/// Books an appointment on the telephone, here and now: no key, no server, no internet
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pronto demo                       a call as from Vapi, 16 kHz
  pronto demo --scenario twilio     a call as from a telephone through Twilio, 8 kHz mu-law
  pronto demo --data /tmp/demo      keep books and recordings there")]
pub struct Demo {
    /// Where the call comes from
    #[arg(long, value_enum, default_value = "vapi")]
    pub scenario: Dialect,
    /// Where books and recordings are kept, a folder for each run
    #[arg(long, default_value = "data/demo", value_name = "FOLDER")]
    pub data: PathBuf,
}

/// What the demo's caller says.
pub const SCENARIO: &str = include_str!("../../config/lab/demo-booking.toml");

impl Demo {
    /// Plays the call and judges it.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        // Engines hold TLS clients, though nothing here is far away.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Runtime::new().context("the runtime cannot be started")?;
        runtime.block_on(self.show())
    }

    async fn show(self) -> anyhow::Result<ExitCode> {
        let mut terminal = Terminal::new();
        let format = match self.scenario {
            Dialect::Vapi => "a call as from Vapi: WebSocket, PCM at 16 kHz",
            Dialect::Twilio => "a call as from Twilio: Media Streams, mu-law at 8 kHz",
        };
        terminal.line(format!("pronto demo: {format}\n"));
        let folder = folder(&self.data)?;
        let play = Play { dialect: self.scenario, folder, lab: LabSettings::default(), scenario: None };
        let (lines, mut live) = tokio::sync::mpsc::channel(256);
        let telling = tokio::spawn(async move {
            while let Some(line) = live.recv().await {
                tell::line(&mut terminal, line);
            }
            terminal
        });
        let played = play.run(lines).await;
        let mut terminal = telling.await.context("the terminal broke")?;
        terminal.clear();
        let played = played?;
        tell::report(&mut terminal, &played);
        let verdict = played.verdict();
        tell::verdict(&mut terminal, &verdict);
        if !verdict.broken.is_empty() {
            return Ok(ExitCode::FAILURE);
        }
        tell::next(&mut terminal);
        Ok(ExitCode::SUCCESS)
    }
}

/// A folder of its own for this run, so that another one finds the calendar free.
fn folder(data: &Path) -> anyhow::Result<PathBuf> {
    let now = jiff::Zoned::now().strftime("%Y%m%d-%H%M%S").to_string();
    let taken = |path: &PathBuf| path.exists();
    let names = std::iter::once(now.clone()).chain((2..).map(|again| format!("{now}-{again}")));
    let folder = names.map(|name| data.join(name)).find(|path| !taken(path)).expect("names do not end");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("--data: {} cannot be made: choose a folder that is yours", folder.display()))?;
    Ok(folder)
}

/// One call to be played.
#[derive(Debug)]
pub struct Play {
    /// Where it comes from.
    pub dialect: Dialect,
    /// Where books and recording go; it exists.
    pub folder: PathBuf,
    /// How the lab answers.
    pub lab: LabSettings,
    /// What the caller says; [`SCENARIO`] if left out. `{day}` is filled in.
    pub scenario: Option<Scenario>,
}

/// A call that was played.
#[derive(Debug)]
pub struct Played {
    /// The caller's side of it.
    pub conversation: Conversation,
    /// What the gateway keeps of it.
    pub record: Option<CallRecord>,
    /// When the gateway took it.
    pub answered: Option<Instant>,
    /// The appointments in the books afterwards, cancelled ones too.
    pub appointments: Vec<Appointment>,
    /// The books.
    pub books: PathBuf,
    /// Both sides as a stereo WAV.
    pub wav: PathBuf,
    /// What the lab was asked, and what it answered.
    pub lab: Page,
    /// What should be in the books: plate, day and hour.
    pub expected: (String, DateTime),
}

impl Play {
    /// Plays it. What happens is told to `lines` as it happens; lines that find no room are dropped.
    pub async fn run(self, lines: tokio::sync::mpsc::Sender<Line>) -> anyhow::Result<Played> {
        let wait = |text: &str| drop(lines.try_send(Line::Wait(text.to_owned())));
        wait("the lab learns what callers say ...");
        let lab = Lab::start(self.lab.clone()).await?;
        let books = self.folder.join("officina-rossi.sqlite");
        let (tenant, day) = shop::open(&lab.providers_toml(), &books).await?;
        wait("the shop learns its own sentences by heart ...");
        tenant.prepare().await;
        let (id, token) = (tenant.id().clone(), shop::TOKEN);
        let expected = (shop::PLATE.to_owned(), day.at(10, 0, 0, 0));

        let directory = Arc::new(Directory::new());
        directory.put(Arc::new(tenant));
        let watcher = Arc::new(Watcher::new(lines.clone()));
        let running = Running::start(directory, Some(Arc::<Watcher>::clone(&watcher)))?;

        let (wire, path) = match self.dialect {
            Dialect::Vapi => (Wire::Vapi(Format::PCM_WIDE), format!("v1/stream/{id}")),
            Dialect::Twilio => (Wire::Twilio, format!("twilio/{id}")),
        };
        let placement = Placement {
            address: format!("{}/{path}", running.address()),
            given: false,
            token: Some(token.into()),
            from: Some(shop::CALLER.into()),
            wire,
        };
        wait("the caller prepares what to say ...");
        let scenario = match self.scenario {
            Some(scenario) => scenario,
            None => Scenario::parse(SCENARIO)?,
        };
        let scenario = scenario.fill(&[("day", &shop::weekday(day))]);
        let said = Lines::spoken_by(lab.speech(), scenario, placement.format().rate).await?;
        wait("calling ...");
        let mut told = |moment| drop(lines.try_send(Line::Caller(moment)));
        let interrupted = async {
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let conversation = call(&placement, said, &mut told, interrupted).await;
        // What the call leaves behind is kept before the gateway is gone.
        running.stop().await?;
        let journal = lab.journal();
        lab.stop().await;
        let conversation = conversation?;

        let wav = self.folder.join("call.wav");
        conversation.recording.write(&wav)?;
        Ok(Played {
            conversation,
            record: watcher.record(),
            answered: watcher.answered_at(),
            appointments: appointments(&books, id.as_str()).await?,
            books,
            wav,
            lab: journal,
            expected,
        })
    }
}

/// Reads the books again, from the file.
async fn appointments(books: &Path, tenant: &str) -> anyhow::Result<Vec<Appointment>> {
    let store = SqliteStore::open(books).await?;
    let query = Query { cancelled: true, limit: 100, ..Query::default() };
    let found = store.find(&crate::booking::TenantId::new(tenant), &query).await?;
    store.close().await;
    Ok(found)
}
