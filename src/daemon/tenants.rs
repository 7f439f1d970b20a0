//! The tenants' folder: one file for each, read at the start and again when it changes.
//!
//! A file with a mistake keeps the tenant as it was; a file that is gone takes its tenant away for new calls. Calls
//! under way are not touched by either.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use anyhow::Context;
use tokio::sync::watch;

use crate::{
    gateway::metrics::{self, Reload},
    providers::settings::{Engines, build},
    store::{SqliteStore, Store},
    tenant::{Directory, Problem, Settings, Tenant, TenantId},
    vapi::{switchboard::forget_old_calls, webhooks::deliver},
};

/// A folder of tenants.
pub(super) struct Folder {
    /// Where the files are.
    files: PathBuf,
    /// Where the books are kept.
    data: PathBuf,
    /// Where the tenants are put.
    directory: Arc<Directory>,
    /// What was read, by file.
    known: HashMap<PathBuf, Known>,
    /// The books of each tenant: opened once, whatever happens to its settings.
    books: HashMap<TenantId, Arc<dyn Store>>,
    /// Turns true when nothing new is to be begun.
    stopped: watch::Receiver<bool>,
}

/// A file as it was read last.
#[derive(Debug)]
struct Known {
    /// When it was changed, and how long it was.
    stamp: (Option<SystemTime>, u64),
    /// The tenant it made, if it had no mistake then or before.
    tenant: Option<TenantId>,
}

/// A file's mistakes.
pub(super) type Mistakes = (PathBuf, Vec<Problem>);

/// The tenants' files of a folder, in order.
pub(super) fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let read = std::fs::read_dir(folder).with_context(|| {
        format!("the tenants' folder {} cannot be read: make it, or name another", folder.display())
    })?;
    let mut files: Vec<_> = read
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|kind| kind == "toml"))
        .collect();
    files.sort();
    Ok(files)
}

/// Reads one file and makes its engines; opens nothing.
pub(super) fn read(path: &Path) -> Result<(Settings, Engines), Vec<Problem>> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| vec![Problem::new("file", error.to_string(), "make it readable")])?;
    let settings = Settings::parse(&text)?;
    let engines = build(&settings.providers).map_err(|error| {
        let fix = "see [providers] in config/tenants/officina-rossi.toml";
        vec![Problem::new("providers", error.to_string(), fix).found_in(&text)]
    })?;
    Ok((settings, engines))
}

impl Folder {
    pub(super) fn new(
        files: PathBuf,
        data: PathBuf,
        directory: Arc<Directory>,
        stopped: watch::Receiver<bool>,
    ) -> Self {
        Self { files, data, directory, known: HashMap::new(), books: HashMap::new(), stopped }
    }

    /// Reads what has changed; everything where `all`. Answers the mistakes that were found.
    pub(super) async fn refresh(&mut self, all: bool) -> anyhow::Result<Vec<Mistakes>> {
        let files = files(&self.files)?;
        let mut mistakes = Vec::new();
        for path in &files {
            let stamp = stamp(path);
            if !all && self.known.get(path).is_some_and(|known| known.stamp == stamp) {
                continue;
            }
            let former = self.known.get(path).and_then(|known| known.tenant.clone());
            let tenant = match self.load(path).await {
                Ok(id) => {
                    metrics::reloaded(Reload::Changed);
                    if let Some(former) = former.filter(|former| *former != id) {
                        self.directory.remove(&former);
                    }
                    Some(id)
                }
                Err(problems) => {
                    metrics::reloaded(Reload::Rejected);
                    mistakes.push((path.clone(), problems));
                    former
                }
            };
            self.known.insert(path.clone(), Known { stamp, tenant });
        }
        let gone: Vec<_> = self.known.keys().filter(|path| !files.contains(path)).cloned().collect();
        for path in gone {
            if let Some(id) = self.known.remove(&path).and_then(|known| known.tenant) {
                metrics::reloaded(Reload::Removed);
                tracing::info!(tenant = %id, "its file is gone: no new calls are taken for it");
                self.directory.remove(&id);
                self.books.remove(&id);
            }
        }
        Ok(mistakes)
    }

    /// Reads a file, opens its books, and puts the tenant in its place.
    async fn load(&mut self, path: &Path) -> Result<TenantId, Vec<Problem>> {
        let (settings, engines) = read(path)?;
        let id = settings.profile.id.clone();
        let elsewhere = |(other, known): (&PathBuf, &Known)| other != path && known.tenant.as_ref() == Some(&id);
        if self.known.iter().any(elsewhere) {
            return Err(vec![Problem::new(
                "id",
                format!("{id} is another file's as well"),
                "give each tenant its own",
            )]);
        }
        let books = match self.books.get(&id) {
            Some(books) => Arc::clone(books),
            None => self.open(&id).await?,
        };
        self.books.insert(id.clone(), Arc::clone(&books));
        // Beside the books, and in a folder of its own: nobody else's calls are ever in there.
        let recordings = self.data.join("recordings").join(id.as_str());
        let tenant = Tenant::of(settings, engines, books.clone()).recording_in(recordings);
        let former = self.directory.get(&id);
        let tenant = match &former {
            Some(former) => tenant.succeeding(former),
            None => tenant.lasting(books).await.map_err(|error| {
                let fix = "make the file of its books readable and writable, or move it away to begin with empty ones";
                vec![Problem::new("data", error.to_string(), fix)]
            })?,
        };
        let tenant = Arc::new(tenant);
        self.directory.put(Arc::clone(&tenant));
        if former.is_none() {
            let stop = || {
                let mut stopped = self.stopped.clone();
                async move {
                    let _ = stopped.wait_for(|stopped| *stopped).await;
                }
            };
            tokio::spawn(deliver(Arc::clone(&self.directory), id.clone(), stop()));
            tokio::spawn(forget_old_calls(Arc::clone(&self.directory), id.clone(), stop()));
        }
        tracing::info!(tenant = %id, engines = ?tenant.engines(), "a tenant takes calls");
        // Calls need not wait for it; until then every sentence comes from the voice itself.
        tokio::spawn(async move {
            let missing = tenant.prepare().await;
            if missing > 0 {
                tracing::warn!(tenant = %tenant.id(), missing, "the voice did not speak all the house's own sentences");
            }
        });
        Ok(id)
    }

    async fn open(&self, id: &TenantId) -> Result<Arc<dyn Store>, Vec<Problem>> {
        let wrong = |error: String| vec![Problem::new("data", error, "make the data folder writable, or name another")];
        tokio::fs::create_dir_all(&self.data).await.map_err(|error| wrong(error.to_string()))?;
        let books = SqliteStore::open(self.data.join(format!("{id}.sqlite"))).await;
        Ok(Arc::new(books.map_err(|error| wrong(error.to_string()))?))
    }
}

fn stamp(path: &Path) -> (Option<SystemTime>, u64) {
    std::fs::metadata(path).map_or((None, 0), |file| (file.modified().ok(), file.len()))
}
