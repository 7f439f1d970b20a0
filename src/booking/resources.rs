//! What an appointment occupies: a bay and a technician. Written as a number, as names, or as tables.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};

use super::limits::RESOURCES_MAX;

/// A place where a car is worked on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bay {
    /// The name the staff use.
    pub name: String,
    /// A bay with a kind is kept for the services that ask for that kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// Somebody who works on cars, one at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Technician {
    /// The name the staff use.
    pub name: String,
    /// The ids of the services they do; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
}

/// Something that a bare name is enough for.
pub trait Named {
    /// One with this name and nothing special.
    fn named(name: String) -> Self;
}

impl Named for Bay {
    fn named(name: String) -> Self {
        Self { name, kind: None }
    }
}

impl Named for Technician {
    fn named(name: String) -> Self {
        Self { name, services: Vec::new() }
    }
}

/// Which bay a service needs: `false`, `true` (any without a kind) or the kind's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BayNeed {
    /// None: it is done in the yard.
    None,
    /// Any bay that has no kind.
    Any,
    /// A bay of this kind.
    Kind(String),
}

impl Serialize for BayNeed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_bool(false),
            Self::Any => serializer.serialize_bool(true),
            Self::Kind(kind) => serializer.serialize_str(kind),
        }
    }
}

impl<'de> Deserialize<'de> for BayNeed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Need;
        impl Visitor<'_> for Need {
            type Value = BayNeed;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false or the kind of bay, for instance bay = \"revisione\"")
            }

            fn visit_bool<E>(self, needed: bool) -> Result<BayNeed, E> {
                Ok(if needed { BayNeed::Any } else { BayNeed::None })
            }

            fn visit_str<E>(self, kind: &str) -> Result<BayNeed, E> {
                Ok(BayNeed::Kind(kind.to_string()))
            }
        }
        deserializer.deserialize_any(Need)
    }
}

/// Reads `2`, `["one", "two"]` or `["one", { name = "two", .. }]`.
pub(crate) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Named + Deserialize<'de>,
{
    struct List<T>(PhantomData<T>);
    impl<'de, T: Named + Deserialize<'de>> Visitor<'de> for List<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("how many there are (2), their names ([\"one\", \"two\"]) or tables ([{ name = \"one\" }])")
        }

        fn visit_i64<E: de::Error>(self, count: i64) -> Result<Vec<T>, E> {
            self.visit_u64(u64::try_from(count).map_err(|_| E::custom("a count below zero"))?)
        }

        fn visit_u64<E: de::Error>(self, count: u64) -> Result<Vec<T>, E> {
            if count > RESOURCES_MAX as u64 {
                return Err(E::custom(format!("{count} are too many; the most is {RESOURCES_MAX}")));
            }
            Ok((1..=count).map(|number| T::named(number.to_string())).collect())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while let Some(Item(item)) = items.next_element()? {
                list.push(item);
            }
            Ok(list)
        }
    }
    deserializer.deserialize_any(List(PhantomData))
}

/// One item of a list: a name or a table.
struct Item<T>(T);

impl<'de, T: Named + Deserialize<'de>> Deserialize<'de> for Item<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct One<T>(PhantomData<T>);
        impl<'de, T: Named + Deserialize<'de>> Visitor<'de> for One<T> {
            type Value = Item<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name or a table with a name")
            }

            fn visit_str<E>(self, name: &str) -> Result<Item<T>, E> {
                Ok(Item(T::named(name.to_string())))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Item<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Item)
            }
        }
        deserializer.deserialize_any(One(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Yard {
        #[serde(deserialize_with = "list")]
        bays: Vec<Bay>,
    }

    #[test]
    fn counts_names_and_tables() {
        let names = |text: &str| {
            let yard: Yard = toml::from_str(text).expect(text);
            yard.bays.iter().map(|bay| (bay.name.clone(), bay.kind.clone())).collect::<Vec<_>>()
        };
        assert_eq!(names("bays = 2"), [("1".into(), None), ("2".into(), None)]);
        assert_eq!(names("bays = [\"ponte\"]"), [("ponte".into(), None)]);
        assert_eq!(
            names("bays = [\"ponte\", { name = \"linea\", kind = \"revisione\" }]"),
            [("ponte".into(), None), ("linea".into(), Some("revisione".into()))]
        );
    }

    #[test]
    fn a_wrong_list_says_what_is_expected() {
        for (text, part) in [
            ("bays = -1", "below zero"),
            ("bays = 5000000", "too many"),
            ("bays = \"due\"", "how many there are"),
            ("bays = [3]", "a name or a table"),
            ("bays = [{ name = \"a\", colour = \"red\" }]", "unknown field `colour`"),
        ] {
            let error = toml::from_str::<Yard>(text).expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
