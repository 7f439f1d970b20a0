//! `[vapi.dialling]`: who calls the shop is answered by an assistant that lives at Vapi.

use std::time::Duration;

use serde::Deserialize;

use super::{account::VapiAccount, dialling::Answerer};
use crate::{
    providers::{Address, Key},
    tenant::Problem,
};

/// Where Vapi is, unless another place is written.
const BASE_URL: &str = "https://api.vapi.ai";

/// How long a broken connection to Vapi is tried to be opened again before the shop's own receptionist goes on: a caller
/// hears nothing meanwhile.
const RECONNECT_FOR: Duration = Duration::from_secs(2);

/// Who answers at Vapi, and how it is reached.
#[derive(Debug)]
pub struct Dialling {
    /// Whose calls they are there.
    pub account: VapiAccount,
    /// Who answers.
    pub answerer: Answerer,
}

/// As it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DiallingTable {
    /// The assistant's id at Vapi.
    assistant_id: String,
    /// A private key of the organisation.
    key: Key,
    /// `https://api.eu.vapi.ai` for organisations in the EU.
    #[serde(default)]
    base_url: Option<Address>,
}

impl DiallingTable {
    /// Checks what was read. A mistake is told, and nobody is dialled.
    pub(crate) fn checked(self, problems: &mut Vec<Problem>) -> Option<Dialling> {
        let key = self.key.resolve().map_err(|error| {
            let fix = "write key = { env = \"NAME\" } and set it to a private key of the organisation at Vapi";
            problems.push(Problem::new("vapi.dialling.key", error.to_string(), fix));
        });
        if self.assistant_id.trim().is_empty() {
            let fix = "write the id of an assistant at Vapi: `pronto vapi assistant` prints one to push there";
            problems.push(Problem::new("vapi.dialling.assistant_id", "is empty", fix));
            return None;
        }
        let base = match self.base_url {
            Some(base) => base,
            None => Address::try_from(BASE_URL.to_owned()).ok()?,
        };
        let account = VapiAccount::new(base, key.ok()?).map_err(|_| {
            let fix = "check the machine's memory and file limits";
            problems.push(Problem::new("vapi.dialling", "cannot be used: no HTTP client could be made", fix));
        });
        let account = account.ok()?.reconnecting_for(RECONNECT_FOR);
        Some(Dialling { account, answerer: Answerer::Stored(self.assistant_id.trim().to_owned()) })
    }
}
