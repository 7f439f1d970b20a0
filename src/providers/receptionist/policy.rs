//! What to say and do next, from what we know. One question at a time; nothing is written without a yes.

use jiff::{
    ToSpan,
    civil::{DateTime, Weekday},
};
use serde_json::{Map, Value, json};

use super::{
    desk::{Appointment, Refusal},
    known::{Aside, Known, News, Search, Wanted},
    understand::Intent,
    words::{Question, join_or, say_start, say_starts},
};
use crate::{
    booking::spoken::{SpokenError, TimeOfDay, say_date},
    call::Message,
};

/// Slots offered in one sentence; more cannot be kept in mind on the phone.
const OFFERED_MAX: usize = 3;
/// Tools asked for in one call; then the caller is given to the staff.
const TOOLS_MAX: usize = 40;
/// Misunderstandings in a row after which a message or a colleague is offered.
const MISSES_HELP: usize = 2;
/// Misunderstandings in a row after which we give up and leave a note to the staff.
const MISSES_MAX: usize = 4;

/// What comes next.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Step {
    /// What to say; may be empty when tools are asked for.
    pub words: String,
    /// Tools and their arguments.
    pub tools: Vec<(&'static str, Value)>,
}

impl Step {
    fn say(words: impl Into<String>) -> Self {
        Self { words: words.into(), tools: Vec::new() }
    }

    fn tool(name: &'static str, arguments: Value) -> Self {
        Self { words: String::new(), tools: vec![(name, arguments)] }
    }
}

/// Decides what comes next.
pub(super) fn next(known: &Known<'_>) -> Step {
    if known.over {
        return Step::default();
    }
    if known.misses >= MISSES_MAX || known.tools_asked >= TOOLS_MAX {
        return give_up(known);
    }
    if known.writes_pending + known.reads_pending > 0 {
        return Step::say(text(known, "receptionist.pending"));
    }
    if known.aside == Some(Aside::Wait) {
        return Step::say(text(known, "receptionist.wait"));
    }
    let mut parts: Vec<String> = known.news.iter().map(|news| tell(known, news)).collect();
    let step = if needs_help(known) { help(known) } else { go_on(known) };
    match known.aside {
        Some(Aside::Prices) => parts.push(price(known)),
        Some(Aside::Hours) => parts.push(text(known, "receptionist.hours").into()),
        Some(Aside::Status) => parts.push(text(known, "receptionist.status").into()),
        Some(Aside::Wait | Aside::GoAhead) | None => {}
    }
    if !step.words.is_empty() {
        parts.push(step.words);
    }
    Step { words: parts.join(" "), tools: step.tools }
}

/// The caller was not understood, or something is broken for which a message is the way out.
fn needs_help(known: &Known<'_>) -> bool {
    let broken = known.news.iter().any(|news| matches!(news, News::Unavailable | News::NoHuman));
    known.misses == MISSES_HELP || (known.misses > 0 && known.asked == Some(Question::Help)) || broken
}

fn go_on(known: &Known<'_>) -> Step {
    match known.wants {
        Some(Intent::Book) => book(known),
        Some(Intent::Move) => with_target(known, relocate),
        Some(Intent::Cancel) => with_target(known, cancel),
        Some(Intent::Check) => with_target(known, |known, _| more(known)), // told as news once it is found
        Some(Intent::Message) => message(known),
        Some(Intent::Human) => human(known),
        Some(Intent::Goodbye) => goodbye(known),
        // Asides and ends leave no wish behind.
        None | Some(Intent::Prices | Intent::Hours | Intent::Status | Intent::Abandon) => match known.aside {
            Some(Aside::Prices) => Step::say(text(known, "receptionist.callback")),
            Some(Aside::Hours | Aside::Status) => Step::say(leave(known)),
            Some(Aside::GoAhead) => Step::say(text(known, "receptionist.go_ahead")),
            Some(Aside::Wait) | None => more(known),
        },
    }
}

/// Service, slot, name, plate, number, yes, booked.
fn book(known: &Known<'_>) -> Step {
    if !known.has_tool("book_appointment") {
        return Step::say(format!("{} {}", text(known, "receptionist.unavailable"), help(known).words));
    }
    let Some(service) = &known.service else {
        let examples = join_or(&known.services.examples(), known.language);
        return question(known, "receptionist.service", "receptionist.service_again", &[("examples", &examples)]);
    };
    let start = match slot(known) {
        Ok(start) => start,
        Err(step) => return step,
    };
    let booked = known.booked.iter().find(|booked| booked.start == Some(start) && booked.service == *service);
    if let Some(booked) = booked {
        let said = known.language.phrases().fill("receptionist.already_booked", &[("slot", &say(known, booked))]);
        return Step::say(format!("{said} {}", text(known, "receptionist.more")));
    }
    let Some(name) = &known.name else {
        return question(known, "receptionist.name", "receptionist.name_again", &[]);
    };
    if known.no_plate && known.plate.is_none() {
        return Step::say(text(known, "receptionist.plate_needed"));
    }
    let Some(plate) = &known.plate else {
        return question(known, "receptionist.plate", "receptionist.plate_again", &[]);
    };
    if let Some(step) = phone(known) {
        return step;
    }
    let spelled: Vec<String> = plate.as_str().chars().map(|c| c.to_string()).collect();
    let values = [
        ("service", known.services.name(service)),
        ("slot", say_start(start, known.language)),
        ("name", name.clone()),
        ("plate", spelled.join(" ")),
    ];
    if let Some(step) = confirm(known, "receptionist.confirm_book", &values) {
        return step;
    }
    let mut arguments = Map::new();
    arguments.insert("service".into(), service.as_str().into());
    arguments.insert("start".into(), written(start).into());
    arguments.insert("name".into(), name.as_str().into());
    arguments.insert("plate".into(), plate.as_str().into());
    if let Some(phone) = &known.phone {
        arguments.insert("phone".into(), phone.as_str().into());
    }
    Step::tool("book_appointment", Value::Object(arguments))
}

/// The slot settled on, or the step that leads to one.
fn slot(known: &Known<'_>) -> Result<DateTime, Step> {
    if let Some(problem) = known.problem {
        return Err(Step::say(explain(known, problem)));
    }
    if let Some(chosen) = known.chosen {
        return Ok(chosen);
    }
    let when = || {
        let key = match known.wants {
            Some(Intent::Move) => "receptionist.move_to",
            _ => "receptionist.when",
        };
        question(known, key, "receptionist.when_again", &[])
    };
    if known.rejected {
        return Err(question(known, "receptionist.when_else", "receptionist.when_again", &[]));
    }
    if known.wanted.date.is_none() && !known.wanted.any_day && known.search.is_none() {
        return Err(when());
    }
    if !known.has_tool("find_slots") {
        return match (known.wanted.date, known.wanted.time) {
            (Some(date), Some(time @ TimeOfDay::Exact { .. })) => Ok(date.to_datetime(time.likely())),
            (Some(_), _) => Err(question(known, "receptionist.hour", "receptionist.hour_again", &[])),
            (None, _) => Err(when()),
        };
    }
    let arguments = known.search_arguments();
    // A search of another model is believed as long as the caller has not asked for something else since.
    let searched =
        known.search.as_ref().filter(|search| search.arguments == arguments || known.wanted == Wanted::default());
    Err(match searched {
        None => Step::tool("find_slots", arguments),
        Some(Search { slots: Err(()), .. }) => {
            Step::say(format!("{} {}", text(known, "receptionist.unavailable"), help(known).words))
        }
        Some(Search { slots: Ok(slots), reason, .. }) if slots.is_empty() => match reason {
            Some(reason) => Step::say(format!("{reason} {}", text(known, "receptionist.when_else"))),
            None => Step::say(text(known, "receptionist.no_slots")),
        },
        Some(Search { slots: Ok(slots), reason, .. }) => offer(known, slots, reason.as_deref()),
    })
}

/// "C'è posto martedì 14 aprile alle 9, alle 10 o alle 11. Quale preferisce?"
fn offer(known: &Known<'_>, slots: &[DateTime], reason: Option<&str>) -> Step {
    let offered = offered(known, slots);
    let said = say_starts(&offered, known.language);
    let off_day = known.wanted.date.is_some_and(|date| !offered.iter().any(|slot| slot.date() == date));
    let refused = known.news.iter().any(|news| matches!(news, News::Refused(_)));
    let first = if let Some(reason) = reason {
        reason
    } else if off_day {
        text(known, "receptionist.not_that_day")
    } else if matches!(known.wanted.time, Some(TimeOfDay::Exact { .. })) {
        text(known, "receptionist.not_then")
    } else {
        ""
    };
    let key = if offered.len() == 1 { "receptionist.offer_one" } else { "receptionist.offer" };
    let step = question(known, key, "receptionist.offer_again", &[("slots", &said)]);
    // What is said as news, or was said before, is not said again.
    if first.is_empty() || refused || !known.unoffered {
        return step;
    }
    Step::say(format!("{first} {}", step.words))
}

/// The slots of a search that are said: on the day and near the hour wanted, else spread over what there is.
pub(super) fn offered(known: &Known<'_>, slots: &[DateTime]) -> Vec<DateTime> {
    let keep = |slots: Vec<DateTime>, fits: &dyn Fn(&DateTime) -> bool| -> Vec<DateTime> {
        let fitting: Vec<DateTime> = slots.iter().copied().filter(|slot| fits(slot)).collect();
        if fitting.is_empty() { slots } else { fitting }
    };
    let mut slots = keep(slots.to_vec(), &|slot| known.wanted.date.is_none_or(|date| slot.date() == date));
    slots = match known.wanted.time {
        Some(TimeOfDay::Morning) => keep(slots, &|slot| slot.hour() < 12),
        Some(TimeOfDay::Afternoon) => keep(slots, &|slot| (12..18).contains(&slot.hour())),
        Some(TimeOfDay::Evening) => keep(slots, &|slot| slot.hour() >= 17),
        Some(TimeOfDay::Exact { .. }) | None => slots,
    };
    slots.sort();
    if slots.len() <= OFFERED_MAX {
        return slots;
    }
    if let Some(time @ TimeOfDay::Exact { .. }) = known.wanted.time {
        let minutes = |time: jiff::civil::Time| i32::from(time.hour()) * 60 + i32::from(time.minute());
        let wanted = minutes(time.likely());
        slots.sort_by_key(|slot| (slot.date(), (minutes(slot.time()) - wanted).abs()));
        slots.truncate(OFFERED_MAX);
        slots.sort();
    } else if known.wanted.any_day {
        slots.truncate(OFFERED_MAX);
    } else {
        let (first, middle, last) = (slots[0], slots[slots.len() / 2], slots[slots.len() - 1]);
        slots = vec![first, middle, last];
    }
    slots
}

/// Finds the appointment first: by plate, else by the caller's number.
fn with_target(known: &Known<'_>, then: fn(&Known<'_>, &Appointment) -> Step) -> Step {
    if let Some(target) = &known.target {
        return then(known, target);
    }
    let ask_plate = || question(known, "receptionist.find_plate", "receptionist.plate_again", &[]);
    let arguments = match (&known.plate, &known.phone) {
        (Some(plate), _) => json!({"plate": plate.as_str()}),
        (None, Some(phone)) => json!({"phone": phone.as_str()}),
        (None, None) if known.no_plate => return not_found(known),
        (None, None) => return ask_plate(),
    };
    match &known.found {
        Some((searched, found)) if *searched == arguments || !found.is_empty() => match found.as_slice() {
            [] if known.plate.is_none() && !known.no_plate => ask_plate(),
            [] => not_found(known),
            found => {
                let slots: Vec<String> = found.iter().take(OFFERED_MAX).map(|found| say(known, found)).collect();
                let slots = join_or(&slots, known.language);
                question(known, "receptionist.which", "receptionist.which_again", &[("slots", &slots)])
            }
        },
        _ if known.has_tool("find_appointments") => Step::tool("find_appointments", arguments),
        _ => Step::say(format!("{} {}", text(known, "receptionist.unavailable"), help(known).words)),
    }
}

fn not_found(known: &Known<'_>) -> Step {
    Step::say(format!("{} {}", text(known, "receptionist.not_found"), text(known, "receptionist.callback")))
}

/// A new slot, yes, moved.
fn relocate(known: &Known<'_>, target: &Appointment) -> Step {
    let start = match slot(known) {
        Ok(start) => start,
        Err(step) => {
            // The first question says which appointment it is about.
            let first = known.wanted == Wanted::default() && known.asked != Some(Question::Day) && !known.rejected;
            if first && step.tools.is_empty() && known.misses == 0 {
                let found = known.language.phrases().fill("receptionist.found", &[("slot", &say(known, target))]);
                return Step::say(format!("{found} {}", step.words));
            }
            return step;
        }
    };
    let values = [("old", say(known, target)), ("slot", say_start(start, known.language))];
    confirm(known, "receptionist.confirm_move", &values)
        .unwrap_or_else(|| Step::tool("move_appointment", json!({"id": target.id, "start": written(start)})))
}

fn cancel(known: &Known<'_>, target: &Appointment) -> Step {
    confirm(known, "receptionist.confirm_cancel", &[("old", say(known, target))])
        .unwrap_or_else(|| Step::tool("cancel_appointment", json!({"id": target.id})))
}

/// The words, the name, a number, passed on.
fn message(known: &Known<'_>) -> Step {
    let Some(message) = &known.message else {
        return question(known, "receptionist.message", "receptionist.message_again", &[]);
    };
    if known.name.is_none() {
        return question(known, "receptionist.name", "receptionist.name_again", &[]);
    }
    if let Some(step) = phone(known) {
        return step;
    }
    if !known.has_tool("take_message") {
        return Step::say(format!(
            "{} {}",
            text(known, "receptionist.message_taken"),
            text(known, "receptionist.more")
        ));
    }
    Step::tool("take_message", note(known, message))
}

/// The arguments of a message: what is known of the caller, and the text.
fn note(known: &Known<'_>, message: &str) -> Value {
    let mut arguments = Map::new();
    if let Some(name) = &known.name {
        arguments.insert("name".into(), name.as_str().into());
    }
    if let Some(phone) = &known.phone {
        arguments.insert("phone".into(), phone.as_str().into());
    }
    arguments.insert("text".into(), message.into());
    Value::Object(arguments)
}

/// Asks for a number where there is none.
fn phone(known: &Known<'_>) -> Option<Step> {
    let missing = known.phone.is_none() && !known.no_phone;
    missing.then(|| question(known, "receptionist.phone", "receptionist.phone_again", &[]))
}

fn human(known: &Known<'_>) -> Step {
    if !known.has_tool("transfer_to_human") {
        return Step::say(text(known, "receptionist.no_human"));
    }
    Step { words: text(known, "receptionist.human").into(), tools: vec![("transfer_to_human", json!({}))] }
}

fn goodbye(known: &Known<'_>) -> Step {
    let tools = if known.has_tool("end_call") { vec![("end_call", json!({}))] } else { Vec::new() };
    Step { words: text(known, "receptionist.goodbye").into(), tools }
}

/// Nothing is wanted: what else, or what at all?
fn more(known: &Known<'_>) -> Step {
    let served = !known.booked.is_empty()
        || !known.news.is_empty()
        || matches!(known.asked, Some(Question::More | Question::Help | Question::Confirm));
    if served {
        question(known, "receptionist.more", "receptionist.more_again", &[])
    } else {
        question(known, "receptionist.open", "receptionist.open_again", &[])
    }
}

/// What the service spoken of costs, where the schema tells; else the staff know.
fn price(known: &Known<'_>) -> String {
    let service = known.priced.as_deref().or(known.service.as_deref());
    match service.and_then(|id| known.services.price(id).map(|price| (known.services.name(id), price))) {
        Some((service, price)) => {
            known.language.phrases().fill("receptionist.price", &[("service", &service), ("price", price)])
        }
        None => text(known, "receptionist.prices").into(),
    }
}

/// A message or a colleague, where there is one to speak to.
fn leave<'p>(known: &Known<'p>) -> &'p str {
    let colleague = known.has_tool("transfer_to_human");
    text(known, if colleague { "receptionist.leave_or_colleague" } else { "receptionist.leave" })
}

/// We do not know how to go on: a message or a colleague.
fn help(known: &Known<'_>) -> Step {
    let told = known.news.iter().any(|news| matches!(news, News::NoHuman));
    Step::say(match (told, known.has_tool("transfer_to_human")) {
        (true, _) => String::new(), // the news asks already
        (false, true) => text(known, "receptionist.help").into(),
        (false, false) => text(known, "receptionist.help_message").into(),
    })
}

/// Leaves a note to the staff and ends the call.
fn give_up(known: &Known<'_>) -> Step {
    let mut tools = Vec::new();
    if known.has_tool("take_message") {
        let said: Vec<&str> = known.ask.messages.iter().rev().filter_map(caller_text).take(3).collect();
        let said: Vec<&str> = said.into_iter().rev().collect();
        let text = format!("{} «{}»", text(known, "receptionist.give_up_note"), said.join(" / "));
        tools.push(("take_message", note(known, &text)));
    }
    if known.has_tool("end_call") {
        tools.push(("end_call", json!({})));
    }
    Step { words: text(known, "receptionist.give_up").into(), tools }
}

fn caller_text(message: &Message) -> Option<&str> {
    match message {
        Message::Caller { text } => Some(text),
        Message::Agent { .. } | Message::Asked { .. } | Message::Outcome { .. } | Message::Note { .. } => None,
    }
}

/// Reads back and asks for a yes; `None` when there was one.
fn confirm(known: &Known<'_>, key: &'static str, values: &[(&str, String)]) -> Option<Step> {
    if known.correcting {
        return Some(question(known, "receptionist.change", "receptionist.change_again", &[]));
    }
    if known.confirmed {
        return None;
    }
    let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let sentence = known.language.phrases().fill(key, &values);
    Some(if known.misses > 0 && known.asked == Some(Question::Confirm) {
        Step::say(known.language.phrases().fill("receptionist.confirm_again", &[("confirm", &sentence)]))
    } else {
        Step::say(sentence)
    })
}

/// Asks, in other words after a misunderstanding.
fn question(known: &Known<'_>, first: &'static str, again: &'static str, values: &[(&str, &str)]) -> Step {
    let key = if known.misses > 0 { again } else { first };
    Step::say(known.language.phrases().fill(key, values))
}

/// Why a day cannot be, with what it may have been.
fn explain(known: &Known<'_>, problem: SpokenError) -> String {
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
fn nearest(date: jiff::civil::Date, weekday: Weekday) -> jiff::civil::Date {
    let ahead = i32::from(date.weekday().until(weekday));
    let days = if ahead > 3 { ahead - 7 } else { ahead };
    date.saturating_add(days.days())
}

/// What has happened, in a sentence.
fn tell(known: &Known<'_>, news: &News) -> String {
    let phrases = known.language.phrases();
    match news {
        News::Booked(made) => phrases.fill("receptionist.booked", &[("slot", &say(known, made))]),
        News::Moved(Some(start)) => phrases.fill("receptionist.moved", &[("slot", &say_start(*start, known.language))]),
        News::Moved(None) => phrases.fill("receptionist.moved", &[("slot", "")]),
        News::Cancelled => text(known, "receptionist.cancelled").into(),
        News::Found(found) => {
            let said: Vec<String> = found.iter().take(OFFERED_MAX).map(|found| say(known, found)).collect();
            phrases.fill("receptionist.found", &[("slot", &said.join(", "))])
        }
        News::MessageTaken => text(known, "receptionist.message_taken").into(),
        News::Abandoned => text(known, "receptionist.abandoned").into(),
        News::NoHuman => text(known, "receptionist.no_human").into(),
        News::Unavailable => text(known, "receptionist.unavailable").into(),
        News::Refused(refusal) => refused(known, refusal),
    }
}

/// Why a tool refused; the words of the tool where we have none.
fn refused(known: &Known<'_>, refusal: &Refusal) -> String {
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
    text(known, key).into()
}

/// An appointment as it is said: its start in our words, else what the tool says.
fn say(known: &Known<'_>, appointment: &Appointment) -> String {
    appointment.start.map_or_else(|| appointment.say.clone(), |start| say_start(start, known.language))
}

/// A start as the tools read it.
fn written(start: DateTime) -> String {
    start.strftime("%Y-%m-%dT%H:%M").to_string()
}

fn text<'p>(known: &Known<'p>, key: &'static str) -> &'p str
where
    'static: 'p,
{
    known.language.phrases().text(key)
}
