//! Vapi's call object: how a call is shown by the REST API and told to servers, and the requests that create, change,
//! list and delete calls.
//!
//! What it does not do: it keeps no calls and makes no ids, addresses or tokens. The gateway fills a [`CallObject`] in;
//! its JSON is written here, and read again from where calls are kept: what an older version wrote must stay readable, so a
//! field that is new may be missing.

mod artifact;
mod create;
mod list;
mod minutes;
mod performance;
mod refusal;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

pub use artifact::{Artifact, Entry, Formatted, FormattedRole, Mono, Presigned, Recording};
pub use create::{CALL_BYTES_MAX, CreateCall, NO_NUMBER, Who};
pub use list::{Between, DeleteCall, ListCalls, UpdateCall};
pub use minutes::{Minutes, Stamp};
pub use performance::{Performance, TurnLatency};
pub use refusal::{Refusal, UNAUTHORISED};

use crate::{
    audio::{Codec, Format},
    privacy::Pii,
    transport::vapi::EndedReason,
};

/// A call, as it is shown. Absent things are left out, never `null`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallObject {
    /// Its id.
    pub id: String,
    /// Whose it is: the tenant, in the shape of Vapi's organisations.
    pub org_id: String,
    /// How it came.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Where it stands.
    pub status: Status,
    /// Why it ended.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "reason",
        deserialize_with = "known_reason"
    )]
    pub ended_reason: Option<EndedReason>,
    /// When it was created.
    #[serde(serialize_with = "iso")]
    pub created_at: Timestamp,
    /// When it was changed last.
    #[serde(serialize_with = "iso")]
    pub updated_at: Timestamp,
    /// When the client connected.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "iso_if")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "iso_if")]
    pub ended_at: Option<Timestamp>,
    /// What the customer calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The stored assistant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assistant_id: Option<String>,
    /// The assistant that came with the call, as it may be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assistant: Option<Map<String, Value>>,
    /// What overrides it, as it may be shown. Variables may be the caller's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assistant_overrides: Option<Pii<Map<String, Value>>>,
    /// The caller, as the customer described them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer: Option<Pii<Map<String, Value>>>,
    /// The customer's own notes on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Pii<Map<String, Value>>>,
    /// The wire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<TransportObject>,
    /// Where it can be listened to and controlled.
    #[serde(default, skip_serializing_if = "Monitor::is_empty")]
    pub monitor: Monitor,
    /// What remains of it; filled in after the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Pii<Artifact>>,
    /// What it cost: nothing, always.
    #[serde(skip_deserializing)]
    pub cost: Cost,
    /// How many calls there may be; told when a call is created.
    #[serde(skip_serializing_if = "Option::is_none", skip_deserializing)]
    pub subscription_limits: Option<SubscriptionLimits>,
}

/// How a call came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A client was given an address to connect to.
    #[serde(rename = "vapi.websocketCall")]
    WebSocket,
    /// A carrier brought it.
    #[serde(rename = "inboundPhoneCall")]
    Inbound,
}

/// Where a call stands. Only what every client knows: the newer words break strict ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Created; nobody has connected.
    Queued,
    /// It rings (calls of carriers).
    Ringing,
    /// Under way.
    InProgress,
    /// The caller is being put through.
    Forwarding,
    /// Over.
    Ended,
}

impl Status {
    /// Vapi's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Ringing => "ringing",
            Self::InProgress => "in-progress",
            Self::Forwarding => "forwarding",
            Self::Ended => "ended",
        }
    }
}

/// `transport`: what was agreed, and where to connect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TransportObject {
    #[serde(skip_deserializing, default = "provider")]
    provider: &'static str,
    #[serde(skip_deserializing, default = "conversation_type")]
    conversation_type: &'static str,
    audio_format: AudioFormat,
    /// Whoever has it may join: printed nowhere by accident.
    #[serde(skip_serializing_if = "Option::is_none")]
    websocket_call_url: Option<Pii<String>>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct AudioFormat {
    format: &'static str,
    container: &'static str,
    sample_rate: u32,
}

impl TransportObject {
    /// Vapi's WebSocket transport.
    pub fn websocket(format: Format, url: Option<String>) -> Self {
        let codec = match format.codec {
            Codec::Mulaw => "mulaw",
            // The others cannot be asked for on this wire.
            Codec::Pcm | Codec::Alaw | Codec::Opus => "pcm_s16le",
        };
        Self {
            provider: provider(),
            conversation_type: conversation_type(),
            audio_format: AudioFormat { format: codec, container: "raw", sample_rate: format.rate.hz() },
            websocket_call_url: url.map(Pii::new),
        }
    }

    /// What was agreed, without where to connect: to be kept.
    #[must_use]
    pub fn without_address(self) -> Self {
        Self { websocket_call_url: None, ..self }
    }
}

fn provider() -> &'static str {
    "vapi.websocket"
}

fn conversation_type() -> &'static str {
    "voice"
}

impl<'de> Deserialize<'de> for AudioFormat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Written {
            format: String,
            sample_rate: u32,
        }
        let written = Written::deserialize(deserializer)?;
        let format = if written.format == "mulaw" { "mulaw" } else { "pcm_s16le" };
        Ok(Self { format, container: "raw", sample_rate: written.sample_rate })
    }
}

/// `monitor`: addresses whose holders may listen and control.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Monitor {
    /// Where to listen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen_url: Option<Pii<String>>,
    /// Where to control.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control_url: Option<Pii<String>>,
}

impl Monitor {
    fn is_empty(&self) -> bool {
        self.listen_url.is_none() && self.control_url.is_none()
    }
}

/// `cost`: there are no prices here, and clients expect a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost;

impl Serialize for Cost {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(0)
    }
}

/// `subscriptionLimits`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionLimits {
    /// The call was created and will not be answered: all lines are taken.
    pub concurrency_blocked: bool,
    /// How many calls there may be at once.
    pub concurrency_limit: usize,
    /// How many more there may be now.
    pub remaining_concurrent_calls: usize,
}

impl SubscriptionLimits {
    /// With so many calls under way, this one included.
    pub fn of(limit: usize, active: usize) -> Self {
        Self {
            concurrency_blocked: active > limit,
            concurrency_limit: limit,
            remaining_concurrent_calls: limit.saturating_sub(active),
        }
    }
}

/// `2026-09-01T08:30:00.000Z`
pub(in crate::vapi) fn iso_text(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

pub(super) fn iso<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&iso_text(*at))
}

/// The same for what may not have happened.
pub(super) fn iso_if<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => iso(at, serializer),
        None => serializer.serialize_none(),
    }
}

pub(super) fn reason<S: Serializer>(reason: &Option<EndedReason>, serializer: S) -> Result<S::Ok, S::Error> {
    match reason {
        Some(reason) => serializer.serialize_str(reason.as_str()),
        None => serializer.serialize_none(),
    }
}

/// A reason that was written: none where it is not known any more.
fn known_reason<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<EndedReason>, D::Error> {
    let written = Option::<String>::deserialize(deserializer)?;
    Ok(written.and_then(|written| EndedReason::ALL.into_iter().find(|reason| reason.as_str() == written)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_new_call_is_shown_as_in_the_contract() {
        let at = "2026-09-01T08:30:00Z".parse().unwrap();
        let call = CallObject {
            id: "c1".into(),
            org_id: "o1".into(),
            kind: Kind::WebSocket,
            status: Status::Queued,
            ended_reason: None,
            created_at: at,
            updated_at: at,
            started_at: None,
            ended_at: None,
            name: None,
            assistant_id: Some("a1".into()),
            assistant: None,
            assistant_overrides: None,
            customer: None,
            metadata: None,
            transport: Some(TransportObject::websocket(Format::PCM_WIDE, Some("wss://v.test/c1/transport?t=x".into()))),
            monitor: Monitor {
                listen_url: Some(Pii::new("wss://v.test/c1/listen".into())),
                control_url: Some(Pii::new("https://v.test/c1/control".into())),
            },
            artifact: None,
            cost: Cost,
            subscription_limits: Some(SubscriptionLimits::of(10, 1)),
        };
        let expected = json!({
            "id": "c1", "orgId": "o1", "assistantId": "a1", "type": "vapi.websocketCall", "status": "queued",
            "createdAt": "2026-09-01T08:30:00.000Z", "updatedAt": "2026-09-01T08:30:00.000Z", "cost": 0,
            "monitor": {"listenUrl": "wss://v.test/c1/listen", "controlUrl": "https://v.test/c1/control"},
            "transport": {
                "provider": "vapi.websocket", "conversationType": "voice",
                "audioFormat": {"format": "pcm_s16le", "container": "raw", "sampleRate": 16000},
                "websocketCallUrl": "wss://v.test/c1/transport?t=x",
            },
            "subscriptionLimits": {"concurrencyBlocked": false, "concurrencyLimit": 10, "remainingConcurrentCalls": 9},
        });
        assert_eq!(serde_json::to_value(&call).unwrap(), expected);
        assert!(!format!("{call:?}").contains("t=x"), "an address that lets in is not printed");
    }

    #[test]
    fn full_is_blocked() {
        let limits = SubscriptionLimits::of(10, 11);
        assert_eq!((limits.concurrency_blocked, limits.remaining_concurrent_calls), (true, 0));
    }
}
