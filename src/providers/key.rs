//! The key of a provider: written in the settings, or better, where the settings point to. Never printed.

use std::fmt;

use secrecy::SecretString;
use serde::{
    Deserialize, Deserializer,
    de::{self, value::MapAccessDeserializer},
};

/// `"literal"`, `{ env = "NAME" }` or `{ file = "/run/secrets/name" }`.
#[derive(Clone)]
pub enum Key {
    /// The key itself.
    Literal(SecretString),
    /// The environment variable that holds it.
    Env(String),
    /// The file that holds it; white space around it is dropped.
    File(String),
}

/// A key that could not be found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The variable is not set, or empty.
    #[error("key: the environment variable {0} is not set")]
    Env(String),
    /// The file cannot be read, or is empty.
    #[error("key: the file {0} cannot be read or is empty")]
    File(String),
    /// It holds something that cannot stand in a header.
    #[error("key: it is empty or holds a line break or another control character")]
    Unprintable,
}

impl Key {
    /// Fetches the key. Reads a file or the environment: meant for start-up.
    pub fn resolve(&self) -> Result<SecretString, KeyError> {
        use secrecy::ExposeSecret;
        let secret = match self {
            Self::Literal(secret) => secret.clone(),
            Self::Env(name) => std::env::var(name)
                .ok()
                .filter(|value| !value.trim().is_empty())
                .map(|value| SecretString::from(value.trim()))
                .ok_or_else(|| KeyError::Env(name.clone()))?,
            Self::File(path) => std::fs::read_to_string(path)
                .ok()
                .filter(|value| !value.trim().is_empty())
                .map(|value| SecretString::from(value.trim()))
                .ok_or_else(|| KeyError::File(path.clone()))?,
        };
        let plain = |byte: u8| (0x20..0x7f).contains(&byte);
        if secret.expose_secret().is_empty() || !secret.expose_secret().bytes().all(plain) {
            return Err(KeyError::Unprintable);
        }
        Ok(secret)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(_) => f.write_str("Key(***)"),
            Self::Env(name) => write!(f, "Key(env {name})"),
            Self::File(path) => write!(f, "Key(file {path})"),
        }
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Place {
            Env(String),
            File(String),
        }
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#"a key: "...", { env = "NAME" } or { file = "/path" }"#)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Key, E> {
                Ok(Key::Literal(text.into()))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Key, A::Error> {
                Ok(match Place::deserialize(MapAccessDeserializer::new(map))? {
                    Place::Env(name) => Key::Env(name),
                    Place::File(path) => Key::File(path),
                })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Table {
        key: Key,
    }

    #[test]
    fn a_key_is_found_where_it_is_and_never_printed() {
        let literal: Table = toml::from_str("key = 'sk-secret'").unwrap();
        assert!(!format!("{literal:?}").contains("secret"));
        assert_eq!(literal.key.resolve().unwrap().expose_secret(), "sk-secret");
        let env: Table = toml::from_str("key = { env = 'PRONTO_SURELY_NOT_SET' }").unwrap();
        assert_eq!(env.key.resolve().unwrap_err(), KeyError::Env("PRONTO_SURELY_NOT_SET".into()));
        let file: Table = toml::from_str("key = { file = 'Cargo.toml' }").unwrap();
        assert_eq!(file.key.resolve().unwrap_err(), KeyError::Unprintable);
        assert!(toml::from_str::<Table>("key = { vault = 'x' }").is_err());
        assert!(toml::from_str::<Table>("key = 3").is_err());
    }
}
