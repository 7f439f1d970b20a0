//! The example shop, with the lab for its engines and a new book.

use std::{path::Path, sync::Arc};

use anyhow::{Context, anyhow};
use jiff::{
    ToSpan, Zoned,
    civil::{Date, Weekday, time},
};

use crate::{
    booking::{
        self, Shop,
        calendar::{self, Day},
    },
    daemon::lab::providers,
    language::Language,
    load::lab::Lab,
    providers::settings::build,
    store::SqliteStore,
    tenant::{Desk, Settings, Tenant},
};

/// The example tenant's file, as it is in the repository.
const EXAMPLE: &str = include_str!("../../../config/tenants/officina-rossi.toml");

/// Its token.
pub(super) const TOKEN: &str = "officina-rossi-demo-token";

/// The plate that the demo's caller gives.
pub(super) const PLATE: &str = "AB123CD";

/// Opens the shop, and finds the day on which its caller wants to come.
pub(super) async fn open(lab: &Lab, books: &Path) -> anyhow::Result<(Tenant, Date)> {
    let text = format!("{}\n{}", without_engines(EXAMPLE), providers(&lab.openai_url(), &lab.deepgram_url()));
    let settings = Settings::parse(&text).map_err(|problems| {
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        anyhow!("the example shop has mistakes: {}", problems.join("; "))
    })?;
    let engines = build(&settings.providers)?;
    let store = SqliteStore::open(books).await?;
    let zone = settings.shop.zone.rules().clone();
    let day = day(&settings.shop, &Zoned::now().with_time_zone(zone))
        .context("the example shop is closed every morning of the next week")?;
    let named = booking::TenantId::new(settings.profile.id.as_str());
    let desk = Desk::new(Arc::clone(&settings.shop), Arc::new(store), named, settings.profile.call.language);
    Ok((Tenant::new(settings.profile, engines, Arc::new(Arc::new(desk))), day))
}

/// A tenant's file without its `[providers]`, and without the holidays of its owner: the demo works in August too.
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
fn day(shop: &Shop, now: &Zoned) -> Option<Date> {
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

/// The name of a day's weekday.
pub(super) fn weekday(date: Date) -> String {
    let names = Language::Italian.phrases().list("booking.weekdays");
    let at = date.weekday().to_monday_zero_offset() as usize;
    names.into_iter().nth(at).unwrap_or("domani").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Arc<Shop> {
        let text = format!("{}\n{}", without_engines(EXAMPLE), providers("http://127.0.0.1:1/v1", "ws://127.0.0.1:1"));
        Settings::parse(&text).unwrap().shop
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
