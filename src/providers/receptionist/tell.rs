//! News, refusals, prices and impossible days, in sentences.

use jiff::{
    ToSpan,
    civil::{Date, Weekday},
};

use super::{
    desk::{Appointment, Refusal},
    known::{Known, News},
    words::say_start,
};
use crate::booking::spoken::{SpokenError, say_date};

/// Appointments said in one sentence.
const SAID_MAX: usize = 3;

/// What has happened, in a sentence.
pub(super) fn tell(known: &Known<'_>, news: &News) -> String {
    let phrases = known.language.phrases();
    match news {
        News::Booked(made) => phrases.fill("receptionist.booked", &[("slot", &say(known, made))]),
        News::Moved(Some(start)) => phrases.fill("receptionist.moved", &[("slot", &say_start(*start, known.language))]),
        News::Moved(None) => phrases.fill("receptionist.moved", &[("slot", "")]),
        News::Cancelled => text(known, "receptionist.cancelled").into(),
        News::Found(found) => {
            let said: Vec<String> = found.iter().take(SAID_MAX).map(|found| say(known, found)).collect();
            phrases.fill("receptionist.found", &[("slot", &said.join(", "))])
        }
        News::MessageTaken => text(known, "receptionist.message_taken").into(),
        News::Abandoned => text(known, "receptionist.abandoned").into(),
        News::NoHuman => text(known, "receptionist.no_human").into(),
        News::Unavailable => text(known, "receptionist.unavailable").into(),
        News::Refused(refusal) => refused(known, refusal),
    }
}

/// Why a tool refused: its own sentence, which knows the details ("only the next 90 days"), else ours.
fn refused(known: &Known<'_>, refusal: &Refusal) -> String {
    let sentence = refusal.say.as_deref().filter(|say| say.trim_end().ends_with(['.', '!', '?']));
    let key = match refusal.error.as_str() {
        "slot_taken" => "receptionist.error_slot_taken",
        "closed" => "receptionist.error_closed",
        "holiday" => "receptionist.error_holiday",
        "past" => "receptionist.error_past",
        "too_soon" => "receptionist.error_too_soon",
        "too_far" => "receptionist.error_too_far",
        "unknown_service" => "receptionist.error_unknown_service",
        "not_found" => "receptionist.error_not_found",
        // The question that follows says what is wrong.
        "bad_plate" | "bad_phone" | "weekday_mismatch" | "ambiguous" => return String::new(),
        _ => return refusal.say.clone().unwrap_or_else(|| text(known, "receptionist.unavailable").into()),
    };
    sentence.unwrap_or_else(|| text(known, key)).into()
}

/// An appointment as it is said: its start in our words, else what the tool says.
pub(super) fn say(known: &Known<'_>, appointment: &Appointment) -> String {
    appointment.start.map_or_else(|| appointment.say.clone(), |start| say_start(start, known.language))
}

/// Why a day cannot be, with what it may have been.
pub(super) fn explain(known: &Known<'_>, problem: SpokenError) -> String {
    match problem {
        SpokenError::Past(_) => text(known, "receptionist.past").into(),
        SpokenError::NoSuchDay => text(known, "receptionist.no_such_day").into(),
        SpokenError::WeekdayMismatch { said, date } => {
            let other = nearest(date, said);
            let mut days = [other, date];
            days.sort();
            let [first, second] = days.map(|day| say_date(day, known.language));
            known.language.phrases().fill("receptionist.mismatch", &[("first", &first), ("second", &second)])
        }
    }
}

/// The day with this weekday nearest to the date.
fn nearest(date: Date, weekday: Weekday) -> Date {
    let ahead = i32::from(date.weekday().until(weekday));
    let days = if ahead > 3 { ahead - 7 } else { ahead };
    date.saturating_add(days.days())
}

/// What the service spoken of costs, where the schema tells; else the staff know.
pub(super) fn price(known: &Known<'_>) -> String {
    let service = known.priced.as_deref().or(known.service.as_deref());
    match service.and_then(|id| known.services.price(id).map(|price| (known.services.name(id), price))) {
        Some((service, price)) => {
            known.language.phrases().fill("receptionist.price", &[("service", &service), ("price", price)])
        }
        None => text(known, "receptionist.prices").into(),
    }
}

/// A sentence of the language of the conversation.
pub(super) fn text<'p>(known: &Known<'p>, key: &'static str) -> &'p str
where
    'static: 'p,
{
    known.language.phrases().text(key)
}
