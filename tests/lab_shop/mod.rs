//! The example shop on the lab's engines, and the day on which its caller wants to come.

#![allow(dead_code, reason = "each test needs a part of it")]

use jiff::{
    ToSpan, Zoned,
    civil::{Date, Weekday, time},
};
use pronto::{
    booking::{
        Shop,
        calendar::{self, Day},
    },
    language::Language,
};

const EXAMPLE: &str = include_str!("../../config/tenants/officina-rossi.toml");
/// What opens its door.
pub const TOKEN: &str = "officina-rossi-demo-token";
/// Its name.
pub const ID: &str = "officina-rossi";
/// Who calls.
pub const CALLER: &str = "+393331234567";

/// The example tenant's file with these `[providers]`, and without its owner's holidays: it is tested in August too.
pub fn with_engines(providers: &str) -> String {
    let mut engines = false;
    let kept = EXAMPLE.lines().filter(|line| {
        if let Some(header) = line.strip_prefix('[') {
            engines = header.trim_start_matches('[').starts_with("providers");
        }
        !engines && !line.starts_with("closures")
    });
    kept.flat_map(|line| [line, "\n"]).chain([providers]).collect()
}

/// The next weekday from tomorrow on which the shop is open all morning.
pub fn day(shop: &Shop) -> Date {
    let now = Zoned::now().with_time_zone(shop.zone.rules().clone());
    let open = |date: &Date| match calendar::day(shop, *date) {
        Day::Open(openings) => openings
            .iter()
            .any(|opening| opening.local.time() <= time(9, 0, 0, 0) && opening.local_end.time() >= time(12, 30, 0, 0)),
        Day::Closed(_) => false,
    };
    let days = (1..=6).map(|days| now.date().checked_add(days.days()).unwrap());
    days.filter(|date| !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday)).find(open).unwrap()
}

/// The name of its weekday.
pub fn weekday(date: Date) -> String {
    let at = usize::try_from(date.weekday().to_monday_zero_offset()).unwrap();
    Language::Italian.phrases().list("booking.weekdays").nth(at).unwrap().to_owned()
}
