//! Whether a day and a time may be booked at all; whether they are free is another question.

use jiff::{
    SignedDuration, Timestamp, Zoned,
    civil::{Date, DateTime},
};

use super::{
    calendar::{self, Day, NoInstant},
    error::BookingError,
    limits::UNIT_MINUTES,
    shop::{Service, Shop},
    slots::Slot,
};

/// The service at that local time, if the shop would do it then.
pub fn admit(shop: &Shop, service: &Service, local: DateTime, now: &Zoned) -> Result<Slot, BookingError> {
    admit_day(shop, local.date(), now, "start")?;
    let start = calendar::instant(shop.zone.rules(), local).map_err(|why| match why {
        NoInstant::Repeated => BookingError::TimeComesTwice,
        NoInstant::Skipped => BookingError::bad("start", "the clocks are put forward over this time"),
        NoInstant::OutOfRange => BookingError::bad("start", "out of range"),
    })?;
    if start < now.timestamp() {
        return Err(BookingError::Past { field: "start" });
    }
    if start < earliest(shop, now) {
        return Err(BookingError::TooSoon { lead_minutes: shop.lead_minutes });
    }
    if local.second() != 0 || local.subsec_nanosecond() != 0 || !(local.minute() as u32).is_multiple_of(UNIT_MINUTES) {
        return Err(BookingError::bad("start", "not a multiple of five minutes"));
    }
    let date = local.date();
    let openings = match calendar::day(shop, date) {
        Day::Open(openings) => openings,
        Day::Closed(why) => return Err(BookingError::Closed { field: "start", date, why }),
    };
    let end = start
        .checked_add(SignedDuration::from_mins(i64::from(service.minutes)))
        .map_err(|_| BookingError::bad("start", "out of range"))?;
    if openings.iter().any(|opening| opening.start <= start && end <= opening.end) {
        Ok(Slot { local, start, end })
    } else {
        Err(BookingError::OutsideHours { date })
    }
}

/// Whether appointments may be made for the day: not past, not beyond the horizon. It may still be closed.
pub fn admit_day(shop: &Shop, date: Date, now: &Zoned, field: &'static str) -> Result<(), BookingError> {
    let today = today(shop, now);
    if date < today {
        return Err(BookingError::Past { field });
    }
    if date > last_day(shop, today) {
        return Err(BookingError::TooFar { field, days: shop.horizon_days });
    }
    Ok(())
}

/// The first instant that may be booked.
pub fn earliest(shop: &Shop, now: &Zoned) -> Timestamp {
    let lead = SignedDuration::from_mins(i64::from(shop.lead_minutes));
    now.timestamp().checked_add(lead).unwrap_or(Timestamp::MAX)
}

/// The end of the last day that may be booked.
pub fn latest(shop: &Shop, now: &Zoned) -> Timestamp {
    end_of_day(shop, last_day(shop, today(shop, now)))
}

/// The day it is in the shop.
pub fn today(shop: &Shop, now: &Zoned) -> Date {
    now.with_time_zone(shop.zone.rules().clone()).date()
}

/// The first instant of a day of the shop.
pub fn start_of_day(shop: &Shop, date: Date) -> Timestamp {
    shop.zone
        .rules()
        .to_ambiguous_timestamp(date.to_datetime(jiff::civil::Time::midnight()))
        .compatible()
        .unwrap_or(Timestamp::MAX)
}

/// The first instant after a day of the shop.
pub fn end_of_day(shop: &Shop, date: Date) -> Timestamp {
    date.tomorrow().map_or(Timestamp::MAX, |next| start_of_day(shop, next))
}

fn last_day(shop: &Shop, today: Date) -> Date {
    today.saturating_add(SignedDuration::from_hours(24 * i64::from(shop.horizon_days)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::booking::{error::Code, hours::Span};

    fn now() -> Zoned {
        "2026-04-13T10:00[Europe/Rome]".parse().expect("a Monday")
    }

    fn check(local: &str, expected: Result<&str, Code>) {
        let mut shop = Shop::example();
        shop.hours.sun = vec!["01:00-06:00".parse::<Span>().expect("hours")];
        shop.horizon_days = 300;
        let service = shop.service_by_id("tagliando").expect("a service").clone();
        let got = admit(&shop, &service, local.parse().expect("a local time"), &now());
        assert_eq!(
            got.map(|slot| slot.end.to_string()).map_err(|error| error.code()),
            expected.map(String::from),
            "{local}"
        );
    }

    #[test]
    fn times_are_admitted_or_refused_by_name() {
        check("2026-04-14T09:00", Ok("2026-04-14T08:30:00Z"));
        check("2026-04-14T11:00", Ok("2026-04-14T10:30:00Z"));
        check("2026-04-14T11:05", Err(Code::Closed)); // would run into the break
        check("2026-04-14T08:25", Err(Code::Closed));
        check("2026-04-14T09:01", Err(Code::BadArguments));
        check("2026-04-14T09:00:30", Err(Code::BadArguments));
        check("2026-04-13T09:00", Err(Code::Past));
        check("2026-04-10T09:00", Err(Code::Past));
        check("2026-04-13T10:30", Err(Code::TooSoon));
        check("2026-04-13T11:00", Ok("2026-04-13T10:30:00Z"));
        check("2026-05-01T09:00", Err(Code::Holiday));
        check("2026-08-12T09:00", Err(Code::Closed));
        check("2027-06-01T09:00", Err(Code::TooFar));
        check("9999-12-31T23:55", Err(Code::TooFar));
    }

    #[test]
    fn times_the_clocks_skip_or_repeat_are_refused() {
        check("2026-10-25T02:30", Err(Code::Ambiguous));
        check("2026-10-25T03:00", Ok("2026-10-25T03:30:00Z"));
        let mut shop = Shop::example();
        shop.holidays = false;
        shop.hours.sun = vec!["01:00-06:00".parse::<Span>().expect("hours")];
        let service = shop.service_by_id("tagliando").expect("a service");
        let now = "2027-03-01T10:00[Europe/Rome]".parse().expect("winter");
        let skipped = admit(&shop, service, "2027-03-28T02:30".parse().expect("a local time"), &now);
        assert_eq!(skipped.map_err(|error| error.code()), Err(Code::BadArguments));
        // Ninety true minutes from one o'clock: the clocks then show half past three.
        let over = admit(&shop, service, "2027-03-28T01:00".parse().expect("a local time"), &now).expect("open");
        assert_eq!(over.end.to_string(), "2027-03-28T01:30:00Z");
    }
}
