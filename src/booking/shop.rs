//! What the owner of a shop wrote down: services, hours, bays, people, closures.

use std::fmt;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::{
    check::{self, BookingSetting},
    hours::{Closure, Hours, MonthDay},
    limits::SERVICE_CHARS_MAX,
    resources::{self, Bay, BayNeed, Technician},
    words::{contains_words, fold},
};
use crate::language::Language;

/// A shop's settings. Read them with serde (unknown fields are refused), then [`check`](Self::check) them.
///
/// ```
/// let shop = pronto::booking::Shop::example();
/// assert!(shop.check().is_ok());
/// assert_eq!(shop.service("Il TAGLIANDO").map(|service| service.id.as_str()), Some("tagliando"));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shop {
    /// The name as spoken.
    pub name: String,
    /// The IANA time zone of its clocks.
    #[serde(default)]
    pub zone: Zone,
    /// What it does.
    pub services: Vec<Service>,
    /// When it is open, by weekday.
    pub hours: Hours,
    /// Where cars are worked on.
    #[serde(default, deserialize_with = "resources::list")]
    pub bays: Vec<Bay>,
    /// Who works on them.
    #[serde(deserialize_with = "resources::list")]
    pub technicians: Vec<Technician>,
    /// Days on which it is closed, besides the week's and the holidays.
    #[serde(default)]
    pub closures: Vec<Closure>,
    /// The feast of the town's patron, a local holiday.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patron: Option<MonthDay>,
    /// Closed on Italian public holidays.
    #[serde(default = "yes")]
    pub holidays: bool,
    /// The shortest notice for an appointment.
    #[serde(default = "an_hour")]
    pub lead_minutes: u32,
    /// How many days ahead an appointment may be made.
    #[serde(default = "three_months")]
    pub horizon_days: u32,
    /// Starts are offered this far apart, counted from each opening.
    #[serde(default = "half_an_hour")]
    pub slot_step_minutes: u32,
    /// The number or address callers are put through to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer_to: Option<String>,
}

impl Shop {
    /// A realistic Italian garage, for tests, the demo and as a pattern for one's own.
    pub fn example() -> Self {
        toml::from_str(include_str!("example.toml")).expect("the compiled-in example is tested")
    }

    /// Everything that is wrong with the settings, each with its field and the fix.
    pub fn check(&self) -> Result<(), Vec<BookingSetting>> {
        check::check(self)
    }

    /// The service somebody means: by id, name or alias in any language, whatever the case and the accents; or the
    /// only one whose name occurs in the words ("un tagliando completo").
    pub fn service(&self, asked: &str) -> Option<&Service> {
        if asked.chars().count() > SERVICE_CHARS_MAX {
            return None;
        }
        let asked = fold(asked);
        if let Some(exact) = self.services.iter().find(|service| service.called().any(|name| name == asked)) {
            return Some(exact);
        }
        let mut meant =
            self.services.iter().filter(|service| service.called().any(|name| contains_words(&asked, &name)));
        match (meant.next(), meant.next()) {
            (Some(one), None) => Some(one),
            (Some(_), Some(_)) | (None, _) => None,
        }
    }

    /// The service with this id.
    pub fn service_by_id(&self, id: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.id == id)
    }
}

/// Something the shop does to a car.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Its short name in the books: lower case, digits and `_`.
    pub id: String,
    /// What callers call it.
    pub names: Names,
    /// How long it takes, a bay and a technician included.
    pub minutes: u32,
    /// Which bay it needs.
    #[serde(default = "any_bay")]
    pub bay: BayNeed,
    /// The price from which it starts, in euro cents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_cents: Option<u32>,
}

impl Service {
    /// Its name as spoken.
    pub fn name(&self, language: Language) -> &str {
        self.names.of(language).first().or(self.names.it.first()).unwrap_or(&self.id)
    }

    /// Everything it is called, folded.
    pub(crate) fn called(&self) -> impl Iterator<Item = String> {
        std::iter::once(&self.id).chain(&self.names.it).chain(&self.names.en).map(|name| fold(name))
    }
}

/// What a service is called in each language: the first is spoken, the others are understood.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Names {
    /// In Italian.
    pub it: Vec<String>,
    /// In English; the Italian name is spoken where there is none.
    #[serde(default)]
    pub en: Vec<String>,
}

impl Names {
    /// The names of one language.
    pub fn of(&self, language: Language) -> &[String] {
        match language {
            Language::Italian => &self.it,
            Language::English => &self.en,
        }
    }
}

/// An IANA time zone, looked up once when the settings are read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(TimeZone);

impl Zone {
    /// The rules of its clocks.
    pub const fn rules(&self) -> &TimeZone {
        &self.0
    }
}

impl Default for Zone {
    /// Where the first shops are.
    fn default() -> Self {
        Self(TimeZone::get("Europe/Rome").expect("the time zones are compiled in"))
    }
}

impl TryFrom<String> for Zone {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        TimeZone::get(&name)
            .ok()
            .filter(|zone| zone.iana_name().is_some())
            .map(Self)
            .ok_or_else(|| format!("\"{name}\" is not an IANA time zone; write one like \"Europe/Rome\""))
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.to_string()
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.iana_name().unwrap_or("UTC"))
    }
}

fn yes() -> bool {
    true
}

fn any_bay() -> BayNeed {
    BayNeed::Any
}

fn an_hour() -> u32 {
    60
}

fn three_months() -> u32 {
    90
}

fn half_an_hour() -> u32 {
    30
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_found_whatever_they_are_called() {
        let shop = Shop::example();
        for (asked, id) in [
            ("tagliando", Some("tagliando")),
            ("TAGLIANDO", Some("tagliando")),
            ("il tagliando dei trentamila", Some("tagliando")),
            ("Cambio Gomme", Some("cambio_gomme")),
            ("tyre change", Some("cambio_gomme")),
            ("aria condizionata", Some("climatizzatore")),
            ("tagliando e revisione", None),
            ("lavaggio", None),
            ("", None),
        ] {
            assert_eq!(shop.service(asked).map(|service| service.id.as_str()), id, "{asked}");
        }
        assert!(shop.service(&"tagliando ".repeat(1000)).is_none(), "too long to be a name");
    }

    #[test]
    fn settings_survive_a_round_trip() {
        let shop = Shop::example();
        let json = serde_json::to_string(&shop).expect("settings are plain data");
        assert_eq!(serde_json::from_str::<Shop>(&json).expect("just written"), shop);
    }

    #[test]
    fn an_unknown_field_or_zone_is_refused_by_name() {
        let example = include_str!("example.toml");
        let error = toml::from_str::<Shop>(&format!("colour = 1\n{example}")).expect_err("unknown").to_string();
        assert!(error.contains("colour"), "{error}");
        let error =
            toml::from_str::<Shop>(&example.replace("Europe/Rome", "Europe/Roma")).expect_err("unknown").to_string();
        assert!(error.contains("Europe/Roma") && error.contains("zone"), "{error}");
    }
}
