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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_number_is_digits_that_make_no_zero() {
        for (argument, number) in [("1", 1), ("42", 42), ("0042", 42), ("4294967295", u32::MAX)] {
            assert_eq!(MessageNumber::parse(argument.as_bytes()).map(MessageNumber::value), Some(number));
        }
    }

    #[test]
    fn nothing_else_is_a_message_number() {
        for argument in ["", "0", "000", "+1", "-1", " 1", "1 ", "1.0", "0x1", "one", "1\0", "\u{664}"] {
            assert_eq!(MessageNumber::parse(argument.as_bytes()), None, "{argument:?}");
        }
    }

    #[test]
    fn a_number_beyond_32_bits_is_not_taken_for_a_small_one() {
        for argument in ["4294967296", "4294967297", "18446744073709551617", "99999999999999999999999999"] {
            assert_eq!(MessageNumber::parse(argument.as_bytes()), None, "{argument}");
        }
    }

    #[test]
    fn message_numbers_count_from_1_and_indexes_from_0() {
        let first = MessageNumber::from_index(0).unwrap();
        assert_eq!((first.value(), first.index()), (1, 0));
        assert_eq!(MessageNumber::from_index(u32::MAX - 1).map(MessageNumber::value), Some(u32::MAX));
        assert_eq!(MessageNumber::from_index(u32::MAX), None);
    }
}
