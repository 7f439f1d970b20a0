//! Webhooks out: we are the platform, and tell and ask the servers of customers.
//!
//! | part | what |
//! |---|---|
//! | [`Webhooks`] | a tenant's: where messages go by default, with which credentials, over which connections |
//! | [`Customer`] | a call's: tells one after the other, asks at once |
//! | [`Outbox`] | a tenant's: reports of calls that are over, until their server has them |
//!
//! A message goes to exactly one server: a tool's own (its `tool-calls`), else the assistant's, else the tenant's. Nothing is
//! asked again unless the server's `backoffPlan` says so; only the report of a call is kept and sent again until it was
//! taken, or is too old.
//!
//! What it does not do: follow a redirect (it would carry a caller's words and a secret elsewhere), use a proxy, or reach
//! addresses of the inside, from where an assistant that anybody may write could read what only we can see. What is told is
//! written by whoever knows the call; in here it is bytes.

mod customer;
mod inside;
mod outbox;
mod post;
mod queue;
mod settings;
mod shown;

pub use customer::{Customer, Late, ToolAnswer, Wrap};
pub use outbox::{Outbox, deliver};
pub use post::{Fault, Webhooks};
pub(crate) use settings::CredentialTable;
pub(super) use settings::{Written, check};

use crate::transport::vapi::Kind;

/// Messages to servers of customers, by type and by how they ended.
pub const MESSAGES: &str = "pronto_vapi_server_messages_total";

/// Reports of calls, by what became of them.
pub const REPORTS: &str = "pronto_vapi_reports_total";

/// Calls whose server was asked who answers them, by what it said.
pub const ASSISTANT_ANSWERS: &str = "pronto_vapi_assistant_requests_total";

/// How long servers took to say who answers a call. Those that did not in time count with all of it.
pub const ASSISTANT_REQUEST: &str = "pronto_vapi_assistant_request_seconds";

/// Counts a message.
fn count(kind: Kind, end: &'static str) {
    metrics::counter!(MESSAGES, "type" => kind.name(), "end" => end).increment(1);
}
