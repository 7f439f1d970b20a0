//! One utterance of the caller, read in the light of what was asked.

use jiff::civil::Date;

use super::{
    services::Services,
    words::{Question, begins, find, mentions},
};
use crate::{
    booking::{
        phone::Phone,
        plate::Plate,
        spoken::{self, SpokenError, TimeOfDay, Utterance, words::Word},
    },
    language::Language,
};

/// What a caller may want.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Intent {
    Book,
    Move,
    Cancel,
    /// When is my appointment?
    Check,
    Message,
    Human,
    Prices,
    Hours,
    /// Is my car ready?
    Status,
    Goodbye,
    /// Never mind.
    Abandon,
}

/// In this order: "vorrei spostare l'appuntamento" moves, though it speaks of an appointment.
const INTENTS: [(Intent, &str); 11] = [
    (Intent::Human, "receptionist.hears_human"),
    (Intent::Abandon, "receptionist.hears_abandon"),
    (Intent::Cancel, "receptionist.hears_cancel"),
    (Intent::Move, "receptionist.hears_move"),
    (Intent::Check, "receptionist.hears_check"),
    (Intent::Status, "receptionist.hears_status"),
    (Intent::Message, "receptionist.hears_message"),
    (Intent::Prices, "receptionist.hears_prices"),
    (Intent::Hours, "receptionist.hears_hours"),
    (Intent::Book, "receptionist.hears_book"),
    (Intent::Goodbye, "receptionist.hears_goodbye"),
];

/// A part of the booking that may be corrected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Field {
    Day,
    Hour,
    Name,
    Plate,
    Phone,
    Service,
}

const FIELDS: [(Field, &str); 6] = [
    (Field::Day, "receptionist.field_day"),
    (Field::Hour, "receptionist.field_hour"),
    (Field::Name, "receptionist.field_name"),
    (Field::Plate, "receptionist.field_plate"),
    (Field::Phone, "receptionist.field_phone"),
    (Field::Service, "receptionist.field_service"),
];

/// What an utterance says.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    pub intent: Option<Intent>,
    /// Yes and no together are neither.
    pub yes: bool,
    pub no: bool,
    /// It begins with a plain "sì": "perfetto, grazie" is a yes, but not to "serve altro?".
    pub plain_yes: bool,
    /// "Come, scusi?"
    pub repeat: bool,
    /// "Un attimo, vado a vedere."
    pub wait: bool,
    pub thanks: bool,
    pub dont_know: bool,
    /// "Il prima possibile."
    pub any_day: bool,
    /// "Alla stessa ora" as the appointment that is moved.
    pub same_time: bool,
    /// "Un altro appuntamento": one more on purpose.
    pub another: bool,
    /// "Un collega", where that was offered.
    pub colleague: bool,
    /// The id of a service.
    pub service: Option<String>,
    /// The day wanted.
    pub date: Result<Option<Date>, SpokenError>,
    /// The day of the appointment that is to be moved or cancelled.
    pub old_date: Option<Date>,
    pub time: Option<TimeOfDay>,
    pub plate: Option<Plate>,
    pub phone: Option<Phone>,
    pub name: Option<String>,
    /// The place in what was offered; `usize::MAX` is the last.
    pub ordinal: Option<usize>,
    /// Parts of the booking that were named.
    pub fields: Vec<Field>,
    /// What follows "dica che".
    pub tells: Option<String>,
}

/// So many letters or digits by themselves are dictated.
const SPELLED_MIN: usize = 2;

/// What the utterance is read with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    /// What was asked before it.
    pub asked: Option<Question>,
    /// An appointment is being moved or cancelled, and not yet found.
    pub seeks: Option<Intent>,
    pub today: Date,
    pub language: Language,
    pub services: &'a Services,
}

/// Reads an utterance.
pub(super) fn hear(text: &str, context: Context<'_>) -> Heard {
    let Context { asked, language, today, .. } = context;
    let said = Utterance::new(text, language);
    let words = said.words();
    let has = |key: &'static str| mentions(words, language, key);
    let intent = INTENTS.into_iter().find(|(_, key)| has(key)).map(|(intent, _)| intent);
    let (yes, no) = (says_yes(words, language), says_no(words, language));
    let ordinal = matches!(asked, Some(Question::Choice | Question::Which)).then(|| ordinal(words, language)).flatten();
    let seeks = context.seeks.or(intent).filter(|seeks| matches!(seeks, Intent::Move | Intent::Cancel));
    let (mut date, mut time, mut old_date) = match seeks {
        Some(_) => dates_of_move(words, today, language),
        None => (said.date(today), said.time(), None),
    };
    if asked == Some(Question::Hour) || asked == Some(Question::Choice) {
        time = time.or_else(|| said.asked_time());
    }
    if ordinal.is_some() {
        date = Ok(None); // "il primo" of what was offered, not of the month
    }
    if asked == Some(Question::Which) || seeks == Some(Intent::Cancel) {
        old_date = old_date.or(date.ok().flatten());
        (date, time) = (Ok(None), None);
    }
    let (plate, phone) = (said.plate(), said.phone());
    let spelled = words.iter().filter(|word| word.raw.chars().count() == 1).count();
    let dictated = plate.is_some() || phone.is_some() || spelled >= SPELLED_MIN;
    if matches!(asked, Some(Question::Plate | Question::Phone)) && dictated {
        (date, time) = (Ok(None), None); // the H and the zero of a plate are no midnight
    }
    let name = match asked {
        Some(Question::Name) => said.name(),
        _ => said.introduced_name(),
    };
    let short = words.len() <= 5;
    Heard {
        intent,
        yes: yes && !no,
        no: no && !yes,
        plain_yes: words.first().is_some_and(|word| word.is(&["si", "yes", "yeah", "yep"])),
        same_time: has("receptionist.hears_same_time"),
        repeat: short && begins(words, language, "receptionist.hears_repeat") == words.len() && !words.is_empty(),
        wait: has("receptionist.hears_wait"),
        thanks: has("receptionist.hears_thanks"),
        dont_know: has("receptionist.hears_dont_know"),
        any_day: has("receptionist.hears_any_day"),
        another: has("receptionist.hears_another"),
        colleague: has("receptionist.hears_human_help"),
        service: context.services.said(words, language).map(str::to_string),
        date,
        old_date,
        time,
        plate,
        phone,
        name,
        ordinal,
        fields: FIELDS.into_iter().filter(|(_, key)| has(key)).map(|(field, _)| field).collect(),
        tells: find(words, language, "receptionist.tells")
            .map(|(at, used)| raw(&words[at + used..]))
            .filter(|text| !text.is_empty()),
    }
}

/// "Sì" anywhere; other words of assent at the beginning, phrases of several words anywhere unless denied.
fn says_yes(words: &[Word], language: Language) -> bool {
    let first = words.iter().position(|word| !word.is(&["ah", "eh", "allora", "ma", "beh", "oh", "well", "um", "uh"]));
    let begins_so = first.is_some_and(|at| begins(&words[at..], language, "receptionist.hears_yes") > 0);
    let phrase = (0..words.len()).any(|at| {
        let used = begins(&words[at..], language, "receptionist.hears_yes");
        used > 1 && (at == 0 || !words[at - 1].is(&["non", "not"]))
    });
    begins_so || phrase || words.iter().any(|word| word.raw.to_lowercase() == "sì")
}

/// "No" at the beginning; phrases of several words anywhere.
fn says_no(words: &[Word], language: Language) -> bool {
    begins(words, language, "receptionist.hears_no") > 0
        || (0..words.len()).any(|at| begins(&words[at..], language, "receptionist.hears_no") > 1)
}

/// "Il secondo", "l'ultima".
fn ordinal(words: &[Word], language: Language) -> Option<usize> {
    if mentions(words, language, "receptionist.last") {
        return Some(usize::MAX);
    }
    let items: Vec<&str> = language.phrases().list("receptionist.ordinals").collect();
    words.iter().enumerate().find_map(|(at, word)| {
        // "Prima delle dieci", "first thing" choose nothing.
        if words.get(at + 1).is_some_and(|next| next.is(&["delle", "dell", "di", "possibile", "thing"])) {
            return None;
        }
        items.iter().position(|item| match item.strip_suffix('*') {
            // "Primo", "prima", "primi": one letter more than the stem, so that "prima" is not "primavera".
            Some(stem) => word.text.strip_prefix(stem).is_some_and(|end| end.len() == 1),
            None => word.text == **item,
        })
    })
}

type Dates = (Result<Option<Date>, SpokenError>, Option<TimeOfDay>, Option<Date>);

/// "L'appuntamento di martedì alle nove a giovedì alle dieci": the new day and hour, and the old day. A day counts as
/// the old one only where it stands with the appointment.
fn dates_of_move(words: &[Word], today: Date, language: Language) -> Dates {
    let date = |part: &[Word]| spoken::date(&raw(part), today, language);
    let time = |part: &[Word]| spoken::time(&raw(part), language);
    let Some((mark, _)) = find(words, language, "receptionist.old_marks") else {
        return (date(words), time(words), None);
    };
    let to = (mark + 1..words.len()).rev().find(|at| {
        words[*at].is(&["a", "al", "all", "alla", "per", "to"])
            && date(&words[*at + 1..]).is_ok_and(|date| date.is_some())
    });
    match to {
        Some(to) => (date(&words[to + 1..]), time(&words[to + 1..]), date(&words[mark..to]).ok().flatten()),
        None => (date(&words[..mark]), time(&words[..mark]), date(&words[mark..]).ok().flatten()),
    }
}

/// The words as they were written, with their pauses.
fn raw(words: &[Word]) -> String {
    let mut text = String::new();
    for (index, word) in words.iter().enumerate() {
        if index > 0 {
            text.push_str(if word.pause { ", " } else { " " });
        }
        text.push_str(&word.raw);
    }
    text
}
