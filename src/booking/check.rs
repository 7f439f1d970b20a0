//! Settings checked whole: everything that is wrong, each with its field and the fix.

use std::{collections::BTreeMap, fmt};

use super::{
    hours::Span,
    limits::{
        ALIASES_MAX, CLOSURES_MAX, HORIZON_DAYS_MAX, NAME_CHARS_MAX, RESOURCES_MAX, SERVICES_MAX, SPANS_MAX,
        UNIT_MINUTES,
    },
    resources::BayNeed,
    shop::{Service, Shop},
};

/// One thing that is wrong with a shop's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookingSetting {
    /// Which field, as in the file (`services[2].minutes`).
    pub field: String,
    /// What is wrong.
    pub problem: String,
    /// What to write instead.
    pub fix: String,
}

impl fmt::Display for BookingSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.field, self.problem, self.fix)
    }
}

impl std::error::Error for BookingSetting {}

pub(super) fn check(shop: &Shop) -> Result<(), Vec<BookingSetting>> {
    let mut wrong = Wrong(Vec::new());
    wrong.shop(shop);
    wrong.hours(shop);
    wrong.resources(shop);
    wrong.services(shop);
    if wrong.0.is_empty() { Ok(()) } else { Err(wrong.0) }
}

/// What was found so far.
struct Wrong(Vec<BookingSetting>);

impl Wrong {
    fn say(&mut self, field: impl Into<String>, problem: impl Into<String>, fix: impl Into<String>) {
        self.0.push(BookingSetting { field: field.into(), problem: problem.into(), fix: fix.into() });
    }

    fn shop(&mut self, shop: &Shop) {
        if shop.name.trim().is_empty() || shop.name.chars().count() > NAME_CHARS_MAX {
            self.say("name", "is empty or too long", "write the shop's name as it is spoken");
        }
        if !(1..=HORIZON_DAYS_MAX).contains(&shop.horizon_days) {
            self.say(
                "horizon_days",
                format!("{} is out of range", shop.horizon_days),
                format!("write 1 to {HORIZON_DAYS_MAX}"),
            );
        }
        if shop.lead_minutes >= shop.horizon_days.saturating_mul(24 * 60) {
            self.say("lead_minutes", "is longer than horizon_days", "write a shorter notice or a further horizon");
        }
        if !is_unit(shop.slot_step_minutes) || shop.slot_step_minutes > 240 {
            self.say(
                "slot_step_minutes",
                format!("{} is not a step", shop.slot_step_minutes),
                format!("write a multiple of {UNIT_MINUTES} up to 240"),
            );
        }
        if shop.closures.len() > CLOSURES_MAX {
            self.say("closures", "are too many", format!("keep at most {CLOSURES_MAX}; drop those that are past"));
        }
        if shop.transfer_to.as_ref().is_some_and(|to| to.trim().is_empty()) {
            self.say("transfer_to", "is empty", "write a number like \"+390612345678\", or leave the line out");
        }
    }

    fn hours(&mut self, shop: &Shop) {
        if shop.hours.longest_minutes() == 0 {
            self.say("hours", "are empty", "write at least one day, for instance mon = [\"08:30-12:30\"]");
        }
        for (day, spans) in shop.hours.days() {
            let field = format!("hours.{day}");
            if spans.len() > SPANS_MAX {
                self.say(&field, "has too many intervals", format!("write at most {SPANS_MAX}"));
            }
            if spans.iter().any(|span| !is_unit_span(*span)) {
                self.say(&field, "is not on the clock's grid", format!("write multiples of {UNIT_MINUTES} minutes"));
            }
            if spans.windows(2).any(|two| two[0].to_minute() > two[1].from_minute()) {
                self.say(&field, "has intervals that overlap or are out of order", "write them in order, apart");
            }
        }
    }

    fn resources(&mut self, shop: &Shop) {
        self.names("bays", shop.bays.iter().map(|bay| bay.name.as_str()));
        self.names("technicians", shop.technicians.iter().map(|technician| technician.name.as_str()));
        if shop.technicians.is_empty() {
            self.say("technicians", "are empty", "write how many there are, or their names");
        }
        for (at, technician) in shop.technicians.iter().enumerate() {
            for id in technician.services.iter().filter(|id| shop.service_by_id(id).is_none()) {
                self.say(
                    format!("technicians[{at}].services"),
                    format!("\"{id}\" is not the id of a service"),
                    "write ids of [[services]]",
                );
            }
        }
    }

    fn names<'a>(&mut self, field: &str, names: impl Iterator<Item = &'a str>) {
        let mut seen = BTreeMap::new();
        for (at, name) in names.enumerate() {
            if name.trim().is_empty() || name.chars().count() > NAME_CHARS_MAX {
                self.say(format!("{field}[{at}]"), "has no name, or too long a one", "write a short name");
            }
            if let Some(first) = seen.insert(name, at) {
                self.say(
                    format!("{field}[{at}]"),
                    format!("is called like {field}[{first}]"),
                    "give each its own name",
                );
            }
        }
        if seen.len() > RESOURCES_MAX {
            self.say(field, "are too many", format!("write at most {RESOURCES_MAX}"));
        }
    }

    fn services(&mut self, shop: &Shop) {
        if shop.services.is_empty() || shop.services.len() > SERVICES_MAX {
            self.say("services", "are none, or too many", format!("write 1 to {SERVICES_MAX} [[services]] tables"));
        }
        let mut called: BTreeMap<String, usize> = BTreeMap::new();
        for (at, service) in shop.services.iter().enumerate() {
            self.service(shop, at, service);
            for name in service.called() {
                match called.insert(name.clone(), at) {
                    Some(other) if other != at => self.say(
                        format!("services[{at}].names"),
                        format!("\"{name}\" is also a name of services[{other}]"),
                        "let each name mean one service",
                    ),
                    Some(_) | None => {}
                }
            }
        }
    }

    fn service(&mut self, shop: &Shop, at: usize, service: &Service) {
        let field = |name: &str| format!("services[{at}].{name}");
        if service.id.is_empty()
            || service.id.len() > NAME_CHARS_MAX
            || !service.id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        {
            self.say(
                field("id"),
                format!("\"{}\" is not an id", service.id),
                "write lower-case letters, digits and \"_\", for instance \"cambio_gomme\"",
            );
        }
        if service.names.it.is_empty() {
            self.say(field("names.it"), "is empty", "write the name as it is spoken, then what else it is called");
        }
        let names = || service.names.it.iter().chain(&service.names.en);
        if names().count() > ALIASES_MAX * 2 || names().any(|name| super::words::fold(name).is_empty()) {
            self.say(field("names"), "has an empty name, or too many", format!("write at most {ALIASES_MAX} names"));
        }
        let longest = shop.hours.longest_minutes();
        if service.minutes == 0 || !is_unit(service.minutes) {
            self.say(
                field("minutes"),
                format!("{} is not a duration", service.minutes),
                format!("write a multiple of {UNIT_MINUTES}"),
            );
        } else if longest > 0 && service.minutes > longest {
            self.say(
                field("minutes"),
                format!("{} is longer than the longest opening ({longest})", service.minutes),
                "shorten it: an appointment does not span a break",
            );
        }
        let bay_missing = match &service.bay {
            BayNeed::None => false,
            BayNeed::Any => !shop.bays.iter().any(|bay| bay.kind.is_none()),
            BayNeed::Kind(kind) => !shop.bays.iter().any(|bay| bay.kind.as_ref() == Some(kind)),
        };
        if bay_missing {
            self.say(field("bay"), "no bay suits it", "add one to bays, or write bay = false");
        }
        if !shop.technicians.iter().any(|one| one.services.is_empty() || one.services.contains(&service.id)) {
            self.say(field("id"), "no technician does it", "add the id to the services of a technician");
        }
    }
}

fn is_unit(minutes: u32) -> bool {
    minutes > 0 && minutes.is_multiple_of(UNIT_MINUTES)
}

fn is_unit_span(span: Span) -> bool {
    u32::from(span.from_minute()).is_multiple_of(UNIT_MINUTES)
        && u32::from(span.to_minute()).is_multiple_of(UNIT_MINUTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Changes the example and expects a complaint about the field.
    fn check_refused(field: &str, change: impl FnOnce(&mut Shop)) {
        let mut shop = Shop::example();
        change(&mut shop);
        let wrong = shop.check().expect_err(field);
        assert!(wrong.iter().any(|one| one.field == field), "{field}: {wrong:?}");
        assert!(wrong.iter().all(|one| !one.fix.is_empty()), "each names its fix");
    }

    #[test]
    fn each_mistake_is_named_by_its_field() {
        check_refused("name", |shop| shop.name = " ".into());
        check_refused("horizon_days", |shop| shop.horizon_days = 0);
        check_refused("lead_minutes", |shop| shop.lead_minutes = u32::MAX);
        check_refused("slot_step_minutes", |shop| shop.slot_step_minutes = 7);
        check_refused("slot_step_minutes", |shop| shop.slot_step_minutes = 0);
        check_refused("transfer_to", |shop| shop.transfer_to = Some(String::new()));
        check_refused("hours", |shop| shop.hours = Default::default());
        check_refused("hours.mon", |shop| shop.hours.mon.reverse());
        check_refused("hours.mon", |shop| shop.hours.mon = vec!["08:31-12:30".parse().expect("hours")]);
        check_refused("technicians", |shop| shop.technicians.clear());
        check_refused("technicians[2].services", |shop| shop.technicians[2].services = vec!["lavaggio".into()]);
        check_refused("bays[1]", |shop| shop.bays[1].name = shop.bays[0].name.clone());
        check_refused("services", |shop| shop.services.clear());
        check_refused("services[0].id", |shop| shop.services[0].id = "Tagliando!".into());
        check_refused("services[0].names.it", |shop| shop.services[0].names.it.clear());
        check_refused("services[1].names", |shop| shop.services[1].names.it.push("TAGLIANDO".into()));
        check_refused("services[0].minutes", |shop| shop.services[0].minutes = 0);
        check_refused("services[0].minutes", |shop| shop.services[0].minutes = 91);
        check_refused("services[0].minutes", |shop| shop.services[0].minutes = 600);
        check_refused("services[0].bay", |shop| shop.bays.clear());
        check_refused("services[0].bay", |shop| shop.services[0].bay = BayNeed::Kind("forno".into()));
        check_refused("services[0].id", |shop| shop.technicians.retain(|one| !one.services.is_empty()));
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let mut shop = Shop::example();
        shop.name.clear();
        shop.horizon_days = 0;
        shop.slot_step_minutes = 1;
        assert!(shop.check().expect_err("three mistakes").len() >= 3);
    }
}
