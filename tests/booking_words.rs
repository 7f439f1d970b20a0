//! Every sentence of the trade exists in both languages, with the same places to fill in.

use std::{collections::BTreeSet, fs, path::Path};

use pronto::{booking::holidays::Holiday, language::Language};

/// The keys named in the sources of a room.
fn keys(room: &str, prefix: &str) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(room)).expect("the room is there")
    {
        let path = entry.expect("readable").path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(path).expect("readable");
            keys.extend(
                text.split('"').filter(|part| part.starts_with(prefix) && part.len() > prefix.len()).map(String::from),
            );
        }
    }
    keys
}

#[test]
fn every_key_in_the_code_is_in_both_languages() {
    let keys: BTreeSet<String> = keys("booking", "booking.").into_iter().chain(keys("tenant", "booking.")).collect();
    assert!(keys.len() > 50, "the keys are found: {}", keys.len());
    for key in &keys {
        for language in [Language::Italian, Language::English] {
            assert!(language.phrases().has(key), "{key} is missing in {}", language.code());
        }
    }
}

#[test]
fn every_holiday_has_a_name() {
    for holiday in Holiday::ALL {
        assert!(Language::Italian.phrases().has(holiday.phrase()) && Language::English.phrases().has(holiday.phrase()));
    }
}

#[test]
fn the_week_has_seven_days_and_the_year_twelve_months() {
    for language in [Language::Italian, Language::English] {
        assert_eq!(language.phrases().list("booking.weekdays").count(), 7);
        assert_eq!(language.phrases().list("booking.months").count(), 12);
    }
}
