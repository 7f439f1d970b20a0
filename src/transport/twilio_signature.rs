//! Whether a request is Twilio's: the `X-Twilio-Signature` of webhooks and of the WebSocket upgrade.
//!
//! The signature covers the address exactly as it stands in Twilio's settings or in our TwiML, so the address checked
//! must be built from our configured public host (`wss://` for the upgrade, `https://` for a webhook), never from
//! headers of the request: a proxy, or a stranger, can write those.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use ring::{digest, hmac};
use secrecy::{ExposeSecret, SecretString};

/// The header with the signature, in lower case.
pub const SIGNATURE_HEADER: &str = "x-twilio-signature";

/// The header that names another key and hash; absent in most accounts. In lower case.
pub const SETTINGS_HEADER: &str = "x-twilio-webhooks-signature-settings";

/// Whoever checks signatures for one account.
#[derive(Debug)]
pub struct Verifier {
    /// The account's primary auth token: the key of ordinary signatures.
    auth_token: SecretString,
    /// Keys made for webhooks only: their id and secret.
    shared_keys: Vec<(String, SecretString)>,
}

/// What the request carried besides its address.
#[derive(Debug, Clone, Copy)]
pub enum Body<'a> {
    /// Nothing: a GET, or the upgrade of a WebSocket.
    None,
    /// A form: decoded names and values, in any order.
    Form(&'a [(&'a str, &'a str)]),
    /// Anything else, JSON above all: the raw bytes. The address must carry their hash as `bodySHA256`.
    Raw(&'a [u8]),
}

/// Why a request is not taken for Twilio's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not a signature at all.
    #[error("x-twilio-signature is not base64")]
    Malformed,
    /// The settings name a key we were not given.
    #[error("signed with a shared key that is not configured: add its id and secret")]
    UnknownKey,
    /// The settings cannot be read, or ask for a hash we do not know.
    #[error("x-twilio-webhooks-signature-settings must be key=<id>,algorithm=HMAC_SHA256")]
    Settings,
    /// The body is not the one that was signed, or was not signed.
    #[error("the body does not have the hash that the address carries as bodySHA256")]
    Body,
    /// Signed with another key, or for another address or body.
    #[error("the signature does not match: check the auth token and the public address (scheme, host, path, query)")]
    Mismatch,
}

impl Verifier {
    /// For an account with this auth token.
    pub fn new(auth_token: SecretString) -> Self {
        Self { auth_token, shared_keys: Vec::new() }
    }

    /// Accepts what is signed with this key as well.
    pub fn with_shared_key(mut self, id: impl Into<String>, secret: SecretString) -> Self {
        self.shared_keys.push((id.into(), secret));
        self
    }

    /// Checks one request: its full public address, its body, and the values of [`SIGNATURE_HEADER`] and
    /// [`SETTINGS_HEADER`]. Signatures are compared in constant time.
    pub fn check(
        &self,
        url: &str,
        body: Body<'_>,
        signature: &str,
        settings: Option<&str>,
    ) -> Result<(), SignatureError> {
        let key = self.key(settings)?;
        let signature = BASE64.decode(signature.trim()).map_err(|_| SignatureError::Malformed)?;
        let mut params = match body {
            Body::None => Vec::new(),
            Body::Form(params) => params.to_vec(),
            Body::Raw(bytes) => {
                let hash = body_hash(url).ok_or(SignatureError::Body)?;
                if !has_hash(bytes, hash) {
                    return Err(SignatureError::Body);
                }
                Vec::new()
            }
        };
        // Names in byte order; of one name, its different values in order.
        params.sort_unstable();
        params.dedup();
        // Twilio is not consistent about the port: as it is, without, and with the usual one.
        let (bare, usual) = ports(url);
        let matches = [Some(url), bare.as_deref(), usual.as_deref()].into_iter().flatten().any(|url| {
            let mut signed = url.to_owned();
            for (name, value) in &params {
                signed.push_str(name);
                signed.push_str(value);
            }
            hmac::verify(&key, signed.as_bytes(), &signature).is_ok()
        });
        if matches { Ok(()) } else { Err(SignatureError::Mismatch) }
    }

    fn key(&self, settings: Option<&str>) -> Result<hmac::Key, SignatureError> {
        let Some(settings) = settings else {
            let token = self.auth_token.expose_secret().as_bytes();
            return Ok(hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token));
        };
        let field = |wanted: &str| {
            settings.split(',').filter_map(|part| part.split_once('=')).find(|(name, _)| name.trim() == wanted)
        };
        let (Some((_, id)), Some((_, algorithm))) = (field("key"), field("algorithm")) else {
            return Err(SignatureError::Settings);
        };
        if algorithm.trim() != "HMAC_SHA256" {
            return Err(SignatureError::Settings);
        }
        let secret = self.shared_keys.iter().find(|(known, _)| known == id.trim());
        let (_, secret) = secret.ok_or(SignatureError::UnknownKey)?;
        Ok(hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes()))
    }
}

/// The hash of the body that the address carries.
fn body_hash(url: &str) -> Option<&str> {
    let query = url.split_once('?')?.1;
    let query = query.split('#').next()?;
    query.split('&').find_map(|pair| pair.strip_prefix("bodySHA256="))
}

/// Both sides are public, so the comparison need not hide anything.
fn has_hash(bytes: &[u8], hex: &str) -> bool {
    let hash = digest::digest(&digest::SHA256, bytes);
    let nibble = |digit: u8| (digit as char).to_digit(16);
    hex.len() == 64
        && hex.as_bytes().chunks_exact(2).zip(hash.as_ref()).all(|(pair, byte)| {
            nibble(pair[0]).zip(nibble(pair[1])).is_some_and(|(high, low)| high << 4 | low == u32::from(*byte))
        })
}

/// The address without its port, if it has one, and with the usual port of its scheme, if it has none.
fn ports(url: &str) -> (Option<String>, Option<String>) {
    let Some((scheme, rest)) = url.split_once("://") else { return (None, None) };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    // A colon inside the brackets of an IPv6 address is no port's.
    match authority.rfind(':').filter(|at| !authority[*at..].contains(']')) {
        Some(colon) => (Some(format!("{scheme}://{}{path}", &authority[..colon])), None),
        None => {
            let port = match scheme {
                "https" | "wss" => 443,
                "http" | "ws" => 80,
                _ => return (None, None),
            };
            (None, Some(format!("{scheme}://{authority}:{port}{path}")))
        }
    }
}
