//! How an account keeps its secret, and how a password is held against it.

use std::fmt;
use std::hint::black_box;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use argon2::{
    Algorithm, Argon2, MIN_SALT_LEN, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version,
};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::secret::Secret;

/// Most memory of one hash, in KiB: every login at once takes as much, and one that failed too.
const MEMORY_MAX: u32 = 1 << 20;

/// Most passes of one hash.
const PASSES_MAX: u32 = 64;

/// A key of this process, under which passwords that are known in plain are kept: what stands in memory is of no use
/// elsewhere, and holding a password against it costs a microsecond.
pub(super) struct MemoryKey(Secret);

/// What the key makes of a password, or of a name.
pub(super) type Code = [u8; 32];

/// What an account keeps.
#[derive(Debug)]
pub(super) enum Stored {
    /// For a password that the command line, the configuration or an accounts file told in plain.
    Keyed {
        code: Code,
        /// Kept only where APOP needs it.
        plain: Option<Secret>,
    },
    /// An argon2id hash as a PHC string, what finding it costs, and whether it was found lately.
    Argon2id(Box<PasswordHash>, Params, Verified),
}

/// How long a password that was right is known again without another hash. A client that polls costs one in that time.
const VERIFIED_FOR: Duration = Duration::from_secs(600);

/// The code of the password that was right, and until when that counts. It goes with the account's hash.
///
/// That the right password is answered sooner tells nothing to somebody who does not know it: a wrong one always
/// costs a hash.
#[derive(Default)]
pub(super) struct Verified(Mutex<Option<(Code, Instant)>>);

impl fmt::Debug for Verified {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Verified")
    }
}

impl Verified {
    fn knows(&self, code: &Code, now: Instant) -> bool {
        let known = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.is_some_and(|(known, until)| now < until && known.ct_eq(code).into())
    }

    fn learn(&self, code: Code, now: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((code, now + VERIFIED_FOR));
    }
}

/// An argon2id hash that was made here.
pub struct Hashed(PasswordHash, Params);

impl fmt::Display for Hashed {
    /// As an accounts file keeps it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{{ARGON2ID}}{}", self.0)
    }
}

/// Hashes a password with a new salt. Takes tens of milliseconds and some memory: called in a pool.
///
/// # Panics
/// Where the system gives no random octets: nothing could be kept safely.
#[must_use]
pub fn hash(password: &[u8]) -> Hashed {
    let mut salt = [0; SALT_LENGTH];
    getrandom::fill(&mut salt).expect("the system gives random octets");
    // The default costs: 19 MiB, 2 passes, 1 lane, as OWASP recommends at least.
    let params = Params::default();
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::default(), params.clone());
    let hash = argon2.hash_password_with_salt(password, &salt);
    Hashed(hash.expect("these costs are allowed, as is a salt of 16 octets"), params)
}

/// Octets of a salt.
const SALT_LENGTH: usize = 16;

/// Why a secret cannot be kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SchemeError {
    /// The scheme between braces is none of those that are known.
    UnknownScheme,
    /// What follows `{ARGON2ID}` is not the hash of that scheme.
    BadHash,
    /// The hash takes more memory or time than a login may.
    TooCostly,
}

impl fmt::Display for SchemeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::UnknownScheme => "unknown scheme; write {ARGON2ID} and a hash, or {PLAIN} and a password",
            Self::BadHash => {
                "no argon2id hash; it has the form $argon2id$v=19$m=19456,t=2,p=1$salt$hash, with a salt of 8 \
                 octets or more"
            }
            Self::TooCostly => "that hash is too costly for a login; at most m=1048576 and t=64",
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
        Self(random())
    }

    /// The code of some octets.
    pub(super) fn code(&self, octets: &[u8]) -> Code {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.octets()).expect("a key may have any length");
        mac.update(octets);
        mac.finalize().into_bytes().into()
    }
}

/// A secret that nobody knows.
///
/// # Panics
/// Where the system gives no random octets.
pub(super) fn random() -> Secret {
    let mut octets = [0; 32];
    getrandom::fill(&mut octets).expect("the system gives random octets");
    Secret::new(&octets)
}

impl Stored {
    pub(super) fn keyed(key: &MemoryKey, password: &[u8], keeps_plain: bool) -> Self {
        Self::Keyed { code: key.code(password), plain: keeps_plain.then(|| Secret::new(password)) }
    }

    pub(super) fn hashed(hashed: &Hashed) -> Self {
        let Hashed(hash, params) = hashed;
        Self::Argon2id(Box::new(hash.clone()), params.clone(), Verified::default())
    }

    /// Reads `{SCHEME}secret`. A hash that no password could be held against is found here, not at a login.
    pub(super) fn parse(stored: &[u8], key: &MemoryKey, keeps_plain: bool) -> Result<Self, SchemeError> {
        let stored = stored.strip_prefix(b"{").ok_or(SchemeError::UnknownScheme)?;
        let end = stored.iter().position(|&octet| octet == b'}').ok_or(SchemeError::UnknownScheme)?;
        let (scheme, secret) = (&stored[..end], &stored[end + 1..]);
        if scheme.eq_ignore_ascii_case(b"PLAIN") {
            Ok(Self::keyed(key, secret, keeps_plain))
        } else if scheme.eq_ignore_ascii_case(b"ARGON2ID") {
            Self::argon2id(secret)
        } else {
            Err(SchemeError::UnknownScheme)
        }
    }

    fn argon2id(secret: &[u8]) -> Result<Self, SchemeError> {
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
        Ok(Self::Argon2id(Box::new(hash), params, Verified::default()))
    }

    /// Whether it is the password, which `code` is the code of. In constant time for all that are of one scheme.
    pub(super) fn verify(&self, password: &[u8], code: &Code, now: Instant) -> bool {
        match self {
            Self::Keyed { code: expected, .. } => expected.ct_eq(code).into(),
            Self::Argon2id(hash, _, verified) => {
                verified.knows(code, now) || {
                    let is_right = Argon2::default().verify_password(password, hash.as_ref()).is_ok();
                    if is_right {
                        verified.learn(*code, now);
                    }
                    is_right
                }
            }
        }
    }

    /// Notes that the password of this code was right.
    pub(super) fn learn(&self, code: Code, now: Instant) {
        match self {
            Self::Keyed { .. } => {}
            Self::Argon2id(_, _, verified) => verified.learn(code, now),
        }
    }
}

/// Hashes a password for nothing, so that a login without a hash to be held against costs as much.
pub(super) fn spend(password: &[u8], params: &Params) {
    let mut hash = [0; Params::DEFAULT_OUTPUT_LEN];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::default(), params.clone());
    // That there is no memory for it fails a true login as well.
    let _ = argon2.hash_password_into(password, &[0; 16], &mut hash);
    black_box(hash);
}
