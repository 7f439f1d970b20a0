//! The example shop, with the lab for its engines and new books.

use std::{path::Path, sync::Arc};

use anyhow::{Context, anyhow};
use jiff::{
    ToSpan, Zoned,
    civil::{Date, Weekday, time},
};

pub use crate::load::shop::diary::weekday;
use crate::{
    booking::{
        Shop,
        calendar::{self, Day},
    },
    providers::settings::build,
    store::SqliteStore,
    tenant::{Settings, Tenant},
};

/// The example tenant's file, as it is in the repository.
const EXAMPLE: &str = include_str!("../../../config/tenants/officina-rossi.toml");

/// Its name.
pub const ID: &str = "officina-rossi";

/// What opens its door.
pub const TOKEN: &str = "officina-rossi-demo-token";

/// Who calls it.
pub const CALLER: &str = "+393331234567";

/// The plate of the caller's car.
pub const PLATE: &str = "AB123CD";

/// Opens the shop, and finds the day on which its caller wants to come. `engines` is its `[providers]`.
pub async fn open(engines: &str, books: &Path) -> anyhow::Result<(Tenant, Date)> {
    let settings = Settings::parse(&with_engines(engines)).map_err(|problems| {
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        anyhow!("the example shop has mistakes: {}", problems.join("; "))
    })?;
    let engines = build(&settings.providers)?;
    let now = Zoned::now().with_time_zone(settings.shop.zone.rules().clone());
    let day = day(&settings.shop, &now).context("the example shop is closed every morning of the next week")?;
    let books = SqliteStore::open(books).await?;
    Ok((Tenant::of(settings, engines, Arc::new(books)), day))
}

/// The example tenant's file with these `[providers]`, and without the holidays of its owner: it is open in August too.
pub fn with_engines(providers: &str) -> String {
    format!("{}\n{providers}", without_engines(EXAMPLE))
}

fn without_engines(text: &str) -> String {
    let mut engines = false;
    let kept = text.lines().filter(|line| {
        if let Some(header) = line.strip_prefix('[') {
            engines = header.trim_start_matches('[').starts_with("providers");
        }
        !engines && !line.starts_with("closures")
    });
    kept.collect::<Vec<_>>().join("\n")
}

/// The next weekday from tomorrow on which the shop is open all morning. Within a week, so that its name is enough.
pub fn day(shop: &Shop, now: &Zoned) -> Option<Date> {
    (1..=6)
        .filter_map(|days| now.date().checked_add(days.days()).ok())
        .filter(|date| !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday))
        .find(|date| match calendar::day(shop, *date) {
            Day::Open(openings) => openings.iter().any(|opening| {
                opening.local.time() <= time(9, 0, 0, 0) && opening.local_end.time() >= time(12, 30, 0, 0)
            }),
            Day::Closed(_) => false,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Arc<Shop> {
        Settings::parse(&with_engines("[providers.llm]\nkind = \"receptionist\"\n")).unwrap().shop
    }

    #[test]
    fn on_every_day_of_the_year_there_is_a_morning_in_the_next_week() {
        let shop = example();
        let mut now: Zoned = "2026-01-01T18:00[Europe/Rome]".parse().unwrap();
        for _ in 0..730 {
            let day = day(&shop, &now).unwrap_or_else(|| panic!("closed after {now}"));
            assert!(day > now.date() && day <= now.date().checked_add(6.days()).unwrap());
            now = now.checked_add(1.days()).unwrap();
        }
    }

    #[test]
    fn the_example_keeps_everything_but_its_engines() {
        let text = without_engines("a = 1\n[providers]\nb = 2\n[[providers.llm]]\nc = 3\n[shop]\nclosures = []\nd = 4");
        assert_eq!(text, "a = 1\n[shop]\nd = 4");
        assert!(EXAMPLE.contains(TOKEN));
    }

    #[test]
    fn weekdays_have_names() {
        assert_eq!(weekday("2026-11-23".parse().unwrap()), "lunedì");
        assert_eq!(weekday("2026-11-27".parse().unwrap()), "venerdì");
    }
}
