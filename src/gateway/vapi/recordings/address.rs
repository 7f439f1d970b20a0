//! Where recordings are: their places in the REST interface, which want a key, and addresses that open by themselves for
//! some minutes, because clients drop their key when they are sent elsewhere.
//!
//! An address is signed with a key that lives as long as the process, over everything it says: whose recording, of which
//! call, which side, until when.

use jiff::Timestamp;
use ring::hmac;

use super::Recordings;
use crate::{
    gateway::{query, tap::Sides},
    tenant::TenantId,
    vapi::call::{Mono, Presigned, Recording},
};

/// How long an address opens.
const OPEN_S: i64 = 300;

/// The words that addresses have for the sides.
const WORDS: [(&str, Sides); 4] =
    [("stereo", Sides::Apart), ("mono", Sides::Mixed), ("customer", Sides::Caller), ("assistant", Sides::Ours)];

/// What of a recording a place in the REST interface is: `mono-recording` and the like.
pub(in crate::gateway) fn sides(artifact: &str) -> Option<Sides> {
    named(artifact.strip_suffix("-recording")?)
}

/// The places of a call's recording in the REST interface.
pub(in crate::gateway) fn places(base: &str, tenant: &TenantId, call: &str) -> Recording {
    let place = |word: &str| Some(format!("{base}/vapi/{tenant}/call/{call}/{word}-recording"));
    Recording {
        stereo_url: place("stereo"),
        mono: Mono { combined_url: place("mono"), assistant_url: place("assistant"), customer_url: place("customer") },
    }
}

impl Recordings {
    /// An address that opens for some minutes.
    pub(in crate::gateway) fn address(
        &self,
        base: &str,
        tenant: &TenantId,
        call: &str,
        sides: Sides,
        now: Timestamp,
    ) -> String {
        let (side, expires) = (word(sides), now.as_second() + OPEN_S);
        let signature = hmac::sign(&self.key, &signed(tenant, call, side, expires));
        let hex: String = signature.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{base}/vapi/{tenant}/{call}/recording?side={side}&expires={expires}&t={hex}")
    }

    /// Such addresses for everything that a call object shows.
    pub(in crate::gateway) fn presigned(&self, base: &str, tenant: &TenantId, call: &str, now: Timestamp) -> Presigned {
        let address = |sides| self.address(base, tenant, call, sides, now);
        Presigned {
            presigned_mono_url: address(Sides::Mixed),
            presigned_stereo_url: address(Sides::Apart),
            presigned_assistant_url: address(Sides::Ours),
            presigned_customer_url: address(Sides::Caller),
            // Whole seconds, as the addresses themselves count.
            presigned_urls_expires_at: Timestamp::from_second(now.as_second() + OPEN_S).unwrap_or(now),
        }
    }

    /// What an address opens now, by its query. `None` where it was not made here, not for this, or is too old.
    pub(super) fn opens(
        &self,
        tenant: &TenantId,
        call: &str,
        pairs: &[(String, String)],
        now: Timestamp,
    ) -> Option<Sides> {
        let sides = named(query::value(pairs, "side")?)?;
        let expires: i64 = query::value(pairs, "expires")?.parse().ok()?;
        let signature = bytes(query::value(pairs, "t")?)?;
        // Compared in constant time.
        hmac::verify(&self.key, &signed(tenant, call, word(sides), expires), &signature).ok()?;
        (now.as_second() < expires).then_some(sides)
    }
}

fn named(side: &str) -> Option<Sides> {
    WORDS.iter().find(|(word, _)| *word == side).map(|(_, sides)| *sides)
}

const fn word(sides: Sides) -> &'static str {
    match sides {
        Sides::Apart => "stereo",
        Sides::Mixed => "mono",
        Sides::Caller => "customer",
        Sides::Ours => "assistant",
    }
}

/// What is signed. A line feed stands in none of the parts.
fn signed(tenant: &TenantId, call: &str, side: &str, expires: i64) -> Vec<u8> {
    format!("{tenant}\n{call}\n{side}\n{expires}").into_bytes()
}

/// A digest as it was written.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<_>> = hex.chars().map(|digit| digit.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len() == 64)?;
    Some(digits.chunks_exact(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: &str = "019b2c61-7c00-7000-8000-000000000001";

    fn tenant(id: &str) -> TenantId {
        TenantId::new(id).expect("an id")
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_788_251_400 + second).expect("a time")
    }

    /// The query of an address.
    fn pairs(address: &str) -> Vec<(String, String)> {
        query::pairs(address.split_once('?').expect("a query").1)
    }

    #[test]
    fn an_address_opens_its_own_recording_for_five_minutes() {
        let (here, rossi) = (Recordings::default(), tenant("rossi"));
        for (word, sides) in WORDS {
            let address = here.address("https://v.test", &rossi, CALL, sides, at(0));
            let begin = format!("https://v.test/vapi/rossi/{CALL}/recording?side={word}&expires=1788251700&t=");
            assert!(address.starts_with(&begin), "{address}");
            let opens = |second| here.opens(&rossi, CALL, &pairs(&address), at(second));
            assert_eq!([opens(0), opens(299), opens(300), opens(86_400)], [Some(sides), Some(sides), None, None]);
        }
    }

    #[test]
    fn an_address_that_was_changed_opens_nothing() {
        let (here, rossi) = (Recordings::default(), tenant("rossi"));
        let address = here.address("", &rossi, CALL, Sides::Caller, at(0));
        let opens = |tenant: &TenantId, call: &str, address: &str| here.opens(tenant, call, &pairs(address), at(0));
        assert_eq!(opens(&rossi, CALL, &address), Some(Sides::Caller));
        let digit = if address.ends_with('0') { "1" } else { "0" };
        for changed in [
            address.replace("side=customer", "side=assistant"),
            address.replace("side=customer", "side=video"),
            address.replace("expires=1788251700", "expires=1788251701"),
            address.replace("expires=1788251700", "expires=soon"),
            format!("{}{digit}", &address[..address.len() - 1]),
            format!("{address}0"),
            address[..address.len() - 2].to_owned(),
            address[..address.find("&t=").expect("signed")].to_owned(),
        ] {
            assert_eq!(opens(&rossi, CALL, &changed), None, "{changed}");
        }
        let other = "019b2c61-7c00-7000-8000-000000000002";
        assert_eq!(opens(&rossi, other, &address), None);
        assert_eq!(opens(&tenant("bianchi"), CALL, &address), None);
        let elsewhere = Recordings::default();
        assert_eq!(elsewhere.opens(&rossi, CALL, &pairs(&address), at(0)), None, "another process has another key");
    }

    #[test]
    fn places_are_those_of_the_contract() {
        let places = places("https://v.test", &tenant("rossi"), "c1");
        assert_eq!(places.stereo_url.as_deref(), Some("https://v.test/vapi/rossi/call/c1/stereo-recording"));
        for (artifact, expected) in [
            ("mono-recording", Some(Sides::Mixed)),
            ("customer-recording", Some(Sides::Caller)),
            ("assistant-recording", Some(Sides::Ours)),
            ("stereo-recording", Some(Sides::Apart)),
            ("video-recording", None),
            ("pcap", None),
            ("mono", None),
        ] {
            assert_eq!(sides(artifact), expected, "{artifact}");
        }
    }
}
