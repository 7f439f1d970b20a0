//! What a tenant sets about servers of its customers: the keys of `[vapi]` that are about them, and `[vapi.credentials.NAME]`,
//! which assistants name by `credentialId`.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;

use super::Webhooks;
use crate::{
    providers::Key,
    tenant::Problem,
    vapi::{
        assistant::Server,
        auth::{Credential, OAuth2},
        server_message::ArgumentsForm,
        settings::HmacTable,
    },
};

/// The longest that a server may take, in seconds.
const TIMEOUT_MAX_S: u64 = 300;

/// As they are written.
#[derive(Debug, Default)]
pub(in crate::vapi) struct Written {
    pub(in crate::vapi) server_url: Option<String>,
    pub(in crate::vapi) server_credential: Option<String>,
    pub(in crate::vapi) server_timeout_s: Option<u64>,
    pub(in crate::vapi) allow_private: bool,
    pub(in crate::vapi) arguments: ArgumentsForm,
    pub(in crate::vapi) credentials: BTreeMap<String, CredentialTable>,
}

/// `[vapi.credentials.NAME]`: the plans of Vapi's own credentials.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum CredentialTable {
    /// A token in a header.
    Bearer(BearerTable),
    /// A signature.
    Hmac(HmacTable),
    /// A token that is fetched first.
    OAuth2(OAuth2Table),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BearerTable {
    token: Key,
    #[serde(default)]
    header_name: Option<String>,
    #[serde(default)]
    bearer_prefix_enabled: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OAuth2Table {
    url: String,
    client_id: String,
    client_secret: Key,
    #[serde(default)]
    scope: Option<String>,
}

/// Checks what was read. A mistake is told, and leaves the default.
pub(in crate::vapi) fn check(written: Written, problems: &mut Vec<Problem>) -> Webhooks {
    let mut webhooks = Webhooks::default().writing(written.arguments);
    for (name, table) in written.credentials {
        let path = format!("vapi.credentials.{name}");
        // One that is wrong is told of itself; who names it is not told that it is missing.
        let credential = table.checked(&path, problems).unwrap_or(Credential::None);
        webhooks = webhooks.showing(name, credential);
    }
    let mut server = None;
    if let Some(url) = &written.server_url {
        server = Server::at(url);
        if server.is_none() {
            let fix = "write https:// and the rest of the address that takes Vapi's server messages";
            problems.push(Problem::new("vapi.server_url", "is no address", fix));
        }
    }
    if let Some(name) = &written.server_credential
        && !webhooks.knows(name)
    {
        let fix = format!("add [vapi.credentials.{name}]");
        problems.push(Problem::new("vapi.server_credential", "is not in vapi.credentials", fix));
    }
    if let Some(seconds) = written.server_timeout_s
        && !(1..=TIMEOUT_MAX_S).contains(&seconds)
    {
        let fix = format!("write 1 to {TIMEOUT_MAX_S}");
        problems.push(Problem::new("vapi.server_timeout_s", format!("{seconds} is out of range"), fix));
    }
    if let Some(server) = &mut server {
        server.credential = written.server_credential;
        server.timeout = written.server_timeout_s.map_or(server.timeout, Duration::from_secs);
    }
    if written.allow_private {
        webhooks = webhooks.reaching_inside();
    }
    match server {
        Some(server) => webhooks.to(server),
        None => webhooks,
    }
}

impl CredentialTable {
    fn checked(self, path: &str, problems: &mut Vec<Problem>) -> Option<Credential> {
        let mut secret = |key: &Key, field: &str| {
            let told = |error: crate::providers::KeyError| {
                let fix = format!("write {field} = {{ env = \"NAME\" }} and set it");
                problems.push(Problem::new(format!("{path}.{field}"), error.to_string(), fix));
            };
            key.resolve().map_err(told).ok()
        };
        match self {
            Self::Bearer(table) => {
                let token = secret(&table.token, "token")?;
                let header = table.header_name.as_deref().unwrap_or("authorization");
                if !header.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(&c)) || header.is_empty() {
                    let fix = "write letters, digits and hyphens, like X-Vapi-Secret";
                    problems.push(Problem::new(format!("{path}.header_name"), "is no name of a header", fix));
                    return None;
                }
                Some(Credential::bearer(&token, header, table.bearer_prefix_enabled.unwrap_or(true)))
            }
            Self::Hmac(table) => table.checked(path, problems).map(|hmac| Credential::Hmac(Box::new(hmac))),
            Self::OAuth2(table) => {
                let client_secret = secret(&table.client_secret, "client_secret")?;
                if Server::at(&table.url).is_none() {
                    let fix = "write https:// and the rest of the address of the token endpoint";
                    problems.push(Problem::new(format!("{path}.url"), "is no address", fix));
                    return None;
                }
                let OAuth2Table { url, client_id, scope, .. } = table;
                Some(Credential::OAuth2(OAuth2 { url, client_id, client_secret, scope }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::vapi::VapiTable;

    /// The mistakes of a `[vapi]`.
    fn check(written: &str, expected: &[&str]) {
        let mut problems = Vec::new();
        let vapi = toml::from_str::<VapiTable>(written).unwrap().checked(&mut problems);
        let told: Vec<_> = problems.iter().map(|it| format!("{}: {}", it.field, it.what)).collect();
        assert_eq!(told, expected, "{written}");
        assert!(!format!("{vapi:?}").contains("geheim"), "{vapi:?}");
    }

    #[test]
    fn what_is_wrong_names_its_field() {
        check("server_url = 'https://shop.example.it/vapi'\nserver_timeout_s = 300\nallow_private = true", &[]);
        check("tool_arguments = 'string'", &[]);
        check("server_url = 'shop'", &["vapi.server_url: is no address"]);
        check("server_url = 'https://shop.example.it/vapi'\nassistant_request = true", &[]);
        check("assistant_request = true", &["vapi.server_url: is missing"]);
        check("server_timeout_s = 0", &["vapi.server_timeout_s: 0 is out of range"]);
        check("server_credential = 'rossi'", &["vapi.server_credential: is not in vapi.credentials"]);
        let bearer = "type = 'bearer'\ntoken = 'geheim'";
        check(&format!("server_credential = 'rossi'\n[credentials.rossi]\n{bearer}"), &[]);
        check(
            &format!("[credentials.a]\n{bearer}\nheader_name = 'a b'"),
            &["vapi.credentials.a.header_name: is no name of a header"],
        );
        check("[credentials.a]\ntype = 'hmac'\nsecret_key = 'geheim'\nalgorithm = 'sha512'", &[]);
        check(
            "[credentials.a]\ntype = 'hmac'\nsecret_key = 'geheim'\npayload_format = 'x'",
            &["vapi.credentials.a.payload_format: does not sign the body"],
        );
        let oauth2 = "type = 'oauth2'\nclient_id = 'c'";
        check(&format!("[credentials.a]\n{oauth2}\nclient_secret = 'geheim'\nurl = 'https://id.example/token'"), &[]);
        check(
            &format!("[credentials.a]\n{oauth2}\nclient_secret = {{ env = 'PRONTO_TEST_NOT_SET' }}\nurl = 'x'"),
            &["vapi.credentials.a.client_secret: key: the environment variable PRONTO_TEST_NOT_SET is not set"],
        );
        check(
            &format!("[credentials.a]\n{oauth2}\nclient_secret = 'geheim'\nurl = 'x'"),
            &["vapi.credentials.a.url: is no address"],
        );
    }
}
