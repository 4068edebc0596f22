//! Argon2id hashes: made, read, written, and what it costs to hold a password against one.

use std::fmt;
use std::hint::black_box;
use std::io;
use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, MIN_SALT_LEN, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version,
};

use super::scheme::{SchemeError, split_scheme};

/// Most memory of one hash, in KiB: every login at once takes as much, and one that failed too.
const MEMORY_MAX: u32 = 1 << 20;
/// Most passes of one hash.
const PASSES_MAX: u32 = 64;

/// Memory in KiB of a hash that is made here. These costs are what OWASP's Password Storage Cheat Sheet names first.
const MEMORY: u32 = 19 * 1024;
/// Passes of a hash that is made here.
const PASSES: u32 = 2;
/// Lanes of a hash that is made here.
const LANES: u32 = 1;
/// Octets of the salt of a hash that is made here (RFC 9106, section 3.1).
const SALT_LENGTH: usize = 16;
const _: () = assert!(MEMORY <= MEMORY_MAX && PASSES <= PASSES_MAX, "what is made here must be taken");
const _: () = assert!(SALT_LENGTH >= MIN_SALT_LEN, "the same of its salt");

/// The scheme's name in an accounts file.
const SCHEME: &str = "ARGON2ID";

/// An argon2id hash of a password. Cheap to clone; `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Hashed(Arc<Parts>);

struct Parts {
    hash: PasswordHash,
    /// Its memory, passes and lanes, and nothing else that the hash says of itself.
    params: Params,
}

/// Hashes a password with a salt of its own. Takes long, and much memory: called in the pool.
///
/// # Errors
/// Where there is no memory for it, or the system gives no random octets.
pub fn hash(password: &[u8]) -> io::Result<Hashed> {
    let mut salt = [0; SALT_LENGTH];
    getrandom::fill(&mut salt).map_err(io::Error::other)?;
    let params = Params::new(MEMORY, PASSES, LANES, None).map_err(io::Error::other)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    let hash = argon2.hash_password_with_salt(password, &salt).map_err(io::Error::other)?;
    Ok(Hashed(Arc::new(Parts { hash, params })))
}

impl Hashed {
    /// Reads `{ARGON2ID}` and a PHC string. A hash that no password could be held against is found here.
    ///
    /// # Errors
    /// Where it is of another scheme, no hash, or one that takes too much memory or time.
    pub fn parse(stored: &[u8]) -> Result<Self, SchemeError> {
        let (scheme, secret) = split_scheme(stored).ok_or(SchemeError::UnknownScheme)?;
        if !scheme.eq_ignore_ascii_case(SCHEME.as_bytes()) {
            return Err(SchemeError::UnknownScheme);
        }
        let text = std::str::from_utf8(secret.trim_ascii()).map_err(|_| SchemeError::BadHash)?;
        let hash = PasswordHash::new(text).map_err(|_| SchemeError::BadHash)?;
        let is_argon2id = hash.algorithm.as_str() == Algorithm::Argon2id.as_str();
        let is_version = hash.version.is_none_or(|version| Version::try_from(version).is_ok());
        let is_salted = hash.salt.is_some_and(|salt| salt.len() >= MIN_SALT_LEN);
        if !(is_argon2id && is_version && is_salted && hash.hash.is_some()) {
            return Err(SchemeError::BadHash);
        }
        let params = Params::try_from(&hash).map_err(|_| SchemeError::BadHash)?;
        if params.m_cost() > MEMORY_MAX || params.t_cost() > PASSES_MAX {
            return Err(SchemeError::TooCostly);
        }
        // With the length of this hash, `spend` would make none of its own, and cost nothing.
        let params = Params::new(params.m_cost(), params.t_cost(), params.p_cost(), None)
            .map_err(|_| SchemeError::BadHash)?;
        Ok(Self(Arc::new(Parts { hash, params })))
    }

    /// The form in which an accounts file keeps it, `{ARGON2ID}$argon2id$...`; [`Hashed::parse`] reads it.
    #[must_use]
    pub fn stored(&self) -> String {
        format!("{{{SCHEME}}}{}", self.0.hash)
    }

    /// Whether it is the hash of that password. Takes long.
    pub(super) fn verify(&self, password: &[u8]) -> bool {
        Argon2::default().verify_password(password, &self.0.hash).is_ok()
    }

    /// What it costs.
    pub(super) fn params(&self) -> &Params {
        &self.0.params
    }
}

impl PartialEq for Hashed {
    fn eq(&self, other: &Self) -> bool {
        self.0.hash == other.0.hash
    }
}

impl Eq for Hashed {}

impl fmt::Debug for Hashed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Hashed")
    }
}

/// Hashes a password for nothing, so that a login without a hash to be held against costs as much. Says whether it
/// could: without the memory for it, a true login fails as well.
pub(super) fn spend(password: &[u8], params: &Params) -> bool {
    let mut hash = [0; Params::DEFAULT_OUTPUT_LEN];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::default(), params.clone());
    let is_spent = argon2.hash_password_into(password, &[0; 16], &mut hash).is_ok();
    black_box(hash);
    is_spent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_made_with_its_named_costs_and_a_salt_of_its_own() {
        let (hashed, other) = (hash(b"secret").unwrap(), hash(b"secret").unwrap());
        assert!(hashed.stored().starts_with("{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1$"));
        assert_ne!(hashed, other);
        assert!(hashed.verify(b"secret") && other.verify(b"secret") && !hashed.verify(b"secre"));
        let read = Hashed::parse(hashed.stored().as_bytes()).unwrap();
        assert_eq!(read, hashed);
        assert_eq!(read.params(), hashed.params());
        assert_eq!(format!("{hashed:?}"), "Hashed");
    }

    #[test]
    fn a_hash_of_any_length_and_form_can_be_spent() {
        for (form, length) in [
            ("$v=19$m=8,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5Q", "16"),
            ("$v=16$m=64,t=3,p=4$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "32"),
            (
                "$m=8,t=1,p=1,keyid=Hj5+dsK0,data=sRlHhRmKUGzdOmXn01XmXygd5Kc$c29tZXNhbHQ$\
                 iPBVuORECm5biUsjq33hn9/7BKqy9aPWKhFfK2haEsMiPBVuORECm5biUsjq33hn9/7BKqy9aPWKhFfK2haEsA",
                "64",
            ),
        ] {
            let hashed = Hashed::parse(format!("{{ARGON2ID}}$argon2id{form}").as_bytes()).unwrap();
            assert!(spend(b"wrong", hashed.params()), "{length} octets");
        }
    }
}
