//! The work the shop does, as the tools' schema tells it: ids, and the names callers use.

use serde_json::Value;

use crate::{
    booking::spoken::words::{Word, corrected, words},
    call::ToolSpec,
    language::Language,
};

/// Names of services read from a schema; a longer list is cut.
const SERVICES_MAX: usize = 100;

/// One kind of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Service {
    /// What the tools call it.
    pub id: String,
    /// What callers call it; the first is read back to them.
    pub names: Vec<String>,
    /// The same as words to listen for.
    heard: Vec<Vec<Word>>,
    /// What it costs at least, in euro, where the schema tells.
    pub price: Option<String>,
}

impl Service {
    fn new(id: &str, names: Vec<String>, language: Language) -> Self {
        let heard = names.iter().map(|name| words(name, language)).collect();
        Self { id: id.into(), names, heard, price: None }
    }
}

/// Everything the shop does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Services(Vec<Service>);

impl Services {
    /// Reads the `service` property: ids from `enum`; names from `x-names`, else from the description, which lists
    /// `id (name, name; 60 minutes, from 79 euro)`. Without them, the common names of the language.
    pub fn from_tools(tools: &[ToolSpec], language: Language) -> Self {
        let property = ["book_appointment", "find_slots"].iter().find_map(|name| {
            let tool = tools.iter().find(|tool| tool.name == *name)?;
            let property = tool.parameters.get("properties")?.get("service")?;
            property.get("enum").is_some().then_some(property)
        });
        let Some(property) = property else {
            let common = language.phrases().list("receptionist.services");
            return Self(common.map(|name| Service::new(name, vec![name.into()], language)).collect());
        };
        let ids = property.get("enum").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let described = property.get("description").and_then(Value::as_str).unwrap_or_default();
        let names = |id: &str| -> Vec<String> {
            let given = property.get("x-names").and_then(|names| names.get(id)).and_then(Value::as_array);
            let given = given.into_iter().flatten().filter_map(Value::as_str).map(str::to_string);
            let spoken_id = id.replace(['_', '-'], " ");
            let mut names: Vec<String> = given.collect();
            if names.is_empty() {
                names = described_names(described, id);
            }
            if !names.contains(&spoken_id) {
                names.push(spoken_id);
            }
            names
        };
        let service = |id| Service { price: described_price(described, id), ..Service::new(id, names(id), language) };
        Self(ids.take(SERVICES_MAX).map(service).collect())
    }

    /// What a service is called in front of the caller.
    pub fn name(&self, id: &str) -> String {
        let known = self.0.iter().find(|service| service.id == id).and_then(|service| service.names.first());
        known.cloned().unwrap_or_else(|| id.replace(['_', '-'], " "))
    }

    /// What a service costs at least, in euro.
    pub fn price(&self, id: &str) -> Option<&str> {
        self.0.iter().find(|service| service.id == id)?.price.as_deref()
    }

    /// A few names, to help a caller who does not know what to say.
    pub fn examples(&self) -> Vec<String> {
        self.0.iter().take(3).filter_map(|service| service.names.first().cloned()).collect()
    }

    /// The service the caller speaks of, after the last correction.
    pub fn said(&self, text: &[Word], language: Language) -> Option<&str> {
        corrected(text, language).find_map(|piece| {
            let best = self.0.iter().flat_map(|service| {
                service.heard.iter().filter_map(move |name| score(piece, name).map(|score| (score, service)))
            });
            // Of two equally good ones the first of the list.
            best.reduce(|best, next| if next.0 > best.0 { next } else { best }).map(|(_, service)| service.id.as_str())
        })
    }
}

/// What the description says of a service: `id (...)`.
fn described<'d>(description: &'d str, id: &str) -> Option<&'d str> {
    let (_, rest) = description.split_once(&format!("{id} ("))?;
    rest.split_once(')').map(|(inside, _)| inside)
}

fn described_names(description: &str, id: &str) -> Vec<String> {
    let names = described(description, id).and_then(|inside| inside.split(';').next()).unwrap_or_default();
    names.split(',').map(|name| name.trim().to_string()).filter(|name| !name.is_empty()).collect()
}

fn described_price(description: &str, id: &str) -> Option<String> {
    let (_, price) = described(description, id)?.rsplit_once("from ")?;
    price.strip_suffix(" euro").map(str::to_string)
}

/// How well a name is heard in the words: letters of it that were said, a little more when said in one go. A name of
/// several words may be said apart ("cambio gomme": "cambiare le gomme"): each long word by its first five letters.
fn score(text: &[Word], name: &[Word]) -> Option<usize> {
    let letters: usize = name.iter().map(|word| word.text.len()).sum();
    if name.is_empty() {
        return None;
    }
    if text.windows(name.len()).any(|window| window.iter().zip(name).all(|(said, word)| said.text == word.text)) {
        return Some(letters * 2 + 1);
    }
    let long: Vec<&Word> = name.iter().filter(|word| word.text.len() >= 4).collect();
    let same = |said: &str, word: &str| said.chars().count() >= 4 && said.chars().take(5).eq(word.chars().take(5));
    let said = |word: &Word| text.iter().any(|said| same(&said.text, &word.text));
    (!long.is_empty() && long.iter().all(|word| said(word))).then_some(letters * 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::ToolKind;

    fn services() -> Services {
        let parameters = serde_json::json!({"properties": {"service": {
            "enum": ["tagliando", "gomme", "olio"],
            "x-names": {"gomme": ["cambio gomme", "pneumatici"], "olio": ["cambio olio"]},
        }}});
        let tool =
            ToolSpec { name: "book_appointment".into(), description: String::new(), parameters, kind: ToolKind::Write };
        Services::from_tools(&[tool], Language::Italian)
    }

    #[test]
    fn services_are_heard_by_their_names() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(services().said(&words(text, Language::Italian), Language::Italian), expected, "{text}");
        };
        check("vorrei fare il tagliando", Some("tagliando"));
        check("devo cambiare le gomme", Some("gomme"));
        check("gli pneumatici invernali", Some("gomme"));
        check("il cambio dell'olio", Some("olio"));
        check("il tagliando, anzi no, il cambio gomme", Some("gomme"));
        check("un cambio", None);
        check("buongiorno", None);
        assert_eq!(services().name("gomme"), "cambio gomme");
    }

    #[test]
    fn names_and_prices_are_read_from_a_description() {
        let description = "The service: tagliando (tagliando, controllo annuale; 60 minuti, from 79.02 euro); \
                           gomme (cambio gomme; 45 minuti).";
        let parameters = serde_json::json!({"properties": {"service": {
            "enum": ["tagliando", "gomme"], "description": description,
        }}});
        let tool = ToolSpec { name: "find_slots".into(), description: String::new(), parameters, kind: ToolKind::Read };
        let services = Services::from_tools(&[tool], Language::Italian);
        assert_eq!(services.name("gomme"), "cambio gomme");
        assert_eq!((services.price("tagliando"), services.price("gomme")), (Some("79.02"), None));
        let said = words("il controllo annuale", Language::Italian);
        assert_eq!(services.said(&said, Language::Italian), Some("tagliando"));
    }

    #[test]
    fn without_a_schema_the_common_names_are_known() {
        let services = Services::from_tools(&[], Language::Italian);
        assert_eq!(services.said(&words("una revisione", Language::Italian), Language::Italian), Some("revisione"));
    }
}
