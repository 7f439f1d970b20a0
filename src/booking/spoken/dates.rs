//! Spoken days.
//!
//! A mention is gathered piece by piece ("martedì", "14 aprile", "della prossima settimana") and then laid on the
//! calendar. Where words have two readings:
//!
//! - a bare weekday, and Italian "martedì prossimo", is the first one after today;
//! - English "next Tuesday" is the Tuesday of the next calendar week (weeks begin on Monday);
//! - "questo venerdì", "this Friday" may be today;
//! - "fra otto giorni" is a week and "fra quindici giorni" two, as Italians count; English counts exactly;
//! - "la settimana prossima" alone is its Monday, "fra due settimane" alone is this weekday then;
//! - a day and month without a year is the next one to come, unless it passed less than about three months ago: that
//!   is a mistake, and an error.

use jiff::{
    ToSpan,
    civil::{Date, Weekday},
};

use super::{
    SpokenError, numbers,
    words::{Mention, Word, corrected, listed, meant, phrase, place, starts_with, valued},
};
use crate::language::Language;

/// A day and month that passed is taken for next year's when that is at most this far off.
const AHEAD_DAYS_MAX: i32 = 270;

/// The day meant by the words.
pub(super) fn date(words: &[Word], today: Date, language: Language) -> Result<Option<Date>, SpokenError> {
    corrected(words, language)
        .find_map(|piece| meant(piece, mentions(piece, language), language).pop())
        .map(|mention| mention.value.lay(today))
        .transpose()
}

/// Whether any day is meant, whatever day it is today.
pub(super) fn is_mentioned(words: &[Word], language: Language) -> bool {
    corrected(words, language).any(|piece| !meant(piece, mentions(piece, language), language).is_empty())
}

/// What the words of one mention say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Said {
    /// Days from today.
    days: Option<i32>,
    /// Weeks from this one; alone it counts days from today when `counted`, else it is the Monday.
    weeks: Option<i32>,
    counted: bool,
    /// Months from today.
    months: Option<i32>,
    weekday: Option<Weekday>,
    /// Days after the weekday ("Tuesday week").
    later: i32,
    /// The weekday may be today ("questo venerdì").
    this: bool,
    /// The day of the month.
    day: Option<u32>,
    month: Option<i8>,
    year: Option<i16>,
}

impl Said {
    /// Both together, unless they say the same thing twice.
    fn with(self, other: Self) -> Option<Self> {
        fn either<T>(a: Option<T>, b: Option<T>) -> Result<Option<T>, ()> {
            if a.is_some() && b.is_some() { Err(()) } else { Ok(a.or(b)) }
        }
        // "Domani" and "la settimana prossima" are two mentions; "domani, martedì 14" is one.
        if self.days.is_some() && other.weeks.is_some() || self.weeks.is_some() && other.days.is_some() {
            return None;
        }
        let joined = || -> Result<Self, ()> {
            Ok(Self {
                days: either(self.days, other.days)?,
                weeks: either(self.weeks, other.weeks)?,
                counted: self.counted || other.counted,
                months: either(self.months, other.months)?,
                weekday: either(self.weekday, other.weekday)?,
                later: self.later + other.later,
                this: self.this || other.this,
                day: either(self.day, other.day)?,
                month: either(self.month, other.month)?,
                year: either(self.year, other.year)?,
            })
        };
        joined().ok()
    }

    /// Lays what was said on the calendar.
    fn lay(self, today: Date) -> Result<Date, SpokenError> {
        let date = self.find(today)?;
        if let Some(said) = self.weekday.filter(|said| *said != date.weekday()) {
            return Err(SpokenError::WeekdayMismatch { said, date });
        }
        if date < today { Err(SpokenError::Past(date)) } else { Ok(date) }
    }

    /// The day, its weekday not yet compared unless the weekday finds it.
    fn find(self, today: Date) -> Result<Date, SpokenError> {
        if let Some(day) = self.day {
            let day = i8::try_from(day).map_err(|_| SpokenError::NoSuchDay)?;
            return match (self.month, self.months) {
                (Some(month), _) => self.on(today, month, day),
                (None, Some(months)) => {
                    let month = add(today.first_of_month(), 0, months)?;
                    Date::new(month.year(), month.month(), day).map_err(|_| SpokenError::NoSuchDay)
                }
                (None, None) => next_day_of_month(today, day),
            };
        }
        if let Some(days) = self.days {
            return add(today, days, 0);
        }
        let monday = |weeks: i32| add(today, weeks * 7 - i32::from(today.weekday().to_monday_zero_offset()), 0);
        match (self.weekday, self.weeks) {
            (Some(weekday), Some(weeks)) => add(monday(weeks)?, i32::from(weekday.to_monday_zero_offset()), 0),
            (Some(weekday), None) => {
                let ahead = i32::from(today.weekday().until(weekday));
                let days = if ahead == 0 && !self.this { 7 } else { ahead };
                add(today, days + self.later, 0)
            }
            (None, Some(0)) => Ok(today),
            (None, Some(weeks)) if self.counted => add(today, weeks * 7, 0),
            (None, Some(weeks)) => monday(weeks),
            (None, None) => add(today, 0, self.months.unwrap_or(0)),
        }
    }

    /// The day and month, in the year said or the one meant.
    fn on(self, today: Date, month: i8, day: i8) -> Result<Date, SpokenError> {
        let in_year = |year: i16| Date::new(year, month, day).map_err(|_| SpokenError::NoSuchDay);
        if let Some(year) = self.year {
            return in_year(year);
        }
        let this_year = in_year(today.year());
        match this_year {
            Ok(date) if date >= today => Ok(date),
            // A 29th of February may only exist next year.
            Ok(_) | Err(_) => match in_year(today.year().saturating_add(1)) {
                Ok(date) if today.until(date).map_or(i32::MAX, |span| span.get_days()) <= AHEAD_DAYS_MAX => Ok(date),
                Ok(_) | Err(_) => this_year,
            },
        }
    }
}

/// Days and months later; a day beyond the calendar is no day.
fn add(date: Date, days: i32, months: i32) -> Result<Date, SpokenError> {
    date.checked_add(months.months().days(days)).map_err(|_| SpokenError::NoSuchDay)
}

/// The first day with this number from today on; months that are too short are passed over.
fn next_day_of_month(today: Date, day: i8) -> Result<Date, SpokenError> {
    (0..12)
        .filter_map(|months| add(today.first_of_month(), 0, months).ok())
        .filter_map(|month| Date::new(month.year(), month.month(), day).ok())
        .find(|date| *date >= today)
        .ok_or(SpokenError::NoSuchDay)
}

/// Every mention of a day, in order.
fn mentions(words: &[Word], language: Language) -> Vec<Mention<Said>> {
    let mut mentions: Vec<Mention<Said>> = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let Some((said, used)) = piece(words, at, language) else {
            at += 1;
            continue;
        };
        // A past day ("lunedì scorso") is spoken of, not meant.
        let Some(said) = said else {
            at += used;
            continue;
        };
        let joined = mentions.last_mut().and_then(|last| {
            // "Non domani, lunedì" is two days, "domani, lunedì" one.
            let apart = last.at.start > 0
                && listed(&words[last.at.start - 1].text, language, "spoken.denials")
                && words[last.at.end..=at].iter().any(|word| word.pause);
            let value = last.value.with(said).filter(|_| !apart && is_glue(&words[last.at.end..at], language))?;
            *last = Mention { value, at: last.at.start..at + used };
            Some(())
        });
        if joined.is_none() {
            mentions.push(Mention { value: said, at: at..at + used });
        }
        at += used;
    }
    // "Il prossimo" alone, a month alone or a year alone are no day.
    mentions.retain(|mention| {
        let said = mention.value;
        said.days.is_some() || said.weeks.is_some() || said.weekday.is_some() || said.day.is_some() || said.counted
    });
    mentions
}

/// Small words that may stand inside one mention.
fn is_glue(between: &[Word], language: Language) -> bool {
    between.len() <= 4 && between.iter().all(|word| listed(&word.text, language, "spoken.date_glue"))
}

/// A piece at this word: what it says (`None`: a past day, to be passed over) and how many words it takes.
fn piece(words: &[Word], at: usize, language: Language) -> Option<(Option<Said>, usize)> {
    let here = &words[at..];
    let past = past(here, language);
    if past > 0 {
        return Some((None, past));
    }
    relative(here, language)
        .or_else(|| weekday(here, language))
        .or_else(|| numeric(words, at))
        .or_else(|| day_and_month(here, language))
        .or_else(|| day_alone(words, at, language))
        .map(|(said, used)| (Some(said), used))
}

/// How many words speak of a past day.
fn past(here: &[Word], language: Language) -> usize {
    let is_weekday =
        |word: Option<&Word>| word.is_some_and(|word| place(&word.text, language, "spoken.weekdays").is_some());
    let is_week = |word: Option<&Word>| word.is_some_and(|word| word.is(&["settimana", "week", "sabato", "domenica"]));
    let is_past = |word: Option<&Word>| word.is_some_and(|word| listed(&word.text, language, "spoken.past"));
    match language {
        Language::Italian if (is_weekday(here.first()) || is_week(here.first())) && is_past(here.get(1)) => 2,
        Language::Italian | Language::English
            if is_past(here.first()) && (is_weekday(here.get(1)) || is_week(here.get(1))) =>
        {
            2
        }
        Language::Italian | Language::English => 0,
    }
}

/// Days, weeks and months counted from today.
fn relative(here: &[Word], language: Language) -> Option<(Said, usize)> {
    // "oggi=0|stamattina=0|domani=1", weeks with a w: "settimana prossima=w1", counted ones "week from today=c1".
    if let Some((used, value)) = valued(here, language, "spoken.days") {
        return Some((fixed_days(value)?, used));
    }
    // "fra tre giorni", "in two weeks", "tra un mese", "fra un paio di giorni"
    if !listed(&here.first()?.text, language, "spoken.in") {
        return None;
    }
    let (count, used) = count(&here[1..], language)?;
    let unit = &here.get(1 + used)?.text;
    let count = i32::try_from(count).ok().filter(|count| (1..=400).contains(count))?;
    let said = if listed(unit, language, "spoken.unit_days") {
        let days = match (language, count) {
            (Language::Italian, 8) => 7,
            (Language::Italian, 15) => 14,
            _ => count,
        };
        Said { days: Some(days), ..Said::default() }
    } else if listed(unit, language, "spoken.unit_weeks") {
        Said { weeks: Some(count), counted: true, ..Said::default() }
    } else if listed(unit, language, "spoken.unit_months") {
        Said { months: Some(count), counted: true, ..Said::default() }
    } else {
        return None;
    };
    Some((said, used + 2))
}

fn fixed_days(value: &str) -> Option<Said> {
    let mut said = Said::default();
    if let Some(weeks) = value.strip_prefix('w') {
        said.weeks = Some(weeks.parse().ok()?);
    } else if let Some(months) = value.strip_prefix('m') {
        said.months = Some(months.parse().ok()?);
    } else if let Some(weekday) = value.strip_prefix('s') {
        said.weekday = weekday_at(weekday.parse().ok()?);
        said.this = true;
    } else {
        said.days = Some(value.parse().ok()?);
    }
    Some(said)
}

/// "tre", "un", "un paio di", "a couple of".
fn count(here: &[Word], language: Language) -> Option<(u32, usize)> {
    let first = here.first()?;
    let couple = ["un paio di", "a couple of", "couple of"].iter().map(|phrase| starts_with(here, phrase)).max()?;
    if couple > 0 {
        return Some((2, couple));
    }
    if first.is(&["un", "una", "a", "an"]) {
        return Some((1, 1));
    }
    numbers::number(here, language)
}

fn weekday_at(monday_zero: usize) -> Option<Weekday> {
    Weekday::from_monday_zero_offset(i8::try_from(monday_zero).ok()?).ok()
}

/// A weekday with what is said of it: "martedì prossimo", "this Friday", "Tuesday week".
fn weekday(here: &[Word], language: Language) -> Option<(Said, usize)> {
    let named =
        |at: usize| here.get(at).and_then(|word| place(&word.text, language, "spoken.weekdays")).and_then(weekday_at);
    let is = |at: usize, key: &'static str| here.get(at).is_some_and(|word| listed(&word.text, language, key));
    let said = |weekday, weeks, this| Said { weekday: Some(weekday), weeks, this, ..Said::default() };
    if let Some(weekday) = named(0) {
        if language == Language::English && here.get(1).is_some_and(|word| word.text == "week") {
            return Some((Said { later: 7, ..said(weekday, None, false) }, 2)); // Tuesday week
        }
        let next = ["che viene", "prossimo", "prossima", "venturo", "ventura", "entrante", "coming"];
        let after = next.iter().map(|phrase| starts_with(&here[1..], phrase)).max().unwrap_or(0);
        return Some((said(weekday, None, false), 1 + after));
    }
    let week = ["a week from", "a week on"].iter().map(|phrase| starts_with(here, phrase)).max().unwrap_or(0);
    if let Some(weekday) = named(week).filter(|_| week > 0) {
        return Some((Said { later: 7, ..said(weekday, None, false) }, week + 1));
    }
    let weekday = named(1)?;
    if is(0, "spoken.this") {
        Some((said(weekday, None, true), 2))
    } else if is(0, "spoken.next") {
        let weeks = (language == Language::English).then_some(1);
        Some((said(weekday, weeks, false), 2))
    } else {
        None
    }
}

/// `14/4`, `14/04/2026`, `2026-04-14`, `14.04.2026`; a day and month with a dot only behind an article.
fn numeric(words: &[Word], at: usize) -> Option<(Said, usize)> {
    let text = &words[at].text;
    let separator = text.chars().find(|c| !c.is_ascii_digit())?;
    let parts: Vec<&str> = text.split(separator).collect();
    let article = at > 0 && words[at - 1].is(&["il", "the", "giorno"]);
    let (year, month, day) = match (parts.as_slice(), separator) {
        ([year, month, day], '-' | '/') if year.len() == 4 => (Some(*year), month, day),
        ([day, month, year], '-' | '/' | '.') if year.len() == 4 || year.len() == 2 => (Some(*year), month, day),
        ([day, month], '/') => (None, month, day),
        ([day, month], '.') if article && month.len() == 2 => (None, month, day),
        _ => return None,
    };
    let year = match year {
        Some(year) if year.len() == 2 => Some(2000 + year.parse::<i16>().ok()?),
        Some(year) => Some(year.parse().ok()?),
        None => None,
    };
    let month: i8 = month.parse().ok().filter(|month| (1..=12).contains(month))?;
    let day: u32 = day.parse().ok().filter(|day| (1..=31).contains(day))?;
    Some((Said { day: Some(day), month: Some(month), year, ..Said::default() }, 1))
}

/// A day of the month in words or digits.
fn day_number(here: &[Word], language: Language) -> Option<(u32, usize, bool)> {
    let ordinal = numbers::ordinal(here, language).map(|(day, used)| (day, used, true));
    let (day, used, ordinal) =
        ordinal.or_else(|| numbers::number(here, language).map(|(day, used)| (day, used, false)))?;
    (1..=31).contains(&day).then_some((day, used, ordinal))
}

fn month(word: Option<&Word>, language: Language) -> Option<i8> {
    i8::try_from(place(&word?.text, language, "spoken.months")? + 1).ok()
}

/// "14 aprile", "il primo di maggio 2026", "April the 14th", "the 14th of April".
fn day_and_month(here: &[Word], language: Language) -> Option<(Said, usize)> {
    let (day, month, mut used) = if let Some(month) = month(here.first(), language) {
        if language == Language::Italian {
            return None;
        }
        let article = usize::from(here.get(1).is_some_and(|word| word.text == "the"));
        let (day, used, _) = day_number(&here[1 + article..], language)?;
        (day, month, 1 + article + used)
    } else {
        let (day, used, _) = day_number(here, language)?;
        let of = usize::from(here.get(used).is_some_and(|word| word.is(&["di", "of", "del"])));
        (day, month(here.get(used + of), language)?, used + of + 1)
    };
    let of = usize::from(here.get(used).is_some_and(|word| word.is(&["del", "of"])));
    let mut said = Said { day: Some(day), month: Some(month), ..Said::default() };
    if let Some((year, words)) = here.get(used + of..).and_then(|rest| numbers::number(rest, language))
        && (2000..=2100).contains(&year)
    {
        said.year = i16::try_from(year).ok();
        used += of + words;
    }
    Some((said, used))
}

/// "il 3", "l'otto", "martedì 14", "the 14th": a day without its month, only where the words around make it one.
fn day_alone(words: &[Word], at: usize, language: Language) -> Option<(Said, usize)> {
    let before = at.checked_sub(1).map(|before| &words[before])?;
    let (day, used, ordinal) = day_number(&words[at..], language)?;
    let after_weekday = place(&before.text, language, "spoken.weekdays").is_some();
    let led = after_weekday || listed(&before.text, language, "spoken.day_leads");
    if !led || (language == Language::English && !ordinal) {
        return None;
    }
    let next = words.get(at + used);
    // "Il primo disponibile", "the second option": an ordinal is a day only when nothing else follows.
    let ends = next.is_none_or(|next| next.pause || listed(&next.text, language, "spoken.after_day"));
    if (ordinal && !words[at].text.starts_with(|c: char| c.is_ascii_digit()) && !ends)
        || next.is_some_and(|next| listed(&next.text, language, "spoken.not_days"))
        || is_clock(&words[at + used..], language)
        || (after_weekday && day <= 12 && phrase(&words[at + used..], language, "spoken.clock_parts") > 0)
    {
        return None;
    }
    Some((Said { day: Some(day), ..Said::default() }, used))
}

/// What follows makes the number an hour: "lunedì nove e mezza", "lunedì 9 di mattina".
fn is_clock(after: &[Word], language: Language) -> bool {
    let clock = phrase(after, language, "spoken.clock") > 0;
    let minutes = after.first().is_some_and(|word| word.text == "e")
        && after.get(1..).and_then(|rest| numbers::number(rest, language)).is_some_and(|(n, _)| (5..60).contains(&n));
    clock || minutes
}
