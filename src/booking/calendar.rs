//! When a day is open, on the shop's clocks and in the world's time.
//!
//! A local time that a change of the clocks skips or repeats names no instant: [`instant`] refuses it, so nothing is
//! offered or booked there. An opening that meets such a change keeps its true length.

use jiff::{
    Timestamp,
    civil::{Date, DateTime, Time},
    tz::{AmbiguousOffset, TimeZone},
};

use super::{holidays::Holiday, shop::Shop};

/// A day of the calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Day {
    /// Open, in these intervals, in order.
    Open(Vec<Opening>),
    /// Closed all day.
    Closed(Closed),
}

/// Why a day is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// Its weekday has no hours.
    Weekly,
    /// A public holiday.
    Holiday(Holiday),
    /// The owner said so.
    Closure,
}

/// One interval in which the shop is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// Its beginning on the shop's clocks, from which starts are counted.
    pub local: DateTime,
    /// Its end on the shop's clocks.
    pub local_end: DateTime,
    /// Its beginning.
    pub start: Timestamp,
    /// Its end.
    pub end: Timestamp,
}

/// Why a local time names no instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoInstant {
    /// The clocks are put forward over it.
    Skipped,
    /// The clocks are put back over it: it comes twice.
    Repeated,
    /// It is beyond the end of the calendar.
    OutOfRange,
}

/// When the shop is open on a day.
pub fn day(shop: &Shop, date: Date) -> Day {
    if let Some(holiday) = Holiday::of(date, shop.patron).filter(|_| shop.holidays) {
        return Day::Closed(Closed::Holiday(holiday));
    }
    if shop.closures.iter().any(|closure| closure.covers(date)) {
        return Day::Closed(Closed::Closure);
    }
    let zone = shop.zone.rules();
    let openings: Vec<Opening> = shop
        .hours
        .of(date.weekday())
        .iter()
        .filter_map(|span| {
            let (local, local_end) = (at_minute(date, span.from_minute())?, at_minute(date, span.to_minute())?);
            let start = zone.to_ambiguous_timestamp(local).compatible().ok()?;
            let end = zone.to_ambiguous_timestamp(local_end).later().ok()?;
            (start < end).then_some(Opening { local, local_end, start, end })
        })
        .collect();
    if openings.is_empty() { Day::Closed(Closed::Weekly) } else { Day::Open(openings) }
}

/// The instant that a local time names.
pub fn instant(zone: &TimeZone, local: DateTime) -> Result<Timestamp, NoInstant> {
    let named = zone.to_ambiguous_timestamp(local);
    match named.offset() {
        AmbiguousOffset::Unambiguous { .. } => named.unambiguous().map_err(|_| NoInstant::OutOfRange),
        AmbiguousOffset::Gap { .. } => Err(NoInstant::Skipped),
        AmbiguousOffset::Fold { .. } => Err(NoInstant::Repeated),
    }
}

/// The local time that many minutes after midnight; 1440 is the next midnight.
fn at_minute(date: Date, minute: u16) -> Option<DateTime> {
    if minute == 24 * 60 {
        return Some(date.tomorrow().ok()?.to_datetime(Time::midnight()));
    }
    let (hour, minute) = (i8::try_from(minute / 60).ok()?, i8::try_from(minute % 60).ok()?);
    Some(date.to_datetime(Time::new(hour, minute, 0, 0).ok()?))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn openings(shop: &Shop, date: Date) -> Vec<Opening> {
        match day(shop, date) {
            Day::Open(openings) => openings,
            Day::Closed(why) => panic!("{date} is closed: {why:?}"),
        }
    }

    #[test]
    fn a_weekday_has_its_two_openings_and_a_sunday_none() {
        let shop = Shop::example();
        let tuesday = openings(&shop, date(2026, 4, 14));
        assert_eq!(tuesday.len(), 2);
        assert_eq!(tuesday[0].local, date(2026, 4, 14).at(8, 30, 0, 0));
        assert_eq!(tuesday[0].start.to_string(), "2026-04-14T06:30:00Z");
        assert_eq!(tuesday[1].end.to_string(), "2026-04-14T16:30:00Z");
        assert_eq!(day(&shop, date(2026, 4, 19)), Day::Closed(Closed::Weekly));
    }

    #[test]
    fn holidays_patron_and_closures_close() {
        let mut shop = Shop::example();
        assert_eq!(day(&shop, date(2026, 4, 6)), Day::Closed(Closed::Holiday(Holiday::EasterMonday)));
        assert_eq!(day(&shop, date(2026, 6, 29)), Day::Closed(Closed::Holiday(Holiday::Patron)));
        assert_eq!(day(&shop, date(2026, 8, 12)), Day::Closed(Closed::Closure));
        shop.holidays = false;
        assert!(matches!(day(&shop, date(2026, 4, 6)), Day::Open(_)));
    }

    #[test]
    fn the_clocks_move_opening_hours_in_the_worlds_time() {
        let shop = Shop::example();
        // Winter and summer time of Rome: one and two hours ahead.
        assert_eq!(openings(&shop, date(2026, 3, 28))[0].start.to_string(), "2026-03-28T07:30:00Z");
        assert_eq!(openings(&shop, date(2026, 3, 30))[0].start.to_string(), "2026-03-30T06:30:00Z");
    }

    #[test]
    fn skipped_and_repeated_times_name_no_instant() {
        let zone = Shop::example().zone;
        let zone = zone.rules();
        assert_eq!(instant(zone, date(2026, 3, 29).at(2, 30, 0, 0)), Err(NoInstant::Skipped));
        assert_eq!(instant(zone, date(2026, 10, 25).at(2, 30, 0, 0)), Err(NoInstant::Repeated));
        assert!(instant(zone, date(2026, 10, 25).at(3, 0, 0, 0)).is_ok());
    }

    #[test]
    fn a_night_opening_keeps_its_true_length() {
        let mut shop = Shop::example();
        shop.holidays = false;
        shop.hours.sun = vec!["00:00-06:00".parse().expect("hours")];
        let minutes = |day| {
            let opening = openings(&shop, day)[0];
            (opening.end.as_second() - opening.start.as_second()) / 60
        };
        assert_eq!(minutes(date(2026, 3, 22)), 360);
        assert_eq!(minutes(date(2026, 3, 29)), 300, "an hour is skipped");
        assert_eq!(minutes(date(2026, 10, 25)), 420, "an hour comes twice");
        shop.hours.sun = vec!["22:00-24:00".parse().expect("hours")];
        assert_eq!(openings(&shop, date(2026, 3, 22))[0].local_end, date(2026, 3, 23).at(0, 0, 0, 0));
    }
}
