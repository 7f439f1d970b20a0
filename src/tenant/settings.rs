//! A tenant's file: parsed whole, checked whole, before anything is opened.
//!
//! ```toml
//! id = "officina-rossi"
//! token = { env = "OFFICINA_ROSSI_TOKEN" }   # or a string, or a list of either while a token is being changed
//!
//! [shop]          # the trade: booking::Shop
//! [call]          # how calls behave: call::Settings
//! [providers]     # the engines
//! [limits]        # calls_max
//! [twilio]        # auth_token, public_url
//! [vapi]          # tools_wait_s, transcribe_assistant, public_url, hmac; server_url, server_credential, credentials,
//!                 # allow_private, recordings, ...
//! ```

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use toml::{Table, Value};

use super::{Problem, Profile, TenantId, Tokens, Twilio, problem};
use crate::{
    booking::Shop,
    call,
    language::Language,
    providers::{Key, settings::ProvidersSettings},
    transport::twilio_signature::Verifier,
    vapi::VapiTable,
};

/// A tenant's settings, without mistakes.
#[derive(Debug)]
pub struct Settings {
    /// Everything the gateway needs to know.
    pub profile: Profile,
    /// The trade.
    pub shop: Arc<Shop>,
    /// The engines that are wanted.
    pub providers: ProvidersSettings,
}

/// The shortest token that is let through. Shorter ones can be guessed.
const TOKEN_CHARS_MIN: usize = 16;

/// The most calls that may be asked for.
const CALLS_MAX: usize = 10_000;

/// `[limits]`
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Limits {
    /// The most calls at once.
    calls_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { calls_max: 20 }
    }
}

/// `[twilio]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Account {
    /// The account's auth token.
    auth_token: Key,
    /// `https://` and the host by which Twilio reaches us.
    public_url: String,
}

/// What stands above the tables.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Top {
    /// The name.
    #[serde(default)]
    id: Option<String>,
    /// What is said first; `{shop}` and `{disclosure}` are filled in.
    #[serde(default)]
    greeting: Option<String>,
    /// The system prompt; `{shop}` and `{details}` are filled in.
    #[serde(default)]
    instructions: Option<String>,
}

impl Settings {
    /// Reads a tenant's file. On mistakes: all of them.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let settings = match problem::document(text) {
            Ok(table) => gather(table, &mut problems),
            Err(broken) => {
                problems.push(broken);
                None
            }
        };
        match settings {
            Some(settings) if problems.is_empty() => Ok(settings),
            _ => Err(problem::sorted(text, problems)),
        }
    }
}

/// Reads every table, also when another is wrong.
fn gather(mut table: Table, problems: &mut Vec<Problem>) -> Option<Settings> {
    let tokens = tokens(table.remove("token"), problems);
    let call: Option<call::Settings> = section(&mut table, "call", problems);
    let limits: Option<Limits> = section(&mut table, "limits", problems);
    let providers: Option<ProvidersSettings> = section(&mut table, "providers", problems);
    let twilio = match table.contains_key("twilio") {
        true => section(&mut table, "twilio", problems).and_then(|account| account_of(account, problems)),
        false => None,
    };
    let vapi: Option<VapiTable> = section(&mut table, "vapi", problems);
    let vapi = vapi.unwrap_or_default().checked(problems);
    let shop = shop(&mut table, problems);
    let top: Top = problem::read(table, "", problems)?;

    let id = id(top.id, problems);
    let (call, limits, shop, providers) = (call?, limits?, shop?, providers?);
    if limits.calls_max == 0 || limits.calls_max > CALLS_MAX {
        let fix = format!("write 1 to {CALLS_MAX}");
        problems.push(Problem::new("limits.calls_max", format!("{} is out of range", limits.calls_max), fix));
    }
    let greeting = greeting(top.greeting, &shop, call.language, problems);
    let instructions = instructions(top.instructions, &shop, call.language, problems);
    Some(Settings {
        profile: Profile {
            id: id?,
            name: shop.name.clone(),
            tokens,
            greeting: greeting.into(),
            instructions: instructions.into(),
            zone: shop.zone.rules().clone(),
            calls_max: limits.calls_max,
            twilio,
            vapi,
            call: Arc::new(call),
        },
        shop: Arc::new(shop),
        providers,
    })
}

fn section<T: serde::de::DeserializeOwned>(table: &mut Table, name: &str, problems: &mut Vec<Problem>) -> Option<T> {
    let inner = take(table, name, problems)?;
    problem::read(inner, name, problems)
}

/// A table of the file; an empty one where there is none.
fn take(table: &mut Table, name: &str, problems: &mut Vec<Problem>) -> Option<Table> {
    match table.remove(name) {
        None => Some(Table::new()),
        Some(Value::Table(inner)) => Some(inner),
        Some(_) => {
            problems.push(Problem::new(name, "is not a table", format!("write [{name}] and its settings below")));
            None
        }
    }
}

fn id(id: Option<String>, problems: &mut Vec<Problem>) -> Option<TenantId> {
    let Some(id) = id else {
        problems.push(Problem::new("id", "is missing", "write id = \"officina-rossi\": it stands in addresses"));
        return None;
    };
    TenantId::new(&id)
        .map_err(|error| problems.push(Problem::new("id", "is not a tenant's id", error.to_string())))
        .ok()
}

fn tokens(written: Option<Value>, problems: &mut Vec<Problem>) -> Tokens {
    let written = match written {
        Some(Value::Array(list)) => list,
        Some(one) => vec![one],
        None => vec![],
    };
    if written.is_empty() {
        problems.push(Problem::new("token", "is missing", "write token = { env = \"NAME\" }, or a long random string"));
    }
    let mut tokens: Vec<SecretString> = Vec::new();
    for one in written {
        let fix = "write a string, { env = \"NAME\" } or { file = \"/path\" }";
        let Ok(key) = Key::deserialize(one) else {
            problems.push(Problem::new("token", "cannot be read", fix));
            continue;
        };
        match key.resolve() {
            Ok(token) if token.expose_secret().len() < TOKEN_CHARS_MIN => {
                let what = format!("is shorter than {TOKEN_CHARS_MIN} characters");
                problems.push(Problem::new("token", what, "make one with `openssl rand -hex 24`"));
            }
            Ok(token) => tokens.push(token),
            Err(error) => problems.push(Problem::new("token", error.to_string(), fix)),
        }
    }
    Tokens::new(&tokens)
}

fn account_of(account: Account, problems: &mut Vec<Problem>) -> Option<Twilio> {
    let url = account.public_url.trim_end_matches('/');
    let host = url.strip_prefix("https://").unwrap_or("");
    if host.is_empty() || host.contains(['/', '?', '#', ' ']) {
        let fix = "write https:// and the host by which Twilio reaches you, without a path";
        problems.push(Problem::new("twilio.public_url", "is not an address that Twilio can sign", fix));
    }
    let auth_token = account
        .auth_token
        .resolve()
        .map_err(|error| {
            let fix = "write auth_token = { env = \"NAME\" } and set it";
            problems.push(Problem::new("twilio.auth_token", error.to_string(), fix));
        })
        .ok()?;
    Some(Twilio { verifier: Verifier::new(auth_token), public_url: url.to_owned() })
}

fn shop(table: &mut Table, problems: &mut Vec<Problem>) -> Option<Shop> {
    if !table.contains_key("shop") {
        let fix = "write [shop] with name, hours, services and technicians; config/tenants has an example";
        problems.push(Problem::new("shop", "is missing", fix));
        return None;
    }
    let shop: Shop = section(table, "shop", problems)?;
    if let Err(wrong) = shop.check() {
        problems.extend(wrong.into_iter().map(|it| Problem::new(format!("shop.{}", it.field), it.problem, it.fix)));
    }
    Some(shop)
}

/// The greeting, with the disclosure that the law asks for.
fn greeting(written: Option<String>, shop: &Shop, language: Language, problems: &mut Vec<Problem>) -> String {
    let phrases = language.phrases();
    let text = written.unwrap_or_else(|| phrases.text("call.greeting").to_owned());
    if !text.contains("{disclosure}") {
        let what = "does not say that an automated assistant answers, as the EU AI Act (art. 50) asks";
        problems.push(Problem::new("greeting", what, "put {disclosure} into it"));
    }
    fill(&text, &[("shop", &shop.name), ("disclosure", phrases.text("call.disclosure"))], "greeting", problems)
}

/// The system prompt, with what the shop does and when.
fn instructions(written: Option<String>, shop: &Shop, language: Language, problems: &mut Vec<Problem>) -> String {
    let phrases = language.phrases();
    let text = written.unwrap_or_else(|| phrases.text("tenant.instructions").to_owned());
    let services: Vec<_> = shop.services.iter().map(|service| service.name(language)).collect();
    let details = phrases.fill("tenant.details", &[("services", &services.join(", "))]);
    fill(&text, &[("shop", &shop.name), ("details", &details)], "instructions", problems)
}

/// Fills the names in; a name we do not know is a mistake, or callers would hear braces.
fn fill(text: &str, values: &[(&str, &str)], field: &str, problems: &mut Vec<Problem>) -> String {
    for name in text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name) {
        if !values.iter().any(|(known, _)| *known == name) {
            let known: Vec<_> = values.iter().map(|(known, _)| format!("{{{known}}}")).collect();
            let fix = format!("known here: {}", known.join(", "));
            problems.push(Problem::new(field, format!("{{{name}}} means nothing"), fix));
        }
    }
    values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../config/tenants/officina-rossi.toml");

    /// The messages for the example with one line replaced.
    fn check(line: &str, by: &str, expected: &[&str]) {
        assert!(EXAMPLE.contains(line), "the example has {line}");
        let told: Vec<_> = Settings::parse(&EXAMPLE.replacen(line, by, 1)).map_or_else(
            |problems| problems.iter().map(|it| format!("{}: {}", it.field, it.what)).collect(),
            |_| vec![],
        );
        assert_eq!(told, expected);
    }

    #[test]
    fn the_example_has_no_mistake() {
        let settings = Settings::parse(EXAMPLE).unwrap();
        assert_eq!(settings.profile.id.as_str(), "officina-rossi");
        assert!(settings.profile.greeting.contains("Officina Rossi") && !settings.profile.greeting.contains('{'));
        assert!(settings.profile.instructions.contains("tagliando"));
    }

    #[test]
    fn mistakes_name_their_field() {
        check("id = \"officina-rossi\"", "id = \"Officina Rossi\"", &["id: is not a tenant's id"]);
        check("[limits]", "colour = \"red\"\n[limits]", &["colour: no such setting"]);
        check("calls_max = 20", "calls_max = 0", &["limits.calls_max: 0 is out of range"]);
        check("silence_s = 10", "silence = 10", &["call.silence: no such setting"]);
        check(
            "calls_max = 20",
            "calls_max = 0\nx = 1",
            &["limits.calls_max: 0 is out of range", "limits.x: no such setting"],
        );
    }

    #[test]
    fn a_file_with_nothing_in_it_is_told_everything_it_lacks() {
        let problems = Settings::parse("").unwrap_err();
        let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(fields, ["token", "shop", "id"]);
    }

    #[test]
    fn a_greeting_without_the_disclosure_is_refused() {
        let problems = Settings::parse(&format!("greeting = \"Pronto {{nome}}\"\n{EXAMPLE}")).unwrap_err();
        let told: Vec<_> = problems.iter().map(|problem| problem.fix.as_str()).collect();
        assert_eq!(told, ["put {disclosure} into it", "known here: {shop}, {disclosure}"]);
    }

    #[test]
    fn what_is_wrong_about_vapi_names_its_field() {
        let check = |table: &str, expected: &[&str]| {
            check("[call]\n", &format!("{table}\n[call]\n"), expected);
        };
        check("[vapi]\ntools_wait_s = 19", &[]);
        check("[vapi]\ntranscribe_assistant = true", &[]);
        check("[vapi]\ntools_wait_s = 0", &["vapi.tools_wait_s: 0 is out of range"]);
        check("[vapi]\nkeep_calls_days = 365", &[]);
        check("[vapi]\nkeep_calls_days = 0", &["vapi.keep_calls_days: 0 is out of range"]);
        check("[vapi]\nkeep_calls_days = 366", &["vapi.keep_calls_days: 366 is out of range"]);
        check("[vapi]\npublic_url = \"http://x\"", &["vapi.public_url: is no address that Vapi can reach"]);
        check("[vapi.recordings]\nkeep_days = 30\nmegabytes_max = 1", &[]);
        check("[vapi.recordings]\nkeep_days = 0", &[]);
        check("[vapi.recordings]\nkeep_days = 366", &["vapi.recordings.keep_days: 366 is out of range"]);
        check(
            "[vapi.recordings]\nkeep_days = 1\nmegabytes_max = 0",
            &["vapi.recordings.megabytes_max: 0 is out of range"],
        );
        check("[vapi.hmac]\nsecret_key = \"segreto\"", &[]);
        check(
            "[vapi.hmac]\nsecret_key = { env = \"PRONTO_TEST_NOT_SET\" }",
            &["vapi.hmac.secret_key: key: the environment variable PRONTO_TEST_NOT_SET is not set"],
        );
        check(
            "[vapi.hmac]\nsecret_key = \"s\"\npayload_format = \"{timestamp}\"",
            &["vapi.hmac.payload_format: does not sign the body"],
        );
        check(
            "[vapi.hmac]\nsecret_key = \"s\"\npayload_format = \"{url}{timestamp}{body}\"",
            &["vapi.public_url: is missing"],
        );
    }

    #[test]
    fn a_token_that_can_be_guessed_is_refused() {
        let problems = Settings::parse("token = [\"short\", { env = \"PRONTO_TEST_NOT_SET\" }]").unwrap_err();
        let told: Vec<_> = problems.iter().filter(|it| it.field == "token").map(|it| it.what.as_str()).collect();
        assert_eq!(told.len(), 2);
        assert!(told[0].contains("16 characters") && told[1].contains("PRONTO_TEST_NOT_SET"), "{told:?}");
    }
}
