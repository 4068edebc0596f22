//! What a message's file name tells: its base, when it was delivered, its size, and the unique-id made of it.
//!
//! Everything here depends on the name alone, so that it is the same in every session. Names are octets: they need
//! not be UTF-8.

use std::cmp::Ordering;

use sha2::{Digest, Sha256};

/// Longest unique-id (RFC 1939, section 7).
pub(super) const UNIQUE_ID_MAX: usize = 70;

/// What separates the base of a Maildir file name from its flags.
const INFO: &[u8] = b":2,";

/// The part of a Maildir file name that never changes while its flags do.
pub(super) fn base(name: &[u8]) -> &[u8] {
    match name.windows(INFO.len()).position(|window| window == INFO) {
        // A name of flags only has no base; it is told from others by the whole of it.
        None | Some(0) => name,
        Some(end) => name.get(..end).unwrap_or(name),
    }
}

/// When a message was delivered, as far as its file name tells: what messages are ordered by before their names.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Delivery {
    /// The number that the name begins with; names without one come after all others.
    seconds: u64,
    /// What "M" says in the middle part of a Maildir name, else 0.
    microseconds: u32,
}

impl Delivery {
    /// Reads it off a base. In a flat folder the leading number need not be a time: `2.eml` stands before `10.eml`.
    pub(super) fn of(base: &[u8]) -> Self {
        let digits = base.iter().take_while(|octet| octet.is_ascii_digit()).count();
        if digits == 0 {
            return Self { seconds: u64::MAX, microseconds: 0 };
        }
        // Too many digits for a number stand after every number that is one.
        let seconds = base.get(..digits).and_then(decimal).unwrap_or(u64::MAX).min(u64::MAX - 1);
        Self { seconds, microseconds: microseconds(base).unwrap_or(0) }
    }
}

/// The order of messages in a maildrop, of two bases whose times have been read already.
pub(super) fn order(one: (Delivery, &[u8]), other: (Delivery, &[u8])) -> Ordering {
    one.0.cmp(&other.0).then_with(|| one.1.cmp(other.1))
}

/// The digits after "M" in the part between the first two dots, as in `1737482234.M20046P2137.host`.
fn microseconds(base: &[u8]) -> Option<u32> {
    let middle = base.split(|&octet| octet == b'.').nth(1)?;
    let start = middle.iter().position(|&octet| octet == b'M')? + 1;
    let digits = middle.get(start..)?;
    let length = digits.iter().take_while(|octet| octet.is_ascii_digit()).count();
    let value = decimal(digits.get(..length)?)?;
    u32::try_from(value).ok().filter(|&value| value < 1_000_000)
}

/// The value of digits, none where there are none, something else, or too many.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, octet| {
        let digit = octet.is_ascii_digit().then(|| u64::from(octet - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// The size fields that Maildir++ puts into a base, as in `1737482234.M20046P2137.host,S=2040,W=2081`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Sizes {
    /// `S`: the length of the file.
    pub(super) length: Option<u64>,
    /// `W`: the octets as sent.
    pub(super) octets: Option<u64>,
}

impl Sizes {
    /// Reads the fields of a base; one that is not a number is as good as absent.
    pub(super) fn of(base: &[u8]) -> Self {
        let mut sizes = Self::default();
        for field in base.split(|&octet| octet == b',').skip(1) {
            if let Some(digits) = field.strip_prefix(b"S=") {
                sizes.length = sizes.length.or(decimal(digits));
            } else if let Some(digits) = field.strip_prefix(b"W=") {
                sizes.octets = sizes.octets.or(decimal(digits));
            }
        }
        sizes
    }
}

/// Whether octets can be a unique-id as they are: 1 to 70 of 0x21 to 0x7E (RFC 1939, section 7).
pub(super) fn is_unique_id(octets: &[u8]) -> bool {
    (1..=UNIQUE_ID_MAX).contains(&octets.len()) && octets.iter().all(u8::is_ascii_graphic)
}

/// A unique-id for a base that cannot be one itself. `attempt` makes another one where that is taken.
pub(super) fn hashed_unique_id(base: &[u8], attempt: u32) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(base);
    if attempt > 0 {
        // "/" occurs in no file name: no other base has this input.
        hash.update(b"/");
        hash.update(attempt.to_le_bytes());
    }
    let mut unique_id = [0; 32];
    for (digits, octet) in unique_id.chunks_exact_mut(2).zip(hash.finalize()) {
        for (digit, value) in digits.iter_mut().zip([octet >> 4, octet & 15]) {
            *digit = if value < 10 { b'0' + value } else { b'a' + value - 10 };
        }
    }
    unique_id
}

/// Whether a name is one component of a path that a listing could have given.
pub(super) fn is_component(name: &[u8]) -> bool {
    !name.is_empty() && name.first() != Some(&b'.') && memchr::memchr2(b'/', 0, name).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted<'a>(names: &[&'a str]) -> Vec<&'a str> {
        let mut names = names.to_vec();
        names.sort_by(|one, other| {
            let (one, other) = (base(one.as_bytes()), base(other.as_bytes()));
            order((Delivery::of(one), one), (Delivery::of(other), other))
        });
        names
    }

    #[test]
    fn flags_are_not_part_of_the_base() {
        assert_eq!(base(b"1.M2P3.host,S=4:2,RS"), b"1.M2P3.host,S=4");
        assert_eq!(base(b"1.M2P3.host"), b"1.M2P3.host");
        assert_eq!(base(b"1.a:b"), b"1.a:b");
        assert_eq!(base(b":2,S"), b":2,S");
        assert_eq!(base(b""), b"");
    }

    #[test]
    fn delivery_time_comes_before_microseconds_before_the_name() {
        let expected = [
            "9.M999P9.z",
            "10.M5P1.a",
            "10.M20P1.a:2,S",
            "10.M20P1.b",
            "11.M1P1.a",
            "99999999999999999999999.a",
            "a.M1",
            "mail02",
        ];
        let mut mixed = expected;
        mixed.reverse();
        assert_eq!(sorted(&mixed), expected);
    }

    #[test]
    fn in_a_flat_folder_a_leading_number_counts_as_a_number() {
        assert_eq!(sorted(&["10.eml", "a", "2.eml", "02.eml"]), ["02.eml", "2.eml", "10.eml", "a"]);
    }

    #[test]
    fn sizes_are_read_only_where_they_are_numbers() {
        let sizes = |length, octets| Sizes { length, octets };
        assert_eq!(Sizes::of(b"1.a.host,S=12,W=14"), sizes(Some(12), Some(14)));
        assert_eq!(Sizes::of(b"1.a.host,W=0"), sizes(None, Some(0)));
        assert_eq!(Sizes::of(b"1.a.host,S=,W=+1"), sizes(None, None));
        assert_eq!(Sizes::of(b"1.a.host,S=1x,W=99999999999999999999"), sizes(None, None));
        assert_eq!(Sizes::of(b"S=1"), sizes(None, None));
    }

    #[test]
    fn a_unique_id_has_1_to_70_printable_octets() {
        assert!(is_unique_id(b"1"));
        assert!(is_unique_id(&[b'~'; 70]));
        assert!(!is_unique_id(b""));
        assert!(!is_unique_id(&[b'~'; 71]));
        assert!(!is_unique_id(b"a b"));
        assert!(!is_unique_id(b"a\x7f"));
        assert!(!is_unique_id("é".as_bytes()));
    }

    #[test]
    fn a_hashed_unique_id_depends_on_the_name_and_the_attempt_only() {
        assert_eq!(hashed_unique_id(b"a b", 0), hashed_unique_id(b"a b", 0));
        assert_ne!(hashed_unique_id(b"a b", 0), hashed_unique_id(b"a b", 1));
        assert!(is_unique_id(&hashed_unique_id(b"a b", 0)));
    }
}
