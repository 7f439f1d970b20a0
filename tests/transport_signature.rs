//! Twilio's signature against recorded vectors, and the TwiML that opens a stream.
#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

use pronto::transport::{
    twilio_signature::{Body, SignatureError, Verifier},
    twiml::{ConnectStream, TwimlError, dial, reject_busy},
};
use serde_json::Value;

fn vectors() -> Value {
    let path = format!("{}/tests/fixtures/signatures/twilio.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn field<'a>(vector: &'a Value, name: &str) -> &'a str {
    vector[name].as_str().unwrap_or_else(|| panic!("no {name}"))
}

fn params(vector: &Value) -> Vec<(&str, &str)> {
    let params = vector["params"].as_object().into_iter().flatten();
    params.map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect()
}

fn verifier(key: &str) -> Verifier {
    Verifier::new(key.to_owned().into())
}

#[test]
fn a_signed_form_is_accepted_whatever_the_order_of_its_fields() {
    let vector = &vectors()["twilio"]["form_post"];
    let (url, signature) = (field(vector, "url"), field(vector, "X-Twilio-Signature"));
    let verifier = verifier(field(vector, "auth_token"));
    let mut params = params(vector);
    assert_eq!(verifier.check(url, Body::Form(&params), signature, None), Ok(()));
    params.reverse();
    assert_eq!(verifier.check(url, Body::Form(&params), signature, None), Ok(()));
    params.push(params[0]);
    assert_eq!(verifier.check(url, Body::Form(&params), signature, None), Ok(()), "a repeated pair counts once");
    let reworked = verifier.check(url, Body::Form(&params[1..3]), signature, None);
    assert_eq!(reworked, Err(SignatureError::Mismatch));
}

#[test]
fn a_signed_upgrade_is_accepted_with_and_without_its_port() {
    let vector = &vectors()["twilio"]["ws_upgrade"];
    let signature = field(vector, "x-twilio-signature");
    let verifier = verifier(field(vector, "auth_token"));
    let check = |url: &str| verifier.check(url, Body::None, signature, None);
    assert_eq!(check(field(vector, "url")), Ok(()));
    assert_eq!(check("wss://gw.example.it:443/twilio/media"), Ok(()));
    // What counts is the public address; a port that Twilio left out is left out here too.
    assert_eq!(check("wss://gw.example.it:8443/twilio/media"), Ok(()));
    assert_eq!(check("https://gw.example.it/twilio/media"), Err(SignatureError::Mismatch));
    assert_eq!(check("wss://gw.example.it/twilio/media?x"), Err(SignatureError::Mismatch));
}

#[test]
fn a_port_that_was_signed_may_be_missing_from_our_address() {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"t");
    let sign = |url: &str| {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(ring::hmac::sign(&key, url.as_bytes()))
    };
    let check = |ours: &str, signed: &str| verifier("t").check(ours, Body::None, &sign(signed), None).is_ok();
    assert!(check("https://h/a?b=1", "https://h:443/a?b=1"));
    assert!(check("wss://h", "wss://h:443"));
    assert!(check("http://h/a", "http://h:80/a"));
    assert!(check("https://[::1]/a", "https://[::1]:443/a"));
    assert!(check("https://[::1]:443/a", "https://[::1]/a"));
    assert!(!check("https://h/a", "https://h:80/a"));
    assert!(!check("https://h/a:1", "https://h/a"), "a colon of the path is no port");
}

#[test]
fn a_json_body_counts_only_with_the_hash_that_was_signed() {
    let vector = &vectors()["twilio"]["json_body"];
    let (url, signature) = (field(vector, "url"), field(vector, "X-Twilio-Signature"));
    let verifier = verifier(field(vector, "auth_token"));
    let body = field(vector, "body").as_bytes();
    let check = |url: &str, body: &[u8]| verifier.check(url, Body::Raw(body), signature, None);
    assert_eq!(check(url, body), Ok(()));
    assert_eq!(check(url, b"{}"), Err(SignatureError::Body));
    assert_eq!(check("https://gw.example.it/twilio/events", body), Err(SignatureError::Body), "an unsigned body");
    assert_eq!(check(&url[..url.len() - 2], body), Err(SignatureError::Body));
}

#[test]
fn a_shared_key_signs_with_sha256() {
    let vector = &vectors()["twilio"]["form_post_sharedkey_sha256"];
    let (url, signature) = (field(vector, "url"), field(vector, "X-Twilio-Signature"));
    let (settings, params) = (field(vector, "X-Twilio-Webhooks-Signature-Settings"), params(vector));
    let secret = || field(vector, "shared_key_secret").to_owned().into();
    let verifier = verifier("token").with_shared_key("webhooks_sharedkey_fixture", secret());
    let check = |settings| verifier.check(url, Body::Form(&params), signature, settings);
    assert_eq!(check(Some(settings)), Ok(()));
    assert_eq!(check(Some("algorithm=HMAC_SHA256, key=webhooks_sharedkey_fixture")), Ok(()));
    assert_eq!(check(None), Err(SignatureError::Mismatch));
    assert_eq!(check(Some("key=another,algorithm=HMAC_SHA256")), Err(SignatureError::UnknownKey));
    let weaker = "key=webhooks_sharedkey_fixture,algorithm=HMAC_SHA1";
    for odd in [weaker, "", "key=", "algorithm=HMAC_SHA256", "webhooks_sharedkey_fixture"] {
        assert_eq!(check(Some(odd)), Err(SignatureError::Settings), "{odd}");
    }
}

#[test]
fn what_must_fail_fails() {
    let vectors = vectors();
    let must_fail = vectors["twilio"]["must_fail"].as_array().unwrap();
    assert_eq!(must_fail.len(), 3);
    for vector in must_fail {
        let params = params(vector);
        let checked = verifier(field(vector, "auth_token")).check(
            field(vector, "url"),
            Body::Form(&params),
            field(vector, "signature"),
            None,
        );
        assert_eq!(checked, Err(SignatureError::Mismatch), "{}", field(vector, "why"));
    }
}

#[test]
fn another_carrier_of_the_same_family_signs_the_same_way() {
    let vector = &vectors()["signalwire"]["compat_form"];
    let params = params(vector);
    let signature = field(vector, "x-signalwire-signature");
    let checked =
        verifier(field(vector, "signing_key")).check(field(vector, "url"), Body::Form(&params), signature, None);
    assert_eq!(checked, Ok(()));
}

#[test]
fn every_changed_byte_fails() {
    let vector = &vectors()["twilio"]["form_post"];
    let (url, signature) = (field(vector, "url"), field(vector, "X-Twilio-Signature"));
    let token = field(vector, "auth_token");
    let params = params(vector);
    let flipped = |text: &str, at: usize| {
        let mut bytes = text.as_bytes().to_vec();
        bytes[at] ^= 1;
        String::from_utf8(bytes).ok()
    };
    for at in 0..url.len() {
        let url = flipped(url, at).unwrap();
        assert!(verifier(token).check(&url, Body::Form(&params), signature, None).is_err(), "{url}");
    }
    for at in 0..signature.len() {
        let signature = flipped(signature, at).unwrap();
        assert!(verifier(token).check(url, Body::Form(&params), &signature, None).is_err(), "{signature}");
    }
    for at in 0..token.len() {
        let token = flipped(token, at).unwrap();
        assert!(verifier(&token).check(url, Body::Form(&params), signature, None).is_err());
    }
    for n in 0..params.len() {
        for at in 0..params[n].1.len() {
            let Some(value) = flipped(params[n].1, at) else { continue };
            let mut params = params.clone();
            params[n].1 = &value;
            assert!(verifier(token).check(url, Body::Form(&params), signature, None).is_err(), "{value}");
        }
    }
    for odd in ["", "=", "i6YQj/qO/T62EJPJvL9Ds8Lq5Sk", "not base64 at all"] {
        assert!(verifier(token).check(url, Body::Form(&params), odd, None).is_err());
    }
}

#[test]
fn a_verifier_does_not_print_its_secrets() {
    let printed = format!("{:?}", verifier("auth-secret").with_shared_key("id", "key-secret".to_owned().into()));
    assert!(!printed.contains("secret\"") && !printed.contains("auth-secret"), "{printed}");
}

const STREAM: ConnectStream<'static> = ConnectStream {
    url: "wss://gw.example.it/twilio/media",
    action: Some("https://gw.example.it/twilio/after"),
    status_callback: Some("https://gw.example.it/twilio/stream-status"),
    parameters: &[("tenant", "officina-rossi"), ("token", "b3f0c2a9")],
};

#[test]
fn the_stream_is_opened_in_the_recorded_words() {
    let path = format!("{}/tests/fixtures/twilio/connect_stream.xml", env!("CARGO_MANIFEST_DIR"));
    let recorded = std::fs::read_to_string(path).unwrap();
    let joined = |xml: &str| xml.lines().map(str::trim).collect::<String>();
    assert_eq!(joined(&STREAM.to_xml().unwrap()), joined(&recorded));
}

#[test]
fn no_parameter_breaks_out_of_its_attribute() {
    let parameters = [("na\"me", "<Dial>&'\u{0}\n\u{b}é</Dial>")];
    let xml =
        ConnectStream { parameters: &parameters, action: None, status_callback: None, ..STREAM }.to_xml().unwrap();
    let expected = "<Response><Connect><Stream url=\"wss://gw.example.it/twilio/media\">\
         <Parameter name=\"na&quot;me\" value=\"&lt;Dial&gt;&amp;&apos;&#10;é&lt;/Dial&gt;\"/></Stream></Connect></Response>";
    assert!(xml.contains(expected), "{xml}");
    let long = "x".repeat(496);
    let parameters = [("name", long.as_str())];
    let refused = ConnectStream { parameters: &parameters, ..STREAM }.to_xml();
    assert_eq!(refused, Err(TwimlError::Parameter { name: "name".into() }));
}

#[test]
fn an_address_that_twilio_cannot_dial_is_refused() {
    for url in ["https://gw.example.it/media", "ws://gw.example.it/media", "wss://gw.example.it/media?tenant=a", ""] {
        assert_eq!(ConnectStream { url, ..STREAM }.to_xml(), Err(TwimlError::Url), "{url}");
    }
}

#[test]
fn a_call_is_put_through_or_refused() {
    assert!(dial("+390612345678").ends_with("<Response><Dial>+390612345678</Dial></Response>\n"));
    assert!(dial("<Play>").contains("<Dial>&lt;Play&gt;</Dial>"));
    assert!(reject_busy().contains("<Reject reason=\"busy\"/>"));
}
