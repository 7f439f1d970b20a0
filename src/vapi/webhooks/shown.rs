//! A credential and, where it is one that has to be fetched, its token: one fetch at a time, kept until shortly before it
//! ends.

use tokio::sync::Mutex;

use super::post::{Client, Fault};
use crate::vapi::auth::{AccessToken, Credential};

/// What we show to a server.
#[derive(Debug)]
pub(super) struct Shown {
    credential: Credential,
    /// Whoever holds it fetches; the others wait, and find the token.
    kept: Mutex<Option<Kept>>,
}

/// A token that was fetched.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    /// Counts the fetches, so that a token that was refused is not mistaken for the one after it.
    number: u64,
    pub(super) token: AccessToken,
}

impl Shown {
    pub(super) fn new(credential: Credential) -> Self {
        Self { credential, kept: Mutex::default() }
    }

    pub(super) const fn credential(&self) -> &Credential {
        &self.credential
    }

    /// The token, where this credential has one; another one than the `refused`.
    pub(super) async fn token(&self, client: &Client, refused: Option<&Kept>) -> Result<Option<Kept>, Fault> {
        let Credential::OAuth2(oauth2) = &self.credential else { return Ok(None) };
        let mut kept = self.kept.lock().await;
        let number = kept.as_ref().map_or(0, |kept| kept.number);
        let usable = |kept: &&Kept| kept.token.is_fresh(now_s()) && refused.is_none_or(|it| it.number != kept.number);
        if let Some(kept) = kept.as_ref().filter(usable) {
            return Ok(Some(kept.clone()));
        }
        let answer = client.fetch_token(&oauth2.url, oauth2.form()).await?;
        let token = oauth2.token(now_s(), &answer).map_err(|_| Fault::NoToken)?;
        let fetched = Kept { number: number + 1, token };
        *kept = Some(fetched.clone());
        Ok(Some(fetched))
    }
}

/// Seconds since 1970: signatures and tokens are about the moment of sending.
pub(super) fn now_s() -> i64 {
    jiff::Timestamp::now().as_second()
}
