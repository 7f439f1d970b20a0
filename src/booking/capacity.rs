//! Which bay and which technician an appointment gets: the first free ones, in the order of the settings.

use jiff::Timestamp;

use super::{
    appointment::{Appointment, Taken},
    limits::UNIT_SECONDS,
    resources::BayNeed,
    shop::{Service, Shop},
};
use crate::privacy::Pii;

/// The bays and technicians that suit a service, in the order in which they are tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidates {
    /// `None`: the service needs no bay.
    pub bays: Option<Vec<String>>,
    /// Never empty in settings that were checked.
    pub technicians: Vec<String>,
}

/// What one appointment gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assigned {
    /// The bay, where one is needed.
    pub bay: Option<String>,
    /// The technician.
    pub technician: String,
}

impl Candidates {
    /// Who and what suits the service.
    pub fn of(shop: &Shop, service: &Service) -> Self {
        let bays_where = |suits: &dyn Fn(&Option<String>) -> bool| {
            Some(shop.bays.iter().filter(|bay| suits(&bay.kind)).map(|bay| bay.name.clone()).collect())
        };
        Self {
            bays: match &service.bay {
                BayNeed::None => None,
                BayNeed::Any => bays_where(&|kind| kind.is_none()),
                BayNeed::Kind(needed) => bays_where(&|kind| kind.as_ref() == Some(needed)),
            },
            technicians: shop
                .technicians
                .iter()
                .filter(|one| one.services.is_empty() || one.services.contains(&service.id))
                .map(|one| one.name.clone())
                .collect(),
        }
    }

    /// The first bay and the first technician that nobody in `taken` has in the interval.
    pub fn assign(&self, taken: &[Taken], start: Timestamp, end: Timestamp) -> Option<Assigned> {
        self.pick(
            |bay| !taken.iter().any(|one| one.bay.as_deref() == Some(bay) && one.overlaps(start, end)),
            |technician| !taken.iter().any(|one| one.technician == technician && one.overlaps(start, end)),
        )
    }

    /// The first bay and the first technician of whom it is said that they are free.
    pub fn pick(&self, bay_free: impl Fn(&str) -> bool, technician_free: impl Fn(&str) -> bool) -> Option<Assigned> {
        let bay = match &self.bays {
            None => None,
            Some(bays) => Some(bays.iter().find(|bay| bay_free(bay))?.clone()),
        };
        let technician = self.technicians.iter().find(|one| technician_free(one))?.clone();
        Some(Assigned { bay, technician })
    }
}

/// The units of time of an interval: the rows of the books that one resource may be written in once.
pub fn units(start: Timestamp, end: Timestamp) -> std::ops::Range<i64> {
    start.as_second().div_euclid(UNIT_SECONDS)..-(-end.as_second()).div_euclid(UNIT_SECONDS)
}

/// Something that one appointment at a time may have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// A bay.
    Bay(String),
    /// A technician.
    Technician(String),
    /// The car itself, which cannot be in two places.
    Car(Pii<String>),
}

impl Resource {
    /// What an appointment is written under in the books.
    pub fn of(one: &Appointment) -> Vec<Self> {
        one.bay
            .clone()
            .map(Self::Bay)
            .into_iter()
            .chain([Self::Technician(one.technician.clone()), Self::Car(one.plate.clone())])
            .collect()
    }

    /// Its name in a database.
    pub fn written(&self) -> String {
        match self {
            Self::Bay(name) => format!("bay:{name}"),
            Self::Technician(name) => format!("technician:{name}"),
            Self::Car(plate) => format!("car:{}", plate.reveal()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_776_150_000 + minute * 60).expect("in range")
    }

    fn taken(from: i64, to: i64, bay: Option<&str>, technician: &str) -> Taken {
        Taken { start: at(from), end: at(to), bay: bay.map(Into::into), technician: technician.into() }
    }

    fn assigned(service: &str, taken: &[Taken], from: i64, to: i64) -> Option<(Option<String>, String)> {
        let shop = Shop::example();
        Candidates::of(&shop, shop.service_by_id(service).expect("a service"))
            .assign(taken, at(from), at(to))
            .map(|assigned| (assigned.bay, assigned.technician))
    }

    #[test]
    fn the_first_free_ones_are_kept() {
        assert_eq!(assigned("tagliando", &[], 0, 90), Some((Some("ponte 1".into()), "Marco".into())));
        let busy = [taken(0, 90, Some("ponte 1"), "Marco")];
        assert_eq!(assigned("tagliando", &busy, 60, 150), Some((Some("ponte 2".into()), "Luca".into())));
        assert_eq!(assigned("tagliando", &busy, 90, 180), Some((Some("ponte 1".into()), "Marco".into())));
    }

    #[test]
    fn a_bay_without_a_technician_is_not_enough() {
        let busy = [taken(0, 90, None, "Marco"), taken(30, 60, None, "Luca")];
        assert_eq!(assigned("tagliando", &busy, 0, 90), None);
        // Sara does the diagnosis, in the yard.
        assert_eq!(assigned("diagnosi", &busy, 30, 60), Some((None, "Sara".into())));
    }

    #[test]
    fn a_bay_with_a_kind_is_kept_for_it() {
        let busy = [taken(0, 90, Some("ponte 1"), "x"), taken(0, 90, Some("ponte 2"), "y")];
        assert_eq!(assigned("tagliando", &busy, 0, 90), None);
        assert_eq!(assigned("revisione", &busy, 0, 60), Some((Some("linea revisioni".into()), "Marco".into())));
    }

    #[test]
    fn units_cover_the_interval_and_no_more() {
        let start = Timestamp::from_second(600).expect("in range");
        let end = Timestamp::from_second(1200).expect("in range");
        assert_eq!(units(start, end), 2..4);
        assert_eq!(units(start, Timestamp::from_second(1201).expect("in range")), 2..5);
        assert_eq!(units(Timestamp::from_second(-300).expect("in range"), start), -1..2);
    }
}
