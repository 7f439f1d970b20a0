//! What callers say of the time of day, in both languages.

use jiff::civil::{Time, time};
use pronto::{
    booking::spoken::{self, TimeOfDay, say_time},
    language::Language::{self, English, Italian},
};
use proptest::prelude::*;

/// `9:30?` has two readings, `15:00` one; parts of the day by their first letter; `-` is none.
fn show(time: Option<TimeOfDay>) -> String {
    match time {
        None => "-".into(),
        Some(TimeOfDay::Morning) => "M".into(),
        Some(TimeOfDay::Afternoon) => "A".into(),
        Some(TimeOfDay::Evening) => "E".into(),
        Some(TimeOfDay::Exact { time, hour12_ambiguous }) => {
            format!("{}:{:02}{}", time.hour(), time.minute(), if hour12_ambiguous { "?" } else { "" })
        }
    }
}

fn check_with(read: fn(&str, Language) -> Option<TimeOfDay>, language: Language, cases: &[(&str, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(text, expected)| {
            let got = show(read(text, language));
            (got != *expected).then(|| format!("{text:?}: expected {expected}, got {got}"))
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn italian_times() {
    check_with(
        spoken::time,
        Italian,
        &[
            ("domani alle nove", "9:00?"),
            ("alle 9:30", "9:30?"),
            ("alle 9.30", "9:30?"),
            ("alle 09:30", "9:30"),
            ("alle nove e trenta", "9:30?"),
            ("alle nove e mezza", "9:30?"),
            ("alle nove e mezzo", "9:30?"),
            ("alle nove trenta", "9:30?"),
            ("alle tre e un quarto", "3:15?"),
            ("alle tre e tre quarti", "3:45?"),
            ("alle dieci meno un quarto", "9:45?"),
            ("il tre maggio alle dieci meno un quarto", "9:45?"),
            ("alle undici meno dieci", "10:50?"),
            ("alle quindici e trenta", "15:30"),
            ("alle quindici", "15:00"),
            ("alle 15", "15:00"),
            ("alle 15 e 30", "15:30"),
            ("alle 15 30", "15:30"),
            ("alle venti e quindici", "20:15"),
            ("quindici e trenta", "15:30"),
            ("nove e mezza", "9:30?"),
            ("verso le cinque", "5:00?"),
            ("dopo le 17", "17:00"),
            ("alle ore 10", "10:00?"),
            ("ore 14:30", "14:30"),
            ("14:30", "14:30"),
            ("all'una", "1:00?"),
            ("all'una e mezza", "1:30?"),
            ("a mezzogiorno", "12:00"),
            ("mezzogiorno e mezzo", "12:30"),
            ("mezzogiorno e un quarto", "12:15"),
            ("alle dodici", "12:00"),
            ("a mezzanotte", "0:00"),
            ("un quarto alle tre", "2:45?"),
            ("alle otto in punto", "8:00?"),
            ("le tre del pomeriggio", "15:00"),
            ("alle tre di pomeriggio", "15:00"),
            ("domani pomeriggio alle tre", "15:00"),
            ("alle nove di mattina", "9:00"),
            ("domani mattina alle nove", "9:00"),
            ("domattina alle 8", "8:00"),
            ("alle sette di sera", "19:00"),
            ("stasera alle sei", "18:00"),
            ("le tre andrebbero bene", "3:00?"),
            ("le nove", "9:00?"),
            ("va bene alle 11 di martedì", "11:00?"),
            ("quello delle 10", "10:00?"),
            ("nel pomeriggio", "A"),
            ("dopodomani mattina", "M"),
            ("in mattinata", "M"),
            ("dopo pranzo", "A"),
            ("in serata", "E"),
            ("stamattina", "M"),
            ("dalle nove alle undici", "9:00?"),
            ("tra le nove e le undici", "9:00?"),
            ("alle nove e cinque", "9:05?"),
            ("domani verso le nove e qualcosa", "9:00?"),
            ("per le 8 e 30", "8:30?"),
            ("alle nove meno cinque", "8:55?"),
            ("nove del mattino", "9:00"),
            ("il quindici alle nove", "9:00?"),
            ("martedì quattordici alle quindici", "15:00"),
            ("giovedì sedici aprile ore quindici e trenta", "15:30"),
            ("prima delle dieci", "10:00?"),
            ("non prima delle dieci", "10:00?"),
            ("alle diciotto e quarantacinque", "18:45"),
            ("alle 8 e un quarto", "8:15?"),
            ("a mezzogiorno e un quarto", "12:15"),
            ("alle due e mezza del pomeriggio", "14:30"),
            ("le 14", "14:00"),
        ],
    );
}

#[test]
fn italian_texts_without_a_time() {
    check_with(
        spoken::time,
        Italian,
        &[
            ("", "-"),
            ("buongiorno", "-"),
            ("buona sera, vorrei prenotare", "-"),
            ("le quattro gomme", "-"),
            ("cambio delle quattro gomme", "-"),
            ("le due ruote davanti", "-"),
            ("martedì 14 aprile", "-"),
            ("il 3", "-"),
            ("nove", "-"),
            ("ho speso 15.30 euro", "-"),
            ("il 14.04", "-"),
            ("il 333 1234567", "-"),
            ("AB123CD", "-"),
            ("fra due ore", "-"),
            ("alle 27", "-"),
            ("non alle nove", "-"),
            ("alle nove no", "-"),
        ],
    );
}

#[test]
fn italian_corrections() {
    check_with(
        spoken::time,
        Italian,
        &[
            ("alle nove, anzi no, alle undici", "11:00?"),
            ("alle nove anzi alle dieci e mezza", "10:30?"),
            ("alle nove anzi nel pomeriggio", "A"),
            ("domani pomeriggio alle due, anzi alle tre", "15:00"),
            ("alle nove no alle dieci", "10:00?"),
            ("non alle nove, alle dieci", "10:00?"),
            ("la mattina non posso, nel pomeriggio", "A"),
            ("alle nove non riesco, facciamo alle 16", "16:00"),
            ("alle nove o alle dieci", "9:00?"),
            ("facciamo alle dieci invece delle nove", "10:00?"),
            ("invece che alle nove alle dieci", "10:00?"),
        ],
    );
}

#[test]
fn english_times() {
    check_with(
        spoken::time,
        English,
        &[
            ("tomorrow at nine", "9:00?"),
            ("at 9", "9:00?"),
            ("at 9:30", "9:30?"),
            ("nine thirty", "9:30?"),
            ("at nine thirty five", "9:35?"),
            ("at nine oh five", "9:05?"),
            ("half past three", "3:30?"),
            ("half nine", "9:30?"),
            ("a quarter past three", "3:15?"),
            ("quarter to four", "3:45?"),
            ("ten past two", "2:10?"),
            ("twenty five to six", "5:35?"),
            ("nine o'clock", "9:00?"),
            ("3pm", "15:00"),
            ("3 p.m.", "15:00"),
            ("at 3:30 pm", "15:30"),
            ("12 am", "0:00"),
            ("12 pm", "12:00"),
            ("noon", "12:00"),
            ("midday", "12:00"),
            ("midnight", "0:00"),
            ("three in the afternoon", "15:00"),
            ("at nine in the morning", "9:00"),
            ("tomorrow morning at nine", "9:00"),
            ("around seven in the evening", "19:00"),
            ("in the afternoon", "A"),
            ("nine a.m.", "9:00"),
            ("Tuesday the fourteenth at nine thirty", "9:30?"),
            ("quarter past nine on Monday", "9:15?"),
            ("at ten instead of nine", "10:00?"),
            ("after two in the afternoon", "14:00"),
            ("tomorrow morning", "M"),
            ("tonight", "E"),
            ("at 15:30", "15:30"),
            ("at nine, actually at ten", "10:00?"),
            ("between nine and eleven", "9:00?"),
            ("not at nine", "-"),
            ("good morning", "-"),
            ("good evening", "-"),
            ("about two weeks", "-"),
            ("I have two cars", "-"),
            ("the 14th of April", "-"),
            ("Tuesday", "-"),
        ],
    );
}

#[test]
fn a_lone_number_is_an_hour_where_one_was_asked_for() {
    check_with(
        spoken::asked_time,
        Italian,
        &[
            ("nove", "9:00?"),
            ("facciamo le 15", "15:00"),
            ("15", "15:00"),
            ("sì, le dieci", "10:00?"),
            ("boh", "-"),
            ("50", "-"),
        ],
    );
    check_with(spoken::asked_time, English, &[("nine", "9:00?"), ("let's say ten", "10:00?"), ("fifty", "-")]);
}

#[test]
fn opening_hours_settle_an_ambiguous_hour() {
    let (opens, closes) = (time(8, 0, 0, 0), time(18, 30, 0, 0));
    let check = |text, expected: Option<Time>| {
        assert_eq!(spoken::time(text, Italian).and_then(|time| time.within(opens, closes)), expected, "{text}");
    };
    check("alle tre", Some(time(15, 0, 0, 0)));
    check("alle nove", Some(time(9, 0, 0, 0)));
    check("alle sette", None);
    check("alle sei", Some(time(18, 0, 0, 0)));
    check("alle nove di sera", None);
    assert_eq!(spoken::time("alle sette e mezza", Italian).map(TimeOfDay::likely), Some(time(7, 30, 0, 0)));
    assert_eq!(spoken::time("alle sei", Italian).map(TimeOfDay::likely), Some(time(18, 0, 0, 0)));
}

#[test]
fn an_hour_of_eight_digits_is_no_time_and_no_overflow() {
    for text in ["71582789am", "4294967295pm", "at 99999999999am", "alle 71582789"] {
        for language in [Italian, English] {
            assert_eq!(spoken::time(text, language), None, "{text}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_hour_said_in_full_is_the_same_hour(hour in 0..24_i8, quarter in 0..12_i8) {
        let at = time(hour, quarter * 5, 0, 0);
        for language in [Italian, English] {
            let said = say_time(at, language);
            let read = spoken::time(&said, language);
            let Some(TimeOfDay::Exact { time: read, hour12_ambiguous }) = read else {
                return Err(TestCaseError::fail(format!("{said}: {read:?}")));
            };
            prop_assert_eq!(read, at, "{}", said);
            prop_assert_eq!(hour12_ambiguous, language == Italian && (1..12).contains(&hour), "{}", said);
        }
    }

    #[test]
    fn no_text_breaks_it(text in prop_oneof!["\\PC{0,80}", "(alle|at|[0-9]{1,12}(am|pm|h|:)?|past|to|e|meno| ){1,12}"]) {
        for language in [Italian, English] {
            let _ = spoken::time(&text, language).map(TimeOfDay::likely);
            let _ = spoken::asked_time(&text, language);
            let _ = spoken::number(&text, language);
        }
    }
}
