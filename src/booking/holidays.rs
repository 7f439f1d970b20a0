//! Italian public holidays.
//!
//! National law (Law 260/1949 and its changes): 4 October, Saint Francis, is a holiday again since 2026. Easter Monday is
//! computed. The feast of the town's patron is the shop's own setting. Easter and every Sunday are holidays too; a shop
//! is closed on Sundays by its hours.

use jiff::civil::{Date, date};

use super::hours::MonthDay;

/// A day on which Italy, or the town, does not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Holiday {
    /// 1 January.
    NewYear,
    /// 6 January.
    Epiphany,
    /// The Sunday itself.
    Easter,
    /// The day after Easter.
    EasterMonday,
    /// 25 April.
    Liberation,
    /// 1 May.
    Labour,
    /// 2 June.
    Republic,
    /// 15 August.
    Assumption,
    /// 4 October, since 2026.
    SaintFrancis,
    /// 1 November.
    AllSaints,
    /// 8 December.
    Immaculate,
    /// 25 December.
    Christmas,
    /// 26 December.
    SaintStephen,
    /// The town's own.
    Patron,
}

impl Holiday {
    /// Which holiday the date is, if any.
    pub fn of(day: Date, patron: Option<MonthDay>) -> Option<Self> {
        let national = match (day.month(), day.day()) {
            (1, 1) => Some(Self::NewYear),
            (1, 6) => Some(Self::Epiphany),
            (4, 25) => Some(Self::Liberation),
            (5, 1) => Some(Self::Labour),
            (6, 2) => Some(Self::Republic),
            (8, 15) => Some(Self::Assumption),
            (10, 4) if day.year() >= 2026 => Some(Self::SaintFrancis),
            (11, 1) => Some(Self::AllSaints),
            (12, 8) => Some(Self::Immaculate),
            (12, 25) => Some(Self::Christmas),
            (12, 26) => Some(Self::SaintStephen),
            _ => None,
        };
        national.or_else(|| Self::movable(day)).or_else(|| patron.filter(|patron| patron.is(day)).map(|_| Self::Patron))
    }

    fn movable(day: Date) -> Option<Self> {
        let easter = easter(day.year())?;
        if day == easter {
            return Some(Self::Easter);
        }
        (easter.tomorrow().ok()? == day).then_some(Self::EasterMonday)
    }

    /// The key of its name in the language files.
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::NewYear => "booking.new_year",
            Self::Epiphany => "booking.epiphany",
            Self::Easter => "booking.easter",
            Self::EasterMonday => "booking.easter_monday",
            Self::Liberation => "booking.liberation",
            Self::Labour => "booking.labour",
            Self::Republic => "booking.republic",
            Self::Assumption => "booking.assumption",
            Self::SaintFrancis => "booking.saint_francis",
            Self::AllSaints => "booking.all_saints",
            Self::Immaculate => "booking.immaculate",
            Self::Christmas => "booking.christmas",
            Self::SaintStephen => "booking.saint_stephen",
            Self::Patron => "booking.patron",
        }
    }

    /// Every holiday, for the test that each has a name in each language.
    pub const ALL: [Self; 14] = [
        Self::NewYear,
        Self::Epiphany,
        Self::Easter,
        Self::EasterMonday,
        Self::Liberation,
        Self::Labour,
        Self::Republic,
        Self::Assumption,
        Self::SaintFrancis,
        Self::AllSaints,
        Self::Immaculate,
        Self::Christmas,
        Self::SaintStephen,
        Self::Patron,
    ];
}

/// Easter Sunday of the Gregorian calendar (the anonymous computus); `None` for years before it.
pub fn easter(year: i16) -> Option<Date> {
    if !(1583..=9998).contains(&year) {
        return None;
    }
    let year_number = i32::from(year);
    let golden = year_number % 19;
    let (century, rest) = (year_number / 100, year_number % 100);
    let lunar = (century - (century + 8) / 25 + 1) / 3;
    let epact = (19 * golden + century - century / 4 - lunar + 15) % 30;
    let weekday = (32 + 2 * (century % 4) + 2 * (rest / 4) - epact - rest % 4) % 7;
    let correction = (golden + 11 * epact + 22 * weekday) / 451;
    let days = epact + weekday - 7 * correction + 114;
    let (month, day) = (days / 31, days % 31 + 1);
    Some(date(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?))
}

#[cfg(test)]
mod tests {
    use jiff::civil::Weekday;

    use super::*;

    #[test]
    fn easter_falls_where_the_tables_say() {
        for (year, month, day) in [
            (1961, 4, 2),
            (2000, 4, 23),
            (2008, 3, 23),
            (2011, 4, 24),
            (2024, 3, 31),
            (2025, 4, 20),
            (2026, 4, 5),
            (2027, 3, 28),
            (2028, 4, 16),
            (2030, 4, 21),
            (2038, 4, 25),
            (2285, 3, 22),
        ] {
            assert_eq!(easter(year), Some(date(year, month, day)));
        }
        for year in 1583..=9998 {
            assert_eq!(easter(year).expect("in range").weekday(), Weekday::Sunday, "{year}");
        }
        assert_eq!(easter(0), None);
    }

    #[test]
    fn the_holidays_of_2026() {
        let days = [
            (1, 1),
            (1, 6),
            (4, 5),
            (4, 6),
            (4, 25),
            (5, 1),
            (6, 2),
            (8, 15),
            (10, 4),
            (11, 1),
            (12, 8),
            (12, 25),
            (12, 26),
        ];
        let mut day = date(2026, 1, 1);
        let mut found = Vec::new();
        while day.year() == 2026 {
            if Holiday::of(day, None).is_some() {
                found.push((day.month(), day.day()));
            }
            day = day.tomorrow().expect("before the end of time");
        }
        assert_eq!(found, days);
    }

    #[test]
    fn saint_francis_is_a_holiday_only_since_2026() {
        assert_eq!(Holiday::of(date(2025, 10, 4), None), None);
        assert_eq!(Holiday::of(date(2026, 10, 4), None), Some(Holiday::SaintFrancis));
    }

    #[test]
    fn the_patron_is_the_towns_own() {
        let patron = MonthDay::try_from("06-29".to_string()).expect("a day of the year");
        assert_eq!(Holiday::of(date(2026, 6, 29), Some(patron)), Some(Holiday::Patron));
        assert_eq!(Holiday::of(date(2026, 6, 29), None), None);
    }
}
