//! Message-numbers and octet counts, in types that cannot hold a bad value.

use core::fmt;
use core::num::NonZeroU32;

/// A message-number: 1 is the first message of the maildrop (RFC 1939, section 4).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct MessageNumber(NonZeroU32);

impl MessageNumber {
    /// The message at `index`, which counts from 0; none past the largest message-number.
    #[must_use]
    pub fn from_index(index: u32) -> Option<Self> {
        index.checked_add(1).and_then(NonZeroU32::new).map(Self)
    }

    /// Reads a message-number: digits only, not zero, and small enough to be one.
    #[must_use]
    pub fn parse(argument: &[u8]) -> Option<Self> {
        // Parsing alone would also take "+1".
        if !argument.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let number = core::str::from_utf8(argument).ok()?.parse().ok()?;
        Some(Self(number))
    }

    /// The number itself, from 1.
    #[must_use]
    pub fn value(self) -> u32 {
        self.0.get()
    }

    /// Where the message stands in a list that begins at 0.
    #[must_use]
    pub fn index(self) -> u32 {
        self.0.get() - 1
    }
}

impl fmt::Display for MessageNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A size as sent: CRLF at every line end counted, byte-stuffing not (RFC 1939, section 11).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Octets(pub u64);

impl fmt::Display for Octets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
