//! The floors of the house: imports point one way, down, and the pure rooms hold no clock, socket, task or lock. Reads
//! the source as text, so that what is behind a feature counts too.
//!
//! When this fails, the file it names wants something from a floor above it: move what is wanted down, or hand it in.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Each room and its floor, from the ground up. Rooms of one floor see one another only in the outside world.
const FLOORS: [(&str, u8); 19] = [
    ("language", 0),
    ("privacy", 0),
    ("audio", 1),
    ("call", TRADES),
    ("transport", TRADES),
    ("booking", TRADES),
    ("vapi", PURE),
    ("providers", OUTSIDE),
    ("store", OUTSIDE),
    ("messaging", OUTSIDE),
    ("tenant", OUTSIDE),
    ("gateway", 5),
    ("dashboard", 5),
    ("control", 5),
    ("daemon", ROOT),
    ("main", ROOT + 1),
    // Beside the house: they see all, and are seen by none but the composition root, which names every room.
    ("sim", BESIDE),
    ("load", BESIDE),
    ("lib", BESIDE),
];

/// The conversation, the wires, the trade: they do not see one another.
const TRADES: u8 = 2;
/// The highest pure floor: documents that speak of all of them.
const PURE: u8 = 3;
/// Plain async code.
const OUTSIDE: u8 = 4;
/// The composition root.
const ROOT: u8 = 6;
/// Simulations and load tests; the crate's root, which lists the rooms.
const BESIDE: u8 = 8;

/// What a pure room never says, and why.
const FORBIDDEN: [(&str, &str); 14] = [
    ("Instant::now", "time is an argument"),
    ("SystemTime::now", "time is an argument"),
    ("Zoned::now", "time is an argument"),
    ("Timestamp::now", "time is an argument"),
    ("tokio", "the conversation has no runtime"),
    ("async fn", "the conversation does not wait"),
    ("async move", "the conversation does not wait"),
    (".await", "the conversation does not wait"),
    ("Mutex", "one task holds a call"),
    ("RwLock", "one task holds a call"),
    ("std::net", "bytes are handed in"),
    ("std::thread", "nothing runs beside a call"),
    ("spawn(", "nothing runs beside a call"),
    ("std::fs", "files are read by the daemon"),
];

#[test]
fn imports_point_down() {
    let mut wrong = Vec::new();
    for file in files() {
        let Some(floor) = floor(&file.room) else {
            wrong.push(format!("{}: the room `{}` is on no floor: add it to FLOORS", file.path, file.room));
            continue;
        };
        for (line, text) in file.lines() {
            for target in targets(&text) {
                let Some(below) = self::floor(&target) else { continue };
                let own = target == file.room;
                let neighbours = floor == below && floor == OUTSIDE;
                let commanded = floor >= ROOT && target == "load";
                if !(own || neighbours || commanded || below < floor || floor == BESIDE) {
                    wrong.push(format!("{}:{line}: `{}` looks up at `{target}`", file.path, file.room));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "imports that point up (see ARCHITECTURE.md, the floors):\n{}", wrong.join("\n"));
}

#[test]
fn pure_rooms_stay_pure() {
    let mut wrong = Vec::new();
    // A fuzz target needs one real instant to count from, and is behind its feature.
    let pure = |file: &File| floor(&file.room).is_some_and(|floor| floor <= PURE) && !file.path.ends_with("fuzz.rs");
    for file in files().into_iter().filter(pure) {
        for (line, text) in file.lines() {
            for (word, why) in FORBIDDEN {
                if text.contains(word) {
                    wrong.push(format!("{}:{line}: `{word}`: {why}", file.path));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "a pure room is not pure (see ARCHITECTURE.md, the promises):\n{}", wrong.join("\n"));
}

#[test]
fn the_pure_rooms_are_here() {
    let files = files();
    for room in ["language", "privacy", "audio", "call", "transport", "booking", "vapi"] {
        assert!(files.iter().any(|file| file.room == room), "{room} has moved: the floors are not what they were");
    }
}

#[test]
fn the_reader_sees_what_it_should() {
    let check = |text: &str, expected: &[&str]| assert_eq!(targets(text), expected, "{text}");
    check("use crate::audio::Rate;", &["audio"]);
    check("use crate::{audio::{Key, Line}, call::Control, privacy};", &["audio", "call", "privacy"]);
    check("let x = crate::gateway::run(crate::call::Turn(1));", &["gateway", "call"]);
    check("pub(in crate::call) fn x() {}", &["call"]);
    check("pub(crate) fn x() {}", &[]);
    check("use super::Turn;", &[]);
    check("use pronto::load::lab;", &["load"]);
}

/// One source file.
struct File {
    path: String,
    room: String,
    text: String,
}

impl File {
    /// Its statements without comments and tests, each on one line, with the number of the line it begins on.
    fn lines(&self) -> Vec<(usize, String)> {
        let mut lines: Vec<(usize, String)> = Vec::new();
        let mut open = false;
        let mut tests = false;
        for (number, line) in self.text.lines().enumerate() {
            tests |= line.starts_with("mod tests") || line.starts_with("mod test ");
            if tests {
                tests = line != "}";
                continue;
            }
            let code = line.find("//").map_or(line, |at| &line[..at]).trim();
            match lines.last_mut().filter(|_| open) {
                Some((_, last)) => last.push_str(code),
                None => lines.push((number + 1, code.to_string())),
            }
            // A list of imports may take many lines.
            let text = lines.last().map_or("", |(_, text)| text.as_str());
            open = (text.starts_with("use ") || text.starts_with("pub use ")) && !text.ends_with(';');
        }
        lines
    }
}

/// The rooms a line names.
fn targets(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for root in ["crate::", "pronto::"] {
        for (at, _) in line.match_indices(root) {
            let rest = &line[at + root.len()..];
            match rest.strip_prefix('{') {
                Some(list) => found.extend(heads(list)),
                None => found.push(head(rest)),
            }
        }
    }
    found.retain(|room| !room.is_empty());
    found
}

/// The first names of a braced list, up to its end.
fn heads(list: &str) -> Vec<String> {
    let mut depth = 0;
    let mut names = vec![String::new()];
    for c in list.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(String::new()),
            c if depth == 0 => names.last_mut().expect("there is always one").push(c),
            _ => {}
        }
    }
    names.iter().map(|name| head(name.trim())).collect()
}

/// The name at the beginning of a path.
fn head(path: &str) -> String {
    path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn floor(room: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == room).map(|(_, floor)| *floor)
}

fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("src can be read") {
            let path: PathBuf = entry.expect("src can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let inside = path.strip_prefix(&root).expect("below src");
                let first = inside.iter().next().expect("a name").to_string_lossy();
                found.push(File {
                    room: first.trim_end_matches(".rs").to_string(),
                    path: format!("src/{}", inside.display()),
                    text: fs::read_to_string(&path).expect("src can be read"),
                });
            }
        }
    }
    assert!(found.len() > 20, "the source was not found");
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}
