//! How an account keeps its secret, and how a password is held against it.

use std::fmt;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::hashed::{self, Hashed, SchemeError};
use super::secret::Secret;
use super::verified::Verified;

/// A key of this process, under which passwords that are known in plain are kept: what stands in memory is of no use
/// elsewhere, and holding a password against it costs a microsecond.
pub(super) struct MemoryKey(Secret);

/// What the key makes of a password, or of a name.
#[derive(Clone)]
pub(super) struct Code([u8; 32]);

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

impl MemoryKey {
    /// The key of this process: one for all accounts, so that what was found under it holds when they are replaced.
    ///
    /// # Panics
    /// Where the system gives no random octets: nothing could be kept safely.
    pub(super) fn of_process() -> &'static Self {
        static KEY: LazyLock<MemoryKey> = LazyLock::new(|| MemoryKey(random()));
        &KEY
    }

    /// The code of some octets.
    pub(super) fn code(&self, octets: &[u8]) -> Code {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.octets()).expect("a key may have any length");
        mac.update(octets);
        Code(mac.finalize().into_bytes().into())
    }
}

impl Code {
    /// Whether it is the code of the same octets; in constant time.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// Its octets, where it stands for a salt.
    pub(super) fn octets(&self) -> &[u8] {
        &self.0
    }

    /// A number that is always the same for the same octets.
    pub(super) fn number(&self) -> u32 {
        let [first, second, third, fourth, ..] = self.0;
        u32::from_ne_bytes([first, second, third, fourth])
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Code")
    }
}

/// A secret that nobody knows.
///
/// # Panics
/// Where the system gives no random octets.
fn random() -> Secret {
    let mut octets = [0; 32];
    getrandom::fill(&mut octets).expect("the system gives random octets");
    Secret::new(&octets)
}

/// Stands for the secret of who has none.
///
/// # Panics
/// Where the system gives no random octets.
pub(super) fn nobody() -> &'static Secret {
    static NOBODY: LazyLock<Secret> = LazyLock::new(random);
    &NOBODY
}

impl Stored {
    pub(super) fn keyed(key: &MemoryKey, password: &[u8], keeps_plain: bool) -> Self {
        Self::Keyed { code: key.code(password), plain: keeps_plain.then(|| Secret::new(password)) }
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
        let (scheme, secret) = hashed::decoded(scheme, secret)?;
        if hashed::is_plain(scheme) {
            return Ok(Self::keyed(key, &secret, keeps_plain));
        }
        // What crypt(3) has for an account that nobody logs in to.
        if scheme.eq_ignore_ascii_case(b"CRYPT") && (secret.starts_with(b"*") || secret.starts_with(b"!")) {
            return Ok(Self::Nothing);
        }
        Hashed::of_named(scheme, &secret).map(Self::hashed)
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
