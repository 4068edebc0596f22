//! Passwords that are known in plain, as they stand in memory: under a key of this process.

use std::fmt;
use std::sync::{LazyLock, OnceLock};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::secret::Secret;

/// A key of this process, under which passwords that are known in plain are kept: what stands in memory is of no use
/// elsewhere, and holding a password against it costs a microsecond.
pub(super) struct MemoryKey(Secret);

/// What the key makes of a password, or of a name.
#[derive(Clone)]
pub(super) struct Code([u8; 32]);

impl MemoryKey {
    /// The key of this process: one for all accounts, so that what was found under it holds when they are replaced.
    ///
    /// # Panics
    /// Where the system gives no random octets: nothing could be kept safely.
    pub(super) fn of_process() -> &'static Self {
        static KEY: LazyLock<MemoryKey> = LazyLock::new(|| MemoryKey(Secret::random()));
        &KEY
    }

    /// The key by which a name stands for a cost, and for the salt that SCRAM shows of it: the one that was given to
    /// [`answer_names_by`], else that of this process.
    pub(super) fn of_names() -> &'static Self {
        NAMES.get().unwrap_or_else(Self::of_process)
    }

    /// The code of some octets.
    pub(super) fn code(&self, octets: &[u8]) -> Code {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.octets()).expect("a key may have any length");
        mac.update(octets);
        Code(mac.finalize().into_bytes().into())
    }
}

/// The key of names, where one is kept over restarts.
static NAMES: OnceLock<MemoryKey> = OnceLock::new();

/// Has names answered by a key that outlives the process. Otherwise what is told of a name without an account would be
/// another thing behind a restart, and what is told of an account would not. The first key of a process holds.
pub fn answer_names_by(key: Secret) {
    // One that was given before is as good.
    let _ = NAMES.set(MemoryKey(key));
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
