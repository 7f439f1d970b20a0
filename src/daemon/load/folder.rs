//! A folder among the temporary ones, for as long as a run lasts. A run that is killed cannot remove its own: the next
//! one does.
//!
//! Each has a file that its run holds locked. The system lets go of it when the process is gone, however it went, and
//! whoever can lock it then knows that nobody is there any more; ids of processes are given out again, and those of
//! another container are not known here.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context;

/// How the names of ours begin.
const NAME: &str = "pronto-load-";
/// The file that is held.
const HELD: &str = "held";

/// A folder that is ours, until this is dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Locked while we live.
    _held: File,
}

impl Folder {
    /// A fresh one. Those that the dead have left behind are removed.
    pub fn new() -> anyhow::Result<Self> {
        Self::within(&std::env::temp_dir())
    }

    fn within(root: &Path) -> anyhow::Result<Self> {
        let name = format!("{NAME}{}-{}", std::process::id(), uuid::Uuid::now_v7().simple());
        // It has its name when it is held: who comes meanwhile must not take it for a dead one's.
        let (early, path) = (root.join(format!(".{name}")), root.join(name));
        let made = || {
            fs::create_dir_all(&early)?;
            let held = File::create(early.join(HELD))?;
            // Where nothing can be locked, nothing is removed either.
            let _ = held.lock();
            fs::rename(&early, &path)?;
            Ok::<_, std::io::Error>((held, fs::metadata(&path)?.uid()))
        };
        let (held, us) = made()
            .with_context(|| format!("{} cannot be made: set TMPDIR to a folder that is yours", path.display()))?;
        sweep(root, us);
        Ok(Self { path, _held: held })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file into it.
    pub(super) fn write(&self, file: &str, text: &str) -> anyhow::Result<()> {
        let path = self.path.join(file);
        let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, text));
        written.with_context(|| format!("{} cannot be written", path.display()))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Removes what the dead have left behind, as far as it belongs to this user.
fn sweep(root: &Path, us: u32) {
    let Ok(entries) = fs::read_dir(root) else { return };
    for entry in entries.flatten() {
        let ours = entry.metadata().is_ok_and(|it| it.is_dir() && it.uid() == us);
        if !ours || !entry.file_name().to_string_lossy().starts_with(NAME) {
            continue;
        }
        let Ok(held) = File::open(entry.path().join(HELD)) else { continue };
        if held.try_lock().is_ok() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_leaves_behind_is_nothing() {
        let folder = Folder::new().unwrap();
        folder.write("tenants/a.toml", "").unwrap();
        let path = folder.path().to_owned();
        assert!(path.join("tenants/a.toml").exists());
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn what_the_dead_left_behind_is_removed_and_nothing_else() {
        let root = std::env::temp_dir().join(format!("pronto-folders-{}", uuid::Uuid::now_v7().simple()));
        let put = |name: &str, file: &str| {
            fs::create_dir_all(root.join(name)).unwrap();
            fs::write(root.join(name).join(file), "").unwrap();
        };
        put("pronto-load-1-dead", HELD);
        put("pronto-load-1-somebodys", "report.json");
        put("pronto-1-other", HELD);
        let alive = Folder::within(&root).unwrap();
        let another = Folder::within(&root).unwrap();
        let mut found: Vec<_> = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).collect();
        let mut kept =
            [alive.path().to_owned(), another.path().to_owned(), root.join("pronto-load-1-somebodys")].to_vec();
        kept.push(root.join("pronto-1-other"));
        found.sort();
        kept.sort();
        assert_eq!(found, kept);
        drop((alive, another));
        fs::remove_dir_all(root).unwrap();
    }
}
