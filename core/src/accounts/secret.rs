//! Octets that no log and no `Debug` may show, and that are wiped when they are no longer needed.

use std::fmt;

use zeroize::Zeroizing;

/// A password or what it could be found from.
pub struct Secret(Zeroizing<Box<[u8]>>);

impl Secret {
    /// Takes the octets.
    #[must_use]
    pub fn new(octets: &[u8]) -> Self {
        Self(Zeroizing::new(octets.into()))
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
