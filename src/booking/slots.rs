//! What is free.

use jiff::{SignedDuration, Timestamp, Zoned, civil::DateTime};

use super::{
    appointment::Taken,
    calendar::{self, Day, Opening},
    capacity::Candidates,
    limits::{ALTERNATIVES_PER_DAY, HORIZON_DAYS_MAX, STARTS_MAX},
    rules,
    shop::{Service, Shop},
};

/// A start at which a service fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot {
    /// On the shop's clocks.
    pub local: DateTime,
    /// In the world's time.
    pub start: Timestamp,
    /// When the work would end.
    pub end: Timestamp,
}

/// The free starts from `from` (included) until `until` (not included), in order, at most `limit`. Looks at no more than
/// [`STARTS_MAX`] starts.
pub fn free_slots(
    shop: &Shop,
    taken: &[Taken],
    service: &Service,
    from: Timestamp,
    until: Timestamp,
    limit: usize,
) -> Vec<Slot> {
    let mut free = Vec::new();
    for_each_free(shop, taken, service, from, until, |slot| {
        if free.len() < limit {
            free.push(slot);
        }
        free.len() < limit
    });
    free
}

/// The free starts nearest to `around`, in order of time, at most `limit`: what to say when that one is not to be had.
/// Looks a fortnight to each side, then further into the future, and prefers not to take all from one day.
pub fn nearest(
    shop: &Shop,
    taken: &[Taken],
    service: &Service,
    around: Timestamp,
    now: &Zoned,
    limit: usize,
) -> Vec<Slot> {
    let (earliest, latest) = (rules::earliest(shop, now), rules::latest(shop, now));
    let side = SignedDuration::from_hours(14 * 24);
    let from = around.checked_sub(side).unwrap_or(earliest).clamp(earliest, latest.max(earliest));
    let until = around.checked_add(side).unwrap_or(latest).clamp(earliest, latest.max(earliest));
    let mut near = Vec::new();
    for_each_free(shop, taken, service, from, until, |slot| {
        near.push(slot);
        true
    });
    near.sort_by_key(|slot| (slot.start.as_second().abs_diff(around.as_second()), slot.start));
    near = of_several_days(near, limit);
    if near.len() < limit {
        near.extend(free_slots(shop, taken, service, until, latest, limit - near.len()));
    }
    near.sort();
    near
}

/// The first `limit`, with no more than [`ALTERNATIVES_PER_DAY`] of one day as long as there are others.
fn of_several_days(slots: Vec<Slot>, limit: usize) -> Vec<Slot> {
    let (mut kept, mut spare): (Vec<Slot>, Vec<Slot>) = (Vec::new(), Vec::new());
    for slot in slots {
        let of_the_day = kept.iter().filter(|other| other.local.date() == slot.local.date()).count();
        if of_the_day < ALTERNATIVES_PER_DAY {
            kept.push(slot)
        } else {
            spare.push(slot)
        }
        if kept.len() == limit {
            return kept;
        }
    }
    kept.extend(spare);
    kept.truncate(limit);
    kept
}

/// Calls `found` with each free start in order, until it says that it has enough.
pub(super) fn for_each_free(
    shop: &Shop,
    taken: &[Taken],
    service: &Service,
    from: Timestamp,
    until: Timestamp,
    mut found: impl FnMut(Slot) -> bool,
) {
    let zone = shop.zone.rules();
    let candidates = Candidates::of(shop, service);
    let mut date = from.to_zoned(zone.clone()).date();
    let mut starts = 0;
    for _ in 0..=HORIZON_DAYS_MAX + 1 {
        let (day_start, day_end) = (rules::start_of_day(shop, date), rules::end_of_day(shop, date));
        if day_start >= until {
            return;
        }
        if let Day::Open(openings) = calendar::day(shop, date) {
            let of_the_day: Vec<Taken> = taken.iter().filter(|one| one.overlaps(day_start, day_end)).cloned().collect();
            for slot in openings.iter().flat_map(|opening| starts_of(shop, service, *opening)) {
                starts += 1;
                if starts > STARTS_MAX {
                    return;
                }
                let wanted = from <= slot.start && slot.start < until;
                if wanted && candidates.assign(&of_the_day, slot.start, slot.end).is_some() && !found(slot) {
                    return;
                }
            }
        }
        match date.tomorrow() {
            Ok(next) => date = next,
            Err(_) => return,
        }
    }
}

/// The starts of an opening at which the service fits, by the clock.
fn starts_of(shop: &Shop, service: &Service, opening: Opening) -> impl Iterator<Item = Slot> {
    let step = SignedDuration::from_mins(i64::from(shop.slot_step_minutes.max(1)));
    let minutes = SignedDuration::from_mins(i64::from(service.minutes));
    let zone = shop.zone.rules().clone();
    std::iter::successors(Some(opening.local), move |local| {
        local.checked_add(step).ok().filter(|next| *next < opening.local_end)
    })
    .filter_map(move |local| {
        let start = calendar::instant(&zone, local).ok()?;
        let end = start.checked_add(minutes).ok()?;
        (opening.start <= start && end <= opening.end).then_some(Slot { local, start, end })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Zoned {
        "2026-04-13T10:00[Europe/Rome]".parse().expect("a Monday")
    }

    fn on(shop: &Shop, taken: &[Taken], service: &str, day: &str) -> Vec<String> {
        let date = day.parse().expect("a date");
        let service = shop.service_by_id(service).expect("a service");
        free_slots(shop, taken, service, rules::start_of_day(shop, date), rules::end_of_day(shop, date), 100)
            .iter()
            .map(|slot| slot.local.strftime("%H:%M").to_string())
            .collect()
    }

    /// Everything of the shop is taken from one local time to another.
    fn all_taken(shop: &Shop, from: &str, to: &str) -> Vec<Taken> {
        let at = |text: &str| calendar::instant(shop.zone.rules(), text.parse().expect("local")).expect("an instant");
        shop.technicians
            .iter()
            .map(|one| Taken { start: at(from), end: at(to), bay: None, technician: one.name.clone() })
            .collect()
    }

    #[test]
    fn an_empty_day_offers_every_start_that_fits() {
        let shop = Shop::example();
        assert_eq!(
            on(&shop, &[], "tagliando", "2026-04-14"),
            [
                "08:30", "09:00", "09:30", "10:00", "10:30", "11:00", "14:00", "14:30", "15:00", "15:30", "16:00",
                "16:30", "17:00"
            ]
        );
        assert_eq!(on(&shop, &[], "tagliando", "2026-04-18").last().map(String::as_str), Some("11:00"));
        assert!(on(&shop, &[], "tagliando", "2026-04-19").is_empty(), "Sunday");
        assert!(on(&shop, &[], "tagliando", "2026-05-01").is_empty(), "a holiday");
        assert_eq!(on(&shop, &[], "frizione", "2026-04-14"), ["08:30", "14:00", "14:30"]);
    }

    #[test]
    fn what_is_taken_is_not_offered() {
        let shop = Shop::example();
        let taken = all_taken(&shop, "2026-04-14T09:00", "2026-04-14T17:00");
        assert_eq!(on(&shop, &taken, "tagliando", "2026-04-14"), ["17:00"]);
        assert_eq!(on(&shop, &taken, "diagnosi", "2026-04-14"), ["08:30", "17:00", "17:30", "18:00"]);
    }

    #[test]
    fn a_night_of_changing_clocks_offers_only_times_that_exist_once() {
        let mut shop = Shop::example();
        shop.hours.sun = vec!["01:00-05:00".parse().expect("hours")];
        shop.slot_step_minutes = 60;
        shop.holidays = false;
        assert_eq!(on(&shop, &[], "climatizzatore", "2026-10-25"), ["01:00", "03:00", "04:00"]);
        assert_eq!(on(&shop, &[], "climatizzatore", "2027-03-28"), ["01:00", "03:00", "04:00"]);
        assert_eq!(on(&shop, &[], "climatizzatore", "2026-10-18"), ["01:00", "02:00", "03:00", "04:00"]);
    }

    #[test]
    fn alternatives_are_the_nearest_and_come_in_order() {
        let shop = Shop::example();
        let service = shop.service_by_id("tagliando").expect("a service");
        let around = calendar::instant(shop.zone.rules(), "2026-04-14T10:00".parse().expect("local")).expect("instant");
        let near = |taken: &[Taken]| -> Vec<String> {
            nearest(&shop, taken, service, around, &now(), 3).iter().map(|slot| slot.local.to_string()).collect()
        };
        assert_eq!(near(&[]), ["2026-04-13T17:00:00", "2026-04-14T09:30:00", "2026-04-14T10:00:00"]);
        let taken = all_taken(&shop, "2026-04-14T08:30", "2026-04-14T12:30");
        assert_eq!(near(&taken), ["2026-04-13T17:00:00", "2026-04-14T14:00:00", "2026-04-14T14:30:00"]);
        // Three weeks full: the next ones after them.
        let taken = all_taken(&shop, "2026-04-13T08:30", "2026-05-04T12:30");
        assert_eq!(near(&taken), ["2026-05-04T14:00:00", "2026-05-04T14:30:00", "2026-05-04T15:00:00"]);
    }

    #[test]
    fn a_search_at_the_end_of_the_calendar_ends() {
        let shop = Shop::example();
        let service = &shop.services[0];
        assert!(free_slots(&shop, &[], service, Timestamp::MAX, Timestamp::MAX, 5).is_empty());
        let _ = nearest(&shop, &[], service, Timestamp::MIN, &now(), 3);
        let _ = nearest(&shop, &[], service, Timestamp::MAX, &now(), 3);
    }
}
