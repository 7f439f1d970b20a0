//! Days, hours, plates and numbers in words a voice can speak and a caller can follow.

use jiff::civil::{Date, Time};

use super::letters;
use crate::{
    booking::{
        phone::{Phone, PhoneClass},
        plate::Plate,
    },
    language::Language,
};

/// "martedì 14 aprile", "venerdì primo maggio"; "Tuesday the 14th of April".
pub fn say_date(date: Date, language: Language) -> String {
    let phrases = language.phrases();
    let nth = |key: &'static str, index: i8| {
        usize::try_from(index).ok().and_then(|index| phrases.list(key).nth(index)).unwrap_or_default().to_string()
    };
    let weekday = nth("spoken.weekdays", date.weekday().to_monday_zero_offset());
    let month = nth("spoken.months", date.month() - 1);
    let day = match (language, date.day()) {
        (Language::Italian, 1) => "primo".to_string(),
        (Language::Italian, day) => day.to_string(),
        (Language::English, day) => {
            let end = match day {
                1 | 21 | 31 => "st",
                2 | 22 => "nd",
                3 | 23 => "rd",
                _ => "th",
            };
            format!("{day}{end}")
        }
    };
    let (weekday, month) = match language {
        Language::Italian => (weekday, month),
        Language::English => (capital(&weekday), capital(&month)),
    };
    phrases.fill("spoken.say_date", &[("weekday", &weekday), ("day", &day), ("month", &month)])
}

/// "alle 9", "alle 9 e 30", "all'una"; "at 9 am", "at 3:30 pm".
pub fn say_time(time: Time, language: Language) -> String {
    let (hour, minute) = (time.hour(), time.minute());
    match language {
        Language::Italian => {
            let minutes = if minute == 0 { String::new() } else { format!(" e {minute}") };
            if hour == 1 { format!("all'una{minutes}") } else { format!("alle {hour}{minutes}") }
        }
        Language::English => {
            let half = if hour < 12 { "am" } else { "pm" };
            let hour = if hour % 12 == 0 { 12 } else { hour % 12 };
            if minute == 0 { format!("at {hour} {half}") } else { format!("at {hour}:{minute:02} {half}") }
        }
    }
}

/// Letter by letter with a word for each: "A come Ancona, B come Bari, 1, 2, 3, ...".
pub fn say_plate(plate: &Plate, language: Language) -> String {
    let spelled = plate.as_str().chars().map(|c| match letters::clear_word(c, language) {
        Some(word) => language.phrases().fill("spoken.say_letter", &[("letter", &c.to_string()), ("word", word)]),
        None => c.to_string(),
    });
    spelled.collect::<Vec<_>>().join(", ")
}

/// Digit by digit in short groups: "3 4 7, 1 2 3, 4 5, 6 7".
pub fn say_phone(phone: &Phone) -> String {
    let digits: Vec<char> = phone.national().chars().filter(char::is_ascii_digit).collect();
    let first = if phone.class() == PhoneClass::Mobile { 6 } else { 0 };
    let (head, tail) = digits.split_at(first.min(digits.len()));
    let groups = head.chunks(3).chain(tail.chunks(2));
    let said = groups.map(|group| group.iter().map(char::to_string).collect::<Vec<_>>().join(" "));
    let plus = if phone.class() == PhoneClass::Foreign { "+ " } else { "" };
    format!("{plus}{}", said.collect::<Vec<_>>().join(", "))
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
