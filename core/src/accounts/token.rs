//! Tokens that say by themselves for whom they are (JWT, RFC 7519), and the keys of those who give them.
//!
//! Each key is good for one algorithm alone, which follows from what it is: so the header of a token chooses among keys,
//! and never how one is used. What is signed by no algorithm is not even read.

mod keys;
mod provider;

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Map, Value};

use super::UserName;
use super::prepared;

pub use self::keys::KeyError;

/// Longest leeway for clocks that differ.
pub const LEEWAY_MAX: Duration = Duration::from_secs(600);

/// Keys that tokens are looked at with, and what a token has to say.
#[derive(Clone, Default)]
pub struct TokenKeys {
    keys: Vec<Key>,
    /// Who gives tokens: `iss` is one of these.
    issuers: Vec<String>,
    /// Whom tokens are for: one of `aud` is one of these.
    audiences: Vec<String>,
    /// The claim that is the user name.
    user_claim: String,
    /// How far clocks may differ.
    leeway: Duration,
}

/// A key, and the one algorithm that it is good for.
#[derive(Clone)]
struct Key {
    /// Its name in a set; none: it has none.
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

impl fmt::Debug for TokenKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TokenKeys")
    }
}

impl TokenKeys {
    /// No keys yet. A token has to be of one of these issuers, for one of these audiences, and not older than it says; clocks
    /// may differ by `leeway`, at most [`LEEWAY_MAX`].
    #[must_use]
    pub fn new(issuers: Vec<String>, audiences: Vec<String>, user_claim: &str, leeway: Duration) -> Self {
        provider::install();
        let (keys, leeway) = (Vec::new(), leeway.min(LEEWAY_MAX));
        Self { keys, issuers, audiences, user_claim: user_claim.to_owned(), leeway }
    }

    /// Whether no token can be good.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The algorithms that tokens may be signed by, by their names.
    #[must_use]
    pub fn algorithms(&self) -> BTreeSet<String> {
        self.keys.iter().map(|key| format!("{:?}", key.algorithm)).collect()
    }

    /// For whom a token is; none: it is no good, for whatever reason.
    #[must_use]
    pub fn user(&self, token: &str) -> Option<UserName> {
        let header = decode_header(token).ok()?;
        let fits = |key: &&Key| {
            let is_named = match (&header.kid, &key.id) {
                (Some(wanted), Some(id)) => wanted == id,
                (Some(_) | None, None) | (None, Some(_)) => true,
            };
            is_named && key.algorithm == header.alg
        };
        let claims = self.keys.iter().filter(fits).find_map(|key| {
            decode::<Map<String, Value>>(token, &key.key, &self.validation(key.algorithm)).ok()
        })?;
        // The library takes a list of issuers as well, of which the token could be anybody's (RFC 7519, section 4.1.1).
        claims.claims.get("iss")?.as_str()?;
        let name = claims.claims.get(&self.user_claim)?.as_str()?.as_bytes();
        UserName::parse(&prepared(name))
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.leeway = self.leeway.as_secs();
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.set_issuer(&self.issuers);
        validation.set_audience(&self.audiences);
        validation
    }
}

#[cfg(test)]
mod tests;
