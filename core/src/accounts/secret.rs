//! Octets that no log and no `Debug` may show, and that are wiped when they are no longer needed.

use std::fmt;
use std::sync::LazyLock;

use zeroize::Zeroizing;

/// A password or what it could be found from.
pub struct Secret(Zeroizing<Box<[u8]>>);

impl Secret {
    /// Takes the octets.
    #[must_use]
    pub fn new(octets: &[u8]) -> Self {
        Self(Zeroizing::new(octets.into()))
    }

    /// One that nobody knows.
    ///
    /// # Panics
    /// Where the system gives no random octets: nothing could be kept safely.
    pub(crate) fn random() -> Self {
        let mut octets = [0; 32];
        getrandom::fill(&mut octets).expect("the system gives random octets");
        Self::new(&octets)
    }

    /// Stands for the secret of who has none.
    ///
    /// # Panics
    /// Where the system gives no random octets.
    pub(super) fn of_nobody() -> &'static Self {
        static NOBODY: LazyLock<Secret> = LazyLock::new(Secret::random);
        &NOBODY
    }

    /// The octets, for a comparison or a hash and nothing else.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}
