//! Where the recordings of one tenant stand: a folder of its own, a file for each call, named by the call's id.
//!
//! A file is ours if its name is an id as we make them; such an id says when its call was created, so that neither a copy
//! nor a backup changes how old a recording is. Nothing else is ever looked at or removed. Everything in here blocks.

use std::{
    collections::HashSet,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::Arc,
};

use uuid::Uuid;

use crate::{tenant::Tenant, vapi::RecordingPlan};

/// The folder of one tenant.
#[derive(Debug, Clone)]
pub(super) struct Shelf(Arc<Path>);

/// What was erased because of the tenant's bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Erased {
    /// Too old.
    pub(super) old: u64,
    /// There was no room for them.
    pub(super) over: u64,
}

/// One recording of those that stand here.
#[derive(Debug)]
struct Standing {
    created_s: i64,
    call: Box<str>,
    bytes: u64,
}

impl Shelf {
    /// `None`: this tenant has no folder for them.
    pub(super) fn of(tenant: &Tenant) -> Option<Self> {
        tenant.recordings().map(|folder| Self(Arc::clone(folder)))
    }

    /// The file of a call. `None` for what is no id of ours, and so no path either.
    pub(super) fn path(&self, call: &str) -> Option<PathBuf> {
        created_s(call).map(|_| self.0.join(format!("{call}.wav")))
    }

    /// Erases the recording of a call. Whether there was one; an error leaves it where it is.
    pub(super) fn erase(&self, call: &str) -> io::Result<bool> {
        let Some(path) = self.path(call) else { return Ok(false) };
        match std::fs::remove_file(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Erases what is too old, and then the oldest until the rest has room; those of these calls are still being made. What
    /// cannot be erased is told, and does not keep the others.
    pub(super) fn tidy(&self, plan: RecordingPlan, now_s: i64, making: &HashSet<Box<str>>) -> (Erased, io::Result<()>) {
        let (mut erased, mut result) = (Erased::default(), Ok(()));
        let mut standing = match self.standing() {
            Ok(standing) => standing,
            Err(error) => return (erased, Err(error)),
        };
        standing.sort_by(|one, other| (one.created_s, &one.call).cmp(&(other.created_s, &other.call)));
        let mut bytes: u64 = standing.iter().map(|it| it.bytes).sum();
        let keep_s = i64::from(plan.keep_days) * 86_400;
        for it in standing.iter().filter(|it| !making.contains(&it.call)) {
            let old = now_s - it.created_s >= keep_s;
            if !old && bytes <= plan.bytes_max {
                break;
            }
            match self.erase(&it.call) {
                Ok(_) => {
                    bytes -= it.bytes;
                    *(if old { &mut erased.old } else { &mut erased.over }) += 1;
                }
                Err(error) => result = Err(error),
            }
        }
        (erased, result)
    }

    fn standing(&self) -> io::Result<Vec<Standing>> {
        let entries = match std::fs::read_dir(&self.0) {
            Ok(entries) => entries,
            // Nothing was recorded yet.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let ours = |entry: io::Result<std::fs::DirEntry>| {
            let entry = entry.ok()?;
            let name = entry.file_name();
            let call = name.to_str()?.strip_suffix(".wav")?;
            let created_s = created_s(call)?;
            let file = entry.metadata().ok().filter(std::fs::Metadata::is_file)?;
            Some(Standing { created_s, call: call.into(), bytes: file.len() })
        };
        Ok(entries.filter_map(ours).collect())
    }
}

/// When the call of an id was created, in seconds since 1970. `None` for what we would not have written like this.
fn created_s(id: &str) -> Option<i64> {
    let uuid = Uuid::try_parse(id).ok()?;
    if uuid.get_version_num() != 7 || uuid.hyphenated().to_string() != id {
        return None;
    }
    i64::try_from(uuid.get_timestamp()?.to_unix().0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::vapi::recordings::file::tests::Place;

    const NOW_S: i64 = 1_788_251_400;
    const DAY_S: i64 = 86_400;

    /// The id of a call that was created so many days ago.
    fn id(days_ago: i64, number: u8) -> String {
        let ms = u64::try_from(NOW_S - days_ago * DAY_S).unwrap() * 1_000;
        uuid::Builder::from_unix_timestamp_millis(ms, &[number; 10]).into_uuid().to_string()
    }

    /// Tidies a folder with these files, each so many bytes long, and answers what is left.
    fn check(name: &str, keep_days: u32, bytes_max: u64, files: &[(&str, usize)], making: &[&str], left: &[&str]) {
        let place = Place::new(name);
        for (file, bytes) in files {
            std::fs::write(place.0.join(file), vec![0_u8; *bytes]).unwrap();
        }
        let shelf = Shelf(place.0.as_path().into());
        let making = making.iter().map(|call| Box::from(*call)).collect();
        let (erased, result) = shelf.tidy(RecordingPlan { keep_days, bytes_max }, NOW_S, &making);
        assert!(result.is_ok(), "{name}: {result:?}");
        let mut found: Vec<_> = std::fs::read_dir(&place.0)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        found.sort();
        let mut left: Vec<_> = left.iter().map(ToString::to_string).collect();
        left.sort();
        assert_eq!(found, left, "{name}");
        assert_eq!(erased.old + erased.over, (files.len() - left.len()) as u64, "{name}");
    }

    #[test]
    fn what_is_too_old_is_erased_and_nothing_but_our_own_files() {
        let (old, new) = (id(30, 1), id(29, 2));
        let (old_file, new_file) = (format!("{old}.wav"), format!("{new}.wav"));
        let (upper, bare) = (format!("{}.wav", old.to_uppercase()), format!("{}.wav", old.replace('-', "")));
        let strangers = ["letter.wav", "x.sqlite", &upper, &bare, old.as_str()];
        let ours = [old_file.as_str(), &new_file];
        let files: Vec<_> = strangers.iter().copied().chain(ours).map(|file| (file, 10)).collect();
        let left: Vec<_> = strangers.iter().copied().chain([new_file.as_str()]).collect();
        check("age", 30, 1_000, &files, &[], &left);
        check("age-making", 30, 1_000, &files, &[&old], &files.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        check("age-none", 0, 1_000, &files, &[], &strangers);
    }

    #[test]
    fn where_there_is_no_room_the_oldest_go_first() {
        let names: Vec<_> = [id(3, 1), id(2, 2), id(1, 3)].iter().map(|id| format!("{id}.wav")).collect();
        let files: Vec<_> = names.iter().map(|name| (name.as_str(), 100)).collect();
        check("room", 30, 300, &files, &[], &[&names[0], &names[1], &names[2]]);
        check("room-one", 30, 299, &files, &[], &[&names[1], &names[2]]);
        check("room-two", 30, 100, &files, &[], &[&names[2]]);
        let making = names[0].trim_end_matches(".wav");
        check("room-making", 30, 200, &files, &[making], &[&names[0], &names[2]]);
    }

    #[test]
    fn only_an_id_of_ours_has_a_path() {
        let shelf = Shelf(Path::new("recordings").into());
        let own = id(0, 7);
        assert_eq!(shelf.path(&own), Some(Path::new("recordings").join(format!("{own}.wav"))));
        let version_4 = "936da01f-9abd-4d9d-80c7-02af85c822a8";
        for stranger in ["", "..", "../../etc/passwd", "call", version_4, &own.to_uppercase(), &format!("{{{own}}}")] {
            assert_eq!(shelf.path(stranger), None, "{stranger}");
        }
    }

    #[test]
    fn erasing_what_is_not_there_is_no_failure_and_what_cannot_be_erased_is_one() {
        let place = Place::new("erase");
        let shelf = Shelf(place.0.as_path().into());
        let (one, stuck) = (id(0, 1), id(0, 2));
        std::fs::write(place.0.join(format!("{one}.wav")), "x").unwrap();
        assert!(shelf.erase(&one).unwrap());
        assert!(!shelf.erase(&one).unwrap() && !shelf.erase("no id").unwrap());
        // A folder with something in it is no file that could be removed.
        std::fs::create_dir_all(place.0.join(format!("{stuck}.wav")).join("inside")).unwrap();
        assert!(shelf.erase(&stuck).is_err());
    }
}
