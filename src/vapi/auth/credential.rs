//! How we show who we are to a server that speaks Vapi: the headers for the exact bytes of one request.
//!
//! Nothing is fetched in here. An OAuth2 plan says what to send to its token endpoint and reads the answer; whoever owns
//! a client does the asking and keeps the token until it is no longer [fresh](AccessToken::is_fresh).

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{Hmac, HmacPlan, PlanError, Request};

/// The header of Vapi's old shared secret, in lower case.
pub const SECRET_HEADER: &str = "x-vapi-secret";

/// A token is renewed so many seconds before it ends: it must last until the request has been read.
const RENEWED_BEFORE_S: i64 = 30;

/// How long a token lasts that does not say so, in seconds.
const LIFE_S: i64 = 300;

/// What a credential says of itself: `authenticationPlan` in Vapi's webhook and custom credentials.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Plan {
    /// A token in a header.
    Bearer(BearerPlan),
    /// A signature.
    Hmac(HmacPlan),
    /// A token that is fetched first.
    OAuth2(OAuth2),
}

/// A token in a header.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BearerPlan {
    /// The token.
    pub token: SecretString,
    /// The header; `Authorization`.
    #[serde(default)]
    pub header_name: Option<String>,
    /// Whether `Bearer ` stands before it; it does.
    #[serde(default)]
    pub bearer_prefix_enabled: Option<bool>,
}

/// What we show.
#[derive(Debug, Clone)]
pub enum Credential {
    /// Nothing.
    None,
    /// The shared secret of old: `x-vapi-secret`.
    Secret(SecretString),
    /// A token in a header, complete with its prefix.
    Bearer {
        /// The header.
        header: String,
        /// What stands in it.
        value: SecretString,
    },
    /// A signature.
    Hmac(Box<Hmac>),
    /// A token that is fetched first.
    OAuth2(OAuth2),
}

/// The client credentials of OAuth2.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OAuth2 {
    /// The token endpoint.
    pub url: String,
    /// Our name there.
    pub client_id: String,
    /// Our secret there.
    pub client_secret: SecretString,
    /// What the token is for.
    #[serde(default)]
    pub scope: Option<String>,
}

/// A token that was fetched.
#[derive(Debug, Clone)]
pub struct AccessToken {
    /// The token.
    token: SecretString,
    /// When it ends, in seconds since 1970.
    ends_s: i64,
}

/// The token must be fetched before the request can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no access token: ask the token endpoint first")]
pub struct NoToken;

/// The answer of a token endpoint that has no token in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the token endpoint's answer has no access_token of type Bearer")]
pub struct NoTokenInAnswer;

impl Credential {
    /// What a plan comes to.
    pub fn new(plan: Plan) -> Result<Self, PlanError> {
        Ok(match plan {
            Plan::Bearer(plan) => Self::bearer(
                &plan.token,
                plan.header_name.as_deref().unwrap_or("authorization"),
                plan.bearer_prefix_enabled.unwrap_or(true),
            ),
            Plan::Hmac(plan) => Self::Hmac(Box::new(Hmac::new(&plan)?)),
            Plan::OAuth2(plan) => Self::OAuth2(plan),
        })
    }

    /// A token in this header.
    pub fn bearer(token: &SecretString, header: &str, prefix: bool) -> Self {
        let prefix = if prefix { "Bearer " } else { "" };
        let value = SecretString::from(format!("{prefix}{}", token.expose_secret()));
        Self::Bearer { header: header.to_ascii_lowercase(), value }
    }

    /// The headers for these exact bytes, sent now. An OAuth2 credential needs the token that was fetched for it.
    pub fn headers(
        &self,
        now_s: i64,
        request: &Request<'_>,
        access: Option<&AccessToken>,
    ) -> Result<Vec<(String, SecretString)>, NoToken> {
        Ok(match self {
            Self::None => Vec::new(),
            Self::Secret(secret) => vec![(SECRET_HEADER.to_owned(), secret.clone())],
            Self::Bearer { header, value } => vec![(header.clone(), value.clone())],
            Self::Hmac(hmac) => {
                hmac.headers(now_s, request).into_iter().map(|(name, value)| (name, value.into())).collect()
            }
            Self::OAuth2(_) => {
                let access = access.filter(|access| access.is_fresh(now_s)).ok_or(NoToken)?;
                let value = format!("Bearer {}", access.token.expose_secret());
                vec![("authorization".to_owned(), value.into())]
            }
        })
    }
}

impl OAuth2 {
    /// The body of the request for a token, `application/x-www-form-urlencoded`, with the credentials in it.
    pub fn form(&self) -> SecretString {
        let mut form = String::from("grant_type=client_credentials");
        let secret = self.client_secret.expose_secret();
        for (name, value) in [("client_id", self.client_id.as_str()), ("client_secret", secret)] {
            let _ = fmt::Write::write_fmt(&mut form, format_args!("&{name}={}", escaped(value)));
        }
        if let Some(scope) = &self.scope {
            let _ = fmt::Write::write_fmt(&mut form, format_args!("&scope={}", escaped(scope)));
        }
        form.into()
    }

    /// Reads the answer to it.
    pub fn token(&self, now_s: i64, answer: &[u8]) -> Result<AccessToken, NoTokenInAnswer> {
        #[derive(Deserialize)]
        struct Answer {
            access_token: SecretString,
            #[serde(default)]
            token_type: Option<String>,
            #[serde(default)]
            expires_in: Option<f64>,
        }
        let answer: Answer = serde_json::from_slice(answer).map_err(|_| NoTokenInAnswer)?;
        let bearer = answer.token_type.is_none_or(|kind| kind.eq_ignore_ascii_case("bearer"));
        if !bearer || answer.access_token.expose_secret().is_empty() {
            return Err(NoTokenInAnswer);
        }
        let life_s = answer.expires_in.map_or(LIFE_S, |seconds| seconds as i64);
        Ok(AccessToken { token: answer.access_token, ends_s: now_s.saturating_add(life_s) })
    }
}

impl AccessToken {
    /// Whether it can still be sent.
    pub fn is_fresh(&self, now_s: i64) -> bool {
        now_s < self.ends_s.saturating_sub(RENEWED_BEFORE_S)
    }
}

/// A value as it stands in a form.
fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: i64 = 1_760_000_000;

    fn shown(credential: &Credential, access: Option<&AccessToken>) -> Vec<String> {
        let request = Request { method: "POST", url: "https://x.test", body: b"{}", id: None };
        let headers = credential.headers(AT, &request, access).unwrap();
        headers.iter().map(|(name, value)| format!("{name}: {}", value.expose_secret())).collect()
    }

    fn plan(json: &str) -> Credential {
        Credential::new(serde_json::from_str(json).unwrap()).unwrap()
    }

    #[test]
    fn each_plan_has_its_headers() {
        assert_eq!(shown(&Credential::None, None), [""; 0]);
        assert_eq!(shown(&Credential::Secret("shop".into()), None), ["x-vapi-secret: shop"]);
        assert_eq!(shown(&plan(r#"{"type":"bearer","token":"t"}"#), None), ["authorization: Bearer t"]);
        let old = r#"{"type":"bearer","token":"t","headerName":"X-Vapi-Secret","bearerPrefixEnabled":false}"#;
        assert_eq!(shown(&plan(old), None), ["x-vapi-secret: t"]);
        let signed = shown(&plan(r#"{"type":"hmac","secretKey":"s","algorithm":"sha256"}"#), None);
        assert!(signed[0].starts_with("x-signature: ") && signed[1] == format!("x-timestamp: {AT}"), "{signed:?}");
    }

    #[test]
    fn a_token_is_asked_for_as_a_form_and_used_while_it_lasts() {
        let credential = plan(
            r#"{"type":"oauth2","url":"https://id.test/token","clientId":"a b","clientSecret":"s&=","scope":"x y"}"#,
        );
        let Credential::OAuth2(oauth2) = &credential else { panic!("{credential:?}") };
        assert_eq!(
            oauth2.form().expose_secret(),
            "grant_type=client_credentials&client_id=a%20b&client_secret=s%26%3D&scope=x%20y"
        );
        let answer = br#"{"access_token":"at","token_type":"bearer","expires_in":60.0}"#;
        let token = oauth2.token(AT, answer).unwrap();
        assert_eq!(shown(&credential, Some(&token)), ["authorization: Bearer at"]);
        assert!(token.is_fresh(AT + 29) && !token.is_fresh(AT + 30));
        let request = Request { method: "POST", url: "https://x.test", body: b"{}", id: None };
        assert_eq!(credential.headers(AT, &request, None).unwrap_err(), NoToken);
        assert_eq!(credential.headers(AT + 31, &request, Some(&token)).unwrap_err(), NoToken);
        for bad in [&b"{}"[..], b"", br#"{"access_token":""}"#, br#"{"access_token":"a","token_type":"mac"}"#] {
            assert!(oauth2.token(AT, bad).is_err());
        }
    }

    #[test]
    fn nothing_secret_is_printed() {
        for json in [
            r#"{"type":"bearer","token":"geheim"}"#,
            r#"{"type":"hmac","secretKey":"geheim","algorithm":"sha256"}"#,
            r#"{"type":"oauth2","url":"u","clientId":"c","clientSecret":"geheim"}"#,
        ] {
            assert!(!format!("{:?}", plan(json)).contains("geheim"));
        }
    }
}
