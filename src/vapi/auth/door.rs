//! Who may come in: a token of the tenant as bearer or as `x-vapi-secret`, or a signature where the tenant has set one up.
//!
//! A signature opens once: within its five minutes it is remembered. Where a plan sends no timestamp, a repeat of the
//! platform cannot be told from a replay of a stranger, and what is signed only proves where it comes from.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use super::{Hmac, Request, SECRET_HEADER, SignatureError, hmac::WINDOW_S};
use crate::tenant::Tokens;

/// Signatures remembered; of more, those that end soonest are forgotten. Only what was signed with our secret is
/// remembered, so a stranger cannot push anything out.
const SEEN_MAX: usize = 16_384;

/// The way into one tenant's rooms for Vapi.
#[derive(Debug, Default)]
pub struct Door {
    /// A signature opens as well.
    hmac: Option<Signed>,
    /// What has come in.
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug)]
struct Signed {
    /// How it is made.
    plan: Hmac,
    /// `https://` and the host by which Vapi reaches us, for plans that sign the address.
    public_url: String,
}

/// The signatures that opened, until they no longer would.
#[derive(Debug, Default)]
struct Seen {
    known: HashSet<Vec<u8>>,
    /// The last second in which each would open, and its bytes, in the order of arrival.
    order: VecDeque<(i64, Vec<u8>)>,
}

/// What can be said of a request before its body has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Knock {
    /// Come in.
    Open,
    /// It brings a signature: read the body, then [check](Door::check) it.
    Signed,
    /// Nobody we know.
    Shut,
}

impl Door {
    /// A door that signatures open as well as tokens. `public_url`: how Vapi reaches us, without a path.
    pub fn signed(plan: Hmac, public_url: &str) -> Self {
        let public_url = public_url.trim_end_matches('/').to_owned();
        Self { hmac: Some(Signed { plan, public_url }), seen: Arc::default() }
    }

    /// New settings open no signature again.
    #[cfg(feature = "gateway")]
    pub(crate) fn succeed(&mut self, former: &Self) {
        self.seen = Arc::clone(&former.seen);
    }

    /// Looks at the headers alone, so that no stranger's body is read. `header` finds one by its name in lower case.
    pub fn knock<'a>(&self, tokens: &Tokens, header: impl Fn(&str) -> Option<&'a str>) -> Knock {
        let authorization = header("authorization").unwrap_or("").trim();
        let bare = match authorization.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            Some(_) | None => authorization,
        };
        // Each guess is weighed, so that the time says nothing of which one was right.
        let open = [bare, header(SECRET_HEADER).unwrap_or("")].map(|guess| tokens.hold(guess));
        if open.contains(&true) {
            return Knock::Open;
        }
        match &self.hmac {
            Some(signed) if header(signed.plan.signature_header()).is_some() => Knock::Signed,
            Some(_) | None => Knock::Shut,
        }
    }

    /// Checks the signature of a request that came in now; `path` is its path and query.
    pub fn check<'a>(
        &self,
        now_s: i64,
        method: &'a str,
        path: &str,
        body: &'a [u8],
        header: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<(), SignatureError> {
        let signed = self.hmac.as_ref().ok_or(SignatureError::Missing)?;
        let url = format!("{}{path}", signed.public_url);
        let request = Request { method, url: &url, body, id: None };
        let proven = signed.plan.check(now_s, &request, |name| header(name))?;
        let Some(at) = proven.at else { return Ok(()) };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.first(now_s, at.saturating_add(WINDOW_S), proven.tag) { Ok(()) } else { Err(SignatureError::Replayed) }
    }
}

impl Seen {
    /// Whether it is here for the first time.
    fn first(&mut self, now_s: i64, until_s: i64, tag: Vec<u8>) -> bool {
        let Self { known, order } = self;
        order.retain(|(until, tag)| {
            let holds = *until >= now_s;
            if !holds {
                known.remove(tag);
            }
            holds
        });
        if !known.insert(tag.clone()) {
            return false;
        }
        if order.len() >= SEEN_MAX
            && let Some(soonest) = (0..order.len()).min_by_key(|at| order[*at].0)
            && let Some((_, forgotten)) = order.remove(soonest)
        {
            known.remove(&forgotten);
        }
        order.push_back((until_s, tag));
        true
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::vapi::auth::hmac::tests::{AT, BODY, plan};

    const SIGNATURE: &str = "557b2491b54b3098c491b59b8eb0b1331097110d3300aebf936f2143decb0d7c";
    const PATH: &str = "/vapi/rossi/tools";

    fn door() -> Door {
        let plan = Hmac::new(&plan(r#"{"secretKey":"test-secret","algorithm":"sha256"}"#)).unwrap();
        Door::signed(plan, "https://voice.example.test/")
    }

    fn headers(signature: &'static str, timestamp: &'static str) -> impl Fn(&str) -> Option<&'static str> {
        move |name| match name {
            "x-signature" => Some(signature),
            "x-timestamp" => Some(timestamp).filter(|text| !text.is_empty()),
            _ => None,
        }
    }

    #[test]
    fn a_token_opens_as_bearer_bare_and_as_the_secret_of_old() {
        let tokens = Tokens::new([&SecretString::from("segreto")]);
        let check = |name: &'static str, value: &'static str, expected: Knock| {
            let knock = Door::default().knock(&tokens, |asked| (asked == name).then_some(value));
            assert_eq!(knock, expected, "{name}: {value}");
        };
        check("authorization", "Bearer segreto", Knock::Open);
        check("authorization", "bearer  segreto ", Knock::Open);
        check("authorization", "segreto", Knock::Open);
        check("x-vapi-secret", "segreto", Knock::Open);
        check("authorization", "Basic segreto", Knock::Shut);
        check("authorization", "Bearer", Knock::Shut);
        check("x-vapi-secret", "segret", Knock::Shut);
        check("x-vapi-signature", "segreto", Knock::Shut);
        let signed = door().knock(&tokens, headers("anything", ""));
        assert_eq!(signed, Knock::Signed);
        assert_eq!(Door::default().knock(&tokens, headers("anything", "")), Knock::Shut, "not set up");
    }

    #[test]
    fn a_signature_opens_within_five_minutes_in_seconds_or_milliseconds() {
        for now in [AT - WINDOW_S, AT, AT + WINDOW_S] {
            assert_eq!(door().check(now, "POST", PATH, BODY, headers(SIGNATURE, "1760000000")), Ok(()), "{now}");
        }
        // Signed over the milliseconds.
        let plan = Hmac::new(&plan(r#"{"secretKey":"test-secret","algorithm":"sha256"}"#)).unwrap();
        let request = Request { method: "POST", url: "", body: BODY, id: None };
        let signature = plan.headers(AT * 1_000, &request)[0].1.clone();
        let signature = Box::leak(signature.into_boxed_str());
        assert_eq!(door().check(AT, "POST", PATH, BODY, headers(signature, "1760000000000")), Ok(()));
    }

    /// The rows of the contract that must fail.
    #[test]
    fn what_must_not_open_does_not() {
        use SignatureError::{Future, Malformed, Mismatch, Missing, NoTimestamp, Stale};
        let check = |now: i64, body: &'static [u8], signature: &'static str, timestamp: &'static str, expected| {
            assert_eq!(door().check(now, "POST", PATH, body, headers(signature, timestamp)), Err(expected));
        };
        check(AT, br#"{"message":{"type":"status-update","status":"ended"}}"#, SIGNATURE, "1760000000", Mismatch);
        check(AT, BODY, SIGNATURE, "1760000001", Mismatch);
        check(AT + WINDOW_S + 1, BODY, SIGNATURE, "1760000000", Stale);
        check(AT - WINDOW_S - 1, BODY, SIGNATURE, "1760000000", Future);
        check(AT, BODY, SIGNATURE, "", NoTimestamp);
        check(AT, BODY, SIGNATURE, "soon", NoTimestamp);
        check(AT, BODY, SIGNATURE, "-9223372036854775808", Stale);
        check(AT, BODY, &SIGNATURE[..32], "1760000000", Mismatch);
        check(AT, BODY, &SIGNATURE[..63], "1760000000", Malformed);
        check(AT, BODY, "", "1760000000", Mismatch);
        check(AT, BODY, "VXskkbVLMJjEkbWbjrCxMxCXEQ0zAK6/k28hQ97LDXw=", "1760000000", Malformed);
        let other = Hmac::new(&plan(r#"{"secretKey":"another","algorithm":"sha256"}"#)).unwrap();
        let signed = Door::signed(other, "").check(AT, "POST", PATH, BODY, headers(SIGNATURE, "1760000000"));
        assert_eq!(signed, Err(Mismatch));
        assert_eq!(door().check(AT, "POST", PATH, BODY, |_| None), Err(Missing));
    }

    #[test]
    fn a_signature_opens_once_however_it_is_written() {
        let door = door();
        let open = |now, signature| door.check(now, "POST", PATH, BODY, headers(signature, "1760000000"));
        assert_eq!(open(AT, SIGNATURE), Ok(()));
        assert_eq!(open(AT + 1, SIGNATURE), Err(SignatureError::Replayed));
        let shouted = Box::leak(SIGNATURE.to_uppercase().into_boxed_str());
        assert_eq!(open(AT + WINDOW_S, shouted), Err(SignatureError::Replayed));
        assert_eq!(open(AT + WINDOW_S + 1, SIGNATURE), Err(SignatureError::Stale), "forgotten when it is worthless");
        let mut renewed = self::door();
        renewed.succeed(&door);
        let again = renewed.check(AT, "POST", PATH, BODY, headers(SIGNATURE, "1760000000"));
        assert_eq!(again, Err(SignatureError::Replayed), "also when the settings were read again");
    }

    #[test]
    fn what_is_remembered_is_bounded_and_a_plan_without_time_remembers_nothing() {
        let mut seen = Seen::default();
        for number in 0..SEEN_MAX + 10 {
            assert!(seen.first(0, 10, number.to_be_bytes().to_vec()));
        }
        assert_eq!((seen.known.len(), seen.order.len()), (SEEN_MAX, SEEN_MAX));
        assert!(seen.first(11, 20, vec![1]));
        assert_eq!((seen.known.len(), seen.order.len()), (1, 1));

        let plan = Hmac::new(&plan(r#"{"secretKey":"test-secret","algorithm":"sha256","includeTimestamp":false}"#));
        let door = Door::signed(plan.unwrap(), "");
        let signature = "98c2b66628ad4cab5de2c4b593493eab9ce3dcd5f3caecfdc9cc61212158a030";
        for _ in 0..2 {
            assert_eq!(door.check(AT, "POST", PATH, BODY, headers(signature, "")), Ok(()));
        }
    }
}
