//! Twilio's webhooks: which stream to open for a call, and what follows when it has ended.

use std::sync::Arc;

use hyper::{Request, StatusCode, Uri, body::Incoming};
use ring::rand::{SecureRandom, SystemRandom};

use super::{
    Shared,
    answer::{Answer, Refused, typed},
    body, clock,
    drain::Step,
    limits,
    metrics::{self, Refusal},
    query,
    route::text,
    session::{Called, Pass},
    vapi::answering::{self, Ringing},
};
use crate::{
    privacy::Pii,
    tenant::{Tenant, Twilio},
    transport::{
        twilio_signature::{Body, SETTINGS_HEADER, SIGNATURE_HEADER},
        twiml::{ConnectStream, dial, reject_busy},
    },
};

const UNSIGNED: Refused = Refused {
    why: Refusal::Unauthorised,
    field: "x-twilio-signature",
    message: "signature missing or wrong",
    fix: "check twilio.auth_token and twilio.public_url in the tenant's settings: scheme, host, path and query are signed",
};
const UNREADABLE: Refused = Refused {
    why: Refusal::BadRequest,
    field: "body",
    message: "the form cannot be read",
    fix: "send application/x-www-form-urlencoded of at most 64 KiB",
};

impl Twilio {
    /// Whether Twilio has signed the opening of this stream.
    pub(super) fn signed_stream(&self, uri: &Uri, signature: &str, settings: Option<&str>) -> bool {
        let address = self.stream_address(uri.path_and_query().map_or("/", |path| path.as_str()));
        self.verifier.check(&address, Body::None, signature, settings).is_ok()
    }

    /// A path of ours as Twilio dials it.
    fn stream_address(&self, path: &str) -> String {
        let host = self.public_url.strip_prefix("https://").unwrap_or(&self.public_url);
        format!("wss://{host}{path}")
    }
}

/// Answers one webhook.
pub(super) async fn hook(
    shared: &Arc<Shared>,
    tenant: &Arc<Tenant>,
    account: &Twilio,
    hook: &str,
    request: Request<Incoming>,
) -> Answer {
    let address = format!("{}{}", account.public_url, request.uri());
    let signature = text(request.headers(), SIGNATURE_HEADER).unwrap_or("").to_owned();
    let settings = text(request.headers(), SETTINGS_HEADER).map(ToOwned::to_owned);
    let body = match body::whole(request.into_body(), limits::BODY_MAX, UNREADABLE).await {
        Ok(body) => body,
        Err(refused) => return refused.answer(),
    };
    let Ok(form) = std::str::from_utf8(&body) else { return UNREADABLE.answer() };
    let pairs = query::pairs(form);
    let signed: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    if account.verifier.check(&address, Body::Form(&signed), &signature, settings.as_deref()).is_err() {
        return UNSIGNED.answer();
    }
    let document = match hook {
        "voice" => voice(shared, tenant, account, &pairs).await,
        _ => after(shared, query::value(&pairs, "CallSid").unwrap_or("")),
    };
    typed(StatusCode::OK, "text/xml", document)
}

/// A call rings. A stream to us, if there is room and it has been decided who answers; the busy tone when there is no room.
async fn voice(shared: &Arc<Shared>, tenant: &Arc<Tenant>, account: &Twilio, pairs: &[(String, String)]) -> String {
    let room = tenant.calls() < tenant.profile().calls_max;
    let refusal = match (room, shared.drain.step()) {
        (false, _) => Some(Refusal::Full),
        (true, Step::Accepting) => (!shared.pulse.has_room()).then_some(Refusal::Busy),
        (true, _) => Some(Refusal::Draining),
    };
    if let Some(refusal) = refusal {
        metrics::refused(refusal);
        return reject_busy();
    }
    let from = query::value(pairs, "From");
    let vapi = &tenant.profile().vapi;
    let mut called = None;
    if vapi.assistant_request {
        let Some(permit) = tenant.admit() else {
            metrics::refused(Refusal::Full);
            return reject_busy();
        };
        let base = vapi.public_url.as_ref().unwrap_or(&account.public_url).clone();
        match answering::telephone(shared, tenant, permit, base, from, query::value(pairs, "To")).await {
            Ringing::Answered(decided) => called = decided,
            Ringing::Carried(document) => return document,
        }
    }
    stream(shared, tenant, account, from, called)
}

/// A stream to us, with a token that opens it once.
fn stream(shared: &Shared, tenant: &Tenant, account: &Twilio, from: Option<&str>, called: Option<Called>) -> String {
    let mut random = [0; 24];
    if SystemRandom::new().fill(&mut random).is_err() {
        return reject_busy();
    }
    let token = random.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let pass = Pass { tenant: tenant.id().clone(), from: from.map(|from| Pii::new(from.to_owned())), called };
    shared.passes.put(clock::now(), &token, pass);
    let answer = ConnectStream {
        url: &account.stream_address(&format!("/twilio/{}", tenant.id())),
        action: Some(&format!("{}/twilio/{}/after", account.public_url, tenant.id())),
        status_callback: None,
        parameters: &[("tenant", tenant.id().as_str()), ("token", &token)],
    };
    answer.to_xml().unwrap_or_else(|error| {
        tracing::error!(%error, "twilio.public_url makes no address");
        reject_busy()
    })
}

/// The stream has ended: the caller is put through if the call said so, and hung up on otherwise.
fn after(shared: &Shared, call: &str) -> String {
    match shared.transfers.take(clock::now(), call) {
        Some(to) => dial(to.reveal()),
        None => "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Hangup/></Response>\n".to_owned(),
    }
}
