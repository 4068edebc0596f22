//! How an account keeps its secret, and how a password is held against it.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use zeroize::Zeroize;

use super::code::{Code, MemoryKey};
use super::hashed::{self, Hashed, SchemeError};
use super::prepared::form_to_keep;
use super::secret::Secret;
use super::verified::Verified;

/// What an account keeps.
#[derive(Debug)]
pub(super) enum Stored {
    /// For a password that the command line, the configuration or an accounts file told in plain.
    Keyed {
        code: Code,
        /// Kept only where APOP needs it.
        plain: Option<Secret>,
    },
    /// For one of which only the hash is kept.
    Hashed {
        hashed: Hashed,
        /// The password, for a while after it was found right.
        verified: Verified,
        /// Kept only where APOP needs it, and this process was told it.
        plain: Option<Secret>,
    },
    /// Any password is right (`nopassword`).
    Anything,
    /// None is (`*` or `!` for a hash).
    Nothing,
}

impl Stored {
    pub(super) fn keyed(key: &MemoryKey, password: &[u8], keeps_plain: bool) -> Self {
        Self::Keyed {
            code: key.code(&form_to_keep(password)),
            plain: keeps_plain.then(|| Secret::new(password)),
        }
    }

    /// Keeps a hash whose password is not known.
    pub(super) fn hashed(hashed: Hashed) -> Self {
        Self::Hashed { hashed, verified: Verified::default(), plain: None }
    }

    /// Keeps a hash whose password was just told, and so counts as verified.
    pub(super) fn told(
        hashed: Hashed,
        key: &MemoryKey,
        password: &[u8],
        keeps_plain: bool,
        now: Instant,
    ) -> Self {
        let plain = keeps_plain.then(|| Secret::new(password));
        Self::Hashed { hashed, verified: Verified::by(key.code(password), now), plain }
    }

    /// Reads `{SCHEME}secret`. A hash that no password could be held against is found here, not at a login.
    pub(super) fn parse(stored: &[u8], key: &MemoryKey, keeps_plain: bool) -> Result<Self, SchemeError> {
        let (scheme, secret) = hashed::split_scheme(stored).ok_or(SchemeError::UnknownScheme)?;
        let decoded = hashed::decoded(scheme, secret)?;
        if hashed::is_plain(decoded.scheme) {
            let stored = Self::keyed(key, &decoded.secret, keeps_plain);
            if let Cow::Owned(mut octets) = decoded.secret {
                octets.zeroize();
            }
            return Ok(stored);
        }
        // What crypt(3) has for an account that nobody logs in to.
        let is_locked = decoded.secret.starts_with(b"*") || decoded.secret.starts_with(b"!");
        if decoded.scheme.eq_ignore_ascii_case(b"CRYPT") && is_locked {
            return Ok(Self::Nothing);
        }
        Hashed::of_named(&decoded).map(Self::hashed)
    }

    /// Whether it is known already that `code` is the code of its password.
    ///
    /// A hash that was found right a short time ago is answered without finding it again. How fast that is tells
    /// nothing to who does not know the password: a wrong one never matches the code, so it costs one hash whether a
    /// code is remembered or not, and comparing codes takes the same time however much of them is alike. Who does
    /// know the password learns only that somebody used it, besides that it is right, which the reply says anyway.
    pub(super) fn recognize(&self, code: &Code, now: Instant) -> bool {
        match self {
            Self::Keyed { code: expected, .. } => expected.is(code),
            Self::Hashed { verified, .. } => verified.is(code, now),
            Self::Anything => true,
            Self::Nothing => false,
        }
    }

    /// Whether it is the hash of the password, which `code` is the code of. `hashes` counts what it costs.
    pub(super) fn verify(&self, password: &[u8], code: &Code, now: Instant, hashes: &AtomicU64) -> bool {
        let Self::Hashed { hashed, verified, .. } = self else { return false };
        hashes.fetch_add(1, Ordering::Relaxed);
        let is_right = hashed.verify(password);
        if is_right {
            verified.remember(code.clone(), now);
        }
        is_right
    }

    /// Whether it is of the same password for certain. Where none lets in, there is none that could be another.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Keyed { code, .. }, Self::Keyed { code: other, .. }) => code.is(other),
            (Self::Hashed { hashed, .. }, Self::Hashed { hashed: other, .. }) => hashed == other,
            (Self::Anything, Self::Anything) | (_, Self::Nothing) => true,
            (Self::Keyed { .. } | Self::Hashed { .. } | Self::Anything | Self::Nothing, _) => false,
        }
    }

    /// The secret itself, where it is kept.
    pub(super) fn plain(&self) -> Option<&Secret> {
        match self {
            Self::Keyed { plain, .. } | Self::Hashed { plain, .. } => plain.as_ref(),
            Self::Anything | Self::Nothing => None,
        }
    }

    /// The hash, where it has one.
    pub(super) fn hash(&self) -> Option<&Hashed> {
        match self {
            Self::Keyed { .. } | Self::Anything | Self::Nothing => None,
            Self::Hashed { hashed, .. } => Some(hashed),
        }
    }
}
