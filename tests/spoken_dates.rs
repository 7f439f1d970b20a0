//! What callers say of days, in both languages. Today is Thursday the 9th of April 2026 unless a case says otherwise.

use jiff::{
    ToSpan,
    civil::{Date, Weekday, date},
};
use pronto::{
    booking::spoken::{self, SpokenError, say_date},
    language::Language::{self, English, Italian},
};
use proptest::prelude::*;

const TODAY: Date = date(2026, 4, 9);

fn check_on(today: Date, language: Language, cases: &[(&str, Option<Date>)]) {
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(text, expected)| {
            let got = spoken::date(text, today, language);
            (got != Ok(*expected)).then(|| format!("{text:?}: expected {expected:?}, got {got:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn day(month: i8, day: i8) -> Option<Date> {
    Some(date(2026, month, day))
}

#[test]
fn italian_days() {
    check_on(
        TODAY,
        Italian,
        &[
            ("oggi", day(4, 9)),
            ("oggi pomeriggio", day(4, 9)),
            ("stamattina", day(4, 9)),
            ("stasera dopo le sei", day(4, 9)),
            ("domani alle nove", day(4, 10)),
            ("domattina", day(4, 10)),
            ("va bene domani?", day(4, 10)),
            ("dopodomani mattina", day(4, 11)),
            ("dopo domani", day(4, 11)),
            ("martedì 14 aprile", day(4, 14)),
            ("Martedì, 14 aprile.", day(4, 14)),
            ("martedi quattordici aprile", day(4, 14)),
            ("martedì prossimo", day(4, 14)),
            ("il prossimo martedì", day(4, 14)),
            ("martedì che viene", day(4, 14)),
            ("lunedì", day(4, 13)),
            ("per lunedì mattina", day(4, 13)),
            ("questo venerdì", day(4, 10)),
            ("giovedì", day(4, 16)),
            ("questo giovedì", day(4, 9)),
            ("giovedì prossimo", day(4, 16)),
            ("sabato", day(4, 11)),
            ("la settimana prossima", day(4, 13)),
            ("la prossima settimana", day(4, 13)),
            ("martedì della settimana prossima", day(4, 14)),
            ("la settimana prossima, magari mercoledì", day(4, 15)),
            ("venerdì pomeriggio della prossima settimana", day(4, 17)),
            ("questa settimana", day(4, 9)),
            ("fra otto giorni", day(4, 16)),
            ("fra quindici giorni", day(4, 23)),
            ("fra 15 giorni", day(4, 23)),
            ("tra sette giorni", day(4, 16)),
            ("tra tre giorni", day(4, 12)),
            ("fra dieci giorni", day(4, 19)),
            ("fra un paio di giorni", day(4, 11)),
            ("tra una settimana", day(4, 16)),
            ("fra due settimane", day(4, 23)),
            ("martedì fra due settimane", day(4, 21)),
            ("fra un mese", day(5, 9)),
            ("tra due mesi", day(6, 9)),
            ("oggi a otto", day(4, 16)),
            ("il 3", day(5, 3)),
            ("il tre", day(5, 3)),
            ("il 9", day(4, 9)),
            ("il 15", day(4, 15)),
            ("l'otto", day(5, 8)),
            ("l'11", day(4, 11)),
            ("il ventotto", day(4, 28)),
            ("il 31", day(5, 31)),
            ("giorno 20", day(4, 20)),
            ("martedì 14", day(4, 14)),
            ("il primo", day(5, 1)),
            ("il primo maggio", day(5, 1)),
            ("1° maggio", day(5, 1)),
            ("il primo di maggio", day(5, 1)),
            ("il tre maggio alle dieci meno un quarto", day(5, 3)),
            ("il 3 di maggio", day(5, 3)),
            ("il 3 del mese prossimo", day(5, 3)),
            ("il 14/4", day(4, 14)),
            ("14/04/2026", day(4, 14)),
            ("2026-04-14", day(4, 14)),
            ("il 14.04", day(4, 14)),
            ("il 14 aprile 2026", day(4, 14)),
            ("il quattordici aprile duemilaventisei", day(4, 14)),
            ("domani, venerdì 10 aprile", day(4, 10)),
            ("domani venerdì", day(4, 10)),
            ("nel fine settimana", day(4, 11)),
            ("lunedì nove e mezza", day(4, 13)),
            ("lunedì 9 di mattina", day(4, 13)),
            ("lunedì alle 15", day(4, 13)),
        ],
    );
}

#[test]
fn italian_texts_without_a_day() {
    check_on(
        TODAY,
        Italian,
        &[
            ("", None),
            ("vorrei un appuntamento", None),
            ("alle tre", None),
            ("il primo disponibile", None),
            ("il primo posto libero che avete", None),
            ("ho quattro gomme da cambiare", None),
            ("è una 500 del 2015", None),
            ("il mio numero è 333 1234567", None),
            ("ho chiamato ieri", None),
            ("sono venuto lunedì scorso", None),
            ("la settimana scorsa", None),
            ("il mese prossimo", None),
            ("a maggio", None),
            ("il 20 percento", None),
            ("il 4 ruote motrici", None),
            ("AB123CD", None),
            ("fra l'altro fa un rumore", None),
            ("non domani", None),
            ("domani no", None),
            ("domani non posso", None),
            ("lunedì non riesco", None),
        ],
    );
}

#[test]
fn italian_corrections_and_denials() {
    check_on(
        TODAY,
        Italian,
        &[
            ("domani, anzi no, giovedì", day(4, 16)),
            ("domani anzi dopodomani", day(4, 11)),
            ("martedì alle nove, anzi facciamo mercoledì", day(4, 15)),
            ("domani alle nove, anzi alle undici", day(4, 10)),
            ("non domani, lunedì", day(4, 13)),
            ("non lunedì ma martedì", day(4, 14)),
            ("lunedì no, martedì", day(4, 14)),
            ("lunedì non posso, martedì sì", day(4, 14)),
            ("lunedì non posso martedì invece sì", day(4, 14)),
            ("non posso lunedì, facciamo martedì", day(4, 14)),
            ("giovedì, non venerdì", day(4, 16)),
            ("no, lunedì", day(4, 13)),
            ("no lunedì", day(4, 13)),
            ("non prima di giovedì", day(4, 16)),
            ("non mi parte la macchina, domani c'è posto?", day(4, 10)),
            ("tranne il lunedì va bene", None),
            ("oggi o domani", day(4, 9)),
            ("martedì invece di lunedì", day(4, 14)),
            ("lunedì non posso, martedì invece sì", day(4, 14)),
            ("lunedì o martedì", day(4, 13)),
            ("lunedì, mi scusi, volevo dire martedì", day(4, 14)),
            ("la settimana prossima, no scusi, domani", day(4, 10)),
        ],
    );
}

#[test]
fn english_days() {
    check_on(
        TODAY,
        English,
        &[
            ("today", day(4, 9)),
            ("this afternoon", day(4, 9)),
            ("tomorrow at nine", day(4, 10)),
            ("the day after tomorrow", day(4, 11)),
            ("Tuesday", day(4, 14)),
            ("on Thursday", day(4, 16)),
            ("this Thursday", day(4, 9)),
            ("this Friday", day(4, 10)),
            ("next Tuesday", day(4, 14)),
            ("next Friday", day(4, 17)),
            ("Tuesday week", day(4, 21)),
            ("a week from Tuesday", day(4, 21)),
            ("a week from today", day(4, 16)),
            ("next week", day(4, 13)),
            ("Wednesday of next week", day(4, 15)),
            ("in two weeks", day(4, 23)),
            ("in eight days", day(4, 17)),
            ("in a fortnight", day(4, 23)),
            ("in a month", day(5, 9)),
            ("in a couple of days", day(4, 11)),
            ("the 14th of April", day(4, 14)),
            ("the fourteenth of April", day(4, 14)),
            ("April 14", day(4, 14)),
            ("April 14th, 2026", day(4, 14)),
            ("April the 14th", day(4, 14)),
            ("Tuesday the 14th", day(4, 14)),
            ("Tuesday, April 14th", day(4, 14)),
            ("the 3rd", day(5, 3)),
            ("on the twenty first", day(4, 21)),
            ("the thirty-first please", day(5, 31)),
            ("14 April", day(4, 14)),
            ("14/4", day(4, 14)),
            ("not Monday, Tuesday", day(4, 14)),
            ("Monday, actually Wednesday", day(4, 15)),
            ("I can't on Monday, Tuesday is fine", day(4, 14)),
            ("Monday doesn't work", None),
            ("the first available", None),
            ("may I ask something", None),
            ("I called last Tuesday", None),
            ("the second option", None),
            ("at nine", None),
        ],
    );
}

#[test]
fn next_depends_on_where_the_week_stands() {
    let monday = date(2026, 4, 13);
    check_on(
        monday,
        Italian,
        &[("martedì prossimo", day(4, 14)), ("lunedì prossimo", day(4, 20)), ("lunedì", day(4, 20))],
    );
    check_on(monday, English, &[("next Tuesday", day(4, 21)), ("Tuesday", day(4, 14)), ("next Monday", day(4, 20))]);
    let sunday = date(2026, 4, 12);
    check_on(sunday, Italian, &[("la settimana prossima", day(4, 13)), ("domenica", day(4, 19))]);
    check_on(sunday, English, &[("next Tuesday", day(4, 14)), ("this Sunday", day(4, 12))]);
}

#[test]
fn months_end_and_years_end() {
    let new_years_eve = date(2026, 12, 31);
    check_on(
        new_years_eve,
        Italian,
        &[
            ("domani", Some(date(2027, 1, 1))),
            ("il 2", Some(date(2027, 1, 2))),
            ("il 7 gennaio", Some(date(2027, 1, 7))),
            ("fra due mesi", Some(date(2027, 2, 28))),
        ],
    );
    check_on(date(2026, 10, 1), Italian, &[("il 10 gennaio", Some(date(2027, 1, 10)))]);
    check_on(date(2027, 10, 1), Italian, &[("il 29 febbraio", Some(date(2028, 2, 29)))]);
}

#[test]
fn days_that_cannot_be() {
    let check =
        |text: &str, language, expected| assert_eq!(spoken::date(text, TODAY, language), Err(expected), "{text}");
    let mismatch = |said, date| SpokenError::WeekdayMismatch { said, date };
    check("martedì 15 aprile", Italian, mismatch(Weekday::Tuesday, date(2026, 4, 15)));
    check("lunedì 14", Italian, mismatch(Weekday::Monday, date(2026, 4, 14)));
    check("domani lunedì", Italian, mismatch(Weekday::Monday, date(2026, 4, 10)));
    check("Monday the 14th of April", English, mismatch(Weekday::Monday, date(2026, 4, 14)));
    check("il 30 febbraio", Italian, SpokenError::NoSuchDay);
    check("il 31 aprile", Italian, SpokenError::NoSuchDay);
    check("il 3 marzo", Italian, SpokenError::Past(date(2026, 3, 3)));
    check("il 14 aprile 2025", Italian, SpokenError::Past(date(2025, 4, 14)));
    check("March 3rd", English, SpokenError::Past(date(2026, 3, 3)));
    check("lunedì di questa settimana", Italian, SpokenError::Past(date(2026, 4, 6)));
    // A correction mends it.
    assert_eq!(spoken::date("martedì 15 aprile, anzi mercoledì 15", TODAY, Italian), Ok(day(4, 15)));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_date_said_in_full_is_the_same_date(days in 0..=270_i64, start in 0..3000_i64) {
        let today = date(2024, 1, 1).saturating_add(start.days());
        let day = today.saturating_add(days.days());
        for language in [Italian, English] {
            let said = say_date(day, language);
            prop_assert_eq!(spoken::date(&said, today, language), Ok(Some(day)), "{}", said);
            let alone = format!("{} {}", if language == Italian { "il" } else { "the" }, said);
            prop_assert_eq!(spoken::date(&alone, today, language), Ok(Some(day)), "{}", alone);
        }
    }

    #[test]
    fn days_to_come_are_never_in_the_past(text in "[a-z0-9 ,/:àèìòù']{0,60}") {
        for language in [Italian, English] {
            if let Ok(Some(day)) = spoken::date(&text, TODAY, language) {
                prop_assert!(day >= TODAY);
            }
        }
    }
}
