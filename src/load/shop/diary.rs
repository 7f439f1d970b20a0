//! Which hours callers wish, how they say them, and which days they name that cannot be.
//!
//! Every caller who books has an hour of its own on which nothing stands in the way: whoever does not get it has lost a
//! booking that was possible. Only rivals share theirs.

use jiff::{
    ToSpan, Zoned,
    civil::{Date, DateTime, Weekday, time},
};

use super::persona::Wrong;
use crate::{
    booking::{
        Shop,
        calendar::{self, Day},
        holidays::Holiday,
        spoken::italian_number,
    },
    language::Language,
};

/// The hours that are given out. Two hours apart: the longest work that is booked is an hour and a half.
const HOURS: [i8; 4] = [9, 11, 15, 17];
/// Days that callers wish: enough for one [`CALLERS`].
const WISHED: usize = 10;
/// Days on which rivals meet, one pair each.
const RIVALS: usize = 4;
/// Days of the appointments that are moved or cancelled.
const STANDING: usize = 3;
/// How far ahead a holiday is looked for: one too far ahead to be booked is refused as well.
const HOLIDAY_DAYS: i64 = 360;

/// Callers for whom one diary has hours.
pub const CALLERS: usize = WISHED * HOURS.len();

/// The days of a shop as its callers see them.
#[derive(Debug, Clone)]
pub struct Diary {
    /// The day it is.
    today: Date,
    /// Working days, the next one first.
    days: Vec<Date>,
    /// The next holiday that is no Sunday.
    holiday: Date,
}

impl Diary {
    /// Looks into the shop's calendar; `None` where it is hardly ever open.
    pub fn of(shop: &Shop, now: &Zoned) -> Option<Self> {
        let today = now.date();
        let ahead = |days: i64| today.checked_add(days.days()).ok();
        let open = |date: &Date| {
            let hour = |hour: i8| date.to_datetime(time(hour, 0, 0, 0));
            let Day::Open(openings) = calendar::day(shop, *date) else { return false };
            HOURS.iter().all(|at| {
                let end = hour(*at).checked_add(90.minutes());
                openings.iter().any(|one| one.local <= hour(*at) && end.as_ref().is_ok_and(|end| *end <= one.local_end))
            })
        };
        let days: Vec<Date> = (1..60).filter_map(ahead).filter(open).take(WISHED + RIVALS + STANDING).collect();
        let holiday = (2..HOLIDAY_DAYS)
            .filter_map(ahead)
            .find(|date| date.weekday() != Weekday::Sunday && Holiday::of(*date, shop.patron).is_some())?;
        (days.len() == WISHED + RIVALS + STANDING).then_some(Self { today, days, holiday })
    }

    /// The hour of the caller of this number.
    pub fn wished(&self, number: usize) -> DateTime {
        let number = number % CALLERS;
        // Neighbours are not on the telephone about neighbouring hours.
        self.days[number % WISHED].to_datetime(time(HOURS[number / WISHED], 0, 0, 0))
    }

    /// The hour that a pair of rivals both wish.
    pub fn contested(&self, pair: usize) -> DateTime {
        self.days[WISHED + pair % RIVALS].to_datetime(time(HOURS[(pair / RIVALS) % HOURS.len()], 0, 0, 0))
    }

    /// The hour of an appointment that this caller has already.
    pub fn standing(&self, number: usize) -> DateTime {
        let number = number % (STANDING * HOURS.len());
        self.days[WISHED + RIVALS + number % STANDING].to_datetime(time(HOURS[number / STANDING], 0, 0, 0))
    }

    /// The hour before, which is free too: what a caller says first who corrects it.
    pub fn beside(&self, at: DateTime) -> DateTime {
        let hour = if at.hour() == 9 { 10 } else { at.hour() - 1 };
        // Work that begins at noon does not end before the break.
        let hour = if hour == 14 { 16 } else { hour };
        at.date().to_datetime(time(hour, 0, 0, 0))
    }

    /// A day as a caller says it: by its name within a week, else with its date.
    pub fn day(&self, date: Date) -> String {
        let name = weekday(date);
        let near = self.today.checked_add(6.days()).is_ok_and(|last| date <= last);
        if near { name } else { format!("{name} {}", dated(date)) }
    }

    /// A day and an hour.
    pub fn when(&self, at: DateTime) -> String {
        format!("{}, {}", self.day(at.date()), hour(at))
    }

    /// A day that cannot be, with an hour.
    pub fn wrong(&self, wrong: Wrong, at: DateTime) -> String {
        let day = match wrong {
            Wrong::Sunday => "domenica".to_owned(),
            Wrong::Nonexistent => "il trentuno novembre".to_owned(),
            Wrong::Holiday => with_article(self.holiday),
            Wrong::Past => with_article(self.today.checked_sub(10.days()).unwrap_or(self.today)),
        };
        format!("{day}, {}", hour(at))
    }

    /// Everything callers may say about days.
    pub fn phrases(&self) -> Vec<String> {
        let wished = self.days[..WISHED + RIVALS].iter().map(|date| self.day(*date));
        let at = self.days[0].to_datetime(time(9, 0, 0, 0));
        let wrong = [Wrong::Sunday, Wrong::Nonexistent, Wrong::Holiday, Wrong::Past].map(|wrong| self.wrong(wrong, at));
        let hours = [9, 10, 11, 15, 16, 17].map(|it| hour(self.days[0].to_datetime(time(it, 0, 0, 0))));
        wished.chain(wrong.map(|said| said.split(", ").next().unwrap_or_default().to_owned())).chain(hours).collect()
    }
}

/// "alle nove", as on the clock of the wall.
pub fn hour(at: DateTime) -> String {
    let named = match at.hour() {
        12 => return "a mezzogiorno".into(),
        13 => return "all'una".into(),
        hour if hour > 13 => hour - 12,
        hour => hour,
    };
    format!("alle {}", italian_number(named.unsigned_abs().into()))
}

/// "venticinque dicembre", "primo dicembre".
fn dated(date: Date) -> String {
    let month = Language::Italian.phrases().list("booking.months").nth(date.month() as usize - 1).unwrap_or_default();
    let day = if date.day() == 1 { "primo".into() } else { italian_number(date.day().unsigned_abs().into()) };
    format!("{day} {month}")
}

/// "il venticinque dicembre", "l'otto dicembre".
fn with_article(date: Date) -> String {
    let said = dated(date);
    if matches!(date.day(), 8 | 11) { format!("l'{said}") } else { format!("il {said}") }
}

/// "martedì".
pub fn weekday(date: Date) -> String {
    let at = date.weekday().to_monday_zero_offset() as usize;
    Language::Italian.phrases().list("booking.weekdays").nth(at).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::booking::spoken;

    fn diary(now: &str) -> (Diary, Zoned) {
        let now: Zoned = now.parse().unwrap();
        let mut shop = Shop::example();
        shop.closures.clear();
        (Diary::of(&shop, &now).unwrap(), now)
    }

    #[test]
    fn every_caller_has_an_hour_of_its_own() {
        let (diary, _) = diary("2026-11-20T16:00[Europe/Rome]");
        let wished: BTreeSet<DateTime> = (0..CALLERS).map(|number| diary.wished(number)).collect();
        assert_eq!(wished.len(), CALLERS);
        let others = (0..8).map(|pair| diary.contested(pair)).chain((0..12).map(|number| diary.standing(number)));
        let others: BTreeSet<DateTime> = others.collect();
        assert_eq!(others.len(), 20);
        assert!(wished.is_disjoint(&others));
    }

    #[test]
    fn what_is_said_means_that_day_and_hour_all_year_round() {
        for day in 0..365 {
            let now: Zoned = "2026-03-01T18:00[Europe/Rome]".parse().unwrap();
            let now = now.checked_add(day.days()).unwrap();
            let (diary, now) = self::diary(&now.to_string());
            for number in 0..CALLERS {
                let wished = diary.wished(number);
                let said = diary.when(wished);
                let heard = spoken::date(&said, now.date(), Language::Italian).unwrap();
                assert_eq!(heard, Some(wished.date()), "{said} on {now}");
            }
        }
    }

    #[test]
    fn days_that_cannot_be_are_refused_or_closed() {
        let (diary, now) = diary("2026-11-20T16:00[Europe/Rome]");
        let at = diary.wished(0);
        assert_eq!(diary.wrong(Wrong::Sunday, at), "domenica, alle nove");
        assert_eq!(diary.wrong(Wrong::Holiday, at), "l'otto dicembre, alle nove");
        assert_eq!(diary.wrong(Wrong::Past, at), "il dieci novembre, alle nove");
        let impossible = spoken::date(&diary.wrong(Wrong::Nonexistent, at), now.date(), Language::Italian);
        assert!(impossible.is_err(), "{impossible:?}");
    }

    #[test]
    fn the_hour_beside_is_another_one() {
        let (diary, _) = diary("2026-11-20T16:00[Europe/Rome]");
        for number in 0..CALLERS {
            let wished = diary.wished(number);
            let beside = diary.beside(wished);
            assert!(beside != wished && [10, 16].contains(&beside.hour()), "{wished} {beside}");
        }
    }
}
