//! Days and times as they are spoken: "martedì 14 aprile alle 9 e 30".

use jiff::civil::{Date, DateTime, Time, Weekday};

use super::{
    calendar::{self, Closed, Day},
    shop::Shop,
};
use crate::language::Language;

/// A day and a time.
pub fn moment(at: DateTime, language: Language) -> String {
    format!("{} {}", day(at.date(), language), time(at.time(), language))
}

/// A day: weekday, day and month.
pub fn day(date: Date, language: Language) -> String {
    let phrases = language.phrases();
    let number = match date.day() {
        1 => phrases.text("booking.first_of_month").to_string(),
        later => later.to_string(),
    };
    let month = phrases.list("booking.months").nth(usize::try_from(date.month() - 1).unwrap_or(0)).unwrap_or_default();
    phrases.fill("booking.day", &[("weekday", weekday(date.weekday(), language)), ("day", &number), ("month", month)])
}

/// A time of the day, with its preposition.
pub fn time(time: Time, language: Language) -> String {
    let (hour, minute) = (time.hour(), time.minute());
    let key = match (hour, minute) {
        (0, 0) => "booking.at_midnight",
        (1, 0) => "booking.at_one",
        (1, _) => "booking.at_one_and",
        (_, 0) => "booking.at_hour",
        (_, _) => "booking.at_hour_and",
    };
    language.phrases().fill(
        key,
        &[
            ("hour", &hour.to_string()),
            ("hour12", &((hour + 11) % 12 + 1).to_string()),
            ("minute", &minute.to_string()),
            ("minute2", &format!("{minute:02}")),
            ("half", if hour < 12 { "am" } else { "pm" }),
        ],
    )
}

/// The name of a weekday.
pub fn weekday(weekday: Weekday, language: Language) -> &'static str {
    let at = usize::try_from(weekday.to_monday_zero_offset()).unwrap_or(0);
    language.phrases().list("booking.weekdays").nth(at).unwrap_or_default()
}

/// Why a day is closed.
pub fn closed(date: Date, why: Closed, language: Language) -> String {
    let phrases = language.phrases();
    let day = day(date, language);
    match why {
        Closed::Weekly => phrases.fill("booking.closed_weekly", &[("weekday", weekday(date.weekday(), language))]),
        Closed::Closure => phrases.fill("booking.closed_closure", &[("day", &day)]),
        Closed::Holiday(holiday) => {
            phrases.fill("booking.closed_holiday", &[("day", &day), ("holiday", phrases.text(holiday.phrase()))])
        }
    }
}

/// When the shop is open on a day, for somebody who asked for another time.
pub fn hours(shop: &Shop, date: Date, language: Language) -> String {
    let phrases = language.phrases();
    let openings = match calendar::day(shop, date) {
        Day::Open(openings) => openings,
        Day::Closed(why) => return closed(date, why, language),
    };
    let spans: Vec<String> = openings
        .iter()
        .map(|opening| {
            let clock = |at: DateTime| at.strftime("%-H:%M").to_string();
            phrases.fill("booking.span", &[("from", &clock(opening.local)), ("to", &clock(opening.local_end))])
        })
        .collect();
    let and = format!(" {} ", phrases.text("booking.and"));
    phrases.fill("booking.outside_hours", &[("day", &day(date, language)), ("hours", &spans.join(&and))])
}

/// A duration.
pub fn minutes(minutes: u32, language: Language) -> String {
    let phrases = language.phrases();
    match minutes {
        60 => phrases.text("booking.one_hour").to_string(),
        whole if whole > 0 && whole % (24 * 60) == 0 => {
            phrases.fill("booking.days", &[("days", &(whole / (24 * 60)).to_string())])
        }
        whole if whole > 0 && whole % 60 == 0 => phrases.fill("booking.hours", &[("hours", &(whole / 60).to_string())]),
        other => phrases.fill("booking.minutes", &[("minutes", &other.to_string())]),
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::booking::holidays::Holiday;

    #[test]
    fn moments_are_said_as_people_say_them() {
        for (at, italian, english) in [
            (date(2026, 4, 14).at(9, 0, 0, 0), "martedì 14 aprile alle 9", "Tuesday 14 April at 9 am"),
            (date(2026, 4, 14).at(9, 30, 0, 0), "martedì 14 aprile alle 9 e 30", "Tuesday 14 April at 9:30 am"),
            (date(2026, 4, 14).at(14, 5, 0, 0), "martedì 14 aprile alle 14 e 5", "Tuesday 14 April at 2:05 pm"),
            (date(2026, 6, 1).at(12, 0, 0, 0), "lunedì primo giugno alle 12", "Monday 1 June at 12 pm"),
            (date(2026, 12, 31).at(1, 15, 0, 0), "giovedì 31 dicembre all'una e 15", "Thursday 31 December at 1:15 am"),
            (date(2026, 1, 4).at(0, 0, 0, 0), "domenica 4 gennaio a mezzanotte", "Sunday 4 January at midnight"),
        ] {
            assert_eq!(moment(at, Language::Italian), italian);
            assert_eq!(moment(at, Language::English), english);
        }
    }

    #[test]
    fn closed_days_say_why() {
        assert_eq!(
            closed(date(2026, 4, 6), Closed::Holiday(Holiday::EasterMonday), Language::Italian),
            "Mi dispiace, lunedì 6 aprile siamo chiusi: è Pasquetta."
        );
        assert_eq!(
            closed(date(2026, 4, 12), Closed::Weekly, Language::Italian),
            "Mi dispiace, di domenica siamo chiusi."
        );
        assert_eq!(
            closed(date(2026, 8, 12), Closed::Closure, Language::English),
            "I'm sorry, we are closed on Wednesday 12 August."
        );
    }

    #[test]
    fn hours_are_told_to_somebody_who_asked_for_another_time() {
        let shop = Shop::example();
        assert_eq!(
            hours(&shop, date(2026, 4, 14), Language::Italian),
            "martedì 14 aprile siamo aperti dalle 8:30 alle 12:30 e dalle 14:00 alle 18:30, e il lavoro deve starci tutto."
        );
    }
}
