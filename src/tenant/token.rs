//! The tokens that open a tenant's door, compared in constant time.

use ring::{
    hmac,
    rand::{SecureRandom, SystemRandom},
};
use secrecy::{ExposeSecret, SecretString};

/// A tenant's tokens; several, so that one can be changed while the old one still works.
///
/// Kept as keyed digests: comparing two digests under a key that nobody knows says nothing about how much of a guess
/// was right, nor how long the token is.
pub struct Tokens {
    /// Made up at start.
    key: hmac::Key,
    /// The digest of each token.
    digests: Vec<hmac::Tag>,
}

impl Tokens {
    /// Takes the tokens; none of them means that nobody is let in.
    pub fn new<'a>(tokens: impl IntoIterator<Item = &'a SecretString>) -> Self {
        let mut secret = [0; 32];
        SystemRandom::new().fill(&mut secret).expect("the system has randomness");
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        let digests = tokens.into_iter().map(|token| hmac::sign(&key, token.expose_secret().as_bytes())).collect();
        Self { key, digests }
    }

    /// Whether this is one of them. Takes the same time for every guess.
    pub fn hold(&self, guess: &str) -> bool {
        self.digests
            .iter()
            .fold(false, |found, digest| hmac::verify(&self.key, guess.as_bytes(), digest.as_ref()).is_ok() | found)
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tokens({})", self.digests.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_opens_and_nothing_else_does() {
        let tokens = Tokens::new(&[SecretString::from("vecchio"), SecretString::from("nuovo")]);
        assert!(tokens.hold("vecchio") && tokens.hold("nuovo"));
        assert!(!tokens.hold("") && !tokens.hold("nuov") && !tokens.hold("nuovo "));
        assert!(!Tokens::new(&[]).hold(""));
    }
}
