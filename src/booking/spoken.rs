//! What people say, as values: dates, times, numbers, plates, phones and names in spoken Italian and English.
//!
//! Pure: "tomorrow" needs today, and today is handed in. Nothing is guessed that the words do not say; where a phrase
//! has two readings the choice is written next to the rule and tested. In all of them **the last mention wins**: after
//! a word of correction ("anzi", "actually") what came before it is forgotten, and what is denied ("non lunedì",
//! "lunedì no") is no mention.
//!
//! ```
//! use jiff::civil::date;
//! use pronto::{booking::spoken, language::Language};
//! let today = date(2026, 4, 9); // a Thursday
//! let said = "vorrei venire domani, anzi no, martedì alle nove e mezza";
//! assert_eq!(spoken::date(said, today, Language::Italian), Ok(Some(date(2026, 4, 14))));
//! assert_eq!(spoken::time(said, Language::Italian).map(|time| time.likely().to_string()), Some("09:30:00".into()));
//! ```
//!
//! It does not understand intervals ("between nine and eleven" is nine), vague times ("towards the end of the month"),
//! or a letter heard as another one (E for D): those are asked again.

use std::fmt;

use jiff::civil::{Date, Time, Weekday, time as at};

use super::{phone::Phone, plate::Plate};
use crate::language::Language;

mod dates;
mod letters;
pub(crate) mod lists;
mod names;
mod numbers;
mod phones;
mod plates;
mod said;
mod times;
pub(crate) mod words;

pub use numbers::italian_number;
pub use said::{say_date, say_phone, say_plate, say_time};
use words::{Word, words};

/// The day the text speaks of. `None`: it speaks of none.
pub fn date(text: &str, today: Date, language: Language) -> Result<Option<Date>, SpokenError> {
    Utterance::new(text, language).date(today)
}

/// The time of day the text speaks of.
pub fn time(text: &str, language: Language) -> Option<TimeOfDay> {
    Utterance::new(text, language).time()
}

/// As [`time`], where a time was asked for: a lone "nove" or "15" is an hour too.
pub fn asked_time(text: &str, language: Language) -> Option<TimeOfDay> {
    Utterance::new(text, language).asked_time()
}

/// The first number of the text.
pub fn number(text: &str, language: Language) -> Option<u32> {
    Utterance::new(text, language).number()
}

/// The plate the text dictates: letters by name or by city, digits alone or in numbers.
pub fn plate(text: &str, language: Language) -> Option<Plate> {
    Utterance::new(text, language).plate()
}

/// The phone number the text dictates.
pub fn phone(text: &str, language: Language) -> Option<Phone> {
    Utterance::new(text, language).phone()
}

/// The name in the text, where a name was asked for: introduced ("mi chiamo ...") or standing alone.
pub fn name(text: &str, language: Language) -> Option<String> {
    Utterance::new(text, language).name()
}

/// The name in the text, only where the words introduce it ("sono Mario Rossi", "a nome Bianchi").
pub fn introduced_name(text: &str, language: Language) -> Option<String> {
    Utterance::new(text, language).introduced_name()
}

/// Whether the answer is whole, so that there is no need to wait for more. `false` only means that more may come.
pub fn complete(asked: Asked, text: &str, language: Language) -> bool {
    Utterance::new(text, language).complete(asked)
}

/// A text cut into words once, to be asked several things. The functions of this room are its methods.
#[derive(Clone)]
pub struct Utterance<'t> {
    text: &'t str,
    words: Vec<Word>,
    language: Language,
}

impl<'t> Utterance<'t> {
    /// Cuts a text into words.
    pub fn new(text: &'t str, language: Language) -> Self {
        Self { text, words: words(text, language), language }
    }

    /// See [`date`].
    pub fn date(&self, today: Date) -> Result<Option<Date>, SpokenError> {
        dates::date(&self.words, today, self.language)
    }

    /// See [`time`].
    pub fn time(&self) -> Option<TimeOfDay> {
        times::time(&self.words, self.language)
    }

    /// See [`asked_time`].
    pub fn asked_time(&self) -> Option<TimeOfDay> {
        self.time().or_else(|| times::lone_hour(&self.words, self.language))
    }

    /// See [`number`].
    pub fn number(&self) -> Option<u32> {
        let mut starts = 0..self.words.len();
        starts.find_map(|at| numbers::number(&self.words[at..], self.language)).map(|(value, _)| value)
    }

    /// See [`plate`].
    pub fn plate(&self) -> Option<Plate> {
        plates::plate(self.text, &self.words, self.language)
    }

    /// See [`phone`].
    pub fn phone(&self) -> Option<Phone> {
        phones::phone(&self.words, self.language)
    }

    /// See [`name`].
    pub fn name(&self) -> Option<String> {
        self.introduced_name().or_else(|| names::alone(&self.words, self.language))
    }

    /// See [`introduced_name`].
    pub fn introduced_name(&self) -> Option<String> {
        names::introduced(&self.words, self.language)
    }

    /// See [`complete`].
    pub fn complete(&self, asked: Asked) -> bool {
        // A plate may well end in "e", a sentence does not.
        let letters = matches!(asked, Asked::Plate | Asked::Phone);
        if self.words.last().is_none_or(|word| words::is_unfinished(word, letters, self.language)) {
            return false;
        }
        match asked {
            Asked::Date => dates::is_mentioned(&self.words, self.language),
            Asked::Time => matches!(self.asked_time(), Some(TimeOfDay::Exact { .. })),
            Asked::Plate => self.plate().is_some(),
            Asked::Phone => self.phone().is_some_and(|phone| phones::is_whole(&phone)),
            Asked::Name => self.name().is_some_and(|name| name.split(' ').count() >= 2),
        }
    }

    /// Its words.
    pub(crate) fn words(&self) -> &[Word] {
        &self.words
    }
}

impl fmt::Debug for Utterance<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Utterance(***)")
    }
}

/// A time as it was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimeOfDay {
    /// An hour.
    Exact {
        /// As said; the morning reading where there are two.
        time: Time,
        /// "Alle tre": it could be twelve hours later as well. The opening hours decide ([`TimeOfDay::within`]).
        hour12_ambiguous: bool,
    },
    /// Before noon.
    Morning,
    /// From noon to the evening.
    Afternoon,
    /// From about six.
    Evening,
}

impl TimeOfDay {
    /// The one reading that lies in the opening hours, the first one when both do; `None` when none does.
    pub fn within(self, opens: Time, closes: Time) -> Option<Time> {
        self.readings().into_iter().flatten().find(|time| (opens..closes).contains(time))
    }

    /// The reading a shop would expect, when its hours are not known: from seven in the morning to before seven in the
    /// evening. A part of the day is where it begins.
    pub fn likely(self) -> Time {
        let [first, second] = self.readings();
        let first = first.unwrap_or(at(9, 0, 0, 0));
        match second {
            Some(second) if first < at(7, 0, 0, 0) => second,
            Some(_) | None => first,
        }
    }

    /// Every reading, the earlier one first.
    fn readings(self) -> [Option<Time>; 2] {
        match self {
            Self::Exact { time, hour12_ambiguous } => {
                let later = at((time.hour() + 12) % 24, time.minute(), 0, 0);
                [Some(time), hour12_ambiguous.then_some(later)]
            }
            Self::Morning => [Some(at(8, 0, 0, 0)), None],
            Self::Afternoon => [Some(at(14, 0, 0, 0)), None],
            Self::Evening => [Some(at(18, 0, 0, 0)), None],
        }
    }
}

/// Why a spoken date cannot be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum SpokenError {
    /// The day has passed.
    #[error("date: in the past, ask for a day to come")]
    Past(Date),
    /// The weekday said is not the weekday of the date said.
    #[error("date: weekday and date disagree, ask which one is meant")]
    WeekdayMismatch {
        /// The weekday that was said.
        said: Weekday,
        /// The date that was said.
        date: Date,
    },
    /// The calendar has no such day.
    #[error("date: the calendar has no such day, ask again")]
    NoSuchDay,
}

/// What a caller was asked for, so that the end of their answer can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Asked {
    /// A day.
    Date,
    /// An hour.
    Time,
    /// A plate.
    Plate,
    /// A phone number.
    Phone,
    /// A name.
    Name,
}

/// Reads arbitrary text in every way and checks what must hold of each answer.
#[cfg(feature = "fuzz")]
pub fn fuzz(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let today = Date::constant(2026, 4, 9);
    for language in [Language::Italian, Language::English] {
        if let Ok(Some(date)) = date(&text, today, language) {
            assert!(date >= today, "a day in the past was understood");
        }
        if let Some(plate) = plate(&text, language) {
            assert!(Plate::parse(plate.as_str()).is_ok_and(|again| again == plate));
        }
        if let Some(phone) = phone(&text, language) {
            assert!(Phone::parse(phone.as_str()).is_ok_and(|again| again == phone));
        }
        if let Some(name) = name(&text, language) {
            assert!(!name.is_empty() && name.split(' ').count() <= names::WORDS_MAX);
        }
        let _ = (time(&text, language).map(TimeOfDay::likely), asked_time(&text, language), number(&text, language));
        for asked in [Asked::Date, Asked::Time, Asked::Plate, Asked::Phone, Asked::Name] {
            let _ = complete(asked, &text, language);
        }
    }
}
