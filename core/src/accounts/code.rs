//! Passwords that are known in plain, as they stand in memory: under a key of this process.

use std::fmt;
use std::sync::LazyLock;

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
