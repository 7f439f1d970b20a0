//! Opening hours, closures and days of the year, as an owner writes them: `"08:30-12:30"`, `"2026-08-10/2026-08-23"`,
//! `"06-29"`.

use std::{fmt, str::FromStr};

use jiff::civil::{Date, Weekday};
use serde::{Deserialize, Serialize};

/// The week: for each day, when the shop is open. A day without hours is closed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hours {
    /// Monday.
    pub mon: Vec<Span>,
    /// Tuesday.
    pub tue: Vec<Span>,
    /// Wednesday.
    pub wed: Vec<Span>,
    /// Thursday.
    pub thu: Vec<Span>,
    /// Friday.
    pub fri: Vec<Span>,
    /// Saturday.
    pub sat: Vec<Span>,
    /// Sunday.
    pub sun: Vec<Span>,
}

impl Hours {
    /// When the shop is open on this weekday.
    pub fn of(&self, weekday: Weekday) -> &[Span] {
        match weekday {
            Weekday::Monday => &self.mon,
            Weekday::Tuesday => &self.tue,
            Weekday::Wednesday => &self.wed,
            Weekday::Thursday => &self.thu,
            Weekday::Friday => &self.fri,
            Weekday::Saturday => &self.sat,
            Weekday::Sunday => &self.sun,
        }
    }

    /// Each day with the name of its setting, Monday first.
    pub fn days(&self) -> [(&'static str, &[Span]); 7] {
        [
            ("mon", &self.mon),
            ("tue", &self.tue),
            ("wed", &self.wed),
            ("thu", &self.thu),
            ("fri", &self.fri),
            ("sat", &self.sat),
            ("sun", &self.sun),
        ]
    }

    /// The longest time the shop is open without a break, in minutes.
    pub fn longest_minutes(&self) -> u32 {
        self.days().iter().flat_map(|(_, spans)| spans.iter()).map(|span| span.minutes()).max().unwrap_or(0)
    }
}

/// One interval of a day, written `"08:30-12:30"`; `24:00` is midnight at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span {
    /// Minutes after midnight at which it begins.
    from: u16,
    /// Minutes after midnight at which it ends; more than `from`, at most 1440.
    to: u16,
}

impl Span {
    /// Minutes after midnight at which it begins.
    pub const fn from_minute(self) -> u16 {
        self.from
    }

    /// Minutes after midnight at which it ends.
    pub const fn to_minute(self) -> u16 {
        self.to
    }

    /// How long it is.
    pub fn minutes(self) -> u32 {
        u32::from(self.to - self.from)
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is not opening hours; write them like \"08:30-12:30\"");
        let (from, to) = text.split_once(['-', '–']).ok_or_else(wrong)?;
        let (from, to) = (minute(from).ok_or_else(wrong)?, minute(to).ok_or_else(wrong)?);
        if from >= to {
            return Err(format!("\"{text}\" ends before it begins; split hours that pass midnight over two days"));
        }
        Ok(Self { from, to })
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}-{:02}:{:02}", self.from / 60, self.from % 60, self.to / 60, self.to % 60)
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

/// Minutes after midnight of `"8:30"` or `"08:30"`.
pub(crate) fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let digits = |text: &str, least: usize| {
        ((least..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse::<u16>())
    };
    let (hour, minute) = (digits(hour, 1)?.ok()?, digits(minute, 2)?.ok()?);
    let minutes = hour * 60 + minute;
    (minute < 60 && minutes <= 1440).then_some(minutes)
}

/// Days on which the shop is closed: one (`"2026-12-24"`) or several (`"2026-08-10/2026-08-23"`, both included).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Closure {
    /// The first day.
    from: Date,
    /// The last day.
    to: Date,
}

impl Closure {
    /// Whether the day is one of them.
    pub fn covers(self, date: Date) -> bool {
        (self.from..=self.to).contains(&date)
    }
}

impl TryFrom<String> for Closure {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is not a closure; write \"2026-12-24\" or \"2026-08-10/2026-08-23\"");
        let (from, to) = text.split_once('/').unwrap_or((&text, &text));
        let day = |text: &str| {
            let text = text.trim();
            (text.len() == 10).then(|| text.parse::<Date>().ok()).flatten()
        };
        let (from, to) = (day(from).ok_or_else(wrong)?, day(to).ok_or_else(wrong)?);
        if from > to {
            return Err(format!("\"{text}\" ends before it begins; put the earlier day first"));
        }
        Ok(Self { from, to })
    }
}

impl From<Closure> for String {
    fn from(closure: Closure) -> Self {
        if closure.from == closure.to { closure.from.to_string() } else { format!("{}/{}", closure.from, closure.to) }
    }
}

/// A day of every year, written `"06-29"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MonthDay {
    /// 1 to 12.
    month: i8,
    /// 1 to 31, as the month allows (29 February included).
    day: i8,
}

impl MonthDay {
    /// Whether the date is this day of its year.
    pub fn is(self, date: Date) -> bool {
        (date.month(), date.day()) == (self.month, self.day)
    }
}

impl TryFrom<String> for MonthDay {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is not a day of the year; write \"MM-DD\", for instance \"06-29\"");
        let (month, day) = text.split_once('-').ok_or_else(wrong)?;
        let is_number = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = |text: &str| is_number(text).then(|| text.parse::<i8>().ok()).flatten();
        let (month, day) = (number(month).ok_or_else(wrong)?, number(day).ok_or_else(wrong)?);
        // 2024 was a leap year: 29 February is a day of the year.
        Date::new(2024, month, day).map_err(|_| wrong())?;
        Ok(Self { month, day })
    }
}

impl From<MonthDay> for String {
    fn from(day: MonthDay) -> Self {
        format!("{:02}-{:02}", day.month, day.day)
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn spans_are_read_and_written() {
        for (text, written) in
            [("08:30-12:30", "08:30-12:30"), ("8:30 - 12:30", "08:30-12:30"), ("0:00-24:00", "00:00-24:00")]
        {
            assert_eq!(text.parse::<Span>().expect(text).to_string(), written);
        }
        for text in
            ["", "08:30", "12:30-08:30", "08:30-08:30", "8-12", "08:60-09:00", "08:30-24:05", "+8:30-9:00", "8:3-9:0"]
        {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    #[test]
    fn closures_cover_both_ends() {
        let closure = Closure::try_from("2026-08-10/2026-08-23".to_string()).expect("it is one");
        assert!(closure.covers(date(2026, 8, 10)) && closure.covers(date(2026, 8, 23)));
        assert!(!closure.covers(date(2026, 8, 9)) && !closure.covers(date(2026, 8, 24)));
        assert!(Closure::try_from("2026-08-23/2026-08-10".to_string()).is_err());
        assert!(Closure::try_from("2026-02-30".to_string()).is_err());
    }

    #[test]
    fn days_of_the_year() {
        let patron = MonthDay::try_from("06-29".to_string()).expect("it is one");
        assert!(patron.is(date(2027, 6, 29)) && !patron.is(date(2027, 6, 28)));
        for text in ["6-29", "13-01", "02-30", "0629", "+6-29"] {
            assert!(MonthDay::try_from(text.to_string()).is_err(), "{text}");
        }
    }
}
