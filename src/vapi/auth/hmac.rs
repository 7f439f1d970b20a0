//! Signatures over the exact bytes of a request, as Vapi's `hmac` plan describes them: made for what we send, checked for
//! what comes in.
//!
//! What is signed is put together from the plan's `payloadFormat`; which hash, which headers and which encoding are the
//! plan's as well. The clock is an argument: seconds since 1970.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

/// How old, or how far in the future, a signed timestamp may be, in seconds.
pub const WINDOW_S: i64 = 300;

/// From here on a timestamp can only be one in milliseconds.
const MILLISECONDS_FROM: i64 = 100_000_000_000;

/// The plan, as Vapi's credentials hold it. What is absent has Vapi's default.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HmacPlan {
    /// The shared secret.
    pub secret_key: SecretString,
    /// The hash.
    pub algorithm: Algorithm,
    /// The header with the signature; `x-signature`.
    #[serde(default)]
    pub signature_header: Option<String>,
    /// The header with the time of signing; `x-timestamp`.
    #[serde(default)]
    pub timestamp_header: Option<String>,
    /// What stands before the signature in its header; nothing.
    #[serde(default)]
    pub signature_prefix: Option<String>,
    /// Whether the time is sent; it is.
    #[serde(default)]
    pub include_timestamp: Option<bool>,
    /// What is signed, with `{body}`, `{timestamp}`, `{method}`, `{url}` and `{svix-id}`; `{timestamp}.{body}`.
    #[serde(default)]
    pub payload_format: Option<String>,
    /// The header with the id of the message; none.
    #[serde(default)]
    pub message_id_header: Option<String>,
    /// How the signature is written; in hexadecimal.
    #[serde(default)]
    pub signature_encoding: Option<Encoding>,
    /// Whether the secret is the base64 of its bytes.
    #[serde(default)]
    pub secret_is_base64: Option<bool>,
}

/// A hash that Vapi signs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
    /// SHA-1, which old receivers ask for.
    Sha1,
}

/// How a signature is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Hexadecimal digits.
    Hex,
    /// Base64 with padding.
    Base64,
}

/// A plan that cannot be carried out: which field, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {what}; {fix}")]
pub struct PlanError {
    /// The field, as Vapi spells it.
    pub field: &'static str,
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub fix: &'static str,
}

/// Why a request is not taken for what it says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is no signature.
    #[error("the signature is missing")]
    Missing,
    /// The time of signing is missing, or no number.
    #[error("the timestamp is missing or no number of seconds or milliseconds")]
    NoTimestamp,
    /// Signed more than five minutes ago.
    #[error("the timestamp is more than five minutes old")]
    Stale,
    /// Signed more than five minutes from now.
    #[error("the timestamp is more than five minutes in the future")]
    Future,
    /// Not written as the plan says, or without its prefix.
    #[error("the signature is not written as it should be: check its prefix and encoding")]
    Malformed,
    /// Signed with another secret, or over other bytes.
    #[error("the signature does not match: check the secret, the algorithm and the payload format")]
    Mismatch,
    /// Came in before.
    #[error("the request was sent before")]
    Replayed,
}

/// What a signature may cover.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// `POST`, `GET`.
    pub method: &'a str,
    /// The whole public address.
    pub url: &'a str,
    /// The body, byte for byte.
    pub body: &'a [u8],
    /// The id of the message, for plans that sign it.
    pub id: Option<&'a str>,
}

/// A plan that was checked.
#[derive(Debug, Clone)]
pub struct Hmac {
    /// The secret and the hash.
    key: hmac::Key,
    /// The header with the signature, in lower case.
    signature_header: String,
    /// The header with the time, in lower case, where it is sent.
    timestamp_header: Option<String>,
    /// What stands before the signature.
    prefix: String,
    /// What is signed.
    payload: Vec<Piece>,
    /// The header with the message's id, in lower case, where it is sent.
    id_header: Option<String>,
    /// How the signature is written.
    encoding: Encoding,
}

/// A piece of what is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Body,
    Timestamp,
    Method,
    Url,
    Id,
}

/// A signature that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proven {
    /// Its bytes, whatever they were written as.
    pub(super) tag: Vec<u8>,
    /// When it was made, in seconds; without it a repeat cannot be told from a replay.
    pub(super) at: Option<i64>,
}

impl Hmac {
    /// Checks a plan.
    pub fn new(plan: &HmacPlan) -> Result<Self, PlanError> {
        let timed = plan.include_timestamp.unwrap_or(true);
        let format = plan.payload_format.as_deref().unwrap_or(if timed { "{timestamp}.{body}" } else { "{body}" });
        let payload = pieces(format)?;
        let lacks = |what: &str, fix| Err(PlanError { field: "payloadFormat", what: what.into(), fix });
        if !payload.contains(&Piece::Body) {
            return lacks("does not sign the body", "put {body} into it");
        }
        if timed != payload.contains(&Piece::Timestamp) {
            return lacks(
                "does not agree with whether a timestamp is sent",
                "sign {timestamp} and send it, or neither",
            );
        }
        if payload.contains(&Piece::Id) && plan.message_id_header.is_none() {
            return lacks("signs an id that is not sent", "name the header that carries it, or leave {svix-id} out");
        }
        let header = |field, written: &Option<String>, usual: &str| {
            let name = written.as_deref().unwrap_or(usual).to_ascii_lowercase();
            let fits = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
            let fix = "write letters, digits and hyphens";
            fits.then_some(name).ok_or(PlanError { field, what: "is no name of a header".into(), fix })
        };
        let secret = secret(plan)?;
        let algorithm = match plan.algorithm {
            Algorithm::Sha256 => hmac::HMAC_SHA256,
            Algorithm::Sha512 => hmac::HMAC_SHA512,
            Algorithm::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        };
        Ok(Self {
            key: hmac::Key::new(algorithm, &secret),
            signature_header: header("signatureHeader", &plan.signature_header, "x-signature")?,
            timestamp_header: match timed {
                true => Some(header("timestampHeader", &plan.timestamp_header, "x-timestamp")?),
                false => None,
            },
            prefix: plan.signature_prefix.clone().unwrap_or_default(),
            payload,
            id_header: match &plan.message_id_header {
                Some(_) => Some(header("messageIdHeader", &plan.message_id_header, "")?),
                None => None,
            },
            encoding: plan.signature_encoding.unwrap_or(Encoding::Hex),
        })
    }

    /// Whether the address is signed: whoever checks must know it as the sender does.
    pub fn signs_url(&self) -> bool {
        self.payload.contains(&Piece::Url)
    }

    /// The name of the header with the signature, in lower case.
    pub fn signature_header(&self) -> &str {
        &self.signature_header
    }

    /// The headers of a request that is sent now.
    pub fn headers(&self, now_s: i64, request: &Request<'_>) -> Vec<(String, String)> {
        let timestamp = now_s.to_string();
        let tag = hmac::sign(&self.key, &self.signed(&timestamp, request));
        let signature = match self.encoding {
            Encoding::Hex => tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect(),
            Encoding::Base64 => BASE64.encode(tag),
        };
        let mut headers = vec![(self.signature_header.clone(), format!("{}{signature}", self.prefix))];
        headers.extend(self.timestamp_header.clone().map(|name| (name, timestamp)));
        headers.extend(self.id_header.clone().zip(request.id.map(ToOwned::to_owned)));
        headers
    }

    /// Checks a request that came in now. `header` finds a header by its name in lower case; the id of the message is
    /// taken from there.
    pub(super) fn check<'a>(
        &self,
        now_s: i64,
        request: &Request<'a>,
        header: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<Proven, SignatureError> {
        let written = header(&self.signature_header).ok_or(SignatureError::Missing)?;
        let (timestamp, at) = match &self.timestamp_header {
            Some(name) => {
                let timestamp = header(name).ok_or(SignatureError::NoTimestamp)?;
                let at = seconds(timestamp).ok_or(SignatureError::NoTimestamp)?;
                match now_s.saturating_sub(at) {
                    age if age > WINDOW_S => return Err(SignatureError::Stale),
                    age if age < -WINDOW_S => return Err(SignatureError::Future),
                    _ => (timestamp, Some(at)),
                }
            }
            None => ("", None),
        };
        let written = written.trim().strip_prefix(&self.prefix).ok_or(SignatureError::Malformed)?;
        let tag = match self.encoding {
            Encoding::Hex => unhex(written),
            Encoding::Base64 => BASE64.decode(written).ok(),
        };
        let tag = tag.ok_or(SignatureError::Malformed)?;
        let id = self.id_header.as_deref().and_then(&header);
        let signed = self.signed(timestamp, &Request { id, ..*request });
        // In constant time, and over the whole length: a part of a signature is none.
        hmac::verify(&self.key, &signed, &tag).map_err(|_| SignatureError::Mismatch)?;
        Ok(Proven { tag, at })
    }

    fn signed(&self, timestamp: &str, request: &Request<'_>) -> Vec<u8> {
        let mut signed = Vec::with_capacity(request.body.len() + 64);
        for piece in &self.payload {
            signed.extend_from_slice(match piece {
                Piece::Text(text) => text.as_bytes(),
                Piece::Body => request.body,
                Piece::Timestamp => timestamp.as_bytes(),
                Piece::Method => request.method.as_bytes(),
                Piece::Url => request.url.as_bytes(),
                Piece::Id => request.id.unwrap_or("").as_bytes(),
            });
        }
        signed
    }
}

fn secret(plan: &HmacPlan) -> Result<Vec<u8>, PlanError> {
    let written = plan.secret_key.expose_secret();
    let wrong = |what: &str, fix| PlanError { field: "secretKey", what: what.into(), fix };
    let secret = match plan.secret_is_base64.unwrap_or(false) {
        true => {
            BASE64.decode(written).map_err(|_| wrong("is not base64", "encode it, or say that it is plain text"))?
        }
        false => written.as_bytes().to_vec(),
    };
    if secret.is_empty() { Err(wrong("is empty", "make one with `openssl rand -hex 32`")) } else { Ok(secret) }
}

fn pieces(format: &str) -> Result<Vec<Piece>, PlanError> {
    let mut pieces = Vec::new();
    let mut rest = format;
    while let Some((text, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        if !text.is_empty() {
            pieces.push(Piece::Text(text.to_owned()));
        }
        pieces.push(match name {
            "body" => Piece::Body,
            "timestamp" => Piece::Timestamp,
            "method" => Piece::Method,
            "url" => Piece::Url,
            "svix-id" => Piece::Id,
            unknown => {
                let what = format!("{{{unknown}}} means nothing");
                let fix = "known are {body}, {timestamp}, {method}, {url} and {svix-id}";
                return Err(PlanError { field: "payloadFormat", what, fix });
            }
        });
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

/// Seconds since 1970; which unit the platform uses is not said anywhere.
fn seconds(timestamp: &str) -> Option<i64> {
    let number: i64 = timestamp.trim().parse().ok()?;
    Some(if number >= MILLISECONDS_FROM { number / 1_000 } else { number })
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let bytes: Option<Vec<u8>> =
        pairs.iter().map(|&[high, low]| Some((digit(high)? << 4 | digit(low)?) as u8)).collect();
    bytes.filter(|_| rest.is_empty())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::vapi::auth) const BODY: &[u8] = br#"{"message":{"type":"status-update","status":"in-progress"}}"#;
    pub(in crate::vapi::auth) const AT: i64 = 1_760_000_000;
    const BASE64_SECRET: &str = "dGVzdC1zZWNyZXQ=";

    pub(in crate::vapi::auth) fn plan(json: &str) -> HmacPlan {
        serde_json::from_str(json).unwrap()
    }

    fn request(id: Option<&'static str>) -> Request<'static> {
        Request { method: "POST", url: "https://shop.example.test/vapi", body: BODY, id }
    }

    /// The vectors of the contract, section 9: what is made, and that it is taken.
    #[test]
    fn the_vectors_of_the_contract() {
        let check = |fields: &str, id: Option<&'static str>, expected: &str| {
            let hmac = Hmac::new(&plan(fields)).unwrap();
            let headers = hmac.headers(AT, &request(id));
            assert_eq!(headers[0].1, expected, "{fields}");
            let header = |name: &str| headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
            let taken = hmac.check(AT + 10, &request(None), |name| header(name).map(leaked));
            assert!(taken.is_ok(), "{taken:?}");
        };
        check(
            r#"{"secretKey":"test-secret","algorithm":"sha256"}"#,
            None,
            "557b2491b54b3098c491b59b8eb0b1331097110d3300aebf936f2143decb0d7c",
        );
        check(
            r#"{"secretKey":"test-secret","algorithm":"sha256","includeTimestamp":false,"payloadFormat":"{body}"}"#,
            None,
            "98c2b66628ad4cab5de2c4b593493eab9ce3dcd5f3caecfdc9cc61212158a030",
        );
        check(
            r#"{"secretKey":"test-secret","algorithm":"sha512","signatureEncoding":"base64","timestampHeader":null}"#,
            None,
            "ySdPr26YZjWnJ1a3sCgK89E444cmWydhF5lhX1RB21AU7mkSBUaMBeToSXe+3nXcim6oHkF3nHZP0D9YYJDIfg==",
        );
        check(
            &format!(
                r#"{{"secretKey":"{BASE64_SECRET}","secretIsBase64":true,"algorithm":"sha256","signatureEncoding":"base64",
                "payloadFormat":"{{svix-id}}.{{timestamp}}.{{body}}","messageIdHeader":"webhook-id"}}"#
            ),
            Some("msg_1"),
            "Vtd7c4G5xSIa2g3jHLrFbvwVbRDzTw6NcieSYmCHEAc=",
        );
    }

    /// A test's strings may live for ever.
    fn leaked(text: &str) -> &'static str {
        Box::leak(text.to_owned().into_boxed_str())
    }

    #[test]
    fn method_address_prefix_and_names_of_headers_count() {
        let hmac = Hmac::new(&plan(
            r#"{"secretKey":"s","algorithm":"sha1","signatureHeader":"X-Hub","signaturePrefix":"sha1=",
            "payloadFormat":"{method} {url} {timestamp} {body}","timestampHeader":"X-When"}"#,
        ))
        .unwrap();
        assert!(hmac.signs_url());
        let headers = hmac.headers(AT, &request(None));
        assert_eq!((headers[0].0.as_str(), headers[1].0.as_str()), ("x-hub", "x-when"));
        let signature = leaked(&headers[0].1);
        assert!(signature.starts_with("sha1="));
        let header = |name: &str| match name {
            "x-hub" => Some(signature),
            _ => Some("1760000000"),
        };
        assert!(hmac.check(AT, &request(None), header).is_ok());
        for other in [Request { method: "PUT", ..request(None) }, Request { url: "https://x.test", ..request(None) }] {
            assert_eq!(hmac.check(AT, &other, header), Err(SignatureError::Mismatch));
        }
        let bare = |name: &str| header(name).map(|value| value.trim_start_matches("sha1="));
        assert_eq!(hmac.check(AT, &request(None), bare), Err(SignatureError::Malformed));
    }

    #[test]
    fn a_plan_that_cannot_be_carried_out_names_its_field() {
        let check = |json: &str, field: &str, what: &str| {
            let error = Hmac::new(&plan(json)).unwrap_err();
            assert_eq!(error.field, field, "{json}");
            assert!(error.to_string().contains(what), "{error}");
        };
        check(r#"{"secretKey":"","algorithm":"sha256"}"#, "secretKey", "empty");
        check(r#"{"secretKey":"!","secretIsBase64":true,"algorithm":"sha256"}"#, "secretKey", "base64");
        check(r#"{"secretKey":"s","algorithm":"sha256","payloadFormat":"{timestamp}"}"#, "payloadFormat", "{body}");
        check(r#"{"secretKey":"s","algorithm":"sha256","payloadFormat":"{body}"}"#, "payloadFormat", "agree");
        check(r#"{"secretKey":"s","algorithm":"sha256","payloadFormat":"{bodi}"}"#, "payloadFormat", "{bodi}");
        check(
            r#"{"secretKey":"s","algorithm":"sha256","payloadFormat":"{svix-id}{timestamp}{body}"}"#,
            "payloadFormat",
            "the header that carries it",
        );
        check(r#"{"secretKey":"s","algorithm":"sha256","signatureHeader":"a b"}"#, "signatureHeader", "header");
    }
}
