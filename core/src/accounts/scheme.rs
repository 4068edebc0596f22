//! How an account keeps its secret, and how a password is held against it.

use std::fmt;

use argon2::{Argon2, PasswordHash, PasswordHasher, PasswordVerifier};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::secret::Secret;

/// A key of this process, under which passwords that are known in plain are kept: what stands in memory is of no use
/// elsewhere, and holding a password against it costs a microsecond.
pub(super) struct MemoryKey(Secret);

/// What an account keeps.
#[derive(Debug)]
pub(super) enum Stored {
    /// For a password that the command line or the configuration told in plain.
    Keyed {
        mac: [u8; 32],
        /// Kept only where APOP needs it.
        plain: Option<Secret>,
    },
    /// An argon2id hash as a PHC string.
    Argon2id(Box<PasswordHash>),
}

/// Why a secret cannot be kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SchemeError {
    /// The scheme between braces is none of those that are known.
    UnknownScheme,
    /// What follows `{ARGON2ID}` is not the hash of that scheme.
    BadHash,
}

impl fmt::Display for SchemeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::UnknownScheme => "unknown scheme, known are {ARGON2ID} and {PLAIN}",
            Self::BadHash => "no argon2id hash, which begins with $argon2id$v=19$",
        })
    }
}

impl std::error::Error for SchemeError {}

impl MemoryKey {
    /// A key that nobody knows.
    ///
    /// # Panics
    /// Where the system gives no random octets: nothing could be kept safely.
    pub(super) fn random() -> Self {
        let mut key = [0; 32];
        getrandom::fill(&mut key).expect("the system gives random octets");
        Self(Secret::new(&key))
    }

    fn mac(&self, password: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.octets()).expect("a key may have any length");
        mac.update(password);
        mac
    }
}

impl Stored {
    pub(super) fn keyed(key: &MemoryKey, password: &[u8], keeps_plain: bool) -> Self {
        let mac = key.mac(password).finalize().into_bytes().into();
        Self::Keyed { mac, plain: keeps_plain.then(|| Secret::new(password)) }
    }

    /// Reads `{SCHEME}secret`.
    pub(super) fn parse(text: &str, key: &MemoryKey, keeps_plain: bool) -> Result<Self, SchemeError> {
        let (scheme, secret) =
            text.strip_prefix('{').and_then(|text| text.split_once('}')).ok_or(SchemeError::UnknownScheme)?;
        if scheme.eq_ignore_ascii_case("PLAIN") {
            return Ok(Self::keyed(key, secret.as_bytes(), keeps_plain));
        }
        if !scheme.eq_ignore_ascii_case("ARGON2ID") {
            return Err(SchemeError::UnknownScheme);
        }
        let hash = PasswordHash::new(secret).map_err(|_| SchemeError::BadHash)?;
        let is_whole = hash.algorithm.as_str() == "argon2id" && hash.salt.is_some() && hash.hash.is_some();
        if is_whole { Ok(Self::Argon2id(Box::new(hash))) } else { Err(SchemeError::BadHash) }
    }

    /// Whether it is the password. In constant time for all that are of one scheme.
    pub(super) fn verify(&self, key: &MemoryKey, password: &[u8]) -> bool {
        match self {
            Self::Keyed { mac, .. } => key.mac(password).verify_slice(mac).is_ok(),
            Self::Argon2id(hash) => Argon2::default().verify_password(password, hash.as_ref()).is_ok(),
        }
    }
}

/// A hash that no password fits, for accounts that do not exist: holding one against it costs as much.
pub(super) fn nobody() -> Option<PasswordHash> {
    let mut password = [0; 32];
    getrandom::fill(&mut password).ok()?;
    Argon2::default().hash_password(&password).ok()
}
