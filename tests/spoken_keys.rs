//! Every sentence and word list the spoken room and the receptionist name exists in both languages.

use std::{collections::BTreeSet, fs, path::Path};

use pronto::language::Language;

#[test]
fn every_key_exists_in_both_languages() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![root.join("booking/spoken.rs")];
    for folder in ["booking/spoken", "providers/receptionist"] {
        let entries = fs::read_dir(root.join(folder)).expect("a folder of the source");
        files.extend(entries.map(|entry| entry.expect("an entry").path()));
    }
    let mut keys = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a source file");
        for section in ["\"spoken.", "\"receptionist."] {
            for (at, _) in text.match_indices(section) {
                let key = text[at + 1..].split('"').next().unwrap_or_default();
                if !key.ends_with('.') {
                    keys.insert(key.to_string());
                }
            }
        }
    }
    assert!(keys.len() > 150, "only {} keys were found", keys.len());
    for language in [Language::Italian, Language::English] {
        let missing: Vec<&String> = keys.iter().filter(|key| !language.phrases().has(key)).collect();
        assert!(missing.is_empty(), "{language:?}: {missing:?}");
        let mine = |key: &&str| key.starts_with("spoken.") || key.starts_with("receptionist.");
        let unused: Vec<&str> = language.phrases().keys().filter(mine).filter(|key| !keys.contains(*key)).collect();
        assert!(unused.is_empty(), "{language:?}, nobody reads: {unused:?}");
    }
}
