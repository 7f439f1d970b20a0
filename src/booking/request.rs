//! What a model asked, read once at the door.

use jiff::{
    Zoned,
    civil::{Date, DateTime, Weekday},
};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    error::BookingError,
    hours::minute,
    limits::{ARGUMENTS_BYTES_MAX, NAME_CHARS_MAX, TEXT_CHARS_MAX},
    phone::Phone,
    plate::Plate,
    rules,
    shop::{Service, Shop},
    slots::Slot,
    tools,
    words::{bounded, fold},
};
use crate::{language::Language, privacy::Pii};

/// What is known where a request comes in.
#[derive(Debug, Clone, Copy)]
pub struct Door<'a> {
    /// Whose books.
    pub shop: &'a Shop,
    /// The time it is.
    pub now: &'a Zoned,
    /// The number the caller calls from, where it is one.
    pub caller: Option<&'a Phone>,
}

/// A request whose every part is what it should be. Whether a time is open and free is asked later:
/// [`Book::slot`] and [`rules::admit`].
#[derive(Debug, Clone, PartialEq)]
pub enum Request<'a> {
    /// Find free slots.
    FindSlots(FindSlots<'a>),
    /// Make an appointment.
    Book(Book<'a>),
    /// Move one.
    Move {
        /// Which.
        whose: Whose,
        /// To when.
        local: DateTime,
    },
    /// Cancel one.
    Cancel {
        /// Which.
        whose: Whose,
    },
    /// Find the caller's.
    Find {
        /// By what; never empty.
        by: By,
    },
    /// Leave a message.
    Message {
        /// Who.
        name: Option<Pii<String>>,
        /// How to reach them.
        phone: Option<Pii<String>>,
        /// What; never empty.
        text: Pii<String>,
    },
    /// Put the caller through.
    Transfer {
        /// Why.
        reason: Option<Pii<String>>,
    },
    /// Hang up.
    EndCall,
}

/// Free slots that are asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct FindSlots<'a> {
    /// For what.
    pub service: &'a Service,
    /// On this day only; one that may be booked, though it may be closed.
    pub date: Option<Date>,
    /// In this part of the day only.
    pub part: Option<Part>,
    /// Near this many minutes after midnight.
    pub minute: Option<u16>,
}

/// A part of the day; they meet at 13:00.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Before 13:00.
    Morning,
    /// From 13:00 on.
    Afternoon,
}

impl Part {
    /// Whether a time of the day is in it.
    pub fn has(self, local: DateTime) -> bool {
        match self {
            Self::Morning => local.hour() < 13,
            Self::Afternoon => local.hour() >= 13,
        }
    }
}

/// An appointment that is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Book<'a> {
    /// What for.
    pub service: &'a Service,
    /// When, on the shop's clocks.
    pub local: DateTime,
    /// Who.
    pub name: Pii<String>,
    /// The car.
    pub plate: Pii<String>,
    /// How to reach them.
    pub phone: Option<Pii<String>>,
    /// What else.
    pub notes: Option<Pii<String>>,
}

impl Book<'_> {
    /// The slot, if the shop would do it then: not past, not too soon or far, not while it is closed.
    pub fn slot(&self, shop: &Shop, now: &Zoned) -> Result<Slot, BookingError> {
        rules::admit(shop, self.service, self.local, now)
    }
}

/// Which appointment is meant. At least one is given; all that are given must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Whose {
    /// Its id.
    pub id: Option<Uuid>,
    /// The car's plate.
    pub plate: Option<Pii<String>>,
    /// The number the caller calls from, when neither is given.
    pub caller: Option<Pii<String>>,
}

/// What appointments are looked for by. At least one is given; all that are given must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct By {
    /// The car's plate.
    pub plate: Option<Pii<String>>,
    /// The number.
    pub phone: Option<Pii<String>>,
    /// The whole name.
    pub name: Option<Pii<String>>,
}

/// Reads what a model asked for. Never panics, whatever it is given.
pub fn parse<'a>(door: Door<'a>, tool: &str, arguments: &str) -> Result<Request<'a>, BookingError> {
    let mut args = Args::read(arguments)?;
    let request = match tool {
        tools::FIND_SLOTS => Request::FindSlots(door.find_slots(&mut args)?),
        tools::BOOK => Request::Book(door.book(&mut args)?),
        tools::MOVE => Request::Move { whose: door.whose(&mut args)?, local: args.required("start").and_then(start)? },
        tools::CANCEL => Request::Cancel { whose: door.whose(&mut args)? },
        tools::FIND => Request::Find { by: door.by(&mut args)? },
        tools::MESSAGE => door.message(&mut args)?,
        tools::TRANSFER => Request::Transfer { reason: args.text("reason")?.map(long_text) },
        tools::END => Request::EndCall,
        _ => return Err(BookingError::bad("tool", "there is no such tool")),
    };
    args.nothing_left()?;
    Ok(request)
}

impl<'a> Door<'a> {
    fn find_slots(&self, args: &mut Args) -> Result<FindSlots<'a>, BookingError> {
        let service = self.service(args)?;
        let date = args.text("date")?.map(|text| date(&text)).transpose()?;
        if let Some(date) = date {
            rules::admit_day(self.shop, date, self.now, "date")?;
        }
        let part = args.text("part")?.map(|text| part(&text)).transpose()?;
        let minute =
            args.text("time")?.map(|text| minute(&text).ok_or(BookingError::bad("time", "write HH:MM"))).transpose()?;
        Ok(FindSlots { service, date, part, minute })
    }

    fn book(&self, args: &mut Args) -> Result<Book<'a>, BookingError> {
        let service = self.service(args)?;
        let local = args.required("start").and_then(start)?;
        if let Some(said) = args.text("weekday")?.map(|text| weekday(&text)).transpose()?
            && said != local.weekday()
        {
            return Err(BookingError::WeekdayMismatch { date: local.date(), said });
        }
        let name = bounded(&args.required("name")?, NAME_CHARS_MAX + 1);
        if name.chars().count() > NAME_CHARS_MAX || !name.chars().any(char::is_alphabetic) {
            return Err(BookingError::bad("name", "not a name, or too long"));
        }
        Ok(Book {
            service,
            local,
            name: Pii::new(name),
            plate: plate(&args.required("plate")?)?,
            phone: self.phone_or_caller(args)?,
            notes: args.text("notes")?.map(long_text),
        })
    }

    fn whose(&self, args: &mut Args) -> Result<Whose, BookingError> {
        let id = args
            .text("id")?
            .map(|text| Uuid::try_parse(text.trim()).map_err(|_| BookingError::bad("id", "not an id that was given")))
            .transpose()?;
        let plate = args.text("plate")?.map(|text| plate(&text)).transpose()?;
        let caller = if id.is_none() && plate.is_none() { self.caller.map(pii) } else { None };
        if id.is_none() && plate.is_none() && caller.is_none() {
            return Err(BookingError::bad("plate", "give the id or the plate"));
        }
        Ok(Whose { id, plate, caller })
    }

    fn by(&self, args: &mut Args) -> Result<By, BookingError> {
        let mut by = By {
            plate: args.text("plate")?.map(|text| plate(&text)).transpose()?,
            phone: args.text("phone")?.map(|text| phone(&text)).transpose()?,
            name: args.text("name")?.map(|text| Pii::new(bounded(&text, NAME_CHARS_MAX))),
        };
        if by == By::default() {
            by.phone = self.caller.map(pii);
        }
        if by == By::default() {
            return Err(BookingError::bad("plate", "give the plate, the phone or the name"));
        }
        Ok(by)
    }

    fn message(&self, args: &mut Args) -> Result<Request<'a>, BookingError> {
        let text = bounded(&args.required("text")?, TEXT_CHARS_MAX);
        if text.is_empty() {
            return Err(BookingError::bad("text", "missing"));
        }
        Ok(Request::Message {
            name: args.text("name")?.map(|name| Pii::new(bounded(&name, NAME_CHARS_MAX))),
            phone: self.phone_or_caller(args)?,
            text: Pii::new(text),
        })
    }

    fn service(&self, args: &mut Args) -> Result<&'a Service, BookingError> {
        self.shop.service(&args.required("service")?).ok_or(BookingError::UnknownService)
    }

    fn phone_or_caller(&self, args: &mut Args) -> Result<Option<Pii<String>>, BookingError> {
        match args.text("phone")? {
            Some(text) => phone(&text).map(Some),
            None => Ok(self.caller.map(pii)),
        }
    }
}

/// The arguments of a tool, taken out one by one.
struct Args(Map<String, Value>);

impl Args {
    fn read(arguments: &str) -> Result<Self, BookingError> {
        if arguments.len() > ARGUMENTS_BYTES_MAX {
            return Err(BookingError::bad("arguments", "too long"));
        }
        if arguments.trim().is_empty() {
            return Ok(Self(Map::new()));
        }
        match serde_json::from_str(arguments) {
            Ok(Value::Object(map)) => Ok(Self(map)),
            Ok(Value::Null) => Ok(Self(Map::new())),
            Ok(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) | Err(_) => {
                Err(BookingError::bad("arguments", "not a JSON object"))
            }
        }
    }

    /// An argument that may be missing; null and blank count as missing. A number is taken as it is written.
    fn text(&mut self, name: &'static str) -> Result<Option<String>, BookingError> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text).filter(|text| !text.trim().is_empty())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => Err(BookingError::bad(name, "not a text")),
        }
    }

    fn required(&mut self, name: &'static str) -> Result<String, BookingError> {
        self.text(name)?.ok_or(BookingError::bad(name, "missing"))
    }

    /// Whatever else there is must be empty: a model that fills arguments we do not have means something by them.
    fn nothing_left(&self) -> Result<(), BookingError> {
        if self.0.values().all(Value::is_null) {
            Ok(())
        } else {
            Err(BookingError::bad("arguments", "there is an argument that the tool does not take"))
        }
    }
}

/// `2026-04-14T09:00`, with or without zero seconds; no offset, since it is the shop's clock that counts.
fn start(text: String) -> Result<DateTime, BookingError> {
    let wrong = || BookingError::bad("start", "write YYYY-MM-DDTHH:MM, local time without offset");
    let (day, time) = text.trim().split_once(['T', ' ']).ok_or_else(wrong)?;
    let time = time.strip_suffix(":00").filter(|rest| rest.contains(':')).unwrap_or(time);
    let minute = minute(time).filter(|minute| *minute < 24 * 60).ok_or_else(wrong)?;
    let (hour, minute) = (i8::try_from(minute / 60).ok(), i8::try_from(minute % 60).ok());
    let (Some(hour), Some(minute), Some(day)) = (hour, minute, civil_date(day)) else { return Err(wrong()) };
    Ok(day.at(hour, minute, 0, 0))
}

fn date(text: &str) -> Result<Date, BookingError> {
    civil_date(text.trim()).ok_or(BookingError::bad("date", "write YYYY-MM-DD"))
}

fn civil_date(text: &str) -> Option<Date> {
    let is_date = text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(at, byte)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() });
    is_date.then(|| text.parse().ok()).flatten()
}

fn part(text: &str) -> Result<Part, BookingError> {
    match fold(text).as_str() {
        "morning" | "mattina" | "mattino" => Ok(Part::Morning),
        "afternoon" | "pomeriggio" => Ok(Part::Afternoon),
        _ => Err(BookingError::bad("part", "write morning or afternoon")),
    }
}

/// A weekday by its name in any language, or the first letters of it (three at least).
fn weekday(text: &str) -> Result<Weekday, BookingError> {
    let said = fold(text);
    let is_it = |name: &str| said.chars().count() >= 3 && fold(name).starts_with(&said);
    [Language::Italian, Language::English]
        .into_iter()
        .find_map(|language| language.phrases().list("booking.weekdays").position(is_it))
        .and_then(|at| Weekday::from_monday_zero_offset(i8::try_from(at).ok()?).ok())
        .ok_or(BookingError::bad("weekday", "not a day of the week"))
}

fn plate(text: &str) -> Result<Pii<String>, BookingError> {
    Plate::parse(text).map(|plate| Pii::new(plate.as_str().to_string())).map_err(|_| BookingError::BadPlate)
}

fn phone(text: &str) -> Result<Pii<String>, BookingError> {
    Phone::parse(text).map(|phone| pii(&phone)).map_err(|_| BookingError::BadPhone)
}

fn pii(phone: &Phone) -> Pii<String> {
    Pii::new(phone.as_str().to_string())
}

fn long_text(text: String) -> Pii<String> {
    Pii::new(bounded(&text, TEXT_CHARS_MAX))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::booking::error::Code;

    fn with<T>(then: impl FnOnce(Door<'_>) -> T) -> T {
        let (shop, now) = (Shop::example(), "2026-04-13T10:00[Europe/Rome]".parse().expect("a Monday"));
        then(Door { shop: &shop, now: &now, caller: None })
    }

    fn check_refused(tool: &str, arguments: &str, code: Code, field: &str) {
        with(|door| {
            let error = parse(door, tool, arguments).expect_err(arguments);
            assert_eq!((error.code(), error.field()), (code, Some(field)), "{tool} {arguments}");
        });
    }

    fn book(change: impl FnOnce(&mut Map<String, Value>)) -> String {
        let mut arguments = serde_json::json!({
            "service": "tagliando", "start": "2026-04-14T09:00", "name": "Mario Rossi", "plate": "ab 123 cd",
            "phone": "347 123 4567",
        });
        change(arguments.as_object_mut().expect("an object"));
        arguments.to_string()
    }

    #[test]
    fn a_booking_is_read_into_its_normal_form() {
        with(|door| {
            let arguments = book(|map| {
                map.insert("weekday".into(), "Martedì".into());
                map.insert("notes".into(), Value::Null);
            });
            let Ok(Request::Book(book)) = parse(door, "book_appointment", &arguments) else { panic!("a booking") };
            assert_eq!(book.service.id, "tagliando");
            assert_eq!(book.local, date(2026, 4, 14).at(9, 0, 0, 0));
            assert_eq!(book.plate.reveal(), "AB123CD");
            assert_eq!(book.phone.map(Pii::into_inner).as_deref(), Some("+393471234567"));
            assert_eq!(book.notes, None);
        });
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let tool = "book_appointment";
        for (field, value, code) in [
            ("service", "lavaggio", Code::UnknownService),
            ("plate", "??", Code::BadPlate),
            ("phone", "12", Code::BadPhone),
            ("start", "domani", Code::BadArguments),
            ("start", "2026-04-14T09:00Z", Code::BadArguments),
            ("start", "2026-04-14T09:00+02:00", Code::BadArguments),
            ("start", "2026-02-30T09:00", Code::BadArguments),
            ("start", "2026-04-14T24:00", Code::BadArguments),
            ("start", "2026-04-14", Code::BadArguments),
            ("weekday", "mercoledì", Code::WeekdayMismatch),
            ("weekday", "boh", Code::BadArguments),
            ("weekday", "m", Code::BadArguments),
            ("name", "123", Code::BadArguments),
            ("name", &"a".repeat(200), Code::BadArguments),
        ] {
            check_refused(tool, &book(|map| drop(map.insert(field.into(), value.into()))), code, field);
        }
        for field in ["service", "start", "name", "plate"] {
            check_refused(tool, &book(|map| drop(map.remove(field))), Code::BadArguments, field);
            check_refused(tool, &book(|map| drop(map.insert(field.into(), " ".into()))), Code::BadArguments, field);
            check_refused(tool, &book(|map| drop(map.insert(field.into(), true.into()))), Code::BadArguments, field);
        }
        check_refused(
            tool,
            &book(|map| drop(map.insert("colour".into(), "red".into()))),
            Code::BadArguments,
            "arguments",
        );
        check_refused("find_slots", r#"{"service":"freni","date":"2026-04-12"}"#, Code::Past, "date");
        check_refused("find_slots", r#"{"service":"freni","date":"2027-04-12"}"#, Code::TooFar, "date");
        check_refused("find_slots", r#"{"service":"freni","part":"night"}"#, Code::BadArguments, "part");
        check_refused("find_slots", r#"{"service":"freni","time":"9"}"#, Code::BadArguments, "time");
        check_refused("cancel_appointment", "{}", Code::BadArguments, "plate");
        check_refused("cancel_appointment", r#"{"id":"7"}"#, Code::BadArguments, "id");
        check_refused("find_appointments", "", Code::BadArguments, "plate");
        check_refused("take_message", "{}", Code::BadArguments, "text");
        check_refused("sell_car", "{}", Code::BadArguments, "tool");
        check_refused("end_call", "[]", Code::BadArguments, "arguments");
        check_refused("end_call", "{", Code::BadArguments, "arguments");
        check_refused("end_call", &" ".repeat(100_000), Code::BadArguments, "arguments");
    }

    #[test]
    fn starts_may_carry_seconds_that_are_zero() {
        for text in ["2026-04-14T09:00", "2026-04-14 09:00", "2026-04-14T09:00:00", " 2026-04-14T9:00 "] {
            assert_eq!(start(text.into()), Ok(date(2026, 4, 14).at(9, 0, 0, 0)), "{text}");
        }
        assert!(start("2026-04-14T09:00:30".into()).is_err());
        assert!(start("2026-04-14T09".into()).is_err());
    }

    #[test]
    fn weekdays_are_known_in_both_languages() {
        for (text, day) in [
            ("lunedi", Weekday::Monday),
            ("Mar", Weekday::Tuesday),
            ("VENERDÌ", Weekday::Friday),
            ("wed", Weekday::Wednesday),
            ("Sunday", Weekday::Sunday),
        ] {
            assert_eq!(weekday(text), Ok(day), "{text}");
        }
    }

    #[test]
    fn the_number_of_the_line_stands_in_where_none_is_given() {
        with(|door| {
            let caller = Phone::parse("+393471234567").expect("a mobile");
            let door = Door { caller: Some(&caller), ..door };
            let Ok(Request::Find { by }) = parse(door, "find_appointments", "{}") else { panic!("a search") };
            assert_eq!(by.phone.map(Pii::into_inner).as_deref(), Some("+393471234567"));
            let Ok(Request::Cancel { whose }) = parse(door, "cancel_appointment", "{}") else { panic!("a cancel") };
            assert!(whose.caller.is_some());
            let Ok(Request::Cancel { whose }) = parse(door, "cancel_appointment", r#"{"plate":"AB123CD"}"#) else {
                panic!("a cancel")
            };
            assert!(whose.caller.is_none() && whose.plate.is_some());
        });
    }
}
