//! Spoken times of day.
//!
//! A number is an hour only where the words make it one: "alle nove", "nove e mezza", "9:30", "nine o'clock", "3 pm";
//! "le quattro gomme" are no four o'clock. An hour from one to eleven without its part of the day has two readings.

use jiff::civil::Time;

use super::{
    TimeOfDay, numbers,
    words::{Mention, Word, corrected, listed, meant, phrase, place, starts_with},
};
use crate::language::Language;

/// The time meant by the words.
pub(super) fn time(words: &[Word], language: Language) -> Option<TimeOfDay> {
    corrected(words, language).find_map(|piece| in_piece(piece, words, language))
}

/// The words are nothing but an hour ("nove", "le 15", "facciamo le tre").
pub(super) fn lone_hour(words: &[Word], language: Language) -> Option<TimeOfDay> {
    let piece = corrected(words, language).next()?;
    let start = piece.iter().position(|word| !listed(&word.text, language, "spoken.hour_fillers"))?;
    let (clock, used) = hour(&piece[start..], language)?;
    let rest = &piece[start + used..];
    rest.iter().all(|word| listed(&word.text, language, "spoken.hour_fillers")).then(|| clock.told(None))
}

fn in_piece(piece: &[Word], words: &[Word], language: Language) -> Option<TimeOfDay> {
    let parts = meant(piece, parts(piece, language), language);
    let part = parts.last().map(|part| part.value);
    let clocks = meant(piece, clocks(piece, language), language);
    if let Some(clock) = clocks.last() {
        // The part of the day may have been said before the correction: "domani pomeriggio alle due, anzi alle tre".
        let said_before = || corrected(words, language).flat_map(|piece| self::parts(piece, language)).next();
        return Some(clock.value.told(part.or_else(|| said_before().map(|part| part.value))));
    }
    part.map(|part| match part {
        Part::Morning => TimeOfDay::Morning,
        Part::Afternoon => TimeOfDay::Afternoon,
        Part::Evening | Part::Night => TimeOfDay::Evening,
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Morning,
    Afternoon,
    Evening,
    Night,
}

/// An hour as said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Clock {
    /// Minutes since midnight.
    minutes: u32,
    /// The words leave no second reading (15, mezzogiorno, 09:30, pm).
    sure: bool,
}

impl Clock {
    const fn sure(minutes: u32) -> Self {
        Self { minutes, sure: true }
    }

    /// With the part of the day that was said next to it.
    fn told(self, part: Option<Part>) -> TimeOfDay {
        let (minutes, hour) = (self.minutes, self.minutes / 60);
        let half = !self.sure && (1..12).contains(&hour);
        let (minutes, hour12_ambiguous) = match part {
            _ if !half => (minutes, false),
            None => (minutes, true),
            Some(Part::Morning) => (minutes, false),
            // "Le nove del pomeriggio" is a slip of the tongue: the part is not believed.
            Some(Part::Afternoon) if hour <= 8 => (minutes + 720, false),
            Some(Part::Evening) if hour >= 4 => (minutes + 720, false),
            Some(Part::Night) => (if hour >= 6 { minutes + 720 } else { minutes }, false),
            Some(Part::Afternoon | Part::Evening) => (minutes, true),
        };
        let part_of = |value: u32| i8::try_from(value).unwrap_or(0);
        TimeOfDay::Exact {
            time: Time::constant(part_of(minutes / 60 % 24), part_of(minutes % 60), 0, 0),
            hour12_ambiguous,
        }
    }
}

/// Every part of the day, greetings ("buona sera") apart.
fn parts(words: &[Word], language: Language) -> Vec<Mention<Part>> {
    let mut found = Vec::new();
    for (at, word) in words.iter().enumerate() {
        if at > 0 && words[at - 1].is(&["buona", "buon", "good", "bella"]) {
            continue;
        }
        let part = [
            ("spoken.morning", Part::Morning),
            ("spoken.afternoon", Part::Afternoon),
            ("spoken.evening", Part::Evening),
            ("spoken.night", Part::Night),
        ]
        .into_iter()
        .find(|(key, _)| listed(&word.text, language, key));
        if let Some((_, part)) = part {
            found.push(Mention { value: part, at: at..at + 1 });
        }
    }
    found.extend((0..words.len()).filter_map(|at| {
        let used = phrase(&words[at..], language, "spoken.after_lunch");
        (used > 0).then(|| Mention { value: Part::Afternoon, at: at..at + used })
    }));
    found.sort_by_key(|mention| mention.at.start);
    found
}

/// Every hour, in order. Of a range ("dalle nove alle undici") only the beginning.
fn clocks(words: &[Word], language: Language) -> Vec<Mention<Clock>> {
    let mut found: Vec<Mention<Clock>> = Vec::new();
    let mut range_from: Option<usize> = None;
    let mut at = 0;
    while at < words.len() {
        match clock(words, at, language) {
            Some((clock, used)) => {
                let ends_range = range_from.is_some_and(|end| at - end <= 3);
                if !ends_range {
                    found.push(Mention { value: clock, at: at..at + used });
                }
                let range = at > 0 && listed(&words[at - 1].text, language, "spoken.range_leads")
                    || listed(&words[at].text, language, "spoken.range_leads");
                range_from = (range && !ends_range).then_some(at + used);
                at += used;
            }
            None => at += 1,
        }
    }
    found
}

/// An hour that the words make one, its lead ("alle") included.
fn clock(words: &[Word], at: usize, language: Language) -> Option<(Clock, usize)> {
    let here = &words[at..];
    let lead = lead(here, language);
    let (used_lead, kind) = lead.unwrap_or((0, Lead::None));
    let (clock, used) = hour(&here[used_lead..], language)?;
    let used = used_lead + used;
    let next = here.get(used);
    let named = is_named(&here[used_lead..used], clock, language);
    let with_part = next.is_some_and(|word| !word.pause) && is_part_next(&here[used..], language);
    let ok = match kind {
        Lead::Sure => next.is_none_or(|next| !listed(&next.text, language, "spoken.not_hours")),
        // "Le tre" needs something that is no noun behind it.
        Lead::Maybe => {
            named
                || with_part
                || next.is_none_or(|next| next.pause || listed(&next.text, language, "spoken.after_hour"))
        }
        Lead::None => named || with_part,
    };
    let article = at > 0 && words[at - 1].is(&["il", "the"]) && kind == Lead::None && here[0].text.contains('.');
    let price = next.is_some_and(|next| next.is(&["euro", "euros", "percento", "km"]));
    (ok && !article && !price).then_some((clock, used))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lead {
    /// An hour follows: "alle", "ore", "at".
    Sure,
    /// An hour may follow: "le".
    Maybe,
    None,
}

fn lead(here: &[Word], language: Language) -> Option<(usize, Lead)> {
    let sure = phrase(here, language, "spoken.hour_leads");
    if sure > 0 {
        return Some((sure, Lead::Sure));
    }
    Some((phrase(here, language, "spoken.hour_maybe_leads"), Lead::Maybe)).filter(|(used, _)| *used > 0)
}

/// The words are an hour even without a lead: they hold a colon, a quarter, noon, "o'clock".
fn is_named(words: &[Word], clock: Clock, language: Language) -> bool {
    let Some(first) = words.first() else { return false };
    let digits = first.text.contains([':', '.']);
    let more = words.len() > 1 && words[1..].iter().any(|word| listed(&word.text, language, "spoken.hour_marks"));
    let minutes = words.len() > 1
        && clock.minutes.is_multiple_of(15)
        && !clock.minutes.is_multiple_of(60)
        && (language == Language::English || words[1].text == "e");
    let noon = listed(&first.text, language, "spoken.noon") || listed(&first.text, language, "spoken.midnight");
    let glued = ["am", "pm"].iter().any(|half| first.text.ends_with(half) && first.text.len() > 2);
    let past = ["half", "quarter", "a", "un"].contains(&first.text.as_str()) && words.len() > 1;
    digits || more || minutes || noon || glued || past
}

/// "di mattina", "del pomeriggio", "in the afternoon" right behind an hour.
fn is_part_next(after: &[Word], language: Language) -> bool {
    let small = after.iter().take_while(|word| word.is(&["di", "del", "della", "in", "the", "at"])).count();
    (1..=2).contains(&small)
        && after.get(small).is_some_and(|word| {
            ["spoken.morning", "spoken.afternoon", "spoken.evening", "spoken.night"]
                .iter()
                .any(|key| listed(&word.text, language, key))
        })
}

/// An hour with its minutes, without its lead.
fn hour(here: &[Word], language: Language) -> Option<(Clock, usize)> {
    let first = here.first()?;
    if let Some(clock) = digits(&first.text) {
        return Some(half_of_day(clock, here, 1));
    }
    match language {
        Language::Italian => italian(here),
        Language::English => english(here),
    }
}

/// `9:30`, `9.30`, `09:30`.
fn digits(text: &str) -> Option<Clock> {
    let (hour, minute) = text.split_once([':', '.'])?;
    if minute.len() != 2 || hour.len() > 2 || !hour.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
    let sure = hour.starts_with('0');
    (hours < 24 && minutes < 60).then_some(Clock { minutes: hours * 60 + minutes, sure })
}

/// "am", "pm", "o'clock" behind an hour.
fn half_of_day(clock: Clock, here: &[Word], used: usize) -> (Clock, usize) {
    let Some(next) = here.get(used) else { return (clock, used) };
    match half(&next.text, clock.minutes) {
        Some(minutes) => (Clock::sure(minutes), used + 1),
        None if next.text == "oclock" => (clock, used + 1),
        None => (clock, used),
    }
}

fn half(word: &str, minutes: u32) -> Option<u32> {
    let hour = minutes / 60;
    match word {
        "am" if hour <= 12 => Some(if hour == 12 { minutes - 720 } else { minutes }),
        "pm" if (1..=12).contains(&hour) => Some(if hour == 12 { minutes } else { minutes + 720 }),
        _ => None,
    }
}

/// A whole hour as a number.
fn whole(here: &[Word], language: Language) -> Option<(u32, usize)> {
    let first = here.first()?;
    let (value, used) = match first.text.as_str() {
        "una" if language == Language::Italian => (1, 1),
        _ => numbers::number(here, language)?,
    };
    (value <= 24 && first.text.len() <= 16).then_some((value % 24, used))
}

fn italian(here: &[Word]) -> Option<(Clock, usize)> {
    if starts_with(here, "un quarto alle") > 0 || starts_with(here, "un quarto all") > 0 {
        let (hour, used) = whole(&here[3..], Language::Italian)?;
        return Some((Clock { minutes: (hour * 60 + 1440 - 15) % 1440, sure: hour == 0 || hour > 12 }, used + 3));
    }
    let (clock, mut used) = match here.first()?.text.as_str() {
        "mezzogiorno" => (Clock::sure(720), 1),
        "mezzanotte" => (Clock::sure(0), 1),
        first => {
            let (hour, used) = whole(here, Language::Italian)?;
            let sure = hour == 0 || hour > 12 || (first.len() == 2 && first.starts_with('0'));
            (Clock { minutes: hour * 60, sure }, used)
        }
    };
    let rest = here.get(used..).unwrap_or_default();
    let mut minutes = clock.minutes;
    let fixed = [("e un quarto", 15), ("e tre quarti", 45), ("e mezza", 30), ("e mezzo", 30), ("e mezz", 30)];
    if let Some((phrase, more)) = fixed.iter().find(|(phrase, _)| starts_with(rest, phrase) > 0) {
        minutes += more;
        used += starts_with(rest, phrase);
    } else if starts_with(rest, "meno un quarto") > 0 {
        minutes = (minutes + 1440 - 15) % 1440;
        used += 3;
    } else if let Some((less, words)) = small_number(rest, "meno") {
        minutes = (minutes + 1440 - less) % 1440;
        used += words;
    } else if let Some((more, words)) = small_number(rest, "e").or_else(|| small_number(rest, "virgola")) {
        minutes += more;
        used += words;
    } else if let Some((more, words)) = numbers::number(rest, Language::Italian)
        && (10..60).contains(&more)
        && !rest[0].pause
        && rest.get(words).is_none_or(|next| place(&next.text, Language::Italian, "spoken.months").is_none())
    {
        minutes += more;
        used += words;
    }
    used += starts_with(here.get(used..).unwrap_or_default(), "in punto");
    used += starts_with(here.get(used..).unwrap_or_default(), "precise");
    Some((Clock { minutes: minutes % 1440, ..clock }, used))
}

/// "e dieci", "meno venti": minutes behind a small word.
fn small_number(rest: &[Word], lead: &str) -> Option<(u32, usize)> {
    rest.first().filter(|word| word.text == lead)?;
    let (value, used) = numbers::number(rest.get(1..)?, Language::Italian)?;
    (5..60).contains(&value).then_some((value, used + 1))
}

fn english(here: &[Word]) -> Option<(Clock, usize)> {
    let first = here.first()?.text.as_str();
    if listed(first, Language::English, "spoken.noon") {
        return Some((Clock::sure(720), 1));
    }
    if first == "midnight" {
        return Some((Clock::sure(0), 1));
    }
    // "9am", "10pm"
    if let Some((number, half_name)) = first.split_at_checked(first.len().saturating_sub(2))
        && let Some(clock) = number
            .parse::<u32>()
            .ok()
            .and_then(|hour| hour.checked_mul(60))
            .or_else(|| digits(number).map(|c| c.minutes))
        && clock < 1440
        && let Some(minutes) = half(half_name, clock)
    {
        return Some((Clock::sure(minutes), 1));
    }
    if let Some((shift, used)) = english_shift(here) {
        let (hour, words) = whole(&here[used..], Language::English).filter(|(hour, _)| *hour > 0)?;
        let minutes = (hour * 60).checked_add_signed(shift)? % 1440;
        return Some(half_of_day(Clock { minutes, sure: hour > 12 }, here, used + words));
    }
    // "Nine thirty" is two numbers; "nine thirty five" as well.
    let (hour, mut used) = whole(here, Language::English)?;
    let sure = hour == 0 || hour > 12 || (first.len() == 2 && first.starts_with('0'));
    let mut minutes = hour * 60;
    let rest = here.get(used..).unwrap_or_default();
    if let Some(next) = rest.first().filter(|next| !next.pause) {
        let oh = usize::from(next.is(&["oh", "o"]));
        let more = numbers::number(&rest[oh..], Language::English);
        if let Some((more, words)) = more
            && (more < 60 && if oh == 1 { more < 10 } else { more >= 10 })
            && rest.get(words).is_none_or(|next| place(&next.text, Language::English, "spoken.months").is_none())
        {
            minutes += more;
            used += oh + words;
        }
    }
    Some(half_of_day(Clock { minutes, sure }, here, used))
}

/// "half past", "quarter to", "ten past", "twenty five to": minutes to add to the hour that follows.
fn english_shift(here: &[Word]) -> Option<(i32, usize)> {
    let article = usize::from(here.first()?.text == "a");
    let (minutes, used) = match here.get(article)?.text.as_str() {
        "half" => (30, 1),
        "quarter" => (15, 1),
        _ => numbers::number(&here[article..], Language::English).filter(|(minutes, _)| (1..30).contains(minutes))?,
    };
    let minutes = i32::try_from(minutes).ok()?;
    let used = article + used;
    match here.get(used)?.text.as_str() {
        "past" | "after" => Some((minutes, used + 1)),
        "to" | "before" | "till" if minutes < 30 => Some((-minutes, used + 1)),
        // British: "half nine" is half past nine.
        _ if minutes == 30 && here[article].text == "half" => Some((30, used)),
        _ => None,
    }
}
