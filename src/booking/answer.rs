//! What the model reads: one JSON object for each request, and the search behind `find_slots`.
//!
//! Every moment has two forms: `start`, to be handed back, and `say`, to be spoken.

use jiff::{SignedDuration, Zoned, civil::Time};
use serde_json::{Value, json};

use super::{
    appointment::{Appointment, Taken},
    calendar::{self, Day},
    error::BookingError,
    limits::{ALTERNATIVES, SLOTS_MAX, SLOTS_OF_A_DAY_MAX, SLOTS_PER_DAY},
    request::{FindSlots, Part},
    rules, say,
    shop::Shop,
    slots::{self, Slot},
};
use crate::language::Language;

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What is free. Near a time that was asked for, the nearest first; else in order.
    pub slots: Vec<Slot>,
    /// Why there is nothing, for the caller.
    pub say: Option<String>,
    /// What is free instead, when there is nothing.
    pub alternatives: Vec<Slot>,
}

/// Searches. `taken` is what the books say from now to the horizon.
pub fn search(shop: &Shop, taken: &[Taken], wish: &FindSlots<'_>, now: &Zoned, language: Language) -> Found {
    let (earliest, latest) = (rules::earliest(shop, now), rules::latest(shop, now));
    let (from, until) = match wish.date {
        Some(date) => (rules::start_of_day(shop, date).max(earliest), rules::end_of_day(shop, date).min(latest)),
        None => (earliest, latest),
    };
    let slots = if wish.date.is_some() || wish.minute.is_some() {
        near_the_time(shop, taken, wish, from, until)
    } else {
        spread_over_days(shop, taken, wish, from, until)
    };
    if !slots.is_empty() {
        return Found { slots, say: None, alternatives: Vec::new() };
    }
    let minute = wish.minute.unwrap_or(match wish.part {
        Some(Part::Afternoon) => 14 * 60,
        Some(Part::Morning) | None => 9 * 60,
    });
    let around = match wish.date {
        Some(date) => rules::start_of_day(shop, date)
            .checked_add(SignedDuration::from_mins(i64::from(minute)))
            .unwrap_or(earliest),
        None => earliest,
    };
    Found {
        slots,
        say: Some(why_nothing(shop, wish, from, until, language)),
        alternatives: slots::nearest(shop, taken, wish.service, around, now, ALTERNATIVES),
    }
}

fn near_the_time(
    shop: &Shop,
    taken: &[Taken],
    wish: &FindSlots<'_>,
    from: jiff::Timestamp,
    until: jiff::Timestamp,
) -> Vec<Slot> {
    let limit = if wish.date.is_some() { SLOTS_OF_A_DAY_MAX } else { SLOTS_MAX };
    let mut found: Vec<Slot> = Vec::new();
    slots::for_each_free(shop, taken, wish.service, from, until, |slot| {
        // Without a day the search ends on the first one that has something.
        if wish.date.is_none() && found.first().is_some_and(|first| first.local.date() != slot.local.date()) {
            return false;
        }
        if wish.part.is_none_or(|part| part.has(slot.local)) {
            found.push(slot);
        }
        true
    });
    if let Some(minute) = wish.minute {
        let distance = |time: Time| (i32::from(time.hour()) * 60 + i32::from(time.minute())).abs_diff(minute.into());
        found.sort_by_key(|slot| (distance(slot.local.time()), slot.start));
    }
    found.truncate(limit);
    found
}

fn spread_over_days(
    shop: &Shop,
    taken: &[Taken],
    wish: &FindSlots<'_>,
    from: jiff::Timestamp,
    until: jiff::Timestamp,
) -> Vec<Slot> {
    let mut found: Vec<Slot> = Vec::new();
    slots::for_each_free(shop, taken, wish.service, from, until, |slot| {
        let of_the_day = found.iter().filter(|other| other.local.date() == slot.local.date()).count();
        if of_the_day < SLOTS_PER_DAY && wish.part.is_none_or(|part| part.has(slot.local)) {
            found.push(slot);
        }
        found.len() < SLOTS_MAX
    });
    found
}

fn why_nothing(
    shop: &Shop,
    wish: &FindSlots<'_>,
    from: jiff::Timestamp,
    until: jiff::Timestamp,
    language: Language,
) -> String {
    let Some(date) = wish.date else { return language.phrases().text("booking.all_full").to_string() };
    if let Day::Closed(why) = calendar::day(shop, date) {
        return say::closed(date, why, language);
    }
    let mut fits = false;
    slots::for_each_free(shop, &[], wish.service, from, until, |slot| {
        fits = wish.part.is_none_or(|part| part.has(slot.local));
        !fits
    });
    if fits {
        language.phrases().fill("booking.day_full", &[("day", &say::day(date, language))])
    } else {
        say::hours(shop, date, language)
    }
}

/// The answer to a search.
pub fn slots(wish: &FindSlots<'_>, found: &Found, language: Language) -> Value {
    let mut answer = json!({
        "ok": true,
        "service": wish.service.id,
        "minutes": wish.service.minutes,
        "slots": moments(&found.slots, language),
    });
    if let Some(reason) = &found.say {
        answer["say"] = json!(reason);
        answer["alternatives"] = moments(&found.alternatives, language);
    }
    answer
}

/// The answer to a booking, a move or a cancellation that was kept.
pub fn kept(appointment: &Appointment, language: Language) -> Value {
    let mut answer = one(appointment, language);
    answer["ok"] = json!(true);
    answer
}

/// The answer to a search for appointments.
pub fn appointments(found: &[Appointment], language: Language) -> Value {
    let list: Vec<Value> = found.iter().map(|appointment| one(appointment, language)).collect();
    let mut answer = json!({ "ok": true, "appointments": list });
    if found.is_empty() {
        answer["say"] = json!(language.phrases().text("booking.not_found"));
    }
    answer
}

/// The answer to a message that was kept, and to the end of the call.
pub fn done() -> Value {
    json!({ "ok": true })
}

/// The answer to a transfer.
pub fn transfer(to: &str) -> Value {
    json!({ "ok": true, "to": to })
}

/// The answer to what cannot be done, with what can be done instead.
pub fn refused(shop: &Shop, error: &BookingError, alternatives: &[Slot], language: Language) -> Value {
    let mut answer = json!({
        "ok": false,
        "error": error.code().as_str(),
        "field": error.field(),
        "say": error.say(shop, language),
        "alternatives": moments(alternatives, language),
    });
    if let BookingError::BadArguments { detail, .. } = error {
        answer["detail"] = json!(detail);
    }
    answer
}

/// The answer when several appointments match: which ones, each with its id.
pub fn several(shop: &Shop, found: &[Appointment], language: Language) -> Value {
    let times = found.iter().map(|appointment| appointment.local).collect();
    let mut answer = refused(shop, &BookingError::Several(times), &[], language);
    answer["alternatives"] = found.iter().map(|appointment| one(appointment, language)).collect();
    answer
}

fn one(appointment: &Appointment, language: Language) -> Value {
    json!({
        "id": appointment.id.to_string(),
        "service": appointment.service,
        "start": start(appointment.local),
        "say": say::moment(appointment.local, language),
    })
}

fn moments(slots: &[Slot], language: Language) -> Value {
    slots.iter().map(|slot| json!({ "start": start(slot.local), "say": say::moment(slot.local, language) })).collect()
}

/// A local time as the model hands it back.
pub fn start(local: jiff::civil::DateTime) -> String {
    local.strftime("%Y-%m-%dT%H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::booking::request::{Door, Request, parse};

    fn check(arguments: &str, taken: &[Taken], expected: Value) {
        let shop = Shop::example();
        let now = "2026-04-13T10:10[Europe/Rome]".parse().expect("a Monday");
        let Ok(Request::FindSlots(wish)) =
            parse(Door { shop: &shop, now: &now, caller: None }, "find_slots", arguments)
        else {
            panic!("{arguments} is a search")
        };
        let mut answer = slots(&wish, &search(&shop, taken, &wish, &now, Language::Italian), Language::Italian);
        // The starts say enough here.
        for list in ["slots", "alternatives"] {
            if let Some(list) = answer.get_mut(list) {
                *list = list.as_array().expect("a list").iter().map(|one| one["start"].clone()).collect();
            }
        }
        assert_eq!(answer, expected, "{arguments}");
    }

    #[test]
    fn the_next_free_times_are_spread_over_days() {
        check(
            r#"{"service":"tagliando"}"#,
            &[],
            json!({"ok": true, "service": "tagliando", "minutes": 90, "slots": [
                "2026-04-13T14:00", "2026-04-13T14:30", "2026-04-14T08:30", "2026-04-14T09:00", "2026-04-15T08:30",
                "2026-04-15T09:00"]}),
        );
    }

    #[test]
    fn a_time_that_is_asked_for_comes_first() {
        check(
            r#"{"service":"tagliando","date":"2026-04-14","time":"15:00"}"#,
            &[],
            json!({"ok": true, "service": "tagliando", "minutes": 90, "slots": [
                "2026-04-14T15:00", "2026-04-14T14:30", "2026-04-14T15:30", "2026-04-14T14:00", "2026-04-14T16:00",
                "2026-04-14T16:30", "2026-04-14T17:00", "2026-04-14T11:00"]}),
        );
        check(
            r#"{"service":"frizione","part":"afternoon","time":"14:30"}"#,
            &[],
            json!({"ok": true, "service": "frizione", "minutes": 240, "slots": ["2026-04-13T14:30", "2026-04-13T14:00"]}),
        );
    }

    #[test]
    fn nothing_says_why_and_what_else() {
        check(
            r#"{"service":"tagliando","date":"2026-05-01"}"#,
            &[],
            json!({"ok": true, "service": "tagliando", "minutes": 90, "slots": [],
                "say": "Mi dispiace, venerdì primo maggio siamo chiusi: è la Festa dei lavoratori.",
                "alternatives": ["2026-04-30T16:30", "2026-04-30T17:00", "2026-05-02T08:30"]}),
        );
        check(
            r#"{"service":"tagliando","date":"2026-04-18","part":"afternoon"}"#,
            &[],
            json!({"ok": true, "service": "tagliando", "minutes": 90, "slots": [],
                "say": "sabato 18 aprile siamo aperti dalle 8:30 alle 12:30, e il lavoro deve starci tutto.",
                "alternatives": ["2026-04-17T17:00", "2026-04-18T10:30", "2026-04-18T11:00"]}),
        );
        let shop = Shop::example();
        let (start, end) =
            ("2026-04-14T00:00Z".parse().expect("an instant"), "2026-04-15T00:00Z".parse().expect("an instant"));
        let full: Vec<Taken> =
            shop.technicians.iter().map(|one| Taken { start, end, bay: None, technician: one.name.clone() }).collect();
        check(
            r#"{"service":"tagliando","date":"2026-04-14"}"#,
            &full,
            json!({"ok": true, "service": "tagliando", "minutes": 90, "slots": [],
                "say": "Mi dispiace, martedì 14 aprile siamo al completo.",
                "alternatives": ["2026-04-13T16:30", "2026-04-13T17:00", "2026-04-15T08:30"]}),
        );
    }

    #[test]
    fn a_refusal_has_its_words() {
        let shop = Shop::example();
        let slot = Slot {
            local: "2026-04-14T09:00".parse().expect("local"),
            start: "2026-04-14T07:00Z".parse().expect("an instant"),
            end: "2026-04-14T08:30Z".parse().expect("an instant"),
        };
        assert_eq!(
            refused(&shop, &BookingError::SlotTaken { at: slot.local }, &[slot], Language::Italian),
            json!({"ok": false, "error": "slot_taken", "field": "start",
                "say": "Mi dispiace, martedì 14 aprile alle 9 non è più libero.",
                "alternatives": [{"start": "2026-04-14T09:00", "say": "martedì 14 aprile alle 9"}]})
        );
    }
}
