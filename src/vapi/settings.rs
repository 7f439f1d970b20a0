//! What a tenant sets of its rooms for Vapi: `[vapi]` in its file. All of it may be left out.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;

use super::{
    auth::{Algorithm, Door, Encoding, Hmac, HmacPlan},
    peer::{Dialling, DiallingTable},
    server_message::ArgumentsForm,
    webhooks::{self, CredentialTable, Webhooks},
};
use crate::{providers::Key, tenant::Problem};

/// The longest that Vapi waits for a tool server, in seconds.
const TOOLS_WAIT_MAX_S: u64 = 300;

/// How long calls that were created here may be kept, and are when nothing is said, in days.
const KEEP_CALLS_DAYS_MAX: u64 = 365;
const KEEP_CALLS_DAYS: u64 = 30;

/// How long recordings may be kept, in days: people are told how long, and forget that they were.
const RECORDINGS_DAYS_MAX: u32 = 365;

/// What recordings of a shop may take of the disk, and do where nothing is said, in megabytes: a minute is four.
const RECORDINGS_MEGABYTES_MAX: u64 = 1_000_000;
const RECORDINGS_MEGABYTES: u64 = 1_000;

/// How Vapi is served.
#[derive(Debug)]
pub struct Vapi {
    /// Who comes in besides those with a token of the tenant.
    pub door: Door,
    /// How long a request for tools waits before it is answered that they still run. Vapi's own limit is 20 s.
    pub tools_wait: Duration,
    /// `https://` and the host by which customers reach us: what addresses begin with that we give out. Without it they begin
    /// with the host of the request.
    pub public_url: Option<String>,
    /// The assistant is transcribed as well as the customer. An assistant that hears itself interrupts itself, so only for
    /// those who do not let the texts of their own side decide anything.
    pub transcribe_assistant: bool,
    /// How servers of customers are reached, where we are the platform.
    pub webhooks: Webhooks,
    /// The tenant's own server is asked who answers a call that names nobody: one over REST, and one by telephone.
    pub assistant_request: bool,
    /// How calls that were created here are recorded. `None`: they are not.
    pub recordings: Option<RecordingPlan>,
    /// How long a call that was created here is kept: who called, and what was said.
    pub keep_calls: Duration,
    /// The assistant at Vapi that answers who calls, where the shop's own receptionist does not.
    pub dialling: Option<Dialling>,
}

/// What is kept of the sound of calls, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordingPlan {
    /// Days from the call's creation. 0: nothing is recorded, and what was is erased.
    pub keep_days: u32,
    /// What all of them may take of the disk; the oldest go first. One alone ends when it has so much.
    pub bytes_max: u64,
}

impl RecordingPlan {
    /// Whether calls are recorded.
    pub const fn records(&self) -> bool {
        self.keep_days > 0
    }
}

impl Default for Vapi {
    fn default() -> Self {
        Self {
            door: Door::default(),
            tools_wait: Duration::from_secs(15),
            public_url: None,
            transcribe_assistant: false,
            webhooks: Webhooks::default(),
            assistant_request: false,
            recordings: None,
            keep_calls: days(KEEP_CALLS_DAYS),
            dialling: None,
        }
    }
}

/// `[vapi]`
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct VapiTable {
    /// Seconds; less than the `timeoutSeconds` of the server at Vapi.
    tools_wait_s: Option<u64>,
    /// The custom transcriber tells what the assistant says, too.
    transcribe_assistant: bool,
    /// `https://` and the host by which Vapi reaches us; needed where signatures cover the address.
    public_url: Option<String>,
    /// How requests to us are signed, where they are.
    hmac: Option<HmacTable>,
    /// Where messages of assistants without a server of their own go.
    server_url: Option<String>,
    /// What is shown there: the name of one of the credentials.
    server_credential: Option<String>,
    /// Seconds that it may take.
    server_timeout_s: Option<u64>,
    /// The server at `server_url` is asked who answers a call that names nobody.
    assistant_request: bool,
    /// Servers may be inside our own network: only where all who write assistants may see what is there.
    allow_private: bool,
    /// Whether servers read the arguments of tools as an `object` or as a `string`.
    tool_arguments: ArgumentsForm,
    /// What is shown to servers, by the name that assistants have for it.
    credentials: BTreeMap<String, CredentialTable>,
    /// How long calls are recorded and kept. Absent, they are not recorded.
    recordings: Option<RecordingsTable>,
    /// Days that calls are kept which were created here.
    keep_calls_days: Option<u64>,
    /// Who answers at Vapi.
    dialling: Option<DiallingTable>,
}

/// `[vapi.recordings]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordingsTable {
    /// Days; 0 for none.
    keep_days: u32,
    #[serde(default)]
    megabytes_max: Option<u64>,
}

/// `[vapi.hmac]`, and a credential of type `hmac`: the fields of Vapi's own credential.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HmacTable {
    secret_key: Key,
    #[serde(default = "sha256")]
    algorithm: Algorithm,
    #[serde(default)]
    signature_header: Option<String>,
    #[serde(default)]
    timestamp_header: Option<String>,
    #[serde(default)]
    signature_prefix: Option<String>,
    #[serde(default)]
    include_timestamp: Option<bool>,
    #[serde(default)]
    payload_format: Option<String>,
    #[serde(default)]
    message_id_header: Option<String>,
    #[serde(default)]
    signature_encoding: Option<Encoding>,
    #[serde(default)]
    secret_is_base64: Option<bool>,
}

fn sha256() -> Algorithm {
    Algorithm::Sha256
}

impl VapiTable {
    /// Checks what was read. A mistake is told, and leaves the default.
    pub(crate) fn checked(self, problems: &mut Vec<Problem>) -> Vapi {
        let mut vapi = Vapi { transcribe_assistant: self.transcribe_assistant, ..Vapi::default() };
        match self.tools_wait_s {
            Some(seconds @ 1..=TOOLS_WAIT_MAX_S) => vapi.tools_wait = Duration::from_secs(seconds),
            Some(seconds) => {
                let fix = format!("write 1 to {TOOLS_WAIT_MAX_S}, less than the timeout that is set at Vapi");
                problems.push(Problem::new("vapi.tools_wait_s", format!("{seconds} is out of range"), fix));
            }
            None => {}
        }
        match self.keep_calls_days {
            Some(keep @ 1..=KEEP_CALLS_DAYS_MAX) => vapi.keep_calls = days(keep),
            Some(keep) => {
                let fix = format!("write 1 to {KEEP_CALLS_DAYS_MAX}");
                problems.push(Problem::new("vapi.keep_calls_days", format!("{keep} is out of range"), fix));
            }
            None => {}
        }
        let host = self.public_url.as_deref().and_then(|url| url.strip_prefix("https://")).unwrap_or("");
        if self.public_url.is_some() && host.trim_end_matches('/').is_empty() {
            let fix = "write https:// and the host by which Vapi reaches you, without a path";
            problems.push(Problem::new("vapi.public_url", "is no address that Vapi can reach", fix));
        }
        if let Some(hmac) = self.hmac.and_then(|table| table.checked("vapi.hmac", problems)) {
            if hmac.signs_url() && self.public_url.is_none() {
                let fix = "write https:// and the host by which Vapi reaches you: {url} is signed";
                problems.push(Problem::new("vapi.public_url", "is missing", fix));
            }
            vapi.door = Door::signed(hmac, self.public_url.as_deref().unwrap_or(""));
        }
        vapi.public_url = self.public_url.map(|url| url.trim_end_matches('/').to_owned());
        vapi.transcribe_assistant = self.transcribe_assistant;
        vapi.dialling = self.dialling.and_then(|table| table.checked(problems));
        vapi.assistant_request = self.assistant_request;
        if self.assistant_request && self.server_url.is_none() {
            let fix = "write the address that takes Vapi's server messages: it is asked who answers";
            problems.push(Problem::new("vapi.server_url", "is missing", fix));
        }
        let written = webhooks::Written {
            server_url: self.server_url,
            server_credential: self.server_credential,
            server_timeout_s: self.server_timeout_s,
            allow_private: self.allow_private,
            arguments: self.tool_arguments,
            credentials: self.credentials,
        };
        vapi.webhooks = webhooks::check(written, problems);
        vapi.recordings = self.recordings.map(|table| table.checked(problems));
        vapi
    }
}

impl RecordingsTable {
    fn checked(self, problems: &mut Vec<Problem>) -> RecordingPlan {
        if self.keep_days > RECORDINGS_DAYS_MAX {
            let fix = format!("write 1 to {RECORDINGS_DAYS_MAX}, or 0 to record nothing");
            let what = format!("{} is out of range", self.keep_days);
            problems.push(Problem::new("vapi.recordings.keep_days", what, fix));
        }
        let megabytes = self.megabytes_max.unwrap_or(RECORDINGS_MEGABYTES);
        if !(1..=RECORDINGS_MEGABYTES_MAX).contains(&megabytes) {
            let fix = format!("write 1 to {RECORDINGS_MEGABYTES_MAX}; a minute of a call takes four");
            let what = format!("{megabytes} is out of range");
            problems.push(Problem::new("vapi.recordings.megabytes_max", what, fix));
        }
        let bytes_max = megabytes.min(RECORDINGS_MEGABYTES_MAX) * 1_000_000;
        RecordingPlan { keep_days: self.keep_days.min(RECORDINGS_DAYS_MAX), bytes_max }
    }
}

impl HmacTable {
    /// Checks what was read at this path.
    pub(super) fn checked(self, path: &str, problems: &mut Vec<Problem>) -> Option<Hmac> {
        let secret_key = self
            .secret_key
            .resolve()
            .map_err(|error| {
                let fix = "write secret_key = { env = \"NAME\" } and set it";
                problems.push(Problem::new(format!("{path}.secret_key"), error.to_string(), fix));
            })
            .ok()?;
        let plan = HmacPlan {
            secret_key,
            algorithm: self.algorithm,
            signature_header: self.signature_header,
            timestamp_header: self.timestamp_header,
            signature_prefix: self.signature_prefix,
            include_timestamp: self.include_timestamp,
            payload_format: self.payload_format,
            message_id_header: self.message_id_header,
            signature_encoding: self.signature_encoding,
            secret_is_base64: self.secret_is_base64,
        };
        Hmac::new(&plan)
            .map_err(|error| {
                problems.push(Problem::new(format!("{path}.{}", snake(error.field)), error.what, error.fix));
            })
            .ok()
    }
}

fn days(days: u64) -> Duration {
    Duration::from_secs(days * 24 * 3_600)
}

/// Vapi's spelling of a field in ours.
fn snake(name: &str) -> String {
    let letter = |c: char| if c.is_ascii_uppercase() { format!("_{}", c.to_ascii_lowercase()) } else { c.to_string() };
    name.chars().map(letter).collect()
}
