//! What the trade forbids. Each refusal is spoken to the caller, so it has words.

use jiff::civil::{Date, DateTime, Weekday};

use super::{calendar::Closed, say, shop::Shop};
use crate::language::Language;

/// Why a request was refused. Carries nothing of the caller, so it may be logged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BookingError {
    /// The arguments are not what the tool takes.
    #[error("{field}: {detail}")]
    BadArguments {
        /// Which argument.
        field: &'static str,
        /// What is wrong with it, for the model.
        detail: &'static str,
    },
    /// No such service.
    #[error("service: not one of the shop's")]
    UnknownService,
    /// Not a plate.
    #[error("plate: not a plate")]
    BadPlate,
    /// Not a number.
    #[error("phone: not a phone number")]
    BadPhone,
    /// The weekday that was said is not that of the date.
    #[error("weekday: {date} is not that day of the week")]
    WeekdayMismatch {
        /// The date.
        date: Date,
        /// What was said.
        said: Weekday,
    },
    /// It is past.
    #[error("{field}: in the past")]
    Past {
        /// Which argument.
        field: &'static str,
    },
    /// Too short a notice.
    #[error("start: sooner than {lead_minutes} minutes from now")]
    TooSoon {
        /// The shop's notice.
        lead_minutes: u32,
    },
    /// Beyond the horizon.
    #[error("{field}: more than {days} days from now")]
    TooFar {
        /// Which argument.
        field: &'static str,
        /// The shop's horizon.
        days: u32,
    },
    /// The shop is closed all day.
    #[error("{field}: closed on {date}")]
    Closed {
        /// Which argument.
        field: &'static str,
        /// The day.
        date: Date,
        /// Why.
        why: Closed,
    },
    /// The shop is open that day, but not for the whole of the service.
    #[error("start: the service does not fit the opening hours of {date}")]
    OutsideHours {
        /// The day.
        date: Date,
    },
    /// The clocks show that time twice.
    #[error("start: the clocks show this time twice")]
    TimeComesTwice,
    /// Somebody else has it.
    #[error("start: taken")]
    SlotTaken {
        /// The time that was asked for.
        at: DateTime,
    },
    /// The car has another appointment at that time.
    #[error("start: the car has another appointment then")]
    CarTaken {
        /// When the other one is.
        at: DateTime,
    },
    /// There is no such appointment.
    #[error("no such appointment")]
    NotFound,
    /// There are several; which one is meant?
    #[error("{} appointments match", .0.len())]
    Several(Vec<DateTime>),
    /// Nobody to put the caller through to.
    #[error("no number to transfer to")]
    NobodyToTransferTo,
    /// The books cannot be reached.
    #[error("the books cannot be reached")]
    Unavailable,
}

/// The closed set of words a refusal is told with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// `slot_taken`
    SlotTaken,
    /// `closed`
    Closed,
    /// `holiday`
    Holiday,
    /// `past`
    Past,
    /// `too_soon`
    TooSoon,
    /// `too_far`
    TooFar,
    /// `bad_plate`
    BadPlate,
    /// `bad_phone`
    BadPhone,
    /// `unknown_service`
    UnknownService,
    /// `weekday_mismatch`
    WeekdayMismatch,
    /// `not_found`
    NotFound,
    /// `ambiguous`
    Ambiguous,
    /// `bad_arguments`
    BadArguments,
    /// `unavailable`
    Unavailable,
}

impl Code {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SlotTaken => "slot_taken",
            Self::Closed => "closed",
            Self::Holiday => "holiday",
            Self::Past => "past",
            Self::TooSoon => "too_soon",
            Self::TooFar => "too_far",
            Self::BadPlate => "bad_plate",
            Self::BadPhone => "bad_phone",
            Self::UnknownService => "unknown_service",
            Self::WeekdayMismatch => "weekday_mismatch",
            Self::NotFound => "not_found",
            Self::Ambiguous => "ambiguous",
            Self::BadArguments => "bad_arguments",
            Self::Unavailable => "unavailable",
        }
    }
}

impl BookingError {
    /// Arguments that are not what the tool takes.
    pub(crate) const fn bad(field: &'static str, detail: &'static str) -> Self {
        Self::BadArguments { field, detail }
    }

    /// The word it is told with.
    pub const fn code(&self) -> Code {
        match self {
            Self::BadArguments { .. } => Code::BadArguments,
            Self::UnknownService => Code::UnknownService,
            Self::BadPlate => Code::BadPlate,
            Self::BadPhone => Code::BadPhone,
            Self::WeekdayMismatch { .. } => Code::WeekdayMismatch,
            Self::Past { .. } => Code::Past,
            Self::TooSoon { .. } => Code::TooSoon,
            Self::TooFar { .. } => Code::TooFar,
            Self::Closed { why: Closed::Holiday(_), .. } => Code::Holiday,
            Self::Closed { why: Closed::Weekly | Closed::Closure, .. } | Self::OutsideHours { .. } => Code::Closed,
            Self::TimeComesTwice | Self::Several(_) => Code::Ambiguous,
            Self::SlotTaken { .. } | Self::CarTaken { .. } => Code::SlotTaken,
            Self::NotFound => Code::NotFound,
            Self::NobodyToTransferTo | Self::Unavailable => Code::Unavailable,
        }
    }

    /// The argument it is about.
    pub const fn field(&self) -> Option<&'static str> {
        match self {
            Self::BadArguments { field, .. }
            | Self::Past { field }
            | Self::TooFar { field, .. }
            | Self::Closed { field, .. } => Some(field),
            Self::UnknownService => Some("service"),
            Self::BadPlate => Some("plate"),
            Self::BadPhone => Some("phone"),
            Self::WeekdayMismatch { .. } => Some("weekday"),
            Self::TooSoon { .. }
            | Self::OutsideHours { .. }
            | Self::TimeComesTwice
            | Self::SlotTaken { .. }
            | Self::CarTaken { .. } => Some("start"),
            Self::NotFound | Self::Several(_) => Some("plate"),
            Self::NobodyToTransferTo | Self::Unavailable => None,
        }
    }

    /// The sentence for the caller.
    pub fn say(&self, shop: &Shop, language: Language) -> String {
        let phrases = language.phrases();
        match self {
            Self::BadArguments { field, .. } => phrases.text(ask_again(field)).to_string(),
            Self::UnknownService => {
                let services: Vec<&str> = shop.services.iter().map(|service| service.name(language)).collect();
                phrases.fill("booking.unknown_service", &[("services", &services.join(", "))])
            }
            Self::BadPlate => phrases.text("booking.bad_plate").to_string(),
            Self::BadPhone => phrases.text("booking.bad_phone").to_string(),
            Self::WeekdayMismatch { date, said } => phrases.fill(
                "booking.weekday_mismatch",
                &[("day", &say::day(*date, language)), ("said", say::weekday(*said, language))],
            ),
            Self::Past { .. } => phrases.text("booking.past").to_string(),
            Self::TooSoon { lead_minutes } => {
                phrases.fill("booking.too_soon", &[("notice", &say::minutes(*lead_minutes, language))])
            }
            Self::TooFar { days, .. } => phrases.fill("booking.too_far", &[("days", &days.to_string())]),
            Self::Closed { date, why, .. } => say::closed(*date, *why, language),
            Self::OutsideHours { date } => say::hours(shop, *date, language),
            Self::TimeComesTwice => phrases.text("booking.time_comes_twice").to_string(),
            Self::SlotTaken { at } => phrases.fill("booking.slot_taken", &[("when", &say::moment(*at, language))]),
            Self::CarTaken { at } => phrases.fill("booking.car_taken", &[("when", &say::moment(*at, language))]),
            Self::NotFound => phrases.text("booking.not_found").to_string(),
            Self::Several(times) => {
                let times: Vec<String> = times.iter().map(|time| say::moment(*time, language)).collect();
                phrases.fill("booking.several", &[("times", &times.join(", "))])
            }
            Self::NobodyToTransferTo => phrases.text("booking.nobody_to_transfer_to").to_string(),
            Self::Unavailable => phrases.text("booking.unavailable").to_string(),
        }
    }
}

/// The question that gets a missing or unreadable argument from the caller.
fn ask_again(field: &str) -> &'static str {
    match field {
        "service" => "booking.ask_service",
        "start" | "date" | "time" | "part" | "weekday" => "booking.ask_when",
        "name" => "booking.ask_name",
        "plate" | "id" => "booking.ask_plate",
        "phone" => "booking.ask_phone",
        "text" => "booking.ask_text",
        _ => "booking.ask_again",
    }
}
